// SPDX-License-Identifier: MIT
/*
 * Writing one array of a store snapshot: a directory of its metadata, its manifest and its chunk
 * files, built as STORE/arrays/.tmp-<nonce> and renamed when all in it is synced.
 *
 * An array that goes into the snapshot itself (an export) is built in the same place, and moved
 * when the snapshot is put together: its groups need not be there before.
 *
 * Chunk files are written by many threads at once: all they use of the array is set when it begins,
 * but for the batch of files that wait to be synced, which sees to that itself.
 */
#include "store/snapshot_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array/grid.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "segment/layout.h"
#include "store/durable.h"
#include "store/file_batch.h"

struct ut_array_writer {
    ut_snapshot_writer *writer;
    const char *who;
    ut_manifest_object object; /* but for name, directory and what the manifest's end tells */
    char *name;
    unsigned rank;
    uint64_t cells[UNTORN_MAX_RANK], count;
    uint64_t nonce;
    char path[UT_STORE_PATH_MAX]; /* of the directory */
    size_t path_length;
    ut_file_batch batch;
    char manifest_path[UT_STORE_PATH_MAX]; /* outlives the file, which keeps the pointer */
    ut_durable_file file;                  /* fd < 0: not open */
    ut_manifest_writer *manifest;
    char *metadata, *zattrs;
};

static untorn_status sink(void *context, const void *bytes, size_t n) {
    return ut_durable_add(context, bytes, n);
}

static void free_array(ut_array_writer *array) {
    ut_file_batch_end(&array->batch);
    ut_manifest_abandon(array->manifest);
    ut_durable_abandon(&array->file);
    free(array->name);
    free(array->metadata);
    free(array->zattrs);
    free(array);
}

/* With the message of what went wrong kept. */
static void remove_and_free(ut_array_writer *array) {
    char *message = strdup(untorn_message());
    ut_durable_remove_tree(array->who, array->path);
    if (message != NULL)
        (void)ut_fail(UNTORN_E_SYSTEM, "%s", message);
    free(message);
    free_array(array);
}

static untorn_status begin_manifest(ut_array_writer *array, const ut_manifest_array *from,
                                    const ut_definition *definition, const uint64_t *shape,
                                    const char *attributes) {
    ut_manifest_array head = *from;
    const ut_snapshot_head *snapshot = &array->writer->head;
    memcpy(head.uuid, snapshot->uuid, sizeof head.uuid);
    head.zarr_format = snapshot->format;
    untorn_status status = ut_durable_open(&array->file, array->who, array->manifest_path);
    if (status != UNTORN_OK)
        return status;
    return ut_manifest_begin_array(&array->manifest, &head, definition, shape, attributes, sink,
                                   &array->file);
}

untorn_status ut_array_writer_begin(ut_snapshot_writer *writer, const ut_manifest_array *head,
                                    const ut_definition *definition, const uint64_t *shape,
                                    const char *attributes, ut_array_writer **out) {
    ut_array_writer *array = calloc(1, sizeof *array);
    if (array == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for an array", writer->store->who);
    array->writer = writer;
    array->who = writer->store->who;
    ut_file_batch_begin(&array->batch, array->who);
    array->file.fd = -1;
    array->nonce = ut_store_nonce();
    array->rank = definition->rank;
    array->object = (ut_manifest_object){.kind = UT_KIND_ARRAY,
                                         .uid = definition->uid,
                                         .generation = head->generation,
                                         .commit = head->commit,
                                         .data_commit = head->data_commit,
                                         .time = head->time,
                                         .attributes = ""};
    untorn_status status = UNTORN_E_NO_MEMORY;
    array->name = strdup(definition->name);
    if (array->name == NULL) {
        ut_fail(status, "array \"%s\": out of memory", definition->name);
        goto free_array;
    }
    array->count = ut_grid_cells(array->rank, shape, definition->chunks, array->cells);
    status = ut_snapshot_array_texts(writer->head.format, definition, shape, attributes,
                                     &array->metadata, &array->zattrs);
    if (status == UNTORN_OK)
        status = ut_store_path(writer->store, array->path, "arrays/.tmp-%016" PRIx64, array->nonce);
    if (status == UNTORN_OK)
        status = ut_store_path(writer->store, array->manifest_path,
                               "arrays/.tmp-%016" PRIx64 "/.manifest", array->nonce);
    array->path_length = strlen(array->path);
    if (status == UNTORN_OK)
        status = ut_durable_mkdir(array->who, array->path);
    if (status != UNTORN_OK)
        goto free_array;
    status = begin_manifest(array, head, definition, shape, attributes);
    if (status != UNTORN_OK) {
        remove_and_free(array);
        return status;
    }
    *out = array;
    return UNTORN_OK;
free_array:
    free_array(array);
    return status;
}

/* DIRECTORY/KEY.  There may be very many of them: no printf. */
static untorn_status join(const ut_array_writer *array, const char *directory, size_t length,
                          const char *key, size_t key_length, char path[UT_STORE_PATH_MAX]) {
    if (length + 1 + key_length >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "%s: array \"%s\": the path of chunk %s is too long",
                       array->who, array->name, key);
    memcpy(path, directory, length);
    path[length] = '/';
    memcpy(path + length + 1, key, key_length + 1);
    return UNTORN_OK;
}

static untorn_status chunk_path(const ut_array_writer *array, uint64_t number,
                                char path[UT_STORE_PATH_MAX]) {
    char key[UT_ZARR_KEY_BYTES];
    if (number >= array->count)
        return ut_fail(UNTORN_E_ARGUMENT,
                       "%s: array \"%s\": chunk %" PRIu64 " of %" PRIu64 " cannot be written",
                       array->who, array->name, number, array->count);
    size_t length = ut_zarr_chunk_key(array->rank, array->cells, number, key);
    return join(array, array->path, array->path_length, key, length, path);
}

/* What went wrong with a file whose path tells the chunk, but the array by its number alone. */
static untorn_status file_fail(const ut_array_writer *array, untorn_status status) {
    const char *reason = untorn_message();
    size_t who = strlen(array->who);
    if (strncmp(reason, array->who, who) == 0 && strncmp(reason + who, ": ", 2) == 0)
        reason += who + 2;
    return ut_fail(status, "%s: array \"%.1023s\": %s", array->who, array->name, reason);
}

untorn_status ut_array_writer_file(ut_array_writer *array, uint64_t number, const void *bytes,
                                   size_t n) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = chunk_path(array, number, path);
    if (status != UNTORN_OK)
        return status;
    status = ut_file_batch_write(&array->batch, path, bytes, n);
    return status == UNTORN_OK ? status : file_fail(array, status);
}

/* Whether a chunk's file has the same name there: the first axis' length is not in it. */
static bool same_key(const ut_array_writer *array, uint64_t number, const ut_manifest_array *there,
                     uint64_t number_there) {
    if (number != number_there || array->rank != there->rank)
        return false;
    for (unsigned axis = 1; axis < array->rank; axis++)
        if (array->cells[axis] != there->cells[axis])
            return false;
    return true;
}

untorn_status ut_array_writer_link(ut_array_writer *array, uint64_t number,
                                   const ut_stored_array *stored, const ut_manifest_chunk *chunk) {
    char from[UT_STORE_PATH_MAX], to[UT_STORE_PATH_MAX];
    untorn_status status = chunk_path(array, number, to);
    if (status != UNTORN_OK)
        return status;
    if (same_key(array, number, &stored->manifest, chunk->number)) {
        const char *key = to + array->path_length + 1;
        status = join(array, stored->path, strlen(stored->path), key, strlen(key), from);
    } else {
        status = ut_stored_chunk_path(stored, chunk->number, from);
    }
    return status == UNTORN_OK ? ut_durable_link(array->who, from, to, NULL) : status;
}

untorn_status ut_array_writer_record(ut_array_writer *array, uint64_t number, uint64_t version,
                                     const uint64_t *extent, uint64_t bytes, uint64_t hash) {
    return ut_manifest_add_chunk(array->manifest, number, version, extent, bytes, hash);
}

static untorn_status end_files(ut_array_writer *array) {
    untorn_status status = ut_file_batch_sync(&array->batch);
    if (status != UNTORN_OK)
        return file_fail(array, status);
    ut_manifest_writer *manifest = array->manifest;
    array->manifest = NULL;
    array->object.totals = ut_manifest_written(manifest);
    status = ut_manifest_end(manifest, &array->object.file_bytes, &array->object.file_hash);
    if (status == UNTORN_OK)
        status = ut_durable_finish(&array->file);
    if (status == UNTORN_OK)
        status = ut_snapshot_write_array_texts(array->who, array->writer->head.format, array->path,
                                               array->metadata, array->zattrs);
    if (status == UNTORN_OK && !UT_SEEDED(203))
        status = ut_durable_sync_directory(array->who, array->path);
    return status;
}

/* Into arrays/, and onto the list. */
static untorn_status place(ut_array_writer *array) {
    ut_snapshot_writer *writer = array->writer;
    char made[UT_DIRECTORY_BYTES], path[UT_STORE_PATH_MAX];
    snprintf(made, sizeof made, "%" PRIu64 "-%" PRIu64 "-%016" PRIx64, array->object.uid,
             writer->head.commit, array->nonce);
    array->object.name = array->name;
    array->object.directory = writer->head.real_directories ? "" : made;
    untorn_status status = ut_store_path(writer->store, path, "arrays/%s", made);
    if (status != UNTORN_OK)
        return status;
    ut_snapshot_node *node;
    status = ut_snapshot_add_node(writer, &array->object, &node);
    if (status != UNTORN_OK)
        return status;
    status = ut_durable_rename(array->who, array->path, path, false);
    if (status != UNTORN_OK) {
        ut_snapshot_drop_last_node(writer);
        return status;
    }
    memcpy(node->made, made, sizeof made);
    node->metadata = array->metadata;
    node->attributes = array->zattrs;
    array->metadata = array->zattrs = NULL;
    return UNTORN_OK;
}

untorn_status ut_array_writer_end(ut_array_writer *array) {
    untorn_status status = end_files(array);
    if (status == UNTORN_OK)
        status = place(array);
    if (status == UNTORN_OK)
        free_array(array);
    else
        remove_and_free(array);
    return status;
}

void ut_array_writer_abandon(ut_array_writer *array) {
    if (array != NULL)
        remove_and_free(array);
}
