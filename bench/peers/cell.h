// SPDX-License-Identifier: MIT
/* One cell of a table: what is measured of which peer, and the figures that come of it. */
#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "histogram.h"
#include "peer.h"

/* What one process counts: calls, and what they returned. */
struct figures {
    uint64_t calls, attempts;
    uint64_t checked, torn;   /* reads that were looked at, and of these */
    uint64_t compared, fresh; /* reads whose round and the last one's are known, and of these */
    uint64_t batched;         /* of the calls: those that were timed together, see measured.c */
    int64_t spent, spent_in_batches, begun, ended;
    uint32_t unfinished;
    struct histogram times; /* of the calls that were timed one by one */
};

void figures_call(struct figures *figures, int64_t took);
void figures_batch(struct figures *figures, unsigned calls, int64_t took);
void figures_merge(struct figures *to, const struct figures *from);

/* Which of the figures a workload has. */
enum cell_kind { CELL_READS, CELL_READS_BESIDE_COMMITS, CELL_CALLS };

struct cell {
    const struct peer *peer;
    struct peer_layout layout;
    const char *workload;
    enum cell_kind kind;
    double seconds, rate;
    unsigned duty;
    struct figures total;
    int64_t wall;
    double commits, commits_alone;
    unsigned copies; /* that the writer went round; 0: not known */
};

/* Read the command line; an argument that is wrong ends the program with the usage. */
void cell_arguments(struct cell *cell, int argc, char **argv);

/* One line of JSON, with the reason in place of figures if there is one. */
void cell_print(const struct cell *cell, const char *unable);

#endif
