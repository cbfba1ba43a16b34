// SPDX-License-Identifier: MIT
/*
 * The operations whose instructions are counted, each a few hundred times.
 *
 * Made to be run under callgrind, which check.py does:
 *   - it collects only within functions named measured_*, which are one operation each, so
 *     that starting, warming up and what an operation needs beforehand do not count;
 *   - it writes what it collected so far whenever a function named finished_* is entered, so
 *     that each operation gets a file of its own.
 *
 * One process is writer and reader in turn: nobody ever waits, so every count is exact.  The first
 * hundreds of commits are a warm-up, in which rings grow and queues fill; after that
 * what is done now and then (raising a window for a quarter of the versions at once) is
 * part of the average over many.
 *
 * Run as it is, it says how often each operation is done.
 */
#include "../support/segment.h"

#include <stdio.h>
#include <string.h>

#define WARM 1500
#define COUNTED 500
#define MANY 1024
#define GROUP 16
#define IMAGE 1024

#define NOT_INLINE __attribute__((noinline))

static untorn_writer *writer;
static untorn_reader *reader;
static untorn_writer_array *small, *series, *many;
static untorn_array *small_view, *page_view, *blocks_view, *series_view, *many_view;
static untorn_writer_array *group[GROUP];
static untorn_array *group_views[GROUP];
static untorn_request requests[GROUP];
static untorn_snapshot *held;
static untorn_array *image_view, *lines_view;
static char data[GROUP * 4096];
static float image_data[IMAGE * IMAGE];
static uint64_t rounds, length;
static uint64_t seen;

/* --- one operation each --- */

NOT_INLINE static void measured_read_64(void) {
    untorn_result result;
    BENCH_MUST(untorn_read(small_view, NULL, NULL, data, 64, &result));
}

NOT_INLINE static void measured_read_64_new(void) {
    untorn_result result;
    BENCH_MUST(untorn_read(small_view, NULL, NULL, data, 64, &result));
}

NOT_INLINE static void measured_read_4096(void) {
    untorn_result result;
    BENCH_MUST(untorn_read(page_view, NULL, NULL, data, 4096, &result));
}

NOT_INLINE static void measured_read_region(void) {
    static const uint64_t start = 5 * 64 + 8, count = 8;
    untorn_result result;
    BENCH_MUST(untorn_read(many_view, &start, &count, data, 64, &result));
}

NOT_INLINE static void measured_read_16_chunks(void) {
    untorn_result result;
    BENCH_MUST(untorn_read(blocks_view, NULL, NULL, data, GROUP * 4096, &result));
}

/* 512 rows of 2 KiB, half of each in one chunk, half in the next. */
NOT_INLINE static void measured_read_rows(void) {
    static const uint64_t start[2] = {256, 256}, count[2] = {512, 512};
    untorn_result result;
    BENCH_MUST(untorn_read(image_view, start, count, image_data, sizeof(image_data), &result));
}

/* One element from each of 64 chunks. */
NOT_INLINE static void measured_read_column(void) {
    static const uint64_t start[2] = {0, 5}, count[2] = {64, 1};
    untorn_result result;
    BENCH_MUST(untorn_read(lines_view, start, count, image_data, sizeof(image_data), &result));
}

/* A block of 64 x 64 into Fortran's order. */
NOT_INLINE static void measured_read_fortran(void) {
    static const uint64_t start[2] = {300, 300}, count[2] = {64, 64};
    static const int64_t strides[2] = {4, 4 * 64};
    untorn_request request = {.array = image_view,
                              .start = start,
                              .count = count,
                              .strides = strides,
                              .destination = image_data};
    BENCH_MUST(untorn_read_group(reader, &request, 1, NULL));
}

NOT_INLINE static void measured_read_last(void) {
    untorn_result result;
    uint64_t start = length - 1, count = 1;
    BENCH_MUST(untorn_read(series_view, &start, &count, data, 8, &result));
}

NOT_INLINE static void measured_commit_64(void) {
    BENCH_MUST(untorn_write(small, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
}

NOT_INLINE static void measured_commit_64_filled(void) {
    static const uint64_t index = 0;
    void *memory;
    BENCH_MUST(untorn_chunk_begin(small, &index, 0, &memory));
    memset(memory, 1, 64);
    BENCH_MUST(untorn_chunk_done(small, &index));
    BENCH_MUST(untorn_commit(writer, NULL));
}

NOT_INLINE static void measured_commit_1_of_1024(void) {
    uint64_t start = rounds * 7 % MANY * 64, count = 64;
    BENCH_MUST(untorn_write(many, &start, &count, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
}

NOT_INLINE static void measured_append_1(void) {
    BENCH_MUST(untorn_append(series, 0, 1, NULL, &length));
    BENCH_MUST(untorn_commit(writer, NULL));
    length++;
}

NOT_INLINE static void measured_snapshot_16(void) {
    untorn_snapshot *snapshot;
    BENCH_MUST(untorn_snapshot_open(reader, group_views, GROUP, UNTORN_NEWEST, &snapshot));
    untorn_snapshot_close(snapshot);
}

NOT_INLINE static void measured_snapshot_16_reads(void) {
    untorn_snapshot *snapshot;
    BENCH_MUST(untorn_snapshot_open(reader, group_views, GROUP, UNTORN_NEWEST, &snapshot));
    for (size_t i = 0; i < GROUP; i++)
        BENCH_MUST(untorn_snapshot_read(snapshot, i, NULL, NULL, data + i * 64, 64));
    BENCH_MUST(untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
}

NOT_INLINE static void measured_snapshot_16_group(void) {
    BENCH_MUST(untorn_snapshot_read_group(held, NULL, requests, GROUP));
}

NOT_INLINE static void measured_group_16(void) {
    untorn_result result;
    BENCH_MUST(untorn_read_group(reader, requests, GROUP, &result));
}

NOT_INLINE static void measured_group_16_new(void) {
    untorn_result result;
    BENCH_MUST(untorn_read_group(reader, requests, GROUP, &result));
}

NOT_INLINE static void measured_commit_16_filled(void) {
    static const uint64_t index = 0;
    void *memory;
    for (size_t i = 0; i < GROUP; i++) {
        BENCH_MUST(untorn_chunk_begin(group[i], &index, 0, &memory));
        memset(memory, 1, 64);
        BENCH_MUST(untorn_chunk_done(group[i], &index));
    }
    BENCH_MUST(untorn_commit(writer, NULL));
}

NOT_INLINE static void measured_wait_new(void) {
    BENCH_MUST(untorn_wait(small_view, seen, 1000000000));
}

NOT_INLINE static void measured_peek(void) {
    untorn_result result;
    BENCH_MUST(untorn_peek(small_view, &result));
    seen = result.generation;
}

/* --- what has to be done before --- */

static void nothing(void) {
}

static void commit_small(void) {
    memset(data, (int)(rounds & 0xff), 64);
    BENCH_MUST(untorn_write(small, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void look_and_commit(void) {
    untorn_result result;
    BENCH_MUST(untorn_peek(small_view, &result));
    seen = result.generation;
    commit_small();
}

/* Two of the group, as they change under a reader of all. */
static void commit_two(void) {
    BENCH_MUST(untorn_write(group[0], NULL, NULL, NULL, data));
    BENCH_MUST(untorn_write(group[1 + rounds % (GROUP - 1)], NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void append(void) {
    BENCH_MUST(untorn_append(series, 0, 1, NULL, &length));
    BENCH_MUST(untorn_commit(writer, NULL));
    length++;
}

static void commit_group(void) {
    for (size_t i = 0; i < GROUP; i++)
        BENCH_MUST(untorn_write(group[i], NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
}

/* Changed since the last time. */
static void hold_group(void) {
    untorn_snapshot_close(held);
    commit_two();
    BENCH_MUST(untorn_snapshot_open(reader, group_views, GROUP, UNTORN_NEWEST, &held));
}

/* --- running them --- */

#define OPERATIONS(X)                                                                              \
    X(read_64, nothing)                                                                            \
    X(read_64_new, commit_small)                                                                   \
    X(read_4096, nothing)                                                                          \
    X(read_region, nothing)                                                                        \
    X(read_16_chunks, nothing)                                                                     \
    X(read_last, append)                                                                           \
    X(commit_64, nothing)                                                                          \
    X(commit_64_filled, nothing)                                                                   \
    X(commit_1_of_1024, nothing)                                                                   \
    X(append_1, nothing)                                                                           \
    X(snapshot_16, nothing)                                                                        \
    X(snapshot_16_reads, nothing)                                                                  \
    X(group_16, nothing)                                                                           \
    X(group_16_new, commit_two)                                                                    \
    X(commit_16_filled, nothing)                                                                   \
    X(wait_new, look_and_commit)                                                                   \
    X(peek, nothing)                                                                               \
    X(read_rows, nothing)                                                                          \
    X(read_column, nothing)                                                                        \
    X(read_fortran, nothing)                                                                       \
    X(snapshot_16_group, hold_group)

/* Entering it ends the operation's file.  Not empty, or calls of it could go. */
#define DEFINE_FINISHED(name, before)                                                              \
    NOT_INLINE static void finished_##name(void) {                                                 \
        printf("%s\t%d\n", #name, COUNTED);                                                        \
    }
OPERATIONS(DEFINE_FINISHED)

#define RUN(name, before)                                                                          \
    for (rounds = 0; rounds < COUNTED; rounds++) {                                                 \
        before();                                                                                  \
        measured_##name();                                                                         \
    }                                                                                              \
    finished_##name();

/* Calls them, too, but under names that are not collected. */
static void warm_up(void) {
    untorn_result result;
    for (rounds = 0; rounds < WARM; rounds++) {
        uint64_t start = rounds % MANY * 64, count = 64, last = length - 1, one = 1;
        commit_small();
        BENCH_MUST(untorn_write(many, &start, &count, NULL, data));
        BENCH_MUST(untorn_commit(writer, NULL));
        append();
        BENCH_MUST(untorn_read(small_view, NULL, NULL, data, 64, &result));
        BENCH_MUST(untorn_read(page_view, NULL, NULL, data, 4096, &result));
        BENCH_MUST(untorn_read(blocks_view, NULL, NULL, data, sizeof(data), &result));
        BENCH_MUST(untorn_read(many_view, &start, &count, data, 512, &result));
        BENCH_MUST(untorn_read(series_view, &last, &one, data, 8, &result));
        untorn_snapshot *snapshot;
        BENCH_MUST(untorn_snapshot_open(reader, group_views, GROUP, UNTORN_NEWEST, &snapshot));
        untorn_snapshot_close(snapshot);
        commit_group();
        BENCH_MUST(untorn_read_group(reader, requests, GROUP, &result));
    }
}

static void define_image(const char *name, uint64_t rows, uint64_t chunk_rows,
                         uint64_t chunk_columns) {
    uint64_t shape[2] = {rows, IMAGE}, chunks[2] = {chunk_rows, chunk_columns};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array;
    definition.dtype = "f4";
    definition.rank = 2;
    definition.shape = shape;
    definition.chunks = chunks;
    BENCH_MUST(untorn_define(writer, name, &definition, &array));
    BENCH_MUST(untorn_write(array, NULL, NULL, NULL, image_data));
}

static void set_up(void) {
    const char *segment = bench_segment_name("instructions");
    writer = bench_writer(segment, 64u << 20, 4);
    small = bench_define(writer, "small", "u8", 8, 8);
    untorn_writer_array *page = bench_define(writer, "page", "u8", 512, 512);
    untorn_writer_array *blocks = bench_define(writer, "blocks", "u8", GROUP * 512, 512);
    series = bench_define(writer, "series", "f8", 0, 131072);
    many = bench_define(writer, "many", "u8", MANY * 64, 64);
    static char zeros[MANY * 512];
    BENCH_MUST(untorn_write(small, NULL, NULL, NULL, zeros));
    BENCH_MUST(untorn_write(page, NULL, NULL, NULL, zeros));
    BENCH_MUST(untorn_write(blocks, NULL, NULL, NULL, zeros));
    BENCH_MUST(untorn_write(many, NULL, NULL, NULL, zeros));
    for (int i = 0; i < GROUP; i++) {
        char name[16];
        snprintf(name, sizeof(name), "group/%c", 'a' + i);
        group[i] = bench_define(writer, name, "u8", 8, 8);
        BENCH_MUST(untorn_write(group[i], NULL, NULL, NULL, zeros));
    }
    define_image("image", IMAGE, 512, 512);
    define_image("lines", 64, 1, IMAGE);
    append();
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "small", &small_view));
    BENCH_MUST(untorn_array_open(reader, "page", &page_view));
    BENCH_MUST(untorn_array_open(reader, "blocks", &blocks_view));
    BENCH_MUST(untorn_array_open(reader, "series", &series_view));
    BENCH_MUST(untorn_array_open(reader, "many", &many_view));
    BENCH_MUST(untorn_array_open(reader, "image", &image_view));
    BENCH_MUST(untorn_array_open(reader, "lines", &lines_view));
    for (int i = 0; i < GROUP; i++) {
        char name[16];
        snprintf(name, sizeof(name), "group/%c", 'a' + i);
        BENCH_MUST(untorn_array_open(reader, name, &group_views[i]));
        requests[i].array = group_views[i];
        requests[i].destination = data + i * 64;
        requests[i].capacity = 64;
    }
}

int main(void) {
    set_up();
    warm_up();
    OPERATIONS(RUN)
    untorn_snapshot_close(held);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    return 0;
}
