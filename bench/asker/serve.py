# SPDX-License-Identifier: MIT
"""Measures the cells that it is told to, in one Python environment.

    serve.py DIRECTORY WAY...

The first line on standard output is an object of {way: {"version"} or {"unable"}}.  Then for each
line on standard input, an object with the way and the other arguments of cell.measure(), there is
one on standard output: what that returned, or {"unable": reason}.  It ends at the end of the input
and leaves nothing behind; DIRECTORY is removed if it is empty, in case who made it is not there any
more.
"""

import contextlib
import importlib
import json
import os
import signal
import sys

WAYS = {
    "zarr-2": ("ways_zarr", "Zarr2"),
    "zarr-3": ("ways_zarr", "Zarr3"),
    "zarr-3-lock": ("ways_zarr", "Zarr3StoreLock"),
    "zarr-3-rwlock": ("ways_zarr", "Zarr3ReadersWriterLock"),
    "zarr-2-chunk-locks": ("ways_zarr", "Zarr2ChunkLocks"),
    "queue": ("ways_queue", "Queue"),
    "icechunk": ("ways_icechunk", "Icechunk"),
    "untorn": ("ways_untorn", "Untorn"),
    "untorn-anew": ("ways_untorn", "UntornAnew"),
    "untorn-store": ("ways_untorn", "UntornStore"),
}


def find(name):
    """The class of a way."""
    module, kind = WAYS[name]
    return getattr(importlib.import_module(module), kind)


def _try(name):
    """Its version and what it is, with its libraries imported; or why it cannot be run."""
    try:
        way = find(name)
        return {"version": way.version(), "title": way.title, "how": way.how, "source": way.source}
    except (ImportError, OSError) as error:
        return {"unable": str(error)}


def _measure(directory, order):
    import cell

    way = find(order["way"])(directory)
    try:
        return cell.measure(way, order["rate"], order["readers"], order["reads"], order["seconds"])
    except (cell.Unable, OSError) as error:
        return {"unable": str(error)}


def _serve(directory, names, answers):
    print(json.dumps({name: _try(name) for name in names}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_measure(directory, json.loads(line))), file=answers, flush=True)


def main(directory, names):
    # Who started this decides when to end; a key pressed on the terminal is for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
    # Libraries write to standard output as they like.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        _serve(directory, names, answers)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(directory)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
