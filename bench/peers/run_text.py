# SPDX-License-Identifier: MIT
"""Numbers, sizes and times as the tables of peers show them."""


def size_text(size):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return "%d %s" % (size // unit, name)
    return "%d B" % size


def size_id(size):
    return size_text(size).replace(" ", "")


def number_text(value):
    """Three digits: 1.23 M, 45.6 k, 789."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit * 0.9995:
            return "%.3g%s" % (value / unit, name)
    return "%.3g" % value


def time_text(ns):
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= unit * 0.9995:
            return "%.3g %s" % (ns / unit, name)
    return "%.3g ns" % ns


def share_text(share):
    """Of 1; what is not all or nothing is not rounded to it."""
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    if 0 < share < 0.0005:
        return "< 0.05 %"
    return "%.3g %%" % (100 * share)


def clock_text(seconds):
    return "%d:%02d" % divmod(int(seconds), 60)


def count_text(count, what):
    return "%d %s%s" % (count, what, "" if count == 1 else "s")
