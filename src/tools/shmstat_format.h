// SPDX-License-Identifier: MIT
/*
 * Numbers, times and names as shmstat prints them, and tables of them.
 *
 *   size      1536 -> "1.5K", powers of 1024: B K M G T
 *   duration  "850ns" "12.5us" "3.2ms" "1.5s" "2m05s" "3h20m" "4d06h"
 *   time      "2026-01-31T12:00:00Z", always UTC
 *   rate      "0", "0.25", "12.5", "1234"
 *   name      as it is, but what would not stay in its place on a terminal becomes \xNN or \u{...}
 */
#ifndef UT_SHMSTAT_FORMAT_H
#define UT_SHMSTAT_FORMAT_H

#include "tools/text.h"

#include <stdbool.h>
#include <stdint.h>

#define UT_STAT_FIELD 64 /* bytes that hold any of these */

void ut_stat_size(uint64_t bytes, char text[UT_STAT_FIELD]);
void ut_stat_duration(int64_t ns, char text[UT_STAT_FIELD]);
void ut_stat_time(int64_t ns, char text[UT_STAT_FIELD]);
void ut_stat_rate(double rate, char text[UT_STAT_FIELD]);
void ut_stat_name(const char *name, struct ut_text *text);
/* Bytes that are not UTF-8 become the code points of the same numbers, as in JSON. */
void ut_stat_utf8(const char *bytes, struct ut_text *text);
/* "10x20"; rank 0: "()". */
void ut_stat_shape(unsigned rank, const uint64_t *shape, struct ut_text *text);

/* From one time to another, ns; times of a damaged segment may be any: at most the greatest. */
int64_t ut_stat_span(int64_t from, int64_t to);

/* The places that a text takes on a terminal. */
unsigned ut_stat_width(const char *text);

/*
 * A table: columns first, then cells row by row.  Numbers are right-aligned and sorted descending,
 * texts left-aligned and ascending.  A row may be given another text, printed under it.
 */
struct ut_stat_table;
struct ut_stat_table *ut_stat_table_new(void);
void ut_stat_table_column(struct ut_stat_table *table, const char *title, bool number);
void ut_stat_table_text(struct ut_stat_table *table, const char *text);
/* `text` is shown, `key` sorted by. */
void ut_stat_table_number(struct ut_stat_table *table, const char *text, double key);
void ut_stat_table_size(struct ut_stat_table *table, uint64_t bytes, bool at_least);
void ut_stat_table_count(struct ut_stat_table *table, uint64_t count, bool at_least);
void ut_stat_table_rate(struct ut_stat_table *table, double rate);
void ut_stat_table_bytes_rate(struct ut_stat_table *table, double rate);
/* Below 0: "-". */
void ut_stat_table_duration(struct ut_stat_table *table, int64_t ns);
void ut_stat_table_none(struct ut_stat_table *table);

/* False if no column has this name (in any case of letters). */
bool ut_stat_table_sort(struct ut_stat_table *table, const char *title);
void ut_stat_table_print(const struct ut_stat_table *table, bool header, struct ut_text *out);
/* "name, size, ..." */
void ut_stat_table_titles(const struct ut_stat_table *table, struct ut_text *out);
void ut_stat_table_free(struct ut_stat_table *table);

#endif
