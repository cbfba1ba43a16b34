# SPDX-License-Identifier: MIT
"""Compiles programs of bench/peers for the tests, with the compiler that CC names, and runs a cell.

A program is its own file and what the peers in C have in common; only the peers that are asked for
need the library, which is that of $BUILD.
"""

import glob
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.environ.get("TOP") or os.path.join(HERE, "../.."))
BENCH = os.path.join(TOP, "bench")
LIBRARY = os.path.join(os.environ.get("BUILD") or os.path.join(TOP, "build"), "libuntorn.a")


def compile_peer(source, program, support=("machine.c", "child.c"), library=None):
    """`support`: files of bench/support that it uses."""
    parts = glob.glob(os.path.join(BENCH, "peers/*.c"))
    sources = [p for p in parts if not os.path.basename(p).startswith("peer_")]
    sources += [os.path.join(BENCH, "peers/peer_main.c"), source]
    sources += [os.path.join(BENCH, "support", name) for name in support]
    command = os.environ.get("CC", "cc").split() + ["-std=c11", "-D_GNU_SOURCE", "-O1"]
    command += ["-pthread", "-I" + BENCH, "-I" + os.path.join(TOP, "include")]
    command += ["-o", program] + sources
    command += [library, "-llz4", "-lxxhash"] if library else []
    subprocess.run(command + ["-lm"], check=True)


def run_cell(program, *arguments, **environment):
    """What it printed; an error if it did not end well."""
    done = subprocess.run(
        [program, *map(str, arguments)],
        env=dict(os.environ, **environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
