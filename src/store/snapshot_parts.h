// SPDX-License-Identifier: MIT
/*
 * What the parts of the snapshot writer share: the list of what goes into the snapshot, and the
 * texts of metadata files.
 */
#ifndef UT_SNAPSHOT_PARTS_H
#define UT_SNAPSHOT_PARTS_H

#include "store/snapshot_writer.h"

#define UT_DIRECTORY_BYTES 64 /* "<uid>-<commit>-<nonce>" with its NUL */

/* A group or an array of the snapshot. */
typedef struct ut_snapshot_node {
    ut_manifest_object object; /* its texts are in `texts` */
    bool implied;              /* a group that nobody named: made, but not in the manifest */
    char *texts;
    char *metadata;                /* of an array: .zarray or zarr.json */
    char *attributes;              /* of an array: .zattrs; NULL: there is none */
    char made[UT_DIRECTORY_BYTES]; /* the array's directory in arrays/, if this writer made it */
} ut_snapshot_node;

struct ut_snapshot_writer {
    const ut_store *store;
    ut_snapshot_head head;
    char path[UT_STORE_PATH_MAX]; /* where it is built: snapshots/.tmp-<nonce> */
    ut_snapshot_node *nodes;
    size_t count, capacity;
};

/* Append an object, whose texts are copied.  *node is good until the next is added. */
untorn_status ut_snapshot_add_node(ut_snapshot_writer *writer, const ut_manifest_object *object,
                                   ut_snapshot_node **node);
void ut_snapshot_drop_last_node(ut_snapshot_writer *writer);

/* Sort the nodes and add the groups that their names imply.  UNTORN_E_ARGUMENT: a name occurs
 * twice, or lies below an array. */
untorn_status ut_snapshot_complete_nodes(ut_snapshot_writer *writer);

/* The texts of an array's metadata files; free() both. */
untorn_status ut_snapshot_array_texts(ut_zarr_format format, const ut_definition *definition,
                                      const uint64_t *shape, const char *attributes,
                                      char **metadata, char **zattrs);

/* Write those files into the directory `path`. */
untorn_status ut_snapshot_write_array_texts(const char *who, ut_zarr_format format,
                                            const char *path, const char *metadata,
                                            const char *zattrs);

/* Called with each metadata file but those of arrays, and, with file "" and no text, with each
 * group's directory before the files in it.  It ends with the first failure. */
typedef untorn_status ut_metadata_emit(void *context, const char *name, const char *file,
                                       const ut_growing_text *text);

/* What follows from the nodes, which are complete: the metadata of all groups, and last the
 * consolidated one, which is complete if all arrays' metadata is known. */
untorn_status ut_snapshot_emit_metadata(const ut_snapshot_writer *nodes, ut_zarr_format format,
                                        const ut_zarr_stamp *stamp, ut_metadata_emit *emit,
                                        void *context);
/* The consolidated metadata's file in the root. */
const char *ut_consolidated_name(ut_zarr_format format);

/* Write all that; all directories are there. */
untorn_status ut_snapshot_write_metadata(ut_snapshot_writer *writer);

/* PATH/NAME/FILE, without the NAME if that is "".  UNTORN_E_LIMIT. */
untorn_status ut_snapshot_path(const ut_snapshot_writer *writer, char path[UT_STORE_PATH_MAX],
                               const char *name, const char *file);

#endif
