# SPDX-License-Identifier: MIT
"""One measurement of a peer in Python; peer.h has the protocol and says what is measured.

A peer is a class with

    name, version()
    __init__(directory, size)   before the fork: only paths; no library that starts threads
    writer_open(), write(array) in the writer's process; writes everything, a NumPy uint64 array
    reader_open(), read()       in the reader's process; returns such an array

and is run by main(Peer).
"""

import argparse
import json
import mmap
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

import numpy

CHUNK = 256 << 10  # bytes, as PEER_CHUNK
READER, WRITER = 0, 1  # processors
WARM_UP = 100_000_000


def elements_per_chunk(size):
    return min(size, CHUNK) // 8


class _Shared:
    """Words that both processes see: what the writer is to do, and how far it is."""

    READY, COMMAND, PROGRESS = range(3)
    IDLE, REWRITE, QUIT, FAILED = range(4)

    def __init__(self):
        self.words = memoryview(mmap.mmap(-1, 4096)).cast("Q")

    def __getitem__(self, i):
        return self.words[i]

    def __setitem__(self, i, value):
        self.words[i] = value


def _pin(core):
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        print("peer: cannot pin to processor %d" % core, file=sys.stderr)


def _writer(peer, size, shared):
    _pin(WRITER)
    places = numpy.arange(size // 8, dtype="u8")
    turn = 1
    peer.writer_open()
    peer.write(places + (turn << 24))
    shared[_Shared.READY] = 1
    while shared[_Shared.COMMAND] != _Shared.QUIT:
        if shared[_Shared.COMMAND] == _Shared.IDLE:
            time.sleep(0.0005)
            continue
        turn += 1
        peer.write(places + (turn << 24))
        shared[_Shared.PROGRESS] = turn


def _start_writer(peer, size, shared):
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _writer(peer, size, shared)
        status = 0
    except BaseException:
        if os.getppid() == parent:
            traceback.print_exc()
        shared[_Shared.READY] = _Shared.FAILED
    finally:
        os._exit(status)


def _await_writer(pid, shared):
    while shared[_Shared.READY] == 0:
        time.sleep(0.001)
    if shared[_Shared.READY] == _Shared.FAILED:
        os.waitpid(pid, 0)
        raise RuntimeError("the writer's process failed")


def _measure(peer, size, seconds, shared):
    places = numpy.arange(size // 8, dtype="u8")
    low = numpy.uint64((1 << 24) - 1)
    times, torn, new, last, spent = [], 0, 0, 0, 0
    end = time.monotonic_ns() + WARM_UP
    while time.monotonic_ns() < end:
        peer.read()
    commits = shared[_Shared.PROGRESS]
    start = now = time.monotonic_ns()
    end = start + int(seconds * 1e9)
    while now < end:
        before = time.monotonic_ns()
        data = peer.read()
        now = time.monotonic_ns()
        times.append(now - before)
        spent += now - before
        first = data[0]
        if first & low or not numpy.array_equal(data, places + first):
            torn += 1
        new += int(first) != last
        last = int(first)
    wall = time.monotonic_ns() - start
    times.sort()
    return {
        "wall_ns": wall,
        "spent_ns": spent,
        "reads": len(times),
        "attempts": len(times),
        "p50_ns": times[len(times) // 2],
        "p99_ns": times[len(times) * 99 // 100],
        "timer_ns": 0,
        "torn": torn,
        "new": new,
        "unfinished": 0,
        "commits": shared[_Shared.PROGRESS] - commits,
    }


def _run(peer, size, seconds):
    shared = _Shared()
    pid = _start_writer(peer, size, shared)
    try:
        _await_writer(pid, shared)
        _pin(READER)
        peer.reader_open()
        shared[_Shared.COMMAND] = _Shared.REWRITE
        return _measure(peer, size, seconds, shared)
    finally:
        shared[_Shared.COMMAND] = _Shared.QUIT
        # A lock may be held for ever: a second is enough for what is going on.
        for _ in range(100):
            if os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(0.01)
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main(make):
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--lock", action="store_true")
    arguments = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="untorn-bench-", dir="/dev/shm")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        peer = make(directory, arguments.bytes, arguments.lock)
        cell = _run(peer, arguments.bytes, arguments.seconds)
        head = {"peer": peer.name, "version": peer.version(), "workload": "rewrite"}
        print(json.dumps({**head, "bytes": arguments.bytes, **cell}), flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.flush()
    # Threads of libraries need not be waited for.
    os._exit(0)
