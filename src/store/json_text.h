// SPDX-License-Identifier: MIT
// Pieces of JSON as text, for metadata files: strings, numbers, base64, and the members of an
// object that is only passed on.  All of it is ASCII, other characters escaped: zarr-python 2 reads
// metadata as ASCII and refuses anything else.
#ifndef UT_JSON_TEXT_H
#define UT_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "untorn.h"

// A JSON string.  UNTORN_E_CORRUPT if `string` is not UTF-8.
untorn_status ut_json_add_string(ut_growing_text *text, const char *string);

// A double as the shortest decimal number that reads as it, always with a '.' or an exponent, so
// that -0.0 and 1.0 are read as floats; "NaN", "Infinity" and "-Infinity", quoted, as Zarr has it.
void ut_json_add_double(ut_growing_text *text, double value);

// The same for a narrower type: the shortest that reads as `value` after rounding to float, or,
// given its bits, to a half.
void ut_json_add_float(ut_growing_text *text, float value);
void ut_json_add_half(ut_growing_text *text, uint16_t bits);

// Base64 of RFC 4648 with padding, in quotes.
void ut_json_add_base64(ut_growing_text *text, const void *bytes, size_t n);

// [1,2,3]
void ut_json_add_numbers(ut_growing_text *text, unsigned count, const uint64_t *numbers);

// The members of `object`, a text that ut_json_check_object() accepts, without the braces and
// without those named `skip` (ASCII; NULL: none), however that is escaped.  Returns how many.
size_t ut_json_add_members(ut_growing_text *text, const char *object, const char *skip);

#endif
