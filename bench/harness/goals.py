# SPDX-License-Identifier: MIT
"""The goals, those first that are not met, and what the programs say about these.

What is said about a goal are the notes of its section, without those that are in many sections
(they explain columns) and those on single peers; and the rows that the goal is about: its own, or
those of the peers that it compares.
"""

import re
from collections import Counter

import known_peers
import sections

ORDER = ("not met", "too few pairs", "not measured", "met")
COMMON = 3  # sections that have the same note
MOST_ROWS = 6  # that a goal compares


def by_verdict(results):
    """{verdict: [(section, [goal, ...]), ...]}, in ORDER; only those that there are."""
    found = {verdict: [] for verdict in ORDER}
    for section in results["sections"]:
        for goal in section["goals"]:
            group = found[sections.verdict(goal)]
            if not group or group[-1][0] is not section:
                group.append((section, []))
            group[-1][1].append(goal)
    return {verdict: group for verdict, group in found.items() if group}


def explanations(section, all_sections):
    """Its notes on what it measured."""
    seen = Counter(note for one in all_sections for note in set(one["notes"]))
    names = {row["peer"] for row in section["rows"] if row.get("peer")}
    return [
        note
        for note in section["notes"]
        if seen[note] < COMMON and not names & set(re.split(r", ", note.partition(":")[0]))
    ]


def own_rows(section, some):
    """In a table with a column of goals (rows.py), the rows with these."""
    if "goal" not in section["columns"]:
        return []
    at, texts = section["columns"].index("goal"), {goal["text"] for goal in some}
    form = "%s: %s"
    return [r for r in section["rows"] if form % (r["cells"][0], r["cells"][at]) in texts]


def _named(row, text, said):
    """Whether a goal's text, and the words that are in it, names this row or its peer."""
    name = row["cells"][0].lower()
    if name == row["peer"]:
        kind = name.partition("-")[0] if name in known_peers.BARE else name
        return bool({name, kind} & said) and name != known_peers.OWN
    return name != "" and name in text


def rows_of(section, some):
    """The rows that these goals are about; Untorn's first where they are of peers."""
    own = own_rows(section, some)
    if own:
        return own
    if not section["columns"]:
        return []
    text = " ".join(goal["text"] for goal in some).lower()
    said = set(re.findall(r"[a-z0-9-]+", text))
    rows = [row for row in section["rows"] if row.get("peer")]
    found = [row for row in rows if _named(row, text, said)]
    if not found or len(found) > MOST_ROWS:
        return []
    return [row for row in rows if row["peer"] == known_peers.OWN] + found


def alike(some):
    """[(the first of goals that differ in numbers only, how many there are), ...]."""
    found = {}
    for goal in some:
        key = re.sub(r"\d[\d.,^]*( [kKMG]?(iB|B)?\b)?", "#", goal["text"])
        found.setdefault(key, []).append(goal)
    return [(members[0], len(members)) for members in found.values()]


def short_list(found):
    """[(group, number of goals, texts), ...] from what by_verdict() has of one verdict."""
    by_group = {}
    for section, some in found:
        by_group.setdefault(section["group"], []).extend(some)
    lines = []
    for group, some in by_group.items():
        texts = [
            goal["text"] + (", and %d alike" % (count - 1) if count > 1 else "")
            for goal, count in alike(some)
        ]
        lines.append((group, len(some), texts))
    return lines
