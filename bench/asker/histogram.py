# SPDX-License-Identifier: MIT
"""Counts of values in buckets 1/32 of an octave wide, so that what several processes and several
repetitions measured can be put together and still has quantiles, within 2.2 %."""

import math

_PER_OCTAVE = 32


def of(values):
    """A dictionary of bucket to count; JSON makes the buckets strings, merge() takes both."""
    counts = {}
    for value in values:
        bucket = round(_PER_OCTAVE * math.log2(1 + value))
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def merge(histograms):
    total = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[int(bucket)] = total.get(int(bucket), 0) + count
    return total


def quantile(histogram, q):
    """None of an empty one."""
    left = q * (sum(histogram.values()) - 1)
    for bucket, count in sorted(histogram.items()):
        left -= count
        if left < 0:
            return 2 ** (bucket / _PER_OCTAVE) - 1
    return None
