// SPDX-License-Identifier: MIT
/*
 * A peer: another way of keeping arrays that one process writes and others
 * read, under the same load as untorn.
 *
 * A peer is a small program: peer_main() with the functions below.  Called as
 *
 *     peer_NAME --workload W --bytes N --seconds S [--chunk N] [--duty PERCENT]
 *               [--rate COMMITS_PER_SECOND] [--arrays K] [--part] [--readers R]
 *
 * it measures one cell once and prints one line of JSON:
 *
 *     {"peer":"seqlock","version":"...","workload":"rewrite","bytes":4096,"chunk":4096,
 *      "duty":100,"rate":0,"arrays":1,"readers":1,
 *      "part":true,                      with --part only
 *      "wall_ns":..,"spent_ns":..,       in all, and inside the calls that are measured; a process
 *                                        makes one at least, even if that takes longer than S
 *      "p50_ns":..,"p99_ns":..,          of calls timed one by one, the clock included
 *      "timer_ns":..,                    what the clock itself takes
 *      "torn":..,                        reads whose data is not of one round; commit and append:
 *                                        1 if what they left behind is not what was written
 *      "copies":..,                      of array 0, that the writer wrote to in turn, where known
 *      "batched":..,"batched_ns":..,     if calls are short: those timed together, a batch
 *                                        between two looks at the clock; what they took
 *   where readers are measured (read, rewrite, wake, snapshot), summed over them:
 *      "reads":..,"attempts":..,         copies begun, for all reads together
 *      "checked":..,                     reads that were looked at; of a batch not all may be
 *      "new":..,                         reads that returned another round than the read before
 *      "compared":..,                    reads of which it is known whether they did
 *      "unfinished":0}                   readers whose last read did not end before the time was up
 *   rewrite and snapshot:
 *      "commits":..,                     by the writer, while wall_ns went by
 *      "commits_alone":..}               by the writer in as long a time before, nobody reading
 *   where the writer is measured (commit, append):
 *      "commits":..}                     the calls that are measured
 *
 * or the same head with "unable":"why" in place of the figures.  Commits beside readers need not
 * be whole numbers: they are counted from one commit to another and scaled to wall_ns, since few
 * commits of large arrays fit a cell.  Python peers (peer.py) print the same.
 *
 * Before anything is measured the writer makes commits, up to a limit of time, until whatever it
 * keeps of earlier rounds exists and was written to again (crew.c): memory that is touched for the
 * first time takes many times as long, and is no part of the figures.  What is appended is new each
 * time, and is so here, too.
 *
 * A writer process has processor 1 for itself; readers, each a process of its own, share processor
 * 0.  Every word tells its round and its place (support/pattern.h), and what is read is checked,
 * outside the time (measured.c).  What follows is in workload_*.c:
 *
 *   read      The writer wrote once and sleeps; a reader copies the whole array to private memory
 *             again and again.
 *   rewrite   The writer replaces the whole array again and again: without pause, or for --duty
 *             percent of the time (it writes, then pauses for as long as keeps the share), or
 *             --rate times a second.  --readers read it.
 *   commit    Nobody reads.  The measured calls are the writer's: one transaction that replaces
 *             --arrays arrays of --bytes, or with --part one chunk of --chunk bytes of one array,
 *             another each time.
 *   append    Nobody reads.  The array is empty at first; a measured call makes it --bytes longer,
 *             and visible.  At 64 MiB it begins anew, outside the time.
 *   wake      --readers wait, blocked, for the next publication of --bytes.  The writer publishes
 *             half a millisecond or so after all of them are waiting.  The measured time is from
 *             just before the publication, the data being written, to where the reader has it.
 *   snapshot  Transaction r of the writer replaces array 0 and array r mod K, of --bytes each, both
 *             by round r, without pause.  A reader takes all K --arrays as of one transaction.  So
 *             array k has to be of the last r' <= r with r' mod K = k, where r is the round of
 *             array 0; what is of any other is torn.
 *
 * Sizes are multiples of 64, or of 8 for append.  A chunk has --chunk bytes, by default 256 KiB,
 * and no more than the array, unless the array is appended to.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#define PEER_MAX_READERS 64
#define PEER_MAX_ARRAYS 256

/* What is kept: `arrays` of `bytes` each, in chunks of `chunk` where there are chunks. */
struct peer_layout {
    size_t bytes, chunk;
    unsigned arrays, readers;
    int part;        /* write_chunk() will be called */
    size_t capacity; /* of an array that is appended to; 0: none is */
};

struct peer {
    const char *name;

    /* What it is, printed as it stands. */
    void (*version)(char *to, size_t size);

    /* Before the fork: shared memory, files, servers.  Returns NULL, or why it cannot. */
    const char *(*make)(const struct peer_layout *layout);

    /* In the writer's process.  NULL: nothing to do. */
    void (*writer_open)(const struct peer_layout *layout);

    /* In a reader's process, after the writer wrote what there is at first.  NULL: nothing to do.
     */
    void (*reader_open)(const struct peer_layout *layout);

    /* Replace array 0 by `round`, and make it visible. */
    void (*write)(uint64_t round);

    /*
     * The whole array 0, in `buffer` or, where the library hands out private memory of its own, at
     * *data.  Returns the copies begun, or 0 if none succeeded before `deadline` (bench_now()).
     * NULL: it is a peer for other workloads.
     */
    uint64_t (*read)(void *buffer, const void **data, int64_t deadline);

    /* What follows may be NULL: then the peer cannot do it, and says in `unable` why. */

    /* Replace the arrays listed, all in one transaction. */
    void (*write_some)(uint64_t round, const unsigned *arrays, unsigned count);

    /* Replace one chunk of array 0, the others stay. */
    void (*write_chunk)(uint64_t round, size_t index);

    /* The writer: make array 0 empty; make it `bytes` longer and visible, by round 1.
     * A reader: all that was appended; returns how many bytes, at most the capacity. */
    void (*append_begin)(void);
    void (*append)(size_t bytes);
    size_t (*appended)(void *buffer);

    /* The writer: write() in two steps, filling array 0 and then making it visible to all and
     * waking who waits.
     * A reader: block until array 0 is of another round than `last`, and copy it.  Returns as
     * read() does. */
    void (*prepare)(uint64_t round);
    void (*publish)(void);
    uint64_t (*wait)(uint64_t last, void *buffer, const void **data, int64_t deadline);

    /* All arrays as of one transaction, one behind the other.  As read(). */
    uint64_t (*snapshot)(void *buffer, const void **data, int64_t deadline);

    /* In the writer's process, when it is done: how many copies of array 0 it went round lately.
     * NULL: nothing to say. */
    unsigned (*copies)(void);

    /* In the writer's, in the readers' and then in the first process; each may be NULL. */
    void (*writer_close)(void);
    void (*reader_close)(void);
    void (*remove)(void);

    /* Why there is no write_some, write_chunk, append, wait, snapshot, read. */
    struct peer_reasons {
        const char *transaction, *part, *append, *wait, *snapshot, *read;
    } unable;

    /* A flag without a value that makes another peer of the program; NULL: none. */
    const char *flag;
};

int peer_main(int argc, char **argv, const struct peer *peer);

/* True if the flag is among the arguments. */
int peer_flag(int argc, char **argv, const char *flag);

#endif
