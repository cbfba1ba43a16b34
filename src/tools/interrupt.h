// SPDX-License-Identifier: MIT
/*
 * Ending early but cleanly: SIGINT, SIGTERM and SIGHUP set a flag that long work looks at.  A
 * second signal of the same kind kills, in case the work does not look.
 */
#ifndef UT_INTERRUPT_H
#define UT_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

void ut_cli_interrupt_catch(void);
bool ut_cli_interrupted(void);

/* Sleep until this CLOCK_MONOTONIC time (ns); false if interrupted before. */
bool ut_cli_interrupt_sleep_until(int64_t deadline);

/* CLOCK_MONOTONIC, ns. */
int64_t ut_cli_monotonic_now(void);

#endif
