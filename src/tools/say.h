// SPDX-License-Identifier: MIT
/*
 * What the command says on standard error, and the exit status that goes with it.  Every message
 * is one line, "untorn: sentence".  Functions that fail say why themselves and return the exit
 * status, so that callers only pass it on.
 */
#ifndef UT_SAY_H
#define UT_SAY_H

#include "untorn.h"

enum { UT_EXIT_OK = 0, UT_EXIT_FAILED = 1, UT_EXIT_USAGE = 2 };

void ut_cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says it and returns UT_EXIT_FAILED. */
int ut_cli_say_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says it and returns UT_EXIT_USAGE. */
int ut_cli_say_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says the library's last message and returns the exit status of `status`: wrong usage if it
 * could only come from what was typed. */
int ut_cli_say_status(untorn_status status);

#endif
