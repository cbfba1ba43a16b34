// SPDX-License-Identifier: MIT
/*
 * A benchmark that is ended while its threads make files in its scratch
 * directory: says which that is, and waits for the signal.  For check_scratch.py.
 */
#include "support/scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[BENCH_PATH];

/* As a flush does: in a directory of its own, relative to the scratch directory. */
static void *make_files(void *context) {
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[64];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(name), "%s%u", (const char *)context, i % 1000);
        if (mkdirat(top, name, 0700) == 0)
            continue;
        snprintf(name, sizeof(name), "%s%u/%u", (const char *)context, i % 1000, i);
        int fd = openat(top, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
        usleep(20);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    bench_scratch(BENCH_TMPFS, directory);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, make_files, i ? "a" : "b") != 0)
            return 1;
    printf("%s\n", directory);
    fflush(stdout);
    pause();
    return 1;
}
