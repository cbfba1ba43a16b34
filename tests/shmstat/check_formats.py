# SPDX-License-Identifier: MIT
"""shmstat's JSON, with names of every kind, and ten thousand arrays.  The JSON is parsed by jq if
it is there, and by Python."""

import json
import os
import re
import shutil
import subprocess

from hostile_names import NAMES
from looking import UNTORN, WORK, Actor, act, check, finish, golden, look

def jq(text, filter_text):
    if shutil.which("jq") is None:
        return None
    done = subprocess.run(["jq", "-e", filter_text], input=text.encode(), capture_output=True,
                          timeout=400)
    check(done.returncode == 0, f"jq {filter_text}: {done.stderr.decode()}")
    return json.loads(done.stdout)


# Averages since the segment was made; null if its clock, which ticks each few milliseconds, has not
# ticked since then.
AVERAGES = ("commits_per_second", "bytes_per_second")


def normal_json(value, key=""):
    """Numbers and times that differ each time replaced by their kind."""
    if isinstance(value, dict):
        return {k: normal_json(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [normal_json(v, key) for v in value]
    if isinstance(value, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", value):
            return "UTC"
        if key == "uuid":
            return re.sub("[0-9a-f]", "x", value)
        return value.replace(WORK, "WORK")
    changing = key in ("pid", "line", "p10", "p50", "p90", "max") or key.endswith(
        ("_ns", "_per_second"))
    return key.upper() if changing and value is not None or key in AVERAGES else value


def test_json():
    store = os.path.join(WORK, "store")
    writer = Actor("writer", "one", store)
    writer.tell("cccfc")
    reader = Actor("reader", "one", "log")
    reader.tell("r")
    text = look("one", "--json")[0]
    check(text.count("\n") == 1, "one line")
    report = json.loads(text)
    # How well LZ4 packs depends on its version.
    shown = re.sub(r'"(file_bytes|last_flush_bytes|flushed_bytes)": \d+', r'"\1": "BYTES"',
                   json.dumps(normal_json(report), indent=1, ensure_ascii=False))
    golden("one.json", shown + "\n")
    check(report["schema"] == "untorn.shmstat" and report["version"] == 1, "schema")
    parsed = jq(text, ".segments[0]")
    check(parsed is None or parsed["name"] == "one", "jq")
    check(parsed is None or jq(text, "[.segments[0].arrays[].name]") == ["dir/empty", "grid",
                                                                         "log"], "jq's names")
    array = json.loads(look("one/grid", "--json", "--chunks")[0])["segments"][0]["arrays"][0]
    check(array["chunk_map"] == "ccc.ccc." and array["data"]["fill_share"] == 0.4375 and
          array["data"]["minimum"] == 0 and array["data"]["maximum"] == 78.5, f"grid: {array}")
    log = json.loads(look("one/log", "--json", "--chunks")[0])["segments"][0]["arrays"][0]
    check(log["chunk_map"] == "cd", f"log: {log}")
    lines = look("one", "--json", "0.01", "3")[0].splitlines()
    check(len([json.loads(line) for line in lines]) == 3, "a line for each look")
    overview = json.loads(look("--json")[0])["segments"]
    check(len(overview) == 1 and "arrays" not in overview[0], "overview")
    missing = json.loads(look("absent", "one", "--json", status=1)[0])["segments"]
    check("does not exist" in missing[0]["error"] and missing[1]["error"] is None, "absent")
    test_schema()
    reader.quit()
    writer.quit()


def members(value):
    """The names of all members of the objects in a value."""
    if isinstance(value, dict):
        return set(value).union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()


def test_schema():
    """docs/shmstat.md tells of all members that there are, and of no others."""
    with open(os.path.join(os.environ["TOP"], "docs/shmstat.md"), encoding="utf-8") as file:
        text = file.read().split("## JSON")[1].split("\n## ")[0]
    known = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\|.*", text)))) - {"null"}
    known |= set(re.findall(r'"(\w+)":', text))
    found = members(json.loads(look("one", "--json")[0])) | members(
        json.loads(look("one/grid", "--json", "--chunks")[0]))
    check(found == known, f"not documented: {found - known}; not there: {known - found}")


def test_names():
    act("names", "names", data="\n".join(NAMES).encode() + b"\n")
    text = look("names", "--json")[0]
    names = [a["name"] for a in json.loads(text)["segments"][0]["arrays"]]
    check(names == sorted(NAMES, key=lambda n: n.encode()), f"names: {names}")
    parsed = jq(text, "[.segments[0].arrays[].name]")
    check(parsed is None or parsed == names, "jq's names")
    text = look("names")[0]
    check(len(text.splitlines()) == 4 + len(NAMES), f"a line each: {text}")
    for character in "\u202e\u200b\ufeff\u2028":
        check(character not in text, f"{character!r} is shown as it is")
    check("rtl\\u{202e}desrever" in text and "back\\\\slash" in text, text)
    for name in NAMES:
        arrays = json.loads(look(f"names/{name}", "--json")[0])["segments"][0]["arrays"]
        check(name in [a["name"] for a in arrays], f"by its name: {name}: {arrays}")


def test_many():
    act("many", "many", "10000")
    lines = look("many")[0].splitlines()
    check(len(lines) == 10004 and lines[4].startswith("group00/array000000 ") and
          lines[-1].startswith("group99/array009999 "), f"{len(lines)} lines")
    report = json.loads(look("many", "--json")[0])["segments"][0]
    check(len(report["arrays"]) == 10000 and not report["partial"] and
          all(a["resident_chunks"] == 4 for a in report["arrays"]), "ten thousand arrays")
    check(report["used"] > sum(a["dirty_bytes"] for a in report["arrays"]), "used")
    check(json.loads(look("--json")[0])["segments"][0]["array_count"] == 10000, "overview")
    lines = look("many/group07/*", "--no-header")[0].splitlines()
    check(len(lines) == 102, f"a hundred of them: {len(lines)}")


if shutil.which("jq") is None:
    print("SKIP what jq makes of the JSON: jq is missing")
test_json()
subprocess.run([UNTORN, "rm", "one"], check=True)
test_names()
subprocess.run([UNTORN, "rm", "names"], check=True)
test_many()
finish()
