# SPDX-License-Identifier: MIT
"""Progress lines: on a terminal they are there, grow up to the whole, and leave nothing behind;
elsewhere nobody sees them.  With an interval of 0 every one of them is shown, so that what is there
does not depend on how fast the machine is."""

import os
import pty
import re
import subprocess

import numpy as np

from command import SEGMENT, UNTORN, check, done, put, run

WORK = os.environ["WORK"]
MIB = 8
CHUNK = 8 << 10
BATCH = 256  # chunks that "load --warm" brings in between two lines
STORE = os.path.join(WORK, "store")
EVERY = {**os.environ, "UNTORN_PROGRESS_MS": "0"}


def on_terminal(*arguments):
    """Run untorn with a terminal for standard error.  Returns both outputs and the exit status."""
    master, slave = pty.openpty()
    with open(os.path.join(WORK, "output"), "w+b") as output:
        process = subprocess.Popen([UNTORN, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=slave, env=EVERY)
        os.close(slave)
        errors = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            errors += piece
        os.close(master)
        status = process.wait(400)
        output.seek(0)
        return output.read().decode(), errors.decode().replace("\r\n", "\n"), status


def left_on_screen(text):
    """What a terminal shows in the end: \\r goes to the line's begin, ESC [ K erases the rest."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for piece in line.split("\r"):
            erases = piece.endswith("\x1b[K")
            piece = piece.replace("\x1b[K", "")
            shown = piece if erases else piece + shown[len(piece):]
        lines.append(shown)
    return "\n".join(lines)


def lines_of(text, verb):
    """(done, total) of each progress line, in their order."""
    return [(int(a), int(b)) for a, b in
            re.findall(r"\r%s: (\d+) of (\d+) MiB\x1b\[K" % verb, text)]


def check_lines(text, verb, least):
    lines = lines_of(text, verb)
    check(len(lines) >= least, f"{verb}: {len(lines)} lines: {text!r}")
    check(lines == sorted(lines), f"{verb}: it never goes back: {lines}")
    check(len({total for _, total in lines}) == 1, f"{verb}: the whole stays the same: {lines}")
    check(lines[0][0] < MIB <= lines[-1][1], f"{verb}: from the begin: {lines}")
    check(lines[-1][0] == lines[-1][1], f"{verb}: to the end: {lines}")
    check(verb + ":" not in left_on_screen(text), f"{verb}: nothing is left of it: {text!r}")


def make_store():
    data = np.random.default_rng(1).integers(0, 256, MIB << 20, "u1")
    put("a", data, "--store", STORE, "--codec", "none", "--chunks", CHUNK)


def test_verify():
    output, errors, status = on_terminal("verify", STORE)
    check(status == 0 and output == "", f"verify: {status}, {output!r}")
    check_lines(errors, "verifying", MIB)
    check(left_on_screen(errors).startswith('untorn: store "'), f"the summary: {errors!r}")


def test_verify_damaged():
    chunk = os.path.realpath(os.path.join(STORE, "latest", "a", "100"))
    with open(chunk, "r+b") as file:
        kept = file.read(1)
        file.seek(0)
        file.write(bytes([kept[0] ^ 1]))
    output, errors, status = on_terminal("verify", STORE)
    check(status == 1 and output.count("\n") == 1 and chunk in output, f"damaged: {output!r}")
    check_lines(errors, "verifying", MIB)
    with open(chunk, "r+b") as file:
        file.write(kept)


def test_load():
    run("rm", SEGMENT)
    output, errors, status = on_terminal("load", STORE, SEGMENT)
    check(status == 0 and lines_of(errors, "loading") == [], f"without --warm: {errors!r}")
    run("rm", SEGMENT)
    output, errors, status = on_terminal("load", STORE, SEGMENT, "--warm", "--size", "64M")
    check(status == 0 and output.startswith("commit "), f"load: {status}, {output!r}, {errors!r}")
    check_lines(errors, "loading", (MIB << 20) // CHUNK // BATCH)
    check(left_on_screen(errors) == "", f"nothing else: {errors!r}")


def test_elsewhere():
    errors = run("verify", STORE, env=EVERY).stderr
    check(b"verifying" not in errors and b"\r" not in errors, f"verify in a pipe: {errors!r}")
    run("rm", SEGMENT)
    errors = run("load", STORE, SEGMENT, "--warm", env=EVERY).stderr
    check(errors == b"", f"load in a pipe: {errors!r}")


make_store()
test_verify()
test_verify_damaged()
test_load()
test_elsewhere()
done()
