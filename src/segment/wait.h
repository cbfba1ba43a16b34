// SPDX-License-Identifier: MIT
/*
 * Sleeping until the writer publishes.
 *
 * A waiter adds itself to a count, fences, loads the published word, tries what
 * it waits for, and sleeps on the value it loaded.  The writer stores commit, then
 * the published word, fences, and wakes if the count is not zero.  Either the
 * waiter sees the new word, or the writer sees the waiter.
 *
 * Waiting on published and not on generation matters: generation is stored
 * before commit, so a waiter woken by it could find nothing, and sleep through
 * the commit on the value it has then.
 *
 * The words are in the data segment, mapped read-only: the kernel allows
 * FUTEX_WAIT there.  Every sleep is a slice: 100 ms, or 1 ms for a reader that
 * cannot be counted.
 */
#ifndef UT_WAIT_H
#define UT_WAIT_H

#include "segment/reader_line.h"

#define UT_WAIT_WORDS 128u /* the most that futex_waitv takes */

typedef struct ut_waiter {
    ut_segment *segment;
    uint32_t line;    /* UT_NO_LINE: not counted */
    uint32_t waiting; /* 1: on arrays, 2: on the segment */
} ut_waiter;

/* Be counted. `line` may be UT_NO_LINE. */
void ut_wait_begin(ut_waiter *waiter, ut_segment *segment, uint32_t line, uint32_t waiting);
void ut_wait_end(ut_waiter *waiter);

/* Sleep until a word differs from its value, somebody wakes us, or `slice` ns have passed.
 * Returns 0, or an error number: ETIMEDOUT, EINTR. */
int ut_wait_sleep(_Atomic uint32_t *const *words, const uint32_t *values, size_t count,
                  int64_t slice);

/* How long a slice is. */
int64_t ut_wait_slice(const ut_waiter *waiter);

#endif
