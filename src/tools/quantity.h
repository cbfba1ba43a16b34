// SPDX-License-Identifier: MIT
/*
 * Quantities as people type them: counts, sizes (256M), octal modes, times (100ms), shapes
 * (100,100).  Pure functions from text to number: false means that the text is not one, or does
 * not fit; the whole text must be used up.
 */
#ifndef UT_QUANTITY_H
#define UT_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

bool ut_cli_parse_count(const char *text, uint64_t *value);
/* Bytes; suffixes K, M, G, T are powers of 1024 ("KiB" and "kB" forms too: all are 1024). */
bool ut_cli_parse_size(const char *text, uint64_t *value);
bool ut_cli_parse_mode(const char *text, unsigned *value);
/* Nanoseconds; suffixes ns us ms s m h d, without one: seconds; fractions allowed. */
bool ut_cli_parse_duration(const char *text, int64_t *ns);
bool ut_cli_parse_positive(const char *text, double *value);
/* At most UNTORN_MAX_RANK lengths; "" and "()" are rank 0. */
bool ut_cli_parse_shape(const char *text, unsigned *rank, uint64_t *shape);

#endif
