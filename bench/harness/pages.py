# SPDX-License-Identifier: MIT
"""The report as pages of Markdown, as docs/ has them.

    performance.md          the first page, which says what there is to say (front.py)
    performance/NAME.md     all tables of a workload; more than one page where it would be long
    performance/goals.md    all goals
    performance/run.md      what ran when, from which sources
    plots/ID.svg            drawn by plot.py

A page says how to make it, and every section is in exactly one.
"""

import re
from dataclasses import dataclass

import goals
import markdown
import sections
import words

LIMIT = 50000  # bytes of a page's sections; a longer section has a page for itself
DIRECTORY, FRONT = "performance", "performance.md"
GOALS, RUN = "goals", "run"


@dataclass
class Page:
    name: str  # of its file, without directory and .md
    title: str
    group: str
    members: list
    lines: list


def command(results):
    return "make bench-full" if results["tier"] == "full" else "make bench"


def _packed(title, members):
    """Lists of (section, heading, lines), each no longer than a page may be."""
    packs, room = [], 0
    headings = markdown.distinct([one["title"] for one in members], [title])
    for one, heading in zip(members, headings):
        lines = markdown.section(one, heading, "../plots")
        size = len("\n".join(lines).encode())
        if not packs or size > room:
            packs.append([])
            room = LIMIT
        packs[-1].append((one, heading, lines))
        room -= size
    return packs


class Site:
    """Where everything is."""

    def __init__(self, results):
        self.results, self.pages, self._where = results, [], {}
        for group, members in words.groups(results["sections"]):
            self._add(group, members)

    def _name(self, wanted):
        taken = {page.name for page in self.pages} | {GOALS, RUN}
        name, n = wanted, 1
        while name in taken:
            n += 1
            name = "%s-%d" % (wanted, n)
        return name

    def _add(self, group, members):
        title = sections.plain_name(group)
        short = sections.slug(sections.short_name(group))
        packs = _packed(title, members)
        for i, pack in enumerate(packs, 1):
            name = self._name(short)
            of = " (%d of %d)" % (i, len(packs)) if len(packs) > 1 else ""
            lines = [line for _, _, some in pack for line in some]
            page = Page(name, title + of, group, [one for one, _, _ in pack], lines)
            self.pages.append(page)
            for one, heading, _ in pack:
                self._where[one["id"]] = (name, markdown.anchor(heading))

    def of_group(self, group):
        return [page for page in self.pages if page.group == group]

    def target(self, section, directory=DIRECTORY + "/"):
        """A link's, from a page that sees the others in `directory`."""
        return directory + "%s.md#%s" % self._where[section["id"]]

    def texts(self):
        """{file: text} of all pages in DIRECTORY."""
        found = {page.name: _page_text(self.results, page) for page in self.pages}
        found[GOALS] = _goals_text(self)
        found[RUN] = _run_text(self.results)
        return {name + ".md": text for name, text in found.items()}


def _head(results, title, only=""):
    made = command(results)
    text = "Part of [the report](../%s), made by `make performance-doc` from the results of `%s`."
    lines = ["# " + markdown.escape(title), "", text % (FRONT, made)]
    if only:
        lines[-1] += " This alone is measured again by `BENCH_ONLY='%s' %s`." % (only, made)
    return lines


def _page_text(results, page):
    programs = dict.fromkeys(one["program"] for one in page.members if one["program"])
    only = " ".join(name for name in programs if re.fullmatch(r"[a-z0-9_]+", name))
    return "\n".join(_head(results, page.title, only) + page.lines) + "\n"


def _goals_text(site):
    rows = []
    for found in goals.by_verdict(site.results).values():
        for section, some in found:
            of = markdown.link(markdown.escape(section["title"]), site.target(section, ""))
            rows += [(words.goal_cells(goal), of) for goal in some]
    counts = sections.count_goals(site.results["sections"])
    lines = _head(site.results, "All goals") + ["", words.goals_text(counts) + "."]
    if rows:
        cells = [list(map(markdown.escape, some)) + [of] for some, of in rows]
        lines += [""] + markdown.table(words.GOAL_COLUMNS + ("of",), cells, str)
    return "\n".join(lines) + "\n"


def _run_text(results):
    lines = _head(results, "What ran") + [""]
    lines += markdown.table(words.PROGRAM_COLUMNS, words.programs_rows(results))
    return "\n".join(lines) + "\n"
