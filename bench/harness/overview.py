# SPDX-License-Identifier: MIT
"""The report in short: for each question that a user has, its plots, one table of key rows, and
what there is to say about it.

It is made of blocks that Markdown and HTML render each in its way.  Which rows are key is decided
by key_rows.py, who is first by duels.py, what was torn by torn.py; no figure is written here.
"""

from dataclasses import dataclass

import duels
import key_rows
import sections
import torn
import words

MOST_CASES = 6

# In the order of questions, by the number of the workload.  Groups that are not here come after.
QUESTIONS = (
    (11, "A growing array, read while it is written: what do the usual ways give?"),
    (2, "How fast are reads while the writer writes?"),
    (1, "How fast are reads while nobody writes?"),
    (8, "And with many readers?"),
    (3, "How fast are commits?"),
    (4, "How fast are appends?"),
    (5, "How soon does a waiting reader know?"),
    (6, "Several arrays as of one commit?"),
    (7, "Parts of arrays of several axes?"),
    (9, "Does it get slower with the number of arrays or chunks?"),
    (10, "What do flushes, restarts and the cache cost?"),
)
TORN = "Does a reader ever get half of what was written?"
OTHERWISE = "What those do otherwise that are faster somewhere"
LEGEND = (
    "Where Untorn has peers, a row is a case that all of them did, of which there is a table of "
    "its own with all peers. The fastest other is chosen from those that tore no read in that "
    "case and are no bare bound (*), which protects nothing. Who is named as "
    "faster than Untorn is so by the whole interval of the ratio; where the interval holds 1, "
    "neither is. Ratios are of rates, or of times where the figures are times. New: reads that "
    "returned another state than the read before; a slow writer flatters its readers, who copy "
    "again what they had."
)


class Ref(str):
    """A cell's text that leads to a section."""

    def __new__(cls, text, section):
        made = super().__new__(cls, text)
        made.section = section
        return made


@dataclass
class Text:
    text: str


@dataclass
class Items:
    """Names and what is said of them."""

    items: list


@dataclass
class Table:
    columns: tuple
    rows: list  # of lists of cells, of which some may be of type Ref


@dataclass
class Plot:
    section: dict


@dataclass
class Chapter:
    title: str
    group: str  # the group in short; "" if it is no group's
    blocks: list


def _torn_table(kind, by_name):
    rows = []
    for one in by_name.values():
        worst = Ref(one.where["title"], one.where) if one.where else ""
        share = words.share(one.worst) if one.where else ""
        rows.append([one.name, torn.count_text(one), torn.cases_text(one), share, worst])
    columns = (kind, "torn reads", "cases with torn reads", "worst", "where")
    return Table(columns, rows)


def torn_chapter(results):
    """None if nothing was checked."""
    found = torn.sums(results["sections"])
    if not found:
        return None
    text = "What a read returned is checked whole. Sums over all cases in which somebody writes:"
    tables = [_torn_table(kind, by_name) for kind, by_name in found.items()]
    return Chapter(TORN, "", [Text(text)] + tables)


def _weight(duel):
    """Those first in which somebody is faster, lest the choice flatters; then those with goals."""
    return (not duel.behind, not duel.section["goals"])


def _spread(found, count):
    """So many of them, evenly, the first and the last included."""
    if len(found) <= count:
        return found
    step = (len(found) - 1) / max(count - 1, 1)
    return [found[round(i * step)] for i in range(count)]


def _some(found):
    """Of many cases some, in their order; what is left of room is for all sizes and loads alike."""
    kept = []
    for weight in sorted({_weight(duel) for duel in found}):
        mine = [duel for duel in found if _weight(duel) == weight]
        kept += _spread(mine, MOST_CASES - len(kept))
    kept = set(map(id, kept))
    return [duel for duel in found if id(duel) in kept]


def _duel_blocks(found):
    shown = _some(found)
    rows = [[Ref(duel.section["title"], duel.section)] + duels.cells(duel) for duel in shown]
    used = [i for i in range(len(duels.COLUMNS)) if i < 2 or any(row[i] for row in rows)]
    columns = tuple(duels.COLUMNS[i] for i in used)
    text = duels.said(found)
    if any(duel.behind for duel in found):
        text += " What those do otherwise is told below."
    return [Table(columns, [[row[i] for i in used] for row in rows]), Text(text)]


def _key_blocks(members):
    """Tables of the key rows; one for all sections that have the same columns."""
    tables = {}
    for section in key_rows.shown(members):
        columns, rows = key_rows.choose(section)
        title = [Ref(section["title"], section)] + [""] * (len(columns) - 1)
        tables.setdefault(columns, []).extend([title] + rows)
    return [Table(columns, rows) for columns, rows in tables.items()]


def _duels(members):
    return [duel for duel in map(duels.of, members) if duel]


def otherwise_chapter(groups):
    """None if nobody is faster."""
    by_group = [(sections.short_name(name), _duels(members)) for name, members in groups.items()]
    items = duels.otherwise([(name, some) for name, some in by_group if some])
    text = "In brackets: in how many cases of which workloads."
    return Chapter(OTHERWISE, "", [Text(text), Items(items)]) if items else None


def blocks(members):
    """The sections of one group in short: plots, then who is first, or else the key rows."""
    plots = [Plot(section) for section in members if "plot" in section]
    found = _duels(members)
    return plots + (_duel_blocks(found) if found else _key_blocks(members))


def _number(group):
    return sections.group_rank(group)[0]


def chapters(results):
    """In the order of the questions; what is torn comes second, who is faster last."""
    groups = dict(words.groups(results["sections"]))
    by_number = {_number(name): name for name in groups}
    titles = {by_number[n]: text for n, text in QUESTIONS if n in by_number}
    titles.update({name: name for name in groups if name not in titles})
    found = [Chapter(text, name, blocks(groups[name])) for name, text in titles.items()]
    about_torn = torn_chapter(results)
    if about_torn:
        found.insert(1 if by_number.get(QUESTIONS[0][0]) else 0, about_torn)
    about_others = otherwise_chapter(groups)
    return found + ([about_others] if about_others else [])
