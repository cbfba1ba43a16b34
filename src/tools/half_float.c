// SPDX-License-Identifier: MIT
/*
 * binary16 by its bits (see half_float.h): 1 sign, 5 exponent (bias 15), 10 fraction.
 */
#include "tools/half_float.h"

#include <string.h>

/* 2 to the power `exponent`, which is a normal double's. */
static double power_of_two(int exponent) {
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double ut_cli_half_to_double(uint16_t half) {
    uint64_t sign = (uint64_t)(half >> 15) << 63;
    unsigned exponent = (half >> 10) & 31u;
    unsigned fraction = half & 1023u;
    double magnitude;
    if (exponent == 31) {
        uint64_t bits = (UINT64_C(0x7ff) << 52) | (uint64_t)fraction << 42;
        memcpy(&magnitude, &bits, sizeof magnitude);
    } else if (exponent == 0) {
        magnitude = fraction * power_of_two(-24);
    } else {
        magnitude = (1024 + fraction) * power_of_two((int)exponent - 25);
    }
    uint64_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    bits |= sign;
    memcpy(&magnitude, &bits, sizeof magnitude);
    return magnitude;
}

uint16_t ut_cli_half_from_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    unsigned sign = (unsigned)(bits >> 63) << 15;
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 1024)
        return (uint16_t)(sign | 0x7c00 | (fraction ? 0x200 | (unsigned)(fraction >> 42) : 0));
    if (exponent < -26)
        return (uint16_t)sign;
    if (exponent > 15)
        return (uint16_t)(sign | 0x7c00);
    // The fraction bits that fall away: 42, and more for a subnormal, whose leading 1 is explicit.
    unsigned dropped = 42;
    uint64_t kept = fraction;
    unsigned base = (unsigned)(exponent + 15) << 10;
    if (exponent < -14) {
        dropped += (unsigned)(-14 - exponent);
        kept |= UINT64_C(1) << 52;
        base = 0;
    }
    uint64_t rest = kept & ((UINT64_C(1) << dropped) - 1);
    uint64_t tie = UINT64_C(1) << (dropped - 1);
    unsigned result = base + (unsigned)(kept >> dropped);
    // A carry runs on into the exponent, up to infinity, as it should.
    if (rest > tie || (rest == tie && (result & 1)))
        result++;
    return (uint16_t)(sign | result);
}
