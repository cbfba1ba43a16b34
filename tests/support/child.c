// SPDX-License-Identifier: MIT
/* Child processes of a test: see child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "must.h"

struct test_child test_child_start(test_child_function *function, void *argument) {
    int up[2];
    int down[2];
    if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0)
        test_fail(__FILE__, __LINE__, "pipe: %s", strerror(errno));
    fflush(NULL); // what is buffered would be printed twice
    pid_t parent = getpid();
    pid_t pid = fork();
    must(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        test_is_child = 1;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(TEST_CHILD_FAILED);
        // cmocka's handlers would jump into the parent's tests.
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGFPE, SIG_DFL);
        signal(SIGILL, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        close(up[0]);
        close(down[1]);
        int status = function(argument, up[1], down[0]);
        fflush(NULL);
        _exit(status);
    }
    close(up[1]);
    close(down[0]);
    return (struct test_child){.pid = pid, .from = up[0], .to = down[1]};
}

void test_send(int fd, uint64_t word) {
    ssize_t n;
    do
        n = write(fd, &word, sizeof word);
    while (n < 0 && errno == EINTR);
    must(n == (ssize_t)sizeof word, "write to a pipe: %s", strerror(errno));
}

int test_receive_maybe(int fd, uint64_t *word) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&wanted, 1, TEST_HUNG * 1000);
    while (ready < 0 && errno == EINTR);
    must(ready == 1, "nothing came through a pipe: the other end hangs");
    return read(fd, word, sizeof *word) == (ssize_t)sizeof *word;
}

uint64_t test_receive(int fd) {
    uint64_t word = 0;
    must(test_receive_maybe(fd, &word), "a pipe's other end is gone");
    return word;
}

static void forget(struct test_child *child) {
    close(child->from);
    close(child->to);
    child->pid = -1;
}

static int status_of(int raw) {
    return WIFSIGNALED(raw) ? 256 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

// One step of waiting that begins fine and gets coarser.
static void nap(unsigned turn) {
    test_sleep_us(turn < 50 ? 200 : 2000);
}

int test_child_wait(struct test_child *child) {
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned turn = 0;; turn++) {
        int raw = 0;
        pid_t got = waitpid(child->pid, &raw, WNOHANG);
        if (got == child->pid) {
            forget(child);
            return status_of(raw);
        }
        must(got == 0 || errno == EINTR, "waitpid: %s", strerror(errno));
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begin.tv_sec > TEST_HUNG) {
            pid_t pid = child->pid;
            test_child_kill(child);
            test_fail(__FILE__, __LINE__, "child %d hangs", (int)pid);
        }
        nap(turn);
    }
}

void test_child_finish(struct test_child *child) {
    pid_t pid = child->pid;
    int status = test_child_wait(child);
    must(status == 0, "child %d: %s %d", (int)pid, status >= 256 ? "signal" : "exit status",
         status >= 256 ? status - 256 : status);
}

void test_child_kill(struct test_child *child) {
    int raw;
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &raw, 0) < 0 && errno == EINTR)
        ;
    forget(child);
}

int test_child_wait_stopped(struct test_child *child, int *status) {
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned turn = 0;; turn++) {
        int raw = 0;
        pid_t got = waitpid(child->pid, &raw, WNOHANG | WUNTRACED);
        if (got == child->pid && WIFSTOPPED(raw))
            return 1;
        if (got == child->pid) {
            forget(child);
            *status = status_of(raw);
            return 0;
        }
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        must(now.tv_sec - begin.tv_sec <= TEST_HUNG, "child %d hangs", (int)child->pid);
        nap(turn);
    }
}

void *test_shared(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

void test_sleep_us(uint64_t microseconds) {
    struct timespec time = {.tv_sec = (time_t)(microseconds / 1000000),
                            .tv_nsec = (long)(microseconds % 1000000) * 1000};
    nanosleep(&time, NULL);
}
