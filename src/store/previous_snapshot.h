// SPDX-License-Identifier: MIT
/*
 * What a flush can take over from the store: its newest whole snapshot, arrays of it that did not
 * change, and the records of chunks that did not.
 */
#ifndef UT_PREVIOUS_SNAPSHOT_H
#define UT_PREVIOUS_SNAPSHOT_H

#include "segment/segment.h"
#include "store/store_view.h"

typedef struct ut_previous {
    ut_store_view *view; /* NULL: none */
    bool skipped;        /* newer ones are damaged, or of another history */
    bool linkable;       /* of the store that is written to */
    int lease;           /* on it, if it is another store's; -1: none */
    ut_store other;      /* that store */
    char missing[256];   /* why there is none; "": nothing is wrong */
} ut_previous;
#define UT_PREVIOUS_INIT                                                                           \
    {                                                                                              \
        .lease = -1, .other = {.lock_fd = -1 }                                                     \
    }

/* The newest whole snapshot of the store that is written to, in the segment's history.  *there: it
 * is of this commit.  UNTORN_E_FOREIGN_STORE: it is another segment's, or the store went on in
 * another history, or it has one above `commit`. */
untorn_status ut_previous_open(const ut_store *store, const ut_superblock *super, uint64_t commit,
                               ut_previous *previous, bool *there);

/* For an export: that of the segment's own store, for what is only there, newest up to `commit`,
 * held by its lease.  That it cannot be had is no failure before something in it is needed. */
void ut_previous_open_own(ut_segment *segment, uint64_t commit, ut_previous *previous);

void ut_previous_close(ut_previous *previous);

/* The array of this name and uid; false: it has none. */
bool ut_previous_find(const ut_previous *previous, const ut_definition *definition,
                      ut_manifest_object *object);

/*
 * Whether the stored array is all that `head` (uid, data_commit, shape, attributes, zarr_format)
 * and the definition say, so that it can be linked whole.  Reads the begin and the end of its
 * manifest, whatever its size: what is in between is checked by whoever reads it.  *stored is for
 * ut_snapshot_writer_link_array() and lives as long as the arguments; it has no records.
 */
bool ut_previous_same_array(const ut_store *store, const ut_manifest_object *object,
                            const ut_manifest_array *head, const ut_definition *definition,
                            ut_stored_array *stored);

/*
 * The records of a stored array by the numbers that chunks have in the present grid, which may have
 * other lengths; the order is the same in both.  Numbers asked for must ascend.
 */
typedef struct ut_records {
    const ut_manifest_array *manifest; /* NULL: there are none */
    const uint64_t *cells;             /* of the present grid */
    bool same_grid;
    uint64_t next;
} ut_records;
void ut_records_begin(ut_records *records, const ut_manifest_array *manifest,
                      const uint64_t *cells);

/* The first record from chunk `from` on and below `end`; NULL: there is none.  *number gets the
 * present number. */
const ut_manifest_chunk *ut_records_find(ut_records *records, uint64_t from, uint64_t end,
                                         uint64_t *number);

#endif
