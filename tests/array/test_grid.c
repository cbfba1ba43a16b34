// SPDX-License-Identifier: MIT
// Grid arithmetic against brute force on small shapes, and at the edges of 64 bits.
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
#include "array/grid.h"

#define AXES(...) ((const uint64_t[]){__VA_ARGS__})
#define LIMIT UINT64_MAX

static void products(void **state) {
    (void)state;
    assert_int_equal(ut_product(0, NULL), 1);
    assert_int_equal(ut_product(3, AXES(2, 3, 7)), 42);
    assert_int_equal(ut_product(2, AXES(1ull << 32, 1ull << 31)), 1ull << 63);
    assert_int_equal(ut_product(2, AXES(1ull << 32, 1ull << 32)), LIMIT);
    assert_int_equal(ut_product(3, AXES(LIMIT, LIMIT, 0)), 0);
    assert_int_equal(ut_product(3, AXES(0, LIMIT, LIMIT)), 0);
    // Overflow stays overflow, though the product modulo 2^64 becomes small again.
    assert_int_equal(ut_product(3, AXES(1ull << 32, 1ull << 32, 5)), LIMIT);
}

static void validity(void **state) {
    (void)state;
    assert_true(ut_grid_valid(0, NULL, NULL, 8));
    assert_false(ut_grid_valid(0, NULL, NULL, 0));
    assert_false(ut_grid_valid(UNTORN_MAX_RANK + 1, NULL, NULL, 1));
    assert_true(ut_grid_valid(2, AXES(100, 0), AXES(10, 10), 8));
    assert_false(ut_grid_valid(2, AXES(100, 100), AXES(10, 0), 8));
    assert_false(ut_grid_valid(2, AXES(0, 100), AXES(0, 1), 8));
    // one chunk
    assert_true(ut_grid_valid(1, AXES(1), AXES(1ull << 40), 1));
    assert_false(ut_grid_valid(1, AXES(1), AXES((1ull << 40) + 1), 1));
    assert_false(ut_grid_valid(1, AXES(1), AXES(1ull << 40), 2));
    assert_false(ut_grid_valid(2, AXES(0, 0), AXES(1ull << 32, 1ull << 32), 1));
    assert_false(ut_grid_valid(1, AXES(1), AXES(LIMIT), 1));
    // all elements
    assert_true(ut_grid_valid(1, AXES((1ull << 62) - 1), AXES(1), 1));
    assert_false(ut_grid_valid(1, AXES(1ull << 62), AXES(1), 1));
    assert_false(ut_grid_valid(1, AXES(1ull << 60), AXES(1), 4));
    assert_false(ut_grid_valid(2, AXES(1ull << 32, 1ull << 32), AXES(1, 1), 1));
    assert_false(ut_grid_valid(1, AXES(LIMIT), AXES(1), 1));
    assert_false(ut_grid_valid(1, AXES(LIMIT), AXES(1000), 1));
    // an empty axis does not excuse the others
    assert_false(ut_grid_valid(3, AXES(0, 1ull << 40, 1ull << 40), AXES(1, 1, 1), 1));
    // the padding
    assert_true(ut_grid_valid(2, AXES(1ull << 22, 1), AXES(1, (1ull << 40) - 1), 1));
    assert_false(ut_grid_valid(2, AXES(1ull << 22, 1), AXES(1, 1ull << 40), 1));
}

static void cells_and_extents(void **state) {
    (void)state;
    uint64_t cells[3];
    uint64_t extent[3];
    assert_int_equal(ut_grid_cells(0, NULL, NULL, cells), 1);
    assert_int_equal(ut_grid_cells(3, AXES(10, 11, 1), AXES(5, 5, 5), cells), 6);
    assert_memory_equal(cells, AXES(2, 3, 1), sizeof cells);
    assert_int_equal(ut_grid_cells(3, AXES(10, 0, 1), AXES(5, 5, 5), cells), 0);
    assert_memory_equal(cells, AXES(2, 0, 1), sizeof cells);
    assert_int_equal(ut_grid_cells(1, AXES(LIMIT), AXES(2), cells), 1ull << 63);
    assert_int_equal(ut_grid_cells(2, AXES(LIMIT, 3), AXES(2, 1), cells), LIMIT);
    assert_int_equal(ut_grid_linear(0, NULL, NULL), 0);
    assert_int_equal(ut_grid_linear(3, AXES(2, 3, 4), AXES(1, 2, 3)), 23);

    ut_chunk_extent(3, AXES(10, 11, 1), AXES(5, 5, 5), AXES(1, 2, 0), extent);
    assert_memory_equal(extent, AXES(5, 1, 1), sizeof extent);
    ut_chunk_extent(3, AXES(10, 11, 0), AXES(5, 5, 5), AXES(2, 9, 0), extent);
    assert_memory_equal(extent, AXES(0, 0, 0), sizeof extent);
}

// One random region: its tiles must be the chunks it touches, in order, and cover every element
// of the region exactly once.
static void check_tiles(struct test_rng *rng) {
    unsigned rank = (unsigned)rng_below(rng, 5);
    uint64_t shape[4] = {0}, chunks[4] = {0}, cells[4], start[4], count[4];
    for (unsigned i = 0; i < rank; i++) {
        shape[i] = rng_range(rng, 1, 12);
        chunks[i] = rng_range(rng, 1, rng_chance(rng, 20) ? 20 : 5);
        start[i] = rng_below(rng, shape[i] + 1);
        count[i] =
            rng_chance(rng, 30) ? shape[i] - start[i] : rng_below(rng, shape[i] - start[i] + 1);
    }
    uint64_t all = ut_grid_cells(rank, shape, chunks, cells);
    uint64_t elements = ut_product(rank, count);
    unsigned char *seen = calloc(elements + 1, 1);
    assert_non_null(seen);

    ut_tiles tiles;
    ut_tile tile;
    uint64_t taken = 0;
    uint64_t covered = 0;
    uint64_t last = 0;
    ut_tiles_begin(&tiles, rank, cells, chunks, start, count);
    int64_t chunk_strides[4], region_strides[4];
    uint64_t before[4] = {0};
    for (unsigned i = 0; i < rank; i++) {
        chunk_strides[i] = (int64_t)rng_below(rng, 1000) - 500;
        region_strides[i] = (int64_t)rng_below(rng, 1000) - 500;
    }
    ut_tiles_strides(&tiles, chunk_strides, region_strides);
    uint64_t total = ut_tiles_total(&tiles);
    while (ut_tiles_next(&tiles, &tile)) {
        assert_true(tile.cell < all);
        assert_int_equal(tile.cell, ut_grid_linear(rank, cells, tile.index));
        assert_true(taken == 0 || tile.cell > last);
        last = tile.cell;
        taken++;
        assert_int_equal(ut_tiles_total(&tiles), total);
        int whole = 1;
        int resized = taken == 1;
        int64_t chunk_at = 0, region_at = 0;
        for (unsigned i = 0; i < rank; i++) {
            chunk_at += (int64_t)tile.in_chunk[i] * chunk_strides[i];
            region_at += (int64_t)tile.in_region[i] * region_strides[i];
            resized = resized || tile.count[i] != before[i];
            before[i] = tile.count[i];
            assert_true(tile.count[i] >= 1);
            assert_true(tile.in_chunk[i] + tile.count[i] <= chunks[i]);
            assert_true(tile.in_region[i] + tile.count[i] <= count[i]);
            assert_int_equal(tile.index[i] * chunks[i] + tile.in_chunk[i],
                             start[i] + tile.in_region[i]);
            whole = whole && tile.count[i] == chunks[i];
        }
        assert_int_equal(tile.whole, whole);
        assert_true(tile.resized || !resized);
        assert_int_equal(tile.chunk_at, chunk_at);
        assert_int_equal(tile.region_at, region_at);
        uint64_t n = ut_product(rank, tile.count);
        for (uint64_t k = 0; k < n; k++) {
            uint64_t rest = k;
            uint64_t place = 0;
            uint64_t scale = 1;
            for (unsigned i = rank; i-- > 0;) {
                place += (tile.in_region[i] + rest % tile.count[i]) * scale;
                rest /= tile.count[i];
                scale *= count[i];
            }
            assert_int_equal(seen[place]++, 0);
        }
        covered += n;
    }
    assert_false(ut_tiles_next(&tiles, &tile));
    assert_int_equal(taken, total);
    assert_int_equal(covered, elements);
    free(seen);
}

static void tiles_cover_a_region_once_and_in_order(void **state) {
    for (int round = 0; round < 20000; round++)
        check_tiles(*state);
}

static void tiles_of_no_axes(void **state) {
    (void)state;
    ut_tiles tiles;
    ut_tile tile;
    ut_tiles_begin(&tiles, 0, NULL, NULL, NULL, NULL);
    assert_int_equal(ut_tiles_total(&tiles), 1);
    assert_true(ut_tiles_next(&tiles, &tile));
    assert_int_equal(tile.cell, 0);
    assert_true(tile.whole);
    assert_false(ut_tiles_next(&tiles, &tile));
}

static void tiles_at_the_far_end(void **state) {
    (void)state;
    ut_tiles tiles;
    ut_tile tile;
    uint64_t length = (1ull << 62) - 10;
    uint64_t cells[1];
    ut_grid_cells(1, AXES(length), AXES(1000), cells);
    ut_tiles_begin(&tiles, 1, cells, AXES(1000), AXES(length - 1), AXES(1));
    assert_true(ut_tiles_next(&tiles, &tile));
    assert_int_equal(tile.cell, (length - 1) / 1000);
    assert_int_equal(tile.in_chunk[0], (length - 1) % 1000);
    assert_int_equal(tile.count[0], 1);
    assert_false(tile.whole);
    assert_false(ut_tiles_next(&tiles, &tile));
}

static void check_default(unsigned rank, const uint64_t *shape, size_t itemsize,
                          const uint64_t *expected) {
    uint64_t chunks[UNTORN_MAX_RANK];
    ut_default_chunks(rank, shape, itemsize, chunks);
    for (unsigned i = 0; i < rank; i++) {
        if (chunks[i] != expected[i])
            fail_msg("axis %u: %llu, not %llu", i, (unsigned long long)chunks[i],
                     (unsigned long long)expected[i]);
    }
}

static void default_chunks(void **state) {
    (void)state;
    check_default(0, NULL, 8, NULL);
    check_default(1, AXES(10), 8, AXES(10));
    check_default(1, AXES(1ull << 30), 8, AXES(131072));
    check_default(1, AXES(0), 8, AXES(131072));
    check_default(2, AXES(0, 10), 8, AXES(13107, 10));
    check_default(2, AXES(10, 0), 8, AXES(10, 13107));
    check_default(2, AXES(0, 0), 1, AXES(1024, 1024));
    check_default(3, AXES(1000, 480, 640), 1, AXES(3, 480, 640));
    check_default(3, AXES(1000, 1080, 1920), 2, AXES(1, 270, 1920));
    check_default(2, AXES(5, 140000), 8, AXES(1, 70000)); // not 131072 and 8928
    check_default(1, AXES(140000), 8, AXES(131072));
    check_default(1, AXES(100), 65535, AXES(16));
    check_default(2, AXES(0, 1ull << 40), 8, AXES(1, 131072));
}

static void default_chunks_are_usable(void **state) {
    struct test_rng *rng = *state;
    for (int round = 0; round < 20000; round++) {
        uint64_t shape[UNTORN_MAX_RANK], chunks[UNTORN_MAX_RANK];
        unsigned rank = (unsigned)rng_below(rng, UNTORN_MAX_RANK + 1);
        size_t itemsize = rng_chance(rng, 80) ? 1u << rng_below(rng, 5) : rng_range(rng, 1, 65535);
        uint64_t room = 1ull << 44;
        int growing = 0;
        for (unsigned i = 0; i < rank; i++) {
            shape[i] = rng_chance(rng, 20) ? 0 : rng_range(rng, 1, room < 5000 ? room : 5000);
            room /= shape[i] ? shape[i] : 1;
            growing |= shape[i] == 0;
        }
        ut_default_chunks(rank, shape, itemsize, chunks);
        assert_true(ut_grid_valid(rank, shape, chunks, itemsize));
        uint64_t bytes = ut_product(rank, chunks) * itemsize;
        assert_true(bytes <= UT_DEFAULT_CHUNK_BYTES);
        for (unsigned i = 0; i < rank; i++)
            assert_true(chunks[i] >= 1 && (shape[i] == 0 || chunks[i] <= shape[i]));
        // Each division by a length rounds down, and by less than half.
        if (growing && rank == 1)
            assert_true(bytes > UT_DEFAULT_CHUNK_BYTES / 2);
    }
}

int main(void) {
    const char *seed = getenv("UNTORN_TEST_SEED");
    struct test_rng rng = {seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL)};
    printf("UNTORN_TEST_SEED=%llu\n", (unsigned long long)rng.state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(validity),
        cmocka_unit_test(cells_and_extents),
        cmocka_unit_test_prestate(tiles_cover_a_region_once_and_in_order, &rng),
        cmocka_unit_test(tiles_of_no_axes),
        cmocka_unit_test(tiles_at_the_far_end),
        cmocka_unit_test(default_chunks),
        cmocka_unit_test_prestate(default_chunks_are_usable, &rng),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
