// SPDX-License-Identifier: MIT
/*
 * Writing a store snapshot: metadata, manifests, chunk files, links, and publishing it.
 *
 *   begin; for every array: link it again, or write it anew; add the groups; publish.
 *
 * Nothing has its name before it is complete and synced, in this order: an array's files and
 * directory, its rename into arrays/, sync of arrays/; the snapshot's files and directories, its
 * rename into snapshots/, sync of snapshots/; the rename of `latest`, sync of the store.  A power
 * cut in between leaves the last snapshot, and rubbish that the next start removes.
 */
#ifndef UT_SNAPSHOT_WRITER_H
#define UT_SNAPSHOT_WRITER_H

#include "store/store_view.h"
#include "store/zarr_metadata.h"

typedef struct ut_snapshot_head {
    uint64_t uuid[2];
    uint64_t commit;
    int64_t time;
    uint64_t next_uid;
    ut_zarr_format format;
    bool real_directories; /* arrays lie in the snapshot itself, and nothing is linked: an export */
    ut_lineage lineage;    /* of the segment */
} ut_snapshot_head;

typedef struct ut_snapshot_writer ut_snapshot_writer;
typedef struct ut_array_writer ut_array_writer;

/* The store is open for writing and outlives the writer. */
untorn_status ut_snapshot_writer_begin(const ut_store *store, const ut_snapshot_head *head,
                                       ut_snapshot_writer **writer);

/* A group that has attributes, or is there without arrays below it; "" is the root.  Those that
 * only arrays' names imply are made anyway.  Of `group`, the fields that a manifest object has for
 * groups.  Objects come in any order. */
untorn_status ut_snapshot_writer_add_group(ut_snapshot_writer *writer,
                                           const ut_manifest_object *group);

/* An array whose data, shape and attributes are those that it had in an earlier snapshot.  Of
 * `object`, generation, commit and time are the present ones; the rest is as in that snapshot. */
untorn_status ut_snapshot_writer_link_array(ut_snapshot_writer *writer,
                                            const ut_stored_array *stored,
                                            const ut_manifest_object *object);

/* An array to be written.  Of `head`: uid, generation, commit, data_commit, time; uuid and format
 * are the snapshot's. */
untorn_status ut_array_writer_begin(ut_snapshot_writer *writer, const ut_manifest_array *head,
                                    const ut_definition *definition, const uint64_t *shape,
                                    const char *attributes, ut_array_writer **array);

/* A chunk's file, from encoded bytes; synced by ut_array_writer_end() at the latest.  Several
 * threads may call this and _link at once. */
untorn_status ut_array_writer_file(ut_array_writer *array, uint64_t number, const void *bytes,
                                   size_t n);

/* The same file as in an earlier snapshot. */
untorn_status ut_array_writer_link(ut_array_writer *array, uint64_t number,
                                   const ut_stored_array *stored, const ut_manifest_chunk *chunk);

/* A chunk's record; numbers ascend; one thread.  The file is there when ut_array_writer_end() is
 * called, not necessarily before. */
untorn_status ut_array_writer_record(ut_array_writer *array, uint64_t number, uint64_t version,
                                     const uint64_t *extent, uint64_t bytes, uint64_t hash);

/* All chunks are there: complete the array.  Frees `array`, also on failure. */
untorn_status ut_array_writer_end(ut_array_writer *array);
void ut_array_writer_abandon(ut_array_writer *array);

/* Publish the snapshot.  Frees the writer, also on failure, and then removes what it wrote.  A
 * snapshot of this commit that is there already is UNTORN_E_STATE. */
untorn_status ut_snapshot_writer_publish(ut_snapshot_writer *writer);

/* Remove what was written so far and free the writer.  NULL is allowed. */
void ut_snapshot_writer_abandon(ut_snapshot_writer *writer);

#endif
