// SPDX-License-Identifier: MIT
/*
 * The machine under the benchmarks: the clock, pinning, and memory on the same
 * file system as the segments, so that baselines meet the same kind of pages.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define BENCH_READER_CORE 0
#define BENCH_WRITER_CORE 1
#define BENCH_MAX_REPETITIONS 1000

static inline int64_t bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void bench_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Stay on one core.  Fewer cores than that: a warning, and no pinning. */
void bench_pin(int core);

/* Zeroed memory in /dev/shm, shared with children made later, all pages mapped. */
void *bench_shared_memory(size_t bytes);
void bench_shared_memory_free(void *memory, size_t bytes);

/* Private memory, all pages touched. */
void *bench_private_memory(size_t bytes);

/* Print the sentence and exit 1. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How many times as long to measure: BENCH_EFFORT, default 1. */
double bench_effort(void);

/* 15 repetitions at least, more with effort. */
int bench_repetitions(int usual);

#endif
