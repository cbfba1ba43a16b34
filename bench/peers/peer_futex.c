// SPDX-License-Identifier: MIT
/*
 * A bare futex: what a wake-up cannot be faster than where readers sleep.  The
 * writer fills the array, counts a word up and wakes all; a reader sleeps on the
 * word, as futex(2) has it, and copies the array.  For wake-ups only: without
 * them it is the peer memcpy.
 */
#include "peer.h"

#include "flat.h"
#include "support/machine.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ONLY_WAKE "it is for wake-ups only; see the peer memcpy"

struct memory {
    _Alignas(64) _Atomic uint32_t word; /* the round, as far as it fits */
    _Alignas(64) char data[];
};

static struct peer_layout layout;
static struct memory *memory;
static uint32_t prepared;

static void version(char *to, size_t size) {
    snprintf(to, size, "FUTEX_WAIT, FUTEX_WAKE");
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    memory = bench_shared_memory(sizeof(*memory) + flat_bytes(&layout));
    return NULL;
}

static void prepare(uint64_t round) {
    flat_fill(&layout, memory->data, round, (const unsigned[]){0}, 1);
    prepared = (uint32_t)round;
}

static void publish(void) {
    atomic_store_explicit(&memory->word, prepared, memory_order_release);
    syscall(SYS_futex, &memory->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void write_round(uint64_t round) {
    prepare(round);
    publish();
}

static uint64_t wait_for(uint64_t last, void *buffer, const void **data, int64_t deadline) {
    (void)data;
    while (atomic_load_explicit(&memory->word, memory_order_acquire) == (uint32_t)last) {
        int64_t left = deadline - bench_now();
        if (left <= 0)
            return 0;
        const struct timespec timeout = {left / 1000000000, left % 1000000000};
        syscall(SYS_futex, &memory->word, FUTEX_WAIT, (uint32_t)last, &timeout, NULL, 0);
    }
    memcpy(buffer, memory->data, layout.bytes);
    return 1;
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "futex",
        .version = version,
        .make = make,
        .write = write_round,
        .prepare = prepare,
        .publish = publish,
        .wait = wait_for,
        .unable = {ONLY_WAKE, ONLY_WAKE, ONLY_WAKE, NULL, ONLY_WAKE, ONLY_WAKE}};
    return peer_main(argc, argv, &peer);
}
