# SPDX-License-Identifier: MIT
"""How many reads were torn, over all sections that checked what was read.

Each row of such a section has the values torn and checked (or reads, where every read is checked).
Peers and ways are told apart by the name of their table's first column.  Where nobody writes,
nothing can be torn: those sections would only make shares smaller.
"""

from dataclasses import dataclass

import sections as form
import words

IDLE = 1  # the workload in which nobody writes


@dataclass
class Sum:
    name: str
    torn: int = 0
    checked: int = 0
    cases: int = 0
    bad: int = 0  # cases with a torn read
    worst: float = 0.0  # share
    where: object = None  # the section of the worst

    def add(self, torn, checked, section):
        self.torn, self.checked = self.torn + torn, self.checked + checked
        self.cases, self.bad = self.cases + 1, self.bad + (torn > 0)
        if torn / checked > self.worst:
            self.worst, self.where = torn / checked, section


def sums(sections):
    """{the first column's name: {a row's name: Sum}}, in the order in which they come."""
    found = {}
    for section in sections:
        if form.group_rank(section["group"])[0] == IDLE or not section["columns"]:
            continue
        for row in section["rows"]:
            values = row["values"]
            torn, checked = values.get("torn"), values.get("checked", values.get("reads"))
            if not row.get("peer") or torn is None or not checked or checked < 0:
                continue
            name = row["cells"][0]
            kind = found.setdefault(section["columns"][0], {})
            kind.setdefault(name, Sum(name)).add(torn, checked, section)
    return found


def count_text(one):
    text = "%s of %s" % (words.figure(one.torn), words.figure(one.checked))
    return text + (" (%s)" % words.share(one.torn / one.checked) if one.torn else "")


def cases_text(one):
    return "%d of %d" % (one.bad, one.cases)
