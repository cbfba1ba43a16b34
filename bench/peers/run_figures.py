# SPDX-License-Identifier: MIT
"""Figures of one measurement (peer.h says what its fields are), and over the repetitions of a cell.

The mean time of a short call is that of whole batches, with nothing taken off.  Calls that were all
timed one by one are without what the clock takes.  Percentiles are of single calls, with the clock
in them.
"""

from report import paired_ratio, quantile

LEAST = 0.1  # of what the clock takes: a call is not shown as shorter
FEW = 100  # calls; p99 of fewer is the longest of them
FEW_CALLS = (
    "p99 is left out where the usual repetition timed fewer than %d calls: it would be the "
    "longest of them." % FEW
)


def _net(cell, calls):
    """Nanoseconds inside the calls."""
    clock = calls * cell.get("timer_ns", 0)
    return max(cell.get("spent_ns", 0) - clock, LEAST * clock)


def _call_time(cell, calls):
    if cell.get("batched"):
        return cell["batched_ns"] / cell["batched"]
    return _net(cell, calls) / calls


def below_clock(cell):
    """True if a call is shorter than a look at the clock, so that little is left of two numbers."""
    calls = cell.get("reads") or cell.get("commits") or 0
    if not calls or cell.get("batched"):
        return False
    return _net(cell, calls) < calls * cell.get("timer_ns", 0)


def read_time(cell):
    return _call_time(cell, cell["reads"]) if cell.get("reads") else None


def read_rate(cell):
    """Of one reader, while it reads; of several, of all together in the time that passed, and so
    is that of one that they are compared with."""
    if not cell.get("reads"):
        return 0
    if cell.get("together") or cell.get("readers", 1) > 1:
        return cell["reads"] * 1e9 / cell["wall_ns"]
    return 1e9 / read_time(cell)


def commit_rate(cell):
    """Of commits or appends, inside the calls."""
    time = _call_time(cell, cell["commits"]) if cell.get("commits") else 0
    return 1e9 / time if time else 0


def commits_beside(cell):
    """What the writer reached while there were readers."""
    return cell.get("commits", 0) * 1e9 / cell["wall_ns"] if cell.get("wall_ns") else 0


def commits_alone(cell):
    return cell.get("commits_alone", 0) * 1e9 / cell["wall_ns"] if cell.get("wall_ns") else 0


def p50(cell):
    return cell.get("p50_ns") or None


def timed(cell):
    """Calls that were timed one by one."""
    return (cell.get("reads") or cell.get("commits") or 0) - cell.get("batched", 0)


def p99(cell):
    return cell.get("p99_ns") or None


def has_p99(cells):
    """Whether p99 is less than the longest call, in most repetitions."""
    return bool(cells) and median(timed, cells) >= FEW


def checked(cell):
    """Reads of which it is known whether they are torn."""
    return cell.get("checked", cell.get("reads", 0))


def compared(cell):
    """Reads of which it is known whether they are new."""
    return cell.get("compared", cell.get("reads", 0))


def success(cell):
    """The share of reads that ended, and whole."""
    reads, looked_at = cell.get("reads", 0), checked(cell)
    begun = reads + cell.get("unfinished", 0)
    if not begun or not looked_at:
        return 0
    return reads / begun * (1 - cell.get("torn", 0) / looked_at)


def values(function, cells):
    """Those that there are, over the repetitions."""
    found = [function(cell) for cell in cells.values()]
    return [value for value in found if value is not None]


def median(function, cells):
    found = values(function, cells)
    return quantile(found, 0.5) if found else None


def total(field, cells):
    return sum(cell.get(field, 0) for cell in cells.values())


def pairs(function, cells, others):
    """The figures of both in those repetitions that have both, above 0."""
    found = []
    for repetition in sorted(set(cells) & set(others)):
        a, b = function(cells[repetition]), function(others[repetition])
        if a and b:
            found.append((a, b))
    return found


def ratio(function, cells, others):
    """(median, low, high, pairs) of cells / others, or None; the interval is of 95 %."""
    found = pairs(function, cells, others)
    if not found:
        return None
    return (*paired_ratio([a for a, _ in found], [b for _, b in found]), len(found))
