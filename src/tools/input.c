// SPDX-License-Identifier: MIT
/*
 * Files and standard input (see input.h).
 */
#include "tools/input.h"

#include "tools/interrupt.h"
#include "tools/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int ut_cli_input_open(const char *path, struct ut_input *input) {
    if (!path || strcmp(path, "-") == 0) {
        *input = (struct ut_input){.fd = STDIN_FILENO, .name = "standard input"};
        return 0;
    }
    *input = (struct ut_input){.fd = open(path, O_RDONLY | O_CLOEXEC), .name = path};
    if (input->fd < 0)
        return ut_cli_say_failed("%s: %s", path, strerror(errno));
    return 0;
}

void ut_cli_input_close(struct ut_input *input) {
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = -1;
}

int ut_cli_input_read_some(struct ut_input *input, void *to, size_t count, size_t *got) {
    *got = 0;
    for (;;) {
        if (ut_cli_interrupted())
            return ut_cli_say_failed("%s: interrupted", input->name);
        // Waiting in slices: a signal between the look at the flag and the wait must not be lost.
        struct pollfd ready = {.fd = input->fd, .events = POLLIN};
        int polled = poll(&ready, 1, 200);
        if (polled == 0 || (polled < 0 && errno == EINTR))
            continue;
        ssize_t bytes = read(input->fd, to, count < SSIZE_MAX ? count : SSIZE_MAX);
        if (bytes >= 0) {
            *got = (size_t)bytes;
            return 0;
        }
        if (errno != EINTR && errno != EAGAIN)
            return ut_cli_say_failed("%s: %s", input->name, strerror(errno));
    }
}

int ut_cli_input_read(struct ut_input *input, void *to, size_t count, size_t *got) {
    *got = 0;
    while (*got < count) {
        size_t some;
        int exit_status = ut_cli_input_read_some(input, (char *)to + *got, count - *got, &some);
        if (exit_status)
            return exit_status;
        if (some == 0)
            return 0;
        *got += some;
    }
    return 0;
}

bool ut_cli_input_remaining(const struct ut_input *input, uint64_t *bytes) {
    struct stat status;
    if (fstat(input->fd, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    off_t at = lseek(input->fd, 0, SEEK_CUR);
    if (at < 0)
        return false;
    *bytes = status.st_size > at ? (uint64_t)(status.st_size - at) : 0;
    return true;
}
