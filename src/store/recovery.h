// SPDX-License-Identifier: MIT
/*
 * Choosing a store snapshot to start from, and entering what it has in a fresh segment.
 */
#ifndef UT_RECOVERY_H
#define UT_RECOVERY_H

#include "array/writer.h"
#include "store/store_view.h"

/*
 * The newest store snapshot whose manifests are whole; *view is NULL if the store has none at all.
 * Each damaged one that is passed over is told to `notify`; if that is NULL, it is an error.
 * UNTORN_E_CORRUPT: there are snapshots, and all of them are damaged.
 */
untorn_status ut_recovery_choose(const ut_store *store, untorn_notify *notify, void *context,
                                 ut_store_view **view);

/* Enter all arrays and groups and commit.  No chunk is read: each is left to be taken from the
 * store when it is needed. */
untorn_status ut_recovery_restore(untorn_writer *writer, const ut_store_view *view);

/* Put the snapshots above `taken` aside, as STORE/passed-over/COMMIT: what they have is of a
 * history that ended, and neither reads nor flushes of the new one may take it for theirs.  Their
 * data stay until somebody removes them. */
untorn_status ut_recovery_put_aside(const ut_store *store, const uint64_t *commits, size_t count,
                                    uint64_t taken);

#endif
