// SPDX-License-Identifier: MIT
/*
 * Regions with steps: along each axis every first, every second, ... element from a start on.
 *
 * A region takes `count` elements along an axis, `step` apart.  Its tiles are those of grid.h, of
 * the chunks in which something is taken: in_chunk is in elements of the chunk, in_region and
 * count in elements that are taken.  A step may be longer than chunks, which are passed over
 * without being looked at.
 */
#ifndef UT_STEPPED_H
#define UT_STEPPED_H

#include "array/grid.h"

/*
 * Resolve a region against a shape as ut_region_fit() does; UNTORN_TO_END: as many as there are.
 * Returns the first axis whose step is 0 or on which the last element is beyond the shape, or
 * `rank`.  For any numbers.
 */
unsigned ut_stepped_fit(unsigned rank, const uint64_t *shape, const uint64_t *start,
                        const uint64_t *count, const uint64_t *steps, uint64_t *from, uint64_t *n);

/* What is wrong with a region that does not fit on this axis. */
untorn_status ut_stepped_describe(char *text, size_t capacity, unsigned axis, const uint64_t *shape,
                                  const uint64_t *from, const uint64_t *n, const uint64_t *steps);

/*
 * The steps of a region that fits, those that lead nowhere (of at most one element) made 1, lest
 * they are too long to be counted in bytes.  False: all are 1, and it is a region without steps.
 */
bool ut_stepped_steps(unsigned rank, const uint64_t *n, const uint64_t *steps, uint64_t *step);

/* In how many chunks along an axis something is taken; `count` is not 0. */
uint64_t ut_stepped_tiles(uint64_t start, uint64_t count, uint64_t step, uint64_t chunk);

/* As ut_tiles_begin(), with steps as ut_stepped_steps() gives them. */
void ut_tiles_begin_stepped(ut_tiles *tiles, unsigned rank, const uint64_t *cells,
                            const uint64_t *chunks, const uint64_t *start, const uint64_t *count,
                            const uint64_t *step);

/* ut_tiles_turn() of such an iteration that is not done. */
bool ut_stepped_turn(ut_tiles *tiles, ut_tile *tile);

#endif
