// SPDX-License-Identifier: MIT
/*
 * The flusher's policy: when it flushes, what it does when that fails, and how many threads it has.
 *
 * Each scenario asserts one rule.  Afterwards each runs again in a child with the rule's known
 * mistake switched on (UT_SEEDED), which it has to notice: by failing, not by being slow, though
 * what never comes is only known by waiting for it.
 *
 * The file system is the system's own, without syncs, but for what the scenario has fail.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "array/reader.h"
#include "base/clock.h"
#include "base/file_ops.h"
#include "base/test_hooks.h"
#include "support/books.h"
#include "support/flush_world.h"
#include "support/must.h"
#include "support/names.h"
#include "support/seeded.h"
#include "support/scale.h"

#define ELEMENTS (1u << 20)
#define CHUNK (128u << 10)
#define HOUR INT64_C(3600000000000)
#define SECOND INT64_C(1000000000)

// With what comes sooner or later; with a mistake it may never.
static int64_t patience(void) {
    return (ut_seeded_bug != 0 ? 3 : 400) * SECOND;
}

/* ---- a file system that fails as it is told ---- */

static struct {
    atomic_int fsyncs;    // that fail from now on
    atomic_int rmdirs;    // likewise
    atomic_bool full;     // while the store has several snapshots
    atomic_bool snapshot; // snapshots cannot be renamed away
} failing;

static char store[512];

static bool strikes(atomic_int *left) {
    int before = atomic_load(left);
    while (before > 0)
        if (atomic_compare_exchange_weak(left, &before, before - 1))
            return true;
    return false;
}

static int some_fsync(int fd) {
    (void)fd;
    errno = EIO;
    return strikes(&failing.fsyncs) ? -1 : 0;
}

static int some_rmdir(const char *path) {
    errno = EIO;
    return strikes(&failing.rmdirs) ? -1 : ut_files_system.rmdir(path);
}

static unsigned snapshots(void) {
    untorn_store_listing *listing;
    if (untorn_store_list(store, &listing) != UNTORN_OK)
        return 0;
    unsigned count = (unsigned)listing->count;
    untorn_store_listing_free(listing);
    return count;
}

static ssize_t some_write(int fd, const void *bytes, size_t count) {
    if (!atomic_load(&failing.full) || snapshots() < 2)
        return ut_files_system.write(fd, bytes, count);
    errno = ENOSPC;
    return -1;
}

static int some_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                          unsigned flags) {
    const char *name = strrchr(from, '/');
    if (!atomic_load(&failing.snapshot) || strstr(from, "/snapshots/") == NULL || name[1] == '.')
        return ut_files_system.renameat2(from_dir, from, to_dir, to, flags);
    errno = EIO;
    return -1;
}

static void use_failing_table(void) {
    static struct ut_file_ops table;
    table = ut_files_system;
    table.fsync = some_fsync;
    table.rmdir = some_rmdir;
    table.write = some_write;
    table.renameat2 = some_renameat2;
    ut_files_replace(&table);
}

/* ---- a segment with a store ---- */

static const char *segment;
static untorn_writer_options options;
static untorn_writer *writer;
static untorn_reader *reader;
static untorn_writer_array *array;

// The options are for a test to change before open_all().
static void begin(void) {
    use_failing_table();
    segment = test_segment("flusher");
    snprintf(store, sizeof store, "%s/store", test_directory_in_memory("flusher"));
    options = (untorn_writer_options)UNTORN_WRITER_OPTIONS_INIT;
    options.size = 32u << 20;
    options.store = store;
    options.flush_interval = UNTORN_ON_DEMAND;
}

static void open_all(void) {
    uint64_t shape = ELEMENTS, chunk = CHUNK;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &chunk;
    must_ok(untorn_writer_open(segment, &options, &writer));
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_require(writer, "a", &definition, &array));
}

static void end(void) {
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    ut_files_replace(NULL);
}

// Commit `count` elements, of which no two calls write the same.
static void commit(uint64_t count) {
    static unsigned char values[ELEMENTS], last;
    uint64_t start = 0;
    memset(values, ++last, count);
    must_ok(untorn_write(array, &start, &count, NULL, values));
    must_ok(untorn_commit(writer, NULL));
}

static untorn_flush_state state_now(void) {
    untorn_flush_state state;
    untorn_status status;
    do // its flusher may have lost the processor in the middle of a change
        status = untorn_reader_flush_state(reader, &state);
    while (status == UNTORN_E_OVERTAKEN);
    must_ok(status);
    return state;
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void await_flushed(uint64_t wanted) {
    int64_t end = ut_clock_monotonic() + patience();
    while (state_now().flushed_commit < wanted) {
        must(ut_clock_monotonic() < end, "commit %llu was never flushed: %s",
             (unsigned long long)wanted, state_now().error);
        nap();
    }
}

// Whether it is UNTORN_OK.  Old snapshots are deleted after a flush has returned.
static void flush_until_status(bool ok) {
    int64_t end = ut_clock_monotonic() + patience();
    while ((state_now().status == UNTORN_OK) != ok) {
        must(ut_clock_monotonic() < end, "the status stays %d", (int)state_now().status);
        commit(1);
        must_ok(untorn_flush(writer, NULL));
        nap();
    }
}

/* ---- when it flushes ---- */

static void much_is_flushed_though_nothing_is_due(void) {
    begin();
    options.flush_interval = HOUR;
    options.flush_bytes = 256u << 10;
    open_all();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            commit(64u << 10);
        await_flushed(untorn_writer_commit(writer));
    }
    end();
}

// The default threshold, an eighth of the size, is passed many times, and nobody asks for a flush.
static void on_demand_is_on_demand_only(void) {
    begin();
    options.versions = 2;
    for (uint64_t bytes = 0; bytes < 2; bytes++) {
        options.flush_bytes = bytes; // 0: the default
        open_all();
        uint32_t requests = ut_load_relaxed(&reader->segment->control->flush_requests);
        for (int i = 0; i < 16; i++)
            commit(ELEMENTS);
        must(ut_load_relaxed(&reader->segment->control->flush_requests) == requests,
             "a flush was asked for");
        must_ok(untorn_flush(writer, NULL));
        must(state_now().flushes == bytes + 1, "%llu flushes",
             (unsigned long long)state_now().flushes);
        untorn_reader_close(reader);
        untorn_writer_close(writer);
    }
    open_all();
    end();
}

/* ---- what it does when that fails ---- */

static void a_full_disk_has_time_give_way_to_count(void) {
    begin();
    options.keep_snapshots = 1;
    options.keep_time = HOUR;
    open_all();
    for (int i = 0; i < 4; i++) {
        commit(1);
        must_ok(untorn_flush(writer, NULL));
    }
    must(snapshots() == 4, "%u snapshots", snapshots());
    atomic_store(&failing.full, true);
    commit(1);
    must_ok(untorn_flush(writer, NULL));
    atomic_store(&failing.full, false);
    end();
}

static void a_failed_flush_is_tried_again(void) {
    begin();
    options.flush_interval = 1000000;
    open_all();
    commit(1);
    await_flushed(untorn_writer_commit(writer));
    atomic_store(&failing.fsyncs, 1);
    commit(1);
    await_flushed(untorn_writer_commit(writer));
    must(atomic_load(&failing.fsyncs) == 0 && state_now().failed != 0, "no flush failed");
    must(state_now().failures == 0 && state_now().status == UNTORN_OK, "%s", state_now().error);
    end();
}

// What the flush itself could not remove.
static void a_failed_flush_leaves_no_rubbish(void) {
    begin();
    open_all();
    commit(1);
    atomic_store(&failing.fsyncs, 1);
    atomic_store(&failing.rmdirs, 1);
    must_be(UNTORN_E_SYSTEM, untorn_flush(writer, NULL));
    must(atomic_load(&failing.rmdirs) == 0, "nothing was to be removed");
    const char *left = flush_world_rubbish(store);
    must(left == NULL, "%s is left", left);
    must_ok(untorn_flush(writer, NULL));
    end();
}

// A failure to delete old snapshots fills the disk: it shows until it is over, and no longer.
static void a_failed_deletion_shows(void) {
    begin();
    options.keep_snapshots = 1;
    options.keep_time = 1;
    open_all();
    atomic_store(&failing.snapshot, true);
    commit(1);
    must_ok(untorn_flush(writer, NULL));
    flush_until_status(false);
    must(state_now().failures == 0, "no flush failed");
    must(strstr(state_now().error, "cannot rename") != NULL && strstr(state_now().error, store),
         "\"%s\"", state_now().error);
    commit(1);
    must_ok(untorn_flush(writer, NULL));
    must(state_now().status == UNTORN_E_SYSTEM, "it is not over");
    atomic_store(&failing.snapshot, false);
    flush_until_status(true);
    end();
}

/* ---- its threads ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned met; // threads
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

// Each thread waits for two others at its first chunk.
static void meet(const char *step) {
    static _Thread_local bool was_there;
    if (strcmp(step, "chunk encoded") != 0 || was_there)
        return;
    was_there = true;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += patience() / SECOND;
    pthread_mutex_lock(&meeting.lock);
    meeting.met++;
    pthread_cond_broadcast(&meeting.changed);
    while (meeting.met < 3)
        if (pthread_cond_timedwait(&meeting.changed, &meeting.lock, &until) != 0)
            break;
    pthread_mutex_unlock(&meeting.lock);
}

static void as_many_threads_compress_as_were_asked_for(void) {
    begin();
    options.flush_threads = 4;
    meeting.met = 0;
    ut_step_hook = meet;
    open_all();
    commit(ELEMENTS);
    must_ok(untorn_flush(writer, NULL));
    end();
    ut_step_hook = NULL;
    must(meeting.met >= 3, "%u threads compressed", meeting.met);
}

/* ---- whose store it is ---- */

// A segment that was left behind: its store went on, with what the segment does not have.
static void a_segment_behind_its_store_is_refused(void) {
    begin();
    open_all();
    commit(1);
    must_ok(untorn_flush(writer, NULL));
    const char *behind = test_segment("behind");
    books_copy_segment(segment, behind);
    commit(1);
    must_ok(untorn_flush(writer, NULL));
    uint64_t ahead = untorn_writer_commit(writer);
    untorn_writer_close(writer);
    options.flags = UNTORN_ADOPT_ONLY;
    must_say(UNTORN_E_FOREIGN_STORE, "went on without", untorn_writer_open(behind, NULL, &writer));
    must_say(UNTORN_E_FOREIGN_STORE, "went on without",
             untorn_writer_open(behind, &options, &writer));
    must_ok(untorn_segment_remove(behind));
    open_all();
    must(untorn_writer_commit(writer) >= ahead, "the one that is ahead is still its own");
    end();
}

/* ---- the tests ---- */

static const struct test_seeded table[] = {
    {213, much_is_flushed_though_nothing_is_due},
    {214, a_full_disk_has_time_give_way_to_count},
    {215, a_failed_flush_is_tried_again},
    {216, a_failed_flush_leaves_no_rubbish},
    {217, as_many_threads_compress_as_were_asked_for},
    {218, a_segment_behind_its_store_is_refused},
    {0, on_demand_is_on_demand_only},
    {0, a_failed_deletion_shows},
};
#define ENTRIES (sizeof table / sizeof table[0])

static void the_rules_are_kept(void **state) {
    (void)state;
    test_scenarios_pass(table, ENTRIES);
}

static void every_mistake_is_noticed(void **state) {
    (void)state;
    test_mistakes_are_noticed(table, ENTRIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_are_kept),
        cmocka_unit_test(every_mistake_is_noticed),
    };
    return cmocka_run_group_tests_name("flusher", tests, NULL, NULL);
}
