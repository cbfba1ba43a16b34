// SPDX-License-Identifier: MIT
/*
 * The flusher: the writer's thread that flushes at intervals, when much was written, on demand, and
 * at the end.
 *
 * It is a reader like any other, with a line of its own in the control segment, and never touches
 * the writer's books: what it must know of the writer is in the segment or in atomic words.  A
 * flush that failed is reported and tried again, less and less often.
 */
#ifndef UT_FLUSHER_H
#define UT_FLUSHER_H

#include "array/writer.h"
#include "store/flush_state.h"

typedef struct ut_flusher ut_flusher;

/* The thread begins.  `store` is open for writing; it and the writer outlive the flusher. */
untorn_status ut_flusher_start(untorn_writer *writer, const ut_store *store,
                               const ut_flush_config *config, untorn_notify *notify,
                               void *notify_context, ut_flusher **flusher);

/*
 * For the writer's thread when space is out: wait until no flush is running, at most until
 * `deadline` (monotonic ns), and let none begin before ut_flusher_release().  A flush pins what it
 * reads, so that nothing could be evicted under it.  False: one is running still, and nothing is
 * held.
 */
bool ut_flusher_hold(ut_flusher *flusher, int64_t deadline);
void ut_flusher_release(ut_flusher *flusher);

/* A number that moves while a flush does: with every chunk that is written or linked. */
uint64_t ut_flusher_progress(const ut_flusher *flusher);

/* Flush what is not yet in the store; the thread ends. */
void ut_flusher_stop(ut_flusher *flusher);

/* In a forked child, where the thread is not. */
void ut_flusher_forget(ut_flusher *flusher);

#endif
