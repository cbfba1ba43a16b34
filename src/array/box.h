// SPDX-License-Identifier: MIT
/*
 * Copying and filling N-dimensional boxes between strided memories.
 *
 * A box has `count[axis]` elements along each of `rank` axes.  Element (i, j, ...)
 * is at base + i * strides[0] + j * strides[1] + ... bytes; strides may be
 * negative, and a source's may be zero (the same element again and again).
 * Rank 0 is one element; a count of 0 is nothing, and then no pointer is used.
 * Every byte goes through the one primitive for racy copying, so that either
 * side may be shared memory that somebody else is changing.
 */
#ifndef UT_BOX_H
#define UT_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

/* How a box is to be copied: whatever does not depend on where it lies, so that boxes of the same
 * size and strides, as most tiles of a region are, share the thought.  The members are its own. */
typedef struct ut_box {
    unsigned axes;
    bool transposed;
    bool stream; /* past the caches; false, unless it is set after preparing */
    size_t unit; /* bytes without gaps on both sides */
    uint64_t count[UNTORN_MAX_RANK];
    int64_t to[UNTORN_MAX_RANK], from[UNTORN_MAX_RANK];
} ut_box;

void ut_box_prepare(ut_box *box, unsigned rank, size_t itemsize, const uint64_t *count,
                    const int64_t *to_strides, const int64_t *from_strides);

/* The two memories must not overlap. */
void ut_box_copy_prepared(const ut_box *box, void *to, const void *from);

/* Have the processor fetch what a box begins with, which may lie anywhere: it cannot fail. */
void ut_box_fetch(const ut_box *box, const void *from);

/* Both in one. */
void ut_box_copy(unsigned rank, size_t itemsize, const uint64_t *count, void *to,
                 const int64_t *to_strides, const void *from, const int64_t *from_strides);

/* Put the element at `fill` (NULL: zero bytes) everywhere in the box.  `fill` is
 * private memory: it is read as it is. */
void ut_box_fill(unsigned rank, size_t itemsize, const uint64_t *count, void *to,
                 const int64_t *to_strides, const void *fill);

/* The strides of a shape in C order without gaps.  The shape's size in bytes
 * must fit in 63 bits (ut_grid_valid()), an axis of length 0 counting as 1. */
void ut_c_strides(unsigned rank, size_t itemsize, const uint64_t *shape, int64_t *strides);

#endif
