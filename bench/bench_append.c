// SPDX-License-Identifier: MIT
/*
 * Appending one float64 per commit.  The cost must not depend on the chunk
 * size, since what is appended goes behind what was published, in place; four
 * chunk sizes take turns, beside a bare store with a released length, and an
 * LMDB transaction per element.
 */
#include "support/lmdb_store.h"
#include "support/report.h"
#include "support/segment.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZES 4
#define PER_REPETITION 400000
#define LMDB_PER_REPETITION 1000

struct target {
    uint64_t chunk;
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *array;
    uint64_t length;
    struct bench_samples samples;
};

/* Element i is i, so that any reader can tell. */
static double append(struct target *target) {
    int64_t start = bench_now();
    for (int i = 0; i < PER_REPETITION; i++) {
        double value = (double)target->length++;
        BENCH_MUST(untorn_append(target->array, 0, 1, NULL, &value));
        BENCH_MUST(untorn_commit(target->writer, NULL));
    }
    return (double)(bench_now() - start) / PER_REPETITION;
}

static double append_bare(double *memory, _Atomic uint64_t *length) {
    uint64_t n = 0;
    int64_t start = bench_now();
    for (int i = 0; i < PER_REPETITION; i++) {
        memory[n] = (double)n;
        atomic_store_explicit(length, ++n, memory_order_release);
    }
    return (double)(bench_now() - start) / PER_REPETITION;
}

static double put_lmdb(struct bench_lmdb *lmdb) {
    int64_t start = bench_now();
    for (int i = 0; i < LMDB_PER_REPETITION; i++) {
        double value = i;
        bench_lmdb_put(lmdb, &value, sizeof(value));
    }
    return (double)(bench_now() - start) / LMDB_PER_REPETITION;
}

static void check(struct target *target) {
    untorn_reader *reader;
    untorn_array *array;
    size_t bytes = target->length * sizeof(double);
    double *data = bench_private_memory(bytes);
    BENCH_MUST(untorn_reader_open(target->segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    BENCH_MUST(untorn_read(array, NULL, NULL, data, bytes, NULL));
    for (uint64_t i = 0; i < target->length; i++)
        if (data[i] != (double)i)
            bench_die("chunk %llu: element %llu is %g", (unsigned long long)target->chunk,
                      (unsigned long long)i, data[i]);
    untorn_reader_close(reader);
    free(data);
}

int main(void) {
    static struct target targets[SIZES] = {
        {.chunk = 1000}, {.chunk = 10000}, {.chunk = 131072}, {.chunk = 1000000}};
    static struct bench_samples bare, lmdb_samples;
    int n = bench_repetitions(25);
    uint64_t total = (uint64_t)(n + 1) * PER_REPETITION * sizeof(double);
    bench_pin(BENCH_WRITER_CORE);
    for (int t = 0; t < SIZES; t++) {
        targets[t].segment = bench_segment_name("append");
        targets[t].writer = bench_writer(targets[t].segment, total + total / 4 + (64u << 20), 4);
        targets[t].array = bench_define(targets[t].writer, "array", "f8", 0, targets[t].chunk);
    }
    double *memory = bench_shared_memory(PER_REPETITION * sizeof(double));
    _Atomic uint64_t *length = bench_shared_memory(sizeof(*length));
    char path[64];
    bench_lmdb_make(path);
    struct bench_lmdb *lmdb = bench_lmdb_open(path, 16u << 20);
    for (int r = -1; r < n; r++) {
        for (int t = 0; t < SIZES; t++) {
            struct target *target = &targets[(t + r + 1) % SIZES];
            double ns = append(target);
            if (r >= 0)
                bench_add(&target->samples, ns);
        }
        double ns = append_bare(memory, length), lmdb_ns = put_lmdb(lmdb);
        if (r >= 0) {
            bench_add(&bare, ns);
            bench_add(&lmdb_samples, lmdb_ns);
        }
    }
    bench_lmdb_close(lmdb);
    bench_lmdb_remove(path);

    bench_section("Appending one float64 per commit, nobody waiting");
    for (int t = 0; t < SIZES; t++) {
        char name[64];
        int subject = targets[t].chunk == 131072;
        struct bench_ratio ratio = bench_paired_ratio(&targets[t].samples, &targets[2].samples);
        snprintf(name, sizeof(name), "append + commit, chunk of %llu",
                 (unsigned long long)targets[t].chunk);
        bench_row_time(name, &targets[t].samples, 0, subject ? NULL : "time / chunk of 131072's",
                       &ratio, subject ? "<= 100 ns (10 M commits/s)" : NULL,
                       subject ? bench_goal(bench_quantile(&targets[t].samples, 0.5) <= 100)
                               : BENCH_NO_GOAL);
    }
    bench_row_time("bare store and released length", &bare, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    bench_row_time("LMDB put transaction", &lmdb_samples, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    for (int t = 0; t < SIZES; t++) {
        check(&targets[t]);
        untorn_writer_close(targets[t].writer);
        bench_segment_remove(targets[t].segment);
    }
    return 0;
}
