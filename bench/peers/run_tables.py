# SPDX-License-Identifier: MIT
"""The section of a case: one row for each peer that takes part.

Figures are medians over the repetitions; torn, new and attempts are of all of them together.  A
peer without a figure has an empty row, and the reason stands in the notes; so does why others were
not asked.
"""

from dataclasses import dataclass

import run_figures as figures
from run_goals import goals
from run_text import count_text, number_text, share_text, size_text, time_text

CHUNK = 256 << 10  # bytes, where a case says nothing (peer.h)
REACHED = 0.9  # of a rate that was asked for


@dataclass
class Row:
    case: object
    peer: str
    cells: dict  # repetition -> cell
    untorn: dict

    def figure(self, name):
        return figures.median(getattr(figures, name), self.cells)

    def total(self, field):
        return figures.total(field, self.cells)


def _number(name, value_name):
    """A column of a figure that is a number per second."""

    def column(row):
        value = row.figure(name)
        return number_text(value), {value_name: value}

    return column


def _spread(name, value_name, text=number_text):
    def column(row):
        found = figures.values(getattr(figures, name), row.cells)
        if not found:
            return "", {}
        low, high = min(found), max(found)
        values = {value_name + "_low": low, value_name + "_high": high}
        return text(low) + " - " + text(high), values

    return column


def _rate_of_reads(row):
    value = row.figure("read_rate")
    text = number_text(value) if row.total("reads") else "none succeeded"
    return text, {"reads_per_s": value}


def _bandwidth(name):
    def column(row):
        size = row.case.bytes * (row.case.arrays if row.case.workload != "append" else 1)
        size = row.case.chunk if row.case.part else size
        value = (row.figure(name) or 0) * size / 1e9
        return ("%.3g" % value if value else ""), {"gb_per_s": value}

    return column


def _time(name):
    def column(row):
        value = row.figure(name)
        return (time_text(value) if value else ""), {name + "_ns": value}

    return column


def _p99(row):
    return _time("p99")(row) if figures.has_p99(row.cells) else ("", {})


def _against(name):
    """untorn's / this, with its interval."""

    def column(row):
        if row.peer == "untorn":
            return "", {}
        found = figures.ratio(getattr(figures, name), row.untorn, row.cells)
        if not found:
            return "", {}
        values = dict(zip(("untorn_ratio", "untorn_ratio_low", "untorn_ratio_high"), found))
        return "%s [%s, %s]" % tuple(number_text(value) for value in found[:3]), values

    return column


def _attempts(row):
    reads, attempts = row.total("reads"), row.total("attempts")
    if not reads:
        return "", {}
    ratio = attempts / reads
    text = "%.4g" % ratio if ratio < 1000 else number_text(ratio)
    unfinished = row.total("unfinished")
    if unfinished:
        text += " (%s did not end)" % number_text(unfinished)
    return text, {"attempts_per_read": ratio, "unfinished": unfinished}


def _torn(row):
    checked, torn = sum(map(figures.checked, row.cells.values())), row.total("torn")
    if not checked:
        return "", {}
    text = "%d of %s" % (torn, number_text(checked))
    if torn:
        text += " (%s)" % share_text(torn / checked)
    return text, {"torn": torn, "checked": checked, "reads": row.total("reads")}


def _new(row):
    compared = sum(map(figures.compared, row.cells.values()))
    if not compared:
        return "", {}
    share = row.total("new") / compared
    return share_text(share), {"new_share": share}


def _whole(row):
    share = row.figure("success") or 0
    return share_text(share), {"whole_share": share}


def _wakes(row):
    return number_text(row.total("reads")), {"wakes": row.total("reads")}


_QUANTILES = [("p50", _time("p50")), ("p99", _p99)]
_BESIDE = [
    ("commits/s", _number("commits_beside", "commits_per_s")),
    ("commits/s, nobody reading", _number("commits_alone", "commits_per_s_alone")),
]


def _reads(what):
    return [
        (what, _rate_of_reads),
        ("lowest - highest", _spread("read_rate", "reads_per_s")),
        ("GB/s", _bandwidth("read_rate")),
        ("untorn's / this", _against("read_rate")),
    ]


def _commits(what):
    return [
        (what, _number("commit_rate", "commits_per_s")),
        ("lowest - highest", _spread("commit_rate", "commits_per_s")),
        ("GB/s", _bandwidth("commit_rate")),
        ("untorn's / this", _against("commit_rate")),
        *_QUANTILES,
    ]


COLUMNS = {
    "read": _reads("reads/s") + _QUANTILES + [("torn", _torn)],
    "rewrite": _reads("reads/s")
    + [("attempts per read", _attempts), *_QUANTILES, ("torn", _torn), ("new", _new), *_BESIDE],
    "commit": _commits("commits/s"),
    "append": _commits("appends/s"),
    "wake": [
        ("p50", _time("p50")),
        ("lowest - highest", _spread("p50", "p50_ns", time_text)),
        ("untorn's / this", _against("p50")),
        ("p99", _p99),
        ("wakes", _wakes),
    ],
    "snapshot": _reads("snapshots/s")
    + [("attempts", _attempts), *_QUANTILES, ("torn", _torn), ("whole", _whole), ("new", _new)]
    + _BESIDE,
}

NEW = (
    "new: reads that returned another round than the read before; where it is low the reader "
    "copied again what it had, and reads/s say little."
)
EQUAL = (
    "All writers are asked for the same rate of commits, so that no reader is faster only because "
    "its writer is slower."
)
TIMED = (
    "Rates are inside the calls: of batches of 64 where a call takes less than 10 us and moves at "
    "most 16 KiB, else without the clock's own time. p50 and p99 are of single calls, with the "
    "clock's own time in them. " + figures.FEW_CALLS
)
COPIES = (
    "memcpy writes to one array in place, which the processor's cache may hold: where it does, "
    "memory has less to do than for any peer that leaves alone what readers may be reading. "
    "memcpy-round goes round as many copies as untorn's writer does, and the newest is read."
)
NOTES = {
    "read": [TIMED],
    "rewrite": [TIMED, NEW],
    "commit": [TIMED, "Nobody reads."],
    "append": [TIMED, "Nobody reads."],
    "wake": [
        "From just before the publication to where the reader has the bytes. " + figures.FEW_CALLS
    ],
    "snapshot": [
        TIMED,
        "Each transaction replaces array 0 and one of the others. whole: snapshots that ended, "
        "with all arrays as of one transaction.",
    ],
}
MANY = "reads/s: of all readers together, on one processor, with the checks of what they read."


def layout(case):
    """What the arrays are, in words."""
    words = "Arrays of 64-bit unsigned integers"
    if case.workload == "append":
        return words + ", in chunks of 256 KiB where there are chunks, begun anew at 64 MiB."
    chunk = case.chunk or CHUNK
    if case.bytes <= chunk:
        return words + ", of one chunk."
    return words + ", in chunks of %s where there are chunks." % size_text(chunk)


def _cells(row):
    texts, values = [], {"repetitions": len(row.cells)}
    for _, column in COLUMNS[row.case.workload]:
        text, some = column(row)
        texts.append(text)
        values.update({name: value for name, value in some.items() if value is not None})
    return texts, values


def _row(case, peer, results):
    label = results.versions.get(peer, "")
    said = {"cells": [peer], "values": {}, "peer": peer}
    if label:
        said["version"] = label
    cells = results.of(case, peer)
    if not cells:
        said["cells"] += [""] * len(COLUMNS[case.workload])
        return said
    texts, values = _cells(Row(case, peer, cells, results.of(case, "untorn")))
    return {**said, "cells": [peer] + texts, "values": values}


def _sentence(text):
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."


def _notes_on(case, peer, results):
    """Why there are no figures, or what there is to know about them."""
    cells, reason = results.of(case, peer), results.reason(case, peer)
    notes = []
    if reason and cells:
        said = count_text(len(cells), "repetition")
        notes.append("%s: only %s, then: %s" % (peer, said, reason))
    elif reason:
        notes.append("%s: %s" % (peer, reason))
    notes += [
        "%s: %s" % (peer, note) for note in {cell.get("note") for cell in cells.values()} if note
    ]
    errors = figures.total("errors", cells)
    if errors:
        first = next(cell["error"] for cell in cells.values() if cell.get("error"))
        notes.append("%s: %s raised, the first: %s" % (peer, count_text(errors, "read"), first))
    reached = figures.median(figures.commits_beside, cells)
    if case.rate and cells and reached < REACHED * case.rate:
        wanted = number_text(case.rate)
        notes.append("%s: reached %s of %s commits/s" % (peer, number_text(reached), wanted))
    return notes


def _copies_text(cells):
    """How many copies a writer went round, in all repetitions."""
    found = sorted({cell["copies"] for cell in cells.values() if cell.get("copies")})
    return " to ".join(str(count) for count in found[:1] + found[1:][-1:])


def _notes_on_copies(case, results, names):
    if not results.of(case, "memcpy-round"):
        return []
    counts = [(name, _copies_text(results.of(case, name))) for name in names]
    counted = ["%s %s" % (name, text) for name, text in counts if text]
    return [COPIES + " Copies: " + ", ".join(counted)]


def _notes_on_left_out(case, names):
    reasons = {}
    for name in names:
        if case.not_asked(name):
            reasons.setdefault(case.not_asked(name), []).append(name)
    return ["%s: %s" % (", ".join(left_out), reason) for reason, left_out in reasons.items()]


def _notes_on_all(case, results, names):
    notes, there = [], [name for name in names if results.of(case, name)]
    none = [name for name in there if not figures.total("reads", results.of(case, name))]
    if case.workload in ("commit", "append"):
        none = [name for name in there if not figures.total("commits", results.of(case, name))]
    if none:
        notes.append(", ".join(none) + ": no call ended before the time was up")
    short = [name for name in there if figures.median(figures.below_clock, results.of(case, name))]
    if case.workload != "wake" and short:
        what = "a call is shorter than a look at the clock, so that rates are rough"
        notes.append(", ".join(short) + ": " + what)
    return notes


def _notes_on_run(case, results, names):
    """When it was, if not all was measured in one run."""
    runs = {cell.get("run") for name in names for cell in results.of(case, name).values()}
    if len(results.runs) < 2:
        return []
    return ["Measured " + "; ".join(sorted(run for run in runs if run))]


def section(case, results):
    names = [name for name in results.names if case.takes(name) or name in case.without]
    notes = [MANY, NEW] if case.many else NOTES[case.workload]
    notes = [layout(case)] + ([EQUAL] if case.rate else []) + notes
    notes += _notes_on_copies(case, results, names)
    notes += _notes_on_left_out(case, results.names)
    for name in names:
        notes += _notes_on(case, name, results)
    notes += _notes_on_all(case, results, names) + _notes_on_run(case, results, names)
    return {
        "id": case.id,
        "group": case.group,
        "title": case.title(),
        "notes": [_sentence(note) for note in notes],
        "columns": ["peer"] + [title for title, _ in COLUMNS[case.workload]],
        "rows": [_row(case, name, results) for name in names],
        "goals": goals(case, results),
    }
