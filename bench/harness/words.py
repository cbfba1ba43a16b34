# SPDX-License-Identifier: MIT
"""What the report says in the same words as text, Markdown and HTML."""

import sections

ABOUT = (
    "Every figure is a measurement of this run. Figures are medians over repetitions that took "
    "turns with what they are compared with; the spread beside them is that of the repetitions.",
    "Ratios are medians over interleaved pairs, with a distribution-free 95 % interval in "
    "brackets; with fewer than six pairs none is that sure, and it is from the lowest to the "
    "highest (94 % with five).",
    "A ratio's goal is met when the better end of its interval reaches it, over at least "
    "%d pairs; with fewer nothing is said. An empty cell has its reason in the notes."
    % sections.GOAL_PAIRS,
)
TIERS = {
    "quick": "Quick run: few repetitions and small sizes; for figures to keep, run the full one.",
    "full": "Full run.",
}
PROGRAM_COLUMNS = ("part", "program", "state", "time", "run", "why")
GOAL_COLUMNS = ("goal", "ratio [95 %]", "pairs", "result")


def goal_cells(goal):
    ratio = ""
    if goal["ratio"] is not None:
        ratio = "%.3f" % goal["ratio"]
        if goal["low"] is not None and goal["high"] is not None:
            ratio += " [%.3f, %.3f]" % (goal["low"], goal["high"])
    pairs = "" if goal["pairs"] is None else "%d" % goal["pairs"]
    return [goal["text"], ratio, pairs, sections.verdict(goal)]


def goals_text(counts):
    """`12 met, 1 not met`: those that there are."""
    some = ["%d %s" % (n, words) for words, n in counts.items() if n]
    return ", ".join(some) if some else "none"


def program_cells(part, name):
    """What ran: of one program of a part."""
    entry = part["programs"][name]
    seconds = "" if entry["seconds"] is None else "%.0f s" % entry["seconds"]
    return [part["name"], name, entry["state"], seconds, entry["run"], "; ".join(entry["reasons"])]


def programs_rows(results):
    return [program_cells(part, name) for part in results["parts"] for name in part["programs"]]


def note_text(note):
    """As a sentence."""
    return note if note.endswith((".", "!", "?", ":")) else note + "."


def groups(all_sections):
    """[(name, [section, ...]), ...] in the order in which they come."""
    found = {}
    for section in all_sections:
        found.setdefault(section["group"], []).append(section)
    return list(found.items())


def figure(value):
    """Three digits: 1.23 M, 45.6 k, 789."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit * 0.9995:
            return "%.3g%s" % (value / unit, name)
    return "%.3g" % value


def share(value):
    """Of 1; what is not all or nothing is not rounded to it."""
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    if 0 < value < 0.0005:
        return "< 0.05 %"
    return "%.3g %%" % (100 * value)


def count(number, what):
    return "%d %s%s" % (number, what, "" if number == 1 else "s")


def workload(group):
    """`Workload 3: Commits`, or the name of a group without a number."""
    name = sections.plain_name(group)
    if name == group:
        return name
    return "Workload %d: %s" % (sections.group_rank(group)[0], name)


def numeric(rows, i):
    """Whether column i is one of figures, to stand on the right; the first one is of names."""
    if i == 0:
        return False
    cells = [row["cells"][i] for row in rows if row["cells"][i]]
    return bool(cells) and all(c.lstrip(" -+<>=~")[:1].isdigit() for c in cells)
