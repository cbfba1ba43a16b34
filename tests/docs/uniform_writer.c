// SPDX-License-Identifier: MIT
/*
 * For layout_reader.py: makes an array of several chunks and gives all elements one value, another
 * one with each commit, and another length with some, until it is killed.
 *
 *     uniform_writer SEGMENT ARRAY
 *
 * Between commits it rests for a little: a reader in Python takes about as long for a read as forty
 * commits at full rate, and it has no pins.
 */
#include "untorn.h"

#include <stdio.h>
#include <time.h>

#define ROWS 300u
#define COLUMNS 50u

static uint64_t values[ROWS * COLUMNS];

static int fail(void) {
    fprintf(stderr, "uniform_writer: %s\n", untorn_message());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 16u << 20;
    options.versions = 64;
    const uint64_t shape[2] = {ROWS, COLUMNS}, chunks[2] = {64, 32};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u8";
    definition.rank = 2;
    definition.shape = shape;
    definition.chunks = chunks;
    untorn_writer *writer;
    untorn_writer_array *array;
    if (untorn_writer_open(argv[1], &options, &writer) != UNTORN_OK ||
        untorn_define(writer, argv[2], &definition, &array) != UNTORN_OK)
        return fail();
    const struct timespec rest = {0, 20000};
    for (uint64_t value = 1;; value++) {
        for (size_t i = 0; i < ROWS * COLUMNS; i++)
            values[i] = value;
        const uint64_t other[2] = {ROWS - value / 16 % 100, COLUMNS};
        if (untorn_resize(array, other) != UNTORN_OK ||
            untorn_write(array, NULL, NULL, NULL, values) != UNTORN_OK ||
            untorn_commit(writer, NULL) != UNTORN_OK)
            return fail();
        nanosleep(&rest, NULL);
    }
}
