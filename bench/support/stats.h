// SPDX-License-Identifier: MIT
/*
 * Repeated measurements and what is said about them: the median, the quartiles
 * as the spread, and for interleaved pairs the median of the pairs' ratios with
 * a distribution-free 95 % interval (order statistics of the binomial, so that
 * no assumption about the noise is made; with 15 pairs the 4th and the 12th).
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#define BENCH_MAX_SAMPLES 4096

struct bench_samples {
    int count;
    double value[BENCH_MAX_SAMPLES];
};

struct bench_ratio {
    double median, low, high;
    int pairs;
};

void bench_add(struct bench_samples *samples, double value);
double bench_quantile(const struct bench_samples *samples, double q);

/* Of the pairs numerator[i] / denominator[i]. */
struct bench_ratio bench_paired_ratio(const struct bench_samples *numerator,
                                      const struct bench_samples *denominator);

#endif
