// SPDX-License-Identifier: MIT
// Values for arrays of any type that show whether a reader keeps every bit.
#ifndef UT_INTEROP_VALUES_H
#define UT_INTEROP_VALUES_H

#include <stddef.h>

/* n elements of the type (its first letter and size): first those that readers tend to get wrong
 * (limits, NaN with bits of its own, infinities, -0.0), then a series.  `seed` changes the series.
 */
void make_values(unsigned char *out, size_t n, char kind, size_t itemsize, unsigned seed);

/* Bytes that do not compress. */
void make_noise(unsigned char *out, size_t bytes, unsigned seed);

#endif
