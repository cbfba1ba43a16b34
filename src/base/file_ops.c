// SPDX-License-Identifier: MIT
// The system's file operations as a table.
#include "base/file_ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

// open() is variadic and so has another type than its place in the table.
static int ut_system_open(const char *path, int flags, mode_t mode) {
    return open(path, flags, mode);
}

const struct ut_file_ops ut_files_system = {
    .open = ut_system_open,
    .close = close,
    .fstat = fstat,
    .posix_fallocate = posix_fallocate,
    .ftruncate = ftruncate,
    .rename = rename,
    .renameat2 = renameat2,
    .unlink = unlink,
    .write = write,
    .pread = pread,
    .fsync = fsync,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .link = link,
    .symlink = symlink,
    .readlink = readlink,
    .lstat = lstat,
    .opendir = opendir,
    .readdir = readdir,
    .closedir = closedir,
};

const struct ut_file_ops *ut_files = &ut_files_system;

void ut_files_replace(const struct ut_file_ops *table) {
    ut_files = table != NULL ? table : &ut_files_system;
}
