// SPDX-License-Identifier: MIT
// Racy copying of many runs at once; see the header.
//
// The size of a run is looked at once, before the loop.  Sizes that are no power of two are copied
// as two overlapping powers of two (7 bytes are the first 4 and the last 4), so that any size up to
// 64 bytes takes at most four loads and four stores.  Above that, memcpy() is better than what
// could be written here.
//
// Elements are mostly few bytes of a cache line each, and short rows of them are over before the
// processor has foreseen where the next is: what takes time is waiting for lines.  So those of the
// rows to come are asked for while one is copied.
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

void ut_racy_copy_plane(void *to, const int64_t *to_strides, const void *from,
                        const int64_t *from_strides, size_t bytes, const uint64_t *counts) {
    for (int64_t i = 0; i < (int64_t)counts[0]; i++)
        ut_racy_copy_rows((char *)to + i * to_strides[0], to_strides[1],
                          (const char *)from + i * from_strides[0], from_strides[1], bytes,
                          counts[1]);
}

void ut_racy_fetch_row(const void *from, int64_t from_stride, size_t bytes, uint64_t runs) {
    (void)from, (void)from_stride, (void)bytes, (void)runs;
}

#else

#define LINE 64          // bytes
#define LINES_AHEAD 32   // of the source are fetched ahead, ...
#define LINES_OF_ROW 256 // ... and of one row at most
#define LINES_AT_ONCE 16 // of a row that is asked for by itself

typedef struct rows {
    char *to;
    const char *from;
    int64_t to_stride, from_stride;
    uint64_t count;
} rows;

// Copies a row of runs of `bytes` bytes.
typedef void copy_rows(const rows *r, size_t bytes);

// The element sizes that arrays mostly have, four at a time.
#define DEFINE_COPY_ELEMENTS(size)                                                                 \
    static void copy_elements_##size(const rows *r, size_t bytes) {                                \
        char *to = r->to;                                                                          \
        const char *from = r->from;                                                                \
        int64_t to_stride = r->to_stride, from_stride = r->from_stride;                            \
        uint64_t left = r->count;                                                                  \
        (void)bytes;                                                                               \
        for (; left >= 4; left -= 4) {                                                             \
            memcpy(to, from, (size));                                                              \
            memcpy(to + to_stride, from + from_stride, (size));                                    \
            memcpy(to + 2 * to_stride, from + 2 * from_stride, (size));                            \
            memcpy(to + 3 * to_stride, from + 3 * from_stride, (size));                            \
            to += 4 * to_stride;                                                                   \
            from += 4 * from_stride;                                                               \
        }                                                                                          \
        for (; left > 0; left--) {                                                                 \
            memcpy(to, from, (size));                                                              \
            to += to_stride;                                                                       \
            from += from_stride;                                                                   \
        }                                                                                          \
    }

DEFINE_COPY_ELEMENTS(1)
DEFINE_COPY_ELEMENTS(2)
DEFINE_COPY_ELEMENTS(4)
DEFINE_COPY_ELEMENTS(8)
DEFINE_COPY_ELEMENTS(16)

// Pieces of `size` bytes, for runs of more than half of `pieces` of them up to all.
#define DEFINE_COPY_RUNS(size, pieces)                                                             \
    static void copy_runs_##size##_##pieces(const rows *r, size_t bytes) {                         \
        char *to = r->to;                                                                          \
        const char *from = r->from;                                                                \
        int64_t to_stride = r->to_stride, from_stride = r->from_stride;                            \
        for (uint64_t left = r->count; left > 0; left--) {                                         \
            for (size_t p = 0; p < (pieces) / 2; p++)                                              \
                memcpy(to + p * (size), from + p * (size), (size));                                \
            for (size_t p = (pieces) / 2; p > 0; p--)                                              \
                memcpy(to + bytes - p * (size), from + bytes - p * (size), (size));                \
            to += to_stride;                                                                       \
            from += from_stride;                                                                   \
        }                                                                                          \
    }

DEFINE_COPY_RUNS(2, 2)
DEFINE_COPY_RUNS(4, 2)
DEFINE_COPY_RUNS(8, 2)
DEFINE_COPY_RUNS(16, 2)
DEFINE_COPY_RUNS(16, 4)

static void copy_long_runs(const rows *r, size_t bytes) {
    char *to = r->to;
    const char *from = r->from;
    int64_t to_stride = r->to_stride, from_stride = r->from_stride;
    for (uint64_t left = r->count; left > 0; left--) {
        memcpy(to, from, bytes);
        to += to_stride;
        from += from_stride;
    }
}

static copy_rows *best(size_t bytes) {
    switch (bytes) {
    case 1:
        return copy_elements_1;
    case 2:
        return copy_elements_2;
    case 3:
        return copy_runs_2_2;
    case 4:
        return copy_elements_4;
    case 8:
        return copy_elements_8;
    case 16:
        return copy_elements_16;
    default:
        if (bytes < 8)
            return copy_runs_4_2;
        if (bytes < 16)
            return copy_runs_8_2;
        if (bytes <= 32)
            return copy_runs_16_2;
        return bytes <= 64 ? copy_runs_16_4 : copy_long_runs;
    }
}

void ut_racy_copy_rows(void *to, int64_t to_stride, const void *from, int64_t from_stride,
                       size_t bytes, uint64_t rows_) {
    if (bytes == 0)
        return;
    best(bytes)(&(rows){to, from, to_stride, from_stride, rows_}, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
}

// What is fetched of a row of runs: so many lines, `step` bytes from one to the next.
typedef struct lines {
    int64_t step;
    uint64_t count;
} lines;

static int64_t distance(int64_t stride) {
    return stride < 0 ? -stride : stride;
}

// At most `most` of them.
static lines lines_of(int64_t stride, size_t bytes, uint64_t runs, uint64_t most) {
    lines l = {stride, runs};
    if (bytes > LINE) { // the first run's
        l.step = LINE;
        l.count = bytes / LINE;
    } else if (distance(stride) < LINE) {
        l.step = stride < 0 ? -LINE : LINE;
        l.count = ((uint64_t)distance(stride) * (runs - 1) + bytes) / LINE + 1;
    }
    if (l.count > most)
        l.count = most;
    return l;
}

static inline void fetch(const lines *l, const char *from) {
    uintptr_t at = (uintptr_t)from; // which may be anything
    // A function that did no more would have no effect that a compiler knows of, and calls of it
    // could go.
    __asm__ volatile("");
    for (uint64_t left = l->count; left > 0; left--, at += (uintptr_t)l->step)
        __builtin_prefetch((const void *)at);
}

// How many rows ahead of the one that is copied the source is fetched; 0 where the processor
// foresees what comes, as in rows that follow one another.
static int64_t rows_ahead(const lines *l, int64_t row_stride, const rows *r, size_t bytes) {
    int64_t row = distance(r->from_stride) * (int64_t)r->count;
    if (bytes > LINE || distance(row_stride) <= row + LINE)
        return 0;
    return 1 + LINES_AHEAD / (int64_t)l->count;
}

void ut_racy_fetch_row(const void *from, int64_t from_stride, size_t bytes, uint64_t runs) {
    lines l = lines_of(from_stride, bytes, runs, LINES_AT_ONCE);
    fetch(&l, from);
}

void ut_racy_copy_plane(void *to, const int64_t *to_strides, const void *from,
                        const int64_t *from_strides, size_t bytes, const uint64_t *counts) {
    if (bytes == 0 || counts[1] == 0)
        return;
    copy_rows *copy = best(bytes);
    rows r = {to, from, to_strides[1], from_strides[1], counts[1]};
    lines l = lines_of(from_strides[1], bytes, counts[1], LINES_OF_ROW);
    int64_t ahead = rows_ahead(&l, from_strides[0], &r, bytes), left = (int64_t)counts[0];
    for (int64_t i = 1; i < ahead && i < left; i++)
        fetch(&l, r.from + i * from_strides[0]);
    for (; left > 0; left--) {
        if (ahead != 0 && left > ahead)
            fetch(&l, r.from + ahead * from_strides[0]);
        copy(&r, bytes);
        r.to += to_strides[0];
        r.from += from_strides[0];
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
