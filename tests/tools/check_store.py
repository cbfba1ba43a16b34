# SPDX-License-Identifier: MIT
"""Stores: create, put, append and record with --store; flush, load, verify and log, on whole and on
damaged stores, with a live writer and without one."""

import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import numpy as np

from command import (HUNG, SEGMENT, UNTORN, catches, check, done, eventually, get, put,
                     remove_segment, run, same, start)

WORK = os.environ["WORK"]
number = 0


def new_store():
    """A path below which nothing is yet."""
    global number
    number += 1
    return os.path.join(WORK, f"store-{number}")


def snapshots(store):
    names = os.listdir(os.path.join(store, "snapshots"))
    return sorted(int(name) for name in names if not name.startswith("."))


def log(what):
    return json.loads(run("log", what, "--json").stdout)


def flush(*arguments):
    """The path that is printed, which must be a Zarr group."""
    path = run("flush", SEGMENT, *arguments).stdout.decode()
    check(path.endswith("\n") and path.count("\n") == 1, f"one line: {path!r}")
    path = path[:-1]
    check(os.path.isabs(path) and os.path.isdir(path), f"a directory: {path}")
    check(os.path.exists(os.path.join(path, ".zgroup")) or
          os.path.exists(os.path.join(path, "zarr.json")), f"a Zarr group: {os.listdir(path)}")
    return path


def stored_rows(snapshot, name):
    return json.load(open(os.path.join(snapshot, name, ".zarray")))["shape"][0]


def has(name):
    return subprocess.run([UNTORN, "get", SEGMENT, name], capture_output=True).returncode == 0


def message(done):
    return done.stderr.decode()


def test_create():
    store = new_store()
    run("create", SEGMENT, "--store", store, "--flush-interval", "on-demand", "--keep", 2,
        "--keep-time", 0, "--flush-threads", 2)
    check(os.path.isdir(os.path.join(store, "snapshots")), "the store was made")
    check(log(SEGMENT)["store"] == store, "the segment has it")
    for i in range(5):
        put("a", np.full(10, i))
    check(len(snapshots(store)) == 2, f"--keep 2: {snapshots(store)}")
    latest = os.path.realpath(os.path.join(store, "latest"))
    check(latest == os.path.join(store, "snapshots", str(snapshots(store)[-1])), "latest")


def test_put_writes_zarr():
    store = new_store()
    a = np.arange(12, dtype="i4").reshape(3, 4)
    put("g/a", a, "--store", store, "--codec", "none", "--dims", "y,x", "--attrs", '{"units":"K"}')
    path = os.path.join(store, "latest", "g", "a")
    head = json.load(open(os.path.join(path, ".zarray")))
    check(head["shape"] == [3, 4] and head["dtype"] == "<i4", f"metadata {head}")
    check(open(os.path.join(path, "0.0"), "rb").read() == a.tobytes(), "the chunk's bytes")
    attributes = json.load(open(os.path.join(path, ".zattrs")))
    check(attributes["units"] == "K", f"attributes {attributes}")
    check(attributes["_ARRAY_DIMENSIONS"] == ["y", "x"], f"dimensions {attributes}")
    # Without the option: the segment has its store.
    put("g/a", a + 1)
    check(open(os.path.join(path, "0.0"), "rb").read() == (a + 1).tobytes(), "flushed at close")
    run("rm", SEGMENT, "g/a")
    check(not os.path.exists(path), "a deletion is flushed")


def test_format_3():
    store = new_store()
    put("a", np.arange(5, dtype="f8"), "--store", store, "--format", 3, "--codec", "none")
    head = json.load(open(os.path.join(store, "latest", "a", "zarr.json")))
    check(head["zarr_format"] == 3 and head["shape"] == [5], f"metadata {head}")


def test_append():
    store = new_store()
    rows = np.arange(3000, dtype="u2").reshape(1000, 3)
    run("append", SEGMENT, "rows", "--dtype", "u2", "--row-shape", 3, "--store", store,
        "--flush-interval", "10ms", data=rows.tobytes())
    remove_segment()
    run("load", store, SEGMENT)
    same(get("rows"), rows, "rows")
    run("append", SEGMENT, "rows", "--dtype", "u2", "--row-shape", 3, data=rows.tobytes())
    same(get("rows"), np.concatenate([rows, rows]), "appended to what was loaded")
    remove_segment()
    run("load", store, SEGMENT)
    same(get("rows"), np.concatenate([rows, rows]), "and loaded again")


def test_same_and_other_store():
    store, other = new_store(), new_store()
    put("a", np.arange(3), "--store", store)
    put("a", np.arange(4), "--store", store)
    put("a", np.arange(5), "--store", os.path.relpath(store, WORK), cwd=WORK)
    put("a", np.arange(6), "--store", store + "/./")
    refused = put("a", np.arange(7), "--store", other, status=1)
    check(store in message(refused), f"it has a store: {message(refused)}")
    check(not os.path.exists(other), "the other one was not made")
    same(get("a"), np.arange(6), "nothing was put")
    # Another segment's store.
    run("rm", SEGMENT)
    put("b", np.arange(3), "--store", other)
    remove_segment()
    run("create", SEGMENT)
    refused = put("a", np.arange(7), "--store", store, status=1)
    check(store in message(refused), f"a foreign store: {message(refused)}")
    # Something else.
    plain = new_store()
    os.mkdir(plain)
    open(os.path.join(plain, "letter"), "w").close()
    remove_segment()
    status = subprocess.run([UNTORN, "create", SEGMENT, "--store", plain],
                            capture_output=True)
    check(status.returncode in (1, 2), f"no store: {status}")
    check(os.listdir(plain) == ["letter"], "and not made one")


def test_usage():
    store = new_store()
    for arguments in [("--format", 4), ("--format", "x"), ("--keep", 0), ("--flush-interval", 0),
                      ("--flush-interval", "x"), ("--keep-time", "x"), ("--flush-threads", 0)]:
        run("create", SEGMENT, "--store", store, *arguments, status=2)
        run("load", store, SEGMENT, *arguments, status=2)
    run("create", SEGMENT, "--store", "", status=2)
    run("create", SEGMENT, "--flush-interval", "1s", status=2)
    run("create", SEGMENT, "--store", os.path.join(store, "a", "b"), status=1)
    check(not os.path.exists(store), "nothing was made")
    check(not has("a"), "no segment")
    run("create", SEGMENT)
    check(b"has no store" in run("flush", SEGMENT, status=1).stderr, "flush without a store")
    put("a", np.arange(3), "--keep", 3, status=2)
    run("create", SEGMENT, status=1)
    for command in "flush", "verify", "log":
        run(command, "no-such-segment", status=1)


def test_flush():
    store = new_store()
    put("a", np.arange(10), "--store", store)
    path = flush()
    check(path == os.path.realpath(os.path.join(store, "latest")), "the newest")
    check(flush() == path, "with nothing new the same")
    check(flush(store) == path, "naming the segment's own store")
    run("flush", SEGMENT, "--format", 3, status=2)
    run("flush", SEGMENT, "--timeout", "x", status=2)
    # A writer that left without flushing.
    writer = start("append", SEGMENT, "b", "--dtype", "i8", "--flush-interval", "on-demand",
                   "--print-commit")
    writer.stdin.write(np.arange(5).tobytes())
    writer.stdin.flush()
    writer.stdout.readline()
    commit = int(writer.stdout.readline())
    writer.kill()
    writer.communicate()
    check(snapshots(store)[-1] < commit, "not in the store yet")
    flushed = flush()
    check(int(os.path.basename(flushed)) >= commit, f"{flushed} has commit {commit}")
    remove_segment()
    run("load", store, SEGMENT)
    same(get("b"), np.arange(5), "what it committed")


def test_flush_beside_a_live_writer():
    store = new_store()
    writer = start("append", SEGMENT, "a", "--dtype", "i8", "--store", store, "--flush-interval",
                   "on-demand")

    def append(value, rows):
        writer.stdin.write(np.full(10, value).tobytes())
        writer.stdin.flush()
        eventually(lambda: has("a") and len(get("a")) == rows, f"{rows} rows")

    for i in range(3):
        append(i, 10 * (i + 1))
        path = flush()
        check(stored_rows(path, "a") == 10 * (i + 1), "what was committed is in the store")
        check(flush("--timeout", "1min") == path, "the same with nothing new")
    # A writer that does not answer.
    append(9, 40)
    writer.send_signal(signal.SIGSTOP)
    late = run("flush", SEGMENT, "--timeout", "300ms", status=1)
    check(b"timed out" in late.stderr or b"time" in late.stderr, f"timeout: {late.stderr!r}")
    waiting = start("flush", SEGMENT)
    eventually(lambda: catches(waiting, signal.SIGINT), "a handler of the signal")
    time.sleep(0.3)  # for it to wait
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=HUNG)
    check(waiting.returncode == 1, "interrupted")
    waiting = start("flush", SEGMENT)
    time.sleep(0.2)
    writer.send_signal(signal.SIGCONT)
    output = waiting.communicate(timeout=HUNG)[0].decode().strip()
    check(waiting.returncode == 0 and os.path.isdir(output), "it goes on when the writer does")
    writer.communicate()
    check(writer.returncode == 0, "the writer ended well")
    remove_segment()
    run("load", store, SEGMENT)
    same(get("a"), np.repeat([0, 1, 2, 9], 10), "all of it")


def test_export():
    store = new_store()
    a = np.arange(100, dtype="f4").reshape(10, 10)
    commit = int(put("g/a", a, "--codec", "none", "--print-commit").stdout)
    put("g/a", a + 1)
    path = flush(store)
    check(path == os.path.join(os.path.realpath(store), "snapshots", os.path.basename(path)),
          "where it is")
    check(not glob.glob(os.path.join(path, "**", "*"), recursive=True) == [], "with content")
    check(not any(os.path.islink(name) for name in
                  glob.glob(os.path.join(path, "**", "*"), recursive=True)), "no links")
    check(open(os.path.join(path, "g", "a", "0.0"), "rb").read() == (a + 1).tobytes(), "data")
    check("store" not in log(SEGMENT), "the segment has no store by that")
    older = flush(new_store(), "--commit", commit, "--format", 3, "--flush-threads", 2)
    check(os.path.basename(older) == str(commit), "that commit")
    check(os.path.exists(os.path.join(older, "g", "a", "zarr.json")), "in Zarr 3")
    run("flush", SEGMENT, new_store(), "--commit", 10**9, status=1)
    run("verify", store)
    run("rm", SEGMENT)
    put("b", np.arange(3))
    run("flush", SEGMENT, store, status=1)  # of another segment


def test_load():
    store = new_store()
    arrays = {"a": np.arange(1000, dtype="i2"), "g/b": np.random.default_rng(1).random((30, 40)),
              "g/h/c": np.array(3.5), "empty": np.zeros((0, 3), "u1"),
              "s": np.array([b"one", b"three"])}
    for name, array in arrays.items():
        put(name, array, "--store", store, "--attrs", '{"n": "%s"}' % name)
    last = max(entry["commit"] for entry in log(SEGMENT)["commits"])
    run("load", store, SEGMENT, status=1)  # it exists
    remove_segment()
    loaded = run("load", store, SEGMENT)
    check(message(loaded) == "", f"no warning: {message(loaded)}")
    words = loaded.stdout.split()
    check(words[0] == b"commit" and int(words[1].rstrip(b",")) > last, f"{loaded.stdout!r}")
    check(words[2:] == [b"5", b"arrays"], f"{loaded.stdout!r}")
    for name, array in arrays.items():
        same(get(name), array, name)
    put("a", np.arange(7, dtype="i2"))
    check(log(SEGMENT)["store"] == store, "it has its store again")
    run("verify", SEGMENT)
    # A segment that is made by put, from the store.
    remove_segment()
    put("new", np.arange(3), "--store", store)
    same(get("g/b"), arrays["g/b"], "put makes the segment from the store")
    same(get("a"), np.arange(7, dtype="i2"), "of its newest snapshot")


def test_load_nothing():
    missing = new_store()
    run("load", missing, SEGMENT, status=1)
    check(not os.path.exists(missing), "a store is not made by loading it")
    os.mkdir(missing)
    run("load", missing, SEGMENT, status=1)
    check(os.listdir(missing) == [], "nor from an empty directory")
    run("verify", missing, status=1)
    run("log", missing, status=1)
    check(not has("a"), "no segment came of it")


def damage(path, at=None):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[len(data) // 2 if at is None else at] ^= 0x40
        file.seek(0)
        file.write(data)


def two_snapshots():
    store = new_store()
    put("a", np.arange(1000), "--store", store, "--keep", 10, "--codec", "none")
    put("b", np.arange(2000))
    return store


def test_damaged_manifest():
    store = two_snapshots()
    remove_segment()
    newest = snapshots(store)[-1]
    manifest = os.path.join(store, "snapshots", str(newest), ".manifest")
    damage(manifest)
    entries = log(store)["snapshots"]
    check(entries[-1]["commit"] == newest and entries[-1]["damaged"], "log tells it")
    check(not any(entry["damaged"] for entry in entries[:-1]), "of this one only")
    check(b"damaged" in run("log", store).stdout, "in words")
    verified = run("verify", store, status=1)
    check(str(newest).encode() in verified.stdout, f"verify names it: {verified.stdout!r}")
    loaded = run("load", store, SEGMENT)
    check(message(loaded).startswith("untorn: warning: ") and str(newest) in message(loaded),
          f"the older one was taken: {message(loaded)!r}")
    same(get("a"), np.arange(1000), "as it was before")
    check(not has("b"), "without what came later")


def test_all_manifests_damaged():
    store = two_snapshots()
    remove_segment()
    for commit in snapshots(store):
        os.truncate(os.path.join(store, "snapshots", str(commit), ".manifest"), 100)
    run("load", store, SEGMENT, status=1)
    check(not has("a"), "no segment came of it")
    run("verify", store, status=1)
    check(all(entry["damaged"] for entry in log(store)["snapshots"]), "log tells it")


def test_damaged_chunk():
    store = two_snapshots()
    good = run("verify", store)
    check(good.stdout == b"" and b"0 damaged" in good.stderr, f"whole: {good}")
    report = json.loads(run("verify", store, "--json").stdout)["store"]
    check(report["damage"] == [] and report["chunks"] == 2 and report["arrays"] >= 2,
          f"JSON: {report}")
    chunk = os.path.realpath(os.path.join(store, "latest", "b", "0"))
    damage(chunk)
    for what in store, SEGMENT:
        bad = run("verify", what, status=1)
        check(chunk.encode() in bad.stdout, f"its path: {bad.stdout!r}")
        check(bad.stdout.count(b"\n") == 1 and b"1 damaged" in bad.stderr, f"once: {bad}")
    report = json.loads(run("verify", SEGMENT, "--json", status=1).stdout)
    check(len(report["store"]["damage"]) == 1 and report["segment"]["damage"] == [],
          f"JSON: {report}")
    remove_segment()
    run("load", store, SEGMENT)
    same(get("a"), np.arange(1000), "the rest can be read")
    bad = run("get", SEGMENT, "b", status=1)
    check(b"\"b\"" in bad.stderr or chunk.encode() in bad.stderr, f"told: {bad.stderr!r}")
    os.unlink(chunk)
    run("verify", store, status=1)
    run("get", SEGMENT, "b", status=1)
    run("verify", SEGMENT, status=1)


def test_log():
    store = new_store()
    commits = [int(put("a", np.full(5, i), "--store", store, "--print-commit").stdout)
               for i in range(4)]
    listed = log(SEGMENT)
    memory = {entry["commit"]: entry for entry in listed["commits"]}
    for i, commit in enumerate(commits):
        check(memory[commit]["changed"] == 1 and memory[commit]["whole"], f"commit {commit}")
        same(get("a", "--commit", commit), np.full(5, i), f"a as of {commit}")
    check([entry["commit"] for entry in listed["snapshots"]] == snapshots(store), "the store's")
    check([entry["latest"] for entry in listed["snapshots"]].index(True) ==
          len(listed["snapshots"]) - 1, "latest")
    check(listed["snapshots"] == log(store)["snapshots"], "the same of the store alone")
    check(all(os.path.isdir(entry["path"]) for entry in listed["snapshots"]), "paths")
    lines = run("log", SEGMENT).stdout.decode().splitlines()
    check(len(lines) == 1 + len(memory) + len(listed["snapshots"]), f"lines: {lines}")
    check(any("latest" in line and listed["snapshots"][-1]["path"] in line for line in lines),
          "latest, and its path")
    shutil.rmtree(store)
    gone = run("log", SEGMENT, status=1)
    check(str(commits[-1]).encode() in gone.stdout and store.encode() in gone.stderr,
          f"memory without its store: {gone}")


def test_relative_operands():
    put("a", np.arange(3), "--store", "here", cwd=WORK)
    check(len(json.loads(run("log", "here", "--json", cwd=WORK).stdout)["snapshots"]) > 0, "log")
    run("verify", "here", cwd=WORK)
    remove_segment()
    run("load", "here", SEGMENT, cwd=WORK)
    same(get("a"), np.arange(3), "from elsewhere")
    check(log(SEGMENT)["store"] == os.path.join(os.path.realpath(WORK), "here"), "absolute")


def test_record_kill_and_load():
    store = new_store()
    recorder = start("record", SEGMENT, "--rate", 500, "--store", store, "--flush-interval", "50ms")
    eventually(lambda: os.path.exists(os.path.join(store, "latest", "kernel", "time")),
               "a flush with rows")
    flushed = flush()
    rows = stored_rows(flushed, "kernel/time")
    recorder.kill()
    recorder.communicate()
    remove_segment()
    run("load", store, SEGMENT)
    arrays = {name: get(f"kernel/{name}") for name in ["time", "check"]}
    check(len(arrays["time"]) == len(arrays["check"]) >= rows > 0, "no flushed row is lost")
    check((np.diff(arrays["time"]) > 0).all(), "times increase")
    run("record", SEGMENT, "--rate", 500, "--max-rows", 5)
    check(len(get("kernel/time")) == len(arrays["time"]) + 5, "the recording goes on")
    run("verify", SEGMENT)
    remove_segment()
    run("load", store, SEGMENT)
    check(len(get("kernel/time")) == len(arrays["time"]) + 5, "flushed at its end")


def test_grows_beyond_its_segment():
    store = new_store()
    rows = np.random.default_rng(2).integers(0, 1000, (80000, 32), "u4")  # 10 MiB in 4
    run("append", SEGMENT, "rows", "--size", "4M", "--chunks", "1000,32", "--dtype", "u4",
        "--row-shape", 32, "--store", store, data=rows.tobytes())
    same(get("rows"), rows, "all of it")
    same(get("rows", "--region", "17:5017,3"), rows[17:5017, 3], "a region that was evicted")
    run("verify", SEGMENT)
    # Into what was evicted, and onto its end.
    put("rows", np.zeros((10, 32), "u4"), "--region", "995:1005")
    rows[995:1005] = 0
    run("append", SEGMENT, "rows", "--dtype", "u4", "--row-shape", 32, data=rows[:50].tobytes())
    rows = np.concatenate([rows, rows[:50]])
    same(get("rows"), rows, "rewritten in part")
    remove_segment()
    run("load", store, SEGMENT, "--size", "4M")
    same(get("rows"), rows, "loaded into a segment that cannot hold it")


def test_recording_fills_its_segment_ten_times():
    store, size, rows = new_store(), 256 << 10, 0
    names = ["time", "cpu", "memory", "disk", "check"]
    recorded = 0
    while recorded < 10 * size:
        run("record", SEGMENT, "--size", size, "--rate", 4000, "--for", 2, "--store", store,
            "--flush-interval", "200ms")
        present = [name for name in names if has(f"kernel/{name}")]
        row = sum(get(f"kernel/{name}", "--region", "0:1").nbytes for name in present)
        rows = len(get("kernel/time"))
        recorded = rows * row
    arrays = {name: get(f"kernel/{name}") for name in present}
    for name, array in arrays.items():
        check(len(array) == rows, f"{name} has {len(array)} of {rows} rows")
    check((np.diff(arrays["time"]) > 0).all(), "times increase")
    run("verify", SEGMENT)
    remove_segment()
    run("load", store, SEGMENT, "--size", size, "--warm")
    for name, array in arrays.items():
        same(get(f"kernel/{name}"), array, f"{name} after a restart")


def test_failing_flushes_are_told():
    store = new_store()
    recorder = start("record", SEGMENT, "--rate", 200, "--store", store, "--flush-interval", "20ms")
    eventually(lambda: os.path.exists(os.path.join(store, "latest")), "a flush")
    # No permission would be no hindrance to root; a file in the directory's place is.
    os.rename(os.path.join(store, "snapshots"), os.path.join(store, "away"))
    open(os.path.join(store, "snapshots"), "w").close()
    failed = run("flush", SEGMENT, status=1)
    check(store.encode() in failed.stderr, f"the error of the flush: {failed.stderr!r}")
    time.sleep(0.5)
    recorder.send_signal(signal.SIGINT)
    errors = recorder.communicate(timeout=HUNG)[1].decode().splitlines()
    check(recorder.returncode == 1, f"the last flush failed too: {errors}")
    warnings = [line for line in errors if line.startswith("untorn: warning: ")]
    check(len(warnings) > 0 and len(set(warnings)) == len(warnings), f"each once: {errors}")
    check(any(store in line for line in warnings), f"naming the store: {errors}")
    os.unlink(os.path.join(store, "snapshots"))
    os.rename(os.path.join(store, "away"), os.path.join(store, "snapshots"))
    rows = len(get("kernel/time"))
    flush()
    remove_segment()
    run("load", store, SEGMENT)
    check(len(get("kernel/time")) == rows, "nothing was lost by it")


def test_a_failure_is_told_once_however_often_it_comes():
    def limit_files():  # as a full disk: EFBIG, where the file would get longer than this
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400 << 10, 400 << 10))

    # The segment's file is longer than that, and has room for the recording.
    put("noise", np.frombuffer(os.urandom(4 << 20), "u1"), "--chunks", 1 << 20)
    recorder = start("record", SEGMENT, "--rate", 200, "--store", new_store(),
                     "--flush-interval", "20ms", before=limit_files)

    def has_rows():
        check(recorder.poll() is None, "the recorder ended")
        return has("kernel/time") and len(get("kernel/time")) > 200

    eventually(has_rows, "rows")
    failed = run("flush", SEGMENT, status=1)
    check(b"/.tmp-" in failed.stderr, f"the name of a file that is built: {failed.stderr!r}")
    recorder.send_signal(signal.SIGINT)
    errors = recorder.communicate(timeout=HUNG)[1].decode().splitlines()
    check(recorder.returncode == 1, f"the last flush failed, too: {errors}")
    warnings = [line for line in errors if "warning: " in line and "noise" in line]
    check(len(warnings) == 1, f"told once: {errors}")


def main():
    for name, test in sorted(globals().items()):
        if name.startswith("test_") and callable(test):
            remove_segment()
            print(name, flush=True)
            test()
    done()


main()
