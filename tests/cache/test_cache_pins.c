// SPDX-License-Identifier: MIT
/*
 * Pins and eviction: what a snapshot shows stays what it shows, whether its chunks were in memory
 * or in the store when it was taken, while the writer rewrites, evicts, flushes and dies.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define CHUNK 1024u // elements: 4 KiB
#define CHUNKS 64u

static void write_stamp(struct cache *cache, const char *name, uint32_t stamp) {
    static uint32_t values[CHUNKS * CHUNK];
    untorn_writer_array *array;
    must_ok(untorn_writer_array_open(cache->writer, name, &array));
    for (uint32_t i = 0; i < CHUNKS * CHUNK; i++)
        values[i] = stamp * 1000000u + i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
}

static void commit_stamp(struct cache *cache, uint32_t stamp) {
    write_stamp(cache, "a", stamp);
    must_ok(untorn_commit(cache->writer, NULL));
}

static void define(struct cache *cache, const char *name) {
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    cache_define(cache, name, 1, &shape, &chunk, 1);
}

static untorn_status read_snapshot(untorn_snapshot *snapshot, uint32_t stamp) {
    static uint32_t got[CHUNKS * CHUNK];
    untorn_status status = untorn_snapshot_read(snapshot, 0, NULL, NULL, got, sizeof got);
    for (uint32_t i = 0; i < CHUNKS * CHUNK && status == UNTORN_OK; i++)
        must(got[i] == stamp * 1000000u + i, "stamp %u, element %u: %u", stamp, i, got[i]);
    return status;
}

static void read_chunks(untorn_snapshot *snapshot, uint32_t stamp) {
    for (uint64_t i = 0; i < CHUNKS; i++) {
        const void *memory;
        must_ok(untorn_snapshot_chunk(snapshot, 0, &i, &memory));
        must(((const uint32_t *)memory)[5] == stamp * 1000000u + i * CHUNK + 5, "chunk %llu",
             (unsigned long long)i);
    }
    must_ok(untorn_snapshot_check(snapshot));
}

static untorn_snapshot *take(struct cache *cache) {
    untorn_array *array;
    untorn_snapshot *snapshot;
    must_ok(untorn_array_open(cache->reader, "a", &array));
    must_ok(untorn_snapshot_open(cache->reader, &array, 1, UNTORN_NEWEST, &snapshot));
    untorn_array_close(array);
    return snapshot;
}

// Pinned in memory; then flushed, rewritten and evicted as much as may be.
static void a_pin_from_before_the_eviction(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "before", 4u << 20);
    define(&cache, "a");
    commit_stamp(&cache, 1);
    untorn_snapshot *snapshot = take(&cache);
    for (uint32_t stamp = 2; stamp < 40; stamp++) {
        cache_flush_and_evict(&cache);
        must_ok(read_snapshot(snapshot, 1));
        read_chunks(snapshot, 1);
        commit_stamp(&cache, stamp);
        books_must_add_up(cache.writer, 0, "under a pin");
    }
    must_ok(untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
    cache_end(&cache);
}

static size_t stored_snapshots(const struct cache *cache) {
    untorn_store_listing *listing;
    must_ok(untorn_store_list(cache->store, &listing));
    size_t count = listing->count;
    untorn_store_listing_free(listing);
    return count;
}

// Pinned when all of it is in the store; the snapshots there go, but for the one that is needed.
static void a_pin_on_what_is_in_the_store(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "stored", 4u << 20);
    define(&cache, "a");
    commit_stamp(&cache, 1);
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    untorn_snapshot *snapshot = take(&cache);
    for (uint32_t stamp = 2; stamp < 20; stamp++) {
        commit_stamp(&cache, stamp);
        cache_flush_and_evict(&cache);
        must_ok(read_snapshot(snapshot, 1));
    }
    read_chunks(snapshot, 1);
    const void *one, *again;
    uint64_t index = 3;
    must_ok(untorn_snapshot_chunk(snapshot, 0, &index, &one));
    must_ok(untorn_snapshot_chunk(snapshot, 0, &index, &again));
    must(one == again, "a chunk is fetched once");
    untorn_snapshot_close(snapshot);
    commit_stamp(&cache, 20);
    cache_flush_and_evict(&cache); // the pin is gone, and so is what it kept
    commit_stamp(&cache, 21);
    cache_flush_and_evict(&cache);
    for (unsigned i = 0; stored_snapshots(&cache) > 2; i++) { // deleted after the flush has ended
        must(i < TEST_HUNG * 100, "%zu snapshots stay", stored_snapshots(&cache));
        test_sleep_us(10000);
        if (i % 100 == 99) { // by a flush that saw a pin, its own perhaps, the last one
            commit_stamp(&cache, 22 + i / 100);
            cache_flush_and_evict(&cache);
        }
    }
    cache_end(&cache);
}

// As before, where commits take no slot, so that nothing makes the writer look at requests early.
static void a_pin_that_no_slot_made_the_writer_grant(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "ungranted", 4u << 20);
    uint64_t shape = CHUNK / 4, chunk = CHUNK;
    uint32_t values[CHUNK / 4], got[CHUNK];
    for (uint32_t i = 0; i < CHUNK / 4; i++)
        values[i] = i;
    untorn_writer_array *array = cache_define(&cache, "a", 1, &shape, &chunk, 1);
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    untorn_snapshot *snapshot = take(&cache);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t value = 1000 + i;
        must_ok(untorn_append(array, 0, 1, NULL, &value));
        must_ok(untorn_commit(cache.writer, NULL));
        must_ok(untorn_flush(cache.writer, NULL));
        memset(got, 0, sizeof got);
        must_ok(untorn_snapshot_read(snapshot, 0, NULL, NULL, got, sizeof got));
        must(memcmp(got, values, sizeof values) == 0, "as it was");
    }
    untorn_snapshot_close(snapshot);
    cache_end(&cache);
}

// Another writer takes over: the pin and what it needs of the store stay.
static void a_pin_across_adoption(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "adopted", 4u << 20);
    define(&cache, "a");
    commit_stamp(&cache, 1);
    cache_flush_and_evict(&cache);
    untorn_snapshot *stored = take(&cache);
    commit_stamp(&cache, 2);
    untorn_snapshot *resident = take(&cache);
    for (uint32_t stamp = 3; stamp < 9; stamp++) {
        untorn_writer_close(cache.writer);
        cache_open(&cache);
        commit_stamp(&cache, stamp);
        cache_flush_and_evict(&cache);
        must_ok(read_snapshot(stored, 1));
        must_ok(read_snapshot(resident, 2));
        books_must_add_up(cache.writer, 0, "after an adoption");
    }
    untorn_snapshot_close(stored);
    untorn_snapshot_close(resident);
    cache_end(&cache);
}

// No room for what is pinned: it is revoked, and says so; it never shows anything else.
static void a_pin_that_is_revoked_says_so(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "revoked", 1u << 20);
    define(&cache, "a");
    commit_stamp(&cache, 1);
    untorn_snapshot *snapshot = take(&cache);
    untorn_status status = UNTORN_OK;
    uint32_t last = 1;
    while (last < 20 && status == UNTORN_OK) {
        commit_stamp(&cache, ++last);
        status = read_snapshot(snapshot, 1);
    }
    must(status == UNTORN_E_OVERTAKEN, "%s: %s", untorn_status_text(status), untorn_message());
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(snapshot));
    uint64_t index = 0;
    const void *memory;
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_chunk(snapshot, 0, &index, &memory));
    untorn_snapshot_close(snapshot);
    snapshot = take(&cache);
    must_ok(read_snapshot(snapshot, last));
    untorn_snapshot_close(snapshot);
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_from_before_the_eviction),
        cmocka_unit_test(a_pin_on_what_is_in_the_store),
        cmocka_unit_test(a_pin_that_no_slot_made_the_writer_grant),
        cmocka_unit_test(a_pin_across_adoption),
        cmocka_unit_test(a_pin_that_is_revoked_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
