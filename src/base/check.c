// SPDX-License-Identifier: MIT
// The end of a failed assertion.  Writes without the heap, which may be what is broken.
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void ut_check_failed(const char *file, int line, const char *condition) {
    (void)dprintf(2, "untorn: %s:%d: check failed: %s\n", file, line, condition);
    abort();
}
