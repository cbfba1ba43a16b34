#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A growing array that is read while it is written, shared in ten ways.

    asker.py [--quick|--full] [--sections FILE] [--raw FILE] [--only WAY,...]

"In a multiprocess situation, I want to avoid reading arrays from a zarr group that haven't fully
finished writing by the other process yet": a producer grows `position`, in chunks of 100, and
readers in other processes met its first chunk alone.  Each way that was suggested for it, what it
does and where its makers recommend it are in bench/asker/ways_*.py; what is measured is said in the
first table (asker/tables.py).

Every cell has 5 repetitions, and is never measured twice in a row: a repetition goes through all
conditions and ways, beginning with another way each time.  zarr-python 2 and 3 exclude each other,
so that each Python environment has a process that measures (asker/serve.py); this one needs the
standard library only.  An interrupted run hands in what it has.

Environment: BUILD (the build directory, default build), whose venv-bench (zarr 3, icechunk,
fasteners) and venv-bench2 (zarr 2, numcodecs, fasteners) are taken, or, where they are missing,
this Python; and UNTORN_LIBRARY.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(_HERE, "asker"), os.path.join(_HERE, "support")]
import servers as servers_module  # noqa: E402
import tables  # noqa: E402

NAMES = (
    "zarr-2",
    "zarr-3",
    "zarr-3-lock",
    "zarr-3-rwlock",
    "zarr-2-chunk-locks",
    "queue",
    "icechunk",
    "untorn",
    "untorn-anew",
    "untorn-store",
)
REPETITIONS = 5
# Of batches a second, readers, and reads a second of each (0: as fast as they can); seconds of a
# cell.
TIERS = {
    "quick": ([(0, 4, 0), (50, 4, 0)], 0.15),
    "full": ([(r, n, 0) for r in (0, 500, 50) for n in (1, 4)] + [(50, 4, 20)], 0.5),
}
AROUND = 0.2  # seconds of a cell beside those that are measured, about
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST_FAILURES = 2  # of one cell, before it is left alone


def planned(conditions, ways, seconds):
    """Cells, and how many seconds they take, about."""
    count = REPETITIONS * len(conditions) * ways
    return count, count * (seconds + AROUND)


def pythons(names):
    """Which python each way has: without its packages this one, which may have NumPy."""
    build = os.environ.get("BUILD", "build")
    found = {}
    for name in names:
        venv = "venv-bench2" if name.startswith("zarr-2") else "venv-bench"
        venv = os.path.abspath(os.path.join(build, venv))
        made = os.path.exists(os.path.join(venv, ".packages"))
        found[name] = os.path.join(venv, "bin", "python") if made else sys.executable
    return found


class Progress:
    """On standard error: in place on a terminal, else a line per repetition."""

    def __init__(self, total):
        self.total, self.done, self.begin = total, 0, time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self, what):
        self.done += 1
        if self.terminal:
            spent = time.monotonic() - self.begin
            left = spent / self.done * (self.total - self.done)
            text = "asker: %d/%d, %3.0f s left, %s" % (self.done, self.total, left, what)
            print("\r%-78s" % text[:78], end="", file=sys.stderr, flush=True)

    def repetition(self, number):
        if not self.terminal:
            spent = time.monotonic() - self.begin
            text = "asker: repetition %d of %d, %.0f s" % (number, REPETITIONS, spent)
            print(text, file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print("\r%78s\r" % "", end="", file=sys.stderr, flush=True)


def measure_all(servers, names, conditions, seconds, raw, found, reasons):
    """Into `found` and `reasons`: cells, and why there are none, by condition and way."""
    able = [name for name in names if name in servers.ways]
    count, left = planned(conditions, len(able), seconds)
    text = "asker: %d measurements, about %d:%02d minutes" % (count, *divmod(round(left), 60))
    print(text, file=sys.stderr, flush=True)
    failures = {}
    progress = Progress(REPETITIONS * len(conditions) * len(able))
    for repetition in range(REPETITIONS):
        for condition in conditions:
            for i in range(len(able)):
                name = able[(i + repetition) % len(able)]
                key = (condition, name)
                progress.step("%s, %s" % (name, tables.condition_text(*condition)))
                if failures.get(key, 0) >= MOST_FAILURES:
                    continue
                order = dict(zip(("rate", "readers", "reads"), condition))
                order.update(way=name, seconds=seconds)
                cell = servers.measure(order)
                raw.write(json.dumps({**order, **cell}) + "\n")
                if "unable" in cell:
                    failures[key] = failures.get(key, 0) + 1
                    reasons[key] = cell["unable"]
                else:
                    found.setdefault(key, []).append(cell)
        progress.repetition(repetition + 1)
    progress.end()


def sections_of(servers, names, conditions, seconds, found, reasons):
    """Without conditions that an interrupted run never came to."""
    sections = []
    touched = {condition for condition, _ in [*found, *reasons]}
    for key in [key for key in conditions if key in touched or not servers.ways]:
        cells = {name: found.get((key, name), []) for name in names}
        why = {name: reasons[key, name] for name in names if (key, name) in reasons}
        for name, cell in cells.items():
            if name in why and cell:
                why[name] = "%d repetitions, others failed: %s" % (len(cell), why[name])
        why.update(servers.reasons)
        sections.append(tables.condition(*key, names, servers, cells, why))
    first = tables.explanation(names, servers, seconds, REPETITIONS)
    plot = tables.ages(sections)
    if plot:
        first["plot"] = plot
    return [first] + sections


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--quick", dest="tier", action="store_const", const="quick")
    tier.add_argument("--full", dest="tier", action="store_const", const="full")
    parser.add_argument("--sections", help="a file for the report, an object a line")
    parser.add_argument("--raw", default=os.devnull, help="a file for every measurement")
    parser.add_argument("--only", help="ways, with commas between them")
    parser.set_defaults(tier="quick")
    arguments = parser.parse_args()
    arguments.names = arguments.only.split(",") if arguments.only else list(NAMES)
    for name in arguments.names:
        if name not in NAMES:
            parser.error("there is no way %s; there are: %s" % (name, ", ".join(NAMES)))
    return arguments


def run(arguments):
    """Returns whether it came to its end."""
    conditions, seconds = TIERS[arguments.tier]
    servers, found, reasons, all_of_it = servers_module.Servers(), {}, {}, False
    try:
        servers.start(pythons(arguments.names))
        with open(arguments.raw, "w", encoding="utf-8") as raw:
            measure_all(servers, arguments.names, conditions, seconds, raw, found, reasons)
        all_of_it = True
    except KeyboardInterrupt:
        print("\nasker: interrupted", file=sys.stderr)
    finally:
        # What is to be cleaned up is, even if one is impatient.
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)
        servers.end()
    if all_of_it or found:
        names = arguments.names
        hand_in(sections_of(servers, names, conditions, seconds, found, reasons), arguments)
    return all_of_it


def hand_in(sections, arguments):
    if arguments.sections:
        with open(arguments.sections, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(section) + "\n" for section in sections)
    for section in sections:
        tables.show(section)


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    os.environ.setdefault(
        "UNTORN_LIBRARY",
        os.path.abspath(os.path.join(os.environ.get("BUILD", "build"), "libuntorn.so")),
    )
    arguments = parse()
    for number in ENDS:
        signal.signal(number, _interrupt)
    with contextlib.suppress(BrokenPipeError):
        return 0 if run(arguments) else 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
