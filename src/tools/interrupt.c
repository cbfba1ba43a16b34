// SPDX-License-Identifier: MIT
/*
 * The interrupt flag (see interrupt.h).  Handlers are installed without SA_RESTART, so that reads,
 * writes and waits return early.  A signal between looking at the flag and going to sleep would be
 * slept over; hence sleeps are cut into slices.
 */
#include "tools/interrupt.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define SLICE_NS 200000000

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

void ut_cli_interrupt_catch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction before;
        // nohup and "&" in scripts ignore signals for us: leave that as it is.
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
            continue;
        sigaction(numbers[i], &action, NULL);
    }
}

bool ut_cli_interrupted(void) {
    return interrupted != 0;
}

int64_t ut_cli_monotonic_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool ut_cli_interrupt_sleep_until(int64_t deadline) {
    while (!interrupted) {
        int64_t now = ut_cli_monotonic_now();
        if (now >= deadline)
            return true;
        int64_t until = deadline - now > SLICE_NS ? now + SLICE_NS : deadline;
        struct timespec wake = {.tv_sec = (time_t)(until / 1000000000),
                                .tv_nsec = (long)(until % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
    }
    return false;
}
