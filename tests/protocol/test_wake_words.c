// SPDX-License-Identifier: MIT
/*
 * Who sleeps is woken by the commit, not by the end of its slice: on an array that has a wake word
 * in the control segment, on one that has none, on both, and until anything is committed.  The
 * writer's count of wakes in a row that woke nobody tells: it begins anew when one woke somebody.
 * A commit that nobody waits for leaves the wake words alone.  And waits that begin or end while
 * the writer counts who waits stay counted.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "array/reader.h"
#include "array/writer.h"
#include "base/test_hooks.h"
#include "segment/wait.h"

#define ARRAYS (UT_WAKE_WORDS + 8)
#define TRIES 50 // somebody else may have the processor for as long as a slice
#define FOR_EVER (-1)

enum { ON_WORD, WITHOUT_WORD, ON_EITHER, ON_ANYTHING, KINDS };

static untorn_writer *writer;
static untorn_writer_array *written[2]; // the first, and one beyond the wake words
static untorn_reader *reader;
static untorn_array *arrays[2];
static uint64_t generations[2], commit;

static void define_all(void) {
    uint64_t length = 1, value = 1;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &length;
    for (unsigned i = 0; i < ARRAYS; i++) {
        char name[16];
        untorn_writer_array *array;
        snprintf(name, sizeof name, "a%u", i);
        must_ok(untorn_define(writer, name, &definition, &array));
        must_ok(untorn_write(array, NULL, NULL, NULL, &value));
        if (i == 0)
            written[0] = array;
        written[1] = array;
    }
    must_ok(untorn_commit(writer, NULL));
}

static void begin(const char *segment) {
    char last[16];
    snprintf(last, sizeof last, "a%u", ARRAYS - 1);
    must_ok(untorn_writer_open(segment, NULL, &writer));
    define_all();
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a0", &arrays[0]));
    must_ok(untorn_array_open(reader, last, &arrays[1]));
    must(arrays[0]->index < UT_WAKE_WORDS, "the first has no word");
    must(arrays[1]->index >= UT_WAKE_WORDS, "the last has a word");
}

static void end(const char *segment) {
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

static void *wait_once(void *argument) {
    switch (*(int *)argument) {
    case ON_WORD:
        must_ok(untorn_wait(arrays[0], generations[0], FOR_EVER));
        break;
    case WITHOUT_WORD:
        must_ok(untorn_wait(arrays[1], generations[1], FOR_EVER));
        break;
    case ON_EITHER:
        must_ok(untorn_wait_any(arrays, generations, 2, FOR_EVER, NULL));
        break;
    default:
        must_ok(untorn_wait_commit(reader, commit + 1, FOR_EVER));
    }
    return NULL;
}

static uint32_t asleep(void) {
    ut_control *control = writer->segment.control;
    return (ut_load_relaxed(&control->array_waiters) & UT_WAITERS) +
           (ut_load_relaxed(&control->segment_waiters) & UT_WAITERS);
}

// Whether the commit to the array woke who waits.
static int wakes(int kind, untorn_writer_array *array) {
    pthread_t thread;
    uint64_t value = 2;
    for (int i = 0; i < 2; i++) {
        untorn_result result;
        must_ok(untorn_peek(arrays[i], &result));
        generations[i] = result.generation;
    }
    commit = untorn_reader_commit(reader);
    must(pthread_create(&thread, NULL, wait_once, &kind) == 0, "thread");
    while (asleep() == 0)
        test_sleep_us(100);
    test_sleep_us(2000); // so that it sleeps indeed
    writer->publisher.idle_wakes = 1;
    must_ok(untorn_write(array, NULL, NULL, NULL, &value));
    must_ok(untorn_commit(writer, NULL));
    int woken = writer->publisher.idle_wakes == 0;
    pthread_join(thread, NULL);
    return woken;
}

static void must_wake(int kind, untorn_writer_array *array) {
    int woken = 0;
    for (int i = 0; i < TRIES && !woken; i++)
        woken = wakes(kind, array);
    must(woken, "kind %d: nobody is ever woken", kind);
}

static int can_sleep_on_several(void) {
#ifdef SYS_futex_waitv
    return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno != ENOSYS;
#else
    return 0;
#endif
}

static void every_sleeper_is_woken(void **state) {
    (void)state;
    const char *segment = test_segment("woken");
    begin(segment);
    must_wake(ON_WORD, written[0]);
    must_wake(WITHOUT_WORD, written[1]);
    must_wake(ON_ANYTHING, written[0]);
    must_wake(ON_ANYTHING, written[1]);
    if (can_sleep_on_several()) {
        must_wake(ON_EITHER, written[0]);
        must_wake(ON_EITHER, written[1]);
    }
    end(segment);
}

static void a_commit_without_sleepers_leaves_the_words_alone(void **state) {
    (void)state;
    const char *segment = test_segment("alone");
    uint64_t value = 3;
    begin(segment);
    ut_control *control = writer->segment.control;
    uint32_t index = arrays[0]->index;
    uint32_t array_word = ut_load_relaxed(&control->array_wakes[index]);
    uint32_t segment_word = ut_load_relaxed(&control->segment_wakes);
    must_ok(untorn_write(written[0], NULL, NULL, NULL, &value));
    must_ok(untorn_commit(writer, NULL));
    must(ut_load_relaxed(&control->array_wakes[index]) == array_word, "an array's word");
    must(ut_load_relaxed(&control->segment_wakes) == segment_word, "the segment's word");
    end(segment);
}

static ut_waiter waiter;
static uint32_t kind_of_wait; // as in a line's flag

static void begin_waiting(void) {
    ut_wait_begin(&waiter, reader->segment, ut_line_take(&reader->lines), kind_of_wait);
}

static void end_waiting(void) {
    uint32_t line = waiter.line;
    ut_wait_end(&waiter);
    ut_line_give(&reader->lines, line);
}

static void one_leaves_and_one_comes(const char *step) {
    if (strcmp(step, "waiters are counted next") == 0)
        end_waiting();
    if (strcmp(step, "waiters counted") == 0)
        begin_waiting();
}

// Their number is the same before and after, but the one that is counted is not the one that waits.
static void who_comes_when_another_leaves_is_counted(void **state) {
    (void)state;
    const char *segment = test_segment("comes");
    begin(segment);
    for (kind_of_wait = 1; kind_of_wait <= 2; kind_of_wait++) {
        begin_waiting();
        ut_step_hook = one_leaves_and_one_comes;
        ut_grants_count_waiters(&writer->publisher);
        ut_step_hook = NULL;
        must(asleep() == 1, "kind %u: %u are counted", kind_of_wait, asleep());
        end_waiting();
        must(asleep() == 0, "kind %u: %u are left", kind_of_wait, asleep());
    }
    end(segment);
}

static void count_meanwhile(const char *step) {
    if (strcmp(step, "waiter leaves") != 0)
        return;
    ut_step_hook = NULL;
    ut_grants_count_waiters(&writer->publisher);
}

// Were it left out too early, the next one would make the count 0, and sleep through each commit.
static void who_is_about_to_leave_is_not_missed(void **state) {
    (void)state;
    const char *segment = test_segment("leaves");
    begin(segment);
    for (kind_of_wait = 1; kind_of_wait <= 2; kind_of_wait++) {
        begin_waiting();
        ut_step_hook = count_meanwhile;
        end_waiting();
        must(ut_step_hook == NULL, "nothing was counted meanwhile");
        begin_waiting();
        must(asleep() != 0, "kind %u: it sleeps and is not counted", kind_of_wait);
        end_waiting();
        ut_grants_count_waiters(&writer->publisher);
        must(asleep() == 0, "kind %u: %u are left", kind_of_wait, asleep());
    }
    end(segment);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sleeper_is_woken),
        cmocka_unit_test(a_commit_without_sleepers_leaves_the_words_alone),
        cmocka_unit_test(who_comes_when_another_leaves_is_counted),
        cmocka_unit_test(who_is_about_to_leave_is_not_missed),
    };
    return cmocka_run_group_tests_name("wake words", tests, NULL, NULL);
}
