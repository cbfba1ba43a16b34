// SPDX-License-Identifier: MIT
/*
 * Plain shared memory, written and copied without any protocol: the limit, and torn.
 *
 *   (memcpy) One array that is rewritten in place.  Where a cache of the processor holds that one
 *            but not several of it, this is another load on memory than that of a peer which
 *            keeps what readers may be reading, and no limit of it.
 *   --round  (memcpy-round) As many copies as the peer untorn goes round (untorn_array.h), written
 *            in turn, and the newest is read.  Who reads for as long as the writer takes to come
 *            round has a torn array.
 */
#include "peer.h"

#include "released.h"
#include "support/machine.h"
#include "untorn_array.h"

#include <stdatomic.h>
#include <stdio.h>

struct memory {
    _Alignas(64) _Atomic uint64_t length;
    _Atomic size_t newest; /* where in the data; --round */
    _Alignas(64) char data[];
};

static struct peer_layout layout;
static struct memory *memory;
static unsigned copies = 1, turn;

static void version(char *to, size_t size) {
    snprintf(to, size, "no protocol");
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    memory = bench_shared_memory(sizeof(*memory) + flat_bytes(&layout));
    return NULL;
}

static const char *make_round(const struct peer_layout *wanted) {
    layout = *wanted;
    copies = untorn_array_copies(wanted);
    memory = bench_shared_memory(sizeof(*memory) + copies * layout.bytes);
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

static void write_next(uint64_t round) {
    turn = turn + 1 == copies ? 0 : turn + 1;
    size_t at = turn * layout.bytes;
    bench_pattern_fill(memory->data + at, layout.bytes, round, 0);
    atomic_store_explicit(&memory->newest, at, memory_order_release);
}

static uint64_t read_newest(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    size_t at = atomic_load_explicit(&memory->newest, memory_order_acquire);
    memcpy(buffer, memory->data + at, layout.bytes);
    atomic_thread_fence(memory_order_acquire);
    return 1;
}

static unsigned copies_in_turn(void) {
    return copies;
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

#define ONE_ARRAY "it goes round copies of one array, replaced as a whole; see the peer memcpy"

static const struct peer in_place = {
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

static const struct peer round_copies = {.name = "memcpy-round",
                                         .flag = "--round",
                                         .version = version,
                                         .make = make_round,
                                         .write = write_next,
                                         .read = read_newest,
                                         .copies = copies_in_turn,
                                         .unable = {.transaction = ONE_ARRAY,
                                                    .part = ONE_ARRAY,
                                                    .append = ONE_ARRAY,
                                                    .wait = ONE_ARRAY,
                                                    .snapshot = ONE_ARRAY}};

int main(int argc, char **argv) {
    return peer_main(argc, argv, peer_flag(argc, argv, "--round") ? &round_copies : &in_place);
}
