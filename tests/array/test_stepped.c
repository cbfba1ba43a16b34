// SPDX-License-Identifier: MIT
/*
 * Regions with steps: their tiles against brute force and at the edges of 64 bits, and what a
 * request with steps is answered.  That what is read is right, for any shapes, chunks and strides,
 * is test_regions.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#include "array/stepped.h"
#include "base/test_hooks.h"

#define AXES(...) ((const uint64_t[]){__VA_ARGS__})
#define LIMIT UINT64_MAX
#define RANK 4

/* --- tiles --- */

struct region {
    unsigned rank;
    uint64_t shape[RANK], chunks[RANK], cells[RANK], start[RANK], count[RANK], step[RANK];
    int64_t chunk_strides[RANK], region_strides[RANK];
};

static void random_region(struct test_rng *rng, struct region *r) {
    r->rank = (unsigned)rng_below(rng, RANK + 1);
    for (unsigned i = 0; i < r->rank; i++) {
        r->shape[i] = rng_range(rng, 1, rng_chance(rng, 20) ? 100 : 14);
        r->chunks[i] = rng_range(rng, 1, rng_chance(rng, 20) ? 20 : 5);
        r->step[i] = rng_chance(rng, 30) ? 1 : rng_range(rng, 1, rng_chance(rng, 20) ? 40 : 12);
        if (rng_chance(rng, 20)) /* without a remainder */
            r->step[i] = r->chunks[i] * rng_range(rng, 1, 3);
        else if (rng_chance(rng, 30))
            r->chunks[i] = r->step[i] * rng_range(rng, 1, 3);
        r->start[i] = rng_below(rng, rng_chance(rng, 50) ? 2 : r->shape[i]) % r->shape[i];
        uint64_t most = (r->shape[i] - r->start[i] - 1) / r->step[i] + 1;
        r->count[i] =
            rng_chance(rng, 50) ? most : rng_range(rng, rng_chance(rng, 95) ? 1 : 0, most);
        r->chunk_strides[i] = (int64_t)rng_below(rng, 1000) - 500;
        r->region_strides[i] = (int64_t)rng_below(rng, 1000) - 500;
    }
    ut_grid_cells(r->rank, r->shape, r->chunks, r->cells);
}

/* Each of a tile's elements is the region's, and in no tile before. */
static void mark(const struct region *r, const ut_tile *tile, unsigned char *seen) {
    uint64_t elements = ut_product(r->rank, tile->count);
    for (uint64_t k = 0; k < elements; k++) {
        uint64_t rest = k, place = 0, scale = 1;
        for (unsigned i = r->rank; i-- > 0;) {
            uint64_t at = rest % tile->count[i], taken = tile->in_region[i] + at;
            assert_true(taken < r->count[i]);
            assert_true(tile->in_chunk[i] + at * r->step[i] < r->chunks[i]);
            assert_int_equal(tile->index[i] * r->chunks[i] + tile->in_chunk[i] + at * r->step[i],
                             r->start[i] + taken * r->step[i]);
            place += taken * scale;
            rest /= tile->count[i];
            scale *= r->count[i];
        }
        assert_int_equal(seen[place]++, 0);
    }
}

static void check_tile(const struct region *r, const ut_tile *tile, const uint64_t *before) {
    int64_t chunk_at = 0, region_at = 0;
    assert_int_equal(tile->cell, ut_grid_linear(r->rank, r->cells, tile->index));
    for (unsigned i = 0; i < r->rank; i++) {
        assert_true(tile->resized || tile->count[i] == before[i]);
        chunk_at += (int64_t)tile->in_chunk[i] * r->chunk_strides[i];
        region_at += (int64_t)tile->in_region[i] * r->region_strides[i];
    }
    assert_int_equal(tile->chunk_at, chunk_at);
    assert_int_equal(tile->region_at, region_at);
}

static void check_tiles(struct test_rng *rng) {
    struct region r;
    ut_tiles tiles;
    ut_tile tile;
    uint64_t before[RANK] = {0}, taken = 0, last = 0, wanted = 1;
    random_region(rng, &r);
    unsigned char *seen = calloc(ut_product(r.rank, r.count) + 1, 1);
    assert_non_null(seen);
    for (unsigned i = 0; i < r.rank; i++)
        wanted *=
            r.count[i] == 0 ? 0 : ut_stepped_tiles(r.start[i], r.count[i], r.step[i], r.chunks[i]);
    ut_tiles_begin_stepped(&tiles, r.rank, r.cells, r.chunks, r.start, r.count, r.step);
    ut_tiles_strides(&tiles, r.chunk_strides, r.region_strides);
    assert_int_equal(ut_tiles_total(&tiles), wanted);
    for (; ut_tiles_next(&tiles, &tile); taken++) {
        check_tile(&r, &tile, before);
        assert_true(taken == 0 || tile.cell > last); /* so no chunk comes twice */
        last = tile.cell;
        mark(&r, &tile, seen);
        for (unsigned i = 0; i < r.rank; i++)
            before[i] = tile.count[i];
    }
    assert_false(ut_tiles_next(&tiles, &tile));
    assert_int_equal(taken, wanted);
    for (uint64_t k = 0; k < ut_product(r.rank, r.count); k++)
        assert_int_equal(seen[k], 1);
    free(seen);
}

static void tiles_are_the_chunks_in_which_something_is_taken(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    for (uint64_t i = 0, n = test_count(40000); i < n; i++)
        check_tiles(&rng);
}

static void tiles_of_long_steps_are_no_more_than_elements(void **state) {
    (void)state;
    const uint64_t length = (UINT64_C(1) << 62) - 10, chunks[] = {1, 3, 1000, UINT64_C(1) << 39};
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        uint64_t cells[1], step = (length - 8) / 9, taken = 0;
        ut_tiles tiles;
        ut_tile tile;
        ut_grid_cells(1, &length, &chunks[c], cells);
        ut_tiles_begin_stepped(&tiles, 1, cells, &chunks[c], AXES(7), AXES(10), &step);
        for (; ut_tiles_next(&tiles, &tile); taken++) {
            assert_int_equal(tile.count[0], 1);
            assert_int_equal(tile.in_region[0], taken);
            assert_int_equal(tile.cell * chunks[c] + tile.in_chunk[0], 7 + taken * step);
        }
        assert_int_equal(taken, 10);
    }
}

/* --- what fits --- */

static void regions_that_fit(void **state) {
    (void)state;
    uint64_t from[2], n[2], step[2];
    for (uint64_t shape = 0; shape < 12; shape++)
        for (uint64_t start = 0; start < 14; start++)
            for (uint64_t by = 0; by < 15; by++)
                for (uint64_t count = 0; count < 14; count++) {
                    uint64_t most = 0;
                    for (uint64_t at = start; by > 0 && at < shape; at += by)
                        most++;
                    int fits = by > 0 && start <= shape && count <= most;
                    assert_int_equal(ut_stepped_fit(1, &shape, &start, &count, &by, from, n) == 1,
                                     fits);
                    assert_int_equal(n[0], count);
                    fits = by > 0 && start <= shape;
                    assert_int_equal(
                        ut_stepped_fit(1, &shape, &start, AXES(UNTORN_TO_END), &by, from, n) == 1,
                        fits);
                    assert_int_equal(n[0], most);
                }
    /* No sum or product of these is within 64 bits. */
    const uint64_t long_axis = (UINT64_C(1) << 62) - 1;
    assert_int_equal(ut_stepped_fit(1, &long_axis, AXES(1), AXES(LIMIT - 1), AXES(LIMIT), from, n),
                     0);
    assert_int_equal(ut_stepped_fit(1, &long_axis, AXES(LIMIT), AXES(1), AXES(1), from, n), 0);
    assert_int_equal(
        ut_stepped_fit(1, &long_axis, AXES(0), AXES(2), AXES(UINT64_C(1) << 63), from, n), 0);
    assert_int_equal(
        ut_stepped_fit(1, &long_axis, AXES(1), AXES(5), AXES(UINT64_C(1) << 62), from, n), 0);
    /* A step that leads nowhere may be of any length. */
    assert_int_equal(ut_stepped_fit(2, AXES(long_axis, 4), AXES(long_axis - 1, 0),
                                    AXES(UNTORN_TO_END, 2), AXES(LIMIT, 3), from, n),
                     2);
    assert_int_equal(n[0], 1);
    assert_true(ut_stepped_steps(2, n, AXES(LIMIT, 3), step));
    assert_int_equal(step[0], 1);
    assert_int_equal(step[1], 3);
    assert_false(ut_stepped_steps(2, AXES(0, 1), AXES(LIMIT, 3), step));
    assert_false(ut_stepped_steps(2, AXES(9, 9), AXES(1, 1), step));
}

/* --- requests --- */

struct world {
    const char *segment;
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_writer_array *array;
    untorn_array *view;
};

static void begin(struct world *w, const char *name, unsigned rank, const uint64_t *shape,
                  const uint64_t *chunks) {
    static const uint32_t fill = 77;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u4";
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    definition.fill = &fill;
    w->segment = test_segment(name);
    must_ok(untorn_writer_open(w->segment, NULL, &w->writer));
    must_ok(untorn_define(w->writer, "a", &definition, &w->array));
    must_ok(untorn_commit(w->writer, NULL));
    must_ok(untorn_reader_open(w->segment, NULL, &w->reader));
    must_ok(untorn_array_open(w->reader, "a", &w->view));
}

static void end(struct world *w) {
    untorn_reader_close(w->reader);
    untorn_writer_close(w->writer);
    must_ok(untorn_segment_remove(w->segment));
}

static void count_up(struct world *w, uint64_t elements) {
    uint32_t *values = malloc(elements * sizeof *values);
    assert_non_null(values);
    for (uint32_t i = 0; i < elements; i++)
        values[i] = i;
    must_ok(untorn_write(w->array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(w->writer, NULL));
    free(values);
}

static untorn_status ask(struct world *w, untorn_request *request, const uint64_t *start,
                         const uint64_t *count, const uint64_t *steps) {
    request->array = w->view;
    request->start = start;
    request->count = count;
    request->steps = steps;
    return untorn_read_group(w->reader, request, 1, NULL);
}

static void what_does_not_fit_is_an_error(void **state) {
    (void)state;
    static const struct {
        uint64_t start[2], count[2], steps[2];
        const char *reason;
    } wrong[] = {
        {{0, 0}, {1, 1}, {1, 0}, "\"a\": region with a step of 0 on axis 1"},
        {{0, 0}, {0, 0}, {0, 1}, "region with a step of 0 on axis 0"},
        {{0, 0}, {UNTORN_TO_END, 1}, {0, 1}, "region with a step of 0 on axis 0"},
        {{2, 0}, {4, 1}, {3, 1}, "region of 4 from 2 in steps of 3 exceeds shape 10 on axis 0"},
        {{0, 19}, {10, 2}, {1, 2}, "region of 2 from 19 in steps of 2 exceeds shape 20 on axis 1"},
        {{10, 0}, {1, 1}, {2, 2}, "region of 1 from 10 in steps of 2 exceeds shape 10 on axis 0"},
        {{11, 0}, {0, 1}, {2, 2}, "region start 11 exceeds shape 10 on axis 0"},
        {{0, LIMIT}, {0, UNTORN_TO_END}, {2, 2}, "exceeds shape 20 on axis 1"},
        {{1, 1}, {LIMIT - 1, LIMIT - 1}, {LIMIT, LIMIT}, "exceeds shape 10 on axis 0"},
        {{1, 1}, {2, 1}, {LIMIT, LIMIT}, "in steps of 18446744073709551615 exceeds shape 10"},
    };
    struct world w;
    uint32_t got[200];
    begin(&w, "stepped-errors", 2, AXES(10, 20), AXES(4, 4));
    count_up(&w, 200);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        untorn_request request = {.destination = got, .capacity = sizeof got};
        must_say(UNTORN_E_REGION, wrong[i].reason,
                 ask(&w, &request, wrong[i].start, wrong[i].count, wrong[i].steps));
        must(request.shape[0] == 10 && request.shape[1] == 20, "the shape, in case %zu", i);
    }
    untorn_request request = {.destination = got, .capacity = 15 * sizeof *got};
    must_say(UNTORN_E_BUFFER_TOO_SMALL, "60 bytes is too small for 64",
             ask(&w, &request, NULL, AXES(4, 4), AXES(3, 5)));
    must_ok(ask(&w, &request, NULL, AXES(3, 5), AXES(3, 4)));
    must(got[14] == 6 * 20 + 16, "the last element is %u", got[14]);
    request.destination = NULL;
    must_say(
        UNTORN_E_ARGUMENT, "destination",
        ask(&w, &(untorn_request){.strides = (const int64_t[2]){4, 4}}, NULL, NULL, AXES(3, 4)));
    end(&w);
}

static void edges(void **state) {
    (void)state;
    struct world w;
    uint32_t got[8];
    untorn_request request = {.destination = got, .capacity = sizeof got};
    begin(&w, "stepped-edges", 1, AXES(10), AXES(4));
    count_up(&w, 10);
    must_ok(ask(&w, &request, NULL, NULL, AXES(3)));
    must(request.counted[0] == 4 && request.shape[0] == 10, "every third");
    must(memcmp(got, ((uint32_t[]){0, 3, 6, 9}), 16) == 0, "0, 3, 6, 9");
    must_ok(ask(&w, &request, AXES(1), AXES(UNTORN_TO_END), AXES(3)));
    must(request.counted[0] == 3, "1, 4, 7");
    must(memcmp(got, ((uint32_t[]){1, 4, 7, 9}), 16) == 0, "1, 4, 7, and what was there");
    must_ok(ask(&w, &request, AXES(9), NULL, AXES(LIMIT)));
    must(request.counted[0] == 1 && got[0] == 9, "the last");
    must_ok(ask(&w, &request, AXES(10), NULL, AXES(5)));
    must(request.counted[0] == 0, "nothing");
    request.capacity = 0;
    must_ok(ask(&w, &request, AXES(10), AXES(0), AXES(LIMIT)));
    request.capacity = sizeof got;
    end(&w);

    begin(&w, "stepped-scalar", 0, NULL, NULL);
    count_up(&w, 1);
    memset(got, 1, sizeof got);
    must_ok(ask(&w, &request, NULL, NULL, AXES(0))); /* no axis has it */
    must(got[0] == 0, "the only element");
    end(&w);

    begin(&w, "stepped-empty", 2, AXES(0, 9), AXES(4, 4));
    must_ok(ask(&w, &request, NULL, NULL, AXES(3, 4)));
    must(request.counted[0] == 0 && request.counted[1] == 3, "no rows");
    end(&w);
}

/* What is else read without a look at the request's region. */
static void arrays_of_one_chunk(void **state) {
    (void)state;
    struct world w;
    uint32_t got[8] = {0};
    untorn_request request = {.destination = got, .capacity = sizeof got};
    begin(&w, "stepped-one-chunk", 1, AXES(6), AXES(6));
    count_up(&w, 6);
    for (int again = 0; again < 3; again++) {
        must_ok(ask(&w, &request, NULL, NULL, again == 1 ? AXES(1) : AXES(4)));
        must(request.counted[0] == (again == 1 ? 6 : 2), "counted");
        must(got[0] == 0 && got[1] == (again == 1 ? 1 : 4), "the second is %u", got[1]);
    }
    end(&w);
}

/* An array far larger than could be looked at chunk by chunk. */
static void cost_follows_what_is_taken(void **state) {
    (void)state;
    const uint64_t length = UINT64_C(1) << 50, step = (UINT64_C(1) << 47) + 12345;
    const uint64_t at = 5 + 3 * step;
    const uint32_t value = 4711;
    struct world w;
    uint32_t got[8];
    untorn_request request = {.destination = got, .capacity = sizeof got};
    begin(&w, "stepped-huge", 1, &length, AXES(16));
    must_ok(untorn_write(w.array, &at, AXES(1), NULL, &value));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(ask(&w, &request, AXES(5), NULL, &step));
    must(request.counted[0] == 8, "counted %llu", (unsigned long long)request.counted[0]);
    for (int i = 0; i < 8; i++)
        must(got[i] == (i == 3 ? value : 77), "element %d is %u", i, got[i]);
    end(&w);
}

static void growing(void **state) {
    (void)state;
    struct world w;
    uint64_t rows = 0;
    untorn_request request = {.flags = UNTORN_GROW};
    begin(&w, "stepped-growing", 2, AXES(0, 10), AXES(7, 4));
    for (uint32_t more = 1; more < 40; more++) {
        uint32_t values[400];
        for (uint32_t i = 0; i < more * 10; i++)
            values[i] = (uint32_t)rows * 10 + i;
        must_ok(untorn_append(w.array, 0, more, NULL, values));
        must_ok(untorn_commit(w.writer, NULL));
        rows += more;
        must_ok(ask(&w, &request, AXES(0, 2), NULL, AXES(5, 3)));
        must(request.counted[0] == (rows + 4) / 5 && request.counted[1] == 3, "counted %llu",
             (unsigned long long)request.counted[0]);
        const uint32_t *got = request.destination;
        for (uint64_t i = 0; i < request.counted[0] * 3; i++)
            must(got[i] == 50 * (i / 3) + 2 + 3 * (i - i / 3 * 3),
                 "element %llu of %llu rows is %u", (unsigned long long)i, (unsigned long long)rows,
                 got[i]);
    }
    free(request.destination);
    end(&w);
}

/* --- a read that is overtaken --- */

static struct {
    untorn_writer *writer;
    untorn_writer_array *grows, *other;
    unsigned tiles;  /* that were copied */
    uint32_t length; /* of `grows`, whose element i is i + 1 */
} overtaking;

static void one_commit(void) {
    static uint32_t other[8];
    uint32_t value = ++overtaking.length;
    other[0]++;
    must_ok(untorn_append(overtaking.grows, 0, 1, NULL, &value));
    must_ok(untorn_write(overtaking.other, NULL, NULL, NULL, other));
    must_ok(untorn_commit(overtaking.writer, NULL));
}

/* While the second array is read for the first time, and the first one has passed its check: more
 * commits than a generation of the second one is kept for. */
static void overtake(const char *step) {
    if (strcmp(step, "tile copied") == 0 && ++overtaking.tiles == 2)
        for (int i = 0; i < 400; i++)
            one_commit();
}

static untorn_writer_array *define(untorn_writer *writer, const char *name, const uint64_t *shape) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = shape;
    definition.chunks = AXES(1000);
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

static void growth_is_copied_behind_what_is_kept(void **state) {
    (void)state;
    const char *segment = test_segment("stepped-kept");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_reader *reader = NULL;
    untorn_result result;
    uint32_t got[2][256] = {{0}};
    untorn_request requests[2] = {{.steps = AXES(2), .destination = got[0], .capacity = 1024},
                                  {.steps = AXES(3), .destination = got[1], .capacity = 1024}};
    options.versions = 2;
    must_ok(untorn_writer_open(segment, &options, &overtaking.writer));
    overtaking.other = define(overtaking.writer, "other", AXES(8));
    must_ok(untorn_commit(overtaking.writer, NULL));
    overtaking.grows = define(overtaking.writer, "grows", AXES(0));
    for (int i = 0; i < 9; i++) { /* what changes most often is read first */
        must_ok(untorn_append(overtaking.grows, 0, 1, NULL, &(uint32_t){++overtaking.length}));
        must_ok(untorn_commit(overtaking.writer, NULL));
    }
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "grows", &requests[0].array));
    must_ok(untorn_array_open(reader, "other", &requests[1].array));
    ut_step_hook = overtake;
    must_ok(untorn_read_group(reader, requests, 2, &result));
    ut_step_hook = NULL;
    must(result.attempts == 2 && overtaking.tiles == 4, "%u attempts, %u tiles", result.attempts,
         overtaking.tiles);
    must(requests[0].shape[0] == 409 && requests[0].counted[0] == 205, "409 elements");
    for (uint32_t i = 0; i < 205; i++)
        must(got[0][i] == 2 * i + 1, "element %u is %u", 2 * i, got[0][i]);
    untorn_reader_close(reader);
    untorn_writer_close(overtaking.writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_are_the_chunks_in_which_something_is_taken),
        cmocka_unit_test(tiles_of_long_steps_are_no_more_than_elements),
        cmocka_unit_test(regions_that_fit),
        cmocka_unit_test(what_does_not_fit_is_an_error),
        cmocka_unit_test(edges),
        cmocka_unit_test(arrays_of_one_chunk),
        cmocka_unit_test(cost_follows_what_is_taken),
        cmocka_unit_test(growing),
        cmocka_unit_test(growth_is_copied_behind_what_is_kept),
    };
    return cmocka_run_group_tests_name("regions with steps", tests, NULL, NULL);
}
