# SPDX-License-Identifier: MIT
"""shmstat's tables: every mode, in a pipe, with a store, readers, wildcards and dumps."""

import json
import os
import re
import subprocess
import time
import unicodedata

from looking import Actor, SHM, SHMSTAT, UNTORN, WORK, check, finish, golden, look, normal


def width(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_no_segment():
    text, _ = look()
    golden("none.txt", normal(text))
    text, messages = look("absent", status=1)
    check(text == "" and "does not exist" in messages, f"absent: {text!r} {messages!r}")
    look("--sort", "nonsense", status=2)
    text, messages = look("abs*", status=1)
    check("no segment's name matches" in messages, messages)


def test_alive():
    writer = Actor("writer", "one")
    writer.tell("ccc")
    reader = Actor("reader", "one", "log")
    writer.tell("c")
    reader.tell("r")
    golden("overview.txt", normal(look()[0]))
    text = look("one")[0]
    golden("segment.txt", normal(text))
    # Numbers end, and columns begin, at the same place in every row.
    for table in text.split("\n\n")[1:2]:
        check(len({width(line) for line in table.splitlines()}) == 1, f"ragged: {table}")
    golden("array-1d.txt", normal(look("one/log")[0]))
    golden("array-2d.txt", normal(look("one/grid", "--chunks")[0]))
    golden("array-empty.txt", normal(look("one/dir/empty", "--chunks")[0]))
    golden("wildcard.txt", normal(look("on?/*g*")[0]))
    _, messages = look("one/nothing", status=1)
    check("one/nothing: there is no such array" in messages, messages)
    _, messages = look("one/no*", status=1)
    check("no array matches" in messages, messages)
    text = look("one/*", "--no-header", "--sort", "memory")[0]
    rows = [line.split()[0] for line in text.splitlines() if line][1:]
    check(rows[0] == "grid" and len(rows) == 3 and "ARRAY" not in text, f"--sort memory: {text}")
    text = look("one/*", "--sort=array")[0]
    rows = [line.split()[0] for line in text.splitlines() if line][3:]
    check(rows == ["dir/empty", "grid", "log"], f"--sort array: {text}")
    rows = [line.split() for line in look("one/*", "--sort", "Shape")[0].splitlines()[4:] if line]
    check([row[2] for row in rows] == ["0x3", "20", "40x80"], f"--sort shape: {rows}")
    _, messages = look("one", "--sort", "nonsense", status=2)
    check("GENERATION" in messages and "PIN-AGE" in messages, messages)
    # By a reader's column, whether there is a reader or not.
    look("one/grid", "--sort", "pin-age")
    looks = look("one", "0.05", "3")[0]
    check(len(re.findall(r"(?m)^SEGMENT", looks)) == 3 and looks.count("\nARRAY") == 3 and
          len(re.findall(r"\n\n\d{4}-\d\d-\d\dT[\d:]{8}Z\n", looks)) == 2, f"three looks: {looks}")
    test_columns()
    reader.quit()
    writer.quit()
    golden("closed.txt", normal(look("one")[0]))


def test_columns():
    """docs/shmstat.md tells of all columns, in their order."""
    with open(os.path.join(os.environ["TOP"], "docs/shmstat.md"), encoding="utf-8") as file:
        page = file.read()
    text = look("one")[0]
    for section in "Segments", "Arrays", "Readers":
        rows = re.findall(r"(?m)^\| (`[^|]*) \|", page.split(f"\n## {section}\n")[1].split("\n## ")[0])
        told = re.findall(r"`([^`]*)`", " ".join(rows))
        shown = [line.split() for line in text.splitlines() if line.split()[:1] == told[:1]]
        check(shown == [told], f"{section}: documented {told}, shown {shown}")


def look_twice(writer, interval):
    """Two looks with 20 commits in between; the second, and whether they were all made before it."""
    begun = time.monotonic()
    process = subprocess.Popen([SHMSTAT, "rates", str(interval), "2", "--json"],
                               stdout=subprocess.PIPE)
    first = process.stdout.readline()
    check(b'"segments"' in first, "a first look")
    writer.tell("c" * 20)
    in_time = time.monotonic() - begun < interval
    second = json.loads(process.stdout.readline())["segments"][0]
    process.wait()
    return second, in_time


def test_rates():
    writer = Actor("writer", "rates")
    interval, in_time = 0.2, False
    while not in_time:
        second, in_time = look_twice(writer, interval)
        interval *= 2
    # Of the interval, whatever its length: 20 commits of one segment, and of one array.
    log = [a for a in second["arrays"] if a["name"] == "log"][0]
    grid = [a for a in second["arrays"] if a["name"] == "grid"][0]
    check(second["commits_per_second"] > 0 and grid["commits_per_second"] == 0 and
          log["commits_per_second"] == second["commits_per_second"], f"rates: {second}")
    check(abs(log["bytes_per_second"] / log["commits_per_second"] - 10) < 1e-9,
          "five elements of two bytes")
    writer.quit()


def arrays_of(*arguments):
    report = json.loads(look(*arguments, "--json")[0].splitlines()[-1])["segments"][0]
    return {array["name"]: array for array in report["arrays"]}


def test_restored():
    """What was committed before a restart from the store is not counted as since then."""
    store = os.path.join(WORK, "restored.store")
    writer = Actor("writer", "restored", store)
    writer.tell("c" * 50)
    writer.quit()
    subprocess.run([UNTORN, "rm", "restored"], check=True)
    writer = Actor("writer", "restored", store)  # it writes "grid" anew
    time.sleep(0.1)  # rates are of whole ticks of the clock
    arrays = arrays_of("restored")
    check(arrays["log"]["generation"] == 51 and arrays["log"]["commits_per_second"] == 0 and
          arrays["log"]["bytes_per_second"] == 0, f"not written since: {arrays['log']}")
    writer.tell("c" * 5)
    report = json.loads(look("restored", "--json")[0])["segments"][0]
    log, = [array for array in report["arrays"] if array["name"] == "log"]
    check(log["generation"] == 56 and
          4.9 < log["commits_per_second"] * report["age_ns"] / 1e9 < 5.1, f"5 since: {log}")
    arrays = arrays_of("restored", "0.05", "2")
    check(arrays["log"]["commits_per_second"] == 0, f"of the interval: {arrays['log']}")
    writer.quit()


def test_store_that_is_gone():
    store = os.path.join(WORK, "gone.store")
    writer = Actor("writer", "gone", store)
    writer.tell("cf")
    os.rename(store, store + ".aside")
    text = look("gone")[0]
    sentence = f'compression ratios are not known: store "{store}": no store there'
    # Not always the first: the flusher, deleting old snapshots, may have found out, too.
    check(sentence in text.splitlines()[2:4], f"the store is gone: {text}")
    check("compression" not in look()[0], "an overview needs none")
    segment = json.loads(look("gone", "--json")[0])["segments"][0]
    check(segment["store"]["error"] == sentence[len("compression ratios are not known: "):] and
          all(array["stored"] is None for array in segment["arrays"]), f"{segment['store']}")
    os.rename(store + ".aside", store)
    check(json.loads(look("gone", "--json")[0])["segments"][0]["store"]["error"] is None, "back")
    writer.quit()


def test_store():
    store = os.path.join(WORK, "store")
    writer = Actor("writer", "stored", store)
    writer.tell("ccccf")
    text = look("stored")[0]
    golden("flushed.txt", normal(text))
    writer.tell("c")  # 25 rows: chunk 2 is new, and nothing else is dirty
    golden("dirty.txt", normal(look("stored/log", "--chunks")[0]))
    writer.tell("f")
    golden("clean.txt", normal(look("stored/log", "--chunks")[0]))
    writer.tell("c")  # 30 rows: chunk 2 grew in place and has its old version
    golden("grown.txt", normal(look("stored/log", "--chunks")[0]))
    writer.tell("c" * 30)  # nobody has the descriptor of the flush any more
    golden("grown-much.txt", normal(look("stored/log", "--chunks")[0]))
    writer.quit()
    # Made again from the store, all is there and nowhere else.
    subprocess.run([UNTORN, "rm", "stored"], check=True)
    subprocess.run([UNTORN, "load", store, "stored", "--size", "16M"], check=True,
                   stdout=subprocess.DEVNULL)
    golden("evicted.txt", normal(look("stored")[0]))
    golden("evicted-array.txt", normal(look("stored/grid", "--chunks")[0]))


def test_dump():
    writer = Actor("writer", "dumped")
    writer.tell("c")
    path = os.path.join(WORK, "dumped.bin")
    subprocess.run([UNTORN, "dump", "dumped", path], check=True)
    writer.quit()
    subprocess.run([UNTORN, "rm", "dumped"], check=True)
    golden("dump.txt", normal(look(path)[0]))
    golden("dump-array.txt", normal(look(f"{path}/grid", "--chunks")[0]))
    text, _ = look("./dumped.bin/dir/empty", cwd=WORK)
    check("dir/empty" in text, f"a dump's array below a relative path: {text}")
    _, messages = look("./nothing.bin", status=1)
    check("cannot open" in messages, messages)


def test_usage():
    for arguments in (["--nonsense"], ["--sort"], ["--json", "--prometheus"], ["x", "0"],
                      ["x", "1", "0"], ["--prometheus", "1"]):
        text, messages = look(*arguments, status=2)
        check(text == "" and len(messages.splitlines()) == 1, f"{arguments}: {messages}")
    check(look("--help")[0].startswith("usage: shmstat "), "--help")
    check(re.fullmatch(r"shmstat \d+\.\d+\.\d+\n", look("--version")[0]), "--version")


def test_nothing_changed():
    """Looking changes no file, nor its time of change."""
    writer = Actor("writer", "still")
    writer.tell("c")
    before = {}
    for arguments in (), ("still",), ("still/grid", "--chunks"), ("still", "--json"):
        for name in os.listdir(SHM):
            path = os.path.join(SHM, name)
            with open(path, "rb") as file:
                state = (os.stat(path).st_mtime_ns, os.stat(path).st_ino, file.read())
            check(before.setdefault(name, state) == state, f"{name} changed before {arguments}")
        look(*arguments)
    writer.quit()


test_no_segment()
test_alive()
subprocess.run([UNTORN, "rm", "one"], check=True)
test_rates()
test_store()
test_restored()
test_store_that_is_gone()
test_dump()
test_usage()
test_nothing_changed()
finish()
