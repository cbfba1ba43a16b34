// SPDX-License-Identifier: MIT
/*
 * A peer: another way of keeping an array that one process writes and another
 * reads, under the same load as untorn.
 *
 * A peer is a small program: peer_main() with the functions below.  Called as
 *
 *     peer_NAME --bytes N --seconds S
 *
 * it measures one cell once and prints one line of JSON:
 *
 *     {"peer":"seqlock","version":"...","workload":"rewrite","bytes":4096,
 *      "wall_ns":..,"spent_ns":..,       in all, and inside read calls
 *      "reads":..,"attempts":..,         copies begun, for all reads together
 *      "p50_ns":..,"p99_ns":..,          of one read call, the clock included
 *      "timer_ns":..,                    what the clock itself takes
 *      "torn":..,"new":..,               reads whose data is of two rounds; that returned another
 *                                        round than the read before
 *      "unfinished":0,                   1: the last read did not end before the time was up
 *      "commits":..}                     by the writer meanwhile
 *
 * or {"peer":..,"bytes":..,"unable":"why"}.  Python peers (peer.py) print the same.
 *
 * Workload "rewrite": a writer process, on a processor of its own, replaces the
 * whole array again and again without pause; a reader process copies the whole
 * array to private memory again and again.  Every word tells its round and its
 * place (support/pattern.h), and every read is checked, outside the time.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

/* Arrays that have chunks have them of this many bytes, or one. */
#define PEER_CHUNK ((size_t)256 << 10)

struct peer {
    const char *name;

    /* What it is, printed as it stands. */
    void (*version)(char *to, size_t size);

    /* Before the fork: shared memory, files, servers.  Returns NULL, or why it cannot. */
    const char *(*make)(size_t bytes);

    /* In the writer's process. */
    void (*writer_open)(size_t bytes);
    void (*write)(uint64_t round, size_t bytes);

    /* In the reader's process, after the writer wrote once. */
    void (*reader_open)(size_t bytes);

    /*
     * A whole array, in `buffer` or, where the library hands out private memory of its own, at
     * *data.  Returns the copies begun, or 0 if none succeeded before `deadline` (bench_now()).
     */
    uint64_t (*read)(void *buffer, const void **data, size_t bytes, int64_t deadline);

    /* In the writer's and then in the first process; each may be NULL. */
    void (*writer_close)(void);
    void (*reader_close)(void);
    void (*remove)(void);
};

int peer_main(int argc, char **argv, const struct peer *peer);

#endif
