// SPDX-License-Identifier: MIT
// Reading the files of a store; stored_file.h says what is refused.
#include "store/stored_file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file_ops.h"
#include "base/status.h"

/* Why a path could not be opened or looked at. */
static untorn_status cannot(const char *path, int error) {
    switch (error) {
    case ENOENT:
        return ut_fail(UNTORN_E_ABSENT, "\"%s\": is not there", path);
    case ELOOP:
        return ut_fail(UNTORN_E_CORRUPT, "\"%s\": is a symbolic link", path);
    case ENOTDIR: /* of what leads there, something is no directory */
    case ENXIO:   /* a socket */
    case EIO:
        return ut_fail_errno(UNTORN_E_CORRUPT, error, "\"%s\": cannot be read", path);
    case EACCES:
    case EPERM:
        return ut_fail_errno(UNTORN_E_PERMISSION, error, "\"%s\": cannot be read", path);
    case ENOMEM:
        return ut_fail_errno(UNTORN_E_NO_MEMORY, error, "\"%s\": cannot be read", path);
    default:
        return ut_fail_errno(UNTORN_E_SYSTEM, error, "\"%s\": cannot be read", path);
    }
}

untorn_status ut_stored_file_open(const char *path, int *fd, struct stat *stat) {
    int opened;
    do {
        opened = ut_files->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    } while (opened < 0 && errno == EINTR);
    if (opened < 0)
        return cannot(path, errno);
    untorn_status status = UNTORN_OK;
    if (ut_files->fstat(opened, stat) != 0)
        status = cannot(path, errno);
    else if (!S_ISREG(stat->st_mode))
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": is no regular file", path);
    if (status != UNTORN_OK) {
        ut_files->close(opened);
        return status;
    }
    *fd = opened;
    return UNTORN_OK;
}

untorn_status ut_stored_file_read(int fd, const char *path, void *to, size_t n) {
    size_t have = 0;
    while (have < n) {
        ssize_t got = ut_files->pread(fd, (char *)to + have, n - have, (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cannot(path, errno);
        if (got == 0)
            return ut_fail(UNTORN_E_CORRUPT, "\"%s\": ends after %zu of %zu bytes", path, have, n);
        have += (size_t)got;
    }
    return UNTORN_OK;
}

untorn_status ut_stored_directory_check(const char *path) {
    struct stat stat;
    if (ut_files->lstat(path, &stat) != 0)
        return cannot(path, errno);
    if (S_ISLNK(stat.st_mode))
        return cannot(path, ELOOP);
    if (!S_ISDIR(stat.st_mode))
        return ut_fail(UNTORN_E_CORRUPT, "\"%s\": is no directory", path);
    return UNTORN_OK;
}
