// SPDX-License-Identifier: MIT
/*
 * IEEE 754 binary16 ("f2"), which C11 has no type for, to and from double.  To half: rounded to
 * nearest, ties to even, straight from the double, since rounding by way of float can differ.
 */
#ifndef UT_HALF_FLOAT_H
#define UT_HALF_FLOAT_H

#include <stdint.h>

double ut_cli_half_to_double(uint16_t half);
uint16_t ut_cli_half_from_double(double value);

#endif
