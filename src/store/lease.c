// SPDX-License-Identifier: MIT
/*
 * Leases; lease.h says who takes what.
 *
 * Between opening .lease and locking it, the snapshot may be deleted: then the lock is on a file
 * without a name.  So a reader looks, after locking, whether the name still means that file.  The
 * deleter renames the snapshot while it has the lock, so that one of the two sees the other.
 */
#include "store/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/status.h"
#include "store/store_directory.h"
#include "store/stored_file.h"

/* How long somebody may have a lease exclusively: deleting renames and syncs while it does. */
#define PATIENCE (INT64_C(5) * 1000000000)

static untorn_status lease_path(const char *snapshot, char path[UT_STORE_PATH_MAX]) {
    if (snprintf(path, UT_STORE_PATH_MAX, "%s/.lease", snapshot) >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s\": the path is too long", snapshot);
    return UNTORN_OK;
}

static int set_lock(int fd, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

static bool is_held(int error) {
    return error == EAGAIN || error == EACCES || error == EWOULDBLOCK;
}

static bool still_named(const char *path, const struct stat *held) {
    struct stat named;
    return ut_files->lstat(path, &named) == 0 && named.st_dev == held->st_dev &&
           named.st_ino == held->st_ino;
}

static untorn_status lock_shared(const char *path, int fd, const struct stat *held) {
    const struct timespec a_while = {0, 2000000};
    int64_t deadline = ut_clock_monotonic() + PATIENCE;
    for (;;) {
        int error = set_lock(fd, F_RDLCK);
        if (!still_named(path, held))
            return ut_fail(UNTORN_E_ABSENT, "\"%s\": the snapshot was deleted", path);
        if (error == 0)
            return UNTORN_OK;
        if (!is_held(error))
            return ut_fail_errno(UNTORN_E_SYSTEM, error, "\"%s\": cannot be locked", path);
        if (ut_clock_monotonic() >= deadline)
            return ut_fail(UNTORN_E_BUSY, "\"%s\": somebody has locked it exclusively", path);
        nanosleep(&a_while, NULL);
    }
}

untorn_status ut_lease_take(const char *snapshot_path, int *fd) {
    char path[UT_STORE_PATH_MAX];
    struct stat held;
    int opened;
    untorn_status status = lease_path(snapshot_path, path);
    if (status != UNTORN_OK)
        return status;
    status = ut_stored_directory_check(snapshot_path);
    if (status != UNTORN_OK)
        return status;
    status = ut_stored_file_open(path, &opened, &held);
    if (status == UNTORN_E_ABSENT && ut_stored_directory_check(snapshot_path) == UNTORN_OK)
        return ut_fail(UNTORN_E_CORRUPT, "\"%s\": is not there", path);
    if (status != UNTORN_OK)
        return status;
    status = lock_shared(path, opened, &held);
    if (status != UNTORN_OK)
        ut_files->close(opened);
    else
        *fd = opened;
    return status;
}

/* A child that another thread forks must not inherit an exclusive lock: readers would be refused
 * for as long as it lives. */
static int open_guarded(const char *path) {
    ut_fork_block();
    int fd = ut_files->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    if (fd >= 0 && ut_fork_guard_fd(fd) != UNTORN_OK) {
        ut_files->close(fd);
        errno = ENOMEM;
        fd = -1;
    }
    ut_fork_allow();
    return fd;
}

/* A file system without one kind of lock has no holders of that kind either. */
static bool has_none(int error) {
    return error == EINVAL || error == EOPNOTSUPP || error == ENOSYS;
}

untorn_status ut_lease_end(const char *snapshot_path, int *fd) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = lease_path(snapshot_path, path);
    if (status != UNTORN_OK)
        return status;
    /* Not there, or something that cannot be locked: nobody holds it. */
    if (ut_stored_directory_check(snapshot_path) == UNTORN_E_CORRUPT) {
        *fd = -1;
        return UNTORN_OK;
    }
    int opened = open_guarded(path);
    if (opened < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENXIO ||
                       errno == EISDIR)) {
        *fd = -1;
        return UNTORN_OK;
    }
    if (opened < 0)
        return ut_fail_errno(errno == EACCES || errno == EPERM ? UNTORN_E_PERMISSION
                             : errno == ENOMEM                 ? UNTORN_E_NO_MEMORY
                                                               : UNTORN_E_SYSTEM,
                             errno, "\"%s\": cannot be opened to delete the snapshot", path);
    int error = set_lock(opened, F_WRLCK);
    if (error == 0 || has_none(error))
        error = flock(opened, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (error == 0 || has_none(error)) {
        *fd = opened;
        return UNTORN_OK;
    }
    ut_fork_close_fd(opened);
    if (is_held(error))
        return ut_fail(UNTORN_E_BUSY, "\"%s\": somebody holds the snapshot", path);
    return ut_fail_errno(UNTORN_E_SYSTEM, error, "\"%s\": cannot be locked", path);
}

void ut_lease_close(int fd) {
    if (fd >= 0)
        ut_fork_close_fd(fd);
}
