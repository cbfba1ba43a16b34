// SPDX-License-Identifier: MIT
/*
 * Quantiles by linear interpolation between order statistics; the interval of
 * a median by the binomial's order statistics.
 */
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bench_add(struct bench_samples *samples, double value) {
    if (samples->count < BENCH_MAX_SAMPLES)
        samples->value[samples->count++] = value;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted(const struct bench_samples *samples) {
    size_t bytes = (size_t)samples->count * sizeof(double);
    double *copy = malloc(bytes ? bytes : sizeof(double));
    if (!copy)
        abort();
    memcpy(copy, samples->value, bytes);
    qsort(copy, (size_t)samples->count, sizeof(double), compare);
    return copy;
}

double bench_quantile(const struct bench_samples *samples, double q) {
    if (samples->count == 0)
        return NAN;
    double *v = sorted(samples);
    double at = q * (samples->count - 1);
    int below = (int)at;
    int above = below + 1 < samples->count ? below + 1 : below;
    double result = v[below] + (at - below) * (v[above] - v[below]);
    free(v);
    return result;
}

/* That k of n pairs are below the median; by logarithms, since 2^-n soon is no double. */
static double binomial(int n, int k) {
    return exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * M_LN2);
}

/* The largest k (from 0) such that the interval from the k-th lowest to the
 * k-th highest holds the median with at least 95 % probability. */
static int interval_rank(int n) {
    double below = binomial(n, 0);
    int k = 0;
    while (k < n / 2 && below + binomial(n, k + 1) <= 0.025)
        below += binomial(n, ++k);
    return k;
}

struct bench_ratio bench_paired_ratio(const struct bench_samples *numerator,
                                      const struct bench_samples *denominator) {
    static struct bench_samples ratios;
    int n = numerator->count < denominator->count ? numerator->count : denominator->count;
    ratios.count = 0;
    for (int i = 0; i < n; i++)
        bench_add(&ratios, numerator->value[i] / denominator->value[i]);
    if (n == 0)
        return (struct bench_ratio){NAN, NAN, NAN, 0};
    double *v = sorted(&ratios);
    int k = interval_rank(n);
    struct bench_ratio result = {bench_quantile(&ratios, 0.5), v[k], v[n - 1 - k], n};
    free(v);
    return result;
}
