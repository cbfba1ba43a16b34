# SPDX-License-Identifier: MIT
"""The report as Markdown, from which docs/performance.md is taken.

Foreign text is escaped so that it can be neither markup nor HTML, and never ends a table's cell.
"""

import re

import sections
import words


def escape(text):
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!~$])", r"\\\1", text)


def table(columns, rows):
    """`rows`: lists of cells."""
    right = [words.numeric([{"cells": r} for r in rows], i) for i in range(len(columns))]
    lines = ["| " + " | ".join(escape(c) for c in columns) + " |"]
    lines.append("|" + "|".join("---:" if r else "---" for r in right) + "|")
    lines += ["| " + " | ".join(escape(c) for c in row) + " |" for row in rows]
    return lines


def _goals(results):
    counts = sections.count_goals(results["sections"])
    lines = ["", "## Goals", "", words.goals_text(counts) + "."]
    rows = []
    for section in results["sections"]:
        rows += [words.goal_cells(goal) + [section["title"]] for goal in section["goals"]]
    return lines + [""] + table(words.GOAL_COLUMNS + ("of",), rows) if rows else lines


def _section(section):
    lines = ["", "### " + escape(section["title"])]
    for note in section["notes"]:
        lines += ["", escape(words.note_text(note))]
    if section["rows"]:
        lines += [""] + table(section["columns"], [row["cells"] for row in section["rows"]])
    if "plot" in section:
        title = escape(section["plot"]["title"] or section["title"])
        lines += ["", "![%s](plots/%s.svg)" % (title, section["id"])]
    return lines


def render(results):
    command = "make bench-full" if results["tier"] == "full" else "make bench"
    lines = ["# Performance", "", "Written by `%s`. %s" % (command, words.ABOUT[0])]
    lines += [" ".join(words.ABOUT[1:]), ""]
    lines += table(("what", "which"), [[k, v] for k, v in results["head"].items()])
    lines += _goals(results)
    for name, members in words.groups(results["sections"]):
        lines += ["", "## " + escape(name)]
        for section in members:
            lines += _section(section)
    lines += ["", "## What ran", ""] + table(words.PROGRAM_COLUMNS, words.programs_rows(results))
    return "\n".join(lines) + "\n"
