// SPDX-License-Identifier: MIT
/*
 * Data that tells on itself: word i of round g is (g << 28) + i, so that one
 * word of another round, or at another place, is seen.  Filled and checked 64
 * bytes at a time by vector arithmetic, at memory speed on a plain x86-64 or
 * ARM64 build.  Sizes are multiples of 8 bytes, and arrays below 2^28 words.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BENCH_PATTERN_SHIFT 28

/* Vectors of 16 bytes, which every x86-64 and ARM64 has registers for: compilers keep longer ones
 * in memory. */
typedef uint64_t bench_pair __attribute__((vector_size(16)));

struct bench_line {
    bench_pair a, b, c, d;
};

static inline struct bench_line bench_line_from(uint64_t base) {
    return (struct bench_line){
        {base, base + 1}, {base + 2, base + 3}, {base + 4, base + 5}, {base + 6, base + 7}};
}

static inline void bench_line_next(struct bench_line *line) {
    line->a += 8, line->b += 8, line->c += 8, line->d += 8;
}

static inline void bench_pattern_fill(void *memory, size_t bytes, uint64_t round,
                                      uint64_t first_word) {
    struct bench_line line = bench_line_from((round << BENCH_PATTERN_SHIFT) + first_word);
    char *to = memory;
    size_t at = 0;
    for (; at + sizeof(line) <= bytes; at += sizeof(line)) {
        memcpy(to + at, &line.a, 16);
        memcpy(to + at + 16, &line.b, 16);
        memcpy(to + at + 32, &line.c, 16);
        memcpy(to + at + 48, &line.d, 16);
        bench_line_next(&line);
    }
    const struct bench_line last = line; /* of its own, so that `line` stays in registers */
    memcpy(to + at, &last, bytes - at);
}

static inline bench_pair bench_line_differs(const struct bench_line *line, const char *from) {
    struct bench_line found;
    memcpy(&found, from, sizeof(found));
    return (found.a ^ line->a) | (found.b ^ line->b) | (found.c ^ line->c) | (found.d ^ line->d);
}

/* True if all of it is one round's, from `first_word` on. */
static inline int bench_pattern_whole_from(const void *memory, size_t bytes, uint64_t first_word) {
    const char *from = memory;
    uint64_t base;
    memcpy(&base, from, sizeof(base));
    struct bench_line line = bench_line_from(base);
    bench_pair wrong = {0};
    size_t at = 0;
    for (; at + sizeof(line) <= bytes; at += sizeof(line)) {
        wrong |= bench_line_differs(&line, from + at);
        bench_line_next(&line);
    }
    const struct bench_line last = line;
    uint64_t any = (base & ((1u << BENCH_PATTERN_SHIFT) - 1)) ^ first_word;
    any |= wrong[0] | wrong[1];
    return any == 0 && base >> BENCH_PATTERN_SHIFT != 0 &&
           memcmp(from + at, &last, bytes - at) == 0;
}

static inline int bench_pattern_whole(const void *memory, size_t bytes) {
    return bench_pattern_whole_from(memory, bytes, 0);
}

/* The round that the first word is of. */
static inline uint64_t bench_pattern_round(const void *memory) {
    uint64_t word;
    memcpy(&word, memory, sizeof(word));
    return word >> BENCH_PATTERN_SHIFT;
}

#endif
