// SPDX-License-Identifier: MIT
// Reading store snapshots: what was written comes back, and every damage to a file or directory is
// an error that names it.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/sample_store.h"
#include "../support/scale.h"
#include "base/file_ops.h"
#include "base/hash.h"

#define FIRST SAMPLE_COMMIT(5)
#define SECOND SAMPLE_COMMIT(6)

static void what_was_written_is_read(void **state) {
    (void)state;
    ut_store store;
    sample_begin(&store, "view");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
    sample_publish(&store, SECOND, FIRST, 3, UT_ZARR_V2, false);
    sample_check(&store, FIRST);
    sample_check(&store, SECOND);
    ut_store_view *view;
    must_ok(ut_store_view_open(&store, SECOND, &view));
    ut_stored_array *array = sample_array(view, "a");
    must(ut_manifest_find_chunk(&array->manifest, 0)->version == SECOND, "the changed chunk");
    must(ut_manifest_find_chunk(&array->manifest, 1)->version == FIRST, "one that was linked");
    ut_stored_array_close(array);
    ut_store_view_close(view);
    must_say(UNTORN_E_ABSENT, "snapshots/77", ut_store_view_open(&store, 77, &view));
    ut_store_close(&store);
}

static void arrays_in_the_snapshot_itself(void **state) {
    (void)state;
    ut_store store;
    sample_begin(&store, "viewreal");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V3, true);
    sample_check(&store, FIRST);
    ut_store_close(&store);
}

static untorn_status read_chunk(const ut_stored_array *array, uint64_t number) {
    unsigned char out[512];
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    untorn_status status = ut_stored_chunk_read(
        array, ut_manifest_find_chunk(&array->manifest, number), out, &scratch);
    ut_codec_scratch_free(&scratch);
    return status;
}

static void damaged_chunk_files(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2; i++) { // lz4, none
        ut_store store;
        ut_store_view *view;
        sample_begin(&store, "viewchunk");
        sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
        must_ok(ut_store_view_open(&store, FIRST, &view));
        ut_stored_array *array = sample_array(view, sample_names[i]);
        char path[UT_STORE_PATH_MAX];
        unsigned char *bytes;
        must_ok(ut_stored_chunk_path(array, 0, path));
        size_t n = sample_read(path, &bytes);
        must_ok(read_chunk(array, 0));
        for (uint64_t bit = 0; bit < 8 * n; bit += 7) {
            sample_flip(path, bit);
            must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
            sample_write(path, bytes, n);
        }
        sample_resize(path, -1);
        must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
        sample_write(path, bytes, n);
        sample_resize(path, 1);
        must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
        sample_write(path, "", 0);
        must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
        unlink(path);
        must_say(UNTORN_E_ABSENT, path, read_chunk(array, 0));
        char aside[UT_STORE_PATH_MAX];
        must_ok(ut_store_path(&store, aside, "aside"));
        sample_write(aside, bytes, n); // though it has the right content
        must(symlink(aside, path) == 0, "symlink");
        must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
        unlink(path);
        must(mkdir(path, 0777) == 0, "mkdir");
        must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
        rmdir(path);
        must(mkfifo(path, 0666) == 0, "mkfifo");
        must_say(UNTORN_E_CORRUPT, path, read_chunk(array, 0));
        unlink(path);
        sample_write(path, bytes, n);
        must_ok(read_chunk(array, 0));
        free(bytes);
        ut_stored_array_close(array);
        ut_store_view_close(view);
        ut_store_close(&store);
    }
}

// What a record's hash vouches for need not decode.
static void a_file_that_does_not_decode(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view;
    sample_begin(&store, "viewcode");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
    must_ok(ut_store_view_open(&store, FIRST, &view));
    ut_stored_array *array = sample_array(view, "a");
    const ut_manifest_chunk *chunk = ut_manifest_find_chunk(&array->manifest, 0);
    char path[UT_STORE_PATH_MAX];
    unsigned char *bytes;
    must_ok(ut_stored_chunk_path(array, 0, path));
    size_t n = sample_read(path, &bytes);
    struct test_rng rng = {test_seed()};
    union {
        ut_manifest_chunk chunk;
        uint64_t words[6];
    } forged;
    memcpy(&forged, chunk, sizeof forged);
    unsigned char out[512];
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    for (uint64_t i = 0; i < test_count(2000); i++) {
        unsigned char *copy = malloc(n);
        memcpy(copy, bytes, n);
        for (uint64_t k = rng_range(&rng, 1, 4); k > 0; k--)
            copy[rng_below(&rng, n)] = (unsigned char)rng_next(&rng);
        forged.chunk.hash = ut_hash(copy, n);
        sample_write(path, copy, n);
        untorn_status status = ut_stored_chunk_read(array, &forged.chunk, out, &scratch);
        must(status == UNTORN_OK || status == UNTORN_E_CORRUPT, "%d: %s", status, untorn_message());
        free(copy);
    }
    // A record that does not fit, as a mapped manifest could have that is being changed.
    sample_write(path, bytes, n);
    memcpy(&forged, chunk, sizeof forged);
    forged.words[5] = 1000;
    must_be(UNTORN_E_CORRUPT, ut_stored_chunk_read(array, &forged.chunk, out, &scratch));
    memcpy(&forged, chunk, sizeof forged);
    forged.chunk.bytes = UINT64_MAX;
    must_be(UNTORN_E_CORRUPT, ut_stored_chunk_read(array, &forged.chunk, out, &scratch));
    ut_codec_scratch_free(&scratch);
    free(bytes);
    ut_stored_array_close(array);
    ut_store_view_close(view);
    ut_store_close(&store);
}

// A snapshot's manifest, and then an array's, with anything done to it.
static void damaged_manifests(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view, *again;
    sample_begin(&store, "viewmanifest");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
    must_ok(ut_store_view_open(&store, FIRST, &view));
    ut_manifest_object object;
    must(ut_manifest_find_object(&view->manifest, "a", &object), "a");
    struct test_rng rng = {test_seed()};
    for (int of_array = 0; of_array < 2; of_array++) {
        char path[UT_STORE_PATH_MAX + 16];
        snprintf(path, sizeof path, "%s/.manifest",
                 of_array ? sample_array_path(&store, FIRST, "a") : sample_path(&store, FIRST, ""));
        unsigned char *bytes;
        size_t n = sample_read(path, &bytes);
        for (uint64_t i = 0; i < 200 + 8; i++) {
            ut_stored_array *array;
            untorn_status status;
            if (i < 200)
                sample_flip(path, rng_next(&rng));
            else
                sample_write(path, bytes, rng_below(&rng, n));
            status = of_array ? ut_stored_array_open(view, &object, &array)
                              : ut_store_view_open(&store, FIRST, &again);
            must(status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION, "%d", status);
            must(strstr(untorn_message(), path) != NULL, "%s", untorn_message());
            sample_write(path, bytes, n);
        }
        unlink(path);
        ut_stored_array *array;
        must_say(UNTORN_E_CORRUPT, path,
                 of_array ? ut_stored_array_open(view, &object, &array)
                          : ut_store_view_open(&store, FIRST, &again));
        sample_write(path, bytes, n);
        free(bytes);
    }
    sample_check(&store, FIRST);
    ut_store_view_close(view);
    ut_store_close(&store);
}

// Whole and right, but not what was asked for.
static void the_wrong_manifest(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view;
    ut_stored_array *array;
    sample_begin(&store, "viewwrong");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
    sample_publish(&store, SECOND, FIRST, 1, UT_ZARR_V2, false);
    must_ok(ut_store_view_open(&store, SECOND, &view));
    ut_manifest_object object, changed;
    must(ut_manifest_find_object(&view->manifest, "a", &object), "a");
    char path[UT_STORE_PATH_MAX + 16];
    unsigned char *bytes, *older;
    snprintf(path, sizeof path, "%s/.manifest", sample_array_path(&store, FIRST, "a"));
    size_t length = sample_read(path, &older);
    snprintf(path, sizeof path, "%s/.manifest", sample_array_path(&store, SECOND, "a"));
    size_t n = sample_read(path, &bytes);
    must(n == length, "as long");
    sample_write(path, older, n);
    must_say(UNTORN_E_CORRUPT, path, ut_stored_array_open(view, &object, &array));
    sample_write(path, bytes, n);
    changed = object;
    changed.uid = 2;
    must_say(UNTORN_E_CORRUPT, "uid", ut_stored_array_open(view, &changed, &array));
    changed = object;
    changed.name = "b";
    must_say(UNTORN_E_CORRUPT, "name", ut_stored_array_open(view, &changed, &array));
    changed = object;
    changed.file_bytes += 8;
    must_say(UNTORN_E_CORRUPT, path, ut_stored_array_open(view, &changed, &array));
    view->manifest.uuid[1]++;
    must_say(UNTORN_E_CORRUPT, "another store", ut_stored_array_open(view, &object, &array));
    view->manifest.uuid[1]--;
    must_ok(ut_stored_array_open(view, &object, &array));
    ut_stored_array_close(array);
    ut_store_view_close(view);
    // The other snapshot under this one's number.
    snprintf(path, sizeof path, "%s", sample_path(&store, FIRST, ""));
    must(rename(path, sample_path(&store, SAMPLE_COMMIT(9), "")) == 0, "rename");
    must_say(UNTORN_E_CORRUPT, "commit", ut_store_view_open(&store, SAMPLE_COMMIT(9), &view));
    free(bytes);
    free(older);
    ut_store_close(&store);
}

static void links_are_not_followed_out_of_the_store(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view;
    ut_stored_array *array;
    ut_manifest_object object;
    sample_begin(&store, "viewlink");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
    must_ok(ut_store_view_open(&store, FIRST, &view));
    must(ut_manifest_find_object(&view->manifest, "a", &object), "a");
    char path[UT_STORE_PATH_MAX], aside[UT_STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s", sample_array_path(&store, FIRST, "a"));
    must_ok(ut_store_path(&store, aside, "aside"));
    must(rename(path, aside) == 0 && symlink("/etc", path) == 0, "symlink");
    must_say(UNTORN_E_CORRUPT, path, ut_stored_array_open(view, &object, &array));
    unlink(path);
    must_say(UNTORN_E_ABSENT, path, ut_stored_array_open(view, &object, &array));
    must(symlink(aside, path) == 0, "even to the right place");
    must_say(UNTORN_E_CORRUPT, path, ut_stored_array_open(view, &object, &array));
    unlink(path);
    sample_write(path, "x", 1);
    must_say(UNTORN_E_CORRUPT, path, ut_stored_array_open(view, &object, &array));
    ut_store_view_close(view);
    must(symlink("/etc", sample_path(&store, 78, "")) == 0, "symlink");
    must_say(UNTORN_E_CORRUPT, "snapshots/78", ut_store_view_open(&store, 78, &view));
    ut_store_close(&store);
}

// ------------------------------------------------------------ as the kernel gives it

static ssize_t some_bytes(int fd, void *to, size_t n, off_t at) {
    static unsigned calls;
    if (calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return ut_files_system.pread(fd, to, n < 7 ? n : 7, at);
}

static ssize_t bad_sector(int fd, void *to, size_t n, off_t at) {
    (void)fd, (void)to, (void)n, (void)at;
    errno = EIO;
    return -1;
}

static void short_and_interrupted_reads(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view;
    sample_begin(&store, "viewshort");
    sample_publish(&store, FIRST, 0, 7, UT_ZARR_V2, false);
    struct ut_file_ops table = ut_files_system;
    table.pread = some_bytes;
    ut_files_replace(&table);
    sample_check(&store, FIRST);
    table.pread = bad_sector;
    untorn_status status = ut_store_view_open(&store, FIRST, &view);
    ut_files_replace(NULL);
    must(status == UNTORN_E_CORRUPT, "%d", status);
    ut_store_close(&store);
}

// Beyond 16 MiB a manifest is mapped.
static void a_large_manifest(void **state) {
    (void)state;
    enum { CHUNKS = 430000 };
    ut_store store;
    ut_store_view *view;
    ut_snapshot_writer *writer;
    ut_array_writer *w;
    sample_begin(&store, "viewlarge");
    ut_snapshot_head head = {
        .uuid = {1, 2}, .commit = FIRST, .next_uid = 100, .format = UT_ZARR_V2};
    must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
    uint64_t shape[] = {CHUNKS}, chunk[] = {1};
    untorn_definition from = UNTORN_DEFINITION_INIT;
    from.dtype = "u1";
    from.rank = 1;
    from.shape = shape;
    from.chunks = chunk;
    from.codec = "none";
    ut_definition *d;
    must_ok(ut_definition_make("big", &from, 1, &d));
    ut_manifest_array array_head = {
        .uid = 1, .generation = 1, .commit = FIRST, .data_commit = FIRST};
    must_ok(ut_array_writer_begin(writer, &array_head, d, shape, NULL, &w));
    must_ok(ut_array_writer_file(w, 4711, "x", 1));
    for (uint64_t i = 0; i < CHUNKS; i++)
        must_ok(ut_array_writer_record(w, i, FIRST, chunk, 1, ut_hash("x", 1)));
    must_ok(ut_array_writer_end(w));
    must_ok(ut_snapshot_writer_publish(writer));
    must_ok(ut_store_view_open(&store, FIRST, &view));
    ut_stored_array *array = sample_array(view, "big");
    must(array->mapped > (16u << 20), "%zu", array->mapped);
    char out = 0;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must_ok(ut_stored_chunk_read(array, ut_manifest_find_chunk(&array->manifest, 4711), &out,
                                 &scratch));
    must(out == 'x', "%d", out);
    ut_stored_array_close(array);
    ut_store_view_close(view);
    ut_definition_drop(d);
    ut_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(arrays_in_the_snapshot_itself),
        cmocka_unit_test(damaged_chunk_files),
        cmocka_unit_test(a_file_that_does_not_decode),
        cmocka_unit_test(damaged_manifests),
        cmocka_unit_test(the_wrong_manifest),
        cmocka_unit_test(links_are_not_followed_out_of_the_store),
        cmocka_unit_test(short_and_interrupted_reads),
        cmocka_unit_test(a_large_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
