// SPDX-License-Identifier: MIT
/*
 * A writer that lives on evictions is killed at any moment, again and again, while a reader that
 * stays attached goes on reading what is in memory and what is in the store.
 *
 * One array grows; its values follow from their places.  One is rewritten as a whole with a stamp
 * that grows.  The segment holds a quarter of what is written.  After each kill the next writer
 * takes over, its books must add up, and what was committed must be there.
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

#define SIZE (4u << 20)
#define CHUNK 2048u           // elements of the growing array: 8 KiB
#define STAMPED (16u * 1024u) // elements of the other: 64 KiB
#define BATCH 20000u

struct board {
    _Atomic uint64_t length; // committed for certain
    _Atomic uint64_t stamp;
};

struct killed {
    struct cache cache;
    struct board *board;
    uint64_t seed;
};

static uint32_t value_of(uint64_t i) {
    return (uint32_t)test_mix(i + 1);
}

static void define(struct killed *killed) {
    uint64_t nothing = 0, chunk = CHUNK, stamped = STAMPED, part = 1024;
    cache_define(&killed->cache, "grows", 1, &nothing, &chunk, 0);
    cache_define(&killed->cache, "stamped", 1, &stamped, &part, 0);
    must_ok(untorn_commit(killed->cache.writer, NULL));
}

static int write_until_killed(void *argument, int report, int orders) {
    struct killed *killed = argument;
    struct test_rng rng = {killed->seed};
    uint32_t *values = malloc(BATCH * sizeof *values);
    untorn_writer_array *grows, *stamped;
    uint64_t length, stamp = atomic_load(&killed->board->stamp);
    (void)orders;
    killed->cache.writer = NULL;
    must_ok(
        untorn_writer_open(killed->cache.segment, &killed->cache.options, &killed->cache.writer));
    must_ok(untorn_writer_array_open(killed->cache.writer, "grows", &grows));
    must_ok(untorn_writer_array_open(killed->cache.writer, "stamped", &stamped));
    must_ok(untorn_writer_array_shape(grows, NULL, &length));
    must(length >= atomic_load(&killed->board->length), "a commit is lost");
    books_must_add_up(killed->cache.writer, 0, "after a kill");
    test_send(report, 1);
    for (;;) {
        uint64_t count = rng_range(&rng, 1, BATCH);
        for (uint64_t i = 0; i < count; i++)
            values[i] = value_of(length + i);
        must_ok(untorn_append(grows, 0, count, NULL, values));
        stamp += 2; // the last one may have been committed unseen
        for (uint64_t i = 0; i < STAMPED; i++)
            values[i] = (uint32_t)stamp;
        must_ok(untorn_write(stamped, NULL, NULL, NULL, values));
        must_ok(untorn_commit(killed->cache.writer, NULL));
        length += count;
        atomic_store(&killed->board->length, length);
        atomic_store(&killed->board->stamp, stamp);
    }
}

static void read_some(struct killed *killed, untorn_array *grows, untorn_array *stamped,
                      struct test_rng *rng, uint64_t *last) {
    static uint32_t got[BATCH];
    untorn_result result;
    uint64_t least = atomic_load(&killed->board->length);
    must_ok(untorn_peek(grows, &result));
    must(result.shape[0] >= least, "%llu elements of %llu", (unsigned long long)result.shape[0],
         (unsigned long long)least);
    uint64_t count = rng_range(rng, 0, result.shape[0] < BATCH ? result.shape[0] : BATCH);
    uint64_t start = rng_range(rng, 0, result.shape[0] - count);
    must_ok(untorn_read(grows, &start, &count, got, sizeof got, NULL));
    for (uint64_t i = 0; i < count; i++)
        must(got[i] == value_of(start + i), "element %llu", (unsigned long long)(start + i));
    uint64_t stamp = atomic_load(&killed->board->stamp);
    must_ok(untorn_read(stamped, NULL, NULL, got, sizeof got, NULL));
    for (uint64_t i = 1; i < STAMPED; i++)
        must(got[i] == got[0], "torn: %u and %u", got[0], got[i]);
    must(got[0] >= stamp && got[0] >= *last, "%u after %llu", got[0], (unsigned long long)*last);
    *last = got[0];
}

static void P5_P10_killed_while_it_evicts(void **state) {
    (void)state;
    skip_under_tsan();
    struct killed killed = {.board = test_shared(sizeof(struct board))};
    struct test_rng rng = {test_seed()};
    untorn_array *grows, *stamped;
    uint64_t last = 0, kills = test_count(30);
    cache_begin(&killed.cache, "killed", SIZE);
    define(&killed);
    untorn_writer_close(killed.cache.writer);
    killed.cache.writer = NULL;
    killed.cache.options.flush_interval = INT64_C(20000000);
    must_ok(untorn_array_open(killed.cache.reader, "grows", &grows));
    must_ok(untorn_array_open(killed.cache.reader, "stamped", &stamped));
    for (uint64_t i = 0; i < kills; i++) {
        killed.seed = rng_next(&rng);
        struct test_child child = test_child_start(write_until_killed, &killed);
        test_receive(child.from);
        uint64_t reads = rng_range(&rng, 1, 30);
        for (uint64_t n = 0; n < reads; n++)
            read_some(&killed, grows, stamped, &rng, &last);
        test_sleep_us(rng_below(&rng, 20000));
        test_child_kill(&child);
        for (uint64_t n = 0; n < 5; n++)
            read_some(&killed, grows, stamped, &rng, &last);
    }
    print_message("%llu kills, %llu elements, stamp %llu\n", (unsigned long long)kills,
                  (unsigned long long)atomic_load(&killed.board->length),
                  (unsigned long long)atomic_load(&killed.board->stamp));
    cache_open(&killed.cache);
    read_some(&killed, grows, stamped, &rng, &last);
    cache_end(&killed.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P5_P10_killed_while_it_evicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
