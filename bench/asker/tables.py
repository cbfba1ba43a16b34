# SPDX-License-Identifier: MIT
"""From cells to the report: a table, and a section for the page, for each condition.

A condition is a producer's rate and a number of readers.  A row is a way: sums, medians and pooled
histograms over the repetitions.
"""

import statistics
import textwrap

import histogram
import report
import scenario

GROUP = "11. The asker's scenario"
_FEW = 100  # reads; a p99 of fewer is their maximum
OURS = ("untorn", "untorn-anew", "untorn-store")
COLUMNS = (
    "way",
    "torn",
    "reads/s",
    "lowest - highest",
    "Untorn's / this [95 %]",
    "new",
    "new/s",
    "read p50",
    "read p99",
    "age p50",
    "age p99",
    "behind p50",
    "behind p99",
    "batches/s",
)


def number_text(value):
    """Three digits: 1.23 M, 45.6 k, 789."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return "%.3g%s" % (value / unit, name)
    return "%.3g" % value


def _time_text(ns):
    return "" if ns is None else report.time_text(ns)


def _pooled(cells, key):
    return histogram.merge(cell[key] for cell in cells)


def _torn_text(values):
    reads, torn, failed = values["reads"], values["torn"], values["failed"]
    text = "%d of %s" % (torn, number_text(reads))
    if torn:
        text += " (%.2g %%)" % (100 * torn / reads)
    return text + ("; %d failed" % failed if failed else "")


def values_of(cells):
    """The numbers of a row."""
    sums = {key: sum(cell[key] for cell in cells) for key in ("reads", "torn", "failed", "new")}
    rates = [cell["reads_per_s"] for cell in cells]
    values = {
        **sums,
        "repetitions": len(cells),
        "reads_per_s": statistics.median(rates),
        "reads_per_s_low": min(rates),
        "reads_per_s_high": max(rates),
        "new_per_s": statistics.median(cell["new_per_s"] for cell in cells),
        "batches_per_s": statistics.median(cell["batches_per_s"] for cell in cells),
        "mean_length": statistics.mean(cell["length"] for cell in cells),
    }
    for key, name in (("durations", "read_ns"), ("ages", "age_ns"), ("behind", "behind")):
        pooled = _pooled(cells, key)
        many = sum(pooled.values()) >= _FEW
        values[name + "_p50"] = histogram.quantile(pooled, 0.5)
        values[name + "_p99"] = histogram.quantile(pooled, 0.99) if many else None
    return values


def _ratio(cells, untorn):
    """Of reads/s, pair by pair; None if there is one without a read."""
    ours = [cell["reads_per_s"] for cell in untorn]
    theirs = [cell["reads_per_s"] for cell in cells]
    if cells is untorn or len(ours) != len(theirs) or not all(theirs):
        return None
    return report.paired_ratio(ours, theirs)


def _behind_text(value):
    return "" if value is None else number_text(round(value))


def _row(name, title, cells, untorn):
    values = values_of(cells)
    ratio = _ratio(cells, untorn)
    if ratio:
        values.update(zip(("ratio", "ratio_low", "ratio_high"), ratio))
    reads = values["reads"]
    cells = [
        title,
        _torn_text(values),
        number_text(values["reads_per_s"]),
        number_text(values["reads_per_s_low"]) + " - " + number_text(values["reads_per_s_high"]),
        "%s [%s, %s]" % tuple(map(number_text, ratio)) if ratio else "",
        "%.3g %%" % (100 * values["new"] / reads) if reads else "",
        number_text(values["new_per_s"]),
        _time_text(values["read_ns_p50"]),
        _time_text(values["read_ns_p99"]),
        _time_text(values["age_ns_p50"]),
        _time_text(values["age_ns_p99"]),
        _behind_text(values["behind_p50"]),
        _behind_text(values["behind_p99"]),
        number_text(values["batches_per_s"]),
    ]
    return {"cells": cells, "values": values, "peer": name}


def _goal(rows):
    ours = [row["values"] for row in rows if row["peer"] in OURS and row["values"]]
    torn, reads = sum(v["torn"] for v in ours), sum(v["reads"] for v in ours)
    return {
        "text": "no torn read by Untorn, kept open, opened anew or through its store: "
        "%d of %s" % (torn, number_text(reads)),
        # A count, not a ratio of pairs.
        "ratio": None,
        "low": None,
        "high": None,
        "pairs": None,
        "met": torn == 0 if reads else None,
    }


def condition_text(rate, readers, reads):
    pace = "%d batches a second" % rate if rate else "as many batches as it can"
    text = "%s, %d reader%s" % (pace, readers, "" if readers == 1 else "s")
    return text + (", %d reads a second each" % reads if reads else "")


def condition(rate, readers, reads, names, servers, found, reasons):
    """The section of one condition; `found` and `reasons` are by way."""
    rows, notes = [], []
    untorn = found.get("untorn", [])
    for name in names:
        title = servers.ways.get(name, {}).get("title", name)
        if found.get(name):
            rows.append(_row(name, title, found[name], untorn))
        else:
            rows.append({"cells": [title] + [""] * (len(COLUMNS) - 1), "values": {}, "peer": name})
        if name in reasons:
            notes.append("%s: %s." % (title, reasons[name]))
        errors = [cell["error"] for cell in found.get(name, []) if cell["error"]]
        if errors:
            notes.append("%s, a read that failed: %s." % (title, errors[0].strip().split("\n")[0]))
    return {
        "id": "asker-%s-%d%s" % (rate or "full", readers, "-paced" if reads else ""),
        "group": GROUP,
        "title": "A producer appends " + condition_text(rate, readers, reads),
        "notes": notes,
        "columns": list(COLUMNS),
        "rows": rows,
        "goals": [_goal(rows)],
    }


def explanation(names, servers, seconds, repetitions):
    """The section that says what is measured, and of whom."""
    rows = []
    for name in names:
        way = servers.ways.get(name)
        if way:
            cells = [way["title"], way["version"], way["how"], way["source"]]
        else:
            cells = [name, "", "cannot be run: " + servers.reasons[name], ""]
        rows.append({"cells": cells, "values": {}, "peer": name})
    return {
        "id": "asker-ways",
        "group": GROUP,
        "title": "A growing array `position`, read while it is written: the ways",
        "notes": [
            "A producer appends batches of %d elements to a float64 array in chunks of %d; every "
            "element is its batch's number, so that every read is checked whole. After %d batches "
            "it goes on with a new array. Readers in other processes read the whole array again "
            "and again, without a pause where nothing else is said; with a lock that is polled, "
            "one side then hardly ever gets it from the other, which takes it again at once. All "
            "files are on tmpfs, nothing is compressed but by Untorn's store, no process is pinned."
            % (scenario.BATCH, scenario.CHUNK, scenario.BATCHES),
            "%d repetitions of %g s each, which go through all ways in turn; medians of the "
            "repetitions, quantiles of all reads together. p99 is left out where there are fewer "
            "than %d reads." % (repetitions, seconds, _FEW),
            "torn: reads that returned something else than whole batches. failed: reads that "
            "raised an error. reads/s: the sum of the readers', each by its time inside reads; "
            "where it is 0, no read that began within a cell came to its end.",
            "new: reads that returned another newest batch than the reader's last, and how many a "
            "second. age: when a read returns, the time since its newest batch was finished, which "
            "is half of the producer's period in the mean if nothing is behind; behind: the "
            "batches finished since. Both of whole reads only.",
        ],
        "columns": ["way", "version", "what is done", "as in"],
        "rows": rows,
        "goals": [],
    }


def ages(sections):
    """A plot of the median age by the batches a second that the producer reached, or None."""
    series = {}
    for section in sections:
        for row in section["rows"]:
            values = row["values"]
            known = values and values["age_ns_p50"] and values["batches_per_s"] > 0
            if known and section["id"].endswith("-4"):
                points = series.setdefault(row["cells"][0], [])
                age = max(1, values["age_ns_p50"])
                high = max(age, values["age_ns_p99"] or 0)
                points.append([values["batches_per_s"], age, age, high])
    if not series:
        return None
    return {
        "title": "Age of what 4 readers read, p50 with p99 above",
        "x": {"label": "batches a second, reached", "unit": "", "scale": "log"},
        "y": {"label": "age", "unit": "ns", "scale": "log"},
        "series": [{"name": name, "points": sorted(p)} for name, p in series.items()],
    }


def _show_table(section):
    rows = [section["columns"]] + [row["cells"] for row in section["rows"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def _show_paragraph(text):
    print(textwrap.fill(text, 118, initial_indent="  ", subsequent_indent="    "))


def show(section):
    """Prints it as text; one whose cells are sentences as paragraphs."""
    print("\n" + section["title"])
    if section["id"] == "asker-ways":
        for row in section["rows"]:
            _show_paragraph("%s (%s): %s. As in %s" % tuple(row["cells"]))
    else:
        _show_table(section)
    for note in section["notes"]:
        _show_paragraph("(%s)" % note)
    for goal in section["goals"]:
        verdict = {True: "met", False: "not met", None: "nothing to say"}[goal["met"]]
        print("  goal: %s: %s" % (goal["text"], verdict))
