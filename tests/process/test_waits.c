// SPDX-License-Identifier: MIT
/*
 * Waiting: for a generation, a commit, a length, an array; no wake-up is lost; and
 * who waits learns that the writer closed or died, or that the segment was removed
 * or replaced.  Nothing asserts on time: a lost wake-up shows as a hang.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"
#include "../support/stamped.h"

#define MILLISECOND 1000000
#define FOR_EVER (-1)

static const struct stamped word = {"word", 1, "u8", 0, {0}, {0}};
static const struct stamped other = {"other", 2, "u8", 1, {3}, {3}};

struct writer {
    untorn_writer *writer;
    untorn_writer_array *word;
    untorn_writer_array *other;
    untorn_writer_array *log;
};

static void open_writer(struct writer *w, const char *segment) {
    uint64_t zero = 0;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "i4";
    definition.rank = 1;
    definition.shape = &zero;
    must_ok(untorn_writer_open(segment, NULL, &w->writer));
    w->word = stamped_require(w->writer, &word);
    w->other = stamped_require(w->writer, &other);
    must_ok(untorn_require(w->writer, "log", &definition, &w->log));
    must_ok(stamped_write(w->word, &word, 1));
    must_ok(stamped_write(w->other, &other, 1));
    must_ok(untorn_commit(w->writer, NULL));
}

struct reader {
    untorn_reader *reader;
    untorn_array *word;
    untorn_array *other;
    untorn_array *log;
};

static void open_reader(struct reader *r, const char *segment, unsigned flags) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = flags;
    must_ok(untorn_reader_open(segment, &options, &r->reader));
    must_ok(untorn_array_open(r->reader, "word", &r->word));
    must_ok(untorn_array_open(r->reader, "other", &r->other));
    must_ok(untorn_array_open(r->reader, "log", &r->log));
}

static uint64_t generation_of(untorn_array *array) {
    untorn_result result;
    must_ok(untorn_peek(array, &result));
    return result.generation;
}

static void waits_time_out(void **state) {
    (void)state;
    const char *segment = test_segment("timeout");
    struct writer w;
    open_writer(&w, segment);
    for (unsigned flags = 0; flags < 2; flags++) {
        struct reader r;
        open_reader(&r, segment, flags ? UNTORN_READ_NO_CONTROL : 0);
        uint64_t generation = generation_of(r.word);
        uint64_t generations[2] = {generation, generation_of(r.other)};
        untorn_array *both[2] = {r.word, r.other};
        uint64_t commit = untorn_reader_commit(r.reader);
        untorn_array *array = NULL;
        static const int64_t timeouts[] = {0, 1000, 2 * MILLISECOND};
        for (int i = 0; i < 3; i++) {
            int64_t timeout = timeouts[i];
            must_be(UNTORN_E_TIMEOUT, untorn_wait(r.word, generation, timeout));
            must_be(UNTORN_E_TIMEOUT, untorn_wait_any(both, generations, 2, timeout, NULL));
            must_be(UNTORN_E_TIMEOUT, untorn_wait_commit(r.reader, commit + 1, timeout));
            must_be(UNTORN_E_TIMEOUT, untorn_wait_length(r.log, 0, 1, timeout));
            must_be(UNTORN_E_TIMEOUT, untorn_wait_array(r.reader, "later", timeout, &array));
            must_ok(untorn_wait(r.word, generation - 1, timeout));
            must_ok(untorn_wait_commit(r.reader, commit, timeout));
            must_ok(untorn_wait_length(r.log, 0, 0, timeout));
            must_ok(untorn_wait_array(r.reader, "word", timeout, &array));
            untorn_array_close(array);
            size_t which = 9;
            generations[1]--;
            must_ok(untorn_wait_any(both, generations, 2, timeout, &which));
            must(which == 1, "which is %zu", which);
            generations[1]++;
        }
        must_ok(untorn_reader_check(r.reader));
        untorn_reader_close(r.reader);
    }
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- ping-pong ---- */

struct match {
    const char *segments[2];
    uint64_t rounds;
    int kind; // how to wait
};

static void wait_for_round(struct match *match, struct reader *r, uint64_t round,
                           uint64_t *commit) {
    untorn_array *both[2] = {r->other, r->word};
    uint64_t generation = generation_of(r->word);
    uint64_t generations[2] = {generation_of(r->other), generation};
    uint64_t seen = 0;
    untorn_result result;
    for (;;) {
        must_ok(stamped_read(r->word, &word, &seen, &result));
        if (seen >= round)
            break;
        switch (match->kind) {
        case 0:
            must_ok(untorn_wait(r->word, result.generation, FOR_EVER));
            break;
        case 1:
            generations[1] = result.generation;
            must_ok(untorn_wait_any(both, generations, 2, FOR_EVER, NULL));
            break;
        case 2:
            *commit = result.commit;
            must_ok(untorn_wait_commit(r->reader, *commit + 1, FOR_EVER));
            break;
        default:
            must_ok(untorn_wait_length(r->log, 0, round - 1, FOR_EVER));
        }
    }
    must(seen == round, "round %llu came as %llu", (unsigned long long)round,
         (unsigned long long)seen);
}

static void play(struct match *match, int side, int report, int orders) {
    struct writer w;
    struct reader r;
    uint64_t commit = 0;
    open_writer(&w, match->segments[side]);
    test_send(report, 1);
    test_receive(orders);
    open_reader(&r, match->segments[1 - side], 0);
    for (uint64_t round = 2; round < 2 + match->rounds; round++) {
        int serves = side == 0;
        if (!serves)
            wait_for_round(match, &r, round, &commit);
        int32_t value = (int32_t)round;
        must_ok(stamped_write(w.word, &word, round));
        must_ok(untorn_append(w.log, 0, 1, NULL, &value));
        must_ok(untorn_commit(w.writer, NULL));
        if (serves)
            wait_for_round(match, &r, round, &commit);
    }
    test_send(report, 2);
    test_receive(orders); // the other side may still be reading
    untorn_reader_close(r.reader);
    untorn_writer_close(w.writer);
}

static int serve(void *argument, int report, int orders) {
    play(argument, 0, report, orders);
    return 0;
}

static int answer(void *argument, int report, int orders) {
    play(argument, 1, report, orders);
    return 0;
}

static void no_wake_up_is_lost(void **state) {
    (void)state;
    skip_under_tsan();
    for (int kind = 0; kind < 4; kind++) {
        struct match match = {.kind = kind, .rounds = test_count(kind == 0 ? 10000 : 2500)};
        match.segments[0] = test_segment("ping");
        match.segments[1] = test_segment("pong");
        struct test_child sides[2] = {test_child_start(serve, &match),
                                      test_child_start(answer, &match)};
        for (int step = 0; step < 2; step++) {
            for (int i = 0; i < 2; i++)
                test_receive(sides[i].from);
            for (int i = 0; i < 2; i++)
                test_send(sides[i].to, 1);
        }
        for (int i = 0; i < 2; i++) {
            test_child_finish(&sides[i]);
            must_ok(untorn_segment_remove(match.segments[i]));
        }
    }
}

/* ---- many waiters, one writer at full rate ---- */

struct crowd {
    const char *segment;
    uint64_t last;
    unsigned flags;
};

static int wait_for_the_last(void *argument, int report, int orders) {
    struct crowd *crowd = argument;
    struct reader r;
    uint64_t seen = 0;
    (void)orders;
    open_reader(&r, crowd->segment, crowd->flags);
    test_send(report, 1);
    while (seen < crowd->last) {
        untorn_result result;
        untorn_status status = stamped_read(r.word, &word, &seen, &result);
        if (status == UNTORN_E_OVERTAKEN && crowd->flags)
            continue;
        must_ok(status);
        if (seen < crowd->last)
            must_ok(untorn_wait(r.word, result.generation, FOR_EVER));
    }
    untorn_reader_close(r.reader);
    return 0;
}

static void every_waiter_sees_the_last_commit(void **state) {
    (void)state;
    skip_under_tsan();
    for (uint64_t i = test_count(30); i > 0; i--) {
        struct crowd crowd = {.segment = test_segment("crowd"), .last = 200};
        struct writer w;
        struct test_child children[5];
        open_writer(&w, crowd.segment);
        for (int j = 0; j < 5; j++) {
            crowd.flags = j == 4 ? UNTORN_READ_NO_CONTROL : 0;
            children[j] = test_child_start(wait_for_the_last, &crowd);
            test_receive(children[j].from);
        }
        for (uint64_t stamp = 2; stamp <= crowd.last; stamp++) {
            must_ok(stamped_write(w.word, &word, stamp));
            must_ok(untorn_commit(w.writer, NULL));
            if (stamp % 16 == 0)
                test_sleep_us(100);
        }
        for (int j = 0; j < 5; j++) // with the writer alive and silent
            test_child_finish(&children[j]);
        untorn_writer_close(w.writer);
        must_ok(untorn_segment_remove(crowd.segment));
    }
}

/* ---- what is not there yet ---- */

static int wait_for_things(void *argument, int report, int orders) {
    struct reader r;
    untorn_array *later = NULL;
    uint64_t value[3] = {0};
    (void)orders;
    open_reader(&r, argument, 0);
    test_send(report, 1);
    must_ok(untorn_wait_length(r.log, 0, 5, FOR_EVER));
    test_send(report, 2);
    must_ok(untorn_wait_array(r.reader, "later/on", FOR_EVER, &later));
    must_ok(untorn_read(later, NULL, NULL, value, sizeof value, NULL));
    must(value[0] == 9, "the array as of its definition's commit");
    uint64_t generation = generation_of(later); // while it is there: then it may go
    test_send(report, 3);
    must_be(UNTORN_E_ARRAY_DELETED, untorn_wait(later, generation, FOR_EVER));
    untorn_reader_close(r.reader);
    return 0;
}

static void waits_for_arrays_and_lengths_that_come(void **state) {
    (void)state;
    skip_under_tsan();
    const char *segment = test_segment("come");
    struct writer w;
    open_writer(&w, segment);
    struct test_child child = test_child_start(wait_for_things, (void *)(uintptr_t)segment);
    test_receive(child.from);
    for (int32_t i = 0; i < 5; i++) {
        test_sleep_us(2000);
        must_ok(untorn_append(w.log, 0, 1, NULL, &i));
        must_ok(untorn_commit(w.writer, NULL));
    }
    must(test_receive(child.from) == 2, "the length came");
    test_sleep_us(2000);
    uint64_t length = 3;
    uint64_t values[3] = {9, 9, 9};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *later = NULL;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &length;
    must_ok(untorn_define(w.writer, "later/on", &definition, &later));
    must_ok(untorn_write(later, NULL, NULL, NULL, values));
    must_ok(untorn_commit(w.writer, NULL));
    must(test_receive(child.from) == 3, "the array came");
    test_sleep_us(2000);
    must_ok(untorn_delete(w.writer, "later/on"));
    must_ok(untorn_commit(w.writer, NULL));
    test_child_finish(&child);
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- ends ---- */

// Wait for ever for what does not come; the exit status is the library's.
static int wait_for_nothing(void *argument, int report, int orders) {
    struct reader r;
    (void)orders;
    open_reader(&r, argument, 0);
    uint64_t generation = generation_of(r.word);
    test_send(report, 1);
    untorn_status status = untorn_wait(r.word, generation, FOR_EVER);
    must(untorn_reader_check(r.reader) == status, "untorn_reader_check() and the wait differ");
    untorn_reader_close(r.reader);
    return (int)status;
}

static int write_and_stay(void *argument, int report, int orders) {
    struct writer w;
    uint64_t order;
    open_writer(&w, argument);
    test_send(report, 1);
    test_receive_maybe(orders, &order);
    untorn_writer_close(w.writer);
    return 0;
}

static void waits_learn_that_the_writer_closed_or_died(void **state) {
    (void)state;
    skip_under_tsan();
    for (int dies = 0; dies < 2; dies++) {
        const char *segment = test_segment("ends");
        void *argument = (void *)(uintptr_t)segment;
        struct test_child writer = test_child_start(write_and_stay, argument);
        test_receive(writer.from);
        struct test_child waiter = test_child_start(wait_for_nothing, argument);
        test_receive(waiter.from);
        test_sleep_us(3000);
        if (dies) {
            test_child_kill(&writer);
        } else {
            test_send(writer.to, 0);
            test_child_finish(&writer);
        }
        int status = test_child_wait(&waiter);
        must(status == (int)(dies ? UNTORN_E_WRITER_DIED : UNTORN_E_WRITER_CLOSED),
             "the waiter got %d", status);
        // A newcomer learns it, too; what is there can be read.
        struct reader r;
        open_reader(&r, segment, 0);
        untorn_status wanted = dies ? UNTORN_E_WRITER_DIED : UNTORN_E_WRITER_CLOSED;
        must_be(wanted, untorn_reader_check(r.reader));
        must_be(wanted, untorn_wait(r.word, generation_of(r.word), FOR_EVER));
        must_ok(untorn_wait(r.word, generation_of(r.word) - 1, FOR_EVER));
        // And that another came.
        struct writer next;
        open_writer(&next, segment);
        must_ok(untorn_reader_check(r.reader));
        untorn_writer_close(next.writer);
        untorn_reader_close(r.reader);
        must_ok(untorn_segment_remove(segment));
    }
}

static void removed_and_replaced(void **state) {
    (void)state;
    const char *segment = test_segment("replaced");
    struct writer w;
    struct reader r;
    uint64_t stamp = 0;
    untorn_result result;
    open_writer(&w, segment);
    must_ok(stamped_write(w.word, &word, 5));
    must_ok(untorn_commit(w.writer, NULL));
    open_reader(&r, segment, 0);
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(segment));
    must_be(UNTORN_E_REMOVED, untorn_reader_check(r.reader));
    must_be(UNTORN_E_REMOVED, untorn_wait(r.word, generation_of(r.word), FOR_EVER));
    must_ok(stamped_read(r.word, &word, &stamp, &result)); // they keep what they have
    must(stamp == 5, "stamp");
    must_be(UNTORN_E_NO_SEGMENT, untorn_reader_reattach(r.reader));
    must_ok(stamped_read(r.word, &word, &stamp, &result)); // on failure it is as before
    open_writer(&w, segment);
    must(!untorn_writer_adopted(w.writer), "a new one");
    must_ok(stamped_write(w.word, &word, 77));
    must_ok(untorn_commit(w.writer, NULL));
    must_be(UNTORN_E_REPLACED, untorn_reader_check(r.reader));
    must_be(UNTORN_E_REPLACED, untorn_wait(r.word, generation_of(r.word), FOR_EVER));
    must_ok(stamped_read(r.word, &word, &stamp, &result));
    must(stamp == 5, "stamp");
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_snapshot_open(r.reader, &r.word, 1, UNTORN_NEWEST, &snapshot));
    must_ok(untorn_reader_reattach(r.reader));
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
    must_ok(stamped_read(r.word, &word, &stamp, &result)); // the handle found its array again
    must(stamp == 77, "stamp %llu", (unsigned long long)stamp);
    must_ok(untorn_reader_check(r.reader));
    untorn_writer_close(w.writer);
    untorn_reader_close(r.reader);
    must_ok(untorn_segment_remove(segment));
}

static void on_alarm(int number) {
    (void)number;
}

static int wait_through_signals(void *argument, int report, int orders) {
    struct reader r;
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 20000}, {0, 20000}};
    (void)report;
    (void)orders;
    open_reader(&r, argument, 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    must_be(UNTORN_E_INTERRUPTED, untorn_wait(r.word, generation_of(r.word), FOR_EVER));
    must_be(UNTORN_E_INTERRUPTED,
            untorn_wait_commit(r.reader, untorn_reader_commit(r.reader) + 1, FOR_EVER));
    untorn_reader_close(r.reader);
    return 0;
}

static void signals_interrupt_a_wait(void **state) {
    (void)state;
    skip_under_tsan();
    const char *segment = test_segment("signal");
    struct writer w;
    open_writer(&w, segment);
    struct test_child child = test_child_start(wait_through_signals, (void *)(uintptr_t)segment);
    test_child_finish(&child);
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_time_out),
        cmocka_unit_test(no_wake_up_is_lost),
        cmocka_unit_test(every_waiter_sees_the_last_commit),
        cmocka_unit_test(waits_for_arrays_and_lengths_that_come),
        cmocka_unit_test(waits_learn_that_the_writer_closed_or_died),
        cmocka_unit_test(removed_and_replaced),
        cmocka_unit_test(signals_interrupt_a_wait),
    };
    return cmocka_run_group_tests_name("waits", tests, NULL, NULL);
}
