// SPDX-License-Identifier: MIT
/*
 * Appending to plain memory: store the piece behind what is there, then release
 * the new length.  What was appended never changes, so readers need no lock;
 * all peers that are plain memory with a lock append like this.
 */
#ifndef BENCH_RELEASED_H
#define BENCH_RELEASED_H

#include "support/pattern.h"

#include <stdatomic.h>

static inline void released_append(_Atomic uint64_t *length, char *data, size_t bytes) {
    size_t at = (size_t)atomic_load_explicit(length, memory_order_relaxed);
    bench_pattern_fill(data + at, bytes, 1, at / 8);
    atomic_store_explicit(length, at + bytes, memory_order_release);
}

static inline size_t released_copy(const _Atomic uint64_t *length, const char *data, void *to) {
    size_t bytes = (size_t)atomic_load_explicit(length, memory_order_acquire);
    memcpy(to, data, bytes);
    return bytes;
}

#endif
