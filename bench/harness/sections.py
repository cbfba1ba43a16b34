# SPDX-License-Identifier: MIT
"""The form of a section of the report, and how what the parts hand in is brought into it.

A section is one table, with notes, goals and at most one plot:

    {"id": "rewrite-1MiB", "program": "peers", "group": "2. Reads under a writer",
     "title": "...", "notes": ["..."],
     "columns": ["peer", ...], "rows": [{"cells": ["..."], "values": {"reads_per_s": 12300.0},
                                         "peer": "untorn"}],
     "goals": [{"text": "...", "ratio": 1.01, "low": 0.99, "high": 1.02, "pairs": 15, "met": true}],
     "plot": {"title": "...", "x": {"label", "unit", "scale"}, "y": ...,
              "series": [{"name": "...", "points": [[x, y, low, high], ...], "slope": 0.01}]}}

Parts hand in one such object per line.  What they hand in is foreign: a peer's version string may
hold anything.  So normalise() leaves only the fields named here, makes texts printable, numbers
finite, and rows as long as the table is wide; whatever it had to change is reported.  Writers of
HTML, SVG and Markdown only have to escape their own special characters then.
"""

import json
import math
import re
import unicodedata

GOAL_PAIRS = 15  # as BENCH_GOAL_PAIRS in support/report.h
MOST_TEXT = 4000

# Groups by the number of their workload, so that parts need not agree on every word.
GROUPS = {
    1: "Whole-array reads, the writer idle",
    2: "Reads under a writer",
    3: "Commits",
    4: "Append",
    5: "Waking a blocked reader",
    6: "Group snapshots",
    7: "Regions of arrays of several axes",
    8: "Readers, 1 to 64",
    9: "Cost against the number of arrays and chunks",
    10: "Flush, restart and cache, beside a store",
    11: "The asker's scenario, end to end",
}
SHORT = {
    **{1: "reads", 2: "rewriting", 3: "commits", 4: "appends", 5: "waking", 6: "snapshots"},
    **{7: "regions", 8: "readers", 9: "scaling", 10: "store", 11: "asker"},
}
OTHER = "Memory and tools"


class Malformed(ValueError):
    """What was handed in is no section."""


def clean(text):
    """Printable text on one line: no control, no surrogate, no change of direction."""
    text = str(text)[:MOST_TEXT]
    text = re.sub(r"\s+", " ", text).strip()
    kinds = ("Cc", "Cs", "Cn", "Co")
    bad = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return "".join("\ufffd" if unicodedata.category(c) in kinds or c in bad else c for c in text)


def slug(text):
    """An id that may stand in a file's name and in an address."""
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")[:80] or "section"


def number(value):
    """A finite number, or None: JSON knows no other."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def group_name(text):
    """The group's one name, for whatever a part called it."""
    match = re.match(r"\s*(\d+)", str(text))
    if match and int(match.group(1)) in GROUPS:
        return "%d. %s" % (int(match.group(1)), GROUPS[int(match.group(1))])
    return clean(text) or OTHER


def plain_name(group):
    """Without its number."""
    return re.sub(r"^\d+\. ", "", group)


def short_name(group):
    """A word, for pages and where many groups are named; of unknown ones the whole."""
    return SHORT.get(group_rank(group)[0], plain_name(group))


def group_rank(name):
    match = re.match(r"(\d+)\. ", name)
    return (int(match.group(1)) if match else 10**6, name)


def _list(raw, field):
    value = raw.get(field) or []
    if not isinstance(value, list):
        raise Malformed("%s is no list" % field)
    return value


def _row(raw, width, problems):
    if not isinstance(raw, dict):
        raise Malformed("a row is no object")
    cells = [clean("" if c is None else c) for c in _list(raw, "cells")]
    if len(cells) > width:
        problems.append("a row has %d cells, the table %d columns" % (len(cells), width))
    cells = (cells + [""] * width)[:width]
    values = raw.get("values")
    values = values if isinstance(values, dict) else {}
    row = {"cells": cells, "values": {clean(k): number(v) for k, v in values.items()}}
    if raw.get("peer"):
        row["peer"] = clean(raw["peer"])
    return row


def _goal(raw):
    """With too few pairs nothing is said, whatever was handed in."""
    if not isinstance(raw, dict):
        raise Malformed("a goal is no object")
    goal = {"text": clean(raw.get("text", ""))}
    for field in ("ratio", "low", "high", "pairs"):
        goal[field] = number(raw.get(field))
    met = raw.get("met")
    few = goal["ratio"] is not None and (goal["pairs"] or 0) < GOAL_PAIRS
    goal["met"] = None if few or not isinstance(met, bool) else met
    return goal


def verdict(goal):
    """In words."""
    if goal["met"] is not None:
        return "met" if goal["met"] else "not met"
    if goal["ratio"] is not None or goal["pairs"] is not None:
        return "too few pairs"
    return "not measured"


def _axis(raw, problems):
    raw = raw if isinstance(raw, dict) else {}
    scale = raw.get("scale", "linear")
    if scale not in ("linear", "log"):
        problems.append("no axis has the scale %s" % clean(scale))
        scale = "linear"
    return {
        "label": clean(raw.get("label", "")),
        "unit": clean(raw.get("unit") or ""),
        "scale": scale,
    }


def _point(raw, x, y):
    """[x, y, low, high], or None if the axes have no place for it."""
    if not isinstance(raw, list) or len(raw) not in (2, 4):
        return None
    values = [number(v) for v in raw]
    if len(values) == 4 and values[1] is not None:
        values[2:] = [values[1] if v is None else v for v in values[2:]]
    if len(values) == 2:
        values += [values[1]] * 2
    if None in values or (x["scale"] == "log" and values[0] <= 0):
        return None
    if y["scale"] == "log":
        if values[1] <= 0:
            return None
        values[2:] = [v if v > 0 else values[1] for v in values[2:]]
    return values


def _plot(raw, problems):
    """None if nothing is left to draw."""
    x, y = _axis(raw.get("x"), problems), _axis(raw.get("y"), problems)
    series, lost = [], 0
    for one in _list(raw, "series"):
        if not isinstance(one, dict):
            raise Malformed("a series is no object")
        points = [_point(p, x, y) for p in _list(one, "points")]
        lost += points.count(None)
        points = [p for p in points if p is not None]
        if not points:
            continue
        kept = {"name": clean(one.get("name", "")), "points": points}
        if number(one.get("slope")) is not None:
            kept["slope"] = one["slope"]
        series.append(kept)
    if lost:
        problems.append("%d points of the plot have no place on its axes" % lost)
    if not series:
        return None
    return {"title": clean(raw.get("title", "")), "x": x, "y": y, "series": series}


def normalise(raw, problems):
    """The section, with nothing in it but what the form knows; raises Malformed."""
    if not isinstance(raw, dict):
        raise Malformed("a section is no object")
    columns = [clean(c) for c in _list(raw, "columns")]
    mine = []
    section = {
        "id": slug(raw.get("id") or raw.get("title") or ""),
        "program": clean(raw.get("program") or ""),  # that measured it
        "group": group_name(raw.get("group") or ""),
        "title": clean(raw.get("title") or raw.get("id") or ""),
        "notes": [clean(n) for n in _list(raw, "notes")],
        "columns": columns,
        "rows": [_row(r, len(columns), mine) for r in _list(raw, "rows")],
        "goals": [_goal(g) for g in _list(raw, "goals")],
    }
    if isinstance(raw.get("plot"), dict):
        plot = _plot(raw["plot"], mine)
        if plot:
            section["plot"] = plot
    problems += ["%s: %s" % (section["id"], p) for p in mine]
    return section


def read_lines(path, problems, lost):
    """The sections in a file that has one as JSON on each line; `lost`: lines that are none."""
    sections = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return sections
    for n, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            sections.append(normalise(json.loads(text), problems))
        except (ValueError, RecursionError) as error:
            lost.append("line %d of what it handed in is no section: %s" % (n, clean(error)))
    return sections


def in_order(sections):
    """Sorted by group, otherwise as they came; ids are made unique."""
    seen, out = {"goals", "parts", "machine", "contents"}, []
    for section in sorted(sections, key=lambda s: group_rank(s["group"])):
        name, n = section["id"], 1
        while name in seen:
            n += 1
            name = "%s-%d" % (section["id"], n)
        seen.add(name)
        out.append(dict(section, id=name))
    return out


def count_goals(sections):
    """{"met": n, "not met": n, ...} over all sections."""
    counts = {"met": 0, "not met": 0, "too few pairs": 0, "not measured": 0}
    for section in sections:
        for goal in section["goals"]:
            counts[verdict(goal)] += 1
    return counts
