# SPDX-License-Identifier: MIT
"""Checks that the peers are measured under the same load on memory.

The writer's memory was written to before anything is measured: seen by known_peer.c, which says how
many rounds there were when a reader opened it.  And the peer memcpy-round goes round as many copies
as the writer of the peer untorn: both say how many, the one by what it was made with, the other by
what it wrote to while it was measured.
"""

import importlib.util
import os
import sys
import tempfile
import unittest
import unittest.mock

from peer_programs import BENCH, HERE, LIBRARY, compile_peer, run_cell

sys.path[:0] = [os.path.join(BENCH, name) for name in ("peers", "support")]

COMMITS = 16  # of a writer, before anything is measured
STEADY = 1 + COMMITS  # rounds, with the first


class Clock:
    """In place of the module time: commits that take as long as is said."""

    def __init__(self, each):
        self.now, self.each, self.commits = 0.0, each, 0

    def monotonic(self):
        return self.now

    def commit(self):
        self.now += self.each
        self.commits += 1


class Steady(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        cls.program = os.path.join(cls.held.name, "known")
        compile_peer(os.path.join(HERE, "known_peer.c"), cls.program)

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    def rounds(self, workload, fault=""):
        """How many there were before a reader opened it."""
        arguments = ("--workload", workload, "--bytes", 64, "--seconds", 0.02)
        return run_cell(self.program, *arguments, UNTORN_TEST_FAULT=fault)["copies"]

    def test_a_writer_writes_again_to_all_that_it_keeps(self):
        self.assertGreaterEqual(self.rounds("rewrite"), STEADY)

    def test_one_that_takes_long_makes_no_more_commits_than_that(self):
        self.assertEqual(self.rounds("rewrite", "writes"), STEADY)

    def test_one_that_takes_too_long_makes_fewer(self):
        self.assertLess(self.rounds("rewrite", "ages"), STEADY)

    def test_a_writer_that_sleeps_writes_once(self):
        self.assertEqual(self.rounds("read"), 1)

    @unittest.skipUnless(importlib.util.find_spec("numpy"), "NumPy is missing")
    def test_peers_in_python_do_the_same(self):
        import workloads

        # 5 ms at least, 2 s at most.
        for each, commits in ((2**-10, COMMITS), (2**-2, 8), (2**-12, 21), (10, 1)):
            clock = Clock(each)
            with unittest.mock.patch.object(workloads, "time", clock):
                workloads.become_steady(clock.commit)
            self.assertEqual(clock.commits, commits)


@unittest.skipUnless(os.path.exists(LIBRARY), "the library is not there")
@unittest.skipIf(os.environ.get("SAN"), "the library needs the sanitizers")
class Copies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        support = ("machine.c", "child.c", "segment.c", "scratch.c")
        for name in ("untorn", "memcpy"):
            source = os.path.join(BENCH, "peers/peer_%s.c" % name)
            compile_peer(source, cls.path(name), support, LIBRARY)

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.held.name, name)

    def cell(self, name, workload, size, *more):
        arguments = ("--workload", workload, "--bytes", size, "--seconds", 0.02)
        cell = run_cell(self.path(name), *arguments, *more)
        self.assertNotIn("unable", cell)
        return cell

    def test_as_many_as_untorn_writes_to(self):
        loads = [("rewrite", size) for size in (64, 4096, 1 << 20)]
        for workload, size in loads + [("commit", 1 << 16), ("commit", 4 << 20)]:
            untorn = self.cell("untorn", workload, size)["copies"]
            round_ = self.cell("memcpy", workload, size, "--round")["copies"]
            # Of hundreds, one more or less is kept now and then.
            self.assertAlmostEqual(round_, untorn, delta=untorn // 32, msg=(workload, size))
            self.assertGreater(untorn, 4, "four versions and the one that is being written")

    def test_what_goes_round_is_read_as_it_was_written(self):
        cell = self.cell("memcpy", "read", 4096, "--round")
        self.assertEqual((cell["peer"], cell["torn"]), ("memcpy-round", 0))
        # The writer may be without a processor for as long as is measured.
        cells = (
            self.cell("memcpy", "rewrite", 4096, "--round", "--rate", 1000) for _ in range(20)
        )
        self.assertTrue(any(cell["new"] > 0 for cell in cells))
        # The last of many commits, by whichever copy it is.
        self.assertEqual(self.cell("memcpy", "commit", 1 << 20, "--round")["torn"], 0)

    def test_in_place_is_no_copy(self):
        self.assertNotIn("copies", self.cell("memcpy", "rewrite", 4096))

    def test_what_it_cannot_do_it_says(self):
        for more in (("--workload", "append"), ("--workload", "snapshot", "--arrays", 2)):
            cell = run_cell(self.path("memcpy"), *more, "--bytes", 64, "--seconds", 1, "--round")
            self.assertIn("see the peer memcpy", cell["unable"])


if __name__ == "__main__":
    unittest.main()
