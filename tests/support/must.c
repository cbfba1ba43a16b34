// SPDX-License-Identifier: MIT
/*
 * How a check fails, by where it fails: see must.h.
 *
 * UNTORN_TEST_BUG=n in the environment switches a known mistake on (base/test_hooks.h),
 * in every test: to see which of them notice.
 */
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test_hooks.h"

int test_is_child;

__attribute__((constructor)) static void switch_bug_on(void) {
    const char *number = getenv("UNTORN_TEST_BUG");
    if (number)
        ut_seeded_bug = atoi(number);
}

void test_fail(const char *file, int line, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: [pid %d] %s\n", file, line, (int)getpid(), text);
    fflush(stderr);
    if (test_is_child)
        _exit(TEST_CHILD_FAILED);
    if (gettid() != getpid())
        abort();
    _fail(file, line);
    abort(); // cmocka does not come back; the compiler does not know
}

void test_must_status(const char *file, int line, const char *call, untorn_status got,
                      untorn_status expected) {
    if (got == expected)
        return;
    test_fail(file, line, "%s: got %d (%s), wanted %d (%s); message: %s", call, (int)got,
              untorn_status_text(got), (int)expected, untorn_status_text(expected),
              untorn_message());
}

void test_must_say(const char *file, int line, const char *call, untorn_status got,
                   untorn_status expected, const char *part) {
    test_must_status(file, line, call, got, expected);
    if (part && !strstr(untorn_message(), part))
        test_fail(file, line, "%s: the message does not mention \"%s\": %s", call, part,
                  untorn_message());
    if (untorn_message()[0] == '\0')
        test_fail(file, line, "%s: failed without a message", call);
}
