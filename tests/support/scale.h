// SPDX-License-Identifier: MIT
/*
 * How much a test does and with which seed, from the environment:
 * UNTORN_TEST_SCALE (percent, default 100), UNTORN_TEST_SEED (default: the clock;
 * printed, so that a failure can be repeated), UNTORN_TEST_LARGE (1: arrays of
 * gigabytes, in the tests that have them).  And which sanitizer is in.
 */
#ifndef UT_TEST_SCALE_H
#define UT_TEST_SCALE_H

#include <stdint.h>

#include "must.h"

#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#endif
#ifndef TEST_TSAN
#define TEST_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#ifndef TEST_ASAN
#define TEST_ASAN 0
#endif

// `count` at scale 100, at least 1.  Sanitized builds do a part of it, as they are slower.
uint64_t test_count(uint64_t count);

// As many, but never fewer than `least`: where the test asks for a share of what chance brings, of
// so many that chance does not deny it.
uint64_t test_count_at_least(uint64_t least, uint64_t count);

// Whether arrays are to be as large as they get.
int test_large(void);

// The run's seed, printed when first asked for.
uint64_t test_seed(void);

// ThreadSanitizer sees one process only and does not survive a SIGKILL half-way.
#define skip_under_tsan()                                                                          \
    do {                                                                                           \
        if (TEST_TSAN) {                                                                           \
            print_message("SKIP %s: needs processes of its own\n", __func__);                      \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

// Give up visibly, with a reason.
#define skip_because(reason)                                                                       \
    do {                                                                                           \
        print_message("SKIP %s: %s\n", __func__, reason);                                          \
        skip();                                                                                    \
    } while (0)

#endif
