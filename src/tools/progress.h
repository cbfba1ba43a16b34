// SPDX-License-Identifier: MIT
/*
 * One line on standard error that tells how far long work has come.  Shown only when standard
 * error is a terminal, so that logs and pipes never see it, and at most a few times a second; a
 * number of milliseconds in the environment variable UNTORN_PROGRESS_MS is another interval.
 */
#ifndef UT_PROGRESS_H
#define UT_PROGRESS_H

#include <stdbool.h>

/* True if a new line is due.  Ask before working out what to show. */
bool ut_cli_progress_due(void);

/* Replace the line. */
void ut_cli_progress_show(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Take the line away, before anything else is printed or at the end. */
void ut_cli_progress_clear(void);

#endif
