// SPDX-License-Identifier: MIT
/*
 * The checks that tests are written with.
 *
 * cmocka's own assertions leave a failed test by longjmp, which is right in the
 * test's thread only: in a forked child it would go on with the *next test* in
 * the child, and in another thread it would jump to a foreign stack.  So every
 * test uses these, which do what is right where they fail: the test's thread
 * fails the test, a child exits with TEST_CHILD_FAILED, another thread aborts.
 */
#ifndef UT_TEST_MUST_H
#define UT_TEST_MUST_H

// cmocka.h needs these four before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "untorn.h"

#define TEST_CHILD_FAILED 99

// Set in every child by test_child_start().
extern int test_is_child;

__attribute__((format(printf, 3, 4), noreturn)) void test_fail(const char *file, int line,
                                                               const char *format, ...);

#define must(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            test_fail(__FILE__, __LINE__, "not so: " #condition ": " __VA_ARGS__);                 \
    } while (0)

// The call succeeds.
#define must_ok(call) test_must_status(__FILE__, __LINE__, #call, (call), UNTORN_OK)

// The call returns this status.
#define must_be(expected, call) test_must_status(__FILE__, __LINE__, #call, (call), (expected))

// The call fails with this status, and the message mentions `part` (if not NULL).
#define must_say(expected, part, call)                                                             \
    test_must_say(__FILE__, __LINE__, #call, (call), (expected), (part))

void test_must_status(const char *file, int line, const char *call, untorn_status got,
                      untorn_status expected);
void test_must_say(const char *file, int line, const char *call, untorn_status got,
                   untorn_status expected, const char *part);

#endif
