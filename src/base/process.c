// SPDX-License-Identifier: MIT
/*
 * Naming another process in a message: see process.h.
 *
 * The name comes from /proc/PID/comm, whose PID is as the namespace counts for which /proc was
 * mounted.  That may be another one than this process's, so /proc is believed only if it has this
 * process under its own id.
 */
#include "base/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_ops.h"

uint32_t ut_process_namespace(void) {
    struct stat what;
    /* The kernel numbers namespaces with 32 bits. */
    return stat("/proc/self/ns/pid", &what) == 0 ? (uint32_t)what.st_ino : 0;
}

static bool proc_is_ours(void) {
    char self[32];
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    return strtoll(self, NULL, 10) == (long long)getpid();
}

static bool read_command(int64_t pid, char command[64]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/comm", pid);
    int fd = proc_is_ours() ? ut_files->open(path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return false;
    ssize_t n = ut_files->pread(fd, command, 63, 0);
    ut_files->close(fd);
    command[n > 0 ? n - 1 : 0] = '\0'; /* without the newline */
    return n > 1;
}

void ut_process_is_writer(int64_t pid, uint32_t pid_namespace, char text[UT_PROCESS_TEXT]) {
    char command[64];
    uint32_t ours = ut_process_namespace();
    if (pid_namespace == 0 || ours == 0)
        snprintf(text, UT_PROCESS_TEXT,
                 "process %" PRId64 " of an unknown pid namespace is its writer", pid);
    else if (pid_namespace != ours)
        snprintf(text, UT_PROCESS_TEXT,
                 "process %" PRId64 " of another pid namespace is its writer", pid);
    else if (read_command(pid, command))
        snprintf(text, UT_PROCESS_TEXT, "process %" PRId64 " (%s) is its writer", pid, command);
    else
        snprintf(text, UT_PROCESS_TEXT, "process %" PRId64 " is its writer", pid);
}
