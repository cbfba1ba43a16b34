# SPDX-License-Identifier: MIT
"""shmstat looks at what is not as it should be: writers that are stopped or dead, damaged and
truncated files, segments of another user."""

import glob
import json
import os
import random
import shutil
import signal
import struct
import subprocess

import looking
from looking import PROGRAMS, SHM, SHMSTAT, UNTORN, WORK, Actor, check, finish, golden, look, normal

PAGE = 4096
HEAP = 53248 + PAGE
SANITIZED = bool(os.environ.get("SAN"))


def path_of(segment, suffix=""):
    return os.path.join(SHM, f"untorn.{segment}{suffix}")


def state_of(segment):
    return json.loads(look(segment, "--json")[0])["segments"][0]["writer"]


def test_writers():
    subprocess.run([UNTORN, "create", "created"], check=True)
    check(state_of("created")["state"] in ("none", "closed"), "created by a command")
    writer = Actor("writer", "states")
    check(state_of("states") == {**state_of("states"), "state": "alive", "pid": writer.process.pid,
                                 "command": "a\n\x1b[2Jb c"}, "alive")
    for way in "", "states":
        text = look(*way.split())[0]
        check("\x1b" not in text, f"an escape sequence: {text!r}")
    os.kill(writer.process.pid, signal.SIGSTOP)
    os.waitpid(writer.process.pid, os.WUNTRACED)
    golden("stopped.txt", normal(look("states")[0]))
    os.kill(writer.process.pid, signal.SIGCONT)
    writer.kill()
    golden("dead.txt", normal(look("states")[0]))
    check(state_of("states")["command"] is None, "a dead one has no name")
    Actor("writer", "states").quit()
    check(state_of("states")["state"] == "closed", "closed")


def copy(name, change=None, length=None):
    """A segment of this name that is a changed copy of "whole"."""
    with open(path_of("whole"), "rb") as file:
        data = bytearray(file.read())
    if change is not None:
        change(data)
    with open(path_of(name), "wb") as file:
        file.write(data[:length])
    shutil.copy(path_of("whole", "~ctl"), path_of(name, "~ctl"))
    return name


def patch(offset, value):
    def change(data):
        data[offset:offset + len(value)] = value
    return change


def look_at_damage(name, sentence, change=None, length=None):
    text, _ = look(copy(name, change, length), status=1)
    check(f"damaged: {sentence}" in text, f"{name}: no \"{sentence}\" in {text}")
    json.loads(look(name, "--json", status=1)[0])
    text, _ = look(status=1)
    check(f"{name}: damaged: {sentence}" in text, f"{name}: overview: {text}")
    os.unlink(path_of(name))
    return text


def header_of(data, number):
    """The offset of an object's header."""
    page, = struct.unpack_from("<Q", data, 20480 + number // 32 * 8)
    return page + number % 32 * 128


def test_damage():
    writer = Actor("writer", "whole")
    writer.tell("ccc")
    writer.quit()
    look_at_damage("d1", "the superblock is damaged (checksum)", patch(64, b"\1"))
    look_at_damage("d2", "the superblock is damaged: 12345 as the greatest size",
                   patch(56, struct.pack("<Q", 12345)))
    look_at_damage("d3", "the superblock is damaged: 99 bytes in use",
                   patch(640, struct.pack("<Q", 99)))
    look_at_damage("d4", "truncated: it has 65536 bytes", length=65536)
    look_at_damage("d5", "truncated: it has 100000 bytes", length=100000)

    with open(path_of("whole"), "rb") as file:
        data = file.read()
    arrays = json.loads(look("whole", "--json")[0])["segments"][0]["arrays"]
    check(len(arrays) == 3, "three arrays")

    def break_catalogue(data):
        ring, = struct.unpack_from("<Q", data, header_of(data, 0) + 16)
        generation, = struct.unpack_from("<Q", data, header_of(data, 0))
        data[(ring & ~63) + generation % 8 * 256 + 40] ^= 1
    look_at_damage("d6", "catalogue: the descriptor of generation", break_catalogue)

    def break_ring(data):
        struct.pack_into("<Q", data, header_of(data, 1) + 16, (1 << 45) | 3)
    text = look_at_damage("d7", 'array "', break_ring)
    check("its ring of descriptors lies outside the segment" in text, text)

    def lose_descriptor(data):
        ring, = struct.unpack_from("<Q", data, header_of(data, 3) + 16)
        generation, = struct.unpack_from("<Q", data, header_of(data, 3))
        struct.pack_into("<Q", data, (ring & ~63) + generation % 8 * 256, 0)
    text = look_at_damage("d8", 'array "', lose_descriptor)
    check("is missing" in text, text)

    for offset, value, sentence in ((0, b"X", "wrong magic"), (8, b"\7", "format version 7"),
                                    (16, b"XXXX", "layout signature")):
        text, messages = look(copy("d9", patch(offset, value)), status=1)
        check(sentence in messages and text == "", f"{sentence}: {messages}")
    for length in 0, 1, 2048, HEAP - 1:
        _, messages = look(copy("d9", length=length), status=1)
        known = "truncated" in messages or "not an Untorn segment" in messages
        check(known, f"{length}: {messages}")
    os.unlink(path_of("d9"))
    os.mkfifo(path_of("fifo"))
    _, messages = look("fifo", status=1)
    check("not a regular file" in messages, messages)
    os.unlink(path_of("fifo"))
    os.symlink(path_of("whole"), path_of("link"))
    look("link", status=1)
    os.unlink(path_of("link"))
    os.unlink(path_of("whole", "~ctl"))
    text, _ = look("whole", status=1)
    check("damaged: cannot open the control file" in text, text)
    with open(path_of("whole", "~ctl"), "wb") as file:
        file.write(bytes(36864))
    text, _ = look("whole", status=1)
    check("belongs to another segment" in text, text)


def test_damaged_store():
    """A chunk that is only in the store, whose file is damaged."""
    store = os.path.join(WORK, "damaged.store")
    subprocess.run([UNTORN, "put", "kept", "x", "--store", store, "--dtype", "u1", "--shape", "9"],
                   input=b"123456789", check=True)
    subprocess.run([UNTORN, "rm", "kept"], check=True)
    subprocess.run([UNTORN, "load", store, "kept"], check=True, stdout=subprocess.DEVNULL)
    check("  max      57" in look("kept/x")[0], "read from the store")
    file, = glob.glob(os.path.join(store, "arrays", "*", "0"))
    os.truncate(file, 5)
    text, _ = look("kept/x", status=1)
    check("not read: " in text and file in text, f"the data are damaged: {text}")
    data = json.loads(look("kept/x", "--json", status=1)[0])["segments"][0]["arrays"][0]["data"]
    check(file in data["error"], f"the data are damaged: {data}")
    look("kept")
    os.unlink(path_of("kept"))


def test_noise():
    """Whatever bytes there are: it ends by itself, with 0 or 1, and says what can be parsed."""
    seed = int(os.environ.get("UNTORN_TEST_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    writer = Actor("writer", "noise")
    writer.tell("cccccc")
    writer.quit()
    with open(path_of("noise"), "rb") as file:
        good = file.read()
    rounds = max(20, int(os.environ.get("UNTORN_TEST_SCALE", "100")) // (4 if SANITIZED else 1))
    for _ in range(rounds):
        data = bytearray(good)
        for _ in range(rng.choice((1, 3, 30, 1000))):
            at = rng.choice((rng.randrange(64, HEAP), rng.randrange(HEAP, 150000)))
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                struct.pack_into("<Q", data, at & ~7, rng.choice(
                    (0, 1, 63, 2**63, 2**64 - 1, rng.randrange(2**64), rng.randrange(300000))))
        with open(path_of("noise"), "wb") as file:
            file.write(data)
        for arguments in (["noise"], ["noise/grid", "--chunks"], ["noise/log", "--json"], []):
            done = subprocess.run([SHMSTAT, *arguments], capture_output=True, timeout=400)
            check(done.returncode in (0, 1) and all(
                line.startswith(b"shmstat: ") for line in done.stderr.splitlines()),
                f"seed {seed}: {arguments}: {done.stderr.decode(errors='replace')}")
            if "--json" in arguments:
                json.loads(done.stdout)
    os.unlink(path_of("noise"))


def test_hot():
    """What a busy writer is changing is never taken for damaged."""
    writer = Actor("hot", "hot")
    arrays, overtaken = 0, 0
    looks = 0
    # And on until something was not overtaken: when, is the scheduler's business.
    while looks < (20 if SANITIZED else 60) or overtaken == arrays:
        looks += 1
        report = json.loads(look("hot", "--json")[0])["segments"][0]
        check(report["problems"] == [], f"false damage: {report['problems']}")
        for array in report["arrays"]:
            check(not array.get("damaged"), f"false damage: {array}")
            arrays += 1
            overtaken += bool(array["error"] or array["overtaken"])
        text = look("hot/wide", "--chunks")[0]
        check("damaged" not in text, text)
    check(writer.process.poll() is None, "the writer failed")
    print(f"{overtaken} of {arrays} arrays were overtaken")
    writer.kill()


def test_rights():
    if os.geteuid() != 0:
        print("SKIP another user's segment: only root can be two users")
        return
    writer = Actor("writer", "mine")
    writer.tell("c")
    program = os.path.join(PROGRAMS, "shmstat")
    shutil.copy(SHMSTAT, program)
    os.chmod(program, 0o755)
    other = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL, **other)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"SKIP another user's segment: another user cannot run shmstat: {error}")
        writer.quit()
        return
    looking.SHMSTAT = program
    text, messages = look("mine", status=1, **other)
    check(text == "" and messages.count("\n") == 1 and "Permission denied" in messages, messages)
    text, messages = look(status=1, **other)
    row = [line for line in text.splitlines() if line.startswith("mine ")]
    check(len(row) == 1 and "(permission denied)" in row[0], text)
    os.chmod(path_of("mine"), 0o644)
    text, messages = look("mine", **other)
    check("readers: not known, the control file cannot be read" in text, text)
    check("?" in [line for line in text.splitlines() if line.startswith("mine ")][0], text)
    looking.SHMSTAT = SHMSTAT
    writer.quit()


test_writers()
test_damage()
for name in os.listdir(SHM):
    os.unlink(os.path.join(SHM, name))
test_hot()
test_rights()
test_damaged_store()
test_noise()
finish()
