// SPDX-License-Identifier: MIT
// Places where tests reach into the protocol.  They exist only in the testing library
// (-DUNTORN_TESTING); elsewhere they are nothing at all.
//
// UT_STEP("name") stands between two instructions of the protocol whose order matters: a test sets
// ut_step_hook to stop, kill or race the thread there.
//
// UT_SEEDED(n) is true if the known mistake number n is switched on: `if (!UT_SEEDED(4)) raise();`
// Tests switch mistakes on one at a time to show that they would notice.
//
// UT_TAKE_FAILS() is true once ut_fail_take (-1: never) has counted down to 0: a test lets the
// segment run out of space at each place that takes some.
#ifndef UT_TEST_HOOKS_H
#define UT_TEST_HOOKS_H

#ifdef UNTORN_TESTING

extern void (*ut_step_hook)(const char *step);
extern int ut_seeded_bug;
extern long ut_fail_take;

#define UT_STEP(name)                                                                              \
    do {                                                                                           \
        if (ut_step_hook != 0)                                                                     \
            ut_step_hook(name);                                                                    \
    } while (0)
#define UT_SEEDED(n) (ut_seeded_bug == (n))
#define UT_TAKE_FAILS() (ut_fail_take >= 0 && (ut_fail_take == 0 || ut_fail_take-- == 0))

#else

#define UT_STEP(name) ((void)0)
#define UT_SEEDED(n) 0
#define UT_TAKE_FAILS() 0

#endif

#endif
