// SPDX-License-Identifier: MIT
/*
 * The points of a plot, written to a file that support/plot.py draws: lines of
 * tab-separated fields,
 *
 *   title   TEXT
 *   x       LABEL   UNIT   linear|log
 *   y       LABEL   UNIT   linear|log
 *   point   SERIES  X      Y            LOW  HIGH
 *   slope   SERIES  SLOPE                          of log y on log x, for the legend
 *
 * UNIT: bytes, ns, or anything else, which is put behind the number.
 */
#ifndef BENCH_POINTS_H
#define BENCH_POINTS_H

#include "stats.h"

struct bench_axis {
    const char *label, *unit;
    int log;
};

/* Begin the plot BENCH_PLOTS/name.plot.  Without BENCH_PLOTS in the environment nothing is written,
 * here and below. */
void bench_plot_begin(const char *name, const char *title, struct bench_axis x,
                      struct bench_axis y);

/* The median, and the quartiles as the spread. */
void bench_plot_samples(const char *series, double x, const struct bench_samples *samples);

/* A point without a spread. */
void bench_plot_point(const char *series, double x, double y);

/* The slope that was fitted to the series. */
void bench_plot_slope(const char *series, double slope);

void bench_plot_end(void);

#endif
