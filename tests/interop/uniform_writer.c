// SPDX-License-Identifier: MIT
/*
 * The writer of the tearing test: all elements of two arrays of many chunks have one value, another
 * one with each commit, which is flushed at once; until standard input ends.
 *
 *     uniform_writer SEGMENT STORE FORMAT
 *
 * The attribute "value" says which value it is.  Says "ready" after the first flush, and at the end
 * how many there were.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "untorn.h"

#define ROWS 400u
#define COLUMNS 30u
#define ARRAYS 2

static uint64_t values[ROWS * COLUMNS];

static int fail(void) {
    fprintf(stderr, "uniform_writer: %s\n", untorn_message());
    return 1;
}

static untorn_status define(untorn_writer *writer, untorn_writer_array **arrays) {
    static const char *const names[ARRAYS] = {"a", "group/b"};
    const uint64_t shape[2] = {ROWS, COLUMNS}, chunks[2] = {20, COLUMNS};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u8";
    definition.rank = 2;
    definition.shape = shape;
    definition.chunks = chunks;
    untorn_status status = UNTORN_OK;
    for (int i = 0; i < ARRAYS && status == UNTORN_OK; i++) {
        definition.codec = i == 0 ? "none" : "lz4";
        status = untorn_define(writer, names[i], &definition, &arrays[i]);
    }
    return status;
}

static untorn_status change(untorn_writer *writer, untorn_writer_array **arrays, uint64_t value) {
    char attributes[64];
    snprintf(attributes, sizeof attributes, "{\"value\":%llu}", (unsigned long long)value);
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        values[i] = value;
    untorn_status status = UNTORN_OK;
    for (int i = 0; i < ARRAYS && status == UNTORN_OK; i++) {
        status = untorn_write(arrays[i], NULL, NULL, NULL, values);
        if (status == UNTORN_OK)
            status = untorn_set_attributes(arrays[i], attributes);
    }
    if (status == UNTORN_OK)
        status = untorn_commit(writer, NULL);
    return status == UNTORN_OK ? untorn_flush(writer, NULL) : status;
}

static int input_ended(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    return poll(&input, 1, 1) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 16u << 20;
    options.store = argv[2];
    options.store_format = (unsigned)atoi(argv[3]);
    options.flush_interval = UNTORN_ON_DEMAND;
    untorn_writer *writer;
    untorn_writer_array *arrays[ARRAYS];
    if (untorn_writer_open(argv[1], &options, &writer) != UNTORN_OK ||
        define(writer, arrays) != UNTORN_OK)
        return fail();
    uint64_t value = 0;
    do {
        if (change(writer, arrays, ++value) != UNTORN_OK)
            return fail();
        if (value == 1) {
            puts("ready");
            fflush(stdout);
        }
    } while (!input_ended());
    printf("%llu flushes\n", (unsigned long long)value);
    untorn_writer_close(writer);
    return untorn_segment_remove(argv[1]) == UNTORN_OK ? 0 : fail();
}
