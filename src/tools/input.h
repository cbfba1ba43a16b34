// SPDX-License-Identifier: MIT
/*
 * Where data comes from: a file or standard input.  Unbuffered: every read takes exactly what its
 * caller wants next, so that rows can be committed as they arrive and several .npy images can
 * follow one another on one pipe.
 */
#ifndef UT_INPUT_H
#define UT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ut_input {
    int fd;
    const char *name; /* for messages */
};

/* "-" or NULL is standard input.  0, or an exit status; it has been said. */
int ut_cli_input_open(const char *path, struct ut_input *input);
void ut_cli_input_close(struct ut_input *input);

/* Read `count` bytes; fewer only at the end.  0, or an exit status; it has been said (also if
 * interrupted by a signal). */
int ut_cli_input_read(struct ut_input *input, void *to, size_t count, size_t *got);

/* Read what there is, at least 1 and at most `count` bytes; 0 bytes at the end. */
int ut_cli_input_read_some(struct ut_input *input, void *to, size_t count, size_t *got);

/* The bytes left in a regular file; false if it is not one. */
bool ut_cli_input_remaining(const struct ut_input *input, uint64_t *bytes);

#endif
