// SPDX-License-Identifier: MIT
/*
 * Which store snapshots stay.
 *
 * The newest `count`, those younger than `time` (by when they were published), what `latest` names,
 * those whose lease somebody holds, and those at or above `needed`, a commit that a pin in the
 * segment stands on: of the snapshots below it the newest stays, too.
 *
 * Age is the wall clock's time less that of the snapshot's .manifest.  Since a snapshot is never
 * younger than a later one, the ages of later ones count, too: if the clock was set back, what
 * seems to be of the future is kept until a later snapshot has been there for `time`, neither
 * deleted at once nor kept for ever.
 *
 * Deleting takes the lease (lease.h) exclusively, renames the snapshot to .tmp-*, syncs, and only
 * then removes anything.
 */
#ifndef UT_RETENTION_H
#define UT_RETENTION_H

#include "store/lease.h"
#include "store/store_directory.h"

typedef struct ut_retention {
    unsigned count;
    int64_t time;    /* ns; below 0: count alone decides, because the disk is full */
    uint64_t needed; /* UINT64_MAX: no pin */
    /* NULL, or what tells `needed`, once that matters.  Below `floor` snapshots may be deleted
     * after that, unless needed; what commits from there on need stays. */
    uint64_t (*pinned)(void *context, uint64_t floor);
    /* NULL, or called whenever a directory was removed: there may be thousands. */
    void (*removed)(void *context);
    void *context;
} ut_retention;

/* Delete the snapshots that need not stay, and the array directories that no snapshot names.  The
 * store is open for writing, and no snapshot is being written: its arrays are not named yet.
 * *deleted (may be NULL): how many snapshots, also on failure, which does not keep the others. */
untorn_status ut_retention_apply(const ut_store *store, const ut_retention *retention,
                                 size_t *deleted);

/* Remove array directories that no snapshot names, and everything called .tmp-*.  An array
 * directory is only removed if all snapshots' manifests could be read.  Under the same conditions
 * as ut_retention_apply(). */
untorn_status ut_retention_clean(const ut_store *store);

#endif
