// SPDX-License-Identifier: MIT
/*
 * What a benchmark says: sections of rows, aligned on standard output, and the
 * same as tab-separated lines appended to the file named by BENCH_TSV, from
 * which run_core.sh writes the Markdown.  Nothing is asserted about time: a
 * goal is printed with the figure and "met" or "not met".
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "stats.h"

enum bench_verdict { BENCH_NO_GOAL = 0, BENCH_MET, BENCH_NOT_MET };

static inline enum bench_verdict bench_goal(int met) {
    return met ? BENCH_MET : BENCH_NOT_MET;
}

void bench_section(const char *title);

/* One line in plain words under the section's title. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * `samples` are nanoseconds per operation.  `bytes` per operation adds a rate
 * (0: none).  `against` and `ratio` may be NULL.  `goal` may be NULL.
 */
void bench_row_time(const char *name, const struct bench_samples *samples, double bytes,
                    const char *against, const struct bench_ratio *ratio, const char *goal,
                    enum bench_verdict verdict);

/* Any other figure, already in words. */
void bench_row_text(const char *name, const char *figure, const char *spread, const char *goal,
                    enum bench_verdict verdict);

#endif
