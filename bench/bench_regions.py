#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reading and writing regions of an array, by untorn and by NumPy on plain shared memory.

    bench_regions.py [--quick|--full] [--sections FILE]

Both copy the same region to the same private buffer in one process, in turn, and which is first
changes with each pair.  NumPy copies a view of one array in C order (np.copyto).  Untorn's array
lies in chunks, a writer is alive that writes nothing, and every read is checked for being of one
generation.  Chunks make what lies together in them cheaper and what runs along the flat array
dearer, so that the same regions are read with two chunk shapes.

Both write the same source to the same region, too: untorn into a transaction that is open, and with
a commit after each.  NumPy writes into shared memory and nothing else: whoever reads meanwhile sees
it half-written.  A commit keeps the array as it was, so that the first write to a chunk after it
copies the chunk.

Untorn is called through ctypes, with arguments that are made beforehand; what such a call costs is
told beside the tables.  What was read is compared with what was written, outside the time, and what
was written with what is read then.

Environment: BUILD (the build directory, default build), UNTORN_LIBRARY, BENCH_TSV as in report.py.
Needs NumPy; where there is none, it goes on with that of $BUILD/venv-bench.
"""

import argparse
import json
import mmap
import os
import signal
import sys
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
_BUILD = os.environ.get("BUILD", "build")
sys.path[1:1] = [os.path.join(_HERE, "regions"), os.path.join(_HERE, "support")]
os.environ.setdefault("UNTORN_LIBRARY", os.path.abspath(os.path.join(_BUILD, "libuntorn.so")))

try:
    import numpy
except ImportError:
    _PYTHON = os.path.join(_BUILD, "venv-bench", "bin", "python")
    if not os.path.exists(_PYTHON) or os.environ.get("UNTORN_BENCH_AGAIN"):
        sys.exit("bench_regions.py: there is no NumPy for %s" % sys.executable)
    os.environ["UNTORN_BENCH_AGAIN"] = "1"
    os.execv(_PYTHON, [_PYTHON] + sys.argv)

import cases  # noqa: E402
import report  # noqa: E402
import untorn_calls  # noqa: E402

GROUP = "7. N-D region reads"
ELEMENTS = 1 << 24  # float32 counts that far without gaps
THREE, TWO = (64, 512, 512), (4096, 4096)
# (id, name, shape, chunks or None for the default of about 1 MiB and whole trailing axes, cases)
ARRAYS = (
    ("cubes", "64 x 512 x 512 in chunks of 16 x 128 x 128", THREE, (16, 128, 128)),
    ("planes", "64 x 512 x 512 in chunks of 1 x 512 x 512, the default", THREE, None),
    ("squares", "4096 x 4096 in chunks of 512 x 512", TWO, (512, 512)),
    ("bands", "4096 x 4096 in chunks of 64 x 4096, the default", TWO, None),
)
TIERS = {"quick": (5, 0.4e6), "full": (21, 2e6)}  # pairs; ns of a sample at least
MOST = 20e6  # ns of a sample, above which it is of fewer places
COLUMNS = ("region", "bytes", "Untorn", "p25 - p75", "NumPy", "p25 - p75", "Untorn / NumPy [95 %]")


def plain_array():
    """One array in shared memory, of which no name is ever seen."""
    data = numpy.frombuffer(mmap.mmap(-1, 4 * ELEMENTS), "f4")
    data[:] = numpy.arange(ELEMENTS, dtype="f4")
    return data


def timed(functions, loops):
    """Nanoseconds per call, of this thread's processor time: nothing in a copy waits, and what
    other programs take from the processor is no part of it."""
    begin = time.thread_time_ns()
    for _ in range(loops):
        for function in functions:
            function()
    return (time.thread_time_ns() - begin) / (loops * len(functions))


def check(reads, functions):
    for read, function in zip(reads, functions):
        read.destination[...] = -1
        function()
        if not numpy.array_equal(read.destination, read.expected):
            raise RuntimeError("%s: what is read is not what was written" % (read.slices,))


def measure(both, tier):
    """Samples of untorn's functions and of NumPy's for the same places."""
    pairs, least = TIERS[tier]
    costs = [timed(one, 1) for one in both]
    places = max(1, min(len(both[0]), int(MOST / max(costs))))
    both = [one[:places] for one in both]
    loops = max(1, int(least / (min(costs) * places)))
    samples = [], []
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 else (1, 0):
            samples[which].append(timed(both[which], loops))
    return samples


def measure_reads(reads, reader, plain, tier):
    both = list(zip(*(read.prepare(reader, plain) for read in reads)))
    check(reads, both[1])
    check(reads, both[0])
    return measure(both, tier)


def with_commit(write, commit):
    def function():
        write()
        commit()

    return function


def measure_writes(writes, writer, array, plain, tier):
    """Samples of writes into one transaction, and of such with a commit each."""
    ours, theirs = zip(*(write.prepare(writer, array, plain) for write in writes))
    for function in ours + theirs:
        function()
    within = measure((ours, theirs), tier)
    writer.commit()
    return within, measure(([with_commit(f, writer.commit) for f in ours], theirs), tier)


def size_text(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return "%.3g %s" % (size / unit, name)
    return "%d B" % size


def _spread(samples):
    low, high = report.quantile(samples, 0.25), report.quantile(samples, 0.75)
    return report.time_text(low) + " - " + report.time_text(high)


def row(name, size, ours, theirs):
    ratio = report.paired_ratio(ours, theirs)
    mine, numpys = report.quantile(ours, 0.5), report.quantile(theirs, 0.5)
    cells = [name, size_text(size)]
    for median, samples in ((mine, ours), (numpys, theirs)):
        cells += [
            "%s (%.3g GB/s)" % (report.time_text(median), size / median),
            _spread(samples),
        ]
    cells.append("%.3f [%.3f, %.3f]" % ratio)
    values = {"bytes": size, "untorn_ns": mine, "numpy_ns": numpys, "pairs": len(ours)}
    values.update(zip(("ratio", "low", "high"), ratio))
    return {"cells": cells, "values": values, "peer": "numpy"}


def show(section):
    rows = [section["columns"]] + [r["cells"] for r in section["rows"]]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    print("\n" + section["title"])
    for cells in rows:
        print("  " + "  ".join(c.ljust(w) for c, w in zip(cells, widths)).rstrip())
    for note in section["notes"]:
        print("  (%s)" % note)
    sys.stdout.flush()


def overhead(reader, rank, tier):
    """What the calls alone cost, as a sentence."""
    loops = max(100, int(TIERS[tier][1]) // 1000)
    nothing = numpy.empty((0,) * rank, "f4")
    number = numpy.zeros(1, "f4"), numpy.zeros(1, "f4")
    times = []
    for call in (
        untorn_calls.Region(reader, [0] * rank, nothing).read,
        reader.commit,
        lambda: numpy.copyto(*number),
    ):
        times.append(report.time_text(min(timed([call], loops) for _ in range(5))))
    return (
        "Through ctypes, a read of no element takes %s and a call that does next to nothing, "
        "untorn_reader_commit(), %s; np.copyto() of one element takes %s. Untorn's figures have "
        "the first in them, NumPy's the last." % tuple(times)
    )


def progress(text):
    """In place on a terminal; else nothing: it does not take long."""
    if sys.stderr.isatty():
        print("\r%-78s" % text[:78], end="", file=sys.stderr, flush=True)


def read_section(which, segment, plain, tier):
    name, title, shape, _ = which
    reader = untorn_calls.Reader(segment, name)
    try:
        flat = plain.reshape(shape)
        rows = []
        for case, reads in (cases.three_axes if len(shape) == 3 else cases.two_axes)(shape):
            ours, theirs = measure_reads(reads, reader, flat, tier)
            rows.append(row(case, reads[0].expected.nbytes, ours, theirs))
            progress("regions: %s, %s" % (name, case))
        notes = [
            "Processor time, medians of interleaved pairs; up to 16 places of each kind are read "
            "in turn.",
            overhead(reader, len(shape), tier),
        ]
    finally:
        reader.close()
        progress("")
    return {
        "id": "regions-" + name,
        "group": GROUP,
        "title": "Regions of float32, 64 MiB, " + title,
        "notes": notes,
        "columns": list(COLUMNS),
        "rows": rows,
        "goals": [],
    }


def check_written(which, segment, plain):
    """What untorn's array holds is what NumPy's does."""
    name, _, shape, _ = which
    reader = untorn_calls.Reader(segment, name)
    try:
        copy = numpy.empty(shape, "f4")
        untorn_calls.Region(reader, [0] * len(shape), copy).read()
        if not numpy.array_equal(copy, plain.reshape(shape)):
            raise RuntimeError("%s: what was written is not what is read" % name)
    finally:
        reader.close()


def write_section(which, plain, tier):
    name, title, shape, chunks = which
    segment = "bench-regions-%s-%d" % (name, os.getpid())
    # Enough for the four versions that a segment keeps, when each changes every chunk.
    writer = untorn_calls.Writer(segment, size=8 * plain.nbytes)
    rows = []
    try:
        array = writer.define(name, "f4", shape, chunks)
        writer.write(array, plain)
        writer.commit()
        kinds = cases.three_axes_written if len(shape) == 3 else cases.two_axes_written
        for case, writes in kinds(shape):
            both = measure_writes(writes, writer, array, plain.reshape(shape), tier)
            for text, (ours, theirs) in zip((case, case + ", and a commit"), both):
                rows.append(row(text, writes[0].source.nbytes, ours, theirs))
            progress("regions: writing %s, %s" % (name, case))
        check_written(which, segment, plain)
    finally:
        writer.close()
        progress("")
    return {
        "id": "regions-written-" + name,
        "group": GROUP,
        "title": "Regions written, float32, 64 MiB, " + title,
        "notes": [
            "Processor time, medians of interleaved pairs; up to 16 places of each kind are "
            "written in turn: into chunks that the open transaction has written to already, or "
            "with a commit after each, when the array as it was stays to be read and every chunk "
            "that is written to in part is copied before. NumPy's array is plain shared memory, "
            "whose readers may see half of what is written."
        ],
        "columns": list(COLUMNS),
        "rows": rows,
        "goals": [],
    }


def run(tier, sections):
    plain = plain_array()
    segment = "bench-regions-%d" % os.getpid()
    # The data, and half of it for tables and what a commit needs.
    writer = untorn_calls.Writer(segment, size=len(ARRAYS) * 6 * ELEMENTS)
    try:
        for name, _, shape, chunks in ARRAYS:
            writer.write(writer.define(name, "f4", shape, chunks), plain)
            writer.commit()
        for which in ARRAYS:
            sections.append(read_section(which, segment, plain, tier))
            show(sections[-1])
    finally:
        writer.close()
    for which in ARRAYS:
        sections.append(write_section(which, plain, tier))
        show(sections[-1])


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--quick", dest="tier", action="store_const", const="quick")
    tier.add_argument("--full", dest="tier", action="store_const", const="full")
    parser.add_argument("--sections", help="a file for the report, an object a line")
    parser.set_defaults(tier="quick")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    arguments, sections, status = parser.parse_args(), [], 0
    try:
        run(arguments.tier, sections)
    except KeyboardInterrupt:
        print("\nbench_regions.py: interrupted", file=sys.stderr)
        status = 128 + signal.SIGINT
    finally:
        if arguments.sections:
            with open(arguments.sections, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(one) + "\n" for one in sections)
    return status


if __name__ == "__main__":
    sys.exit(main())
