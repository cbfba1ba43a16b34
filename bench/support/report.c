// SPDX-License-Identifier: MIT
/*
 * Rows to standard output and to the BENCH_TSV file, flushed one by one so that
 * a benchmark that is interrupted has still said what it measured.
 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *tsv(void) {
    static FILE *file;
    const char *path = getenv("BENCH_TSV");
    if (!file && path)
        file = fopen(path, "ae");
    return file;
}

void bench_section(const char *title) {
    printf("\n%s\n", title);
    printf("  %-50s %22s %22s  %-40s %-34s %s\n", "case", "median", "p25 - p75", "ratio [95 %]",
           "goal", "result");
    fflush(stdout);
    if (tsv()) {
        fprintf(tsv(), "S\t%s\n", title);
        fflush(tsv());
    }
}

void bench_note(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    printf("  (%s)\n", text);
    fflush(stdout);
    if (tsv()) {
        fprintf(tsv(), "N\t%s\n", text);
        fflush(tsv());
    }
}

enum bench_verdict bench_ratio_goal(const struct bench_ratio *ratio, enum bench_side side,
                                    double goal) {
    if (ratio->pairs < BENCH_GOAL_PAIRS)
        return BENCH_TOO_FEW_PAIRS;
    return bench_goal(side == BENCH_AT_LEAST ? ratio->high >= goal : ratio->low <= goal);
}

/* `numbers`: what goes behind the words for programs to read, each "\tKEY=NUMBER". */
static void row(const char *name, const char *figure, const char *spread, const char *ratio,
                const char *goal, enum bench_verdict verdict, const char *numbers) {
    static const char *const words[] = {"", "met", "not met", "too few pairs"};
    printf("  %-50s %22s %22s  %-40s %-34s %s\n", name, figure, spread, ratio, goal,
           words[verdict]);
    fflush(stdout);
    if (tsv()) {
        fprintf(tsv(), "R\t%s\t%s\t%s\t%s\t%s\t%s%s\n", name, figure, spread, ratio, goal,
                words[verdict], numbers);
        fflush(tsv());
    }
}

/* Of what was not measured. */
static void row_empty(const char *name, const char *goal) {
    row(name, "", "", "", goal ? goal : "", BENCH_NO_GOAL, "");
}

static void time_text(char *to, size_t size, double ns) {
    if (ns < 1e3)
        snprintf(to, size, "%.1f ns", ns);
    else if (ns < 1e6)
        snprintf(to, size, "%.2f us", ns / 1e3);
    else
        snprintf(to, size, "%.2f ms", ns / 1e6);
}

void bench_row_time(const char *name, const struct bench_samples *samples, double bytes,
                    const char *against, const struct bench_ratio *ratio, const char *goal,
                    enum bench_verdict verdict) {
    char median[32], low[32], high[32], figure[80], spread[80], against_text[128] = "";
    char numbers[256];
    if (samples->count == 0) {
        row_empty(name, goal);
        return;
    }
    double ns = bench_quantile(samples, 0.5);
    time_text(median, sizeof(median), ns);
    time_text(low, sizeof(low), bench_quantile(samples, 0.25));
    time_text(high, sizeof(high), bench_quantile(samples, 0.75));
    if (bytes > 0)
        snprintf(figure, sizeof(figure), "%s %6.2f GB/s", median, bytes / ns);
    else
        snprintf(figure, sizeof(figure), "%s", median);
    snprintf(spread, sizeof(spread), "%s - %s", low, high);
    if (against && ratio)
        snprintf(against_text, sizeof(against_text), "%s %.3f [%.3f, %.3f]", against, ratio->median,
                 ratio->low, ratio->high);
    int length =
        snprintf(numbers, sizeof(numbers), "\tns=%.6g\tp25_ns=%.6g\tp75_ns=%.6g\tn=%d", ns,
                 bench_quantile(samples, 0.25), bench_quantile(samples, 0.75), samples->count);
    if (against && ratio && ratio->pairs > 0)
        snprintf(numbers + length, sizeof(numbers) - (size_t)length,
                 "\tratio=%.6g\tlow=%.6g\thigh=%.6g\tpairs=%d", ratio->median, ratio->low,
                 ratio->high, ratio->pairs);
    row(name, figure, spread, against_text, goal ? goal : "", verdict, numbers);
}

void bench_row_text(const char *name, const char *figure, const char *spread, const char *goal,
                    enum bench_verdict verdict) {
    row(name, figure, spread ? spread : "", "", goal ? goal : "", verdict, "");
}
