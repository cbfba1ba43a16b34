// SPDX-License-Identifier: MIT
/*
 * A peer whose faults are known, for check_peers.py: what the processes of a cell
 * count of it has to be just that.  It keeps no array, only the number of the
 * last round and how much was appended; a read makes up what it returns.  Its
 * copies are the rounds that there were when the last reader opened it.
 * UNTORN_TEST_FAULT says what is wrong:
 *
 *   torn      every fifth read has one wrong word
 *   new       every read is of another round than the one before
 *   slow      a read takes 30 us
 *   huge      a read takes 200 ms, longer than all that is measured
 *   endless   the 3000th read and those behind it do not end before their deadline
 *   writes    a commit takes 1 ms
 *   ages      a commit takes 300 ms
 *   lost      what is appended, or committed, is not all there afterwards
 */
#include "peers/peer.h"

#include "support/machine.h"
#include "support/pattern.h"
#include "support/segment.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct known {
    _Atomic uint64_t round, length, opened;
};

static struct peer_layout layout;
static struct known *known;
static uint64_t reads;
static char fault;

static void version(char *to, size_t size) {
    snprintf(to, size, "\"known\" \\ 1");
}

static const char *make(const struct peer_layout *wanted) {
    const char *name = getenv("UNTORN_TEST_FAULT");
    layout = *wanted;
    fault = name ? name[0] : 0;
    known = bench_shared_memory(sizeof(*known));
    return NULL;
}

static void spin_until(int64_t time) {
    while (bench_now() < time)
        bench_relax();
}

static void write_round(uint64_t round) {
    if (fault == 'w' || fault == 'a')
        spin_until(bench_now() + (fault == 'w' ? 1000000 : 300000000));
    atomic_store(&known->round, round - (fault == 'l' && round > 1));
}

static void reader_open(const struct peer_layout *wanted) {
    (void)wanted;
    atomic_store(&known->opened, atomic_load(&known->round));
}

static unsigned copies(void) {
    return (unsigned)atomic_load(&known->opened);
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    char *to = buffer;
    (void)data;
    reads++;
    if (fault == 'e' && reads >= 3000) {
        spin_until(deadline);
        return 0;
    }
    if (fault == 's' || fault == 'h')
        spin_until(bench_now() + (fault == 's' ? 30000 : 200000000));
    bench_pattern_fill(to, layout.bytes, fault == 'n' ? reads : atomic_load(&known->round), 0);
    if (fault == 't' && reads % 5 == 0)
        to[8 + reads % (layout.bytes - 8)] ^= 1;
    return 1;
}

static void append_begin(void) {
    atomic_store(&known->length, 0);
}

static void append(size_t bytes) {
    size_t length = (size_t)atomic_load_explicit(&known->length, memory_order_relaxed) + bytes;
    if (length > layout.capacity)
        bench_die("%zu bytes were appended, the capacity is %zu", length, layout.capacity);
    atomic_store_explicit(&known->length, length, memory_order_relaxed);
}

static size_t appended(void *buffer) {
    size_t length = (size_t)atomic_load(&known->length);
    bench_pattern_fill(buffer, length, 1, 0);
    return length - (fault == 'l' ? 8 : 0);
}

/* There is none: the benchmarks' other support, and the library, are not linked. */
void bench_segment_forget_cleanup(void) {
}

int main(int argc, char **argv) {
    static const struct peer peer = {.name = "known",
                                     .version = version,
                                     .make = make,
                                     .reader_open = reader_open,
                                     .copies = copies,
                                     .write = write_round,
                                     .read = read_whole,
                                     .append_begin = append_begin,
                                     .append = append,
                                     .appended = appended,
                                     .unable = {.wait = "nobody waits"}};
    return peer_main(argc, argv, &peer);
}
