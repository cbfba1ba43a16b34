// SPDX-License-Identifier: MIT
/*
 * NumPy's .npy format, versions 1.0, 2.0 and 3.0 read, 1.0 written.
 *
 *   "\x93NUMPY", major, minor, length of the header (2 bytes in version 1, else 4, little-endian),
 *   the header, a Python dictionary literal with the keys 'descr', 'fortran_order' and 'shape',
 *   padded with blanks and a newline to a multiple of 64 bytes; then the elements.
 *
 * Version 1.0 is always enough to write: 16 axes fit in 64 KiB.
 */
#ifndef UT_NPY_H
#define UT_NPY_H

#include "tools/element.h"
#include "tools/input.h"
#include "untorn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ut_npy {
    struct ut_element_type type; /* little-endian */
    bool big_endian;             /* the data must be swapped first */
    bool fortran_order;
    unsigned rank;
    uint64_t shape[UNTORN_MAX_RANK];
    uint64_t bytes; /* of the data */
};

#define UT_NPY_MAX_HEADER 1024 /* of what is written */

/* Read a header.  *end (may be NULL) is set if the input was at its end; without `end` that is an
 * error.  0, or an exit status; it has been said. */
int ut_cli_npy_read(struct ut_input *input, struct ut_npy *npy, bool *end);

/* Parse the dictionary.  False with a sentence in `why` if it is not one this can use. */
bool ut_cli_npy_parse(const char *text, size_t length, struct ut_npy *npy, char *why,
                      size_t why_size);

/* The whole header of C-order data of this type; returns its length. */
size_t ut_cli_npy_format(const struct ut_element_type *type, unsigned rank, const uint64_t *shape,
                         char header[UT_NPY_MAX_HEADER]);

/* Reverse the bytes of each number, in place. */
void ut_cli_npy_swap(const struct ut_element_type *type, void *data, size_t bytes);

#endif
