// SPDX-License-Identifier: MIT
/*
 * P3: a writer that is stopped anywhere, in mid-commit or mid-adoption, blocks
 * nobody: readers read, take snapshots and time out as ever.  It is stopped at every
 * step that the protocol marks, looked at, and let go on.
 */
#include <signal.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/ledger.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "base/test_hooks.h"

struct board {
    struct ledger ledger;
    uint64_t stride; // stop at every so many steps
    _Atomic uint64_t steps;
};

static struct board *hooked;
static uint64_t next_stop;
static uint64_t steps_done;

static void stop_at_steps(const char *step) {
    (void)step;
    hooked->steps = ++steps_done;
    if (steps_done < next_stop)
        return;
    next_stop = steps_done + hooked->stride;
    raise(SIGSTOP);
}

// Adoption and six transactions, stopping all the way.
static int write_with_stops(void *argument, int report, int orders) {
    struct ledger_writer writer;
    (void)report;
    hooked = argument;
    next_stop = test_receive(orders);
    ut_step_hook = stop_at_steps;
    ledger_open(&writer, &hooked->ledger);
    for (int i = 0; i < 6; i++)
        ledger_commit(&writer);
    ut_step_hook = NULL;
    ledger_close(&writer);
    return 0;
}

static void look_at_frozen(struct ledger_reader *readers, uint64_t step) {
    for (int i = 0; i < 2; i++) {
        must(ledger_check(&readers[i]), "overtaken by a frozen writer at stop %llu",
             (unsigned long long)step);
        must(ledger_check_snapshot(&readers[i]), "overtaken by a frozen writer at stop %llu",
             (unsigned long long)step);
    }
    untorn_listing *listing = NULL;
    must_ok(untorn_list(readers[0].reader, &listing));
    untorn_listing_free(listing);
    uint64_t commit = untorn_reader_commit(readers[0].reader);
    untorn_status status = untorn_wait_commit(readers[0].reader, commit + 1, 10000);
    must(status == UNTORN_E_TIMEOUT || status == UNTORN_E_WRITER_CLOSED,
         "a wait beside a frozen writer: %d %s", (int)status, untorn_message());
    // A newcomer finds its way in as well.
    struct ledger_reader fresh;
    ledger_attach(&fresh, readers[0].ledger, 0);
    must(ledger_check(&fresh), "a fresh reader was overtaken by a frozen writer");
    ledger_detach(&fresh);
}

static void P3_a_frozen_writer_never_blocks_a_reader(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = test_shared(sizeof *board);
    struct test_rng rng = {test_seed()};
    board->ledger.segment = test_segment("frozen");
    board->ledger.size = 16u << 20;
    board->stride = UINT64_MAX / 2; // the first life only counts
    struct ledger_writer first;
    ledger_open(&first, &board->ledger);
    ledger_close(&first);
    struct test_child counter = test_child_start(write_with_stops, board);
    test_send(counter.to, UINT64_MAX);
    test_child_finish(&counter);
    must(board->steps > 0, "the library has no steps: is it the testing build?");
    uint64_t wanted = test_count(4000);
    board->stride = 1 + board->steps / wanted;
    uint64_t lives = board->steps < wanted ? 1 + wanted / board->steps : 1;
    lives = lives > 12 ? 12 : lives; // the same steps with other slots
    struct ledger_reader readers[2];
    ledger_attach(&readers[0], &board->ledger, 0);
    ledger_attach(&readers[1], &board->ledger, UNTORN_READ_NO_CONTROL);
    uint64_t stops = 0;
    for (uint64_t life = 0; life < lives; life++) {
        struct test_child writer = test_child_start(write_with_stops, board);
        test_send(writer.to, 1 + rng_below(&rng, board->stride));
        int status = 0;
        while (test_child_wait_stopped(&writer, &status)) {
            stops++;
            look_at_frozen(readers, stops);
            kill(writer.pid, SIGCONT);
        }
        must(status == 0, "the writer: status %d", status);
    }
    print_message("%llu steps in a life, %llu stops\n", (unsigned long long)board->steps,
                  (unsigned long long)stops);
    ledger_detach(&readers[0]);
    ledger_detach(&readers[1]);
    must_ok(untorn_segment_remove(board->ledger.segment));
}

// While it stands still it is alive: nobody may take its place.
static void a_frozen_writer_is_not_replaced(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = test_shared(sizeof *board);
    board->ledger.segment = test_segment("still");
    struct ledger_writer first;
    ledger_open(&first, &board->ledger);
    ledger_close(&first);
    board->stride = UINT64_MAX / 2;
    struct test_child writer = test_child_start(write_with_stops, board);
    test_send(writer.to, board->steps ? board->steps : 40);
    int status = 0;
    if (test_child_wait_stopped(&writer, &status)) {
        untorn_writer *other = NULL;
        must_be(UNTORN_E_BUSY, untorn_writer_open(board->ledger.segment, NULL, &other));
        must_be(UNTORN_E_BUSY, untorn_segment_remove(board->ledger.segment));
        test_child_kill(&writer);
    } else {
        must(status == 0, "the writer: status %d", status);
        print_message("it was done before it stood still\n");
    }
    ledger_open(&first, &board->ledger);
    ledger_commit(&first);
    ledger_close(&first);
    must_ok(untorn_segment_remove(board->ledger.segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P3_a_frozen_writer_never_blocks_a_reader),
        cmocka_unit_test(a_frozen_writer_is_not_replaced),
    };
    return cmocka_run_group_tests_name("frozen writer", tests, NULL, NULL);
}
