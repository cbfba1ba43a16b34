# SPDX-License-Identifier: MIT
"""netCDF's Zarr reader, for codec "none" and format 2:  read_netcdf.py DIR store|export

It has no Blosc without plugins, and returns garbage for such chunks without an error."""
import sys
from urllib.parse import quote

import netCDF4
import numpy as np

from expected import Got, run

print("netCDF4", netCDF4.__version__, "libnetcdf", netCDF4.__netcdf4libversion__, file=sys.stderr)


def read(path, case):
    group, name = case.name.rsplit("/", 1)
    with netCDF4.Dataset("file://%s/%s#mode=zarr,file" % (quote(path), quote(group))) as dataset:
        variable = dataset.variables[name]
        variable.set_auto_maskandscale(False)
        return Got(np.asarray(variable[...]).astype(variable.dtype))


run("netCDF", read, formats=(2,), isolated=True, wanted=lambda case: case.codec == "none")
