# SPDX-License-Identifier: MIT
"""The forms of Markdown: text, tables, links, a section.

Foreign text is escaped so that it can be neither markup nor HTML, and never ends a table's cell.
"""

import re

import words


def escape(text):
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!~$])", r"\\\1", text)


def table(columns, rows, cell=escape):
    """`rows`: lists of cells; `cell` renders one."""
    right = [words.numeric([{"cells": r} for r in rows], i) for i in range(len(columns))]
    lines = ["| " + " | ".join(escape(c) for c in columns) + " |"]
    lines.append("|" + "|".join("---:" if r else "---" for r in right) + "|")
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return lines


def link(markup, target):
    return "[%s](%s)" % (markup, target)


def anchor(heading):
    """As GitHub and GitLab make it from a heading's text."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def distinct(headings, others=()):
    """The same, numbered where there is such an anchor already: links lead to the first."""
    seen, found = {anchor(other) for other in others}, []
    for heading in headings:
        name, n = heading, 1
        while anchor(name) in seen or not anchor(name):
            n += 1
            name = "%s (%d)" % (heading, n)
        seen.add(anchor(name))
        found.append(name)
    return found


def plot(section, plots):
    """`plots`: where they are, seen from the page."""
    title = escape(section["plot"]["title"] or section["title"])
    return ["", "![%s](%s/%s.svg)" % (title, plots, section["id"])]


def section(one, heading, plots):
    lines = ["", "## " + escape(heading)]
    for note in one["notes"]:
        lines += ["", escape(words.note_text(note))]
    if "plot" in one:
        lines += plot(one, plots)
    if one["rows"]:
        lines += [""] + table(one["columns"], [row["cells"] for row in one["rows"]])
    return lines
