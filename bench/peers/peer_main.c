// SPDX-License-Identifier: MIT
/*
 * One measurement of one peer; peer.h has the protocol.
 *
 * Times of reads go to a histogram of 64 buckets per power of two, so that its
 * quantiles are exact to 1.6 % and the memory it takes does not grow.
 */
#include "peer.h"

#include "support/child.h"
#include "support/pattern.h"
#include "support/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REWRITE BENCH_FIRST_COMMAND
#define WARM_UP 50000000 /* ns */
#define FINE 6           /* bits of a time that choose the bucket within its power of two */

struct cell {
    const struct peer *peer;
    size_t bytes;
    double seconds;
    uint64_t reads, attempts, torn, fresh, commits, bucket[64 << FINE];
    int64_t wall, spent;
    int unfinished;
};

static size_t bucket_of(uint64_t ns) {
    if (ns < 1u << FINE)
        return (size_t)ns;
    unsigned shift = 63 - FINE - (unsigned)__builtin_clzll(ns);
    return ((size_t)(shift + 1) << FINE) + ((size_t)(ns >> shift) & ((1u << FINE) - 1));
}

static double time_of(size_t bucket) {
    size_t power = bucket >> FINE, fine = bucket & ((1u << FINE) - 1);
    if (power == 0)
        return (double)fine;
    return ((double)((1u << FINE) + fine) + 0.5) * (double)((uint64_t)1 << (power - 1));
}

static double quantile(const struct cell *cell, double q) {
    uint64_t wanted = (uint64_t)(q * (double)cell->reads), seen = 0;
    for (size_t b = 0; b < sizeof(cell->bucket) / sizeof(cell->bucket[0]); b++)
        if ((seen += cell->bucket[b]) > wanted)
            return time_of(b);
    return 0;
}

static void writer_main(struct bench_control *control, void *context) {
    struct cell *cell = context;
    const struct peer *peer = cell->peer;
    uint64_t round = 0;
    peer->writer_open(cell->bytes);
    peer->write(++round, cell->bytes);
    while (bench_child_wait(control) != BENCH_QUIT)
        while (bench_child_going(control, REWRITE)) {
            peer->write(++round, cell->bytes);
            atomic_store_explicit(&control->progress, round, memory_order_relaxed);
        }
    if (peer->writer_close)
        peer->writer_close();
}

/* Read until `end`; only a counted pass leaves anything in the cell. */
static void read_until(struct cell *cell, void *buffer, int64_t end, int counted) {
    uint64_t last = 0;
    for (int64_t before; (before = bench_now()) < end;) {
        const void *data = buffer;
        uint64_t attempts = cell->peer->read(buffer, &data, cell->bytes, end), first;
        int64_t took = bench_now() - before;
        if (counted)
            cell->spent += took;
        if (attempts == 0) {
            cell->unfinished = counted;
            return;
        }
        if (!counted)
            continue;
        cell->reads++;
        cell->attempts += attempts;
        cell->bucket[bucket_of((uint64_t)took)]++;
        cell->torn += !bench_pattern_whole(data, cell->bytes);
        memcpy(&first, data, sizeof(first));
        cell->fresh += first != last;
        last = first;
    }
}

static double timer(void) {
    int64_t start = bench_now(), now = start;
    for (int i = 0; i < 10000; i++)
        now = bench_now();
    return (double)(now - start) / 10000;
}

static void measure(struct cell *cell) {
    void *buffer = bench_private_memory(cell->bytes);
    struct bench_child child = bench_child_start(writer_main, cell);
    bench_child_ready(&child);
    cell->peer->reader_open(cell->bytes);
    bench_child_command(&child, REWRITE);
    read_until(cell, buffer, bench_now() + WARM_UP, 0);
    uint64_t commits = atomic_load(&child.control->progress);
    int64_t start = bench_now();
    read_until(cell, buffer, start + (int64_t)(cell->seconds * 1e9), 1);
    cell->wall = bench_now() - start;
    cell->commits = atomic_load(&child.control->progress) - commits;
    bench_child_command(&child, BENCH_IDLE);
    if (cell->peer->reader_close)
        cell->peer->reader_close();
    bench_child_stop(&child);
    free(buffer);
}

/* Whatever a library calls itself, as a JSON string. */
static void print_string(const char *text) {
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    putchar('"');
}

static void print_head(const struct cell *cell) {
    char version[256] = "";
    cell->peer->version(version, sizeof(version));
    printf("{\"peer\":\"%s\",\"version\":", cell->peer->name);
    print_string(version);
    printf(",\"workload\":\"rewrite\",\"bytes\":%zu", cell->bytes);
}

static void print_cell(const struct cell *cell) {
    print_head(cell);
    printf(",\"wall_ns\":%lld,\"spent_ns\":%lld,\"reads\":%llu,\"attempts\":%llu,\"p50_ns\":%.0f,"
           "\"p99_ns\":%.0f,\"timer_ns\":%.1f,\"torn\":%llu,\"new\":%llu,\"unfinished\":%d,"
           "\"commits\":%llu}\n",
           (long long)cell->wall, (long long)cell->spent, (unsigned long long)cell->reads,
           (unsigned long long)cell->attempts, quantile(cell, 0.5), quantile(cell, 0.99), timer(),
           (unsigned long long)cell->torn, (unsigned long long)cell->fresh, cell->unfinished,
           (unsigned long long)cell->commits);
}

int peer_main(int argc, char **argv, const struct peer *peer) {
    static struct cell cell;
    cell.peer = peer;
    cell.seconds = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--bytes") == 0)
            cell.bytes = (size_t)strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            cell.seconds = atof(argv[i + 1]);
    }
    if (cell.bytes == 0 || cell.bytes % 64 != 0 || !(cell.seconds > 0)) {
        fprintf(stderr, "Usage: %s --bytes N (a multiple of 64) --seconds S\n", argv[0]);
        return 2;
    }
    const char *unable = peer->make(cell.bytes);
    if (unable) {
        print_head(&cell);
        printf(",\"unable\":");
        print_string(unable);
        printf("}\n");
    } else {
        measure(&cell);
        print_cell(&cell);
    }
    if (peer->remove)
        peer->remove();
    return 0;
}
