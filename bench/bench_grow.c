// SPDX-License-Identifier: MIT
/*
 * Reading a whole array while it grows by one element per commit, a million
 * commits a second, from 16 MiB on.  Growth disturbs no reader: what was
 * published does not change, so no attempt may be wasted.
 */
#include "support/child.h"
#include "support/report.h"
#include "support/segment.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_LENGTH (16u << 20 >> 3)
#define CHUNK 131072
#define RATE 1000000
#define SECONDS 3
#define CAPACITY (FIRST_LENGTH + (uint64_t)RATE * (SECONDS + 2))

enum { GROW = BENCH_FIRST_COMMAND };

/* Element i is i.  Keeps to the rate by the clock, catching up when it was held up. */
static void grow(struct bench_control *control, untorn_writer *writer, untorn_writer_array *array) {
    int64_t start = bench_now();
    uint64_t grown = 0;
    while (bench_child_going(control, GROW)) {
        int64_t due = (bench_now() - start) / (1000000000 / RATE);
        if ((int64_t)grown >= due || FIRST_LENGTH + grown >= CAPACITY) {
            bench_relax();
            continue;
        }
        uint64_t value = FIRST_LENGTH + grown++;
        BENCH_MUST(untorn_append(array, 0, 1, NULL, &value));
        BENCH_MUST(untorn_commit(writer, NULL));
        atomic_store_explicit(&control->progress, grown, memory_order_relaxed);
    }
}

static void writer_main(struct bench_control *control, void *context) {
    untorn_writer *writer = bench_writer(context, CAPACITY * 8 + (64u << 20), 4);
    untorn_writer_array *array = bench_define(writer, "array", "u8", 0, CHUNK);
    uint64_t *first = bench_private_memory(FIRST_LENGTH * 8);
    for (uint64_t i = 0; i < FIRST_LENGTH; i++)
        first[i] = i;
    BENCH_MUST(untorn_append(array, 0, FIRST_LENGTH, NULL, first));
    BENCH_MUST(untorn_commit(writer, NULL));
    while (bench_child_wait(control) != BENCH_QUIT)
        grow(control, writer, array);
    untorn_writer_close(writer);
}

int main(void) {
    const char *segment = bench_segment_name("grow");
    struct bench_child child = bench_child_start(writer_main, (void *)(uintptr_t)segment);
    bench_child_ready(&child);
    untorn_reader *reader;
    untorn_array *array;
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    uint64_t *data = bench_private_memory(CAPACITY * 8);
    static struct bench_samples samples;
    uint64_t reads = 0, attempts = 0, pinned = 0, longest = 0, last = FIRST_LENGTH, wrong = 0;

    bench_child_command(&child, GROW);
    int64_t start = bench_now(), now = start;
    while (now - start < (int64_t)SECONDS * 1000000000) {
        untorn_result result;
        int64_t before = bench_now();
        BENCH_MUST(untorn_read(array, NULL, NULL, data, CAPACITY * 8, &result));
        bench_add(&samples, (double)(bench_now() - before));
        reads++;
        attempts += result.attempts;
        pinned += result.pinned;
        longest = result.attempts > longest ? result.attempts : longest;
        wrong += result.shape[0] < last;
        last = result.shape[0];
        for (uint64_t i = 0; i < last; i++)
            wrong += data[i] != i;
        now = bench_now();
    }
    uint64_t commits = atomic_load_explicit(&child.control->progress, memory_order_relaxed);
    bench_child_stop(&child);
    untorn_reader_close(reader);
    bench_segment_remove(segment);

    char figure[64], spread[64];
    double rate = (double)commits * 1e9 / (double)(now - start);
    bench_section("Reading an array of 16 MiB that grows by one element per commit");
    snprintf(figure, sizeof(figure), "%.3f M/s", rate / 1e6);
    bench_row_text("commits", figure, NULL, "1 M/s", bench_goal(rate >= 0.97e6));
    snprintf(figure, sizeof(figure), "%llu", (unsigned long long)reads);
    bench_row_text("reads, every element checked", figure, NULL, NULL, BENCH_NO_GOAL);
    bench_row_time("a read of 16 to 40 MiB", &samples, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    snprintf(figure, sizeof(figure), "%llu", (unsigned long long)(attempts - reads));
    snprintf(spread, sizeof(spread), "at most %llu in a read, %llu pinned",
             (unsigned long long)(longest - 1), (unsigned long long)pinned);
    bench_row_text("wasted attempts", figure, spread, "0", bench_goal(attempts == reads));
    snprintf(figure, sizeof(figure), "%llu", (unsigned long long)wrong);
    bench_row_text("wrong elements", figure, NULL, "0", bench_goal(wrong == 0));
    return wrong != 0;
}
