// SPDX-License-Identifier: MIT
// File operations that fail on purpose: see failing_files.h.
#include "failing_files.h"

#include <errno.h>
#include <stdio.h>

#include "base/file_ops.h"

static failing_plan plan;
static long count, failures;
static int link_error;
static struct ut_file_ops table;

// Whether this call fails; sets errno then.
static bool fails(bool takes_space) {
    long number = count++;
    if (plan.error == 0 || plan.at < 0)
        return false;
    if (number != plan.at && !(plan.for_ever && takes_space && number > plan.at))
        return false;
    failures++;
    errno = plan.error;
    return true;
}

static int failing_open(const char *path, int flags, mode_t mode) {
    return fails(true) ? -1 : ut_files_system.open(path, flags, mode);
}

static int failing_close(int fd) {
    bool failed = fails(false);
    int result = ut_files_system.close(fd);
    if (!failed)
        return result;
    errno = plan.error;
    return -1;
}

static int failing_rename(const char *from, const char *to) {
    return fails(false) ? -1 : ut_files_system.rename(from, to);
}

static int failing_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                             unsigned flags) {
    return fails(false) ? -1 : ut_files_system.renameat2(from_dir, from, to_dir, to, flags);
}

static int failing_unlink(const char *path) {
    return fails(false) ? -1 : ut_files_system.unlink(path);
}

static int failing_rmdir(const char *path) {
    return fails(false) ? -1 : ut_files_system.rmdir(path);
}

static ssize_t failing_write(int fd, const void *bytes, size_t n) {
    if (plan.error == 0 && count == plan.at && n > 1) {
        count++;
        failures++;
        return ut_files_system.write(fd, bytes, n / 2);
    }
    return fails(true) ? -1 : ut_files_system.write(fd, bytes, n);
}

static ssize_t failing_pread(int fd, void *bytes, size_t n, off_t offset) {
    if (plan.error == 0 && count == plan.at && n > 1) {
        count++;
        failures++;
        return ut_files_system.pread(fd, bytes, n / 2, offset);
    }
    return fails(false) ? -1 : ut_files_system.pread(fd, bytes, n, offset);
}

// Not made: no test that uses this looks at what a disk holds, and many thousands take their time.
static int failing_fsync(int fd) {
    (void)fd;
    return fails(true) ? -1 : 0;
}

static int failing_ftruncate(int fd, off_t length) {
    return fails(true) ? -1 : ut_files_system.ftruncate(fd, length);
}

static int failing_mkdir(const char *path, mode_t mode) {
    return fails(true) ? -1 : ut_files_system.mkdir(path, mode);
}

static int failing_symlink(const char *target, const char *path) {
    return fails(true) ? -1 : ut_files_system.symlink(target, path);
}

static int failing_link(const char *from, const char *to) {
    if (link_error != 0) {
        errno = link_error;
        return -1;
    }
    return fails(true) ? -1 : ut_files_system.link(from, to);
}

static ssize_t failing_readlink(const char *path, char *target, size_t capacity) {
    return fails(false) ? -1 : ut_files_system.readlink(path, target, capacity);
}

static int failing_lstat(const char *path, struct stat *stat) {
    return fails(false) ? -1 : ut_files_system.lstat(path, stat);
}

static int failing_fstat(int fd, struct stat *stat) {
    return fails(false) ? -1 : ut_files_system.fstat(fd, stat);
}

static DIR *failing_opendir(const char *path) {
    return fails(false) ? NULL : ut_files_system.opendir(path);
}

static struct dirent *failing_readdir(DIR *directory) {
    return fails(false) ? NULL : ut_files_system.readdir(directory);
}

void failing_files_begin(failing_plan wanted) {
    plan = wanted;
    count = failures = 0;
    table = ut_files_system;
    table.open = failing_open;
    table.close = failing_close;
    table.rename = failing_rename;
    table.renameat2 = failing_renameat2;
    table.unlink = failing_unlink;
    table.rmdir = failing_rmdir;
    table.write = failing_write;
    table.pread = failing_pread;
    table.fsync = failing_fsync;
    table.ftruncate = failing_ftruncate;
    table.mkdir = failing_mkdir;
    table.symlink = failing_symlink;
    table.link = failing_link;
    table.readlink = failing_readlink;
    table.lstat = failing_lstat;
    table.fstat = failing_fstat;
    table.opendir = failing_opendir;
    table.readdir = failing_readdir;
    ut_files_replace(&table);
}

long failing_files_end(long *failed) {
    ut_files_replace(NULL);
    if (failed != NULL)
        *failed = failures;
    return count;
}

void failing_files_refuse_links(int error) {
    link_error = error;
}

unsigned failing_files_open(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;
    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        n++;
    closedir(directory);
    return n;
}
