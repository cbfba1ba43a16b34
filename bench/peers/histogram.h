// SPDX-License-Identifier: MIT
/* Times in 64 buckets per power of two: quantiles exact to 1.6 %, in memory that does not grow. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FINE 6 /* bits of a time that choose the bucket within its power of two */

struct histogram {
    uint64_t bucket[64 << HISTOGRAM_FINE];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *to, const struct histogram *from);

/* 0 if nothing was added. */
double histogram_quantile(const struct histogram *histogram, double q);

#endif
