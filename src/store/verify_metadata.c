// SPDX-License-Identifier: MIT
/*
 * Verifying the metadata files of a store snapshot: its groups' and the consolidated one.
 *
 * No manifest has their hashes, but they follow from what the manifests say, byte for byte.  So
 * they are made again as the snapshot writer makes them, and compared.
 */
#include "store/verify.h"

#include <stdio.h>
#include <string.h>

#include "store/stored_file.h"

static ut_zarr_format format_of(const ut_verify_snapshot *snapshot) {
    return snapshot->view->manifest.zarr_format == 3 ? UT_ZARR_V3 : UT_ZARR_V2;
}

/* A group's directory is one, and no link that leads elsewhere; a file is what it has to be. */
static untorn_status verify_one(void *context, const char *name, const char *file,
                                const ut_growing_text *text) {
    ut_verify_snapshot *snapshot = context;
    char path[UT_STORE_PATH_MAX];
    /* Made of arrays of which some cannot be read, this is not what is to be compared with. */
    if (!snapshot->nodes_known && name[0] == '\0' &&
        strcmp(file, ut_consolidated_name(format_of(snapshot))) == 0)
        return UNTORN_OK;
    const char *between = name[0] != '\0' || text == NULL ? "/" : "";
    int n = snprintf(path, sizeof path, "%s%s%s", snapshot->path, between, name);
    if (n < 0 || n >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s/%s\": the path is too long", snapshot->path, name);
    return text == NULL ? ut_verify_note(snapshot, ut_stored_directory_check(path))
                        : ut_verify_text(snapshot, path, file, text->bytes, text->length);
}

untorn_status ut_verify_metadata(ut_verify_snapshot *s) {
    const ut_manifest_snapshot *m = &s->view->manifest;
    untorn_status status = ut_snapshot_complete_nodes(&s->nodes);
    if (status != UNTORN_OK)
        return status;
    ut_zarr_stamp stamp = {.uuid = {m->uuid[0], m->uuid[1]}, .commit = m->commit, .time = m->time};
    return ut_snapshot_emit_metadata(&s->nodes, format_of(s), &stamp, verify_one, s);
}
