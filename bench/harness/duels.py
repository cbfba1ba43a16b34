# SPDX-License-Identifier: MIT
"""Who is the fastest, from the sections in which peers do the same as Untorn.

Such a section has a row per peer, one of them Untorn's, and a column of ratios to it, whose values
are untorn_ratio, untorn_ratio_low and untorn_ratio_high.  Its second column is what is compared: a
number per second, or a time.

A peer counts as faster where the whole interval of the ratio says so; where the interval holds 1,
neither is.  Those that tore a read in the very case, and the bare bounds, may be faster, but they
are not first among those that keep readers from harm.
"""

from dataclasses import dataclass, field

import known_peers
import words

AGAINST = "untorn's / this"
COLUMNS = (
    *("case", "Untorn", "fastest other that tore none", "Untorn's / its [95 %]"),
    *("faster than Untorn", "torn reads of others"),
)


@dataclass
class Duel:
    section: dict
    untorn: dict
    rivals: list  # rows with a ratio, the fastest first
    faster: list = field(default_factory=list)  # names

    @property
    def behind(self):
        """Whether another than a bare bound is faster."""
        return bool(set(self.faster) - set(known_peers.BARE))

    @property
    def first(self):
        """The fastest of those that keep readers from harm, if any."""
        return next((row for row in self.rivals if _harmless(row)), None)


def _harmless(row):
    return row["peer"] not in known_peers.BARE and not row["values"].get("torn")


def _is_faster(row, by_rate):
    low, high = (row["values"].get("untorn_ratio_" + end) for end in ("low", "high"))
    if low is None or high is None:
        return False
    return high < 1 if by_rate else low > 1


def of(section):
    """The duel of a section, or None."""
    if AGAINST not in section["columns"][2:]:
        return None
    rows = [row for row in section["rows"] if row.get("peer")]
    untorn = next((row for row in rows if row["peer"] == known_peers.OWN), None)
    if untorn is None or not untorn["cells"][1]:
        return None
    by_rate = section["columns"][1].endswith("/s")
    rivals = [
        row
        for row in rows
        if not known_peers.is_own(row["peer"]) and row["values"].get("untorn_ratio") is not None
    ]
    rivals.sort(key=lambda row: row["values"]["untorn_ratio"], reverse=not by_rate)
    faster = [row["peer"] for row in rivals if _is_faster(row, by_rate)]
    return Duel(section, untorn, rivals, faster) if rivals else None


def _figure(row, unit):
    text = row["cells"][1] + unit
    new = row["values"].get("new_share")
    return text if new is None else "%s (%s new)" % (text, words.share(new))


def _torn(rows):
    found = [
        "%s %s" % (row["peer"], words.share(row["values"]["torn"] / row["values"]["checked"]))
        for row in rows
        if row["values"].get("torn") and row["values"].get("checked")
    ]
    return ", ".join(found)


def cells(duel):
    """Of COLUMNS, but for the case's name."""
    columns = duel.section["columns"]
    unit = columns[1][columns[1].index("/") :] if columns[1].endswith("/s") else ""
    first, against = "", ""
    if duel.first:
        first = "%s: %s" % (duel.first["peer"], _figure(duel.first, unit))
        against = duel.first["cells"][columns.index(AGAINST)]
    faster = ", ".join(name + ("*" if name in known_peers.BARE else "") for name in duel.faster)
    return [_figure(duel.untorn, unit), first, against, faster or "none", _torn(duel.rivals)]


def said(found):
    """How often nobody is ahead."""
    counts = (sum(not duel.behind for duel in found), words.count(len(found), "case"))
    return "In %d of %s nobody is faster, bare bounds left aside." % counts


def _where(name, by_group):
    """`commits 7 of 9, appends 3 of 3`."""
    counts = [(group, sum(name in d.faster for d in some), some) for group, some in by_group]
    return ", ".join("%s %d of %d" % (group, n, len(some)) for group, n, some in counts if n)


def otherwise(by_group):
    """[(who is faster than Untorn somewhere, and where; what it does otherwise), ...].

    `by_group`: [(name, duels), ...].
    """
    names = dict.fromkeys(name for _, some in by_group for duel in some for name in duel.faster)
    return [
        ("%s (%s)" % (name, _where(name, by_group)), known_peers.OTHERWISE.get(name, ""))
        for name in names
    ]
