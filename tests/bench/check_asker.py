# SPDX-License-Identifier: MIT
"""Checks how the asker's scenario tells torn arrays from whole ones (bench/asker), and counts them.

Arrays are torn here by hand, in each way in which a read beside a writer may be: a piece that is
missing, old, of the fill value, of another round, or in another place.  Where NumPy is not
installed, a stand-in takes its place.
"""

import contextlib
import importlib.util
import io
import json
import os
import signal
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get("TOP") or os.path.join(HERE, "../..")
sys.path[:0] = [os.path.join(TOP, "bench/asker"), os.path.join(TOP, "bench/support"), HERE]

try:
    import numpy
except ImportError:
    import numpy_stand_in as numpy

    sys.modules["numpy"] = numpy

import board as boards  # noqa: E402
import cell  # noqa: E402
import histogram  # noqa: E402
import judge  # noqa: E402
import tables  # noqa: E402
from scenario import BATCH, BATCHES, CHUNK, first_of  # noqa: E402

ROUND = 3
FIRST = first_of(ROUND)


def whole(count, number=ROUND):
    """The first `count` batches of a round."""
    return judge.batches(first_of(number), count)


class Judge(unittest.TestCase):
    def test_whole_arrays_are_not_torn(self):
        for number in (1, 2, 7, 100_000):
            for count in (1, 2, BATCHES // 2, BATCHES - 1, BATCHES):
                data = whole(count, number)
                self.assertEqual(len(data), count * BATCH)
                self.assertEqual(judge.newest(data), first_of(number) + count - 1)

    def test_the_producers_batches_make_whole_arrays(self):
        data = []
        for batch in range(FIRST, FIRST + 5):
            data += list(judge.batches(batch, 1))
        self.assertEqual(data, list(whole(5)))

    def test_a_length_between_batches_is_torn(self):
        data = whole(4)
        for length in (0, 1, CHUNK, BATCH - 1, BATCH + 1, 2 * CHUNK, 4 * BATCH - CHUNK):
            self.assertIsNone(judge.newest(data[:length]), length)

    def test_a_chunk_that_is_not_written_yet_is_torn(self):
        # The shape is new, the chunk still has the fill value: as asked.
        for count in (1, 2, 5, BATCHES):
            for chunk in range(count * BATCH // CHUNK):
                data = whole(count).copy()
                for i in range(chunk * CHUNK, (chunk + 1) * CHUNK):
                    data[i] = 0.0
                self.assertIsNone(judge.newest(data), (count, chunk))

    def test_one_element_is_enough(self):
        for value in (0.0, FIRST - 1.0, FIRST + 1.0, FIRST + 0.5, float("nan"), -1.0):
            for i in (0, 1, CHUNK - 1, CHUNK, BATCH, 3 * BATCH - 1):
                data = whole(3).copy()
                if data[i] != value:
                    data[i] = value
                    self.assertIsNone(judge.newest(data), (value, i))

    def test_an_older_tail_or_head_is_torn(self):
        data, older = whole(6), whole(6, ROUND - 1)
        for cut in (1, CHUNK, BATCH, 2 * BATCH, 6 * BATCH - 1):
            for front, back in ((data, older), (older, data)):
                mixed = front.copy()
                for i in range(cut, len(data)):
                    mixed[i] = back[i]
                self.assertIsNone(judge.newest(mixed), cut)

    def test_batches_in_another_order_are_torn(self):
        data = whole(4).copy()
        for i in range(BATCH):
            data[BATCH + i], data[2 * BATCH + i] = data[2 * BATCH + i], data[BATCH + i]
        self.assertIsNone(judge.newest(data))

    def test_what_does_not_begin_a_round_is_torn(self):
        self.assertIsNone(judge.newest(judge.batches(FIRST + 1, 3)))
        self.assertIsNone(judge.newest(whole(4)[BATCH:]))
        # Batches begin above 0, which is the fill value.
        self.assertIsNone(judge.newest(judge.batches(0, 3)))

    def test_more_than_a_round_is_torn(self):
        data = numpy.repeat(numpy.arange(BATCHES + 1, dtype="f8"), BATCH) + float(FIRST)
        self.assertIsNone(judge.newest(data))
        self.assertIsNotNone(judge.newest(data[: BATCHES * BATCH]))


class Readings(unittest.TestCase):
    """What a reader counts of what it read."""

    def setUp(self):
        self.board = boards.Board()
        self.seen = cell._Readings(self.board)

    def read(self, data, done):
        self.seen.add(10, data, 10**18, done)

    def test_torn_reads_are_counted_and_have_no_age(self):
        self.board.note(FIRST + 5)
        torn = whole(3).copy()
        torn[7] = 0.0
        self.read(whole(3), FIRST + 5)
        self.read(torn, FIRST + 5)
        self.read(whole(3), FIRST + 5)
        self.read(whole(4), FIRST + 5)
        packed = self.seen.packed()
        counts = {name: packed[name] for name in ("reads", "torn", "failed", "new")}
        self.assertEqual(counts, {"reads": 4, "torn": 1, "failed": 0, "new": 2})
        self.assertEqual(packed["elements"], 13 * BATCH)
        self.assertEqual(self.seen.behind, [3, 3, 2])

    def test_age_is_from_when_the_batch_was_finished(self):
        self.board.note(FIRST + 2)
        age = self.board.age(FIRST + 2, 10**18, FIRST + 2)
        self.assertTrue(0 < age < 10**18)
        self.assertEqual(self.board.age(FIRST + 3, 10**18, FIRST + 2), 0)
        self.assertIsNone(self.board.age(1, 10**18, 10**7))

    def test_a_cell_adds_its_readers_up(self):
        self.board.note(FIRST + 5)
        self.read(whole(3), FIRST + 5)
        self.seen.spent = 1000
        self.seen.fail(KeyError("x"))
        packed = self.seen.packed()
        out = cell._summary(10**9, 50, [packed, packed])
        self.assertEqual((out["reads"], out["torn"], out["failed"]), (2, 0, 2))
        self.assertEqual((out["reads_per_s"], out["batches_per_s"]), (2e6, 50))
        self.assertEqual(sum(out["durations"].values()), 2)
        self.assertIn("KeyError", out["error"])


class Goal(unittest.TestCase):
    def row(self, peer, torn, reads):
        return {"peer": peer, "values": {"torn": torn, "reads": reads}}

    def test_one_torn_read_of_ours_misses_it(self):
        good = [self.row(name, 0, 1000) for name in tables.OURS]
        others = [self.row("zarr-3", 900, 1000)]
        self.assertIs(tables._goal(good + others)["met"], True)
        for i in range(len(good)):
            bad = list(good)
            bad[i] = self.row(good[i]["peer"], 1, 1000)
            self.assertIs(tables._goal(bad + others)["met"], False)

    def test_without_reads_nothing_is_said(self):
        self.assertIsNone(tables._goal([])["met"])
        self.assertIsNone(tables._goal([{"peer": "untorn", "values": {}}])["met"])


def script():
    """bench/asker.py, as a module."""
    spec = importlib.util.spec_from_file_location("run", os.path.join(TOP, "bench/asker.py"))
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    return run


class Plan(unittest.TestCase):
    def test_a_full_run_takes_at_most_six_minutes(self):
        # By the plan, which is no measurement.
        run = script()
        count, seconds = run.planned(run.TIERS["full"][0], len(run.NAMES), run.TIERS["full"][1])
        self.assertEqual(count, 5 * 7 * 10)
        self.assertLessEqual(seconds, 6 * 60)
        self.assertEqual(run.planned([(0, 1, 0)], 2, 1), (10, 10 * (1 + run.AROUND)))


class Servers:
    """Of one way, which is interrupted in the middle of its measurements."""

    last = None

    def __init__(self):
        self.ways, self.reasons, self.left, self.ended = {}, {}, 3, False
        Servers.last = self

    def start(self, _):
        self.ways["queue"] = dict.fromkeys(("title", "version", "how", "source"), "queues")

    def measure(self, _):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        counts = dict.fromkeys(("reads", "torn", "failed", "new"), 1)
        rates = dict.fromkeys(("reads_per_s", "new_per_s", "batches_per_s", "length"), 1.0)
        times = dict.fromkeys(("durations", "ages", "behind"), {"7": 1})
        return {**counts, **rates, **times, "error": ""}

    def end(self):
        self.ended = True


class Interrupted(unittest.TestCase):
    def setUp(self):
        run = script()
        self.before = {number: signal.getsignal(number) for number in run.ENDS}
        self.run_script, run.servers_module.Servers = run, Servers

    def tearDown(self):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def test_it_hands_in_what_it_has(self):
        run = self.run_script
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "sections")
            arguments = types.SimpleNamespace(
                tier="full", names=["queue"], sections=path, raw=os.devnull
            )
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(
                io.StringIO()
            ):
                self.assertIs(run.run(arguments), False)
            with open(path, encoding="utf-8") as file:
                found = [json.loads(line) for line in file]
        # That which explains, and the two conditions that there was time for.
        names = [one["id"] for one in found]
        self.assertEqual(names, ["asker-ways", "asker-full-1", "asker-full-4"])
        self.assertEqual(found[1]["rows"][0]["values"]["repetitions"], 1)
        self.assertTrue(Servers.last.ended)


class Histogram(unittest.TestCase):
    def test_quantiles_within_the_width_of_a_bucket(self):
        values = [7 * i for i in range(1, 1001)]
        merged = histogram.merge([histogram.of(values[:300]), histogram.of(values[300:])])
        self.assertEqual(sum(merged.values()), 1000)
        for q in (0, 0.1, 0.5, 0.9, 0.99, 1):
            exact = values[int(q * 999)]
            self.assertAlmostEqual(histogram.quantile(merged, q) / exact, 1, delta=0.03)
        self.assertIsNone(histogram.quantile({}, 0.5))
        text = {str(bucket): count for bucket, count in merged.items()}  # as JSON has it
        self.assertEqual(histogram.merge([text]), merged)


if __name__ == "__main__":
    unittest.main()
