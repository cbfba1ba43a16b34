// SPDX-License-Identifier: MIT
// Naming another process in a message.
//
// A process id means something only in its pid namespace.  So whoever leaves its id where others
// find it leaves the namespace's inode number beside it, and nobody takes an id of another
// namespace for a process that it can see.
#ifndef UT_BASE_PROCESS_H
#define UT_BASE_PROCESS_H

#include <stdint.h>

// The inode number of this process's pid namespace; 0 if /proc does not tell.
uint32_t ut_process_namespace(void);

// "process 12 (name) is its writer", without the name if it cannot be told; "process 12 of another
// pid namespace ...", "... of an unknown pid namespace ...".
#define UT_PROCESS_TEXT 128
void ut_process_is_writer(int64_t pid, uint32_t pid_namespace, char text[UT_PROCESS_TEXT]);

#endif
