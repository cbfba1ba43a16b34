// SPDX-License-Identifier: MIT
/*
 * Recovery: a segment from a store.
 *
 * A power cut leaves snapshots that were published whole, and rubbish without a name.  So a damaged
 * snapshot is a damaged disk, not an unfinished flush: it is told of, and the next older one tried.
 * Whole means all manifests; chunk files are checked when they are read, which keeps the start
 * independent of how much data there is.
 */
#include "store/recovery.h"

#include "array/grid.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "store/durable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether all manifests of the snapshot can be read. */
static untorn_status check_arrays(const ut_store_view *view) {
    for (uint64_t i = 0; i < view->manifest.count; i++) {
        ut_manifest_object object;
        ut_manifest_object_at(&view->manifest, i, &object);
        if (object.kind != UT_KIND_ARRAY)
            continue;
        ut_stored_array *stored;
        untorn_status status = ut_stored_array_open(view, &object, &stored);
        if (status != UNTORN_OK)
            return status;
        ut_stored_array_close(stored);
    }
    return UNTORN_OK;
}

static bool is_damage(untorn_status status) {
    return status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION || status == UNTORN_E_ABSENT;
}

/* Tell that a snapshot is damaged (the message says how), and what is done about it. */
static untorn_status pass_over(const ut_store *store, untorn_notify *notify, void *context,
                               uint64_t commit, bool last) {
    char reason[1024], sentence[1536];
    snprintf(reason, sizeof reason, "%s", untorn_message());
    snprintf(sentence, sizeof sentence, "%s: snapshot %" PRIu64 " is damaged%s: %s", store->who,
             commit, last ? "" : " and passed over, the one before it is taken", reason);
    if (last || notify == NULL)
        return ut_fail(UNTORN_E_CORRUPT, "%s: snapshot %" PRIu64 " is damaged: %s", store->who,
                       commit, reason);
    notify(context, UNTORN_E_CORRUPT, sentence);
    return UNTORN_OK;
}

untorn_status ut_recovery_choose(const ut_store *store, untorn_notify *notify, void *context,
                                 ut_store_view **out) {
    uint64_t *commits;
    size_t count;
    *out = NULL;
    untorn_status status = ut_store_commits(store, &commits, &count);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        ut_store_view *view;
        status = ut_store_view_open(store, commits[i], &view);
        if (status == UNTORN_OK) {
            status = check_arrays(view);
            if (status == UNTORN_OK) {
                *out = view;
                break;
            }
            ut_store_view_close(view);
        }
        if (!is_damage(status))
            break;
        status = pass_over(store, notify, context, commits[i], i + 1 == count);
        if (status != UNTORN_OK)
            break;
    }
    free(commits);
    return status;
}

static untorn_status put_one_aside(const ut_store *store, uint64_t commit) {
    char from[UT_STORE_PATH_MAX], to[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(store, from, "snapshots/%" PRIu64, commit);
    if (status == UNTORN_OK)
        status = ut_store_path(store, to, UT_STORE_ASIDE "/%" PRIu64, commit);
    return status == UNTORN_OK ? ut_durable_rename(store->who, from, to, false) : status;
}

untorn_status ut_recovery_put_aside(const ut_store *store, const uint64_t *commits, size_t count,
                                    uint64_t taken) {
    char aside[UT_STORE_PATH_MAX], snapshots[UT_STORE_PATH_MAX];
    struct stat stat;
    untorn_status status = ut_store_path(store, aside, UT_STORE_ASIDE);
    if (status == UNTORN_OK)
        status = ut_store_path(store, snapshots, "snapshots");
    if (status == UNTORN_OK)
        status = ut_store_set_latest(store, taken);
    if (status == UNTORN_OK && ut_files->lstat(aside, &stat) != 0)
        status = ut_durable_mkdir(store->who, aside);
    for (size_t i = 0; i < count && commits[i] > taken && status == UNTORN_OK; i++)
        status = put_one_aside(store, commits[i]);
    const char *const changed[] = {aside, store->path, snapshots};
    for (size_t i = 0; i < 3 && status == UNTORN_OK; i++)
        status = ut_durable_sync_directory(store->who, changed[i]);
    return status;
}

/* The cell of the table's root: the only chunk's, or that of a subtree which is in the store. */
static ut_place root_of(const ut_manifest_array *manifest) {
    if (manifest->count == 0)
        return (ut_place){0, 0};
    uint64_t cells = ut_product(manifest->rank, manifest->cells);
    if (cells == 1) {
        uint64_t version = ut_manifest_chunk_at(manifest, 0)->version;
        return (ut_place){ut_ref_make(0, UT_REF_EVICTED, version, manifest->uid, 0), version};
    }
    unsigned depth = 1;
    while (depth < UT_MAX_DEPTH && cells > UINT64_C(1) << (depth * UT_NODE_SHIFT))
        depth++;
    uint64_t version = manifest->data_commit;
    return (ut_place){
        ut_ref_make(0, UT_REF_EVICTED | UT_REF_SUBTREE, version, manifest->uid, depth), version};
}

static untorn_status restore_array(untorn_writer *writer, const ut_store_view *view,
                                   const ut_manifest_object *object) {
    ut_stored_array *stored;
    untorn_status status = ut_stored_array_open(view, object, &stored);
    if (status != UNTORN_OK)
        return status;
    const ut_manifest_array *manifest = &stored->manifest;
    ut_restored restored = {.definition = manifest->definition,
                            .shape = manifest->shape,
                            .attributes = manifest->attributes,
                            .generation = object->generation,
                            .data_commit = manifest->data_commit,
                            .root = root_of(manifest)};
    status = ut_writer_restore(writer, &restored);
    ut_stored_array_close(stored);
    return status;
}

static untorn_status restore_group(untorn_writer *writer, const ut_manifest_object *object) {
    ut_definition *definition;
    untorn_status status = ut_definition_make_group(object->name, object->uid, &definition);
    if (status != UNTORN_OK)
        return status;
    ut_restored restored = {.definition = definition,
                            .attributes = object->attributes,
                            .generation = object->generation,
                            .data_commit = object->data_commit};
    status = ut_writer_restore(writer, &restored);
    ut_definition_drop(definition);
    return status;
}

untorn_status ut_recovery_restore(untorn_writer *writer, const ut_store_view *view) {
    for (uint64_t i = 0; i < view->manifest.count; i++) {
        ut_manifest_object object;
        ut_manifest_object_at(&view->manifest, i, &object);
        untorn_status status = object.kind == UT_KIND_ARRAY ? restore_array(writer, view, &object)
                                                            : restore_group(writer, &object);
        if (status != UNTORN_OK)
            return status;
    }
    return untorn_commit(writer, NULL);
}
