# SPDX-License-Identifier: MIT
"""follow: formats, regions, generations in order and whole, writers that close, die and come back,
segments that are replaced, and the ways it ends."""

import io
import json
import os
import signal
import subprocess
import time

import numpy as np

from command import (HUNG, SEGMENT, UNTORN, catches, check, done, eventually, image, put,
                     remove_segment, run, start)


def follow_once(name, format_name, *arguments):
    return run("follow", SEGMENT, name, "--count", 1, "--format", format_name, *arguments).stdout


def test_formats():
    array = np.arange(24, dtype="<i4").reshape(2, 3, 4)
    put("a", array)
    check(follow_once("a", "raw") == array.tobytes(), "raw")
    check((np.load(io.BytesIO(follow_once("a", "npy"))) == array).all(), "npy")
    line = follow_once("a", "json")
    report = json.loads(line)
    check(line.endswith(b"}\n") and line.count(b"\n") == 1, "json is one line")
    check(report["data"] == array.tolist(), "json data")
    check(report["shape"] == [2, 3, 4] and report["start"] == [0, 0, 0], "json shape")
    check(report["generation"] >= 1 and report["commit"] >= 1, "json numbers")
    check(abs(report["time"] - time.time_ns()) < 600e9, f"json time {report['time']}")
    text = follow_once("a", "text").decode().splitlines()
    check(text[0].startswith("# generation "), f"text header {text[0]}")
    check((np.loadtxt(text).reshape(2, 3, 4) == array).all(), "text is what loadtxt reads")
    report = json.loads(follow_once("a", "json", "--region", "-1:,1,:2"))
    check(report["data"] == array[-1:, 1, :2].tolist() and report["start"] == [1, 1, 0],
          f"json region {report}")
    check(report["step"] == [1, 1, 1] and " step " not in text[0], "no steps")
    region = "--region", "1:,::2,1::2"
    report = json.loads(follow_once("a", "json", *region))
    check(report["data"] == array[1:, ::2, 1::2].tolist() and report["start"] == [1, 0, 1]
          and report["step"] == [1, 2, 2], f"json steps {report}")
    text = follow_once("a", "text", *region).decode().splitlines()
    check(text[0].endswith(" start 1,0,1 step 1,2,2"), f"text header with steps {text[0]}")
    check((np.loadtxt(text) == array[1, ::2, 1::2]).all(), "text of every second")


def test_elements():
    for array, wanted in [
            (np.array([True, False]), [True, False]),
            (np.array([0.1, np.nan, np.inf, -np.inf, 1, 1e300, -0.0]),
             [0.1, "NaN", "Infinity", "-Infinity", 1.0, 1e300, -0.0]),
            (np.array([0.1, 3], "f4"), [0.1, 3.0]), (np.array([0.1, 65504], "f2"), [0.1, 65500.0]),
            (np.array([1 + 2j, complex(np.nan, -0.5)]), [[1, 2], ["NaN", -0.5]]),
            (np.array([2**64 - 1], "u8"), [2**64 - 1]), (np.array([-2**63]), [-2**63]),
            (np.array([-1], "i1"), [-1]), (np.array(5), 5), (np.zeros((2, 0)), [[], []]),
            (np.zeros((0, 2)), []),
            (np.array([b"a\"\\\n", b"\xc3\xa9\xff"], "S5"), ["a\"\\\n", "\u00e9\u00ff"]),
            (np.array([b"\x01\xff"], "V2"), ["01ff"])]:
        put("e", array, "--replace")
        report = json.loads(follow_once("e", "json"))
        check(report["data"] == wanted, f"{array!r}: {report['data']}")
        follow_once("e", "text")
    values = np.random.default_rng(3).integers(0, 2**64, 2000, dtype="u8").view("f8")
    values = values[np.isfinite(values)]
    for dtype in "f8", "f4", "f2":
        with np.errstate(over="ignore"):
            array = values.astype(dtype)
        if dtype != "f8":
            array = np.random.default_rng(4).integers(0, 256, 4000, dtype="u1").view(dtype)
        array = array[np.isfinite(array)]
        put("e", array, "--replace")
        report = json.loads(follow_once("e", "json"))
        check(np.array(report["data"]).astype(dtype).tobytes() == array.tobytes(),
              f"{dtype}: digits read back as the same numbers")


def test_generations_are_whole():
    """A writer rewrites all of an array of several chunks; each report is of one generation."""
    put("g", np.zeros(400, "i4"), "--chunks", "40", "--replace")
    follower = start("follow", SEGMENT, "g", "--format", "npy", "--count", 30)
    seen = []
    value = 0
    while follower.poll() is None:
        value += 1
        put("g", np.full(400, value, "i4"))
        time.sleep(0.002)
    output, message = follower.communicate(timeout=HUNG)
    check(follower.returncode == 0, f"30 generations: {message!r}")
    stream = io.BytesIO(output)
    for _ in range(30):
        array = np.load(stream)
        check((array == array[0]).all(), "a report is of one generation")
        seen.append(int(array[0]))
    check(stream.read() == b"", "nothing after the last")
    check(all(a < b for a, b in zip(seen, seen[1:])), f"each generation once, in order: {seen}")


def test_growing_region():
    """The last rows of an array that grows, whatever its length was when it was looked at."""
    writer = start("append", SEGMENT, "t", "--dtype", "i8", "--row-shape", "2")
    writer.stdin.write(np.zeros(2, "i8").tobytes())
    writer.stdin.flush()
    eventually(lambda: subprocess.run([UNTORN, "get", SEGMENT, "t"], capture_output=True)
               .returncode == 0, "the array exists")
    follower = start("follow", SEGMENT, "t", "--format", "json", "--region", "-10:", "--count", 50)
    row = 1
    while follower.poll() is None:
        writer.stdin.write(np.array([row, -row], "i8").tobytes())
        writer.stdin.flush()
        row += 1
        check(row < 1_000_000, "50 generations")
        if row % 20 == 0:
            time.sleep(0.001)
    writer.communicate(timeout=HUNG)
    reports = [json.loads(line) for line in follower.communicate()[0].splitlines()]
    check(len(reports) == 50, "50 reports")
    for report in reports:
        length = report["shape"][0]
        first = max(0, length - 10)
        check(report["start"] == [first, 0], f"the last ten of {length}: {report['start']}")
        check(report["data"] == [[i, -i] for i in range(first, length)], "their values")


class Follower:
    """A follower whose reports are read as they come."""

    def __init__(self, name, *arguments):
        self.process = start("follow", SEGMENT, name, "--format", "json", *arguments)
        os.set_blocking(self.process.stdout.fileno(), False)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.output = self.messages = b""

    def poll(self):
        self.output += self.process.stdout.read() or b""
        self.messages += self.process.stderr.read() or b""
        return [json.loads(line)["data"] for line in self.output.splitlines(True)
                if line.endswith(b"\n")]

    def expect(self, value):
        eventually(lambda: self.poll()[-1:] == [value], f"{value}, the last is {self.poll()[-1:]}")

    def expect_message(self, text):
        eventually(lambda: self.poll() is not None and text in self.messages,
                   f"{text!r} in {self.messages!r}")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        status = self.process.wait(timeout=HUNG)
        self.poll()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        check(status == 0, f"status {status} after signal {number}: {self.messages!r}")


def test_writers_come_and_go():
    put("w", np.array(1))
    follower = Follower("w")
    follower.expect(1)
    follower.expect_message(b"closed")
    put("w", np.array(2))
    follower.expect(2)
    writer = start("append", SEGMENT, "other", "--dtype", "i8")
    writer.stdin.write(bytes(8))
    writer.stdin.flush()
    # Killed once it is the writer.
    eventually(lambda: subprocess.run([UNTORN, "get", SEGMENT, "other"], capture_output=True)
               .returncode == 0, "the other writer")
    writer.kill()
    writer.communicate()
    follower.expect_message(b"died")
    put("w", np.array(3))
    follower.expect(3)
    run("rm", SEGMENT, "w")
    follower.expect_message(b"deleted")
    put("w", np.array(4.5))
    follower.expect(4.5)
    run("rm", SEGMENT)
    follower.expect_message(b"removed")
    put("w", np.array(5))
    follower.expect(5)
    follower.end()
    for number in signal.SIGTERM, signal.SIGHUP:
        follower = Follower("w")
        follower.expect(5)
        follower.end(number)


def rows_of(name):
    done = subprocess.run([UNTORN, "get", SEGMENT, name], capture_output=True)
    return len(np.load(io.BytesIO(done.stdout))) if done.returncode == 0 else 0


def test_until_close():
    writer = start("append", SEGMENT, "u", "--dtype", "i8")
    writer.stdin.write(np.arange(3).tobytes())
    writer.stdin.flush()
    eventually(lambda: rows_of("u") == 3, "three rows")
    follower = start("follow", SEGMENT, "u", "--until-close", "--format", "raw")
    output = follower.stdout.read(24)
    check(output == np.arange(3).tobytes(), "all of it")
    check(follower.poll() is None, "follows while the writer lives")
    writer.communicate(timeout=HUNG)
    output, message = follower.communicate(timeout=HUNG)
    check(follower.returncode == 0, f"ends with the writer: {message!r}")
    check(output == b"", f"nothing came after it: {output!r}")
    writer = start("append", SEGMENT, "u", "--dtype", "i8")
    writer.stdin.write(bytes(8))
    writer.stdin.flush()
    eventually(lambda: rows_of("u") == 4, "a fourth row")
    follower = start("follow", SEGMENT, "u", "--until-close", "--format", "raw")
    follower.stdout.read(32)
    writer.kill()
    writer.communicate()
    message = follower.communicate(timeout=HUNG)[1]
    check(follower.returncode == 1 and b"died" in message, f"a writer that died: {message!r}")


def test_wait_for_a_segment():
    run("follow", SEGMENT, "s", "--count", 1, status=1)
    for ending in signal.SIGINT, signal.SIGTERM:
        waiting = Follower("s", "--wait")
        eventually(lambda: catches(waiting.process, ending), "it waits")
        waiting.end(ending)
        check(waiting.messages == b"" and waiting.output == b"", f"said {waiting.messages!r}")
    unread = start("follow", SEGMENT, "s", "--wait")
    unread.stdout.close()
    check(unread.wait(timeout=HUNG) == 0, "ends when nobody reads the output")
    follower = Follower("s", "--wait", "--count", 1)
    put("other", np.array(8))
    put("s", np.array(9))
    follower.expect(9)
    check(follower.process.wait(timeout=HUNG) == 0, "ends after one")


def test_wait():
    run("follow", SEGMENT, "nothing", status=1)
    put("a", np.arange(2))
    run("follow", SEGMENT, "later", "--count", 1, status=1)
    follower = Follower("later", "--wait", "--count", 1)
    time.sleep(0.3)
    put("later", np.array(9))
    follower.expect(9)
    check(follower.process.wait(timeout=HUNG) == 0, "ends after one")


def test_closed_pipe():
    put("c", np.arange(10))
    follower = start("follow", SEGMENT, "c")
    follower.stdout.readline()
    follower.stdout.close()
    check(follower.wait(timeout=HUNG) == 0, "ends when nobody reads the output")


def main():
    for name, test in sorted(globals().items()):
        if name.startswith("test_") and callable(test):
            remove_segment()
            test()
    done()


main()
