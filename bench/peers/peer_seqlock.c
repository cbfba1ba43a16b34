// SPDX-License-Identifier: MIT
/* The classic seqlock over one copy (support/seqlock.h), rewritten in place. */
#include "peer.h"

#include "support/pattern.h"
#include "support/seqlock.h"

#include <stdio.h>

static struct bench_seqlock *lock;

static void version(char *to, size_t size) {
    snprintf(to, size, "one copy");
}

static const char *make(size_t bytes) {
    lock = bench_shared_memory(sizeof(*lock) + bytes);
    return NULL;
}

static void nothing(size_t bytes) {
    (void)bytes;
}

static void write_round(uint64_t round, size_t bytes) {
    bench_seqlock_begin(lock);
    bench_pattern_fill(lock->data, bytes, round, 0);
    bench_seqlock_end(lock);
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data;
    return bench_seqlock_read(lock, buffer, bytes, deadline);
}

int main(int argc, char **argv) {
    static const struct peer peer = {"seqlock", version,    make, nothing, write_round,
                                     nothing,   read_whole, NULL, NULL,    NULL};
    return peer_main(argc, argv, &peer);
}
