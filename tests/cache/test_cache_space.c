// SPDX-License-Identifier: MIT
/*
 * Where eviction cannot help: more in one transaction than the segment holds, a store that cannot
 * be written, a mount that is full.  The call that needed the space fails and says why, the last
 * commit stands, and when there is room again all goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#include "base/file_ops.h"
#include "store/durable.h"

#define SIZE (2u << 20)
#define CHUNK 4096u // elements: 16 KiB

static uint32_t value_of(uint64_t i) {
    return (uint32_t)test_mix(i + 1);
}

// Append elements; the first status that is not UNTORN_OK.
static untorn_status append(untorn_writer_array *array, uint64_t *length, uint64_t count) {
    static uint32_t values[1u << 18];
    must(count <= 1u << 18, "count");
    for (uint64_t i = 0; i < count; i++)
        values[i] = value_of(*length + i);
    untorn_status status = untorn_append(array, 0, count, NULL, values);
    if (status == UNTORN_OK)
        *length += count;
    return status;
}

static void must_have(struct cache *cache, uint64_t length) {
    static uint32_t got[1u << 16];
    untorn_array *array;
    untorn_result result;
    must_ok(untorn_array_open(cache->reader, "a", &array));
    must_ok(untorn_peek(array, &result));
    must(result.shape[0] == length, "%llu elements, not %llu", (unsigned long long)result.shape[0],
         (unsigned long long)length);
    for (uint64_t start = 0; start < length;) {
        uint64_t count = length - start < 1u << 16 ? length - start : 1u << 16;
        must_ok(untorn_read(array, &start, &count, got, sizeof got, NULL));
        for (uint64_t i = 0; i < count; i++)
            must(got[i] == value_of(start + i), "element %llu", (unsigned long long)(start + i));
        start += count;
    }
    untorn_array_close(array);
}

static untorn_writer_array *define(struct cache *cache) {
    uint64_t nothing = 0, chunk = CHUNK;
    untorn_writer_array *array = cache_define(cache, "a", 1, &nothing, &chunk, 1);
    must_ok(untorn_commit(cache->writer, NULL));
    return array;
}

static void one_transaction_larger_than_the_segment(void **state) {
    (void)state;
    struct cache cache;
    cache_begin(&cache, "dirty", SIZE);
    untorn_writer_array *array = define(&cache);
    uint64_t length = 0;
    for (int round = 0; round < 3; round++) {
        uint64_t before = length;
        untorn_status status = UNTORN_OK;
        for (int i = 0; i < 100 && status == UNTORN_OK; i++)
            status = append(array, &length, 10000);
        must(status == UNTORN_E_NO_SPACE, "%s", untorn_status_text(status));
        must(cache_said("no space for") && cache_said("reserved") && cache_said("the rest") &&
                 cache_said("nothing more can be evicted"),
             "%s", untorn_message());
        must_have(&cache, before);
        // The shape is what it was before the call that failed: what fitted can be committed.
        uint64_t shape;
        must_ok(untorn_writer_array_shape(array, NULL, &shape));
        must(shape == length, "%llu", (unsigned long long)shape);
        books_must_add_up(cache.writer, 0, "out of space");
        untorn_abort(cache.writer);
        books_must_add_up(cache.writer, 0, "after the abort");
        must_have(&cache, before);
        length = before;
        for (int i = 0; i < 100; i++) { // the same in pieces
            must_ok(append(array, &length, 10000));
            must_ok(untorn_commit(cache.writer, NULL));
        }
        must_have(&cache, length);
        books_must_add_up(cache.writer, 0, "in pieces");
    }
    cache_end(&cache);
}

/* ---- a disk that is full ---- */

static _Atomic int disk_is_full;

static ssize_t maybe_write(int fd, const void *bytes, size_t n) {
    if (atomic_load(&disk_is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return ut_files_system.write(fd, bytes, n);
}

static int maybe_mkdir(const char *path, mode_t mode) {
    if (atomic_load(&disk_is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return ut_files_system.mkdir(path, mode);
}

static void a_store_that_cannot_be_written(void **state) {
    (void)state;
    struct cache cache;
    static struct ut_file_ops table;
    const struct ut_file_ops *usual;
    cache_begin(&cache, "full", SIZE);
    untorn_writer_array *array = define(&cache);
    uint64_t length = 0;
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    cache.reader = NULL;
    usual = ut_files;
    table = *usual;
    table.write = maybe_write;
    table.mkdir = maybe_mkdir;
    ut_files_replace(&table);
    cache_open(&cache);
    must_ok(untorn_writer_array_open(cache.writer, "a", &array));
    for (int round = 0; round < 3; round++) {
        uint64_t committed;
        untorn_status status = UNTORN_OK;
        atomic_store(&disk_is_full, 1);
        do {
            committed = length;
            status = append(array, &length, 10000);
            if (status == UNTORN_OK)
                status = untorn_commit(cache.writer, NULL);
            must(length < 10000000, "no end");
        } while (status == UNTORN_OK);
        must(status == UNTORN_E_NO_SPACE && cache_said("No space left on device"), "%s: %s",
             untorn_status_text(status), untorn_message());
        must_be(UNTORN_E_NO_SPACE, untorn_flush(cache.writer, NULL));
        untorn_flush_state flushing;
        must_ok(untorn_reader_flush_state(cache.reader, &flushing));
        must(flushing.failures > 0 && flushing.status == UNTORN_E_NO_SPACE &&
                 strstr(flushing.error, cache.store) != NULL,
             "%s", flushing.error);
        untorn_abort(cache.writer);
        length = committed;
        must_have(&cache, length);
        books_must_add_up(cache.writer, 0, "with a full disk");
        atomic_store(&disk_is_full, 0);
        for (int i = 0; i < 60; i++) {
            must_ok(append(array, &length, 10000));
            must_ok(untorn_commit(cache.writer, NULL));
        }
        must_have(&cache, length);
    }
    must(cache.told > 0, "nobody was told");
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    ut_files_replace(usual);
    must_ok(untorn_segment_remove(cache.segment));
}

/* ---- a mount as in containers ---- */

#define CANNOT_MOUNT 77

struct mount {
    const char *directory;
    uint64_t bytes; // to append
};

// Leave only so much of the mount.
static void fill_mount(const char *directory, uint64_t leave) {
    char path[300];
    static char block[1u << 16];
    snprintf(path, sizeof path, "%s/filler", directory);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    must(fd >= 0, "filler");
    off_t end = 0;
    while (write(fd, block, sizeof block) == sizeof block)
        end += (off_t)sizeof block;
    must((uint64_t)end > leave && ftruncate(fd, end - (off_t)leave) == 0, "%lld bytes are free",
         (long long)end);
    close(fd);
}

static int run_in_mount(void *argument, int report, int orders) {
    struct mount *place = argument;
    struct cache cache;
    (void)report;
    (void)orders;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", place->directory, "tmpfs", 0, "size=64m") != 0)
        return CANNOT_MOUNT;
    setenv("UNTORN_SHM_DIR", place->directory, 1);
    cache_begin(&cache, "mount", 0); // of the default size
    untorn_writer_array *array = define(&cache);
    uint64_t length = 0;
    while (length * sizeof(uint32_t) < place->bytes) {
        must_ok(append(array, &length, 100000));
        must_ok(untorn_commit(cache.writer, NULL));
        if (length == 5000000) // 20 MB: the segment cannot become what it was to be
            fill_mount(place->directory, 1u << 20);
    }
    books_must_add_up(cache.writer, 0, "in a full mount");
    must_have(&cache, length);
    cache_restart(&cache);
    must_have(&cache, length);
    cache_end(&cache);
    // The store lies beside the mount, and what is to be done at exit is the parent's to do.
    *strrchr(cache.store, '/') = '\0';
    must_ok(ut_durable_remove_tree("test", cache.store));
    return 0;
}

static void a_small_mount_is_a_cache_of_its_size(void **state) {
    (void)state;
    skip_under_tsan();
    struct mount place = {test_directory_in_memory("mount"),
                          test_count(100) >= 1000 ? 1u << 30 : 96u << 20};
    struct test_child child = test_child_start(run_in_mount, &place);
    int status = test_child_wait(&child);
    if (status == CANNOT_MOUNT)
        skip_because("cannot mount a tmpfs of its own");
    must(status == 0, "%s %d", status >= 256 ? "signal" : "exit status",
         status >= 256 ? status - 256 : status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_transaction_larger_than_the_segment),
        cmocka_unit_test(a_store_that_cannot_be_written),
        cmocka_unit_test(a_small_mount_is_a_cache_of_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
