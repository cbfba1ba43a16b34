# SPDX-License-Identifier: MIT
"""Checks what the benchmarks in Python compute, against known values.

Medians, quantiles and intervals (support/report.py); rates of batches and of single calls, and
shares of what was looked at (peers/run_figures.py); the order of measurements
(peers/run_schedule.py) and how long they are said to take (peers/run_plan.py); what the tables say
of loads, and of peers that were not asked (peers/run_tables.py, run_plots.py, run_goals.py).
"""

import math
import os
import sys
import unittest

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path[:0] = [os.path.join(TOP, "bench/peers"), os.path.join(TOP, "bench/support")]

import report  # noqa: E402
import run_figures as figures  # noqa: E402
import run_goals  # noqa: E402
import run_matrix as matrix  # noqa: E402
import run_plan as plan  # noqa: E402
import run_plots as plots  # noqa: E402
import run_schedule as schedule  # noqa: E402
import run_tables as tables  # noqa: E402

PEERS = "untorn untorn-spin untorn-pin memcpy memcpy-round seqlock seqlock2 rwlock futex lmdb"
PEERS = (PEERS + " iceoryx hdf5-swmr redis " + " ".join(matrix.PYTHON)).split()


class Statistics(unittest.TestCase):
    def test_quantiles_of_known_samples(self):
        self.assertEqual(report.quantile([7], 0.5), 7)
        self.assertEqual(report.quantile([3, 1], 0.5), 2)
        self.assertEqual(report.quantile([5, 1, 4, 2, 3], 0.5), 3)
        self.assertEqual(report.quantile([4, 1, 3, 2], 0.25), 1.75)
        self.assertEqual(report.quantile(range(101), 0.99), 99)
        self.assertEqual([report.quantile([9, 8, 7], q) for q in (0, 1)], [7, 9])

    def test_intervals_are_those_of_the_sign_test(self):
        # n pairs: the ranks, from 1, of the 95 % interval of the median, as in tables of it.
        known = {1: (1, 1), 5: (1, 5), 6: (1, 6), 8: (1, 8), 9: (2, 8), 10: (2, 9), 12: (3, 10)}
        known.update({15: (4, 12), 20: (6, 15), 25: (8, 18), 50: (18, 33), 100: (40, 61)})
        for n, (low, high) in known.items():
            ratios = [float(i) for i in range(1, n + 1)]
            found = report.paired_ratio(ratios[::-1], [1] * n)
            self.assertEqual(found, ((n + 1) / 2, low, high), n)

    def test_an_interval_holds_the_median_with_95_percent_and_no_narrower_one_does(self):
        for n in range(6, 200):
            _, low, high = map(int, report.paired_ratio(range(1, n + 1), [1] * n))
            self.assertEqual(low + high, n + 1)
            covered = sum(math.comb(n, k) for k in range(low, high)) / 2**n
            narrower = sum(math.comb(n, k) for k in range(low + 1, high - 1)) / 2**n
            self.assertGreaterEqual(covered, 0.95, n)
            self.assertLess(narrower, 0.95, n)

    def test_a_ratio_is_the_median_of_pairs_and_not_a_ratio_of_medians(self):
        middle, low, high = report.paired_ratio([1, 20, 300], [1, 10, 100])
        self.assertEqual((middle, low, high), (2, 1, 3))
        # The machine at half of its speed in some repetitions: no pair is touched by it.
        slow = [1, 2, 1, 2, 1]
        self.assertEqual(report.paired_ratio([3 * s for s in slow], [2 * s for s in slow])[0], 1.5)

    def test_few_pairs_say_nothing(self):
        for pairs in range(15):
            for bound in ({"at_least": 0.1}, {"at_most": 9}, {"at_least": 9}, {"at_most": 0.1}):
                self.assertIsNone(report.ratio_goal((1, 0.9, 1.1), pairs, **bound))
        self.assertIs(report.ratio_goal((1, 0.9, 1.1), 15, at_least=1.1), True)
        self.assertIs(report.ratio_goal((1, 0.9, 1.1), 15, at_least=1.11), False)


class Figures(unittest.TestCase):
    def test_single_calls_are_without_the_clock(self):
        cell = {"reads": 100, "spent_ns": 10000, "timer_ns": 25, "wall_ns": 50000}
        self.assertEqual(figures.read_time(cell), 75)
        self.assertEqual(figures.read_rate(cell), 1e9 / 75)
        self.assertFalse(figures.below_clock(cell))
        self.assertEqual(figures.commit_rate({**cell, "commits": 100}), 1e9 / 75)
        # Never shorter than a tenth of the clock.
        self.assertAlmostEqual(figures.read_time({**cell, "timer_ns": 100}), 10)
        self.assertTrue(figures.below_clock({**cell, "timer_ns": 60}))

    def test_batches_are_taken_as_they_are(self):
        cell = {"reads": 80, "spent_ns": 1120, "timer_ns": 25, "wall_ns": 5000}
        cell.update(batched=64, batched_ns=640)
        self.assertEqual(figures.read_time(cell), 10)
        self.assertEqual(figures.read_rate(cell), 1e8)
        self.assertFalse(figures.below_clock(cell))
        self.assertEqual(figures.commit_rate({**cell, "commits": 80}), 1e8)

    def test_several_readers_share_the_time_that_passed(self):
        cell = {"reads": 80, "spent_ns": 1, "timer_ns": 0, "wall_ns": 1000, "readers": 2}
        self.assertEqual(figures.read_rate(cell), 80e6)

    def test_nothing_is_no_rate(self):
        for cell in ({}, {"reads": 0, "commits": 0, "spent_ns": 5, "wall_ns": 5}):
            self.assertEqual(figures.read_rate(cell), 0)
            self.assertEqual(figures.commit_rate(cell), 0)
            self.assertIsNone(figures.read_time(cell))
            self.assertEqual(figures.success(cell), 0)

    def test_shares_are_of_what_was_looked_at(self):
        cell = {"reads": 80, "attempts": 80, "checked": 20, "torn": 5, "new": 6, "compared": 12}
        self.assertEqual(figures.success(cell), 0.75)
        self.assertAlmostEqual(figures.success({**cell, "unfinished": 20}), 0.6)
        row = tables.Row(None, "x", {0: cell, 1: cell}, {})
        self.assertEqual(tables.COLUMNS["rewrite"][7][1](row)[0], "10 of 40 (25 %)")
        self.assertEqual(tables.COLUMNS["rewrite"][8][1](row)[0], "50 %")
        # A peer in Python looks at every read, and does not say so.
        python = {"reads": 80, "attempts": 80, "torn": 20, "new": 40, "errors": 0}
        self.assertEqual(figures.success(python), 0.75)
        row = tables.Row(None, "x", {0: python}, {})
        self.assertEqual(tables.COLUMNS["rewrite"][7][1](row)[0], "20 of 80 (25 %)")
        self.assertEqual(tables.COLUMNS["rewrite"][8][1](row)[0], "50 %")

    def test_pairs_are_of_the_same_repetition(self):
        ours = {0: {"p50_ns": 10}, 1: {"p50_ns": 40}, 3: {"p50_ns": 1}}
        theirs = {1: {"p50_ns": 20}, 0: {"p50_ns": 10}, 2: {"p50_ns": 1}}
        self.assertEqual(figures.ratio(figures.p50, ours, theirs), (1.5, 1, 2, 2))
        self.assertIsNone(figures.ratio(figures.p50, {0: {"p50_ns": 1}}, {}))


class Schedule(unittest.TestCase):
    def setUp(self):
        self.full = schedule.cells_of(matrix.full_cases(), PEERS)
        self.quick = schedule.cells_of(matrix.quick_cases(), PEERS)

    def test_ids_are_unique(self):
        for cases in (matrix.full_cases(), matrix.quick_cases()):
            names = [case.id for case in cases]
            self.assertEqual(len(names), len(set(names)))

    def test_a_repetition_has_each_cell_once_and_none_twice_in_a_row(self):
        last, first = None, {}
        for repetition in range(20):
            order = schedule.order(self.full, repetition, last)
            self.assertEqual(sorted(map(repr, order)), sorted(map(repr, self.full)))
            self.assertNotEqual(order[0], last)
            for before, after in zip(order, order[1:]):
                self.assertNotEqual(before, after)
            for case, peer in order:
                first.setdefault((repetition, case), peer)
            last = order[-1]
        both = [(matrix.full_cases()[0], peer) for peer in ("untorn", "memcpy")]
        self.assertEqual(schedule.order(both, 1, both[0]), [both[1], both[0]])
        self.assertEqual(schedule.order(both, 1, both[1]), [both[0], both[1]])
        case = matrix.full_cases()[0]
        takers = [peer for one, peer in self.full if one == case]
        begun = {first[repetition, case] for repetition in range(20)}
        self.assertEqual(begun, set(takers))  # each has its turn to be the first

    def test_goals_have_their_pairs(self):
        goals = schedule.cells_with_goals(self.full)
        for case in matrix.full_cases():
            for goal in case.goals:
                self.assertIn((case, goal.peer), goals)
                self.assertTrue(not goal.opponent or (case, goal.opponent) in goals)
        alone = schedule.cells_of(matrix.full_cases(), ["memcpy"])
        self.assertEqual(schedule.cells_with_goals(alone), [])

    def test_peers_take_part_where_they_differ(self):
        for case, peer in self.full + self.quick:
            self.assertTrue(peer != "untorn-pin" or case.workload == "snapshot")
            self.assertTrue(peer not in ("futex", "untorn-spin") or case.workload == "wake")
            whole = case.workload in ("rewrite", "commit") and not case.part and case.arrays == 1
            self.assertTrue(peer != "memcpy-round" or whole)
        for cells in (self.full, self.quick):
            there = {peer for _, peer in cells}
            self.assertEqual(there, set(PEERS))

    def test_equal_rates_are_compared_in_both_tiers(self):
        for cells in (self.full, self.quick):
            for size in (64, 4096, 1 << 20):
                takers = {
                    peer for case, peer in cells if case.rate >= 1000 and case.bytes == size
                }
                wanted = {"untorn", "memcpy", "memcpy-round", "seqlock", "lmdb"}
                self.assertLessEqual(wanted, takers)

    def test_the_plan_adds_up(self):
        goals = schedule.cells_with_goals(self.full)
        five, six = (plan.total(self.full, n, [], 15) for n in (5, 6))
        one = sum(plan.seconds(*cell) for cell in self.full if cell[1] in ("untorn", "lmdb"))
        self.assertGreater(six - five, one)
        # Who cannot wait is asked once, and everybody else five times.
        able = [c for c in self.full if c[0].workload != "wake" or c[1] in plan.ABLE_TO_WAIT]
        able = [c for c in able if c[1] not in ("iceoryx", "hdf5-swmr")]
        self.assertAlmostEqual(
            plan.total(able, 5, [], 15), 5 * sum(plan.seconds(*cell) for cell in able)
        )
        more = plan.total(self.full, 5, goals, 15) - five
        self.assertAlmostEqual(more, 10 * sum(plan.seconds(*cell) for cell in goals))
        said = plan.text(able, 5, goals, 15)
        count = 5 * len(able) + 10 * len(goals)
        self.assertIn("%d cells, %d measurements, about " % (len(able), count), said)

    def test_what_does_not_fit_is_shortened(self):
        read, write = matrix.Case("read", 64, 0.2), matrix.Case("rewrite", 64, 0.1)
        took = [(read, 0.3, 10), (write, 0.5, 10)]  # 8 s, of which 4 are measured
        self.assertEqual(plan.part_of_seconds(8, took), 1)
        self.assertEqual(plan.part_of_seconds(6, took), 0.5)
        self.assertEqual(plan.part_of_seconds(1, took), plan.SHORTEST)
        self.assertEqual(plan.part_of_seconds(-1, []), 1)
        self.assertEqual(plan.shortened(read, 0.5).seconds, 0.1)
        self.assertIs(plan.shortened(read, 1), read)

    def test_a_full_run_fits_into_its_time(self):
        # By the plan, which is no measurement.
        goals = schedule.cells_with_goals(self.full)
        most = 60 * plan.MOST_MINUTES
        self.assertLessEqual(plan.total(self.full, 5, goals, report.GOAL_PAIRS), most)


def cell(reads, **more):
    """Of a reader that takes all of a second."""
    said = {"reads": reads, "spent_ns": 1e9, "wall_ns": 1e9, "timer_ns": 0, "readers": 1}
    return {**said, "p50_ns": 1, "p99_ns": 2, "attempts": reads, "commits": 7, **more}


def results_of(cells, names=PEERS, absent=()):
    """{case: {peer: cell}}, the same in 15 repetitions."""
    found = schedule.Results(list(names), dict(absent))
    for case, peers in cells.items():
        for peer, one in peers.items():
            for repetition in range(15):
                found.add(case, peer, repetition, one)
    return found


def case_named(id_, cases=None):
    (found,) = [case for case in cases or matrix.full_cases() if case.id == id_]
    return found


class Loads(unittest.TestCase):
    """memcpy in place, and memcpy that goes round as many copies as untorn."""

    BUSY = case_named("rewrite-duty100-16MiB")
    CELLS = {
        "untorn": cell(690, copies=5),
        "memcpy": cell(1000),
        "memcpy-round": cell(700, copies=5),
    }

    def test_beside_a_writer_at_work_the_goal_is_against_the_same_load(self):
        for case in matrix.full_cases() + matrix.quick_cases():
            for goal in case.goals:
                if goal.figure != "read_rate":
                    continue
                against = {"read": "memcpy", "rewrite": "memcpy-round"}[case.workload]
                self.assertEqual(goal.opponent, against, case.id)
                self.assertEqual((goal.bound, goal.at_least), (0.95, True))
        large = [c for c in matrix.full_cases() if c.bytes >= 1 << 20 and not c.many]
        for case in large:
            self.assertEqual(len(case.goals), case.workload in ("read", "rewrite"), case.id)

    def test_a_goal_says_what_it_would_be_in_place(self):
        (goal,) = run_goals.goals(self.BUSY, results_of({self.BUSY: self.CELLS}))
        self.assertAlmostEqual(goal["ratio"], 690 / 700)
        self.assertIs(goal["met"], True)
        self.assertIn("over as many copies, 16 MiB, the writer rewriting it", goal["text"])
        self.assertIn("; of memcpy's in place: 0.690 [0.690, 0.690]", goal["text"])

    def test_without_the_same_load_nothing_is_said_to_be_met(self):
        less = {peer: self.CELLS[peer] for peer in ("untorn", "memcpy")}
        (goal,) = run_goals.goals(self.BUSY, results_of({self.BUSY: less}))
        self.assertIsNone(goal["met"])
        self.assertIn("memcpy-round was not measured", goal["text"])

    def test_a_table_says_how_many_copies_there_were(self):
        found = results_of({self.BUSY: self.CELLS})
        found.add(self.BUSY, "untorn", 3, cell(690, copies=9))
        notes = " ".join(tables.section(self.BUSY, found)["notes"])
        self.assertIn("Copies: untorn 5 to 9, memcpy-round 5.", notes)
        alone = results_of({self.BUSY: {"untorn": cell(690, copies=5)}})
        self.assertNotIn("Copies", " ".join(tables.section(self.BUSY, alone)["notes"]))


class Percentiles(unittest.TestCase):
    """p99 of few calls is the longest of them, and not shown."""

    def cells(self, reads, batched=0):
        one = cell(reads, batched=batched, batched_ns=batched)
        return {repetition: dict(one) for repetition in range(5)}

    def test_of_calls_that_were_timed_one_by_one(self):
        self.assertTrue(figures.has_p99(self.cells(100)))
        self.assertFalse(figures.has_p99(self.cells(99)))
        self.assertFalse(figures.has_p99(self.cells(640 + 99, batched=640)))
        self.assertFalse(figures.has_p99({}))
        commits = {0: {"commits": 100}}
        self.assertTrue(figures.has_p99(commits))

    def test_a_repetition_more_or_less_does_not_decide(self):
        found = self.cells(500)
        found[4] = cell(3, p99_ns=1e9)
        self.assertTrue(figures.has_p99(found))
        self.assertEqual(figures.median(figures.p99, found), 2)

    def test_a_table_and_a_plot_leave_it_out_and_say_why(self):
        many, few = (case_named("read-%s" % size) for size in ("1MiB", "256MiB"))
        cells = {many: {"untorn": cell(1000)}, few: {"untorn": cell(9)}}
        found = results_of(cells, ["untorn"])
        for case, there in ((many, True), (few, False)):
            section = tables.section(case, found)
            row = dict(zip(section["columns"], section["rows"][0]["cells"]))
            self.assertEqual((bool(row["p99"]), bool(row["p50"])), (there, True))
            self.assertIn("p99 is left out where", " ".join(section["notes"]))
        across = next(one for one in plots.ALL if one.id == "read-p99")
        section = plots.section(across, [many, few], found, "1")
        self.assertEqual(section["rows"][0]["cells"], ["untorn", "2 ns", ""])
        self.assertEqual(section["notes"], ["untorn, 256 MiB: fewer than 100 calls were timed."])


class Readers(unittest.TestCase):
    """One reader that is compared with many is measured as they are."""

    def test_the_rate_of_one_among_many_is_that_of_the_time_that_passed(self):
        # Of a second 0.1 s were spent in 1000 reads.
        one = cell(1000, spent_ns=1e8)
        for id_, wanted in (("readers1-64B", 1000), ("rewrite-duty100-64B", 10000)):
            case = case_named(id_)
            found = results_of({case: {"untorn": one}}, ["untorn"])
            row = tables.section(case, found)["rows"][0]
            self.assertAlmostEqual(row["values"]["reads_per_s"], wanted, msg=id_)

    def test_sizes_have_tables_of_their_own_and_one_plot_each_workload_and_axis(self):
        cases = matrix.full_cases()
        found = results_of(
            {case: {p: cell(9) for p in PEERS if case.takes(p)} for case in cases if not case.part}
        )
        wanted = {"readers-rate": 5, "wake-readers": 3, "snapshot-arrays": 3}
        for name, count in wanted.items():
            kind = [one for one in plots.ALL if one.id.startswith(name)]
            made = [plots.section(one, cases, found, "8") for one in kind]
            self.assertEqual(len(made), count)
            self.assertEqual(len({section["title"] for section in made}), count)
            self.assertEqual([s["id"] for s in made if "plot" in s], [name])
        for name in ("readers-size", "wake-size", "snapshot-size"):
            (one,) = [one for one in plots.ALL if one.id == name]
            section = plots.section(one, cases, found, "8")
            sizes = [matrix.size_text(case.bytes) for case in cases if one.chosen(case)]
            self.assertEqual(section["columns"], ["peer"] + sizes)
            self.assertGreaterEqual(len(sizes), 3)

    def test_all_sizes_and_numbers_are_measured(self):
        ids = {case.id for case in matrix.full_cases()}
        for size in ("64B", "4KiB", "64KiB", "1MiB", "16MiB"):
            for count in (1, 4, 16, 64):
                self.assertIn("readers%d-%s" % (count, size), ids)
        for size in ("64B", "4KiB", "64KiB"):
            for count in (2, 16, 256):
                self.assertIn("snapshot-arrays%d-%s" % (count, size), ids)
        for size in ("64B", "64KiB", "1MiB"):
            for count in (1, 4, 16):
                self.assertIn("wake-readers%d-%s" % (count, size), ids)


class Layouts(unittest.TestCase):
    def test_a_table_says_of_what_its_arrays_are(self):
        words = "Arrays of 64-bit unsigned integers, "
        known = {
            "read-64B": "of one chunk.",
            "rewrite-duty100-16MiB": "in chunks of 256 KiB where there are chunks.",
            "commit-part-16MiB": "in chunks of 256 KiB where there are chunks.",
            "append-8B": "in chunks of 256 KiB where there are chunks, begun anew at 64 MiB.",
        }
        for id_, text in known.items():
            case = case_named(id_)
            self.assertEqual(tables.section(case, results_of({}))["notes"][0], words + text)


class NotAsked(unittest.TestCase):
    """Who has no figures has empty cells, and there is a reason."""

    def section_of(self, id_, peers):
        case = case_named(id_)
        return tables.section(case, results_of({case: {peer: cell(5) for peer in peers}}))

    def test_a_peer_that_was_left_out_has_an_empty_row_and_the_reason(self):
        python = ", ".join(matrix.PYTHON)
        for id_ in ("rewrite-duty10-4KiB", "readers16-1MiB"):
            section = self.section_of(id_, ["untorn", "lmdb"])
            rows = {row["peer"]: row["cells"][1:] for row in section["rows"]}
            for peer in matrix.PYTHON:
                self.assertEqual(set(rows[peer]), {""})
            self.assertIn(python + ": not asked, to keep the run short.", section["notes"])
            self.assertNotIn("futex", rows)
        asked = self.section_of("readers8-1MiB", ["zarr-3"])
        self.assertNotIn("not asked", " ".join(asked["notes"]))

    def test_every_peer_is_asked_or_has_a_reason_or_is_for_another_workload(self):
        for case in matrix.full_cases() + matrix.quick_cases():
            for peer in PEERS:
                if case.takes(peer):
                    self.assertIsNone(case.not_asked(peer))
                elif peer not in matrix.ONLY:
                    self.assertTrue(case.not_asked(peer), (case.id, peer))

    def test_across_cases_each_empty_cell_has_a_reason(self):
        across = next(one for one in plots.ALL if one.id == "readers-rate")
        cases = [case for case in matrix.full_cases() if across.chosen(case)]
        cells = {case: {p: cell(9) for p in PEERS if case.takes(p)} for case in cases}
        found = results_of({case: dict(peers) for case, peers in cells.items()})
        del found.cells[cases[1], "lmdb"]
        found.reasons[cases[1], "lmdb"] = "no luck"
        section = plots.section(across, cases, found, "8")
        rows = {row["peer"]: row["cells"] for row in section["rows"]}
        there = [bool(text) for text in rows["zarr-3"][1:]]
        self.assertEqual(there, [case.readers in (1, 8, 64) for case in cases])
        python = ", ".join(matrix.PYTHON)
        self.assertIn(
            python + ", 2, 4, 16, 32: not asked, to keep the run short.", section["notes"]
        )
        self.assertIn("lmdb, 2: no luck.", section["notes"])
        self.assertEqual(len(section["notes"]), 2)


if __name__ == "__main__":
    unittest.main()
