# SPDX-License-Identifier: MIT
"""What the parts of a report hold about each program, and how a run of some programs is joined
with an earlier run of the others.

A full run takes more than an hour.  A run of some parts or programs therefore keeps what an
earlier one measured of the others, if it was made on the same machine with the same software;
each program says when it ran, from which sources and under which load.
"""

# What may differ between runs that are joined: each program has its own.
OWN = ("Untorn", "Date", "Load before")

_WORST = ("ok", "not run", "interrupted", "failed")


def entry(state, seconds=None, run="", reasons=()):
    """What is known of one program; `run`: when and from what."""
    return {"state": state, "seconds": seconds, "run": run, "reasons": list(reasons)}


def part(name, programs):
    """A part, from the entries of its programs by name."""
    entries = programs.values()
    spent = [e["seconds"] for e in entries if e["seconds"] is not None]
    return {
        "name": name,
        "state": max((e["state"] for e in entries), key=_WORST.index, default="not run"),
        "seconds": round(sum(spent), 1) if spent else None,
        "programs": programs,
        "reasons": ["%s: %s" % (n, text) for n, e in programs.items() for text in e["reasons"]],
    }


def run_text(head):
    """When a run was and from what, from the head of its report."""
    return "%s, %s, load %s" % (head["Date"], head["Untorn"], head["Load before"].split()[0])


def obstacle(old, new):
    """Why two runs cannot be joined, or nothing."""
    if old["tier"] != new["tier"]:
        return "the earlier run was a %s one" % old["tier"]
    for key in sorted(old["head"].keys() | new["head"].keys()):
        if key not in OWN and old["head"].get(key) != new["head"].get(key):
            text = "the earlier run had another \"%s\": %s" % (key, old["head"].get(key, "none"))
            return text
    return ""


def _ran(report):
    """Names of the programs that a run was to run."""
    return {n for p in report["parts"] for n, e in p["programs"].items() if e["state"] != "not run"}


def join(old, new, names):
    """(parts, sections) of both; `names`: all parts, in their order."""
    fresh = _ran(new)
    by_name = {}
    for report in (old, new):
        for one in report["parts"]:
            kept = by_name.setdefault(one["name"], {})
            for program, known in one["programs"].items():
                if report is old or program in fresh or program not in kept:
                    kept[program] = known
    order = [name for name in names if name in by_name]
    sections = [s for s in old["sections"] if s["program"] not in fresh] + new["sections"]
    return [part(name, by_name[name]) for name in order], sections
