// SPDX-License-Identifier: MIT
/*
 * Files that are still there after a power cut: written whole and synced before anything names
 * them.
 *
 * All go through ut_files, so that tests can record, fail and cut them short.  Interrupted calls
 * (EINTR) and short writes are gone on with.  After a failed fsync a file's content is unknown and
 * a second fsync may lie: the file is to be removed and written anew.
 *
 * Messages name the path; `who` is what they begin with, such as `store "/data/cam"`.
 */
#ifndef UT_DURABLE_H
#define UT_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

/* The status that belongs to an error number of a file operation: _NO_SPACE, _PERMISSION,
 * _NO_MEMORY or _SYSTEM. */
untorn_status ut_durable_status(int error);

/* A new file at `path`, which must not exist, of these bytes, synced. */
untorn_status ut_durable_write(const char *who, const char *path, const void *bytes, size_t n);

/* The same piece by piece: open, any number of adds, then finish (which syncs and closes) or
 * abandon (which closes; the file is left to be removed with its directory). */
typedef struct ut_durable_file {
    const char *who;
    const char *path; /* the caller's; lives until finish or abandon */
    int fd;
    unsigned char *buffer;
    size_t used;
} ut_durable_file;
untorn_status ut_durable_open(ut_durable_file *file, const char *who, const char *path);
untorn_status ut_durable_add(ut_durable_file *file, const void *bytes, size_t n);
untorn_status ut_durable_finish(ut_durable_file *file);
void ut_durable_abandon(ut_durable_file *file);

/* A new directory; a symbolic link. */
untorn_status ut_durable_mkdir(const char *who, const char *path);
untorn_status ut_durable_symlink(const char *who, const char *target, const char *path);

/* A hard link to a file that is synced already, or where the file system refuses (EMLINK, EPERM,
 * EXDEV, EOPNOTSUPP), a synced copy. *copied (may be NULL) tells which.  UNTORN_E_ABSENT: there is
 * no such file. */
untorn_status ut_durable_link(const char *who, const char *from, const char *to, bool *copied);

/* Sync a directory: the names in it. */
untorn_status ut_durable_sync_directory(const char *who, const char *path);

/* Rename, replacing or (replace false) refusing to.  The parent is synced by the caller. */
untorn_status ut_durable_rename(const char *who, const char *from, const char *to, bool replace);

/* Remove a file or a directory with all in it.  What is not there is no failure.  Symbolic links
 * are removed, never followed. */
untorn_status ut_durable_remove_tree(const char *who, const char *path);

/* Read a whole file, at most `most` bytes, into memory from malloc(), with a NUL after it.
 * UNTORN_E_ABSENT if there is none. */
untorn_status ut_durable_read(const char *who, const char *path, size_t most, unsigned char **bytes,
                              size_t *n);

#endif
