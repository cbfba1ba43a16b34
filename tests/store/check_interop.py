# SPDX-License-Identifier: MIT
"""Whether zarr and numcodecs read what interop_files wrote, and the other way round.

    check_interop.py DIR INTEROP_FILES
"""
import itertools
import os
import subprocess
import sys
import warnings

import numcodecs
import numpy as np
import zarr

top, helper = sys.argv[1:]
warnings.simplefilter("error")  # a reader that warns is as good as one that will refuse
major = int(zarr.__version__.split(".")[0])
print("zarr", zarr.__version__, "numcodecs", numcodecs.__version__)


def expect(condition, *what):
    if not condition:
        sys.exit("wrong: " + " ".join(map(str, what)))


def check_array(array, name, version):
    with open(os.path.join(top, "raw", name), "rb") as f:
        raw = f.read()
    data = np.asarray(array[...])
    expect(data.tobytes() == raw, name, "content")
    expect(array.attrs["units"] == "m/s", name, "attributes")
    expect(array.attrs["\u00e9"] == "\U0001f30a", name, "attributes")
    names = ["t", "dim_1", "\u00e9"][: array.ndim]
    if version == 2:
        expect(array.attrs["_ARRAY_DIMENSIONS"] == names, name, array.attrs["_ARRAY_DIMENSIONS"])
    elif array.ndim:
        names = tuple(["t", None, "\u00e9"][: array.ndim])
        expect(array.metadata.dimension_names == names, name, array.metadata.dimension_names)
    if version == 2 and major == 2 and array.compressor is not None and array.ndim:
        key = os.path.join(top, "v2", "g", name, ".".join(["0"] * array.ndim))
        if os.path.exists(key):
            with open(key, "rb") as f:
                chunk = numcodecs.blosc.decompress(f.read())
            expect(len(chunk) == array.dtype.itemsize * int(np.prod(array.chunks)), name, "chunk")
    return data


def check_store(version):
    path = os.path.join(top, "v%d" % version)
    count = 0
    for consolidated in (False, True):
        if consolidated:
            store = zarr.open_consolidated(path)
        elif major == 2:
            store = zarr.open_group(path, mode="r")
        else:
            store = zarr.open_group(path, mode="r", use_consolidated=False)
        stamp = store.attrs["untorn"]
        expect(stamp["epoch"] == 40 and stamp["commit"] == (40 << 48) + 5, stamp)
        expect(stamp["time"] == "2026-01-02T03:04:05.000000009Z", stamp)
        expect(store.attrs["title"] == "t", "title")
        group = store["g"]
        names = sorted(n for n, _ in group.arrays())
        expect(len(names) == len(os.listdir(os.path.join(path, "g"))) - 1, names)
        for name in names:
            check_array(group[name], name, version)
        count = len(names)
    fills = {
        "a7_f4": np.float32(0.1),
        "a4_u8": np.uint64(2**64 - 1),
        "a5_i8": np.int64(-(2**63)),
        "a11_c8": np.complex64(1.5 - 2j),  # zarr 2 reads 1.5 - infj as nan - infj
    }
    for name, value in fills.items():
        got = group[name].fill_value
        expect(np.asarray(got, value.dtype).tobytes() == value.tobytes(), name, got)
    print("format", version, "-", count, "arrays")


def check_foreign():
    """Containers that c-blosc wrote."""
    rng = np.random.default_rng(1)
    contents = [
        np.arange(50000, dtype="<i4"),
        np.cumsum(rng.integers(-5, 5, 40001)).astype("<f8"),
        rng.integers(0, 256, 5000, dtype="u1"),
        np.zeros(100003, "u1"),
        np.arange(7, dtype="<u2"),
        np.frombuffer(b"abcdefghij" * 3000, "S10"),
    ]
    settings = itertools.product(["lz4", "lz4hc"], [0, 1, 5, 9], [0, 1], [0, 1024, 5000])
    raw, file = os.path.join(top, "foreign.raw"), os.path.join(top, "foreign.blosc")
    count = 0
    for (cname, level, shuffle, blocksize), content in itertools.product(settings, contents):
        with open(raw, "wb") as f:
            f.write(content.tobytes())
        with open(file, "wb") as f:
            f.write(numcodecs.Blosc(cname, level, shuffle, blocksize).encode(content))
        run = subprocess.run([helper, "decode", file, raw])
        expect(run.returncode == 0, cname, level, shuffle, blocksize, content.dtype)
        count += 1
    print("containers by c-blosc -", count)


check_store(2)
if major >= 3:
    check_store(3)
check_foreign()
