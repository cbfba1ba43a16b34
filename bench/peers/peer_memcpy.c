// SPDX-License-Identifier: MIT
/* Plain shared memory, rewritten in place and copied without any protocol: the limit, and torn. */
#include "peer.h"

#include "flat.h"
#include "released.h"
#include "support/machine.h"

#include <stdatomic.h>
#include <stdio.h>

struct memory {
    _Alignas(64) _Atomic uint64_t length;
    _Alignas(64) char data[];
};

static struct peer_layout layout;
static struct memory *memory;

static void version(char *to, size_t size) {
    snprintf(to, size, "no protocol");
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    memory = bench_shared_memory(sizeof(*memory) + flat_bytes(&layout));
    return NULL;
}

/* The fences are so that the compiler finishes one round before the next. */
static void write_some(uint64_t round, const unsigned *arrays, unsigned count) {
    flat_fill(&layout, memory->data, round, arrays, count);
    atomic_thread_fence(memory_order_release);
}

static void write_round(uint64_t round) {
    write_some(round, (const unsigned[]){0}, 1);
}

static void write_chunk(uint64_t round, size_t index) {
    flat_fill_chunk(&layout, memory->data, round, index);
    atomic_thread_fence(memory_order_release);
}

static uint64_t copy(void *buffer, size_t bytes) {
    memcpy(buffer, memory->data, bytes);
    atomic_thread_fence(memory_order_acquire);
    return 1;
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    return copy(buffer, layout.bytes);
}

static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    return copy(buffer, flat_bytes(&layout));
}

static void append_begin(void) {
    atomic_store(&memory->length, 0);
}

static void append(size_t bytes) {
    released_append(&memory->length, memory->data, bytes);
}

static size_t appended(void *buffer) {
    return released_copy(&memory->length, memory->data, buffer);
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "memcpy",
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
        .unable = {.wait = "plain memory has nothing to wait for; see the peer futex"}};
    return peer_main(argc, argv, &peer);
}
