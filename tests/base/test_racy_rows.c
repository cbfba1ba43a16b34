// SPDX-License-Identifier: MIT
// Racy copying of many runs: every size to 80 and more, with gaps and backwards, along one axis
// and along two; every matrix around the squares in which it is transposed; nothing touched beside;
// and, under ThreadSanitizer, no report when two threads copy the same bytes.
#include "base/racy_rows.h"

#include "base/atomic_order.h"
#include "base/racy_copy.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 9000, MOST = 80, ROWS = 11 };

static unsigned char from[ROOM], to[ROOM], expected[ROOM];

static void begin(void) {
    for (size_t i = 0; i < ROOM; i++)
        from[i] = (unsigned char)(i * 2654435761u >> 13);
    memset(to, 0xee, ROOM);
    memset(expected, 0xee, ROOM);
}

static void check_rows(size_t bytes, uint64_t rows, int64_t to_stride, int64_t from_stride) {
    int64_t to_base = ROOM / 2, from_base = ROOM / 2 + 1;
    begin();
    for (int64_t i = 0; i < (int64_t)rows; i++)
        memcpy(expected + to_base + i * to_stride, from + from_base + i * from_stride, bytes);
    ut_racy_copy_rows(to + to_base, to_stride, from + from_base, from_stride, bytes, rows);
    assert_memory_equal(to, expected, ROOM);
    memset(to, 0xee, ROOM);
    ut_racy_stream_rows(to + to_base, to_stride, from + from_base, from_stride, bytes, rows);
    assert_memory_equal(to, expected, ROOM);
}

static void rows_of_every_size_are_exact(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes <= MOST; bytes++)
        for (uint64_t rows = 0; rows <= ROWS; rows++) {
            int64_t dense = (int64_t)bytes, gap = dense + 3;
            check_rows(bytes, rows, dense, dense);
            check_rows(bytes, rows, gap, dense);
            check_rows(bytes, rows, dense, gap);
            check_rows(bytes, rows, -gap, gap + 4);
            check_rows(bytes, rows, gap, -dense);
            check_rows(bytes, rows, gap, 0);
        }
    for (size_t bytes = 250; bytes < 1000; bytes += 37)
        for (int64_t gap = 0; gap < 17; gap++)
            check_rows(bytes, 4, (int64_t)bytes + gap, (int64_t)bytes + 1);
}

static void check_plane(size_t bytes, const uint64_t *counts, const int64_t *to_strides,
                        const int64_t *from_strides) {
    int64_t to_base = ROOM / 2, from_base = ROOM / 2 + 1;
    begin();
    for (int64_t i = 0; i < (int64_t)counts[0]; i++)
        for (int64_t k = 0; k < (int64_t)counts[1]; k++)
            memcpy(expected + to_base + i * to_strides[0] + k * to_strides[1],
                   from + from_base + i * from_strides[0] + k * from_strides[1], bytes);
    ut_racy_copy_plane(to + to_base, to_strides, from + from_base, from_strides, bytes, counts);
    assert_memory_equal(to, expected, ROOM);
}

// Rows that follow one another, with gaps of less and of more than a cache line, and backwards; the
// runs within them side by side, apart, and backwards.
static void check_planes(size_t bytes, uint64_t rows, uint64_t runs, int64_t gap) {
    const uint64_t counts[2] = {rows, runs};
    const int64_t run = (int64_t)bytes, apart = run + gap, many = (int64_t)runs;
    const int64_t dense[2] = {run * many, run}, spread[2] = {apart * many + 5 * gap, apart};
    const int64_t back[2] = {-spread[0], apart}, mirrored[2] = {spread[0], -apart};
    check_plane(bytes, counts, dense, dense);
    check_plane(bytes, counts, dense, spread);
    check_plane(bytes, counts, dense, mirrored);
    check_plane(bytes, counts, spread, back);
    check_plane(bytes, counts, mirrored, (const int64_t[]){spread[0], 0});
    check_plane(bytes, counts, back, (const int64_t[]){0, apart});
}

static void planes_of_every_size_are_exact(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes <= MOST; bytes++)
        for (int64_t gap = 0; gap < 40; gap += 13) {
            check_planes(bytes, 0, 3, gap);
            check_planes(bytes, 3, 0, gap);
            check_planes(bytes, 4, 5, gap);
            check_planes(bytes, 9, 2, gap);
        }
    for (size_t bytes = 1; bytes <= 16; bytes++) {
        check_planes(bytes, 2, 100, 3); // long rows
        check_planes(bytes, 3, 12, 80); // runs that lie lines apart
        check_planes(bytes, 20, 3, 13); // many rows
    }
    check_planes(300, 3, 3, 70);
    check_planes(1000, 2, 2, 1);
}

static void check_transpose(size_t bytes, uint64_t height, uint64_t width, size_t gap) {
    size_t to_stride = width * bytes + gap, from_stride = height * bytes + gap;
    begin();
    for (uint64_t y = 0; y < height; y++)
        for (uint64_t x = 0; x < width; x++)
            memcpy(expected + 5 + y * to_stride + x * bytes, from + 7 + x * from_stride + y * bytes,
                   bytes);
    ut_racy_transpose(to + 5, (int64_t)to_stride, from + 7, (int64_t)from_stride, bytes, height,
                      width);
    assert_memory_equal(to, expected, ROOM);
}

static void transposes_of_every_size_are_exact(void **state) {
    (void)state;
    for (size_t bytes = 1; bytes <= 16; bytes++)
        for (uint64_t height = 0; height <= 21; height += height < 5 ? 1 : 4)
            for (uint64_t width = 0; width <= 21; width += width < 3 ? 1 : 2) {
                check_transpose(bytes, height, width, 0);
                check_transpose(bytes, height, width, 3);
            }
    check_transpose(1, 90, 70, 1);
    check_transpose(1, 64, 128, 0);
    check_transpose(2, 65, 63, 0);
    check_transpose(4, 48, 40, 0);
}

struct race {
    unsigned char bytes[4096];
    _Atomic uint32_t stop;
};

static const int64_t strides[2] = {900, 96};
static const uint64_t counts[2] = {4, 9};

static void *keep_writing(void *argument) {
    struct race *race = argument;
    unsigned char pattern[sizeof race->bytes];
    for (unsigned i = 0; ut_load_relaxed(&race->stop) == 0; i++) {
        memset(pattern, (int)(i & 0xff), sizeof pattern);
        ut_racy_copy_rows(race->bytes, 96, pattern, 80, 1 + i % 70, 40);
        ut_racy_copy_plane(race->bytes, strides, pattern, strides, 1 + i % 70, counts);
        ut_racy_stream_rows(race->bytes, 700, pattern, 700, 256 + i % 444, 5);
        ut_racy_transpose(race->bytes, 130, pattern, 130, 1 + i % 8, 16, 16);
    }
    return NULL;
}

static void racing_copies_are_not_reported(void **state) {
    (void)state;
    static struct race race;
    unsigned char seen[sizeof race.bytes];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keep_writing, &race), 0);
    for (size_t i = 0; i < 1000; i++) {
        ut_racy_copy_rows(seen, 80, race.bytes, 96, 1 + i % 70, 40);
        ut_racy_copy_plane(seen, strides, race.bytes, strides, 1 + i % 70, counts);
        ut_racy_transpose(seen, 130, race.bytes, 130, 1 + i % 8, 16, 16);
    }
    ut_store_relaxed(&race.stop, 1u);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

// The compiler sees both places and could read the source again instead of the copy.
static void copies_are_not_read_again_from_their_source(void **state) {
    (void)state;
    const int64_t plane[2] = {8, 8};
    uint64_t source[2] = {5, 6}, copy[2], planes[2], transposed[2];
    ut_racy_copy_rows(copy, 8, source, 8, 8, 2);
    ut_racy_copy_plane(planes, plane, source, plane, 8, (const uint64_t[]){2, 1});
    ut_racy_transpose(transposed, 16, source, 8, 8, 1, 2);
    source[0] = source[1] = 0;
    assert_int_equal(copy[0], 5);
    assert_int_equal(copy[1], 6);
    assert_int_equal(planes[0], 5);
    assert_int_equal(planes[1], 6);
    assert_int_equal(transposed[0], 5);
    assert_int_equal(transposed[1], 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_size_are_exact),
        cmocka_unit_test(planes_of_every_size_are_exact),
        cmocka_unit_test(transposes_of_every_size_are_exact),
        cmocka_unit_test(copies_are_not_read_again_from_their_source),
        cmocka_unit_test(racing_copies_are_not_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
