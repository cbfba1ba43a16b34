# SPDX-License-Identifier: MIT
"""One measurement of a peer in Python; peer.h has the protocol and says what is measured.

A peer is a class with

    name, version()
    unable               why not, for "transaction", "part", "append", "wait", "snapshot"; what is
                         not in it the peer can do
    note(cell)           a sentence that the table needs, or None; may be left out
    __init__(directory, cell, lock)
    prepare()            in the first process: imports what it needs, and starts no thread
    writer_open()        in the writer's process; there are cell.arrays arrays then
    write(arrays)        {number: data}, NumPy uint64 arrays; in one transaction if there is one
    write_chunk(i, data) replaces chunk i of array 0, the others stay
    append_begin(), append(data)
    reader_open()        in a reader's process, or at the end in the writer's
    read()               the whole array 0
    snapshot()           all arrays, a list

and is run by main(Peer).  Beside what peer.h names, a cell may have "errors" and "error" (reads
that raised, and what the first of them said) and "note".
"""

import os

# Every process has one processor, and a thread before a fork is a danger.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import shutil
import signal
import sys
import tempfile

from processes import Failed
from workloads import measure, needed

CHUNK = 256 << 10  # bytes, where the command says nothing
WORKLOADS = ("read", "rewrite", "commit", "append", "wake", "snapshot")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", choices=WORKLOADS, default="rewrite")
    parser.add_argument("--bytes", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--chunk", type=int, default=CHUNK)
    parser.add_argument("--duty", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--arrays", type=int, default=1)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--lock", action="store_true")
    cell = parser.parse_args()
    # An appended piece says nothing of the size of a chunk.
    if cell.workload != "append":
        cell.chunk = min(cell.chunk, cell.bytes)
    cell.words, cell.chunk_words = cell.bytes // 8, cell.chunk // 8
    divided = cell.workload == "append" or (cell.chunk > 0 and cell.bytes % cell.chunk == 0)
    if cell.bytes <= 0 or cell.bytes % 8 or cell.chunk <= 0 or cell.chunk % 8 or not divided:
        parser.error("--bytes and --chunk are multiples of 8, --bytes of --chunk")
    if cell.seconds <= 0 or not 0 < cell.duty <= 100:
        parser.error("--seconds is above 0, --duty is 1 to 100")
    if not 1 <= cell.readers <= 256 or cell.arrays < 1 or cell.rate < 0:
        parser.error("--readers is 1 to 256, --arrays at least 1, --rate not below 0")
    return cell


def head(peer, cell):
    said = {"peer": peer.name, "version": peer.version(), "workload": cell.workload}
    for name in ("bytes", "chunk", "duty", "rate", "arrays", "readers"):
        said[name] = getattr(cell, name)
    return {**said, "part": True} if cell.part else said


def run(peer, cell):
    """The figures, or why there are none."""
    why = peer.unable.get(needed(cell))
    if why:
        return {"unable": why}
    peer.prepare()
    try:
        figures = measure(peer, cell)
    except Failed as error:
        return {"unable": str(error)}
    note = peer.note(cell) if hasattr(peer, "note") else None
    return {**figures, "note": note} if note else figures


def main(make):
    cell = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = tempfile.mkdtemp(prefix="untorn-bench-%d-" % os.getpid(), dir="/dev/shm")
    try:
        peer = make(directory, cell, cell.lock)
        print(json.dumps({**head(peer, cell), **run(peer, cell)}), flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.flush()
    # Threads of libraries need not be waited for.
    os._exit(0)
