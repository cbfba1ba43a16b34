// SPDX-License-Identifier: MIT
/*
 * Checked output (see output.h).
 */
#include "tools/output.h"

#include "tools/interrupt.h"
#include "tools/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_beside(const char *path, struct ut_output *output) {
    // Through a symbolic link, so that what it leads to is replaced and not the link.
    output->target = realpath(path, NULL);
    if (!output->target)
        output->target = strdup(path);
    if (!output->target ||
        asprintf(&output->temporary, "%s.%ld.tmp", output->target, (long)getpid()) < 0) {
        output->temporary = NULL;
        return ut_cli_say_failed("%s: out of memory", path);
    }
    output->fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->fd < 0) {
        int exit_status = ut_cli_say_failed("%s: %s", path, strerror(errno));
        free(output->temporary);
        output->temporary = NULL;
        return exit_status;
    }
    return 0;
}

int ut_cli_output_open(const char *path, struct ut_output *output) {
    memset(output, 0, sizeof *output);
    output->fd = STDOUT_FILENO;
    output->name = "standard output";
    if (!path || strcmp(path, "-") == 0)
        return 0;
    if (!*path)
        return ut_cli_say_usage("-o: the file's name is empty");
    output->name = path;
    struct stat status;
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode))
        return open_beside(path, output);
    output->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (output->fd < 0)
        return ut_cli_say_failed("%s: %s", path, strerror(errno));
    return 0;
}

int ut_cli_output_write(struct ut_output *output, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count) {
        ssize_t written = write(output->fd, at, count < SSIZE_MAX ? count : SSIZE_MAX);
        if (written >= 0) {
            at += written;
            count -= (size_t)written;
            continue;
        }
        if (errno == EINTR && !ut_cli_interrupted())
            continue;
        if (errno == EINTR)
            return ut_cli_say_failed("%s: interrupted", output->name);
        if (errno == EAGAIN) {
            struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
            poll(&ready, 1, 200);
            continue;
        }
        if (errno == EPIPE) {
            output->reader_gone = true;
            return UT_EXIT_FAILED;
        }
        return ut_cli_say_failed("%s: %s", output->name, strerror(errno));
    }
    return 0;
}

int ut_cli_output_finish(struct ut_output *output) {
    // Standard output is closed too: some file systems report a failed write only then.
    int fd = output->fd;
    output->fd = -1;
    if (fd >= 0 && close(fd) != 0)
        return ut_cli_say_failed("%s: %s", output->name, strerror(errno));
    if (output->temporary) {
        if (rename(output->temporary, output->target) != 0)
            return ut_cli_say_failed("%s: %s", output->name, strerror(errno));
        free(output->temporary);
        output->temporary = NULL;
    }
    return 0;
}

void ut_cli_output_discard(struct ut_output *output) {
    if (output->fd > STDERR_FILENO)
        close(output->fd);
    output->fd = -1;
    if (output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    free(output->target);
    output->temporary = NULL;
    output->target = NULL;
}

bool ut_cli_output_is_unwanted(const struct ut_output *output) {
    // Linux reports POLLERR on the writing end of a pipe that nobody reads.
    struct pollfd state = {.fd = output->fd, .events = 0};
    return poll(&state, 1, 0) > 0 && (state.revents & (POLLERR | POLLHUP)) != 0;
}
