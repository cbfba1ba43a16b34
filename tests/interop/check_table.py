# SPDX-License-Identifier: MIT
"""Whether what a client did is what the table in docs/interop.md says of it:

    check_table.py docs/interop.md LINES

A row of the table is

    | client | format | `case` `case` ... | refuses or differs | what happens |

where a case is a name without its codec, or a pattern.  A client must refuse or misread exactly the
cases that a row of it has, with each codec it was tried with, and must read all others right."""
import fnmatch
import re
import sys
from collections import Counter

kinds = {"refuses": "refused", "differs": "wrong"}


def table(path):
    rows = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 5 and cells[3] in kinds:
                rows.append((cells[0], cells[1], re.findall("`([^`]+)`", cells[2]), kinds[cells[3]]))
    return rows


def main(document, lines):
    rows = table(document)
    problems, count, used = [], Counter(), set()
    with open(lines, encoding="utf-8") as f:
        results = [line.rstrip("\n").split("\t") for line in f]
    if not results:
        sys.exit("the client read nothing")
    clients = {(client, version) for client, version, *_ in results}
    for client, version, case, outcome, remark in results:
        name = case.split("/", 1)[1]
        said = set()
        for row in rows:
            if row[:2] == (client, version):
                for pattern in row[2]:
                    if fnmatch.fnmatchcase(name, pattern):
                        said.add(row[3])
                        used.add((client, version, pattern))
        expected = said.pop() if said else "ok"
        if outcome != expected or said:
            problems.append("%s, format %s, %s: %s instead of %s %s" % (
                client, version, case, outcome, expected, remark))
        count[client, version, outcome] += 1
    for client, version, patterns, _ in rows:
        if (client, version) in clients:
            problems += ["%s, format %s: no case is named %s" % (client, version, pattern)
                         for pattern in patterns if (client, version, pattern) not in used]
    for client, version in sorted(clients):
        print("%s, format %s: %d as written, %d refused, %d different, as the table says" % (
            client, version, count[client, version, "ok"], count[client, version, "refused"],
            count[client, version, "wrong"]))
    for problem in problems:
        print("UNEXPECTED:", problem)
    return 1 if problems else 0


sys.exit(main(*sys.argv[1:]))
