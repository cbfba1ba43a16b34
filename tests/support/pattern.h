// SPDX-License-Identifier: MIT
/*
 * The self-checking fill.  An array is seen as the stream of its bytes in C
 * order.  The first 8 bytes are the stamp; every later byte follows from (array,
 * stamp, place).  A whole array can so be checked without knowing which stamp it
 * should have, and any mix of two stamps, arrays or places is found (in arrays
 * of a few bytes by the stamp alone).
 *
 * An append-only array uses a constant stamp, so that its bytes depend on the
 * place alone.
 */
#ifndef UT_TEST_PATTERN_H
#define UT_TEST_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_GOOD SIZE_MAX

// The bytes [offset, offset + size) of the stream to `to`.
void pattern_fill(uint64_t array, uint64_t stamp, size_t offset, void *to, size_t size);

// The place of the first wrong byte, or PATTERN_GOOD.
size_t pattern_check(uint64_t array, uint64_t stamp, size_t offset, const void *from, size_t size);

// The stamp in the first bytes; of arrays below 8 bytes what is there of it.
uint64_t pattern_stamp(const void *from, size_t size);

#endif
