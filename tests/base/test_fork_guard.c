// SPDX-License-Identifier: MIT
// Guarded descriptors are closed in forked children, locks with them; the parent's stay open.
#include "base/fork_guard.h"

#include "base/atomic_order.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int open_something(void) {
    int fd = memfd_create("guarded", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

// Run `question` in a forked child and return its answer, 0 to 254.
static int ask_child(int (*question)(void *), void *argument) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(question(argument));
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int how_many_open(void *argument) {
    const int *fds = argument;
    int open_ones = 0;
    for (; *fds >= 0; fds++)
        open_ones += is_open(*fds);
    return open_ones;
}

static void a_guarded_descriptor_is_closed_in_the_child_only(void **state) {
    (void)state;
    // More than the list has room for at first.
    enum { COUNT = 40 };
    int fds[COUNT + 1];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = open_something();
        assert_int_equal(ut_fork_guard_fd(fds[i]), UNTORN_OK);
    }
    fds[COUNT] = -1;
    assert_int_equal(ask_child(how_many_open, fds), 0);
    assert_int_equal(how_many_open(fds), COUNT);

    for (int i = 0; i < COUNT; i++)
        ut_fork_close_fd(fds[i]);
    assert_int_equal(how_many_open(fds), 0);
}

static int generation_here(void *unused) {
    (void)unused;
    return (int)ut_fork_generation();
}

static int generation_of_grandchild(void *unused) {
    return ask_child(generation_here, unused);
}

static void the_generation_counts_forks(void **state) {
    (void)state;
    unsigned here = ut_fork_generation();
    assert_int_equal(ask_child(generation_here, NULL), here + 1);
    assert_int_equal(ask_child(generation_of_grandchild, NULL), here + 2);
    assert_int_equal(ut_fork_generation(), here);
}

// In the child the number of a closed descriptor may mean another file.
static int close_inherited(void *argument) {
    int fd = *(int *)argument;
    int other = open_something();
    if (other != fd && dup2(other, fd) != fd)
        return 2;
    ut_fork_close_fd(fd);
    return is_open(fd) ? 0 : 1;
}

static void an_inherited_number_is_not_closed_again(void **state) {
    (void)state;
    int fd = open_something();
    assert_int_equal(ut_fork_guard_fd(fd), UNTORN_OK);
    assert_int_equal(ask_child(close_inherited, &fd), 0);
    ut_fork_close_fd(fd);
    assert_false(is_open(fd));
}

// The reason for all this: the parent closes, and the lock is free although a child lives.
static void a_child_does_not_keep_a_lock_alive(void **state) {
    (void)state;
    char path[] = "/tmp/untorn-fork-guard-XXXXXX";
    int fd = mkstemp(path);
    int other = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && other >= 0);
    assert_int_equal(unlink(path), 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(ut_fork_guard_fd(fd), UNTORN_OK);

    int hold[2];
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), -1);
    ut_fork_close_fd(fd);
    // The child's handler may still be running: its copy of the lock ends within its fork().
    int taken = -1;
    for (int i = 0; i < 120000 && taken != 0; i++) {
        lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
        taken = fcntl(other, F_OFD_SETLK, &lock);
        if (taken != 0)
            usleep(1000);
    }
    assert_int_equal(taken, 0);
    close(hold[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(hold[0]);
    close(other);
}

static _Atomic uint32_t stop_churning;

static void *churn(void *unused) {
    (void)unused;
    while (ut_load_relaxed(&stop_churning) == 0) {
        ut_fork_block();
        int fd = open_something();
        untorn_status status = ut_fork_guard_fd(fd);
        ut_fork_allow();
        if (status != UNTORN_OK)
            abort();
        ut_fork_close_fd(fd);
    }
    return NULL;
}

static int use_the_registry(void *argument) {
    // Its own standard streams, the fixed descriptors of the parent: nothing guarded is left.
    int inherited = how_many_open(argument);
    int fd = open_something();
    if (ut_fork_guard_fd(fd) != UNTORN_OK)
        return 100;
    ut_fork_block();
    ut_fork_allow();
    ut_fork_close_fd(fd);
    return is_open(fd) ? 101 : inherited;
}

static void forks_beside_busy_threads_leave_the_registry_usable(void **state) {
    (void)state;
    enum { LOW = 3, HIGH = 64 };
    int candidates[HIGH - LOW + 1], n = 0;
    for (int fd = LOW; fd < HIGH; fd++)
        if (!is_open(fd))
            candidates[n++] = fd;
    candidates[n] = -1;

    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask_child(use_the_registry, candidates), 0);
    ut_store_relaxed(&stop_churning, 1u);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guarded_descriptor_is_closed_in_the_child_only),
        cmocka_unit_test(the_generation_counts_forks),
        cmocka_unit_test(an_inherited_number_is_not_closed_again),
        cmocka_unit_test(a_child_does_not_keep_a_lock_alive),
        cmocka_unit_test(forks_beside_busy_threads_leave_the_registry_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
