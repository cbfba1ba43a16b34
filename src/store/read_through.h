// SPDX-License-Identifier: MIT
/*
 * Reading chunks that are only in the store.
 *
 * WHICH FILE.  A cell that says "evicted" has the chunk's version, and belongs to a state of the
 * array with a data commit D.  It was evicted because a store snapshot at or before D had that
 * version; so has every later one that shows the array at or before D.  So the newest store
 * snapshot in which the array's data commit is at most D is taken, and its record must have that
 * version and show at least what is visible.
 *   A subtree's cell has a version that is not below any chunk's in it, nor below the commit since
 * which what is absent there has been so: a snapshot at or above that commit, with the array at or
 * before D, has the subtree as it is.
 *
 * WHOSE IT IS.  Numbers are compared within one history only (lineage.h).  A snapshot of a segment
 * that was made from one of this segment's counts as if it were of the commit from which that
 * began; any other of another history does not count.
 *
 * WHEN IT IS GONE.  Snapshots are deleted when they are old.  If there is none that will do, what
 * is read has been overtaken, unless it is the newest there is; then the store is damaged.  Where
 * the store goes on in another history, that is the error.
 *
 * A record's file is checked by length and hash before it is decoded: a missing, cut or changed
 * file is an error with its name, never fill values.
 */
#ifndef UT_READ_THROUGH_H
#define UT_READ_THROUGH_H

#include "array/backing.h"
#include "store/store_view.h"

typedef struct ut_read_through ut_read_through;

/* `who` is how messages begin.  Any number of threads may fetch. */
untorn_status ut_read_through_open(const char *store_path, size_t cache_bytes, unsigned threads,
                                   ut_read_through **read_through);
/* The store of this segment only: uids and commits of another's, or of another history, mean
 * nothing here.  `super` stays mapped. */
void ut_read_through_own(ut_read_through *read_through, const ut_superblock *super);
void ut_read_through_close(ut_read_through *read_through); /* NULL is allowed */

/* As ut_backing.fetch(). */
untorn_status ut_read_through_fetch(ut_read_through *read_through, const ut_wanted *wanted,
                                    size_t count, ut_take *take, void *context);

typedef struct ut_held_array ut_held_array;

/* The array's manifest that such a fetch would use, held until ut_read_through_release(): of the
 * newest snapshot in which the array's data commit is at most `data_commit`, and which is at or
 * above `at_least`.  UNTORN_E_OVERTAKEN: there is none. */
untorn_status ut_read_through_find(ut_read_through *read_through, const ut_definition *definition,
                                   uint64_t data_commit, uint64_t at_least, ut_held_array **held);
/* The same, but the store is looked at again even if one is open that will do. */
untorn_status ut_read_through_hold(ut_read_through *read_through, const ut_definition *definition,
                                   uint64_t data_commit, uint64_t at_least, ut_held_array **held);
const ut_stored_array *ut_held_stored(const ut_held_array *held);
void ut_read_through_release(ut_read_through *read_through, ut_held_array *held);

/* The chunk's record in a manifest whose grid may have another shape; NULL: it has none. */
const ut_manifest_chunk *ut_stored_record(const ut_stored_array *stored, const uint64_t *index);

/* What readers have behind them (reader_store.c). */
extern const ut_backing ut_reader_backing;

#endif
