// SPDX-License-Identifier: MIT
/*
 * Another user: "nobody", which root can become, unless it is the root of a container that lacks
 * the right or the user, or the directory cannot be reached by others.
 */
#ifndef UT_TEST_NOBODY_H
#define UT_TEST_NOBODY_H

#define TEST_NOBODY 65534

// Whether a child can become that user and then reach `directory`.
int test_can_be_nobody(const char *directory);

// In a child, for good.
void test_become_nobody(void);

#endif
