// SPDX-License-Identifier: MIT
// A fill value as JSON: true and false, integers, the shortest decimals that read as the same
// value, pairs of those for complex numbers, base64 for S and V.  -0.0 keeps its sign.
#include "store/zarr_fill.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "store/json_text.h"

static uint64_t unsigned_value(const void *bytes, size_t size) {
    uint64_t value = 0; // little-endian machines only: the segment refuses others
    memcpy(&value, bytes, size);
    return value;
}

static void add_signed(ut_growing_text *out, const void *bytes, size_t size) {
    unsigned shift = 64 - 8 * (unsigned)size;
    int64_t value = (int64_t)(unsigned_value(bytes, size) << shift) >> shift;
    ut_text_format(out, "%" PRId64, value);
}

static bool is_nan(uint64_t bits, size_t size) {
    switch (size) {
    case 2:
        return (bits & 0x7fff) > 0x7c00;
    case 4:
        return (bits & 0x7fffffff) > 0x7f800000;
    default:
        return (bits & INT64_MAX) > UINT64_C(0x7ff0000000000000);
    }
}

static bool is_usual_nan(uint64_t bits, size_t size) {
    return bits == (size == 2 ? 0x7e00 : size == 4 ? 0x7fc00000 : UINT64_C(0x7ff8000000000000));
}

static void add_float(ut_growing_text *out, const void *bytes, size_t size, int exact_nan) {
    uint64_t bits = unsigned_value(bytes, size);
    if (exact_nan && is_nan(bits, size) && !is_usual_nan(bits, size)) {
        ut_text_format(out, "\"0x%0*" PRIx64 "\"", (int)(2 * size), bits);
    } else if (size == 2) {
        ut_json_add_half(out, (uint16_t)bits);
    } else if (size == 4) {
        float value;
        memcpy(&value, bytes, sizeof value);
        /* The shortest text of the largest is above it, which some readers take for infinity. */
        if (value == FLT_MAX || value == -FLT_MAX)
            ut_json_add_double(out, (double)value);
        else
            ut_json_add_float(out, value);
    } else {
        double value;
        memcpy(&value, bytes, sizeof value);
        ut_json_add_double(out, value);
    }
}

void ut_zarr_add_fill(ut_growing_text *out, const ut_dtype *dtype, const void *fill,
                      int exact_nan) {
    size_t size = dtype->itemsize, part = size / 2;
    switch (dtype->kind) {
    case 'b':
        ut_text_add(out, *(const unsigned char *)fill ? "true" : "false");
        return;
    case 'i':
        add_signed(out, fill, size);
        return;
    case 'u':
        ut_text_format(out, "%" PRIu64, unsigned_value(fill, size));
        return;
    case 'f':
        add_float(out, fill, size, exact_nan);
        return;
    case 'c':
        ut_text_add(out, "[");
        add_float(out, fill, part, exact_nan);
        ut_text_add(out, ",");
        add_float(out, (const char *)fill + part, part, exact_nan);
        ut_text_add(out, "]");
        return;
    default:
        ut_json_add_base64(out, fill, size);
    }
}
