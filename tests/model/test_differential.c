// SPDX-License-Identifier: MIT
/*
 * Random transactions against a naive model (support/model*.h), in a small segment
 * so that slots are soon reused.
 *
 * In one process the reader looks after (and within) every transaction, keeps
 * snapshots over many commits, and everything it can ask is compared.  The writer
 * closes and comes back now and then.
 *
 * In two processes the writer is a child that is killed at random and replaced by
 * the next.  The parent follows it with a model of its own: the marker that every
 * transaction writes tells which state a snapshot must show.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/child.h"
#include "../support/model.h"
#include "../support/model_reader.h"
#include "../support/model_script.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#define KEPT 6
#define SIZE (6u << 20)

/* ---- one process ---- */

struct kept {
    untorn_snapshot *snapshot;
    struct model_state state;
};

struct world {
    const char *segment;
    untorn_writer *writer;
    struct script script;
    struct model_reader reader;
    struct test_rng rng;
    struct kept kept[KEPT];
    unsigned flags; // of the reader
    uint64_t taken;
    uint64_t overtaken;
    uint64_t lost; // overtaken in spite of a pin
    uint64_t reads;
    uint64_t no_space;
};

static void open_writer(struct world *world, unsigned versions) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = SIZE;
    options.versions = versions;
    must_ok(untorn_writer_open(world->segment, &options, &world->writer));
    script_set_writer(&world->script, world->writer);
}

static void drop(struct kept *kept) {
    untorn_snapshot_close(kept->snapshot);
    model_free(&kept->state);
    kept->snapshot = NULL;
}

static void recheck(struct world *world, struct kept *kept) {
    if (model_check_snapshot(kept->snapshot, &kept->state, &world->rng))
        return;
    world->overtaken++;
    world->lost += !(world->flags & UNTORN_READ_NO_CONTROL);
    drop(kept);
}

static void take(struct world *world, struct kept *kept) {
    // Sometimes the commit of another snapshot, by its number.
    struct kept *other = &world->kept[rng_below(&world->rng, KEPT)];
    int joins = other->snapshot && rng_chance(&world->rng, 50);
    if (joins && !model_check_snapshot(other->snapshot, &other->state, &world->rng))
        joins = 0;
    uint64_t commit = joins ? untorn_snapshot_commit(other->snapshot) : UNTORN_NEWEST;
    untorn_status status =
        untorn_snapshot_open(world->reader.reader, NULL, 0, commit, &kept->snapshot);
    // Without pins a snapshot may outlast what is needed to join it.
    if (joins && world->flags & UNTORN_READ_NO_CONTROL && status == UNTORN_E_NO_COMMIT)
        return;
    must_ok(status);
    if (joins)
        must(untorn_snapshot_commit(kept->snapshot) == commit, "the commit that was asked for");
    model_copy(&kept->state, joins ? &other->state : &world->script.committed);
    world->taken++;
}

static void look_at_snapshots(struct world *world) {
    struct kept *kept = &world->kept[rng_below(&world->rng, KEPT)];
    if (!kept->snapshot)
        take(world, kept);
    else if (rng_chance(&world->rng, 15))
        drop(kept);
    if (kept->snapshot)
        recheck(world, kept);
}

static void look(struct world *world) {
    const struct model_state *state = &world->script.committed;
    switch (rng_below(&world->rng, 8)) {
    case 0:
        model_check_all(&world->reader, state, &world->rng);
        break;
    case 1:
        model_check_group(&world->reader, state, &world->rng);
        break;
    case 2:
    case 3:
        look_at_snapshots(world);
        break;
    default:
        model_check_some(&world->reader, state, &world->rng);
    }
}

// Within a transaction nothing of it is to be seen.
static void look_between(void *argument) {
    struct world *world = argument;
    if (rng_chance(&world->rng, 20))
        look(world);
}

static void one_transaction(struct world *world, uint64_t number) {
    struct script *script = &world->script;
    enum script_wish wish = script_run(script, number, rng_next(&world->rng));
    if (wish == SCRIPT_COMMIT && script_commit(script))
        return;
    world->no_space += wish != SCRIPT_ABORT;
    script_abort(script);
}

static void drop_all(struct world *world) {
    for (unsigned i = 0; i < KEPT; i++)
        if (world->kept[i].snapshot)
            drop(&world->kept[i]);
}

static void begin(struct world *world, const char *name, uint64_t seed) {
    *world = (struct world){.segment = test_segment(name), .rng = {seed}};
    script_begin(&world->script, NULL);
    open_writer(world, 2 + (unsigned)rng_below(&world->rng, 3));
    world->script.between = look_between;
    world->script.argument = world;
    model_reader_open(&world->reader, world->segment, 0);
}

static void end(struct world *world) {
    drop_all(world);
    model_reader_close(&world->reader);
    untorn_writer_close(world->writer);
    script_end(&world->script);
    must_ok(untorn_segment_remove(world->segment));
    must(test_segment_files(world->segment) == 0, "files are left");
}

static void P1_P2_everything_read_is_what_the_model_says(void **state) {
    (void)state;
    struct world world;
    uint64_t transactions = test_count(60000);
    begin(&world, "differential", test_seed());
    for (uint64_t i = 1; i <= transactions; i++) {
        one_transaction(&world, i);
        look(&world);
        if (rng_below(&world.rng, 400) == 0) { // closed and adopted
            untorn_writer_close(world.writer);
            model_check_all(&world.reader, &world.script.committed, &world.rng);
            open_writer(&world, 4);
            must(untorn_writer_adopted(world.writer), "adopted");
        }
        if (rng_below(&world.rng, 1000) == 0) {
            drop_all(&world);
            world.reads += world.reader.reads;
            model_reader_close(&world.reader);
            world.flags = rng_chance(&world.rng, 50) ? UNTORN_READ_NO_CONTROL : 0;
            model_reader_open(&world.reader, world.segment, world.flags);
        }
    }
    model_check_all(&world.reader, &world.script.committed, &world.rng);
    print_message("%llu transactions, %llu operations, %llu reads, %llu snapshots, %llu of them "
                  "overtaken, %llu times no space\n",
                  (unsigned long long)transactions, (unsigned long long)world.script.operations,
                  (unsigned long long)(world.reads + world.reader.reads),
                  (unsigned long long)world.taken, (unsigned long long)world.overtaken,
                  (unsigned long long)world.no_space);
    must(world.lost == 0, "%llu pins were lost", (unsigned long long)world.lost);
    must(world.no_space * 10 <= transactions, "out of space too often for the test to mean much");
    end(&world);
}

// Revocation, reuse and lack of space all the time: a segment that just holds the data.
static void P9_a_full_segment_keeps_what_was_committed(void **state) {
    (void)state;
    struct world world = {.segment = test_segment("cramped"), .rng = {test_seed() + 1}};
    uint64_t transactions = test_count(20000);
    script_begin(&world.script, NULL);
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 1u << 20;
    options.versions = 2;
    must_ok(untorn_writer_open(world.segment, &options, &world.writer));
    script_set_writer(&world.script, world.writer);
    model_reader_open(&world.reader, world.segment, 0);
    for (uint64_t i = 1; i <= transactions; i++) {
        one_transaction(&world, i);
        look(&world);
        look_at_snapshots(&world);
    }
    model_check_all(&world.reader, &world.script.committed, &world.rng);
    print_message("%llu transactions, %llu snapshots, %llu overtaken, %llu times no space\n",
                  (unsigned long long)transactions, (unsigned long long)world.taken,
                  (unsigned long long)world.overtaken, (unsigned long long)world.no_space);
    end(&world);
}

/* ---- two processes ---- */

#define MAX_TRANSACTIONS 16000000u

enum outcome { NOTHING, COMMITTING, COMMITTED, ABORTED };

// What the writers tell the parent, in memory that they share.
struct board {
    _Atomic uint64_t last_commit;
    _Atomic unsigned char outcomes[MAX_TRANSACTIONS];
};

struct follower {
    const char *segment;
    uint64_t seed;
    uint64_t next;  // the first transaction that the model has not followed
    uint64_t shown; // the last one that a snapshot showed
    struct script script;
    struct board *board;
    struct model_reader reader;
    struct test_rng rng;
    uint64_t checked;
};

static uint64_t seed_of(const struct follower *follower, uint64_t number) {
    return test_mix(follower->seed ^ (number * 0x9e3779b97f4a7c15u));
}

// The writer: the parent's model is its own by the fork, and it goes on from there until killed.
static int write_until_killed(void *argument, int report, int orders) {
    struct follower *follower = argument;
    struct script *script = &follower->script;
    untorn_writer *writer = NULL;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = SIZE;
    (void)orders;
    must_ok(untorn_writer_open(follower->segment, &options, &writer));
    script_set_writer(script, writer);
    test_send(report, 1);
    for (uint64_t i = follower->next; i < MAX_TRANSACTIONS; i++) {
        enum script_wish wish = script_run(script, i, seed_of(follower, i));
        if (wish == SCRIPT_COMMIT)
            follower->board->outcomes[i] = COMMITTING;
        if (wish == SCRIPT_COMMIT && script_commit(script)) {
            follower->board->outcomes[i] = COMMITTED;
            continue;
        }
        script_abort(script);
        follower->board->outcomes[i] = ABORTED;
    }
    return 0;
}

// Bring the model to the state after transaction `number`.
static void follow_to(struct follower *follower, uint64_t number) {
    must(follower->shown <= number, "state %llu was seen after %llu", (unsigned long long)number,
         (unsigned long long)follower->shown);
    follower->shown = number;
    while (follower->next <= number) {
        uint64_t i = follower->next++;
        int outcome = follower->board->outcomes[i];
        must(outcome != NOTHING, "transaction %llu was seen before it began",
             (unsigned long long)i);
        if (outcome != ABORTED)
            script_follow(&follower->script, i, seed_of(follower, i));
    }
}

// One snapshot of everything, whichever commit it is of.
static void check_now(struct follower *follower, untorn_snapshot **kept,
                      struct model_state *kept_state) {
    untorn_snapshot *snapshot = NULL;
    untorn_status status =
        untorn_snapshot_open(follower->reader.reader, NULL, 0, UNTORN_NEWEST, &snapshot);
    if (status == UNTORN_E_OVERTAKEN)
        return;
    must_ok(status);
    uint64_t number = 0;
    int found = model_snapshot_marker(snapshot, &number);
    if (found < 0) {
        untorn_snapshot_close(snapshot);
        return;
    }
    if (found)
        follow_to(follower, number);
    if (model_check_snapshot(snapshot, &follower->script.committed, &follower->rng))
        follower->checked++;
    if (*kept && rng_chance(&follower->rng, 80)) {
        untorn_snapshot_close(snapshot);
        return;
    }
    if (*kept) {
        untorn_snapshot_close(*kept);
        model_free(kept_state);
    }
    *kept = snapshot;
    model_copy(kept_state, &follower->script.committed);
}

// The last transaction that was committed, or may have been.  What was shown was committed.
static void bounds(const struct follower *follower, uint64_t *committed, uint64_t *possible) {
    *committed = *possible = follower->shown;
    for (uint64_t i = follower->shown + 1; i < MAX_TRANSACTIONS; i++) {
        int outcome = follower->board->outcomes[i];
        if (outcome == NOTHING)
            return;
        if (outcome == COMMITTED)
            *committed = *possible = i;
        if (outcome == COMMITTING)
            *possible = i;
    }
}

// With the writer dead: what it committed is there; what it was committing may be.
static void check_after_death(struct follower *follower) {
    untorn_snapshot *snapshot = NULL;
    uint64_t number = 0;
    uint64_t committed;
    uint64_t possible;
    bounds(follower, &committed, &possible);
    must_ok(untorn_snapshot_open(follower->reader.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    must(model_snapshot_marker(snapshot, &number) >= 0, "overtaken by a dead writer");
    must(number >= committed && number <= possible,
         "transaction %llu is the last; %llu was committed, %llu was begun",
         (unsigned long long)number, (unsigned long long)committed, (unsigned long long)possible);
    if (number)
        follow_to(follower, number);
    must(model_check_snapshot(snapshot, &follower->script.committed, &follower->rng),
         "overtaken by a dead writer");
    untorn_snapshot_close(snapshot);
}

// Open and close a writer, so that what a dead one was committing is settled.
static void settle(struct follower *follower) {
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(follower->segment, NULL, &writer));
    must(untorn_writer_adopted(writer), "adopted");
    check_after_death(follower);
    // From here on it is decided: the next writer begins after it.
    uint64_t committed;
    uint64_t possible;
    bounds(follower, &committed, &possible);
    if (possible >= follower->next) {
        follower->board->outcomes[possible] = ABORTED;
        follower->next = possible + 1;
    } else if (possible > committed) {
        follower->board->outcomes[possible] = COMMITTED;
    }
    untorn_writer_close(writer);
    model_check_all(&follower->reader, &follower->script.committed, &follower->rng);
}

static void skip_finished(struct follower *follower) {
    // Aborted ones at the end were never followed: nothing shows them.
    while (follower->board->outcomes[follower->next] == ABORTED)
        follower->next++;
}

static void P5_killed_writers_leave_what_the_model_says(void **state) {
    (void)state;
    skip_under_tsan();
    static struct follower follower;
    follower = (struct follower){.segment = test_segment("killed"),
                                 .seed = test_seed() + 2,
                                 .next = 1,
                                 .rng = {test_seed() + 3},
                                 .board = test_shared(sizeof(struct board))};
    script_begin(&follower.script, NULL);
    uint64_t lives = test_count(600);
    untorn_snapshot *kept = NULL;
    struct model_state kept_state = {0};
    uint64_t kept_good = 0;
    for (uint64_t life = 0; life < lives; life++) {
        struct test_child writer = test_child_start(write_until_killed, &follower);
        test_receive(writer.from);
        if (life == 0)
            model_reader_open(&follower.reader, follower.segment, 0);
        uint64_t looks = rng_below(&follower.rng, 12);
        for (uint64_t i = 0; i < looks || kept == NULL; i++)
            check_now(&follower, &kept, &kept_state);
        test_sleep_us(rng_below(&follower.rng, 20000));
        test_child_kill(&writer);
        check_after_death(&follower);
        settle(&follower);
        skip_finished(&follower);
        if (kept)
            kept_good += (uint64_t)model_check_snapshot(kept, &kept_state, &follower.rng);
    }
    print_message("%llu writers killed, %llu transactions, %llu snapshots right beside a writer, "
                  "%llu of %llu kept ones outlived one\n",
                  (unsigned long long)lives, (unsigned long long)follower.next - 1,
                  (unsigned long long)follower.checked, (unsigned long long)kept_good,
                  (unsigned long long)lives);
    must(kept_good * 10 >= lives * 9, "pins do not outlive writers");
    untorn_snapshot_close(kept);
    model_free(&kept_state);
    model_reader_close(&follower.reader);
    script_end(&follower.script);
    must_ok(untorn_segment_remove(follower.segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_P2_everything_read_is_what_the_model_says),
        cmocka_unit_test(P9_a_full_segment_keeps_what_was_committed),
        cmocka_unit_test(P5_killed_writers_leave_what_the_model_says),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
