// SPDX-License-Identifier: MIT
/*
 * The Zarr metadata files of a store snapshot.
 *
 * Consolidated metadata repeats those of every group and array, so that a reader opens a store of
 * many arrays with one file.  It is true for ever, because the snapshot is.  That of arrays that
 * are linked again is made anew from their manifests: nothing of ours reads JSON.
 *
 * Which files there are, in which order, and what is in them is said once, for whoever writes them
 * and for whoever verifies them.
 */
#include "store/snapshot_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "segment/layout.h"
#include "store/durable.h"

untorn_status ut_snapshot_path(const ut_snapshot_writer *writer, char path[UT_STORE_PATH_MAX],
                               const char *name, const char *file) {
    int n = snprintf(path, UT_STORE_PATH_MAX, "%s%s%s%s%s", writer->path,
                     name[0] != '\0' ? "/" : "", name, file[0] != '\0' ? "/" : "", file);
    if (n < 0 || n >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "%s: the path of \"%s\" is too long", writer->store->who,
                       name);
    return UNTORN_OK;
}

/* ------------------------------------------------------------ arrays */

untorn_status ut_snapshot_array_texts(ut_zarr_format format, const ut_definition *definition,
                                      const uint64_t *shape, const char *attributes,
                                      char **metadata, char **zattrs) {
    ut_growing_text text = UT_GROWING_TEXT_INIT, more = UT_GROWING_TEXT_INIT;
    untorn_status status;
    if (format == UT_ZARR_V3) {
        status = ut_zarr_v3_array(&text, definition, shape, attributes);
    } else {
        status = ut_zarr_v2_array(&text, definition, shape);
        if (status == UNTORN_OK)
            status = ut_zarr_v2_attributes(&more, definition, attributes, NULL);
    }
    if (status != UNTORN_OK) {
        ut_text_free(&text);
        ut_text_free(&more);
        return status;
    }
    if (more.length <= strlen("{}"))
        ut_text_free(&more);
    *metadata = text.bytes;
    *zattrs = more.bytes;
    return UNTORN_OK;
}

static untorn_status write_text(const char *who, const char *directory, const char *file,
                                const char *text) {
    char path[UT_STORE_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", directory, file);
    if (n < 0 || n >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "%s: the path of %s is too long", who, file);
    return ut_durable_write(who, path, text, strlen(text));
}

untorn_status ut_snapshot_write_array_texts(const char *who, ut_zarr_format format,
                                            const char *path, const char *metadata,
                                            const char *zattrs) {
    untorn_status status =
        write_text(who, path, format == UT_ZARR_V3 ? "zarr.json" : ".zarray", metadata);
    if (status == UNTORN_OK && zattrs != NULL)
        status = write_text(who, path, ".zattrs", zattrs);
    return status;
}

/* ------------------------------------------------------------ all of a snapshot */

/* What is being put together. */
typedef struct work {
    const ut_snapshot_writer *nodes;
    ut_zarr_format format;
    ut_zarr_stamp stamp;
    ut_metadata_emit *emit;
    void *context;
    ut_zarr_consolidation consolidation;
    ut_growing_text consolidated;
    ut_growing_text text; /* of one file */
} work;

static untorn_status emit_and_consolidate(work *w, const char *name, const char *file) {
    untorn_status status = w->emit(w->context, name, file, &w->text);
    if (status == UNTORN_OK)
        status = ut_zarr_consolidate_add(&w->consolidation, name, file, w->text.bytes);
    return status;
}

static untorn_status emit_v2_group(work *w, const ut_manifest_object *group) {
    bool is_root = group->name[0] == '\0';
    ut_text_clear(&w->text);
    untorn_status status = ut_zarr_v2_group(&w->text);
    if (status == UNTORN_OK)
        status = emit_and_consolidate(w, group->name, ".zgroup");
    if (status != UNTORN_OK)
        return status;
    ut_text_clear(&w->text);
    status = ut_zarr_v2_attributes(&w->text, NULL, group->attributes, is_root ? &w->stamp : NULL);
    if (status == UNTORN_OK && w->text.length > strlen("{}"))
        status = emit_and_consolidate(w, group->name, ".zattrs");
    return status;
}

/* The root's is the consolidated one, which comes last. */
static untorn_status emit_v3_group(work *w, const ut_manifest_object *group) {
    if (group->name[0] == '\0')
        return UNTORN_OK;
    ut_text_clear(&w->text);
    untorn_status status = ut_zarr_v3_group(&w->text, group->attributes, NULL);
    if (status == UNTORN_OK)
        status = emit_and_consolidate(w, group->name, "zarr.json");
    return status;
}

static untorn_status emit_group(work *w, const ut_manifest_object *group) {
    untorn_status status = w->emit(w->context, group->name, "", NULL);
    if (status != UNTORN_OK)
        return status;
    return w->format == UT_ZARR_V3 ? emit_v3_group(w, group) : emit_v2_group(w, group);
}

static untorn_status consolidate_array(work *w, const ut_snapshot_node *node) {
    if (node->metadata == NULL) /* not known: then nobody takes the consolidated file */
        return UNTORN_OK;
    untorn_status status =
        ut_zarr_consolidate_add(&w->consolidation, node->object.name, ".zarray", node->metadata);
    if (status == UNTORN_OK && node->attributes != NULL)
        status = ut_zarr_consolidate_add(&w->consolidation, node->object.name, ".zattrs",
                                         node->attributes);
    return status;
}

static untorn_status emit_all(work *w) {
    const ut_snapshot_writer *nodes = w->nodes;
    const ut_manifest_object *root = &nodes->nodes[0].object; /* "" comes first */
    untorn_status status = ut_zarr_consolidate_begin(&w->consolidation, w->format, &w->consolidated,
                                                     root->attributes, &w->stamp);
    for (size_t i = 0; i < nodes->count && status == UNTORN_OK; i++) {
        const ut_snapshot_node *node = &nodes->nodes[i];
        status = node->object.kind == UT_KIND_ARRAY ? consolidate_array(w, node)
                                                    : emit_group(w, &node->object);
    }
    if (status == UNTORN_OK)
        status = ut_zarr_consolidate_end(&w->consolidation);
    if (status != UNTORN_OK)
        return status;
    return w->emit(w->context, "", ut_consolidated_name(w->format), &w->consolidated);
}

const char *ut_consolidated_name(ut_zarr_format format) {
    return format == UT_ZARR_V3 ? "zarr.json" : ".zmetadata";
}

untorn_status ut_snapshot_emit_metadata(const ut_snapshot_writer *nodes, ut_zarr_format format,
                                        const ut_zarr_stamp *stamp, ut_metadata_emit *emit,
                                        void *context) {
    work w = {.nodes = nodes,
              .format = format,
              .stamp = *stamp,
              .emit = emit,
              .context = context,
              .consolidated = UT_GROWING_TEXT_INIT,
              .text = UT_GROWING_TEXT_INIT};
    untorn_status status = emit_all(&w);
    ut_text_free(&w.consolidated);
    ut_text_free(&w.text);
    return status;
}

/* ------------------------------------------------------------ writing it */

static untorn_status write_file(void *context, const char *name, const char *file,
                                const ut_growing_text *text) {
    const ut_snapshot_writer *writer = context;
    char path[UT_STORE_PATH_MAX];
    if (text == NULL) /* a directory: made already */
        return UNTORN_OK;
    untorn_status status = ut_snapshot_path(writer, path, name, file);
    if (status != UNTORN_OK)
        return status;
    return ut_durable_write(writer->store->who, path, text->bytes, text->length);
}

untorn_status ut_snapshot_write_metadata(ut_snapshot_writer *writer) {
    const ut_snapshot_head *head = &writer->head;
    ut_zarr_stamp stamp = {
        .uuid = {head->uuid[0], head->uuid[1]}, .commit = head->commit, .time = head->time};
    return ut_snapshot_emit_metadata(writer, head->format, &stamp, write_file, writer);
}
