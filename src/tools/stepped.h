// SPDX-License-Identifier: MIT
/*
 * Regions with steps out of a snapshot, whose reads know none: blocks of all elements from the
 * first to the last that is taken are read, and those in between are left out.
 *
 * Blocks are cut along the first axis only, so that they are bounded where inner axes are not
 * larger than that.  Where the first axis's steps skip much, each is a block of its own, and
 * what lies between is not read.
 */
#ifndef UT_CLI_STEPPED_H
#define UT_CLI_STEPPED_H

#include "tools/region.h"
#include "untorn.h"

#include <stddef.h>
#include <stdint.h>

struct ut_stepped {
    const struct ut_box *box;
    uint64_t extent[UNTORN_MAX_RANK]; /* from the first to the last element that is taken */
    uint64_t stride[UNTORN_MAX_RANK]; /* in a block, from one element to the next; bytes */
    unsigned inner;                   /* from this axis on everything is taken, ... */
    size_t inner_bytes;               /* ... so much at once */
    uint64_t run;                     /* elements along the first axis in a block */
    size_t block_bytes;
};

/* How to read a box, which must live as long as the plan; it has steps, so at least one axis. */
void ut_cli_stepped_plan(const struct ut_box *box, size_t itemsize, struct ut_stepped *stepped);

/* Read from the snapshot's first array.  `block` has block_bytes, `data` room for all that is
 * taken, in C order. */
untorn_status ut_cli_stepped_read(const struct ut_stepped *stepped, untorn_snapshot *snapshot,
                                  void *block, void *data);

#endif
