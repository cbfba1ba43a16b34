// SPDX-License-Identifier: MIT
/*
 * The judge of the demo: whether rows of recorded kernel counters that were read
 * together belong together.  It knows nothing of how they were read, and serves
 * the untorn consumers and the plain copy alike.
 *
 * A recording is up to five arrays, each with one row per sample: time, cpu,
 * memory and disk (the last three may be missing), and check, whose row is a
 * hash of the bytes of that sample's rows of all the others, in this order.
 * Rows read together are whole if all arrays have one length, time strictly
 * increases, and every row has the check value that belongs to it.
 */
#ifndef DEMO_ROW_CHECK_H
#define DEMO_ROW_CHECK_H

#include <stdint.h>
#include <string.h>

enum { ROW_TIME, ROW_CPU, ROW_MEMORY, ROW_DISK, ROW_CHECK, ROW_ARRAYS };

static const char *const row_names[ROW_ARRAYS] = {"time", "cpu", "memory", "disk", "check"};

struct rows {
    const char *data[ROW_ARRAYS]; /* NULL: there is no such array */
    uint64_t row_bytes[ROW_ARRAYS];
    uint64_t length[ROW_ARRAYS];
};

enum row_verdict {
    ROWS_WHOLE,
    ROWS_LENGTHS_DIFFER,
    ROWS_TIME_STANDS,
    ROWS_CHECK_WRONG,
    ROWS_CHANGED, /* a row that was read before is another now */
    ROW_VERDICTS
};

static const char *const row_verdict_text[ROW_VERDICTS] = {
    "whole", "lengths differ", "time does not increase", "check value wrong",
    "an earlier row changed"};

static inline uint64_t row_word(const struct rows *rows, int array, uint64_t row) {
    uint64_t value;
    memcpy(&value, rows->data[array] + row * sizeof(value), sizeof(value));
    return value;
}

/* 64-bit FNV-1a over the row's bytes in time, cpu, memory and disk, as the recorder says in
 * the attributes of the group. */
static inline uint64_t row_hash(const struct rows *rows, uint64_t row) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int a = 0; a < ROW_CHECK; a++) {
        if (!rows->data[a])
            continue;
        const unsigned char *bytes =
            (const unsigned char *)rows->data[a] + row * rows->row_bytes[a];
        for (uint64_t i = 0; i < rows->row_bytes[a]; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

static inline enum row_verdict rows_same_length(const struct rows *rows) {
    for (int a = 0; a < ROW_ARRAYS; a++)
        if (rows->data[a] && rows->length[a] != rows->length[ROW_CHECK])
            return ROWS_LENGTHS_DIFFER;
    return ROWS_WHOLE;
}

/* The rows first to end - 1, in full. */
static inline enum row_verdict rows_verify(const struct rows *rows, uint64_t first, uint64_t end) {
    for (uint64_t row = first; row < end; row++) {
        if (row &&
            (int64_t)row_word(rows, ROW_TIME, row) <= (int64_t)row_word(rows, ROW_TIME, row - 1))
            return ROWS_TIME_STANDS;
        if (row_hash(rows, row) != row_word(rows, ROW_CHECK, row))
            return ROWS_CHECK_WRONG;
    }
    return ROWS_WHOLE;
}

/* That the first `end` rows are, byte by byte, those of an earlier read that was whole. */
static inline enum row_verdict rows_unchanged(const struct rows *rows, const struct rows *earlier,
                                              uint64_t end) {
    for (int a = 0; a < ROW_ARRAYS; a++)
        if (rows->data[a] && end &&
            memcmp(rows->data[a], earlier->data[a], end * rows->row_bytes[a]) != 0)
            return ROWS_CHANGED;
    return ROWS_WHOLE;
}

#endif
