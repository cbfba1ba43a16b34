// SPDX-License-Identifier: MIT
/*
 * Measured-looking float32: a wave with noise, to a hundredth of a unit, as a
 * sensor would give it.  Shuffle and LZ4 make about two thirds of it.
 */
#ifndef BENCH_FLOAT_FIELD_H
#define BENCH_FLOAT_FIELD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

static inline void bench_float_field(float *to, size_t count) {
    uint32_t noise = 12345;
    for (size_t i = 0; i < count; i++) {
        noise = noise * 1664525u + 1013904223u;
        double value = 280 + 15 * sin((double)i / 800) + (double)(noise >> 24) / 256;
        to[i] = (float)(floor(value * 100) / 100);
    }
}

#endif
