# SPDX-License-Identifier: MIT
"""Waiting for other processes, for the tests of the benchmarks."""

import time


def gone(pid):
    """Whether the process has ended: it may be a zombie whose parent is in no hurry."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False
