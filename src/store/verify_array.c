// SPDX-License-Identifier: MIT
// Verifying a store's arrays: the link in the snapshot, the manifest, the metadata files, and that
// every chunk file is what its record says and decodes.
#include "store/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_ops.h"
#include "store/stored_file.h"

/* ------------------------------------------------------------ chunks */

/* Whether the file is one that was met under another name with the same record. */
static untorn_status is_met(ut_verify *verify, const char *path, const ut_manifest_chunk *chunk,
                            bool *met) {
    struct stat stat;
    *met = false;
    if (ut_files->lstat(path, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_nlink < 2)
        return UNTORN_OK;
    uint64_t key[] = {(uint64_t)stat.st_dev, (uint64_t)stat.st_ino, chunk->bytes, chunk->hash};
    bool added;
    untorn_status status = ut_key_set_add(&verify->files, key, sizeof key, &added);
    *met = status == UNTORN_OK && !added;
    return status;
}

static untorn_status verify_chunk(ut_verify_snapshot *s, const ut_stored_array *array,
                                  const ut_manifest_chunk *chunk) {
    ut_verify *verify = s->verify;
    char path[UT_STORE_PATH_MAX];
    bool met = false;
    untorn_status status = ut_stored_chunk_path(array, chunk->number, path);
    if (status == UNTORN_OK)
        status = is_met(verify, path, chunk, &met);
    if (status != UNTORN_OK)
        return status;
    if (!met) {
        verify->result.chunks++;
        verify->result.bytes += chunk->bytes;
        status =
            ut_verify_note(s, ut_stored_chunk_read(array, chunk, verify->chunk, &verify->scratch));
    }
    ut_verify_progress(verify, chunk->bytes);
    return status;
}

static untorn_status verify_chunks(ut_verify_snapshot *s, const ut_stored_array *array) {
    ut_verify *verify = s->verify;
    uint64_t bytes = array->manifest.definition->slot_bytes;
    if (array->manifest.count > 0 && verify->chunk_bytes < bytes) {
        free(verify->chunk);
        verify->chunk_bytes = 0;
        verify->chunk = malloc((size_t)bytes);
        if (verify->chunk == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for a chunk of %" PRIu64 " bytes",
                           array->who, bytes);
        verify->chunk_bytes = (size_t)bytes;
    }
    untorn_status status = UNTORN_OK;
    for (uint64_t i = 0; i < array->manifest.count && status == UNTORN_OK; i++)
        status = verify_chunk(s, array, ut_manifest_chunk_at(&array->manifest, i));
    return status;
}

/* ------------------------------------------------------------ an array that was not met before */

static untorn_status verify_texts(ut_verify_snapshot *s, const ut_stored_array *array,
                                  ut_verify_texts *texts) {
    const ut_manifest_array *m = &array->manifest;
    ut_zarr_format format = m->zarr_format == 3 ? UT_ZARR_V3 : UT_ZARR_V2;
    untorn_status status = ut_snapshot_array_texts(format, m->definition, m->shape, m->attributes,
                                                   &texts->metadata, &texts->zattrs);
    if (status == UNTORN_E_NO_MEMORY)
        return status;
    if (status != UNTORN_OK) { /* nothing of ours wrote that */
        ut_fail(UNTORN_E_CORRUPT, "\"%s/.manifest\": %s", array->path, untorn_message());
        ut_verify_damaged(s->verify);
        return UNTORN_OK;
    }
    texts->format = m->zarr_format;
    status = ut_verify_text(s, array->path, format == UT_ZARR_V3 ? "zarr.json" : ".zarray",
                            texts->metadata, strlen(texts->metadata));
    if (status == UNTORN_OK && texts->zattrs != NULL)
        status = ut_verify_text(s, array->path, ".zattrs", texts->zattrs, strlen(texts->zattrs));
    return status;
}

static untorn_status verify_files(ut_verify_snapshot *s, const ut_manifest_object *object,
                                  ut_verify_texts *texts) {
    ut_stored_array *array;
    s->verify->result.arrays++;
    untorn_status status = ut_stored_array_open(s->view, object, &array);
    if (status != UNTORN_OK)
        return ut_verify_note(s, status);
    s->verify->result.bytes += array->manifest.file_bytes;
    ut_verify_progress(s->verify, array->manifest.file_bytes);
    status = verify_texts(s, array, texts);
    if (status == UNTORN_OK)
        status = verify_chunks(s, array);
    ut_stored_array_close(array);
    return status;
}

/* Where the array's texts are kept; *added: it was not met before. */
static untorn_status find_texts(ut_verify_snapshot *s, const ut_manifest_object *object,
                                ut_verify_texts **texts, bool *added) {
    ut_verify *verify = s->verify;
    char key[UT_STORE_PATH_MAX];
    /* In the snapshot itself, a name means that snapshot's. */
    int n = snprintf(key, sizeof key, "%016" PRIx64 " %016" PRIx64 " %s%s%s", object->file_hash,
                     object->uid, object->directory, object->directory[0] != '\0' ? "" : s->path,
                     object->directory[0] != '\0' ? "" : object->name);
    if (n < 0 || n >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s/%s\": the path is too long", s->path, object->name);
    if (verify->arrays.count >= verify->texts_capacity) {
        size_t capacity = 2 * verify->texts_capacity + 64;
        ut_verify_texts *grown = realloc(verify->texts, capacity * sizeof *grown);
        if (grown == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", verify->store.who);
        verify->texts = grown;
        verify->texts_capacity = capacity;
    }
    untorn_status status = ut_key_set_add(&verify->arrays, key, (size_t)n, added);
    if (status != UNTORN_OK)
        return status;
    size_t i = (size_t)(ut_key_set_find(&verify->arrays, key, (size_t)n) - verify->arrays.keys);
    if (*added)
        verify->texts[i] = (ut_verify_texts){.format = 0};
    *texts = &verify->texts[i];
    return UNTORN_OK;
}

/* ------------------------------------------------------------ in the snapshot */

/* What the link of an array of this name has to be: up to the store, and into arrays/. */
static untorn_status check_target(const char *path, const ut_manifest_object *object) {
    char expected[UT_STORE_PATH_MAX], target[UT_STORE_PATH_MAX];
    size_t n = 0;
    n += (size_t)snprintf(expected, sizeof expected, "../..");
    for (const char *slash = strchr(object->name, '/'); slash; slash = strchr(slash + 1, '/'))
        n += (size_t)snprintf(expected + n, sizeof expected - n, "/..");
    snprintf(expected + n, sizeof expected - n, "/arrays/%s", object->directory);
    ssize_t got = ut_files->readlink(path, target, sizeof target - 1);
    if (got < 0)
        return ut_fail_errno(errno == ENOENT ? UNTORN_E_ABSENT : UNTORN_E_CORRUPT, errno,
                             "\"%s\": cannot be read", path);
    target[got] = '\0';
    if (strcmp(target, expected) != 0)
        return ut_fail(UNTORN_E_CORRUPT, "\"%s\": is a link to \"%.1000s\" instead of \"%s\"", path,
                       target, expected);
    return UNTORN_OK;
}

/* A copy that followed links has the array itself in the link's place: then that is what is to be
 * verified, and `object` loses its directory. */
static untorn_status verify_link(ut_verify_snapshot *s, ut_manifest_object *object) {
    char path[UT_STORE_PATH_MAX];
    struct stat stat;
    if (snprintf(path, sizeof path, "%s/%s", s->path, object->name) >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s/%s\": the path is too long", s->path, object->name);
    if (ut_files->lstat(path, &stat) == 0 && !S_ISLNK(stat.st_mode)) {
        untorn_status status = ut_stored_directory_check(path);
        if (status == UNTORN_OK)
            object->directory = "";
        return ut_verify_note(s, status);
    }
    return ut_verify_note(s, check_target(path, object));
}

/* The consolidated metadata has the array's texts, too. */
static untorn_status add_node(ut_verify_snapshot *s, const ut_manifest_object *object,
                              const ut_verify_texts *texts) {
    ut_snapshot_node *node;
    if (texts->format != s->view->manifest.zarr_format) {
        s->nodes_known = false;
        return ut_snapshot_add_node(&s->nodes, object, &node);
    }
    untorn_status status = ut_snapshot_add_node(&s->nodes, object, &node);
    if (status != UNTORN_OK)
        return status;
    node->metadata = strdup(texts->metadata);
    node->attributes = texts->zattrs != NULL ? strdup(texts->zattrs) : NULL;
    if (node->metadata == NULL || (texts->zattrs != NULL && node->attributes == NULL))
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", s->view->who);
    return UNTORN_OK;
}

untorn_status ut_verify_array(ut_verify_snapshot *s, const ut_manifest_object *from) {
    ut_manifest_object object = *from;
    ut_verify_texts *texts;
    bool added;
    untorn_status status = UNTORN_OK;
    if (object.directory[0] != '\0')
        status = verify_link(s, &object);
    if (status == UNTORN_OK)
        status = find_texts(s, &object, &texts, &added);
    if (status == UNTORN_OK && added)
        status = verify_files(s, &object, texts);
    if (status == UNTORN_OK)
        status = add_node(s, &object, texts);
    return status;
}
