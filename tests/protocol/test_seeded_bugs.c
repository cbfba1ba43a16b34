// SPDX-License-Identifier: MIT
/*
 * Mistakes on purpose: each is switched on by its number in a child process, and a
 * scenario must notice it; the same scenario must pass without it.  The numbers
 * stand in the library as UT_SEEDED(n), in its testing build only.
 *
 *   seed  what is broken                                                  trap or promise
 *   101   descriptors are not retracted, and not checked after the copy   P1
 *   102   generations above the commit counter are taken                  P1 P2
 *   103   ring slots go that a pin needs                                  3
 *   104   a nonce is granted again after its pin ended                    7
 *   105   requests are never looked at                                    3 P4
 *   106   windows are not raised before reuse                             P1 (THE RULE)
 *   107   superseded items are taken although a pin stands                P2
 *   108   a shrunk table keeps its nodes' cells                           9
 *   109   generations are stored before their descriptors                 P3
 *   110   the commit is stored before the generations                     P1
 *   111   a new writer does not take up the pins                          P5
 *   112   a new writer does not raise the windows                         4
 *   113   shrinking does not seal the chunks that it cuts                 9
 *   114   growing does not fill what becomes visible                      9
 *   115   an ack counts whatever its commit                               7
 *   116   (no acquire fence before the check: x86 cannot show it)         P1
 *   117   copies are not checked                                          P1
 *   118   (copies are kept before they passed their check: see            1 2
 *         test_trap_labels.c)
 *   119   chunks are kept over a read of the array as a single one        1 2
 *   120   a snapshot relies on a request that was for an older commit     8
 *   121   a deletion closes the window before it grants what is asked     8
 *   122   a nonce that was withdrawn is used again                        7
 *   123   a pin ends before the one that joins it is granted              8
 *   124   the catalogue steps back to a pin's commit                      P2
 *   125   counting waiters anew forgets who has just begun to wait        12
 *   126   wakes do not change the word that is slept on                   12
 *   127   a new writer grants commits at which deleted arrays existed     4
 *   128   oldest is tied to the ring                                      3
 *   129   the retained list is searched before the ring                   6
 *   130   a descriptor is cached under the generation word                11
 *   131   waits are on generation, not on a word that changes later       12
 *   132   forked children keep the locks                                  13
 *   133   pins are checked against oldest alone                           8
 *   134   the oldest pin is revoked first                                 8
 *   135   a reused header begins with generation 1 again                  10
 *   136   replaying publishes all complete descriptors of that number     5
 *   138   members of a group are each the newest                          P2
 *
 * 341 to 344 are in test_known_handles.c.  Trap 14 (holes of a tmpfs file) is
 * tests/promise/test_full_mount.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/seeded.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/schedule.h"
#include "array/reader.h"
#include "array/snapshot.h"
#include "array/writer.h"
#include "base/test_hooks.h"
#include "segment/wait.h"

/* --- scenarios out of schedules --- */

static const struct setting roomy = {4, 8u << 20, 0}, narrow = {2, 512u << 10, 1};

static void reads_and_rewrites(void) {
    try_all("read multi, read single, peek", "rewrite multi, rewrite single", &narrow);
    try_all("read multi, read group", "rewrite all", &narrow);
}

static void growing_tables(void) {
    try_all("read grow, read edge", "shrink and append, append, abort and grow", &roomy);
}

static int phase, tiles;

// First absent chunks, then one chunk, then absent ones again, each time at a step that overtakes
// the attempt.
static void empty_then_fill(const char *step) {
    static int inside;
    if (inside)
        return;
    inside = 1;
    if (phase == 0 && strcmp(step, "tile begins") == 0 && ++tiles == 3) {
        phase = 1;
        for (int i = 0; i < 300; i++) {
            world_resize(&the_world, W_MULTI, 0);
            world_resize(&the_world, W_MULTI, 8);
            world_rewrite(&the_world, W_MULTI);
            world_commit(&the_world);
        }
    } else if (phase == 1 && strcmp(step, "attempt begins") == 0) {
        phase = 2;
    } else if (phase == 2 && strcmp(step, "tile copied") == 0) {
        phase = 3;
        for (int i = 0; i < 300; i++) {
            world_resize(&the_world, W_MULTI, 0);
            world_resize(&the_world, W_MULTI, 64);
            world_write(&the_world, W_MULTI, 40, 24);
            world_commit(&the_world);
        }
    }
    inside = 0;
}

static void absent_and_single(void) {
    static const struct setting patient = {2, 512u << 10, 8}; // no pin comes in between
    try_all("read multi", "empty and fill", &narrow);
    set_up(&patient);
    for (int i = 0; i < 3; i++) {
        world_resize(&the_world, W_MULTI, 0);
        world_resize(&the_world, W_MULTI, 64);
        world_write(&the_world, W_MULTI, 40, 24);
        world_commit(&the_world);
        phase = tiles = 0;
        ut_step_hook = empty_then_fill;
        world_operations[1].run(&the_reader); // read multi
        ut_step_hook = NULL;
        must(phase == 3, "phase %d", phase);
    }
    tear_down();
}

// Cells beyond the end are written in place, but not where a longer table still has them.
static void a_table_is_cut(void) {
    set_up(&roomy);
    for (uint64_t length = 16; length <= 48; length += 16) {
        untorn_snapshot *snapshot = NULL;
        world_resize(&the_world, W_GROW, 0);
        world_append(&the_world, W_GROW, 70);
        world_commit(&the_world);
        must_ok(untorn_snapshot_open(the_reader.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
        world_resize(&the_world, W_GROW, length);
        world_commit(&the_world);
        world_append(&the_world, W_GROW, 30);
        world_commit(&the_world);
        world_check_snapshot(&the_reader, snapshot);
        untorn_snapshot_close(snapshot);
    }
    tear_down();
}

static void pinned_snapshots(void) {
    try_all("snapshot of all, snapshot of some", "rewrite all, redefine", &narrow);
}

static void groups(void) {
    try_all("read group", "rewrite single, rewrite all", &roomy);
}

// The header passes to the new array, and a handle of the old one notices.
static void a_header_is_used_again(void) {
    set_up(&roomy);
    uint32_t values[WORLD_LENGTH];
    untorn_array *array;
    must_ok(untorn_array_open(the_reader.reader, "gone", &array));
    must_ok(untorn_read(array, NULL, NULL, values, sizeof values, NULL));
    world_delete(&the_world, W_GONE);
    world_commit(&the_world);
    world_define(&the_world, W_GONE);
    world_commit(&the_world);
    must_be(UNTORN_E_ARRAY_DELETED, untorn_read(array, NULL, NULL, values, sizeof values, NULL));
    untorn_array_close(array);
    tear_down();
}

static void redefinitions(void) {
    a_header_is_used_again();
    try_all("read gone, list and open", "redefine", &narrow);
}

static void any_schedule(void) {
    operations = 60;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run_fibers(seed, &settings[seed % SETTINGS]);
}

/* --- a snapshot must last whatever comes after it was opened --- */

static untorn_snapshot *snapshot_now(uint64_t commit) {
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_snapshot_open(the_reader.reader, NULL, 0, commit, &snapshot));
    return snapshot;
}

static void must_last(untorn_snapshot *snapshot) {
    world_churn(&the_world, 80);
    world_check_snapshot(&the_reader, snapshot);
    world_churn(&the_world, 300);
    world_check_snapshot(&the_reader, snapshot);
    untorn_snapshot_close(snapshot);
}

static void snapshots_last(void) {
    set_up(&narrow);
    world_churn(&the_world, 40);
    must_last(snapshot_now(UNTORN_NEWEST));
    tear_down();
}

static uint64_t at_count, at;
static untorn_snapshot *opened;

static void churn_in_step(const char *step) {
    world_step(step);
    if (at_count++ != at)
        return;
    ut_step_hook = NULL;
    for (int i = 0; i < 20; i++) { // what the snapshot is not of goes further than what it is of
        world_rewrite(&the_world, W_SINGLE);
        world_commit(&the_world);
    }
}

// The writer commits between any two steps of the opening, and is idle until it is open.
static void opening_is_overtaken(void) {
    for (at = 0; at < 40; at++) {
        set_up(at % 2 ? &roomy : &narrow);
        world_churn(&the_world, 20);
        at_count = 0;
        ut_step_hook = churn_in_step;
        untorn_array *arrays[] = {the_reader.array[W_EDGE], the_reader.array[W_MULTI]};
        untorn_snapshot *snapshot = NULL;
        must_ok(untorn_snapshot_open(the_reader.reader, arrays, 2, UNTORN_NEWEST, &snapshot));
        ut_step_hook = NULL;
        must_last(snapshot);
        tear_down();
    }
}

// The writer grants another commit than was asked for: the snapshot may end, but not lie.
static void a_refused_commit(void) {
    set_up(&roomy);
    uint64_t commit = untorn_writer_commit(the_world.writer);
    world_churn(&the_world, 3);
    the_world.writer->publisher.reach = untorn_writer_commit(the_world.writer);
    untorn_snapshot *snapshot = snapshot_now(commit);
    the_world.tight = 1;
    world_churn(&the_world, 300);
    world_check_snapshot(&the_reader, snapshot);
    must(the_world.overtaken > 0, "it cannot be valid");
    untorn_snapshot_close(snapshot);
    tear_down();
}

static void open_in_step(const char *step) {
    world_step(step);
    if (at_count++ != at)
        return;
    ut_step_hook = NULL;
    opened = snapshot_now(UNTORN_NEWEST);
    must_ok(untorn_snapshot_check(opened));
    ut_step_hook = open_in_step;
}

// It is opened in any step of the writer that deletes.
static void opening_meets_a_deletion(void) {
    for (at = 0; at < 60; at++) {
        set_up(&narrow);
        world_churn(&the_world, 20);
        opened = NULL;
        at_count = 0;
        ut_step_hook = open_in_step;
        world_delete(&the_world, W_GONE);
        world_commit(&the_world);
        ut_step_hook = NULL;
        if (opened != NULL) {
            world_check_snapshot(&the_reader, opened);
            world_define(&the_world, W_GONE);
            must_last(opened);
        }
        tear_down();
    }
}

static untorn_snapshot *closing;

static void reopen_at_request(const char *step) {
    if (strcmp(step, "request seen") != 0 || closing == NULL)
        return;
    ut_step_hook = NULL;
    untorn_snapshot_close(closing);
    closing = NULL;
    opened = snapshot_now(UNTORN_NEWEST);
}

// The writer has read a request; it is withdrawn, and another posted, before it is granted.
static void a_request_is_withdrawn(void) {
    set_up(&roomy);
    uint64_t old = untorn_writer_commit(the_world.writer);
    world_churn(&the_world, 3);
    closing = snapshot_now(old);
    ut_step_hook = reopen_at_request;
    world_churn(&the_world, 1);
    ut_step_hook = NULL;
    must(closing == NULL, "the request was not seen");
    must_last(opened);
    tear_down();
}

// Two readers, in either order of their lines: the second joins, the first leaves, and the writer
// sees both at once.
static void a_pin_is_handed_over(void) {
    for (int turned = 0; turned < 2; turned++) {
        struct world_reader other;
        set_up(&narrow);
        world_reader_begin(&other, &the_world, 0, 0);
        struct world_reader *giver = turned ? &other : &the_reader;
        struct world_reader *taker = turned ? &the_reader : &other;
        untorn_snapshot *first = NULL, *second = NULL, *third = NULL;
        must_ok(untorn_snapshot_open(the_reader.reader, NULL, 0, UNTORN_NEWEST, &second));
        must_ok(untorn_snapshot_open(other.reader, NULL, 0, UNTORN_NEWEST, &third));
        untorn_snapshot_close(second); // now each has a line
        untorn_snapshot_close(third);
        must_ok(untorn_snapshot_open(giver->reader, NULL, 0, UNTORN_NEWEST, &first));
        uint64_t commit = untorn_snapshot_commit(first);
        world_churn(&the_world, 80);
        must_ok(untorn_snapshot_open(taker->reader, NULL, 0, commit, &second));
        untorn_snapshot_close(first);
        world_churn(&the_world, 80);
        world_check_snapshot(taker, second);
        // The same through the line that has it.
        must_ok(untorn_snapshot_open(giver->reader, NULL, 0, commit, &third));
        untorn_snapshot_close(second);
        must_ok(untorn_snapshot_open(taker->reader, NULL, 0, commit, &second));
        untorn_snapshot_close(third);
        world_churn(&the_world, 80);
        world_check_snapshot(taker, second);
        untorn_snapshot_close(second);
        world_reader_end(&other);
        tear_down();
    }
}

// A pin that ended, and whose line still says its nonce, does not come back.
static void an_ended_pin_stays_ended(void) {
    set_up(&roomy);
    world_churn(&the_world, 10);
    untorn_snapshot *snapshot = snapshot_now(UNTORN_NEWEST);
    world_churn(&the_world, 2);
    must(ut_grants_revoke(&the_world.writer->publisher), "no pin");
    world_churn(&the_world, 300);
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(snapshot));
    // Another request makes the writer look at all lines.
    untorn_snapshot *other = snapshot_now(UNTORN_NEWEST);
    world_churn(&the_world, 2);
    must(the_world.writer->publisher.grants.standing == 1, "the ended pin came back");
    untorn_snapshot_close(other);
    untorn_snapshot_close(snapshot);
    tear_down();
}

static void the_newest_pin_goes_first(void) {
    set_up(&roomy);
    untorn_snapshot *old = snapshot_now(UNTORN_NEWEST);
    world_churn(&the_world, 2);
    untorn_snapshot *new = snapshot_now(UNTORN_NEWEST);
    world_churn(&the_world, 2);
    must(ut_grants_revoke(&the_world.writer->publisher), "no pin");
    world_churn(&the_world, 300);
    must_ok(untorn_snapshot_check(old));
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(new));
    untorn_snapshot_close(new);
    untorn_snapshot_close(old);
    tear_down();
}

/* --- taking over --- */

static void pins_survive_the_writer(void) {
    set_up(&narrow);
    world_churn(&the_world, 20);
    untorn_snapshot *granted = snapshot_now(UNTORN_NEWEST);
    world_churn(&the_world, 5);
    untorn_snapshot *asked = snapshot_now(UNTORN_NEWEST);
    world_adopt(&the_world, 1);
    world_churn(&the_world, 40);
    world_check_snapshot(&the_reader, granted);
    world_check_snapshot(&the_reader, asked);
    untorn_snapshot_close(granted);
    must_last(asked);
    tear_down();
}

static void adopt_in_step(const char *step) {
    world_step(step);
    if (at_count++ != at)
        return;
    ut_step_hook = NULL;
    world_churn(&the_world, 30);
    world_adopt(&the_world, 1);
    world_churn(&the_world, 60);
}

// Between any two steps of a read, so many commits that the ring forgets what it reads, then the
// next writer, who does not know of it.
static void a_read_over_two_writers(void) {
    for (size_t o = 0; o < 8; o++)
        for (at = 0; at < 30; at++) {
            set_up(&roomy);
            at_count = 0;
            ut_step_hook = adopt_in_step;
            world_operations[o].run(&the_reader);
            ut_step_hook = NULL;
            tear_down();
        }
}

static void commit_in_step(const char *step) {
    if (strcmp(step, "snapshot requested") != 0)
        return;
    ut_step_hook = NULL;
    world_churn(&the_world, 1);
}

static void delete_gone(struct world *world) {
    world_delete(world, W_GONE);
    world_commit(world);
}

// What was deleted is free for the next writer, so that commit cannot be pinned any more.
static void a_commit_with_a_deleted_array(void) {
    set_up(&roomy);
    world_churn(&the_world, 2);
    uint64_t commit = untorn_writer_commit(the_world.writer);
    ut_step_hook = world_step;
    world_die_in(&the_world, "committed", delete_gone); // the next writer defines it again
    untorn_snapshot *snapshot = NULL;
    ut_step_hook = commit_in_step;
    untorn_status status =
        untorn_snapshot_open(the_reader.reader, &the_reader.array[W_GONE], 1, commit, &snapshot);
    ut_step_hook = NULL;
    if (status == UNTORN_OK) {
        world_churn(&the_world, 100);
        world_check_snapshot(&the_reader, snapshot);
        untorn_snapshot_close(snapshot);
    } else {
        must_be(UNTORN_E_NO_COMMIT, status);
    }
    tear_down();
}

static void change_single(struct world *world) {
    world_rewrite(world, W_SINGLE);
    world_commit(world);
}
static void change_multi(struct world *world) {
    world_rewrite(world, W_MULTI);
    world_commit(world);
}

// One transaction dies when its descriptors are complete, the next with the same number when it
// only has to be finished.
static void two_deaths(void) {
    set_up(&roomy);
    world_churn(&the_world, 12);
    ut_step_hook = world_step;
    world_die_in(&the_world, "record filled", change_single);
    world_die_in(&the_world, "prepared", change_multi);
    ut_step_hook = NULL;
    for (size_t o = 0; o < world_operation_count; o++)
        world_operations[o].run(&the_reader);
    tear_down();
}

/* --- the catalogue, waiting, forks --- */

static uint64_t highest_stamp;
static unsigned attempts_begun;

// The writer defines and deletes all the time, and another thread of the reader, which here is a
// call within the call, has seen the newest.
static void refresh_within(const char *step) {
    static int inside;
    if (inside || (strcmp(step, "catalogue collected") != 0 && strcmp(step, "attempt begins") != 0))
        return;
    inside = 1;
    attempts_begun += strcmp(step, "attempt begins") == 0;
    for (int i = 0; i < 300; i++) {
        world_delete(&the_world, W_GONE);
        world_define(&the_world, W_GONE);
        world_commit(&the_world);
    }
    if (strcmp(step, "attempt begins") == 0 && attempts_begun > 2) { // the reader's lock is free
        untorn_listing *listing = NULL;
        if (untorn_list(the_reader.reader, &listing) == UNTORN_OK)
            untorn_listing_free(listing);
        highest_stamp = the_reader.reader->catalogue.stamp;
    }
    inside = 0;
}

static void the_catalogue_does_not_step_back(void) {
    set_up(&narrow);
    for (int i = 0; i < 10; i++) {
        untorn_listing *listing = NULL;
        highest_stamp = attempts_begun = 0;
        ut_step_hook = refresh_within;
        must_ok(untorn_list(the_reader.reader, &listing));
        ut_step_hook = NULL;
        must(the_reader.reader->catalogue.stamp >= highest_stamp, "the catalogue stepped back");
        untorn_listing_free(listing);
    }
    tear_down();
}

static ut_waiter waiter;

static void wait_while_counted(const char *step) {
    if (strcmp(step, "waiters counted") != 0)
        return;
    ut_step_hook = NULL;
    ut_wait_begin(&waiter, the_reader.reader->segment, ut_line_take(&the_reader.reader->lines), 1);
}

static void a_waiter_is_not_forgotten(void) {
    set_up(&roomy);
    ut_step_hook = wait_while_counted;
    ut_grants_count_waiters(&the_world.writer->publisher);
    uint32_t count = ut_load_relaxed(&the_reader.reader->segment->control->array_waiters);
    must((count & UT_WAITERS) == 1, "not counted");
    uint32_t line = waiter.line;
    ut_wait_end(&waiter);
    ut_line_give(&the_reader.reader->lines, line);
    tear_down();
}

static _Thread_local int is_writer;
static _Atomic int stored, asleep;
static uint64_t known;
static int64_t waited;

static void begin_to_wait_before_the_commit(const char *step) {
    if (!is_writer && strcmp(step, "sleep begins") == 0)
        asleep = 1;
    if (!is_writer || strcmp(step, "generation stored") != 0)
        return;
    stored = 1;
    while (!asleep)
        test_sleep_us(100);
    test_sleep_us(5000); // so that it sleeps indeed
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *wait_for_next(void *argument) {
    (void)argument;
    while (!stored)
        test_sleep_us(100);
    int64_t begun = now_ns();
    must_ok(untorn_wait(the_reader.array[W_SINGLE], known, -1));
    waited = now_ns() - begun;
    return NULL;
}

#define SLICE 80000000 // ns that who is not woken has waited at least

// Who begins to wait between generation and commit is woken by that commit: once at least, of many
// times, since others may have the processor for longer than a slice of sleep goes by.
static void the_wake_up_comes(void) {
    set_up(&roomy);
    int64_t best = INT64_MAX;
    for (int i = 0; i < 50 && best >= SLICE; i++) {
        untorn_result result;
        pthread_t thread;
        must_ok(untorn_peek(the_reader.array[W_SINGLE], &result));
        known = result.generation;
        stored = asleep = 0;
        is_writer = 1;
        ut_step_hook = begin_to_wait_before_the_commit;
        must(pthread_create(&thread, NULL, wait_for_next, NULL) == 0, "thread");
        change_single(&the_world);
        pthread_join(thread, NULL);
        ut_step_hook = NULL;
        best = waited < best ? waited : best;
    }
    must(best < SLICE, "woken after %lld ns at best", (long long)best);
    tear_down();
}

static void commit_before_the_sleep(const char *step) {
    if (strcmp(step, "sleep begins") != 0)
        return;
    ut_step_hook = NULL;
    change_single(&the_world);
}

// The commit comes, and wakes, between the last look and the sleep: then there is none.
static void a_wake_up_is_not_slept_through(void) {
    set_up(&roomy);
    int64_t best = INT64_MAX;
    for (int i = 0; i < 20 && best >= SLICE; i++) {
        untorn_result result;
        must_ok(untorn_peek(the_reader.array[W_SINGLE], &result));
        ut_step_hook = commit_before_the_sleep;
        int64_t begun = now_ns();
        must_ok(untorn_wait(the_reader.array[W_SINGLE], result.generation, -1));
        int64_t took = now_ns() - begun;
        must(ut_step_hook == NULL, "it did not sleep");
        best = took < best ? took : best;
    }
    must(best < SLICE, "slept %lld ns at best", (long long)best);
    tear_down();
}

// The writer dies while a child of its process lives on.
static void a_child_does_not_keep_the_lock(void) {
    int done[2], ready[2];
    must(pipe(done) == 0 && pipe(ready) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        untorn_writer *writer;
        must_ok(untorn_writer_open("t-seeded-lock", NULL, &writer));
        if (fork() == 0) {
            char byte = 0;
            close(done[1]);
            if (write(ready[1], &byte, 1) != 1) // what it inherited is closed
                _exit(1);
            _exit((int)read(done[0], &byte, 1)); // as long as the test lives
        }
        _exit(0);
    }
    int status;
    char byte;
    must(waitpid(child, &status, 0) == child && status == 0, "child");
    must(read(ready[0], &byte, 1) == 1, "its child");
    untorn_writer *writer = NULL;
    untorn_status opened_as = untorn_writer_open("t-seeded-lock", NULL, &writer);
    untorn_writer_close(writer);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(done[i]);
    }
    for (int i = 0; i < 100 && untorn_segment_remove("t-seeded-lock") == UNTORN_E_BUSY; i++)
        test_sleep_us(10000);
    must_ok(opened_as);
}

static void run_append(const char *step) {
    static int inside;
    world_step(step);
    if (inside)
        return;
    inside = 1;
    if (the_world.next[W_GROW].length < WORLD_LENGTH) {
        world_append(&the_world, W_GROW, 1);
        world_commit(&the_world);
    }
    inside = 0;
}

// No byte of it is ever overwritten, so no pin is needed.
static void a_growing_array_needs_no_pin(void) {
    set_up(&roomy);
    struct world_reader without;
    world_reader_begin(&without, &the_world, UNTORN_READ_NO_CONTROL, 2);
    for (int i = 0; i < 4; i++) {
        world_resize(&the_world, W_GROW, 0);
        world_commit(&the_world);
        world_append(&the_world, W_GROW, 100);
        world_commit(&the_world);
        uint32_t values[WORLD_LENGTH];
        untorn_result result;
        ut_step_hook = run_append;
        uint64_t count = 100;
        untorn_status status =
            untorn_read(without.array[W_GROW], NULL, &count, values, sizeof values, &result);
        ut_step_hook = NULL;
        must_ok(status);
    }
    world_reader_end(&without);
    tear_down();
}

/* --- the table --- */

static const struct test_seeded table[] = {
    {101, growing_tables},
    {102, reads_and_rewrites},
    {103, a_pin_is_handed_over},
    {104, an_ended_pin_stays_ended},
    {105, snapshots_last},
    {106, reads_and_rewrites},
    {107, snapshots_last},
    {108, a_table_is_cut},
    {109, groups},
    {110, groups},
    {111, pins_survive_the_writer},
    {112, a_read_over_two_writers},
    {113, growing_tables},
    {114, growing_tables},
    {115, a_refused_commit},
    {117, reads_and_rewrites},
    {119, absent_and_single},
    {120, opening_is_overtaken},
    {121, opening_meets_a_deletion},
    {122, a_request_is_withdrawn},
    {123, a_pin_is_handed_over},
    {124, the_catalogue_does_not_step_back},
    {125, a_waiter_is_not_forgotten},
    {126, a_wake_up_is_not_slept_through},
    {127, a_commit_with_a_deleted_array},
    {128, a_growing_array_needs_no_pin},
    {129, any_schedule},
    {130, reads_and_rewrites},
    {131, the_wake_up_comes},
    {132, a_child_does_not_keep_the_lock},
    {133, snapshots_last},
    {134, the_newest_pin_goes_first},
    {135, redefinitions},
    {136, two_deaths},
    {138, groups},
    // These seeds need no table of their own scenarios, but pass them.
    {0, pinned_snapshots},
};
#define ENTRIES (sizeof table / sizeof table[0])

static void scenarios_pass_without_mistakes(void **state) {
    (void)state;
    test_scenarios_pass(table, ENTRIES);
}

static void every_mistake_is_noticed(void **state) {
    (void)state;
    test_mistakes_are_noticed(table, ENTRIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenarios_pass_without_mistakes),
        cmocka_unit_test(every_mistake_is_noticed),
    };
    return cmocka_run_group_tests_name("seeded bugs", tests, NULL, NULL);
}
