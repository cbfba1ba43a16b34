# SPDX-License-Identifier: MIT
"""What write_cases wrote, and the comparison of what a client reads with it.

A client's program calls run(client, read), where read(path, case) opens the array in the store
snapshot `path` and returns a Got.  Each case gets one line on standard output, tab-separated:

    client  format  case  outcome  remark

with the outcome ok, refused (the client raised an error) or wrong (it returned something else).
Cases run in child processes when `isolated`: some clients die instead of raising an error.
"""
import json
import os
import signal
import sys
import traceback
import warnings

import numpy as np


class Case:
    def __init__(self, top, version, description):
        self.__dict__.update(description)
        self.format = version
        self.dtype = np.dtype("<" + self.dtype if self.dtype[0] in "iufc" else self.dtype)
        self.shape = tuple(self.shape)
        self.chunks = tuple(self.chunks)
        self.short = self.name[: -len("/values")] if self.name.endswith("/values") else self.name
        raw = np.fromfile(os.path.join(top, "raw", str(self.number)), "u1")
        self.data = raw.view(self.dtype).reshape(self.shape)
        # An array, because NumPy's scalars of type S lose the zero bytes at their end.
        self.fill = np.frombuffer(bytes.fromhex(self.fill), self.dtype).reshape(())

    def axis_names(self):
        """As the store has them: format 2 has names for all axes or for none."""
        if self.format == 2 and any(self.dimensions):
            return [n or "dim_%d" % i for i, n in enumerate(self.dimensions)]
        return list(self.dimensions)


class Got:
    """What a client returned.  None: it has no such thing, or nothing to compare it with."""
    def __init__(self, data, attributes=None, names=None, fill=None):
        self.data, self.attributes, self.names, self.fill = data, attributes, names, fill


def bits(array, case):
    """The elements' bytes.  Format 2 has only one NaN for fill values, so there any NaN is as good
    as another where the fill value is one."""
    array = np.ascontiguousarray(array)
    data = array.view("u1").reshape(array.shape + (-1,)).copy() if array.size else array.view("u1")
    kind = case.dtype.kind
    if case.format == 2 and array.size and kind in "fc" and np.isnan(case.fill):
        part = case.dtype.itemsize // (2 if kind == "c" else 1)
        numbers = data.reshape(-1, part).view("f%d" % part).reshape(-1)
        numbers[np.isnan(numbers)] = np.nan
    return data


def unlike(got, case):
    """What differs, or None."""
    data = got.data
    if tuple(data.shape) != case.shape:
        return "shape %s, not %s" % (tuple(data.shape), case.shape)
    if data.dtype != case.dtype:
        return "type %s, not %s" % (data.dtype, case.dtype)
    a, b = bits(data, case), bits(case.data, case)
    if not np.array_equal(a, b):
        place = tuple(int(i) for i in np.argwhere((a != b).any(axis=-1))[0])
        count = int((a != b).any(axis=-1).sum())
        return "%d of %d elements differ, the first at %s: %r, not %r" % (
            count, data.size, place, data[place], case.data[place])
    if got.fill is not None:
        fill = np.asarray(got.fill).astype(case.dtype)
        if not np.array_equal(bits(fill, case), bits(case.fill, case)):
            return "fill value %r, not %r" % (fill, case.fill)
    if got.attributes is not None:
        attributes = {k: v for k, v in got.attributes.items() if k != "_ARRAY_DIMENSIONS"}
        if attributes != case.attributes:
            return "attributes %r, not %r" % (attributes, case.attributes)
    if got.names is not None and list(got.names) != case.axis_names():
        return "dimension names %r, not %r" % (list(got.names), case.axis_names())
    return None


def one_line(text):
    return " ".join(str(text).split())[:300]


def attempt(read, path, case):
    try:
        got = read(path, case)
    except Exception as error:  # whatever a client raises is its refusal
        if os.environ.get("INTEROP_TRACE"):
            traceback.print_exc()
        return "refused", one_line("%s: %s" % (type(error).__name__, error))
    difference = unlike(got, case)
    return ("wrong", one_line(difference)) if difference else ("ok", "")


def attempt_in_child(read, path, case):
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        with os.fdopen(into, "w") as pipe:
            json.dump(attempt(read, path, case), pipe)
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        return "refused", "killed by %s" % signal.Signals(-status).name
    return json.loads(answer)


def load(top, version):
    with open(os.path.join(top, "cases.json"), encoding="utf-8") as f:
        everything = json.load(f)
    return everything, [Case(top, version, c) for c in everything["cases"]]


def run(client, read, formats=(2, 3), isolated=False, wanted=lambda case: True):
    """DIR and the kind of store, `store` or `export`, are the program's arguments."""
    directory, kind = sys.argv[1:3]
    warnings.simplefilter("ignore")
    for version in formats:
        top = os.path.join(directory, "v%d" % version)
        _, cases = load(top, version)
        path = os.path.realpath(os.path.join(top, kind, "latest"))
        for case in cases:
            if not wanted(case):
                continue
            do = attempt_in_child if isolated else attempt
            outcome, remark = do(read, path, case)
            print(client, version, case.short, outcome, remark, sep="\t", flush=True)
