// SPDX-License-Identifier: MIT
/* The kernel ends a server whose benchmark dies. */
#include "server.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t server, owner;

const char *server_start(const char *const *argv) {
    owner = getpid();
    server = fork();
    if (server < 0)
        return "fork failed";
    if (server == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != owner)
            _exit(1);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return NULL;
}

int server_runs(void) {
    return server > 0 && waitpid(server, NULL, WNOHANG) == 0;
}

void server_stop(void) {
    if (server > 0 && getpid() == owner) {
        kill(server, SIGTERM);
        waitpid(server, NULL, 0);
        server = 0;
    }
}
