# SPDX-License-Identifier: MIT
"""zarr-python, 2 or 3, whichever this Python has:  read_zarr.py DIR store|export"""
import sys

import numpy as np
import zarr

from expected import Got, run

major = int(zarr.__version__.split(".")[0])
print("zarr", zarr.__version__, "numpy", np.__version__, file=sys.stderr)


def read(path, case):
    array = zarr.open_group(path, mode="r")[case.name]
    attributes = dict(array.attrs)
    if case.format == 2:
        names = attributes.get("_ARRAY_DIMENSIONS", [None] * len(case.shape))
    else:
        names = array.metadata.dimension_names or [None] * len(case.shape)
    return Got(np.asarray(array[...]), attributes, names, array.fill_value)


run("zarr-python %d" % major, read, formats=(2,) if major == 2 else (2, 3))
