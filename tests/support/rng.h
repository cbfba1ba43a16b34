// SPDX-License-Identifier: MIT
/*
 * A seeded random generator (splitmix64): one word of state, so that a sequence
 * can be replayed from its seed in another process, which the model tests live on.
 */
#ifndef UT_TEST_RNG_H
#define UT_TEST_RNG_H

#include <stdint.h>

struct test_rng {
    uint64_t state;
};

static inline uint64_t test_mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t rng_next(struct test_rng *rng) {
    rng->state += 0x9e3779b97f4a7c15u;
    return test_mix(rng->state);
}

// 0 <= result < n
static inline uint64_t rng_below(struct test_rng *rng, uint64_t n) {
    return n ? rng_next(rng) % n : 0;
}

// low <= result <= high
static inline uint64_t rng_range(struct test_rng *rng, uint64_t low, uint64_t high) {
    return low + rng_below(rng, high - low + 1);
}

static inline int rng_chance(struct test_rng *rng, unsigned percent) {
    return rng_below(rng, 100) < percent;
}

#endif
