// SPDX-License-Identifier: MIT
/*
 * Random regions of random arrays, written from and read into memory of any strides, read with
 * steps and without, as they are now and out of a snapshot while the writer goes on, against a
 * plain array in C order: axes in any order, with gaps and backwards, elements of odd sizes, chunks
 * that were never written.  All of the destination is compared, so
 * that bytes beside the region are seen to be left alone; buffers are exactly as large as they need
 * be, so that the address sanitizer sees any byte beyond.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define MOST_RANK 5
#define MOST_ELEMENTS 4000u
#define LONG_AXIS 90u

struct world {
    struct test_rng rng;
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_writer_array *array;
    untorn_array *view;
    unsigned rank;
    size_t itemsize;
    uint64_t shape[MOST_RANK];
    size_t bytes;
    unsigned char *plain;
    untorn_snapshot *snapshot; /* NULL: none was taken yet */
    unsigned char *then;       /* what `plain` was when it was */
};

/* Where the elements of a region lie in memory. */
struct layout {
    int64_t strides[MOST_RANK];
    size_t size, base;
};

static const struct {
    const char *dtype;
    size_t size;
} dtypes[] = {
    {"i1", 1}, {"u2", 2}, {"S3", 3},   {"f4", 4},   {"V5", 5},   {"V7", 7},     {"i8", 8},
    {"S9", 9}, {"f8", 8}, {"V12", 12}, {"c16", 16}, {"V24", 24}, {"S100", 100},
};

static struct layout random_layout(struct world *w, const uint64_t *count) {
    struct layout layout = {.size = w->itemsize};
    bool gaps = rng_chance(&w->rng, 40), c_order = rng_chance(&w->rng, 30);
    bool backwards = rng_chance(&w->rng, 30);
    unsigned axes[MOST_RANK];
    for (unsigned i = 0; i < w->rank; i++)
        axes[i] = i;
    for (unsigned left = w->rank; left > 0; left--) {
        unsigned pick = c_order ? left - 1 : (unsigned)rng_below(&w->rng, left);
        unsigned axis = axes[pick];
        axes[pick] = axes[left - 1];
        size_t stride = layout.size + (gaps ? rng_below(&w->rng, 20) : 0);
        size_t steps = count[axis] > 0 ? count[axis] - 1 : 0;
        layout.strides[axis] = (int64_t)stride;
        if (backwards && rng_chance(&w->rng, 50)) {
            layout.strides[axis] = -(int64_t)stride;
            layout.base += stride * steps;
        }
        layout.size += stride * steps;
    }
    return layout;
}

/* For each element of the region: its place in the plain array and in the layout.  `steps` may be
 * NULL. */
static void element(const struct world *w, uint64_t k, const uint64_t *start, const uint64_t *count,
                    const uint64_t *steps, const struct layout *layout, size_t *plain, size_t *at) {
    uint64_t index[MOST_RANK], linear = 0;
    int64_t place = (int64_t)layout->base;
    for (unsigned i = w->rank; i-- > 0;) {
        index[i] = k % count[i];
        k /= count[i];
        place += (int64_t)index[i] * layout->strides[i];
    }
    for (unsigned i = 0; i < w->rank; i++)
        linear = linear * w->shape[i] + start[i] + index[i] * (steps ? steps[i] : 1);
    *plain = linear * w->itemsize;
    *at = (size_t)place;
}

static uint64_t random_region(struct world *w, uint64_t *start, uint64_t *count) {
    uint64_t elements = 1;
    bool all = rng_chance(&w->rng, 10);
    for (unsigned i = 0; i < w->rank; i++) {
        start[i] = all ? 0 : rng_below(&w->rng, w->shape[i]);
        count[i] = w->shape[i] - start[i];
        if (!all && rng_chance(&w->rng, 70))
            count[i] = rng_chance(&w->rng, 30) ? 1 : rng_range(&w->rng, 1, count[i]);
        if (rng_chance(&w->rng, 1))
            count[i] = 0;
        elements *= count[i];
    }
    return elements;
}

/* Steps for a region, whose count becomes that of what they take.  Returns the elements. */
static uint64_t random_steps(struct world *w, uint64_t *count, uint64_t *steps) {
    uint64_t elements = 1;
    bool all_one = rng_chance(&w->rng, 5);
    for (unsigned i = 0; i < w->rank; i++) {
        uint64_t most = rng_chance(&w->rng, 80) ? 9 : 100;
        steps[i] = all_one || rng_chance(&w->rng, 30) ? 1 : rng_range(&w->rng, 1, most);
        count[i] = (count[i] + steps[i] - 1) / steps[i];
        elements *= count[i];
    }
    return elements;
}

static unsigned char *bytes_of(struct world *w, size_t size) {
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)rng_next(&w->rng);
    return bytes;
}

static void write_region(struct world *w) {
    uint64_t start[MOST_RANK], count[MOST_RANK];
    uint64_t elements = random_region(w, start, count);
    struct layout layout = random_layout(w, count);
    unsigned char *source = bytes_of(w, layout.size);
    for (uint64_t k = 0; k < elements; k++) {
        size_t plain, at;
        element(w, k, start, count, NULL, &layout, &plain, &at);
        memcpy(w->plain + plain, source + at, w->itemsize);
    }
    must_ok(untorn_write(w->array, start, count, layout.strides, source + layout.base));
    free(source);
}

/* Now, or with `then` as of the snapshot. */
static void read_region(struct world *w, bool stepped, bool then) {
    uint64_t start[MOST_RANK], count[MOST_RANK], some[MOST_RANK], *steps = stepped ? some : NULL;
    uint64_t elements = random_region(w, start, count);
    if (stepped)
        elements = random_steps(w, count, steps);
    struct layout layout = random_layout(w, count);
    unsigned char *destination = bytes_of(w, layout.size), *expected = malloc(layout.size);
    assert_non_null(expected);
    memcpy(expected, destination, layout.size);
    for (uint64_t k = 0; k < elements; k++) {
        size_t plain, at;
        element(w, k, start, count, steps, &layout, &plain, &at);
        memcpy(expected + at, (then ? w->then : w->plain) + plain, w->itemsize);
    }
    untorn_request request = {.array = w->view,
                              .start = start,
                              .count = count,
                              .steps = steps,
                              .strides = layout.strides,
                              .destination = destination + layout.base};
    if (then)
        must_ok(untorn_snapshot_read_group(w->snapshot, NULL, &request, 1));
    else
        must_ok(untorn_read_group(w->reader, &request, 1, NULL));
    must(memcmp(destination, expected, layout.size) == 0, "rank %u, elements of %zu bytes", w->rank,
         w->itemsize);
    must(memcmp(request.counted, count, w->rank * sizeof *count) == 0, "counted");
    free(destination);
    free(expected);
}

/* Without strides: C order without gaps. */
static void read_dense(struct world *w) {
    uint64_t start[MOST_RANK], count[MOST_RANK];
    size_t bytes = random_region(w, start, count) * w->itemsize;
    struct layout layout = {.size = w->itemsize};
    for (unsigned i = w->rank; i-- > 0;) {
        layout.strides[i] = (int64_t)layout.size;
        layout.size *= count[i];
    }
    unsigned char *destination = bytes_of(w, bytes + 1);
    unsigned char beyond = destination[bytes];
    must_ok(untorn_read(w->view, start, count, destination, bytes, NULL));
    for (uint64_t k = 0; k < bytes / w->itemsize; k++) {
        size_t plain, at;
        element(w, k, start, count, NULL, &layout, &plain, &at);
        must(memcmp(destination + at, w->plain + plain, w->itemsize) == 0,
             "element %lu of rank %u, of %zu bytes", (unsigned long)k, w->rank, w->itemsize);
    }
    must(destination[bytes] == beyond, "a byte behind the region was written");
    free(destination);
}

static void random_array(struct world *w, const char *name) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t chunks[MOST_RANK], elements = 1;
    size_t type = rng_below(&w->rng, sizeof dtypes / sizeof dtypes[0]);
    w->rank = (unsigned)rng_range(&w->rng, 1, rng_chance(&w->rng, 70) ? 3 : MOST_RANK);
    w->itemsize = dtypes[type].size;
    for (unsigned i = 0; i < w->rank; i++) {
        uint64_t most = MOST_ELEMENTS / elements;
        w->shape[i] = rng_range(&w->rng, 1, most > LONG_AXIS ? LONG_AXIS : most);
        if (rng_chance(&w->rng, 50) && w->shape[i] > 12)
            w->shape[i] = rng_range(&w->rng, 1, 12);
        chunks[i] = rng_range(&w->rng, 1, w->shape[i]);
        if (rng_chance(&w->rng, 30) && chunks[i] > 4)
            chunks[i] = rng_range(&w->rng, 1, 4);
        elements *= w->shape[i];
    }
    unsigned char *fill = bytes_of(w, w->itemsize);
    definition.dtype = dtypes[type].dtype;
    definition.rank = w->rank;
    definition.shape = w->shape;
    definition.chunks = chunks;
    definition.fill = fill;
    must_ok(untorn_define(w->writer, name, &definition, &w->array));
    w->bytes = elements * w->itemsize;
    w->plain = malloc(w->bytes);
    w->then = malloc(w->bytes);
    assert_non_null(w->plain);
    assert_non_null(w->then);
    for (uint64_t k = 0; k < elements; k++)
        memcpy(w->plain + k * w->itemsize, fill, w->itemsize);
    free(fill);
}

static void take_snapshot(struct world *w) {
    untorn_snapshot_close(w->snapshot);
    must_ok(untorn_snapshot_open(w->reader, &w->view, 1, UNTORN_NEWEST, &w->snapshot));
    memcpy(w->then, w->plain, w->bytes);
}

static void regions_are_those_of_a_plain_array(void **state) {
    (void)state;
    static struct world w;
    const char *segment = test_segment("regions");
    w.rng.state = test_seed();
    must_ok(untorn_writer_open(segment, NULL, &w.writer));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(untorn_reader_open(segment, NULL, &w.reader));
    for (uint64_t i = 0, n = test_count(3000); i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "a%lu", (unsigned long)i);
        random_array(&w, name);
        for (int round = 0; round < 4; round++) {
            for (uint64_t k = rng_below(&w.rng, 4); k > 0; k--)
                write_region(&w);
            must_ok(untorn_commit(w.writer, NULL));
            if (round == 0)
                must_ok(untorn_array_open(w.reader, name, &w.view));
            if (round == 0 || rng_chance(&w.rng, 30))
                take_snapshot(&w);
            for (int k = 0; k < 6; k++) {
                read_region(&w, false, false);
                read_region(&w, true, false);
                read_region(&w, rng_chance(&w.rng, 70), true);
                read_dense(&w);
            }
        }
        untorn_snapshot_close(w.snapshot);
        w.snapshot = NULL;
        untorn_array_close(w.view);
        must_ok(untorn_delete(w.writer, name));
        must_ok(untorn_commit(w.writer, NULL));
        free(w.plain);
        free(w.then);
    }
    untorn_reader_close(w.reader);
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(segment));
}

/* Larger than what is copied past the processor's caches, and of no round size: rows of `columns`,
 * into rows with and without a gap. */
static void check_large(unsigned rank, uint64_t rows, uint64_t columns, const uint64_t *chunks) {
    const char *segment = test_segment("large");
    uint64_t shape[2] = {rows, columns}, elements = rows * columns;
    uint64_t start[2] = {1, 1}, count[2] = {rows - 1, rank > 1 ? columns - 1 : 1};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer *writer;
    untorn_writer_array *array;
    untorn_reader *reader;
    untorn_array *view;
    uint32_t *data = malloc(elements * sizeof *data), *copy = calloc(elements + rows, sizeof *copy);
    assert_non_null(data);
    assert_non_null(copy);
    for (uint64_t i = 0; i < elements; i++)
        data[i] = (uint32_t)i + 1;
    definition.dtype = "u4";
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    must_ok(untorn_writer_open(segment, NULL, &writer));
    must_ok(untorn_define(writer, "large", &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "large", &view));
    must_ok(untorn_read(view, NULL, NULL, copy, elements * sizeof *copy, NULL));
    must(memcmp(copy, data, elements * sizeof *data) == 0, "all of it, rank %u", rank);

    int64_t strides[2] = {(int64_t)(columns + (rank > 1)) * 4, 4};
    untorn_request request = {
        .array = view, .start = start, .count = count, .strides = strides, .destination = copy};
    memset(copy, 0, (elements + rows) * sizeof *copy);
    must_ok(untorn_read_group(reader, &request, 1, NULL));
    for (uint64_t i = 0; i < count[0]; i++) {
        const uint32_t *row = copy + i * (uint64_t)strides[0] / 4;
        for (uint64_t k = 0; k < count[1]; k++)
            must(row[k] == data[(i + 1) * columns + k + (rank > 1)], "row %lu, element %lu",
                 (unsigned long)i, (unsigned long)k);
        must(rank == 1 || (row[columns - 1] == 0 && row[columns] == 0), "the gap behind row %lu",
             (unsigned long)i);
    }
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    free(data);
    free(copy);
}

static void large_regions_are_those_of_a_plain_array(void **state) {
    (void)state;
    check_large(2, 2111, 2333, (const uint64_t[2]){600, 517});
    check_large(2, 9, 600001, (const uint64_t[2]){2, 600001});
    check_large(1, 4800007, 1, (const uint64_t[1]){262144});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_are_those_of_a_plain_array),
        cmocka_unit_test(large_regions_are_those_of_a_plain_array),
    };
    return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
