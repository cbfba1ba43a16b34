// SPDX-License-Identifier: MIT
/*
 * shmstat: what its files share.
 *
 * A *sample* is what one look found: segments, and of those that were asked for, arrays and
 * readers.  It is taken (shmstat_sample.c), compared with the one before for rates, and printed as
 * tables (shmstat_text.c), JSON (shmstat_json.c) or for Prometheus (shmstat_prometheus.c).
 */
#ifndef UT_SHMSTAT_H
#define UT_SHMSTAT_H

#include "tools/text.h"
#include "untorn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ut_stat_format { UT_STAT_TEXT, UT_STAT_JSON, UT_STAT_PROMETHEUS };

struct ut_stat_options {
    enum ut_stat_format format;
    bool header;
    bool chunks;
    const char *sort; /* a column's name, NULL: by name */
    char **operands;  /* SEGMENT, SEGMENT/ARRAY, or a dump's path; with wildcards */
    unsigned operand_count;
    int64_t interval; /* ns; 0: one look */
    uint64_t count;   /* looks; 0: until interrupted */
};

/* 0, or an exit status; *done: --help or --version was all. */
int ut_stat_options_parse(int argc, char **argv, struct ut_stat_options *options, bool *done);
void ut_stat_options_free(struct ut_stat_options *options);

/* What an array's data are: see shmstat_data.c. */
#define UT_STAT_PICTURE_WIDTH 64
#define UT_STAT_PICTURE_HEIGHT 16

struct ut_stat_data {
    bool there;
    char *error; /* why not */
    bool failed; /* the reason is not that the writer was faster */
    bool mixed;  /* it was read in pieces, of several generations */
    uint64_t generation;
    uint64_t elements;
    uint64_t fill;    /* elements that equal the fill value */
    bool whole;       /* they are whole numbers */
    bool numeric;     /* the following are set */
    uint64_t numbers; /* that are neither NaN nor infinite */
    uint64_t not_finite;
    double minimum, maximum, mean;
    unsigned width, height;                                       /* of the picture; 0: none */
    double cells[UT_STAT_PICTURE_WIDTH * UT_STAT_PICTURE_HEIGHT]; /* means; NaN: nothing there */
};

struct ut_stat_array {
    const char *name;
    size_t number; /* in the inspection's catalogue */
    untorn_status status;
    char *error; /* why `state` is not set */
    untorn_array_state state;
    bool has_stored;
    untorn_stored_state stored;
    double commit_rate, byte_rate; /* per second; NaN: not known */
    struct ut_stat_data *data;     /* NULL: was not asked for */
    unsigned char *map;            /* states of chunks; NULL: was not asked for */
    size_t map_count;
};

struct ut_stat_reader {
    untorn_reader_state state;
    double read_rate;
    double attempts; /* per read */
};

struct ut_stat_segment {
    char *name; /* or the dump's path */
    bool dump;
    untorn_status status;
    char *error; /* why nothing else is set */
    untorn_inspection *inspection;
    untorn_segment_state state;
    untorn_flush_state flush;
    size_t all_arrays; /* in the segment, whether they were asked for or not */
    uint64_t used, dirty_bytes, evicted;
    bool totals;  /* the last three are known: all arrays were looked at */
    bool partial; /* they are at least so much */
    double commit_rate;
    char *store_error; /* why compression ratios are not known, or NULL */
    int64_t lag;       /* ns that the store is behind; -1: there is no store, or nothing in it */
    struct ut_stat_array *arrays; /* by name */
    size_t array_count;
    bool wants_arrays, wants_readers;
    struct ut_stat_reader *readers;
    size_t reader_count;
    bool readers_known;
};

struct ut_stat_sample {
    bool screen;       /* sentences go among the tables: nothing else is on the screen */
    int64_t time;      /* ns since 1970 */
    int64_t monotonic; /* ns */
    bool overview;     /* one line per segment */
    struct ut_stat_segment *segments;
    size_t count;
    unsigned failures; /* segments that could not be looked at or are damaged, as data that was
                        * asked for may be, and arrays that are not there */
    char *complaint;   /* what was asked for and is not there, or NULL */
};

/* Look.  `before` may be NULL.  0, or an exit status; it has been said. */
int ut_stat_take(const struct ut_stat_options *options, const struct ut_stat_sample *before,
                 struct ut_stat_sample *sample);
void ut_stat_free(struct ut_stat_sample *sample);

void ut_stat_read_data(struct ut_stat_segment *segment, struct ut_stat_array *array);

/* Print.  False: --sort names no column, which has been said. */
bool ut_stat_print_text(const struct ut_stat_sample *sample, const struct ut_stat_options *options,
                        struct ut_text *out);
void ut_stat_print_json(const struct ut_stat_sample *sample, const struct ut_stat_options *options,
                        struct ut_text *out);
void ut_stat_print_prometheus(const struct ut_stat_sample *sample, struct ut_text *out);

/* A picture or a chunk map as lines. */
void ut_stat_draw_data(const struct ut_stat_data *data, const char *indent, struct ut_text *out);
void ut_stat_draw_map(const struct ut_stat_array *array, const char *indent, struct ut_text *out);

const char *ut_stat_writer_name(untorn_writer_state state);

/* "shmstat: sentence" on standard error. */
void ut_stat_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
