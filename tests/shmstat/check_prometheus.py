# SPDX-License-Identifier: MIT
"""shmstat's output for Prometheus, as promtool judges it, and its values."""

import os
import re
import subprocess

from hostile_names import NAMES
from looking import WORK, Actor, act, check, finish, golden, look


def promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(),
                          capture_output=True, timeout=400)
    check(done.returncode == 0 and not done.stdout.strip() and not done.stderr.strip(),
          f"promtool: {done.stdout.decode()}{done.stderr.decode()}")


def normal(text):
    """Values of what differs each time left out."""
    changing = r"(?m)^(untorn_\w*(_seconds|stored_bytes|flushed_bytes_total)\{.*\}) .*$"
    text = re.sub(changing, r"\1 VALUE", text)
    return re.sub(r'(line|pid)="\d+"', r'\1="N"', text)


def test_values():
    writer = Actor("writer", "one", os.path.join(WORK, "store"))
    writer.tell("cccfc")
    reader = Actor("reader", "one", "log")
    reader.tell("r")
    text = look("one", "--prometheus")[0]
    promtool(text)
    golden("one.prom", normal(text))
    overview = look("--prometheus")[0]
    promtool(overview)
    check("untorn_array" not in overview and 'untorn_segment_up{segment="one"} 1' in overview,
          overview)
    every = look("*", "--prometheus")[0]
    promtool(every)
    check('untorn_array_chunks{segment="one",array="log"}' in every, every)
    missing = look("absent", "--prometheus", status=1)[0]
    promtool(missing)
    check('untorn_segment_up{segment="absent"} 0' in missing, missing)
    reader.quit()
    writer.quit()


def test_names():
    act("names", "names", data="\n".join(NAMES).encode() + b"\n")
    text = look("names", "--prometheus")[0]
    promtool(text)
    for name in NAMES:
        label = name.replace("\\", "\\\\").replace('"', '\\"')
        check(f'untorn_array_chunks{{segment="names",array="{label}"}} 1\n' in text, name)


test_values()
test_names()
finish()
