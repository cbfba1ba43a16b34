// SPDX-License-Identifier: MIT
// Racy copying of many runs at once: those of a box, which lie at equal distances on both sides.
//
// What racy_copy.h says of one run holds of all of them together: the bytes mean nothing until a
// fence and a check after the last, and the compiler is told once, at the end, that they changed.
// So a run costs no more than its loads and stores, which matters where runs are single elements.
#ifndef UT_RACY_ROWS_H
#define UT_RACY_ROWS_H

#include <stddef.h>
#include <stdint.h>

// Copy `rows` runs of `bytes` bytes.  Strides are in bytes, of any sign; the source's may be 0.
void ut_racy_copy_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                       size_t bytes, uint64_t rows);

// Rows of such runs: along two axes, the inner one second in all three arrays.  Where rows lie
// apart in the source, the next ones are fetched while one is copied: short rows are over before
// the processor foresees anything.
void ut_racy_copy_plane(void *to, const int64_t *to_strides, const void *from,
                        const int64_t *from_strides, size_t bytes, const uint64_t *counts);

// Have the processor fetch a row, or what it begins with: a hint, which cannot fail for any address
// and says nothing of what is there.
void ut_racy_fetch_row(const void *from, int64_t from_stride, size_t bytes, uint64_t runs);

// The same for what is too large for the processor's caches: past them, so that the target's lines
// are not read before they are written, and what else is in the caches stays there.  The stores are
// complete at the end: whoever publishes what was copied needs no fence for them.
void ut_racy_stream_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                         size_t bytes, uint64_t rows);

// Copy a matrix of elements of `bytes` bytes to its transpose: element (y, x), y < height and
// x < width, from from[x * from_stride + y * bytes] to to[y * to_stride + x * bytes].
void ut_racy_transpose(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                       size_t bytes, uint64_t height, uint64_t width);

#endif
