// SPDX-License-Identifier: MIT
/*
 * Reads with steps of arrays of which some chunks are only in the store, also out of a snapshot
 * that the writer has gone on from: they are what they are in memory, and a chunk in which nothing
 * is taken is not asked for, so that nothing of its file matters.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define ROWS 41u
#define COLUMNS 50u

static uint32_t value_of(uint64_t row, uint64_t column) {
    return (uint32_t)test_mix(row * COLUMNS + column + 1);
}

static untorn_array *open_array(struct cache *cache) {
    untorn_array *array = NULL;
    must_ok(untorn_array_open(cache->reader, "a", &array));
    return array;
}

// Rows from `start` on, some of which are absent chunks.
static void write_rows(untorn_writer_array *array, uint64_t start, uint64_t rows) {
    static uint32_t values[ROWS * COLUMNS];
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t k = 0; k < COLUMNS; k++)
            values[i * COLUMNS + k] = value_of(start + i, k);
    must_ok(untorn_write(array, (const uint64_t[2]){start, 0}, (const uint64_t[2]){rows, COLUMNS},
                         NULL, values));
}

// As it is now, or as of the snapshot.
static untorn_status ask(struct cache *cache, untorn_snapshot *snapshot, untorn_request *request) {
    return snapshot ? untorn_snapshot_read_group(snapshot, NULL, request, 1)
                    : untorn_read_group(cache->reader, request, 1, NULL);
}

static untorn_snapshot *snapshot_of(struct cache *cache, untorn_array *array) {
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_snapshot_open(cache->reader, &array, 1, UNTORN_NEWEST, &snapshot));
    return snapshot;
}

// Everything below `written` has values, the rest the fill value.
static void check_random(struct cache *cache, untorn_array *array, untorn_snapshot *snapshot,
                         struct test_rng *rng, uint64_t written) {
    static const uint64_t shape[2] = {ROWS, COLUMNS};
    static uint32_t got[ROWS * COLUMNS];
    uint64_t start[2], steps[2];
    for (int i = 0; i < 2; i++) {
        start[i] = rng_below(rng, shape[i]);
        steps[i] = rng_range(rng, 1, rng_chance(rng, 70) ? 9 : 30);
    }
    untorn_request request = {
        .array = array, .start = start, .steps = steps, .destination = got, .capacity = sizeof got};
    must_ok(ask(cache, snapshot, &request));
    const uint32_t *at = got;
    for (uint64_t i = start[0]; i < ROWS; i += steps[0])
        for (uint64_t k = start[1]; k < COLUMNS; k += steps[1], at++)
            must(*at == (i < written ? value_of(i, k) : 5), "element %llu, %llu by %llu, %llu",
                 (unsigned long long)i, (unsigned long long)k, (unsigned long long)steps[0],
                 (unsigned long long)steps[1]);
    must(request.counted[0] * request.counted[1] == (uint64_t)(at - got), "counted");
}

static void what_is_evicted_is_read_with_steps(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    struct cache cache;
    cache_begin(&cache, "stepped-evicted", 4u << 20);
    untorn_writer_array *array = cache_define(&cache, "a", 2, (const uint64_t[2]){ROWS, COLUMNS},
                                              (const uint64_t[2]){6, 7}, 5);
    write_rows(array, 0, 18);
    must_ok(untorn_commit(cache.writer, NULL));
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    untorn_array *view = open_array(&cache);
    for (uint64_t i = 0, n = test_count(500); i < n; i++)
        check_random(&cache, view, NULL, &rng, 18);
    untorn_snapshot *snapshot = snapshot_of(&cache, view);
    write_rows(array, 15, 13); // some chunks are in memory again, in part of what they take up
    must_ok(untorn_commit(cache.writer, NULL));
    must(cache_resident(cache.writer, "a") > 0, "in memory again");
    for (uint64_t i = 0, n = test_count(500); i < n; i++) {
        check_random(&cache, view, NULL, &rng, 28);
        check_random(&cache, view, snapshot, &rng, 18);
    }
    cache_flush_and_evict(&cache); // the snapshot's chunks are in an older store snapshot now
    for (uint64_t i = 0, n = test_count(500); i < n; i++)
        check_random(&cache, view, snapshot, &rng, 18);
    untorn_snapshot_close(snapshot);
    cache_end(&cache);
}

#define CHUNK 100u
#define CHUNKS 8u

static void a_chunk_of_which_nothing_is_taken_is_not_asked_for(void **state) {
    (void)state;
    static uint32_t values[CHUNK * CHUNKS], got[CHUNK * CHUNKS];
    struct cache cache;
    cache_begin(&cache, "stepped-over", 4u << 20);
    untorn_writer_array *array = cache_define(&cache, "a", 1, (const uint64_t[1]){CHUNK * CHUNKS},
                                              (const uint64_t[1]){CHUNK}, 5);
    for (uint32_t i = 0; i < CHUNK * CHUNKS; i++)
        values[i] = i + 1;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    must(unlink(cache_file(&cache, "a", "3")) == 0, "the file of a chunk");

    const uint64_t over[2] = {2 * CHUNK, 150}, into = CHUNK; // 0, 150, 300 is in chunk 3
    untorn_request request = {
        .array = open_array(&cache), .destination = got, .capacity = sizeof got};
    untorn_snapshot *const ways[2] = {NULL, snapshot_of(&cache, request.array)};
    for (int way = 0; way < 2; way++) {
        request.start = request.count = NULL;
        request.steps = &over[0];
        must_ok(ask(&cache, ways[way], &request));
        must(request.counted[0] == 4 && got[0] == 1 && got[1] == 201 && got[3] == 601, "by 200");
        request.start = (const uint64_t[1]){CHUNK - 1};
        request.count = (const uint64_t[1]){2};
        request.steps = (const uint64_t[1]){3 * CHUNK + 2}; // 99, 401
        must_ok(ask(&cache, ways[way], &request));
        must(got[0] == 100 && got[1] == 402, "99 and 401");
        request.start = request.count = NULL;
        request.steps = &over[1];
        must_say(UNTORN_E_CORRUPT, "/3\": is not there", ask(&cache, ways[way], &request));
        request.steps = &into;
        must_say(UNTORN_E_CORRUPT, "/3\": is not there", ask(&cache, ways[way], &request));
    }
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_evicted_is_read_with_steps),
        cmocka_unit_test(a_chunk_of_which_nothing_is_taken_is_not_asked_for),
    };
    return cmocka_run_group_tests_name("steps and the store", tests, NULL, NULL);
}
