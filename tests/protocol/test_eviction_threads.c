// SPDX-License-Identifier: MIT
/*
 * Threads of one process, for ThreadSanitizer: a writer that lives on evictions, its flusher,
 * readers with threads and a cache of their own that read what has left memory, others who ask for
 * flushes; and a close in the middle of all.  Then the same writer and fork(): at any step of its
 * flusher a child comes into being, closes the handle it inherited, or outlives its parent.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"
#include "base/clock.h"
#include "base/test_hooks.h"
#include "store/writer_store.h"

#define CHUNKS 300
#define CHUNK 1024 // u4: a page
#define READERS 3
#define HUNG (TEST_HUNG * INT64_C(1000000000)) // ns

static struct cache cache;
static untorn_writer_array *array, *rows;
static _Atomic int stop;
static _Atomic uint64_t reads, flushes;

// Element i of a generation with this stamp.
static uint32_t value_of(uint32_t stamp, uint64_t chunk) {
    return stamp * 1000 + (uint32_t)chunk;
}

static void begin(const char *what, uint64_t size, int64_t interval) {
    uint64_t shape = (uint64_t)CHUNKS * CHUNK, chunk = CHUNK, none = 0;
    cache_begin(&cache, what, size);
    untorn_reader_close(cache.reader);
    cache.reader = NULL;
    untorn_writer_close(cache.writer);
    cache.options.flush_interval = interval;
    cache.options.keep_snapshots = 2;
    cache_open(&cache);
    array = cache_define(&cache, "a", 1, &shape, &chunk, 0);
    rows = cache_define(&cache, "rows", 1, &none, &chunk, 0);
    must_ok(untorn_commit(cache.writer, NULL));
}

// A tenth of the array gets this stamp, and 100 rows are appended.
static void write_some(uint32_t stamp) {
    static uint32_t page[CHUNK];
    for (uint64_t c = stamp % 10; c < CHUNKS; c += 10) {
        uint64_t start = c * CHUNK, count = CHUNK;
        for (unsigned i = 0; i < CHUNK; i++)
            page[i] = value_of(stamp, c);
        must_ok(untorn_write(array, &start, &count, NULL, page));
    }
    for (unsigned i = 0; i < 100; i++)
        page[i] = stamp;
    must_ok(untorn_append(rows, 0, 100, NULL, page));
    must_ok(untorn_commit(cache.writer, NULL));
}

// Every chunk is of one stamp throughout, and those of one tenth are of the same.
static void check(const uint32_t *got) {
    for (uint64_t c = 0; c < CHUNKS; c++) {
        uint32_t first = got[c * CHUNK], least = (uint32_t)(c - c / 10 * 10); // of its tenth
        must(first - (first != 0 ? (uint32_t)c - least : 0) == got[least * CHUNK], "torn");
        for (unsigned i = 1; i < CHUNK; i++)
            must(got[c * CHUNK + i] == first, "torn");
    }
}

static int may_fail(untorn_status status) {
    return status == UNTORN_E_OVERTAKEN;
}

static void *read_on(void *argument) {
    untorn_reader *reader = argument;
    untorn_array *a, *r;
    uint32_t *got = malloc((size_t)CHUNKS * CHUNK * 4 + 4000000);
    must_ok(untorn_array_open(reader, "a", &a));
    must_ok(untorn_array_open(reader, "rows", &r));
    while (!stop) {
        untorn_result result;
        untorn_status status = untorn_read(a, NULL, NULL, got, CHUNKS * CHUNK * 4, &result);
        if (status == UNTORN_OK)
            check(got);
        else
            must(may_fail(status), "status %d: %s", status, untorn_message());
        status = untorn_read(r, NULL, NULL, got, 4000000, &result);
        if (status == UNTORN_OK)
            for (uint64_t i = 0; i < result.shape[0]; i++)
                must(got[i] == i / 100 + 1, "row %llu", (unsigned long long)i);
        else
            must(may_fail(status), "status %d: %s", status, untorn_message());
        untorn_snapshot *snapshot;
        if (untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &snapshot) == UNTORN_OK) {
            if (untorn_snapshot_read(snapshot, 0, NULL, NULL, got, CHUNKS * CHUNK * 4) == UNTORN_OK)
                check(got);
            untorn_snapshot_close(snapshot);
        }
        reads++;
    }
    free(got);
    untorn_array_close(a);
    untorn_array_close(r);
    return NULL;
}

static void *ask_for_flushes(void *argument) {
    untorn_reader *reader = argument;
    while (!stop) {
        uint64_t before = untorn_reader_commit(reader), commit = 0;
        untorn_flush_state state;
        untorn_status status = untorn_request_flush(reader, HUNG, &commit);
        if (status == UNTORN_OK)
            must(commit >= before, "flushed too little");
        else
            must(status == UNTORN_E_WRITER_CLOSED, "status %d: %s", status, untorn_message());
        status = untorn_reader_flush_state(reader, &state);
        must(status == UNTORN_OK || status == UNTORN_E_OVERTAKEN, "%s", untorn_message());
        flushes++;
        test_sleep_us(2000);
    }
    return NULL;
}

static void P10_threads_of_one_process(void **state) {
    (void)state;
    pthread_t threads[READERS + 1];
    untorn_reader *readers[READERS];
    uint32_t stamp = 0, stamps = (uint32_t)test_count(60);
    stop = 0;
    begin("threads", 1300u << 10, INT64_C(3000000));
    for (unsigned i = 0; i < READERS; i++) {
        untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
        options.cache_bytes = i == 0 ? 0 : 100 << 10;
        options.threads = i + 1;
        must_ok(untorn_reader_open(cache.segment, &options, &readers[i]));
        must(pthread_create(&threads[i], NULL, read_on, readers[i]) == 0, "thread");
    }
    must(pthread_create(&threads[READERS], NULL, ask_for_flushes, cache.reader) == 0, "thread");
    while (stamp < stamps)
        write_some(++stamp);
    uint64_t resident = cache_resident(cache.writer, "a");
    must(resident < CHUNKS, "nothing was evicted");
    // In the middle of it all, twice: who reads and asks goes on.
    for (int i = 0; i < 2; i++) {
        untorn_writer_close(cache.writer);
        must_ok(untorn_writer_open(cache.segment, &cache.options, &cache.writer));
        must_ok(untorn_writer_array_open(cache.writer, "a", &array));
        must_ok(untorn_writer_array_open(cache.writer, "rows", &rows));
        write_some(++stamp);
    }
    while (reads < 5 || flushes < 3)
        test_sleep_us(10000);
    stop = 1;
    for (unsigned i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < READERS; i++)
        untorn_reader_close(readers[i]);
    print_message("%llu reads, %llu flushes\n", (unsigned long long)reads,
                  (unsigned long long)flushes);
    cache_end(&cache);
}

/* ---- fork() ---- */

static pthread_t main_thread;
static _Atomic int paused, go_on;
static _Atomic uint64_t at, steps;

static void pause_flusher(const char *step) {
    (void)step;
    if (pthread_equal(pthread_self(), main_thread) || steps++ != at)
        return;
    paused = 1;
    while (!go_on)
        test_sleep_us(100);
}

// Whether the flush of the last commit has ended, with what comes after it.
static int is_over(void) {
    const ut_writer_store *attached = cache.writer->store;
    untorn_flush_state state;
    if (untorn_reader_flush_state(cache.reader, &state) != UNTORN_OK ||
        state.flushed_commit < untorn_writer_commit(cache.writer) ||
        !ut_flusher_hold(attached->flusher, ut_clock_monotonic() + 1000000))
        return 0;
    ut_flusher_release(attached->flusher);
    return 1;
}

static int wait_for(pid_t child) {
    int status;
    for (int i = 0; i < TEST_HUNG * 100; i++) {
        pid_t got = waitpid(child, &status, WNOHANG);
        if (got == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
        test_sleep_us(10000);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1;
}

// A child is forked while the flusher is at any of its steps.
static void a_child_closes_what_it_inherited(void **state) {
    (void)state;
    skip_under_tsan();
    main_thread = pthread_self();
    begin("fork", 4u << 20, UNTORN_ON_DEMAND);
    for (at = 0; at < 40; at++) {
        write_some((uint32_t)at + 1);
        steps = 0;
        paused = go_on = 0;
        ut_step_hook = pause_flusher;
        untorn_reader *asking = cache.reader;
        untorn_request_flush(asking, 0, NULL);
        while (!paused && !is_over())
            test_sleep_us(1000);
        int was_paused = paused;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            test_is_child = 1;
            ut_step_hook = NULL;
            must_be(UNTORN_E_FORKED, untorn_flush(cache.writer, NULL));
            must_be(UNTORN_E_FORKED, untorn_commit(cache.writer, NULL));
            untorn_abort(cache.writer);
            if (at % 2)
                untorn_writer_close(cache.writer);
            untorn_reader_close(cache.reader);
            _exit(0);
        }
        int status = wait_for(child);
        go_on = 1;
        must(status == 0, "child at step %llu: %d", (unsigned long long)at, status);
        must_ok(untorn_flush(cache.writer, NULL));
        ut_step_hook = NULL;
        if (!was_paused)
            break;
    }
    must(at > 2, "the flusher was never paused");
    print_message("%llu steps\n", (unsigned long long)at);
    cache_evict(cache.writer);
    cache_end(&cache);
}

struct orphan {
    char segment[128];
    char store[600];
};

// The parent dies with its flusher at work; its child lives on and keeps nothing of it.
static int be_a_parent(void *argument, int report, int orders) {
    struct orphan *orphan = argument;
    (void)orders;
    begin("orphan", 4u << 20, INT64_C(1000000));
    snprintf(orphan->segment, sizeof orphan->segment, "%s", cache.segment);
    snprintf(orphan->store, sizeof orphan->store, "%s", cache.store);
    for (uint32_t stamp = 1; stamp < 4; stamp++)
        write_some(stamp);
    pid_t child = fork();
    if (child == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        test_send(report, (uint64_t)getpid());    // what it inherited is closed
        for (int i = 0; i < TEST_HUNG * 100; i++) // until the test is over
            test_sleep_us(10000);
        _exit(0);
    }
    for (uint32_t stamp = 4;; stamp++)
        write_some(stamp);
}

static void the_parent_of_a_child_is_killed(void **state) {
    (void)state;
    skip_under_tsan();
    struct orphan *orphan = test_shared(sizeof *orphan);
    struct test_child parent = test_child_start(be_a_parent, orphan);
    pid_t grandchild = (pid_t)test_receive(parent.from);
    test_sleep_us(30000);
    test_child_kill(&parent);
    untorn_writer *writer;
    untorn_status status = untorn_writer_open(orphan->segment, NULL, &writer);
    kill(grandchild, SIGKILL);
    must_ok(status);
    must_ok(untorn_writer_array_open(writer, "a", &array));
    uint32_t *got = malloc((size_t)CHUNKS * CHUNK * 4);
    untorn_reader *reader;
    untorn_array *a;
    must_ok(untorn_reader_open(orphan->segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &a));
    must_ok(untorn_flush(writer, NULL));
    cache_evict(writer);
    must_ok(untorn_read(a, NULL, NULL, got, (size_t)CHUNKS * CHUNK * 4, NULL));
    check(got);
    free(got);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(orphan->segment));
}

/* ---- signals ---- */

static void ignore(int signal) {
    (void)signal;
}

static void *send_signals(void *argument) {
    pthread_t target = *(pthread_t *)argument;
    while (!stop) {
        pthread_kill(target, SIGUSR1);
        test_sleep_us(300);
    }
    return NULL;
}

// A writer that waits for space, and a reader that reads files, go on through signals.
static void signals_interrupt_nothing(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = ignore}; // without SA_RESTART
    pthread_t sender, self = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    begin("signals", 1300u << 10, UNTORN_ON_DEMAND);
    stop = 0;
    must(pthread_create(&sender, NULL, send_signals, &self) == 0, "thread");
    uint32_t *got = malloc((size_t)CHUNKS * CHUNK * 4);
    untorn_array *a;
    must_ok(untorn_array_open(cache.reader, "a", &a));
    for (uint32_t stamp = 1; stamp <= 20; stamp++) {
        write_some(stamp);
        must_ok(untorn_read(a, NULL, NULL, got, (size_t)CHUNKS * CHUNK * 4, NULL));
        check(got);
    }
    must_ok(untorn_flush(cache.writer, NULL));
    stop = 1;
    pthread_join(sender, NULL);
    free(got);
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_closes_what_it_inherited),
        cmocka_unit_test(the_parent_of_a_child_is_killed),
        cmocka_unit_test(signals_interrupt_nothing),
        cmocka_unit_test(P10_threads_of_one_process),
    };
    return cmocka_run_group_tests_name("threads and eviction", tests, NULL, NULL);
}
