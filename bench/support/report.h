// SPDX-License-Identifier: MIT
/*
 * What a benchmark says: sections of rows, aligned on standard output, and the
 * same as tab-separated lines appended to the file named by BENCH_TSV, which
 * harness/rows.py reads:
 *
 *   S   TITLE
 *   N   NOTE
 *   R   CASE   FIGURE   SPREAD   RATIO   GOAL   RESULT   KEY=NUMBER...
 *
 * Nothing is asserted about time: a goal is printed with the figure and its
 * verdict.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "stats.h"

enum bench_verdict { BENCH_NO_GOAL = 0, BENCH_MET, BENCH_NOT_MET, BENCH_TOO_FEW_PAIRS };

/* A goal that is counted or is a figure; one that is a ratio has a rule of its own below. */
static inline enum bench_verdict bench_goal(int met) {
    return met ? BENCH_MET : BENCH_NOT_MET;
}

enum bench_side { BENCH_AT_LEAST, BENCH_AT_MOST };

/*
 * Met when the better end of the ratio's 95 % interval reaches the goal: what
 * is measured is then compatible with it.  With fewer than BENCH_GOAL_PAIRS
 * pairs the interval is too wide to say anything.
 */
#define BENCH_GOAL_PAIRS 15
enum bench_verdict bench_ratio_goal(const struct bench_ratio *ratio, enum bench_side side,
                                    double goal);

void bench_section(const char *title);

/* One line in plain words under the section's title. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * `samples` are nanoseconds per operation.  `bytes` per operation adds a rate
 * (0: none).  `against` and `ratio` may be NULL.  `goal` may be NULL.  Without
 * samples the row is empty, and a goal is neither met nor missed; a note has to say why.
 */
void bench_row_time(const char *name, const struct bench_samples *samples, double bytes,
                    const char *against, const struct bench_ratio *ratio, const char *goal,
                    enum bench_verdict verdict);

/* Any other figure, already in words. */
void bench_row_text(const char *name, const char *figure, const char *spread, const char *goal,
                    enum bench_verdict verdict);

#endif
