// SPDX-License-Identifier: MIT
/*
 * The writer's half of the table against an oracle that is a sorted list: random transactions on
 * one object that write, seal and remove cells, append beyond the end in place, cut, grow the
 * tree by many levels, and fail for lack of space anywhere.  After each, the newest
 * table and those of all older generations in the window show exactly what the list of their
 * time says, and the books add up.
 */
#include <stdlib.h>
#include <string.h>

#include "base/test_hooks.h"
#include "support/books.h"
#include "support/must.h"
#include "support/names.h"
#include "support/rng.h"
#include "support/scale.h"

enum { MAX_CELLS = 1500, HISTORY = 6, SLOT = 64, UID = 4711 };

struct cell {
    uint64_t number, offset, version, flags;
};

struct oracle {
    uint64_t cells; // visible
    size_t count;
    struct cell list[MAX_CELLS]; // by number
};

struct past {
    ut_descriptor descriptor;
    struct oracle oracle;
};

struct world {
    const char *segment;
    untorn_writer *writer;
    ut_object *object;
    struct test_rng rng;
    struct oracle now, next;
    struct past past[HISTORY];
    unsigned past_count; // ever
    uint64_t looks, failures;
};

/* ---- the oracle ---- */

static size_t lower_bound(const struct oracle *oracle, uint64_t number) {
    size_t low = 0, high = oracle->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (oracle->list[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct cell *oracle_find(struct oracle *oracle, uint64_t number) {
    size_t at = lower_bound(oracle, number);
    return at < oracle->count && oracle->list[at].number == number ? &oracle->list[at] : NULL;
}

static void oracle_remove(struct oracle *oracle, struct cell *cell) {
    size_t at = (size_t)(cell - oracle->list);
    memmove(cell, cell + 1, (oracle->count - at - 1) * sizeof *cell);
    oracle->count--;
}

static struct cell *oracle_add(struct oracle *oracle, uint64_t number) {
    size_t at = lower_bound(oracle, number);
    memmove(&oracle->list[at + 1], &oracle->list[at],
            (oracle->count - at) * sizeof oracle->list[0]);
    oracle->count++;
    oracle->list[at] = (struct cell){.number = number};
    return &oracle->list[at];
}

/* ---- transactions ---- */

static void drop_cell(struct world *world, const struct cell *cell) {
    ut_object *object = world->object;
    if (cell->version == 0)
        ut_space_give(&world->writer->publisher, cell->offset, SLOT);
    else
        must_ok(
            ut_items_push(&object->dropped,
                          (ut_item){.offset = cell->offset, .bytes = SLOT, .born = cell->version}));
}

static void put(struct world *world, const struct cell *cell) {
    ut_change *change = ut_changes_put(&world->object->changes, cell->number);
    must(change != NULL);
    change->offset = cell->offset;
    change->version = cell->version;
    change->flags = cell->flags;
}

static void write_cell(struct world *world, uint64_t number) {
    struct cell *cell = oracle_find(&world->next, number);
    if (cell == NULL && world->next.count == MAX_CELLS)
        return;
    uint64_t offset = 0;
    if (ut_space_take(&world->writer->publisher, world->object, SLOT, &offset) != UNTORN_OK)
        return;
    if (cell != NULL)
        drop_cell(world, cell);
    else
        cell = oracle_add(&world->next, number);
    cell->offset = offset;
    cell->version = cell->flags = 0;
    put(world, cell);
}

static void remove_cell(struct world *world, struct cell *cell) {
    drop_cell(world, cell);
    put(world, &(struct cell){.number = cell->number});
    oracle_remove(&world->next, cell);
}

static void cut(struct world *world, uint64_t cells) {
    ut_object *object = world->object;
    while (world->next.count > 0 && world->next.list[world->next.count - 1].number >= cells) {
        drop_cell(world, &world->next.list[world->next.count - 1]);
        world->next.count--;
    }
    ut_changes left = {0};
    for (size_t i = 0; i < object->changes.count; i++) {
        ut_change *change = &object->changes.list[i];
        if (change->number < cells)
            *ut_changes_put(&left, change->number) = *change;
    }
    ut_changes_free(&object->changes);
    object->changes = left;
    if (cells < object->keep)
        object->keep = cells;
    world->next.cells = cells;
}

// Lengths at and around the edges of nodes, small ones often.
static uint64_t random_length(struct test_rng *rng) {
    uint64_t length = UINT64_C(1) << rng_below(rng, rng_chance(rng, 70) ? 13 : 61);
    return rng_chance(rng, 50) ? rng_below(rng, length * 2) : length + rng_below(rng, 5) - 2;
}

static void random_changes(struct world *world) {
    struct test_rng *rng = &world->rng;
    uint64_t count = rng_chance(rng, 10) ? 200 : rng_below(rng, 12);
    uint64_t base = rng_below(rng, world->next.cells);
    for (uint64_t i = 0; i < count && world->next.cells > 0; i++) {
        uint64_t number = rng_chance(rng, 40) ? base + i : rng_below(rng, world->next.cells);
        if (rng_chance(rng, 20) && world->next.count > 0)
            number = world->next.list[rng_below(rng, world->next.count)].number;
        if (number >= world->next.cells)
            continue;
        struct cell *cell = oracle_find(&world->next, number);
        if (cell != NULL && rng_chance(rng, 30)) {
            remove_cell(world, cell);
        } else if (cell != NULL && cell->version != 0 && rng_chance(rng, 20)) {
            cell->flags = UT_REF_SEALED;
            put(world, cell);
        } else {
            write_cell(world, number);
        }
    }
}

// One chunk alone, of a few that are used again and again: the commonest change.
static void change_one(struct world *world) {
    struct test_rng *rng = &world->rng;
    size_t few = world->next.count < 4 ? world->next.count : 4;
    struct cell *cell = &world->next.list[rng_below(rng, few)];
    if (rng_chance(rng, 90))
        write_cell(world, cell->number);
    else
        remove_cell(world, cell);
}

static void append(struct world *world) {
    uint64_t count = rng_chance(&world->rng, 80) ? rng_range(&world->rng, 1, 40) : 300;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = world->next.cells++;
        if (!rng_chance(&world->rng, 20))
            write_cell(world, number);
    }
}

static void random_transaction(struct world *world) {
    struct test_rng *rng = &world->rng;
    ut_object *object = world->object;
    world->next = world->now;
    object->touched = true;
    uint64_t generation = object->generation;
    object->next = object->now;
    object->next.uid = UID;
    object->next.kind = ut_kind_make(UT_KIND_ARRAY, 1, 0);
    object->next.slot_bytes = SLOT;
    object->keep = generation == 0 ? 0 : object->now.cells;
    uint64_t parts = rng_range(rng, 1, 3);
    if (world->next.count > 0 && rng_chance(rng, 40)) {
        parts = 0;
        change_one(world);
    }
    for (; parts > 0; parts--)
        switch (rng_below(rng, 8)) {
        case 0:
            cut(world, rng_below(rng, world->next.cells + 1));
            break;
        case 1: {
            uint64_t length = random_length(rng);
            if (length < world->next.cells)
                cut(world, length);
            else if (length < UINT64_C(1) << 62)
                world->next.cells = length;
            break;
        }
        case 2:
        case 3:
        case 4:
            if (world->next.cells < UINT64_C(1) << 61)
                append(world);
            break;
        default:
            random_changes(world);
        }
    object->next.shape[0] = object->next.cells = world->next.cells;
}

static void forget(struct world *world) {
    ut_object *object = world->object;
    for (size_t i = 0; i < object->changes.count; i++)
        if (object->changes.list[i].offset != 0 && object->changes.list[i].version == 0)
            ut_space_give(&world->writer->publisher, object->changes.list[i].offset, SLOT);
    ut_object_clear_transaction(object);
}

static void publish(struct world *world) {
    ut_publisher *publisher = &world->writer->publisher;
    books_must_add_up(world->writer, 0, "before publishing");
    if (rng_chance(&world->rng, 30)) {
        ut_fail_take = (long)rng_below(&world->rng, 6);
        untorn_status status = ut_publish(publisher, &world->object, 1);
        ut_fail_take = -1;
        if (status != UNTORN_OK) {
            world->failures++;
            books_must_add_up(world->writer, 0, "after a failure");
            if (rng_chance(&world->rng, 50) ||
                ut_publish(publisher, &world->object, 1) != UNTORN_OK) { /* really no space */
                forget(world);
                return;
            }
        }
    } else if (rng_chance(&world->rng, 10)) {
        forget(world);
        return;
    } else if (ut_publish(publisher, &world->object, 1) != UNTORN_OK) {
        forget(world);
        return;
    }
    for (size_t i = 0; i < world->next.count; i++)
        if (world->next.list[i].version == 0)
            world->next.list[i].version = publisher->commit;
    world->now = world->next;
    struct past *past = &world->past[world->past_count++ % HISTORY];
    past->descriptor = world->object->now;
    past->oracle = world->now;
}

/* ---- checks ---- */

static void check_cell(const struct cell *expected, ut_place place) {
    must(ut_ref_offset(place.ref) == expected->offset && place.version == expected->version &&
             (place.ref & UT_REF_FLAGS) == expected->flags,
         "cell %llu: offset %llu, version %llu", (unsigned long long)expected->number,
         (unsigned long long)ut_ref_offset(place.ref), (unsigned long long)place.version);
}

// Nothing that a generation reaches is younger than it: pins and windows rely on that.
static void check_age(struct world *world, const ut_descriptor *descriptor, ut_place place,
                      unsigned level, uint64_t first) {
    if (place.ref == 0)
        return;
    must(place.version <= descriptor->commit, "at %llu, level %u: younger than its generation",
         (unsigned long long)first, level);
    if (level == 0)
        return;
    uint64_t child = UINT64_C(1) << ((level - 1) * UT_NODE_SHIFT);
    ut_node *node = (ut_node *)(world->writer->segment.base + ut_ref_offset(place.ref));
    for (unsigned i = 0; i < UT_NODE_CELLS && first + i * child < descriptor->cells; i++)
        check_age(world, descriptor, ut_cell_load(&node->cells[i]), level - 1, first + i * child);
}

static void check_past(struct world *world, struct past *past) {
    struct oracle *oracle = &past->oracle;
    const ut_descriptor *descriptor = &past->descriptor;
    check_age(world, descriptor, (ut_place){descriptor->root_ref, descriptor->root_version},
              ut_kind_depth(descriptor->kind), 0);
    ut_table_cursor cursor = {0};
    ut_place place;
    for (size_t i = 0; i < oracle->count; i++) {
        must(ut_table_lookup(&world->writer->segment, &past->descriptor, oracle->list[i].number,
                             &cursor, &place) == UT_FOUND);
        check_cell(&oracle->list[i], place);
    }
    for (int i = 0; i < 40 && oracle->cells > 0; i++) {
        uint64_t number = rng_below(&world->rng, oracle->cells);
        if (i < 20 && oracle->count > 0) // near those that are there
            number = oracle->list[rng_below(&world->rng, oracle->count)].number + 1;
        if (number >= oracle->cells || oracle_find(oracle, number) != NULL)
            continue;
        must(ut_table_lookup(&world->writer->segment, &past->descriptor, number, &cursor, &place) ==
             UT_FOUND);
        must(place.ref == 0, "cell %llu of %llu is not absent", (unsigned long long)number,
             (unsigned long long)oracle->cells);
    }
    world->looks++;
}

struct visit {
    struct oracle *oracle;
    size_t at;
};

static untorn_status visit(void *context, uint64_t number, ut_place place) {
    struct visit *v = context;
    must(v->at < v->oracle->count && v->oracle->list[v->at].number == number, "walk meets %llu",
         (unsigned long long)number);
    check_cell(&v->oracle->list[v->at++], place);
    return UNTORN_OK;
}

static void check(struct world *world) {
    books_must_add_up(world->writer, 0, "after a transaction");
    ut_object *object = world->object;
    for (unsigned i = 0; i < HISTORY && i < world->past_count; i++)
        if (world->past[i].descriptor.stamp >= object->oldest)
            check_past(world, &world->past[i]);
    if (object->generation == 0)
        return;
    uint64_t first = rng_below(&world->rng, world->now.cells + 1), end = world->now.cells;
    if (rng_chance(&world->rng, 50))
        first = 0;
    else
        end = first + rng_below(&world->rng, end - first + 1);
    struct visit v = {&world->now, lower_bound(&world->now, first)};
    must_ok(ut_table_walk(&world->writer->publisher, object, first, end, visit, &v));
    must(v.at == lower_bound(&world->now, end), "walk misses cells");
}

static void open_world(struct world *world, uint64_t size, unsigned versions) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = size;
    options.versions = versions;
    world->segment = test_segment("table");
    must_ok(untorn_writer_open(world->segment, &options, &world->writer));
    must_ok(ut_object_new(&world->writer->publisher, &world->object));
}

static void run(uint64_t size, unsigned versions, uint64_t transactions) {
    struct world *world = calloc(1, sizeof *world);
    must(world != NULL);
    world->rng.state = test_seed() + size + versions;
    open_world(world, size, versions);
    for (uint64_t i = 0; i < transactions; i++) {
        random_transaction(world);
        publish(world);
        check(world);
        if (rng_chance(&world->rng, 2)) { // the next writer takes over
            uint32_t index = world->object->index;
            untorn_writer_close(world->writer);
            must_ok(untorn_writer_open(world->segment, NULL, &world->writer));
            world->object = world->writer->publisher.objects[index];
            check(world);
        }
    }
    must(world->looks > 0 && world->past_count > 0, "nothing was looked at");
    print_message("%u generations, %llu looks, %llu failures\n", world->past_count,
                  (unsigned long long)world->looks, (unsigned long long)world->failures);
    untorn_writer_close(world->writer);
    must_ok(untorn_segment_remove(world->segment));
    free(world);
}

static void random_tables_versions_2(void **state) {
    (void)state;
    run(1u << 20, 2, test_count(6000));
}

static void random_tables_versions_5(void **state) {
    (void)state;
    run(4u << 20, 5, test_count(6000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_tables_versions_2),
        cmocka_unit_test(random_tables_versions_5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
