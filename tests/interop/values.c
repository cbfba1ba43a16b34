// SPDX-License-Identifier: MIT
// A series that is smooth, as measurements are, behind the values at the limits of its type.
#include "values.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static uint32_t next_noise(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

void make_noise(unsigned char *out, size_t bytes, unsigned seed) {
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(next_noise(&state) >> 11);
}

// Little-endian machines only: the library refuses others.
static void put(unsigned char *out, uint64_t bits, size_t size) {
    memcpy(out, &bits, size);
}

static void put_integer(unsigned char *out, size_t i, size_t size, unsigned seed) {
    const uint64_t limits[] = {0, 1, UINT64_MAX, UINT64_C(1) << (8 * size - 1),
                               (UINT64_C(1) << (8 * size - 1)) - 1};
    size_t special = sizeof limits / sizeof *limits;
    put(out, i < special ? limits[i] : (i - special) * (seed + 1) + seed, size);
}

static void put_float(unsigned char *out, size_t i, size_t size, unsigned seed) {
    static const uint16_t half[] = {0x7e00, 0x7e01, 0xfe03, 0x7c00, 0xfc00, 0x8000, 1, 0x7bff};
    static const uint32_t single[] = {0x7fc00000, 0x7fc00001, 0xffc00003, 0x7f800000,
                                      0xff800000, 0x80000000, 1,          0x7f7fffff};
    static const uint64_t twice[] = {0x7ff8000000000000,
                                     0x7ff8000000000001,
                                     0xfff8000000000003,
                                     0x7ff0000000000000,
                                     0xfff0000000000000,
                                     0x8000000000000000,
                                     1,
                                     0x7fefffffffffffff};
    if (i < sizeof half / sizeof *half) {
        put(out, size == 2 ? half[i] : size == 4 ? single[i] : twice[i], size);
        return;
    }
    double value = sin((double)i / 50.0 + seed) * 100.0;
    float shorter = (float)value;
    if (size == 8)
        memcpy(out, &value, size);
    else if (size == 4)
        memcpy(out, &shorter, size);
    else // any half that is a number
        put(out, 0x3c00 + (i * 7 + seed) % 0x3800, size);
}

static void put_text(unsigned char *out, size_t i, size_t size, unsigned seed) {
    memset(out, 0, size);
    size_t length = i % (size + 1) < 40 ? i % (size + 1) : 40;
    for (size_t k = 0; k < length; k++)
        out[k] = (unsigned char)(k == 1 ? 0xc3 : k == 2 ? 0xa9 : 'a' + (i + k + seed) % 26);
}

void make_values(unsigned char *out, size_t n, char kind, size_t itemsize, unsigned seed) {
    if (kind == 'V') {
        make_noise(out, n * itemsize, seed);
        return;
    }
    for (size_t i = 0; i < n; i++, out += itemsize) {
        switch (kind) {
        case 'b':
            *out = (i / 3 + seed) % 2;
            break;
        case 'f':
            put_float(out, i, itemsize, seed);
            break;
        case 'c':
            put_float(out, i, itemsize / 2, seed);
            put_float(out + itemsize / 2, i / 3, itemsize / 2, seed);
            break;
        case 'S':
            put_text(out, i, itemsize, seed);
            break;
        default:
            put_integer(out, i, itemsize, seed);
        }
    }
}
