// SPDX-License-Identifier: MIT
/*
 * Reading a store snapshot.
 *
 * A manifest is checked in this order: that it is a regular file; its length, where the snapshot's
 * manifest gives that; its own content; that it is the one that was meant.  Small ones are read
 * into memory, for a mapping of a file that somebody cuts short while it is in use ends in SIGBUS;
 * large ones are mapped all the same, since their records are looked up here and there only.
 *
 * A chunk file is read into memory of its own before its hash is taken: what was hashed is what is
 * decoded, whatever happens to the file meanwhile.
 */
#include "store/store_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "array/box.h"
#include "base/file_ops.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/stored_file.h"
#include "store/zarr_metadata.h"

#define MAP_FROM ((size_t)16 << 20) /* bytes from which a manifest is mapped */

__attribute__((format(printf, 2, 3))) static untorn_status make_path(char path[UT_STORE_PATH_MAX],
                                                                     const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(path, UT_STORE_PATH_MAX, format, arguments);
    va_end(arguments);
    if (n < 0 || n >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%.200s...\": the path is too long", path);
    return UNTORN_OK;
}

/* ------------------------------------------------------------ manifests */

static void release(void *mapping, size_t n) {
    if (n >= MAP_FROM)
        munmap(mapping, n);
    else
        free(mapping);
}

static untorn_status bring_in(int fd, const char *path, size_t n, void **mapping) {
    if (n >= MAP_FROM) {
        void *at = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED)
            return ut_fail_errno(errno == ENOMEM ? UNTORN_E_NO_MEMORY : UNTORN_E_SYSTEM, errno,
                                 "\"%s\": cannot be mapped", path);
        *mapping = at;
        return UNTORN_OK;
    }
    void *memory = malloc(n > 0 ? n : 1);
    if (memory == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "\"%s\": out of memory", path);
    untorn_status status = ut_stored_file_read(fd, path, memory, n);
    if (status != UNTORN_OK)
        free(memory);
    else
        *mapping = memory;
    return status;
}

/* The manifest in `directory`; expected: its length, 0 if that is not known. */
static untorn_status load(const char *directory, uint64_t expected, char path[UT_STORE_PATH_MAX],
                          void **mapping, size_t *mapped) {
    int fd;
    struct stat stat;
    untorn_status status = ut_stored_directory_check(directory);
    if (status == UNTORN_OK)
        status = make_path(path, "%s/.manifest", directory);
    if (status != UNTORN_OK)
        return status;
    status = ut_stored_file_open(path, &fd, &stat);
    /* Directories come and go whole, by renaming. */
    if (status == UNTORN_E_ABSENT && ut_stored_directory_check(directory) == UNTORN_OK)
        return ut_fail(UNTORN_E_CORRUPT, "\"%s\": is not there", path);
    if (status != UNTORN_OK)
        return status;
    uint64_t bytes = (uint64_t)stat.st_size;
    if (expected != 0 && bytes != expected)
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": has %" PRIu64 " bytes instead of %" PRIu64,
                         path, bytes, expected);
    else
        status = bring_in(fd, path, (size_t)bytes, mapping);
    ut_files->close(fd);
    *mapped = (size_t)bytes;
    return status;
}

/* ------------------------------------------------------------ the snapshot */

untorn_status ut_store_view_open(const ut_store *store, uint64_t commit, ut_store_view **out) {
    ut_store_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", store->who);
    char path[UT_STORE_PATH_MAX];
    snprintf(view->store_path, sizeof view->store_path, "%s", store->path);
    /* Cut if need be: messages give the whole path, too. */
    int cut =
        snprintf(view->who, sizeof view->who, "%.200s: snapshot %" PRIu64, store->who, commit);
    (void)cut;
    untorn_status status = make_path(view->path, "%s/snapshots/%" PRIu64, store->path, commit);
    if (status == UNTORN_OK)
        status = load(view->path, 0, path, &view->mapping, &view->mapped);
    if (status != UNTORN_OK)
        goto free_view;
    status = ut_manifest_open_snapshot(view->mapping, view->mapped, &view->manifest);
    if (status != UNTORN_OK) {
        status = ut_fail(status, "\"%s\": %s", path, untorn_message());
        goto release_mapping;
    }
    if (view->manifest.commit != commit) {
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": is the manifest of commit %" PRIu64, path,
                         view->manifest.commit);
        goto close_manifest;
    }
    *out = view;
    return UNTORN_OK;
close_manifest:
    ut_manifest_close_snapshot(&view->manifest);
release_mapping:
    release(view->mapping, view->mapped);
free_view:
    free(view);
    return status;
}

void ut_store_view_close(ut_store_view *view) {
    if (view == NULL)
        return;
    ut_manifest_close_snapshot(&view->manifest);
    release(view->mapping, view->mapped);
    free(view);
}

/* ------------------------------------------------------------ an array */

static const char *not_the_one(const ut_store_view *view, const ut_manifest_object *object,
                               const ut_manifest_array *manifest) {
    if (manifest->uuid[0] != view->manifest.uuid[0] || manifest->uuid[1] != view->manifest.uuid[1])
        return "it is another store's";
    if (manifest->uid != object->uid)
        return "its uid is another array's";
    if (strcmp(manifest->definition->name, object->name) != 0)
        return "its name is another array's";
    if (manifest->file_hash != object->file_hash)
        return "its hash is not the one that the snapshot's manifest gives";
    return NULL;
}

untorn_status ut_stored_array_open(const ut_store_view *view, const ut_manifest_object *object,
                                   ut_stored_array **out) {
    ut_stored_array *array = calloc(1, sizeof *array);
    if (array == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", view->who);
    char path[UT_STORE_PATH_MAX];
    int cut =
        snprintf(array->who, sizeof array->who, "%.200s: array \"%s\"", view->who, object->name);
    (void)cut;
    bool linked = object->directory[0] != '\0';
    untorn_status status =
        linked ? make_path(array->path, "%s/arrays/%s", view->store_path, object->directory)
               : make_path(array->path, "%s/%s", view->path, object->name);
    if (status == UNTORN_OK)
        status = load(array->path, object->file_bytes, path, &array->mapping, &array->mapped);
    if (status != UNTORN_OK)
        goto free_array;
    status = ut_manifest_open_array(array->mapping, array->mapped, &array->manifest);
    if (status != UNTORN_OK) {
        status = ut_fail(status, "\"%s\": %s", path, untorn_message());
        goto release_mapping;
    }
    const char *wrong = not_the_one(view, object, &array->manifest);
    if (wrong != NULL) {
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": %s", path, wrong);
        goto close_manifest;
    }
    status = ut_codec_parse(array->manifest.definition->codec, &array->codec);
    if (status != UNTORN_OK)
        goto close_manifest;
    *out = array;
    return UNTORN_OK;
close_manifest:
    ut_manifest_close_array(&array->manifest);
release_mapping:
    release(array->mapping, array->mapped);
free_array:
    free(array);
    return status;
}

void ut_stored_array_close(ut_stored_array *array) {
    if (array == NULL)
        return;
    ut_manifest_close_array(&array->manifest);
    release(array->mapping, array->mapped);
    free(array);
}

/* ------------------------------------------------------------ a chunk */

untorn_status ut_stored_chunk_path(const ut_stored_array *array, uint64_t number,
                                   char path[UT_STORE_PATH_MAX]) {
    char key[UT_ZARR_KEY_BYTES];
    ut_zarr_chunk_key(array->manifest.rank, array->manifest.cells, number, key);
    return make_path(path, "%s/%s", array->path, key);
}

/* A chunk's record, out of a mapping that might be a file's that somebody is changing. */
typedef struct record {
    uint64_t number, bytes, hash;
    uint64_t extent[UNTORN_MAX_RANK];
} record;

static bool take_record(const ut_stored_array *array, const ut_manifest_chunk *chunk,
                        record *taken) {
    const ut_definition *definition = array->manifest.definition;
    taken->number = chunk->number;
    taken->bytes = chunk->bytes;
    taken->hash = chunk->hash;
    if (taken->bytes > ut_codec_bound(array->codec, definition->slot_bytes) ||
        (array->codec == UT_CODEC_NONE && taken->bytes != definition->slot_bytes))
        return false;
    for (unsigned i = 0; i < array->manifest.rank; i++) {
        taken->extent[i] = chunk->extent[i];
        if (taken->extent[i] > definition->chunks[i])
            return false;
    }
    return true;
}

/* A chunk file's bytes, of the length that the record gives. */
static untorn_status read_file(const char *path, const record *chunk, void *to) {
    int fd;
    struct stat stat;
    untorn_status status = ut_stored_file_open(path, &fd, &stat);
    if (status != UNTORN_OK)
        return status;
    if ((uint64_t)stat.st_size != chunk->bytes)
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": has %" PRIu64 " bytes instead of %" PRIu64,
                         path, (uint64_t)stat.st_size, chunk->bytes);
    else
        status = ut_stored_file_read(fd, path, to, (size_t)chunk->bytes);
    ut_files->close(fd);
    if (status == UNTORN_OK && ut_hash(to, (size_t)chunk->bytes) != chunk->hash)
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": its content is not what was written", path);
    return status;
}

static untorn_status read_encoded(const ut_stored_array *array, const char *path,
                                  const record *chunk, void *out, ut_codec_scratch *scratch) {
    void *encoded = malloc((size_t)chunk->bytes);
    if (encoded == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "\"%s\": out of memory", path);
    untorn_status status = read_file(path, chunk, encoded);
    if (status == UNTORN_OK) {
        status = ut_codec_decode(array->codec, encoded, (size_t)chunk->bytes, out,
                                 (size_t)array->manifest.definition->slot_bytes, scratch);
        if (status != UNTORN_OK)
            status = ut_fail(status == UNTORN_E_NO_MEMORY ? status : UNTORN_E_CORRUPT, "\"%s\": %s",
                             path, untorn_message());
    }
    free(encoded);
    return status;
}

/* Along each axis in turn, what lies beyond the extent there and within it along those before. */
static void fill_beyond(const ut_definition *definition, const uint64_t *extent, void *out) {
    int64_t strides[UNTORN_MAX_RANK];
    uint64_t count[UNTORN_MAX_RANK];
    size_t itemsize = definition->dtype.itemsize;
    ut_c_strides(definition->rank, itemsize, definition->chunks, strides);
    memcpy(count, definition->chunks, sizeof count);
    for (unsigned axis = 0; axis < definition->rank; axis++) {
        count[axis] = definition->chunks[axis] - extent[axis];
        if (count[axis] > 0)
            ut_box_fill(definition->rank, itemsize, count,
                        (char *)out + (int64_t)extent[axis] * strides[axis], strides,
                        definition->fill_is_zero ? NULL : definition->fill);
        count[axis] = extent[axis];
    }
}

untorn_status ut_stored_chunk_read(const ut_stored_array *array, const ut_manifest_chunk *chunk,
                                   void *out, ut_codec_scratch *scratch) {
    record taken;
    if (!take_record(array, chunk, &taken))
        return ut_fail(UNTORN_E_CORRUPT, "\"%s/.manifest\": was changed", array->path);
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_stored_chunk_path(array, taken.number, path);
    if (status != UNTORN_OK)
        return status;
    /* Without a codec the file is the chunk. */
    status = array->codec == UT_CODEC_NONE ? read_file(path, &taken, out)
                                           : read_encoded(array, path, &taken, out, scratch);
    if (status == UNTORN_OK)
        fill_beyond(array->manifest.definition, taken.extent, out);
    return status;
}
