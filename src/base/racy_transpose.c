// SPDX-License-Identifier: MIT
// Racy copying of a matrix to its transpose; see racy_rows.h.
//
// Along one axis the source is dense, along the other the target is, so that whichever is the
// inner loop, one side touches another cache line with each element.  Two things help.  The matrix
// is done in blocks of a cache line's elements by as many: the lines of one side stay in the L1
// cache until they are used up, even where a power of two lies between them, which puts them all
// in the same few places of it.  And within a block, squares of 16 bytes by as many elements are
// transposed in registers: their rows are loaded and stored whole.
//
// A square of n rows is transposed by log2(n) times interleaving row i with row i + n / 2.  That is
// the same for every element size, only that elements of 2^k bytes have n = 16 / 2^k.
#include "base/racy_rows.h"

#include <string.h>

#include "base/racy_copy.h"

#define LINE 64u

// Element (y, x) of the target's block, wherever that is.
typedef struct block {
    char *to;
    const char *from;
    int64_t to_stride, from_stride;
} block;

static inline block block_at(const block *b, size_t bytes, uint64_t y, uint64_t x) {
    block at = *b;
    at.to += (int64_t)y * b->to_stride + (int64_t)(x * bytes);
    at.from += (int64_t)x * b->from_stride + (int64_t)(y * bytes);
    return at;
}

// Column by column of the source's order: each is a run of elements in the source.
static void by_elements(block b, size_t bytes, uint64_t height, uint64_t width) {
    for (uint64_t x = 0; x < width; x++) {
        block column = block_at(&b, bytes, 0, x);
        ut_racy_copy_rows(column.to, b.to_stride, column.from, (int64_t)bytes, bytes, height);
    }
}

#if !UT_RACY_ATOMIC && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define UT_REGISTERS 1
#endif
#endif

#ifdef UT_REGISTERS

typedef uint8_t ut_v1 __attribute__((vector_size(16)));
typedef uint16_t ut_v2 __attribute__((vector_size(16)));
typedef uint32_t ut_v4 __attribute__((vector_size(16)));
typedef uint64_t ut_v8 __attribute__((vector_size(16)));

#define LOW_1(a, b)                                                                                \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_1(a, b)                                                                               \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW_2(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_2(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW_8(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HIGH_8(a, b) __builtin_shufflevector(a, b, 1, 3)

// One square of n by n elements of `size` bytes, n * size == 16.
#define DEFINE_SQUARE(size, n)                                                                     \
    static inline void square_##size(block b) {                                                    \
        ut_v##size row[n], next[n];                                                                \
        _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)                                     \
            memcpy(&row[i], b.from + i * b.from_stride, 16);                                       \
        _Pragma("GCC unroll 4") for (int step = 1; step < (n); step *= 2) {                        \
            _Pragma("GCC unroll 8") for (int i = 0; i < (n) / 2; i++) {                            \
                next[2 * i] = LOW_##size(row[i], row[i + (n) / 2]);                                \
                next[2 * i + 1] = HIGH_##size(row[i], row[i + (n) / 2]);                           \
            }                                                                                      \
            _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++) row[i] = next[i];               \
        }                                                                                          \
        _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)                                     \
            memcpy(b.to + i * b.to_stride, &row[i], 16);                                           \
    }

// A block whose sides are multiples of n, row of squares by row of squares: lines of the target are
// complete before the next are begun.
#define DEFINE_SQUARES(size, n)                                                                    \
    DEFINE_SQUARE(size, n)                                                                         \
    static void squares_##size(block b, uint64_t height, uint64_t width) {                         \
        for (uint64_t y = 0; y < height; y += (n))                                                 \
            for (uint64_t x = 0; x < width; x += (n))                                              \
                square_##size(block_at(&b, (size), y, x));                                         \
    }

DEFINE_SQUARES(1, 16)
DEFINE_SQUARES(2, 8)
DEFINE_SQUARES(4, 4)
DEFINE_SQUARES(8, 2)

static void transpose_block(block b, size_t bytes, uint64_t height, uint64_t width) {
    uint64_t n = bytes <= 8 && (bytes & (bytes - 1)) == 0 ? 16 / bytes : 0;
    if (n == 0) {
        by_elements(b, bytes, height, width);
        return;
    }
    uint64_t y = height & ~(n - 1), x = width & ~(n - 1);
    switch (bytes) {
    case 1:
        squares_1(b, y, x);
        break;
    case 2:
        squares_2(b, y, x);
        break;
    case 4:
        squares_4(b, y, x);
        break;
    default:
        squares_8(b, y, x);
        break;
    }
    if (x < width)
        by_elements(block_at(&b, bytes, 0, x), bytes, y, width - x);
    if (y < height)
        by_elements(block_at(&b, bytes, y, 0), bytes, height - y, width);
}

#else

#define transpose_block by_elements

#endif

void ut_racy_transpose(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                       size_t bytes, uint64_t height, uint64_t width) {
    const block whole = {to, from, to_stride, from_stride};
    uint64_t side = bytes <= LINE / 4 ? LINE / bytes : 4;
    for (uint64_t y = 0; y < height; y += side) {
        uint64_t tall = height - y < side ? height - y : side;
        for (uint64_t x = 0; x < width; x += side)
            transpose_block(block_at(&whole, bytes, y, x), bytes, tall,
                            width - x < side ? width - x : side);
    }
    __asm__ volatile("" : : "r"(to) : "memory");
}
