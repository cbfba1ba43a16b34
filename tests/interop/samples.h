// SPDX-License-Identifier: MIT
/*
 * The arrays that other programs have to read value for value: every data type, rank, fill value
 * and edge case that a store can hold.  Each is written with every codec and in every format.
 */
#ifndef UT_INTEROP_SAMPLES_H
#define UT_INTEROP_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

// What is written of the array; the rest reads as the fill value.
typedef enum content {
    FULL,      // every chunk
    HOLES,     // every other chunk, so that the others have no file
    FIRST,     // only the first chunk
    NOTHING,   // no chunk at all
    NOISE,     // every chunk, with bytes that do not compress
    REWRITTEN, // every chunk, and after a flush every other one again; and the attributes
    GROWN,     // half of the first axis; the rest is appended after a flush
    SHRUNK,    // every chunk; after a flush cut to half of the first axis, and grown again
} content;

typedef struct sample {
    const char *name; // of its group; the array in it is "values" unless the name has a '/'
    const char *dtype;
    unsigned rank;
    uint64_t shape[UNTORN_MAX_RANK], chunks[UNTORN_MAX_RANK];
    const char *fill; // one element, NULL: zero bytes
    content content;
    const char *const *dimensions; // NULL: d0, d1, ...
    const char *attributes;
} sample;

extern const sample samples[];
extern const size_t sample_count;

extern const char *const no_dimensions[UNTORN_MAX_RANK];

/* The attributes that a REWRITTEN array has in the end. */
extern const char rewritten_attributes[];

#endif
