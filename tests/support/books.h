// SPDX-License-Identifier: MIT
/*
 * What the writer's books must add up to, and a perfect death.
 *
 * BOOKS.  Every byte of the heap is free or in exactly one of: the pages of
 * headers, the rings, the retained descriptors, what the newest generations
 * reach, what waits in a queue or is held by a pin, and what the open transaction
 * took, and what is set aside for evictions.  Anything else is a leak or is used twice.
 *
 * DEATH.  A copy of a segment's files, made between any two steps, is exactly what
 * a writer that is killed there leaves behind: the nonce is the same in all files, so
 * the copies work under another name.
 */
#ifndef UT_TEST_BOOKS_H
#define UT_TEST_BOOKS_H

#include "array/writer.h"

// Fail the test unless the writer's books add up, but for `ballast` bytes that the test took.  Not
// within a commit.
void books_must_add_up(untorn_writer *writer, uint64_t ballast, const char *when);

// Take pages from the writer's allocator until `leave` bytes are free at most, in a segment whose
// file cannot grow.  Returns how many bytes.
uint64_t books_take_ballast(untorn_writer *writer, uint64_t leave);

// Copy data and control of segment `from` to the name `to`, which has none yet.
void books_copy_segment(const char *from, const char *to);

// Hold the kernel's locks on all reader lines of the segment that a reader uses, as if those
// readers lived: close() the result to let them die.
int books_keep_readers(const char *segment);

// Whether a reader's grant of this commit stands.
int books_pinned(const ut_segment *segment, uint64_t commit);

#endif
