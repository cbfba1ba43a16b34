# SPDX-License-Identifier: MIT
"""TensorStore:  read_tensorstore.py DIR store|export"""
import os
import sys
from importlib.metadata import version

import numpy as np
import tensorstore

from expected import Got, run

print("tensorstore", version("tensorstore"), file=sys.stderr)


class Bytes:
    """An array of TensorStore's types `char` and `byte`, whose elements NumPy takes for 0 bytes
    long (|S0, |V0), as one of bytes."""
    def __init__(self, array):
        self.array = array  # has the memory
        self.__array_interface__ = dict(array.__array_interface__, typestr="|u1", descr=[("", "|u1")],
                                        strides=array.strides)


def read(path, case):
    spec = {"driver": "zarr" if case.format == 2 else "zarr3",
            "kvstore": {"driver": "file", "path": os.path.join(path, case.name)}}
    array = tensorstore.open(spec, open=True, read=True).result()
    data = array.read().result()
    if case.dtype.kind in "SV":  # there is one axis more, of bytes
        return Got(np.ascontiguousarray(Bytes(data)).view(case.dtype)[..., 0])
    names = None
    if case.format == 3:
        names = [label or None for label in array.domain.labels]
    return Got(np.asarray(data), None, names, array.fill_value)


run("TensorStore", read)
