# SPDX-License-Identifier: MIT
"""How long a run takes, and how it is kept within its time.

Before the run: by what cells took on a virtual machine with 2 processors.  A cell takes what its
program needs to start and to end (a server, the imports of Python), the seconds that are measured,
twice where the writer is measured alone, too, what it takes to make its arrays and readers, and to
fill as much memory as its arrays are large, and the commits and reads before anything is counted
(crew.c).  A peer that is unable is asked once only.

After the first repetition: by what cells took in it.  If the rest would take longer than there is
time for, all cells are measured for a smaller part of their seconds from then on; the number of
repetitions stays, and so does what a program needs beside them.
"""

from dataclasses import replace

from run_matrix import PYTHON
from run_text import count_text

MOST_MINUTES = 80  # of a full run with the usual effort
SHORTEST = 0.25  # of the seconds of a cell
WARM_UP = 0.052  # seconds, each time that something is measured
STEADY_COMMITS, STEADY_MOST = 16, 2  # before that, and the seconds that they may take
# Seconds to start and end, and for each GiB of arrays; those in C that are not named have the last.
COSTS = {
    "memcpy-round": (0.02, 12),  # it asks untorn first how many copies there are
    "iceoryx": (0.35, 8),
    "hdf5-swmr": (0.07, 3),
    "redis": (0.1, 8),
    "zarr-2": (0.4, 8),
    "zarr-2-lock": (0.4, 8),
    "zarr-3": (0.55, 8),
    "zarr-3-lock": (0.55, 8),
    "tensorstore": (0.25, 8),
    "icechunk": (0.45, 8),
}
OTHER = (0.02, 3)
COMMIT = {"python": 2, "c": 0.25}  # seconds for each GiB, once its memory is there
READ = 0.2
EACH = {"python": 0.004, "c": 0.0005}  # seconds for each array and each reader beyond the first
ABLE_TO_WAIT = ("untorn", "untorn-spin", "futex", "iceoryx", "redis")


def _unable(case, peer):
    if case.workload == "wake":
        return peer not in ABLE_TO_WAIT
    if peer == "iceoryx":
        return case.part or case.arrays > 1 or case.workload == "append"
    return peer == "hdf5-swmr" and case.arrays > 1


def _spans(case):
    """How many times its seconds are measured."""
    return 2 if case.workload in ("rewrite", "snapshot") else 1


def _before(case, kind, gib):
    """What commits and reads take that make a peer steady."""
    if case.workload not in ("commit", "rewrite", "snapshot"):
        return 0
    one = COMMIT[kind] * (case.chunk / 2**30 if case.part else gib)
    reads = READ * gib * case.readers if case.workload != "commit" else 0
    return min(STEADY_MOST, STEADY_COMMITS * one) + STEADY_COMMITS * reads


def seconds(case, peer):
    """Of one cell, about."""
    start, per_gib = COSTS.get(peer, OTHER)
    if _unable(case, peer):
        return start
    kind = "python" if peer in PYTHON else "c"
    gib = case.bytes * (case.arrays if case.workload != "append" else 1) / 2**30
    start += EACH[kind] * (case.arrays + case.readers - 2) + _before(case, kind, gib)
    return start + _spans(case) * (WARM_UP + case.seconds) + per_gib * gib


def measurements(cells, repetitions, goal_cells, pairs):
    """Each as often as it is made, [((case, peer), times)]."""
    more = max(0, pairs - repetitions)
    times = {cell: 1 if _unable(*cell) else repetitions for cell in cells}
    for cell in goal_cells:
        times[cell] += 0 if _unable(*cell) else more
    return list(times.items())


def total(cells, repetitions, goal_cells, pairs):
    """Seconds of all measurements, about."""
    planned = measurements(cells, repetitions, goal_cells, pairs)
    return sum(times * seconds(*cell) for cell, times in planned)


def text(cells, repetitions, goal_cells, pairs):
    count = sum(times for _, times in measurements(cells, repetitions, goal_cells, pairs))
    minutes = max(1, round(total(cells, repetitions, goal_cells, pairs) / 60))
    said = (count_text(len(cells), "cell"), count_text(count, "measurement"))
    return "%s, %s, about %s" % (*said, count_text(minutes, "minute"))


def part_of_seconds(left, took):
    """What part of their seconds the cells have from now on.

    `left`: seconds; `took`: [(case, seconds that it took, times that it is still to be made)].
    """
    wanted = sum(spent * times for _, spent, times in took)
    measured = sum(_spans(case) * case.seconds * times for case, _, times in took)
    if wanted <= left or not measured:
        return 1
    return max(SHORTEST, 1 - (wanted - left) / measured)


def shortened(case, part):
    return case if part == 1 else replace(case, seconds=round(part * case.seconds, 3))
