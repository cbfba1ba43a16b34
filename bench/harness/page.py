# SPDX-License-Identifier: MIT
"""The report as one HTML page that needs nothing beside it: style and plots are inlined.

No scripts; light or dark as the reader's surroundings are; wide tables and plots scroll by
themselves, so that the page fits a telephone.  It is well-formed XML, too, so that a test can
parse it strictly.
"""

from html import escape

import plot as plots
import sections
import words

LONG = 40  # characters, from which a cell's text is broken into lines

STYLE = """
:root{color-scheme:light dark;--ink:#222;--soft:#666;--paper:#fff;--shade:#f5f5f3;--rule:#ddd;
--link:#005a9c;--good:#00684c;--bad:#a63a00}
@media (prefers-color-scheme:dark){:root{--ink:#e4e4e4;--soft:#a0a0a0;--paper:#16181b;
--shade:#202327;--rule:#3a3d42;--link:#8fd3ff;--good:#2fc49a;--bad:#f2864e}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;color:var(--ink);background:var(--paper);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;
border-bottom:1px solid var(--rule)}h3{font-size:1.05rem;margin:1.8rem 0 .4rem}
a{color:var(--link)}p{margin:.5rem 0;max-width:46rem}.soft{color:var(--soft);font-size:.9rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--rule);text-align:left;
vertical-align:top;white-space:nowrap}
th{background:var(--shade)}td:first-child,td.wide{white-space:normal;min-width:11rem}td.wide{min-width:15rem}
.n{text-align:right}.met{color:var(--good)}.not-met{color:var(--bad);font-weight:600}
figure{margin:1rem 0}svg.plot{min-width:34rem;max-width:100%;height:auto;display:block}
nav ul{columns:18rem;padding-left:1.2rem}nav li{break-inside:avoid}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--soft)}
"""


def table(columns, rows, classes=None):
    """`rows`: lists of cells, already escaped if they are of type Html."""
    right = [words.numeric([{"cells": r} for r in rows], i) for i in range(len(columns))]
    out = ['<div class="scroll"><table>']
    if any(columns):
        heads = "".join(
            '<th scope="col"%s>%s</th>' % (' class="n"' if r else "", escape(c))
            for c, r in zip(columns, right)
        )
        out.append("<thead><tr>%s</tr></thead>" % heads)
    out.append("<tbody>")
    for row in rows:
        out.append("<tr>%s</tr>" % "".join(_cell(c, r, classes) for c, r in zip(row, right)))
    return out + ["</tbody></table></div>"]


class Html(str):
    """Text that is markup already."""


def _cell(text, right, classes):
    kind = "n" if right else (classes or {}).get(text, "")
    if not kind and len(text) > LONG:
        kind = "wide"
    inside = text if isinstance(text, Html) else escape(text)
    return "<td%s>%s</td>" % (' class="%s"' % kind if kind else "", inside)


def _goals(results):
    counts = sections.count_goals(results["sections"])
    out = ['<h2 id="goals">Goals: %s</h2>' % escape(words.goals_text(counts))]
    rows = []
    for section in results["sections"]:
        link = '<a href="#%s">%s</a>' % (section["id"], escape(section["title"]))
        rows += [words.goal_cells(goal) + [Html(link)] for goal in section["goals"]]
    if not rows:
        return out
    marks = {"met": "met", "not met": "not-met"}
    return out + table(words.GOAL_COLUMNS + ("section",), rows, marks)


def _parts(results):
    rows = words.programs_rows(results)
    marks = {"failed": "not-met", "interrupted": "not-met"}
    return ['<h2 id="parts">What ran</h2>'] + table(words.PROGRAM_COLUMNS, rows, marks)


def _contents(results):
    out = ['<nav><h2 id="contents">Contents</h2><ul>']
    for name, members in words.groups(results["sections"]):
        out.append("<li>%s<ul>" % escape(name))
        for section in members:
            out.append('<li><a href="#%s">%s</a></li>' % (section["id"], escape(section["title"])))
        out.append("</ul></li>")
    return out + ["</ul></nav>"]


def _data(plot):
    """A plot's points as a table, for those who cannot see it, and to copy from."""
    x, y = plot["x"], plot["y"]
    rows = []
    for one in plot["series"]:
        for point in one["points"]:
            along = plots.value_text(point[0], x["unit"])
            values = [plots.value_text(v, y["unit"]) for v in point[1:]]
            rows.append([one["name"], along] + values)
    columns = ("series", x["label"], y["label"], "low", "high")
    return ["<details><summary>The plot's data</summary>"] + table(columns, rows) + ["</details>"]


def _section(section, drawn):
    out = ['<section id="%s"><h3>%s</h3>' % (section["id"], escape(section["title"]))]
    out += ['<p class="soft">%s</p>' % escape(words.note_text(note)) for note in section["notes"]]
    if section["rows"]:
        out += table(section["columns"], [row["cells"] for row in section["rows"]])
    if section["id"] in drawn:
        out += ['<figure class="scroll">', drawn[section["id"]].strip(), "</figure>"]
    if "plot" in section:
        out += _data(section["plot"])
    return out + ["</section>"]


def render(results, drawn):
    """`drawn`: plots by the id of their section, as plot.draw(..., inline=True) makes them."""
    head = results["head"]
    out = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"/>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
        "<title>Untorn's benchmarks</title>",
        "<style>%s%s</style></head><body>" % (STYLE, plots.STYLE),
        "<h1>Untorn's benchmarks</h1>",
        "<p>%s</p>" % escape(words.TIERS.get(results["tier"], "")),
    ]
    out += _goals(results)
    out += ["<p>%s</p>" % escape(text) for text in words.ABOUT]
    out += _parts(results)
    out += ['<h2 id="machine">What it was measured on</h2>']
    out += table(
        ("", ""), [[k, Html('<span class="wide">%s</span>' % escape(v))] for k, v in head.items()]
    )
    out += _contents(results)
    for name, members in words.groups(results["sections"]):
        out.append("<h2>%s</h2>" % escape(name))
        for section in members:
            out += _section(section, drawn)
    return "\n".join(out + ["</body></html>"]) + "\n"
