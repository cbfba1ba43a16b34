// SPDX-License-Identifier: MIT
/*
 * P5: a SIGKILL at any instruction loses no commit, and the next writer carries on
 * while readers stay attached and go on reading.
 *
 * Writers are killed at random times (many), and at every step that the protocol
 * marks, adoption included: a counting life enumerates the steps, then each is the
 * place of a death.  Readers in processes of their own check all the while.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/ledger.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "base/test_hooks.h"

#define READERS 2

struct board {
    struct ledger ledger;
    _Atomic int stop;
    _Atomic uint64_t steps; // counted in the counting life
};

/* ---- readers ---- */

static int read_on(void *argument, int report, int orders) {
    struct board *board = argument;
    struct ledger_reader reader;
    (void)orders;
    ledger_attach(&reader, &board->ledger, 0);
    while (!board->stop) {
        must(ledger_check(&reader), "a reader with rights to pin was overtaken");
        must(ledger_check_snapshot(&reader), "a snapshot was overtaken at once");
        if (reader.checks % 16 == 0)
            test_sleep_us(300); // leave the cores to those who are to be killed
    }
    test_send(report, reader.checks);
    ledger_detach(&reader);
    return 0;
}

static struct board *begin(const char *name) {
    struct board *board = test_shared(sizeof *board);
    board->ledger.segment = test_segment(name);
    board->ledger.size = 16u << 20;
    struct ledger_writer writer;
    ledger_open(&writer, &board->ledger);
    ledger_close(&writer);
    return board;
}

static void start_readers(struct board *board, struct test_child *readers) {
    for (int i = 0; i < READERS; i++)
        readers[i] = test_child_start(read_on, board);
}

static uint64_t stop_readers(struct board *board, struct test_child *readers) {
    uint64_t checks = 0;
    board->stop = 1;
    for (int i = 0; i < READERS; i++) {
        uint64_t own = 0;
        if (test_receive_maybe(readers[i].from, &own))
            checks += own;
        test_child_finish(&readers[i]);
    }
    return checks;
}

/* ---- random deaths ---- */

static int write_until_killed(void *argument, int report, int orders) {
    struct board *board = argument;
    struct ledger_writer writer;
    (void)orders;
    ledger_open(&writer, &board->ledger);
    test_send(report, 1);
    for (;;)
        ledger_commit(&writer);
    return 0;
}

static void P5_a_killed_writer_loses_no_commit(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = begin("kill");
    struct test_rng rng = {test_seed()};
    uint64_t kills = test_count(1500);
    struct test_child readers[READERS];
    struct ledger_reader own;
    start_readers(board, readers);
    ledger_attach(&own, &board->ledger, 0);
    for (uint64_t i = 0; i < kills; i++) {
        struct test_child writer = test_child_start(write_until_killed, board);
        if (!rng_chance(&rng, 20)) { // else within the adoption, too
            uint64_t word;
            must(test_receive_maybe(writer.from, &word), "writer %llu failed",
                 (unsigned long long)i);
        }
        test_sleep_us(rng_below(&rng, 3000));
        test_child_kill(&writer);
        must(ledger_check(&own), "overtaken by a dead writer");
        must(ledger_check_snapshot(&own), "overtaken by a dead writer");
    }
    struct ledger_writer last;
    ledger_open(&last, &board->ledger);
    ledger_commit(&last);
    ledger_close(&last);
    must(ledger_check(&own), "overtaken");
    uint64_t checks = stop_readers(board, readers);
    print_message("%llu kills, %llu commits, %llu checks\n", (unsigned long long)kills,
                  (unsigned long long)board->ledger.committed, (unsigned long long)checks);
    ledger_detach(&own);
    must_ok(untorn_segment_remove(board->ledger.segment));
}

/* ---- death at every step ---- */

static struct board *hooked; // the board of this process, for the hook
static uint64_t steps_done;
static uint64_t deadly_step;

static void count_step(const char *step) {
    (void)step;
    hooked->steps = ++steps_done;
}

static void die_at_step(const char *step) {
    (void)step;
    if (++steps_done == deadly_step)
        kill(getpid(), SIGKILL);
}

// A life of fixed length: adoption and four transactions (one of which defines and deletes).
static void live(struct board *board) {
    struct ledger_writer writer;
    ledger_open(&writer, &board->ledger);
    for (int i = 0; i < 4; i++)
        ledger_commit(&writer);
    ledger_close(&writer);
}

static int count_life(void *argument, int report, int orders) {
    (void)report;
    (void)orders;
    hooked = argument;
    steps_done = 0;
    ut_step_hook = count_step;
    live(hooked);
    return 0;
}

static int live_and_die(void *argument, int report, int orders) {
    (void)report;
    hooked = argument;
    steps_done = 0;
    deadly_step = test_receive(orders);
    ut_step_hook = die_at_step;
    live(hooked);
    return 0;
}

static void P5_death_at_every_step_loses_no_commit(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = begin("steps");
    struct test_rng rng = {test_seed() + 1};
    struct test_child counter = test_child_start(count_life, board);
    test_child_finish(&counter);
    uint64_t steps = board->steps;
    must(steps > 0, "the library has no steps to die at: is it the testing build?");
    struct test_child readers[READERS];
    struct ledger_reader own;
    start_readers(board, readers);
    ledger_attach(&own, &board->ledger, 0);
    uint64_t wanted = test_count(1500); // deaths: some of the steps, or all of them several times
    uint64_t stride = 1 + steps / wanted;
    uint64_t passes = 1 + wanted / steps / 2;
    uint64_t deaths = 0;
    for (uint64_t i = 0; i < passes * steps; i += 1 + rng_below(&rng, 2 * stride - 1)) {
        uint64_t step = 1 + i % steps;
        struct test_child writer = test_child_start(live_and_die, board);
        test_send(writer.to, step);
        int status = test_child_wait(&writer);
        must(status == 0 || status == 256 + SIGKILL, "the life that should end at step %llu: %d",
             (unsigned long long)step, status);
        deaths += status != 0;
        must(ledger_check(&own), "overtaken by a dead writer, step %llu", (unsigned long long)step);
        must(ledger_check_snapshot(&own), "overtaken by a dead writer, step %llu",
             (unsigned long long)step);
    }
    struct ledger_writer last;
    ledger_open(&last, &board->ledger);
    ledger_commit(&last);
    ledger_close(&last);
    must(ledger_check(&own), "overtaken");
    uint64_t checks = stop_readers(board, readers);
    print_message("%llu steps in a life, %llu deaths at one, %llu checks\n",
                  (unsigned long long)steps, (unsigned long long)deaths,
                  (unsigned long long)checks);
    must(deaths >= passes * steps / stride / 4, "too few deaths came off");
    ledger_detach(&own);
    must_ok(untorn_segment_remove(board->ledger.segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P5_a_killed_writer_loses_no_commit),
        cmocka_unit_test(P5_death_at_every_step_loses_no_commit),
    };
    return cmocka_run_group_tests_name("killed writer", tests, NULL, NULL);
}
