# SPDX-License-Identifier: MIT
"""GDAL's multidimensional API:  read_gdal.py DIR store|export

GDAL has fewer types.  Where it reads with a larger one (a half as a float, int8 as int16) the
elements are compared after the way back, which loses nothing."""
import os
import sys

import numpy as np
from osgeo import gdal

from expected import Got, run

print("GDAL", gdal.__version__, file=sys.stderr)
gdal.UseExceptions()
larger = {"f2": "f4", "i1": "i2", "b1": "u1"}


def read(path, case):
    dataset = gdal.OpenEx(path, gdal.OF_MULTIDIM_RASTER, allowed_drivers=["Zarr"])
    array = dataset.GetRootGroup().OpenMDArrayFromFullname("/" + case.name)
    if array is None:
        raise RuntimeError("no array")
    if case.dtype.kind == "S":
        data = np.array([os.fsencode(text) for text in array.Read()], case.dtype)
        return Got(data.reshape(case.shape))
    data = array.ReadAsArray()
    if data is None:
        raise RuntimeError("not read: " + gdal.GetLastErrorMsg())
    data = np.asarray(data)
    if data.dtype == larger.get(case.dtype.str[1:]):
        data = data.astype(case.dtype)
    names = [dimension.GetName() for dimension in array.GetDimensions()]
    return Got(data, None, names if any(case.dimensions) else None)


run("GDAL", read, isolated=True)
