// SPDX-License-Identifier: MIT
// A fill value as the JSON that Zarr's metadata have for it.
#ifndef UT_ZARR_FILL_H
#define UT_ZARR_FILL_H

#include "array/dtype.h"
#include "base/text.h"

// `fill` is one element.  exact_nan: a NaN other than the usual one as "0x…", as format 3 has it.
void ut_zarr_add_fill(ut_growing_text *out, const ut_dtype *dtype, const void *fill, int exact_nan);

#endif
