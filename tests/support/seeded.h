// SPDX-License-Identifier: MIT
/* A scenario in a process of its own, with one of the library's known mistakes (UT_SEEDED). */
#ifndef UT_TEST_SEEDED_H
#define UT_TEST_SEEDED_H

#include <stddef.h>

/*
 * Run `scenario` in a child, with the mistake `seed` if it is not 0; then the child says nothing,
 * and a hang ends after a minute.  0: it passed; TEST_CHILD_FAILED: it noticed something; 256 and
 * more: a signal ended it.
 */
int test_with_seed(void (*scenario)(void), int seed);

struct test_seeded {
    int seed; /* 0: none, the scenario is only to pass */
    void (*scenario)(void);
};

/* Each scenario of the table passes without its mistake, each time; each mistake is noticed, in one
 * of a few attempts. */
void test_scenarios_pass(const struct test_seeded *table, size_t count);
void test_mistakes_are_noticed(const struct test_seeded *table, size_t count);

#endif
