// SPDX-License-Identifier: MIT
/*
 * The classic seqlock over one copy, as the textbooks give it in C11: the
 * baseline.  Reader: load-acquire the counter, reject odd, copy, fence(acquire),
 * look again.  Writer: odd, fence(release), write in place, even by
 * store-release.
 */
#ifndef BENCH_SEQLOCK_H
#define BENCH_SEQLOCK_H

#include "machine.h"

#include <stdatomic.h>
#include <string.h>

struct bench_seqlock {
    _Atomic uint64_t sequence;
    char pad[56];
    char data[];
};

/* Copies begun (at least 1), or 0 if none succeeded until `deadline` (0: no
 * deadline, and no clock is read). */
static inline uint64_t bench_seqlock_read(const struct bench_seqlock *lock, void *to, size_t bytes,
                                          int64_t deadline) {
    for (uint64_t attempts = 1;; attempts++) {
        uint64_t before = atomic_load_explicit(&lock->sequence, memory_order_acquire);
        if (!(before & 1)) {
            memcpy(to, lock->data, bytes);
            atomic_thread_fence(memory_order_acquire);
            if (atomic_load_explicit(&lock->sequence, memory_order_relaxed) == before)
                return attempts;
        } else {
            bench_relax();
        }
        if (deadline && bench_now() > deadline)
            return 0;
    }
}

static inline void bench_seqlock_begin(struct bench_seqlock *lock) {
    uint64_t now = atomic_load_explicit(&lock->sequence, memory_order_relaxed);
    atomic_store_explicit(&lock->sequence, now + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void bench_seqlock_end(struct bench_seqlock *lock) {
    uint64_t now = atomic_load_explicit(&lock->sequence, memory_order_relaxed);
    atomic_store_explicit(&lock->sequence, now + 1, memory_order_release);
}

#endif
