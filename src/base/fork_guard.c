// SPDX-License-Identifier: MIT
// The registry of descriptors that forked children close, and the counter of forks.
//
// Two mutexes: `ut_fork_gate` keeps forks out while someone opens and guards, `ut_registry_lock`
// protects the list.  Order: gate, then registry.  fork() takes both beforehand, so that neither
// is held by a thread that does not exist in the child, and the child finds the list whole.
#include "base/fork_guard.h"

#include "base/atomic_order.h"
#include "base/check.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_once_t ut_handlers_once = PTHREAD_ONCE_INIT;
static int ut_handlers_error;
_Atomic uint32_t ut_forks;

static pthread_mutex_t ut_fork_gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t ut_registry_lock = PTHREAD_MUTEX_INITIALIZER;
static int *ut_guarded;
static size_t ut_guarded_count;
static size_t ut_guarded_room;

static void ut_before_fork(void) {
    pthread_mutex_lock(&ut_fork_gate);
    pthread_mutex_lock(&ut_registry_lock);
}

static void ut_after_fork_in_parent(void) {
    pthread_mutex_unlock(&ut_registry_lock);
    pthread_mutex_unlock(&ut_fork_gate);
}

static void ut_after_fork_in_child(void) {
    // close() only: the list stays allocated, since other handlers may hold malloc's locks here.
    for (size_t i = 0; i < ut_guarded_count && !UT_SEEDED(132); i++)
        (void)close(ut_guarded[i]);
    ut_guarded_count = 0;
    ut_fetch_add_relaxed(&ut_forks, 1u);
    pthread_mutex_unlock(&ut_registry_lock);
    pthread_mutex_unlock(&ut_fork_gate);
}

static void ut_install_handlers(void) {
    ut_handlers_error =
        pthread_atfork(ut_before_fork, ut_after_fork_in_parent, ut_after_fork_in_child);
}

unsigned ut_fork_generation(void) {
    pthread_once(&ut_handlers_once, ut_install_handlers);
    return ut_fork_generation_now();
}

untorn_status ut_fork_guard_fd(int fd) {
    ut_check(fd >= 0);
    pthread_once(&ut_handlers_once, ut_install_handlers);
    if (ut_handlers_error != 0)
        return ut_fail_errno(UNTORN_E_NO_MEMORY, ut_handlers_error, "cannot install fork handlers");

    untorn_status status = UNTORN_OK;
    pthread_mutex_lock(&ut_registry_lock);
    if (ut_guarded_count == ut_guarded_room) {
        size_t room = ut_guarded_room == 0 ? 16 : 2 * ut_guarded_room;
        int *grown = realloc(ut_guarded, room * sizeof(*grown));
        if (grown == NULL) {
            status = ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %zu guarded descriptors", room);
            goto unlock;
        }
        ut_guarded = grown;
        ut_guarded_room = room;
    }
    ut_guarded[ut_guarded_count++] = fd;
unlock:
    pthread_mutex_unlock(&ut_registry_lock);
    return status;
}

// Take `fd` out of the list; 1 if it was there.  The registry is locked.
static int ut_take_out(int fd) {
    for (size_t i = 0; i < ut_guarded_count; i++) {
        if (ut_guarded[i] == fd) {
            ut_guarded[i] = ut_guarded[--ut_guarded_count];
            return 1;
        }
    }
    return 0;
}

void ut_fork_close_fd(int fd) {
    pthread_mutex_lock(&ut_registry_lock);
    if (ut_take_out(fd)) {
        // A child that was forked a moment ago may not have come to closing its own yet, and the
        // lock would be its until then: so it ends here, not with the last descriptor.
        struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
        (void)fcntl(fd, F_OFD_SETLK, &all);
        (void)close(fd);
    }
    pthread_mutex_unlock(&ut_registry_lock);
}

void ut_fork_block(void) {
    pthread_once(&ut_handlers_once, ut_install_handlers);
    pthread_mutex_lock(&ut_fork_gate);
}

void ut_fork_allow(void) {
    pthread_mutex_unlock(&ut_fork_gate);
}
