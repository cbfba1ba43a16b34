# SPDX-License-Identifier: MIT
"""The order of the measurements, and how far they are.

A repetition goes through all cells once, case by case; within a case the peers take turns.  Each
repetition begins with another of them and goes on by another step, so that no peer always has the
same one before it, whose files or memory the system may still be busy with.  The same cell is never
measured twice in a row, unless there is only one.  A peer that failed or was unable in a cell is
not asked for it again.  After the usual repetitions come those that the goals need, of the cells
that have one.  What does not fit into the time is shortened after the first repetition
(run_plan.py).
"""

import json
import math
import os
import sys
import time

from run_cell import measure
from run_matrix import describe
from run_plan import part_of_seconds, shortened
from run_text import clock_text

EVERY = 30  # seconds between lines where progress is not shown in place


class Progress:
    def __init__(self, total):
        self.total, self.done = total, 0
        self.start = self.said = time.monotonic()
        self.in_place = sys.stderr.isatty()

    def _text(self):
        elapsed = time.monotonic() - self.start
        text = "%d of %d cells, %s" % (self.done, self.total, clock_text(elapsed))
        if self.done:
            left = elapsed / self.done * (self.total - self.done)
            text += ", %s left" % clock_text(left)
        return text

    def begin(self, case, peer):
        now = time.monotonic()
        if self.in_place:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            text = "%s: %s, %s" % (self._text(), describe(case), peer)
            print("\r\033[K" + text[: width - 1], end="", file=sys.stderr, flush=True)
        elif now - self.said >= EVERY:
            print(self._text(), file=sys.stderr, flush=True)
            self.said = now

    def line(self, text):
        text = "%s (%s)" % (text, self._text())
        print(("\r\033[K" if self.in_place else "") + text, file=sys.stderr, flush=True)
        self.said = time.monotonic()


def steps(count):
    """By which a round through so many comes to each of them once."""
    return [step for step in range(1, count) if math.gcd(step, count) == 1] or [1]


def turns(peers, repetition):
    """The peers in the order of a repetition."""
    count, able = len(peers), steps(len(peers))
    step = able[repetition % len(able)]
    return [peers[(repetition + i * step) % count] for i in range(count)]


def order(cells, repetition, last):
    """The cells, [(case, peer)], of one repetition; `last` is the one measured before."""
    cases = {}
    for case, peer in cells:
        cases.setdefault(case, []).append(peer)
    sequence = []
    for case, peers in cases.items():
        sequence += [(case, peer) for peer in turns(peers, repetition)]
    if len(sequence) > 1 and sequence[0] == last:
        sequence.append(sequence.pop(0))
    return sequence


class Results:
    """What was measured: repetition -> cell, for each case and peer, and why not."""

    def __init__(self, names, reasons):
        self.names = names
        self.absent = reasons  # of peers that cannot be run at all
        self.runs = set()  # in which it was measured
        self.cells, self.reasons, self.versions = {}, {}, {}

    def add(self, case, peer, repetition, cell):
        self.runs.add(cell.get("run", ""))
        cell = {**cell, "together": True} if case.many else cell
        if cell.get("version"):
            self.versions[peer] = cell["version"]
        if "unable" in cell:
            self.reasons[case, peer] = cell["unable"]
        else:
            self.cells.setdefault((case, peer), {})[repetition] = cell

    def of(self, case, peer):
        """{repetition: cell}"""
        return self.cells.get((case, peer), {})

    def touched(self, case):
        """False for a case that an interrupted run never came to."""
        able = [name for name in self.names if case.takes(name) and name not in self.absent]
        return not able or any(self.of(case, name) or self.reason(case, name) for name in able)

    def reason(self, case, peer):
        return self.absent.get(peer) or self.reasons.get((case, peer))


class Schedule:
    """`limit`: seconds for all of it."""

    def __init__(self, commands, results, raw, limit=float("inf")):
        self.commands, self.results, self.raw, self.limit = commands, results, raw, limit
        self.last = None
        self.progress = None
        self.took, self.part = {}, 1  # seconds of each cell at first; the part of them from now on

    def _measure(self, case, peer, repetition):
        begin = time.monotonic()
        cell = measure(self.commands[peer], shortened(case, self.part))
        cell["took_s"] = round(time.monotonic() - begin, 3)
        cell["run"] = os.environ.get("BENCH_RUN", "")
        self.took.setdefault((case, peer), cell["took_s"])
        self.last = (case, peer)
        self.results.add(case, peer, repetition, cell)
        cell = {**cell, "peer": peer, "case": case.id, "repetition": repetition}
        self.raw.write(json.dumps(cell) + "\n")
        self.raw.flush()

    def _repeat(self, cells, repetition):
        """Returns the cells that are left for the next repetition."""
        for case, peer in order(cells, repetition, self.last):
            self.progress.begin(case, peer)
            self._measure(case, peer, repetition)
            self.progress.done += 1
        return [cell for cell in cells if cell not in self.results.reasons]

    def _fit(self, cells, repetitions, goal_cells, more):
        """Shorten what is left, if it would take too long."""
        left = self.limit - (time.monotonic() - self.progress.start)
        goals = [cell for cell in goal_cells if cell not in self.results.reasons]
        took = [(cell[0], self.took[cell], repetitions) for cell in cells]
        took += [(cell[0], self.took[cell], more) for cell in goals]
        self.part = part_of_seconds(left, took)
        if self.part < 1:
            text = "cells take %d %% of their seconds, to end in %d minutes"
            self.progress.line(text % (100 * self.part, self.limit / 60))

    def run(self, cells, repetitions, goal_cells, pairs):
        """`goal_cells` are measured `pairs` times in all."""
        more = max(0, pairs - repetitions)
        self.progress = Progress(repetitions * len(cells) + more * len(goal_cells))
        for repetition in range(repetitions):
            before = len(cells)
            cells = self._repeat(cells, repetition)
            lost = before - len(cells)
            self.progress.total -= lost * (repetitions - repetition - 1)
            self.progress.line("repetition %d of %d" % (repetition + 1, repetitions))
            if repetition == 0:
                self._fit(cells, repetitions - 1, goal_cells, more)
        goal_cells = [cell for cell in goal_cells if cell not in self.results.reasons]
        self.progress.total = self.progress.done + more * len(goal_cells)
        for repetition in range(repetitions, repetitions + more if goal_cells else 0):
            goal_cells = self._repeat(goal_cells, repetition)
            self.progress.line("pair %d of %d for the goals" % (repetition + 1, pairs))


def cells_of(cases, peers):
    return [(case, peer) for case in cases for peer in peers if case.takes(peer)]


def cells_with_goals(cells):
    """Those of untorn and its opponents, where both take part."""
    known, wanted = set(cells), []
    for case in dict.fromkeys(case for case, _ in cells):
        for goal in case.goals:
            pair = [(case, peer) for peer in (goal.peer, goal.opponent) if peer]
            if all(cell in known for cell in pair):
                wanted += [cell for cell in pair if cell not in wanted]
    return wanted
