// SPDX-License-Identifier: MIT
/*
 * A duty: periods of 10 ms; commits that take longer than their slice of it make
 * the period longer.  What a pause was too long or too short is made up for by
 * the next.  A rate: commits are due at multiples of the period; one that is late
 * moves all that follow, so that there are no bursts.
 *
 * A pause sleeps until shortly before its end and spins the rest of it, since a
 * sleep takes some tens of microseconds longer than it is asked to.
 */
#include "pace.h"

#include "support/machine.h"

#include <sys/prctl.h>

#define PERIOD 10000000 /* ns */
#define SPIN 100000
#define LONGEST_SLEEP 5000000 /* the command may be withdrawn meanwhile */

int pace_begin(struct pace *pace, unsigned duty, double rate) {
    prctl(PR_SET_TIMERSLACK, 1UL);
    pace->busy = PERIOD / 100 * (int64_t)duty;
    pace->pause = (100 - (double)duty) / (double)duty;
    pace->period = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    pace->begun = pace->next = bench_now();
    pace->owed = 0;
    return duty < 100 || rate > 0;
}

static void sleep_until(int64_t time, struct bench_control *control, uint32_t command) {
    int64_t left;
    while ((left = time - bench_now()) > 0 && bench_child_going(control, command)) {
        if (left <= SPIN) {
            bench_relax();
            continue;
        }
        left -= SPIN;
        const struct timespec sleep = {0, left > LONGEST_SLEEP ? LONGEST_SLEEP : left};
        nanosleep(&sleep, NULL);
    }
}

void pace_commit(struct pace *pace, struct bench_control *control, uint32_t command) {
    int64_t now = bench_now();
    if (pace->period) {
        pace->next += pace->period;
        if (pace->next < now)
            pace->next = now;
        sleep_until(pace->next, control, command);
    } else if (now - pace->begun >= pace->busy) {
        pace->owed += (int64_t)((double)(now - pace->begun) * pace->pause);
        sleep_until(now + pace->owed, control, command);
        pace->begun = bench_now();
        pace->owed -= pace->begun - now;
    }
}
