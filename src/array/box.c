// SPDX-License-Identifier: MIT
/*
 * Copying and filling N-dimensional boxes.
 *
 * First the box is reduced: axes of count 1 go, neighbouring axes that both
 * sides step through as if they were one become one, and an innermost axis
 * without gaps on both sides becomes part of the unit that is copied at once.
 * What is left, usually nothing or one axis, is walked with an odometer, the
 * innermost axis in a loop of its own.
 *
 * If the source is in another order (a Fortran array), then every step along the
 * target touches another cache line of the source; so the two axes along which
 * the one and the other are dense are walked in small square blocks.
 */
#include "array/box.h"

#include <stdbool.h>
#include <string.h>

#include "base/racy_copy.h"
#include "untorn.h"

#define PATTERN_BYTES 4096 /* of repeated fill elements; small enough to stay in the L1 cache */

#define BLOCK 32 /* units; BLOCK cache lines of either side stay in the L1 cache */

/* A reduced box. */
struct walk {
    unsigned axes;
    size_t unit; /* bytes without gaps on both sides */
    uint64_t count[UNTORN_MAX_RANK];
    int64_t to[UNTORN_MAX_RANK];
    int64_t from[UNTORN_MAX_RANK];
    uint64_t index[UNTORN_MAX_RANK];
};

/* Whether the outer step is just the inner axis's whole length. */
static bool continues(int64_t outer, int64_t inner, uint64_t inner_count) {
    int64_t length;
    return !__builtin_mul_overflow(inner, inner_count, &length) && length == outer;
}

/* False if there is nothing to do. */
static bool reduce(struct walk *walk, unsigned rank, size_t itemsize, const uint64_t *count,
                   const int64_t *to, const int64_t *from) {
    unsigned axes = 0;
    for (unsigned i = 0; i < rank; i++) {
        if (count[i] == 0)
            return false;
        if (count[i] == 1)
            continue;
        if (axes > 0 && continues(walk->to[axes - 1], to[i], count[i]) &&
            continues(walk->from[axes - 1], from[i], count[i])) {
            axes--;
            walk->count[axes] *= count[i];
        } else {
            walk->count[axes] = count[i];
        }
        walk->to[axes] = to[i];
        walk->from[axes] = from[i];
        walk->index[axes] = 0;
        axes++;
    }
    walk->unit = itemsize;
    if (axes > 0 && walk->to[axes - 1] == (int64_t)itemsize &&
        walk->from[axes - 1] == (int64_t)itemsize)
        walk->unit *= walk->count[--axes];
    walk->axes = axes;
    return true;
}

/* Step the outermost `axes` axes in C order, moving both pointers (`from` may be
 * NULL); false after the last.  The pointers never leave their memories. */
static bool advance(struct walk *walk, unsigned axes, char **to, const char **from) {
    for (unsigned i = axes; i-- > 0;) {
        bool wrapped = ++walk->index[i] == walk->count[i];
        int64_t steps = wrapped ? 1 - (int64_t)walk->count[i] : 1;
        *to += steps * walk->to[i];
        if (from)
            *from += steps * walk->from[i];
        if (!wrapped)
            return true;
        walk->index[i] = 0;
    }
    return false;
}

#define COPY_UNITS(unit)                                                                           \
    for (int64_t i = 0; i < n; i++)                                                                \
    ut_racy_copy(to + i * to_stride, from + i * from_stride, (unit))

/* The innermost axis.  A constant size makes each copy a load and a store. */
static void copy_axis(size_t unit, int64_t n, char *to, int64_t to_stride, const char *from,
                      int64_t from_stride) {
    switch (unit) {
    case 1:
        COPY_UNITS(1);
        break;
    case 2:
        COPY_UNITS(2);
        break;
    case 4:
        COPY_UNITS(4);
        break;
    case 8:
        COPY_UNITS(8);
        break;
    case 16:
        COPY_UNITS(16);
        break;
    default:
        COPY_UNITS(unit);
        break;
    }
}

static uint64_t distance(int64_t stride) {
    return stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride;
}

/* If the source is denser along another axis than along the innermost, make that
 * axis the second innermost and return true.  The order of axes is free. */
static bool make_transposed(struct walk *walk) {
    unsigned inner = walk->axes - 1;
    unsigned dense = inner;
    for (unsigned i = 0; i < inner; i++) {
        if (walk->from[i] != 0 && distance(walk->from[i]) < distance(walk->from[dense]))
            dense = i;
    }
    if (dense == inner)
        return false;
    struct walk old = *walk;
    walk->count[inner - 1] = old.count[dense];
    walk->to[inner - 1] = old.to[dense];
    walk->from[inner - 1] = old.from[dense];
    walk->count[dense] = old.count[inner - 1];
    walk->to[dense] = old.to[inner - 1];
    walk->from[dense] = old.from[inner - 1];
    return true;
}

/* The two innermost axes, block by block. */
static void copy_blocks(const struct walk *walk, char *to, const char *from) {
    unsigned y = walk->axes - 2;
    unsigned x = walk->axes - 1;
    int64_t height = (int64_t)walk->count[y];
    int64_t width = (int64_t)walk->count[x];
    for (int64_t top = 0; top < height; top += BLOCK) {
        int64_t bottom = height - top < BLOCK ? height : top + BLOCK;
        for (int64_t left = 0; left < width; left += BLOCK) {
            int64_t n = width - left < BLOCK ? width - left : BLOCK;
            for (int64_t i = top; i < bottom; i++)
                copy_axis(walk->unit, n, to + i * walk->to[y] + left * walk->to[x], walk->to[x],
                          from + i * walk->from[y] + left * walk->from[x], walk->from[x]);
        }
    }
}

void ut_box_copy(unsigned rank, size_t itemsize, const uint64_t *count, void *to,
                 const int64_t *to_strides, const void *from, const int64_t *from_strides) {
    struct walk walk;
    if (!reduce(&walk, rank, itemsize, count, to_strides, from_strides))
        return;
    if (walk.axes == 0) {
        ut_racy_copy(to, from, walk.unit);
        return;
    }
    char *target = to;
    const char *source = from;
    unsigned inner = walk.axes - 1;
    if (make_transposed(&walk)) {
        do {
            copy_blocks(&walk, target, source);
        } while (advance(&walk, inner - 1, &target, &source));
        return;
    }
    do {
        copy_axis(walk.unit, (int64_t)walk.count[inner], target, walk.to[inner], source,
                  walk.from[inner]);
    } while (advance(&walk, inner, &target, &source));
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
    struct walk walk;
    char pattern[PATTERN_BYTES];
    if (!reduce(&walk, rank, itemsize, count, to_strides, to_strides))
        return;
    bool zero = !fill || is_zero(fill, itemsize);
    const char *source = fill;
    size_t length = itemsize;
    if (!zero && itemsize <= PATTERN_BYTES) {
        length = build_pattern(pattern, fill, itemsize, walk.unit);
        source = pattern;
    }
    char *target = to;
    do {
        if (zero)
            ut_racy_fill_zero(target, walk.unit);
        else
            fill_run(target, walk.unit, source, length);
    } while (advance(&walk, walk.axes, &target, NULL));
}

void ut_c_strides(unsigned rank, size_t itemsize, const uint64_t *shape, int64_t *strides) {
    uint64_t stride = itemsize;
    for (unsigned i = rank; i-- > 0;) {
        strides[i] = (int64_t)stride;
        stride *= shape[i] == 0 ? 1 : shape[i];
    }
}
