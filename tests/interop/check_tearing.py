# SPDX-License-Identifier: MIT
"""A plain Zarr reader against a busy writer:

    check_tearing.py UNIFORM_WRITER DIR FORMAT [TIME]

Resolving `latest` first, and opening what it names, never gives a torn array, nor two arrays of
different commits.  Through the link itself, opened once and read chunk by chunk, some are torn: that
shows that the rule is needed and that this test would see it.  TIME: seconds with the rule, default
5; without it, until one was torn, at most HUNG."""
import os
import shutil
import subprocess
import sys
import time
import warnings

import numpy as np
import zarr

program, directory, version = sys.argv[1:4]
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 5
HUNG = 300  # seconds
warnings.simplefilter("ignore")
store = os.path.join(directory, "torn-v" + version)
latest = os.path.join(store, "latest")
segment = "interop-torn-%d" % os.getpid()


def resolved():
    """Both arrays of one store snapshot, each read as a whole: 1 if they are of several commits."""
    group = zarr.open_group(os.path.realpath(latest), mode="r")
    a, b = group["a"], group["group/b"]
    values = {int(a.attrs["value"]), int(b.attrs["value"])}
    values.update(np.unique(a[...]).tolist(), np.unique(b[...]).tolist())
    assert 0 not in values, "fill values: the snapshot was deleted while it was read"
    return len(values) > 1


def through_link(array):
    """One array through the link, as a program does that goes through it chunk by chunk."""
    rows = array.chunks[0]
    values = set()
    for start in range(0, array.shape[0], rows):
        values.update(np.unique(array[start:start + rows]).tolist())
    return len(values) > 1


def measure():
    reads = torn = 0
    begin = time.monotonic()
    seen = set()
    while time.monotonic() < begin + seconds or (len(seen) < 3 and time.monotonic() < begin + HUNG):
        seen.add(os.path.realpath(latest))
        torn += resolved()
        reads += 1
    print("realpath first: %d of %d reads torn, over %d store snapshots" % (torn, reads, len(seen)))
    array = zarr.open_group(latest, mode="r")["a"]
    reads = torn_through = 0
    end = time.monotonic() + HUNG
    while time.monotonic() < end and not (torn_through and reads >= 100):
        torn_through += through_link(array)
        reads += 1
    print("through the link: %d of %d reads torn" % (torn_through, reads))
    return torn == 0 and len(seen) >= 3 and torn_through > 0


print("zarr", zarr.__version__, "format", version)
writer = subprocess.Popen([program, segment, store, version], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
try:
    good = writer.stdout.readline() == b"ready\n" and measure()
    writer.stdin.close()
    print(writer.stdout.read().decode().strip())
    good = writer.wait(HUNG) == 0 and good
finally:
    writer.kill()
    writer.wait()
    shutil.rmtree(store, ignore_errors=True)
sys.exit(0 if good else "torn, or nothing torn where it had to be")
