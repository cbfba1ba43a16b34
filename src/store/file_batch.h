// SPDX-License-Identifier: MIT
/*
 * New files that are synced together.
 *
 * A file synced as soon as it is written waits for the disk alone, and each waits for a commit of
 * the file system's journal.  So files stay open after writing, their pages begin to go out at
 * once, and only when there are many of them is each synced: most of what the first sync has to
 * wait for serves the others as well.
 *
 * All fails as in store/durable.h: after a failed fsync nothing of the batch is synced again.
 */
#ifndef UT_FILE_BATCH_H
#define UT_FILE_BATCH_H

#include <stddef.h>

#include "untorn.h"

#define UT_FILE_BATCH_FILES 64u /* open at a time, at most */

/* Begins as zeros, but for `who`. */
typedef struct ut_file_batch {
    const char *who; /* what messages begin with */
    unsigned count;
    unsigned slow; /* files in a row whose syncing took long */
    struct {
        int fd;
        char *path;
    } files[UT_FILE_BATCH_FILES];
} ut_file_batch;

/* A new file at `path`, which must not exist, of these bytes; synced later.  A full batch is synced
 * first. */
untorn_status ut_file_batch_write(ut_file_batch *batch, const char *path, const void *bytes,
                                  size_t n);

/* Sync all files and close them, by several threads where that is slow.  After a failure no other
 * is begun. */
untorn_status ut_file_batch_sync(ut_file_batch *batch);

/* Close them; they are left to be removed with their directory. */
void ut_file_batch_abandon(ut_file_batch *batch);

#endif
