// SPDX-License-Identifier: MIT
// The two clocks.  Both are read in user space; neither can fail on a Linux that runs at all.
#include "base/clock.h"

#include <time.h>

static int64_t ut_clock(clockid_t id) {
    struct timespec now = {0, 0};
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

int64_t ut_clock_wall(void) {
    return ut_clock(CLOCK_REALTIME_COARSE);
}

int64_t ut_clock_monotonic(void) {
    return ut_clock(CLOCK_MONOTONIC);
}
