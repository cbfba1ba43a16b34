// SPDX-License-Identifier: MIT
/*
 * Who is the writer, and whether it lives.
 *
 * Exclusion and liveness are two files, since readers must be able to ask but
 * not to lock: a lock that a reader could take, even a shared one, would keep
 * the next writer out.
 *
 *   ~lock   only those who may write can open it; the writer holds its
 *           open-file-description lock.
 *   ~alive  made afresh by every writer with mode 0600, locked, only then made
 *           readable and renamed over the last one's.  Readers open it read-only
 *           and ask for the lock with F_OFD_GETLK.
 *
 * The kernel drops both locks when the last descriptor of the open file goes, at
 * death at the latest.  They need no pid and hold across pid namespaces.  These
 * open files are never mapped and are closed in forked children, either of which
 * would keep the lock alive.
 */
#ifndef UT_WRITER_LOCK_H
#define UT_WRITER_LOCK_H

#include "segment/segment.h"

typedef struct ut_writer_lock {
    int lock_fd;
    int alive_fd;
} ut_writer_lock;

/* Become the writer, or UNTORN_E_BUSY. */
untorn_status ut_writer_lock_take(ut_writer_lock *lock, const char *name);

/* Tell readers of this segment that a writer is alive. */
untorn_status ut_writer_lock_announce(ut_writer_lock *lock, const ut_segment *segment);

/* Let go.  `unlink`: the segment was removed, so remove the lock file, too. */
void ut_writer_lock_drop(ut_writer_lock *lock, const char *name, bool unlink);

/* Whether the segment's writer is alive. */
bool ut_writer_alive(const ut_segment *segment);

#endif
