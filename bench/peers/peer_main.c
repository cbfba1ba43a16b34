// SPDX-License-Identifier: MIT
/* One measurement of one peer: the command line, the workload, the line of JSON. */
#include "cell.h"
#include "crew.h"
#include "workload.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct workload *const workloads[] = {&workload_read,   &workload_rewrite,
                                                   &workload_commit, &workload_append,
                                                   &workload_wake,   &workload_snapshot};

static const struct workload *workload_named(const char *name) {
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
        if (strcmp(workloads[i]->name, name) == 0)
            return workloads[i];
    return NULL;
}

/* Readers' buffers are touched before anything is measured, and the machine must not go down. */
static const char *too_large(const struct cell *cell, const struct workload *workload) {
    double wanted = (double)workload->room(cell) *
                    (cell->kind == CELL_CALLS ? 1 : (double)cell->layout.readers);
    double there = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return wanted > there / 4 ? "the readers' buffers would take more than a quarter of the memory"
                              : NULL;
}

/* A signal meanwhile comes when everything made can be undone. */
static const char *make(const struct cell *cell) {
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, &before);
    const char *unable = cell->peer->make(&cell->layout);
    crew_catch_signals();
    sigprocmask(SIG_SETMASK, &before, NULL);
    return unable;
}

int peer_flag(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return 1;
    return 0;
}

int peer_main(int argc, char **argv, const struct peer *peer) {
    static struct cell cell;
    cell.peer = peer;
    cell_arguments(&cell, argc, argv);
    const struct workload *workload = workload_named(cell.workload);
    if (!workload) {
        fprintf(stderr, "%s: there is no workload \"%s\"\n", argv[0], cell.workload);
        return 2;
    }
    cell.kind = workload->kind;
    const char *unable = workload->unable(&cell);
    if (!unable)
        unable = too_large(&cell, workload);
    if (!unable) {
        unable = make(&cell);
        if (!unable)
            crew_run(&cell, workload);
        if (peer->remove)
            peer->remove();
    }
    cell_print(&cell, unable);
    return 0;
}
