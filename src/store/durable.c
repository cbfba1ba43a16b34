// SPDX-License-Identifier: MIT
/*
 * Files that survive a power cut; durable.h says how they are used.
 *
 * Every call is repeated while it is interrupted (EINTR), which it then has done nothing.  close()
 * is not: the descriptor is gone whatever it returns.
 */
#include "store/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"

#define BUFFER_BYTES ((size_t)64 << 10)

/* What a call returns that says -1 and EINTR when it was interrupted. */
#define UNINTERRUPTED(result, call)                                                                \
    do {                                                                                           \
        (result) = (call);                                                                         \
    } while ((result) < 0 && errno == EINTR)

untorn_status ut_durable_status(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return UNTORN_E_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return UNTORN_E_PERMISSION;
    case ENOMEM:
        return UNTORN_E_NO_MEMORY;
    default:
        return UNTORN_E_SYSTEM;
    }
}

static untorn_status failed(const char *who, int error, const char *cannot, const char *path) {
    return ut_fail_errno(ut_durable_status(error), error, "%s: cannot %s %s", who, cannot, path);
}

static int open_path(const char *path, int flags) {
    int fd;
    UNINTERRUPTED(fd, ut_files->open(path, flags | O_CLOEXEC, 0666));
    return fd;
}

static int sync_fd(int fd) {
    int result;
    UNINTERRUPTED(result, ut_files->fsync(fd));
    return result;
}

/* ------------------------------------------------------------ files */

untorn_status ut_durable_open(ut_durable_file *file, const char *who, const char *path) {
    *file = (ut_durable_file){.who = who, .path = path, .fd = -1};
    file->buffer = malloc(BUFFER_BYTES);
    if (file->buffer == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for writing %s", who, path);
    file->fd = open_path(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (file->fd < 0) {
        untorn_status status = failed(who, errno, "make", path);
        ut_durable_abandon(file);
        return status;
    }
    return UNTORN_OK;
}

static untorn_status write_all(ut_durable_file *file, const unsigned char *bytes, size_t n) {
    while (n > 0) {
        ssize_t written;
        UNINTERRUPTED(written, ut_files->write(file->fd, bytes, n));
        if (written <= 0) /* 0 would have it go on for ever */
            return failed(file->who, written < 0 ? errno : EIO, "write", file->path);
        bytes += written;
        n -= (size_t)written;
    }
    return UNTORN_OK;
}

static untorn_status write_buffer(ut_durable_file *file) {
    size_t used = file->used;
    file->used = 0;
    return write_all(file, file->buffer, used);
}

untorn_status ut_durable_add(ut_durable_file *file, const void *bytes, size_t n) {
    if (n > BUFFER_BYTES - file->used) {
        untorn_status status = write_buffer(file);
        if (status != UNTORN_OK)
            return status;
    }
    if (n >= BUFFER_BYTES)
        return write_all(file, bytes, n);
    if (n > 0)
        memcpy(file->buffer + file->used, bytes, n);
    file->used += n;
    return UNTORN_OK;
}

/* Known mistakes for tests: files of these names are not synced. */
static bool left_unsynced(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    return (UT_SEEDED(201) && name[0] >= '0' && name[0] <= '9') ||
           (UT_SEEDED(202) && strcmp(name, ".manifest") == 0) ||
           (UT_SEEDED(211) && strncmp(name, ".z", 2) == 0);
}

untorn_status ut_durable_finish(ut_durable_file *file) {
    untorn_status status = write_buffer(file);
    if (status == UNTORN_OK && !left_unsynced(file->path) && sync_fd(file->fd) != 0 &&
        !(UT_SEEDED(212) && sync_fd(file->fd) == 0))
        status = failed(file->who, errno, "sync", file->path);
    int fd = file->fd;
    file->fd = -1;
    if (ut_files->close(fd) != 0 && errno != EINTR && status == UNTORN_OK)
        status = failed(file->who, errno, "close", file->path);
    ut_durable_abandon(file);
    return status;
}

void ut_durable_abandon(ut_durable_file *file) {
    if (file->fd >= 0)
        ut_files->close(file->fd);
    file->fd = -1;
    free(file->buffer);
    file->buffer = NULL;
}

/* Bytes that are all there need no buffer. */
untorn_status ut_durable_write(const char *who, const char *path, const void *bytes, size_t n) {
    ut_durable_file file = {.who = who, .path = path};
    file.fd = open_path(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (file.fd < 0)
        return failed(who, errno, "make", path);
    untorn_status status = write_all(&file, bytes, n);
    if (status == UNTORN_OK)
        status = ut_durable_finish(&file);
    else
        ut_durable_abandon(&file);
    if (status != UNTORN_OK)
        ut_files->unlink(path);
    return status;
}

/* ------------------------------------------------------------ names */

untorn_status ut_durable_mkdir(const char *who, const char *path) {
    int result;
    UNINTERRUPTED(result, ut_files->mkdir(path, 0777));
    return result == 0 ? UNTORN_OK : failed(who, errno, "make directory", path);
}

untorn_status ut_durable_symlink(const char *who, const char *target, const char *path) {
    int result;
    UNINTERRUPTED(result, ut_files->symlink(target, path));
    return result == 0 ? UNTORN_OK : failed(who, errno, "make symbolic link", path);
}

/* Whether a hard link was refused for what can be done by a copy. */
static bool wants_copy(int error) {
    return error == EMLINK || error == EPERM || error == EXDEV || error == EOPNOTSUPP;
}

static bool is_missing(const char *path) {
    struct stat what;
    return ut_files->lstat(path, &what) != 0 && errno == ENOENT;
}

static untorn_status copy_content(const char *who, int fd, const char *from, ut_durable_file *to) {
    enum { PIECE = 256 << 10 };
    unsigned char *piece = malloc(PIECE);
    if (piece == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for copying %s", who, from);
    untorn_status status = UNTORN_OK;
    off_t at = 0;
    while (status == UNTORN_OK) {
        ssize_t n;
        UNINTERRUPTED(n, ut_files->pread(fd, piece, PIECE, at));
        if (n < 0)
            status = failed(who, errno, "read", from);
        if (n <= 0)
            break;
        status = ut_durable_add(to, piece, (size_t)n);
        at += n;
    }
    free(piece);
    return status;
}

static untorn_status copy_file(const char *who, const char *from, const char *to) {
    int fd = open_path(from, O_RDONLY | O_NOFOLLOW);
    if (fd < 0)
        return failed(who, errno, "open", from);
    ut_durable_file file;
    untorn_status status = ut_durable_open(&file, who, to);
    if (status != UNTORN_OK)
        goto close_from;
    status = copy_content(who, fd, from, &file);
    if (status == UNTORN_OK)
        status = ut_durable_finish(&file);
    else
        ut_durable_abandon(&file);
    if (status != UNTORN_OK)
        ut_files->unlink(to);
close_from:
    ut_files->close(fd);
    return status;
}

untorn_status ut_durable_link(const char *who, const char *from, const char *to, bool *copied) {
    if (copied != NULL)
        *copied = false;
    int result;
    UNINTERRUPTED(result, ut_files->link(from, to));
    if (result == 0)
        return UNTORN_OK;
    int error = errno;
    if (error == ENOENT && is_missing(from))
        return ut_fail(UNTORN_E_ABSENT, "%s: %s is not there", who, from);
    if (!wants_copy(error))
        return ut_fail_errno(ut_durable_status(error), error, "%s: cannot link %s to %s", who, from,
                             to);
    if (copied != NULL)
        *copied = true;
    return copy_file(who, from, to);
}

untorn_status ut_durable_sync_directory(const char *who, const char *path) {
    int fd = open_path(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return failed(who, errno, "open directory", path);
    untorn_status status = UNTORN_OK;
    /* Some file systems refuse it for directories, because they need no syncing or know none. */
    if (sync_fd(fd) != 0 && errno != EINVAL)
        status = failed(who, errno, "sync directory", path);
    ut_files->close(fd);
    return status;
}

/* Where RENAME_NOREPLACE is not known (some network file systems), look first; the writer's lock
 * keeps others away in between. */
static int rename_new(const char *from, const char *to) {
    int result;
    UNINTERRUPTED(result, ut_files->renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
    if (result == 0 || (errno != EINVAL && errno != ENOSYS))
        return result;
    struct stat there;
    UNINTERRUPTED(result, ut_files->lstat(to, &there));
    if (result == 0) {
        errno = EEXIST;
        return -1;
    }
    if (errno != ENOENT)
        return -1;
    UNINTERRUPTED(result, ut_files->rename(from, to));
    return result;
}

untorn_status ut_durable_rename(const char *who, const char *from, const char *to, bool replace) {
    int result;
    if (replace)
        UNINTERRUPTED(result, ut_files->rename(from, to));
    else
        result = rename_new(from, to);
    if (result == 0)
        return UNTORN_OK;
    return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot rename %s to %s", who, from,
                         to);
}

/* ------------------------------------------------------------ removing */

static int remove_file(const char *path) {
    int result;
    UNINTERRUPTED(result, ut_files->unlink(path));
    return result == 0 || errno == ENOENT ? 0 : -1;
}

/* 1: a directory (not a link to one), 0: something else or nothing, -1: errno. */
static int is_directory(const char *path, unsigned char type) {
    if (type != DT_UNKNOWN)
        return type == DT_DIR;
    struct stat what;
    int result;
    UNINTERRUPTED(result, ut_files->lstat(path, &what));
    if (result != 0)
        return errno == ENOENT ? 0 : -1;
    return S_ISDIR(what.st_mode);
}

/* Remove the files of the directory `path` until a directory turns up among them: then 1, and
 * `path`, of `length` bytes, is that one's.  0: the directory is empty.  -1: errno. */
static int remove_files(char path[PATH_MAX], size_t length) {
    DIR *directory;
    while ((directory = ut_files->opendir(path)) == NULL)
        if (errno != EINTR)
            return -1;
    int found = 0;
    while (found == 0) {
        errno = 0;
        const struct dirent *entry = ut_files->readdir(directory);
        if (entry == NULL) {
            if (errno == EINTR)
                continue;
            found = errno != 0 ? -1 : 0;
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        size_t more = strlen(name);
        if (length + 1 + more >= PATH_MAX) {
            errno = ENAMETOOLONG;
            found = -1;
            break;
        }
        path[length] = '/';
        memcpy(path + length + 1, name, more + 1);
        found = is_directory(path, entry->d_type);
        if (found == 0 && remove_file(path) != 0)
            found = -1;
        if (found == 0)
            path[length] = '\0';
    }
    int error = errno;
    ut_files->closedir(directory);
    errno = error;
    return found;
}

/* Down to the first directory without any in it, remove that, up again: no more than one is open at
 * a time, however deep they nest. */
static int remove_directory(char path[PATH_MAX]) {
    size_t top = strlen(path);
    for (;;) {
        size_t length = strlen(path);
        int found = remove_files(path, length);
        if (found < 0)
            return -1;
        if (found > 0)
            continue;
        int result;
        UNINTERRUPTED(result, ut_files->rmdir(path));
        if (result != 0 && errno != ENOENT)
            return -1;
        if (length == top)
            return 0;
        *strrchr(path, '/') = '\0';
    }
}

untorn_status ut_durable_remove_tree(const char *who, const char *path) {
    char at[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof at)
        return failed(who, ENAMETOOLONG, "remove", path);
    memcpy(at, path, length + 1);
    int result = is_directory(at, DT_UNKNOWN);
    if (result > 0)
        result = remove_directory(at);
    else if (result == 0)
        result = remove_file(at);
    return result == 0 ? UNTORN_OK : failed(who, errno, "remove", at);
}

/* ------------------------------------------------------------ reading */

static untorn_status read_all(const char *who, const char *path, int fd, unsigned char *bytes,
                              size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t now;
        UNINTERRUPTED(now, ut_files->pread(fd, bytes + at, n - at, (off_t)at));
        if (now < 0)
            return failed(who, errno, "read", path);
        if (now == 0)
            return ut_fail(UNTORN_E_CORRUPT, "%s: %s became shorter while it was read", who, path);
        at += (size_t)now;
    }
    return UNTORN_OK;
}

static untorn_status read_open(const char *who, const char *path, int fd, size_t most,
                               unsigned char **bytes, size_t *n) {
    struct stat what;
    int result;
    UNINTERRUPTED(result, ut_files->fstat(fd, &what));
    if (result != 0)
        return failed(who, errno, "look at", path);
    if (!S_ISREG(what.st_mode))
        return ut_fail(UNTORN_E_CORRUPT, "%s: %s is not a file", who, path);
    if ((uint64_t)what.st_size > most)
        return ut_fail(UNTORN_E_LIMIT, "%s: %s has %lld bytes; at most %zu are read", who, path,
                       (long long)what.st_size, most);
    size_t size = (size_t)what.st_size;
    unsigned char *read = malloc(size + 1);
    if (read == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for %s", who, path);
    untorn_status status = read_all(who, path, fd, read, size);
    if (status != UNTORN_OK) {
        free(read);
        return status;
    }
    read[size] = '\0';
    *bytes = read;
    *n = size;
    return UNTORN_OK;
}

untorn_status ut_durable_read(const char *who, const char *path, size_t most, unsigned char **bytes,
                              size_t *n) {
    /* A pipe in the place of the file must not keep us. */
    int fd = open_path(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return ut_fail(UNTORN_E_ABSENT, "%s: there is no %s", who, path);
    if (fd < 0)
        return failed(who, errno, "open", path);
    untorn_status status = read_open(who, path, fd, most, bytes, n);
    ut_files->close(fd);
    return status;
}
