// SPDX-License-Identifier: MIT
/*
 * Grid arithmetic, checked where the numbers come from outside.
 *
 * The tile iterator is an odometer over the chunk indices that a region
 * touches.  Only beginning it divides, and for a region within the first chunk,
 * the commonest of all, not even that.  Regions are mostly thin: along most axes they touch one
 * chunk.  So a turn does nothing for the axes that stay, and changes the cell and the places in
 * bytes by differences, which costs the same for any rank.  Between the first and the last tile of
 * a row of them, turns are all alike, and are taken in the header.
 */
#include "array/grid.h"

#include "array/stepped.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t ut_product(unsigned rank, const uint64_t *counts) {
    uint64_t product = 1;
    bool overflow = false;
    for (unsigned i = 0; i < rank; i++) {
        if (counts[i] == 0)
            return 0; /* whatever the others' product would overflow to */
        overflow |= __builtin_mul_overflow(product, counts[i], &product);
    }
    return overflow ? UINT64_MAX : product;
}

/* ceil(length / chunk) without overflow */
static uint64_t cells_along(uint64_t length, uint64_t chunk) {
    return length == 0 ? 0 : (length - 1) / chunk + 1;
}

bool ut_grid_valid(unsigned rank, const uint64_t *shape, const uint64_t *chunks, size_t itemsize) {
    if (rank > UNTORN_MAX_RANK || itemsize == 0)
        return false;
    uint64_t chunk_bytes = itemsize;
    uint64_t padded_bytes = itemsize; /* bounds the elements, too */
    for (unsigned i = 0; i < rank; i++) {
        uint64_t padded;
        uint64_t length = shape[i] == 0 ? 1 : shape[i];
        if (chunks[i] == 0 || __builtin_mul_overflow(chunk_bytes, chunks[i], &chunk_bytes) ||
            __builtin_mul_overflow(cells_along(length, chunks[i]), chunks[i], &padded) ||
            __builtin_mul_overflow(padded_bytes, padded, &padded_bytes))
            return false;
    }
    return chunk_bytes <= UT_MAX_CHUNK_BYTES && padded_bytes < UT_MAX_ARRAY_BYTES;
}

uint64_t ut_grid_cells(unsigned rank, const uint64_t *shape, const uint64_t *chunks,
                       uint64_t *cells) {
    for (unsigned i = 0; i < rank; i++)
        cells[i] = cells_along(shape[i], chunks[i]);
    return ut_product(rank, cells);
}

uint64_t ut_grid_linear(unsigned rank, const uint64_t *cells, const uint64_t *index) {
    uint64_t linear = 0;
    for (unsigned i = 0; i < rank; i++)
        linear = linear * cells[i] + index[i];
    return linear;
}

void ut_tiles_begin(ut_tiles *tiles, unsigned rank, const uint64_t *cells, const uint64_t *chunks,
                    const uint64_t *start, const uint64_t *count) {
    uint64_t weight = 1;
    tiles->rank = rank;
    tiles->state = UT_TILES_FIRST;
    tiles->moving = 0;
    tiles->plain = 0;
    tiles->plain_at = 0;
    for (unsigned i = rank; i-- > 0;) {
        uint64_t end = start[i] + count[i];
        tiles->weight[i] = weight;
        weight *= cells[i];
        tiles->chunks[i] = chunks[i];
        tiles->start[i] = start[i];
        tiles->end[i] = end;
        tiles->chunk_stride[i] = tiles->region_stride[i] = 0;
        if (count[i] == 0) {
            tiles->state = UT_TILES_DONE;
            tiles->first[i] = 1; /* an empty range, for ut_tiles_total() */
            tiles->last[i] = 0;
        } else if (end <= chunks[i]) {
            tiles->first[i] = tiles->last[i] = 0;
        } else {
            tiles->first[i] = start[i] / chunks[i];
            tiles->last[i] = (end - 1) / chunks[i];
        }
        if (tiles->first[i] < tiles->last[i])
            tiles->axes[tiles->moving++] = i;
    }
    if (tiles->moving > 0) {
        tiles->plain_index = 1;
        tiles->plain_in_region = chunks[tiles->axes[0]];
        tiles->plain_cell = tiles->weight[tiles->axes[0]];
    }
}

void ut_tiles_strides(ut_tiles *tiles, const int64_t *chunk, const int64_t *region) {
    for (unsigned i = 0; i < tiles->rank; i++) {
        tiles->chunk_stride[i] = chunk[i];
        tiles->region_stride[i] = region[i];
    }
    if (tiles->moving > 0)
        tiles->plain_at = (int64_t)tiles->plain_in_region * region[tiles->axes[0]];
}

uint64_t ut_tiles_total(const ut_tiles *tiles) {
    uint64_t total = 1;
    for (unsigned i = 0; i < tiles->rank; i++)
        total *= tiles->last[i] - tiles->first[i] + 1;
    return total;
}

/* Move the tile along one axis to the chunk `index`.  Differences may be negative: what is
 * unsigned wraps around to the right number. */
static inline void move(const ut_tiles *tiles, ut_tile *tile, unsigned i, uint64_t index) {
    uint64_t chunk = tiles->chunks[i], start = tiles->start[i];
    uint64_t corner = index * chunk; /* of the chunk, in the array */
    uint64_t from = start > corner ? start : corner;
    uint64_t to = tiles->end[i] - corner < chunk ? tiles->end[i] : corner + chunk;
    uint64_t in_chunk = from - corner, in_region = from - start, count = to - from;
    tile->cell += (index - tile->index[i]) * tiles->weight[i];
    tile->chunk_at += (int64_t)(in_chunk - tile->in_chunk[i]) * tiles->chunk_stride[i];
    tile->region_at += (int64_t)(in_region - tile->in_region[i]) * tiles->region_stride[i];
    tile->resized |= count != tile->count[i];
    tile->index[i] = index;
    tile->in_chunk[i] = in_chunk;
    tile->in_region[i] = in_region;
    tile->count[i] = count;
}

static void first_tile(ut_tiles *tiles, ut_tile *tile) {
    tiles->state = UT_TILES_ON;
    tile->cell = 0;
    tile->chunk_at = tile->region_at = 0;
    tile->resized = true;
    for (unsigned i = 0; i < tiles->rank; i++) {
        tile->index[i] = tile->in_chunk[i] = tile->in_region[i] = tile->count[i] = 0;
        move(tiles, tile, i, tiles->first[i]);
    }
}

/* Go to the next index in C order; false after the last. */
static bool next_tile(const ut_tiles *tiles, ut_tile *tile) {
    tile->resized = false;
    for (unsigned k = 0; k < tiles->moving; k++) {
        unsigned i = tiles->axes[k];
        if (tile->index[i] < tiles->last[i]) {
            move(tiles, tile, i, tile->index[i] + 1);
            return true;
        }
        move(tiles, tile, i, tiles->first[i]);
    }
    return false;
}

/* See ahead along the innermost axis that moves: tiles that reach through their chunks are alike.
 */
static uint64_t plain_steps(const ut_tiles *tiles, const ut_tile *tile) {
    if (tiles->moving == 0)
        return 0;
    unsigned i = tiles->axes[0];
    uint64_t chunk = tiles->chunks[i], last = tiles->last[i];
    if (tile->count[i] != chunk)
        return 0;
    bool last_too = tiles->end[i] - last * chunk == chunk;
    return last - tile->index[i] - (last_too ? 0 : 1);
}

bool ut_tiles_turn(ut_tiles *tiles, ut_tile *tile) {
    if (tiles->state == UT_TILES_ON) {
        if (!next_tile(tiles, tile)) {
            tiles->state = UT_TILES_DONE;
            return false;
        }
    } else if (tiles->state == UT_TILES_FIRST) {
        first_tile(tiles, tile);
    } else {
        return tiles->state != UT_TILES_DONE && ut_stepped_turn(tiles, tile);
    }
    if (tile->resized) {
        tile->whole = true;
        for (unsigned i = 0; i < tiles->rank; i++)
            tile->whole &= tile->count[i] == tiles->chunks[i];
    }
    tiles->plain = plain_steps(tiles, tile);
    return true;
}

void ut_chunk_extent(unsigned rank, const uint64_t *shape, const uint64_t *chunks,
                     const uint64_t *index, uint64_t *extent) {
    for (unsigned i = 0; i < rank; i++) {
        uint64_t corner = index[i] * chunks[i];
        uint64_t left = shape[i] > corner ? shape[i] - corner : 0;
        extent[i] = left < chunks[i] ? left : chunks[i];
    }
}

/*
 * An axis longer than what is left of the budget is cut into equal parts, lest a
 * small remainder costs a whole chunk.  Not so the first axis: it is the one
 * that grows, so its present length says little.
 */
static uint64_t share_of(unsigned axis, uint64_t length, uint64_t budget) {
    if (length <= budget)
        return length;
    return axis == 0 ? budget : cells_along(length, cells_along(length, budget));
}

void ut_default_chunks(unsigned rank, const uint64_t *shape, size_t itemsize, uint64_t *chunks) {
    uint64_t budget = UT_DEFAULT_CHUNK_BYTES / itemsize;
    unsigned empty_axes = 0;
    if (budget == 0)
        budget = 1;
    for (unsigned i = rank; i-- > 0;) {
        if (shape[i] == 0) {
            empty_axes++;
            continue;
        }
        chunks[i] = share_of(i, shape[i], budget);
        budget /= chunks[i];
    }
    for (unsigned i = rank; i-- > 0;) {
        if (shape[i] != 0)
            continue;
        unsigned bits = 63u - (unsigned)__builtin_clzll(budget);
        chunks[i] = empty_axes == 1 ? budget : UINT64_C(1) << (bits / empty_axes);
        budget /= chunks[i];
        empty_axes--;
    }
}

unsigned ut_region_fit(unsigned rank, const uint64_t *shape, const uint64_t *start,
                       const uint64_t *count, uint64_t *from, uint64_t *n) {
    unsigned exceeded = rank;
    for (unsigned axis = rank; axis-- > 0;) {
        uint64_t left;
        from[axis] = start != NULL ? start[axis] : 0;
        left = from[axis] <= shape[axis] ? shape[axis] - from[axis] : 0;
        n[axis] = count == NULL || count[axis] == UNTORN_TO_END ? left : count[axis];
        if (from[axis] > shape[axis] || n[axis] > left)
            exceeded = axis;
    }
    return exceeded;
}

untorn_status ut_region_describe(char *text, size_t capacity, unsigned axis, const uint64_t *shape,
                                 const uint64_t *from, const uint64_t *n) {
    uint64_t end = n[axis] > UINT64_MAX - from[axis] ? UINT64_MAX : from[axis] + n[axis];
    if (from[axis] > shape[axis])
        snprintf(text, capacity, "region start %" PRIu64 " exceeds shape %" PRIu64 " on axis %u",
                 from[axis], shape[axis], axis);
    else
        snprintf(text, capacity,
                 "region %" PRIu64 ":%" PRIu64 " exceeds shape %" PRIu64 " on axis %u", from[axis],
                 end, shape[axis], axis);
    return UNTORN_E_REGION;
}
