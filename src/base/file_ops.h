// SPDX-License-Identifier: MIT
// The file operations that can fail for reasons no test could bring about honestly (a full disk at
// the third fsync, an interrupted write), behind a table that tests replace.  Mappings and locks
// are not in it: those have to be the kernel's own.  Each entry is the call of its name; paths are
// as given, descriptors are the kernel's.
#ifndef UT_FILE_OPS_H
#define UT_FILE_OPS_H

#include <dirent.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct ut_file_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    int (*fstat)(int fd, struct stat *stat);
    int (*posix_fallocate)(int fd, off_t offset, off_t length); // returns the error number
    int (*ftruncate)(int fd, off_t length);
    int (*rename)(const char *from, const char *to);
    int (*renameat2)(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
    int (*unlink)(const char *path);
    ssize_t (*write)(int fd, const void *bytes, size_t count);
    ssize_t (*pread)(int fd, void *bytes, size_t count, off_t offset);
    int (*fsync)(int fd);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*link)(const char *from, const char *to);
    int (*symlink)(const char *target, const char *path);
    ssize_t (*readlink)(const char *path, char *target, size_t capacity);
    int (*lstat)(const char *path, struct stat *stat);
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *directory);
    int (*closedir)(DIR *directory);
};

// The system's own operations: what a test's table is copied from before it changes some.
extern const struct ut_file_ops ut_files_system;

// The table in use.
extern const struct ut_file_ops *ut_files;

// Use another table; NULL: the system's.  For tests, while no other thread uses the library.
void ut_files_replace(const struct ut_file_ops *table);

#endif
