// SPDX-License-Identifier: MIT
/*
 * What eviction costs the writer: writing into an array several times as large as its segment,
 * beside the same into a segment that holds all of it.
 *
 * First eviction alone.  One commit per chunk; after each batch both are flushed, outside the time,
 * so that neither waits for a flush and all that the small segment does more is evicting clean
 * chunks and, where a part of a chunk is written, fetching the rest of it from the store.
 *
 * Then at full rate, flushing beside: every second or when 8 MiB were written, in both.  What is
 * timed is all writing of a repetition, and the flush at its end, after which all is in the store.
 * Memory that does not hold what was written since the last flush makes the writer wait for it.
 *
 * The large segment's memory has been used before, so that new pages do not weigh on its side.
 */
#include "support/float_field.h"
#include "support/inspect.h"
#include "support/report.h"
#include "support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL ((uint64_t)64 << 20)
#define TIMES 4u                     /* the small segment, in the first part */
#define SMALLER ((uint64_t)32 << 20) /* in the second */
#define FIELD ((size_t)16 << 20)
#define PART ((size_t)4 << 10)

static char *data; /* FIELD bytes; what a write brings begins at a chunk of it that is always new */

struct side {
    int large;
    const char *segment;
    char store[BENCH_PATH];
    untorn_writer *writer;
    untorn_writer_array *array;
    struct bench_samples commits, stored, longest;
};

struct contest {
    char directory[BENCH_PATH];
    size_t bytes; /* of a chunk */
    uint64_t chunks, random, round;
    struct side side[2]; /* the small segment, the large */
};

static uint64_t draw(struct contest *contest) {
    uint64_t *state = &contest->random;
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state >> 16;
}

/* Memory that was written once is the segment's from then on. */
static void use_memory(untorn_writer *writer, uint64_t bytes) {
    untorn_writer_array *array =
        bench_define_stored(writer, "before", "f4", bytes / 4, FIELD / 4, "none");
    for (uint64_t at = 0; at + FIELD <= bytes; at += FIELD) {
        uint64_t start = at / 4, count = FIELD / 4;
        BENCH_MUST(untorn_write(array, &start, &count, NULL, data));
    }
    BENCH_MUST(untorn_commit(writer, NULL));
    BENCH_MUST(untorn_delete(writer, "before"));
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void open_side(struct contest *contest, struct side *side, uint64_t size, int on_demand) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    side->segment = bench_segment_name(side->large ? "evict-large" : "evict-small");
    bench_join(side->store, contest->directory, side->large ? "large" : "small");
    options.size = size;
    options.versions = 2;
    options.store = side->store;
    options.flush_interval = on_demand ? UNTORN_ON_DEMAND : 1000000000;
    options.flush_bytes = on_demand ? UINT64_MAX : 8u << 20;
    options.flush_threads = 1;
    options.keep_snapshots = 1;
    options.keep_time = 1;
    BENCH_MUST(untorn_writer_open(side->segment, &options, &side->writer));
    if (side->large)
        use_memory(side->writer, size - size / 8);
    side->array = bench_define_stored(side->writer, "array", "f4", 0, contest->bytes / 4, "lz4");
    BENCH_MUST(untorn_commit(side->writer, NULL));
}

static void start(struct contest *contest, enum bench_medium medium, size_t bytes, uint64_t small,
                  uint64_t large, int on_demand) {
    memset(contest, 0, sizeof(*contest));
    bench_scratch(medium, contest->directory);
    contest->bytes = bytes;
    contest->random = 88172645463325252u;
    contest->side[1].large = 1;
    open_side(contest, &contest->side[0], small, on_demand);
    open_side(contest, &contest->side[1], large, on_demand);
}

static void finish(struct contest *contest) {
    for (int s = 0; s < 2; s++) {
        struct side *side = &contest->side[s];
        BENCH_MUST(untorn_flush(side->writer, NULL));
        uint64_t evicted = bench_residence(side->segment, "array").evicted;
        if (!side->large == !evicted)
            bench_die("the %s segment evicted %llu chunks", side->large ? "large" : "small",
                      (unsigned long long)evicted);
        bench_store_verify(side->store);
        bench_store_close(side->writer, side->segment);
    }
    bench_remove_tree(contest->directory);
}

/* What chunk `chunk` gets in this round. */
static const char *content(const struct contest *contest, uint64_t chunk) {
    return data + (chunk + contest->round) * contest->bytes % (FIELD - contest->bytes) / 64 * 64;
}

/* The same in both sides: one write, to be committed. */
typedef void write_function(struct contest *contest, struct side *side, uint64_t chunk);

static void append(struct contest *contest, struct side *side, uint64_t chunk) {
    BENCH_MUST(untorn_append(side->array, 0, contest->bytes / 4, NULL, content(contest, chunk)));
}

static void rewrite(struct contest *contest, struct side *side, uint64_t chunk) {
    void *memory;
    BENCH_MUST(untorn_chunk_begin(side->array, &chunk, 0, &memory));
    memcpy(memory, content(contest, chunk), contest->bytes);
    BENCH_MUST(untorn_chunk_done(side->array, &chunk));
}

static void rewrite_part(struct contest *contest, struct side *side, uint64_t chunk) {
    uint64_t first = (chunk * contest->bytes + contest->bytes / 2) / 4, count = PART / 4;
    BENCH_MUST(untorn_write(side->array, &first, &count, NULL, content(contest, chunk)));
}

/* Write these chunks, a commit each.  Nanoseconds, and of the longest commit with its write. */
static double write_chunks(struct contest *contest, struct side *side, write_function *op,
                           const uint64_t *chunk, size_t count, double *longest) {
    int64_t begin = bench_now(), last = begin;
    *longest = 0;
    for (size_t i = 0; i < count; i++) {
        op(contest, side, chunk[i]);
        BENCH_MUST(untorn_commit(side->writer, NULL));
        int64_t now = bench_now();
        if ((double)(now - last) > *longest)
            *longest = (double)(now - last);
        last = now;
    }
    return (double)(last - begin);
}

/* One repetition on both sides; `counted` or not. */
static void turn(struct contest *contest, write_function *op, size_t count, int flush, int counted,
                 int first) {
    static uint64_t chunk[4096];
    for (size_t i = 0; i < count; i++)
        chunk[i] = op == append ? contest->chunks + i : draw(contest) % contest->chunks;
    contest->round = op == append ? 0 : contest->round + 1;
    for (int s = 0; s < 2; s++) {
        struct side *side = &contest->side[(s + first) % 2];
        double longest, ns = write_chunks(contest, side, op, chunk, count, &longest);
        int64_t begin = bench_now();
        if (flush)
            BENCH_MUST(untorn_flush(side->writer, NULL));
        double flushed = (double)(bench_now() - begin);
        if (!counted)
            continue;
        bench_add(&side->commits, ns / (double)count);
        bench_add(&side->stored, (ns + flushed) / (double)count);
        bench_add(&side->longest, longest);
    }
    contest->chunks += op == append ? count : 0;
}

static void forget(struct contest *contest) {
    for (int s = 0; s < 2; s++) {
        struct side *side = &contest->side[s];
        side->commits.count = side->stored.count = side->longest.count = 0;
    }
}

/* All chunks are as they were appended, in both. */
static void check_appended(struct contest *contest) {
    char *found = bench_private_memory(contest->bytes);
    for (int s = 0; s < 2; s++) {
        untorn_reader *reader;
        untorn_array *array;
        BENCH_MUST(untorn_reader_open(contest->side[s].segment, NULL, &reader));
        BENCH_MUST(untorn_array_open(reader, "array", &array));
        for (uint64_t c = 0; c < contest->chunks; c++) {
            uint64_t count = contest->bytes / 4, first = c * count;
            BENCH_MUST(untorn_read(array, &first, &count, found, contest->bytes, NULL));
            if (memcmp(found, content(contest, c), contest->bytes) != 0)
                bench_die("chunk %llu is not what was appended", (unsigned long long)c);
        }
        untorn_reader_close(reader);
    }
    free(found);
}

static void pair(const char *what, double bytes, const struct bench_samples *small,
                 const struct bench_samples *large, const char *more) {
    char name[96];
    struct bench_ratio ratio = bench_paired_ratio(small, large);
    snprintf(name, sizeof(name), "%s, evicting%s", what, more);
    bench_row_time(name, small, bytes, "this / all in memory", &ratio, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "%s, all in memory%s", what, more);
    bench_row_time(name, large, bytes, NULL, NULL, NULL, BENCH_NO_GOAL);
}

static void alone(const char *what, struct contest *contest, write_function *op, size_t batch,
                  double bytes) {
    forget(contest);
    for (int r = -1, n = bench_repetitions(15); r < n; r++)
        turn(contest, op, batch, 1, r >= 0, r & 1);
    pair(what, bytes, &contest->side[0].commits, &contest->side[1].commits, "");
}

static void eviction_alone(void) {
    static struct contest contest;
    size_t bytes = (size_t)64 << 10, batch = ((size_t)4 << 20) / bytes;
    uint64_t all = TIMES * SMALL / bytes;
    start(&contest, BENCH_TMPFS, bytes, SMALL, 3 * TIMES * SMALL, 1);
    while (contest.chunks < all / 2)
        turn(&contest, append, 4 * batch, 1, 0, 0);
    bench_section("What eviction costs the writer");
    bench_note("a segment of %llu MiB and an array of %u times that, beside a segment that holds "
               "all; codec lz4, chunks of 64 KiB, one commit each; flushed between batches of 4 "
               "MiB, outside the time, to tmpfs",
               (unsigned long long)SMALL >> 20, TIMES);
    alone("append a chunk", &contest, append, batch, (double)bytes);
    while (contest.chunks < all)
        turn(&contest, append, batch, 1, 0, 0);
    check_appended(&contest);
    alone("rewrite a chunk", &contest, rewrite, batch, (double)bytes);
    alone("rewrite 4 KiB of a chunk", &contest, rewrite_part, batch, 0);
    finish(&contest);
}

static void at_full_rate(const char *what, struct contest *contest, write_function *op,
                         size_t count, enum bench_medium medium) {
    char name[96];
    double bytes = (double)contest->bytes;
    struct side *small = &contest->side[0], *large = &contest->side[1];
    forget(contest);
    for (int r = -1, n = bench_repetitions(15); r < n; r++)
        turn(contest, op, count, 1, r >= 0, r & 1);
    snprintf(name, sizeof(name), "%s, %s", what, bench_file_system(medium));
    pair(name, bytes, &small->commits, &large->commits, "");
    pair(name, bytes, &small->stored, &large->stored, ", stored");
    pair(name, 0, &small->longest, &large->longest, ", longest");
}

static void full_rate(enum bench_medium medium) {
    static struct contest contest;
    double effort = bench_effort();
    size_t count = effort < 1 ? 24 : 48;
    uint64_t repetitions = (uint64_t)bench_repetitions(15) + 2, bytes = (uint64_t)1 << 20;
    start(&contest, medium, bytes, SMALLER, repetitions * count * bytes * 3 / 2, 0);
    turn(&contest, append, 64, 1, 0, 0);
    at_full_rate("append a chunk", &contest, append, count, medium);
    at_full_rate("rewrite a chunk", &contest, rewrite, count, medium);
    finish(&contest);
}

int main(void) {
    data = bench_private_memory(FIELD);
    bench_float_field((float *)(void *)data, FIELD / sizeof(float));
    eviction_alone();
    bench_section("Writing at full rate what does not fit into memory");
    bench_note("a segment of %llu MiB, to which 48 MiB (24 with less effort) are written without "
               "pause and then flushed, again and again, beside a segment that holds all; codec "
               "lz4, chunks of 1 MiB, one commit each; flushed beside by one thread, at 1 s or 8 "
               "MiB; stored is the time until the flush at the end, too, longest that of the "
               "longest write and commit of a repetition",
               (unsigned long long)SMALLER >> 20);
    full_rate(BENCH_TMPFS);
    full_rate(BENCH_DISK);
    return 0;
}
