// SPDX-License-Identifier: MIT
/*
 * A run: the tiles of a region along the one axis of an array, as ut_tiles_next() would cut them.
 *
 * With one axis there is no odometer to turn and no stride but the itemsize, and most of what a
 * tile costs besides its copy goes away.
 */
#ifndef UT_RUN_H
#define UT_RUN_H

#include "array/grid.h"

typedef struct ut_run {
    uint64_t chunk;      /* elements of a chunk */
    uint64_t begin, end; /* of the region */
    uint64_t at;         /* where the next tile begins, ... */
    uint64_t cell;       /* ... which lies in this chunk */
} ut_run;

static inline void ut_run_begin(ut_run *run, uint64_t chunk, uint64_t start, uint64_t count) {
    uint64_t end = start + count;
    *run = (ut_run){chunk, start, end, start, end <= chunk ? 0 : start / chunk};
}

static inline bool ut_run_next(ut_run *run, ut_tile *tile) {
    if (run->at == run->end)
        return false;
    uint64_t in_chunk = run->at - run->cell * run->chunk;
    uint64_t room = run->chunk - in_chunk, left = run->end - run->at;
    uint64_t count = left < room ? left : room;
    tile->cell = tile->index[0] = run->cell;
    tile->in_chunk[0] = in_chunk;
    tile->in_region[0] = run->at - run->begin;
    tile->count[0] = count;
    tile->whole = count == run->chunk;
    run->at += count;
    run->cell++;
    return true;
}

#endif
