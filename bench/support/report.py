# SPDX-License-Identifier: MIT
"""What a benchmark in Python says: the same rows as support/report.c, with the same statistics.

Medians with the quartiles as the spread; ratios are medians of interleaved pairs with a
distribution-free 95 % interval by the binomial's order statistics.
"""

import math
import os

GOAL_PAIRS = 15  # fewer say nothing about a ratio's goal
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
    """Six cells, and behind them numbers for programs (report.h)."""
    print(_COLUMNS % cells[:6], flush=True)
    _tsv("R", *cells)


def quantile(samples, q):
    ordered = sorted(samples)
    at = q * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def _interval_rank(n):
    """The largest k, from 0, such that k-th lowest to k-th highest holds the median at 95 %."""
    below, k = 1 / 2**n, 0
    while k < n // 2 and below + math.comb(n, k + 1) / 2**n <= 0.025:
        k += 1
        below += math.comb(n, k) / 2**n
    return k


def paired_ratio(numerator, denominator):
    """Median, low and high of numerator[i] / denominator[i]."""
    ratios = sorted(a / b for a, b in zip(numerator, denominator))
    k = _interval_rank(len(ratios))
    return quantile(ratios, 0.5), ratios[k], ratios[-1 - k]


def ratio_goal(ratio, pairs, at_least=None, at_most=None):
    """Whether the better end of the interval reaches the goal; None: too few pairs to say."""
    if pairs < GOAL_PAIRS:
        return None
    _, low, high = ratio
    return high >= at_least if at_least is not None else low <= at_most


def _verdict(goal, met):
    if met is None:
        return "too few pairs" if goal else ""
    return "met" if met else "not met"


def _numbers(**values):
    return ["%s=%.6g" % pair for pair in values.items()]


def time_text(ns):
    if ns < 1e3:
        return "%.1f ns" % ns
    if ns < 1e6:
        return "%.2f us" % (ns / 1e3)
    return "%.2f ms" % (ns / 1e6)


def row_time(name, samples, size=0, against=None, ratio=None, goal=None, met=None):
    """`samples` are nanoseconds per operation, `size` its bytes.

    `met` is what ratio_goal() says, or None if there is no `goal`.
    """
    median = quantile(samples, 0.5)
    figure = time_text(median)
    if size:
        figure += " %6.2f GB/s" % (size / median)
    low, high = quantile(samples, 0.25), quantile(samples, 0.75)
    spread = time_text(low) + " - " + time_text(high)
    numbers = _numbers(ns=median, p25_ns=low, p75_ns=high, n=len(samples))
    text = ""
    if ratio:
        text = "%s %.3f [%.3f, %.3f]" % (against, *ratio)
        numbers += _numbers(ratio=ratio[0], low=ratio[1], high=ratio[2], pairs=len(samples))
    _row(name, figure, spread, text, goal or "", _verdict(goal, met), *numbers)


def row_text(name, figure, spread="", goal="", met=None):
    _row(name, figure, spread, "", goal, _verdict(goal, met))
