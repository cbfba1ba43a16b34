// SPDX-License-Identifier: MIT
/*
 * Putting a store snapshot together and publishing it; snapshot_writer.h has the order.
 *
 * The snapshot is built as STORE/snapshots/.tmp-<nonce>, as deep in the store as it will lie, so
 * that its arrays' relative links are right from the begin.
 *
 * What fails is taken back as far as that can be done without harm.  Before the snapshot has its
 * name nothing refers to what was written, and it is removed.  After that a reader or, following a
 * power cut, the disk may know it: `latest` is put back first, then the snapshot renamed, then both
 * synced, and only then is anything removed.  Where one of these fails, the snapshot stays: it is
 * whole, and ut_store_confirm() makes it good when the next flush finds it in its place.
 */
#include "store/snapshot_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "segment/layout.h"
#include "store/durable.h"
#include "store/snapshot_parts.h"

/* ------------------------------------------------------------ gathering */

static untorn_status already_there(const ut_snapshot_writer *writer) {
    return ut_fail(UNTORN_E_STATE, "%s: has a snapshot of commit %" PRIu64 " already",
                   writer->store->who, writer->head.commit);
}

static untorn_status final_path(const ut_snapshot_writer *writer, char path[UT_STORE_PATH_MAX]) {
    return ut_store_path(writer->store, path, "snapshots/%" PRIu64, writer->head.commit);
}

/* 1: a file or directory, 0: nothing, -1: errno. */
static int exists(const char *path) {
    struct stat what;
    int result;
    do
        result = ut_files->lstat(path, &what);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 1 : errno == ENOENT ? 0 : -1;
}

untorn_status ut_snapshot_writer_begin(const ut_store *store, const ut_snapshot_head *head,
                                       ut_snapshot_writer **out) {
    char path[UT_STORE_PATH_MAX];
    ut_snapshot_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for a snapshot", store->who);
    writer->store = store;
    writer->head = *head;
    untorn_status status =
        ut_store_path(store, writer->path, "snapshots/.tmp-%016" PRIx64, ut_store_nonce());
    if (status == UNTORN_OK)
        status = final_path(writer, path);
    if (status == UNTORN_OK && head->commit == 0)
        status = ut_fail(UNTORN_E_ARGUMENT, "%s: snapshot: commit 0", store->who);
    if (status == UNTORN_OK) {
        /* Better before anything is written than after. */
        int there = exists(path);
        if (there > 0)
            status = already_there(writer);
        else if (there < 0)
            status = ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot look at %s",
                                   store->who, path);
    }
    if (status != UNTORN_OK) {
        free(writer);
        return status;
    }
    *out = writer;
    return UNTORN_OK;
}

untorn_status ut_snapshot_writer_add_group(ut_snapshot_writer *writer,
                                           const ut_manifest_object *group) {
    ut_manifest_object object = *group;
    object.kind = UT_KIND_GROUP;
    object.directory = "";
    object.file_bytes = object.file_hash = 0;
    object.totals.known = false;
    if (object.attributes == NULL)
        object.attributes = "";
    ut_snapshot_node *node;
    return ut_snapshot_add_node(writer, &object, &node);
}

untorn_status ut_snapshot_writer_link_array(ut_snapshot_writer *writer,
                                            const ut_stored_array *stored,
                                            const ut_manifest_object *object) {
    const ut_manifest_array *manifest = &stored->manifest;
    if (writer->head.real_directories || object->directory[0] == '\0')
        return ut_fail(UNTORN_E_STATE,
                       "%s: array \"%s\" cannot be linked: an array lies in the snapshot itself",
                       writer->store->who, object->name);
    if (manifest->zarr_format != (unsigned)writer->head.format)
        return ut_fail(
            UNTORN_E_STATE, "%s: array \"%s\" cannot be linked: it has Zarr format %u, not %u",
            writer->store->who, object->name, manifest->zarr_format, (unsigned)writer->head.format);
    char *metadata, *zattrs;
    untorn_status status =
        ut_snapshot_array_texts(writer->head.format, manifest->definition, manifest->shape,
                                manifest->attributes, &metadata, &zattrs);
    if (status != UNTORN_OK)
        return status;
    ut_manifest_object linked = *object;
    linked.kind = UT_KIND_ARRAY;
    linked.attributes = "";
    ut_snapshot_node *node;
    status = ut_snapshot_add_node(writer, &linked, &node);
    if (status != UNTORN_OK) {
        free(metadata);
        free(zattrs);
        return status;
    }
    node->metadata = metadata;
    node->attributes = zattrs;
    return UNTORN_OK;
}

/* ------------------------------------------------------------ building */

static untorn_status link_array(const ut_snapshot_writer *writer, const ut_snapshot_node *node,
                                const char *path) {
    ut_growing_text target = UT_GROWING_TEXT_INIT;
    ut_text_add(&target, "../../");
    for (const char *slash = node->object.name; (slash = strchr(slash, '/')) != NULL; slash++)
        ut_text_add(&target, "../");
    ut_text_format(&target, "arrays/%s", node->object.directory);
    untorn_status status = ut_text_check(&target);
    if (status == UNTORN_OK)
        status = ut_durable_symlink(writer->store->who, target.bytes, path);
    ut_text_free(&target);
    return status;
}

static untorn_status move_array(const ut_snapshot_writer *writer, const ut_snapshot_node *node,
                                const char *path) {
    char from[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(writer->store, from, "arrays/%s", node->made);
    return status == UNTORN_OK ? ut_durable_rename(writer->store->who, from, path, false) : status;
}

/* Directories of groups, and the arrays in them.  A group comes before what lies in it. */
static untorn_status make_tree(const ut_snapshot_writer *writer) {
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < writer->count && status == UNTORN_OK; i++) {
        const ut_snapshot_node *node = &writer->nodes[i];
        char path[UT_STORE_PATH_MAX];
        status = ut_snapshot_path(writer, path, node->object.name, "");
        if (status != UNTORN_OK)
            break;
        if (node->object.kind == UT_KIND_GROUP)
            status = ut_durable_mkdir(writer->store->who, path);
        else if (writer->head.real_directories)
            status = move_array(writer, node, path);
        else
            status = link_array(writer, node, path);
    }
    return status;
}

static untorn_status sync_tree(const ut_snapshot_writer *writer) {
    untorn_status status = UNTORN_OK;
    for (size_t i = writer->count; i-- > 0 && status == UNTORN_OK;) {
        const ut_snapshot_node *node = &writer->nodes[i];
        char path[UT_STORE_PATH_MAX];
        if (node->object.kind != UT_KIND_GROUP)
            continue;
        status = ut_snapshot_path(writer, path, node->object.name, "");
        if (status == UNTORN_OK)
            status = ut_durable_sync_directory(writer->store->who, path);
    }
    return status;
}

static untorn_status sink(void *context, const void *bytes, size_t n) {
    return ut_durable_add(context, bytes, n);
}

static untorn_status put_manifest(const ut_snapshot_writer *writer, ut_durable_file *file) {
    const ut_snapshot_head *from = &writer->head;
    ut_manifest_snapshot head = {.uuid = {from->uuid[0], from->uuid[1]},
                                 .commit = from->commit,
                                 .time = from->time,
                                 .next_uid = from->next_uid,
                                 .zarr_format = from->format,
                                 .lineage = from->lineage};
    ut_manifest_writer *manifest;
    untorn_status status = ut_manifest_begin_snapshot(&manifest, &head, sink, file);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < writer->count && status == UNTORN_OK; i++)
        if (!writer->nodes[i].implied)
            status = ut_manifest_add_object(manifest, &writer->nodes[i].object);
    if (status == UNTORN_OK)
        return ut_manifest_end(manifest, NULL, NULL);
    ut_manifest_abandon(manifest);
    return status;
}

static untorn_status write_manifest(const ut_snapshot_writer *writer) {
    char path[UT_STORE_PATH_MAX];
    ut_durable_file file;
    untorn_status status = ut_snapshot_path(writer, path, "", ".manifest");
    if (status == UNTORN_OK)
        status = ut_durable_open(&file, writer->store->who, path);
    if (status != UNTORN_OK)
        return status;
    status = put_manifest(writer, &file);
    if (status == UNTORN_OK)
        return ut_durable_finish(&file);
    ut_durable_abandon(&file);
    return status;
}

static untorn_status write_lease(const ut_snapshot_writer *writer) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_snapshot_path(writer, path, "", ".lease");
    return status == UNTORN_OK ? ut_durable_write(writer->store->who, path, "", 0) : status;
}

static untorn_status sync_part(const ut_snapshot_writer *writer, const char *name) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(writer->store, path, "%s", name);
    return status == UNTORN_OK ? ut_durable_sync_directory(writer->store->who, path) : status;
}

/* All of it, synced, but without its name. */
static untorn_status build(ut_snapshot_writer *writer) {
    untorn_status status = ut_snapshot_complete_nodes(writer);
    /* The arrays' names, before anything refers to them; those of an export are moved on first. */
    if (status == UNTORN_OK && !writer->head.real_directories && !UT_SEEDED(204))
        status = sync_part(writer, "arrays");
    if (status == UNTORN_OK)
        status = make_tree(writer);
    if (status == UNTORN_OK && writer->head.real_directories)
        status = sync_part(writer, "arrays");
    if (status == UNTORN_OK)
        status = ut_snapshot_write_metadata(writer);
    if (status == UNTORN_OK)
        status = write_lease(writer);
    if (status == UNTORN_OK)
        status = write_manifest(writer);
    if (status == UNTORN_OK && !UT_SEEDED(205))
        status = sync_tree(writer);
    return status;
}

/* ------------------------------------------------------------ publishing */

static void free_writer(ut_snapshot_writer *writer) {
    while (writer->count > 0)
        ut_snapshot_drop_last_node(writer);
    free(writer->nodes);
    free(writer);
}

static void remove_all(const ut_snapshot_writer *writer) {
    ut_durable_remove_tree(writer->store->who, writer->path);
    for (size_t i = 0; i < writer->count; i++) {
        char path[UT_STORE_PATH_MAX];
        if (writer->nodes[i].made[0] != '\0' &&
            ut_store_path(writer->store, path, "arrays/%s", writer->nodes[i].made) == UNTORN_OK)
            ut_durable_remove_tree(writer->store->who, path);
    }
}

/* Have `latest` name what it named before; whether that is certain now, also on the disk. */
static bool put_latest_back(const ut_store *store, uint64_t previous, uint64_t ours) {
    char path[UT_STORE_PATH_MAX];
    uint64_t now;
    if (ut_store_latest(store, &now) != UNTORN_OK)
        return false;
    if (now != ours)
        return true;
    if (previous != 0)
        return ut_store_set_latest(store, previous) == UNTORN_OK;
    return ut_store_path(store, path, "latest") == UNTORN_OK &&
           ut_durable_remove_tree(store->who, path) == UNTORN_OK &&
           ut_durable_sync_directory(store->who, store->path) == UNTORN_OK;
}

/* Take back the name; whether all may be removed then. */
static bool withdraw(const ut_snapshot_writer *writer, uint64_t previous) {
    char path[UT_STORE_PATH_MAX];
    return put_latest_back(writer->store, previous, writer->head.commit) &&
           final_path(writer, path) == UNTORN_OK &&
           ut_durable_rename(writer->store->who, path, writer->path, false) == UNTORN_OK &&
           sync_part(writer, "snapshots") == UNTORN_OK;
}

static untorn_status give_name(const ut_snapshot_writer *writer) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = final_path(writer, path);
    if (status != UNTORN_OK)
        return status;
    status = ut_durable_rename(writer->store->who, writer->path, path, false);
    if (status != UNTORN_OK && exists(path) == 1 && exists(writer->path) == 1)
        status = already_there(writer);
    return status;
}

untorn_status ut_snapshot_writer_publish(ut_snapshot_writer *writer) {
    uint64_t previous = 0;
    bool named = false;
    untorn_status status = ut_store_latest(writer->store, &previous);
    if (status == UNTORN_OK)
        status = build(writer);
    if (status == UNTORN_OK) {
        status = give_name(writer);
        named = status == UNTORN_OK;
    }
    if (status == UNTORN_OK && !UT_SEEDED(206))
        status = sync_part(writer, "snapshots");
    if (status == UNTORN_OK)
        status = ut_store_set_latest(writer->store, writer->head.commit);
    if (status == UNTORN_OK) {
        free_writer(writer);
        return UNTORN_OK;
    }
    char *message = strdup(untorn_message());
    if (!named || withdraw(writer, previous))
        remove_all(writer);
    if (message != NULL)
        (void)ut_fail(status, "%s", message);
    free(message);
    free_writer(writer);
    return status;
}

void ut_snapshot_writer_abandon(ut_snapshot_writer *writer) {
    if (writer == NULL)
        return;
    char *message = strdup(untorn_message());
    remove_all(writer);
    if (message != NULL)
        (void)ut_fail(UNTORN_E_SYSTEM, "%s", message);
    free(message);
    free_writer(writer);
}
