# SPDX-License-Identifier: MIT
"""Runs the benchmarks, part by part, and writes the report (results.py).

What is missing or fails is reported, on the page and on standard error, and the rest goes on; the
exit status is 1 then.  It is never 1 because of a time or a goal.  An interrupted run (Ctrl-C, a
closed terminal) ends what runs and writes what it has; it can be interrupted only where that works,
while a program runs (process.py).

Environment (bench/README.md): BUILD, TOP, PYTHON, BENCH_TIER, BENCH_EFFORT, BENCH_PARTS,
BENCH_ONLY, BENCH_DISK.
"""

import contextlib
import fcntl
import glob
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import joining  # noqa: E402
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

    def __init__(self, setting, out, shown, run):
        self.setting, self.out, self.shown, self.run = setting, out, shown, run
        self.found = []

    def _environment(self, program, place):
        tier = self.setting.tier
        environment = dict(os.environ, BUILD=self.setting.build, TOP=self.setting.top)
        environment.update(BENCH_TIER=tier, BENCH_RUN=self.run)
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
        self.found += [dict(section, program=program.name) for section in found]
        return len(found)

    def program(self, program, reasons):
        """Returns whether it did its work; `reasons` gets what there is to say about it."""
        if program.skip:
            reasons.append("left out: %s" % program.skip)
            return True
        missing = [c for c in program.command if os.path.isabs(c) and not os.path.exists(c)]
        missing = [c for c in missing if "%s" not in c]
        if missing:
            reasons.append("there is no %s" % missing[0])
            return False
        place = os.path.join(self.out, "raw", program.name)
        for old in glob.glob(place + ".*"):
            os.remove(old)
        shutil.rmtree(place, ignore_errors=True)
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
        reasons += lost + problems
        return not lost

    def part(self, part):
        entries = {program.name: joining.entry("not run") for program in part.programs}
        self.shown.begin(part.name)
        for program in part.programs:
            start, reasons = time.monotonic(), []
            self.shown.show(program.name)
            try:
                state = "ok" if self.program(program, reasons) else "failed"
            except KeyboardInterrupt:
                state = "interrupted"
            spent = round(time.monotonic() - start, 1)
            entries[program.name] = joining.entry(state, spent, self.run, reasons)
            if state == "interrupted":
                break
        return joining.part(part.name, entries)


def run_parts(runner, some):
    entries = []
    for part in some:
        entries.append(runner.part(part))
        runner.shown.end(entries[-1])
        if entries[-1]["state"] == "interrupted":
            break
    for part in some[len(entries) :]:
        left = {program.name: joining.entry("not run") for program in part.programs}
        entries.append(joining.part(part.name, left))
    return entries


def put_aside(out):
    """The results so far, whichever of them the new ones take up: an hour's work is not lost, not
    even by a run of one part that was begun again and interrupted."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(os.path.join(out, "results.json"), os.path.join(out, "results.earlier.json"))


def earlier(out, report, names, shown):
    """The report, with what an earlier run has of programs that this one was not to run."""
    try:
        old = results.load(os.path.join(out, "results.json"))
        reason = joining.obstacle(old, report)
    except FileNotFoundError:
        return report
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = "the earlier results cannot be read: %s" % error
    if reason:
        shown.line("Earlier results of other parts are not joined: %s." % reason)
        return report
    entries, found = joining.join(old, report, names)
    return results.make(report["tier"], report["head"].items(), entries, found)


def summary(report, out):
    print("Goals: " + words.goals_text(report["goals"]))
    if any(report["goals"].values()):
        print("\n".join(text.goals_table(report)))
    print("\nThe page: %s/index.html" % out)
    print("Beside it: results.txt results.json performance.md performance/ plots/ raw/", flush=True)


def _interrupt(*_):
    raise KeyboardInterrupt


def catch_ends():
    """Signals wait until a program runs; one that is ignored (by nohup, in the background) stays
    so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, process.ENDS)
    for number in process.ENDS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def make_setting():
    top = os.environ.get("TOP") or os.path.dirname(os.path.dirname(HERE))
    build = os.path.abspath(os.environ.get("BUILD", "build"))
    tier = os.environ.get("BENCH_TIER", "quick")
    if tier not in EFFORT:
        sys.exit("BENCH_TIER is %s; it may be quick or full" % tier)
    venv = os.environ.get("BENCH_VENV", "")
    return parts.Setting(top, build, tier, os.environ.get("PYTHON") or sys.executable, venv)


def begin(out):
    """A place for what programs hand in, no other run's as long as the lock is open."""
    os.makedirs(out, exist_ok=True)
    lock = open(os.path.join(out, ".lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("%s: another run of the benchmarks writes there" % out)
    os.makedirs(os.path.join(out, "raw"), exist_ok=True)
    return lock


def main():
    setting = make_setting()
    names = [os.environ.get(n, "").split() for n in ("BENCH_PARTS", "BENCH_ONLY")]
    known = parts.all_parts(setting)
    try:
        some = parts.chosen(known, *names, setting.tier)
    except ValueError as error:
        sys.exit(str(error))
    out = os.path.join(setting.build, "bench")
    lock = begin(out)
    catch_ends()
    head = machine.head(setting.top, setting.build)
    head.append(("Effort", os.environ.get("BENCH_EFFORT", EFFORT[setting.tier])))
    shown = progress.Progress(len(some))
    runner = Runner(setting, out, shown, joining.run_text(dict(head)))
    entries = run_parts(runner, some)
    report = results.make(setting.tier, head, entries, runner.found)
    if any(names):
        report = earlier(out, report, [part.name for part in known], shown)
    put_aside(out)
    results.write(report, out)
    lock.close()
    with contextlib.suppress(OSError):
        summary(report, out)
    bad = [entry["name"] for entry in entries if entry["state"] != "ok"]
    if bad:
        sys.exit("Did not run to the end: " + " ".join(bad))


if __name__ == "__main__":
    main()
