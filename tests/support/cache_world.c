// SPDX-License-Identifier: MIT
// A segment with a store behind it: see cache_world.h.
#include "cache_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "books.h"
#include "must.h"
#include "names.h"

#include "base/file_ops.h"

static int no_fsync(int fd) {
    (void)fd;
    return 0;
}

static void sync_nothing(void) {
    static struct ut_file_ops table;
    if (table.open != NULL)
        return;
    table = ut_files_system;
    table.fsync = no_fsync;
    ut_files_replace(&table);
}

static void notify(void *context, untorn_status status, const char *sentence) {
    struct cache *cache = context;
    (void)status;
    (void)sentence;
    cache->told++;
}

void cache_open(struct cache *cache) {
    must_ok(untorn_writer_open(cache->segment, &cache->options, &cache->writer));
    if (cache->reader == NULL)
        must_ok(untorn_reader_open(cache->segment, NULL, &cache->reader));
}

void cache_begin(struct cache *cache, const char *what, uint64_t size) {
    sync_nothing();
    memset(cache, 0, sizeof *cache);
    cache->segment = test_segment(what);
    snprintf(cache->store, sizeof cache->store, "%s/store", test_directory_in_memory(what));
    cache->options = (untorn_writer_options)UNTORN_WRITER_OPTIONS_INIT;
    cache->options.size = size;
    cache->options.versions = 2;
    cache->options.store = cache->store;
    cache->options.flush_interval = UNTORN_ON_DEMAND;
    cache->options.flush_bytes = UINT64_MAX;
    cache->options.keep_snapshots = 1;
    cache->options.keep_time = 1;
    cache->options.notify = notify;
    cache->options.notify_context = cache;
    cache_open(cache);
}

static void close_both(struct cache *cache) {
    untorn_reader_close(cache->reader);
    untorn_writer_close(cache->writer);
    cache->reader = NULL;
    cache->writer = NULL;
}

void cache_end(struct cache *cache) {
    close_both(cache);
    must_ok(untorn_segment_remove(cache->segment));
}

// The close of the original flushes, which a kill does not: its writer is made to have nothing new.
void cache_die(struct cache *cache) {
    const char *before = cache->segment;
    cache->segment = test_segment("died");
    books_copy_segment(before, cache->segment);
    ut_store_relaxed(&cache->writer->changed, 0);
    close_both(cache);
    must_ok(untorn_segment_remove(before));
}

uint64_t cache_stored_commit(const struct cache *cache) {
    untorn_store_listing *listing;
    must_ok(untorn_store_list(cache->store, &listing));
    uint64_t commit = listing->count > 0 ? listing->snapshots[listing->count - 1].commit : 0;
    untorn_store_listing_free(listing);
    return commit;
}

void cache_restart(struct cache *cache) {
    close_both(cache);
    must_ok(untorn_segment_remove(cache->segment));
    cache_open(cache);
}

uint64_t cache_evict(untorn_writer *writer) {
    const ut_relief *relief = writer->publisher.relief;
    uint64_t before = writer->publisher.commit;
    must(relief != NULL, "there is a store");
    for (int round = 0; relief->evict(relief->context, writer->segment.super->size); round++)
        must(round < 10000, "evictions without an end");
    ut_evict_reserve(&writer->publisher, UT_EVICTION_PAGES);
    return writer->publisher.commit - before;
}

void cache_flush_and_evict(struct cache *cache) {
    must_ok(untorn_flush(cache->writer, NULL));
    cache_evict(cache->writer);
}

static untorn_status count_one(void *context, uint64_t number, ut_place place) {
    uint64_t *count = context;
    (void)number;
    *count += !(place.ref & UT_REF_EVICTED);
    return UNTORN_OK;
}

uint64_t cache_resident(untorn_writer *writer, const char *array) {
    untorn_writer_array *handle;
    uint64_t count = 0;
    must_ok(untorn_writer_array_open(writer, array, &handle));
    must_ok(ut_table_walk_memory(&writer->publisher, handle->object, 0, handle->object->now.cells,
                                 count_one, &count));
    return count;
}

untorn_writer_array *cache_define(struct cache *cache, const char *name, unsigned rank,
                                  const uint64_t *shape, const uint64_t *chunks, uint32_t fill) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array;
    definition.dtype = "u4";
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    definition.fill = &fill;
    must_ok(untorn_define(cache->writer, name, &definition, &array));
    return array;
}

const char *cache_file(const struct cache *cache, const char *array, const char *chunk) {
    static char resolved[4][4096];
    static unsigned next;
    char path[2048];
    char *to = resolved[next++ % 4];
    snprintf(path, sizeof path, "%s/latest/%s", cache->store, array);
    must(realpath(path, to) != NULL, "%s", path);
    if (chunk[0] != '\0')
        snprintf(to + strlen(to), 256, "/%s", chunk);
    return to;
}

int cache_said(const char *part) {
    return strstr(untorn_message(), part) != NULL;
}
