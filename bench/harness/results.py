# SPDX-License-Identifier: MIT
"""Writes the report: results.json, and what is made from it.

    results.py RESULTS.JSON DIRECTORY [PROGRAM=SECTIONS...]
                     the same from a file of an earlier run, some programs' sections from others

    results.json     everything; bench/README.md describes its schema
    results.txt      text tables
    index.html       one page with all of it
    performance.md   Markdown, the first page; performance/ has the others (pages.py)
    plots/ID.svg     a section's plot

Files are written whole under another name and renamed, so that nobody opens half of one.
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import front  # noqa: E402
import joining  # noqa: E402
import page  # noqa: E402
import pages  # noqa: E402
import plot as plots  # noqa: E402
import sections  # noqa: E402
import text  # noqa: E402

SCHEMA, VERSION = "untorn-bench", 2


def make(tier, head, parts, found):
    """The report.  `head`: pairs; `parts`: as joining.part() makes them; `found`: sections."""
    found = sections.in_order(found)
    for part in parts:
        for entry in part["programs"].values():
            entry["reasons"] = [sections.clean(reason) for reason in entry["reasons"]]
            entry["run"] = sections.clean(entry["run"])
    parts = [joining.part(part["name"], part["programs"]) for part in parts]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "tier": tier,
        "head": {sections.clean(k): sections.clean(v) for k, v in head},
        "parts": parts,
        "goals": sections.count_goals(found),
        "sections": found,
    }


def load(path):
    """Results that any program may have changed since: brought into the form again."""
    with open(path, encoding="utf-8") as file:
        raw = json.load(file)
    if raw.get("schema") != SCHEMA or raw.get("version") != VERSION:
        raise ValueError("%s: not %s, version %d" % (path, SCHEMA, VERSION))
    found = [sections.normalise(section, []) for section in raw["sections"]]
    return make(raw["tier"], raw["head"].items(), raw["parts"], found)


def replace(results, programs):
    """`programs`: PROGRAM=FILE, whose sections take the place of the program's."""
    found = results["sections"]
    for name, _, path in (one.partition("=") for one in programs):
        lost = []
        new = sections.read_lines(path, [], lost)
        if lost or not new:
            raise ValueError("%s: %s" % (path, lost[0] if lost else "no sections"))
        found = [one for one in found if one["program"] != name]
        found += [dict(one, program=name) for one in new]
    return make(results["tier"], results["head"].items(), results["parts"], found)


def _write(path, content):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(path + ".new", path)


def _emptied(directory, ending):
    """What is left of other results would be taken for these'."""
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        if name.endswith(ending):
            os.remove(os.path.join(directory, name))


def _write_pages(results, directory):
    site = pages.Site(results)
    _write(os.path.join(directory, pages.FRONT), front.render(site))
    below = os.path.join(directory, pages.DIRECTORY)
    _emptied(below, ".md")
    for name, content in site.texts().items():
        _write(os.path.join(below, name), content)


def _draw(results, directory):
    """The plots' files; returns them by their section's id, to be inlined."""
    _emptied(directory, ".svg")
    drawn = {}
    for section in results["sections"]:
        if "plot" not in section:
            continue
        try:
            drawn[section["id"]] = plots.draw(section["plot"], inline=True)
            svg = plots.draw(section["plot"])
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            section["notes"].append("The plot cannot be drawn: %s." % sections.clean(error))
            del section["plot"]
            continue
        _write(os.path.join(directory, section["id"] + ".svg"), svg)
    return drawn


def write(results, directory):
    os.makedirs(directory, exist_ok=True)
    drawn = _draw(results, os.path.join(directory, "plots"))
    content = json.dumps(results, indent=1, allow_nan=False) + "\n"
    _write(os.path.join(directory, "results.json"), content)
    _write(os.path.join(directory, "results.txt"), text.render(results))
    _write_pages(results, directory)
    _write(os.path.join(directory, "index.html"), page.render(results, drawn))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: results.py RESULTS.JSON DIRECTORY [PROGRAM=SECTIONS...]")
    try:
        write(replace(load(sys.argv[1]), sys.argv[3:]), sys.argv[2])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
        sys.exit("results.py: %s: %s" % (sys.argv[1], failure))
