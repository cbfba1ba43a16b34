# SPDX-License-Identifier: MIT
"""record: every row whole and checked, also for those who read meanwhile; times increase; counters
are the kernel's; recordings are continued by the same machine only."""

import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np

from command import (HUNG, SEGMENT, UNTORN, check, done, eventually, get, put, remove_segment, run,
                     same, start)

WORK = os.environ["WORK"]


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001b3) & (2**64 - 1)
    return value


def has(name):
    return subprocess.run([UNTORN, "get", SEGMENT, name], capture_output=True).returncode == 0


def length():
    return len(get("kernel/time")) if has("kernel/time") else 0


def read(group="kernel"):
    arrays = {}
    for name in ["time", "cpu", "memory", "disk", "check"]:
        if has(f"{group}/{name}"):
            arrays[name] = get(f"{group}/{name}")
    return arrays


def verify(arrays):
    """All of one length, the checks right, the times increasing."""
    length = len(arrays["time"])
    for name, array in arrays.items():
        check(len(array) == length, f"{name} has {len(array)} rows, time {length}")
        check(array.dtype == ("i8" if name == "time" else "u8"), f"data type of {name}")
    check((np.diff(arrays["time"]) > 0).all(), "times increase strictly")
    for i in range(length):
        row = b"".join(arrays[name][i].tobytes() for name in ["time", "cpu", "memory", "disk"]
                       if name in arrays)
        check(fnv(row) == arrays["check"][i], f"the check of row {i}")


def rows_of(message):
    return int(re.search(rb"recorded (\d+) rows", message).group(1))


def record_some(least, *arguments):
    """Record until there are so many rows: others may have the processor for most of a time.
    Returns the messages, and the time before and after the last try."""
    for _ in range(20):
        remove_segment()
        before = time.time_ns()
        message = run("record", SEGMENT, *arguments).stderr
        if rows_of(message) >= least:
            break
    return message, before, time.time_ns()


def test_real_counters():
    message, before, after = record_some(10, "--rate", 50, "--for", 1)
    rows = rows_of(message)
    check(10 <= rows <= 50, f"50 a second for a second: {message!r}")
    arrays = read()
    verify(arrays)
    check(len(arrays["time"]) == rows, "the summary tells the rows")
    check(before <= arrays["time"][0] and arrays["time"][-1] <= after, "times are this moment's")
    if os.path.exists("/proc/meminfo"):
        total = int(re.search(r"MemTotal: *(\d+) kB", open("/proc/meminfo").read()).group(1))
        check((arrays["memory"] == total * 1024).any(axis=1).all(), "the memory's size, in bytes")
    if os.path.exists("/proc/stat"):
        count = len(re.findall(r"^cpu\d", open("/proc/stat").read(), re.M))
        check(arrays["cpu"].shape[1:] == (count, 10), f"shape of cpu {arrays['cpu'].shape}")
        # Idle times may go back: the kernel reads them while the processors wake up.
        check((np.diff(arrays["cpu"][:, :, 0].astype("i8"), axis=0) >= 0).all(), "user time grows")


def test_interrupt_and_continue():
    for number in signal.SIGINT, signal.SIGTERM:
        before = length()
        recorder = start("record", SEGMENT, "--rate", 200)
        eventually(lambda: length() > before + 20, "20 rows")
        # While it goes on.
        arrays = {"time": get("kernel/time"), "check": get("kernel/check")}
        check(len(arrays["check"]) >= len(arrays["time"]) > 0, "rows while it goes on")
        recorder.send_signal(number)
        message = recorder.communicate(timeout=HUNG)[1]
        check(recorder.returncode == 0 and b"recorded" in message, f"interrupt: {message!r}")
    arrays = read()
    verify(arrays)
    check(len(arrays["time"]) > rows_of(message) > 0, "the second goes on where the first ended")
    run("record", SEGMENT, "--rate", 1000, "--max-rows", 7)
    check(len(get("kernel/time")) == len(arrays["time"]) + 7, "--max-rows")


def test_killed():
    recorder = start("record", SEGMENT, "--rate", 2000)
    eventually(lambda: length() > 100, "100 rows")
    recorder.kill()
    recorder.communicate()
    rows = length()
    verify(read())
    run("record", SEGMENT, "--max-rows", 3, "--rate", 100)
    arrays = read()
    verify(arrays)
    check(len(arrays["time"]) == rows + 3, "no row was lost or added")


def test_fast():
    message = record_some(50, "--rate", 1000, "--for", 2)[0]
    verify(read())
    # A loaded machine may be slower, but not by this much all the time.
    check(rows_of(message) >= 50, f"1000 a second: {message!r}")


def sample_of(arrays, every):
    """Every so many rows, and the last ones."""
    length = len(arrays["time"])
    chosen = np.unique(np.r_[0:length:every, max(0, length - 100):length])
    return {name: array[chosen] for name, array in arrays.items()}


def test_ten_times_what_its_segment_holds():
    store, size = os.path.join(WORK, "store"), 2 << 20
    run("record", SEGMENT, "--store", store, "--size", size, "--rate", 1000, "--max-rows", 10)
    row = sum(array[0].nbytes for array in read().values())
    rows = 10 * size // row + 1
    recorder = start("record", SEGMENT, "--rate", 1000000, "--max-rows", rows)
    while recorder.poll() is None:  # old rows, which memory may not have any more, and new ones
        arrays = read()
        shortest = min(len(array) for array in arrays.values())
        verify({name: array[:shortest][-20:] for name, array in arrays.items()})
    message = recorder.communicate()[1]
    check(recorder.returncode == 0 and rows_of(message) == rows, f"recorded: {message!r}")
    arrays = read()
    check(sum(array.nbytes for array in arrays.values()) > 10 * size, "ten times the segment")
    verify(sample_of(arrays, 200))
    run("verify", store)
    shape = arrays["time"].shape
    remove_segment()
    run("load", store, SEGMENT)
    arrays = read()
    check(arrays["time"].shape == shape, "as many rows after a restart")
    verify(sample_of(arrays, 200))


def test_group():
    run("record", SEGMENT, "--group", "host/a", "--max-rows", 2, "--rate", 100)
    run("record", SEGMENT, "--group", "host/b", "--max-rows", 3, "--rate", 100)
    for group, rows in ("host/a", 2), ("host/b", 3):
        arrays = read(group)
        verify(arrays)
        check(len(arrays["time"]) == rows, f"rows of {group}")


def fake(stat=None, meminfo=None, diskstats=None):
    directory = os.path.join(WORK, "proc")
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory)
    for name, text in [("stat", stat), ("meminfo", meminfo), ("diskstats", diskstats)]:
        if text is not None:
            with open(os.path.join(directory, name), "w") as file:
                file.write(text)
    return directory


STAT = "cpu  3 3 3 3\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 11 12 13 14 15 16 17 18 19 20\nintr 5 4 3\n"
MEMINFO = "MemTotal:    100 kB\nMemFree:   7 kB\nHugePages_Total:   5\nBuffers: 0 kB\n"
DISKS = ("   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9\n 253   0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
         " 253  16 sdb 21 22 23 24 25 26 27 28 29 30 31\n   1  0 ram0 1 1 1 1 1 1 1 1 1 1 1\n")


def record(directory, rows=1, status=0, group="kernel"):
    return run("record", SEGMENT, "--proc", directory, "--rate", 1000, "--max-rows", rows,
               "--group", group, status=status).stderr


def test_values():
    record(fake(STAT, MEMINFO, DISKS))
    arrays = read()
    verify(arrays)
    same(arrays["cpu"], np.arange(1, 21, dtype="u8").reshape(1, 2, 10), "cpu")
    same(arrays["memory"], np.array([[102400, 7168, 0]], "u8"), "memory")
    same(arrays["disk"], np.array([[np.arange(1, 12), np.arange(21, 32)]], "u8"), "disk")
    # In another order, with a device gone and one more: values stay with their names.
    record(fake(STAT.replace("cpu1 11", "cpu1 99"), MEMINFO, DISKS))
    check(get("kernel/cpu")[1, 1, 0] == 99 and get("kernel/cpu")[1, 0, 0] == 1, "a changed value")
    check(record(fake(STAT, MEMINFO, DISKS), rows=2) is not None and len(get("kernel/time")) == 4,
          "continued")


def test_other_machines():
    record(fake(STAT, MEMINFO, DISKS))
    three = STAT.replace("intr", "cpu2 1 1 1 1 1 1 1 1 1 1\nintr")
    for stat, meminfo, diskstats in [(three, MEMINFO, DISKS), (None, MEMINFO, DISKS),
                                     (STAT, MEMINFO, None), (STAT, MEMINFO + "X: 1 kB\n", DISKS),
                                     (STAT, MEMINFO, DISKS.replace("sdb", "sdc")),
                                     (STAT.replace("cpu1 ", "cpu7 "), MEMINFO, DISKS)]:
        message = record(fake(stat, meminfo, diskstats), status=1)
        check(b"machine" in message or b"kernel" in message, f"refused: {message!r}")
    check(len(get("kernel/time")) == 1, "nothing was appended")
    record(fake(None, MEMINFO, None), group="small")
    check(not has("small/cpu") and not has("small/disk"), "only what exists")
    verify(read("small"))
    record(fake(STAT, MEMINFO, DISKS), group="small", status=1)
    record(fake(), group="none", status=1)
    put("odd/time", np.arange(5))
    record(fake(STAT, MEMINFO, DISKS), group="odd", status=1)


def test_future():
    directory = fake(None, MEMINFO, None)
    record(directory)
    # As if the clock had been an hour ahead.
    future = time.time_ns() + 3600 * 10**9
    put("kernel/time", np.array([future]), "--region", "0:1")
    record(directory, rows=5)
    check((get("kernel/time") == future + np.arange(6)).all(), "times go on by a nanosecond each")
    # Or the file had been damaged.
    put("kernel/time", np.array([2**63 - 1]), "--region", "0:1")
    put("kernel/time", np.array([2**63 - 1]), "--region", "-1:")
    record(directory, status=1)


def test_full():
    message = run("record", SEGMENT, "--size", "4M", "--rate", 100000, "--proc",
                  fake(STAT, MEMINFO, DISKS), status=1).stderr
    check(b"full" in message and b"--size" in message, f"a full segment: {message!r}")
    arrays = read()
    check(len(arrays["time"]) > 1000, "rows until it was full")
    verify({name: array[-100:] for name, array in arrays.items()})
    check(len({len(array) for array in arrays.values()}) == 1, "all of one length when full")


def main():
    for name, test in sorted(globals().items()):
        if name.startswith("test_") and callable(test):
            remove_segment()
            test()
    done()


main()
