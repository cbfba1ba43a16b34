// SPDX-License-Identifier: MIT
/*
 * Arrays one behind the other in plain memory, as the peers keep them that are
 * no more than a lock: filled in place.
 */
#ifndef BENCH_FLAT_H
#define BENCH_FLAT_H

#include "peer.h"
#include "support/pattern.h"

static inline size_t flat_bytes(const struct peer_layout *layout) {
    return layout->capacity ? layout->capacity : layout->bytes * layout->arrays;
}

static inline void flat_fill(const struct peer_layout *layout, char *data, uint64_t round,
                             const unsigned *arrays, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        bench_pattern_fill(data + arrays[i] * layout->bytes, layout->bytes, round, 0);
}

/* Where a chunk of array 0 is, and how long. */
static inline size_t flat_chunk(const struct peer_layout *layout, size_t index, size_t *bytes) {
    size_t at = index * layout->chunk;
    *bytes = layout->bytes - at < layout->chunk ? layout->bytes - at : layout->chunk;
    return at;
}

static inline void flat_fill_chunk(const struct peer_layout *layout, char *data, uint64_t round,
                                   size_t index) {
    size_t bytes, at = flat_chunk(layout, index, &bytes);
    bench_pattern_fill(data + at, bytes, round, at / 8);
}

#endif
