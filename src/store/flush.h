// SPDX-License-Identifier: MIT
/*
 * One flush: a pinned snapshot of a segment becomes a store snapshot.
 *
 * Arrays whose data, shape and attributes are those of the newest store snapshot are linked whole;
 * in the others, chunks of equal version and visible extent are.  The rest is encoded, by several
 * threads, and written.  The writer commits on at full rate meanwhile.
 */
#ifndef UT_FLUSH_H
#define UT_FLUSH_H

#include "array/reader.h"
#include "store/encode_pool.h"
#include "store/snapshot_writer.h"

typedef struct ut_flush_options {
    ut_zarr_format format;
    unsigned threads;
    ut_encode_pool *pool;  /* of that many threads, which stay; NULL: one for this flush */
    bool export;           /* real directories; nothing is linked */
    uint64_t commit;       /* UNTORN_NEWEST or one that can be read */
    untorn_notify *notify; /* NULL, or who is told of damage that did not keep the flush */
    void *notify_context;
} ut_flush_options;

typedef struct ut_flush_report {
    uint64_t commit; /* that the store's newest snapshot is of */
    int64_t time;
    bool written; /* false: the store had a snapshot of this commit already */
    uint64_t arrays_written, arrays_linked;
    uint64_t chunks_written, chunks_linked;
    uint64_t bytes_written; /* of chunk files */
} ut_flush_report;

/* Flush.  `store` is open for writing.  On failure store and segment are as before, but for rubbish
 * that is removed as far as it can be.  If the store has the commit already, that is confirmed: its
 * snapshot is there, is synced, and `latest` names it.  UNTORN_E_NO_STORE: the directory was moved,
 * removed or replaced since it was opened. */
untorn_status ut_flush(const ut_store *store, untorn_reader *reader,
                       const ut_flush_options *options, ut_flush_report *report);

#endif
