// SPDX-License-Identifier: MIT
/* A process-shared pthread_rwlock_t of the default kind, around an array rewritten in place. */
#include "peer.h"

#include "support/machine.h"
#include "support/pattern.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>

struct locked {
    _Alignas(64) pthread_rwlock_t lock;
    _Alignas(64) char data[];
};

static struct locked *locked;

static void version(char *to, size_t size) {
    snprintf(to, size, "glibc %s", gnu_get_libc_version());
}

static const char *make(size_t bytes) {
    pthread_rwlockattr_t attributes;
    locked = bench_shared_memory(sizeof(*locked) + bytes);
    if (pthread_rwlockattr_init(&attributes) != 0 ||
        pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_rwlock_init(&locked->lock, &attributes) != 0)
        return "no process-shared rwlock here";
    return NULL;
}

static void nothing(size_t bytes) {
    (void)bytes;
}

static void write_round(uint64_t round, size_t bytes) {
    pthread_rwlock_wrlock(&locked->lock);
    bench_pattern_fill(locked->data, bytes, round, 0);
    pthread_rwlock_unlock(&locked->lock);
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data, (void)deadline;
    pthread_rwlock_rdlock(&locked->lock);
    memcpy(buffer, locked->data, bytes);
    pthread_rwlock_unlock(&locked->lock);
    return 1;
}

int main(int argc, char **argv) {
    static const struct peer peer = {"rwlock", version,    make, nothing, write_round,
                                     nothing,  read_whole, NULL, NULL,    NULL};
    return peer_main(argc, argv, &peer);
}
