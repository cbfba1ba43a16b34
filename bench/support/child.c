// SPDX-License-Identifier: MIT
/*
 * Commands in a shared word; the child sleeps on it by futex when it is idle.
 * A child that ends unasked ends the benchmark.
 */
#include "child.h"

#include "machine.h"
#include "segment.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_READY UINT32_MAX
#define DONE (UINT32_MAX - 1)

struct bench_child bench_child_start_on(int core, void (*main)(struct bench_control *, void *),
                                        void *context) {
    struct bench_child child = {0, bench_shared_memory(sizeof(struct bench_control))};
    atomic_store(&child.control->state, NOT_READY);
    pid_t parent = getpid();
    child.pid = fork();
    if (child.pid < 0)
        bench_die("fork failed");
    if (child.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        bench_segment_forget_cleanup();
        bench_pin(core);
        main(child.control, context);
        _exit(0);
    }
    bench_pin(BENCH_READER_CORE);
    return child;
}

struct bench_child bench_child_start(void (*main)(struct bench_control *, void *), void *context) {
    return bench_child_start_on(BENCH_WRITER_CORE, main, context);
}

uint32_t bench_child_wait(struct bench_control *control) {
    for (;;) {
        uint32_t command = atomic_load_explicit(&control->command, memory_order_acquire);
        atomic_store_explicit(&control->state, command, memory_order_release);
        if (command != BENCH_IDLE)
            return command;
        syscall(SYS_futex, &control->command, FUTEX_WAIT, command, NULL, NULL, 0);
    }
}

void bench_child_at(struct bench_control *control, uint32_t state) {
    atomic_store_explicit(&control->state, state, memory_order_release);
}

void bench_child_done(struct bench_control *control) {
    uint32_t command = atomic_load_explicit(&control->command, memory_order_acquire);
    atomic_store_explicit(&control->state, DONE, memory_order_release);
    while (atomic_load_explicit(&control->command, memory_order_acquire) == command)
        syscall(SYS_futex, &control->command, FUTEX_WAIT, command, NULL, NULL, 0);
}

void bench_child_check(struct bench_child *child) {
    int status;
    if (waitpid(child->pid, &status, WNOHANG) == child->pid)
        bench_die("the writer's or a reader's process ended early (status 0x%x)", (unsigned)status);
}

static void await_state(struct bench_child *child, uint32_t state, int any_but) {
    for (;;) {
        uint32_t now = atomic_load_explicit(&child->control->state, memory_order_acquire);
        if (any_but ? now != state : now == state)
            return;
        bench_child_check(child);
        usleep(100);
    }
}

void bench_child_tell(struct bench_child *child, uint32_t command) {
    atomic_store_explicit(&child->control->command, command, memory_order_release);
    syscall(SYS_futex, &child->control->command, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void bench_child_command(struct bench_child *child, uint32_t command) {
    bench_child_tell(child, command);
    await_state(child, command, 0);
}

void bench_child_await_done(struct bench_child *child) {
    await_state(child, DONE, 0);
}

void bench_child_ready(struct bench_child *child) {
    await_state(child, NOT_READY, 1);
}

void bench_child_stop(struct bench_child *child) {
    bench_child_tell(child, BENCH_QUIT);
    waitpid(child->pid, NULL, 0);
    bench_shared_memory_free(child->control, sizeof(*child->control));
}
