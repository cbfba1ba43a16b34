// SPDX-License-Identifier: MIT
/*
 * The classic seqlock over one copy (support/seqlock.h), rewritten in place: one
 * lock over all arrays, as seqlocks are used for data of several fields.
 */
#include "peer.h"

#include "flat.h"
#include "released.h"
#include "support/seqlock.h"

#include <stdio.h>

static struct peer_layout layout;
static struct bench_seqlock *lock;
static _Atomic uint64_t *length; /* of what is appended */

static void version(char *to, size_t size) {
    snprintf(to, size, "one copy");
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    lock = bench_shared_memory(sizeof(*lock) + flat_bytes(&layout));
    length = bench_shared_memory(sizeof(*length));
    return NULL;
}

static void write_some(uint64_t round, const unsigned *arrays, unsigned count) {
    bench_seqlock_begin(lock);
    flat_fill(&layout, lock->data, round, arrays, count);
    bench_seqlock_end(lock);
}

static void write_round(uint64_t round) {
    write_some(round, (const unsigned[]){0}, 1);
}

static void write_chunk(uint64_t round, size_t index) {
    bench_seqlock_begin(lock);
    flat_fill_chunk(&layout, lock->data, round, index);
    bench_seqlock_end(lock);
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    return bench_seqlock_read(lock, buffer, layout.bytes, deadline);
}

static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    return bench_seqlock_read(lock, buffer, flat_bytes(&layout), deadline);
}

static void append_begin(void) {
    atomic_store(length, 0);
}

static void append(size_t bytes) {
    released_append(length, lock->data, bytes);
}

static size_t appended(void *buffer) {
    return released_copy(length, lock->data, buffer);
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "seqlock",
        .version = version,
        .make = make,
        .write = write_round,
        .read = read_whole,
        .write_some = write_some,
        .write_chunk = write_chunk,
        .append_begin = append_begin,
        .append = append,
        .appended = appended,
        .snapshot = snapshot,
        .unable = {.wait = "a seqlock can be looked at again, not waited for"}};
    return peer_main(argc, argv, &peer);
}
