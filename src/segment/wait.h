// SPDX-License-Identifier: MIT
/*
 * Sleeping until the writer publishes.
 *
 * A waiter adds itself to a count, fences, loads a wake word, tries what it waits
 * for, and sleeps on the value it loaded.  The writer stores commit, fences, and if
 * the count is not zero, it counts the wake word up and wakes.  Either the waiter
 * finds the commit, or the writer sees the waiter.  In the second case the waiter
 * loaded the word before it was counted up, and does not fall asleep or is woken,
 * or after, and finds the commit.
 *
 * Wake words are in the control segment, which a counted reader has mapped for
 * writing: before it lets a thread sleep on a read-only page, the kernel looks for a
 * writable one in vain.  That takes 0.2 to 0.5 us of each wait, and where readers
 * share a processor, the next one waits for it, too.
 *
 * A reader that is not counted (yet), and any that waits for an object without a
 * wake word, sleeps on the published word in the data segment, mapped read-only,
 * which the writer stores after commit, with or without waiters.  Waiting on that
 * and not on generation matters: generation is stored before commit, so a waiter
 * woken by it could find nothing, and sleep through the commit on the value it has
 * then.
 *
 * Every sleep is a slice: 100 ms, or 1 ms for a reader that cannot be counted.
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

/* The word to look at and to sleep on: until the object is published; until anything is. */
_Atomic uint32_t *ut_wait_object_word(const ut_waiter *waiter, ut_header *header, uint32_t index);
_Atomic uint32_t *ut_wait_segment_word(const ut_waiter *waiter, ut_segment *segment);

/* Sleep until a word differs from its value, somebody wakes us, or `slice` ns have passed.
 * Returns 0, or an error number: ETIMEDOUT, EINTR. */
int ut_wait_sleep(_Atomic uint32_t *const *words, const uint32_t *values, size_t count,
                  int64_t slice);

/* How long a slice is. */
int64_t ut_wait_slice(const ut_waiter *waiter);

#endif
