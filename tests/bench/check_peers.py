# SPDX-License-Identifier: MIT
"""Checks the runner of the peers (bench/peers/run.py) with scripts in their place, and what the
processes of a cell count (bench/peers/*.c) with a peer whose faults are known (known_peer.c).

The programs are those of bench/peers, compiled here with the compiler that CC names.
"""

import contextlib
import io
import json
import operator
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from peer_programs import BENCH, HERE, compile_peer, run_cell
from waiting import gone, heed_signals, wait_for

sys.path[:0] = [os.path.join(BENCH, name) for name in ("harness", "peers", "support")]

import run_matrix as matrix  # noqa: E402
import run_schedule as schedule  # noqa: E402
import run_sources as sources  # noqa: E402
import sections  # noqa: E402

# What a peer prints, with the arguments of its command in it.
FAKE = """#!/bin/sh
part=
while [ $# -gt 0 ]; do
    case $1 in
    --part) ;;
    --*) eval "${1#--}=$2"; shift ;;
    esac
    shift
done
%s
printf '{"peer":"fake","version":"<b>1</b>","workload":"%%s","bytes":%%s,' "${workload}" "$bytes"
printf '"arrays":%%s,"readers":%%s,' "${arrays:-1}" "${readers:-1}"
printf '"wall_ns":1000000,"spent_ns":300000,'
printf '"p50_ns":100,"p99_ns":200,"timer_ns":20,"torn":%s,"reads":1000,"attempts":1000,'
printf '"checked":500,"new":400,"compared":500,"unfinished":0,"commits":%%s,' "${rate:-77}"
printf '"commits_alone":50}\\n'
"""


class Runner(unittest.TestCase):
    def setUp(self):
        self.held = tempfile.TemporaryDirectory()
        self.directory = self.held.name

    def tearDown(self):
        self.held.cleanup()

    def path(self, name):
        return os.path.join(self.directory, name)

    def fake(self, name, does="", torn=0):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(FAKE % (does, torn))
        os.chmod(self.path(name), 0o755)
        return "%s=%s" % (name, self.path(name))

    def start(self, *arguments, **more):
        command = [sys.executable, "-B", os.path.join(BENCH, "peers/run.py"), "--quick"]
        command += ["--raw", self.path("raw"), "--sections", self.path("sections"), *arguments]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("BENCH_")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            command, env=dict(clean, **more), preexec_fn=heed_signals, **pipes
        )

    def run_all(self, *arguments, **more):
        child = self.start(*arguments, **more)
        out, said = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0, said)
        return out, said

    def sections(self):
        problems, lost = [], []
        found = sections.read_lines(self.path("sections"), problems, lost)
        self.assertEqual((problems, lost), ([], []))
        return {section["id"]: section for section in found}

    def one_case(self):
        """The section of the only case; beside it is one that says how peers are used."""
        found = self.sections()
        self.assertEqual(list(found)[0], "peers-used")
        _, section = found.values()
        return section

    def raw(self):
        with open(self.path("raw"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_others_go_on_where_one_fails(self):
        peers = [
            self.fake("untorn"),
            self.fake("memcpy", torn=5),
            self.fake("seqlock", "echo no luck >&2; exit 3"),
            self.fake("lmdb", """echo '{"unable":"it is <ill>"}'; exit 0"""),
            "zarr-3!its Python packages are missing",
        ]
        _, said = self.run_all("--only", "read,64B", *peers)
        self.assertRegex(said, r"\A4 cells, 20 measurements, about 1 minute\n")
        section = self.one_case()
        self.assertEqual(section["id"], "read-64b")
        rows = {row["peer"]: row for row in section["rows"]}
        self.assertEqual(list(rows), ["untorn", "memcpy", "seqlock", "lmdb", "zarr-3"])
        columns = section["columns"]
        of = lambda peer, name: rows[peer]["cells"][columns.index(name)]  # noqa: E731
        self.assertEqual(of("untorn", "torn"), "0 of 2.5 k")
        self.assertEqual(of("memcpy", "torn"), "25 of 2.5 k (1 %)")
        # 300 ns a call, of which the clock takes 20.
        self.assertAlmostEqual(rows["untorn"]["values"]["reads_per_s"], 1e9 / 280)
        self.assertEqual(rows["untorn"]["values"]["repetitions"], 5)
        for peer in ("seqlock", "lmdb", "zarr-3"):
            self.assertEqual(set(rows[peer]["cells"][1:]), {""})
        notes = " ".join(section["notes"])
        for note in ("seqlock: no luck.", "lmdb: it is <ill>.", "zarr-3: its Python packages are"):
            self.assertIn(note, notes)
        (goal,) = section["goals"]
        self.assertIn("seqlock was not measured", goal["text"])
        self.assertIsNone(goal["met"])
        # Who failed was not asked again.
        asked = [cell["peer"] for cell in self.raw()]
        self.assertEqual([asked.count(p) for p in list(rows)[:4]], [5, 5, 1, 1])
        self.assertTrue(all(cell["took_s"] > 0 for cell in self.raw()))

    def test_what_is_no_answer_is_no_figure(self):
        peers = [
            self.fake("untorn"),
            self.fake("memcpy", "bytes=65"),
            self.fake("seqlock", "echo '{nonsense'; exit 0"),
            self.fake("lmdb", "trap 'exit 4' EXIT"),
            "zarr-3=%s" % self.path("nothing-there"),
        ]
        self.run_all("--only", "read,64B", *peers)
        section = self.one_case()
        notes = " ".join(section["notes"])
        for note in ("memcpy: measured bytes 65, not 64", "seqlock: printed what is no JSON"):
            self.assertIn(note, notes)
        self.assertIn("lmdb: ended with status 4", notes)
        self.assertIn("zarr-3: [Errno 2]", notes)

    def test_a_rate_that_is_not_reached_is_said(self):
        # 77 commits in a millisecond are 77,000 a second; who has a rate says that it was reached.
        peers = [self.fake("untorn", "rate=$((rate / 1000))"), self.fake("memcpy", "rate=7")]
        self.run_all("--only", "rewrite,64B", *peers)
        found = self.sections()
        notes = " ".join(found["rewrite-rate100000-64b"]["notes"])
        self.assertIn("memcpy: reached 7 k of 100 k commits/s", notes)
        self.assertNotIn("untorn: reached", notes)
        self.assertIn("All writers are asked for the same rate", notes)
        self.assertNotIn("reached", " ".join(found["rewrite-duty100-64b"]["notes"]))

    def test_interrupted_it_writes_what_it_has(self):
        mark = self.path("mark")
        sleeps = '[ "$bytes" = 64 ] || { sleep 100 & echo $! >%s; wait; }' % mark
        child = self.start("--only", "read", self.fake("untorn"), self.fake("memcpy", sleeps))
        self.assertTrue(wait_for(lambda: os.path.exists(mark) and os.path.getsize(mark)))
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, said)
        found = self.sections()
        self.assertIn("read-4kib", found)  # memcpy's part of it is missing
        self.assertIn("untorn", found["read-64b"]["rows"][0]["cells"])
        with open(mark, encoding="utf-8") as file:
            pid = int(file.read())
        self.assertTrue(wait_for(lambda: gone(pid)))

    def test_nothing_goes_on_where_the_runner_is_killed(self):
        mark = self.path("mark")
        child = self.start("--only", "read", self.fake("untorn", "echo $$ >%s; sleep 100" % mark))
        self.assertTrue(wait_for(lambda: os.path.exists(mark) and os.path.getsize(mark)))
        with open(mark, encoding="utf-8") as file:
            pid = int(file.read())
        child.kill()
        child.communicate(timeout=60)
        try:
            self.assertTrue(wait_for(lambda: gone(pid)))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def test_what_a_killed_peer_leaves_is_removed(self):
        mark = self.path("mark")
        left = [place + "/untorn-bench-lmdb-$$-abc" for place in ("/dev/shm", "/tmp")]
        does = "mkdir %s && touch %s/in; echo $$ >%s; kill -9 $$" % (" ".join(left), left[0], mark)
        self.run_all("--only", "read,64B", self.fake("untorn"), self.fake("memcpy", does))
        with open(mark, encoding="utf-8") as file:
            pid = file.read().strip()
        self.assertIn("memcpy: ended by signal 9", " ".join(self.one_case()["notes"]))
        for path in left:
            self.assertFalse(os.path.exists(path.replace("$$", pid)), path)

    def test_sections_are_made_again_of_what_was_measured(self):
        self.run_all("--only", "read,64B", self.fake("untorn"), self.fake("memcpy"), "redis!none")
        before = self.sections()
        command = [sys.executable, "-B", os.path.join(BENCH, "peers/run.py"), "--quick", "--again"]
        command += [self.path("raw"), "--sections", self.path("sections"), "redis!none"]
        subprocess.run(command, check=True, timeout=60)
        after = self.sections()
        self.assertEqual(after["peers-used"], before["peers-used"])
        self.assertEqual(after["read-64b"], before["read-64b"])

    def test_cases_that_are_left_out_come_from_an_earlier_run(self):
        peers = [self.fake("untorn"), self.fake("memcpy")]
        self.run_all("--only", "read", *peers, BENCH_RUN="one day")
        first = self.raw()
        os.rename(self.path("raw"), self.path("earlier"))
        beside = ["--beside", self.path("earlier")]
        self.run_all(*beside, "--only", "read-4KiB", *peers, BENCH_RUN="another day")
        lines = self.raw()
        key = operator.itemgetter("case", "peer", "repetition")
        self.assertEqual(sorted(map(key, lines)), sorted(map(key, first)))
        for line in lines:
            anew = line["case"] == "read-4KiB"
            self.assertEqual(line["run"], "another day" if anew else "one day")
            self.assertEqual(line in first, not anew)
        found = self.sections()
        for name, day in (("read-64b", "one day"), ("read-4kib", "another day")):
            self.assertIn("Measured %s." % day, found[name]["notes"])
        child = self.start(*beside, "--only", "memcpy", *peers)
        self.assertIn("--beside is for whole cases", child.communicate(timeout=60)[1])
        self.assertEqual(child.returncode, 2)

    def test_every_peer_says_how_it_is_used(self):
        with open(os.path.join(BENCH, "run_peers.sh"), encoding="utf-8") as file:
            names = re.search(r"BENCH_PEERS:-([^}]*)}", file.read()).group(1)
        names = names.replace("\\\n", "").split()
        self.assertGreater(len(names), 15)
        self.assertEqual(set(names), set(sources.SOURCES))
        self.assertTrue(all(what and source for what, source in sources.SOURCES.values()))

    def test_no_peer_always_has_the_same_one_before_it(self):
        for count in (3, 4, 6, 8, 12, 18, 19):
            peers, before = list(range(count)), [set() for _ in range(count)]
            for repetition in range(5):
                order = schedule.turns(peers, repetition)
                self.assertEqual(sorted(order), peers)
                for one, other in zip(order, order[1:]):
                    before[other].add(one)
            self.assertTrue(all(len(others) > 1 for others in before), count)
        # Two take turns in going first.
        self.assertEqual([schedule.turns("ab", r)[0] for r in range(4)], list("abab"))

    def test_what_takes_too_long_is_shortened_after_the_first_repetition(self):
        mark = self.path("mark")
        name, _, command = self.fake("untorn", "echo $seconds >>%s" % mark).partition("=")
        case = matrix.Case("read", 64, 0.2)
        found = schedule.Results([name], {})
        with open(self.path("raw"), "w", encoding="utf-8") as raw:
            turns = schedule.Schedule({name: [command]}, found, raw, limit=-100)
            with contextlib.redirect_stderr(io.StringIO()) as said:
                turns.run([(case, name)], 3, [(case, name)], 4)
        self.assertIn("25 % of their seconds", said.getvalue())
        with open(mark, encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["0.2", "0.05", "0.05", "0.05"])
        self.assertEqual(sorted(found.of(case, name)), [0, 1, 2, 3])

    def test_effort_makes_more_repetitions_and_a_list_measures_nothing(self):
        peer = self.fake("untorn")
        out, said = self.run_all("--list", "--only", "read", peer, BENCH_EFFORT="2")
        self.assertEqual(out.splitlines()[0], "read-64B\tuntorn")
        self.assertRegex(said, r"\A3 cells, 30 measurements, ")
        self.assertFalse(os.path.exists(self.path("raw")))


class Counts(unittest.TestCase):
    """One reader or writer of known_peer.c; the seconds are as short as they may be."""

    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        cls.program = os.path.join(cls.held.name, "known")
        compile_peer(os.path.join(HERE, "known_peer.c"), cls.program)

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    def cell(self, workload, size, fault="", seconds="0.02"):
        arguments = ("--workload", workload, "--bytes", size, "--seconds", seconds)
        cell = run_cell(self.program, *arguments, UNTORN_TEST_FAULT=fault)
        self.assertEqual(cell["version"], '"known" \\ 1')
        return cell

    def short(self, *arguments):
        """Calls are short by the clock: without a processor for long they would not be."""
        for _ in range(5):
            cell = self.cell(*arguments)
            if "batched" in cell:
                return cell
        self.fail("short calls were never timed in batches")

    def turns(self, cell, calls):
        """How many batches of 64 there were, each with 16 single calls behind it."""
        self.assertEqual(cell["batched"] % 64, 0)
        turns = cell["batched"] // 64
        self.assertGreater(turns, 0)
        self.assertEqual(calls, 80 * turns)
        self.assertTrue(0 < cell["batched_ns"] < cell["spent_ns"] <= cell["wall_ns"])
        self.assertTrue(0 < cell["p50_ns"] <= cell["p99_ns"])
        return turns

    def test_sound_reads(self):
        cell = self.short("read", 64)
        self.turns(cell, cell["reads"])
        self.assertEqual((cell["torn"], cell["new"], cell["unfinished"]), (0, 0, 0))
        self.assertEqual(cell["attempts"], cell["reads"])
        self.assertEqual((cell["checked"], cell["compared"]), (cell["reads"],) * 2)

    def test_torn_reads_are_found_in_batches_and_between_them(self):
        for size in (64, 128, 4096, 8192):
            cell = self.short("read", size, "torn")
            turns = self.turns(cell, cell["reads"])
            slots = min(64, 16384 // size)
            self.assertEqual(cell["checked"], (slots + 16) * turns)
            if (slots + 16) % 5 == 0:
                self.assertEqual(5 * cell["torn"], cell["checked"], size)
            else:
                share = cell["torn"] / cell["checked"]
                self.assertTrue(0.1 < share < 0.3, (size, share))

    def test_reads_are_new_or_not_known_to_be(self):
        for size in (64, 4096, 16384):
            cell = self.short("read", size, "new")
            turns = self.turns(cell, cell["reads"])
            slots = 16384 // size
            unknown = 0 if slots >= 64 else turns  # the first that is kept of a batch
            self.assertEqual(cell["compared"], cell["checked"] - unknown)
            self.assertEqual(cell["new"], cell["compared"])
            self.assertEqual(cell["torn"], 0)

    def test_long_calls_are_timed_one_by_one(self):
        for size, fault in ((64, "slow"), (32768, "torn")):
            cell = self.cell("read", size, fault)
            self.assertNotIn("batched", cell)
            self.assertEqual((cell["checked"], cell["compared"]), (cell["reads"],) * 2)
            self.assertGreater(cell["reads"], 0)
            wrong = cell["torn"] - (cell["reads"] // 5 if fault == "torn" else 0)
            self.assertIn(wrong, (0, 1))

    def test_one_call_is_measured_however_long_it_takes(self):
        cell = self.cell("read", 64, "huge")
        self.assertEqual((cell["reads"], cell["unfinished"]), (1, 0))
        self.assertGreaterEqual(cell["spent_ns"], 200e6)

    def test_a_read_that_does_not_end(self):
        cell = self.cell("read", 64, "endless")
        # All in the time before anything is counted, or the rest after it: none is counted twice.
        self.assertEqual(cell["unfinished"], 1)
        self.assertLess(cell["reads"], 3000)
        self.assertEqual(cell["torn"], 0)

    def test_commits(self):
        for fault, torn in (("", 0), ("lost", 1)):
            cell = self.short("commit", 64, fault)
            self.turns(cell, cell["commits"])
            self.assertEqual(cell["torn"], torn)
            self.assertNotIn("reads", cell)

    def test_appends_begin_anew_in_time(self):
        for size in (8, 4096, 3 << 20, 64 << 20):
            for fault, torn in (("", 0), ("lost", 1)):
                cell = self.short("append", size, fault)
                self.assertGreater(cell["commits"], 0)
                self.assertEqual(cell["torn"], torn, size)

    def test_what_it_cannot_do_it_says(self):
        self.assertEqual(self.cell("wake", 64)["unable"], "nobody waits")


if __name__ == "__main__":
    unittest.main()
