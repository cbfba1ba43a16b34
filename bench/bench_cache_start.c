// SPDX-License-Identifier: MIT
/*
 * A restart against the size of the store: how long until the segment is there and until the first
 * chunk has been read, for 1 MiB to 10 GiB of data; and until untorn_warm() has brought all back,
 * up to 1 GiB.
 *
 * One array of chunks of 1 MiB, of which all are there, each with one value of its own and zeros,
 * so that a chunk's file is small: a restart reads what describes the arrays and no data, so the
 * files' lengths do not matter to it, but their number might.  The store grows from size to size
 * through a segment of 256 MiB, which evicts what does not fit.
 */
#include "support/inspect.h"
#include "support/points.h"
#include "support/report.h"
#include "support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20)
#define SEGMENT ((uint64_t)256 << 20)
#define MOST_WARMED ((uint64_t)1024) /* chunks */

static const uint64_t sizes[] = {1, 10, 100, 1024, 10240}; /* chunks */
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct start {
    struct bench_samples opened, first, warmed;
};

static char *chunk;

/* The word at this place of it. */
static uint64_t value_of(uint64_t number) {
    return number * 0x9e3779b97f4a7c15u | 1;
}

static size_t place_of(uint64_t number) {
    return (size_t)(number * 4096 + 64) % CHUNK / 8 * 8;
}

static void grow_store(const char *store, const char *segment, uint64_t from, uint64_t to) {
    untorn_writer *writer = bench_store_writer(segment, SEGMENT, store, 2);
    untorn_writer_array *array;
    if (from == 0)
        array = bench_define_stored(writer, "array", "u8", 0, CHUNK / 8, "lz4");
    else
        BENCH_MUST(untorn_writer_array_open(writer, "array", &array));
    memset(chunk, 0, CHUNK);
    for (uint64_t n = from; n < to; n++) {
        uint64_t value = value_of(n);
        memcpy(chunk + place_of(n), &value, sizeof(value));
        BENCH_MUST(untorn_append(array, 0, CHUNK / 8, NULL, chunk));
        memset(chunk + place_of(n), 0, sizeof(value));
        if (n % 16 == 15 || n + 1 == to)
            BENCH_MUST(untorn_commit(writer, NULL));
        if (n % 128 == 127 || n + 1 == to)
            BENCH_MUST(untorn_flush(writer, NULL));
    }
    bench_store_close(writer, segment);
}

static void check(uint64_t number) {
    uint64_t value = value_of(number), found, sum = 0;
    for (size_t at = 0; at < CHUNK; at += sizeof(found)) {
        memcpy(&found, chunk + at, sizeof(found));
        sum |= at == place_of(number) ? found ^ value : found;
    }
    if (sum)
        bench_die("chunk %llu read after the restart is not what was written",
                  (unsigned long long)number);
}

static void restart(struct start *start, const char *store, const char *segment, uint64_t chunks,
                    int counted, int warm) {
    untorn_reader *reader;
    untorn_array *array;
    /* Any one of them, another each time. */
    uint64_t which = (uint64_t)start->opened.count * 7919 % chunks;
    uint64_t count = CHUNK / 8, first = which * count;
    uint64_t size = warm ? chunks * CHUNK * 5 / 4 + (64u << 20) : SEGMENT;
    int64_t begin = bench_now();
    untorn_writer *writer = bench_store_writer(segment, size, store, 2);
    int64_t opened = bench_now();
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    BENCH_MUST(untorn_read(array, &first, &count, chunk, CHUNK, NULL));
    int64_t read = bench_now();
    check(which);
    untorn_reader_close(reader);
    if (warm) {
        int64_t before = bench_now();
        BENCH_MUST(untorn_warm(writer, NULL, NULL));
        bench_add(&start->warmed, (double)(opened - begin + bench_now() - before));
        struct bench_residence residence = bench_residence(segment, "array");
        if (residence.resident != chunks)
            bench_die("%llu of %llu chunks were brought in", (unsigned long long)residence.resident,
                      (unsigned long long)chunks);
    } else if (counted) {
        bench_add(&start->opened, (double)(opened - begin));
        bench_add(&start->first, (double)(read - begin));
    }
    bench_store_close(writer, segment);
}

static void size_text(char text[32], uint64_t chunks) {
    if (chunks < 1024)
        snprintf(text, 32, "%llu MiB", (unsigned long long)chunks);
    else
        snprintf(text, 32, "%llu GiB", (unsigned long long)chunks >> 10);
}

/* Its ratio is to the smallest store's. */
static void rows(const char *where, uint64_t chunks, const struct start *start,
                 const struct start *smallest) {
    char name[96], size[32];
    struct bench_ratio ratio = bench_paired_ratio(&start->first, &smallest->first);
    size_text(size, chunks);
    snprintf(name, sizeof(name), "open the segment, %s, %s", size, where);
    bench_row_time(name, &start->opened, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "until one chunk is read, %s, %s", size, where);
    bench_row_time(name, &start->first, 0, "this / of 1 MiB", &ratio, NULL, BENCH_NO_GOAL);
    if (start->warmed.count) {
        snprintf(name, sizeof(name), "until all is in memory, %s, %s", size, where);
        bench_row_time(name, &start->warmed, (double)(chunks * CHUNK), NULL, NULL, NULL,
                       BENCH_NO_GOAL);
    }
}

static void measure(struct start *starts, enum bench_medium medium, const char *where, int cold,
                    size_t count) {
    char directory[BENCH_PATH], store[BENCH_PATH];
    const char *segment = bench_segment_name("start");
    bench_scratch(medium, directory);
    bench_join(store, directory, "store");
    for (size_t i = 0; i < count; i++) {
        struct start *start = &starts[i];
        grow_store(store, segment, i ? sizes[i - 1] : 0, sizes[i]);
        for (int r = -1, n = bench_repetitions(15); r < n; r++) {
            if (cold)
                bench_forget_pages(store);
            restart(start, store, segment, sizes[i], r >= 0, 0);
        }
        for (int r = 0; r < 5 && !cold && sizes[i] <= MOST_WARMED; r++)
            restart(start, store, segment, sizes[i], 1, 1);
        rows(where, sizes[i], start, &starts[0]);
    }
    bench_remove_tree(directory);
}

static void plot(struct start (*starts)[SIZES], const char *const *where, size_t media,
                 size_t count) {
    char series[96];
    bench_plot_begin("warm_start", "A restart, by the size of the store",
                     (struct bench_axis){"data in the store, chunks of 1 MiB", "bytes", 1},
                     (struct bench_axis){"time since the opening began", "ns", 1});
    for (size_t m = 0; m < media; m++)
        for (size_t i = 0; i < count; i++) {
            const struct start *start = &starts[m][i];
            double size = (double)(sizes[i] * CHUNK);
            snprintf(series, sizeof(series), "the segment is open, %s", where[m]);
            bench_plot_samples(series, size, &start->opened);
            snprintf(series, sizeof(series), "one chunk has been read, %s", where[m]);
            bench_plot_samples(series, size, &start->first);
            snprintf(series, sizeof(series), "all is in memory (untorn_warm), %s", where[m]);
            if (start->warmed.count)
                bench_plot_samples(series, size, &start->warmed);
        }
    bench_plot_end();
}

int main(void) {
    static struct start starts[2][SIZES];
    char disk[64];
    size_t count = bench_effort() < 0.5 ? SIZES - 1 : SIZES;
    chunk = bench_private_memory(CHUNK);
    snprintf(disk, sizeof(disk), "%s, files forgotten", bench_file_system(BENCH_DISK));
    const char *const where[] = {"tmpfs", disk};
    bench_section("A restart against the size of the store");
    bench_note("an array of chunks of 1 MiB, all of them there, zeros but for one value; nothing "
               "in memory but, on tmpfs, the files; a segment of 256 MiB, or one that holds all "
               "where all is brought into memory");
    measure(starts[0], BENCH_TMPFS, where[0], 0, count);
    measure(starts[1], BENCH_DISK, where[1], 1, count);
    plot(starts, where, 2, count);
    return 0;
}
