// SPDX-License-Identifier: MIT
/* One plot at a time, flushed line by line. */
#include "points.h"

#include "machine.h"
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *file;

static void axis(const char *which, struct bench_axis axis) {
    fprintf(file, "%s\t%s\t%s\t%s\n", which, axis.label, axis.unit, axis.log ? "log" : "linear");
}

void bench_plot_begin(const char *name, const char *title, struct bench_axis x,
                      struct bench_axis y) {
    const char *directory = getenv("BENCH_PLOTS");
    char path[BENCH_PATH], full[64];
    if (!directory)
        return;
    snprintf(full, sizeof(full), "%s.plot", name);
    bench_join(path, directory, full);
    file = fopen(path, "we");
    if (!file)
        bench_die("%s: %s", path, strerror(errno));
    fprintf(file, "title\t%s\n", title);
    axis("x", x);
    axis("y", y);
}

static void point(const char *series, double x, double y, double low, double high) {
    if (!file)
        return;
    fprintf(file, "point\t%s\t%.9g\t%.9g\t%.9g\t%.9g\n", series, x, y, low, high);
    fflush(file);
}

void bench_plot_samples(const char *series, double x, const struct bench_samples *samples) {
    point(series, x, bench_quantile(samples, 0.5), bench_quantile(samples, 0.25),
          bench_quantile(samples, 0.75));
}

void bench_plot_point(const char *series, double x, double y) {
    point(series, x, y, y, y);
}

void bench_plot_slope(const char *series, double slope) {
    if (!file)
        return;
    fprintf(file, "slope\t%s\t%.4g\n", series, slope);
    fflush(file);
}

void bench_plot_end(void) {
    if (file && fclose(file) != 0)
        bench_die("a plot cannot be written: %s", strerror(errno));
    file = NULL;
}
