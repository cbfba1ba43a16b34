# SPDX-License-Identifier: MIT
"""Runs the benchmarks, part by part, and writes the report (results.py).

What is missing or fails is reported, on the page and on standard error, and the rest goes on; the
exit status is 1 then.  It is never 1 because of a time or a goal.  An interrupted run writes what
it has.

Environment (bench/README.md): BUILD, TOP, PYTHON, BENCH_TIER, BENCH_EFFORT, BENCH_PARTS,
BENCH_ONLY, BENCH_DISK.
"""

import fcntl
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import machine  # noqa: E402
import parts  # noqa: E402
import process  # noqa: E402
import progress  # noqa: E402
import results  # noqa: E402
import rows  # noqa: E402
import sections  # noqa: E402
import text  # noqa: E402
import words  # noqa: E402

EFFORT = {"quick": "0.1", "full": "1"}


class Runner:
    """Runs programs and gathers what they hand in."""

    def __init__(self, setting, out, shown):
        self.setting, self.out, self.shown = setting, out, shown
        self.found = []

    def _environment(self, program, place):
        tier = self.setting.tier
        environment = dict(os.environ, BUILD=self.setting.build, TOP=self.setting.top)
        environment["BENCH_TIER"] = tier
        if not program.writes_sections:
            environment.update(BENCH_TSV=place + ".tsv", BENCH_PLOTS=place)
        environment.setdefault("BENCH_EFFORT", EFFORT[tier])
        library = os.path.join(self.setting.build, "libuntorn.so")
        environment.setdefault("UNTORN_LIBRARY", library)
        environment.setdefault("PYTHON", self.setting.python)
        for name, value in program.environment.items():
            environment.setdefault(name, value)
        return environment

    def _gather(self, program, place, problems, lost):
        found = sections.read_lines(place + ".jsonl", problems, lost)
        found += rows.read_rows(place + ".tsv", program.name, program.group, problems)
        found += rows.read_plots(place, program.group(99), problems)
        self.found += found
        return len(found)

    def program(self, program, reasons):
        """Returns whether it did its work; `reasons` gets what there is to say about it."""
        if program.skip:
            reasons.append("%s is left out: %s" % (program.name, program.skip))
            return True
        missing = [c for c in program.command if os.path.isabs(c) and not os.path.exists(c)]
        missing = [c for c in missing if "%s" not in c]
        if missing:
            reasons.append("%s: there is no %s" % (program.name, missing[0]))
            return False
        place = os.path.join(self.out, "raw", program.name)
        os.makedirs(place)
        command = [c.replace("%s", place + ".jsonl") for c in program.command]
        problems, lost = [], []
        limit = program.limit[self.setting.tier == "full"]
        try:
            process.run(
                command,
                self._environment(program, place),
                limit,
                place,
                lambda said: self.shown.show(program.name, said),
            )
        except process.Failed as failure:
            lost.append(str(failure))
        finally:
            count = self._gather(program, place, problems, lost)
        if not count and not lost:
            lost.append("it handed in nothing")
        reasons += ["%s: %s" % (program.name, reason) for reason in lost + problems]
        return not lost

    def part(self, part):
        entry = {"name": part.name, "state": "ok", "seconds": 0, "programs": {}, "reasons": []}
        self.shown.begin(part.name)
        start = time.monotonic()
        try:
            for program in part.programs:
                begin = time.monotonic()
                self.shown.show(program.name)
                if not self.program(program, entry["reasons"]):
                    entry["state"] = "failed"
                entry["programs"][program.name] = round(time.monotonic() - begin, 1)
        except KeyboardInterrupt:
            entry["state"] = "interrupted"
        entry["seconds"] = round(time.monotonic() - start, 1)
        return entry


def run_parts(runner, some):
    entries = []
    for part in some:
        entries.append(runner.part(part))
        runner.shown.end(entries[-1])
        if entries[-1]["state"] == "interrupted":
            break
    left = [part.name for part in some[len(entries) :]]
    return entries + [
        {"name": name, "state": "not run", "seconds": None, "programs": {}, "reasons": []}
        for name in left
    ]


def summary(report, out):
    print("Goals: " + words.goals_text(report["goals"]))
    if any(report["goals"].values()):
        print("\n".join(text.goals_table(report)))
    print("\nThe page: %s/index.html" % out)
    print("Beside it: results.txt results.json performance.md plots/ raw/")


def _interrupt(*_):
    raise KeyboardInterrupt


def make_setting():
    top = os.environ.get("TOP") or os.path.dirname(os.path.dirname(HERE))
    build = os.path.abspath(os.environ.get("BUILD", "build"))
    tier = os.environ.get("BENCH_TIER", "quick")
    if tier not in EFFORT:
        sys.exit("BENCH_TIER is %s; it may be quick or full" % tier)
    venv = os.environ.get("BENCH_VENV", "")
    return parts.Setting(top, build, tier, os.environ.get("PYTHON") or sys.executable, venv)


def begin(out):
    """An empty place for what programs hand in, no other run's as long as the lock is open."""
    os.makedirs(out, exist_ok=True)
    lock = open(os.path.join(out, ".lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("%s: another run of the benchmarks writes there" % out)
    shutil.rmtree(os.path.join(out, "raw"), ignore_errors=True)
    os.makedirs(os.path.join(out, "raw"))
    return lock


def main():
    setting = make_setting()
    names = [os.environ.get(n, "").split() for n in ("BENCH_PARTS", "BENCH_ONLY")]
    try:
        some = parts.chosen(parts.all_parts(setting), *names, setting.tier)
    except ValueError as error:
        sys.exit(str(error))
    out = os.path.join(setting.build, "bench")
    lock = begin(out)
    signal.signal(signal.SIGTERM, _interrupt)
    head = machine.head(setting.top, setting.build)
    head.append(("Effort", os.environ.get("BENCH_EFFORT", EFFORT[setting.tier])))
    runner = Runner(setting, out, progress.Progress(len(some)))
    entries = run_parts(runner, some)
    report = results.make(setting.tier, head, entries, runner.found)
    results.write(report, out)
    summary(report, out)
    lock.close()
    bad = [entry["name"] for entry in entries if entry["state"] != "ok"]
    if bad:
        sys.exit("Did not run to the end: " + " ".join(bad))


if __name__ == "__main__":
    main()
