// SPDX-License-Identifier: MIT
/* Plain shared memory, rewritten in place and copied without any protocol: the limit, and torn. */
#include "peer.h"

#include "support/machine.h"
#include "support/pattern.h"

#include <stdatomic.h>
#include <stdio.h>

static char *memory;

static void version(char *to, size_t size) {
    snprintf(to, size, "no protocol");
}

static const char *make(size_t bytes) {
    memory = bench_shared_memory(bytes);
    return NULL;
}

static void nothing(size_t bytes) {
    (void)bytes;
}

static void write_round(uint64_t round, size_t bytes) {
    bench_pattern_fill(memory, bytes, round, 0);
    /* so that the compiler finishes one round before the next */
    atomic_thread_fence(memory_order_release);
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data, (void)deadline;
    memcpy(buffer, memory, bytes);
    atomic_thread_fence(memory_order_acquire);
    return 1;
}

int main(int argc, char **argv) {
    static const struct peer peer = {"memcpy", version,    make, nothing, write_round,
                                     nothing,  read_whole, NULL, NULL,    NULL};
    return peer_main(argc, argv, &peer);
}
