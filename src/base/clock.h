// SPDX-License-Identifier: MIT
// The clocks, in nanoseconds.
#ifndef UT_CLOCK_H
#define UT_CLOCK_H

#include <stdint.h>

// Since 1970, to the clock tick (1 to 10 ms): stamps every commit, so it has to be cheap.
int64_t ut_clock_wall(void);

// Since 1970, to the nanosecond: for differences from the times of files, which may lie within the
// tick (Linux 6.13 and later).
int64_t ut_clock_wall_exact(void);

// Since the machine started; never steps.  For deadlines and leases.
int64_t ut_clock_monotonic(void);

#endif
