// SPDX-License-Identifier: MIT
/* Scale and seed of a test run: see scale.h. */
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t test_count(uint64_t count) {
    const char *text = getenv("UNTORN_TEST_SCALE");
    uint64_t percent = text ? strtoull(text, NULL, 10) : 100;
    uint64_t scaled = count * percent / 100;
    if (TEST_ASAN)
        scaled /= 4;
    if (TEST_TSAN)
        scaled /= 20;
    return scaled ? scaled : 1;
}

uint64_t test_count_at_least(uint64_t least, uint64_t count) {
    uint64_t scaled = test_count(count);
    return scaled < least ? least : scaled;
}

int test_large(void) {
    const char *text = getenv("UNTORN_TEST_LARGE");
    return text && text[0] == '1';
}

uint64_t test_seed(void) {
    static uint64_t seed;
    static int known;
    if (!known) {
        const char *text = getenv("UNTORN_TEST_SEED");
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = text ? strtoull(text, NULL, 0)
                    : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
        known = 1;
        printf("UNTORN_TEST_SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
    }
    return seed;
}
