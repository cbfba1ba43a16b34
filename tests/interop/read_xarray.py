# SPDX-License-Identifier: MIT
"""xarray on top of zarr-python 3 and dask:  read_xarray.py DIR store|export"""
import os
import sys

import dask
import numpy as np
import xarray

from expected import Got, run

print("xarray", xarray.__version__, "dask", dask.__version__, file=sys.stderr)
dask.config.set(scheduler="synchronous")


def read(path, case):
    group, name = case.name.rsplit("/", 1)
    # As it is: else elements that equal the fill value become NaN in format 2, and so on.
    dataset = xarray.open_zarr(path, group=group, consolidated=False, chunks={}, decode_cf=False)
    array = dataset[name]
    assert array.ndim == 0 or name in dataset.indexes or dask.is_dask_collection(array.data)
    attributes = {k: v for k, v in array.attrs.items() if k != "_FillValue"}
    return Got(np.asarray(array.values), attributes, array.dims)


run("xarray", read)
