// SPDX-License-Identifier: MIT
/*
 * Random transactions against the naive model (support/model*.h), in a segment with a store, where
 * chunks leave memory all the time: between any two operations of a transaction everything clean
 * may be evicted, and in the cramped segment every other slot that is taken evicts something.
 *
 * Mixed in: flushes, writers that close, die or are replaced, and segments that are lost, so that
 * the store is all there is; the model then goes back to the commit that was flushed last.  After
 * every transaction the writer's books must add up.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/model.h"
#include "../support/model_reader.h"
#include "../support/model_script.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#define KEPT 4
#define PAST 256u // commits between two flushes, at most

struct kept {
    untorn_snapshot *snapshot;
    struct model_state state;
};

// A commit and what it is, for when the segment is lost: flushes may come at any time.
struct past {
    uint64_t commit;
    struct model_state state;
};

struct world {
    struct cache cache;
    struct script script;
    struct model_reader reader;
    struct test_rng rng;
    struct kept kept[KEPT];
    struct past past[PAST];
    uint64_t past_count;
    uint64_t room; // bytes that ballast leaves free; 0: no ballast
    uint64_t ballast;
    uint64_t evictions, restarts, taken, overtaken, no_space;
};

/* ---- snapshots ---- */

static void drop(struct kept *kept) {
    untorn_snapshot_close(kept->snapshot);
    model_free(&kept->state);
    kept->snapshot = NULL;
}

static void drop_all(struct world *world) {
    for (unsigned i = 0; i < KEPT; i++)
        if (world->kept[i].snapshot)
            drop(&world->kept[i]);
}

static void look_at_snapshots(struct world *world) {
    struct kept *kept = &world->kept[rng_below(&world->rng, KEPT)];
    if (!kept->snapshot) {
        untorn_status status =
            untorn_snapshot_open(world->reader.reader, NULL, 0, UNTORN_NEWEST, &kept->snapshot);
        must_ok(status);
        model_copy(&kept->state, &world->script.committed);
        world->taken++;
    } else if (rng_chance(&world->rng, 20)) {
        drop(kept);
        return;
    }
    if (!model_check_snapshot(kept->snapshot, &kept->state, &world->rng)) {
        world->overtaken++;
        drop(kept);
    }
}

static void look(struct world *world) {
    const struct model_state *state = &world->script.committed;
    switch (rng_below(&world->rng, 8)) {
    case 0:
        model_check_all(&world->reader, state, &world->rng);
        break;
    case 1:
        model_check_group(&world->reader, state, &world->rng);
        break;
    case 2:
    case 3:
        look_at_snapshots(world);
        break;
    default:
        model_check_some(&world->reader, state, &world->rng);
    }
}

/* ---- what was committed ---- */

static void remember(struct world *world) {
    struct past *past = &world->past[world->past_count++ % PAST];
    model_free(&past->state);
    past->commit = untorn_writer_commit(world->cache.writer);
    model_copy(&past->state, &world->script.committed);
}

// The state that a snapshot of this commit has: evictions are commits without one of their own.
static const struct model_state *recall(const struct world *world, uint64_t commit) {
    for (uint64_t i = world->past_count; i > 0 && i + PAST > world->past_count; i--)
        if (world->past[(i - 1) % PAST].commit <= commit)
            return &world->past[(i - 1) % PAST].state;
    test_fail(__FILE__, __LINE__, "commit %llu is too long ago", (unsigned long long)commit);
}

/* ---- transactions ---- */

static void between(void *argument) {
    struct world *world = argument;
    if (rng_chance(&world->rng, 30))
        world->evictions += cache_evict(world->cache.writer);
    if (rng_chance(&world->rng, 10))
        look(world);
}

static void one_transaction(struct world *world, uint64_t number) {
    struct script *script = &world->script;
    enum script_wish wish = script_run(script, number, rng_next(&world->rng));
    if (wish != SCRIPT_COMMIT || !script_commit(script)) {
        world->no_space += wish != SCRIPT_ABORT;
        script_abort(script);
    } else {
        remember(world);
    }
    books_must_add_up(world->cache.writer, world->ballast, "after a transaction");
}

/* ---- comings and goings ---- */

static void squeeze(struct world *world) {
    untorn_writer *writer = world->cache.writer;
    world->ballast = 0;
    if (world->room == 0)
        return;
    while (ut_load_relaxed(&writer->segment.super->reserve) < writer->segment.super->size) {
        // Make the file as large as it gets, so that all the room there is can be taken.
        uint64_t offset;
        uint64_t bytes = writer->segment.super->size / 8;
        if (ut_space_take(&writer->publisher, NULL, bytes, &offset) != UNTORN_OK)
            break;
        world->ballast += ut_alloc_rounded(bytes);
    }
    uint64_t taken = world->ballast;
    world->ballast = taken + books_take_ballast(writer, world->room);
}

static void attach(struct world *world) {
    script_set_writer(&world->script, world->cache.writer);
    model_reader_open(&world->reader, world->cache.segment, 0);
    world->reader.evicting = 1;
    remember(world);
    squeeze(world);
}

static void detach(struct world *world) {
    drop_all(world);
    model_reader_close(&world->reader);
}

static void close_and_reopen(struct world *world) {
    detach(world);
    untorn_writer_close(world->cache.writer);
    cache_open(&world->cache);
    must(untorn_writer_adopted(world->cache.writer), "adopted");
    attach(world);
}

static void die(struct world *world) {
    detach(world);
    cache_die(&world->cache);
    cache_open(&world->cache);
    attach(world);
}

// The segment is lost, too.
static void lose(struct world *world) {
    detach(world);
    cache_die(&world->cache);
    uint64_t commit = cache_stored_commit(&world->cache);
    must_ok(untorn_segment_remove(world->cache.segment));
    cache_open(&world->cache);
    must(!untorn_writer_adopted(world->cache.writer), "restarted");
    model_free(&world->script.committed);
    if (commit != 0)
        model_copy(&world->script.committed, recall(world, commit));
    attach(world);
    world->restarts++;
}

static void run(const char *name, uint64_t size, uint64_t room, uint64_t seed,
                uint64_t transactions) {
    struct world world = {.rng = {seed}, .room = room};
    cache_begin(&world.cache, name, size);
    script_begin(&world.script, NULL);
    world.script.between = between;
    world.script.argument = &world;
    attach(&world);
    // On and on until there were evictions enough: in 200 transactions there are 45 or so.
    for (uint64_t i = 1; i <= transactions || world.evictions <= transactions / 20; i++) {
        one_transaction(&world, i);
        look(&world);
        if (rng_chance(&world.rng, 15))
            must_ok(untorn_flush(world.cache.writer, NULL));
        if (rng_chance(&world.rng, 25))
            world.evictions += cache_evict(world.cache.writer);
        look(&world);
        switch (rng_below(&world.rng, 150)) {
        case 0:
            close_and_reopen(&world);
            break;
        case 1:
            die(&world);
            break;
        case 2:
            lose(&world);
            break;
        default:
            continue;
        }
        model_check_all(&world.reader, &world.script.committed, &world.rng);
    }
    model_check_all(&world.reader, &world.script.committed, &world.rng);
    print_message("%llu transactions, %llu operations, %llu reads, %llu evictions, "
                  "%llu restarts, %llu snapshots, %llu of them overtaken, %llu times no space\n",
                  (unsigned long long)transactions, (unsigned long long)world.script.operations,
                  (unsigned long long)world.reader.reads, (unsigned long long)world.evictions,
                  (unsigned long long)world.restarts, (unsigned long long)world.taken,
                  (unsigned long long)world.overtaken, (unsigned long long)world.no_space);
    // In 200 transactions it does so twice.
    must(world.no_space * 5 <= transactions, "out of space too often to mean much");
    detach(&world);
    for (unsigned i = 0; i < PAST; i++)
        model_free(&world.past[i].state);
    script_end(&world.script);
    cache_end(&world.cache);
}

static void P10_everything_read_is_what_the_model_says(void **state) {
    (void)state;
    run("model", 6u << 20, 0, test_seed(), test_count_at_least(200, 2500));
}

static void P10_the_same_where_every_slot_is_fought_for(void **state) {
    (void)state;
    run("cramped", 2u << 20, 256u << 10, test_seed() + 1, test_count_at_least(200, 1500));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_everything_read_is_what_the_model_says),
        cmocka_unit_test(P10_the_same_where_every_slot_is_fought_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
