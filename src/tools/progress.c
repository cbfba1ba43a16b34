// SPDX-License-Identifier: MIT
/*
 * The progress line (see progress.h).  The line is overwritten in place: carriage return, text,
 * erase to the end of the line.
 */
#include "tools/progress.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_NS 250000000

/* 0: every line is due, the first one at once. */
#define INTERVAL_VARIABLE "UNTORN_PROGRESS_MS"

// Atomic, for warnings come from the thread that flushes and take the line away.
static _Atomic bool shown;
static int64_t last_shown;
static int64_t interval = INTERVAL_NS;

static int64_t monotonic_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool ut_cli_progress_due(void) {
    static int is_terminal = -1;
    if (is_terminal < 0) {
        const char *milliseconds = getenv(INTERVAL_VARIABLE);
        is_terminal = isatty(STDERR_FILENO);
        if (milliseconds != NULL && *milliseconds != '\0')
            interval = strtol(milliseconds, NULL, 10) % 1000000 * 1000000;
        // Work that ends at once shows nothing: the first line is due one interval from here.
        last_shown = monotonic_now();
    }
    return is_terminal && monotonic_now() - last_shown >= interval;
}

void ut_cli_progress_show(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputc('\r', stderr);
    vfprintf(stderr, format, arguments);
    fputs("\033[K", stderr);
    fflush(stderr);
    va_end(arguments);
    shown = true;
    last_shown = monotonic_now();
}

void ut_cli_progress_clear(void) {
    if (!atomic_exchange(&shown, false))
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}
