// SPDX-License-Identifier: MIT
// What a fork must not hand on.  An open-file-description lock lives as long as any descriptor of
// its open file does, a forked child's included: the child of a dead writer would go on holding
// the writer's lock.  So the descriptors that carry locks are registered here and closed in every
// forked child.  (Close-on-exec is no help: many children never exec.)
//
// Handles remember ut_fork_generation() when they are made; if it differs later, they were
// inherited over a fork, and their guarded descriptors are closed already: the numbers may mean
// other files by then and must not be closed again.
//
// Children made without the fork handlers of the C library (raw clone, _Fork) are not covered.
#ifndef UT_FORK_GUARD_H
#define UT_FORK_GUARD_H

#include "base/atomic_order.h"
#include "untorn.h"

#include <sys/types.h>

// How many forks lie between the process that first called anything here and this one.  Counts
// from the first call on.
unsigned ut_fork_generation(void);

// The same for handles that exist: whoever made one called ut_fork_generation(), so there is no
// need to see to it that forks are counted.  For what is asked on every call.
extern _Atomic uint32_t ut_forks;
static inline unsigned ut_fork_generation_now(void) {
    // Changes only while its process has a single thread: no order needed.
    return ut_load_relaxed(&ut_forks);
}

// Have `fd` closed in forked children from now on.  UNTORN_E_NO_MEMORY; `fd` is then as before.
untorn_status ut_fork_guard_fd(int fd);

// End the locks of `fd`'s open file, close it and guard it no longer, so that no fork comes
// between.  Does nothing if it is not guarded, so that it is harmless on what a forked child
// inherited.
void ut_fork_close_fd(int fd);

// No other thread's fork() comes between these two: put them around open and guard, or around
// mmap and madvise(MADV_DONTFORK).  Not to be nested; keep them short.
void ut_fork_block(void);
void ut_fork_allow(void);

#endif
