// SPDX-License-Identifier: MIT
/*
 * Reading the files of a store, none of which is trusted to be what its name says.
 *
 * Only regular files are read: a symbolic link in a file's place is not followed, and nothing (a
 * pipe, say) is waited for.  UNTORN_E_ABSENT: there is none.  UNTORN_E_CORRUPT: something else is
 * in its place, or the disk does not give it back.  Else UNTORN_E_PERMISSION, _NO_MEMORY, _SYSTEM.
 * Messages name the file.
 */
#ifndef UT_STORED_FILE_H
#define UT_STORED_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "untorn.h"

/* Open a file.  The caller closes *fd. */
untorn_status ut_stored_file_open(const char *path, int *fd, struct stat *stat);

/* Its first `n` bytes.  UNTORN_E_CORRUPT: it has fewer. */
untorn_status ut_stored_file_read(int fd, const char *path, void *to, size_t n);

/* Whether this is a directory, and not a symbolic link to one. */
untorn_status ut_stored_directory_check(const char *path);

#endif
