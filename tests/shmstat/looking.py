# SPDX-License-Identifier: MIT
"""What the tests of shmstat share: running it and the actors that it looks at, and bringing its
output into a form that is the same each time."""

import os
import re
import subprocess
import sys

BUILD, WORK, SHM = os.environ["BUILD"], os.environ["WORK"], os.environ["UNTORN_SHM_DIR"]
PROGRAMS = os.environ["PROGRAMS"]
ACTOR = os.path.join(PROGRAMS, "actor")
SHMSTAT = os.path.join(BUILD, "shmstat")
UNTORN = os.path.join(BUILD, "untorn")
GOLDEN = os.path.join(os.environ["TOP"], "tests/shmstat/golden")
checks = 0
actors = []


def fail(message):
    print(f"FAILED: {message}", file=sys.stderr)
    for actor in actors:
        actor.process.kill()
    sys.exit(1)


def check(condition, message):
    global checks
    checks += 1
    if not condition:
        fail(message)


def look(*arguments, status=0, **options):
    """Run shmstat; the exit status must be `status`.  Returns its output and its messages."""
    done = subprocess.run([SHMSTAT, *map(str, arguments)], capture_output=True, timeout=400,
                          stdin=subprocess.DEVNULL, **options)
    what = f"shmstat {' '.join(map(str, arguments))}"
    messages = done.stderr.decode()
    check(done.returncode == status, f"{what}: exit status {done.returncode}, not {status}: "
          f"{messages}{done.stdout.decode(errors='replace')}")
    for line in messages.splitlines():
        check(line.startswith("shmstat: "), f"{what}: message {line!r}")
    return done.stdout.decode(), messages


class Actor:
    """A process of actor.c, which is told letters."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([ACTOR, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        actors.append(self)
        self.expect_ok()

    def expect_ok(self):
        line = self.process.stdout.readline()
        check(line == b"ok\n", f"an actor said {line!r}")

    def tell(self, letters):
        for letter in letters:
            self.process.stdin.write(letter.encode())
            self.process.stdin.flush()
            self.expect_ok()

    def quit(self):
        self.process.stdin.write(b"q")
        self.process.stdin.close()
        check(self.process.wait(400) == 0, "an actor failed")
        actors.remove(self)

    def kill(self):
        self.process.kill()
        self.process.wait(400)
        actors.remove(self)


def act(*arguments, data=b""):
    subprocess.run([ACTOR, *arguments], input=data, check=True, timeout=400)


CHANGING = {"PID": "PID", "READER": "PID", "AGE": "TIME", "COMMITS/S": "RATE", "BYTES/S": "RATE",
            "READS/S": "RATE", "P10": "TIME", "P50": "TIME", "P90": "TIME", "MAX": "TIME",
            "LAG": "TIME", "PIN-AGE": "TIME", "FLUSHED": "UTC", "RATIO": "RATIO"}
ALWAYS = ("COMMITS/S", "BYTES/S")  # not known of a segment that was made just now


def normal(text):
    """The tables with their columns joined by ' | ' and what differs each time replaced; all
    other lines as they are."""
    lines, titles = [], None
    for line in text.splitlines():
        cells = re.split(r"  +", line.strip())
        if cells[0] in ("SEGMENT", "ARRAY", "READER"):
            titles = cells
        elif titles is not None and line and not line.startswith(" ") or \
                titles is not None and titles[0] == "READER" and len(cells) == len(titles):
            if len(cells) == len(titles):
                cells = [CHANGING.get(title, cell) if cell != "-" or title in ALWAYS else "-"
                         for title, cell in zip(titles, cells)]
            else:
                titles = None
        else:
            titles = None
        line = " | ".join(cells) if titles is not None else line
        line = line.replace(WORK, "WORK")
        lines.append(re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "UTC", line))
    return "\n".join(lines) + "\n"


def golden(name, text):
    """The text is as it was when somebody found it right; SHMSTAT_GOLDEN=write says that it is."""
    path = os.path.join(GOLDEN, name)
    if os.environ.get("SHMSTAT_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    with open(path, encoding="utf-8") as file:
        wanted = file.read()
    check(text == wanted, f"{name} differs: wanted\n{wanted}\ngot\n{text}")


def finish():
    print(f"{checks} checks passed")
