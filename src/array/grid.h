// SPDX-License-Identifier: MIT
/*
 * Arithmetic of regular chunk grids.
 *
 * An array of some shape is cut into equal boxes, the chunks; those at the far
 * ends stick out over the shape.  The chunks of one array, its grid, are
 * numbered in C order: a chunk has an index along each axis and one linear
 * number, its cell.
 *
 * Only ut_product() and ut_grid_valid() take just any numbers; the rest relies
 * on a shape and chunks that ut_grid_valid() accepted, and cannot overflow then.
 */
#ifndef UT_GRID_H
#define UT_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

#define UT_MAX_ARRAY_BYTES (UINT64_C(1) << 62) /* exclusive; leaves strides room in int64_t */
#define UT_MAX_CHUNK_BYTES (UINT64_C(1) << 40)
#define UT_DEFAULT_CHUNK_BYTES (UINT64_C(1) << 20)

/* The product of the counts (rank 0: 1; any count 0: 0), UINT64_MAX on overflow. */
uint64_t ut_product(unsigned rank, const uint64_t *counts);

/*
 * Whether everything can be counted and addressed: rank at most
 * UNTORN_MAX_RANK, chunks at least 1, one chunk at most 2^40 bytes, and both
 * the elements and the grid of whole chunks below 2^62 bytes.  A length of 0
 * counts as 1 here, so that an empty array's other axes are in range as well.
 */
bool ut_grid_valid(unsigned rank, const uint64_t *shape, const uint64_t *chunks, size_t itemsize);

/* Chunks along each axis, and all in all (rank 0: 1; UINT64_MAX on overflow). */
uint64_t ut_grid_cells(unsigned rank, const uint64_t *shape, const uint64_t *chunks,
                       uint64_t *cells);

/* The linear number of the chunk at `index`. */
uint64_t ut_grid_linear(unsigned rank, const uint64_t *cells, const uint64_t *index);

/*
 * Resolve a region against a shape: `start` NULL is zeros, `count` NULL or an
 * element UNTORN_TO_END is to the end of the axis.  `from` and `n` get the region,
 * also where it does not fit.  Returns the first axis on which it exceeds the
 * shape, or `rank` if there is none.
 */
unsigned ut_region_fit(unsigned rank, const uint64_t *shape, const uint64_t *start,
                       const uint64_t *count, uint64_t *from, uint64_t *n);

/* What is wrong with a region that does not fit on this axis. */
untorn_status ut_region_describe(char *text, size_t capacity, unsigned axis, const uint64_t *shape,
                                 const uint64_t *from, const uint64_t *n);

/* One chunk's part of a region.  Only the first `rank` elements are set. */
typedef struct ut_tile {
    uint64_t cell;                       /* the chunk's linear number */
    uint64_t index[UNTORN_MAX_RANK];     /* its place in the grid */
    uint64_t in_chunk[UNTORN_MAX_RANK];  /* where the part begins in the chunk */
    uint64_t in_region[UNTORN_MAX_RANK]; /* where it begins in the region */
    uint64_t count[UNTORN_MAX_RANK];     /* how far it extends */
    bool whole;                          /* it is the chunk's whole full-size box */
    bool resized;                        /* its count is not that of the tile before it */
    int64_t chunk_at, region_at;         /* in_chunk and in_region in bytes: ut_tiles_strides() */
} ut_tile;

typedef enum ut_tiles_state {
    UT_TILES_ON,
    UT_TILES_FIRST, /* none was taken yet */
    UT_TILES_DONE,
    UT_TILES_STEPPED, /* on, with steps */
    UT_TILES_STEPPED_FIRST,
} ut_tiles_state;

/* An iteration over a region's tiles.  The members are its own. */
typedef struct ut_tiles {
    unsigned rank;
    ut_tiles_state state;
    uint64_t plain;      /* how many turns from here lead to a like tile, along axes[0], ... */
    uint64_t plain_cell; /* ... and what each of them adds to where it is */
    uint64_t plain_index, plain_in_region;
    int64_t plain_at;
    unsigned moving; /* axes along which the region touches more than one chunk, ... */
    unsigned axes[UNTORN_MAX_RANK];   /* ... which are these, the innermost first */
    uint64_t weight[UNTORN_MAX_RANK]; /* what the next index along the axis adds to the cell */
    uint64_t chunks[UNTORN_MAX_RANK];
    uint64_t start[UNTORN_MAX_RANK];
    uint64_t end[UNTORN_MAX_RANK];   /* one past the region's last element */
    uint64_t first[UNTORN_MAX_RANK]; /* chunk indices that the region touches */
    uint64_t last[UNTORN_MAX_RANK];  /* inclusive */
    int64_t chunk_stride[UNTORN_MAX_RANK], region_stride[UNTORN_MAX_RANK];
    /* Only with steps: */
    uint64_t step[UNTORN_MAX_RANK];
    uint64_t taken[UNTORN_MAX_RANK];       /* elements along the axis, ... */
    uint64_t taken_first[UNTORN_MAX_RANK]; /* ... and in the first tile's part of it */
    uint64_t quotient[UNTORN_MAX_RANK];    /* of the chunk by the step or, if that is longer, ... */
    uint64_t remainder[UNTORN_MAX_RANK];   /* ... of the step by the chunk; and what is left */
} ut_tiles;

/*
 * Cut the region start : start + count into tiles, in C order of the grid.  (With steps:
 * stepped.h.)  The region lies within the grid of whole chunks.  A count of 0 yields no tile, rank
 * 0 yields one.  The arguments are copied.  A tile is made from the one before it: what is passed
 * must be that, untouched.
 *
 *     for (ut_tiles_begin(&tiles, ...); ut_tiles_next(&tiles, &tile);)
 */
void ut_tiles_begin(ut_tiles *tiles, unsigned rank, const uint64_t *cells, const uint64_t *chunks,
                    const uint64_t *start, const uint64_t *count);

/* Tiles tell how many bytes in they begin, too, by these strides of a chunk and of where the region
 * lies.  To be called before the first is taken; the strides are copied. */
void ut_tiles_strides(ut_tiles *tiles, const int64_t *chunk, const int64_t *region);

/* The first tile, and turns that change more than which chunk it is. */
bool ut_tiles_turn(ut_tiles *tiles, ut_tile *tile);

static inline bool ut_tiles_next(ut_tiles *tiles, ut_tile *tile) {
    if (tiles->plain == 0)
        return ut_tiles_turn(tiles, tile);
    unsigned axis = tiles->axes[0];
    tiles->plain--;
    tile->index[axis] += tiles->plain_index;
    tile->in_region[axis] += tiles->plain_in_region;
    tile->cell += tiles->plain_cell;
    tile->region_at += tiles->plain_at;
    tile->resized = false;
    return true;
}

/* How many tiles the region has, however many have been taken. */
uint64_t ut_tiles_total(const ut_tiles *tiles);

/* How far a chunk's content is within the shape: 0 along an axis that it lies beyond. */
void ut_chunk_extent(unsigned rank, const uint64_t *shape, const uint64_t *chunks,
                     const uint64_t *index, uint64_t *extent);

/*
 * Chunks of about 1 MiB for who names none: whole trailing axes first.  Axes of
 * length 0, which can only grow, share what the others leave, so that an empty
 * array about to be appended to gets chunks of 1 MiB, too.  Never 0.
 */
void ut_default_chunks(unsigned rank, const uint64_t *shape, size_t itemsize, uint64_t *chunks);

#endif
