// SPDX-License-Identifier: MIT
/*
 * Reads whose popularity follows Zipf's law, of an array that is larger than what is kept of it in
 * memory: the time of a read against how much of the array is kept.
 *
 * Kept in two ways.  In the reader's own cache, of which the least recently used goes, all of the
 * array being only in the store.  And in the segment, warmed after a restart: it evicts what was
 * written longest ago and knows nothing of what is read, so with popular chunks anywhere in the
 * array its hits are as many as its share.  Both stand beside what cannot be beaten: the most
 * popular chunks kept and no others, computed from the times of a hit and of a miss in this run.
 *
 * Chunk of rank r is read in proportion to r^-0.99 (as YCSB's); ranks are spread over the array at
 * random.  Each read is of one whole chunk.  The sequence is drawn beforehand.
 */
#include "support/float_field.h"
#include "support/inspect.h"
#include "support/points.h"
#include "support/report.h"
#include "support/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)64 << 10)
#define EXPONENT 0.99
#define DRAWS ((size_t)1 << 16)
#define MAX_SHARES 8

static const double shares[] = {1.0 / 32, 1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2, 1};
#define SHARES (sizeof(shares) / sizeof(shares[0]))

static size_t chunks, reads; /* of the array; in one window */
static char *data, *found;
static double *popularity; /* of rank 0, 0 and 1, ...: cumulated, the last is 1 */
static uint32_t *sequence; /* chunk numbers */
static char directory[BENCH_PATH], store[BENCH_PATH];

static uint32_t draw(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static size_t rank_of(double p) {
    size_t low = 0, high = chunks - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (popularity[middle] < p)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void make_sequence(void) {
    uint32_t *chunk_of = bench_private_memory(chunks * sizeof(*chunk_of));
    double sum = 0;
    popularity = bench_private_memory(chunks * sizeof(*popularity));
    sequence = bench_private_memory(DRAWS * sizeof(*sequence));
    for (size_t r = 0; r < chunks; r++) {
        popularity[r] = sum += pow((double)r + 1, -EXPONENT);
        chunk_of[r] = (uint32_t)r;
    }
    for (size_t r = 0; r < chunks; r++)
        popularity[r] /= sum;
    for (size_t r = chunks; r > 1; r--) {
        size_t other = draw() % r;
        uint32_t chunk = chunk_of[other];
        chunk_of[other] = chunk_of[r - 1], chunk_of[r - 1] = chunk;
    }
    for (size_t i = 0; i < DRAWS; i++)
        sequence[i] = chunk_of[rank_of((double)draw() / 4294967296.0)];
    free(chunk_of);
}

static void make_store(void) {
    const char *segment = bench_segment_name("mix");
    untorn_writer *writer = bench_store_writer(segment, 3 * chunks * CHUNK, store, 2);
    untorn_writer_array *array =
        bench_define_stored(writer, "array", "f4", chunks * CHUNK / 4, CHUNK / 4, "lz4");
    BENCH_MUST(untorn_write(array, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
    BENCH_MUST(untorn_flush(writer, NULL));
    bench_store_close(writer, segment);
}

/* A reader, what it keeps, and how long its reads take. */
struct kept {
    untorn_reader *reader;
    untorn_array *array;
    double share;
    size_t next;
    struct bench_samples samples;
};

static void open_kept(struct kept *kept, const char *segment, size_t cache) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    memset(kept, 0, sizeof(*kept));
    options.cache_bytes = cache;
    BENCH_MUST(untorn_reader_open(segment, &options, &kept->reader));
    BENCH_MUST(untorn_array_open(kept->reader, "array", &kept->array));
}

/* Nanoseconds per read, over so many reads. */
static double window(struct kept *kept, size_t count) {
    uint64_t length = CHUNK / 4, start;
    int64_t begin = bench_now();
    for (size_t i = 0; i < count; i++) {
        start = (uint64_t)sequence[(kept->next + i) % DRAWS] * length;
        BENCH_MUST(untorn_read(kept->array, &start, &length, found, CHUNK, NULL));
    }
    double ns = (double)(bench_now() - begin) / (double)count;
    if (memcmp(found, data + start * 4, CHUNK) != 0)
        bench_die("a chunk read last is not what was written");
    kept->next = (kept->next + count) % DRAWS;
    return ns;
}

static void row(const char *what, const struct kept *kept, const struct bench_samples *hit) {
    char name[96];
    struct bench_ratio ratio = bench_paired_ratio(&kept->samples, hit);
    if (kept->share >= 0)
        snprintf(name, sizeof(name), "%s, %.1f %% of the data", what, 100 * kept->share);
    else
        snprintf(name, sizeof(name), "%s", what);
    bench_row_time(name, &kept->samples, (double)CHUNK, "this / all in memory", &ratio, NULL,
                   BENCH_NO_GOAL);
}

/* What makes a store's files known to the kernel, and a reader ready. */
static void read_all(struct kept *kept) {
    char *all = bench_private_memory(chunks * CHUNK);
    BENCH_MUST(untorn_read(kept->array, NULL, NULL, all, chunks * CHUNK, NULL));
    if (memcmp(all, data, chunks * CHUNK) != 0)
        bench_die("what is read is not what was written");
    free(all);
}

/* All only in the store, the reader's cache of several sizes and of none. */
static void open_caches(struct kept *miss, struct kept *caches, const char *segment) {
    open_kept(miss, segment, 0);
    miss->share = -1;
    read_all(miss);
    for (size_t i = 0; i < SHARES; i++) {
        /* the last is to hold all, with what the cache needs for itself */
        size_t bytes = (size_t)(shares[i] * (double)(chunks * CHUNK));
        open_kept(&caches[i], segment, shares[i] < 1 ? bytes : bytes + bytes / 16);
        caches[i].share = shares[i];
        window(&caches[i], 4 * chunks < DRAWS ? 4 * chunks : DRAWS);
    }
}

/* A segment that holds a share, with a copy of the store of its own: a store has one writer. */
static untorn_writer *open_segment(struct kept *kept, const char *segment, double share) {
    char copy[BENCH_PATH], name[32];
    uint64_t size = (uint64_t)(share * (double)(chunks * CHUNK));
    snprintf(name, sizeof(name), "copy-%.0f", share * 1000);
    bench_join(copy, directory, name);
    bench_run((const char *const[]){"cp", "-r", "--", store, copy, NULL});
    /* Somewhat more for what is not chunks, and much more if all shall fit. */
    untorn_writer *writer =
        bench_store_writer(segment, share < 1 ? size + (2u << 20) : 2 * size, copy, 2);
    BENCH_MUST(untorn_warm(writer, NULL, NULL));
    open_kept(kept, segment, 0);
    kept->share = (double)bench_residence(segment, "array").resident / (double)chunks;
    read_all(kept);
    return writer;
}

/* All of them, taking turns. */
static void measure(struct kept *miss, struct kept *caches, struct kept *segments) {
    struct kept *all[2 * SHARES + 1];
    const char *names[SHARES + 1];
    untorn_writer *writers[SHARES + 1];
    size_t count = 2 * SHARES + 1;
    names[SHARES] = bench_segment_name("mix-reader");
    writers[SHARES] = bench_store_writer(names[SHARES], 64u << 20, store, 2);
    open_caches(miss, caches, names[SHARES]);
    for (size_t i = 0; i < SHARES; i++) {
        names[i] = bench_segment_name("mix-segment");
        writers[i] = open_segment(&segments[i], names[i], shares[i]);
        all[2 * i] = &caches[i], all[2 * i + 1] = &segments[i];
    }
    all[2 * SHARES] = miss;
    for (int r = -1, n = bench_repetitions(15); r < n; r++)
        for (size_t i = 0; i < count; i++) {
            struct kept *kept = all[(i + (size_t)(r + 1)) % count];
            double ns = window(kept, reads);
            if (r >= 0)
                bench_add(&kept->samples, ns);
        }
    for (size_t i = 0; i < count; i++)
        untorn_reader_close(all[i]->reader);
    for (size_t i = 0; i <= SHARES; i++)
        bench_store_close(writers[i], names[i]);
}

static void plot(const struct kept *miss, const struct kept *caches, const struct kept *segments) {
    double slow = bench_quantile(&miss->samples, 0.5);
    double fast = bench_quantile(&segments[SHARES - 1].samples, 0.5);
    bench_plot_begin("zipfian",
                     "Zipfian reads of chunks of 64 KiB, by how much of the array is kept",
                     (struct bench_axis){"kept in memory, of the array's bytes", "%", 0},
                     (struct bench_axis){"time of a read", "ns", 1});
    bench_plot_samples("in the segment (what was written longest ago is evicted)", 0,
                       &miss->samples);
    bench_plot_samples("in the reader's cache (least recently used goes)", 0, &miss->samples);
    bench_plot_point("the most popular chunks, computed", 0, slow);
    for (size_t i = 0; i < SHARES; i++) {
        size_t kept = (size_t)(shares[i] * (double)chunks);
        double hits = popularity[kept - 1];
        bench_plot_samples("in the segment (what was written longest ago is evicted)",
                           100 * segments[i].share, &segments[i].samples);
        bench_plot_samples("in the reader's cache (least recently used goes)", 100 * shares[i],
                           &caches[i].samples);
        bench_plot_point("the most popular chunks, computed", 100 * shares[i],
                         hits * fast + (1 - hits) * slow);
    }
    bench_plot_end();
}

int main(void) {
    static struct kept miss, caches[MAX_SHARES], segments[MAX_SHARES];
    double effort = bench_effort();
    chunks = effort < 1 ? (size_t)(2048 * effort) : 2048;
    if (chunks < 512)
        chunks = 512;
    reads = (size_t)(2000 * effort);
    if (reads < 500)
        reads = 500;
    data = bench_private_memory(chunks * CHUNK);
    found = bench_private_memory(CHUNK);
    bench_float_field((float *)(void *)data, chunks * CHUNK / sizeof(float));
    make_sequence();
    bench_scratch(BENCH_DISK, directory);
    bench_join(store, directory, "store");
    make_store();

    bench_section("Zipfian reads of an array of which a part is kept in memory");
    bench_note("%zu MiB of float32, codec lz4, in chunks of 64 KiB, one read at a time; popularity "
               "falls with rank^-%.2f; the store on %s, its files in the kernel's memory; in the "
               "segment are the chunks that a restart and untorn_warm() brought in",
               chunks * CHUNK >> 20, EXPONENT, bench_file_system(BENCH_DISK));
    measure(&miss, caches, segments);
    const struct bench_samples *hit = &segments[SHARES - 1].samples;
    row("nothing kept", &miss, hit);
    for (size_t i = 0; i < SHARES; i++)
        row("reader's cache", &caches[i], hit);
    for (size_t i = 0; i < SHARES; i++)
        row("segment", &segments[i], hit);
    plot(&miss, caches, segments);
    bench_remove_tree(directory);
    return 0;
}
