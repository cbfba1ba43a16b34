// SPDX-License-Identifier: MIT
/*
 * An eviction is a commit, and a generation of the array; but nothing to wake up for, to follow or
 * to flush.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#define CHUNKS 64u
#define CHUNK 256u

static void write_all(untorn_writer_array *array, uint32_t value) {
    static uint32_t values[CHUNKS * CHUNK];
    for (uint32_t i = 0; i < CHUNKS * CHUNK; i++)
        values[i] = value;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
}

static untorn_writer_array *begin(struct cache *cache, const char *name) {
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    cache_begin(cache, name, 4u << 20);
    untorn_writer_array *array = cache_define(cache, "a", 1, &shape, &chunk, 1);
    write_all(array, 1);
    must_ok(untorn_commit(cache->writer, NULL));
    return array;
}

static void an_eviction_is_nothing_to_wake_up_for(void **state) {
    (void)state;
    struct cache cache;
    begin(&cache, "wake");
    untorn_array *array;
    untorn_result before, after;
    uint32_t value;
    uint64_t start = 5, one = 1;
    must_ok(untorn_array_open(cache.reader, "a", &array));
    must_ok(untorn_peek(array, &before));
    cache_flush_and_evict(&cache);
    must_be(UNTORN_E_TIMEOUT, untorn_wait(array, before.generation, 0));
    must_be(UNTORN_E_TIMEOUT, untorn_wait(array, before.generation, INT64_C(10000000)));
    must_ok(untorn_read(array, &start, &one, &value, sizeof value, &after));
    must(after.generation >= before.generation && value == 1, "read");
    must_be(UNTORN_E_TIMEOUT, untorn_wait(array, after.generation, 0));
    untorn_writer_array *writer;
    must_ok(untorn_writer_array_open(cache.writer, "a", &writer));
    write_all(writer, 2);
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_wait(array, before.generation, 0));
    must_ok(untorn_wait(array, after.generation, 0));
    cache_flush_and_evict(&cache); // what was not seen before the eviction is seen after it
    must_ok(untorn_wait(array, after.generation, 0));
    must_be(UNTORN_E_TIMEOUT, untorn_wait_length(array, 0, CHUNKS * CHUNK + 1, 0));
    cache_end(&cache);
}

struct follower {
    const char *segment;
    _Atomic uint64_t woken;
    _Atomic int ready;
};

// Each value once, in order.
static void *follow(void *argument) {
    struct follower *follower = argument;
    untorn_reader *reader;
    untorn_array *array;
    uint64_t generation = 0, start = 5, one = 1;
    must_ok(untorn_reader_open(follower->segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    for (uint32_t expected = 1; expected <= 5; expected++) {
        must_ok(untorn_wait(array, generation, -1));
        untorn_result result;
        uint32_t value;
        must_ok(untorn_read(array, &start, &one, &value, sizeof value, &result));
        must(value == expected, "woken for %u, not %u", value, expected);
        generation = result.generation;
        atomic_store(&follower->woken, expected);
    }
    untorn_reader_close(reader);
    return NULL;
}

static void a_follower_sees_changes_only(void **state) {
    (void)state;
    struct cache cache;
    untorn_writer_array *array = begin(&cache, "follow");
    struct follower follower = {.segment = cache.segment};
    pthread_t thread;
    must(pthread_create(&thread, NULL, follow, &follower) == 0, "thread");
    for (uint32_t value = 2; value <= 5; value++) {
        while (atomic_load(&follower.woken) < value - 1)
            test_sleep_us(100);
        // Evicted leaf by leaf, so that there are several.
        must_ok(untorn_flush(cache.writer, NULL));
        for (uint64_t i = 0; i < CHUNKS; i += 2)
            must_ok(ut_evict(&cache.writer->publisher, array->object, &i, 1));
        cache_evict(cache.writer);
        test_sleep_us(2000); // it would be woken and fail meanwhile
        write_all(array, value);
        must_ok(untorn_commit(cache.writer, NULL));
    }
    pthread_join(thread, NULL);
    cache_end(&cache);
}

static void an_eviction_is_nothing_to_flush(void **state) {
    (void)state;
    struct cache cache;
    begin(&cache, "noflush");
    must_ok(untorn_flush(cache.writer, NULL));
    uint64_t stored = cache_stored_commit(&cache);
    cache_evict(cache.writer);
    must(untorn_writer_commit(cache.writer) > stored, "evicted");
    untorn_writer_close(cache.writer); // which flushes what is new
    must(cache_stored_commit(&cache) == stored, "there is nothing new");
    cache_open(&cache);
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_eviction_is_nothing_to_wake_up_for),
        cmocka_unit_test(a_follower_sees_changes_only),
        cmocka_unit_test(an_eviction_is_nothing_to_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
