// SPDX-License-Identifier: MIT
/*
 * The writer's private allocator of space inside a segment: offsets in,
 * offsets out.  It keeps its books in private memory and never touches the
 * segment itself, so nothing that readers or a crash can do reaches them, and
 * a writer that adopts a segment rebuilds them with ut_alloc_mark().
 *
 * Below 4096 bytes: size classes, in pages of up to 64 slots, with a bitmap.
 * From 4096 bytes up: runs of whole pages from a coalescing buddy scheme; only
 * the pages asked for are kept, the rest of the buddy block is free at once.
 *
 * Misuse (a range given twice, or with another size than it was taken with)
 * means that the writer's own books are wrong, and aborts through ut_check().
 * One thread at a time.
 */
#ifndef UT_PAGE_ALLOC_H
#define UT_PAGE_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "untorn.h"

#define UT_ALLOC_PAGE 4096u  /* granularity of everything from this size up */
#define UT_ALLOC_GRANULE 64u /* alignment and smallest size of everything below */

typedef struct ut_page_alloc ut_page_alloc;

/*
 * Manage [start, limit), multiples of UT_ALLOC_PAGE, start > 0 (offset 0 means
 * "no room").  Nothing is free until ut_alloc_extend().  The books' memory is
 * reserved for the whole range but only what is used of it costs anything
 * (17 bytes a page, by pages of 4 KiB).
 * UNTORN_E_NO_MEMORY, UNTORN_E_LIMIT (limit is not below 16 TiB less 4 KiB).
 */
untorn_status ut_alloc_create(uint64_t start, uint64_t limit, ut_page_alloc **out);
/* NULL is allowed. */
void ut_alloc_destroy(ut_page_alloc *alloc);

/* [present end, end) becomes free.  `end` is a page multiple, not above the limit. */
void ut_alloc_extend(ut_page_alloc *alloc, uint64_t end);

/*
 * The offset of `bytes` bytes (0 counts as 1), or 0 if there is no room.
 * Aligned to 64 bytes, and to a page from 4096 bytes up.  Low offsets are
 * preferred as far as that is cheap.  A request of up to ut_alloc_largest()
 * bytes always finds room.
 */
uint64_t ut_alloc_take(ut_page_alloc *alloc, uint64_t bytes);

/* Give back what ut_alloc_take() or ut_alloc_mark() handed out, with the same `bytes`. */
void ut_alloc_give(ut_page_alloc *alloc, uint64_t offset, uint64_t bytes);

/* What a request of this size occupies: its size class, or whole pages. */
uint64_t ut_alloc_rounded(uint64_t bytes);

/*
 * Claim exactly this range, as if taken; for rebuilding the books from what a
 * segment holds.  Any order, any mixture with take and give.  `offset` and
 * `bytes` may be anything at all: they come from shared memory.
 *    1  newly claimed
 *    0  was claimed already, as exactly this offset and rounded size
 *   -1  overlaps something else, is misaligned, or is outside [start, end)
 */
int ut_alloc_mark(ut_page_alloc *alloc, uint64_t offset, uint64_t bytes);

/* end - start less the rounded sizes of all that is taken.  (Not all of it can
 * be had: pages of slots have a little waste, and space is fragmented.) */
uint64_t ut_alloc_free_bytes(const ut_page_alloc *alloc);
/* The largest free power-of-two block in bytes: the size that is sure to be had. */
uint64_t ut_alloc_largest(const ut_page_alloc *alloc);
/* The end of what was made free by ut_alloc_extend(). */
uint64_t ut_alloc_end(const ut_page_alloc *alloc);

/* For tests: walk all books and tell whether they are consistent; prints what is not. */
bool ut_alloc_check(const ut_page_alloc *alloc);

#endif
