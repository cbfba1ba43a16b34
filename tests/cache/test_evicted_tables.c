// SPDX-License-Identifier: MIT
/*
 * Tables with cells that are only in the store, changed in every way: cut and grown again, their
 * grid renumbered, collapsed to subtrees' cells and expanded again, taken over, restored.  What is
 * read must be what was written, and never what the store had at another time.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "base/test_hooks.h"

#define SIZE (4u << 20)
#define FILL 7u

// Write `value` to chunks [first, end) of a one-dimensional array of chunks of 16.
static void write_chunks(untorn_writer_array *array, uint64_t first, uint64_t end, uint32_t value) {
    uint64_t start = first * 16, count = (end - first) * 16;
    uint32_t *source = malloc(count * sizeof *source);
    for (uint64_t i = 0; i < count; i++)
        source[i] = value;
    must_ok(untorn_write(array, &start, &count, NULL, source));
    free(source);
}

static void resize_1d(untorn_writer_array *array, uint64_t chunks) {
    uint64_t shape = chunks * 16;
    must_ok(untorn_resize(array, &shape));
}

static void commit(struct cache *cache) {
    must_ok(untorn_commit(cache->writer, NULL));
    books_must_add_up(cache->writer, 0, "after a commit");
}

// Every element of chunks [first, end) is `value`.
static void must_be_value(untorn_array *array, uint64_t first, uint64_t end, uint32_t value) {
    uint64_t start = first * 16, count = (end - first) * 16;
    uint32_t *got = malloc(count * sizeof *got);
    must_ok(untorn_read(array, &start, &count, got, count * sizeof *got, NULL));
    for (uint64_t i = 0; i < count; i++)
        must(got[i] == value, "element %llu is %u, not %u", (unsigned long long)(start + i), got[i],
             value);
    free(got);
}

static untorn_writer_array *define_1d(struct cache *cache, uint64_t chunks) {
    uint64_t shape = chunks * 16, chunk = 16;
    return cache_define(cache, "a", 1, &shape, &chunk, FILL);
}

static untorn_array *reader_of(struct cache *cache) {
    untorn_array *array;
    must_ok(untorn_array_open(cache->reader, "a", &array));
    return array;
}

// What was cut off is in the store still, with versions below those of its neighbours.
static void P10_what_was_cut_off_does_not_come_back(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "cut", SIZE);
    untorn_writer_array *array = define_1d(&cache, 64);
    write_chunks(array, 0, 64, 1);
    commit(&cache);
    write_chunks(array, 0, 1, 2); // so that the subtree's highest version is above the others'
    commit(&cache);
    must_ok(untorn_flush(cache.writer, NULL));
    resize_1d(array, 16);
    commit(&cache);
    resize_1d(array, 64);
    commit(&cache);
    must(cache_evict(cache.writer) > 0 && cache_resident(cache.writer, "a") == 0, "evicted");
    untorn_array *reader = reader_of(&cache);
    must_be_value(reader, 0, 1, 2);
    must_be_value(reader, 1, 16, 1);
    must_be_value(reader, 16, 64, FILL);
    must_ok(untorn_flush(cache.writer, NULL));
    must_be_value(reader, 16, 64, FILL);
    cache_restart(&cache);
    reader = reader_of(&cache);
    must_be_value(reader, 0, 1, 2);
    must_be_value(reader, 1, 16, 1);
    must_be_value(reader, 16, 64, FILL);
    cache_end(&cache);
}

// The reader has an older manifest open, in which there still is what was cut off since.
static void P10_an_open_manifest_is_not_too_old(void **state) {
    (void)state;
    struct cache cache;
    uint64_t last = 63;
    cache_begin(&cache, "open", SIZE);
    untorn_writer_array *array = define_1d(&cache, 64);
    write_chunks(array, 0, 64, 1);
    commit(&cache);
    write_chunks(array, 0, 1, 2);
    commit(&cache);
    must_ok(untorn_flush(cache.writer, NULL));
    must_ok(ut_evict(&cache.writer->publisher, array->object, &last, 1));
    untorn_array *reader = reader_of(&cache);
    must_be_value(reader, 63, 64, 1); // opens the manifest
    resize_1d(array, 16);
    resize_1d(array, 64);
    commit(&cache);
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    must_be_value(reader, 0, 1, 2);
    must_be_value(reader, 1, 16, 1);
    must_be_value(reader, 16, 64, FILL);
    cache_end(&cache);
}

// The grid gets other numbers while the store has the old ones: wider, with absent chunks in every
// leaf, or narrower, with none.
static void renumber(uint64_t columns, int evicted_before) {
    struct cache cache;
    cache_begin(&cache, "grid", SIZE);
    uint64_t shape[2] = {128, 32}, chunks[2] = {2, 8}, other[2] = {128, columns};
    static uint32_t values[128 * 48], got[128 * 48];
    untorn_writer_array *array = cache_define(&cache, "a", 2, shape, chunks, FILL);
    for (uint32_t i = 0; i < 128 * 32; i++)
        values[i] = 1000 + i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    commit(&cache);
    for (uint64_t row = 0; row < 128; row += 2) { // other versions in the first column
        uint64_t start[2] = {row, 0}, one[2] = {1, 1};
        must_ok(untorn_write(array, start, one, NULL, &values[row * 32]));
    }
    commit(&cache);
    must_ok(untorn_flush(cache.writer, NULL));
    if (evicted_before)
        cache_evict(cache.writer);
    must_ok(untorn_resize(array, other));
    commit(&cache);
    cache_evict(cache.writer);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    // The writer's own way to what is there: one element of each chunk.
    for (uint64_t row = 0; row < 128; row += 2)
        for (uint64_t column = 0; column < columns; column += 8) {
            uint64_t start[2] = {row, column}, one[2] = {1, 1};
            uint32_t value = (uint32_t)(row * 100 + column);
            must_ok(untorn_write(array, start, one, NULL, &value));
        }
    commit(&cache);
    must_ok(untorn_read(reader_of(&cache), NULL, NULL, got, sizeof got, NULL));
    for (uint32_t row = 0; row < 128; row++)
        for (uint32_t column = 0; column < columns; column++) {
            uint32_t expected = row % 2 == 0 && column % 8 == 0 ? row * 100 + column
                                : column < 32                   ? 1000 + row * 32 + column
                                                                : FILL;
            must(got[row * columns + column] == expected, "%u %u: %u, not %u", row, column,
                 got[row * columns + column], expected);
        }
    cache_end(&cache);
}

static void P10_a_renumbered_grid_finds_its_chunks(void **state) {
    (void)state;
    for (int before = 0; before < 2; before++) {
        renumber(48, before);
        renumber(16, before);
    }
}

// A chunk at the corner of the narrower grid's numbers is there in the wider one's, and absent.
static void P10_a_renumbered_grid_has_no_chunks_too_many(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "sparse", SIZE);
    uint64_t shape[2] = {128, 32}, chunks[2] = {2, 8}, other[2] = {128, 16};
    static uint32_t got[128 * 16];
    uint32_t value = 9;
    untorn_writer_array *array = cache_define(&cache, "a", 2, shape, chunks, FILL);
    for (uint64_t row = 0; row < 128; row += 2) { // the first column's chunks
        uint64_t start[2] = {row, 3}, one[2] = {1, 1};
        must_ok(untorn_write(array, start, one, NULL, &value));
    }
    commit(&cache);
    must_ok(untorn_flush(cache.writer, NULL));
    must_ok(untorn_resize(array, other));
    commit(&cache);
    cache_evict(cache.writer);
    for (int flushed = 0; flushed < 3; flushed++) {
        must_ok(untorn_read(reader_of(&cache), NULL, NULL, got, sizeof got, NULL));
        for (uint32_t i = 0; i < 128 * 16; i++) {
            uint32_t expected = i % 32 == 3 ? 9 : FILL;
            must(got[i] == expected, "flushed %d, element %u: %u", flushed, i, got[i]);
        }
        if (flushed == 0)
            must_ok(untorn_flush(cache.writer, NULL));
        if (flushed == 1)
            cache_restart(&cache);
    }
    cache_end(&cache);
}

// Chunks far apart in a deep table: evicting one takes a copy of a whole path, and a commit takes
// more for its table than for its chunks, in many small pieces.
static void P10_sparse_chunks_of_a_deep_table_can_go(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "deep", SIZE);
    uint64_t shape = UINT64_C(1) << 58, chunk = 1024, one = 1;
    untorn_writer_array *array = cache_define(&cache, "a", 1, &shape, &chunk, FILL);
    untorn_array *reader = NULL;
    alarm(TEST_HUNG);                     // a commit that looks for room for ever ends this program
    for (uint64_t i = 0; i < 4000; i++) { // 16 MiB of chunks
        uint64_t start = (i * UINT64_C(0x9e3779b97f4a7c15)) >> 6;
        uint32_t value = (uint32_t)i;
        must_ok(untorn_write(array, &start, &one, NULL, &value));
        if (i % 100 == 99)
            must_ok(untorn_commit(cache.writer, NULL));
    }
    alarm(0);
    books_must_add_up(cache.writer, 0, "at the end");
    reader = reader_of(&cache);
    for (uint64_t i = 0; i < 4000; i++) {
        uint64_t start = (i * UINT64_C(0x9e3779b97f4a7c15)) >> 6;
        uint32_t value;
        must_ok(untorn_read(reader, &start, &one, &value, sizeof value, NULL));
        must(value == (uint32_t)i, "%llu: %u", (unsigned long long)i, value);
    }
    cache_end(&cache);
}

// Shrunk and grown, by parts of chunks, at every state of flushing and eviction in between.
static void P10_cut_chunks_grow_with_the_fill_value(void **state) {
    (void)state;
    for (unsigned mask = 0; mask < 64; mask++) {
        struct cache cache;
        cache_begin(&cache, "seal", SIZE);
        untorn_writer_array *array = define_1d(&cache, 40);
        write_chunks(array, 0, 40, 1);
        commit(&cache);
        if (mask & 1)
            cache_flush_and_evict(&cache);
        uint64_t less = 39 * 16 + 5, more = 39 * 16 + 11;
        must_ok(untorn_resize(array, &less));
        if (mask & 2)
            commit(&cache);
        if (mask & 4)
            cache_flush_and_evict(&cache);
        else if (mask & 8)
            cache_evict(cache.writer);
        must_ok(untorn_resize(array, &more));
        if (mask & 16)
            commit(&cache);
        if (mask & 32)
            cache_flush_and_evict(&cache);
        uint32_t rest[5] = {9, 9, 9, 9, 9}, got[16];
        must_ok(untorn_append(array, 0, 5, NULL, rest));
        cache_evict(cache.writer);
        commit(&cache);
        cache_evict(cache.writer);
        cache_flush_and_evict(&cache);
        untorn_array *reader = reader_of(&cache);
        uint64_t start = 39 * 16, count = 16;
        must_ok(untorn_read(reader, &start, &count, got, sizeof got, NULL));
        for (unsigned i = 0; i < 16; i++)
            must(got[i] == (i < 5    ? 1
                            : i < 11 ? FILL
                                     : 9),
                 "mask %u, element %u: %u", mask, i, got[i]);
        cache_end(&cache);
    }
}

// Cut on one axis and grown on the other: chunks at the edge must come into memory for that.  What
// has no room for them changes nothing.
static void P9_a_reshape_without_room_changes_nothing(void **state) {
    (void)state;
    struct cache cache;
    uint64_t shape[2] = {32, 28}, chunks[2] = {2, 8}, other[2] = {20, 30}, now[2];
    static uint32_t values[32 * 28], got[20 * 30];
    long fails = 0;
    cache_begin(&cache, "reshape", SIZE);
    untorn_writer_array *array = cache_define(&cache, "a", 2, shape, chunks, FILL);
    for (uint32_t i = 0; i < 32 * 28; i++)
        values[i] = 1000 + i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    commit(&cache);
    cache_flush_and_evict(&cache);
    for (;; fails++) {
        ut_fail_take = fails;
        untorn_status status = untorn_resize(array, other);
        ut_fail_take = -1;
        if (status == UNTORN_OK)
            break;
        must(status == UNTORN_E_NO_SPACE, "%s", untorn_message());
        must_ok(untorn_writer_array_shape(array, NULL, now));
        must(now[0] == 32 && now[1] == 28, "take %ld: %llu x %llu", fails,
             (unsigned long long)now[0], (unsigned long long)now[1]);
        untorn_abort(cache.writer);
    }
    must(fails >= 10, "%ld slots", fails); // one for each chunk at the edge
    commit(&cache);
    must_ok(untorn_read(reader_of(&cache), NULL, NULL, got, sizeof got, NULL));
    for (uint32_t i = 0; i < 20 * 30; i++) {
        uint32_t wanted = i % 30 < 28 ? 1000 + i / 30 * 28 + i % 30 : FILL;
        must(got[i] == wanted, "element %u: %u, not %u", i, got[i], wanted);
    }
    cache_end(&cache);
}

/* ---- brought in at random ---- */

// What the only array takes of the segment.
static uint64_t memory_of(const struct cache *cache) {
    untorn_inspection *inspection;
    untorn_array_state state;
    const char *const *names;
    size_t count;
    must_ok(untorn_inspect_open(cache->segment, 0, &inspection));
    must_ok(untorn_inspect_catalogue(inspection, &names, &count));
    must(count == 1, "%zu arrays", count);
    must_ok(untorn_inspect_array(inspection, 0, 0, &state));
    untorn_inspect_close(inspection);
    return state.memory;
}

// Slots with what the store has of these chunks, every element of which is the chunk's number.
static void bring_in(struct cache *cache, untorn_writer_array *array, const uint64_t *numbers,
                     size_t count) {
    uint64_t offsets[64];
    for (size_t i = 0; i < count; i++) {
        offsets[i] = ut_space_take_free(&cache->writer->publisher, 64);
        must(offsets[i] != 0, "no room");
        uint32_t *slot = (uint32_t *)(void *)(cache->writer->segment.base + offsets[i]);
        for (unsigned k = 0; k < 16; k++)
            slot[k] = (uint32_t)numbers[i];
    }
    must_ok(ut_bring_in(&cache->writer->publisher, array->object, numbers, offsets, count));
}

// Chunks that came in and have gone again leave nothing of the table behind, however many they are:
// else it would fill the segment that it was evicted from.
static void P10_a_table_stays_small_whatever_comes_in(void **state) {
    enum { BATCH = 64, CHUNKS = 1 << 15 }; // as many small chunks as the segment has room for
    (void)state;
    struct test_rng rng = {test_seed()};
    struct cache cache;
    uint64_t numbers[BATCH], rounds = CHUNKS / BATCH;
    cache_begin(&cache, "random", SIZE);
    untorn_writer_array *array = define_1d(&cache, 0);
    uint32_t *source = malloc(4096 * 16 * sizeof *source);
    for (uint32_t i = 0; i < CHUNKS; i += 4096) {
        for (uint32_t k = 0; k < 4096 * 16; k++)
            source[k] = i + k / 16;
        must_ok(untorn_append(array, 0, 4096 * 16, NULL, source));
        commit(&cache);
        cache_flush_and_evict(&cache);
    }
    free(source);
    uint64_t before = memory_of(&cache);
    must(before < 16384, "%llu bytes of an array that is only in the store",
         (unsigned long long)before);
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < BATCH; i++) // ascending
            numbers[i] = CHUNKS / BATCH * i + rng_below(&rng, CHUNKS / BATCH);
        bring_in(&cache, array, numbers, BATCH);
        must(cache_resident(cache.writer, "a") == BATCH, "brought in");
        if (round % 16 == 0)
            must_be_value(reader_of(&cache), numbers[7], numbers[7] + 1, (uint32_t)numbers[7]);
        cache_evict(cache.writer);
        must(cache_resident(cache.writer, "a") == 0, "evicted again");
    }
    books_must_add_up(cache.writer, 0, "at the end");
    uint64_t ring = UT_RING_BYTES(UT_RING_LARGE); // busy as it was, it may have a larger one now
    must(memory_of(&cache) <= before + ring, "%llu bytes after %llu rounds, %llu before",
         (unsigned long long)memory_of(&cache), (unsigned long long)rounds,
         (unsigned long long)before);
    for (uint32_t i = 0; i < CHUNKS; i += 997)
        must_be_value(reader_of(&cache), i, i + 1, i);
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_what_was_cut_off_does_not_come_back),
        cmocka_unit_test(P10_an_open_manifest_is_not_too_old),
        cmocka_unit_test(P10_a_renumbered_grid_finds_its_chunks),
        cmocka_unit_test(P10_a_renumbered_grid_has_no_chunks_too_many),
        cmocka_unit_test(P10_cut_chunks_grow_with_the_fill_value),
        cmocka_unit_test(P10_sparse_chunks_of_a_deep_table_can_go),
        cmocka_unit_test(P9_a_reshape_without_room_changes_nothing),
        cmocka_unit_test(P10_a_table_stays_small_whatever_comes_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
