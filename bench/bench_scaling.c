// SPDX-License-Identifier: MIT
/*
 * How costs grow with what is in a segment: with the number of arrays (1 to 10^5), and with the
 * number of chunks of the array that is used (1 to 10^6).
 *
 * All sizes are there at once, in segments of their own, and take turns within each repetition.
 * Each repetition gives one slope for each cost: least squares of log cost on log size.  Reported
 * is the median of these slopes with its 95 % interval.  "Flat" is a slope of at most 0.05: at most
 * 1.12 x the cost for ten times the size, and twice the cost for a million times.
 *
 * Chunks are used in two ways: 16 of them, spread evenly, which stay in the caches, so that
 * what is seen is the deeper table; and any, at random, where most accesses miss the
 * caches and the tables of pages, in plain memory of that size, too, which is measured beside it.
 * No table can do better than plain memory, so what is asked of "any" is how much steeper it is:
 * in each repetition its slope less that of plain memory in the same one, at most 0.05.
 */
#include "support/child.h"
#include "support/pattern.h"
#include "support/points.h"
#include "support/report.h"
#include "support/segment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SIZES 7
#define MAX_COSTS 12
#define FEW 16
#define ITEM 64 /* bytes of an array of one chunk, and of a chunk */
#define TURNS 5000
#define SERIES_CHUNK 1048576u /* elements: more than a usual run appends */
#define FLAT 0.05

/* A segment of one size. */
struct place {
    uint64_t size; /* arrays, or chunks */
    const char *segment;
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_writer_array *array, *series;
    untorn_array *view;
    char name[32]; /* of the array */
    uint64_t chunks;
    uint64_t round, length, generation;
    char *plain;
    uint64_t picked[TURNS]; /* chunks, in the order of use */
};

/* Nanoseconds of one. */
typedef double measure(struct place *place);

struct cost {
    const char *name;
    measure *measure;
    int few;                  /* uses chunks of 16; else any */
    int own;                  /* of the library, so there is a goal */
    const struct cost *plain; /* what plain memory costs that is used as much; NULL: no limit */
    struct bench_samples samples[MAX_SIZES];
    struct bench_samples slopes;
};

/* --- what is measured --- */

static double each(int64_t start) {
    return (double)(bench_now() - start) / TURNS;
}

static double read_one(struct place *place) {
    char data[ITEM];
    int64_t start = bench_now();
    for (int i = 0; i < TURNS; i++) {
        uint64_t from = place->picked[i] * (ITEM / 8), count = ITEM / 8;
        BENCH_MUST(untorn_read(place->view, &from, &count, data, sizeof(data), NULL));
    }
    double ns = each(start);
    if (!bench_pattern_whole(data, ITEM))
        bench_die("%s: an array reads wrong", place->segment);
    return ns;
}

static double commit_one(struct place *place) {
    char data[ITEM];
    int64_t start = bench_now();
    for (int i = 0; i < TURNS; i++) {
        uint64_t from = place->picked[i] * (ITEM / 8), count = ITEM / 8;
        bench_pattern_fill(data, ITEM, ++place->round, 0);
        BENCH_MUST(untorn_write(place->array, &from, &count, NULL, data));
        BENCH_MUST(untorn_commit(place->writer, NULL));
    }
    return each(start);
}

static double append_one(struct place *place) {
    int64_t start = bench_now();
    for (int i = 0; i < TURNS; i++) {
        BENCH_MUST(untorn_append(place->series, 0, 1, NULL, &place->length));
        BENCH_MUST(untorn_commit(place->writer, NULL));
        place->length++;
    }
    return each(start);
}

/* A wait that is over at once: all that a reader does who keeps up. */
static double wait_one(struct place *place) {
    int64_t start = bench_now();
    for (int i = 0; i < TURNS; i++)
        BENCH_MUST(untorn_wait(place->view, 0, 0));
    return each(start);
}

static double snapshot_one(struct place *place) {
    int64_t start = bench_now();
    for (int i = 0; i < TURNS; i++) {
        untorn_snapshot *snapshot;
        BENCH_MUST(untorn_snapshot_open(place->reader, &place->view, 1, UNTORN_NEWEST, &snapshot));
        untorn_snapshot_close(snapshot);
    }
    return each(start);
}

/* In a fresh process. */
static double attach_one(struct place *place) {
    struct bench_control *shared = bench_shared_memory(sizeof(*shared));
    pid_t pid = fork();
    if (pid == 0) {
        bench_segment_forget_cleanup();
        untorn_reader *reader;
        untorn_array *array;
        int64_t start = bench_now();
        BENCH_MUST(untorn_reader_open(place->segment, NULL, &reader));
        BENCH_MUST(untorn_array_open(reader, place->name, &array));
        atomic_store(&shared->stamp, bench_now() - start);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_die("the attaching child failed");
    double ns = (double)atomic_load(&shared->stamp);
    bench_shared_memory_free(shared, sizeof(*shared));
    return ns;
}

static double plain_one(struct place *place) {
    char data[ITEM];
    int64_t start = bench_now();
    for (int i = 0; i < TURNS; i++) {
        char *chunk = place->plain + place->picked[i] * ITEM;
        bench_pattern_fill(chunk, ITEM, place->round, 0);
        atomic_thread_fence(memory_order_seq_cst);
        memcpy(data, chunk, ITEM);
        __asm__ volatile("" : : "r"(data) : "memory");
    }
    return each(start);
}

/* --- sizes --- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void pick(struct place *place, int few) {
    uint64_t drawn = few && place->chunks > FEW ? FEW : place->chunks;
    for (int i = 0; i < TURNS; i++)
        place->picked[i] = random_below(drawn) * (place->chunks / drawn);
}

static void begin(struct place *place, uint64_t size, uint64_t bytes) {
    place->size = size;
    place->segment = bench_segment_name("scaling");
    place->writer = bench_writer(place->segment, bytes, 4);
}

static void write_chunks(struct place *place, untorn_writer_array *array, uint64_t chunks) {
    place->round = 1;
    for (uint64_t i = 0; i < chunks; i++) {
        void *memory;
        BENCH_MUST(untorn_chunk_begin(array, &i, 0, &memory));
        bench_pattern_fill(memory, ITEM, 1, 0);
        BENCH_MUST(untorn_chunk_done(array, &i));
    }
}

/* The series is as many chunks long as the array; those but the last are absent. */
static void finish(struct place *place) {
    place->series = bench_define(place->writer, "series", "u8", (place->chunks - 1) * SERIES_CHUNK,
                                 SERIES_CHUNK);
    BENCH_MUST(untorn_commit(place->writer, NULL));
    BENCH_MUST(untorn_reader_open(place->segment, NULL, &place->reader));
    BENCH_MUST(untorn_array_open(place->reader, place->name, &place->view));
    place->plain = bench_shared_memory(place->chunks * ITEM);
    /* So that the reader's pages are mapped: a page fault is no cost of a read, but of attaching.
     */
    char *all = bench_private_memory(place->chunks * ITEM);
    BENCH_MUST(untorn_read(place->view, NULL, NULL, all, place->chunks * ITEM, NULL));
    free(all);
    /* Until rings have grown and queues are full. */
    pick(place, 0);
    commit_one(place);
    append_one(place);
}

/* `size` arrays of one chunk, the one that is used somewhere among them. */
static void make_arrays(struct place *place, uint64_t size) {
    begin(place, size, size * 4096 + (64u << 20));
    place->chunks = 1;
    snprintf(place->name, sizeof(place->name), "g%03u/a%u", (unsigned)(size / 2 / 100),
             (unsigned)(size / 2));
    for (uint64_t i = 0; i < size; i++) {
        char name[32];
        snprintf(name, sizeof(name), "g%03u/a%u", (unsigned)(i / 100), (unsigned)i);
        untorn_writer_array *array = bench_define(place->writer, name, "u8", ITEM / 8, ITEM / 8);
        write_chunks(place, array, 1);
        if (i == size / 2)
            place->array = array;
    }
    finish(place);
}

/* One array of `size` chunks. */
static void make_chunks(struct place *place, uint64_t size) {
    begin(place, size, size * 400 + (96u << 20));
    place->chunks = size;
    snprintf(place->name, sizeof(place->name), "array");
    place->array = bench_define(place->writer, place->name, "u8", size * (ITEM / 8), ITEM / 8);
    write_chunks(place, place->array, size);
    finish(place);
}

static void end(struct place *place) {
    untorn_reader_close(place->reader);
    untorn_writer_close(place->writer);
    bench_segment_remove(place->segment);
    bench_shared_memory_free(place->plain, place->chunks * ITEM);
}

/* --- slopes --- */

/* Of log(cost) on log(size), by least squares. */
static double slope_of(const struct place *places, const double *costs, int sizes) {
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int i = 0; i < sizes; i++) {
        double x = log((double)places[i].size), y = log(costs[i]);
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
    }
    return (sizes * sxy - sx * sy) / (sizes * sxx - sx * sx);
}

static void run(struct place *places, int sizes, struct cost *costs, int count) {
    for (int r = -2, n = bench_repetitions(25); r < n; r++)
        for (int c = 0; c < count; c++) {
            double ns[MAX_SIZES];
            for (int i = 0; i < sizes; i++) {
                int at = (i + r + 2) % sizes;
                pick(&places[at], costs[c].few);
                ns[at] = costs[c].measure(&places[at]);
            }
            if (r < 0)
                continue;
            for (int i = 0; i < sizes; i++)
                bench_add(&costs[c].samples[i], ns[i]);
            bench_add(&costs[c].slopes, slope_of(places, ns, sizes));
        }
}

static void report_slope_above(const struct cost *cost, const struct bench_samples *ones) {
    static struct bench_samples above;
    char name[96], figure[32], spread[64];
    above.count = 0;
    for (int i = 0; i < cost->slopes.count; i++)
        bench_add(&above, cost->slopes.value[i] - cost->plain->slopes.value[i]);
    struct bench_ratio slope = bench_paired_ratio(&above, ones);
    snprintf(name, sizeof(name), "%s, slope above plain memory's", cost->name);
    snprintf(figure, sizeof(figure), "%.3f", slope.median);
    snprintf(spread, sizeof(spread), "%.3f to %.3f", slope.low, slope.high);
    bench_row_text(name, figure, spread, "at most 0.05 above",
                   bench_ratio_goal(&slope, BENCH_AT_MOST, FLAT));
}

static void report(const struct place *places, int sizes, struct cost *costs, int count,
                   const char *what) {
    static struct bench_samples ones;
    char name[96];
    while (ones.count < BENCH_MAX_SAMPLES)
        bench_add(&ones, 1);
    for (int c = 0; c < count; c++) {
        struct cost *cost = &costs[c];
        struct bench_ratio slope = bench_paired_ratio(&cost->slopes, &ones);
        int flat = cost->own && cost->plain == NULL;
        snprintf(name, sizeof(name), "%s, %llu %s", cost->name,
                 (unsigned long long)places[sizes - 1].size, what);
        bench_row_time(name, &cost->samples[sizes - 1], 0, "slope", &slope,
                       flat ? "slope at most 0.05" : NULL,
                       flat ? bench_ratio_goal(&slope, BENCH_AT_MOST, FLAT) : BENCH_NO_GOAL);
        snprintf(name, sizeof(name), "%s, %llu", cost->name, (unsigned long long)places[0].size);
        bench_row_time(name, &cost->samples[0], 0, NULL, NULL, NULL, BENCH_NO_GOAL);
        if (cost->plain != NULL)
            report_slope_above(cost, &ones);
        for (int i = 0; i < sizes; i++)
            bench_plot_samples(cost->name, (double)places[i].size, &cost->samples[i]);
        bench_plot_slope(cost->name, slope.median);
    }
}

static void arrays(void) {
    static struct place places[6];
    static struct cost costs[] = {
        {.name = "read 64 B", .measure = read_one, .own = 1},
        {.name = "write, commit 64 B", .measure = commit_one, .own = 1},
        {.name = "append 8 B, commit", .measure = append_one, .own = 1},
        {.name = "wait that is over", .measure = wait_one, .own = 1},
        {.name = "snapshot of one array", .measure = snapshot_one, .own = 1},
        {.name = "attach, open an array", .measure = attach_one, .own = 1},
    };
    const int sizes = 6, count = sizeof(costs) / sizeof(costs[0]);
    uint64_t size = 1;
    for (int i = 0; i < sizes; i++, size *= 10)
        make_arrays(&places[i], size);
    run(places, sizes, costs, count);
    bench_section("Cost against the number of arrays in the segment");
    bench_note("Arrays of one chunk of 64 B; one of them is used, among 1 to 100,000. A slope is "
               "that of log cost on log size, by least squares over all sizes, the median of the "
               "repetitions");
    bench_plot_begin("scaling-arrays", "Cost against the number of arrays",
                     (struct bench_axis){"arrays in the segment", "", 1},
                     (struct bench_axis){"time", "ns", 1});
    report(places, sizes, costs, count, "arrays");
    bench_plot_end();
    for (int i = 0; i < sizes; i++)
        end(&places[i]);
}

static void chunks(void) {
    static struct place places[7];
    static struct cost costs[] = {
        {.name = "read one of 16", .measure = read_one, .few = 1, .own = 1},
        {.name = "read any", .measure = read_one, .own = 1, .plain = &costs[6]},
        {.name = "write, commit one of 16", .measure = commit_one, .few = 1, .own = 1},
        {.name = "write, commit any", .measure = commit_one, .own = 1, .plain = &costs[6]},
        {.name = "append 8 B, commit", .measure = append_one, .few = 1, .own = 1},
        {.name = "plain memory: fill, read one of 16", .measure = plain_one, .few = 1},
        {.name = "plain memory: fill, read any", .measure = plain_one},
        {.name = "wait that is over", .measure = wait_one, .own = 1},
        {.name = "snapshot of the array", .measure = snapshot_one, .own = 1},
        {.name = "attach, open the array", .measure = attach_one, .own = 1},
    };
    const int sizes = 7, count = sizeof(costs) / sizeof(costs[0]);
    uint64_t size = 1;
    for (int i = 0; i < sizes; i++, size *= 10)
        make_chunks(&places[i], size);
    run(places, sizes, costs, count);
    bench_section("Cost against the number of chunks of the array");
    bench_note("Chunks of 64 B; 16 of them, spread evenly, are used, or any of all. What any "
               "costs more is cache misses in the leaf of the table and in the chunk; plain memory "
               "has those in the chunk, and is the limit: the goal for any is on the slope above "
               "plain memory's, repetition by repetition. The leaf tells where the chunk is; a "
               "reader fetches the chunk meanwhile from where it is if chunks lie in the order in "
               "which they were first written. Accesses to plain memory overlap with each other, "
               "too");
    bench_plot_begin("scaling-chunks", "Cost against the number of chunks",
                     (struct bench_axis){"chunks of the array", "", 1},
                     (struct bench_axis){"time", "ns", 1});
    report(places, sizes, costs, count, "chunks");
    bench_plot_end();
    for (int i = 0; i < sizes; i++)
        end(&places[i]);
}

int main(void) {
    bench_pin(BENCH_READER_CORE);
    arrays();
    chunks();
    return 0;
}
