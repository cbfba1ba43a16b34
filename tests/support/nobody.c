// SPDX-License-Identifier: MIT
/* Another user: see nobody.h. */
#include "nobody.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "must.h"

static int become_nobody(void) {
    return geteuid() == 0 && setgroups(0, NULL) == 0 && setgid(TEST_NOBODY) == 0 &&
           setuid(TEST_NOBODY) == 0;
}

int test_can_be_nobody(const char *directory) {
    int status = 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(become_nobody() && access(directory, R_OK | X_OK) == 0 ? 0 : 1);
    must(pid > 0 && waitpid(pid, &status, 0) == pid, "child");
    return status == 0;
}

void test_become_nobody(void) {
    must(become_nobody(), "setuid");
}
