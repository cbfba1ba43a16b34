// SPDX-License-Identifier: MIT
/*
 * One writer at a time: the second is told which process the first is; of several
 * that would take over at once exactly one does; and neither a forked writer's nor a
 * forked reader's child keeps the place of a dead one, or does harm with what it
 * inherited.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/ledger.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

static int write_and_hold(void *argument, int report, int orders) {
    struct ledger_writer writer;
    uint64_t word;
    ledger_open(&writer, argument);
    ledger_commit(&writer);
    test_send(report, 1);
    test_receive_maybe(orders, &word);
    ledger_close(&writer);
    return 0;
}

static void a_second_writer_is_told_who_is_first(void **state) {
    (void)state;
    skip_under_tsan();
    struct ledger *ledger = test_shared(sizeof *ledger);
    ledger->segment = test_segment("second");
    struct test_child first = test_child_start(write_and_hold, ledger);
    test_receive(first.from);
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)first.pid);
    untorn_writer *second = NULL;
    must_say(UNTORN_E_BUSY, pid, untorn_writer_open(ledger->segment, NULL, &second));
    must_say(UNTORN_E_BUSY, ledger->segment, untorn_segment_remove(ledger->segment));
    must(second == NULL, "a writer all the same");
    test_send(first.to, 0);
    test_child_finish(&first);
    must_ok(untorn_writer_open(ledger->segment, NULL, &second));
    must(untorn_writer_adopted(second), "adopted");
    untorn_writer *third = NULL; // in the same process, too
    must_be(UNTORN_E_BUSY, untorn_writer_open(ledger->segment, NULL, &third));
    untorn_writer_close(second);
    must_ok(untorn_segment_remove(ledger->segment));
}

/* ---- races ---- */

struct race {
    struct ledger ledger;
    _Atomic int go;
    _Atomic int won;
    _Atomic int lost;
    _Atomic int release;
};

static int race_for_it(void *argument, int report, int orders) {
    struct race *race = argument;
    untorn_writer *writer = NULL;
    (void)orders;
    test_send(report, 1);
    while (!race->go)
        ;
    untorn_status status = untorn_writer_open(race->ledger.segment, NULL, &writer);
    if (status == UNTORN_E_BUSY) {
        race->lost++;
        return 0;
    }
    must_ok(status);
    race->won++;
    while (!race->release)
        test_sleep_us(100);
    untorn_writer_close(writer);
    return 0;
}

static void run_race(struct race *race) {
    enum { RUNNERS = 3 };
    struct test_child runners[RUNNERS];
    race->go = race->won = race->lost = race->release = 0;
    for (int i = 0; i < RUNNERS; i++) {
        runners[i] = test_child_start(race_for_it, race);
        test_receive(runners[i].from);
    }
    race->go = 1;
    for (int naps = 0; race->won + race->lost < RUNNERS; naps++) {
        must(naps < TEST_HUNG * 2000, "the race does not end: %d won, %d lost", race->won,
             race->lost);
        test_sleep_us(500);
    }
    must(race->won == 1, "%d of them became the writer", race->won);
    race->release = 1;
    for (int i = 0; i < RUNNERS; i++)
        test_child_finish(&runners[i]);
}

static void of_racing_creators_one_wins(void **state) {
    (void)state;
    skip_under_tsan();
    struct race *race = test_shared(sizeof *race);
    race->ledger.segment = test_segment("creators");
    for (uint64_t i = test_count(200); i > 0; i--) {
        run_race(race);
        must_ok(untorn_segment_remove(race->ledger.segment));
        must(test_segment_files(race->ledger.segment) == 0, "files are left");
    }
}

static void P5_of_racing_adopters_one_wins(void **state) {
    (void)state;
    skip_under_tsan();
    struct race *race = test_shared(sizeof *race);
    race->ledger.segment = test_segment("adopters");
    for (uint64_t i = test_count(200); i > 0; i--) {
        struct test_child first = test_child_start(write_and_hold, &race->ledger);
        test_receive(first.from);
        test_child_kill(&first);
        run_race(race);
    }
    struct ledger_reader reader;
    ledger_attach(&reader, &race->ledger, 0);
    must(ledger_check(&reader), "overtaken");
    ledger_detach(&reader);
    must_ok(untorn_segment_remove(race->ledger.segment));
}

/* ---- forks ---- */

// Every call on an inherited writer says so, and none does anything.
static void try_inherited_writer(struct ledger_writer *w) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    uint64_t one = 1;
    void *memory = NULL;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &one;
    must_be(UNTORN_E_FORKED, untorn_define(w->writer, "x", &definition, &array));
    must_be(UNTORN_E_FORKED, untorn_require(w->writer, "log", &definition, &array));
    must_be(UNTORN_E_FORKED, untorn_writer_array_open(w->writer, "log", &array));
    must_be(UNTORN_E_FORKED, untorn_delete(w->writer, "log"));
    must_be(UNTORN_E_FORKED, untorn_write(w->log, NULL, NULL, NULL, &one));
    must_be(UNTORN_E_FORKED, untorn_append(w->log, 0, 1, NULL, &one));
    must_be(UNTORN_E_FORKED, untorn_resize(w->log, &one));
    must_be(UNTORN_E_FORKED, untorn_set_attributes(w->log, NULL));
    must_be(UNTORN_E_FORKED, untorn_set_group_attributes(w->writer, "", NULL));
    must_be(UNTORN_E_FORKED, untorn_chunk_begin(w->log, &one, 0, &memory));
    must_be(UNTORN_E_FORKED, untorn_chunk_done(w->log, &one));
    must_be(UNTORN_E_FORKED, untorn_commit(w->writer, NULL));
    untorn_abort(w->writer);
}

// A writer with an open transaction forks; its child tries everything, reports to the test and
// stays.  The writer goes on for a commit and waits to be killed.
static int write_and_fork(void *argument, int report, int orders) {
    struct ledger_writer writer;
    uint64_t word;
    ledger_open(&writer, argument);
    ledger_commit(&writer);
    uint64_t value = 7;
    must_ok(untorn_append(writer.log, 0, 1, NULL, &value)); // open, and never to be committed
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        try_inherited_writer(&writer);
        untorn_writer_close(writer.writer);
        test_send(report, (uint64_t)getpid());
        test_receive_maybe(orders, &word); // outlives the writer: ends when the test ends it
        _exit(0);
    }
    untorn_abort(writer.writer);
    test_sleep_us(1000);
    ledger_commit(&writer); // the child took nothing from it
    test_send(report, 0);
    pause();
    return 0;
}

static void a_writers_forked_child_does_not_keep_its_place(void **state) {
    (void)state;
    skip_under_tsan();
    for (uint64_t i = test_count(60); i > 0; i--) {
        struct ledger *ledger = test_shared(sizeof *ledger);
        ledger->segment = test_segment("forked");
        struct test_child writer = test_child_start(write_and_fork, ledger);
        uint64_t first = test_receive(writer.from);
        uint64_t second = test_receive(writer.from);
        pid_t grandchild = (pid_t)(first + second); // one of them is 0
        struct ledger_reader reader;
        ledger_attach(&reader, ledger, 0);
        int raw;
        kill(writer.pid, SIGKILL);
        while (waitpid(writer.pid, &raw, 0) < 0 && errno == EINTR)
            ;
        must(kill(grandchild, 0) == 0, "the grandchild is gone");
        untorn_status status = untorn_reader_check(reader.reader);
        must(status == UNTORN_E_WRITER_DIED, "the writer died, but: %d %s", (int)status,
             untorn_message());
        struct ledger_writer next;
        ledger_open(&next, ledger);
        ledger_commit(&next);
        must(ledger_check(&reader), "overtaken");
        ledger_close(&next);
        kill(grandchild, SIGKILL);
        close(writer.from);
        close(writer.to);
        ledger_detach(&reader);
        must_ok(untorn_segment_remove(ledger->segment));
    }
}

struct inheritance {
    struct ledger ledger;
    struct ledger_reader reader;
    untorn_snapshot *snapshot;
};

// The child of a process with a reader: reads on, and takes and keeps snapshots of its own.
static int read_inherited(void *argument, int report, int orders) {
    struct inheritance *inheritance = argument;
    struct ledger_reader own = inheritance->reader; // what was seen is each one's own
    must(ledger_check(&own), "overtaken");
    must(ledger_check_snapshot(&own), "overtaken");
    untorn_snapshot *snapshot = NULL;
    uint64_t before = 0;
    uint64_t after = 0;
    must_ok(untorn_snapshot_open(own.reader, &own.arrays[0], 1, UNTORN_NEWEST, &snapshot));
    must_ok(untorn_snapshot_read(snapshot, 0, NULL, NULL, &before, sizeof before));
    test_send(report, 1);
    test_receive(orders); // many commits later
    must_ok(untorn_snapshot_read(snapshot, 0, NULL, NULL, &after, sizeof after));
    must(before == after, "TORN: a forked reader's snapshot changed");
    untorn_snapshot_close(snapshot);
    for (int i = 0; i < 50; i++)
        must(ledger_check(&own), "overtaken");
    ledger_detach(&own);
    return 0;
}

static void a_readers_forked_child_reads_on(void **state) {
    (void)state;
    skip_under_tsan();
    struct inheritance *inheritance = test_shared(sizeof *inheritance);
    struct ledger_writer writer;
    inheritance->ledger.segment = test_segment("inherit");
    ledger_open(&writer, &inheritance->ledger);
    ledger_attach(&inheritance->reader, &inheritance->ledger, 0);
    must_ok(untorn_snapshot_open(inheritance->reader.reader, NULL, 0, UNTORN_NEWEST,
                                 &inheritance->snapshot));
    struct test_child children[2];
    for (int i = 0; i < 2; i++) {
        // Each has the reader as it is now; the test's own goes on beside them.
        children[i] = test_child_start(read_inherited, inheritance);
        test_receive(children[i].from);
    }
    for (int i = 0; i < 500; i++)
        ledger_commit(&writer);
    must_ok(untorn_snapshot_check(inheritance->snapshot));
    for (int i = 0; i < 2; i++)
        test_send(children[i].to, 1);
    for (int i = 0; i < 200; i++)
        ledger_commit(&writer);
    for (int i = 0; i < 2; i++)
        test_child_finish(&children[i]);
    // The children's ends took neither the parent's place nor its pin.
    for (int i = 0; i < 200; i++)
        ledger_commit(&writer);
    must_ok(untorn_snapshot_check(inheritance->snapshot));
    must(ledger_check_snapshot(&inheritance->reader), "overtaken");
    untorn_snapshot_close(inheritance->snapshot);
    ledger_detach(&inheritance->reader);
    ledger_close(&writer);
    must_ok(untorn_segment_remove(inheritance->ledger.segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_writer_is_told_who_is_first),
        cmocka_unit_test(of_racing_creators_one_wins),
        cmocka_unit_test(P5_of_racing_adopters_one_wins),
        cmocka_unit_test(a_writers_forked_child_does_not_keep_its_place),
        cmocka_unit_test(a_readers_forked_child_reads_on),
    };
    return cmocka_run_group_tests_name("exclusion", tests, NULL, NULL);
}
