// SPDX-License-Identifier: MIT
/*
 * A region of many chunks that are alike, overtaken at each of them: tiles like the one before are
 * copied in a shorter way, and have to be checked, and kept, all the same.  All elements of the
 * array are written together, so what is read has to be one number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"

#include "array/reader.h"
#include "array/writer.h"
#include "base/test_hooks.h"
#include "segment/cell_table.h"

enum { ROWS = 4, COLUMNS = 64, CHUNK = 8, TILES = COLUMNS / CHUNK, COMMITS = 400 };

static struct {
    untorn_writer *writer;
    untorn_writer_array *array;
    untorn_array *view;
    untorn_reader *reader;
    uint32_t value;   /* of all elements */
    uint64_t changed; /* columns that one_commit() writes */
    const char *step; /* the writer overtakes when it was met ... */
    unsigned left;    /* ... so often */
} world;

static void one_commit(void) {
    uint32_t data[ROWS * COLUMNS];
    world.value++;
    for (unsigned i = 0; i < ROWS * world.changed; i++)
        data[i] = world.value;
    must_ok(untorn_write(world.array, (const uint64_t[]){0, 0},
                         (const uint64_t[]){ROWS, world.changed}, NULL, data));
    must_ok(untorn_commit(world.writer, NULL));
}

/* More commits than a generation is kept for. */
static void overtake(const char *step) {
    if (world.left > 0 && strcmp(step, world.step) == 0 && --world.left == 0)
        for (int i = 0; i < COMMITS; i++)
            one_commit();
}

static void begin(const char *segment) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    options.versions = 2;
    definition.dtype = "u4";
    definition.rank = 2;
    definition.shape = (const uint64_t[]){ROWS, COLUMNS};
    definition.chunks = (const uint64_t[]){ROWS, CHUNK};
    must_ok(untorn_writer_open(segment, &options, &world.writer));
    must_ok(untorn_define(world.writer, "a", &definition, &world.array));
    world.changed = COLUMNS;
    one_commit();
    must_ok(untorn_reader_open(segment, NULL, &world.reader));
    must_ok(untorn_array_open(world.reader, "a", &world.view));
}

static void end(const char *segment) {
    untorn_array_close(world.view);
    untorn_reader_close(world.reader);
    untorn_writer_close(world.writer);
    must_ok(untorn_segment_remove(segment));
}

/* Read two rows, of every `every`-th column, overtaken at the `at`-th `step`.
 * Columns that do not change are 1. */
static void read_overtaken(uint64_t every, const char *step, unsigned at) {
    uint32_t got[2 * COLUMNS] = {0}, old = world.value;
    uint64_t columns = COLUMNS / every;
    untorn_request request = {.array = world.view,
                              .start = (const uint64_t[]){1, 0},
                              .count = (const uint64_t[]){2, columns},
                              .steps = (const uint64_t[]){1, every},
                              .destination = got,
                              .capacity = sizeof got};
    untorn_result result;
    world.step = step;
    world.left = at;
    ut_step_hook = overtake;
    must_ok(untorn_read_group(world.reader, &request, 1, &result));
    ut_step_hook = NULL;
    must(world.left == 0 && world.value == old + COMMITS, "%s %u was not met", step, at);
    must(result.attempts == 2, "%s %u: %u attempts", step, at, result.attempts);
    for (uint64_t i = 0; i < 2 * columns; i++) {
        uint32_t expected = i % columns * every < world.changed ? world.value : 1;
        must(got[i] == expected, "%s %u: element %lu is %u, not %u", step, at, (unsigned long)i,
             got[i], expected);
    }
}

static void overtaken_anywhere(uint64_t changed) {
    static const char *const steps[] = {"tile begins", "cell read", "tile copied"};
    const char *segment = test_segment("like-tiles");
    world.value = 0;
    begin(segment);
    world.changed = changed;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        for (unsigned at = 1; at <= TILES; at++)
            for (uint64_t every = 1; every <= CHUNK; every *= 2)
                read_overtaken(every, steps[i], at);
    end(segment);
}

static void all_is_of_one_commit(void **state) {
    (void)state;
    overtaken_anywhere(COLUMNS);
}

/* The others' tiles are kept. */
static void so_it_is_if_a_few_chunks_change(void **state) {
    (void)state;
    overtaken_anywhere(3 * CHUNK);
}

/* As the reader sees it; the mapping that can be written to is the writer's. */
static ut_cell *cell_of(unsigned number) {
    must_ok(untorn_peek(world.view, NULL));
    ut_node *leaf =
        ut_at(&world.writer->segment, ut_ref_offset(world.view->cached.root_ref), sizeof(ut_node));
    assert_non_null(leaf);
    return &leaf->cells[number];
}

static void a_damaged_cell_is_told(void **state) {
    (void)state;
    const char *segment = test_segment("like-tiles");
    uint32_t got[COLUMNS];
    const uint64_t start[2] = {1, 0}, count[2] = {1, COLUMNS};
    begin(segment);
    for (unsigned i = 0; i < TILES; i++) {
        ut_cell *cell = cell_of(i);
        ut_place good = ut_cell_load(cell);
        ut_cell_store(cell, (ut_place){good.ref, good.version + 1});
        must_be(UNTORN_E_CORRUPT, untorn_read(world.view, start, count, got, sizeof got, NULL));
        ut_cell_store(cell, good);
        must_ok(untorn_read(world.view, start, count, got, sizeof got, NULL));
    }
    end(segment);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_of_one_commit),
        cmocka_unit_test(a_damaged_cell_is_told),
        cmocka_unit_test(so_it_is_if_a_few_chunks_change),
    };
    return cmocka_run_group_tests_name("like tiles", tests, NULL, NULL);
}
