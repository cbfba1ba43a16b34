// SPDX-License-Identifier: MIT
// Store snapshots: what is written is read back, in both formats, linked or not; and whatever
// operation fails, the store is afterwards as it was before.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/status.h"
#include "store/durable.h"
#include "store/snapshot_writer.h"
#include "support/failing_files.h"
#include "support/must.h"
#include "support/names.h"
#include "support/scale.h"

#define EPOCH (UINT64_C(1) << 48)
#define NEXT_UID 50000

// ------------------------------------------------------------ what is written

// An array of u1 with codec none: element i of chunk n written by commit c is element().
typedef struct sample {
    const char *name;
    uint64_t uid;
    unsigned rank;
    uint64_t shape[3], chunks[3];
    const char *attributes;
} sample;

static const sample samples[] = {
    {"g/a", 10, 2, {5, 7}, {2, 3}, "{\"units\":\"m\"}"},
    {"scalar", 11, 0, {0}, {0}, NULL},
    {"empty", 12, 2, {0, 4}, {3, 4}, NULL},
    {"g/h/deep/a-b", 13, 1, {100}, {40}, NULL},
    {"g-b", 14, 3, {2, 2, 2}, {1, 2, 2}, "{}"},
};
#define SAMPLES (sizeof samples / sizeof *samples)

static unsigned char element(uint64_t commit, uint64_t number, uint64_t i) {
    return (unsigned char)(commit * 31 + number * 7 + i);
}

static ut_definition *define(const sample *s) {
    untorn_definition from = UNTORN_DEFINITION_INIT;
    from.dtype = "u1";
    from.rank = s->rank;
    from.shape = s->shape;
    from.chunks = s->chunks;
    from.codec = "none";
    ut_definition *definition = NULL;
    must_ok(ut_definition_make(s->name, &from, s->uid, &definition));
    return definition;
}

static uint64_t chunk_count(const sample *s) {
    uint64_t count = 1;
    for (unsigned i = 0; i < s->rank; i++)
        count *= (s->shape[i] + s->chunks[i] - 1) / s->chunks[i];
    return count;
}

static untorn_status write_chunk(ut_array_writer *array, const ut_definition *definition,
                                 uint64_t number, uint64_t commit) {
    unsigned char bytes[64];
    size_t n = (size_t)definition->slot_bytes;
    must(n <= sizeof bytes, "%zu bytes", n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = element(commit, number, i);
    untorn_status status = ut_array_writer_file(array, number, bytes, n);
    if (status == UNTORN_OK)
        status =
            ut_array_writer_record(array, number, commit, definition->chunks, n, ut_hash(bytes, n));
    return status;
}

// All chunks but the second are there; those of `from`, if it is not NULL, are linked, but for the
// first.
static untorn_status write_array(ut_snapshot_writer *writer, const sample *s, uint64_t commit,
                                 const ut_stored_array *from) {
    ut_definition *definition = define(s);
    ut_manifest_array head = {
        .uid = s->uid, .generation = commit, .commit = commit, .data_commit = commit, .time = 5};
    ut_array_writer *array = NULL;
    untorn_status status =
        ut_array_writer_begin(writer, &head, definition, s->shape, s->attributes, &array);
    if (status != UNTORN_OK)
        goto drop_definition;
    for (uint64_t i = 0; i < chunk_count(s) && status == UNTORN_OK; i++) {
        const ut_manifest_chunk *old =
            from != NULL && i > 0 ? ut_manifest_find_chunk(&from->manifest, i) : NULL;
        if (i == 1)
            continue;
        if (old == NULL) {
            status = write_chunk(array, definition, i, commit);
            continue;
        }
        status = ut_array_writer_link(array, i, from, old);
        if (status == UNTORN_OK)
            status =
                ut_array_writer_record(array, i, old->version, old->extent, old->bytes, old->hash);
    }
    if (status == UNTORN_OK)
        status = ut_array_writer_end(array);
    else
        ut_array_writer_abandon(array);
drop_definition:
    ut_definition_drop(definition);
    return status;
}

static ut_snapshot_head head_of(uint64_t commit, ut_zarr_format format, bool real) {
    return (ut_snapshot_head){.uuid = {1, 2},
                              .commit = commit,
                              .time = 1234567890123,
                              .next_uid = NEXT_UID,
                              .format = format,
                              .real_directories = real};
}

static untorn_status add_groups(ut_snapshot_writer *writer, uint64_t commit) {
    ut_manifest_object root = {
        .uid = 1, .generation = 1, .commit = commit, .name = "", .attributes = "{\"title\":\"x\"}"};
    ut_manifest_object lone = {
        .uid = 2, .generation = 1, .commit = commit, .name = "lone/group", .attributes = ""};
    untorn_status status = ut_snapshot_writer_add_group(writer, &lone);
    return status == UNTORN_OK ? ut_snapshot_writer_add_group(writer, &root) : status;
}

// A snapshot in which all is new.
static untorn_status write_new(const ut_store *store, uint64_t commit, ut_zarr_format format,
                               bool real) {
    ut_snapshot_head head = head_of(commit, format, real);
    ut_snapshot_writer *writer = NULL;
    untorn_status status = ut_snapshot_writer_begin(store, &head, &writer);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < SAMPLES && status == UNTORN_OK; i++)
        status = write_array(writer, &samples[i], commit, NULL);
    if (status == UNTORN_OK)
        status = add_groups(writer, commit);
    if (status == UNTORN_OK)
        return ut_snapshot_writer_publish(writer);
    ut_snapshot_writer_abandon(writer);
    return status;
}

// An earlier snapshot, opened beforehand: reading it is not what is to fail.
typedef struct earlier {
    ut_store_view *view;
    ut_manifest_object objects[SAMPLES];
    ut_stored_array *arrays[SAMPLES];
} earlier;

static void open_earlier(const ut_store *store, uint64_t commit, earlier *previous) {
    must_ok(ut_store_view_open(store, commit, &previous->view));
    for (size_t i = 0; i < SAMPLES; i++) {
        must(ut_manifest_find_object(&previous->view->manifest, samples[i].name,
                                     &previous->objects[i]),
             "%s", samples[i].name);
        must_ok(ut_stored_array_open(previous->view, &previous->objects[i], &previous->arrays[i]));
    }
}

static void close_earlier(earlier *previous) {
    for (size_t i = 0; i < SAMPLES; i++)
        ut_stored_array_close(previous->arrays[i]);
    ut_store_view_close(previous->view);
}

// A snapshot after `previous`: "g/a" is new but for the chunks from the third on, and all else is
// linked.
static untorn_status write_next(const ut_store *store, uint64_t commit, const earlier *previous) {
    ut_snapshot_head head =
        head_of(commit, (ut_zarr_format)previous->view->manifest.zarr_format, false);
    ut_snapshot_writer *writer = NULL;
    untorn_status status = ut_snapshot_writer_begin(store, &head, &writer);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < SAMPLES && status == UNTORN_OK; i++) {
        ut_manifest_object object = previous->objects[i];
        object.generation = object.commit = commit;
        object.time = 77;
        status = i == 0 ? write_array(writer, &samples[i], commit, previous->arrays[i])
                        : ut_snapshot_writer_link_array(writer, previous->arrays[i], &object);
    }
    if (status == UNTORN_OK)
        status = add_groups(writer, commit);
    if (status == UNTORN_OK)
        return ut_snapshot_writer_publish(writer);
    ut_snapshot_writer_abandon(writer);
    return status;
}

// ------------------------------------------------------------ what must be there

static void must_read_back(const ut_store *store, const ut_store_view *view, const sample *s,
                           bool real) {
    ut_manifest_object object;
    ut_stored_array *stored = NULL;
    must(ut_manifest_find_object(&view->manifest, s->name, &object), "no %s", s->name);
    must_ok(ut_stored_array_open(view, &object, &stored));
    must(object.commit == view->manifest.commit && stored->manifest.rank == s->rank &&
             stored->manifest.zarr_format == view->manifest.zarr_format &&
             memcmp(stored->manifest.shape, s->shape, s->rank * sizeof *s->shape) == 0 &&
             strcmp(stored->manifest.attributes, s->attributes ? s->attributes : "") == 0,
         "%s", s->name);
    uint64_t chunks = chunk_count(s);
    must(stored->manifest.count == (chunks > 1 ? chunks - 1 : chunks), "chunks of %s", s->name);
    for (uint64_t i = 0; i < stored->manifest.count; i++) {
        const ut_manifest_chunk *chunk = ut_manifest_chunk_at(&stored->manifest, i);
        unsigned char bytes[64];
        ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
        must_ok(ut_stored_chunk_read(stored, chunk, bytes, &scratch));
        for (uint64_t k = 0; k < stored->manifest.definition->slot_bytes; k++)
            must(bytes[k] == element(chunk->version, chunk->number, k), "%s: chunk %" PRIu64,
                 s->name, chunk->number);
        ut_codec_scratch_free(&scratch);
    }
    ut_stored_array_close(stored);
    // By its name in the snapshot the same directory is found, as any reader would find it.
    char path[UT_STORE_PATH_MAX], metadata[UT_STORE_PATH_MAX + 16];
    struct stat at, target;
    must_ok(ut_store_path(store, path, "snapshots/%" PRIu64 "/%s", view->manifest.commit, s->name));
    must(lstat(path, &at) == 0 && stat(path, &target) == 0 && S_ISDIR(target.st_mode), "%s", path);
    must(real ? S_ISDIR(at.st_mode) : S_ISLNK(at.st_mode), "%s", path);
    snprintf(metadata, sizeof metadata, "%s/%s", path,
             view->manifest.zarr_format == 2 ? ".zarray" : "zarr.json");
    must(stat(metadata, &target) == 0, "%s", metadata);
}

static void must_be_whole(const ut_store *store, uint64_t commit, bool real) {
    ut_store_view *view = NULL;
    must_ok(ut_store_view_open(store, commit, &view));
    must(view->manifest.count == SAMPLES + 2 && view->manifest.next_uid == NEXT_UID &&
             view->manifest.time == 1234567890123,
         "manifest");
    for (size_t i = 0; i < SAMPLES; i++)
        must_read_back(store, view, &samples[i], real);
    ut_store_view_close(view);
}

static void must_be_latest(const ut_store *store, uint64_t expected) {
    uint64_t commit = 0;
    must_ok(ut_store_latest(store, &commit));
    must(commit == expected, "latest: %" PRIu64 " instead of %" PRIu64, commit, expected);
}

static char *read_text(const ut_store *store, uint64_t commit, const char *name) {
    char path[UT_STORE_PATH_MAX];
    unsigned char *bytes = NULL;
    size_t n;
    must_ok(ut_store_path(store, path, "snapshots/%" PRIu64 "/%s", commit, name));
    must_ok(ut_durable_read("test", path, 1 << 20, &bytes, &n));
    return (char *)bytes;
}

static void must_contain(const ut_store *store, uint64_t commit, const char *name,
                         const char *part) {
    char *text = read_text(store, commit, name);
    must(strstr(text, part) != NULL, "%s: %s: %s", name, part, text);
    free(text);
}

static bool is_there(const ut_store *store, uint64_t commit, const char *name) {
    char path[UT_STORE_PATH_MAX];
    struct stat what;
    must_ok(ut_store_path(store, path, "snapshots/%" PRIu64 "/%s", commit, name));
    return stat(path, &what) == 0;
}

// All paths in the store with their inodes, sorted, as one hash and a count.
static uint64_t listing_hash;
static unsigned listing_count;
static int add_path(const char *path, const struct stat *what, int flag, struct FTW *walk) {
    (void)walk;
    uint64_t of[3] = {ut_hash(path, strlen(path)), (uint64_t)flag,
                      flag == FTW_SL ? 0 : (uint64_t)what->st_ino};
    listing_hash += ut_hash(of, sizeof of); // in any order
    listing_count++;
    return 0;
}
static uint64_t listing(const ut_store *store) {
    listing_hash = listing_count = 0;
    must(nftw(store->path, add_path, 16, FTW_PHYS) == 0, "nftw");
    return listing_hash;
}

static void open_store_in(ut_store *store, const char *directory) {
    char path[4096];
    snprintf(path, sizeof path, "%s/s", directory);
    must_ok(ut_store_open(store, path, true));
}

static void open_store(ut_store *store) {
    open_store_in(store, test_directory("snapshots"));
}

// ------------------------------------------------------------ tests

static void a_snapshot_of_format_2_comes_back(void **state) {
    (void)state;
    ut_store store;
    open_store(&store);
    must_ok(write_new(&store, EPOCH + 1, UT_ZARR_V2, false));
    must_be_whole(&store, EPOCH + 1, false);
    must_be_latest(&store, EPOCH + 1);
    static const char *const there[] = {".lease",
                                        ".manifest",
                                        ".zgroup",
                                        ".zattrs",
                                        ".zmetadata",
                                        "g/.zgroup",
                                        "g/h/.zgroup",
                                        "g/a/.zattrs",
                                        "g/a/0.0",
                                        "scalar/0",
                                        "g/h/deep/.zgroup",
                                        "lone/.zgroup",
                                        "lone/group/.zgroup",
                                        "g-b/0.0.0"};
    static const char *const absent[] = {"g/.zattrs", "g/a/0.1", "empty/0.0", "zarr.json",
                                         "g-b/.zattrs"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        must(is_there(&store, EPOCH + 1, there[i]), "%s", there[i]);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        must(!is_there(&store, EPOCH + 1, absent[i]), "%s", absent[i]);
    must_contain(&store, EPOCH + 1, ".zattrs", "{\"title\":\"x\",\"untorn\":{\"uuid\":");
    must_contain(&store, EPOCH + 1, "g/a/.zattrs", "{\"units\":\"m\"}");
    static const char *const consolidated[] = {"\".zgroup\":{",
                                               "\".zattrs\":{\"title\":\"x\"",
                                               "\"g/a/.zarray\":{",
                                               "\"g/a/.zattrs\":{\"units\":\"m\"}",
                                               "\"g/.zgroup\":{",
                                               "\"g/h/deep/.zgroup\":{",
                                               "\"lone/.zgroup\":{",
                                               "\"scalar/.zarray\":{",
                                               "\"g/h/deep/a-b/.zarray\":{"};
    for (size_t i = 0; i < sizeof consolidated / sizeof *consolidated; i++)
        must_contain(&store, EPOCH + 1, ".zmetadata", consolidated[i]);
    ut_store_close(&store);
}

static void a_snapshot_of_format_3_comes_back(void **state) {
    (void)state;
    ut_store store;
    open_store(&store);
    must_ok(write_new(&store, EPOCH + 1, UT_ZARR_V3, false));
    must_be_whole(&store, EPOCH + 1, false);
    must(!is_there(&store, EPOCH + 1, ".zgroup"), "no files of format 2");
    must_contain(&store, EPOCH + 1, "g/zarr.json", "\"node_type\":\"group\"");
    static const char *const root[] = {"\"title\":\"x\"", "\"untorn\":{\"uuid\"",
                                       "\"g/a\":{\"zarr_format\":3,\"node_type\":\"array\"",
                                       "\"lone/group\":{", "\"scalar\":{"};
    for (size_t i = 0; i < sizeof root / sizeof *root; i++)
        must_contain(&store, EPOCH + 1, "zarr.json", root[i]);
    ut_store_close(&store);
}

static void an_export_has_real_directories(void **state) {
    (void)state;
    for (ut_zarr_format format = UT_ZARR_V2; format <= UT_ZARR_V3; format++) {
        ut_store store;
        open_store(&store);
        must_ok(write_new(&store, EPOCH + 1, format, true));
        must_be_whole(&store, EPOCH + 1, true);
        char path[UT_STORE_PATH_MAX];
        must_ok(ut_store_path(&store, path, "arrays"));
        must(rmdir(path) == 0, "arrays/ is empty: %s", strerror(errno));
        ut_store_view *view = NULL;
        ut_manifest_object object;
        ut_stored_array *stored = NULL;
        must_ok(ut_store_view_open(&store, EPOCH + 1, &view));
        must(ut_manifest_find_object(&view->manifest, "g/a", &object), "g/a");
        must(object.directory[0] == '\0', "%s", object.directory);
        // What lies in a snapshot goes with it, so nothing may link to it.
        must_ok(ut_stored_array_open(view, &object, &stored));
        ut_snapshot_head head = head_of(EPOCH + 2, format, false);
        ut_snapshot_writer *writer = NULL;
        must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
        must_say(UNTORN_E_STATE, "g/a", ut_snapshot_writer_link_array(writer, stored, &object));
        ut_snapshot_writer_abandon(writer);
        ut_stored_array_close(stored);
        ut_store_view_close(view);
        ut_store_close(&store);
    }
}

static uint64_t inode(const ut_store *store, uint64_t commit, const char *name) {
    char path[UT_STORE_PATH_MAX];
    struct stat what;
    must_ok(ut_store_path(store, path, "snapshots/%" PRIu64 "/%s", commit, name));
    must(stat(path, &what) == 0, "%s", path);
    return (uint64_t)what.st_ino;
}

static void what_did_not_change_is_linked(void **state) {
    (void)state;
    for (ut_zarr_format format = UT_ZARR_V2; format <= UT_ZARR_V3; format++) {
        ut_store store;
        ut_store_view *view = NULL;
        open_store(&store);
        must_ok(write_new(&store, EPOCH + 1, format, false));
        char *before =
            read_text(&store, EPOCH + 1, format == UT_ZARR_V2 ? ".zmetadata" : "zarr.json");
        for (uint64_t commit = EPOCH + 2; commit < EPOCH + 4; commit++) {
            earlier previous;
            open_earlier(&store, commit - 1, &previous);
            must_ok(write_next(&store, commit, &previous));
            close_earlier(&previous);
            must_be_latest(&store, commit);
            for (uint64_t c = EPOCH + 1; c <= commit; c++)
                must_be_whole(&store, c, false);
            must(inode(&store, commit, "g-b") == inode(&store, EPOCH + 1, "g-b"), "array");
            must(inode(&store, commit, "g/a") != inode(&store, commit - 1, "g/a"), "new array");
            must(inode(&store, commit, "g/a/1.1") == inode(&store, EPOCH + 1, "g/a/1.1"), "chunk");
            must(inode(&store, commit, "g/a/0.0") != inode(&store, commit - 1, "g/a/0.0"),
                 "new chunk");
        }
        // Nothing that consolidated metadata say has changed, but for the root's stamp.
        char *after =
            read_text(&store, EPOCH + 3, format == UT_ZARR_V2 ? ".zmetadata" : "zarr.json");
        size_t length = strlen(before);
        must(length == strlen(after), "lengths of %s and %s", before, after);
        size_t different = 0;
        for (size_t i = 0; i < length; i++)
            different += before[i] != after[i];
        must(different == 1, "%s is not %s", before, after);
        free(before);
        free(after);
        // The other format has other metadata in the array's directory.
        ut_manifest_object object;
        ut_stored_array *stored = NULL;
        must_ok(ut_store_view_open(&store, EPOCH + 3, &view));
        must(ut_manifest_find_object(&view->manifest, "g-b", &object), "g-b");
        must_ok(ut_stored_array_open(view, &object, &stored));
        ut_snapshot_head head =
            head_of(EPOCH + 9, format == UT_ZARR_V2 ? UT_ZARR_V3 : UT_ZARR_V2, 0);
        ut_snapshot_writer *writer = NULL;
        must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
        must_say(UNTORN_E_STATE, "g-b", ut_snapshot_writer_link_array(writer, stored, &object));
        ut_snapshot_writer_abandon(writer);
        ut_stored_array_close(stored);
        ut_store_view_close(view);
        ut_store_close(&store);
    }
}

static void refused_links_are_copied(void **state) {
    (void)state;
    ut_store store;
    earlier previous;
    open_store(&store);
    must_ok(write_new(&store, EPOCH + 1, UT_ZARR_V2, false));
    open_earlier(&store, EPOCH + 1, &previous);
    failing_files_begin((failing_plan){.at = -1});
    failing_files_refuse_links(EMLINK);
    untorn_status status = write_next(&store, EPOCH + 2, &previous);
    failing_files_refuse_links(0);
    failing_files_end(NULL);
    close_earlier(&previous);
    must_ok(status);
    must(inode(&store, EPOCH + 2, "g/a/1.1") != inode(&store, EPOCH + 1, "g/a/1.1"), "a copy");
    must_be_whole(&store, EPOCH + 1, false);
    must_be_whole(&store, EPOCH + 2, false);
    ut_store_close(&store);
}

static void wrong_snapshots_are_refused_and_leave_nothing(void **state) {
    (void)state;
    ut_store store;
    open_store(&store);
    must_ok(write_new(&store, EPOCH + 5, UT_ZARR_V2, false));
    uint64_t before = listing(&store);
    must_say(UNTORN_E_STATE, "already", write_new(&store, EPOCH + 5, UT_ZARR_V2, false));
    must(listing(&store) == before, "after one that is there");
    // One of this commit that comes into being meanwhile.
    ut_snapshot_head head = head_of(EPOCH + 6, UT_ZARR_V2, false);
    ut_snapshot_writer *writer = NULL;
    must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
    must_ok(write_array(writer, &samples[0], EPOCH + 6, NULL));
    must_ok(write_new(&store, EPOCH + 6, UT_ZARR_V2, false));
    before = listing(&store);
    ut_array_writer *array = NULL;
    ut_definition *definition = define(&samples[1]);
    ut_manifest_array array_head = {.generation = 1, .commit = 1, .data_commit = 1};
    must_ok(ut_array_writer_begin(writer, &array_head, definition, NULL, NULL, &array));
    must_be(UNTORN_E_ARGUMENT, ut_array_writer_file(array, 1, "x", 1));
    must_ok(ut_array_writer_file(array, 0, "x", 1));
    ut_array_writer_abandon(array);
    ut_definition_drop(definition);
    must_say(UNTORN_E_STATE, "already", ut_snapshot_writer_publish(writer));
    must(listing(&store) != before, "what the refused one wrote before the listing is gone");
    must_be_latest(&store, EPOCH + 6);
    must_be_whole(&store, EPOCH + 6, false);
    before = listing(&store);
    // The same name twice; a name below an array.
    static const sample below = {"scalar/x", 20, 0, {0}, {0}, NULL};
    const sample *second[] = {&samples[1], &below};
    for (size_t i = 0; i < 2; i++) {
        head = head_of(EPOCH + 7, UT_ZARR_V2, false);
        must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
        must_ok(write_array(writer, &samples[1], EPOCH + 7, NULL));
        must_ok(write_array(writer, second[i], EPOCH + 7, NULL));
        must_say(UNTORN_E_ARGUMENT, "scalar", ut_snapshot_writer_publish(writer));
        must(listing(&store) == before, "after a wrong one");
    }
    ut_snapshot_writer_abandon(NULL);
    ut_store_close(&store);
}

static void an_empty_snapshot_is_one(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view = NULL;
    open_store(&store);
    ut_snapshot_head head = head_of(EPOCH + 1, UT_ZARR_V2, false);
    ut_snapshot_writer *writer = NULL;
    must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
    must_ok(ut_snapshot_writer_publish(writer));
    must_ok(ut_store_view_open(&store, EPOCH + 1, &view));
    must(view->manifest.count == 0, "objects");
    must_contain(&store, EPOCH + 1, ".zattrs", "untorn");
    ut_store_view_close(view);
    ut_store_close(&store);
}

struct part {
    ut_array_writer *array;
    uint64_t first, step, count;
};
static void *write_part(void *context) {
    struct part *part = context;
    for (uint64_t i = part->first; i < part->count; i += part->step) {
        unsigned char byte = (unsigned char)i;
        must_ok(ut_array_writer_file(part->array, i, &byte, 1));
    }
    return NULL;
}

static void several_threads_write_chunk_files(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view = NULL;
    open_store(&store);
    const sample wide = {"wide", 30, 1, {400}, {1}, NULL};
    ut_snapshot_head head = head_of(EPOCH + 1, UT_ZARR_V2, false);
    ut_snapshot_writer *writer = NULL;
    ut_array_writer *array = NULL;
    ut_definition *definition = define(&wide);
    ut_manifest_array array_head = {
        .generation = 1, .commit = EPOCH + 1, .data_commit = EPOCH + 1, .time = 1};
    must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
    must_ok(ut_array_writer_begin(writer, &array_head, definition, wide.shape, NULL, &array));
    pthread_t threads[4];
    struct part parts[4];
    for (unsigned t = 0; t < 4; t++) {
        parts[t] = (struct part){array, t, 4, 400};
        must(pthread_create(&threads[t], NULL, write_part, &parts[t]) == 0, "thread");
    }
    for (uint64_t i = 0; i < 400; i++) {
        unsigned char byte = (unsigned char)i;
        must_ok(ut_array_writer_record(array, i, EPOCH + 1, wide.chunks, 1, ut_hash(&byte, 1)));
    }
    for (unsigned t = 0; t < 4; t++)
        pthread_join(threads[t], NULL);
    must_ok(ut_array_writer_end(array));
    must_ok(ut_snapshot_writer_publish(writer));
    ut_definition_drop(definition);
    must_ok(ut_store_view_open(&store, EPOCH + 1, &view));
    ut_manifest_object object;
    ut_stored_array *stored = NULL;
    must(ut_manifest_find_object(&view->manifest, "wide", &object), "wide");
    must_ok(ut_stored_array_open(view, &object, &stored));
    for (uint64_t i = 0; i < 400; i++) {
        unsigned char byte;
        ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
        must_ok(ut_stored_chunk_read(stored, ut_manifest_chunk_at(&stored->manifest, i), &byte,
                                     &scratch));
        must(byte == (unsigned char)i, "chunk %" PRIu64, i);
        ut_codec_scratch_free(&scratch);
    }
    ut_stored_array_close(stored);
    ut_store_view_close(view);
    ut_store_close(&store);
}

// In descending order, with groups that only their names imply.
static void many_arrays_are_one_snapshot(void **state) {
    (void)state;
    ut_store store;
    ut_store_view *view = NULL;
    open_store(&store);
    must_ok(write_new(&store, EPOCH + 1, UT_ZARR_V2, false));
    must_ok(ut_store_view_open(&store, EPOCH + 1, &view));
    ut_manifest_object object;
    ut_stored_array *stored = NULL;
    must(ut_manifest_find_object(&view->manifest, "scalar", &object), "scalar");
    must_ok(ut_stored_array_open(view, &object, &stored));
    ut_snapshot_head head = head_of(EPOCH + 2, UT_ZARR_V2, false);
    ut_snapshot_writer *writer = NULL;
    must_ok(ut_snapshot_writer_begin(&store, &head, &writer));
    unsigned count = (unsigned)test_count(2000);
    for (unsigned i = count; i-- > 0;) {
        char name[64];
        snprintf(name, sizeof name, "g%u/h%u/a%u", i % 10, i % 50, i);
        object.name = name;
        object.uid = 100 + i;
        must_ok(ut_snapshot_writer_link_array(writer, stored, &object));
    }
    must_ok(ut_snapshot_writer_publish(writer));
    ut_stored_array_close(stored);
    ut_store_view_close(view);
    must_ok(ut_store_view_open(&store, EPOCH + 2, &view));
    must(view->manifest.count == count, "%" PRIu64 " objects", view->manifest.count);
    must(is_there(&store, EPOCH + 2, "g7/h7/a7/.zarray"), "an array");
    must(is_there(&store, EPOCH + 2, "g7/h7/.zgroup"), "a group");
    ut_store_view_close(view);
    ut_store_close(&store);
}

// ------------------------------------------------------------ failures

// Thousands of snapshots, none of which needs a disk.
static void open_store_in_memory(ut_store *store) {
    open_store_in(store, test_directory_in_memory("snapshots"));
}

static void P9_flush_that_fails_leaves_the_store_as_it_was(void **state) {
    (void)state;
    static const int errors[] = {ENOSPC, EIO};
    for (ut_zarr_format format = UT_ZARR_V2; format <= UT_ZARR_V3; format++) {
        ut_store store;
        earlier previous;
        open_store_in_memory(&store);
        must_ok(write_new(&store, EPOCH + 1, format, false));
        open_earlier(&store, EPOCH + 1, &previous);
        uint64_t before = listing(&store), commit = EPOCH + 1;
        unsigned descriptors = failing_files_open();
        for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
            long failed = 1, at = 0;
            for (; failed > 0; at++) {
                failing_files_begin((failing_plan){.at = at, .error = errors[k]});
                untorn_status status = write_next(&store, commit + 1, &previous);
                failing_files_end(&failed);
                must(failing_files_open() == descriptors, "descriptors after call %ld", at);
                if (status == UNTORN_OK) { // what failed did not matter, or nothing failed
                    must_be_latest(&store, ++commit);
                    must_be_whole(&store, commit, false);
                    before = listing(&store);
                    continue;
                }
                must(status == (errors[k] == EIO ? UNTORN_E_SYSTEM : UNTORN_E_NO_SPACE), "%d: %s",
                     (int)status, untorn_message());
                must(strstr(untorn_message(), strerror(errors[k])) != NULL, "call %ld: \"%s\"", at,
                     untorn_message());
                must(listing(&store) == before, "call %ld: %s: left or missing", at,
                     untorn_message());
                must_be_latest(&store, commit);
            }
            must(at > 60, "%ld calls", at);
        }
        must_be_whole(&store, EPOCH + 1, false);
        close_earlier(&previous);
        ut_store_close(&store);
    }
}

static void P9_first_flush_that_fails_leaves_an_empty_store(void **state) {
    (void)state;
    for (int real = 0; real < 2; real++) {
        ut_store store;
        open_store_in_memory(&store);
        uint64_t before = listing(&store);
        long failed = 1;
        for (long at = 0;; at++) {
            failing_files_begin((failing_plan){.at = at, .error = EIO});
            untorn_status status = write_new(&store, EPOCH + 1, UT_ZARR_V2, real);
            failing_files_end(&failed);
            if (status == UNTORN_OK && failed == 0)
                break;
            if (status == UNTORN_OK) {
                // A close of what was only read; begin anew.
                must_be_whole(&store, EPOCH + 1, real);
                ut_store_close(&store);
                open_store_in_memory(&store);
                before = listing(&store);
                continue;
            }
            must(listing(&store) == before, "call %ld: %s: something is left", at,
                 untorn_message());
        }
        must_be_whole(&store, EPOCH + 1, real);
        ut_store_close(&store);
    }
}

static void interruptions_and_short_writes_are_gone_on_with(void **state) {
    (void)state;
    ut_store store;
    earlier previous;
    open_store_in_memory(&store);
    must_ok(write_new(&store, EPOCH + 1, UT_ZARR_V2, false));
    open_earlier(&store, EPOCH + 1, &previous);
    uint64_t commit = EPOCH + 1;
    for (int error = 0; error <= EINTR; error += EINTR) {
        long count = 1;
        for (long at = 0; at < count; at++) {
            failing_files_begin((failing_plan){.at = at, .error = error});
            untorn_status status = write_next(&store, ++commit, &previous);
            count = failing_files_end(NULL);
            must(status == UNTORN_OK, "call %ld: %s", at, untorn_message());
            must_be_latest(&store, commit);
            must_be_whole(&store, commit, false);
        }
    }
    close_earlier(&previous);
    ut_store_close(&store);
}

// From some call on nothing that takes space works, so what was begun cannot always be taken back:
// but `latest` names a whole snapshot, and the one before stands.
static void P9_disk_that_stays_full_leaves_whole_snapshots(void **state) {
    (void)state;
    ut_store store;
    earlier previous;
    open_store_in_memory(&store);
    must_ok(write_new(&store, EPOCH + 1, UT_ZARR_V2, false));
    open_earlier(&store, EPOCH + 1, &previous);
    uint64_t commit = EPOCH + 1;
    long failed = 1;
    for (long at = 0; failed > 0; at++) {
        failing_files_begin((failing_plan){.at = at, .error = ENOSPC, .for_ever = true});
        untorn_status status = write_next(&store, commit + 1, &previous);
        failing_files_end(&failed);
        uint64_t latest = 0;
        must_ok(ut_store_latest(&store, &latest));
        must(latest == commit || latest == commit + 1, "latest");
        must(status != UNTORN_OK || latest == commit + 1, "published");
        must_be_whole(&store, commit, false);
        must_be_whole(&store, latest, false);
        if (latest == commit + 1 || is_there(&store, commit + 1, ".manifest")) {
            must_be_whole(&store, commit + 1, false);
            must_ok(ut_store_set_latest(&store, ++commit));
        }
    }
    close_earlier(&previous);
    ut_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_of_format_2_comes_back),
        cmocka_unit_test(a_snapshot_of_format_3_comes_back),
        cmocka_unit_test(an_export_has_real_directories),
        cmocka_unit_test(what_did_not_change_is_linked),
        cmocka_unit_test(refused_links_are_copied),
        cmocka_unit_test(wrong_snapshots_are_refused_and_leave_nothing),
        cmocka_unit_test(an_empty_snapshot_is_one),
        cmocka_unit_test(several_threads_write_chunk_files),
        cmocka_unit_test(many_arrays_are_one_snapshot),
        cmocka_unit_test(P9_flush_that_fails_leaves_the_store_as_it_was),
        cmocka_unit_test(P9_first_flush_that_fails_leaves_an_empty_store),
        cmocka_unit_test(interruptions_and_short_writes_are_gone_on_with),
        cmocka_unit_test(P9_disk_that_stays_full_leaves_whole_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
