// SPDX-License-Identifier: MIT
// Box copies and fills against a loop over single elements.  Layouts are random: any order of
// axes, with and without gaps, unaligned, backwards, broadcast.  Every byte of the target is
// compared, so that bytes beside the box are seen to be left alone; buffers are exactly as large
// as the layout needs, so that the address sanitizer sees any byte beyond.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../support/rng.h"
#include "array/box.h"
#include "untorn.h"

struct layout {
    int64_t strides[UNTORN_MAX_RANK];
    size_t size; // of the buffer
    size_t base; // where element (0, 0, ...) is in it
};

// Lay the axes out from the innermost in memory to the outermost, in a random order.
static struct layout random_layout(struct test_rng *rng, unsigned rank, size_t itemsize,
                                   const uint64_t *count, int broadcast) {
    struct layout layout = {.size = itemsize};
    int c_order = rng_chance(rng, 60);
    int gaps = rng_chance(rng, 50);
    unsigned left[UNTORN_MAX_RANK];
    for (unsigned i = 0; i < rank; i++)
        left[i] = i;
    for (unsigned n = rank; n > 0; n--) {
        unsigned pick = c_order ? n - 1 : (unsigned)rng_below(rng, n);
        unsigned axis = left[pick];
        left[pick] = left[n - 1];
        if (broadcast && rng_chance(rng, 20))
            continue; // stride 0
        size_t stride = layout.size + (gaps && rng_chance(rng, 40) ? rng_below(rng, 20) : 0);
        size_t steps = count[axis] ? (size_t)count[axis] - 1 : 0;
        layout.strides[axis] = (int64_t)stride;
        if (rng_chance(rng, 15)) {
            layout.strides[axis] = -(int64_t)stride;
            layout.base += stride * steps;
        }
        layout.size += stride * steps;
    }
    return layout;
}

static ptrdiff_t element_at(unsigned rank, const uint64_t *count, const struct layout *layout,
                            uint64_t k) {
    ptrdiff_t at = (ptrdiff_t)layout->base;
    for (unsigned i = rank; i-- > 0;) {
        at += (ptrdiff_t)(k % count[i]) * layout->strides[i];
        k /= count[i];
    }
    return at;
}

static char *random_bytes(struct test_rng *rng, size_t size) {
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)rng_next(rng);
    return bytes;
}

static uint64_t random_box(struct test_rng *rng, unsigned *rank, size_t *itemsize,
                           uint64_t *count) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 31, 32, 33, 64, 65, 100};
    uint64_t elements = 1;
    uint64_t extent = 1; // what it takes in memory, an axis of length 0 counting as 1
    *rank = (unsigned)rng_below(rng, rng_chance(rng, 5) ? UNTORN_MAX_RANK + 1 : 6);
    *itemsize = sizes[rng_below(rng, sizeof sizes / sizeof sizes[0])];
    for (unsigned i = 0; i < *rank; i++) {
        uint64_t most = extent > 1000 ? 1 : extent > 100 ? 2 : 9;
        count[i] = rng_chance(rng, 25) ? 1 : rng_range(rng, 1, most);
        extent *= count[i];
        if (rng_chance(rng, 1))
            count[i] = 0;
        elements *= count[i];
    }
    return elements;
}

static void check_copy(struct test_rng *rng) {
    unsigned rank;
    size_t itemsize;
    uint64_t count[UNTORN_MAX_RANK];
    uint64_t elements = random_box(rng, &rank, &itemsize, count);
    struct layout to = random_layout(rng, rank, itemsize, count, 0);
    struct layout from = random_layout(rng, rank, itemsize, count, rng_chance(rng, 30));
    if (rng_chance(rng, 20))
        from = to; // merges most
    char *source = random_bytes(rng, from.size);
    char *target = random_bytes(rng, to.size);
    char *expected = malloc(to.size);
    assert_non_null(expected);
    memcpy(expected, target, to.size);
    for (uint64_t k = 0; k < elements; k++)
        memcpy(expected + element_at(rank, count, &to, k),
               source + element_at(rank, count, &from, k), itemsize);
    ut_box_copy(rank, itemsize, count, target + to.base, to.strides, source + from.base,
                from.strides);
    assert_memory_equal(target, expected, to.size);
    free(expected);
    free(target);
    free(source);
}

static void check_fill(struct test_rng *rng) {
    unsigned rank;
    size_t itemsize;
    uint64_t count[UNTORN_MAX_RANK];
    uint64_t elements = random_box(rng, &rank, &itemsize, count);
    if (rng_chance(rng, 3) && rank < 3)
        itemsize = rng_range(rng, 2000, 65535); // around and above the pattern's size
    else if (rng_chance(rng, 3) && rank == 1)
        count[0] = elements = rng_range(rng, 1000, 10000); // many patterns
    struct layout to = random_layout(rng, rank, itemsize, count, 0);
    char *fill = random_bytes(rng, itemsize);
    int zero = rng_chance(rng, 20);
    if (zero)
        memset(fill, 0, itemsize);
    char *target = random_bytes(rng, to.size);
    char *expected = malloc(to.size);
    assert_non_null(expected);
    memcpy(expected, target, to.size);
    for (uint64_t k = 0; k < elements; k++)
        memcpy(expected + element_at(rank, count, &to, k), fill, itemsize);
    ut_box_fill(rank, itemsize, count, target + to.base, to.strides,
                zero && rng_chance(rng, 50) ? NULL : fill);
    assert_memory_equal(target, expected, to.size);
    free(expected);
    free(target);
    free(fill);
}

static void copies_equal_an_element_loop(void **state) {
    for (int round = 0; round < 10000; round++)
        check_copy(*state);
}

static void fills_equal_an_element_loop(void **state) {
    for (int round = 0; round < 10000; round++)
        check_fill(*state);
}

static void one_element(void **state) {
    (void)state;
    uint64_t from = 0x0123456789abcdef;
    uint64_t to = 0;
    ut_box_copy(0, sizeof to, NULL, &to, NULL, &from, NULL);
    assert_int_equal(to, from);
    ut_box_fill(0, sizeof to, NULL, &to, NULL, NULL);
    assert_int_equal(to, 0);
    ut_box_fill(0, sizeof to, NULL, &to, NULL, &from);
    assert_int_equal(to, from);
}

// Large enough that the copy goes block by block, and not in whole blocks.
static void fortran_order_becomes_c_order(void **state) {
    (void)state;
    enum { X = 3, Y = 70, Z = 45 };
    static int32_t from[Z][Y][X];
    static int32_t to[X][Y][Z];
    const uint64_t count[3] = {X, Y, Z};
    const int64_t from_strides[3] = {4, 4 * X, 4 * X * Y};
    int64_t to_strides[3];
    for (int x = 0; x < X; x++)
        for (int y = 0; y < Y; y++)
            for (int z = 0; z < Z; z++)
                from[z][y][x] = x * 10000 + y * 100 + z;
    ut_c_strides(3, 4, count, to_strides);
    ut_box_copy(3, 4, count, to, to_strides, from, from_strides);
    for (int x = 0; x < X; x++)
        for (int y = 0; y < Y; y++)
            for (int z = 0; z < Z; z++)
                assert_int_equal(to[x][y][z], x * 10000 + y * 100 + z);
}

static void nothing_touches_nothing(void **state) {
    (void)state;
    const uint64_t count[2] = {5, 0};
    const int64_t strides[2] = {8, 8};
    ut_box_copy(2, 8, count, NULL, strides, NULL, strides);
    ut_box_fill(2, 8, count, NULL, strides, NULL);
}

// A matrix to its transpose, at any size around the blocks and squares in which it is done, with
// other axes before it and with gaps on both sides, and for every element size.
static void check_transposed(struct test_rng *rng) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 8, 12, 16, 24};
    size_t itemsize = sizes[rng_below(rng, sizeof sizes / sizeof sizes[0])];
    uint64_t count[3] = {rng_range(rng, 1, 2), rng_range(rng, 1, 70), rng_range(rng, 1, 70)};
    size_t gap = rng_chance(rng, 50) ? 0 : rng_below(rng, 9);
    struct layout from, to;
    from.base = to.base = 0;
    from.strides[1] = (int64_t)itemsize;
    from.strides[2] = (int64_t)(itemsize * count[1] + gap);
    from.strides[0] = from.strides[2] * (int64_t)count[2];
    to.strides[2] = (int64_t)itemsize;
    to.strides[1] = (int64_t)(itemsize * count[2] + gap);
    to.strides[0] = to.strides[1] * (int64_t)count[1];
    from.size = (size_t)from.strides[0] * count[0];
    to.size = (size_t)to.strides[0] * count[0];
    if (rng_chance(rng, 20)) { /* backwards along the axis with gaps */
        from.base = (size_t)from.strides[2] * (count[2] - 1);
        from.strides[2] = -from.strides[2];
    }
    char *source = random_bytes(rng, from.size), *target = random_bytes(rng, to.size);
    char *expected = malloc(to.size);
    assert_non_null(expected);
    memcpy(expected, target, to.size);
    for (uint64_t k = 0; k < count[0] * count[1] * count[2]; k++)
        memcpy(expected + element_at(3, count, &to, k), source + element_at(3, count, &from, k),
               itemsize);
    ut_box_copy(3, itemsize, count, target, to.strides, source + from.base, from.strides);
    assert_memory_equal(target, expected, to.size);
    free(expected);
    free(target);
    free(source);
}

static void transposed_copies_equal_an_element_loop(void **state) {
    for (int round = 0; round < 400; round++)
        check_transposed(*state);
}

// Preparing once serves boxes anywhere.
static void a_prepared_copy_is_good_for_other_places(void **state) {
    (void)state;
    const uint64_t count[2] = {3, 2};
    const int64_t to_strides[2] = {2, 8}, from_strides[2] = {8, 2};
    int16_t from[2][3][4], to[2][2][4];
    ut_box box;
    for (int i = 0; i < 24; i++)
        from[i / 12][i / 4 % 3][i % 4] = (int16_t)i;
    memset(to, -1, sizeof to);
    ut_box_prepare(&box, 2, 2, count, to_strides, from_strides);
    for (int i = 0; i < 2; i++)
        ut_box_copy_prepared(&box, to[i], from[i]);
    for (int i = 0; i < 16; i++) {
        int y = i / 4 % 2, x = i % 4;
        assert_int_equal(to[i / 8][y][x], x < 3 ? from[i / 8][x][y] : -1);
    }
}

// A box of 1 x 1 x ... may come with any strides at all.
static void strides_of_single_elements_do_not_matter(void **state) {
    (void)state;
    const uint64_t count[3] = {1, 3, 1};
    const int64_t to_strides[3] = {INT64_MAX, 4, INT64_MIN};
    const int64_t from_strides[3] = {INT64_MIN, 4, 1};
    const uint32_t from[3] = {1, 2, 3};
    uint32_t to[3] = {0};
    ut_box_copy(3, 4, count, to, to_strides, from, from_strides);
    assert_memory_equal(to, from, sizeof to);
}

static void c_strides(void **state) {
    (void)state;
    int64_t strides[3];
    ut_c_strides(0, 8, NULL, NULL);
    ut_c_strides(3, 8, (const uint64_t[]){2, 3, 4}, strides);
    assert_memory_equal(strides, ((const int64_t[]){96, 32, 8}), sizeof strides);
    ut_c_strides(3, 2, (const uint64_t[]){2, 0, 4}, strides);
    assert_memory_equal(strides, ((const int64_t[]){8, 8, 2}), sizeof strides);
}

int main(void) {
    const char *seed = getenv("UNTORN_TEST_SEED");
    struct test_rng rng = {seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL)};
    printf("UNTORN_TEST_SEED=%llu\n", (unsigned long long)rng.state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(copies_equal_an_element_loop, &rng),
        cmocka_unit_test_prestate(fills_equal_an_element_loop, &rng),
        cmocka_unit_test(one_element),
        cmocka_unit_test(fortran_order_becomes_c_order),
        cmocka_unit_test_prestate(transposed_copies_equal_an_element_loop, &rng),
        cmocka_unit_test(a_prepared_copy_is_good_for_other_places),
        cmocka_unit_test(nothing_touches_nothing),
        cmocka_unit_test(strides_of_single_elements_do_not_matter),
        cmocka_unit_test(c_strides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
