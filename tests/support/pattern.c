// SPDX-License-Identifier: MIT
/* The self-checking fill: see pattern.h. */
#include "pattern.h"

#include <string.h>

#include "rng.h"

// The 8-byte word at `place` (counted in words) of the stream.
static inline uint64_t word_at(uint64_t array, uint64_t stamp, uint64_t place) {
    return place ? test_mix((array * 0x9e3779b97f4a7c15u) ^ (stamp * 0xd1342543de82ef95u) ^
                            (place * 0xff51afd7ed558ccdu))
                 : stamp;
}

static unsigned char byte_at(uint64_t array, uint64_t stamp, size_t offset) {
    return (unsigned char)(word_at(array, stamp, offset / 8) >> (offset % 8 * 8));
}

void pattern_fill(uint64_t array, uint64_t stamp, size_t offset, void *to, size_t size) {
    unsigned char *bytes = to;
    size_t i = 0;
    for (; i < size && (offset + i) % 8; i++)
        bytes[i] = byte_at(array, stamp, offset + i);
    for (; i + 8 <= size; i += 8) {
        uint64_t word = word_at(array, stamp, (offset + i) / 8);
        memcpy(bytes + i, &word, 8);
    }
    for (; i < size; i++)
        bytes[i] = byte_at(array, stamp, offset + i);
}

size_t pattern_check(uint64_t array, uint64_t stamp, size_t offset, const void *from, size_t size) {
    const unsigned char *bytes = from;
    size_t i = 0;
    for (; i < size && (offset + i) % 8; i++)
        if (bytes[i] != byte_at(array, stamp, offset + i))
            return i;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        if (word != word_at(array, stamp, (offset + i) / 8))
            return i;
    }
    for (; i < size; i++)
        if (bytes[i] != byte_at(array, stamp, offset + i))
            return i;
    return PATTERN_GOOD;
}

uint64_t pattern_stamp(const void *from, size_t size) {
    uint64_t stamp = 0;
    memcpy(&stamp, from, size < 8 ? size : 8);
    return stamp;
}
