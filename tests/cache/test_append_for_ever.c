// SPDX-License-Identifier: MIT
/*
 * P10: an array that grows for ever keeps running in a segment of fixed size.
 *
 * Every value follows from its place, so readers need no oracle: one process reads random old
 * regions and the newest rows, over and over, and one follows the length, while the writer appends
 * four times what the segment holds (2 GiB with UNTORN_TEST_LARGE=1).
 *
 * A row has 4 KiB.  Beside it grows an array of 64-byte chunks, whose table is a quarter of its
 * data, so that tables have to leave memory, too.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define SIZE (32u << 20)
#define COLUMNS 1024u // of u4: a row has 4 KiB
#define SMALL 16u     // elements of a chunk of the small array
#define BATCH 512u    // rows that are appended at once, at most
#define SMALL_PER_ROW 1u

struct board {
    _Atomic int stop;
    _Atomic uint64_t reads[3];
};

struct growing {
    struct cache cache;
    struct board *board;
    unsigned number; // of the child
    uint64_t seed;
};

static uint32_t value_of(uint64_t row, uint64_t column) {
    return (uint32_t)test_mix(row * COLUMNS + column + 1);
}

static uint32_t small_value(uint64_t i) {
    return (uint32_t)test_mix(~i);
}

/* ---- readers ---- */

static void check_rows(untorn_array *array, uint32_t *buffer, uint64_t first, uint64_t rows,
                       uint64_t column, uint64_t columns) {
    uint64_t start[2] = {first, column}, count[2] = {rows, columns};
    must_ok(untorn_read(array, start, count, buffer, rows * columns * sizeof *buffer, NULL));
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < columns; c++)
            must(buffer[r * columns + c] == value_of(first + r, column + c), "row %llu column %llu",
                 (unsigned long long)(first + r), (unsigned long long)(column + c));
}

static void check_small(untorn_array *array, uint32_t *buffer, struct test_rng *rng) {
    untorn_result result;
    must_ok(untorn_peek(array, &result));
    if (result.shape[0] == 0)
        return;
    uint64_t count = rng_range(rng, 1, 3 * SMALL);
    if (count > result.shape[0])
        count = result.shape[0];
    uint64_t start = rng_range(rng, 0, result.shape[0] - count);
    must_ok(untorn_read(array, &start, &count, buffer, count * sizeof *buffer, NULL));
    for (uint64_t i = 0; i < count; i++)
        must(buffer[i] == small_value(start + i), "element %llu of the small one",
             (unsigned long long)(start + i));
}

// Old regions at random, and the newest rows.
static int read_anywhere(void *argument, int report, int orders) {
    struct growing *growing = argument;
    struct test_rng rng = {growing->seed + growing->number};
    uint32_t *buffer = malloc(64 * COLUMNS * sizeof *buffer);
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    untorn_reader *reader;
    untorn_array *array, *small;
    (void)report;
    (void)orders;
    options.cache_bytes = growing->number == 1 ? 4u << 20 : 0;
    must_ok(untorn_reader_open(growing->cache.segment, &options, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    must_ok(untorn_array_open(reader, "small", &small));
    while (!atomic_load(&growing->board->stop)) {
        untorn_result result;
        must_ok(untorn_peek(array, &result));
        if (result.shape[0] == 0)
            continue;
        uint64_t rows = rng_range(&rng, 1, 64), columns = rng_range(&rng, 1, COLUMNS);
        if (rows > result.shape[0])
            rows = result.shape[0];
        uint64_t last = result.shape[0] - rows;
        check_rows(array, buffer, rng_chance(&rng, 30) ? last : rng_range(&rng, 0, last), rows,
                   rng_range(&rng, 0, COLUMNS - columns), columns);
        check_small(small, buffer, &rng);
        atomic_fetch_add(&growing->board->reads[growing->number], 1);
    }
    untorn_reader_close(reader);
    free(buffer);
    return 0;
}

// Each new row, once, as it comes: what comes must not be later than what is read.
static int follow(void *argument, int report, int orders) {
    struct growing *growing = argument;
    uint32_t *buffer = malloc(BATCH * COLUMNS * sizeof *buffer);
    untorn_reader *reader;
    untorn_array *array;
    uint64_t seen = 0;
    (void)report;
    (void)orders;
    must_ok(untorn_reader_open(growing->cache.segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    while (!atomic_load(&growing->board->stop)) {
        untorn_status status = untorn_wait_length(array, 0, seen + 1, INT64_C(100000000));
        if (status == UNTORN_E_TIMEOUT || status == UNTORN_E_WRITER_CLOSED)
            continue;
        must_ok(status);
        untorn_result result;
        must_ok(untorn_peek(array, &result));
        must(result.shape[0] > seen, "longer");
        uint64_t rows = result.shape[0] - seen < 64 ? result.shape[0] - seen : 64;
        check_rows(array, buffer, result.shape[0] - rows, rows, 0, COLUMNS);
        seen = result.shape[0];
        atomic_fetch_add(&growing->board->reads[growing->number], 1);
    }
    untorn_reader_close(reader);
    free(buffer);
    return 0;
}

/* ---- the writer ---- */

static void append(struct growing *growing, struct test_rng *rng, untorn_writer_array *array,
                   untorn_writer_array *small, uint32_t *buffer, uint64_t *rows) {
    uint64_t count = rng_range(rng, 1, BATCH);
    for (uint64_t i = 0; i < count * COLUMNS; i++)
        buffer[i] = value_of(*rows + i / COLUMNS, i % COLUMNS);
    must_ok(untorn_append(array, 0, count, NULL, buffer));
    uint64_t first = *rows * SMALL_PER_ROW, more = count * SMALL_PER_ROW;
    for (uint64_t i = 0; i < more; i++)
        buffer[i] = small_value(first + i);
    must_ok(untorn_append(small, 0, more, NULL, buffer));
    *rows += count;
    must_ok(untorn_commit(growing->cache.writer, NULL));
}

static void open_arrays(struct growing *growing, untorn_writer_array **array,
                        untorn_writer_array **small) {
    must_ok(untorn_writer_array_open(growing->cache.writer, "a", array));
    must_ok(untorn_writer_array_open(growing->cache.writer, "small", small));
}

static void P10_append_for_ever(void **state) {
    (void)state;
    skip_under_tsan();
    struct growing growing = {.board = test_shared(sizeof(struct board)), .seed = test_seed()};
    uint64_t bytes = test_large() ? UINT64_C(2) << 30
                     : TEST_ASAN  ? UINT64_C(64) << 20
                                  : UINT64_C(128) << 20;
    struct test_rng rng = {growing.seed};
    untorn_writer_array *array, *small;
    uint64_t shape[2] = {0, COLUMNS}, chunks[2] = {16, COLUMNS}; // 64 KiB
    uint64_t nothing = 0, tiny = SMALL, rows = 0;
    uint32_t *buffer = malloc(BATCH * COLUMNS * sizeof *buffer);
    cache_begin(&growing.cache, "forever", SIZE);
    untorn_writer_close(growing.cache.writer);
    growing.cache.options.flush_interval = INT64_C(200000000);
    growing.cache.options.flush_bytes = SIZE / 8;
    growing.cache.options.keep_snapshots = 2;
    cache_open(&growing.cache);
    array = cache_define(&growing.cache, "a", 2, shape, chunks, 0);
    small = cache_define(&growing.cache, "small", 1, &nothing, &tiny, 0);
    must_ok(untorn_commit(growing.cache.writer, NULL));
    struct test_child children[3];
    for (unsigned i = 0; i < 3; i++) {
        growing.number = i;
        children[i] = test_child_start(i == 2 ? follow : read_anywhere, &growing);
    }
    for (uint64_t i = 0; rows * COLUMNS * sizeof *buffer < bytes; i++) {
        append(&growing, &rng, array, small, buffer, &rows);
        if (i % 100 == 99)
            books_must_add_up(growing.cache.writer, 0, "after an append");
    }
    untorn_stat stat;
    must_ok(untorn_reader_stat(growing.cache.reader, &stat));
    must(stat.size == SIZE && stat.reserved <= SIZE, "%llu bytes", (unsigned long long)stat.size);
    for (unsigned i = 0; i < 3; i++) // each has read something of what was evicted
        while (atomic_load(&growing.board->reads[i]) < 5 && i < 2)
            test_sleep_us(1000);
    atomic_store(&growing.board->stop, 1);
    for (unsigned i = 0; i < 3; i++)
        test_child_finish(&children[i]);
    print_message("%llu rows; %llu, %llu and %llu reads\n", (unsigned long long)rows,
                  (unsigned long long)atomic_load(&growing.board->reads[0]),
                  (unsigned long long)atomic_load(&growing.board->reads[1]),
                  (unsigned long long)atomic_load(&growing.board->reads[2]));
    // All of it once more, by one who saw nothing of this, and after a restart, too.
    for (int restarted = 0; restarted < 2; restarted++) {
        untorn_array *all;
        must_ok(untorn_array_open(growing.cache.reader, "a", &all));
        for (uint64_t first = 0; first < rows; first += BATCH)
            check_rows(all, buffer, first, rows - first < BATCH ? rows - first : BATCH, 0, COLUMNS);
        if (!restarted)
            cache_restart(&growing.cache);
    }
    open_arrays(&growing, &array, &small);
    append(&growing, &rng, array, small, buffer, &rows);
    free(buffer);
    cache_end(&growing.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_append_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
