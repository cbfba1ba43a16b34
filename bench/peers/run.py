# SPDX-License-Identifier: MIT
"""Runs all peers in all workloads, in turns, and writes tables and plots of what they print.

    run.py --quick|--full --raw FILE --sections FILE [--only WORD,...] [--list]
           [--beside FILE] NAME=COMMAND... NAME!REASON...
    run.py --quick|--full --again FILE --sections FILE [NAME!REASON...]

NAME!REASON is a peer that cannot be run, for REASON.  The same goes for one that says so itself, or
fails: its row is empty, and the reason stands in the notes.  --only leaves the workloads, sizes
(64B, 4KiB), cases and peers it names; of a kind that it does not name, all.  --beside names what an
earlier run wrote as --raw: cases that this one leaves out are taken from there, and each table says
when it was measured.

    FILE of --raw       every measurement, as the peer printed it (peer.h), with the case, the
                        repetition, the name that the peer has here, and "took_s", seconds that
                        its program ran, and "run", when that was (BENCH_RUN); --again makes the
                        sections of it anew
    FILE of --sections  one section of the report per line; harness/sections.py has the form

run_matrix.py says what is measured, run_schedule.py in which order, run_plan.py how long it takes,
which is printed first, and how that is kept.  BENCH_EFFORT above 1 makes more repetitions and takes
as much longer.  An interrupted run writes sections of what it has.
"""

import argparse
import json
import os
import shlex
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

import run_matrix as matrix  # noqa: E402
import run_plan as plan  # noqa: E402
import run_plots as plots  # noqa: E402
import run_schedule as schedule  # noqa: E402
import run_sources as sources  # noqa: E402
import run_tables as tables  # noqa: E402
from report import GOAL_PAIRS  # noqa: E402
from run_cell import ENDS  # noqa: E402

REPETITIONS = 5


def parse_peers(words):
    """{name: command}, {name: why it cannot be run}, and the names in their order."""
    commands, absent, names = {}, {}, []
    for word in words:
        if "=" in word.split("!")[0]:
            name, command = word.split("=", 1)
            commands[name] = shlex.split(command)
        elif "!" in word:
            name, absent[name] = word.split("!", 1)
        else:
            raise ValueError("%s: a peer is NAME=COMMAND or NAME!REASON" % word)
        names.append(name)
    if len(set(names)) < len(names):
        raise ValueError("a peer is named twice: " + " ".join(names))
    return commands, absent, names


def all_cases(arguments):
    return matrix.quick_cases() if arguments.quick else matrix.full_cases()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    tier = parser.add_mutually_exclusive_group(required=True)
    tier.add_argument("--quick", action="store_true")
    tier.add_argument("--full", action="store_true")
    parser.add_argument("--raw", default=os.devnull)
    parser.add_argument("--again", help="what an earlier run wrote as --raw; measures nothing")
    parser.add_argument("--beside", help="what an earlier run wrote as --raw; for what is left out")
    parser.add_argument("--sections", required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true", help="print the cases, measure nothing")
    parser.add_argument("peers", nargs="*")
    arguments = parser.parse_args()
    words = [word for text in arguments.only for word in text.split(",") if word]
    cases = all_cases(arguments)
    try:
        commands, absent, names = parse_peers(arguments.peers)
        cases, names = matrix.matching(cases, names, words)
    except ValueError as error:
        parser.error(str(error))
    if not names and not arguments.again:
        parser.error("there are no peers")
    if arguments.beside and set(words).intersection(names):
        parser.error("--beside is for whole cases, in which peers take turns")
    return arguments, cases, commands, absent, names


def read_raw(path, cases):
    """What an earlier run measured of these cases."""
    ids = {case.id for case in cases}
    with open(path, encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["case"] in ids]


def results_of(lines, cases, names, absent):
    names = set(names).union(absent, (line["peer"] for line in lines))
    results, by_id = schedule.Results(sources.in_order(names), absent), {c.id: c for c in cases}
    for line in lines:
        results.add(by_id[line["case"]], line["peer"], line["repetition"], line)
    return results


def sections(cases, results):
    """Workload by workload: first what goes across its cases, then each of them."""
    found = [sources.section(results)]
    for kind, group in matrix.GROUPS.items():
        mine = [case for case in cases if case.group == group]
        across = [
            plots.section(one, mine, results, group) for one in plots.ALL if one.group == kind
        ]
        found += [one for one in across if one]
        found += [tables.section(case, results) for case in mine if results.touched(case)]
    return found


def write(path, lines):
    """At once: whoever reads it never sees half of it."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    os.replace(path + ".part", path)


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    arguments, cases, commands, absent, names = parse()
    if arguments.again:
        results = results_of(read_raw(arguments.again, cases), cases, [], absent)
        write(arguments.sections, sections(cases, results))
        return
    cells = schedule.cells_of(cases, [name for name in names if name in commands])
    effort = float(os.environ.get("BENCH_EFFORT") or 1)
    repetitions = max(REPETITIONS, round(REPETITIONS * effort))
    goal_cells = [] if arguments.quick else schedule.cells_with_goals(cells)
    print(plan.text(cells, repetitions, goal_cells, GOAL_PAIRS), file=sys.stderr, flush=True)
    if arguments.list:
        print("\n".join("%s\t%s" % (case.id, peer) for case, peer in cells))
        return
    kept = []
    if arguments.beside:
        everything = all_cases(arguments)
        kept = read_raw(arguments.beside, [case for case in everything if case not in cases])
        cases = everything
    results = results_of(kept, cases, names, absent)
    limit = 60 * plan.MOST_MINUTES * max(1, effort)
    for number in ENDS:
        signal.signal(number, _interrupt)
    interrupted = False
    try:
        with open(arguments.raw, "w", encoding="utf-8") as raw:
            raw.writelines(json.dumps(line) + "\n" for line in kept)
            turns = schedule.Schedule(commands, results, raw, limit)
            turns.run(cells, repetitions, goal_cells, GOAL_PAIRS)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        write(arguments.sections, sections(cases, results))
    if interrupted:
        print("\ninterrupted; what was measured is in %s" % arguments.sections, file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
