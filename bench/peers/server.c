// SPDX-License-Identifier: MIT
/*
 * In a session of its own, so that a signal to the benchmark's process group
 * leaves it to the benchmark to end it.  The kernel asks a server whose benchmark
 * dies to end, so that it removes its memory and its locks.
 */
#include "server.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKS 200 /* of 10 ms each, before force */

static pid_t server, owner;

static void become(const char *const *argv) {
    int null = open("/dev/null", O_RDWR);
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != owner)
        _exit(1);
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

const char *server_start(const char *const *argv) {
    owner = getpid();
    server = fork();
    if (server < 0)
        return "fork failed";
    if (server == 0)
        become(argv);
    atexit(server_stop);
    return NULL;
}

int server_runs(void) {
    return server > 0 && waitpid(server, NULL, WNOHANG) == 0;
}

void server_stop(void) {
    const struct timespec moment = {0, 10000000};
    if (server <= 0 || getpid() != owner)
        return;
    kill(server, SIGTERM);
    for (int i = 0; waitpid(server, NULL, WNOHANG) == 0; i++) {
        if (i == LOOKS)
            kill(server, SIGKILL);
        nanosleep(&moment, NULL);
    }
    server = 0;
}
