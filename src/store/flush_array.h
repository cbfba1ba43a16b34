// SPDX-License-Identifier: MIT
/*
 * One array of a flush: linked whole, or written anew with those chunks linked that did not change.
 */
#ifndef UT_FLUSH_ARRAY_H
#define UT_FLUSH_ARRAY_H

#include "array/snapshot.h"
#include "store/encode_pool.h"
#include "store/flush.h"
#include "store/previous_snapshot.h"

/* What all arrays of one flush share. */
typedef struct ut_flushing {
    const ut_store *store;
    const ut_flush_options *options;
    untorn_snapshot *snapshot; /* pinned */
    ut_previous previous;
    ut_snapshot_writer *writer;
    ut_encode_pool *pool;
    ut_flush_report *report;
} ut_flushing;

untorn_status ut_flush_array(ut_flushing *flushing, ut_snapshot_member *member);

/* A member's attributes as it was given them; "" if there are none.  free() the text. */
untorn_status ut_flush_attributes(ut_flushing *flushing, ut_snapshot_member *member, char **json);

#endif
