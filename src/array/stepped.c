// SPDX-License-Identifier: MIT
/*
 * Regions with steps; see the header.
 *
 * The iteration is the odometer of grid.c with another rule for where an axis goes next.  A step
 * of at most a chunk misses no chunk between the first and the last; what is left of the step at a
 * chunk's end is where the next one begins.  In each chunk `quotient` elements are taken, chunk /
 * step, and one more if the first lies before the remainder.  With a longer step each element is in
 * a chunk of its own: step / chunk further, or one more if the remainders add up to a chunk.  So
 * only beginning divides.
 *
 * Where there is no remainder, tiles along the innermost axis are alike but for the first and the
 * last, and the turns between them are taken in grid.h.
 */
#include "array/stepped.h"

#include <inttypes.h>
#include <stdio.h>

unsigned ut_stepped_fit(unsigned rank, const uint64_t *shape, const uint64_t *start,
                        const uint64_t *count, const uint64_t *steps, uint64_t *from, uint64_t *n) {
    unsigned wrong = rank;
    for (unsigned axis = rank; axis-- > 0;) {
        uint64_t step = steps[axis], most = 0; /* elements that there are */
        from[axis] = start != NULL ? start[axis] : 0;
        if (step != 0 && from[axis] < shape[axis])
            most = (shape[axis] - from[axis] - 1) / step + 1;
        n[axis] = count == NULL || count[axis] == UNTORN_TO_END ? most : count[axis];
        if (step == 0 || from[axis] > shape[axis] || n[axis] > most)
            wrong = axis;
    }
    return wrong;
}

untorn_status ut_stepped_describe(char *text, size_t capacity, unsigned axis, const uint64_t *shape,
                                  const uint64_t *from, const uint64_t *n, const uint64_t *steps) {
    if (steps[axis] == 0)
        snprintf(text, capacity, "region with a step of 0 on axis %u", axis);
    else if (from[axis] > shape[axis])
        return ut_region_describe(text, capacity, axis, shape, from, n);
    else
        snprintf(text, capacity,
                 "region of %" PRIu64 " from %" PRIu64 " in steps of %" PRIu64
                 " exceeds shape %" PRIu64 " on axis %u",
                 n[axis], from[axis], steps[axis], shape[axis], axis);
    return UNTORN_E_REGION;
}

bool ut_stepped_steps(unsigned rank, const uint64_t *n, const uint64_t *steps, uint64_t *step) {
    bool stepped = false;
    for (unsigned axis = 0; axis < rank; axis++) {
        step[axis] = n[axis] > 1 ? steps[axis] : 1;
        stepped |= step[axis] != 1;
    }
    return stepped;
}

uint64_t ut_stepped_tiles(uint64_t start, uint64_t count, uint64_t step, uint64_t chunk) {
    return step < chunk ? (start + (count - 1) * step) / chunk - start / chunk + 1 : count;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static void begin_axis(ut_tiles *tiles, unsigned i, uint64_t start, uint64_t count) {
    uint64_t chunk = tiles->chunks[i], step = tiles->step[i];
    uint64_t longer = step > chunk ? step : chunk, shorter = least(step, chunk);
    tiles->quotient[i] = longer / shorter;
    tiles->remainder[i] = longer % shorter;
    tiles->start[i] = start;
    tiles->taken[i] = count;
    tiles->first[i] = start / chunk;
    uint64_t room = chunk - start % chunk; /* up to the end of the first chunk */
    tiles->taken_first[i] = least((room - 1) / step + 1, count);
    if (count == 0) {
        tiles->state = UT_TILES_DONE;
        tiles->first[i] = 1; /* an empty range, for ut_tiles_total() */
        tiles->last[i] = 0;
    } else { /* for ut_tiles_total(), too, if there are chunks in between */
        tiles->last[i] = tiles->first[i] + ut_stepped_tiles(start, count, step, chunk) - 1;
    }
}

/* What turns add between tiles that are alike. */
static void begin_plain(ut_tiles *tiles) {
    unsigned i = tiles->axes[0];
    bool within = tiles->step[i] <= tiles->chunks[i];
    tiles->plain_index = within ? 1 : tiles->quotient[i];
    tiles->plain_in_region = within ? tiles->quotient[i] : 1;
    tiles->plain_cell = tiles->plain_index * tiles->weight[i];
}

void ut_tiles_begin_stepped(ut_tiles *tiles, unsigned rank, const uint64_t *cells,
                            const uint64_t *chunks, const uint64_t *start, const uint64_t *count,
                            const uint64_t *step) {
    uint64_t weight = 1;
    tiles->rank = rank;
    tiles->state = UT_TILES_STEPPED_FIRST;
    tiles->moving = 0;
    tiles->plain = 0;
    tiles->plain_at = 0;
    for (unsigned i = rank; i-- > 0;) {
        tiles->weight[i] = weight;
        weight *= cells[i];
        tiles->chunks[i] = chunks[i];
        tiles->step[i] = step[i];
        tiles->chunk_stride[i] = tiles->region_stride[i] = 0;
        begin_axis(tiles, i, start[i], count[i]);
        if (tiles->taken_first[i] < count[i])
            tiles->axes[tiles->moving++] = i;
    }
    if (tiles->moving > 0)
        begin_plain(tiles);
}

/* Move the tile along one axis.  Differences may be negative: what is unsigned wraps around to the
 * right number. */
static void move(const ut_tiles *tiles, ut_tile *tile, unsigned i, uint64_t index,
                 uint64_t in_chunk, uint64_t in_region, uint64_t count) {
    tile->cell += (index - tile->index[i]) * tiles->weight[i];
    tile->chunk_at += (int64_t)(in_chunk - tile->in_chunk[i]) * tiles->chunk_stride[i];
    tile->region_at += (int64_t)(in_region - tile->in_region[i]) * tiles->region_stride[i];
    tile->resized |= count != tile->count[i];
    tile->index[i] = index;
    tile->in_chunk[i] = in_chunk;
    tile->in_region[i] = in_region;
    tile->count[i] = count;
}

static void move_to_first(const ut_tiles *tiles, ut_tile *tile, unsigned i) {
    uint64_t index = tiles->first[i];
    move(tiles, tile, i, index, tiles->start[i] - index * tiles->chunks[i], 0,
         tiles->taken_first[i]);
}

/* False if there is nothing more along this axis. */
static bool move_on(const ut_tiles *tiles, ut_tile *tile, unsigned i) {
    uint64_t chunk = tiles->chunks[i], step = tiles->step[i];
    uint64_t quotient = tiles->quotient[i], remainder = tiles->remainder[i];
    uint64_t in_region = tile->in_region[i] + tile->count[i];
    uint64_t index = tile->index[i], in_chunk = tile->in_chunk[i], count = 1;
    if (in_region == tiles->taken[i])
        return false;
    if (step > chunk) {
        index += quotient;
        in_chunk += remainder;
        if (in_chunk >= chunk) {
            in_chunk -= chunk;
            index++;
        }
    } else {
        index++;
        in_chunk += tile->count[i] * step - chunk;
        count = least(quotient + (in_chunk < remainder), tiles->taken[i] - in_region);
    }
    move(tiles, tile, i, index, in_chunk, in_region, count);
    return true;
}

static void first_tile(ut_tiles *tiles, ut_tile *tile) {
    tiles->state = UT_TILES_STEPPED;
    tile->whole = false;
    tile->resized = true;
    tile->cell = 0;
    tile->chunk_at = tile->region_at = 0;
    for (unsigned i = 0; i < tiles->rank; i++) {
        tile->index[i] = tile->in_chunk[i] = tile->in_region[i] = tile->count[i] = 0;
        move_to_first(tiles, tile, i);
    }
}

/* Go to the next index in C order; false after the last. */
static bool next_tile(const ut_tiles *tiles, ut_tile *tile) {
    tile->resized = false;
    for (unsigned k = 0; k < tiles->moving; k++) {
        unsigned i = tiles->axes[k];
        if (move_on(tiles, tile, i))
            return true;
        move_to_first(tiles, tile, i);
    }
    return false;
}

/* How many tiles like this one follow along the innermost axis that moves. */
static uint64_t plain_turns(const ut_tiles *tiles, const ut_tile *tile) {
    if (tiles->moving == 0)
        return 0;
    unsigned i = tiles->axes[0];
    uint64_t each = tiles->plain_in_region, count = tile->count[i];
    uint64_t left = tiles->taken[i] - tile->in_region[i] - count;
    if (tiles->remainder[i] != 0 || count != each || left < each)
        return 0;
    return left / each;
}

bool ut_stepped_turn(ut_tiles *tiles, ut_tile *tile) {
    if (tiles->state == UT_TILES_STEPPED_FIRST) {
        first_tile(tiles, tile);
    } else if (!next_tile(tiles, tile)) {
        tiles->state = UT_TILES_DONE;
        return false;
    }
    tiles->plain = plain_turns(tiles, tile);
    return true;
}
