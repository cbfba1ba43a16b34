// SPDX-License-Identifier: MIT
/* Scenarios with mistakes: see seeded.h. */
#include "seeded.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_hooks.h"
#include "child.h"
#include "must.h"

int test_with_seed(void (*scenario)(void), int seed) {
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (child == 0) {
        test_is_child = 1;
        ut_seeded_bug = seed;
        if (seed != 0) {
            alarm(60); // a hang is noticed, too
            if (freopen("/dev/null", "w", stderr) == NULL ||
                freopen("/dev/null", "w", stdout) == NULL)
                _exit(1);
        }
        scenario();
        _exit(0);
    }
    int status = 0;
    must(child > 0 && waitpid(child, &status, 0) == child, "child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}
