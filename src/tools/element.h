// SPDX-License-Identifier: MIT
/*
 * One element of an array: its data type, its value from text (--fill) and as text or JSON.
 *
 *   kind  text                      JSON
 *   b     true false 1 0            true false
 *   i u   decimal, 0x... hex        number
 *   f     as strtod(), nan, inf     number; "NaN" "Infinity" "-Infinity" as Zarr writes them
 *   c     1+2j  2j  nan-infj        [re, im]
 *   S     the bytes, zero-padded    string without trailing zero bytes
 *   V     hexadecimal digits        string of hexadecimal digits
 */
#ifndef UT_ELEMENT_H
#define UT_ELEMENT_H

#include "tools/text.h"
#include "untorn.h"

#include <stdbool.h>
#include <stddef.h>

struct ut_element_type {
    char text[UNTORN_MAX_DTYPE]; /* "<f8", as NumPy writes it */
    char kind;                   /* b i u f c S V */
    size_t itemsize;
};

/* Parse a type by its NumPy name; false with the library's message set if it is none. */
bool ut_cli_element_type_parse(const char *text, struct ut_element_type *type);

/* The bytes of the numbers that an element consists of: half of a complex one, 1 for S and V. */
size_t ut_cli_element_component(const struct ut_element_type *type);

/* False if `text` is not a value of this type. */
bool ut_cli_element_parse(const struct ut_element_type *type, const char *text, void *element);

void ut_cli_element_text(const struct ut_element_type *type, const void *element,
                         struct ut_text *text);
void ut_cli_element_json(const struct ut_element_type *type, const void *element,
                         struct ut_text *text);

#endif
