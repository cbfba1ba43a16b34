// SPDX-License-Identifier: MIT
/* How a writer spreads its commits over time: a share of the time, or so many a second. */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include "support/child.h"

struct pace {
    int64_t busy;   /* ns of writing before a pause */
    double pause;   /* per ns of writing */
    int64_t period; /* of commits at a rate; 0: no rate */
    int64_t begun, owed, next;
};

/* `duty` percent of the time, or `rate` commits a second if it is not 0.  0: without pause. */
int pace_begin(struct pace *pace, unsigned duty, double rate);

/* After a commit: pause if it is time to, and no longer than the command stands. */
void pace_commit(struct pace *pace, struct bench_control *control, uint32_t command);

#endif
