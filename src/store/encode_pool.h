// SPDX-License-Identifier: MIT
/*
 * Chunks on their way into an array directory: encoded or linked by several threads, recorded in
 * ascending order by the one that adds them.
 *
 *   caller      walks the chunk table, adds a job per chunk, writes the records
 *   workers     take jobs in order; each encodes from shared memory, checks that the pin still
 *               holds, and writes the file; or links one
 *
 * Jobs lie in a ring of a few per worker, so memory is bounded however many chunks there are: a
 * full ring makes the caller wait for its oldest job.  The first failure is kept, with its
 * sentence; jobs after it are passed over.  With one thread the caller does everything itself.
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
    uint64_t bytes, hash;
    bool done;
} ut_encode_job;

typedef struct ut_encode_pool ut_encode_pool;

/* `hold` is copied for each thread: asking it changes it. */
untorn_status ut_encode_pool_open(unsigned threads, const ut_hold *hold, ut_encode_pool **pool);

/* Add a job (copied); numbers of one target ascend.  Also records what is done by now.  Fails with
 * the first failure of any job so far. */
untorn_status ut_encode_pool_add(ut_encode_pool *pool, const ut_encode_job *job);

/* Wait for all jobs and record them; to be called before a target goes, after a failure too.  The
 * first failure, which is forgotten then. */
untorn_status ut_encode_pool_finish(ut_encode_pool *pool);

/* What was recorded since the pool was opened. */
typedef struct ut_encode_counts {
    uint64_t chunks_written, chunks_linked;
    uint64_t bytes_written;
} ut_encode_counts;
ut_encode_counts ut_encode_pool_counts(const ut_encode_pool *pool);

/* No jobs are under way.  NULL is allowed. */
void ut_encode_pool_close(ut_encode_pool *pool);

#endif
