// SPDX-License-Identifier: MIT
// The small parts of the base layer: atomics, clocks, hash, checks, hooks, the table of file
// operations.
#include "base/atomic_order.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file_ops.h"
#include "base/hash.h"
#include "base/test_hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void atomics_do_what_their_names_say(void **state) {
    (void)state;
    _Atomic uint64_t wide = 1;
    _Atomic uint32_t narrow = 1;
    ut_store_relaxed(&wide, UINT64_MAX);
    assert_true(ut_load_acquire(&wide) == UINT64_MAX);
    ut_store_release(&narrow, UINT32_MAX);
    assert_true(ut_load_relaxed(&narrow) == UINT32_MAX);
    ut_store_relaxed(&wide, 10u);
    assert_true(ut_fetch_add_relaxed(&wide, 5u) == 10);
    assert_true(ut_fetch_add_release(&wide, 1u) == 15);
    assert_true(ut_fetch_sub_relaxed(&wide, 6u) == 16);
    uint64_t expected = 9;
    assert_false(ut_compare_exchange_acq_rel(&wide, &expected, 1u));
    assert_true(expected == 10);
    assert_true(ut_compare_exchange_acq_rel(&wide, &expected, 1u));
    assert_true(ut_load_relaxed(&wide) == 1);
    ut_fence_acquire();
    ut_fence_release();
    ut_fence_seq_cst();
    ut_store_fence();
}

// The pattern that needs the strongest fence: both store, then look; at least one sees the other.
enum { ROUNDS = 20000 };
static pthread_barrier_t gather;
static _Atomic uint32_t stored[2], seen[2];

static void *store_then_look(void *argument) {
    uint32_t me = *(const uint32_t *)argument;
    void *both_missed = NULL;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        (void)pthread_barrier_wait(&gather);
        ut_store_relaxed(&stored[me], round);
        ut_fence_seq_cst();
        ut_store_relaxed(&seen[me], ut_load_relaxed(&stored[1 - me]));
        (void)pthread_barrier_wait(&gather);
        if (ut_load_relaxed(&seen[0]) != round && ut_load_relaxed(&seen[1]) != round)
            both_missed = &seen;
    }
    return both_missed;
}

static void of_two_that_store_and_look_one_sees_the_other(void **state) {
    (void)state;
    static const uint32_t names[2] = {0, 1};
    pthread_t threads[2];
    assert_int_equal(pthread_barrier_init(&gather, NULL, 2), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, store_then_look, (void *)&names[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        void *both_missed = &seen;
        assert_int_equal(pthread_join(threads[i], &both_missed), 0);
        assert_null(both_missed);
    }
    (void)pthread_barrier_destroy(&gather);
}

static int64_t system_time(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void clocks_run_and_agree_with_the_system(void **state) {
    (void)state;
    int64_t before = ut_clock_monotonic();
    usleep(2000);
    int64_t after = ut_clock_monotonic();
    assert_true(after - before >= 2000000);
    int64_t then = system_time(), wall = ut_clock_wall(), now = system_time();
    assert_true(wall > then - 1000000000 && wall < now + 1000000000);
}

// From the specification's own implementation: stored values must not depend on the build.
static void the_hash_is_xxh3(void **state) {
    (void)state;
    assert_true(ut_hash("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(ut_hash("a", 1) == UINT64_C(0xe6c632b61e964e1f));
    assert_true(ut_hash("abc", 3) == UINT64_C(0x78af5f94892f3950));
}

static const char *last_step;

static void remember_step(const char *step) {
    last_step = step;
}

static void hooks_exist_in_the_testing_library(void **state) {
    (void)state;
    UT_STEP("nobody listens");
    assert_null(last_step);
    ut_step_hook = remember_step;
    UT_STEP("here");
    ut_step_hook = NULL;
    assert_string_equal(last_step, "here");
    assert_false(UT_SEEDED(3));
    ut_seeded_bug = 3;
    assert_true(UT_SEEDED(3));
    assert_false(UT_SEEDED(4));
    ut_seeded_bug = 0;
}

static int how_it_dies(int debug, int value, char *text, size_t room) {
    int message[2];
    assert_int_equal(pipe(message), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        // The test framework catches SIGABRT; a failed check is to end the process.
        signal(SIGABRT, SIG_DFL);
        dup2(message[1], 2);
        if (debug)
            ut_debug_check(value == 1);
        else
            ut_check(value == 1);
        _exit(0);
    }
    close(message[1]);
    ssize_t n = read(message[0], text, room - 1);
    text[n < 0 ? 0 : n] = '\0';
    close(message[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_failed_check_says_where_and_aborts(void **state) {
    (void)state;
    char text[256];
    for (int debug = 0; debug < 2; debug++) {
        assert_int_equal(how_it_dies(debug, 1, text, sizeof(text)), 0);
        assert_int_equal(how_it_dies(debug, 2, text, sizeof(text)), SIGABRT);
        assert_non_null(strstr(text, "test_base.c:"));
        assert_non_null(strstr(text, "check failed: value == 1"));
    }
}

static int no_space(int fd, off_t offset, off_t length) {
    (void)fd;
    (void)offset;
    (void)length;
    return ENOSPC;
}

static void the_table_of_file_operations_can_be_replaced(void **state) {
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof(path), "/tmp/untorn-file-ops-%ld", (long)getpid());
    int fd = ut_files->open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ut_files->posix_fallocate(fd, 0, 4096), 0);
    struct stat stat;
    assert_int_equal(ut_files->fstat(fd, &stat), 0);
    assert_int_equal(stat.st_size, 4096);

    struct ut_file_ops table = ut_files_system;
    table.posix_fallocate = no_space;
    ut_files_replace(&table);
    assert_int_equal(ut_files->posix_fallocate(fd, 0, 8192), ENOSPC);
    ut_files_replace(NULL);
    assert_ptr_equal(ut_files, &ut_files_system);

    assert_int_equal(ut_files->write(fd, "abc", 3), 3);
    assert_int_equal(ut_files->fsync(fd), 0);
    char bytes[3];
    assert_int_equal(ut_files->pread(fd, bytes, 3, 0), 3);
    assert_memory_equal(bytes, "abc", 3);
    assert_int_equal(ut_files->ftruncate(fd, 1), 0);
    assert_int_equal(ut_files->close(fd), 0);
    assert_int_equal(ut_files->renameat2(AT_FDCWD, path, AT_FDCWD, path, 1), -1); // NOREPLACE
    assert_int_equal(errno, EEXIST);
    assert_int_equal(ut_files->unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(atomics_do_what_their_names_say),
        cmocka_unit_test(of_two_that_store_and_look_one_sees_the_other),
        cmocka_unit_test(clocks_run_and_agree_with_the_system),
        cmocka_unit_test(the_hash_is_xxh3),
        cmocka_unit_test(hooks_exist_in_the_testing_library),
        cmocka_unit_test(a_failed_check_says_where_and_aborts),
        cmocka_unit_test(the_table_of_file_operations_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
