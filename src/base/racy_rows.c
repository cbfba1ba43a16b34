// SPDX-License-Identifier: MIT
// Racy copying of many runs at once; see the header.
//
// The size of a run is looked at once, before the loop.  Sizes that are no power of two are copied
// as two overlapping powers of two (7 bytes are the first 4 and the last 4), so that any size up to
// 64 bytes takes at most four loads and four stores.  Above that, memcpy() is better than what
// could be written here.
//
// Streaming stores are x86's: elsewhere, and for runs too short for them, copying is as usual.
//
// Under ThreadSanitizer every run goes through ut_racy_copy(), whose bytes are relaxed atomics.
#include "base/racy_rows.h"

#include <string.h>

#include "base/atomic_order.h"
#include "base/racy_copy.h"

#if defined(__SSE2__) && !UT_RACY_ATOMIC
#include <emmintrin.h>
#define STREAM_LEAST 256u // bytes of a run
#endif

#if UT_RACY_ATOMIC

void ut_racy_copy_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                       size_t bytes, uint64_t rows) {
    for (int64_t i = 0; i < (int64_t)rows; i++)
        ut_racy_copy((char *)to + i * to_stride, (const char *)from + i * from_stride, bytes);
}

#else

typedef struct rows {
    char *to;
    const char *from;
    int64_t to_stride, from_stride;
    uint64_t count;
} rows;

// The element sizes that arrays mostly have.  One load instruction for all of them: processors that
// foresee strides do so for each instruction, and not across pages, which some at a time would soon
// step over.
#define DEFINE_COPY_ELEMENTS(size)                                                                 \
    static void copy_elements_##size(rows r) {                                                     \
        for (; r.count > 0; r.count--) {                                                           \
            memcpy(r.to, r.from, (size));                                                          \
            r.to += r.to_stride;                                                                   \
            r.from += r.from_stride;                                                               \
        }                                                                                          \
    }

DEFINE_COPY_ELEMENTS(1)
DEFINE_COPY_ELEMENTS(2)
DEFINE_COPY_ELEMENTS(4)
DEFINE_COPY_ELEMENTS(8)
DEFINE_COPY_ELEMENTS(16)

// Pieces of `size` bytes, for runs of more than half of `pieces` of them up to all.
#define DEFINE_COPY_RUNS(size, pieces)                                                             \
    static void copy_runs_##size##_##pieces(rows r, size_t bytes) {                                \
        for (; r.count > 0; r.count--) {                                                           \
            for (size_t p = 0; p < (pieces) / 2; p++)                                              \
                memcpy(r.to + p * (size), r.from + p * (size), (size));                            \
            for (size_t p = (pieces) / 2; p > 0; p--)                                              \
                memcpy(r.to + bytes - p * (size), r.from + bytes - p * (size), (size));            \
            r.to += r.to_stride;                                                                   \
            r.from += r.from_stride;                                                               \
        }                                                                                          \
    }

DEFINE_COPY_RUNS(2, 2)
DEFINE_COPY_RUNS(4, 2)
DEFINE_COPY_RUNS(8, 2)
DEFINE_COPY_RUNS(16, 2)
DEFINE_COPY_RUNS(16, 4)

static void copy_long_runs(rows r, size_t bytes) {
    for (; r.count > 0; r.count--) {
        memcpy(r.to, r.from, bytes);
        r.to += r.to_stride;
        r.from += r.from_stride;
    }
}

void ut_racy_copy_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                       size_t bytes, uint64_t rows_) {
    rows r = {to, from, to_stride, from_stride, rows_};
    switch (bytes) {
    case 0:
        return;
    case 1:
        copy_elements_1(r);
        break;
    case 2:
        copy_elements_2(r);
        break;
    case 3:
        copy_runs_2_2(r, bytes);
        break;
    case 4:
        copy_elements_4(r);
        break;
    case 8:
        copy_elements_8(r);
        break;
    case 16:
        copy_elements_16(r);
        break;
    default:
        if (bytes < 8)
            copy_runs_4_2(r, bytes);
        else if (bytes < 16)
            copy_runs_8_2(r, bytes);
        else if (bytes <= 32)
            copy_runs_16_2(r, bytes);
        else if (bytes <= 64)
            copy_runs_16_4(r, bytes);
        else
            copy_long_runs(r, bytes);
        break;
    }
    __asm__ volatile("" : : "r"(to) : "memory");
}

#endif

#ifdef STREAM_LEAST

static void stream_run(char *to, const char *from, size_t bytes) {
    // A line is written either way, not both: the one would have to wait for the other.
    size_t head = (0 - (uintptr_t)to) % 64;
    if (head != 0)
        memcpy(to, from, head);
    to += head;
    from += head;
    bytes -= head;
    for (; bytes >= 64; bytes -= 64) {
        const __m128i *f = (const __m128i *)(const void *)from;
        __m128i *t = (__m128i *)(void *)to;
        __m128i a = _mm_loadu_si128(f), b = _mm_loadu_si128(f + 1);
        __m128i c = _mm_loadu_si128(f + 2), d = _mm_loadu_si128(f + 3);
        _mm_stream_si128(t, a);
        _mm_stream_si128(t + 1, b);
        _mm_stream_si128(t + 2, c);
        _mm_stream_si128(t + 3, d);
        to += 64;
        from += 64;
    }
    if (bytes != 0)
        memcpy(to, from, bytes);
}

void ut_racy_stream_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                         size_t bytes, uint64_t rows_) {
    if (bytes < STREAM_LEAST) {
        ut_racy_copy_rows(to, to_stride, from, from_stride, bytes, rows_);
        return;
    }
    for (int64_t i = 0; i < (int64_t)rows_; i++)
        stream_run((char *)to + i * to_stride, (const char *)from + i * from_stride, bytes);
    ut_store_fence();
    __asm__ volatile("" : : "r"(to) : "memory");
}

#else

void ut_racy_stream_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                         size_t bytes, uint64_t rows_) {
    ut_racy_copy_rows(to, to_stride, from, from_stride, bytes, rows_);
}

#endif
