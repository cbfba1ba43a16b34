// SPDX-License-Identifier: MIT
/*
 * An array much larger than its segment: random regions are written, read, appended and cut, with
 * flushes, evictions, kills and restarts mixed in, against an oracle in memory.
 *
 * The segment has 16 MiB.  The array has 64 MiB; with UNTORN_TEST_LARGE=1 it has 1 GiB, as has the
 * oracle.  The oracle of the last flush is a list of what was overwritten since, to go
 * back to when the segment is lost.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define SIZE (16u << 20)
#define COLUMNS 512u // of u4
#define CHUNK_ROWS 64u
#define CHUNK_COLUMNS 256u // 64 KiB
#define MOST_ROWS 512u     // written in one call: 1 MiB

struct patch { // rows [first, first + rows) as they were before this commit
    uint64_t commit;
    uint64_t first, rows;
    uint64_t length; // of the array
    uint32_t *values;
};

struct large {
    struct cache cache;
    struct test_rng rng;
    uint64_t capacity;     // rows
    uint64_t rows;         // committed
    uint32_t *oracle;      // committed
    struct patch *patches; // since the last flush, newest last
    size_t patch_count, patch_capacity;
    untorn_writer_array *array;
    untorn_array *reader;
    uint32_t next_value;
    uint32_t *buffer;
};

static void attach(struct large *large) {
    must_ok(untorn_writer_array_open(large->cache.writer, "a", &large->array));
    must_ok(untorn_array_open(large->cache.reader, "a", &large->reader));
}

/* ---- the oracle ---- */

// Those that no restart goes back over any more.  Flushes may come at any time.
static void forget_patches(struct large *large, uint64_t stored) {
    size_t kept = 0;
    for (size_t i = 0; i < large->patch_count; i++)
        if (large->patches[i].commit > stored)
            large->patches[kept++] = large->patches[i];
        else
            free(large->patches[i].values);
    large->patch_count = kept;
}

static void keep_patch(struct large *large, uint64_t first, uint64_t rows) {
    if (large->patch_count == large->patch_capacity) {
        large->patch_capacity = large->patch_capacity ? large->patch_capacity * 2 : 64;
        large->patches = realloc(large->patches, large->patch_capacity * sizeof *large->patches);
    }
    size_t bytes = (size_t)rows * COLUMNS * sizeof(uint32_t);
    struct patch *patch = &large->patches[large->patch_count++];
    *patch = (struct patch){untorn_writer_commit(large->cache.writer), first, rows, large->rows,
                            malloc(bytes + 1)};
    must(patch->values != NULL, "memory");
    memcpy(patch->values, large->oracle + first * COLUMNS, bytes);
}

static void go_back_to(struct large *large, uint64_t stored) {
    while (large->patch_count > 0 && large->patches[large->patch_count - 1].commit > stored) {
        struct patch *patch = &large->patches[--large->patch_count];
        memcpy(large->oracle + patch->first * COLUMNS, patch->values,
               (size_t)patch->rows * COLUMNS * sizeof(uint32_t));
        large->rows = patch->length;
        free(patch->values);
    }
    forget_patches(large, UINT64_MAX);
}

/* ---- steps ---- */

static void fill_buffer(struct large *large, size_t elements) {
    for (size_t i = 0; i < elements; i++)
        large->buffer[i] = large->next_value++;
}

static void end_transaction(struct large *large, uint64_t first, uint64_t rows, uint64_t length,
                            uint64_t column, uint64_t columns) {
    if (rng_chance(&large->rng, 10)) {
        untorn_abort(large->cache.writer);
        return;
    }
    must_ok(untorn_commit(large->cache.writer, NULL));
    keep_patch(large, first, rows);
    for (uint64_t row = 0; row < rows; row++)
        memcpy(large->oracle + (first + row) * COLUMNS + column, large->buffer + row * columns,
               columns * sizeof(uint32_t));
    large->rows = length;
}

static void write_region(struct large *large) {
    if (large->rows == 0)
        return;
    uint64_t rows = rng_range(&large->rng, 1, large->rows < MOST_ROWS ? large->rows : MOST_ROWS);
    uint64_t columns = rng_range(&large->rng, 1, COLUMNS);
    uint64_t start[2] = {rng_range(&large->rng, 0, large->rows - rows),
                         rng_range(&large->rng, 0, COLUMNS - columns)};
    uint64_t count[2] = {rows, columns};
    fill_buffer(large, rows * columns);
    must_ok(untorn_write(large->array, start, count, NULL, large->buffer));
    end_transaction(large, start[0], rows, large->rows, start[1], columns);
}

static void append(struct large *large) {
    uint64_t room = large->capacity - large->rows;
    if (room == 0)
        return;
    uint64_t rows = rng_range(&large->rng, 1, room < MOST_ROWS ? room : MOST_ROWS);
    fill_buffer(large, rows * COLUMNS);
    must_ok(untorn_append(large->array, 0, rows, NULL, large->buffer));
    end_transaction(large, large->rows, rows, large->rows + rows, 0, COLUMNS);
}

// By a little; the oracle keeps nothing beyond the length, as nothing there can come back.
static void cut(struct large *large) {
    uint64_t less = rng_range(&large->rng, 0, large->rows < 300 ? large->rows : 300);
    uint64_t shape[2] = {large->rows - less, COLUMNS};
    must_ok(untorn_resize(large->array, shape));
    must_ok(untorn_commit(large->cache.writer, NULL));
    keep_patch(large, shape[0], less);
    large->rows = shape[0];
}

static void grow(struct large *large) {
    uint64_t room = large->capacity - large->rows;
    uint64_t more = rng_range(&large->rng, 0, room < 300 ? room : 300);
    uint64_t shape[2] = {large->rows + more, COLUMNS};
    must_ok(untorn_resize(large->array, shape));
    must_ok(untorn_commit(large->cache.writer, NULL));
    keep_patch(large, large->rows, more);
    memset(large->oracle + large->rows * COLUMNS, 0, more * COLUMNS * sizeof(uint32_t));
    large->rows = shape[0];
}

static void check(struct large *large, uint64_t first, uint64_t rows) {
    uint64_t columns = rng_range(&large->rng, 1, COLUMNS);
    uint64_t start[2] = {first, rng_range(&large->rng, 0, COLUMNS - columns)};
    uint64_t count[2] = {rows, columns};
    untorn_result result;
    must_ok(untorn_read(large->reader, start, count, large->buffer,
                        rows * columns * sizeof(uint32_t), &result));
    must(result.shape[0] == large->rows, "%llu rows, not %llu", (unsigned long long)result.shape[0],
         (unsigned long long)large->rows);
    for (uint64_t row = 0; row < rows; row++)
        must(memcmp(large->buffer + row * columns,
                    large->oracle + (first + row) * COLUMNS + start[1],
                    columns * sizeof(uint32_t)) == 0,
             "row %llu is not what was written", (unsigned long long)(first + row));
}

static void read_region(struct large *large) {
    if (large->rows == 0)
        return;
    uint64_t rows = rng_range(&large->rng, 1, large->rows < MOST_ROWS ? large->rows : MOST_ROWS);
    check(large, rng_range(&large->rng, 0, large->rows - rows), rows);
}

static void check_all(struct large *large) {
    for (uint64_t first = 0; first < large->rows; first += MOST_ROWS)
        check(large, first, large->rows - first < MOST_ROWS ? large->rows - first : MOST_ROWS);
}

static void lose(struct large *large) {
    cache_die(&large->cache);
    uint64_t stored = cache_stored_commit(&large->cache);
    must_ok(untorn_segment_remove(large->cache.segment));
    cache_open(&large->cache);
    go_back_to(large, stored);
    attach(large);
}

static void step(struct large *large) {
    uint64_t what = rng_below(&large->rng, 1000);
    if (what < 250) {
        write_region(large);
    } else if (what < 400) {
        append(large);
    } else if (what < 430) {
        cut(large);
    } else if (what < 450) {
        grow(large);
    } else if (what < 900) {
        read_region(large);
    } else if (what < 960) {
        uint64_t stored;
        must_ok(untorn_flush(large->cache.writer, &stored));
        forget_patches(large, stored);
    } else if (what < 975) {
        cache_evict(large->cache.writer);
        books_must_add_up(large->cache.writer, 0, "after an eviction");
    } else if (what < 980) {
        untorn_writer_close(large->cache.writer);
        cache_open(&large->cache);
        attach(large);
    } else if (what < 985) {
        cache_die(&large->cache);
        cache_open(&large->cache);
        attach(large);
    } else if (what < 990) {
        lose(large);
    } else {
        books_must_add_up(large->cache.writer, 0, "now and then");
    }
}

static void P10_an_array_of_many_times_the_segment(void **state) {
    (void)state;
    uint64_t bytes = test_large() ? 1u << 30 : TEST_ASAN || TEST_TSAN ? 32u << 20 : 64u << 20;
    struct large large = {
        .rng = {test_seed()}, .capacity = bytes / (COLUMNS * sizeof(uint32_t)), .next_value = 1};
    cache_begin(&large.cache, "large", SIZE);
    large.oracle = calloc(large.capacity * COLUMNS, sizeof(uint32_t));
    large.buffer = malloc((size_t)MOST_ROWS * COLUMNS * sizeof(uint32_t));
    uint64_t shape[2] = {0, COLUMNS}, chunks[2] = {CHUNK_ROWS, CHUNK_COLUMNS};
    cache_define(&large.cache, "a", 2, shape, chunks, 0);
    must_ok(untorn_commit(large.cache.writer, NULL));
    must_ok(untorn_flush(large.cache.writer, NULL));
    attach(&large);
    while (large.rows < large.capacity * 3 / 4)
        append(&large);
    uint64_t steps = test_count(1000);
    for (uint64_t i = 0; i < steps; i++)
        step(&large);
    check_all(&large);
    cache_restart(&large.cache);
    attach(&large);
    check_all(&large);
    print_message("%llu rows of %u bytes, %llu steps\n", (unsigned long long)large.rows,
                  (unsigned)(COLUMNS * sizeof(uint32_t)), (unsigned long long)steps);
    forget_patches(&large, UINT64_MAX);
    free(large.patches);
    free(large.buffer);
    free(large.oracle);
    cache_end(&large.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_an_array_of_many_times_the_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
