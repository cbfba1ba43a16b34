// SPDX-License-Identifier: MIT
/*
 * A process-shared pthread_rwlock_t of the default kind, around arrays rewritten
 * in place: one lock for all.  Readers wait no longer than to their deadline.
 */
#include "peer.h"

#include "flat.h"
#include "support/machine.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct locked {
    _Alignas(64) pthread_rwlock_t lock;
    uint64_t length; /* of what is appended */
    _Alignas(64) char data[];
};

static struct peer_layout layout;
static struct locked *locked;

static void version(char *to, size_t size) {
    snprintf(to, size, "glibc %s", gnu_get_libc_version());
}

static const char *make(const struct peer_layout *wanted) {
    pthread_rwlockattr_t attributes;
    layout = *wanted;
    locked = bench_shared_memory(sizeof(*locked) + flat_bytes(&layout));
    if (pthread_rwlockattr_init(&attributes) != 0 ||
        pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_rwlock_init(&locked->lock, &attributes) != 0)
        return "no process-shared rwlock here";
    return NULL;
}

static void write_some(uint64_t round, const unsigned *arrays, unsigned count) {
    pthread_rwlock_wrlock(&locked->lock);
    flat_fill(&layout, locked->data, round, arrays, count);
    pthread_rwlock_unlock(&locked->lock);
}

static void write_round(uint64_t round) {
    write_some(round, (const unsigned[]){0}, 1);
}

static void write_chunk(uint64_t round, size_t index) {
    pthread_rwlock_wrlock(&locked->lock);
    flat_fill_chunk(&layout, locked->data, round, index);
    pthread_rwlock_unlock(&locked->lock);
}

static uint64_t copy(void *buffer, size_t bytes, int64_t deadline) {
    const struct timespec until = {deadline / 1000000000, deadline % 1000000000};
    if (pthread_rwlock_clockrdlock(&locked->lock, CLOCK_MONOTONIC, &until) != 0)
        return 0;
    memcpy(buffer, locked->data, bytes);
    pthread_rwlock_unlock(&locked->lock);
    return 1;
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    return copy(buffer, layout.bytes, deadline);
}

static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    return copy(buffer, flat_bytes(&layout), deadline);
}

static void append_begin(void) {
    pthread_rwlock_wrlock(&locked->lock);
    locked->length = 0;
    pthread_rwlock_unlock(&locked->lock);
}

static void append(size_t bytes) {
    pthread_rwlock_wrlock(&locked->lock);
    bench_pattern_fill(locked->data + locked->length, bytes, 1, locked->length / 8);
    locked->length += bytes;
    pthread_rwlock_unlock(&locked->lock);
}

static size_t appended(void *buffer) {
    pthread_rwlock_rdlock(&locked->lock);
    size_t bytes = (size_t)locked->length;
    memcpy(buffer, locked->data, bytes);
    pthread_rwlock_unlock(&locked->lock);
    return bytes;
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "rwlock",
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
        .unable = {.wait = "a rwlock is waited for as a lock, not for what it protects"}};
    return peer_main(argc, argv, &peer);
}
