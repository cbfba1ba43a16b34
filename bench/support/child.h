// SPDX-License-Identifier: MIT
/*
 * A second process that does what the first tells it: the writer beside the
 * reader.  Made by fork before either opens a handle.  Idle, it sleeps in a
 * futex, so that it is alive but takes nothing.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum { BENCH_IDLE = 0, BENCH_QUIT = 1, BENCH_FIRST_COMMAND = 2 };

struct bench_control {
    _Alignas(64) _Atomic uint32_t command;
    _Alignas(64) _Atomic uint32_t state;    /* the command that the child carries out now */
    _Alignas(64) _Atomic uint64_t progress; /* whatever the child counts */
    _Alignas(64) _Atomic int64_t stamp;     /* for benchmarks that hand over a time */
    _Atomic uint32_t futex;
    _Atomic uint64_t word[8];
};

struct bench_child {
    pid_t pid;
    struct bench_control *control;
};

/* Fork; the child is pinned to the writer's core, runs main(control, context), which
 * must loop over bench_child_wait(), and exits. */
struct bench_child bench_child_start(void (*main)(struct bench_control *, void *), void *context);

/* The same on another core. */
struct bench_child bench_child_start_on(int core, void (*main)(struct bench_control *, void *),
                                        void *context);

/* Child: sleep until there is something to do; its number, or BENCH_QUIT. */
uint32_t bench_child_wait(struct bench_control *control);

/* Child: whether the command still stands. */
static inline int bench_child_going(struct bench_control *control, uint32_t command) {
    return atomic_load_explicit(&control->command, memory_order_relaxed) == command;
}

/* Child: say that the command was taken up (and, for BENCH_IDLE, that all is set up). */
void bench_child_at(struct bench_control *control, uint32_t state);

/* Child: say that the command is carried out, and sleep until there is another. */
void bench_child_done(struct bench_control *control);

/* Parent: give a command and return when the child has taken it up, or at once; return when the
 * child has said that it is carried out. */
void bench_child_command(struct bench_child *child, uint32_t command);
void bench_child_tell(struct bench_child *child, uint32_t command);
void bench_child_await_done(struct bench_child *child);

/* Parent: end the benchmark if the child has ended. */
void bench_child_check(struct bench_child *child);

/* Parent: wait for the child's setup; end it. */
void bench_child_ready(struct bench_child *child);
void bench_child_stop(struct bench_child *child);

#endif
