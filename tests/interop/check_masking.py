# SPDX-License-Identifier: MIT
"""What xarray makes of fill values unless it is told not to, as docs/interop.md says:

    check_masking.py DIR"""
import os
import sys
import warnings

import numpy as np
import xarray

from expected import load

directory = sys.argv[1]
warnings.simplefilter("ignore")
for version in (2, 3):
    top = os.path.join(directory, "v%d" % version)
    case = next(c for c in load(top, version)[1] if c.short == "none/dtype_i2")
    path = os.path.realpath(os.path.join(top, "store", "latest"))
    array = xarray.open_zarr(path, group="none/dtype_i2")["values"]
    plain = xarray.open_zarr(path, group="none/dtype_i2", mask_and_scale=False)["values"]
    assert plain.dtype == case.dtype and np.array_equal(plain.values, case.data), plain
    missing = case.data == case.fill
    assert missing.any() and not missing.all()
    if version == 2:
        assert array.dtype.kind == "f" and np.array_equal(np.isnan(array.values), missing), array
    else:
        assert array.dtype == case.dtype and np.array_equal(array.values, case.data), array
    print("format %d: int16 is opened as %s" % (version, array.dtype))
