# SPDX-License-Identifier: MIT
"""The report as one HTML page that needs nothing beside it: style and plots are inlined.

A table of contents; the goals, those first that are not met; then, question by question, plots, the
answer in short (overview.py), and all tables.

No scripts; light or dark as the reader's surroundings are; wide tables and plots scroll by
themselves, by keys, too, so that the page fits a telephone; a row's name, which is its header,
stays in sight then.  It is well-formed XML, too, so that a test can parse it strictly.
"""

from html import escape

import goals
import overview
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
th{background:var(--shade)}tbody th{font-weight:400;background:var(--paper)}
tr>:first-child{white-space:normal;min-width:8rem;max-width:22rem;position:sticky;left:0}
td.wide{white-space:normal;min-width:15rem}
.n{text-align:right}.met{color:var(--good)}.not-met{color:var(--bad);font-weight:600}
figure{margin:1rem 0}svg.plot{min-width:34rem;max-width:100%;height:auto;display:block}
h4{font-size:1rem;margin:1.2rem 0 .3rem}nav ul{padding-left:1.2rem}nav li{margin:.15rem 0}
nav details{display:inline-block;margin:0 0 0 .6rem;vertical-align:top}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--soft)}
"""


def _scrolled(name, kind="div"):
    """The start of what scrolls by itself, for those who use keys or listen: `name` is its name."""
    form = '<%s class="scroll" role="group" tabindex="0" aria-label="%s">'
    return form % (kind, escape(name))


def table(name, columns, rows, classes=None):
    """`rows`: lists of cells, already escaped if they are of type Html."""
    right = [words.numeric([{"cells": r} for r in rows], i) for i in range(len(columns))]
    out = [_scrolled(name) + "<table>"]
    if any(columns):
        heads = "".join(
            '<th scope="col"%s>%s</th>' % (' class="n"' if r else "", escape(c))
            for c, r in zip(columns, right)
        )
        out.append("<thead><tr>%s</tr></thead>" % heads)
    out.append("<tbody>")
    for row in rows:
        first = ['<th scope="row">%s</th>' % _inside(name) for name in row[:1]]
        cells = [_cell(c, r, classes) for c, r in zip(row[1:], right[1:])]
        out.append("<tr>%s</tr>" % "".join(first + cells))
    return out + ["</tbody></table></div>"]


class Html(str):
    """Text that is markup already."""


def _inside(text):
    return text if isinstance(text, Html) else escape(text)


def _cell(text, right, classes):
    kind = "n" if right else (classes or {}).get(text, "")
    if not kind and len(text) > LONG:
        kind = "wide"
    return "<td%s>%s</td>" % (' class="%s"' % kind if kind else "", _inside(text))


def _link(section):
    return Html('<a href="#%s">%s</a>' % (section["id"], escape(section["title"])))


def _goals_of(what, found):
    rows = [words.goal_cells(goal) + [_link(section)] for section, some in found for goal in some]
    marks = {"met": "met", "not met": "not-met"}
    return table(what, words.GOAL_COLUMNS + ("section",), rows, marks)


def _failed(results, section, some):
    """A section with goals that are not met, and what is said about it."""
    rows = [row["cells"] for row in goals.rows_of(section, some)]
    notes = goals.explanations(section, results["sections"])
    out = ["<h4>%s</h4>" % _link(section)] if rows or notes else []
    out += table(section["title"], section["columns"], rows) if rows else []
    return out + ['<p class="soft">%s</p>' % escape(words.note_text(note)) for note in notes]


def _goals(results):
    counts = sections.count_goals(results["sections"])
    out = ['<h2 id="goals">Goals: %s</h2>' % escape(words.goals_text(counts))]
    for verdict, found in goals.by_verdict(results).items():
        what = "%d %s" % (counts[verdict], verdict)
        if verdict == "met":
            out += ["<details><summary>%s</summary>" % what] + _goals_of(what, found)
            out.append("</details>")
            continue
        out += ["<h3>%s</h3>" % what.capitalize()] + _goals_of(what, found)
        for section, some in found:
            out += _failed(results, section, some)
    return out


def _parts(results):
    rows = words.programs_rows(results)
    marks = {"failed": "not-met", "interrupted": "not-met"}
    shown = table("What ran", words.PROGRAM_COLUMNS, rows, marks)
    return ['<h2 id="parts">What ran</h2>'] + shown


def _id(i):
    """Of a chapter; no section's, for none has an underscore."""
    return "chapter_%d" % i


def _contents(chapters, groups):
    out = ['<nav><h2 id="contents">Contents</h2><ul>', '<li><a href="#goals">Goals</a></li>']
    for i, chapter in enumerate(chapters):
        out.append('<li><a href="#%s">%s</a>' % (_id(i), escape(chapter.title)))
        members = groups.get(chapter.group, [])
        if members:
            count = words.count(len(members), "table")
            out.append("<details><summary>%s</summary><ul>" % count)
            out += ["<li>%s</li>" % _link(section) for section in members]
            out.append("</ul></details>")
        out.append("</li>")
    more = (("machine", "What it was measured on"), ("parts", "What ran"))
    return out + ['<li><a href="#%s">%s</a></li>' % one for one in more] + ["</ul></nav>"]


def _block(block, title, drawn):
    if isinstance(block, overview.Text):
        return ["<p>%s</p>" % escape(words.note_text(block.text))]
    if isinstance(block, overview.Items):
        bold = ["<b>%s</b>" % escape(name) for name, _ in block.items]
        texts = [": " + escape(text) if text else "" for _, text in block.items]
        items = ["<li>%s%s</li>" % both for both in zip(bold, texts)]
        return ["<ul>"] + items + ["</ul>"]
    if isinstance(block, overview.Plot):
        name = block.section["id"]
        if name not in drawn:
            return []
        return (
            [_scrolled(block.section["plot"]["title"], "figure"), drawn[name].strip()]
            + _data(block.section["plot"])
            + ["</figure>"]
        )
    rows = [
        [_link(cell.section) if isinstance(cell, overview.Ref) else cell for cell in row]
        for row in block.rows
    ]
    return table(title, block.columns, rows)


def _chapter(i, chapter, members, drawn):
    out = ['<h2 id="%s">%s</h2>' % (_id(i), escape(chapter.title))]
    if chapter.group:
        out.append('<p class="soft">%s</p>' % escape(words.workload(chapter.group)))
    for block in chapter.blocks:
        out += _block(block, chapter.title, drawn)
    for section in members:
        out += _section(section)
    return out


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
    shown = table(plot["title"], columns, rows)
    return ["<details><summary>The plot's data</summary>"] + shown + ["</details>"]


def _section(section):
    """All but its plot, which stands at the head of its chapter."""
    out = ['<section id="%s"><h3>%s</h3>' % (section["id"], escape(section["title"]))]
    out += ['<p class="soft">%s</p>' % escape(words.note_text(note)) for note in section["notes"]]
    if section["rows"]:
        rows = [row["cells"] for row in section["rows"]]
        out += table(section["title"], section["columns"], rows)
    elif "plot" in section:
        out.append("<p>Its plot is above.</p>")
    return out + ["</section>"]


def _machine(results):
    rows = [
        [k, Html('<span class="wide">%s</span>' % escape(v))] for k, v in results["head"].items()
    ]
    shown = table("What it was measured on", ("", ""), rows)
    return ['<h2 id="machine">What it was measured on</h2>'] + shown


def render(results, drawn):
    """`drawn`: plots by the id of their section, as plot.draw(..., inline=True) makes them."""
    chapters, groups = overview.chapters(results), dict(words.groups(results["sections"]))
    out = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"/>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
        "<title>Untorn's benchmarks</title>",
        "<style>%s%s</style></head><body>" % (STYLE, plots.STYLE),
        "<h1>Untorn's benchmarks</h1>",
        "<p>%s</p>" % escape(words.TIERS.get(results["tier"], "")),
    ]
    out += _contents(chapters, groups) + _goals(results)
    out += ["<h2>How to read the tables</h2>"]
    out += ["<p>%s</p>" % escape(text) for text in words.ABOUT + (overview.LEGEND,)]
    for i, chapter in enumerate(chapters):
        out += _chapter(i, chapter, groups.get(chapter.group, []), drawn)
    out += _machine(results) + _parts(results)
    return "\n".join(out + ["</body></html>"]) + "\n"
