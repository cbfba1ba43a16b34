# SPDX-License-Identifier: MIT
"""What there is to run: parts, each of programs that hand in sections.

A program hands in sections as JSON to the file named by --sections or, if it is not given one, by
lines of rows (BENCH_TSV) and .plot files (BENCH_PLOTS); sections.py and rows.py read them.
`groups` are the numbers of the workloads that its sections are about, in their order; the last one
is for all that follow.
"""

import dataclasses
import os

OTHER = 0  # no workload that is compared, see sections.OTHER


@dataclasses.dataclass
class Program:
    name: str
    command: list
    groups: tuple = ()
    environment: dict = dataclasses.field(default_factory=dict)
    quick: bool = True  # whether the quick run has it
    limit: tuple = (300, 7200)  # seconds, quick and full: for what hangs, not for what is slow
    skip: str = ""  # why it cannot be run here

    @property
    def writes_sections(self):
        return "--sections" in self.command

    def group(self, i):
        """The group of section number i."""
        number = self.groups[min(i, len(self.groups) - 1)] if self.groups else OTHER
        return str(number) if number else ""


@dataclasses.dataclass
class Part:
    name: str
    programs: list


# Names, and the groups of their sections.
CORE = {
    "read": (1, 2),
    "commit": (3,),
    "append": (4,),
    "grow": (2,),
    "wake": (5,),
    "scale": (9,),
    "memory": (OTHER,),
}
STORE = ("flush", "flush_scale", "flush_beside", "restart", "store_peers.py")
CACHE = ("cache", "cache_mix", "cache_evict", "cache_start", "cache_peers.py")

# The quick run keeps the sizes small that a whole run spends its time on.
QUICK_ENVIRONMENT = {"flush_scale": {"BENCH_SCALE_SECONDS": "80"}}


class Setting:
    """Where things are, and which run it is."""

    def __init__(self, top, build, tier, python, venv):
        self.top, self.build, self.tier = top, build, tier
        self.python, self.venv = python, venv  # `venv`: the one with zarr 3, or ""

    def compiled(self, name, groups, **more):
        if self.tier == "quick":
            more.setdefault("environment", QUICK_ENVIRONMENT.get(name, {}))
        command = [os.path.join(self.build, "bench", "bench_" + name)]
        return Program(name, command, groups, **more)

    def stored(self, name):
        if not name.endswith(".py"):
            return self.compiled(name, (10,))
        script = os.path.join(self.top, "bench", name)
        skip = "" if self.venv else "its Python packages could not be installed"
        return Program(name[:-3], [self.venv or self.python, script], (10,), skip=skip)

    def with_sections(self, name, command, groups, limit=Program.limit):
        """A program that writes sections itself; %s stands for the file."""
        return Program(name, command + ["--" + self.tier, "--sections", "%s"], groups, limit=limit)

    def script(self, name, groups, file=""):
        path = os.path.join(self.top, "bench", (file or name) + ".py")
        return self.with_sections(name, [self.python, path], groups)


def all_parts(setting):
    peers = os.path.join(setting.top, "bench", "run_peers.sh")
    return [
        Part("core", [setting.compiled(name, groups) for name, groups in CORE.items()]),
        Part("scaling", [setting.compiled("scaling", (9,))]),
        Part("store", [setting.stored(name) for name in STORE + CACHE]),
        Part("shmstat", [setting.compiled("shmstat", (OTHER,))]),
        Part("regions", [setting.script("regions", (7,), "bench_regions")]),
        Part(
            "peers", [setting.with_sections("peers", [peers, "--raw", "%s.raw"], (), (400, 14400))]
        ),
        Part("asker", [setting.script("asker", (11,))]),
    ]


def chosen(parts, part_names, program_names, tier):
    """What BENCH_PARTS and BENCH_ONLY leave; raises ValueError for a name that there is not."""
    known = {part.name for part in parts}
    programs = {program.name for part in parts for program in part.programs}
    for names, there in ((part_names, known), (program_names, programs)):
        for name in names:
            if name not in there:
                raise ValueError("%s is none of: %s" % (name, " ".join(sorted(there))))
    kept = []
    for part in parts:
        if part_names and part.name not in part_names:
            continue
        some = [p for p in part.programs if not program_names or p.name in program_names]
        if not program_names and tier == "quick":
            some = [p for p in some if p.quick]
        if some:
            kept.append(Part(part.name, some))
    return kept
