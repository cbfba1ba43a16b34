// SPDX-License-Identifier: MIT
/*
 * A restart from a store whose newest snapshot is damaged goes on from the one before.  What the
 * damaged one has of the arrays whose manifests are whole is of a history that is not this
 * segment's any more: it must not be read as if it were, whatever is written and evicted since.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#define CHUNKS 64u
#define CHUNK 16u

static void write_chunks(struct cache *cache, const char *name, uint64_t first, uint64_t end,
                         uint32_t value) {
    static uint32_t values[CHUNKS * CHUNK];
    uint64_t start = first * CHUNK, count = (end - first) * CHUNK;
    untorn_writer_array *array;
    for (uint64_t i = 0; i < count; i++)
        values[i] = value;
    must_ok(untorn_writer_array_open(cache->writer, name, &array));
    must_ok(untorn_write(array, &start, &count, NULL, values));
}

static void resize(struct cache *cache, const char *name, uint64_t chunks) {
    uint64_t shape = chunks * CHUNK;
    untorn_writer_array *array;
    must_ok(untorn_writer_array_open(cache->writer, name, &array));
    must_ok(untorn_resize(array, &shape));
}

static void must_be_value(struct cache *cache, const char *name, uint64_t first, uint64_t end,
                          uint32_t value) {
    static uint32_t got[CHUNKS * CHUNK];
    uint64_t start = first * CHUNK, count = (end - first) * CHUNK;
    untorn_array *array;
    must_ok(untorn_array_open(cache->reader, name, &array));
    must_ok(untorn_read(array, &start, &count, got, sizeof got, NULL));
    for (uint64_t i = 0; i < count; i++)
        must(got[i] == value, "%s: element %llu is %u, not %u", name,
             (unsigned long long)(start + i), got[i], value);
    untorn_array_close(array);
}

// What both arrays are in the older snapshot, but for chunks 0 and 1.
static void must_be_older(struct cache *cache) {
    for (int i = 0; i < 2; i++)
        must_be_value(cache, i == 0 ? "a" : "b", 2, CHUNKS, 1);
}

static void flip_a_byte(const char *path) {
    FILE *file = fopen(path, "r+b");
    must(file != NULL && fseek(file, 40, SEEK_SET) == 0, "%s", path);
    int byte = getc(file);
    must(fseek(file, 40, SEEK_SET) == 0 && putc(byte ^ 1, file) != EOF && fclose(file) == 0, "%s",
         path);
}

static void run(int of_snapshot) {
    struct cache cache;
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    cache_begin(&cache, "newest", 4u << 20);
    untorn_writer_close(cache.writer);
    cache.options.keep_snapshots = 8;
    cache_open(&cache);
    cache_define(&cache, "a", 1, &shape, &chunk, 7);
    cache_define(&cache, "b", 1, &shape, &chunk, 7);
    for (int i = 0; i < 2; i++)
        write_chunks(&cache, i == 0 ? "a" : "b", 0, CHUNKS, 1);
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    for (int i = 0; i < 2; i++) { // in the newest one: others, and some cut off
        resize(&cache, i == 0 ? "a" : "b", 20);
        resize(&cache, i == 0 ? "a" : "b", CHUNKS);
        write_chunks(&cache, i == 0 ? "a" : "b", 3, 10, 2);
    }
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    flip_a_byte(cache_file(&cache, of_snapshot ? "." : "a", ".manifest"));
    cache_restart(&cache);
    must(cache.told > 0, "nobody was told");
    must_be_value(&cache, "a", 0, 2, 1);
    must_be_older(&cache);
    for (int i = 0; i < 2; i++)
        write_chunks(&cache, i == 0 ? "a" : "b", 0, 1, 3);
    must_ok(untorn_commit(cache.writer, NULL));
    must_be_older(&cache);
    write_chunks(&cache, "b", 1, 2, 4); // makes nodes of what is in the store
    must_ok(untorn_commit(cache.writer, NULL));
    cache_evict(cache.writer);
    must_be_older(&cache);
    cache_flush_and_evict(&cache);
    must_be_older(&cache);
    must_be_value(&cache, "a", 0, 1, 3);
    must_be_value(&cache, "b", 1, 2, 4);
    cache_restart(&cache);
    must_be_older(&cache);
    must_be_value(&cache, "b", 1, 2, 4);
    cache_end(&cache);
}

static void a_damaged_snapshot_is_passed_over(void **state) {
    (void)state;
    run(1);
}

static void a_snapshot_with_one_damaged_array_is_passed_over(void **state) {
    (void)state;
    run(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_snapshot_is_passed_over),
        cmocka_unit_test(a_snapshot_with_one_damaged_array_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
