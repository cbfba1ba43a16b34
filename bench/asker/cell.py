# SPDX-License-Identifier: MIT
"""One cell: a producer's process, some readers', and what they saw.

The process that calls measure() forks them, lets them run, and kills what does not end.  It must
not have used any library that starts threads, only imported them.

Readers read whole arrays, without a pause between reads unless they are given a pace.  Each read is
timed, and then judged outside the time.  The rate is that of reads in the time that was spent in
them.
"""

import ctypes
import os
import pickle
import select
import signal
import sys
import time
import traceback

import histogram
import judge
import scenario
from board import END, MEASURE, SETUP, STOP, WARM, Board
from way import Gone

_PREFILL = scenario.BATCHES // 2  # low rates would otherwise be measured on short arrays alone
_WARM_UP = 0.05  # seconds
_PATIENCE = 20  # seconds, for the start and the end
_PR_SET_PDEATHSIG = 1


class Unable(RuntimeError):
    """The cell cannot be measured, and why."""


class _Pace:
    """`rate` times a second; 0: without a pause.  Who cannot keep up does not catch up."""

    def __init__(self, rate, offset=0.0):
        self._period = 1 / rate if rate else 0
        self._due = time.monotonic() + offset * self._period

    def wait(self):
        if self._period:
            self._due = max(self._due + self._period, time.monotonic() - self._period)
            time.sleep(max(0, self._due - time.monotonic()))


def _produce(way, board, rate, process):
    """As fast as it can, or `rate` batches a second."""
    way.producer_open()
    number, batch = 1, scenario.first_of(1)
    way.begin_round(number)
    way.append(judge.batches(batch, _PREFILL), board)
    batch += _PREFILL
    board.note(batch - 1)
    board.round = number
    way.prefilled()
    board.set_ready(process)
    while board.phase == SETUP:
        time.sleep(0.0005)
    pace = _Pace(rate)
    while board.phase < STOP:
        pace.wait()
        if batch % scenario.BATCHES == 0:
            number = batch // scenario.BATCHES
            way.begin_round(number)
        way.append(judge.batches(batch, 1), board)
        board.note(batch)
        board.round = number
        batch += 1
    while board.phase != END:
        time.sleep(0.0005)
    way.producer_close()


class _Readings:
    """What one reader saw in the time that counts."""

    def __init__(self, board):
        self._board = board
        self._last = None
        self.spent = 0
        self.reads = self.torn = self.failed = self.new = self.elements = 0
        self.durations, self.ages, self.behind = [], [], []
        self.error = ""

    def add(self, duration, data, now, done):
        newest = judge.newest(data)
        self.reads += 1
        self.durations.append(duration)
        self.elements += len(data)
        if newest is None:
            self.torn += 1
            return
        self.new += newest != self._last
        self._last = newest
        self.behind.append(max(0, done - newest))
        age = self._board.age(newest, now, done)
        if age is not None:
            self.ages.append(age)

    def fail(self, error):
        self.failed += 1
        self.error = "%s: %s" % (type(error).__name__, error)

    def packed(self):
        return {
            "spent": self.spent,
            "reads": self.reads,
            "torn": self.torn,
            "failed": self.failed,
            "new": self.new,
            "elements": self.elements,
            "durations": histogram.of(self.durations),
            "ages": histogram.of(self.ages),
            "behind": histogram.of(self.behind),
            "error": self.error,
        }


def _read_newest(way, board):
    while True:
        try:
            return way.read(board.round)
        except Gone:
            pass


def _read(way, board, i, rate, offset):
    process = i + 1
    while not board.is_ready(0):
        time.sleep(0.0005)
    way.reader_open(i)
    _read_newest(way, board)
    board.set_ready(process)
    while board.phase == SETUP:
        time.sleep(0.0005)
    seen, pace = _Readings(board), _Pace(rate, offset)
    while board.phase < STOP:
        pace.wait()
        counts = board.phase == MEASURE
        before = time.monotonic_ns()
        try:
            data, error = _read_newest(way, board), None
        except Exception as caught:
            error = caught
        now, done = time.monotonic_ns(), board.done
        if not counts:
            continue
        seen.spent += now - before
        if error:
            seen.fail(error)
        else:
            seen.add(now - before, data, now, done)
    way.reader_close()
    return seen.packed()


class _Child:
    """A forked process that runs a function and sends back what it returns."""

    def __init__(self, function, *arguments):
        parent = os.getpid()
        self._pipe, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _run_child(parent, write_end, function, arguments)
        os.close(write_end)

    def answer(self, deadline):
        """What the function returned; raises Unable if it failed or is not done in time."""
        data = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
                raise Unable("a process did not end in time")
            some = os.read(self._pipe, 1 << 16)
            if not some:
                break
            data += some
        if not data:
            raise Unable("a process ended without a word")
        good, result = pickle.loads(data)
        if not good:
            raise Unable(result)
        return result

    def running(self):
        """False once it has said or closed something, which it does at the end alone."""
        return not select.select([self._pipe], [], [], 0)[0]

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._pipe)


def _run_child(parent, pipe, function, arguments):
    """Never returns: neither the parent's clean-up nor a library's is for this process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        if os.getppid() == parent:
            result = (True, function(*arguments))
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = "%s: %s (%s)" % (type(error).__name__, error, os.path.basename(where.filename))
        result = (False, text)
    try:
        with os.fdopen(pipe, "wb") as file:
            pickle.dump(result, file)
    finally:
        os._exit(0)


def _await_ready(children, board):
    deadline = time.monotonic() + _PATIENCE
    for process, child in enumerate(children):
        while not board.is_ready(process):
            if not child.running():
                child.answer(deadline)
                raise Unable("a process ended early")
            if time.monotonic() > deadline:
                raise Unable("a process was not ready in time")
            time.sleep(0.0005)


def _run(children, board, seconds):
    _await_ready(children, board)
    board.phase = WARM
    time.sleep(_WARM_UP)
    start, first = time.monotonic_ns(), board.done
    board.phase = MEASURE
    time.sleep(seconds)
    wall, count = time.monotonic_ns() - start, board.done - first
    board.phase = STOP
    deadline = time.monotonic() + _PATIENCE
    readings = [child.answer(deadline) for child in children[1:]]
    board.phase = END
    children[0].answer(deadline)
    return wall, count, readings


def _summary(wall, count, readers):
    out = {key: sum(r[key] for r in readers) for key in ("reads", "torn", "failed", "new")}
    out["reads_per_s"] = sum(r["reads"] * 1e9 / max(1, r["spent"]) for r in readers)
    out["new_per_s"] = out["new"] * 1e9 / wall
    out["batches_per_s"] = count * 1e9 / wall
    out["length"] = sum(r["elements"] for r in readers) / max(1, out["reads"])
    for key in ("durations", "ages", "behind"):
        out[key] = histogram.merge(r[key] for r in readers)
    out["error"] = next((r["error"] for r in readers if r["error"]), "")
    return out


def measure(way, rate, readers, reads, seconds):
    """Batches a second, readers, and reads a second of each; 0: as fast as they can.

    Raises Unable.
    """
    board, children = Board(), []
    way.prepare(readers)
    sys.stdout.flush()
    try:
        children.append(_Child(_produce, way, board, rate, 0))
        for i in range(readers):
            children.append(_Child(_read, way, board, i, reads, i / readers))
        return _summary(*_run(children, board, seconds))
    finally:
        board.phase = END
        for child in children:
            child.end()
        way.clean()
