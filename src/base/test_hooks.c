// SPDX-License-Identifier: MIT
// The variables behind the test hooks.  Plain ones: tests set them before they start threads.
#include "base/test_hooks.h"

#ifdef UNTORN_TESTING
void (*ut_step_hook)(const char *step);
int ut_seeded_bug;
long ut_fail_take = -1;
#endif
