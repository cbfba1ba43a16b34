// SPDX-License-Identifier: MIT
/*
 * Appending along the first axis, over and over, amid all that decides whether it may be done in
 * place: cuts, growth with fill values, rewriting, aborted transactions, several appends in one.
 * The array is always what a plain copy of it is, and snapshots of commits before stay what they
 * were.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define MOST_ROWS 64
#define MOST_COLUMNS 4
#define FILL 77
#define HELD 3 // snapshots at once

struct copy {
    uint64_t rows;
    uint64_t data[MOST_ROWS][MOST_COLUMNS];
};

struct grid {
    unsigned rank;
    uint64_t columns; // 1 if the rank is 1
    uint64_t chunks[2];
};

struct world {
    const struct grid *grid;
    untorn_writer *writer;
    untorn_writer_array *array;
    untorn_reader *reader;
    untorn_array *view;
    struct copy now, committed; // in the open transaction; as of the last commit
    untorn_snapshot *snapshots[HELD];
    struct copy held[HELD];
    uint64_t next; // value
    struct test_rng rng;
};

static void must_equal(const struct world *w, const struct copy *copy, const uint64_t *data,
                       const char *what) {
    for (uint64_t i = 0; i < copy->rows * w->grid->columns; i++) {
        uint64_t wanted = copy->data[i / w->grid->columns][i % w->grid->columns];
        must(data[i] == wanted, "%s: element %lu is %lu, not %lu", what, (unsigned long)i,
             (unsigned long)data[i], (unsigned long)wanted);
    }
}

static void check(struct world *w) {
    uint64_t data[MOST_ROWS * MOST_COLUMNS];
    untorn_result result;
    must_ok(untorn_read(w->view, NULL, NULL, data, sizeof(data), &result));
    must(result.shape[0] == w->committed.rows, "it has %lu rows", (unsigned long)result.shape[0]);
    must_equal(w, &w->committed, data, "array");
    for (int i = 0; i < HELD; i++)
        if (w->snapshots[i] != NULL) {
            must_ok(untorn_snapshot_read(w->snapshots[i], 0, NULL, NULL, data, sizeof(data)));
            must_equal(w, &w->held[i], data, "snapshot");
        }
}

static void hold(struct world *w) {
    size_t i = rng_below(&w->rng, HELD);
    untorn_snapshot_close(w->snapshots[i]);
    must_ok(untorn_snapshot_open(w->reader, &w->view, 1, UNTORN_NEWEST, &w->snapshots[i]));
    w->held[i] = w->committed;
}

static void new_rows(struct world *w, uint64_t first, uint64_t count, uint64_t *data) {
    for (uint64_t i = 0; i < count * w->grid->columns; i++)
        data[i] = w->now.data[first + i / w->grid->columns][i % w->grid->columns] = w->next++;
}

static void append(struct world *w) {
    uint64_t count = 1 + rng_below(&w->rng, 4), data[4 * MOST_COLUMNS];
    if (w->now.rows + count > MOST_ROWS)
        return;
    new_rows(w, w->now.rows, count, data);
    must_ok(untorn_append(w->array, 0, count, NULL, data));
    w->now.rows += count;
}

static void resize(struct world *w, uint64_t rows) {
    uint64_t shape[2] = {rows, w->grid->columns};
    must_ok(untorn_resize(w->array, shape));
    for (uint64_t row = w->now.rows; row < rows; row++)
        for (uint64_t column = 0; column < w->grid->columns; column++)
            w->now.data[row][column] = FILL;
    w->now.rows = rows;
}

static void rewrite(struct world *w) {
    if (w->now.rows == 0)
        return;
    uint64_t start[2] = {rng_below(&w->rng, w->now.rows), 0}, data[MOST_COLUMNS];
    uint64_t count[2] = {1, w->grid->columns};
    new_rows(w, start[0], 1, data);
    must_ok(untorn_write(w->array, start, count, NULL, data));
}

static void step(struct world *w) {
    switch (rng_below(&w->rng, 16)) {
    case 0:
        resize(w, rng_below(&w->rng, w->now.rows + 1));
        break;
    case 1:
        if (w->now.rows + 3 <= MOST_ROWS)
            resize(w, w->now.rows + 3);
        break;
    case 2:
        rewrite(w);
        break;
    case 3:
        untorn_abort(w->writer);
        w->now = w->committed;
        break;
    case 4:
        hold(w);
        break;
    case 5:
        if (w->now.rows == MOST_ROWS)
            resize(w, 0);
        break;
    case 6:
    case 7:
    case 8:
        must_ok(untorn_commit(w->writer, NULL));
        w->committed = w->now;
        check(w);
        break;
    default:
        append(w);
        break;
    }
}

static void begin(struct world *w, const struct grid *grid, const char *segment) {
    static const uint64_t fill = FILL;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t shape[2] = {0, grid->columns};
    definition.dtype = "u8";
    definition.rank = grid->rank;
    definition.shape = shape;
    definition.chunks = grid->chunks;
    definition.fill = &fill;
    w->grid = grid;
    must_ok(untorn_writer_open(segment, NULL, &w->writer));
    must_ok(untorn_define(w->writer, "array", &definition, &w->array));
    must_ok(untorn_commit(w->writer, NULL));
    must_ok(untorn_reader_open(segment, NULL, &w->reader));
    must_ok(untorn_array_open(w->reader, "array", &w->view));
    w->next = 1000;
}

static void appended_is_what_was_appended(void **state) {
    (void)state;
    static const struct grid grids[] = {
        {1, 1, {1, 0}},   {1, 1, {7, 0}}, {1, 1, {100, 0}}, {2, 3, {5, 3}},
        {2, 3, {100, 3}}, {2, 4, {5, 2}}, {2, 3, {5, 2}},
    };
    for (size_t g = 0; g < sizeof(grids) / sizeof(grids[0]); g++) {
        static struct world w;
        const char *segment = test_segment("append");
        memset(&w, 0, sizeof(w));
        w.rng.state = test_seed() + g;
        begin(&w, &grids[g], segment);
        for (uint64_t i = 0, n = test_count(20000); i < n; i++)
            step(&w);
        untorn_reader_close(w.reader);
        untorn_writer_close(w.writer);
        must_ok(untorn_segment_remove(segment));
    }
}

static void nothing_is_appended_to_an_array_being_filled(void **state) {
    (void)state;
    static const struct grid grid = {1, 1, {8, 0}};
    static struct world w;
    const char *segment = test_segment("filling");
    uint64_t index = 0, values[2] = {1, 2}, length;
    void *memory;
    begin(&w, &grid, segment);
    must_ok(untorn_append(w.array, 0, 2, NULL, values));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(untorn_chunk_begin(w.array, &index, UNTORN_CHUNK_KEEP, &memory));
    must_be(UNTORN_E_STATE, untorn_append(w.array, 0, 1, NULL, values));
    must_ok(untorn_writer_array_shape(w.array, NULL, &length));
    must(length == 2, "it has %lu elements", (unsigned long)length);
    must_ok(untorn_chunk_done(w.array, &index));
    must_ok(untorn_append(w.array, 0, 1, NULL, values));
    must_be(UNTORN_E_SHAPE, untorn_append(w.array, 0, UINT64_MAX, NULL, values));
    must_be(UNTORN_E_ARGUMENT, untorn_append(w.array, 0, 1, NULL, NULL));
    must_ok(untorn_commit(w.writer, NULL));
    untorn_reader_close(w.reader);
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_is_what_was_appended),
        cmocka_unit_test(nothing_is_appended_to_an_array_being_filled),
    };
    return cmocka_run_group_tests_name("append in place", tests, NULL, NULL);
}
