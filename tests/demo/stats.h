// SPDX-License-Identifier: MIT
/*
 * What each reading process counts, in a file that the driver and the readers
 * map; relaxed counters, since nothing else is handed over through them.
 */
#ifndef DEMO_STATS_H
#define DEMO_STATS_H

#include "row_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEMO_READERS 3

struct reader_stats {
    _Alignas(64) _Atomic uint64_t reads;
    _Atomic uint64_t attempts;
    _Atomic uint64_t pinned;
    _Atomic uint64_t overtaken; /* reads that gave up, with an error that says so */
    _Atomic uint64_t torn[ROW_VERDICTS];
    _Atomic uint64_t lost;              /* rows seen once and not there later */
    _Atomic uint64_t steps_back;        /* commits below one seen before */
    _Atomic uint64_t rows;              /* of the newest read */
    _Atomic uint64_t commit;            /* of the newest read */
    _Atomic uint64_t full_checks;       /* reads all of whose rows were hashed anew */
    _Atomic uint64_t answered;          /* the last of the driver's requests for a full check */
    _Atomic uint64_t first_ns, last_ns; /* of the monotonic clock: of the first and last read */
};

struct demo_stats {
    _Atomic uint64_t full_request;
    _Atomic int stop;
    struct reader_stats reader[DEMO_READERS];
};

static inline uint64_t demo_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void demo_count(_Atomic uint64_t *counter, uint64_t by) {
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static inline uint64_t demo_torn(const struct reader_stats *stats) {
    uint64_t torn = 0;
    for (int v = ROWS_WHOLE + 1; v < ROW_VERDICTS; v++)
        torn += atomic_load(&stats->torn[v]);
    return torn;
}

/* Map the file of statistics, making it zeroed if it is not there.  Exits on failure. */
static inline struct demo_stats *demo_stats_map(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *memory = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(struct demo_stats)) == 0)
        memory = mmap(NULL, sizeof(struct demo_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "demo: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    close(fd);
    return memory;
}

#endif
