// SPDX-License-Identifier: MIT
/*
 * Byte shuffle: the bytes of equal significance of many elements, side by side.
 *
 *     elements   a0 a1 a2 a3  b0 b1 b2 b3  c0 c1 c2 c3  (typesize 4)
 *     shuffled   a0 b0 c0  a1 b1 c1  a2 b2 c2  a3 b3 c3
 *
 * Neighbouring numbers share their high bytes, so the result has long runs that
 * LZ4 finds.  What is left after the last whole element stays as it is, at the
 * end.  This is exactly the shuffle of Blosc.
 */
#ifndef UT_SHUFFLE_H
#define UT_SHUFFLE_H

#include <stddef.h>

/* `from` and `to` are different and `bytes` long; typesize is at least 1. */
void ut_shuffle(size_t typesize, size_t bytes, const void *from, void *to);
void ut_unshuffle(size_t typesize, size_t bytes, const void *from, void *to);

/* The ways it is done; all give the same bytes.  For tests and benchmarks. */
typedef enum ut_shuffle_way {
    UT_SHUFFLE_PORTABLE,
    UT_SHUFFLE_SSE2,
    UT_SHUFFLE_AVX2
} ut_shuffle_way;

/* The fastest that this machine has. */
ut_shuffle_way ut_shuffle_best(void);

/* A way that the machine does not have is replaced by one that it has. */
void ut_shuffle_by(ut_shuffle_way way, size_t typesize, size_t bytes, const void *from, void *to);
void ut_unshuffle_by(ut_shuffle_way way, size_t typesize, size_t bytes, const void *from, void *to);

#endif
