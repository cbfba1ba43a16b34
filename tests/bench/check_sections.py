# SPDX-License-Identifier: MIT
"""Checks bench/harness/sections.py with what a part should not hand in.

Whatever comes out of normalise() has the one form, holds printable text and finite numbers, and can
be rendered; what is no section is refused by Malformed and by nothing else.
"""

import json
import math
import os
import random
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path[:0] = [os.path.join(TOP, "bench/harness"), os.path.join(TOP, "bench/support")]

import joining  # noqa: E402
import results  # noqa: E402
import sections  # noqa: E402

HUGE = 10**400  # no double holds it
TEXTS = [
    *("", " ", "a", "</td></table><script>x</script>", "&lt;&#0;", "]]>", "<!--"),
    *("\x00\x1b[31m\n\r\t", "\ud800", "\u202eabc", "\uffff", "|" * 50, "`$\\", "../../x"),
    *("x" * 10**5, "\u0bb5" * 5000),
]
NUMBERS = [0, -1, 1e-320, 1e308, -1e308, HUGE, -HUGE, math.nan, math.inf, -math.inf, True, False]
PEERS = ["untorn", "untorn-x", "memcpy", "seqlock", "other"]  # of whom the report knows something
COLUMNS = ["case", "reads/s", "untorn's / this", "goal", "lowest - highest"]
VALUES = ["torn", "checked", "reads", "ratio", "new_share", "untorn_ratio"]
VALUES += ["untorn_ratio_low", "untorn_ratio_high"]
OTHERS = [None, [], {}, [[]], {"a": []}, [None], 7, 1.5]


def normalised(raw):
    problems = []
    section = sections.normalise(raw, problems)
    check(section)
    return section, problems


def check(section):
    """The form, of any section."""
    assert set(section) - {"plot"} == {
        *("id", "program", "group", "title", "notes", "columns", "rows", "goals"),
    }, set(section)
    json.dumps(section, allow_nan=False)
    width = len(section["columns"])
    for row in section["rows"]:
        assert len(row["cells"]) == width
    for goal in section["goals"]:
        assert set(goal) == {"text", "ratio", "low", "high", "pairs", "met"}, goal
        assert goal["met"] in (True, False, None)
    for one in section.get("plot", {"series": []})["series"]:
        for point in one["points"]:
            assert len(point) == 4, point
    every(section)


def every(value):
    """Texts are printable, numbers finite, wherever they are."""
    if isinstance(value, str):
        assert value.isprintable() or "\ufffd" in value, ascii(value)
        assert len(value) <= sections.MOST_TEXT
        assert not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in value), ascii(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            every(key)
            every(inner)
    elif isinstance(value, list):
        for inner in value:
            every(inner)
    elif value is not None:
        assert isinstance(value, (int, float)) and math.isfinite(value), value


def render(found):
    """All forms of the report; the page has to be XML."""
    parts = [joining.part("core", {"read": joining.entry("ok", 1.0, "a day")})]
    with tempfile.TemporaryDirectory() as directory:
        results.write(results.make("quick", [("Machine", "x")], parts, found), directory)
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                if name == "index.html":
                    xml.fromstring(text.replace("<!DOCTYPE html>", ""))
        plots = os.path.join(directory, "plots")
        for name in os.listdir(plots):
            xml.parse(os.path.join(plots, name))


class Anything:
    """Values of any kind, the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def leaf(self):
        return self.random.choice(self.random.choice((TEXTS, NUMBERS, OTHERS)))

    def some(self, make, most=4):
        if self.random.random() < 0.05:
            return self.leaf()
        return [make() for _ in range(self.random.randrange(most))]

    def object(self, **fields):
        if self.random.random() < 0.03:
            return self.leaf()
        return {name: make() for name, make in fields.items() if self.random.random() < 0.9}

    def point(self):
        kind = self.random.random()
        if kind < 0.1:
            return self.leaf()
        if kind < 0.5:
            return [self.random.uniform(-1, 100) for _ in range(self.random.choice((2, 4)))]
        return [self.random.choice(NUMBERS + [1, 2.5]) for _ in range(self.random.randrange(6))]

    def axis(self):
        scale = lambda: self.random.choice(("log", "linear", "log", "", None, 3))  # noqa: E731
        return self.object(label=self.leaf, unit=self.leaf, scale=scale)

    def series(self):
        points = lambda: self.some(self.point, 30)  # noqa: E731
        return self.object(name=self.leaf, points=points, slope=self.leaf)

    def plot(self):
        series = lambda: self.some(self.series)  # noqa: E731
        return self.object(title=self.leaf, x=self.axis, y=self.axis, series=series)

    def row(self):
        values = lambda: self.random.choice(OTHERS + [self.values()] * 4)  # noqa: E731
        peer = lambda: self.random.choice([*PEERS, self.leaf()])  # noqa: E731
        return self.object(cells=lambda: self.some(self.leaf), values=values, peer=peer)

    def values(self):
        return {name: self.random.choice(NUMBERS + [1, 2.5]) for name in VALUES}

    def goal(self):
        names = ("text", "ratio", "low", "high", "pairs", "met")
        return self.object(**dict.fromkeys(names, self.leaf))

    def section(self):
        fields = dict.fromkeys(("id", "group", "title"), self.leaf)
        column = lambda: self.random.choice([*COLUMNS, self.leaf()])  # noqa: E731
        for name, make in (("notes", self.leaf), ("columns", column), ("rows", self.row)):
            fields[name] = lambda make=make: self.some(make)
        return self.object(**fields, goals=lambda: self.some(self.goal), plot=self.plot)


class Hostile(unittest.TestCase):
    def test_what_is_no_section_is_refused(self):
        for raw in (None, [], "x", 7, math.nan):
            with self.assertRaises(sections.Malformed):
                sections.normalise(raw, [])
        for field in ("columns", "notes", "rows", "goals"):
            for value in ("text", {"a": 1}, 7, True):
                with self.assertRaises(sections.Malformed, msg=field):
                    sections.normalise({"id": "a", field: value}, [])
        for field in ("rows", "goals"):
            for value in (None, 7, "x", []):
                with self.assertRaises(sections.Malformed, msg=field):
                    sections.normalise({"id": "a", field: [value]}, [])
        for series in ("x", [1], [{"points": "x"}]):
            with self.assertRaises(sections.Malformed):
                sections.normalise({"id": "a", "plot": {"series": series}}, [])

    def test_any_text_and_number_in_any_place(self):
        found, refused = [], 0
        for seed in range(400):
            raw = Anything(seed).section()
            try:
                found.append(normalised(raw)[0])
            except sections.Malformed:
                refused += 1
        self.assertGreater(len(found), 100)
        self.assertGreater(refused, 20)
        render(found)

    def test_numbers_that_are_none(self):
        for value in (math.nan, math.inf, -math.inf, HUGE, "1", True, None, [1], {}):
            goal = {"text": "t", "met": True, "pairs": 15}
            raw = {
                "id": "a",
                "columns": ["x"],
                "rows": [{"cells": ["c"], "values": {"v": value}}],
                "goals": [{**goal, "ratio": value}, {**goal, "ratio": 1.0, "pairs": value}],
            }
            section, _ = normalised(raw)
            self.assertIsNone(section["rows"][0]["values"]["v"], value)
            first, second = section["goals"]
            self.assertIsNone(first["ratio"], value)
            # A ratio whose pairs nobody knows says nothing.
            self.assertIsNone(second["met"], value)

    def test_met_is_said_by_true_and_false_only(self):
        for value in (1, 0, "met", "false", [True], None):
            section, _ = normalised({"id": "a", "goals": [{"text": "t", "met": value}]})
            self.assertIsNone(section["goals"][0]["met"], value)

    def test_points_without_a_place_are_left_out_and_said(self):
        bad = [[0, 1], [1, 0], [-1, 1], [1, -1], [1, math.nan], [HUGE, 1], [True, 1], ["1", 1]]
        bad += [[1], [1, 2, 3], [1, 2, 3, 4, 5], "x", None]
        log = {"label": "l", "unit": "", "scale": "log"}
        series = [{"name": "s", "points": bad + [[1, 2], [3, 4, 0, 9]], "slope": math.nan}]
        plot = {"title": "t", "x": log, "y": log, "series": series}
        section, problems = normalised({"id": "a", "plot": plot})
        (one,) = section["plot"]["series"]
        self.assertEqual(one["points"], [[1, 2, 2, 2], [3, 4, 4, 9]])
        self.assertNotIn("slope", one)
        self.assertIn("a: %d points of the plot" % len(bad), problems[0])

    def test_what_is_long_is_kept_or_cut(self):
        rows = [{"cells": [str(i), "x"], "values": {"i": i}} for i in range(20000)]
        raw = {"id": "i" * 10**6, "title": "t" * 10**6, "columns": ["a", "b"], "rows": rows}
        raw["notes"] = ["n"] * 1000
        points = [[i + 1, i + 1] for i in range(20000)]
        raw["plot"] = {"series": [{"name": "s", "points": points}]}
        section, _ = normalised(raw)
        self.assertEqual(len(section["rows"]), 20000)
        self.assertEqual(len(section["notes"]), 1000)
        self.assertEqual(len(section["title"]), sections.MOST_TEXT)
        self.assertLessEqual(len(section["id"]), 80)
        self.assertEqual(len(section["plot"]["series"][0]["points"]), 20000)

    def test_ids_are_names_of_files(self):
        for value in ("../../etc/x", "/", "", "a b", "\x00", 5, ["x"], "A" * 300, "\u00e9", "-"):
            section, _ = normalised({"id": value, "title": value})
            self.assertRegex(section["id"], r"\A[a-z0-9][a-z0-9-]{0,79}\Z")

    def test_lines_of_a_file(self):
        lines = [
            '{"id": "a", "columns": ["x"], "rows": [{"cells": [1], "values": {"v": NaN}}]}',
            '{"id": "b", "goals": [{"ratio": Infinity, "met": true}]}',
            *("NaN", "[" * 100000, "\x00"),
            *('{"id": "c"}{"id": "d"}', '{"id": "e", "id": "f"}', "\ufeff{}", '"' + "x" * 10**6),
        ]
        problems, lost = [], []
        with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as file:
            file.write(("\n".join(lines) + "\n").encode() + b'\xff\xfe{"id"\n{"id": "\xff"}')
            file.flush()
            found = sections.read_lines(file.name, problems, lost)
        for section in found:
            check(section)
        self.assertEqual([section["id"] for section in found], ["a", "b", "f", "section"])
        self.assertEqual(len(lost), 7)
        self.assertIsNone(found[0]["rows"][0]["values"]["v"])


if __name__ == "__main__":
    unittest.main()
