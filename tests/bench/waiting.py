# SPDX-License-Identifier: MIT
"""Processes that are ended by signals, and waiting for them, for the tests of the benchmarks."""

import signal
import time


def heed_signals():
    """In a child, before it becomes another program: signals may be ignored by who runs the tests,
    in the background or by nohup, and would stay so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def gone(pid):
    """Whether the process has ended: it may be a zombie whose parent is in no hurry."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False
