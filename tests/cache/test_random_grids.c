// SPDX-License-Identifier: MIT
/*
 * Random changes of arrays with deep tables, while random parts of them are evicted.
 *
 * Chunks have 64 bytes, so that an array of seventy kilobytes has a table of three levels:
 * leaves that are in the store as a whole become one cell, are cut, renumbered and made again.
 * Arrays have one to three axes, and are changed along all of them, by writes of a few or of many
 * chunks, in transactions of several operations, some of which are aborted.  Everything is compared
 * with the naive model of an array (support/model.h).
 */
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/model.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define ARRAYS 3

static const struct kind {
    const char *name;
    unsigned rank;
    uint64_t chunks[3];
    uint64_t most[3]; // the longest axes
} kinds[ARRAYS] = {
    {"line", 1, {16}, {18000}},
    {"plane", 2, {2, 8}, {100, 120}},
    {"box", 3, {2, 4, 2}, {20, 24, 20}},
};

struct grids {
    struct cache cache;
    struct test_rng rng;
    struct model_state committed, open;
    untorn_writer_array *handles[ARRAYS];
    untorn_array *readers[ARRAYS];
    uint32_t next_value;
    uint64_t evictions, cells;
};

static void attach(struct grids *grids) {
    for (unsigned i = 0; i < ARRAYS; i++) {
        must_ok(untorn_writer_array_open(grids->cache.writer, kinds[i].name, &grids->handles[i]));
        must_ok(untorn_array_open(grids->cache.reader, kinds[i].name, &grids->readers[i]));
    }
}

static void begin(struct grids *grids, uint64_t seed) {
    static const uint64_t nothing[3];
    const uint32_t fill = 77;
    *grids = (struct grids){.rng = {seed}, .next_value = 1000};
    cache_begin(&grids->cache, "grids", 6u << 20);
    for (unsigned i = 0; i < ARRAYS; i++) {
        struct model_array made = {
            .name = kinds[i].name, .dtype = "u4", .itemsize = 4, .rank = kinds[i].rank};
        memcpy(made.chunks, kinds[i].chunks, sizeof kinds[i].chunks);
        memcpy(made.fill, &fill, sizeof fill);
        model_add(&grids->committed, &made);
        cache_define(&grids->cache, kinds[i].name, kinds[i].rank, nothing, kinds[i].chunks, fill);
    }
    must_ok(untorn_commit(grids->cache.writer, NULL));
    attach(grids);
}

/* ---- operations of a transaction ---- */

static void random_box(struct grids *grids, const struct model_array *array, uint64_t *start,
                       uint64_t *count) {
    int small = rng_chance(&grids->rng, 60);
    for (unsigned axis = 0; axis < array->rank; axis++) {
        uint64_t length = array->shape[axis];
        uint64_t most = small && length > 3 ? 3 : length;
        count[axis] = length ? rng_range(&grids->rng, 1, most) : 0;
        start[axis] = rng_range(&grids->rng, 0, length - count[axis]);
    }
}

static uint32_t *new_values(struct grids *grids, uint64_t count) {
    uint32_t *values = malloc(count * sizeof *values + 1);
    for (uint64_t i = 0; i < count; i++)
        values[i] = grids->next_value++;
    return values;
}

static void write_box(struct grids *grids, unsigned i) {
    struct model_array *array = model_edit(&grids->open, i);
    uint64_t start[MODEL_RANK], count[MODEL_RANK];
    random_box(grids, array, start, count);
    uint32_t *values = new_values(grids, model_elements(array->rank, count));
    must_ok(untorn_write(grids->handles[i], start, count, NULL, values));
    model_write(array, start, count, (const unsigned char *)values);
    free(values);
}

static void append(struct grids *grids, unsigned i) {
    struct model_array *array = model_edit(&grids->open, i);
    unsigned axis = (unsigned)rng_below(&grids->rng, array->rank);
    uint64_t start[MODEL_RANK] = {0}, count[MODEL_RANK], shape[MODEL_RANK];
    memcpy(count, array->shape, sizeof count);
    memcpy(shape, array->shape, sizeof shape);
    count[axis] = rng_range(&grids->rng, 1, 1 + kinds[i].most[axis] / 8);
    if (shape[axis] + count[axis] > kinds[i].most[axis])
        return;
    start[axis] = shape[axis];
    shape[axis] += count[axis];
    uint32_t *values = new_values(grids, model_elements(array->rank, count));
    must_ok(untorn_append(grids->handles[i], axis, count[axis], NULL, values));
    model_resize(array, shape);
    model_write(array, start, count, (const unsigned char *)values);
    free(values);
}

static void resize(struct grids *grids, unsigned i) {
    struct model_array *array = model_edit(&grids->open, i);
    uint64_t shape[MODEL_RANK] = {0};
    int all = rng_chance(&grids->rng, 40);
    unsigned one = (unsigned)rng_below(&grids->rng, array->rank);
    for (unsigned axis = 0; axis < array->rank; axis++) {
        uint64_t length = array->shape[axis], step = kinds[i].most[axis] / 4;
        shape[axis] = length;
        if (!all && axis != one)
            continue;
        if (rng_chance(&grids->rng, 20))
            shape[axis] = rng_range(&grids->rng, 0, kinds[i].most[axis]);
        else if (rng_chance(&grids->rng, 60))
            shape[axis] = length + rng_below(&grids->rng, step + 1);
        else
            shape[axis] = length - rng_below(&grids->rng, (step < length ? step : length) + 1);
        if (shape[axis] > kinds[i].most[axis])
            shape[axis] = kinds[i].most[axis];
    }
    must_ok(untorn_resize(grids->handles[i], shape));
    model_resize(array, shape);
}

/* ---- evictions ---- */

struct clean {
    struct grids *grids;
    uint64_t numbers[512];
    size_t count;
    unsigned percent;
};

// Any chunk that the store has may be asked for; whether it may go is the eviction's to know, so
// only those that the committed state has and the open transaction has not touched are.
static untorn_status choose(void *context, uint64_t number, ut_place place) {
    struct clean *clean = context;
    uint64_t flushed = ut_load_relaxed(&clean->grids->cache.writer->segment.store->flushed_commit);
    if (clean->count < 512 && place.version <= flushed && !(place.ref & UT_REF_EVICTED) &&
        rng_chance(&clean->grids->rng, clean->percent))
        clean->numbers[clean->count++] = number;
    return UNTORN_OK;
}

// Some chunks of one array that has not changed since the last flush, so that all are clean.
static void evict_some(struct grids *grids, unsigned i) {
    untorn_writer *writer = grids->cache.writer;
    ut_object *object = grids->handles[i]->object;
    struct clean clean = {.grids = grids, .percent = (unsigned)rng_range(&grids->rng, 5, 95)};
    if (object->touched ||
        object->now.data_commit > ut_load_relaxed(&writer->segment.store->flushed_commit))
        return;
    must_ok(ut_table_walk_memory(&writer->publisher, object, 0, object->now.cells, choose, &clean));
    if (clean.count == 0)
        return;
    untorn_status status = ut_evict(&writer->publisher, object, clean.numbers, clean.count);
    must(status == UNTORN_OK || status == UNTORN_E_NO_SPACE, "%s", untorn_message());
    ut_evict_reserve(&writer->publisher, UT_EVICTION_PAGES);
    grids->evictions++;
}

static void maybe_evict(struct grids *grids) {
    switch (rng_below(&grids->rng, 6)) {
    case 0:
        grids->evictions += cache_evict(grids->cache.writer);
        break;
    case 1:
    case 2:
        evict_some(grids, (unsigned)rng_below(&grids->rng, ARRAYS));
        break;
    default:
        break;
    }
}

/* ---- reading ---- */

static void check_box(struct grids *grids, unsigned i, const uint64_t *start,
                      const uint64_t *count) {
    const struct model_array *array = grids->committed.arrays[i];
    size_t size = (size_t)model_elements(array->rank, count) * array->itemsize;
    unsigned char *got = malloc(size + 1), *wanted = malloc(size + 1);
    untorn_result result;
    must_ok(untorn_read(grids->readers[i], start, count, got, size, &result));
    must(memcmp(result.shape, array->shape, array->rank * sizeof *result.shape) == 0, "%s: shape",
         array->name);
    model_read(array, start, count, wanted);
    for (size_t b = 0; b < size; b += 4)
        must(memcmp(got + b, wanted + b, 4) == 0, "%s: element %zu of the region is %u, not %u",
             array->name, b / 4, *(uint32_t *)(void *)(got + b), *(uint32_t *)(void *)(wanted + b));
    free(got);
    free(wanted);
}

static void check_some(struct grids *grids) {
    unsigned i = (unsigned)rng_below(&grids->rng, ARRAYS);
    uint64_t start[MODEL_RANK] = {0}, count[MODEL_RANK] = {0};
    random_box(grids, grids->committed.arrays[i], start, count);
    check_box(grids, i, start, count);
}

static void check_all(struct grids *grids) {
    static const uint64_t zeros[MODEL_RANK];
    for (unsigned i = 0; i < ARRAYS; i++)
        check_box(grids, i, zeros, grids->committed.arrays[i]->shape);
}

/* ---- transactions ---- */

static void one_transaction(struct grids *grids) {
    model_copy(&grids->open, &grids->committed);
    uint64_t operations = rng_range(&grids->rng, 1, 4);
    for (uint64_t n = 0; n < operations; n++) {
        unsigned i = (unsigned)rng_below(&grids->rng, ARRAYS);
        uint64_t what = rng_below(&grids->rng, 10);
        if (what < 4)
            write_box(grids, i);
        else if (what < 7)
            append(grids, i);
        else
            resize(grids, i);
        maybe_evict(grids);
        if (rng_chance(&grids->rng, 10))
            check_some(grids);
    }
    if (rng_chance(&grids->rng, 15)) {
        untorn_abort(grids->cache.writer);
        model_free(&grids->open);
    } else {
        must_ok(untorn_commit(grids->cache.writer, NULL));
        model_free(&grids->committed);
        grids->committed = grids->open;
        grids->open = (struct model_state){0};
    }
    books_must_add_up(grids->cache.writer, 0, "after a transaction");
}

static void P10_random_grids(void **state) {
    (void)state;
    struct grids grids;
    begin(&grids, test_seed());
    uint64_t rounds = test_count_at_least(240, 600);
    // On and on until there were evictions enough: in 240 transactions there are 95 or so.
    for (uint64_t round = 0; round < rounds || grids.evictions <= rounds / 20; round++) {
        one_transaction(&grids);
        maybe_evict(&grids);
        check_some(&grids);
        uint64_t what = rng_below(&grids.rng, 200);
        if (what < 30)
            must_ok(untorn_flush(grids.cache.writer, NULL));
        maybe_evict(&grids);
        check_some(&grids);
        if (what == 198) {
            cache_die(&grids.cache);
            cache_open(&grids.cache);
            attach(&grids);
        } else if (what == 199) {
            cache_restart(&grids.cache);
            attach(&grids);
        }
        if (what % 10 == 9)
            check_all(&grids);
    }
    check_all(&grids);
    print_message("%llu transactions, %llu evictions\n", (unsigned long long)rounds,
                  (unsigned long long)grids.evictions);
    model_free(&grids.committed);
    cache_end(&grids.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_random_grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
