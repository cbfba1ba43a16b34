// SPDX-License-Identifier: MIT
/*
 * Where data goes: standard output or a file.  Every write and the close are checked, so that a
 * full disk or a closed pipe is an error and never half a result.  A file is written under a
 * temporary name beside it and renamed at the end: whoever looks finds the old one or the new one,
 * whole.  What is not a regular file (a FIFO, /dev/null) is written to directly.
 */
#ifndef UT_OUTPUT_H
#define UT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

struct ut_output {
    int fd;
    const char *name; /* for messages */
    char *target;     /* the file to replace at the end, NULL: none */
    char *temporary;  /* the name it is written under */
    bool reader_gone; /* EPIPE: nobody wants the rest */
};

/* "-" or NULL is standard output.  0, or an exit status; it has been said. */
int ut_cli_output_open(const char *path, struct ut_output *output);

/* 0, or an exit status, which has been said unless reader_gone. */
int ut_cli_output_write(struct ut_output *output, const void *bytes, size_t count);

/* Put the file in its place.  0, or an exit status; it has been said. */
int ut_cli_output_finish(struct ut_output *output);

/* Give up whatever was not finished.  Allowed after ut_cli_output_finish(). */
void ut_cli_output_discard(struct ut_output *output);

/* True if whoever read standard output is gone: a look, without writing. */
bool ut_cli_output_is_unwanted(const struct ut_output *output);

#endif
