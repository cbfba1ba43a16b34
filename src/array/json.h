// SPDX-License-Identifier: MIT
/*
 * Whether a text is a JSON object as RFC 8259 defines it.
 *
 * Attributes are kept as the text that was given; all that matters is that
 * every reader of a store will accept it.  So the check is strict where
 * parsers differ: no NaN, no Infinity, no lone surrogates, no byte order mark,
 * and bounds on size and depth.
 */
#ifndef UT_JSON_H
#define UT_JSON_H

#include "untorn.h"

#define UT_MAX_JSON_DEPTH 64 /* objects and arrays within each other, the outermost included */

/* UNTORN_E_JSON and a message that says what is wrong at which byte, counted
 * from 0: `attributes: byte 17: expected ':'`. */
untorn_status ut_json_check_object(const char *text);

#endif
