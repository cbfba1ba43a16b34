# SPDX-License-Identifier: MIT
"""The workloads of peer.h, for peers in Python.

Reads are measured in the readers' processes, commits and appends in the writer's.  The writer first
makes commits until whatever is kept of earlier rounds exists and was written to again, as in the
programs in C (crew.c), and in as much time at most.  Everything read
is checked between two measured calls.  A read that raises is counted as an attempt, and begun anew.
"""

import time

from pattern import Pattern, expected_round, round_of
from processes import READER, WRITER, Child, Deadline, Failed, Shared, set_alarm, wait_until

WARM_UP = 0.05  # seconds before anything is counted
STEADY_COMMITS, STEADY_TIME, STEADY_MOST = 16, 0.005, 2.0  # before that; seconds, for the slow
PER_BYTE = 0.2e-9  # seconds, of a read
START_TIME = 60  # seconds for a process to open what it needs, which is no part of the figures
GRACE = 1.0  # for a read that is going on when the time is up, and more for a large array
SLOWEST = 100e6  # bytes per second
SLICE = 0.001  # seconds of writing before a pause
NAP = 0.005  # the longest sleep without a look at the command
APPENDED = 64 << 20  # bytes; an array that is longer begins anew


def become_steady(commit):
    """Until all memory, or all files, that commits take were written to more than once."""
    start, spent, count = time.monotonic(), 0, 0
    while (count < STEADY_COMMITS or spent < STEADY_TIME) and spent < STEADY_MOST:
        commit()
        spent, count = time.monotonic() - start, count + 1


class Pace:
    """Pauses between commits: for a share of the time, or a rate, or none."""

    def __init__(self, duty, rate, going):
        self.rest = (100 - duty) / duty
        self.interval = 1 / rate if rate else 0
        self.going = going
        self.busy = 0.0
        self.due = time.monotonic()

    def _sleep_until(self, end):
        while self.going() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, NAP))

    def wait(self, took):
        now = time.monotonic()
        if self.interval:
            # A commit that came too late is not made up for by a burst.
            self.due = max(self.due + self.interval, now - self.interval)
            self._sleep_until(self.due)
        elif self.rest:
            self.busy += took
            if self.busy >= SLICE:
                self._sleep_until(now + self.busy * self.rest)
                self.busy = 0.0


class Writing:
    """What the writer's process does for read, rewrite and snapshot."""

    def __init__(self, peer, cell, shared):
        self.peer, self.cell, self.shared = peer, cell, shared
        self.pattern = Pattern(cell.bytes // 8)
        self.round = 0

    def _arrays(self):
        """Those that this round's transaction replaces."""
        if self.cell.workload == "snapshot":
            return sorted({0, self.round % self.cell.arrays})
        return [0]

    def commit(self):
        self.round += 1
        data = self.pattern.fill(self.round)
        self.peer.write({k: data for k in self._arrays()})
        self._tell()

    def _tell(self):
        self.shared[Shared.STAMP] = time.monotonic_ns()
        self.shared[Shared.PROGRESS] = self.round

    def _write_first(self):
        """All arrays, in one transaction, of rounds as if there had been as many before."""
        count = self.cell.arrays if self.cell.workload == "snapshot" else 1
        self.peer.write({k: self.pattern.fill(k or count).copy() for k in range(count)})
        self.round = count

    def _working(self):
        return self.shared[Shared.COMMAND] == Shared.WORK

    def _work(self):
        pace = Pace(self.cell.duty, self.cell.rate, self._working)
        self._tell()
        while self._working():
            before = time.monotonic()
            self.commit()
            pace.wait(time.monotonic() - before)

    def run(self):
        self.peer.writer_open()
        self._write_first()
        if self.cell.workload != "read":
            become_steady(self.commit)
        self.shared[Shared.READY] = 1
        while self.shared[Shared.COMMAND] != Shared.QUIT:
            if self._working():
                self._work()
            else:
                time.sleep(0.0005)


class Reading:
    """What a reader's process does; the figures are of the time from START to END."""

    def __init__(self, peer, cell, shared, number):
        self.peer, self.cell, self.shared = peer, cell, shared
        self.ready = Shared.READERS + number
        self.pattern = Pattern(cell.bytes // 8)
        self.reads = self.attempts = self.torn = self.new = self.spent = self.errors = self.last = 0
        self.unfinished, self.error, self.times = 0, "", []

    def _call(self):
        if self.cell.workload == "snapshot":
            return self.peer.snapshot()
        return [self.peer.read()]

    def _try(self):
        try:
            return self._call()
        except Exception as error:
            self.errors += 1
            self.error = self.error or "%s: %s" % (type(error).__name__, error)
            return None

    def _read(self, end):
        """One read, of as many attempts as it takes; None if the time is up before."""
        arrays, attempts = self._try(), 1
        while arrays is None and time.monotonic_ns() < end:
            arrays, attempts = self._try(), attempts + 1
        return arrays, attempts

    def _whole(self, arrays):
        newest = round_of(arrays[0])
        return len(arrays) == self.cell.arrays and all(
            self.pattern.check(data) == expected_round(newest, k, self.cell.arrays)
            for k, data in enumerate(arrays)
        )

    def _measure(self, start, end):
        """A read that began before the start is counted, with all of its time, if it ends after it:
        there may be no other."""
        while (before := time.monotonic_ns()) < end:
            arrays, attempts = self._read(end)
            now = time.monotonic_ns()
            if now < start:
                self.last = round_of(arrays[0]) if arrays else 0
                continue
            self.spent += now - before
            self.attempts += attempts
            if arrays is None:
                self.unfinished = 1
                return
            self._count(arrays, now - before)

    def _count(self, arrays, took):
        self.reads += 1
        self.times.append(took)
        self.torn += not self._whole(arrays)
        newest = round_of(arrays[0])
        self.new += newest != self.last
        self.last = newest

    def _read_until_end(self):
        """With an alarm for the last read, which may never end."""
        start, end = self.shared[Shared.START], self.shared[Shared.END]
        left = max((end - time.monotonic_ns()) / 1e9, 0)
        ended = False
        try:
            set_alarm(left + GRACE + self.cell.bytes * self.cell.arrays / SLOWEST)
            self._measure(start, end)
            ended = True
            set_alarm(0)
        except Deadline:
            if not ended:
                self.unfinished = 1
                self.spent = max(self.spent, end - start)

    def run(self):
        self.peer.reader_open()
        self.last = round_of(self._call()[0])
        self.shared[self.ready] = 1
        while not self.shared[Shared.END]:
            time.sleep(0.0005)
        self._read_until_end()
        names = ("reads", "attempts", "torn", "new", "unfinished", "errors", "error", "times")
        return {"spent": self.spent, **{name: getattr(self, name) for name in names}}


def timer():
    """What the clock takes, in nanoseconds."""
    count, start = 10000, time.monotonic_ns()
    for _ in range(count):
        now = time.monotonic_ns()
    return (now - start) / count


def quantiles(times):
    times = sorted(times)
    if not times:
        return {"p50_ns": 0, "p99_ns": 0}
    return {"p50_ns": times[len(times) // 2], "p99_ns": times[len(times) * 99 // 100]}


class Measurement:
    """One cell of read, rewrite or snapshot, seen from the first process."""

    def __init__(self, peer, cell):
        self.peer, self.cell, self.shared = peer, cell, Shared()
        self.children = []

    def _child(self, core, function):
        self.children.append(Child(core, function))
        return self.children[-1]

    def _progress(self):
        """The last round and when it was written, both of the same commit."""
        while True:
            round_, stamp = self.shared[Shared.PROGRESS], self.shared[Shared.STAMP]
            if round_ == self.shared[Shared.PROGRESS] and stamp == self.shared[Shared.STAMP]:
                return round_, stamp

    def _commits_in(self, seconds):
        """How many the writer makes in how many nanoseconds, counted from one to another."""
        first, begun = self._progress()
        start = time.monotonic_ns()
        time.sleep(seconds)
        wall = time.monotonic_ns() - start
        last, ended = self._progress()
        rate = (last - first) / (ended - begun) if ended > begun else 0
        return round(rate * wall, 2), wall

    def _start_writer(self):
        self._child(WRITER, Writing(self.peer, self.cell, self.shared).run)
        if not wait_until(lambda: self.shared[Shared.READY], self.children, START_TIME):
            raise Failed("the writer had not written once after %d s" % START_TIME)

    def _alone(self):
        self.shared[Shared.COMMAND] = Shared.WORK
        time.sleep(WARM_UP)
        commits, wall = self._commits_in(self.cell.seconds)
        self.shared[Shared.COMMAND] = Shared.IDLE
        return round(commits * self.cell.seconds * 1e9 / wall, 2)

    def _start_readers(self):
        count = self.cell.readers
        readers = [
            self._child(READER, Reading(self.peer, self.cell, self.shared, i).run)
            for i in range(count)
        ]
        words = range(Shared.READERS, Shared.READERS + count)
        limit = START_TIME + count
        if not wait_until(lambda: all(self.shared[w] for w in words), self.children, limit):
            raise Failed("the readers had not read once after %d s" % limit)
        return readers

    def _to_see_all(self, writes):
        """Seconds for the readers, on one processor, to have read all that is kept."""
        size = self.cell.bytes * self.cell.arrays * self.cell.readers
        return STEADY_COMMITS * PER_BYTE * size if writes else 0

    def _run(self):
        writes = self.cell.workload != "read"
        self._start_writer()
        figures = {"commits_alone": self._alone()} if writes else {}
        readers = self._start_readers()
        if writes:
            self.shared[Shared.COMMAND] = Shared.WORK
        start = time.monotonic_ns() + int((WARM_UP + self._to_see_all(writes)) * 1e9)
        self.shared[Shared.START] = start
        self.shared[Shared.END] = start + int(self.cell.seconds * 1e9)
        time.sleep(max(start - time.monotonic_ns(), 0) / 1e9)
        commits, wall = self._commits_in(self.cell.seconds)
        results = [reader.result() for reader in readers]
        return {"wall_ns": wall, **self._sum(results), "commits": commits, **figures}

    @staticmethod
    def _sum(results):
        names = ("reads", "attempts", "torn", "new", "unfinished", "errors")
        total = {name: sum(r[name] for r in results) for name in names}
        error = next((r["error"] for r in results if r["error"]), "")
        if error and not total["reads"]:
            raise Failed("every read failed: " + error)
        return {
            "spent_ns": sum(r["spent"] for r in results),
            **total,
            **({"error": error} if error else {}),
            **quantiles([t for r in results for t in r["times"]]),
            "timer_ns": timer(),
        }

    def run(self):
        try:
            return self._run()
        finally:
            self.shared[Shared.COMMAND] = Shared.QUIT
            self.shared[Shared.END] = self.shared[Shared.END] or 1
            for child in self.children:
                child.stop()


class Calls:
    """The writer's own calls, measured one by one; nobody reads."""

    def __init__(self, peer, cell):
        self.peer, self.cell = peer, cell
        self.times, self.torn = [], 0

    def _measure(self, prepare):
        """prepare() returns the call, ready to be made."""
        until = time.monotonic_ns() + int(WARM_UP * 1e9)
        prepare()()
        while time.monotonic_ns() < until:
            prepare()()
        start = now = time.monotonic_ns()
        end = start + int(self.cell.seconds * 1e9)
        while now < end:
            call = prepare()
            before = time.monotonic_ns()
            call()
            now = time.monotonic_ns()
            self.times.append(now - before)
        return now - start

    def _figures(self, wall):
        figures = {"wall_ns": wall, "spent_ns": sum(self.times), **quantiles(self.times)}
        return {**figures, "timer_ns": timer(), "commits": len(self.times), "torn": self.torn}

    def commit(self):
        pattern, count, rounds = Pattern(self.cell.bytes // 8), range(self.cell.arrays), [0]

        def prepare():
            rounds[0] += 1
            data = pattern.fill(rounds[0])
            return lambda: self.peer.write({k: data for k in count})

        self.peer.writer_open()
        become_steady(lambda: prepare()())
        wall = self._measure(prepare)
        self.peer.reader_open()
        written = self.peer.snapshot() if len(count) > 1 else [self.peer.read()]
        self.torn = sum(pattern.check(data) != rounds[0] for data in written)
        return self._figures(wall)

    def commit_part(self):
        words = self.cell.chunk // 8
        chunks = self.cell.bytes // self.cell.chunk
        pattern, written, rounds = Pattern(self.cell.bytes // 8), [1] * chunks, [1]

        def prepare():
            index = rounds[0] % chunks
            rounds[0] += 1
            written[index] = rounds[0]
            data = pattern.fill(rounds[0], index * words, words)
            return lambda: self.peer.write_chunk(index, data)

        self.peer.writer_open()
        self.peer.write({0: pattern.fill(1)})
        become_steady(lambda: prepare()())
        wall = self._measure(prepare)
        self.peer.reader_open()
        data = self.peer.read()
        found = [pattern.check(data[i * words : (i + 1) * words], i * words) for i in range(chunks)]
        self.torn = sum(a != b for a, b in zip(found, written))
        return self._figures(wall)

    def append(self):
        words, limit = self.cell.bytes // 8, max(APPENDED, self.cell.bytes) // 8
        whole = Pattern(limit).fill(1)
        at = [limit]

        def prepare():
            if at[0] + words > limit:
                self._check_appended(whole, at[0])
                self.peer.append_begin()
                at[0] = 0
            first, at[0] = at[0], at[0] + words
            data = whole[first : at[0]]
            return lambda: self.peer.append(data)

        self.peer.writer_open()
        self.peer.append_begin()
        at[0] = 0
        wall = self._measure(prepare)
        self._check_appended(whole, at[0])
        return self._figures(wall)

    def _check_appended(self, whole, count):
        self.peer.reader_open()
        data = self.peer.read()
        self.torn += not (len(data) == count and (data == whole[:count]).all())


def needed(cell):
    """What a peer must have for this cell, as a key of its `unable`, or None."""
    if cell.workload == "commit":
        return "part" if cell.part else "transaction" if cell.arrays > 1 else None
    return {"append": "append", "wake": "wait", "snapshot": "snapshot"}.get(cell.workload)


def measure(peer, cell):
    if cell.workload in ("read", "rewrite", "snapshot"):
        return Measurement(peer, cell).run()
    calls = Calls(peer, cell)
    how = {"append": calls.append, "commit": calls.commit_part if cell.part else calls.commit}
    child = Child(WRITER, how[cell.workload])
    try:
        return child.result()
    finally:
        child.stop()
