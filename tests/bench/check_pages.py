# SPDX-License-Identifier: MIT
"""Checks the report in short and its pages of Markdown (bench/harness/overview.py, front.py).

From results that are made up: who is named as faster, what counts as torn, which rows are key, what
is said about goals that are not met; and that every section is on one page, that pages stay short,
that links and plots exist, and that groups and peers that nobody knows do no harm.
"""

import os
import re
import sys
import tempfile
import unittest

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path[:0] = [os.path.join(TOP, "bench/harness"), os.path.join(TOP, "bench/support")]

import duels  # noqa: E402
import front  # noqa: E402
import goals  # noqa: E402
import joining  # noqa: E402
import key_rows  # noqa: E402
import known_peers  # noqa: E402
import markdown  # noqa: E402
import overview  # noqa: E402
import pages  # noqa: E402
import results  # noqa: E402
import sections  # noqa: E402
import torn  # noqa: E402

LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def rate(peer, text, ratio=None, **values):
    """A row of a peer; ratio: (median, low, high) of untorn's to it."""
    shown = "%g [%g, %g]" % ratio if ratio else ""
    if ratio:
        values.update(zip(("untorn_ratio", "untorn_ratio_low", "untorn_ratio_high"), ratio))
    return {"cells": [peer, text, shown], "values": values, "peer": peer}


def case(name, group, rows, what="reads/s", **more):
    columns = ["peer", what, "untorn's / this"]
    raw = {"id": name, "group": group, "title": "Case " + name, "columns": columns, "rows": rows}
    return {**raw, "program": "peers", **more}


def table(
    name, group, rows, columns=("case", "median", "p25 to p75", "ratio [95 %]", "goal"), **more
):
    raw = {"id": name, "group": group, "title": "Table " + name, "columns": list(columns)}
    return {**raw, "rows": rows, **more}


def goal(text, met, pairs=15, ratio=1.0):
    return {"text": text, "ratio": ratio, "low": 0.9, "high": 1.1, "pairs": pairs, "met": met}


def plot(title):
    axis = {"label": "x", "unit": "bytes", "scale": "log"}
    return {"title": title, "x": axis, "y": axis, "series": [{"name": "s", "points": [[1, 2]]}]}


def normal(raw):
    return sections.normalise(raw, [])


def make(*raws):
    parts = [joining.part("core", {"read": joining.entry("ok", 1.0, "a day")})]
    found = [normal(raw) for raw in raws]
    return results.make("full", [("Machine", "one"), ("Date", "a day")], parts, found)


REWRITE = case(
    "rewrite",
    "2",
    [
        rate("untorn", "100 k", torn=0, checked=1000, new_share=0.5),
        rate("untorn-pin", "900 k", (0.1, 0.1, 0.1)),
        rate("memcpy", "500 k", (0.2, 0.1, 0.3), torn=250, checked=1000, new_share=0.25),
        rate("fast-and-torn", "200 k", (0.5, 0.4, 0.6), torn=1, checked=1000),
        rate("as-fast", "110 k", (0.9, 0.8, 1.1), torn=0, checked=1000),
        rate("memcpy-round", "105 k", (0.95, 0.9, 1.05), torn=0, checked=1000),
        rate("slow", "1 k", (100, 90, 110), torn=0, checked=1000),
        rate("seqlock", "none succeeded"),
    ],
    notes=["common", "slow: is slow.", "Why it is so."],
    goals=[goal("untorn's rate >= 0.95 of memcpy's", False)],
)
WAKE = case(
    "wake",
    "5",
    [
        rate("untorn", "30 us"),
        rate("quick", "20 us", (1.5, 1.2, 1.6)),
        rate("lame", "60 us", (0.5, 0.4, 0.6)),
    ],
    what="p50",
)
COMMON = [table("common%d" % i, "9", [{"cells": ["x"]}], notes=["common"]) for i in range(3)]


class Duels(unittest.TestCase):
    def test_faster_is_who_is_so_by_the_whole_interval(self):
        duel = duels.of(normal(REWRITE))
        self.assertEqual(duel.faster, ["memcpy", "fast-and-torn"])
        # The first of the others neither tore a read nor protects nothing.
        self.assertEqual(duel.first["peer"], "as-fast")
        cells = duels.cells(duel)
        self.assertEqual(cells[0], "100 k/s (50 % new)")
        self.assertEqual(cells[1], "as-fast: 110 k/s")
        self.assertEqual(cells[3], "memcpy*, fast-and-torn")
        self.assertEqual(cells[4], "memcpy 25 %, fast-and-torn 0.1 %")

    def test_of_times_the_shorter_is_faster(self):
        duel = duels.of(normal(WAKE))
        self.assertEqual((duel.faster, duel.first["peer"]), (["quick"], "quick"))
        self.assertEqual(duels.cells(duel)[0], "30 us")

    def test_no_duel_without_untorn_or_a_rival(self):
        for rows in ([], [rate("untorn", "1")], [rate("memcpy", "1", (1, 1, 1))]):
            self.assertIsNone(duels.of(normal(case("a", "2", rows))))
        beaten = [rate("untorn", ""), rate("memcpy", "1", (1, 1, 1))]
        self.assertIsNone(duels.of(normal(case("a", "2", beaten))))

    def test_it_is_said_how_often_and_where(self):
        found = [duels.of(normal(REWRITE)), duels.of(normal(WAKE))]
        self.assertIn("In 0 of 2 cases nobody is faster", duels.said(found))
        bare = case("a", "2", [rate("untorn", "1"), rate("memcpy", "2", (0.5, 0.4, 0.6))])
        self.assertIn("In 1 of 1 case nobody is faster", duels.said([duels.of(normal(bare))]))
        names = [
            name for name, _ in duels.otherwise([("rewriting", found[:1]), ("waking", found[1:])])
        ]
        wanted = [
            "memcpy (rewriting 1 of 1)",
            "fast-and-torn (rewriting 1 of 1)",
            "quick (waking 1 of 1)",
        ]
        self.assertEqual(names, wanted)

    def test_what_is_said_of_peers_has_no_figures(self):
        for name, text in known_peers.OTHERWISE.items():
            self.assertNotRegex(text, r"\d", name)


class Torn(unittest.TestCase):
    def test_sums_over_cases_with_a_writer(self):
        idle = case("idle", "1", [rate("memcpy", "1", torn=0, checked=10**6)])
        more = case("more", "8", [rate("memcpy", "1", torn=750, checked=1000)])
        ways = table(
            "ways", "11", [{"cells": ["zarr"], "peer": "z", "values": {"torn": 1, "reads": 4}}]
        )
        found = torn.sums([normal(raw) for raw in (idle, REWRITE, more, ways)])
        memcpy = found["peer"]["memcpy"]
        self.assertEqual(torn.count_text(memcpy), "1 k of 2 k (50 %)")
        self.assertEqual((torn.cases_text(memcpy), memcpy.where["id"]), ("2 of 2", "more"))
        self.assertEqual(torn.count_text(found["peer"]["untorn"]), "0 of 1 k")
        self.assertEqual(torn.count_text(found["case"]["zarr"]), "1 of 4 (25 %)")


class KeyRows(unittest.TestCase):
    def choose(self, name, firsts, goals_at=(), **more):
        rows = [
            {"cells": [f, "1", "s", "r", "g" if i in goals_at else ""]}
            for i, f in enumerate(firsts)
        ]
        return key_rows.choose(normal(table(name, "10", rows, **more)))

    def test_a_rule_names_rows(self):
        columns, rows = self.choose(
            "restart-1", ["open", "until all is read, lz4, x, files forgotten"]
        )
        self.assertEqual([row[0] for row in rows], ["until all is read, lz4, x, files forgotten"])
        self.assertNotIn("p25 to p75", columns)
        self.assertEqual(len(rows[0]), len(columns))

    def test_without_a_match_the_goals_and_else_the_first(self):
        for name in ("restart-1", "nobody-knows-it"):
            _, rows = self.choose(name, ["a", "b", "c"], goals_at=(1,))
            self.assertEqual([row[0] for row in rows], ["b"])
            _, rows = self.choose(name, ["a", "b", "c", "d", "e", "f", "g"])
            self.assertEqual([row[0] for row in rows], ["a", "b", "c", "d", "e"])

    def test_sections_that_are_not_shown_are_if_there_is_nothing_else(self):
        shown, hidden = (
            normal(table(n, "11", [{"cells": ["x"]}])) for n in ("asker-500-4", "asker-x")
        )
        self.assertEqual(key_rows.shown([hidden, shown]), [shown])
        self.assertEqual(key_rows.shown([hidden]), [hidden])


class Goals(unittest.TestCase):
    def test_those_that_are_not_met_come_first(self):
        some = [goal("a", True), goal("b", False), goal("c", True, pairs=3)]
        found = goals.by_verdict(make(table("t", "9", [{"cells": ["x"]}], goals=some)))
        self.assertEqual(list(found), ["not met", "too few pairs", "met"])

    def test_notes_explain_but_common_ones_and_those_on_peers(self):
        made = make(REWRITE, *COMMON)
        (section,) = [one for one in made["sections"] if one["id"] == "rewrite"]
        self.assertEqual(goals.explanations(section, made["sections"]), ["Why it is so."])
        rows = goals.rows_of(section, section["goals"])
        self.assertEqual([row["peer"] for row in rows], ["untorn", "memcpy", "memcpy-round"])

    def test_a_goal_of_a_row_shows_that_row(self):
        rows = [
            {"cells": ["one", "1 ns", "", "", "<= 2"]},
            {"cells": ["two", "9 ns", "", "", "<= 3"]},
        ]
        section = normal(table("t", "9", rows, goals=[goal("two: <= 3", False)]))
        (row,) = goals.rows_of(section, section["goals"])
        self.assertEqual(row["cells"][1], "9 ns")

    def test_a_goal_shows_the_rows_that_it_names(self):
        rows = [
            {"cells": ["a row", "1"], "peer": "numpy"},
            {"cells": ["all", "2"], "peer": "numpy"},
        ]
        section = normal(table("t", "7", rows, ("region", "bytes")))
        for text, wanted in (("a row: as fast as numpy", ["a row"]), ("faster than numpy", [])):
            found = goals.rows_of(section, [goal(text, False)])
            self.assertEqual([row["cells"][0] for row in found], wanted)

    def test_goals_that_differ_in_numbers_only_are_told_once(self):
        texts = [
            "read, 64 B: 0",
            "read, 4 KiB: 0",
            "write, 64 B: 0",
            "read, 10^5: <= 1.5",
            "read, 1 MiB: 0",
        ]
        alike = goals.alike([goal(text, True) for text in texts])
        self.assertEqual([(one["text"], n) for one, n in alike][:2], [(texts[0], 3), (texts[2], 1)])
        self.assertEqual(len(alike), 3)


class Chapters(unittest.TestCase):
    def test_the_order_is_that_of_the_questions(self):
        raws = [case(n, n, [rate("untorn", "1")]) for n in ("1", "2", "9", "11")] + [REWRITE]
        raws.append(table("odd", "What nobody knows", [{"cells": ["x"]}]))
        titles = [chapter.title for chapter in overview.chapters(make(*raws))]
        self.assertIn("growing array", titles[0])
        self.assertEqual(titles[1], overview.TORN)
        self.assertIn("while the writer writes", titles[2])
        self.assertIn("while nobody writes", titles[3])
        self.assertEqual(titles[-2:], ["What nobody knows", overview.OTHERWISE])

    def test_of_many_cases_those_with_goals_stay(self):
        rows = [rate("untorn", "2"), rate("slow", "1", (2, 2, 2))]
        raws = [case("c%d" % i, "3", rows) for i in range(20)]
        raws[17]["goals"] = [goal("g", True)]
        (chapter,) = overview.chapters(make(*raws))
        (shown,) = [block for block in chapter.blocks if isinstance(block, overview.Table)]
        self.assertEqual(len(shown.rows), overview.MOST_CASES)
        # ... and of the others some of all, not the first.
        numbers = [int(row[0][len("Case c") :]) for row in shown.rows]
        self.assertEqual(numbers[0], 0)
        self.assertEqual(numbers[-2:], [17, 19])
        self.assertTrue(all(0 < b - a <= 6 for a, b in zip(numbers, numbers[1:])), numbers)
        beaten = [rate("untorn", "1"), rate("quick", "2", (0.5, 0.4, 0.6))]
        more = raws + [case("lost%d" % i, "3", beaten) for i in range(overview.MOST_CASES)]
        (table_of_some,) = overview.chapters(make(*more))[0].blocks[:1]
        self.assertEqual({row[4] for row in table_of_some.rows}, {"quick"})
        self.assertIn("In 20 of 20 cases", chapter.blocks[-1].text)

    def test_nothing_at_all(self):
        made = make()
        self.assertEqual(overview.chapters(made), [])
        self.assertIn("# Performance", front.render(pages.Site(made)))


class Pages(unittest.TestCase):
    """Long ones, of groups of which two have the same name, and titles that come twice."""

    @classmethod
    def setUpClass(cls):
        rows = [{"cells": ["x" * 300, "1"]} for _ in range(20)]
        long = [table("long%d" % i, "4", rows, goals=[goal("g%d" % i, i > 3)]) for i in range(30)]
        twice = [table("same", "5", [{"cells": ["x"]}], title="Title, of 50 %") for _ in range(3)]
        odd = [table("odd", name, [{"cells": ["x"]}]) for name in ("Run", "goals", "run!", "")]
        seen = table("seen", "10", [{"cells": ["x"]}], plot=plot("A plot"))
        cls.made = make(REWRITE, WAKE, seen, *COMMON, *long, *twice, *odd)
        cls.directory = tempfile.TemporaryDirectory()
        cls.root = cls.directory.name
        stale = os.path.join(cls.root, "performance", "stale.md")
        os.mkdir(os.path.dirname(stale))
        with open(stale, "w", encoding="utf-8") as file:
            file.write("of another run\n")
        results.write(cls.made, cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def files(self):
        below = sorted(os.listdir(os.path.join(self.root, "performance")))
        return ["performance.md"] + ["performance/" + name for name in below]

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def test_every_section_is_on_one_page(self):
        text = "\n".join(self.read(name) for name in self.files()[1:])
        headings = re.findall(r"(?m)^## (.*)$", text)
        self.assertEqual(len(headings), len(self.made["sections"]))
        for section in self.made["sections"]:
            own = [h for h in headings if markdown.escape(section["title"]) in h]
            self.assertTrue(own, section["title"])

    def test_pages_stay_short_and_old_ones_go(self):
        names = self.files()
        self.assertNotIn("performance/stale.md", names)
        self.assertIn("performance/appends-2.md", names)
        for name in names:
            self.assertLess(len(self.read(name).encode()), 60000, name)

    def test_links_lead_to_files_and_headings(self):
        count = 0
        for name in self.files():
            for target, anchor in LINK.findall(self.read(name)):
                path = (
                    os.path.normpath(os.path.join(os.path.dirname(name), target))
                    if target
                    else name
                )
                self.assertTrue(os.path.isfile(os.path.join(self.root, path)), (name, target))
                if anchor:
                    headings = re.findall(r"(?m)^#+ (.*)$", self.read(path))
                    anchors = [markdown.anchor(re.sub(r"\\(.)", r"\1", h)) for h in headings]
                    self.assertEqual(anchors.count(anchor), 1, (name, target, anchor))
                count += 1
        self.assertGreater(count, 50)

    def test_the_first_page_leads_to_all_and_shows_all_plots(self):
        front_page = self.read("performance.md")
        for name in self.files()[1:]:
            self.assertIn("](%s)" % name, front_page)
        self.assertIn("![A plot](plots/seen.svg)", front_page)
        self.assertIn("](../plots/seen.svg)", self.read("performance/store.md"))

    def test_what_is_not_met_comes_before_what_is(self):
        text = self.read("performance.md")
        places = [text.index("\n### " + words) for words in ("Not met", "Met")]
        self.assertEqual(places, sorted(places))
        self.assertIn("Why it is so.", text)
        page = self.read("index.html")
        self.assertLess(page.index('id="contents"'), page.index('id="goals"'))
        self.assertLess(
            page.index(">Not met<".replace("Not met", "5 not met")), page.index(">26 met<")
        )
        self.assertLess(page.index("<figure"), page.index('<section id="seen"'))

    def test_pages_say_how_they_are_made(self):
        for name in self.files():
            self.assertIn("make performance-doc", self.read(name), name)
        self.assertIn("BENCH_ONLY='peers' make bench-full", self.read("performance/rewriting.md"))


if __name__ == "__main__":
    unittest.main()
