# SPDX-License-Identifier: MIT
"""Checks the report of the benchmarks: what is rendered from sections, hostile ones among them.

The page has to be well-formed with no element from a section's text, the plots well-formed XML,
the JSON of the schema that bench/README.md describes and without NaN, and goals counted by the
rule: with fewer than 15 pairs nothing is said.
"""

import html.parser
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path[:0] = [os.path.join(TOP, "bench/harness"), os.path.join(TOP, "bench/support")]

import joining  # noqa: E402
import plot as plots  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import rows  # noqa: E402
import sections  # noqa: E402

EVIL = "</script><script>alert(1)</script>&<img src=x onerror=y>\"'|`\x1b[31m\x00\n# \ud800\u202e"
VOID = ("meta", "br")


def goal(text, met, pairs=15, ratio=1.0):
    return {
        **{"text": text, "ratio": ratio, "low": 0.9, "high": 1.1, "pairs": pairs, "met": met},
    }


def plot(points, scale="log", count=1, **more):
    axis = {"label": "size " + EVIL, "unit": "bytes", "scale": scale}
    series = [dict({"name": EVIL, "points": points}, **more) for _ in range(count)]
    return {"title": EVIL, "x": axis, "y": dict(axis, unit="ns"), "series": series}


def fixed():
    """Sections as parts hand them in."""
    good = {
        "id": "good",
        "group": "2. whatever it is called",
        "title": "Good",
        "notes": ["a note"],
        "columns": ["peer", "reads/s", "p99"],
        "rows": [
            {"cells": ["untorn", "12.3 k", "1 us"], "values": {"reads": 1.5}, "peer": "untorn"},
            {"cells": ["other", "", ""]},
        ],
        "goals": [
            goal("reached", True),
            goal("missed", False),
            goal("few, said to be met", True, pairs=14),
            goal("few, said to be missed", False, pairs=5),
            goal("counted, no ratio", True, pairs=None, ratio=None),
            goal("nothing", None, pairs=None, ratio=None),
        ],
        "plot": plot([[64, 10, 9, 11], [1024, 20]], slope=0.5),
    }
    bad = {
        "id": "../../" + EVIL,
        "group": EVIL,
        "title": EVIL,
        "notes": [EVIL],
        "columns": [EVIL, "x"],
        "rows": [
            {"cells": [EVIL, "1", "too", "many"], "values": {EVIL: math.nan, "a": math.inf}},
            {"cells": [None]},
        ],
        "goals": [goal(EVIL, "yes", ratio=math.nan, pairs=None)],
        "plot": plot([[0, 1], [1, math.nan], [8, 2, 0, 3], ["x", 1], [1]], count=3),
    }
    empty = {"id": "good", "group": "2", "title": "Only lost points", "plot": plot([[0, 0]])}
    return [good, bad, empty]


def make():
    problems = []
    found = [sections.normalise(raw, problems) for raw in fixed()]
    programs = {"read": joining.entry("failed", 1.0, "a day", [EVIL])}
    parts = [joining.part("core", programs)]
    return results.make("quick", [("Machine", EVIL), ("Kernel", "x")], parts, found), problems


class Balanced(html.parser.HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        for name in attrs:
            assert not name.startswith("on"), (tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        made, cls.problems = make()
        results.write(made, cls.directory.name)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def read(self, name):
        with open(os.path.join(self.directory.name, name), encoding="utf-8") as file:
            return file.read()

    def load(self):
        def refuse(text):
            raise AssertionError("%s is no JSON" % text)

        return json.loads(self.read("results.json"), parse_constant=refuse)

    def test_json_has_the_schema(self):
        loaded = self.load()
        self.assertEqual((loaded["schema"], loaded["version"]), ("untorn-bench", 2))
        named = {"schema", "version", "tier", "head", "parts", "goals", "sections"}
        self.assertEqual(set(loaded), named)
        fields = {"id", "program", "group", "title", "notes", "columns", "rows", "goals"}
        for section in loaded["sections"]:
            self.assertEqual(set(section) - {"plot"}, fields)
            self.assertRegex(section["id"], r"\A[a-z0-9-]+\Z")
            for row in section["rows"]:
                self.assertEqual(len(row["cells"]), len(section["columns"]))
        with open(os.path.join(TOP, "bench/README.md"), encoding="utf-8") as file:
            documented = file.read()
        for field in named | fields:
            self.assertIn('"%s"' % field, documented)

    def test_goals_are_counted_by_the_rule(self):
        counted = self.load()["goals"]
        wanted = {"met": 2, "not met": 1, "too few pairs": 2, "not measured": 2}
        self.assertEqual(counted, wanted)
        heading = "2 met, 1 not met, 2 too few pairs, 2 not measured"
        for name in ("index.html", "results.txt", "performance.md", "performance/goals.md"):
            self.assertIn(heading, self.read(name), name)

    def test_values_are_finite_or_null(self):
        bad = [s for s in self.load()["sections"] if s["title"] not in ("Good", "Only lost points")]
        self.assertEqual(len(bad), 1)
        self.assertEqual(set(bad[0]["rows"][0]["values"].values()), {None})

    def test_what_was_changed_is_said(self):
        said = "\n".join(self.problems)
        self.assertIn("4 cells, the table 2 columns", said)
        self.assertIn("points of the plot have no place", said)

    def test_ids_are_unique_and_links_lead_somewhere(self):
        page = Balanced()
        page.feed(self.read("index.html"))
        self.assertEqual(len(page.ids), len(set(page.ids)))
        self.assertIn("good-2", page.ids)
        for link in page.links:
            self.assertIn(link, ["#" + name for name in page.ids])

    def test_page_is_well_formed_and_contains_itself(self):
        text = self.read("index.html")
        page = Balanced()
        page.feed(text)
        page.close()
        self.assertEqual(page.open, [])
        for tag in ("script", "img", "link", "iframe", "object"):
            self.assertNotIn(tag, page.seen)
        self.assertNotIn("url(", text)
        self.assertNotIn("@import", text)
        xml.fromstring(text.replace("<!DOCTYPE html>", ""))
        self.assertIn("prefers-color-scheme", text)
        self.assertIn("&lt;script&gt;", text)

    def test_what_scrolls_does_so_by_keys_and_has_a_name(self):
        tree = xml.fromstring(self.read("index.html").replace("<!DOCTYPE html>", ""))
        scrolled = [e for e in tree.iter() if e.get("class") == "scroll"]
        self.assertGreater(len(scrolled), 5)
        for element in scrolled:
            self.assertEqual((element.get("tabindex"), element.get("role")), ("0", "group"))
            self.assertTrue(element.get("aria-label"))

    def test_rows_have_headers(self):
        tree = xml.fromstring(self.read("index.html").replace("<!DOCTYPE html>", ""))
        for body in tree.iter("tbody"):
            for row in body.iter("tr"):
                scopes = [cell.get("scope") for cell in row]
                self.assertEqual(scopes, ["row"] + [None] * (len(scopes) - 1))

    def test_page_has_every_plot_with_a_title_and_its_data(self):
        tree = xml.fromstring(self.read("index.html").replace("<!DOCTYPE html>", ""))
        drawings = list(tree.iter("{http://www.w3.org/2000/svg}svg"))
        self.assertEqual(len(drawings), 2)
        for drawing in drawings:
            self.assertTrue(drawing.find("{http://www.w3.org/2000/svg}title").text)
        figures = list(tree.iter("figure"))
        self.assertEqual([len(list(f.iter("details"))) for f in figures], [1, 1])
        for figure in figures:
            self.assertEqual(len(list(figure.iter("{http://www.w3.org/2000/svg}svg"))), 1)

    def test_plots_are_files_of_xml(self):
        names = sorted(os.listdir(os.path.join(self.directory.name, "plots")))
        loaded = self.load()
        wanted = sorted(s["id"] + ".svg" for s in loaded["sections"] if "plot" in s)
        self.assertEqual(names, wanted)
        for name in names:
            tree = xml.fromstring(self.read("plots/" + name))
            tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
            self.assertFalse(tags & {"script", "image", "foreignObject", "a"})
            self.assertIn("plots/" + name, self.read("performance.md"))

    def test_text_has_no_control_characters(self):
        for name in ("index.html", "results.txt", "performance.md", "results.json"):
            text = self.read(name)
            self.assertIsNone(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), name)

    def test_markdown_tables_keep_their_columns(self):
        below = os.listdir(os.path.join(self.directory.name, "performance"))
        self.assertGreater(len(below), 3)
        for name in ["performance.md"] + ["performance/" + name for name in below]:
            self.keeps_columns(self.read(name))

    def keeps_columns(self, text):
        self.assertNotRegex(text, r"(?i)<\s*(script|img)")
        self.assertEqual(len(re.findall(r"(?m)^# ", text)), 1)
        width = None
        for line in text.splitlines():
            if not line.startswith("|"):
                width = None
                continue
            bars = len(re.findall(r"(?<!\\)\|", line))
            width = width or bars
            self.assertEqual(bars, width, line)

    def test_sections_of_a_program_are_replaced(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "new")
            with open(path, "w", encoding="utf-8") as file:
                file.write(json.dumps({"id": "new", "title": "New", "group": "3"}) + "\n")
            before, _ = make()
            before["sections"][0]["program"] = "read"
            kept = [one["title"] for one in before["sections"] if one["program"] != "read"]
            self.assertLess(len(kept), len(before["sections"]))
            after = results.replace(before, ["read=" + path])
            titles = sorted(one["title"] for one in after["sections"])
            self.assertEqual(titles, sorted(kept + ["New"]))
            with open(path, "w", encoding="utf-8") as file:
                file.write("nonsense\n")
            self.assertRaises(ValueError, results.replace, before, ["read=" + path])

    def test_results_can_be_rendered_again(self):
        with tempfile.TemporaryDirectory() as again:
            path = os.path.join(self.directory.name, "results.json")
            results.write(results.load(path), again)
            for name in ("results.json", "index.html", "results.txt", "performance.md"):
                with open(os.path.join(again, name), encoding="utf-8") as file:
                    self.assertEqual(file.read(), self.read(name), name)


class Lines(unittest.TestCase):
    """What the C programs write."""

    def test_rows_become_sections_with_goals(self):
        text = (
            "S\tFirst\nN\ta note\n"
            "R\tcase\t6 ns\t5 - 7\tx 1.5 [1, 2]\t<= 2\tmet\tns=6\tratio=1.5\tlow=1\thigh=2\tpairs=15\n"
            "R\tfew\t6 ns\t\tx 1.5 [1, 2]\t<= 2\ttoo few pairs\tratio=1.5\tlow=1\thigh=2\tpairs=9\n"
            "R\ttorn\t0 of 9\t\t\t0\tnot met\n"
            "S\tSecond\nR\tcase\t1\t\t\t\t\n"
        )
        problems = []
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.write(text)
            file.flush()
            first, second = rows.read_rows(file.name, "x", lambda i: ("1", "2")[i], problems)
        self.assertEqual(problems, [])
        self.assertEqual((first["id"], first["title"]), ("x-1", "First"))
        self.assertTrue(first["group"].startswith("1. ") and second["group"].startswith("2. "))
        self.assertEqual(
            [sections.verdict(g) for g in first["goals"]], ["met", "too few pairs", "not met"]
        )
        self.assertEqual(first["rows"][0]["values"]["ns"], 6)
        self.assertEqual(second["columns"], ["case", "median"])

    def test_lines_that_are_no_section_are_lost_and_said(self):
        lines = ["{", "[]", '{"id": "a", "rows": 7}', "", '{"id": "a"}', '{"id":"b","rows":[[]]}']
        problems, lost = [], []
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("\n".join(lines))
            file.flush()
            found = sections.read_lines(file.name, problems, lost)
        self.assertEqual([section["id"] for section in found], ["a"])
        self.assertEqual(len(lost), 4)

    def test_plot_files_are_read(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "a.plot"), "w", encoding="utf-8") as file:
                file.write("title\tT\nx\tX\tbytes\tlog\ny\tY\tns\tlog\n")
                file.write("point\ts\t1\t2\t1\t3\nslope\ts\t0.25\n")
            with open(os.path.join(directory, "b.plot"), "w", encoding="utf-8") as file:
                file.write("nonsense\n")
            with open(os.path.join(directory, "c.plot"), "w", encoding="utf-8") as file:
                file.write("title\tnothing was measured\n")
            problems = []
            found = rows.read_plots(directory, "9", problems)
        self.assertEqual([section["id"] for section in found], ["a"])
        self.assertEqual(found[0]["plot"]["series"][0]["slope"], 0.25)
        self.assertEqual(len(problems), 1)
        self.assertIn("slope 0.250", plots.draw(found[0]["plot"]))


class Rule(unittest.TestCase):
    """The rule of goals, as the C and the Python benchmarks have it."""

    WANTED = ["met", "not met"] * 3 + ["too few pairs", "too few pairs", "not measured", "met"]

    def run_c(self, directory):
        program, out = os.path.join(directory, "goals"), os.path.join(directory, "goals.tsv")
        bench = os.path.join(TOP, "bench")
        sources = [os.path.join(TOP, "tests/bench/goals.c")]
        sources += [os.path.join(bench, "support", name) for name in ("report.c", "stats.c")]
        command = os.environ.get("CC", "cc").split() + ["-std=c11", "-D_GNU_SOURCE", "-I" + bench]
        subprocess.run(command + ["-o", program] + sources + ["-lm"], check=True)
        environment = dict(os.environ, BENCH_TSV=out)
        subprocess.run([program], env=environment, check=True, stdout=subprocess.DEVNULL)
        problems = []
        (section,) = rows.read_rows(out, "goals", lambda i: "", problems)
        self.assertEqual(problems, [])
        return section

    def test_in_c(self):
        with tempfile.TemporaryDirectory() as directory:
            section = self.run_c(directory)
        self.assertEqual([sections.verdict(g) for g in section["goals"]], self.WANTED)
        first = section["goals"][0]
        for field, value in (("ratio", 0.97), ("low", 0.93), ("high", 1.01), ("pairs", 15)):
            self.assertAlmostEqual(first[field], value, msg=field)
        empty = next(row for row in section["rows"] if row["cells"][0] == "not measured")
        self.assertEqual(empty["cells"][1:4] + empty["cells"][5:], [""] * 4)
        self.assertEqual(empty["values"], {})

    def test_in_python(self):
        pairs = [0.90 + 0.01 * i for i in range(15)]
        ratio = report.paired_ratio(pairs, [1] * 15)
        for value, wanted in zip((0.97, 0.93, 1.01), ratio):
            self.assertAlmostEqual(value, wanted)
        self.assertIs(report.ratio_goal(ratio, 15, at_least=1.005), True)
        self.assertIs(report.ratio_goal(ratio, 15, at_least=1.015), False)
        self.assertIs(report.ratio_goal(ratio, 15, at_most=0.935), True)
        self.assertIs(report.ratio_goal(ratio, 15, at_most=0.925), False)
        self.assertIsNone(report.ratio_goal(ratio, 14, at_least=0.5))


class Plots(unittest.TestCase):
    def test_sixteen_series_look_different(self):
        looks = {(look.number, look.mark, look.dash) for look in map(plots.Look, range(16))}
        self.assertEqual(len(looks), 16)
        pairs = [(plots.Look(i).mark, plots.Look(i).dash) for i in range(16)]
        self.assertEqual(len(set(pairs)), 16)  # also without colour

    def test_axes_hold_every_value(self):
        for scale in ("log", "linear"):
            for values in ([5], [1, 1], [3, 1000], [1e-3, 1e9], [64, 1 << 28]):
                for unit in ("bytes", "ns", "x"):
                    axis = plots.Axis({"label": "", "unit": unit, "scale": scale}, values, (0, 100))
                    for value in values:
                        self.assertTrue(-1e-6 <= axis.at(value) <= 100 + 1e-6, (scale, values))
                    self.assertTrue(2 <= len(axis.ticks()) <= 20, (scale, values, axis.ticks()))


if __name__ == "__main__":
    unittest.main()
