# SPDX-License-Identifier: MIT
"""The report as aligned text.  A character is taken to be one column wide."""

import sections
import words


def table(columns, rows, indent="  "):
    """`rows`: lists of cells."""
    right = [words.numeric([{"cells": r} for r in rows], i) for i in range(len(columns))]
    widths = [max(len(r[i]) for r in [list(columns)] + rows) for i in range(len(columns))]
    lines = []
    for row in [list(columns)] + rows:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right)
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def goals_table(results):
    """All goals, those that are not met first."""
    rows = []
    for section in results["sections"]:
        rows += [words.goal_cells(goal) + [section["id"]] for goal in section["goals"]]
    order = ("not met", "too few pairs", "not measured", "met")
    rows.sort(key=lambda row: order.index(row[3]))
    return table(words.GOAL_COLUMNS + ("section",), rows)


def _section(section):
    lines = ["", section["title"] + "  [%s]" % section["id"]]
    lines += ["  (%s)" % note for note in section["notes"]]
    if section["rows"]:
        lines += table(section["columns"], [row["cells"] for row in section["rows"]])
    if "plot" in section:
        lines.append("  plot: plots/%s.svg" % section["id"])
    return lines


def render(results):
    lines = ["Untorn's benchmarks", "", words.TIERS.get(results["tier"], ""), ""]
    lines += table(("", ""), [[k, v] for k, v in results["head"].items()])[1:]
    lines += [""] + table(words.PROGRAM_COLUMNS, words.programs_rows(results))
    counts = sections.count_goals(results["sections"])
    lines += ["", "Goals: " + words.goals_text(counts)]
    lines += goals_table(results) if any(counts.values()) else []
    for name, members in words.groups(results["sections"]):
        lines += ["", "", name, "=" * len(name)]
        for section in members:
            lines += _section(section)
    return "\n".join(lines) + "\n"
