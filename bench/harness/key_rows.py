# SPDX-License-Identifier: MIT
"""Which rows of which sections stand on the first page, by rules.

A section's own rule, if it has one here, names rows by what their first cell matches, and maybe
columns.  Where there is none, or nothing matches any longer, rows with a goal are the key ones; in
a table without goals, the first ones that are compared with something (a ratio); else the first.
Columns of spreads stay on the full page.
"""

import re
from dataclasses import dataclass

SPREADS = ("p25 to p75", "p25 - p75", "lowest - highest")
MOST, FEW = 12, 5  # rows with a goal, and others


@dataclass(frozen=True)
class Rule:
    section: str  # matches the whole id
    rows: str = ""  # matches in the first cell
    columns: tuple = ()  # all but spreads, if empty
    shown: bool = True  # if not: only where its group has no other table


RULES = (
    Rule(
        "asker-500-4", ".", ("way", "torn", "reads/s", "new/s", "age p50", "age p99", "batches/s")
    ),
    Rule("asker-.*", shown=False),
    Rule("peers-used", ".", ("peer", "as in")),
    Rule(
        "regions-.*",
        r"^(an element|a row|a column \[:, j|a (box|block) .* at|every 8th|all of it)",
    ),
    Rule("flush-scale-1", r"^flush (of one chunk of|beside an unchanged array of) 10\^6"),
    Rule("restart-1", r"^until .*, lz4, .*files forgotten"),
    Rule("store-peers-1", r"disk, as it comes$"),
    Rule("cache-1", r"^(hit|miss|in the reader's cache), 64 KiB(, lz4)?(, files forgotten)?$"),
    Rule("cache-mix-1", r"^nothing|, 2[56]\.\d %"),
    Rule("cache-evict-1", r", evicting$"),
    Rule("cache-evict-2", r"^append a chunk, ext4, evicting(, stored)?$"),
    Rule("cache-start-1", r"^until one chunk is read, (1 MiB|10 GiB)"),
    Rule("cache-peers-1", r"all, in chunks of 1 MiB, as it comes$"),
    Rule("shmstat-1", r"^shmstat( SEGMENT|, all segments), (no store|flushed to tmpfs)$"),
)


def _rule(section):
    for rule in RULES:
        if re.fullmatch(rule.section, section["id"]):
            return rule
    return Rule("")


def _with(section, name):
    """Rows that have something in that column."""
    if name not in section["columns"]:
        return []
    i = section["columns"].index(name)
    return [row for row in section["rows"] if row["cells"][i].strip()]


def _compared(section):
    found = [row for row in section["rows"] if row["values"].get("ratio") is not None]
    return found or section["rows"]


def _rows(section, rule):
    if rule.rows:
        found = [row for row in section["rows"] if re.search(rule.rows, row["cells"][0].strip())]
        if found:
            return found
    return _with(section, "goal")[:MOST] or _compared(section)[:FEW]


def _columns(section, rule):
    there = [i for i, name in enumerate(section["columns"]) if name not in SPREADS]
    some = [i for i in there if section["columns"][i] in rule.columns]
    if some and len(some) == len(rule.columns):
        return some
    return there or list(range(len(section["columns"])))


def shown(members):
    """Of the sections of a group those that have a key table."""
    there = [one for one in members if one["columns"] and one["rows"]]
    return [one for one in there if _rule(one).shown] or there


def choose(section):
    """(columns, lists of cells): the key rows of a section that has some."""
    rule = _rule(section)
    kept = _columns(section, rule)
    rows = [[row["cells"][i] for i in kept] for row in _rows(section, rule)]
    return tuple(section["columns"][i] for i in kept), rows
