// SPDX-License-Identifier: MIT
/*
 * Data that tells on itself: word i of round g is (g << 24) + i, so that one
 * word of another round, or at another place, is seen.  Filled and checked 64
 * bytes at a time by vector arithmetic, at memory speed on a plain x86-64 or
 * ARM64 build.  Sizes are multiples of 64 bytes and arrays below 2^24 words.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t bench_line __attribute__((vector_size(64)));

static inline void bench_pattern_fill(void *memory, size_t bytes, uint64_t round,
                                      uint64_t first_word) {
    uint64_t base = (round << 24) + first_word;
    bench_line line = {base, base + 1, base + 2, base + 3, base + 4, base + 5, base + 6, base + 7};
    char *to = memory;
    for (size_t at = 0; at < bytes; at += sizeof(line), line += 8)
        memcpy(to + at, &line, sizeof(line));
}

/* True if all of it is one round's, from word 0 on. */
static inline int bench_pattern_whole(const void *memory, size_t bytes) {
    const char *from = memory;
    uint64_t base;
    memcpy(&base, from, sizeof(base));
    bench_line line = {base, base + 1, base + 2, base + 3, base + 4, base + 5, base + 6, base + 7};
    bench_line wrong = {0}, found;
    for (size_t at = 0; at < bytes; at += sizeof(line), line += 8) {
        memcpy(&found, from + at, sizeof(found));
        wrong |= found ^ line;
    }
    uint64_t any = base & 0xffffff;
    for (int i = 0; i < 8; i++)
        any |= wrong[i];
    return any == 0 && base != 0;
}

#endif
