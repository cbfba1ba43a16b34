# SPDX-License-Identifier: MIT
"""The report's first page, docs/performance.md: what it was measured on, the answers to the
questions that users have, and the goals, those first that are not met.

All of it is made from the results: figures by overview.py, explanations from the programs' notes.
"""

import goals
import markdown
import overview
import pages
import sections
import words

OWN = (
    *("Performance", "What it was measured on, and how", "How to read the tables"),
    *("Goals", "All tables"),
)
HEADINGS = {
    "not met": "Not met",
    "too few pairs": "Too few pairs to say",
    "not measured": "Not measured",
    "met": "Met",
}


def _rows(rows):
    """Escaped.  What leads to a section is no link here: they would be in the way of reading."""
    found = []
    for row in rows:
        cells = list(map(markdown.escape, row))
        if not any(row[1:]):
            cells[0] = "**%s**" % cells[0]
        found.append(cells)
    return found


def _block(block):
    if isinstance(block, overview.Text):
        return ["", markdown.escape(words.note_text(block.text))]
    if isinstance(block, overview.Items):
        escaped = [(markdown.escape(name), markdown.escape(text)) for name, text in block.items]
        return [""] + [
            "- **%s**: %s" % both if both[1] else "- **%s**" % both[0] for both in escaped
        ]
    if isinstance(block, overview.Plot):
        return markdown.plot(block.section, "plots")
    return [""] + markdown.table(block.columns, _rows(block.rows), str)


def _link(title, name):
    return markdown.link(markdown.escape(title), "%s/%s.md" % (pages.DIRECTORY, name))


def _pages_of(group, site):
    found = site.of_group(group)
    links = [_link(page.title, page.name) for page in found]
    what = (
        words.workload(group).partition(":")[0] if words.workload(group) != group else "All tables"
    )
    return ["", "%s: %s." % (what, ", ".join(links))]


def _chapter(chapter, heading, site):
    lines = ["", "## " + markdown.escape(heading)]
    if chapter.group:
        lines += _pages_of(chapter.group, site)
    for block in chapter.blocks:
        lines += _block(block)
    return lines


def _ratio(goal):
    return words.goal_cells(goal)[1]


def _failed(section, some, site):
    """Goals of a section that are not met, and what is said about them."""
    title = markdown.escape(section["title"])
    lines = ["", "%s:" % markdown.link("**%s**" % title, site.target(section)), ""]
    told = len(goals.own_rows(section, some)) == len(some)  # each by a row
    for goal in [] if told else some:
        ratio = ": %s, %s pairs" % (_ratio(goal), goal["pairs"] or "no") if _ratio(goal) else ""
        lines.append("- %s" % markdown.escape(goal["text"] + ratio))
    rows = [row["cells"] for row in goals.rows_of(section, some)]
    if rows:
        lines += ([] if told else [""]) + markdown.table(section["columns"], rows)
    for note in goals.explanations(section, site.results["sections"]):
        lines += ["", markdown.escape(words.note_text(note))]
    return lines


def _met(found):
    """A line per group."""
    form = "- **%s** (%d): %s."
    return [
        form % (markdown.escape(group), count, markdown.escape("; ".join(texts)))
        for group, count, texts in goals.short_list(found)
    ]


def _goals(site):
    counts = sections.count_goals(site.results["sections"])
    every = _link("All of them, with their intervals", pages.GOALS)
    lines = ["", "## " + OWN[3], "", "%s. %s." % (words.goals_text(counts), every)]
    for verdict, found in goals.by_verdict(site.results).items():
        lines += ["", "### %s" % HEADINGS[verdict]]
        if verdict == "met":
            lines += [""] + _met(found)
        else:
            for section, some in found:
                lines += _failed(section, some, site)
    return lines


def _repetitions(results):
    found = {goal["pairs"] for one in results["sections"] for goal in one["goals"]} - {None}
    if not found:
        return ""
    return " Here a ratio that has a goal is of %d to %d pairs." % (min(found), max(found))


def _measured_on(site):
    results = site.results
    lines = ["", "## " + OWN[1], ""]
    lines += markdown.table(("what", "which"), [[k, v] for k, v in results["head"].items()])
    lines += ["", " ".join(words.ABOUT) + _repetitions(results)]
    run = "%s says when each program did, from which sources." % _link("What ran", pages.RUN)
    lines += ["", "%s Measuring all again takes an hour or more, a quick run five minutes:" % run]
    lines += ["", "```sh", "make bench-full && make performance-doc", "make bench", "```"]
    return lines


def _contents(titles):
    return [""] + ["- [%s](#%s)" % (markdown.escape(t), markdown.anchor(t)) for t in titles]


def _index(site):
    links = [_link(page.title, page.name) for page in site.pages]
    links += [_link("Goals", pages.GOALS), _link("What ran", pages.RUN)]
    return ["", "## " + OWN[4], "", " · ".join(links)]


def render(site):
    results = site.results
    counts = sections.count_goals(results["sections"])
    found = overview.chapters(results)
    text = (
        "Untorn beside what else is used to share arrays. Written by `make performance-doc` from "
        "the results of `%s`: no figure is typed by hand. Goals: %s."
    )
    lines = ["# " + OWN[0], "", text % (pages.command(results), words.goals_text(counts))]
    titles = markdown.distinct([chapter.title for chapter in found], OWN + tuple(HEADINGS.values()))
    lines += _contents(titles + list(OWN[-2:])) + _measured_on(site)
    lines += ["", "## " + OWN[2], "", markdown.escape(overview.LEGEND)]
    for chapter, title in zip(found, titles):
        lines += _chapter(chapter, title, site)
    return "\n".join(lines + _goals(site) + _index(site)) + "\n"
