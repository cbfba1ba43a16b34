# SPDX-License-Identifier: MIT
"""Sections from what the C benchmarks append to BENCH_TSV (support/report.h) and from .plot files.

Lines of tab-separated fields:

    S   TITLE                                                        a section begins
    N   NOTE
    R   CASE   FIGURE   SPREAD   RATIO   GOAL   RESULT   KEY=NUMBER...

RESULT is "", "met", "not met" or "too few pairs"; a row with a goal becomes one of the section's.
A plot becomes a section of its own, named as its file is.
"""

import os

import plot as plots
import sections

COLUMNS = ("case", "median", "p25 to p75", "ratio [95 %]", "goal", "result")
MET = {"met": True, "not met": False}


def _values(fields):
    values = {}
    for field in fields:
        key, _, value = field.partition("=")
        try:
            values[key] = float(value)
        except ValueError:
            pass
    return values


def _goal(cells, values):
    goal = {"text": "%s: %s" % (cells[0].strip(), cells[4]), "met": MET.get(cells[5])}
    for field in ("ratio", "low", "high"):
        goal[field] = values.get(field)
    pairs = values.get("pairs")
    goal["pairs"] = None if pairs is None else int(pairs)
    return goal


def _without_empty_columns(section):
    """Most tables have no goals: a column for them would only take room."""
    kept = [
        i
        for i in range(len(COLUMNS))
        if i < 2 or any(row["cells"][i].strip() for row in section["rows"])
    ]
    section["columns"] = [COLUMNS[i] for i in kept]
    for row in section["rows"]:
        row["cells"] = [row["cells"][i] for i in kept]


def _add_row(section, fields):
    cells = (fields[:6] + [""] * 6)[:6]
    values = _values(fields[6:])
    section["rows"].append({"cells": cells, "values": values})
    if cells[4]:
        section["goals"].append(_goal(cells, values))


def read_rows(path, program, group, problems):
    """`group` takes the number of the section within the program."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [text.rstrip("\n").split("\t") for text in file]
    except FileNotFoundError:
        return []
    for kind, *fields in lines:
        if kind == "S":
            raw = {"id": "%s-%d" % (program, len(found) + 1), "title": "\t".join(fields)}
            raw.update(group=group(len(found)), notes=[], rows=[], goals=[])
            found.append(raw)
        elif kind in ("N", "R") and not found:
            problems.append("%s: a row stands before the first section" % program)
        elif kind == "N":
            found[-1]["notes"].append("\t".join(fields))
        elif kind == "R":
            _add_row(found[-1], fields)
        elif kind:
            problems.append("%s: no line begins with %s" % (program, sections.clean(kind)))
    for raw in found:
        _without_empty_columns(raw)
    return [sections.normalise(raw, problems) for raw in found]


def read_plots(directory, group, problems):
    """All .plot files of a directory."""
    found = []
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".plot"):
            continue
        try:
            plot = plots.read(os.path.join(directory, name))
        except plots.Empty:
            continue
        except (ValueError, IndexError, OSError) as error:
            problems.append("%s: %s" % (name, sections.clean(error)))
            continue
        raw = {"id": name[:-5], "group": group, "title": plot["title"], "plot": plot}
        section = sections.normalise(raw, problems)
        if "plot" in section:
            found.append(section)
    return found
