// SPDX-License-Identifier: MIT
/*
 * SIGKILL at every step, with real processes.  A writer adopts the segment and commits a few
 * transactions that touch everything (support/ledger.h); the n-th is killed at its n-th step,
 * those of adoption included.  Meanwhile readers in other processes check what the ledger
 * promises, and hold snapshots over many writers' lives, which must stay valid and
 * show the same bytes to the end: space never runs out here, so nothing may end a pin.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/test_hooks.h"
#include "support/child.h"
#include "support/ledger.h"
#include "support/must.h"
#include "support/names.h"
#include "support/rng.h"
#include "support/scale.h"

enum { READERS = 2, KEPT = 8, COMMITS = 3 };

struct board {
    struct ledger ledger;
    _Atomic uint64_t stop;
    _Atomic uint64_t steps; // of a life that is not cut short
    _Atomic uint64_t held;  // looks at snapshots that are older than their writer
    uint64_t kill_at;       // 0: never
    int commits;            // count from the first commit on, not from adoption on
};

/* ---- the writer ---- */

static struct board *the_board;
static uint64_t steps;
static int began;

static void count_or_die(const char *step) {
    began |= strcmp(step, "commit begins") == 0;
    if (the_board->commits && !began)
        return;
    if (++steps == the_board->kill_at)
        kill(getpid(), SIGKILL);
}

static int write_a_life(void *argument, int report, int orders) {
    (void)report;
    (void)orders;
    the_board = argument;
    steps = 0;
    began = 0;
    ut_step_hook = count_or_die;
    struct ledger_writer writer;
    ledger_open(&writer, &the_board->ledger);
    for (int i = 0; i < COMMITS; i++)
        ledger_commit(&writer);
    ledger_close(&writer);
    the_board->steps = steps;
    return 0;
}

/* ---- readers ---- */

struct kept {
    untorn_snapshot *snapshot;
    uint64_t hash;
    uint64_t begun; // of the ledger, when it was taken
};

// Of all arrays' names, generations, shapes and bytes.
static uint64_t hash_of(untorn_snapshot *snapshot) {
    uint64_t hash = untorn_snapshot_commit(snapshot);
    for (size_t i = 0; i < untorn_snapshot_count(snapshot); i++) {
        untorn_array_info info;
        untorn_result result;
        must_ok(untorn_snapshot_describe(snapshot, i, &info, &result));
        size_t size = info.itemsize;
        for (unsigned axis = 0; axis < info.rank; axis++)
            size *= (size_t)result.shape[axis];
        unsigned char *bytes = malloc(size + 1);
        must(bytes != NULL);
        must_ok(untorn_snapshot_read(snapshot, i, NULL, NULL, bytes, size));
        hash = hash * 31 + ut_hash(bytes, size);
        hash = hash * 31 + ut_hash(info.name, strlen(info.name));
        hash = hash * 31 + result.generation;
        hash = hash * 31 + ut_hash(result.shape, info.rank * sizeof result.shape[0]);
        free(bytes);
    }
    return hash;
}

static void look(struct board *board, struct ledger_reader *reader, struct kept *kept,
                 struct test_rng *rng) {
    if (kept->snapshot == NULL) {
        kept->begun = board->ledger.begun;
        must_ok(untorn_snapshot_open(reader->reader, NULL, 0, UNTORN_NEWEST, &kept->snapshot));
        kept->hash = hash_of(kept->snapshot);
        return;
    }
    must_ok(untorn_snapshot_check(kept->snapshot));
    must(hash_of(kept->snapshot) == kept->hash, "what commit %llu shows has changed",
         (unsigned long long)untorn_snapshot_commit(kept->snapshot));
    must_ok(untorn_snapshot_check(kept->snapshot));
    board->held += board->ledger.begun > kept->begun + COMMITS;
    if (rng_chance(rng, 5)) {
        untorn_snapshot_close(kept->snapshot);
        kept->snapshot = NULL;
    }
}

static int read_on(void *argument, int report, int orders) {
    struct board *board = argument;
    (void)orders;
    struct test_rng rng = {test_seed() + (uint64_t)getpid()};
    struct ledger_reader reader;
    struct kept kept[KEPT] = {0};
    ledger_attach(&reader, &board->ledger, 0);
    test_send(report, 1);
    while (!board->stop) {
        ledger_check(&reader);
        look(board, &reader, &kept[rng_below(&rng, KEPT)], &rng);
        test_sleep_us(rng_below(&rng, 300));
    }
    for (unsigned i = 0; i < KEPT; i++)
        if (kept[i].snapshot != NULL)
            look(board, &reader, &kept[i], &rng);
    ledger_detach(&reader);
    return 0;
}

/* ---- lives and deaths ---- */

// Returns whether it was killed.
static int live(struct board *board, int commits, uint64_t kill_at) {
    board->kill_at = kill_at;
    board->commits = commits;
    struct test_child writer = test_child_start(write_a_life, board);
    int status = test_child_wait(&writer);
    must(status == 0 || (kill_at != 0 && status == 256 + SIGKILL), "status %d of a writer", status);
    return status != 0;
}

static void P5_sigkill_at_every_step(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = test_shared(sizeof *board);
    board->ledger.segment = test_segment("steps");
    board->ledger.size = 64u << 20;
    live(board, 0, 0); // makes everything
    struct test_child readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = test_child_start(read_on, board);
        test_receive(readers[i].from);
    }
    struct test_rng rng = {test_seed()};
    uint64_t count = test_count(20), killed = 0;
    for (uint64_t i = 0; i < count; i++)
        for (int commits = 0; commits < 2; commits++) {
            live(board, commits, 0); // of adoption, how many steps grows with the rings
            uint64_t last = board->steps;
            uint64_t stride = last / 40 + 1;
            for (uint64_t step = rng_range(&rng, 1, stride); step <= last; step += stride)
                killed += (uint64_t)live(board, commits, step);
        }
    must(killed > 0, "no writer was killed");
    live(board, 0, 0);
    board->stop = 1;
    for (unsigned i = 0; i < READERS; i++)
        test_child_finish(&readers[i]);
    print_message("%llu writers killed, %llu looks at snapshots of earlier ones, "
                  "%llu transactions\n",
                  (unsigned long long)killed, (unsigned long long)board->held,
                  (unsigned long long)board->ledger.committed);
    must(board->held > 0 || count < 100, "no snapshot outlived its writer");
    must_ok(untorn_segment_remove(board->ledger.segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P5_sigkill_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
