// SPDX-License-Identifier: MIT
/*
 * Memory beyond the data and its kept versions, for an array of 64 chunks of
 * 64 KiB that is rewritten as a whole again and again.
 *
 * How much is needed is found from outside: the least segment size, by
 * bisection, in which the rewriting goes on for ever without UNTORN_E_NO_SPACE.
 * That size holds a whole number of copies of the data (the versions kept and
 * the one being written) and, beyond them, the overhead.  A second row says
 * what a segment of ample size takes from the mount.
 */
#include "support/child.h"
#include "support/pattern.h"
#include "support/report.h"
#include "support/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (64u << 10)
#define CHUNKS 64
#define DATA ((uint64_t)CHUNK * CHUNKS)
#define VERSIONS 4
#define ROUNDS 40
#define STEP 4096u

static untorn_status rewrite(untorn_writer *writer, untorn_writer_array *array, uint64_t round) {
    for (uint64_t c = 0; c < CHUNKS; c++) {
        void *memory;
        untorn_status status = untorn_chunk_begin(array, &c, 0, &memory);
        if (status != UNTORN_OK)
            return status;
        bench_pattern_fill(memory, CHUNK, round, c * CHUNK / 8);
        BENCH_MUST(untorn_chunk_done(array, &c));
    }
    return untorn_commit(writer, NULL);
}

static untorn_status fill_segment(const char *segment, uint64_t size) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_writer *writer;
    untorn_writer_array *array;
    options.size = size;
    options.versions = VERSIONS;
    untorn_status status = untorn_writer_open(segment, &options, &writer);
    if (status != UNTORN_OK)
        return status;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t length = DATA / 8, chunk = CHUNK / 8;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    status = untorn_define(writer, "array", &definition, &array);
    for (uint64_t r = 1; status == UNTORN_OK && r <= ROUNDS; r++)
        status = rewrite(writer, array, r);
    untorn_writer_close(writer);
    return status;
}

static int works(const char *segment, uint64_t size) {
    untorn_status status = fill_segment(segment, size);
    bench_segment_remove(segment);
    if (status != UNTORN_OK && status != UNTORN_E_NO_SPACE && status != UNTORN_E_ARGUMENT)
        bench_die("a segment of %llu bytes: %s (%s)", (unsigned long long)size,
                  untorn_status_text(status), untorn_message());
    return status == UNTORN_OK;
}

static void check_and_stat(const char *segment, untorn_stat *stat) {
    untorn_reader *reader;
    untorn_array *array;
    void *data = bench_private_memory(DATA);
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    BENCH_MUST(untorn_read(array, NULL, NULL, data, DATA, NULL));
    if (!bench_pattern_whole(data, DATA))
        bench_die("what was written is not what is read");
    BENCH_MUST(untorn_reader_stat(reader, stat));
    untorn_reader_close(reader);
    free(data);
}

int main(void) {
    const char *segment = bench_segment_name("memory");
    uint64_t low = DATA, high = 16 * DATA; /* low fails, high works */
    if (!works(segment, high))
        bench_die("16 times the data is not enough");
    while (high - low > STEP) {
        uint64_t middle = (low + high) / 2 / STEP * STEP;
        if (works(segment, middle))
            high = middle;
        else
            low = middle;
    }
    untorn_stat stat;
    BENCH_MUST(fill_segment(segment, high));
    check_and_stat(segment, &stat);
    bench_segment_remove(segment);

    char figure[64], spread[64];
    uint64_t copies = high / DATA;
    double beyond = (double)(high - copies * DATA) / (double)(copies * DATA);
    bench_section("Memory beyond the data and its kept versions, 64 chunks of 64 KiB");
    bench_note("4 versions kept; the least segment size in which rewriting never fails");
    snprintf(figure, sizeof(figure), "%.0f KiB", (double)high / 1024);
    snprintf(spread, sizeof(spread), "%.3f x the data", (double)high / (double)DATA);
    bench_row_text("least size", figure, spread, NULL, BENCH_NO_GOAL);
    snprintf(figure, sizeof(figure), "%.2f %%", beyond * 100);
    snprintf(spread, sizeof(spread), "beyond %llu copies", (unsigned long long)copies);
    bench_row_text("beyond the copies", figure, spread, "at most 1 %, 5 copies",
                   bench_goal(beyond <= 0.01 && copies <= VERSIONS + 1));

    BENCH_MUST(fill_segment(segment, 16 * DATA));
    check_and_stat(segment, &stat);
    bench_segment_remove(segment);
    snprintf(figure, sizeof(figure), "%.0f KiB", (double)stat.reserved / 1024);
    snprintf(spread, sizeof(spread), "%.3f x the data", (double)stat.reserved / (double)DATA);
    bench_row_text("taken from the mount, size 64 MiB allowed", figure, spread, NULL,
                   BENCH_NO_GOAL);
    return 0;
}
