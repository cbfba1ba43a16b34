// SPDX-License-Identifier: MIT
/*
 * What looking costs: shmstat on a segment of 10,000 arrays, from before the program begins until
 * it has ended, beside du, which does as little as can be done with 10,000 files; and what being
 * looked at costs: a read of 64 B by a reader that owns a line, in
 * which it counts its reads for shmstat, beside one that does not, whose reads nobody counts.
 *
 * The reads go as those of bench_read: batches of 128 KiB into buffers that the cache holds, timed
 * as a whole and checked outside the time.  The two readers take turns.  Once with nothing
 * published meanwhile, and once with a commit before each read, whose time is in both.
 */
#include "support/inspect.h"
#include "support/pattern.h"
#include "support/report.h"
#include "support/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAYS 10000u
#define CHUNK_BYTES 512u
#define CHUNKS_EACH 4u
#define SMALL 64u
#define BATCH ((128u << 10) / SMALL)

/* ---------------------------------------------------------------- looking */

/* The program beside this one: build/bench/bench_shmstat is built with build/shmstat. */
static void find_shmstat(char path[PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 16);
    for (int up = 0; n > 0 && up < 2; up++)
        while (n > 0 && path[--n] != '/')
            ;
    if (n < 0)
        bench_die("/proc/self/exe cannot be read");
    strcpy(path + n, "/shmstat");
    if (access(path, X_OK) != 0)
        bench_die("%s is not there: make it first", path);
}

static void fill(untorn_writer *writer) {
    static untorn_writer_array *arrays[ARRAYS];
    char data[CHUNKS_EACH * CHUNK_BYTES], name[32];
    for (unsigned i = 0; i < ARRAYS; i++) {
        snprintf(name, sizeof(name), "group%02u/array%05u", i % 100, i);
        arrays[i] =
            bench_define_stored(writer, name, "u8", sizeof(data) / 8, CHUNK_BYTES / 8, "lz4");
    }
    BENCH_MUST(untorn_commit(writer, NULL));
    for (uint64_t round = 1; round <= 3; round++)
        for (unsigned i = 0; i < ARRAYS; i++) {
            bench_pattern_fill(data, sizeof(data), round * ARRAYS + i, 0);
            BENCH_MUST(untorn_write(arrays[i], NULL, NULL, NULL, data));
            if (i % 100 == 99)
                BENCH_MUST(untorn_commit(writer, NULL));
        }
}

struct look {
    const char *name;
    const char *argv[4];
    int goal;
    struct bench_samples samples, processor;
};

/* Of programs that were run and have ended, ns. */
static double processor_time(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return 1e9 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e3 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Run them in turn. */
static void take_looks(struct look *looks, int count) {
    for (int r = -1, n = bench_repetitions(15); r < n; r++)
        for (int i = 0; i < count; i++) {
            struct look *one = &looks[(i + r + 1) % count];
            double used = processor_time();
            int64_t start = bench_now();
            bench_run(one->argv);
            double ns = (double)(bench_now() - start);
            if (r < 0)
                continue;
            bench_add(&one->samples, ns);
            bench_add(&one->processor, processor_time() - used);
        }
}

static void report_look(const struct look *one, const char *what, const struct bench_samples *taken,
                        const struct bench_samples *peer) {
    char name[96];
    struct bench_ratio ratio = bench_paired_ratio(taken, peer);
    int met = bench_quantile(taken, 0.5) < 100e6, itself = taken == peer;
    snprintf(name, sizeof(name), "%s%s", one->name, what);
    bench_row_time(name, taken, 0, itself ? NULL : "this / du of 10,000 files",
                   itself ? NULL : &ratio, one->goal ? "< 100 ms" : NULL,
                   one->goal ? bench_goal(met) : BENCH_NO_GOAL);
}

/* The last one is what the others are compared with. */
static void report_looks(const struct look *looks, int count, const char *where) {
    char what[64];
    for (int i = 0; i < count; i++) {
        snprintf(what, sizeof(what), ", %s", where);
        report_look(&looks[i], what, &looks[i].samples, &looks[count - 1].samples);
        snprintf(what, sizeof(what), ", %s, processor", where);
        report_look(&looks[i], what, &looks[i].processor, &looks[count - 1].processor);
    }
}

static void look_at(const char *program, const char *segment, const char *files,
                    const char *where) {
    static struct look looks[5];
    char pattern[128];
    snprintf(pattern, sizeof(pattern), "%s/group07/array00007", segment);
    looks[0] = (struct look){.name = "shmstat SEGMENT", .argv = {program, segment}, .goal = 1};
    looks[1] =
        (struct look){.name = "shmstat SEGMENT --json", .argv = {program, segment, "--json"}};
    looks[2] = (struct look){.name = "shmstat, all segments", .argv = {program}, .goal = 1};
    looks[3] = (struct look){.name = "shmstat SEGMENT/ARRAY", .argv = {program, pattern}};
    looks[4] = (struct look){.name = "du of 10,000 files", .argv = {"du", "-s", files}};
    take_looks(looks, 5);
    report_looks(looks, 5, where);
}

/* As many empty files as there are arrays, in as many directories as there are groups. */
static void make_files(const char *directory) {
    char path[BENCH_PATH];
    for (unsigned i = 0; i < ARRAYS; i++) {
        int n = snprintf(path, sizeof(path), "%s/group%02u", directory, i % 100);
        if (i < 100 && mkdir(path, 0700) != 0)
            bench_die("%s cannot be made", path);
        snprintf(path + n, sizeof(path) - (size_t)n, "/array%05u", i);
        FILE *file = fopen(path, "w");
        if (file == NULL || fclose(file) != 0)
            bench_die("%s cannot be made", path);
    }
}

static void looking(void) {
    char program[PATH_MAX], directory[BENCH_PATH], store[BENCH_PATH], files[BENCH_PATH];
    uint64_t size = 512u << 20;
    find_shmstat(program);
    bench_section("shmstat on a segment of 10,000 arrays");
    bench_note("each of %u chunks of %u B, written three times; the whole run of the program, its "
               "output thrown away; with a store, the compression ratios come from the newest "
               "snapshot's manifest; du stats 10,000 empty files on tmpfs, in 100 directories",
               CHUNKS_EACH, CHUNK_BYTES);
    bench_scratch(BENCH_TMPFS, files);
    make_files(files);

    const char *segment = bench_segment_name("looked-at");
    untorn_writer *writer = bench_writer(segment, size, 4);
    fill(writer);
    look_at(program, segment, files, "no store");
    bench_store_close(writer, segment);

    bench_scratch(BENCH_TMPFS, directory);
    bench_join(store, directory, "store");
    writer = bench_store_writer(segment, size, store, 2);
    fill(writer);
    BENCH_MUST(untorn_flush(writer, NULL));
    look_at(program, segment, files, "flushed to tmpfs");
    bench_store_close(writer, segment);
    bench_remove_tree(directory);
    bench_remove_tree(files);
}

/* ---------------------------------------------------------------- being looked at */

static char *buffers;

struct counted {
    untorn_reader *reader;
    untorn_array *array;
    struct bench_samples still, published;
};

struct source {
    untorn_writer *writer;
    untorn_writer_array *array;
    uint64_t round;
};

static void open_counted(struct counted *counted, const char *segment) {
    BENCH_MUST(untorn_reader_open(segment, NULL, &counted->reader));
    BENCH_MUST(untorn_array_open(counted->reader, "array", &counted->array));
}

/* A snapshot needs a pin, a pin needs a line, and the reader keeps it. */
static void take_line(struct counted *counted) {
    untorn_snapshot *snapshot;
    BENCH_MUST(untorn_snapshot_open(counted->reader, &counted->array, 1, UNTORN_NEWEST, &snapshot));
    untorn_snapshot_close(snapshot);
}

/* The reads that its lines say, of all readers that have one. */
static uint64_t reads_counted(const char *segment, size_t *lines) {
    static untorn_reader_state states[UNTORN_MAX_READERS];
    untorn_inspection *inspection;
    uint64_t reads = 0;
    BENCH_MUST(untorn_inspect_open(segment, 0, &inspection));
    BENCH_MUST(untorn_inspect_readers(inspection, states, lines));
    for (size_t i = 0; i < *lines; i++)
        reads += states[i].reads;
    untorn_inspect_close(inspection);
    return reads;
}

static void publish(struct source *source) {
    char data[SMALL];
    bench_pattern_fill(data, SMALL, ++source->round, 0);
    BENCH_MUST(untorn_write(source->array, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(source->writer, NULL));
}

/* Nanoseconds per read; with a source, of a commit and a read. */
static double read_small(struct counted *counted, struct source *source, int64_t least) {
    int64_t spent = 0;
    uint64_t reads = 0;
    while (spent < least) {
        int64_t start = bench_now();
        for (size_t i = 0; i < BATCH; i++) {
            if (source)
                publish(source);
            BENCH_MUST(untorn_read(counted->array, NULL, NULL, buffers + i * SMALL, SMALL, NULL));
        }
        spent += bench_now() - start;
        reads += BATCH;
        for (size_t i = 0; i < BATCH; i++)
            if (!bench_pattern_whole(buffers + i * SMALL, SMALL))
                bench_die("a read is not what was written");
    }
    return (double)spent / (double)reads;
}

static void must_count(const char *segment, struct counted *readers) {
    size_t lines;
    uint64_t before = reads_counted(segment, &lines);
    if (lines != 1)
        bench_die("%zu readers have a line, not one", lines);
    read_small(&readers[0], NULL, 1);
    if (reads_counted(segment, &lines) != before)
        bench_die("reads of the reader without a line were counted");
    read_small(&readers[1], NULL, 1);
    if (reads_counted(segment, &lines) == before)
        bench_die("reads of the reader with a line were not counted");
}

static void compare(const char *what, const struct bench_samples *with,
                    const struct bench_samples *without, double bytes) {
    char name[96];
    struct bench_ratio ratio = bench_paired_ratio(with, without);
    snprintf(name, sizeof(name), "%s, counted", what);
    bench_row_time(name, with, bytes, "this / not counted", &ratio,
                   "<= 1.02 (the interval's low end)",
                   bench_ratio_goal(&ratio, BENCH_AT_MOST, 1.02));
    snprintf(name, sizeof(name), "%s, not counted", what);
    bench_row_time(name, without, bytes, NULL, NULL, NULL, BENCH_NO_GOAL);
}

static void being_looked_at(void) {
    static struct counted readers[2];
    const char *segment = bench_segment_name("counted");
    struct source source = {.writer = bench_writer(segment, 1u << 20, 4)};
    source.array = bench_define(source.writer, "array", "u8", SMALL / 8, SMALL / 8);
    publish(&source);
    open_counted(&readers[0], segment);
    open_counted(&readers[1], segment);
    take_line(&readers[1]);
    must_count(segment, readers);
    bench_pin(BENCH_READER_CORE);

    int64_t least = (int64_t)(2e6 * bench_effort());
    for (int r = -1, n = bench_repetitions(51); r < n; r++)
        for (int i = 0; i < 2; i++) {
            struct counted *counted = &readers[(i + r + 1) % 2];
            double still = read_small(counted, NULL, least);
            double published = read_small(counted, &source, least);
            if (r < 0)
                continue;
            bench_add(&counted->still, still);
            bench_add(&counted->published, published);
        }
    bench_section("Reading 64 B, the reads counted for shmstat and not");
    bench_note("a reader that has had a pin, or has waited, owns a line in which it counts its "
               "reads; one that has not is known to nobody; one thread");
    compare("read, nothing published since", &readers[1].still, &readers[0].still, SMALL);
    compare("commit and read", &readers[1].published, &readers[0].published, 0);
    untorn_reader_close(readers[0].reader);
    untorn_reader_close(readers[1].reader);
    bench_store_close(source.writer, segment);
}

int main(void) {
    char directory[BENCH_PATH];
    /* Segments of others are none of its business when it shows all. */
    bench_scratch(BENCH_TMPFS, directory);
    if (setenv("UNTORN_SHM_DIR", directory, 1) != 0)
        bench_die("the environment cannot be set");
    buffers = bench_private_memory(BATCH * SMALL);
    looking();
    being_looked_at();
    bench_remove_tree(directory);
    return 0;
}
