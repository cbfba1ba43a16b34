# SPDX-License-Identifier: MIT
"""snapshot.py of docs/interop.md holds a store snapshot while others are deleted:

    check_lease.py UNTORN DIR       DIR has snapshot.py"""
import os
import subprocess
import sys

import numpy as np
import zarr

untorn, directory = sys.argv[1:]
sys.path.insert(0, directory)
os.chdir(directory)
from snapshot import newest  # noqa: E402  from the document


def run(*arguments):
    return subprocess.run([untorn, *arguments], check=True, stdout=subprocess.PIPE).stdout.decode()


def put(value):
    np.save("values.npy", np.full((100, 30), value))
    run("put", "lease", "values", "values.npy", "--chunks", "10,30")
    return run("flush", "lease").strip()


run("create", "lease", "--size", "16M", "--store", "lease-store", "--keep", "1", "--keep-time",
    "1ms", "--flush-interval", "on-demand")
try:
    first = put(1)
    path, lease = newest("lease-store")
    assert path == os.path.realpath(first), (path, first)
    second = put(2)
    for value in range(3, 6):
        last = put(value)
    assert not os.path.exists(second), "a snapshot that nobody holds was to be deleted"
    values = zarr.open_group(path, mode="r")["values"][...]
    assert (values == 1).all(), "the snapshot that is held has changed"
    assert newest("lease-store")[0] == os.path.realpath(last)
    lease.close()
    put(6)
    assert not os.path.exists(path), "the snapshot was to be deleted when it was let go"
    print("held while the next was deleted, deleted when let go")
finally:
    run("rm", "lease")
