// SPDX-License-Identifier: MIT
/*
 * Data types by NumPy's names, reduced to one canonical text.
 *
 * Two arrays have the same type exactly if their canonical texts are equal, so
 * the text is what is stored, compared and shown.  It is what NumPy prints as
 * dtype.str on a little-endian machine: "<f8", "|u1", "|b1", "|S10", "|V3".
 */
#ifndef UT_DTYPE_H
#define UT_DTYPE_H

#include <stdint.h>

#include "untorn.h"

#define UT_MAX_ITEMSIZE 65535u

typedef struct ut_dtype {
    char text[UNTORN_MAX_DTYPE]; /* canonical, NUL-terminated, zero-padded */
    uint32_t itemsize;           /* 1 to UT_MAX_ITEMSIZE */
    char kind;                   /* one of b i u f c S V */
} ut_dtype;

/* UNTORN_E_DTYPE with a message that says what to use instead; `dtype` is then untouched. */
untorn_status ut_dtype_parse(const char *text, ut_dtype *dtype);

#endif
