// SPDX-License-Identifier: MIT
/*
 * File operations that fail on purpose: the n-th call of all, once or from then on, with an error
 * number of choice, or a write that writes less than it was given.
 *
 * Reading ones are counted, too; closedir is not.  A close that fails closes
 * all the same, as the kernel's does, and fsync does nothing.  Not for several threads.
 */
#ifndef UT_TEST_FAILING_FILES_H
#define UT_TEST_FAILING_FILES_H

#include <stdbool.h>

typedef struct failing_plan {
    long at;       // the number of the call that fails, from 0; -1: none
    int error;     // 0: a short write instead
    bool for_ever; // and all those after it that take space: no unlink, rmdir, rename or close
} failing_plan;

// Use such a table from now on, counting from 0.
void failing_files_begin(failing_plan plan);

// The system's again.  Returns how many calls were counted; *failed (may be NULL): how many of them
// failed or were cut short.
long failing_files_end(long *failed);

// Replace link() by one that is always refused with this error; 0: as it was.
void failing_files_refuse_links(int error);

// How many descriptors this process has open.
unsigned failing_files_open(void);

#endif
