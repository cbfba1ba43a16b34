# SPDX-License-Identifier: MIT
"""What a benchmark in Python says: the same rows as support/report.c, with the same statistics.

Medians with the quartiles as the spread; ratios are medians of interleaved pairs with a
distribution-free 95 % interval by the binomial's order statistics.
"""

import math
import os

_COLUMNS = "  %-50s %22s %22s  %-40s %-34s %s"


def _tsv(*cells):
    path = os.environ.get("BENCH_TSV")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write("\t".join(cells) + "\n")


def section(title):
    print("\n" + title)
    print(_COLUMNS % ("case", "median", "p25 - p75", "ratio [95 %]", "goal", "result"), flush=True)
    _tsv("S", title)


def note(text):
    print("  (%s)" % text, flush=True)
    _tsv("N", text)


def _row(*cells):
    print(_COLUMNS % cells, flush=True)
    _tsv("R", *cells)


def quantile(samples, q):
    ordered = sorted(samples)
    at = q * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def _interval_rank(n):
    """The largest k such that k-th lowest to k-th highest holds the median at 95 %."""
    below = k = 0
    while k < n // 2 and below + math.comb(n, k) / 2**n <= 0.025:
        below += math.comb(n, k) / 2**n
        k += 1
    return k


def paired_ratio(numerator, denominator):
    """Median, low and high of numerator[i] / denominator[i]."""
    ratios = sorted(a / b for a, b in zip(numerator, denominator))
    k = _interval_rank(len(ratios))
    return quantile(ratios, 0.5), ratios[k], ratios[-1 - k]


def time_text(ns):
    if ns < 1e3:
        return "%.1f ns" % ns
    if ns < 1e6:
        return "%.2f us" % (ns / 1e3)
    return "%.2f ms" % (ns / 1e6)


def row_time(name, samples, size=0, against=None, ratio=None, goal=None, met=None):
    """`samples` are nanoseconds per operation, `size` its bytes; `met` is None without a goal."""
    median = quantile(samples, 0.5)
    figure = time_text(median)
    if size:
        figure += " %6.2f GB/s" % (size / median)
    spread = time_text(quantile(samples, 0.25)) + " - " + time_text(quantile(samples, 0.75))
    text = "%s %.3f [%.3f, %.3f]" % (against, *ratio) if ratio else ""
    verdict = {None: "", True: "met", False: "not met"}[met]
    _row(name, figure, spread, text, goal or "", verdict)


def row_text(name, figure, spread="", goal="", met=None):
    _row(name, figure, spread, "", goal, {None: "", True: "met", False: "not met"}[met])
