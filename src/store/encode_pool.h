// SPDX-License-Identifier: MIT
/*
 * Chunks on their way into an array directory: encoded and written by several threads, recorded in
 * ascending order by the one that adds them.
 *
 *   coordinator   walks the chunk table, adds a job per chunk, links files and records
 *   workers       take jobs in order; each encodes from shared memory, checks that the pin still
 *                 holds, and writes the file
 *
 * Of N threads that were asked for, N - 1 are workers and the coordinator is one more when it has
 * nothing better to do.  If one was asked for there is one worker, which only encodes, and the
 * coordinator writes: so writing overlaps with compressing there, too.
 *
 * Jobs lie in a ring and encoded bytes in a few buffers, one per thread or, for one thread, of a
 * few MiB, so memory is bounded however many chunks there are: a full ring makes the coordinator do
 * or await its oldest jobs.  The failure of the first chunk in order is kept, with its sentence;
 * jobs after one that failed are passed over.
 *
 * A flush of little is done by the coordinator alone: to hand over and to wake costs more than to
 * encode a few small chunks.  Threads begin when they are needed, and they and their buffers stay
 * from flush to flush, since new memory of that size costs a page fault for each page.
 *
 * A chunk all of which is visible is encoded where it lies: the pin keeps it unchanged.  One that
 * sticks out over the shape is copied first, as what lies beyond may be written meanwhile; there
 * the fill value goes to the file.
 */
#ifndef UT_ENCODE_POOL_H
#define UT_ENCODE_POOL_H

#include "array/reader.h"
#include "store/snapshot_writer.h"

/* The array that jobs are of; lives until ut_encode_pool_finish(). */
typedef struct ut_encode_target {
    const char *who; /* how messages begin: the store */
    const ut_definition *definition;
    const uint64_t *cells; /* of its grid, for messages */
    ut_codec codec;
    const ut_header *header; /* with generation, what the hold is asked about */
    uint64_t generation;
    ut_array_writer *writer;
    const ut_stored_array *stored; /* in the previous snapshot; NULL: none */
} ut_encode_target;

typedef enum ut_encode_kind {
    UT_ENCODE_SLOT,   /* from shared memory */
    UT_ENCODE_STORED, /* from the previous snapshot's file, whose extent was another */
    UT_ENCODE_LINK    /* the previous snapshot's file */
} ut_encode_kind;

typedef struct ut_encode_job {
    const ut_encode_target *target;
    ut_encode_kind kind;
    uint64_t number, version;
    uint64_t extent[UNTORN_MAX_RANK]; /* that is visible */
    const void *slot;
    const ut_manifest_chunk *stored;
    /* set by the pool */
    const void *file; /* what is to be written: a buffer, or the slot itself */
    uint64_t bytes, hash;
} ut_encode_job;

typedef struct ut_encode_pool ut_encode_pool;

/* Of so many bytes of chunks in a flush, the coordinator encodes by itself. */
#define UT_ENCODE_ALONE ((uint64_t)64 << 10)

/* `threads` that compress, of which the caller's own is one if there are several; `alone`:
 * UT_ENCODE_ALONE, or less in tests. */
untorn_status ut_encode_pool_open(unsigned threads, uint64_t alone, ut_encode_pool **pool);

/* A flush begins and ends; between them one thread uses the pool.  `hold` is copied for each
 * thread: asking it changes it. */
void ut_encode_pool_begin(ut_encode_pool *pool, const ut_hold *hold);
void ut_encode_pool_end(ut_encode_pool *pool);

/* Add a job (copied); numbers of one target ascend.  Does and records older ones when there are too
 * many under way.  Fails with the failure of any job so far.  UNTORN_E_ABSENT: the file
 * to be linked is not there; the same chunk may be added again with its slot. */
untorn_status ut_encode_pool_add(ut_encode_pool *pool, const ut_encode_job *job);

/* Do or await all jobs and record them; to be called before a target goes, after a failure too.
 * The failure of the first in order, which is forgotten then. */
untorn_status ut_encode_pool_finish(ut_encode_pool *pool);

/* What was recorded since the flush began. */
typedef struct ut_encode_counts {
    uint64_t chunks_written, chunks_linked;
    uint64_t bytes_written;
} ut_encode_counts;
ut_encode_counts ut_encode_pool_counts(const ut_encode_pool *pool);

/* Told of any other step of a flush. */
void ut_encode_pool_advance(ut_encode_pool *pool);

/* A number that is raised by every chunk that is written or linked, and by every other step, from
 * flush to flush: while it moves, the flush does.  For any thread. */
uint64_t ut_encode_pool_progress(const ut_encode_pool *pool);

/* No flush is under way.  NULL is allowed. */
void ut_encode_pool_close(ut_encode_pool *pool);

/* In a forked child, where the threads are not.  What a flush that was under way had in hand is
 * left alone.  NULL is allowed. */
void ut_encode_pool_forget(ut_encode_pool *pool);

#endif
