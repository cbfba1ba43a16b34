# SPDX-License-Identifier: MIT
"""Checks bench/harness/run.py with small shell scripts in the place of benchmarks.

What fails must not keep the others from running, what it has handed in must be in the report, the
exit status must say so, and nothing that a program started may be left.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from waiting import gone, heed_signals, wait_for

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
TOP = os.path.abspath(TOP)
sys.path[:0] = [os.path.join(TOP, "bench/harness"), os.path.join(TOP, "bench/support")]

import parts  # noqa: E402
import process  # noqa: E402

SECTION = "printf 'S\\tTitle of %s\\nR\\tcase\\t1 ns\\t\\t\\t0\\tmet\\n' >>\"$BENCH_TSV\"\n"


class Runs(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.build = self.directory.name
        os.mkdir(os.path.join(self.build, "bench"))

    def tearDown(self):
        self.directory.cleanup()

    def program(self, name, text):
        path = os.path.join(self.build, "bench/bench_" + name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def start(self, preexec=heed_signals, stderr=subprocess.PIPE, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("BENCH_")}
        environment = dict(clean, TOP=TOP, BUILD=self.build, **environment)
        command = [sys.executable, "-B", os.path.join(TOP, "bench/harness/run.py")]
        pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
        return subprocess.Popen(command, env=environment, preexec_fn=preexec, **pipes)

    def begin_what_waits(self, before="", **more):
        """A harness whose first program has handed in a section and whose second one waits."""
        self.program("read", SECTION % "read")
        mark = os.path.join(self.build, "pid")
        text = before + SECTION % "commit" + "sleep 100 & echo $! >%s; wait; sleep 0.3\n" % mark
        self.program("commit", text)
        child = self.start(BENCH_PARTS="core shmstat", **more)
        self.assertTrue(wait_for(lambda: os.path.exists(mark) and os.path.getsize(mark)))
        with open(mark, encoding="utf-8") as file:
            return child, int(file.read())

    def is_interrupted(self):
        states = [(part["name"], part["state"]) for part in self.report()["parts"]]
        self.assertEqual(states, [("core", "interrupted"), ("shmstat", "not run")])
        self.assertEqual(len(self.report()["sections"]), 2)

    def run_harness(self, **environment):
        child = self.start(**environment)
        out, said = child.communicate(timeout=60)
        return child.returncode, out, said

    def report(self):
        with open(os.path.join(self.build, "bench/results.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_all_is_well(self):
        self.program("memory", SECTION % "memory" + 'echo "$BENCH_TIER $BENCH_EFFORT"\n')
        status, out, said = self.run_harness(BENCH_ONLY="memory", BENCH_TIER="full")
        self.assertEqual(status, 0, said)
        self.assertIn("Goals: 1 met", out)
        self.assertRegex(said, r"\Acore: ok, 0:\d\d\n\Z")  # no terminal: a line per part
        report = self.report()
        self.assertEqual((report["tier"], report["parts"][0]["state"]), ("full", "ok"))
        with open(os.path.join(self.build, "bench/raw/memory.out"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "full 1\n")
        for name in ("index.html", "results.txt", "performance.md"):
            self.assertTrue(os.path.getsize(os.path.join(self.build, "bench", name)) > 0)

    def test_others_go_on_where_one_fails(self):
        self.program("read", SECTION % "read" + "echo no luck >&2; exit 3\n")
        self.program("commit", SECTION % "commit" + "kill -SEGV $$\n")
        self.program("memory", SECTION % "memory")
        self.program("wake", "true\n")
        status, _, said = self.run_harness(BENCH_ONLY="read commit append wake memory")
        self.assertEqual(status, 1)
        part = self.report()["parts"][0]
        self.assertEqual(part["state"], "failed")
        told = "\n".join(part["reasons"])
        self.assertIn("read: exit status 3: no luck", told)
        self.assertIn("commit: ended by SIGSEGV", told)
        self.assertRegex(told, "append: there is no .*/bench_append")
        self.assertIn("wake: it handed in nothing", told)
        self.assertIn("no luck", said)
        titles = {section["title"] for section in self.report()["sections"]}
        self.assertEqual(titles, {"Title of " + n for n in ("read", "commit", "memory")})

    def test_a_run_of_some_keeps_what_there_is_of_others(self):
        self.program("memory", SECTION % "memory")
        self.program("read", SECTION % "read")
        titles = lambda: [section["title"] for section in self.report()["sections"]]  # noqa: E731
        self.run_harness(BENCH_ONLY="memory")
        self.run_harness(BENCH_ONLY="read")
        self.assertEqual(sorted(titles()), ["Title of memory", "Title of read"])
        self.program("memory", (SECTION % "memory").replace("Title of", "Newer"))
        self.run_harness(BENCH_ONLY="memory")
        self.assertEqual(sorted(titles()), ["Newer memory", "Title of read"])
        programs = self.report()["parts"][0]["programs"]
        self.assertEqual([programs[name]["state"] for name in ("read", "memory")], ["ok", "ok"])
        # Figures of another kind of run are not put beside these.
        status, _, said = self.run_harness(BENCH_ONLY="read", BENCH_TIER="full")
        self.assertEqual(status, 0)
        self.assertIn("the earlier run was a quick one", said)
        self.assertEqual(titles(), ["Title of read"])

    def test_names_that_there_are_not(self):
        for name in ("BENCH_ONLY", "BENCH_PARTS", "BENCH_TIER"):
            status, _, said = self.run_harness(**{name: "nonsense"})
            self.assertEqual(status, 1)
            self.assertIn("nonsense", said)

    def test_interrupted_it_writes_what_it_has(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child, pid = self.begin_what_waits()
            status, _, said = self.run_harness(BENCH_ONLY="read")
            self.assertEqual(status, 1)
            self.assertIn("another run", said)
            child.send_signal(number)
            child.communicate(timeout=60)
            self.assertEqual(child.returncode, 1)
            self.is_interrupted()
            self.assertTrue(wait_for(lambda pid=pid: gone(pid)))
            os.remove(os.path.join(self.build, "pid"))

    def test_who_is_impatient_does_not_lose_what_there_is(self):
        child, pid = self.begin_what_waits("trap : INT\n")
        for _ in range(20):
            child.send_signal(signal.SIGINT)
            time.sleep(0.01)
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 1)
        self.is_interrupted()
        self.assertTrue(wait_for(lambda: gone(pid)))

    def test_a_terminal_that_is_closed_loses_nothing(self):
        readable, writable = os.pipe()
        child, pid = self.begin_what_waits(stderr=writable)
        os.close(writable)
        os.close(readable)
        child.send_signal(signal.SIGHUP)
        child.communicate(timeout=60)
        self.is_interrupted()
        self.assertTrue(wait_for(lambda: gone(pid)))

    def test_a_signal_that_is_ignored_stays_so(self):
        ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
        child, pid = self.begin_what_waits(preexec=ignore)
        child.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertIsNone(child.poll())
        os.kill(pid, signal.SIGKILL)
        child.communicate(timeout=60)
        self.assertEqual(self.report()["parts"][0]["programs"]["commit"]["state"], "ok")

    def test_nothing_goes_on_where_the_harness_is_killed(self):
        child, waiting = self.begin_what_waits("echo $$ >%s/program\n" % self.build)
        with open(os.path.join(self.build, "program"), encoding="utf-8") as file:
            program = int(file.read())
        child.kill()
        child.communicate(timeout=60)
        try:
            self.assertTrue(wait_for(lambda: gone(program)))
        finally:
            os.kill(waiting, signal.SIGKILL)  # what the program leaves is its own affair

    def test_earlier_results_are_kept_where_a_run_of_some_is_interrupted(self):
        self.program("read", SECTION % "read")
        self.program("commit", SECTION % "commit")
        self.assertEqual(self.run_harness(BENCH_ONLY="read commit")[0], 0)
        before = self.report()
        self.program("read", "echo $$ >%s/pid; exec sleep 100\n" % self.build)
        child = self.start(BENCH_ONLY="read")
        self.assertTrue(wait_for(lambda: os.path.exists(self.build + "/pid")))
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        self.assertEqual([one["program"] for one in self.report()["sections"]], ["commit"])
        path = os.path.join(self.build, "bench/results.earlier.json")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(json.load(file), before)


class Processes(unittest.TestCase):
    def run_one(self, script, limit):
        with tempfile.TemporaryDirectory() as directory:
            log = os.path.join(directory, "log")
            try:
                process.run(["sh", "-c", script], dict(os.environ), limit, log, lambda said: None)
            finally:
                with open(log + ".out", encoding="utf-8") as file:
                    self.said = file.read()

    def test_what_takes_too_long_is_stopped(self):
        with self.assertRaisesRegex(process.Failed, "stopped after 3 s"):
            self.run_one("echo $$; exec sleep 100", 3)
        self.assertTrue(wait_for(lambda: gone(int(self.said))))

    def test_what_it_leaves_behind_is_ended(self):
        self.run_one("sleep 100 >/dev/null 2>&1 & echo $!", 50)
        self.assertTrue(wait_for(lambda: gone(int(self.said))))


class Parts(unittest.TestCase):
    def test_names_are_unique_and_chosen(self):
        setting = parts.Setting(TOP, "/build", "quick", "python3", "")
        every = parts.all_parts(setting)
        names = [program.name for part in every for program in part.programs]
        self.assertEqual(len(names), len(set(names)))
        some = parts.chosen(every, ["core", "store"], ["flush"], "quick")
        self.assertEqual([(p.name, len(p.programs)) for p in some], [("store", 1)])

    def test_every_benchmark_in_c_is_in_a_part(self):
        setting = parts.Setting(TOP, "/build", "full", "python3", "")
        run = {
            os.path.basename(p.command[0])
            for part in parts.all_parts(setting)
            for p in part.programs
        }
        there = os.listdir(os.path.join(TOP, "bench"))
        for name in there:
            if name.startswith("bench_") and name.endswith(".c"):
                self.assertIn(name[:-2], run)


if __name__ == "__main__":
    unittest.main()
