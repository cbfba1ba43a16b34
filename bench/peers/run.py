# SPDX-License-Identifier: MIT
"""Runs all peers in turn, and makes one table per array size of what they print (peer.h).

    run.py --markdown FILE --raw FILE NAME=COMMAND... NAME!REASON...

Each cell is measured BENCH_EFFORT x 5 times, at least 5, and never twice in a row: a repetition
goes through all peers and sizes, beginning with another peer each time.  NAME!REASON is a peer that
cannot be run, for REASON.  The same goes for one that says so itself, or fails: its cell is empty,
or has fewer repetitions in it, and the reason stands below the table.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys

MOST_FAILURES = 2  # of one cell, before it is left alone
SIZES = [64, 4 << 10, 64 << 10, 1 << 20, 16 << 20]
COLUMNS = (
    "peer",
    "reads/s",
    "lowest - highest",
    "untorn's / this",
    "attempts per read",
    "p50",
    "p99",
    "torn",
    "new",
    "commits/s",
)


def size_text(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return "%d %s" % (size // unit, name)
    return "%d B" % size


def number_text(value):
    """Three digits: 1.23 M, 45.6 k, 789."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return "%.3g%s" % (value / unit, name)
    return "%.3g" % value


def time_text(ns):
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= unit:
            return "%.3g %s" % (ns / unit, name)
    return "%.0f ns" % ns


def measure(command, size, seconds):
    """The cell that the peer printed, or why there is none."""
    command = shlex.split(command) + ["--bytes", str(size), "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60 + 10 * seconds, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return {"unable": "did not end in time"}
    except OSError as error:
        return {"unable": str(error)}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            return json.loads(line)
    said = "; ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
    return {"unable": said[-200:] or "status %d" % done.returncode}


def rate(cell):
    return cell["reads"] * 1e9 / cell["spent_ns"] if cell["spent_ns"] else 0


def ratio_text(cells, untorn):
    if len(cells) != len(untorn):
        return ""
    ratios = [rate(u) / rate(c) for u, c in zip(untorn, cells) if rate(c) > 0]
    if len(ratios) < len(cells) or not ratios:
        return ""
    return "%.3g [%.3g, %.3g]" % (statistics.median(ratios), min(ratios), max(ratios))


def row(name, cells, untorn):
    """The median of each figure over the repetitions; torn reads are those of all together."""
    median = statistics.median
    rates = [rate(cell) for cell in cells]
    reads = sum(cell["reads"] for cell in cells)
    attempts = sum(cell["attempts"] for cell in cells)
    torn = sum(cell["torn"] for cell in cells)
    some = [cell for cell in cells if cell["reads"]]
    unfinished = sum(cell["unfinished"] for cell in cells)
    wasted = "%.4g" % (attempts / reads) if reads else "none succeeded"
    if unfinished and reads:
        wasted += " (%d of %d runs ended in one)" % (unfinished, len(cells))
    return (
        name,
        number_text(median(rates)),
        number_text(min(rates)) + " - " + number_text(max(rates)),
        "" if cells is untorn else ratio_text(cells, untorn),
        wasted,
        time_text(median(c["p50_ns"] for c in some)) if some else "",
        time_text(median(c["p99_ns"] for c in some)) if some else "",
        "%d of %s (%.3g %%)" % (torn, number_text(reads), 100 * torn / reads)
        if torn
        else "0 of %s" % number_text(reads),
        "%.3g %%" % (100 * sum(c["new"] for c in cells) / reads) if reads else "",
        number_text(median(c["commits"] * 1e9 / c["wall_ns"] for c in cells)),
    )


def print_table(title, rows, notes):
    widths = [max(len(r[i]) for r in [COLUMNS] + rows) for i in range(len(COLUMNS))]
    print("\n" + title)
    for r in [COLUMNS] + rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(r, widths)).rstrip())
    for note in notes:
        print("  (%s)" % note)
    sys.stdout.flush()


def markdown_table(title, rows, notes):
    lines = ["", "## " + title, "", "| " + " | ".join(COLUMNS) + " |"]
    lines.append("|---|" + "---:|" * (len(COLUMNS) - 1))
    lines += ["| " + " | ".join(r) + " |" for r in rows]
    lines += [line for note in notes for line in ("", note + ".")]
    return "\n".join(lines) + "\n"


def report(size, names, cells, reasons, versions):
    rows, notes = [], []
    untorn = cells.get(("untorn", size))
    for name in names:
        found = cells.get((name, size))
        if found:
            rows.append(row(versions.get(name, name), found, untorn or []))
        else:
            rows.append((name,) + ("",) * (len(COLUMNS) - 1))
        if (name, size) in reasons:
            what = "%d repetitions, others failed: " % len(found) if found else ""
            notes.append("%s: %s%s" % (name, what, reasons[name, size]))
    return "Reading %s whole while the writer rewrites it without pause" % size_text(size), rows, notes


def run_all(commands, names, seconds, repetitions, raw):
    cells, reasons, versions, failures = {}, {}, {}, {}
    for repetition in range(repetitions):
        for size in SIZES:
            for i in range(len(names)):
                name = names[(i + repetition) % len(names)]
                if name not in commands or failures.get((name, size), 0) == MOST_FAILURES:
                    continue
                cell = measure(commands[name], size, seconds)
                if "unable" in cell:
                    failures[name, size] = failures.get((name, size), 0) + 1
                    reasons[name, size] = cell["unable"]
                    continue
                raw.write(json.dumps(cell) + "\n")
                raw.flush()
                cells.setdefault((name, size), []).append(cell)
                versions[name] = "%s: %s" % (name, cell["version"])
        print("  repetition %d of %d is done" % (repetition + 1, repetitions), file=sys.stderr)
    return cells, reasons, versions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--raw", required=True)
    parser.add_argument("peers", nargs="+")
    arguments = parser.parse_args()
    commands, absent, names = {}, {}, []
    for peer in arguments.peers:
        if "=" in peer.split("!")[0]:
            name, commands[name] = peer.split("=", 1)
        else:
            name, absent[name] = peer.split("!", 1)
        names.append(name)
    effort = float(os.environ.get("BENCH_EFFORT", "1"))
    seconds, repetitions = max(0.1, min(1, effort) * 0.5), max(5, int(5 * effort))
    with open(arguments.raw, "w", encoding="utf-8") as raw:
        cells, reasons, versions = run_all(commands, names, seconds, repetitions, raw)
    reasons.update({(name, size): why for name, why in absent.items() for size in SIZES})
    with open(arguments.markdown, "a", encoding="utf-8") as file:
        for size in SIZES:
            table = report(size, names, cells, reasons, versions)
            print_table(*table)
            file.write(markdown_table(*table))


if __name__ == "__main__":
    main()
