// SPDX-License-Identifier: MIT
/*
 * Tables for people: columns as wide as what is in them (see shmstat_format.h).
 */
#include "tools/shmstat_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS 24

struct cell {
    char *text;
    double key; /* NaN: there is no number */
};

struct ut_stat_table {
    struct {
        const char *title;
        bool number;
    } columns[COLUMNS];
    unsigned column_count;
    struct cell *cells; /* row by row */
    size_t count, capacity;
    size_t *order; /* of the rows; NULL: as they came */
    bool failed;
};

struct ut_stat_table *ut_stat_table_new(void) {
    return calloc(1, sizeof(struct ut_stat_table));
}

void ut_stat_table_column(struct ut_stat_table *table, const char *title, bool number) {
    if (table == NULL || table->column_count == COLUMNS)
        return;
    table->columns[table->column_count].title = title;
    table->columns[table->column_count++].number = number;
}

static void add(struct ut_stat_table *table, const char *text, double key) {
    if (table == NULL)
        return;
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 256;
        struct cell *cells = realloc(table->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        table->failed = true;
    else
        table->cells[table->count++] = (struct cell){copy, key};
}

void ut_stat_table_text(struct ut_stat_table *table, const char *text) {
    add(table, text, NAN);
}
void ut_stat_table_none(struct ut_stat_table *table) {
    add(table, "-", NAN);
}
void ut_stat_table_number(struct ut_stat_table *table, const char *text, double key) {
    add(table, text, key);
}

void ut_stat_table_size(struct ut_stat_table *table, uint64_t bytes, bool at_least) {
    char text[UT_STAT_FIELD + 1] = ">";
    ut_stat_size(bytes, text + at_least);
    add(table, text, (double)bytes);
}
void ut_stat_table_count(struct ut_stat_table *table, uint64_t count, bool at_least) {
    char text[UT_STAT_FIELD];
    snprintf(text, sizeof text, "%s%" PRIu64, at_least ? ">" : "", count);
    add(table, text, (double)count);
}
void ut_stat_table_rate(struct ut_stat_table *table, double rate) {
    char text[UT_STAT_FIELD];
    ut_stat_rate(rate, text);
    add(table, text, rate);
}
void ut_stat_table_bytes_rate(struct ut_stat_table *table, double rate) {
    char text[UT_STAT_FIELD] = "-";
    if (!isnan(rate))
        ut_stat_size(rate < 9e18 ? (uint64_t)rate : UINT64_MAX, text);
    add(table, text, rate);
}
void ut_stat_table_duration(struct ut_stat_table *table, int64_t ns) {
    char text[UT_STAT_FIELD];
    if (ns < 0) {
        ut_stat_table_none(table);
        return;
    }
    ut_stat_duration(ns, text);
    add(table, text, (double)ns);
}

/* --- sorting --- */

static const struct ut_stat_table *sorted_table;
static unsigned sorted_column;

static int by_column(const void *a, const void *b) {
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    unsigned n = sorted_table->column_count;
    const struct cell *x = &sorted_table->cells[i * n + sorted_column];
    const struct cell *y = &sorted_table->cells[j * n + sorted_column];
    int order;
    if (!sorted_table->columns[sorted_column].number)
        order = strverscmp(x->text, y->text); /* 9x20 before 10x20 */
    else if (isnan(x->key) || isnan(y->key))
        order = isnan(x->key) - isnan(y->key); /* no number comes last */
    else
        order = x->key > y->key ? -1 : x->key < y->key;
    return order != 0 ? order : i < j ? -1 : i > j;
}

bool ut_stat_table_sort(struct ut_stat_table *table, const char *title) {
    if (table == NULL)
        return true;
    unsigned column = 0;
    while (column < table->column_count && strcasecmp(table->columns[column].title, title) != 0)
        column++;
    if (column == table->column_count)
        return false;
    size_t rows = table->count / table->column_count;
    free(table->order);
    table->order = calloc(rows + 1, sizeof *table->order);
    if (table->order == NULL) {
        table->failed = true;
        return true;
    }
    for (size_t i = 0; i < rows; i++)
        table->order[i] = i;
    sorted_table = table;
    sorted_column = column;
    qsort(table->order, rows, sizeof *table->order, by_column);
    return true;
}

void ut_stat_table_titles(const struct ut_stat_table *table, struct ut_text *out) {
    for (unsigned i = 0; table != NULL && i < table->column_count; i++)
        ut_cli_text_format(out, "%s%s", i > 0 ? ", " : "", table->columns[i].title);
}

/* --- printing --- */

static void spaces(struct ut_text *out, unsigned count) {
    static const char blanks[] = "                                ";
    for (unsigned now; count > 0; count -= now) {
        now = count < sizeof blanks - 1 ? count : (unsigned)sizeof blanks - 1;
        ut_cli_text_add_bytes(out, blanks, now);
    }
}

static void print_cell(const struct ut_stat_table *table, unsigned column, const char *text,
                       const unsigned *widths, struct ut_text *out) {
    unsigned padding = widths[column] - ut_stat_width(text);
    if (column > 0)
        ut_cli_text_add(out, "  ");
    if (table->columns[column].number)
        spaces(out, padding);
    ut_cli_text_add(out, text);
    if (!table->columns[column].number && column + 1 < table->column_count)
        spaces(out, padding);
}

void ut_stat_table_print(const struct ut_stat_table *table, bool header, struct ut_text *out) {
    if (table == NULL || table->failed) {
        out->failed = true;
        return;
    }
    unsigned widths[COLUMNS] = {0}, n = table->column_count;
    size_t rows = table->count / n;
    for (unsigned column = 0; column < n; column++) {
        widths[column] = header ? ut_stat_width(table->columns[column].title) : 0;
        for (size_t row = 0; row < rows; row++) {
            unsigned width = ut_stat_width(table->cells[row * n + column].text);
            if (width > widths[column])
                widths[column] = width;
        }
    }
    for (unsigned column = 0; header && column < n; column++)
        print_cell(table, column, table->columns[column].title, widths, out);
    if (header)
        ut_cli_text_add(out, "\n");
    for (size_t i = 0; i < rows; i++) {
        size_t row = table->order != NULL ? table->order[i] : i;
        for (unsigned column = 0; column < n; column++)
            print_cell(table, column, table->cells[row * n + column].text, widths, out);
        ut_cli_text_add(out, "\n");
    }
}

void ut_stat_table_free(struct ut_stat_table *table) {
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table->order);
    free(table);
}
