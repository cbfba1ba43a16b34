// SPDX-License-Identifier: MIT
// Whether the process has only one thread.  Then there is nobody to lock out, and an uncontended
// lock is worth sparing where it is taken for every small chunk.
//
// The C library keeps a flag for the same purpose in its own locks.  It is believed with the same
// limits: a thread that was made behind its back (raw clone) is not counted.  The answer holds
// until the caller makes a thread, so ask once for a lock and its unlock.
#ifndef UT_SINGLE_THREADED_H
#define UT_SINGLE_THREADED_H

#include <stdbool.h>

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define UT_HAVE_SINGLE_THREADED 1
#endif
#endif

static inline bool ut_single_threaded(void) {
#ifdef UT_HAVE_SINGLE_THREADED
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

#endif
