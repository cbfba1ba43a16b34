// SPDX-License-Identifier: MIT
/*
 * What arrays, groups and segments may be called.
 *
 * Array names become directory names in a Zarr store and are printed on
 * terminals: hence valid UTF-8, no control characters, no component that a
 * store or a directory already uses for itself.  Segment names become file
 * names in /dev/shm with a prefix and suffixes: hence few characters.
 */
#ifndef UT_NAME_H
#define UT_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

#define UT_MAX_NAME_COMPONENT 255
#define UT_MAX_SEGMENT_NAME 200

/* UNTORN_E_NAME and a message with the name and the reason.  The name of a
 * group other than the root is checked as an array's. */
untorn_status ut_name_check_array(const char *name);
untorn_status ut_name_check_segment(const char *name);

/* The length of the UTF-8 sequence at the beginning of `bytes`, of which there
 * are `n`, and its code point; 0 if it is cut short, overlong, a surrogate,
 * above U+10FFFF or no sequence at all. */
size_t ut_utf8_decode(const char *bytes, size_t n, uint32_t *code);

#endif
