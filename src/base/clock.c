// SPDX-License-Identifier: MIT
// The clocks.  All are read in user space; none can fail on a Linux that runs at all.
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

int64_t ut_clock_wall_exact(void) {
    return ut_clock(CLOCK_REALTIME);
}

int64_t ut_clock_monotonic(void) {
    return ut_clock(CLOCK_MONOTONIC);
}
