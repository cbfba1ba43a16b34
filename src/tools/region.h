// SPDX-License-Identifier: MIT
/*
 * Regions as they are typed: "0:100,5:6", one part per axis, later axes whole.
 *
 *   a:b    from a up to b, b not included; a left out: 0, b left out: the end
 *   a:b:s  the first of these, and every s-th after it; s left out: 1
 *   i      one index; the axis is dropped from what is read, as NumPy does
 *   negative numbers count from the axis's end: "-10:" is the last ten, or all if there are fewer
 *
 * Numbers that are not negative must lie within the shape: asking for what is not there is an
 * error, unlike in NumPy, whose silent cutting hides mistakes.  A step may be longer than its axis,
 * but not negative: the library takes elements in the order in which they lie.
 *
 * A region is parsed once and resolved against each shape that is met: arrays grow.
 */
#ifndef UT_REGION_H
#define UT_REGION_H

#include "untorn.h"

#include <stdbool.h>
#include <stdint.h>

struct ut_region_axis {
    int64_t first, last; /* as typed; last is INT64_MAX if left out */
    int64_t step;        /* at least 1 */
    bool is_index;
};

struct ut_region {
    const char *text; /* "" is everything */
    unsigned parts;
    struct ut_region_axis axes[UNTORN_MAX_RANK];
};

struct ut_box {
    unsigned rank;
    uint64_t start[UNTORN_MAX_RANK];
    uint64_t count[UNTORN_MAX_RANK]; /* of elements that are taken */
    uint64_t step[UNTORN_MAX_RANK];  /* from one to the next */
    bool stepped;                    /* some step is not 1 */
    /* The counts without dropped axes: the shape of what is read. */
    unsigned kept_rank;
    uint64_t kept[UNTORN_MAX_RANK];
};

/* 0, or the exit status of wrong usage, which has been said.  NULL: everything. */
int ut_cli_region_parse(const char *text, struct ut_region *region);

/* False, with a sentence in `why`, if the region does not fit the shape. */
bool ut_cli_region_resolve(const struct ut_region *region, unsigned rank, const uint64_t *shape,
                           struct ut_box *box, char *why, size_t why_size);

#endif
