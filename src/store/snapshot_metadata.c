// SPDX-License-Identifier: MIT
/*
 * The Zarr metadata files of a store snapshot.
 *
 * Consolidated metadata repeats those of every group and array, so that a reader opens a store of
 * many arrays with one file.  It is true for ever, because the snapshot is.  That of arrays that
 * are linked again is made anew from their manifests: nothing of ours reads JSON.
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

/* ------------------------------------------------------------ groups */

/* What is being put together. */
typedef struct work {
    const ut_snapshot_writer *writer;
    ut_zarr_stamp stamp;
    ut_zarr_consolidation consolidation;
    ut_growing_text consolidated;
    ut_growing_text text; /* of one file */
} work;

static untorn_status write_file(const work *w, const char *name, const char *file,
                                const ut_growing_text *text) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_snapshot_path(w->writer, path, name, file);
    if (status != UNTORN_OK)
        return status;
    return ut_durable_write(w->writer->store->who, path, text->bytes, text->length);
}

static untorn_status write_and_consolidate(work *w, const char *name, const char *file) {
    untorn_status status = write_file(w, name, file, &w->text);
    if (status == UNTORN_OK)
        status = ut_zarr_consolidate_add(&w->consolidation, name, file, w->text.bytes);
    return status;
}

static untorn_status write_v2_group(work *w, const ut_manifest_object *group) {
    bool is_root = group->name[0] == '\0';
    ut_text_clear(&w->text);
    untorn_status status = ut_zarr_v2_group(&w->text);
    if (status == UNTORN_OK)
        status = write_and_consolidate(w, group->name, ".zgroup");
    if (status != UNTORN_OK)
        return status;
    ut_text_clear(&w->text);
    status = ut_zarr_v2_attributes(&w->text, NULL, group->attributes, is_root ? &w->stamp : NULL);
    if (status == UNTORN_OK && w->text.length > strlen("{}"))
        status = write_and_consolidate(w, group->name, ".zattrs");
    return status;
}

/* The root's is the consolidated one, written at the end. */
static untorn_status write_v3_group(work *w, const ut_manifest_object *group) {
    if (group->name[0] == '\0')
        return UNTORN_OK;
    ut_text_clear(&w->text);
    untorn_status status = ut_zarr_v3_group(&w->text, group->attributes, NULL);
    if (status == UNTORN_OK)
        status = write_and_consolidate(w, group->name, "zarr.json");
    return status;
}

static untorn_status consolidate_array(work *w, const ut_snapshot_node *node) {
    untorn_status status =
        ut_zarr_consolidate_add(&w->consolidation, node->object.name, ".zarray", node->metadata);
    if (status == UNTORN_OK && node->attributes != NULL)
        status = ut_zarr_consolidate_add(&w->consolidation, node->object.name, ".zattrs",
                                         node->attributes);
    return status;
}

static untorn_status write_all(work *w) {
    const ut_snapshot_writer *writer = w->writer;
    ut_zarr_format format = writer->head.format;
    const ut_manifest_object *root = &writer->nodes[0].object; /* "" comes first */
    untorn_status status = ut_zarr_consolidate_begin(&w->consolidation, format, &w->consolidated,
                                                     root->attributes, &w->stamp);
    for (size_t i = 0; i < writer->count && status == UNTORN_OK; i++) {
        const ut_snapshot_node *node = &writer->nodes[i];
        if (node->object.kind == UT_KIND_ARRAY)
            status = consolidate_array(w, node);
        else if (format == UT_ZARR_V3)
            status = write_v3_group(w, &node->object);
        else
            status = write_v2_group(w, &node->object);
    }
    if (status == UNTORN_OK)
        status = ut_zarr_consolidate_end(&w->consolidation);
    if (status != UNTORN_OK)
        return status;
    return write_file(w, "", format == UT_ZARR_V3 ? "zarr.json" : ".zmetadata", &w->consolidated);
}

untorn_status ut_snapshot_write_metadata(const ut_snapshot_writer *writer) {
    const ut_snapshot_head *head = &writer->head;
    work w = {.writer = writer,
              .stamp = {.uuid = {head->uuid[0], head->uuid[1]},
                        .commit = head->commit,
                        .time = head->time},
              .consolidated = UT_GROWING_TEXT_INIT,
              .text = UT_GROWING_TEXT_INIT};
    untorn_status status = write_all(&w);
    ut_text_free(&w.consolidated);
    ut_text_free(&w.text);
    return status;
}
