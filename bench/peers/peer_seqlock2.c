// SPDX-License-Identifier: MIT
/*
 * A seqlock over two copies, written in turn.  Round g goes to copy g % 2: say
 * that it begins, fence(release), fill, say that it is done.  A reader copies
 * the last one that is done, and needs that the round after the next, which
 * goes over it, has not begun.
 *
 * A round that replaces a part first brings over what the round before replaced
 * in the other copy, as far as it does not replace it itself.
 */
#include "peer.h"

#include "flat.h"
#include "released.h"
#include "support/machine.h"

#include <stdatomic.h>
#include <stdio.h>

struct two_copies {
    _Alignas(64) _Atomic uint64_t begun, done, length;
    _Alignas(64) char data[];
};

static struct peer_layout layout;
static struct two_copies *lock;
static unsigned before[PEER_MAX_ARRAYS], before_count; /* the arrays that the last round replaced */
static size_t chunk_before;                            /* and the chunk */

static void version(char *to, size_t size) {
    snprintf(to, size, "two copies");
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    lock = bench_shared_memory(sizeof(*lock) + 2 * flat_bytes(&layout));
    return NULL;
}

static char *copy_of(uint64_t round) {
    return lock->data + round % 2 * flat_bytes(&layout);
}

static void begin(uint64_t round) {
    atomic_store_explicit(&lock->begun, round, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end(uint64_t round) {
    atomic_store_explicit(&lock->done, round, memory_order_release);
}

static int is_in(unsigned array, const unsigned *arrays, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (arrays[i] == array)
            return 1;
    return 0;
}

/* Where all are replaced, there is nothing to bring over. */
static void catch_up(uint64_t round, const unsigned *arrays, unsigned count) {
    for (unsigned i = 0; i < before_count && count < layout.arrays; i++)
        if (!is_in(before[i], arrays, count)) {
            size_t at = before[i] * layout.bytes;
            memcpy(copy_of(round) + at, copy_of(round + 1) + at, layout.bytes);
        }
    memcpy(before, arrays, count * sizeof(*arrays));
    before_count = count;
}

static void write_some(uint64_t round, const unsigned *arrays, unsigned count) {
    begin(round);
    catch_up(round, arrays, count);
    flat_fill(&layout, copy_of(round), round, arrays, count);
    end(round);
}

static void write_round(uint64_t round) {
    write_some(round, (const unsigned[]){0}, 1);
}

static void write_chunk(uint64_t round, size_t index) {
    size_t bytes, at = flat_chunk(&layout, chunk_before, &bytes);
    begin(round);
    if (round == 2)
        memcpy(copy_of(round), copy_of(round + 1), layout.bytes);
    else if (index != chunk_before)
        memcpy(copy_of(round) + at, copy_of(round + 1) + at, bytes);
    flat_fill_chunk(&layout, copy_of(round), round, index);
    chunk_before = index;
    end(round);
}

static uint64_t copy(void *buffer, size_t bytes, int64_t deadline) {
    for (uint64_t attempts = 1;; attempts++) {
        uint64_t round = atomic_load_explicit(&lock->done, memory_order_acquire);
        memcpy(buffer, copy_of(round), bytes);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&lock->begun, memory_order_relaxed) <= round + 1)
            return attempts;
        if (bench_now() > deadline)
            return 0;
    }
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    return copy(buffer, layout.bytes, deadline);
}

static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    return copy(buffer, flat_bytes(&layout), deadline);
}

/* One of the copies is enough: what was appended is not written again. */
static void append_begin(void) {
    atomic_store(&lock->length, 0);
}

static void append(size_t bytes) {
    released_append(&lock->length, lock->data, bytes);
}

static size_t appended(void *buffer) {
    return released_copy(&lock->length, lock->data, buffer);
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "seqlock2",
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
