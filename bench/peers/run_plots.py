# SPDX-License-Identifier: MIT
"""Sections across cases: one figure against the size, the load or the number of something.

Each has a table, peers down and values of x across.  Most have a plot of it, too; where there are
several of the same kind, for several sizes, only the usual size has.  What was not measured, or
has no place on a logarithmic axis (no read succeeded), is an empty cell and no point, and a note
says why.
"""

from dataclasses import dataclass

import run_figures as figures
from report import quantile
from run_text import number_text, share_text, size_id, size_text, time_text


@dataclass
class Across:
    """What is drawn; `chosen` says which cases take part, `x` where they are."""

    id: str
    group: str
    title: str
    chosen: object
    x: object
    x_axis: tuple  # label, unit, scale
    y: object  # of a cell and its case
    y_axis: tuple
    text: object
    x_text: object = str
    drawn: bool = True


def _bandwidth(cell, case):
    return figures.read_rate(cell) * case.bytes / 1e9


def _p99(cell, case):
    return figures.p99(cell)


def _p50(cell, case):
    return figures.p50(cell)


def _read_rate(cell, case):
    return figures.read_rate(cell)


def _success(cell, case):
    return 100 * figures.success(cell)


def _commit_bandwidth(cell, case):
    return figures.commit_rate(cell) * case.bytes / 1e9


def _size(case):
    return case.bytes


def _bandwidth_text(value):
    return "%.3g GB/s" % value


SIZE_AXIS = ("array", "bytes", "log")
RATE_AXIS = ("GB/s", "", "log")
TIME_AXIS = ("time", "ns", "log")


def _by_size(id_, group, title, chosen, y, y_axis, text):
    return Across(id_, group, title, chosen, _size, SIZE_AXIS, y, y_axis, text, size_text)


def _is_read(case):
    return case.workload == "read"


def _is_busy(case):
    return case.workload == "rewrite" and not case.many and not case.rate and case.duty == 100


def _is_duty(case):
    return case.workload == "rewrite" and not case.many and not case.rate and case.bytes == 1 << 20


def _is_plain_commit(case):
    return case.workload == "commit" and not case.part and case.arrays == 1


BUSY = "the writer without pause"
READERS_AXIS = ("readers", "", "log")


def _id(name, size, usual):
    """Of a section that there is for several sizes; the usual one's has no size in it."""
    return name if size == usual else "%s-%s" % (name, size_id(size))


def _at_size(workload, size):
    return lambda case: case.workload == workload and not case.many and case.bytes == size


def _wake_by_readers(size):
    return Across(
        _id("wake-readers", size, 64),
        "wake",
        "Wake-up latency (p50) against the number of readers, " + size_text(size),
        _at_size("wake", size),
        lambda case: case.readers,
        READERS_AXIS,
        _p50,
        TIME_AXIS,
        time_text,
        drawn=size == 64,
    )


def _whole_by_arrays(size):
    return Across(
        _id("snapshot-arrays", size, 4 << 10),
        "snapshot",
        "Snapshots that ended whole, against the number of arrays of " + size_text(size),
        _at_size("snapshot", size),
        lambda case: case.arrays,
        ("arrays", "", "log"),
        _success,
        ("% whole", "", "linear"),
        lambda value: share_text(value / 100),
        drawn=size == 4 << 10,
    )


def _rate_by_readers(size):
    return Across(
        _id("readers-rate", size, 1 << 20),
        "readers",
        "Reads of %s, all readers together, %s" % (size_text(size), BUSY),
        lambda case: case.many and case.bytes == size,
        lambda case: case.readers,
        READERS_AXIS,
        _read_rate,
        ("reads/s", "", "log"),
        number_text,
        drawn=size == 1 << 20,
    )


ALL = [
    _by_size(
        "read-rate",
        "read",
        "Whole reads, the writer idle",
        _is_read,
        _bandwidth,
        RATE_AXIS,
        _bandwidth_text,
    ),
    _by_size(
        "read-p99",
        "read",
        "p99 of a whole read, the writer idle",
        _is_read,
        _p99,
        TIME_AXIS,
        time_text,
    ),
    _by_size(
        "rewrite-rate",
        "rewrite",
        "Whole reads, " + BUSY,
        _is_busy,
        _bandwidth,
        RATE_AXIS,
        _bandwidth_text,
    ),
    _by_size(
        "rewrite-p99",
        "rewrite",
        "p99 of a whole read, " + BUSY,
        _is_busy,
        _p99,
        TIME_AXIS,
        time_text,
    ),
    Across(
        "rewrite-duty",
        "rewrite",
        "Reads of 1 MiB against the share of time the writer writes",
        _is_duty,
        lambda case: case.duty,
        ("% of the time", "", "log"),
        _read_rate,
        ("reads/s", "", "log"),
        number_text,
        lambda duty: "%d %%" % duty,
    ),
    _by_size(
        "commit-rate",
        "commit",
        "Commits of a whole array",
        _is_plain_commit,
        _commit_bandwidth,
        RATE_AXIS,
        _bandwidth_text,
    ),
    *(_wake_by_readers(size) for size in (64, 64 << 10, 1 << 20)),
    _by_size(
        "wake-size",
        "wake",
        "Wake-up latency (p50) of one reader against the size",
        lambda case: case.workload == "wake" and case.readers == 1,
        _p50,
        TIME_AXIS,
        time_text,
    ),
    *(_whole_by_arrays(size) for size in (64, 4 << 10, 64 << 10)),
    _by_size(
        "snapshot-size",
        "snapshot",
        "Snapshots of 16 arrays against the size of an array",
        lambda case: case.workload == "snapshot" and case.arrays == 16,
        _read_rate,
        ("snapshots/s", "", "log"),
        number_text,
    ),
    *(_rate_by_readers(size) for size in (64, 4 << 10, 64 << 10, 1 << 20, 16 << 20)),
    _by_size(
        "readers-size",
        "readers",
        "Reads by 64 readers together, " + BUSY,
        lambda case: case.many and case.readers == 64,
        _bandwidth,
        RATE_AXIS,
        _bandwidth_text,
    ),
]


def _point(across, case, cells):
    """[x, median, lowest, highest], or None where there is nothing to draw."""
    if across.y is _p99 and not figures.has_p99(cells):
        return None
    found = [across.y(cell, case) for cell in cells.values()]
    found = [value for value in found if value is not None]
    log = across.y_axis[2] == "log"
    if not found or (log and quantile(found, 0.5) <= 0):
        return None
    middle = quantile(found, 0.5)
    low = min(value for value in found if value > 0 or not log)
    return [across.x(case), middle, min(low, middle), max(found)]


def _axis(axis):
    return dict(zip(("label", "unit", "scale"), axis))


def _why_empty(across, case, name, results):
    cells = results.of(case, name)
    if not cells:
        return case.not_asked(name) or results.reason(case, name) or "not measured"
    if across.y is _p99 and any(map(figures.timed, cells.values())):
        return "fewer than %d calls were timed" % figures.FEW
    return "no call ended in time"


def _notes(across, empty):
    """`empty`: {(reason, peer): [x]}"""
    together = {}
    for (reason, name), xs in empty.items():
        together.setdefault((reason, tuple(xs)), []).append(name)
    return [
        "%s, %s: %s." % (", ".join(names), ", ".join(map(across.x_text, xs)), reason.rstrip("."))
        for (reason, xs), names in together.items()
    ]


def section(across, cases, results, group):
    """None with less than two values of x, or nothing measured."""
    cases = sorted((case for case in cases if across.chosen(case)), key=across.x)
    if len(cases) < 2:
        return None
    rows, series, empty = [], [], {}
    for name in results.names:
        points = [_point(across, case, results.of(case, name)) for case in cases]
        if not any(points):
            continue
        for case, point in zip(cases, points):
            if not point:
                why = (_why_empty(across, case, name, results), name)
                empty.setdefault(why, []).append(across.x(case))
        texts = [across.text(point[1]) if point else "" for point in points]
        rows.append({"cells": [name] + texts, "values": {}, "peer": name})
        series.append({"name": name, "points": [point for point in points if point]})
    if not rows:
        return None
    found = {
        "id": across.id,
        "group": group,
        "title": across.title,
        "notes": _notes(across, empty),
        "columns": ["peer"] + [across.x_text(across.x(case)) for case in cases],
        "rows": rows,
        "goals": [],
    }
    if across.drawn:
        axes = {"x": _axis(across.x_axis), "y": _axis(across.y_axis)}
        found["plot"] = {"title": across.title, **axes, "series": series}
    return found
