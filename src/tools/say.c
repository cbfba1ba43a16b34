// SPDX-License-Identifier: MIT
/*
 * Messages on standard error (see say.h).
 */
#include "tools/say.h"

#include "tools/progress.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const char *format, va_list arguments) {
    ut_cli_progress_clear();
    // One buffer, one write: lines of several processes on one terminal stay whole.
    char line[2048];
    vsnprintf(line, sizeof line, format, arguments);
    fprintf(stderr, "untorn: %s\n", line);
}

void ut_cli_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

int ut_cli_say_failed(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return UT_EXIT_FAILED;
}

int ut_cli_say_usage(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return UT_EXIT_USAGE;
}

int ut_cli_say_status(untorn_status status) {
    const char *message = untorn_message();
    ut_cli_say("%s", *message ? message : untorn_status_text(status));
    switch (status) {
    case UNTORN_E_ARGUMENT:
    case UNTORN_E_NAME:
    case UNTORN_E_JSON:
        return UT_EXIT_USAGE;
    default:
        return UT_EXIT_FAILED;
    }
}
