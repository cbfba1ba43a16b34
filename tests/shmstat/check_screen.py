# SPDX-License-Identifier: MIT
"""shmstat on a terminal: in place with an interval, cut to the screen; plain without one."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

from looking import SHMSTAT, UNTORN, Actor, act, check, finish, golden, look, normal

ROWS, COLUMNS = 12, 70


def on_terminal(*arguments, interrupt=False, size=(ROWS, COLUMNS)):
    """What shmstat writes to a terminal of this size, and its exit status."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen([SHMSTAT, *arguments], stdin=slave, stdout=slave, stderr=slave,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    os.close(slave)
    output = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        output += piece
        if interrupt and output.count(b"\x1b[H") > 3:
            process.send_signal(signal.SIGINT)
            interrupt = False
    os.close(master)
    return output.decode().replace("\r\n", "\n").replace("\r", ""), process.wait(400)


def test_plain():
    writer = Actor("writer", "one")
    writer.tell("ccc")
    text, status = on_terminal("one")
    check(status == 0 and normal(text) == normal(look("one")[0]), f"as in a pipe: {text!r}")
    writer.quit()


def test_in_place():
    text, status = on_terminal("one", "0.02", "4")
    check(status == 0 and "\x1b[H\x1b[2J" in text, f"cleared once: {text!r}")
    screens = text.split("\x1b[H")[2:]
    check(len(screens) == 4, f"{len(screens)} screens")
    for screen in screens:
        check(screen.endswith("\x1b[J"), f"what is below is erased: {screen!r}")
        lines = screen[:-3].split("\n")[:-1]
        check(len(lines) < ROWS, f"{len(lines)} lines")
        for line in lines:
            check(line.endswith("\x1b[K") and len(line) - 3 <= COLUMNS, f"{line!r}")
    check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\x1b\[K\nSEGMENT ", screens[0]),
          f"time and table: {screens[0]!r}")
    # Up to where a number of the process, which has more or fewer digits, moves the columns.
    lines = screens[-1].replace("\x1b[K", "").replace("\x1b[J", "").splitlines()
    golden("screen.txt", "\n".join(line[:15].rstrip() for line in lines[1:]) + "\n")


def test_wide():
    """Where there is room nothing is cut, and it is what goes into a pipe."""
    for operand in "one", "one/grid":
        text, status = on_terminal(operand, "0.02", "2", size=(60, 400))
        screen = text.split("\x1b[H")[-1].replace("\x1b[K", "").replace("\x1b[J", "")
        looks = look(operand, "0.02", "2")[0].split("\n\n2")  # the second begins with its time
        check(status == 0 and len(looks) == 2, f"two looks: {looks}")
        check(normal(screen) == normal("2" + looks[1]), f"{screen!r}, and in a pipe {looks[1]!r}")
        golden(f"screen-{operand.replace('/', '-')}.txt", normal(screen))


def test_more_than_fits():
    act("many", "many", "100")
    text, status = on_terminal("many", "0.02", "2")
    screen = text.split("\x1b[H")[-1]
    check(status == 0 and screen.count("\n") == ROWS - 1, f"cut: {screen.count(chr(10))} lines")


def test_failure():
    text, status = on_terminal("absent", "0.02", "2")
    check(status == 1 and "does not exist" in text.split("\x1b[H")[-1], f"absent: {text!r}")
    for operand, sentence in (("abs*", "no segment's name matches"), ("one/no", "no such array")):
        text, status = on_terminal(operand, "0.02", "2")
        check(status == 1 and sentence in text.split("\x1b[H")[-1], f"{operand}: {text!r}")


def test_interrupt():
    text, status = on_terminal("one", "0.02", interrupt=True)
    check(status == 0 and text.endswith("\x1b[J"), f"interrupted: {status} {text[-80:]!r}")


def test_coming_and_going():
    """A segment that is removed and made anew while it is watched."""
    process = subprocess.Popen([SHMSTAT, "gone", "0.02", "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    seen = []
    for expected, change in (("does not exist", None), ('"state":"', "create"),
                             ("does not exist", "rm"), ('"state":"', "create")):
        if change:
            subprocess.run([UNTORN, change, "gone"], check=True)
        deadline = time.monotonic() + 400
        while True:
            line = process.stdout.readline().decode()
            check(line and time.monotonic() < deadline, f"{expected} never came: {seen}")
            if expected in line:
                break
        seen.append(expected)
    process.terminate()
    check(process.wait(400) in (0, 1), "ended by SIGTERM")
    subprocess.run([UNTORN, "rm", "gone"], check=True)


test_plain()
test_in_place()
test_wide()
test_more_than_fits()
test_failure()
test_interrupt()
test_coming_and_going()
finish()
