// SPDX-License-Identifier: MIT
/*
 * What a flush costs the writer that goes on committing: its commits a second
 * while one flush follows the other, beside those while none runs.
 *
 * One process.  The flusher's threads are on the reader's processor, from where
 * another thread asks for the flushes, and the committing thread is alone on the
 * writer's: threads inherit where their maker may run, so the writer is opened
 * by a thread that is on the reader's processor, and moves afterwards.  Windows
 * with and without flushes take turns.
 */
#include "support/float_field.h"
#include "support/pattern.h"
#include "support/report.h"
#include "support/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20)
#define CHUNKS 64u

struct beside {
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *large, *small;
    const char *data; /* float32, for the chunks: shuffle and LZ4 have to work on it */
    uint64_t round, chunk;
    _Atomic int state;               /* what the asking thread is to do */
    _Atomic uint64_t flushes, bytes; /* as the library counts them, at rest */
};

enum { QUIET, RESTING, FLUSHING, END };

/* Flushes one after the other while the state says so, and tells when it rests. */
static void *ask(void *context) {
    struct beside *beside = context;
    untorn_reader *reader;
    BENCH_MUST(untorn_reader_open(beside->segment, NULL, &reader));
    for (int state; (state = atomic_load(&beside->state)) != END;) {
        if (state == FLUSHING) {
            BENCH_MUST(untorn_request_flush(reader, 60000000000, NULL));
        } else {
            int quiet = QUIET;
            untorn_flush_state flushed;
            if (untorn_reader_flush_state(reader, &flushed) == UNTORN_OK) {
                atomic_store(&beside->flushes, flushed.flushes);
                atomic_store(&beside->bytes, flushed.total_bytes);
            }
            atomic_compare_exchange_strong(&beside->state, &quiet, RESTING);
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
    untorn_reader_close(reader);
    return NULL;
}

static void commit_small(struct beside *beside) {
    uint64_t data[8];
    bench_pattern_fill(data, sizeof(data), ++beside->round, 0);
    BENCH_MUST(untorn_write(beside->small, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(beside->writer, NULL));
}

static void commit_chunk(struct beside *beside) {
    uint64_t chunk = ++beside->chunk % CHUNKS;
    void *memory;
    BENCH_MUST(untorn_chunk_begin(beside->large, &chunk, 0, &memory));
    memcpy(memory, beside->data + beside->chunk / CHUNKS % 16 * 64 + chunk * CHUNK, CHUNK);
    BENCH_MUST(untorn_chunk_done(beside->large, &chunk));
    BENCH_MUST(untorn_commit(beside->writer, NULL));
}

/* Small commits with a chunk now and then, so that every flush has something to encode. */
static void commit_mixed(struct beside *beside) {
    if (beside->round % 2000 == 0)
        commit_chunk(beside);
    commit_small(beside);
}

/* Nanoseconds per commit over a window. */
static double window(struct beside *beside, void (*op)(struct beside *), int64_t length) {
    int64_t start = bench_now(), now;
    uint64_t commits = 0;
    do {
        for (int i = 0; i < 8; i++)
            op(beside);
        commits += 8;
        now = bench_now();
    } while (now - start < length);
    return (double)(now - start) / (double)commits;
}

static double measure(struct beside *beside, void (*op)(struct beside *), int flushing,
                      int64_t length) {
    if (!flushing)
        return window(beside, op, length);
    atomic_store(&beside->state, FLUSHING);
    /* until the first flush is well under way */
    window(beside, op, 20000000);
    double ns = window(beside, op, length);
    atomic_store(&beside->state, QUIET);
    while (atomic_load(&beside->state) != RESTING)
        op(beside);
    return ns;
}

static void compare(struct beside *beside, const char *name, void (*op)(struct beside *)) {
    struct bench_samples with = {0}, without = {0};
    char text[96];
    double effort = bench_effort();
    int64_t length = (int64_t)(3e8 * (effort < 1 ? effort : 1));
    uint64_t flushes = atomic_load(&beside->flushes), bytes = atomic_load(&beside->bytes);
    for (int r = -1, n = bench_repetitions(15); r < n; r++)
        for (int f = 0; f < 2; f++) {
            int flushing = (f + r + 1) % 2;
            double ns = measure(beside, op, flushing, length);
            if (r >= 0)
                bench_add(flushing ? &with : &without, ns);
        }
    struct bench_ratio ratio = bench_paired_ratio(&without, &with);
    snprintf(text, sizeof(text), "%s, flush after flush", name);
    bench_row_time(text, &with, 0, "rate / that without", &ratio, ">= 0.9 of the rate without",
                   bench_ratio_goal(&ratio, BENCH_AT_LEAST, 0.9));
    snprintf(text, sizeof(text), "%s, no flush", name);
    bench_row_time(text, &without, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    flushes = atomic_load(&beside->flushes) - flushes;
    bytes = atomic_load(&beside->bytes) - bytes;
    if (flushes == 0)
        bench_die("no flush took place");
    char each[64], figure[32];
    snprintf(text, sizeof(text), "flushes meanwhile, %s", name);
    snprintf(each, sizeof(each), "%.0f KiB of files each", (double)bytes / (double)flushes / 1024);
    snprintf(figure, sizeof(figure), "%llu", (unsigned long long)flushes);
    bench_row_text(text, figure, each, NULL, BENCH_NO_GOAL);
}

int main(void) {
    static struct beside beside;
    char directory[BENCH_PATH], store[BENCH_PATH];
    pthread_t thread;
    bench_pin(BENCH_READER_CORE);
    bench_scratch(BENCH_TMPFS, directory);
    bench_join(store, directory, "store");
    float *data = bench_private_memory((CHUNKS + 1) * CHUNK);
    bench_float_field(data, (CHUNKS + 1) * CHUNK / sizeof(float));
    beside.data = (const char *)data;
    beside.segment = bench_segment_name("beside");
    beside.writer = bench_store_writer(beside.segment, 12 * CHUNKS * CHUNK, store, 1);
    beside.large =
        bench_define_stored(beside.writer, "large", "u8", CHUNKS * CHUNK / 8, CHUNK / 8, "lz4");
    beside.small = bench_define_stored(beside.writer, "small", "u8", 8, 8, "lz4");
    for (unsigned i = 0; i < CHUNKS; i++)
        commit_chunk(&beside);
    BENCH_MUST(untorn_flush(beside.writer, NULL));
    if (pthread_create(&thread, NULL, ask, &beside) != 0)
        bench_die("pthread_create failed");
    bench_pin(BENCH_WRITER_CORE);

    bench_section("Committing while one flush follows the other");
    bench_note("store on tmpfs, one thread compresses, on a processor of its own; time per commit, "
               "the filling included");
    compare(&beside, "64 B, and 1 MiB every 2000 commits", commit_mixed);
    compare(&beside, "1 MiB", commit_chunk);

    atomic_store(&beside.state, END);
    pthread_join(thread, NULL);
    BENCH_MUST(untorn_flush(beside.writer, NULL));
    bench_store_verify(store);
    bench_store_close(beside.writer, beside.segment);
    return 0;
}
