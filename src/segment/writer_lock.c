// SPDX-License-Identifier: MIT
/*
 * The writer's locks; writer_lock.h says why there are two.
 */
#include "segment/writer_lock.h"

#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/process.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What ~alive holds. */
typedef struct alive_text {
    uint64_t nonce[2];
    uint32_t pid;
    uint32_t pid_namespace; /* in which that is its id; 0: not known */
} alive_text;

static int set_lock(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* Open `path` and guard it against being inherited by a fork in between. */
static int open_guarded(const char *path, int flags, mode_t mode) {
    ut_fork_block();
    int fd = ut_files->open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd >= 0 && ut_fork_guard_fd(fd) != UNTORN_OK) {
        ut_files->close(fd);
        errno = ENOMEM;
        fd = -1;
    }
    ut_fork_allow();
    return fd;
}

static untorn_status busy(const char *name) {
    char path[UT_PATH_MAX], process[UT_PROCESS_TEXT];
    alive_text text = {.pid = 0};
    if (ut_segment_path(name, UT_SUFFIX_ALIVE, path) == UNTORN_OK) {
        int fd = ut_files->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd >= 0) {
            if (ut_files->pread(fd, &text, sizeof text, 0) != (ssize_t)sizeof text)
                text.pid = 0;
            ut_files->close(fd);
        }
    }
    if (text.pid == 0)
        return ut_fail(UNTORN_E_BUSY, "segment \"%s\": another process is becoming its writer",
                       name);
    ut_process_is_writer(text.pid, text.pid_namespace, process);
    return ut_fail(UNTORN_E_BUSY, "segment \"%s\": %s", name, process);
}

untorn_status ut_writer_lock_take(ut_writer_lock *lock, const char *name) {
    lock->lock_fd = lock->alive_fd = -1;
    char path[UT_PATH_MAX];
    untorn_status status = ut_segment_path(name, UT_SUFFIX_LOCK, path);
    if (status != UNTORN_OK)
        return status;
    /* Whoever removed the segment removes the lock file, too: what was locked may be nameless. */
    for (int attempt = 0; attempt < 100; attempt++) {
        int fd = open_guarded(path, O_RDWR | O_CREAT, 0600);
        if (fd < 0) {
            if (errno == EACCES || errno == EPERM)
                return ut_fail_errno(UNTORN_E_PERMISSION, errno,
                                     "segment \"%s\": may not be written: %s", name, path);
            return ut_fail_errno(errno == ENOSPC ? UNTORN_E_NO_SPACE : UNTORN_E_SYSTEM, errno,
                                 "segment \"%s\": cannot open %s", name, path);
        }
        if (set_lock(fd) != 0) {
            int error = errno;
            ut_fork_close_fd(fd);
            if (error == EAGAIN || error == EACCES)
                return busy(name);
            return ut_fail_errno(UNTORN_E_SYSTEM, error, "segment \"%s\": cannot lock %s", name,
                                 path);
        }
        struct stat held, named;
        if (fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
            held.st_ino == named.st_ino) {
            lock->lock_fd = fd;
            return UNTORN_OK;
        }
        ut_fork_close_fd(fd);
    }
    return ut_fail(UNTORN_E_BUSY, "segment \"%s\": its lock file keeps being replaced", name);
}

untorn_status ut_writer_lock_announce(ut_writer_lock *lock, const ut_segment *segment) {
    char path[UT_PATH_MAX], fresh[UT_PATH_MAX];
    untorn_status status = ut_segment_path(segment->name, UT_SUFFIX_ALIVE, path);
    if (status == UNTORN_OK)
        status = ut_segment_path(segment->name, UT_SUFFIX_ALIVE "~new", fresh);
    if (status != UNTORN_OK)
        return status;
    ut_files->unlink(fresh);
    int fd = open_guarded(fresh, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return ut_fail_errno(errno == ENOSPC ? UNTORN_E_NO_SPACE : UNTORN_E_SYSTEM, errno,
                             "segment \"%s\": cannot create %s", segment->name, fresh);
    alive_text text = {{segment->super->nonce[0], segment->super->nonce[1]},
                       (uint32_t)getpid(),
                       ut_process_namespace()};
    /* Locked before anybody else can open it.  On a full mount it stays empty: that must not keep
     * the segment from getting a writer, who may be the one to make room. */
    ssize_t written = set_lock(fd) == 0 ? ut_files->write(fd, &text, sizeof text) : -1;
    bool said = written == (ssize_t)sizeof text || (written < 0 && errno == ENOSPC);
    if (!said || fchmod(fd, segment->super->mode & 0444) != 0 ||
        ut_files->rename(fresh, path) != 0) {
        status =
            ut_fail_errno(UNTORN_E_SYSTEM, errno,
                          "segment \"%s\": cannot announce the writer in %s", segment->name, path);
        ut_fork_close_fd(fd);
        ut_files->unlink(fresh);
        return status;
    }
    lock->alive_fd = fd;
    return UNTORN_OK;
}

void ut_writer_lock_drop(ut_writer_lock *lock, const char *name, bool unlink) {
    char path[UT_PATH_MAX];
    if (lock->alive_fd >= 0)
        ut_fork_close_fd(lock->alive_fd);
    if (lock->lock_fd >= 0) {
        if (unlink && ut_segment_path(name, UT_SUFFIX_LOCK, path) == UNTORN_OK)
            ut_files->unlink(path);
        ut_fork_close_fd(lock->lock_fd);
    }
    lock->lock_fd = lock->alive_fd = -1;
}

bool ut_writer_alive(const ut_segment *segment) {
    char path[UT_PATH_MAX];
    if (ut_segment_path(segment->name, UT_SUFFIX_ALIVE, path) != UNTORN_OK)
        return false;
    int fd = ut_files->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    alive_text text;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    ssize_t read = ut_files->pread(fd, &text, sizeof text, 0);
    /* Empty: made on a full mount; whose it is is then told by its lock alone. */
    bool ours = read == 0 || (read == (ssize_t)sizeof text &&
                              memcmp(text.nonce, segment->super->nonce, sizeof text.nonce) == 0);
    bool alive = ours && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    ut_files->close(fd);
    return alive;
}
