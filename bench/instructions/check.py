#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare the instructions of the read and commit paths with the counts kept in the tree.

    check.py PROGRAM COUNTS --compiler COMMAND [--flags FLAGS] [--write] [--profile NAME]

PROGRAM (operations.c) is run under callgrind, which writes a file for each operation.  What is
counted in it are the instructions of the program itself, with the library linked in.  That is
exact: the same program gives the same counts on any machine under any load.  The instructions of
the C library depend on its version and on the processor (memcpy has a variant for each); they
are shown beside, for one's information.

COUNTS has a section for each compiler and its flags.  A count that is above the one kept by more
than 3 % fails; one that is as much below is told, so that it gets lowered.  With another compiler,
other flags or another kind of processor the counts are only shown.  --write puts the present
counts in the place of those kept.

Exit status: 0, 1 (a count is above), 2 (they could not be had), 77 (there is no valgrind).
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

TOLERANCE = 0.03
LEAST = 2  # instructions that are no difference, however short the operation
TRIGGER = re.compile(r"desc: Trigger: --dump-before=finished_(\w+)")
NAMED = re.compile(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$")


class Failure(Exception):
    """The counts cannot be had."""


def run_callgrind(program, directory):
    """Return the operations' names and how often each was done; their files are in `directory`."""
    command = ["valgrind", "--tool=callgrind", "--collect-atstart=no"]
    command += ["--toggle-collect=measured_*", "--dump-before=finished_*"]
    command += ["--callgrind-out-file=" + os.path.join(directory, "out"), program]
    # So that the first call through the linkage table is like any other.
    environment = dict(os.environ, LD_BIND_NOW="1")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise Failure("callgrind failed:\n" + done.stderr)
    return {name: int(n) for name, n in (line.split("\t") for line in done.stdout.splitlines())}


class Costs:
    """What one file of callgrind's says: instructions by object and by function."""

    def __init__(self, path):
        self.operation = None
        self.by_object, self.by_function = {}, {}
        self.names = {"ob": {}, "fn": {}}
        self.at = {"ob": None, "fn": None}
        self.of_call = False
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self.read_line(line.rstrip("\n"))

    def read_line(self, line):
        trigger, named = TRIGGER.match(line), NAMED.match(line)
        if trigger:
            self.operation = trigger.group(1)
        elif named:
            callee, what, number, text = named.groups()
            name = self.names[what].setdefault(number, text)
            if not callee:
                self.at[what] = name
        elif line.startswith("calls="):
            self.of_call = True  # what the called function took is counted where it stands itself
        elif line and line[0] in "0123456789+-*":
            if not self.of_call:
                self.add(int(line.split()[1]))
            self.of_call = False

    def add(self, cost):
        here, function = self.at["ob"], self.at["fn"]
        self.by_object[here] = self.by_object.get(here, 0) + cost
        self.by_function[function] = self.by_function.get(function, 0) + cost


class Count:
    """Of one operation, once: instructions in the program, outside of it, and by function."""

    def __init__(self, costs, program, times):
        inside = costs.by_object.get(program, 0)
        self.inside = inside / times
        self.outside = (sum(costs.by_object.values()) - inside) / times
        self.functions = {name: cost / times for name, cost in costs.by_function.items()}


def count(program):
    """Return {operation: Count} in the order in which they were done."""
    with tempfile.TemporaryDirectory() as directory:
        times = run_callgrind(program, directory)
        files = [os.path.join(directory, name) for name in os.listdir(directory)]
        all_costs = {costs.operation: costs for costs in map(Costs, files)}
    missing = [name for name in times if name not in all_costs]
    if missing or not times:
        raise Failure(f"callgrind wrote nothing about {', '.join(missing) or 'anything'}")
    return {name: Count(all_costs[name], program, n) for name, n in times.items()}


def section_name(compiler, flags):
    """What the counts depend on: "gcc 12 x86_64 -O2 -g"."""
    command = [*compiler.split(), "-dM", "-E", "-x", "c", "/dev/null"]
    macros = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name, macro in (("clang", "__clang_major__"), ("gcc", "__GNUC__")):
        major = re.search(rf"^#define {macro} (\d+)$", macros, re.M)
        if major:
            return " ".join([name, major.group(1), platform.machine(), *flags.split()])
    return " ".join([os.path.basename(compiler), platform.machine(), *flags.split()])


def read_counts(path):
    """Return {section: {operation: instructions}} and the comment at the file's head."""
    sections, head, present = {}, [], None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#"):
                head.append(line)
            elif line.startswith("["):
                present = sections.setdefault(line.strip()[1:-1], {})
            elif line.strip():
                name, instructions = line.split()
                present[name] = float(instructions)
    return sections, head


def write_counts(path, sections, head):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(head)
        for section in sorted(sections):
            file.write(f"\n[{section}]\n")
            for name, instructions in sections[section].items():
                file.write(f"{name:24} {instructions:10.1f}\n")


def judge(now, kept):
    """Return a word on a count, and whether it fails."""
    if kept is None:
        return "not kept yet", False
    slack = max(TOLERANCE * kept, LEAST)
    if now > kept + slack:
        return "ABOVE", True
    if now < kept - slack:
        return "below: lower what is kept", False
    return "as kept", False


def show(counts, kept):
    """Print the table; return the operations that fail."""
    failed = []
    print(f"  {'one operation':24} {'instructions':>12} {'kept':>9} {'C library':>10}")
    for name, now in counts.items():
        word, fails = judge(now.inside, kept.get(name))
        before = f"{kept[name]:.1f}" if name in kept else ""
        print(f"  {name:24} {now.inside:12.1f} {before:>9} {now.outside:10.1f}  {word}")
        if fails:
            failed.append(name)
    for name in kept:
        if name not in counts:
            print(f"  {name:24} is kept, but is no operation any more")
    return failed


def show_profile(counts, name):
    if name not in counts:
        raise Failure(f"there is no operation {name}")
    for function, cost in sorted(counts[name].functions.items(), key=lambda item: -item[1]):
        if cost >= 0.05:
            print(f"  {cost:10.2f}  {function}")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compare instruction counts with those kept.")
    parser.add_argument("program")
    parser.add_argument("counts")
    parser.add_argument("--compiler", required=True, help="that PROGRAM was compiled with")
    parser.add_argument("--flags", default="", help="likewise")
    parser.add_argument("--write", action="store_true", help="keep the present counts")
    parser.add_argument("--profile", metavar="NAME", help="show an operation by functions")
    return parser.parse_args()


def check(arguments):
    counts = count(os.path.realpath(arguments.program))
    if arguments.profile:
        show_profile(counts, arguments.profile)
        return 0
    section = section_name(arguments.compiler, arguments.flags)
    sections, head = read_counts(arguments.counts)
    print(f"Instructions of one operation, {section}")
    failed = show(counts, sections.get(section, {}))
    if arguments.write:
        sections[section] = {name: now.inside for name, now in counts.items()}
        write_counts(arguments.counts, sections, head)
        return 0
    if section not in sections:
        print("No counts are kept for this compiler and these flags: nothing to compare with.")
    if failed:
        print(f"More instructions than kept: {', '.join(failed)}.  Where they go is shown by")
        print(f"  {' '.join(sys.argv[:1])} {arguments.program} {arguments.counts}", end=" ")
        print(f"--compiler {arguments.compiler} --profile {failed[0]}")
    return 1 if failed else 0


def main():
    arguments = parse_arguments()
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed", file=sys.stderr)
        return 77
    try:
        return check(arguments)
    except Failure as failure:
        print(f"check.py: {failure}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
