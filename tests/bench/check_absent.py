# SPDX-License-Identifier: MIT
"""Checks what benchmarks say where a peer is missing.

LMDB is hidden by BENCH_WITHOUT_LMDB, another peer in C by a compiler that does not find its header,
and Python's packages by an empty build directory in which nothing may be installed any more.  Then
all else is measured, the cells are empty, and there is a reason.
"""

import glob
import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

from peer_programs import BENCH, LIBRARY, TOP
from waiting import gone, heed_signals, wait_for

sys.path[:0] = [os.path.join(BENCH, name) for name in ("harness", "support")]

import rows  # noqa: E402

CC = os.environ.get("CC", "cc")
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-I" + BENCH, "-I" + os.path.join(TOP, "include")]
LIBRARIES = ["-llz4", "-lxxhash", "-lm", "-pthread"]
COMPILER = """#!/bin/sh
case " $* " in
*/peer_redis.c\\ *) echo 'hiredis/hiredis.h: No such file or directory' >&2; exit 1 ;;
esac
exec %s -DBENCH_WITHOUT_LMDB "$@"
"""


def environment(**more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("BENCH_")}
    return dict(clean, TOP=TOP, **more)


class Build(unittest.TestCase):
    """A build directory of its own, without LMDB."""

    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        cls.build = cls.held.name
        os.mkdir(cls.path("bench"))
        os.symlink(os.path.abspath(LIBRARY), cls.path("libuntorn.a"))
        support = glob.glob(os.path.join(BENCH, "support/*.c"))
        command = CC.split() + ["-DBENCH_WITHOUT_LMDB", "-c"] + FLAGS + support
        subprocess.run(command, cwd=cls.build, check=True)
        objects = glob.glob(cls.path("*.o"))
        subprocess.run(["ar", "rcs", cls.path("bench/libsupport.a")] + objects, check=True)
        with open(cls.path("cc"), "w", encoding="utf-8") as file:
            file.write(COMPILER % CC)
        os.chmod(cls.path("cc"), 0o755)

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.build, name)

    def benchmark(self, name):
        """Its first section."""
        program, out = self.path(name), self.path(name + ".tsv")
        command = CC.split() + ["-DBENCH_WITHOUT_LMDB"] + FLAGS + ["-o", program]
        command += [os.path.join(BENCH, name + ".c"), self.path("bench/libsupport.a"), LIBRARY]
        subprocess.run(command + LIBRARIES, check=True)
        settings = environment(BENCH_TSV=out, BENCH_EFFORT="0.001")
        done = subprocess.run(
            [program], env=settings, capture_output=True, text=True, timeout=120, check=False
        )
        # What comes later takes more shared memory than every machine has.
        self.assertNotIn("LMDB", done.stderr)
        problems = []
        found = rows.read_rows(out, name, lambda i: "", problems)
        self.assertEqual(problems, [])
        return found[0]

    def test_benchmarks_measure_all_else(self):
        for name in ("bench_commit", "bench_append"):
            section = self.benchmark(name)
            self.assertIn("LMDB: not measured, liblmdb-dev", " ".join(section["notes"]))
            by_peer = {row["cells"][0]: row for row in section["rows"]}
            of_lmdb = [row for case, row in by_peer.items() if case.startswith("LMDB")]
            self.assertTrue(of_lmdb)
            for row in of_lmdb:
                self.assertEqual((row["cells"][1], row["values"]), ("", {}), name)
            others = [row for row in by_peer.values() if row not in of_lmdb]
            self.assertTrue(all(row["cells"][1] for row in others), name)

    def test_peers_that_are_missing_have_empty_rows_and_the_reason(self):
        names = "untorn memcpy lmdb redis zarr-3 icechunk"
        out = self.path("sections")
        settings = environment(
            BUILD=self.build,
            CC=self.path("cc"),
            PYTHON=sys.executable,
            BENCH_PEERS=names,
            BENCH_PEERS_ONLY="rewrite-duty100-1MiB",
            BENCH_VENVS_TRIED="1",
        )
        command = [os.path.join(BENCH, "run_peers.sh"), "--quick", "--sections", out]
        done = subprocess.run(
            command, env=settings, capture_output=True, text=True, timeout=120, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(out, encoding="utf-8") as file:
            section = [json.loads(line) for line in file][-1]
        row = {row["peer"]: row["cells"][1:] for row in section["rows"]}
        self.assertEqual(set(row), set(names.split()))
        self.assertTrue(row["untorn"][0] and row["memcpy"][0])
        notes = " ".join(section["notes"])
        wanted = {
            "lmdb": "cannot be compiled here: liblmdb-dev is missing",
            "redis": "cannot be compiled here: libhiredis-dev, redis-server is missing",
            "zarr-3": "its Python packages could not be installed",
            "icechunk": "its Python packages could not be installed",
        }
        for peer, why in wanted.items():
            self.assertEqual(set(row[peer]), {""}, peer)
            self.assertIn("%s: %s" % (peer, why), notes)


class Environments(unittest.TestCase):
    """What makes Python's environments, with a script in the place of Python and pip."""

    def setUp(self):
        self.held = tempfile.TemporaryDirectory()
        self.build = self.held.name
        self.mark = os.path.join(self.build, "pid")

    def tearDown(self):
        self.held.cleanup()

    def python(self, pip):
        """Makes an environment whose pip does what is said."""
        path = os.path.join(self.build, "python")
        with open(path, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\n[ "$1" = -m ] || exit 0\nmkdir -p "$3/bin"\n')
            file.write('cat >"$3/bin/pip" <<"E"\n#!/bin/sh\n%s\nE\nchmod +x "$3/bin/pip"\n' % pip)
        os.chmod(path, 0o755)
        return path

    def start(self, pip):
        run = os.path.join(BENCH, "run.sh")
        settings = environment(BUILD=self.build, PYTHON=self.python(pip))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([run], env=settings, preexec_fn=heed_signals, **pipes)

    def test_who_cannot_install_goes_on(self):
        child = self.start("echo no network >&2; exit 1")
        _, said = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0, said)
        self.assertEqual(said.count("SKIPPED"), 2)
        with open(os.path.join(self.build, "venv-bench.log"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "no network\n")
        self.assertEqual(glob.glob(os.path.join(self.build, "venv-bench*/")), [])

    def test_what_is_ended_ends_pip(self):
        sleeps = "sleep 100 & echo $! >%s; wait" % shlex.quote(self.mark)
        child = self.start(sleeps)
        self.assertTrue(wait_for(lambda: os.path.exists(self.mark) and os.path.getsize(self.mark)))
        with open(self.mark, encoding="utf-8") as file:
            pid = int(file.read())
        child.terminate()
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 143)
        self.assertTrue(wait_for(lambda: gone(pid)))
        # What was begun is no environment.
        self.assertFalse(glob.glob(os.path.join(self.build, "venv*/.packages")))


if __name__ == "__main__":
    unittest.main()
