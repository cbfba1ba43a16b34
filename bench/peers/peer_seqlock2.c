// SPDX-License-Identifier: MIT
/*
 * A seqlock over two copies, written in turn.  Round g goes to copy g % 2: say
 * that it begins, fence(release), fill, say that it is done.  A reader copies
 * the last one that is done, and needs that the round after the next, which
 * goes over it, has not begun.
 */
#include "peer.h"

#include "support/machine.h"
#include "support/pattern.h"

#include <stdatomic.h>
#include <stdio.h>

struct two_copies {
    _Atomic uint64_t begun, done;
    char pad[48];
    char data[];
};

static struct two_copies *lock;

static void version(char *to, size_t size) {
    snprintf(to, size, "two copies");
}

static const char *make(size_t bytes) {
    lock = bench_shared_memory(sizeof(*lock) + 2 * bytes);
    return NULL;
}

static void nothing(size_t bytes) {
    (void)bytes;
}

static void write_round(uint64_t round, size_t bytes) {
    atomic_store_explicit(&lock->begun, round, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    bench_pattern_fill(lock->data + round % 2 * bytes, bytes, round, 0);
    atomic_store_explicit(&lock->done, round, memory_order_release);
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data;
    for (uint64_t attempts = 1;; attempts++) {
        uint64_t round = atomic_load_explicit(&lock->done, memory_order_acquire);
        memcpy(buffer, lock->data + round % 2 * bytes, bytes);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&lock->begun, memory_order_relaxed) <= round + 1)
            return attempts;
        if (bench_now() > deadline)
            return 0;
    }
}

int main(int argc, char **argv) {
    static const struct peer peer = {"seqlock2", version,    make, nothing, write_round,
                                     nothing,    read_whole, NULL, NULL,    NULL};
    return peer_main(argc, argv, &peer);
}
