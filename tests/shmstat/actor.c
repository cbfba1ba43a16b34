// SPDX-License-Identifier: MIT
/*
 * The processes that shmstat is shown in its tests:
 *
 *   actor writer SEGMENT [STORE]  makes "grid" (2-D), "log" (1-D, grows), "dir/empty", commits, and
 *                                 then does what it is told, a letter each: c a commit, f a
 *                                 flush, q closes and ends
 *   actor reader SEGMENT ARRAY    pins the newest commit; r reads the array 100 times, q ends
 *   actor hot SEGMENT             rewrites, grows, shrinks, defines and deletes without pause, in a
 *                                 segment with little room, until it is killed
 *   actor many SEGMENT COUNT      makes COUNT small arrays
 *   actor names SEGMENT           makes arrays whose names come on standard input, one a line
 *
 * Each says "ok" once it is there and after each letter.
 */
#include "untorn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static int fail(void) {
    fprintf(stderr, "actor: %s\n", untorn_message());
    return 1;
}

static void say_ok(void) {
    puts("ok");
    fflush(stdout);
}

static untorn_status define(untorn_writer *writer, const char *name, const char *dtype,
                            unsigned rank, const uint64_t *shape, const uint64_t *chunks,
                            untorn_writer_array **array) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = dtype;
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    return untorn_require(writer, name, &definition, array);
}

#define ROWS 40u
#define COLUMNS 60u

static untorn_status fill(untorn_writer *writer, untorn_writer_array **log) {
    static double grid[ROWS][COLUMNS];
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned j = 0; j < COLUMNS; j++)
            grid[i][j] = i < 10 ? 0 : i * 0.5 + j;
    /* One chunk more than is written: that one stays absent. */
    const uint64_t shape[2] = {ROWS, COLUMNS + 20}, chunks[2] = {20, 20};
    const uint64_t start[2] = {0, 0}, count[2] = {ROWS, COLUMNS};
    const uint64_t none = 0, ten = 10, no_row[2] = {0, 3}, row[2] = {1, 3};
    untorn_writer_array *array;
    untorn_status status = define(writer, "grid", "f8", 2, shape, chunks, &array);
    if (status == UNTORN_OK)
        status = untorn_write(array, start, count, NULL, grid);
    if (status == UNTORN_OK)
        status = define(writer, "dir/empty", "S5", 2, no_row, row, &array);
    if (status == UNTORN_OK)
        status = define(writer, "log", "i2", 1, &none, &ten, log);
    return status;
}

static untorn_status append(untorn_writer *writer, untorn_writer_array *log) {
    static int16_t next;
    int16_t values[5];
    for (int i = 0; i < 5; i++)
        values[i] = (int16_t)(next++ - 10);
    untorn_status status = untorn_append(log, 0, 5, NULL, values);
    return status == UNTORN_OK ? untorn_commit(writer, NULL) : status;
}

static int run_writer(const char *segment, const char *store) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 16u << 20;
    options.mode = 0600;
    options.store = store;
    options.flush_interval = UNTORN_ON_DEMAND;
    untorn_writer *writer;
    untorn_writer_array *log;
    if (untorn_writer_open(segment, &options, &writer) != UNTORN_OK ||
        fill(writer, &log) != UNTORN_OK || untorn_commit(writer, NULL) != UNTORN_OK)
        return fail();
    /* A process may call itself anything. */
    prctl(PR_SET_NAME, "a\n\033[2Jb c");
    say_ok();
    for (int letter; (letter = getchar()) != EOF && letter != 'q';) {
        if (letter == 'c' && append(writer, log) != UNTORN_OK)
            return fail();
        if (letter == 'f' && untorn_flush(writer, NULL) != UNTORN_OK)
            return fail();
        if (letter == 'c' || letter == 'f')
            say_ok();
    }
    untorn_writer_close(writer);
    return 0;
}

static int run_reader(const char *segment, const char *name) {
    static char buffer[1 << 16];
    untorn_reader *reader;
    untorn_array *array;
    untorn_snapshot *snapshot;
    if (untorn_reader_open(segment, NULL, &reader) != UNTORN_OK ||
        untorn_array_open(reader, name, &array) != UNTORN_OK ||
        untorn_snapshot_open(reader, &array, 1, UNTORN_NEWEST, &snapshot) != UNTORN_OK)
        return fail();
    say_ok();
    for (int letter; (letter = getchar()) != EOF && letter != 'q';) {
        if (letter != 'r')
            continue;
        for (int i = 0; i < 100; i++)
            if (untorn_read(array, NULL, NULL, buffer, sizeof buffer, NULL) != UNTORN_OK)
                return fail();
        say_ok();
    }
    untorn_reader_close(reader);
    return 0;
}

static int run_hot(const char *segment) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 1u << 20;
    options.versions = 2;
    untorn_writer *writer;
    untorn_writer_array *wide, *wave;
    static unsigned char bytes[64000];
    const uint64_t length = sizeof bytes, chunk = 100;
    if (untorn_writer_open(segment, &options, &writer) != UNTORN_OK ||
        define(writer, "wide", "u1", 1, &length, &chunk, &wide) != UNTORN_OK ||
        define(writer, "wave", "u1", 1, &length, &chunk, &wave) != UNTORN_OK ||
        untorn_commit(writer, NULL) != UNTORN_OK)
        return fail();
    say_ok();
    for (unsigned i = 1;; i++) {
        char name[32];
        untorn_writer_array *array;
        uint64_t shape = i * 7919u % sizeof bytes;
        memset(bytes, (int)i, sizeof bytes);
        snprintf(name, sizeof name, "brief%u", i % 7);
        if (untorn_write(wide, NULL, NULL, NULL, bytes) != UNTORN_OK ||
            untorn_resize(wave, &shape) != UNTORN_OK ||
            untorn_write(wave, NULL, NULL, NULL, bytes) != UNTORN_OK ||
            (i > 7 && untorn_delete(writer, name) != UNTORN_OK) ||
            define(writer, name, "u1", 1, &length, &chunk, &array) != UNTORN_OK ||
            untorn_commit(writer, NULL) != UNTORN_OK)
            return fail();
    }
}

static int run_many(const char *segment, long count) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 256u << 20;
    untorn_writer *writer;
    if (untorn_writer_open(segment, &options, &writer) != UNTORN_OK)
        return fail();
    const uint64_t shape = 40, chunk = 10;
    static float values[40];
    for (long i = 0; i < count; i++) {
        char name[64];
        untorn_writer_array *array;
        snprintf(name, sizeof name, "group%02ld/array%06ld", i % 100, i);
        if (define(writer, name, "f4", 1, &shape, &chunk, &array) != UNTORN_OK ||
            untorn_write(array, NULL, NULL, NULL, values) != UNTORN_OK)
            return fail();
    }
    if (untorn_commit(writer, NULL) != UNTORN_OK)
        return fail();
    untorn_writer_close(writer);
    return 0;
}

static int run_names(const char *segment) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 16u << 20;
    untorn_writer *writer;
    if (untorn_writer_open(segment, &options, &writer) != UNTORN_OK)
        return fail();
    char line[2048];
    const uint64_t shape = 3;
    while (fgets(line, sizeof line, stdin) != NULL) {
        untorn_writer_array *array;
        line[strcspn(line, "\n")] = '\0';
        if (define(writer, line, "u1", 1, &shape, NULL, &array) != UNTORN_OK)
            return fail();
    }
    if (untorn_commit(writer, NULL) != UNTORN_OK)
        return fail();
    untorn_writer_close(writer);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "writer") == 0)
        return run_writer(argv[2], argc > 3 ? argv[3] : NULL);
    if (argc == 4 && strcmp(argv[1], "reader") == 0)
        return run_reader(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "hot") == 0)
        return run_hot(argv[2]);
    if (argc == 4 && strcmp(argv[1], "many") == 0)
        return run_many(argv[2], atol(argv[3]));
    if (argc == 3 && strcmp(argv[1], "names") == 0)
        return run_names(argv[2]);
    return 2;
}
