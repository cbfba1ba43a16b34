// SPDX-License-Identifier: MIT
/*
 * Where a chunk probably lies, before its cell has been read.
 *
 * A read of any one of very many chunks misses the caches twice, one after the other: in the
 * table's leaf, and in the chunk that the leaf leads to.  But chunks that were first written in
 * their order lie in their order, one slot after the other, and most arrays are written so.  From
 * chunks that were found before, a handle knows where the first one would be then, and has the
 * processor fetch a chunk from where it would be while the leaf is on its way: the two misses
 * become one.  Where chunks were rewritten here and there, the others still lie in order, so the
 * guess is given up only when it was wrong several times on end; while it is wrong, nothing is
 * fetched by it.  Slots whose size is no power of two leave gaps between pages, and are not
 * foreseen.  A guess never decides what is read: the cell does.
 */
#ifndef UT_SLOT_GUESS_H
#define UT_SLOT_GUESS_H

#include "segment/page_alloc.h"

#include <stddef.h>

#define UT_GUESS_DEPTH 3u     /* least depth of a table whose leaves do not stay in the caches */
#define UT_GUESS_SURPRISES 4u /* wrong guesses on end after which another is looked for */
#define UT_GUESS_BYTES 512u   /* fetched at most: what is left comes while these are copied */
#define UT_GUESS_LINE 64u     /* bytes of a cache line */

/* Of one handle. */
typedef struct ut_slot_guess {
    uint64_t first;     /* offset of chunk 0's slot, if all lay in order, modulo 2^64 */
    unsigned surprises; /* times on end that it was wrong */
} ut_slot_guess;

/* Bytes from a chunk's slot to the next one's, if they lie in order. */
static inline uint64_t ut_slot_spacing(uint64_t slot_bytes) {
    uint64_t unit = slot_bytes < UT_ALLOC_PAGE ? UT_ALLOC_GRANULE : UT_ALLOC_PAGE;
    return (slot_bytes + unit - 1) / unit * unit;
}

/* `bytes` from `base` on, which is where the segment or what is wanted of the slot begins; `before`
 * that are the slots of lower chunks, in bytes. */
static inline void ut_slot_guess_fetch(const ut_slot_guess *guess, const void *base,
                                       uint64_t before, size_t bytes) {
    if (guess->surprises >= UT_GUESS_SURPRISES)
        return;
    // An address that may be anything: the instruction fetches nothing then, and cannot fail.
    uintptr_t at = (uintptr_t)base + (uintptr_t)(guess->first + before);
    size_t most = bytes < UT_GUESS_BYTES ? bytes : UT_GUESS_BYTES;
    for (size_t i = 0; i < most; i += UT_GUESS_LINE)
        __builtin_prefetch((const void *)(at + i));
}

/* The slot lies at `offset`. */
static inline void ut_slot_guess_learn(ut_slot_guess *guess, uint64_t before, uint64_t offset) {
    if (guess->first == offset - before)
        guess->surprises = 0;
    else if (guess->surprises < UT_GUESS_SURPRISES)
        guess->surprises++;
    else
        guess->first = offset - before;
}

#endif
