// SPDX-License-Identifier: MIT
/*
 * New files that are synced together.
 *
 * A file synced as soon as it is written waits for the disk alone, and each waits for a commit of
 * the file system's journal.  So files stay open after writing, their pages begin to go out at
 * once, and only when there are many of them is each synced: most of what the first sync has to
 * wait for serves the others as well.
 *
 * Several threads write files of one batch at once, each its own.  All that is shared has a lock,
 * which nobody holds while a file is made, written or synced.  A full batch is synced by the thread
 * that finds it full, once those that still write one of its files are done; whoever needs a place
 * waits for that.
 *
 * All fails as in store/durable.h: after a failed fsync nothing is synced again, and whatever else
 * is asked of the batch fails for the same reason.
 */
#ifndef UT_FILE_BATCH_H
#define UT_FILE_BATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "untorn.h"

#define UT_FILE_BATCH_FILES 64u /* open at a time, at most */

typedef struct ut_file_batch {
    const char *who; /* what messages begin with */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* fewer are being written, or a sync is over */
    unsigned count;         /* of places that are taken */
    unsigned writing, open; /* of these: whose files are being written; are to be synced */
    bool syncing;           /* some thread has all of it */
    unsigned slow;          /* files in a row whose syncing took long */
    untorn_status status;   /* of the first sync that failed */
    char message[UT_MESSAGE_BYTES];
    struct {
        int fd; /* below 0: none, or not yet */
        char *path;
    } files[UT_FILE_BATCH_FILES];
} ut_file_batch;

/* `who` is kept. */
void ut_file_batch_begin(ut_file_batch *batch, const char *who);

/* A new file at `path`, which must not exist, of these bytes; synced later.  A full batch is synced
 * first.  Several threads may call this at once. */
untorn_status ut_file_batch_write(ut_file_batch *batch, const char *path, const void *bytes,
                                  size_t n);

/* Sync all files and close them, by several threads where that is slow.  After a failure no other
 * is begun. */
untorn_status ut_file_batch_sync(ut_file_batch *batch);

/* Files that are not synced are closed, to be removed with their directory.  No other thread uses
 * the batch. */
void ut_file_batch_end(ut_file_batch *batch);

#endif
