// SPDX-License-Identifier: MIT
/*
 * Copying and filling N-dimensional boxes.
 *
 * First the box is reduced.  Axes of count 1 go.  The others are ordered by the target's strides,
 * largest first, so that the target is written as it lies in memory, whatever order its axes have.
 * Neighbouring axes that both sides step through as if they were one become one, and an innermost
 * axis without gaps on both sides becomes part of the unit that is copied at once.  What is left,
 * usually nothing or one axis, is walked with an odometer, the innermost axis in one call.
 *
 * If the source is dense along another axis than the target (one of them is in Fortran's order),
 * those two axes are the innermost, and are copied as a matrix to its transpose.
 */
#include "array/box.h"

#include <string.h>

#include "base/racy_copy.h"
#include "base/racy_rows.h"

#define PATTERN_BYTES 4096 /* of repeated fill elements; small enough to stay in the L1 cache */

#define BLOCK 32 /* units; BLOCK cache lines of either side stay in the L1 cache */

/* Whether the outer step is just the inner axis's whole length. */
static bool continues(int64_t outer, int64_t inner, uint64_t inner_count) {
    int64_t length;
    return !__builtin_mul_overflow(inner, inner_count, &length) && length == outer;
}

static uint64_t distance(int64_t stride) {
    return stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride;
}

/* The axes of more than one element, the one with the largest step in the target first.  Returns
 * how many; *empty if there is one without elements. */
static unsigned sort_axes(unsigned rank, const uint64_t *count, const int64_t *to, unsigned *order,
                          bool *empty) {
    unsigned axes = 0;
    *empty = false;
    for (unsigned i = 0; i < rank; i++) {
        if (count[i] == 0)
            *empty = true;
        if (count[i] <= 1)
            continue;
        unsigned at = axes++;
        for (; at > 0 && distance(to[order[at - 1]]) < distance(to[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return axes;
}

/* False if there is nothing to do. */
static bool reduce(ut_box *box, unsigned rank, size_t itemsize, const uint64_t *count,
                   const int64_t *to, const int64_t *from) {
    unsigned order[UNTORN_MAX_RANK], axes = 0;
    bool empty;
    unsigned left = sort_axes(rank, count, to, order, &empty);
    box->axes = 0;
    box->transposed = box->stream = false;
    box->unit = empty ? 0 : itemsize;
    if (empty)
        return false;
    for (unsigned k = 0; k < left; k++) {
        unsigned i = order[k];
        if (axes > 0 && continues(box->to[axes - 1], to[i], count[i]) &&
            continues(box->from[axes - 1], from[i], count[i])) {
            axes--;
            box->count[axes] *= count[i];
        } else {
            box->count[axes] = count[i];
        }
        box->to[axes] = to[i];
        box->from[axes] = from[i];
        axes++;
    }
    if (axes > 0 && box->to[axes - 1] == (int64_t)itemsize &&
        box->from[axes - 1] == (int64_t)itemsize)
        box->unit *= box->count[--axes];
    box->axes = axes;
    return true;
}

/* If the source is denser along another axis than along the innermost, make that
 * axis the second innermost.  The order of axes is free. */
static void find_transposed(ut_box *box) {
    unsigned inner = box->axes - 1;
    unsigned dense = inner;
    for (unsigned i = 0; i < inner; i++) {
        if (box->from[i] != 0 && distance(box->from[i]) < distance(box->from[dense]))
            dense = i;
    }
    if (dense == inner)
        return;
    uint64_t count = box->count[dense];
    int64_t to = box->to[dense], from = box->from[dense];
    for (unsigned i = dense; i + 1 < inner; i++) {
        box->count[i] = box->count[i + 1];
        box->to[i] = box->to[i + 1];
        box->from[i] = box->from[i + 1];
    }
    box->count[inner - 1] = count;
    box->to[inner - 1] = to;
    box->from[inner - 1] = from;
    box->transposed = true;
}

void ut_box_prepare(ut_box *box, unsigned rank, size_t itemsize, const uint64_t *count,
                    const int64_t *to_strides, const int64_t *from_strides) {
    if (reduce(box, rank, itemsize, count, to_strides, from_strides) && box->axes > 1)
        find_transposed(box);
}

/* Step the outermost `axes` axes in C order, moving both pointers (`from` may be
 * NULL); false after the last.  The pointers never leave their memories. */
static bool advance(const ut_box *box, unsigned axes, uint64_t *index, char **to,
                    const char **from) {
    for (unsigned i = axes; i-- > 0;) {
        bool wrapped = ++index[i] == box->count[i];
        int64_t steps = wrapped ? 1 - (int64_t)box->count[i] : 1;
        *to += steps * box->to[i];
        if (from)
            *from += steps * box->from[i];
        if (!wrapped)
            return true;
        index[i] = 0;
    }
    return false;
}

static void begin(uint64_t *index, unsigned axes) {
    for (unsigned i = 0; i < axes; i++)
        index[i] = 0;
}

/* The two innermost axes, where neither side has the one it is denser along without gaps: block by
 * block. */
static void copy_blocks(const ut_box *box, char *to, const char *from) {
    unsigned y = box->axes - 2;
    unsigned x = box->axes - 1;
    int64_t height = (int64_t)box->count[y];
    int64_t width = (int64_t)box->count[x];
    for (int64_t top = 0; top < height; top += BLOCK) {
        int64_t bottom = height - top < BLOCK ? height : top + BLOCK;
        for (int64_t left = 0; left < width; left += BLOCK) {
            int64_t n = width - left < BLOCK ? width - left : BLOCK;
            for (int64_t i = top; i < bottom; i++)
                ut_racy_copy_rows(to + i * box->to[y] + left * box->to[x], box->to[x],
                                  from + i * box->from[y] + left * box->from[x], box->from[x],
                                  box->unit, (uint64_t)n);
        }
    }
}

static void copy_transposed(const ut_box *box, char *to, const char *from) {
    unsigned y = box->axes - 2, x = box->axes - 1;
    uint64_t index[UNTORN_MAX_RANK];
    bool dense = box->to[x] == (int64_t)box->unit && box->from[y] == (int64_t)box->unit;
    begin(index, y);
    do {
        if (dense)
            ut_racy_transpose(to, box->to[y], from, box->from[x], box->unit, box->count[y],
                              box->count[x]);
        else
            copy_blocks(box, to, from);
    } while (advance(box, y, index, &to, &from));
}

static void copy_streaming(const ut_box *box, char *to, const char *from) {
    unsigned x = box->axes - 1;
    uint64_t index[UNTORN_MAX_RANK];
    begin(index, x);
    do {
        ut_racy_stream_rows(to, box->to[x], from, box->from[x], box->unit, box->count[x]);
    } while (advance(box, x, index, &to, &from));
}

static void copy_planes(const ut_box *box, char *to, const char *from) {
    unsigned y = box->axes - 2;
    uint64_t index[UNTORN_MAX_RANK];
    begin(index, y);
    do {
        ut_racy_copy_plane(to, &box->to[y], from, &box->from[y], box->unit, &box->count[y]);
    } while (advance(box, y, index, &to, &from));
}

void ut_box_copy_prepared(const ut_box *box, void *to, const void *from) {
    if (box->axes == 0) {
        if (box->stream)
            ut_racy_stream_rows(to, 0, from, 0, box->unit, 1);
        else
            ut_racy_copy(to, from, box->unit);
        return;
    }
    char *target = to;
    const char *source = from;
    unsigned inner = box->axes - 1;
    if (box->transposed) {
        copy_transposed(box, target, source);
        return;
    }
    if (box->stream)
        copy_streaming(box, target, source);
    else if (inner == 0)
        ut_racy_copy_rows(target, box->to[0], source, box->from[0], box->unit, box->count[0]);
    else
        copy_planes(box, target, source);
}

void ut_box_fetch(const ut_box *box, const void *from) {
    if (box->axes == 0)
        ut_racy_fetch_row(from, 0, box->unit, 1);
    else
        ut_racy_fetch_row(from, box->from[box->axes - 1], box->unit, box->count[box->axes - 1]);
}

void ut_box_copy(unsigned rank, size_t itemsize, const uint64_t *count, void *to,
                 const int64_t *to_strides, const void *from, const int64_t *from_strides) {
    ut_box box;
    ut_box_prepare(&box, rank, itemsize, count, to_strides, from_strides);
    ut_box_copy_prepared(&box, to, from);
}

static bool is_zero(const void *bytes, size_t n) {
    const char *b = bytes;
    return b[0] == 0 && memcmp(b, b + 1, n - 1) == 0;
}

/* Repeat the element as often as `pattern` holds it and a run of `run` bytes
 * wants it.  Returns the length, a multiple of the itemsize. */
static size_t build_pattern(char pattern[PATTERN_BYTES], const void *fill, size_t itemsize,
                            size_t run) {
    size_t length = PATTERN_BYTES / itemsize * itemsize;
    if (length > run)
        length = run;
    memcpy(pattern, fill, itemsize);
    for (size_t have = itemsize; have < length;) {
        size_t more = length - have < have ? length - have : have;
        memcpy(pattern + have, pattern, more);
        have += more;
    }
    return length;
}

/* Fill a run with copies of a pattern, the last one cut short. */
static void fill_run(char *to, size_t run, const char *pattern, size_t length) {
    while (run > length) {
        ut_racy_copy(to, pattern, length);
        to += length;
        run -= length;
    }
    ut_racy_copy(to, pattern, run);
}

void ut_box_fill(unsigned rank, size_t itemsize, const uint64_t *count, void *to,
                 const int64_t *to_strides, const void *fill) {
    ut_box box;
    uint64_t index[UNTORN_MAX_RANK];
    char pattern[PATTERN_BYTES];
    if (!reduce(&box, rank, itemsize, count, to_strides, to_strides))
        return;
    bool zero = !fill || is_zero(fill, itemsize);
    const char *source = fill;
    size_t length = itemsize;
    if (!zero && itemsize <= PATTERN_BYTES) {
        length = build_pattern(pattern, fill, itemsize, box.unit);
        source = pattern;
    }
    char *target = to;
    begin(index, box.axes);
    do {
        if (zero)
            ut_racy_fill_zero(target, box.unit);
        else
            fill_run(target, box.unit, source, length);
    } while (advance(&box, box.axes, index, &target, NULL));
}

void ut_c_strides(unsigned rank, size_t itemsize, const uint64_t *shape, int64_t *strides) {
    uint64_t stride = itemsize;
    for (unsigned i = rank; i-- > 0;) {
        strides[i] = (int64_t)stride;
        stride *= shape[i] == 0 ? 1 : shape[i];
    }
}
