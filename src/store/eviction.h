// SPDX-License-Identifier: MIT
/*
 * Which chunks leave memory when space is needed, and what a writer does with those that have left.
 *
 * A chunk is clean if the newest store snapshot has its version with the extent that is visible
 * now. Among the clean ones, those written first go first: that costs readers nothing, who would
 * have to write into shared memory to say what they use.  For an array that grows it is also what
 * is read least.  Small chunks go by the leaf of the table, so that nodes go with them.
 *
 * All of it runs in the writer's thread, inside the call that needs the space.
 */
#ifndef UT_EVICTION_H
#define UT_EVICTION_H

#include "array/writer.h"
#include "store/read_through.h"

typedef struct ut_eviction ut_eviction;

/* How long a flush that is waited for may do nothing, ns; for large segments longer.  Tests lower
 * it. */
extern int64_t ut_eviction_patience;

/* Give the writer what it needs to evict, and to use what was evicted.  The store is open and has
 * a flusher as long as the writer runs. */
untorn_status ut_eviction_start(untorn_writer *writer, const char *store_path,
                                ut_eviction **eviction);
/* The store as the writer reads it. */
ut_read_through *ut_eviction_read_through(ut_eviction *eviction);
void ut_eviction_stop(ut_eviction *eviction); /* NULL is allowed */

#endif
