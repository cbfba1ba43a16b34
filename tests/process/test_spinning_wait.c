// SPDX-License-Identifier: MIT
/*
 * Waits of a reader that spins (untorn_reader_options.spin): they see every commit, are
 * not counted among the sleeping, so that a commit makes no system call for them, end in time, go
 * to sleep when they have spun long enough, and learn that the writer closed or died.  A
 * program that was built before there was the option gets waits that sleep.
 */
#include <string.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"
#include "base/test_hooks.h"

#define MILLISECOND INT64_C(1000000)
#define FOR_EVER (-1)
#define TURNS 1000

enum { SPUN = 1, SLEPT = 2, RETURNED = 3 }; // what a child reports

static untorn_writer_array *begin(const char *segment, untorn_writer **writer) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t length = 1, value = 1;
    untorn_writer_array *array;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &length;
    must_ok(untorn_writer_open(segment, NULL, writer));
    must_ok(untorn_define(*writer, "word", &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, &value));
    must_ok(untorn_commit(*writer, NULL));
    return array;
}

static void commit(untorn_writer *writer, untorn_writer_array *array, uint64_t value) {
    must_ok(untorn_write(array, NULL, NULL, NULL, &value));
    must_ok(untorn_commit(writer, NULL));
}

static untorn_array *open_reader(const char *segment, int64_t spin, untorn_reader **reader) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    untorn_array *array;
    options.spin = spin;
    must_ok(untorn_reader_open(segment, &options, reader));
    must_ok(untorn_array_open(*reader, "word", &array));
    return array;
}

static unsigned asleep(const char *segment) {
    untorn_inspection *inspection;
    untorn_segment_state state;
    must_ok(untorn_inspect_open(segment, 0, &inspection));
    must_ok(untorn_inspect_segment(inspection, &state));
    untorn_inspect_close(inspection);
    return state.waiting;
}

/* ---- a child that waits ---- */

static int report_to;
static unsigned spins, sleeps;

/* Report the first spin and the first sleep. */
static void on_step(const char *step) {
    if (strcmp(step, "spin begins") == 0 && spins++ == 0)
        test_send(report_to, SPUN);
    if (strcmp(step, "sleep begins") == 0 && sleeps++ == 0)
        test_send(report_to, SLEPT);
}

struct wait {
    const char *segment;
    int64_t spin;
    untorn_status status; // that the wait ends with
};

static int wait_in_child(void *argument, int report, int orders) {
    struct wait *wait = argument;
    untorn_reader *reader;
    untorn_result result;
    (void)orders;
    untorn_array *array = open_reader(wait->segment, wait->spin, &reader);
    must_ok(untorn_peek(array, &result));
    report_to = report;
    ut_step_hook = on_step;
    must_be(wait->status, untorn_wait(array, result.generation, FOR_EVER));
    ut_step_hook = NULL;
    test_send(report, RETURNED);
    untorn_reader_close(reader);
    return 0;
}

static void who_spins_is_not_asleep(void **state) {
    (void)state;
    const char *segment = test_segment("spins");
    struct wait wait = {segment, INT64_MAX, UNTORN_OK};
    untorn_writer *writer;
    untorn_writer_array *array = begin(segment, &writer);
    struct test_child child = test_child_start(wait_in_child, &wait);
    must(test_receive(child.from) == SPUN, "it slept first");
    must(asleep(segment) == 0, "one who spins is counted as asleep");
    commit(writer, array, 2);
    must(test_receive(child.from) == RETURNED, "it slept");
    test_child_finish(&child);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

static void who_has_spun_long_enough_sleeps(void **state) {
    (void)state;
    const char *segment = test_segment("then-sleeps");
    struct wait wait = {segment, MILLISECOND, UNTORN_OK};
    untorn_writer *writer;
    untorn_writer_array *array = begin(segment, &writer);
    struct test_child child = test_child_start(wait_in_child, &wait);
    must(test_receive(child.from) == SPUN, "it slept first");
    must(test_receive(child.from) == SLEPT, "it returned before anything came");
    must(asleep(segment) == 1, "the one who sleeps is not counted");
    commit(writer, array, 2);
    must(test_receive(child.from) == RETURNED, "what it reports is something else");
    test_child_finish(&child);
    must(asleep(segment) == 0, "it is still counted");
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

static int write_in_child(void *argument, int report, int orders) {
    untorn_writer *writer;
    begin(argument, &writer);
    test_send(report, 1);
    test_receive(orders);
    untorn_writer_close(writer);
    return 0;
}

static void who_spins_learns_that_the_writer_is_gone(void **state) {
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        const char *segment = test_segment(dies ? "dies" : "closes");
        struct wait wait = {segment, INT64_MAX,
                            dies ? UNTORN_E_WRITER_DIED : UNTORN_E_WRITER_CLOSED};
        struct test_child writer = test_child_start(write_in_child, (void *)(uintptr_t)segment);
        test_receive(writer.from);
        struct test_child reader = test_child_start(wait_in_child, &wait);
        must(test_receive(reader.from) == SPUN, "it slept first");
        if (dies) {
            test_child_kill(&writer);
        } else {
            test_send(writer.to, 1);
            test_child_finish(&writer);
        }
        must(test_receive(reader.from) == RETURNED, "it slept");
        test_child_finish(&reader);
        must_ok(untorn_segment_remove(segment));
    }
}

/* ---- many commits ---- */

struct match {
    const char *segment;
    uint64_t rounds;
};

/* Sees value i + 2 in round i, since the writer waits for each round to be seen. */
static int follow_in_child(void *argument, int report, int orders) {
    struct match *match = argument;
    untorn_reader *reader;
    untorn_result result;
    (void)orders;
    untorn_array *array = open_reader(match->segment, INT64_MAX, &reader);
    must_ok(untorn_peek(array, &result));
    for (uint64_t i = 0; i < match->rounds; i++) {
        uint64_t value, commit_before = untorn_reader_commit(reader);
        must(commit_before == result.commit, "a commit came unasked");
        test_send(report, i);
        if (i % 2 == 0)
            must_ok(untorn_wait(array, result.generation, FOR_EVER));
        else
            must_ok(untorn_wait_commit(reader, commit_before + 1, FOR_EVER));
        must_ok(untorn_read(array, NULL, NULL, &value, sizeof(value), &result));
        must(value == i + 2, "round %lu reads %lu", (unsigned long)i, (unsigned long)value);
    }
    untorn_reader_close(reader);
    return 0;
}

static void every_commit_ends_a_spin(void **state) {
    (void)state;
    struct match match = {test_segment("follow"), test_count(2000)};
    untorn_writer *writer;
    untorn_writer_array *array = begin(match.segment, &writer);
    struct test_child child = test_child_start(follow_in_child, &match);
    for (uint64_t i = 0; i < match.rounds; i++) {
        must(test_receive(child.from) == i, "rounds out of step");
        commit(writer, array, i + 2);
    }
    test_child_finish(&child);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(match.segment));
}

/* ---- ends of a spin in one process ---- */

static void count_steps(const char *step) {
    spins += strcmp(step, "spin begins") == 0;
    sleeps += strcmp(step, "sleep begins") == 0;
}

static void spinning_ends_with_the_timeout(void **state) {
    (void)state;
    const char *segment = test_segment("timeout");
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_result result;
    begin(segment, &writer);
    untorn_array *array = open_reader(segment, INT64_MAX, &reader);
    must_ok(untorn_peek(array, &result));
    spins = sleeps = 0;
    ut_step_hook = count_steps;
    must_be(UNTORN_E_TIMEOUT, untorn_wait(array, result.generation, 0));
    must(spins == 0, "a look alone spins");
    // Its time may be over before it begins, where others have the processor.
    for (int turn = 0; turn < TURNS && spins == 0; turn++)
        must_be(UNTORN_E_TIMEOUT, untorn_wait(array, result.generation, 2 * MILLISECOND));
    must(spins != 0 && sleeps == 0, "%u spins, %u sleeps", spins, sleeps);
    spins = 0;
    must_ok(untorn_wait(array, result.generation - 1, FOR_EVER));
    must(spins == 0, "it spins for what is there already");
    ut_step_hook = NULL;
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

static void options_from_before_spinning_are_taken(void **state) {
    (void)state;
    const char *segment = test_segment("older");
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_array *array;
    untorn_result result;
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    begin(segment, &writer);
    options.spin = INT64_MAX; // whatever lies behind the older structure
    options.struct_size = offsetof(untorn_reader_options, spin);
    must_ok(untorn_reader_open(segment, &options, &reader));
    must_ok(untorn_array_open(reader, "word", &array));
    must_ok(untorn_peek(array, &result));
    spins = sleeps = 0;
    ut_step_hook = count_steps;
    for (int turn = 0; turn < TURNS && sleeps == 0; turn++)
        must_be(UNTORN_E_TIMEOUT, untorn_wait(array, result.generation, 2 * MILLISECOND));
    ut_step_hook = NULL;
    must(spins == 0 && sleeps != 0, "%u spins, %u sleeps", spins, sleeps);
    untorn_reader_close(reader);
    options.struct_size--;
    must_be(UNTORN_E_ARGUMENT, untorn_reader_open(segment, &options, &reader));
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_spins_is_not_asleep),
        cmocka_unit_test(who_has_spun_long_enough_sleeps),
        cmocka_unit_test(who_spins_learns_that_the_writer_is_gone),
        cmocka_unit_test(every_commit_ends_a_spin),
        cmocka_unit_test(spinning_ends_with_the_timeout),
        cmocka_unit_test(options_from_before_spinning_are_taken),
    };
    return cmocka_run_group_tests_name("spinning waits", tests, NULL, NULL);
}
