// SPDX-License-Identifier: MIT
/* The highest bits of a time are its bucket; a quantile is the middle of its bucket. */
#include "histogram.h"

#include <stddef.h>

#define BUCKETS ((size_t)64 << HISTOGRAM_FINE)

static size_t bucket_of(uint64_t ns) {
    if (ns < 1u << HISTOGRAM_FINE)
        return (size_t)ns;
    unsigned shift = 63 - HISTOGRAM_FINE - (unsigned)__builtin_clzll(ns);
    return ((size_t)(shift + 1) << HISTOGRAM_FINE) +
           ((size_t)(ns >> shift) & ((1u << HISTOGRAM_FINE) - 1));
}

static double time_of(size_t bucket) {
    size_t power = bucket >> HISTOGRAM_FINE, fine = bucket & ((1u << HISTOGRAM_FINE) - 1);
    if (power == 0)
        return (double)fine;
    return ((double)((1u << HISTOGRAM_FINE) + fine) + 0.5) * (double)((uint64_t)1 << (power - 1));
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
    histogram->bucket[bucket_of(ns)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from) {
    for (size_t b = 0; b < BUCKETS; b++)
        to->bucket[b] += from->bucket[b];
}

double histogram_quantile(const struct histogram *histogram, double q) {
    uint64_t total = 0, seen = 0;
    for (size_t b = 0; b < BUCKETS; b++)
        total += histogram->bucket[b];
    uint64_t wanted = (uint64_t)(q * (double)total);
    for (size_t b = 0; b < BUCKETS; b++)
        if ((seen += histogram->bucket[b]) > wanted)
            return time_of(b);
    return 0;
}
