// SPDX-License-Identifier: MIT
/*
 * The processes of a cell: a writer, readers, and the first process, which
 * starts them, says when the measured time begins and ends, and adds up.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include "workload.h"

/* Measure; the figures are in the cell then. */
void crew_run(struct cell *cell, const struct workload *workload);

/* From now on, to be ended by a signal leaves no process and no file behind. */
void crew_catch_signals(void);

#endif
