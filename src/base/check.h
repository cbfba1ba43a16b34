// SPDX-License-Identifier: MIT
// Assertions, in two tiers.  They are for what only a mistake in this library can bring about;
// what a caller or a damaged segment can bring about is a status code instead.
#ifndef UT_CHECK_H
#define UT_CHECK_H

// Print "file:line: check failed: condition" to standard error and abort.
void ut_check_failed(const char *file, int line, const char *condition)
    __attribute__((noreturn, cold));

// Cheap, and always on: going on would damage what others read.
#define ut_check(condition)                                                                        \
    (__builtin_expect(!!(condition), 1) ? (void)0 : ut_check_failed(__FILE__, __LINE__, #condition))

// Costly, or on a hot path: in the testing library only.
#ifdef UNTORN_TESTING
#define ut_debug_check(condition) ut_check(condition)
#else
#define ut_debug_check(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
