// SPDX-License-Identifier: MIT
/*
 * A writer adopts a segment whose store is not where it was: removed, emptied, on a disk that is
 * not mounted.  If chunks are only there, it is refused, and nothing is made in the store's place:
 * once the disk is mounted over it, that would be hidden, and until then taken for the store.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/must.h"

static const uint64_t shape = 64 * 16, chunk = 16;

static void begin(struct cache *cache) {
    static uint32_t values[64 * 16];
    cache_begin(cache, "gone", 4u << 20);
    for (uint32_t i = 0; i < 64 * 16; i++)
        values[i] = i;
    untorn_writer_array *array = cache_define(cache, "a", 1, &shape, &chunk, 7);
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache->writer, NULL));
    must_ok(untorn_flush(cache->writer, NULL));
}

static void must_have_all(struct cache *cache) {
    uint32_t got[64 * 16];
    untorn_array *array;
    must_ok(untorn_array_open(cache->reader, "a", &array));
    must_ok(untorn_read(array, NULL, NULL, got, sizeof got, NULL));
    for (uint32_t i = 0; i < 64 * 16; i++)
        must(got[i] == i, "element %u is %u", i, got[i]);
    untorn_array_close(array);
}

static unsigned entries(const char *path) {
    unsigned count = 0;
    DIR *listing = opendir(path);
    must(listing != NULL, "%s", path);
    while (readdir(listing) != NULL)
        count++;
    closedir(listing);
    return count - 2;
}

static void must_be_refused(struct cache *cache, const char *store) {
    untorn_writer_options options = cache->options;
    options.store = store;
    must_be(UNTORN_E_FOREIGN_STORE, untorn_writer_open(cache->segment, &options, &cache->writer));
    must(cache_said("has lost what") && cache_said(cache->store), "%s", untorn_message());
}

static void a_store_that_is_gone_is_not_made_again(void **state) {
    (void)state;
    struct cache cache;
    char elsewhere[600];
    begin(&cache);
    must(cache_evict(cache.writer) > 0, "evicted");
    untorn_writer_close(cache.writer);
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", cache.store);
    must(rename(cache.store, elsewhere) == 0, "rename");
    must_be_refused(&cache, NULL);
    must_be_refused(&cache, cache.store);
    must(access(cache.store, F_OK) != 0, "%s was made", cache.store);
    must(mkdir(cache.store, 0777) == 0, "mkdir"); // where a disk would be mounted
    must_be_refused(&cache, NULL);
    must_be_refused(&cache, cache.store);
    must(entries(cache.store) == 0, "%u entries were made", entries(cache.store));
    must(rmdir(cache.store) == 0 && rename(elsewhere, cache.store) == 0, "rename");
    cache_open(&cache);
    must_have_all(&cache);
    cache_end(&cache);
}

// All is in memory still: nothing is lost, and the store is begun again.
static void a_store_that_nothing_is_only_in_is_made_again(void **state) {
    (void)state;
    struct cache cache;
    char elsewhere[600];
    begin(&cache);
    untorn_writer_close(cache.writer);
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", cache.store);
    must(rename(cache.store, elsewhere) == 0, "rename");
    cache_open(&cache);
    must(cache.told == 1, "told %llu times", (unsigned long long)cache.told);
    must_ok(untorn_flush(cache.writer, NULL));
    cache_restart(&cache);
    must_have_all(&cache);
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_is_gone_is_not_made_again),
        cmocka_unit_test(a_store_that_nothing_is_only_in_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
