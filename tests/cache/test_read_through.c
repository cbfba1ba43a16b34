// SPDX-License-Identifier: MIT
/*
 * Reads of chunks that are only in the store, when the store is not as it should be: files that
 * vanish, change or become something else, calls that fail, snapshots that are deleted meanwhile.
 * What cannot be read is an error that names the file; never fill values, and nothing else suffers.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/failing_files.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#include "base/file_ops.h"

#define SIZE (4u << 20)
#define CHUNK 1024u // elements
#define CHUNKS 8u
#define BAD 3u // the chunk whose file suffers

static uint32_t value_of(uint64_t i) {
    return (uint32_t)test_mix(i + 1);
}

static void write_all(untorn_writer_array *array) {
    static uint32_t values[CHUNKS * CHUNK];
    for (uint64_t i = 0; i < CHUNKS * CHUNK; i++)
        values[i] = value_of(i);
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
}

// Arrays "a" and "b", flushed and evicted.
static void begin(struct cache *cache, const char *name) {
    cache_begin(cache, name, SIZE);
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    write_all(cache_define(cache, "a", 1, &shape, &chunk, 5));
    write_all(cache_define(cache, "b", 1, &shape, &chunk, 5));
    must_ok(untorn_commit(cache->writer, NULL));
    cache_flush_and_evict(cache);
    must(cache_resident(cache->writer, "a") == 0, "evicted");
}

static untorn_status read_chunks(untorn_array *array, uint64_t first, uint64_t end) {
    static uint32_t got[CHUNKS * CHUNK];
    uint64_t start = first * CHUNK, count = (end - first) * CHUNK;
    untorn_status status = untorn_read(array, &start, &count, got, sizeof got, NULL);
    for (uint64_t i = 0; i < count && status == UNTORN_OK; i++)
        must(got[i] == value_of(start + i), "element %llu", (unsigned long long)(start + i));
    return status;
}

/* ---- one file ---- */

struct saved {
    char path[4096];
    unsigned char bytes[1u << 20];
    size_t size;
};

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    must(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, "%s", path);
}

static void save(struct saved *saved, const char *path) {
    snprintf(saved->path, sizeof saved->path, "%s", path);
    FILE *file = fopen(path, "rb");
    must(file != NULL, "%s", path);
    saved->size = fread(saved->bytes, 1, sizeof saved->bytes, file);
    fclose(file);
    must(saved->size > 0 && saved->size < sizeof saved->bytes, "size of %s", path);
}

static void remove_it(const struct saved *saved) {
    must(unlink(saved->path) == 0 || rmdir(saved->path) == 0, "%s", saved->path);
}

static void removed(const struct saved *saved, const struct saved *other) {
    (void)other;
    remove_it(saved);
}

static void halved(const struct saved *saved, const struct saved *other) {
    (void)other;
    must(truncate(saved->path, (off_t)saved->size / 2) == 0, "truncate");
}

static void emptied(const struct saved *saved, const struct saved *other) {
    (void)other;
    must(truncate(saved->path, 0) == 0, "truncate");
}

static void lengthened(const struct saved *saved, const struct saved *other) {
    (void)other;
    must(truncate(saved->path, (off_t)saved->size + 1) == 0, "truncate");
}

static void flip(const struct saved *saved, size_t at) {
    unsigned char *bytes = malloc(saved->size);
    memcpy(bytes, saved->bytes, saved->size);
    bytes[at] ^= 0x10;
    write_file(saved->path, bytes, saved->size);
    free(bytes);
}

static void flipped_first(const struct saved *saved, const struct saved *other) {
    (void)other;
    flip(saved, 0);
}

static void flipped_last(const struct saved *saved, const struct saved *other) {
    (void)other;
    flip(saved, saved->size - 1);
}

static void flipped_middle(const struct saved *saved, const struct saved *other) {
    (void)other;
    flip(saved, saved->size / 2);
}

static void a_directory(const struct saved *saved, const struct saved *other) {
    (void)other;
    remove_it(saved);
    must(mkdir(saved->path, 0755) == 0, "mkdir");
}

static void a_pipe(const struct saved *saved, const struct saved *other) { // must not be waited for
    (void)other;
    remove_it(saved);
    must(mkfifo(saved->path, 0644) == 0, "mkfifo");
}

static void a_link_to_another(const struct saved *saved, const struct saved *other) {
    remove_it(saved);
    must(symlink(other->path, saved->path) == 0, "symlink");
}

static void a_link_to_itself(const struct saved *saved, const struct saved *other) {
    (void)other;
    remove_it(saved);
    must(symlink(saved->path, saved->path) == 0, "symlink");
}

static void another_chunk(const struct saved *saved, const struct saved *other) {
    write_file(saved->path, other->bytes, other->size);
}

static const struct damage {
    const char *name;
    void (*make)(const struct saved *saved, const struct saved *other);
} damages[] = {
    {"removed", removed},
    {"halved", halved},
    {"emptied", emptied},
    {"lengthened", lengthened},
    {"a bit of its first byte", flipped_first},
    {"a bit of its last byte", flipped_last},
    {"a bit in its middle", flipped_middle},
    {"a directory", a_directory},
    {"a pipe", a_pipe},
    {"a link to another", a_link_to_another},
    {"a link to itself", a_link_to_itself},
    {"another chunk's", another_chunk},
};

// All ways to the chunk fail with the file's name; everything else works.
static void must_fail(struct cache *cache, untorn_array *a, untorn_array *b, const char *damage,
                      const char *path) {
    untorn_status status = read_chunks(a, 0, CHUNKS);
    must(status == UNTORN_E_CORRUPT && cache_said(path), "%s: %s: %s", damage,
         untorn_status_text(status), untorn_message());
    must_be(UNTORN_E_CORRUPT, read_chunks(a, BAD, BAD + 1));
    must_ok(read_chunks(a, 0, BAD));
    must_ok(read_chunks(a, BAD + 1, CHUNKS));
    must_ok(read_chunks(b, 0, CHUNKS));
    untorn_snapshot *snapshot;
    must_ok(untorn_snapshot_open(cache->reader, &a, 1, UNTORN_NEWEST, &snapshot));
    const uint64_t good = 1, bad = BAD, start = BAD * CHUNK + 7, one = 1;
    const void *memory;
    uint32_t value = 1;
    must_ok(untorn_snapshot_chunk(snapshot, 0, &good, &memory));
    must(*(const uint32_t *)memory == value_of(CHUNK), "another chunk");
    must_say(UNTORN_E_CORRUPT, path, untorn_snapshot_chunk(snapshot, 0, &bad, &memory));
    must_say(UNTORN_E_CORRUPT, path,
             untorn_snapshot_read(snapshot, 0, &start, &one, &value, sizeof value));
    must_ok(untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
    untorn_writer_array *array;
    must_ok(untorn_writer_array_open(cache->writer, "a", &array));
    must_say(UNTORN_E_CORRUPT, path, untorn_write(array, &start, &one, NULL, &value));
    untorn_abort(cache->writer);
}

static void a_damaged_file_is_an_error_with_its_name(void **state) {
    (void)state;
    struct cache cache;
    static struct saved saved, other;
    begin(&cache, "damage");
    untorn_array *a, *b;
    save(&saved, cache_file(&cache, "a", "3"));
    save(&other, cache_file(&cache, "a", "4"));
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++)
        for (int fresh = 0; fresh < 2; fresh++) {
            untorn_reader_close(cache.reader);
            must_ok(untorn_reader_open(cache.segment, NULL, &cache.reader));
            must_ok(untorn_array_open(cache.reader, "a", &a));
            must_ok(untorn_array_open(cache.reader, "b", &b));
            if (!fresh) // the manifest is open already
                must_ok(read_chunks(a, 0, CHUNKS));
            damages[i].make(&saved, &other);
            must_fail(&cache, a, b, damages[i].name, saved.path);
            remove(saved.path);
            write_file(saved.path, saved.bytes, saved.size);
            must_ok(read_chunks(a, 0, CHUNKS));
        }
    cache_end(&cache);
}

// With a cache, what was read before needs no file.
static void a_cached_chunk_needs_no_file(void **state) {
    (void)state;
    struct cache cache;
    static struct saved saved;
    begin(&cache, "cached");
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.cache_bytes = 1u << 20;
    untorn_reader *reader;
    untorn_array *a;
    must_ok(untorn_reader_open(cache.segment, &options, &reader));
    must_ok(untorn_array_open(reader, "a", &a));
    must_ok(read_chunks(a, 0, CHUNKS));
    save(&saved, cache_file(&cache, "a", "3"));
    remove_it(&saved);
    must_ok(read_chunks(a, 0, CHUNKS));
    write_file(saved.path, saved.bytes, saved.size);
    untorn_reader_close(reader);
    cache_end(&cache);
}

/* ---- more than a file ---- */

static void new_reader(struct cache *cache, untorn_reader **reader, untorn_array **a) {
    must_ok(untorn_reader_open(cache->segment, NULL, reader));
    must_ok(untorn_array_open(*reader, "a", a));
}

static void without_a_manifest(void **state) {
    (void)state;
    struct cache cache;
    static struct saved saved;
    for (int of_array = 0; of_array < 2; of_array++) {
        begin(&cache, "manifest");
        untorn_array *before, *after, *b;
        untorn_reader *reader;
        must_ok(untorn_array_open(cache.reader, "a", &before));
        must_ok(read_chunks(before, 0, 1));
        save(&saved, cache_file(&cache, of_array ? "a" : ".", ".manifest"));
        for (int how = 0; how < 2; how++) {
            if (how == 0)
                remove_it(&saved);
            else
                flip(&saved, saved.size / 2);
            new_reader(&cache, &reader, &after);
            must_ok(untorn_array_open(reader, "b", &b));
            must_ok(read_chunks(before, 0, CHUNKS)); // has it open
            must_say(UNTORN_E_CORRUPT, of_array ? saved.path : ".manifest",
                     read_chunks(after, 0, CHUNKS));
            must_be(of_array ? UNTORN_OK : UNTORN_E_CORRUPT, read_chunks(b, 0, CHUNKS));
            write_file(saved.path, saved.bytes, saved.size);
            must_ok(read_chunks(after, 0, CHUNKS));
            must_ok(read_chunks(b, 0, CHUNKS));
            untorn_reader_close(reader);
        }
        cache_end(&cache);
    }
}

static void without_the_store(void **state) {
    (void)state;
    struct cache cache;
    char elsewhere[600];
    begin(&cache, "store");
    untorn_array *before, *after;
    untorn_reader *reader, *third;
    must_ok(untorn_array_open(cache.reader, "a", &before));
    must_ok(read_chunks(before, 0, 1));
    new_reader(&cache, &reader, &after);
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", cache.store);
    must(rename(cache.store, elsewhere) == 0, "rename");
    must_say(UNTORN_E_CORRUPT, cache.store, read_chunks(before, 0, CHUNKS));
    must_say(UNTORN_E_CORRUPT, cache.store, read_chunks(after, 0, CHUNKS));
    untorn_array *once;
    new_reader(&cache, &third, &once);
    must_say(UNTORN_E_CORRUPT, cache.store, read_chunks(once, 0, CHUNKS));
    must(rename(elsewhere, cache.store) == 0, "rename");
    must_ok(read_chunks(before, 0, CHUNKS));
    must_ok(read_chunks(after, 0, CHUNKS));
    must_ok(read_chunks(once, 0, CHUNKS));
    untorn_reader_close(reader);
    untorn_reader_close(third);
    cache_end(&cache);
}

/* ---- calls that fail ---- */

// The n-th call of a reader fails, once: an error, or what was written; afterwards all is well.
static void fail_each_call(const char *segment, int error) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.threads = 1;
    unsigned failures = 0, open_before = failing_files_open();
    for (long n = 0;; n++) {
        untorn_reader *reader;
        untorn_array *a;
        must_ok(untorn_reader_open(segment, &options, &reader));
        must_ok(untorn_array_open(reader, "a", &a));
        failing_files_begin((failing_plan){.at = n, .error = error});
        untorn_status status = read_chunks(a, 0, CHUNKS);
        long hit;
        failing_files_end(&hit);
        if (status != UNTORN_OK) {
            failures++;
            must(error != 0, "call %ld: %s", n, untorn_message());
            must(hit > 0 && (status == UNTORN_E_CORRUPT || status == UNTORN_E_SYSTEM ||
                             status == UNTORN_E_PERMISSION || status == UNTORN_E_NO_MEMORY),
                 "call %ld: status %d: %s", n, (int)status, untorn_message());
            must(cache_said("/store"), "call %ld: %s", n, untorn_message());
        }
        must_ok(read_chunks(a, 0, CHUNKS));
        untorn_reader_close(reader);
        if (hit == 0)
            break;
        must(n < 10000, "calls without an end");
    }
    must(failing_files_open() == open_before, "descriptors are left open");
    must(failures > 0 || error == 0, "nothing failed");
}

static ssize_t teasing_pread(int fd, void *bytes, size_t n, off_t offset) {
    static unsigned calls;
    if (calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return ut_files_system.pread(fd, bytes, n > 100 ? 100 : n, offset);
}

static void a_failing_call_is_an_error_once(void **state) {
    (void)state;
    struct cache cache;
    begin(&cache, "faults");
    // Without a writer, no thread but this makes calls.
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    cache.reader = NULL;
    cache.writer = NULL;
    const int errors[] = {EIO, EACCES, EMFILE, 0};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        fail_each_call(cache.segment, errors[i]);
    // Every other read of a file is interrupted, the others read a little: nobody notices.
    untorn_reader *reader;
    untorn_array *a;
    struct ut_file_ops table = ut_files_system;
    table.pread = teasing_pread;
    must_ok(untorn_reader_open(cache.segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &a));
    ut_files_replace(&table);
    must_ok(read_chunks(a, 0, 1));
    ut_files_replace(NULL);
    untorn_reader_close(reader);
    must_ok(untorn_segment_remove(cache.segment));
}

/* ---- snapshots that are deleted meanwhile ---- */

struct rewritten {
    struct cache cache;
    _Atomic int stop;
    _Atomic uint64_t reads;
};

// The whole array has one value in every commit, which grows.
static void *read_rewritten(void *argument) {
    struct rewritten *rewritten = argument;
    static _Thread_local uint32_t got[CHUNKS * CHUNK];
    untorn_reader *reader;
    untorn_array *a;
    uint32_t last = 0;
    must_ok(untorn_reader_open(rewritten->cache.segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &a));
    while (!atomic_load(&rewritten->stop)) {
        must_ok(untorn_read(a, NULL, NULL, got, sizeof got, NULL));
        for (uint64_t i = 1; i < CHUNKS * CHUNK; i++)
            must(got[i] == got[0], "torn: %u and %u", got[0], got[i]);
        must(got[0] >= last, "%u after %u", got[0], last);
        last = got[0];
        atomic_fetch_add(&rewritten->reads, 1);
    }
    untorn_reader_close(reader);
    return NULL;
}

static void snapshots_deleted_under_a_reader(void **state) {
    (void)state;
    static struct rewritten rewritten;
    static uint32_t values[CHUNKS * CHUNK];
    pthread_t threads[2];
    cache_begin(&rewritten.cache, "deleted", SIZE);
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK, rounds = test_count(400), round = 0;
    untorn_writer_array *array = cache_define(&rewritten.cache, "a", 1, &shape, &chunk, 1);
    must_ok(untorn_commit(rewritten.cache.writer, NULL));
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, read_rewritten, &rewritten) == 0, "thread");
    while (round < rounds || atomic_load(&rewritten.reads) < 20) {
        round++;
        for (uint64_t i = 0; i < CHUNKS * CHUNK; i++)
            values[i] = (uint32_t)round + 1;
        must_ok(untorn_write(array, NULL, NULL, NULL, values));
        must_ok(untorn_commit(rewritten.cache.writer, NULL));
        cache_flush_and_evict(&rewritten.cache);
    }
    atomic_store(&rewritten.stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    print_message("%llu flushes, %llu reads\n", (unsigned long long)round,
                  (unsigned long long)atomic_load(&rewritten.reads));
    cache_end(&rewritten.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_file_is_an_error_with_its_name),
        cmocka_unit_test(a_cached_chunk_needs_no_file),
        cmocka_unit_test(without_a_manifest),
        cmocka_unit_test(without_the_store),
        cmocka_unit_test(a_failing_call_is_an_error_once),
        cmocka_unit_test(snapshots_deleted_under_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
