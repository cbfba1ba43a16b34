# SPDX-License-Identifier: MIT
"""Groups, listing, copying and consolidating with zarr-python, 2 or 3:

    check_listing.py DIR

A store snapshot has symbolic links where its arrays are.  What follows them finds all arrays, what
does not finds none; docs/interop.md says which is which, and this program that it is so."""
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import zarr

from expected import load

major = int(zarr.__version__.split(".")[0])
warnings.simplefilter("ignore")
failures = 0


def check(condition, what, *details):
    global failures
    if not condition:
        failures += 1
    print("ok   " if condition else "WRONG", what, *(() if condition else details))


def all_arrays(group):
    if major == 2:
        found = []
        group.visititems(lambda name, node: found.append((name, node)))
    else:
        found = list(group.members(max_depth=None))
    return {name: node for name, node in found if isinstance(node, zarr.Array)}


def consolidate(path, version):
    options = {} if major == 2 else {"zarr_format": version}
    zarr.consolidate_metadata(path, **options)
    return zarr.open_consolidated(path)


def check_values(group, cases, what):
    arrays = all_arrays(group)
    check(set(arrays) == {case.name for case in cases}, what + ": all arrays and no others",
          set(arrays) ^ {case.name for case in cases})
    labelled = [case for case in cases if "/labelled/" in case.name]
    check(len(labelled) == 6 and all(np.array_equal(arrays[case.name][...], case.data, True)
                                     for case in labelled if case.name in arrays),
          what + ": values")


def check_groups(group, everything, version):
    for name, attributes in everything["groups"].items():
        got = dict((group[name] if name else group).attrs)
        stamp = got.pop("untorn", None)
        check(got == attributes, "format %d: attributes of group %r" % (version, name), got)
        if name == "":
            check(stamp is not None and stamp["commit"] == everything["commit"],
                  "format %d: the root tells the commit" % version, stamp)
    names = sorted(group["none/labelled"].array_keys())
    check(names == ["level", "t", "x"], "format %d: arrays of a group" % version, names)
    names = sorted(group.group_keys())
    check(names == ["lz4", "none"], "format %d: groups" % version, names)
    tree = str(group.tree())
    check(all(name in tree for name in ("labelled", "level", "one two")),
          "format %d: tree()" % version, tree[:200])


def check_copies(path, cases, version, scratch):
    """Copies that follow links can be consolidated; the snapshot itself is not to be changed."""
    copy = os.path.join(scratch, "copy")
    subprocess.run(["cp", "-rL", path, copy], check=True)
    links = sum(os.path.islink(os.path.join(d, n)) for d, ds, fs in os.walk(copy) for n in ds + fs)
    check(links == 0, "format %d: cp -rL leaves no link" % version, links)
    check_values(zarr.open_group(copy, mode="r"), cases, "format %d: cp -rL" % version)
    check_values(consolidate(copy, version), cases,
                 "format %d: cp -rL and consolidate_metadata()" % version)
    # A whole store, links kept, is a store.
    store = os.path.join(scratch, "store")
    subprocess.run(["cp", "-a", os.path.dirname(os.path.dirname(path)), store], check=True)
    inside = os.path.realpath(os.path.join(store, "latest"))
    check_values(zarr.open_group(inside, mode="r"), cases, "format %d: cp -a of the store" % version)
    found = set(all_arrays(consolidate(inside, version)))
    expected = set() if major == 2 else {case.name for case in cases}
    check(found == expected, "format %d: consolidate_metadata() through links finds %s" % (
        version, "no array" if major == 2 else "all arrays"), len(found))
    # A snapshot alone, links kept, has lost its arrays.
    alone = os.path.join(scratch, "alone")
    subprocess.run(["cp", "-r", path, alone], check=True)
    check(not os.path.exists(os.path.join(alone, cases[0].name)),
          "format %d: cp -r of a snapshot leaves dangling links" % version)


def find(command, path):
    """The files below path, relative to it, that the command lists."""
    done = subprocess.run(command + [path], stdout=subprocess.PIPE, check=True)
    return {os.path.relpath(line, path) for line in done.stdout.decode().splitlines()}


def walk(path, follow):
    return {os.path.relpath(os.path.join(d, n), path)
            for d, _, names in os.walk(path, followlinks=follow) for n in names}


def check_walkers(path, cases, version):
    """Which ways of listing follow links."""
    metadata = ".zarray" if version == 2 else "zarr.json"
    wanted = {"%s/%s" % (case.name, metadata) for case in cases}
    for what, listed, follows in (
            ("os.walk()", walk(path, False), False),
            ("os.walk(followlinks=True)", walk(path, True), True),
            ("find", find(["find"], path), False),
            ("find -L", find(["find", "-L"], path), True)):
        found = len(wanted & listed)
        check(found == (len(wanted) if follows else 0), "format %d: %s finds %s" % (
            version, what, "all arrays" if follows else "no array"), found)


def main(directory):
    print("zarr", zarr.__version__)
    for version in (2,) if major == 2 else (2, 3):
        top = os.path.join(directory, "v%d" % version)
        everything, cases = load(top, version)
        path = os.path.realpath(os.path.join(top, "store", "latest"))
        group = zarr.open_group(path, mode="r")
        check_groups(group, everything, version)
        check_values(group, cases, "format %d: snapshot" % version)
        check_values(zarr.open_consolidated(path), cases, "format %d: consolidated" % version)
        check_walkers(path, cases, version)
        scratch = tempfile.mkdtemp(dir=directory)
        try:
            check_copies(path, cases, version, scratch)
        finally:
            shutil.rmtree(scratch)
        exported = os.path.realpath(os.path.join(top, "export", "latest"))
        links = sum(os.path.islink(os.path.join(d, n))
                    for d, ds, fs in os.walk(exported) for n in ds + fs)
        check(links == 0, "format %d: an exported store has no links inside" % version, links)
        copy = tempfile.mkdtemp(dir=directory)
        try:  # as it would be done to the exported store itself, which others still read here
            subprocess.run(["cp", "-r", exported, copy + "/copy"], check=True)
            check_values(consolidate(copy + "/copy", version), cases,
                         "format %d: consolidate_metadata() on an exported store" % version)
        finally:
            shutil.rmtree(copy)


main(sys.argv[1])
sys.exit(1 if failures else 0)
