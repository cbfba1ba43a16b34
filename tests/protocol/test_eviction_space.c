// SPDX-License-Identifier: MIT
/*
 * Where space comes from when evicting does not go by itself: pins stand on what is clean, memory
 * is in pieces, the segment is as small as can be, and a commit needs only part of what it asks
 * for.  What is in the store never stands in the way of a write.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/rng.h"
#include "../support/scale.h"

static struct cache cache;

static uint32_t *filled(uint64_t count, uint32_t value) {
    uint32_t *values = malloc(count * sizeof *values);
    for (uint64_t i = 0; i < count; i++)
        values[i] = value;
    return values;
}

static untorn_writer_array *define(const char *name, uint64_t chunks, uint64_t chunk) {
    uint64_t shape = chunks * chunk;
    return cache_define(&cache, name, 1, &shape, &chunk, 0);
}

static void write_chunk(untorn_writer_array *array, uint64_t chunk, uint64_t number,
                        uint32_t value) {
    uint64_t start = number * chunk;
    uint32_t *values = filled(chunk, value);
    must_ok(untorn_write(array, &start, &chunk, NULL, values));
    free(values);
}

static void must_be_chunk(untorn_array *array, uint64_t chunk, uint64_t number, uint32_t value) {
    uint64_t start = number * chunk;
    uint32_t *got = filled(chunk, ~value);
    must_ok(untorn_read(array, &start, &chunk, got, chunk * sizeof *got, NULL));
    for (uint64_t i = 0; i < chunk; i++)
        must(got[i] == value, "chunk %llu is %u, not %u", (unsigned long long)number, got[i],
             value);
    free(got);
}

// Everything in memory is in the store, and a reader's snapshot pins it: it is the pin that ends.
static void P10_a_pin_ends_before_a_write_fails(void **state) {
    (void)state;
    enum { CHUNK = 1024, CHUNKS = 180 };
    cache_begin(&cache, "pin", 1u << 20);
    untorn_writer_array *a = define("a", CHUNKS, CHUNK), *b = define("b", CHUNKS, CHUNK);
    for (uint32_t i = 0; i < CHUNKS; i++)
        write_chunk(a, CHUNK, i, i);
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    untorn_snapshot *snapshot;
    must_ok(untorn_snapshot_open(cache.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    for (uint32_t i = 0; i < CHUNKS / 2; i++)
        write_chunk(b, CHUNK, i, 1000 + i);
    must_ok(untorn_commit(cache.writer, NULL));
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
    books_must_add_up(cache.writer, 0, "at the end");
    untorn_array *array;
    must_ok(untorn_array_open(cache.reader, "a", &array));
    for (uint32_t i = 0; i < CHUNKS; i++)
        must_be_chunk(array, CHUNK, i, i);
    cache_end(&cache);
}

// But not as long as something else can be evicted.
static void P10_a_pin_stays_while_something_else_can_go(void **state) {
    (void)state;
    enum { CHUNK = 1024, CHUNKS = 90 };
    cache_begin(&cache, "stays", 1u << 20);
    untorn_writer_array *a = define("a", CHUNKS, CHUNK), *b = define("b", 2 * CHUNKS, CHUNK);
    for (uint32_t i = 0; i < CHUNKS; i++)
        write_chunk(a, CHUNK, i, i);
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    untorn_snapshot *snapshot;
    must_ok(untorn_snapshot_open(cache.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    for (uint32_t i = 0; i < 2 * CHUNKS; i++) {
        write_chunk(b, CHUNK, i, 1000 + i);
        must_ok(untorn_commit(cache.writer, NULL));
        if (i % 8 == 0)
            must_ok(untorn_flush(cache.writer, NULL));
    }
    must_ok(untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
    books_must_add_up(cache.writer, 0, "at the end");
    cache_end(&cache);
}

// Many times the segment, in slots of several sizes, so that what is free is in pieces.
static void go_on_for_ever(uint64_t size, uint64_t rounds) {
    enum { ARRAYS = 4, CHUNKS = 100 };
    static const uint64_t chunk[ARRAYS] = {8, 70, 300, 1024};
    static const char *const names[ARRAYS] = {"tiny", "small", "middle", "page"};
    untorn_writer_array *arrays[ARRAYS];
    untorn_array *readers[ARRAYS];
    static uint32_t values[ARRAYS][CHUNKS];
    struct test_rng rng = {test_seed() + size};
    memset(values, 0, sizeof values);
    cache_begin(&cache, "pieces", size);
    for (int a = 0; a < ARRAYS; a++)
        arrays[a] = define(names[a], CHUNKS, chunk[a]);
    must_ok(untorn_commit(cache.writer, NULL));
    for (int a = 0; a < ARRAYS; a++)
        must_ok(untorn_array_open(cache.reader, names[a], &readers[a]));
    for (uint32_t round = 1; round <= rounds; round++) {
        for (unsigned i = 0; i < 8; i++) {
            uint64_t a = rng_below(&rng, ARRAYS), c = rng_below(&rng, CHUNKS);
            write_chunk(arrays[a], chunk[a], c, values[a][c] = round);
        }
        must_ok(untorn_commit(cache.writer, NULL));
        uint64_t a = rng_below(&rng, ARRAYS), c = rng_below(&rng, CHUNKS);
        must_be_chunk(readers[a], chunk[a], c, values[a][c]);
    }
    books_must_add_up(cache.writer, 0, "at the end");
    for (int a = 0; a < ARRAYS; a++)
        for (uint64_t c = 0; c < CHUNKS; c++)
            must_be_chunk(readers[a], chunk[a], c, values[a][c]);
    cache_end(&cache);
}

static void P10_small_segments_and_pieces(void **state) {
    (void)state;
    for (uint64_t size = 256u << 10; size <= 1u << 20; size += 128u << 10)
        go_on_for_ever(size, test_count(400));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_a_pin_ends_before_a_write_fails),
        cmocka_unit_test(P10_a_pin_stays_while_something_else_can_go),
        cmocka_unit_test(P10_small_segments_and_pieces),
    };
    return cmocka_run_group_tests_name("space and eviction", tests, NULL, NULL);
}
