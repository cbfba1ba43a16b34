# SPDX-License-Identifier: MIT
"""append: .npy images one after another, raw rows as they arrive, partial rows, other shapes."""

import io
import os
import signal
import subprocess

import numpy as np

from command import (HUNG, SEGMENT, UNTORN, check, done, eventually, get, image, put,
                     remove_segment, run, same, start)

WORK = os.environ["WORK"]
generator = np.random.default_rng(7)


def append(name, array, *arguments, **options):
    return run("append", SEGMENT, name, "-", *arguments, data=image(array), **options)


def length(name):
    return get(name, "--region", ":").shape[0]


def test_images():
    rows = generator.integers(0, 1000, (100, 3, 4))
    append("i", rows[:10])
    same(get("i"), rows[:10], "an array comes into being")
    append("i", np.asfortranarray(rows[10:30]))
    append("i", rows[30:31].astype(">i8"))
    path = os.path.join(WORK, "rows.npy")
    np.save(path, rows[31:50])
    run("append", SEGMENT, "i", path)
    append("i", rows[50:50])
    both = image(rows[50:70]) + image(np.asfortranarray(rows[70:90])) + image(rows[90:])
    commits = run("append", SEGMENT, "i", "--print-commit", data=both).stdout.split()
    check(len(commits) == 3, f"a commit for each image: {commits}")
    same(get("i"), rows, "appended")
    append("one", np.arange(5.0))
    append("one", np.arange(5.0, 9.0))
    same(get("one"), np.arange(9.0), "one axis")
    put("scalar", np.array(1))
    append("scalar", np.arange(3), status=1)
    append("scalar2", np.array(1), status=1)
    put("p", np.zeros((2, 3)))
    append("p", np.ones((1, 3)))
    check(get("p").shape == (3, 3), "append to what put made")


def test_refused_images():
    append("x", np.zeros((2, 3)))
    for array in [np.zeros((2, 4)), np.zeros((2, 3), "f4"), np.zeros(3), np.zeros((2, 3, 1))]:
        append("x", array, status=1)
    for cut in (1, 40, 100):
        run("append", SEGMENT, "x", data=image(np.ones((2, 3))) + image(np.ones((2, 3)))[:-cut],
            status=1)
    check(length("x") == 8, "whole images are committed, parts are not")
    run("append", SEGMENT, "x", data=b"", status=1)
    run("append", SEGMENT, "x", data=b"garbage" * 10, status=1)
    run("append", SEGMENT, "x", "--row-shape", "3", data=b"", status=2)
    check(length("x") == 8, "after refused images")


def test_raw():
    rows = generator.random((1000, 5)).astype("f4")
    run("append", SEGMENT, "r", "--dtype", "f4", "--row-shape", "5", "--dims", "t,x",
        data=rows[:600].tobytes())
    run("append", SEGMENT, "r", "--dtype", ">f4", "--row-shape", "5",
        data=rows[600:].astype(">f4").tobytes())
    same(get("r"), rows, "raw rows")
    message = run("append", SEGMENT, "r", "--dtype", "f4", "--row-shape", "5",
                  data=bytes(20 * 7 + 13), status=1).stderr
    check(b"13" in message and b"20" in message, f"byte counts of a part of a row: {message!r}")
    check(length("r") == 1007, "whole rows before a part of one are committed")
    run("append", SEGMENT, "r", "--dtype", "f4", "--row-shape", "6", data=bytes(24), status=1)
    run("append", SEGMENT, "r", "--dtype", "f8", "--row-shape", "5", data=bytes(40), status=1)
    run("append", SEGMENT, "r", "--dtype", "f4", data=bytes(4), status=1)
    run("append", SEGMENT, "r", "--dtype", "f4", "--row-shape", "5,0", status=2)
    run("append", SEGMENT, "r", "--dtype", "f4", "--row-shape", "x", status=2)
    run("append", SEGMENT, "r", "--dtype", "f4", "--row-shape", "5", data=b"")
    check(length("r") == 1007, "after refused rows")
    run("append", SEGMENT, "s", "--dtype", "i8", data=np.arange(7).tobytes())
    same(get("s"), np.arange(7), "rows of one element")
    large = generator.integers(0, 100, (3, 700_000))
    run("append", SEGMENT, "l", "--dtype", "i8", "--row-shape", "700000", data=large.tobytes())
    same(get("l"), large, "rows larger than a batch")


def test_stream():
    """Rows are there as soon as they are whole, while the stream goes on."""
    rows = np.arange(20, dtype="i4").reshape(5, 4)
    data = rows.tobytes()
    stream = start("append", SEGMENT, "st", "--dtype", "i4", "--row-shape", "4")

    def arrived(count):
        def look():
            got = subprocess.run([UNTORN, "get", SEGMENT, "st"], capture_output=True)
            return got.returncode == 0 and len(np.load(io.BytesIO(got.stdout))) == count
        return look

    at = 0
    for count, end in [(1, 16), (1, 20), (3, 48), (3, 63), (4, 64), (4, 65)]:
        stream.stdin.write(data[at:end])
        stream.stdin.flush()
        at = end
        eventually(arrived(count), f"{count} rows after {end} bytes")
    same(get("st"), rows[:4], "while the stream goes on")
    stream.stdin.write(data[at:])
    check(stream.communicate(timeout=HUNG)[1] == b"" and stream.returncode == 0, "the stream ends")
    same(get("st"), rows, "the whole stream")

    stream = start("append", SEGMENT, "st", "--dtype", "i4", "--row-shape", "4")
    stream.stdin.write(data[:24])
    stream.stdin.flush()
    eventually(arrived(6), "a row before the interrupt")
    stream.send_signal(signal.SIGINT)
    stream.wait(timeout=HUNG)  # with its input open
    message = stream.communicate()[1]
    check(stream.returncode == 1 and b"interrupted" in message, f"interrupt: {message!r}")
    check(length("st") == 6, "rows from before the interrupt stay")


def test_no_space():
    """A full segment is an error, and what was committed before stays."""
    run("create", SEGMENT, "--size", "4M")
    put("small", np.arange(100))
    put("small", np.zeros(10_000_000), "--replace", status=1)
    put("large", np.zeros(10_000_000), status=1)
    append("small", np.zeros(10_000_000, "i8"), status=1)
    same(get("small"), np.arange(100), "after three failures")
    run("get", SEGMENT, "large", status=1)
    stream = run("append", SEGMENT, "rows", "--dtype", "i8", "--row-shape", "1000",
                 data=np.arange(10_000_000).tobytes(), status=1)
    check(stream.stdout == b"", "nothing on standard output")
    rows = get("rows")
    same(rows, np.arange(rows.size).reshape(-1, 1000), "rows until it was full")
    put("small", np.arange(50))
    same(get("small"), np.arange(50), "a small change still fits")


def test_follow_to_append():
    """What follow writes, append reads."""
    put("source", np.arange(12).reshape(3, 4))
    images = run("follow", SEGMENT, "source", "--format", "npy", "--count", 1).stdout
    run("append", SEGMENT, "sink", data=images + images)
    same(get("sink"), np.concatenate([np.load(io.BytesIO(images))] * 2), "follow | append")


def main():
    for name, test in sorted(globals().items()):
        if name.startswith("test_") and callable(test):
            remove_segment()
            test()
    done()


main()
