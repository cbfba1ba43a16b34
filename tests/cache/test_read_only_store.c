// SPDX-License-Identifier: MIT
/*
 * A store on a read-only file system: a writer that would flush to it is refused and told why; a
 * segment can be made from it all the same, by who says that the store is only read.
 *
 * The file system is a table of file operations that refuses all that writes, as the kernel would.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/cache_world.h"
#include "../support/must.h"

#include "base/file_ops.h"

#define LENGTH (64u * 16u)

static struct cache cache;
static unsigned refused;

static int is_in_store(const char *path) {
    return strncmp(path, cache.store, strlen(cache.store)) == 0;
}

static int refuse(void) {
    refused++;
    errno = EROFS;
    return -1;
}

static int ro_open(const char *path, int flags, mode_t mode) {
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
    return writes && is_in_store(path) ? refuse() : ut_files_system.open(path, flags, mode);
}

static int ro_rename(const char *from, const char *to) {
    return is_in_store(from) ? refuse() : ut_files_system.rename(from, to);
}

static int ro_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                        unsigned flags) {
    return is_in_store(from) ? refuse()
                             : ut_files_system.renameat2(from_dir, from, to_dir, to, flags);
}

static int ro_unlink(const char *path) {
    return is_in_store(path) ? refuse() : ut_files_system.unlink(path);
}

static int ro_mkdir(const char *path, mode_t mode) {
    return is_in_store(path) ? refuse() : ut_files_system.mkdir(path, mode);
}

static int ro_symlink(const char *target, const char *path) {
    return is_in_store(path) ? refuse() : ut_files_system.symlink(target, path);
}

static void mount_read_only(void) {
    static struct ut_file_ops table;
    table = ut_files_system;
    table.open = ro_open;
    table.rename = ro_rename;
    table.renameat2 = ro_renameat2;
    table.unlink = ro_unlink;
    table.mkdir = ro_mkdir;
    table.symlink = ro_symlink;
    ut_files_replace(&table);
}

static void write_all(uint32_t value) {
    static uint32_t values[LENGTH];
    untorn_writer_array *array;
    for (uint32_t i = 0; i < LENGTH; i++)
        values[i] = value + i;
    must_ok(untorn_writer_array_open(cache.writer, "a", &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
}

static void must_read(uint32_t value) {
    static uint32_t got[LENGTH];
    untorn_array *array;
    must_ok(untorn_array_open(cache.reader, "a", &array));
    must_ok(untorn_read(array, NULL, NULL, got, sizeof got, NULL));
    for (uint32_t i = 0; i < LENGTH; i++)
        must(got[i] == value + i, "element %u is %u", i, got[i]);
    untorn_array_close(array);
}

// Snapshots of values 1 and 2, and no segment.
static void begin(void) {
    uint64_t shape = LENGTH, chunk = 16;
    cache_begin(&cache, "ro", 4u << 20);
    untorn_writer_close(cache.writer);
    cache.options.keep_snapshots = 8;
    cache_open(&cache);
    cache_define(&cache, "a", 1, &shape, &chunk, 7);
    for (uint32_t value = 1; value <= 2; value++) {
        write_all(value);
        must_ok(untorn_flush(cache.writer, NULL));
    }
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    cache.reader = NULL;
    cache.writer = NULL;
    must_ok(untorn_segment_remove(cache.segment));
    cache.told = 0;
    refused = 0;
}

static void a_writer_is_told_why(void **state) {
    (void)state;
    begin();
    mount_read_only();
    must_say(UNTORN_E_PERMISSION, "read-only file system",
             untorn_writer_open(cache.segment, &cache.options, &cache.writer));
    must(cache_said(cache.store), "%s", untorn_message());
    untorn_reader *reader;
    must_be(UNTORN_E_NO_SEGMENT, untorn_reader_open(cache.segment, NULL, &reader));
    ut_files_replace(NULL);
}

// Whoever asks for a flush is told at once that there will be none, and no longer than that is so.
static void must_refuse_to_flush(untorn_reader *reader) {
    must_say(UNTORN_E_STATE, "its store is only read",
             untorn_request_flush(reader, INT64_C(60000000000), NULL));
}

static void a_segment_is_made_from_it(void **state) {
    (void)state;
    begin();
    uint64_t stored = cache_stored_commit(&cache);
    mount_read_only();
    cache.options.flags = UNTORN_READ_STORE;
    cache_open(&cache);
    must(untorn_writer_commit(cache.writer) > stored, "commits go on");
    must_read(2);
    must_be(UNTORN_E_STATE, untorn_flush(cache.writer, NULL));
    untorn_reader *reader;
    must_ok(untorn_reader_open(cache.segment, NULL, &reader));
    must_refuse_to_flush(reader);
    must_ok(untorn_warm(cache.writer, NULL, NULL));
    must(cache_resident(cache.writer, "a") == 64, "warm");
    must(cache_evict(cache.writer) > 0 && cache_resident(cache.writer, "a") == 0, "evicted");
    write_all(3); // in memory only
    must_read(3);
    must_refuse_to_flush(reader);
    untorn_writer_close(cache.writer);
    must_read(3);
    must_be(UNTORN_E_WRITER_CLOSED, untorn_request_flush(reader, INT64_C(60000000000), NULL));
    must(refused == 0 && cache.told == 0, "%u writes were tried", refused);
    must(cache_stored_commit(&cache) == stored, "flushed");
    // One who would flush is refused still, and flushes when that can be done.
    cache.options.flags = 0;
    must_say(UNTORN_E_PERMISSION, "read-only file system",
             untorn_writer_open(cache.segment, &cache.options, &cache.writer));
    ut_files_replace(NULL);
    cache_open(&cache);
    uint64_t flushed;
    must_ok(untorn_request_flush(reader, INT64_C(60000000000), &flushed));
    must(flushed > stored && cache_stored_commit(&cache) == flushed, "not flushed");
    must_ok(untorn_flush(cache.writer, NULL));
    untorn_reader_close(reader);
    cache_restart(&cache);
    must_read(3);
    cache_end(&cache);
}

// What is newer than what was taken cannot be put aside, and is not read for all that.
static void the_newest_snapshot_is_damaged(void **state) {
    (void)state;
    begin();
    const char *path = cache_file(&cache, ".", ".manifest");
    FILE *file = fopen(path, "r+b");
    must(file != NULL && fseek(file, 40, SEEK_SET) == 0 && putc('x', file) != EOF &&
             fclose(file) == 0,
         "%s", path);
    mount_read_only();
    cache.options.flags = UNTORN_READ_STORE;
    cache_open(&cache);
    must(cache.told == 1 && refused == 0, "told %u times", (unsigned)cache.told);
    must_read(1);
    untorn_writer_close(cache.writer);
    ut_files_replace(NULL);
    cache.writer = NULL;
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_is_told_why),
        cmocka_unit_test(a_segment_is_made_from_it),
        cmocka_unit_test(the_newest_snapshot_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
