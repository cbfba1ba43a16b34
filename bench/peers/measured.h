// SPDX-License-Identifier: MIT
/* The calls that are measured, a reader's and the writer's, and how they are timed. */
#ifndef BENCH_MEASURED_H
#define BENCH_MEASURED_H

#include "workload.h"

/* Bytes that a reader's buffer has to have; they begin at role->buffer. */
size_t measured_room(const struct cell *cell, const struct workload *workload);

/* From the stage's start, which may lie ahead, to its end: reads, by this reader. */
void measured_reads(struct role *role, const struct workload *workload);

/* The same for commits, by the writer. */
void measured_commits(struct role *role, const struct workload *workload);

#endif
