// SPDX-License-Identifier: MIT
/*
 * Verifying the metadata files of a store snapshot: its groups' and the consolidated one.
 *
 * No manifest has their hashes, but they follow from what the manifests say, byte for byte.  So
 * they are made again, in the order in which the snapshot writer makes them, and compared.
 */
#include "store/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/layout.h"
#include "store/stored_file.h"

typedef struct work {
    ut_verify_snapshot *snapshot;
    ut_zarr_format format;
    ut_zarr_stamp stamp;
    ut_zarr_consolidation consolidation;
    ut_growing_text consolidated;
    ut_growing_text text; /* of one file */
} work;

static untorn_status verify_file(work *w, const char *name, const char *file,
                                 const ut_growing_text *text) {
    char path[UT_STORE_PATH_MAX];
    if (snprintf(path, sizeof path, "%s%s%s", w->snapshot->path, name[0] != '\0' ? "/" : "",
                 name) >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s/%s\": the path is too long", w->snapshot->path, name);
    return ut_verify_text(w->snapshot, path, file, text->bytes, text->length);
}

static untorn_status verify_and_consolidate(work *w, const char *name, const char *file) {
    untorn_status status = verify_file(w, name, file, &w->text);
    if (status == UNTORN_OK)
        status = ut_zarr_consolidate_add(&w->consolidation, name, file, w->text.bytes);
    return status;
}

static untorn_status verify_v2_group(work *w, const ut_manifest_object *group) {
    ut_text_clear(&w->text);
    untorn_status status = ut_zarr_v2_group(&w->text);
    if (status == UNTORN_OK)
        status = verify_and_consolidate(w, group->name, ".zgroup");
    if (status != UNTORN_OK)
        return status;
    ut_text_clear(&w->text);
    status = ut_zarr_v2_attributes(&w->text, NULL, group->attributes,
                                   group->name[0] == '\0' ? &w->stamp : NULL);
    if (status == UNTORN_OK && w->text.length > strlen("{}"))
        status = verify_and_consolidate(w, group->name, ".zattrs");
    return status;
}

/* The root's is the consolidated one. */
static untorn_status verify_v3_group(work *w, const ut_manifest_object *group) {
    if (group->name[0] == '\0')
        return UNTORN_OK;
    ut_text_clear(&w->text);
    untorn_status status = ut_zarr_v3_group(&w->text, group->attributes, NULL);
    if (status == UNTORN_OK)
        status = verify_and_consolidate(w, group->name, "zarr.json");
    return status;
}

/* The directory of a group is one, and no link that leads elsewhere. */
static untorn_status verify_directory(work *w, const char *name) {
    char path[UT_STORE_PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", w->snapshot->path, name) >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s/%s\": the path is too long", w->snapshot->path, name);
    return ut_verify_note(w->snapshot, ut_stored_directory_check(path));
}

static untorn_status verify_group(work *w, const ut_manifest_object *group) {
    untorn_status status = verify_directory(w, group->name);
    if (status != UNTORN_OK)
        return status;
    return w->format == UT_ZARR_V3 ? verify_v3_group(w, group) : verify_v2_group(w, group);
}

static untorn_status consolidate_array(work *w, const ut_snapshot_node *node) {
    if (node->metadata == NULL) /* not known: nor is the consolidated file, then */
        return UNTORN_OK;
    untorn_status status =
        ut_zarr_consolidate_add(&w->consolidation, node->object.name, ".zarray", node->metadata);
    if (status == UNTORN_OK && node->attributes != NULL)
        status = ut_zarr_consolidate_add(&w->consolidation, node->object.name, ".zattrs",
                                         node->attributes);
    return status;
}

static untorn_status verify_all(work *w) {
    const ut_snapshot_writer *nodes = &w->snapshot->nodes;
    const ut_manifest_object *root = &nodes->nodes[0].object; /* "" comes first */
    untorn_status status = ut_zarr_consolidate_begin(&w->consolidation, w->format, &w->consolidated,
                                                     root->attributes, &w->stamp);
    for (size_t i = 0; i < nodes->count && status == UNTORN_OK; i++) {
        const ut_snapshot_node *node = &nodes->nodes[i];
        status = node->object.kind == UT_KIND_ARRAY ? consolidate_array(w, node)
                                                    : verify_group(w, &node->object);
    }
    if (status == UNTORN_OK)
        status = ut_zarr_consolidate_end(&w->consolidation);
    if (status == UNTORN_OK && w->snapshot->nodes_known)
        status = verify_file(w, "", w->format == UT_ZARR_V3 ? "zarr.json" : ".zmetadata",
                             &w->consolidated);
    return status;
}

untorn_status ut_verify_metadata(ut_verify_snapshot *s) {
    const ut_manifest_snapshot *m = &s->view->manifest;
    untorn_status status = ut_snapshot_complete_nodes(&s->nodes);
    if (status != UNTORN_OK)
        return status;
    work w = {.snapshot = s,
              .format = m->zarr_format == 3 ? UT_ZARR_V3 : UT_ZARR_V2,
              .stamp = {.uuid = {m->uuid[0], m->uuid[1]}, .commit = m->commit, .time = m->time},
              .consolidated = UT_GROWING_TEXT_INIT,
              .text = UT_GROWING_TEXT_INIT};
    status = verify_all(&w);
    ut_text_free(&w.consolidated);
    ut_text_free(&w.text);
    return status;
}
