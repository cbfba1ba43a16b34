# SPDX-License-Identifier: MIT
"""What is measured: workloads x sizes, which peers in which, and the goals.

A case is one table: a workload with its size and load, and the peers that take part.  A cell is a
case of one peer.  peer.h says what the workloads are.
"""

from dataclasses import dataclass

from run_text import number_text, size_id, size_text

KIB, MIB = 1 << 10, 1 << 20
GROUPS = {
    "read": "1. Whole-array reads, writer idle",
    "rewrite": "2. Reads under a writer",
    "commit": "3. Commits",
    "append": "4. Appends",
    "wake": "5. Wake-up latency",
    "snapshot": "6. Group snapshots",
    "readers": "8. Readers 1 to 64",
}
SIZES = (64, 4 * KIB, 64 * KIB, MIB, 16 * MIB, 256 * MIB)
PART_CHUNK = 256 * KIB
ONLY = {
    "futex": ("wake",),
    "untorn-spin": ("wake",),
    "untorn-pin": ("snapshot",),
    "memcpy-round": ("rewrite", "commit"),  # where the writer is awake, and of one whole array
}
# Those in C that promise whole arrays, and memcpy; redis and hdf5-swmr take longer for a commit.
FAST = ("untorn", "memcpy", "memcpy-round", "seqlock", "seqlock2", "rwlock", "lmdb", "iceoryx")
# Commits a second that all of them can reach.
EQUAL_RATES = ((100_000, 64, FAST), (100_000, 4 * KIB, FAST), (1000, MIB, FAST + ("redis",)))
LOCKED = ("zarr-2-lock", "zarr-3-lock")  # which differ from those without only beside others
PYTHON = ("zarr-2", "zarr-2-lock", "zarr-3", "zarr-3-lock", "tensorstore", "icechunk")

# Why a peer has no figures in a case that it could take part in.
NO_TIME = "not asked, to keep the run short"
NO_OTHERS = "not asked where nobody is in its way; see the same without a lock"
NO_ROOM = "not asked: readers that spin on one processor wait for each other"
NO_MATCH = "not asked: this rate is for those that can all reach it"
QUICK = "not asked in a quick run"


@dataclass(frozen=True)
class Goal:
    """Of untorn: against a peer (paired), or against a figure (`opponent` is None)."""

    text: str
    figure: str  # a function of run_figures.py
    bound: float
    at_least: bool
    opponent: str = None
    peer: str = "untorn"
    beside: str = None  # another opponent, whose ratio stands in the text
    scale: float = 1  # what the figure is divided by without an opponent


@dataclass(frozen=True)
class Case:
    workload: str
    bytes: int
    seconds: float
    duty: int = 100
    rate: int = 0
    arrays: int = 1
    readers: int = 1
    chunk: int = 0  # 0: as the peer has it
    part: bool = False
    many: bool = False  # one of those with 1 to 64 readers
    peers: tuple = ()  # those that take part; empty: all
    without: tuple = ()  # but these
    why: str = NO_TIME  # not those
    goals: tuple = ()

    @property
    def group(self):
        return GROUPS["readers" if self.many else self.workload]

    @property
    def id(self):
        name = "readers%d" % self.readers if self.many else self.workload
        if self.workload == "rewrite" and not self.many:
            name += "-rate%d" % self.rate if self.rate else "-duty%d" % self.duty
        if self.workload in ("commit", "snapshot") and self.arrays > 1:
            name += "-arrays%d" % self.arrays
        if self.workload == "wake":
            name += "-readers%d" % self.readers
        return name + ("-part" if self.part else "") + "-" + size_id(self.bytes)

    @property
    def words(self):
        """How --only may call it."""
        return {self.workload, "readers"} if self.many else {self.workload}

    def title(self):
        size = size_text(self.bytes)
        return {
            "read": self._read_title(size),
            "rewrite": self._read_title(size),
            "commit": self._commit_title(size),
            "append": "Appending %s per commit, in chunks of 256 KiB" % size,
            "wake": "Waking %d blocked readers by a publication of %s" % (self.readers, size),
            "snapshot": "Snapshots of %d arrays of %s, one of them hot" % (self.arrays, size),
        }[self.workload].replace(" 1 blocked readers", " 1 blocked reader")

    @property
    def load(self):
        """What the writer does meanwhile; empty where there is nothing to say."""
        if self.workload == "read":
            return "the writer asleep"
        if self.workload != "rewrite":
            return ""
        if self.rate:
            return "the writer committing {:,} times a second".format(self.rate)
        how = "without pause" if self.duty == 100 else "%d %% of the time" % self.duty
        return "the writer rewriting it " + how

    def _read_title(self, size):
        if self.many:
            who = "1 reader" if self.readers == 1 else "%d readers" % self.readers
            return "%s of %s, %s" % (who, size, self.load)
        return "Reading %s whole, %s" % (size, self.load)

    def _commit_title(self, size):
        if self.part:
            chunk = size_text(self.chunk)
            return "Committing one chunk of %s of an array of %s" % (chunk, size)
        if self.arrays > 1:
            return "Committing %d arrays of %s in one transaction" % (self.arrays, size)
        return "Committing a whole array of %s" % size

    def arguments(self):
        said = ["--workload", self.workload, "--bytes", self.bytes, "--seconds", self.seconds]
        for name in ("duty", "rate", "arrays", "readers", "chunk"):
            value = getattr(self, name)
            if value != Case.__dataclass_fields__[name].default:
                said += ["--" + name, value]
        return [str(word) for word in said] + (["--part"] if self.part else [])

    def _is_for(self, peer):
        if peer == "memcpy-round" and (self.part or self.arrays > 1):
            return False
        return self.workload in ONLY.get(peer, (self.workload,))

    def not_asked(self, peer):
        """Why not, of a peer that could take part; else None."""
        return self.why if self._is_for(peer) and not self.takes(peer) else None

    def takes(self, peer):
        if not self._is_for(peer):
            return False
        return (not self.peers or peer in self.peers) and peer not in self.without


def memcpy_goal(size):
    text = "untorn's read rate >= 0.95 of memcpy's, " + size_text(size)
    return Goal(text, "read_rate", 0.95, True, "memcpy")


def copies_goal(size):
    text = "untorn's read rate >= 0.95 of memcpy's over as many copies, " + size_text(size)
    return Goal(text, "read_rate", 0.95, True, "memcpy-round", beside="memcpy")


def seqlock_goal(size):
    text = "untorn's time of a read <= 2 times a classic seqlock's, " + size_text(size)
    return Goal(text, "read_time", 2, False, "seqlock")


def read_goals(size, awake=True):
    """`awake`: the writer is at work, so that the load on memory depends on what it writes to."""
    if size >= MIB:
        return (copies_goal(size) if awake else memcpy_goal(size),)
    return (seqlock_goal(size),) if size == 64 else ()


def rate_goal(what):
    text = "untorn makes 10 M %s a second (the ratio is to that)" % what
    return Goal(text, "commit_rate", 1, True, scale=1e7)


def wake_goals(readers):
    who = "1 reader" if readers == 1 else "%d readers" % readers
    futex = "untorn's wake-up (p50) <= 1.1 times a bare futex's, " + who
    goals = (Goal(futex, "p50", 1.1, False, "futex"),)
    if readers > 1:
        return goals
    spin = "untorn's wake-up (p50) of a reader that spins < 1 us (the ratio is to that)"
    return goals + (Goal(spin, "p50", 1, False, peer="untorn-spin", scale=1000),)


def seconds_for(size, duty=100):
    """Long enough for some rounds of the largest, and of a writer that seldom writes."""
    if size >= 256 * MIB:
        return 0.4
    return 0.3 if duty == 1 else 0.2 if size >= 16 * MIB else 0.1


def full_cases():
    def case(workload, size, **more):
        # What falls between cells that there are.
        few = size != MIB and more.get("duty", 100) in (10, 50)
        if few:
            more.setdefault("without", PYTHON)
        elif workload in ("read", "commit", "append"):
            more.update(without=LOCKED, why=NO_OTHERS)
        return Case(workload, size, seconds_for(size, more.get("duty", 100)), **more)

    cases = [case("read", size, goals=read_goals(size, awake=False)) for size in SIZES]
    loads = [(100, size) for size in SIZES]
    # One commit of the largest takes a good part of the time that a cell has.
    loads += [(duty, size) for duty in (50, 10, 1) for size in SIZES[:5]]
    cases += [case("rewrite", size, duty=duty, goals=read_goals(size)) for duty, size in loads]
    cases += [
        case("rewrite", size, rate=rate, goals=read_goals(size))
        for rate, size in ((1000, 4 * KIB), (100, MIB))
    ]
    cases += [
        case("rewrite", size, rate=rate, peers=peers, why=NO_MATCH, goals=read_goals(size))
        for rate, size, peers in EQUAL_RATES
    ]
    cases.append(case("commit", 64, goals=(rate_goal("commits of 64 B"),)))
    cases += [case("commit", size) for size in SIZES[1:]]
    cases += [case("commit", size, chunk=PART_CHUNK, part=True) for size in SIZES[4:]]
    cases += [case("commit", 4 * KIB, arrays=count) for count in (16, 256)]
    cases.append(case("append", 8, goals=(rate_goal("appends of 8 B"),)))
    cases += [case("append", size) for size in (4 * KIB, 256 * KIB)]
    cases += [
        case("wake", 64, readers=n, goals=wake_goals(n), **_one_may_spin(n))
        for n in (1, 2, 4, 8, 16)
    ]
    cases += [
        case("wake", size, readers=n, **_one_may_spin(n))
        for size in (64 * KIB, MIB)
        for n in (1, 4, 16)
    ]
    cases += [
        case("snapshot", size, arrays=count)
        for size in (64, 4 * KIB, 64 * KIB)
        for count in (2, 16, 256)
    ]
    return cases + _many_cases(case)


def _one_may_spin(readers):
    """Readers that spin on one processor would wait for each other."""
    return {} if readers == 1 else {"without": ("untorn-spin",), "why": NO_ROOM}


def _many_cases(case):
    """Python is asked at both ends; 64 of its readers with 16 MiB would take minutes."""
    counts = {size: (1, 4, 16, 64) for size in SIZES[:5]}
    counts[MIB] = (1, 2, 4, 8, 16, 32, 64)

    def asked(size, n):
        return n in ((1, 8, 64) if size <= MIB else (1,))

    return [
        case("rewrite", size, readers=n, many=True, without=() if asked(size, n) else PYTHON)
        for size in SIZES[:5]
        for n in counts[size]
    ]


def quick_cases():
    few = ("untorn", "memcpy", "memcpy-round", "seqlock", "lmdb", "zarr-3")

    def case(workload, size, peers=few, **more):
        return Case(workload, size, 0.06, peers=peers, why=QUICK, **more)

    locks = ("untorn", "rwlock", "lmdb", "memcpy", "memcpy-round")
    goals = {size: read_goals(size, awake=False) for size in (64, 4 * KIB, MIB)}
    cases = [case("read", size, goals=mine) for size, mine in goals.items()]
    cases += [case("rewrite", size, goals=read_goals(size)) for size in (64, 4 * KIB)]
    cases.append(case("rewrite", MIB, (), goals=read_goals(MIB)))
    cases.append(case("rewrite", MIB, few[:5], duty=1))
    cases.append(case("rewrite", MIB, ("untorn", "memcpy", "lmdb", "zarr-3"), rate=20))
    cases += [case("rewrite", size, few[:5], rate=rate) for rate, size, _ in EQUAL_RATES]
    cases.append(case("commit", 64, few[:5], goals=(rate_goal("commits of 64 B"),)))
    cases.append(case("commit", 16 * MIB, few[:5], chunk=PART_CHUNK, part=True))
    cases.append(case("commit", 4 * KIB, few[:5], arrays=16))
    appenders = ("untorn", "memcpy", "lmdb", "hdf5-swmr", "zarr-3")
    cases.append(case("append", 8, appenders, goals=(rate_goal("appends of 8 B"),)))
    cases.append(case("wake", 64, ("untorn", "untorn-spin", "futex"), goals=wake_goals(1)))
    cases.append(case("wake", 64, ("untorn", "futex"), readers=4, goals=wake_goals(4)))
    takers = ("untorn", "untorn-pin", "memcpy", "seqlock", "lmdb", "zarr-3")
    cases.append(case("snapshot", 4 * KIB, takers, arrays=16))
    cases += [case("rewrite", MIB, locks, readers=n, many=True) for n in (1, 8)]
    return cases


def matching(cases, peers, words):
    """What --only leaves: of each kind that is named (workload, size, case, peer) only those."""
    workloads, ids = set(GROUPS), {case.id for case in cases}
    sizes = {size_id(case.bytes): case.bytes for case in cases}
    there = workloads.union(sizes, ids, peers)
    unknown = [word for word in words if word not in there]
    if unknown:
        known = sorted(workloads) + list(sizes) + list(peers)
        raise ValueError("--only %s: there are %s" % (unknown[0], " ".join(known)))
    wanted_sizes = {sizes[w] for w in words if w in sizes}
    wanted, wanted_ids = workloads.intersection(words), ids.intersection(words)
    kept_peers = [p for p in peers if p in words] or list(peers)
    kept = [
        case
        for case in cases
        if (not wanted or wanted & case.words)
        and (not wanted_sizes or case.bytes in wanted_sizes)
        and (not wanted_ids or case.id in wanted_ids)
    ]
    return kept, kept_peers


def describe(case):
    text = case.workload + " " + size_text(case.bytes)
    if case.arrays > 1:
        text += ", %d arrays" % case.arrays
    if case.readers > 1:
        text += ", %d readers" % case.readers
    if case.rate:
        text += ", %s/s" % number_text(case.rate)
    elif case.duty != 100:
        text += ", %d %%" % case.duty
    return text
