// SPDX-License-Identifier: MIT
/*
 * Becoming a segment's writer with the options that several commands share, and what array to
 * define if it is not there.
 */
#ifndef UT_SESSION_H
#define UT_SESSION_H

#include "tools/element.h"
#include "tools/options.h"
#include "untorn.h"

#include <stdbool.h>
#include <stdint.h>

/* Rows of an option table: for a segment that is created, for its store, and for the array that is
 * defined.  A command whose operand is the store takes UT_FLUSH_OPTIONS alone. */
#define UT_SEGMENT_OPTIONS                                                                         \
    {"size", 0, "SIZE", "bytes a created segment may grow to, such as 256M or 1G"},                \
        {"versions", 0, "N", "versions kept of what is rewritten, 2 to 64 (default 4)"},           \
        {"mode", 0, "MODE", "permissions of a created segment's data (default 0640)"},             \
        {"control-mode", 0, "MODE", "permissions of its control file (default 0600)"}, {           \
        "lease", 0, "TIME", "age from which pins may be revoked (default 10s)"                     \
    }
#define UT_STORE_OPTIONS                                                                           \
    {"store", 0, "DIR", "flush to this directory, which any Zarr reader opens"}, UT_FLUSH_OPTIONS
#define UT_FLUSH_OPTIONS                                                                           \
    {"flush-interval", 0, "TIME", "time between flushes (default 1s), or on-demand"},              \
        {"format", 0, "2|3", "Zarr format of the arrays in the store (default 2)"},                \
        {"keep", 0, "N", "store snapshots that are kept at least (default 4)"},                    \
        {"keep-time", 0, "TIME", "age up to which all of them are kept (default 60s)"}, {          \
        "flush-threads", 0, "N", "threads that compress (default 1)"                               \
    }

#define UT_STORE_NOTES                                                                             \
    "With --store, or if the segment has a store already, what is committed is flushed to it\n"    \
    "while the command runs and at its end. If there is no segment, but the store has a\n"         \
    "snapshot, the segment is made from that. A segment has one store for life; its settings\n"    \
    "stay for the writers that follow, until another one gives others.\n"

#define UT_ARRAY_OPTIONS                                                                           \
    {"chunks", 0, "SHAPE", "chunk shape, such as 100,100 (default: about 1 MiB)"},                 \
        {"codec", 0, "NAME", "in the store: lz4 (default) or none"},                               \
        {"fill", 0, "VALUE", "fill value: a number, nan, true, 1+2j, text (S), hex digits (V)"},   \
        {"dims", 0, "NAMES", "dimension names, such as t,x; empty: no name"}, {                    \
        "attrs", 0, "JSON", "attributes, a JSON object"                                            \
    }

/* Open the writer: create the segment or adopt it, unless `flags` (UNTORN_CREATE_ONLY, ...) says
 * otherwise.  Failed flushes are told as warnings.  0, or an exit status; it has been said. */
int ut_cli_session_open(const struct ut_arguments *arguments, const char *segment, unsigned flags,
                        untorn_writer **writer);

/* The same with the store given; NULL: what --store says, or the segment's own. */
int ut_cli_session_open_store(const struct ut_arguments *arguments, const char *segment,
                              const char *store, unsigned flags, untorn_writer **writer);

/* Flush if the segment has a store, and close.  The exit status: `exit_status` unless that is 0
 * and the flush failed, which has been said.  A writer that is NULL is none. */
int ut_cli_session_close(untorn_writer *writer, int exit_status);

/* The options of one or more flushes by themselves.  0, or the exit status of wrong usage. */
int ut_cli_session_flush_options(const struct ut_arguments *arguments,
                                 untorn_writer_options *options);

struct ut_array_plan {
    const char *segment;
    const char *name;
    untorn_definition definition; /* points into this structure */
    bool grows;                   /* to be set: the default chunks are for a growing first axis */
    struct ut_element_type type;
    uint64_t shape[UNTORN_MAX_RANK];
    uint64_t chunks[UNTORN_MAX_RANK];
    const char *dimension_names[UNTORN_MAX_RANK];
    char *dimension_text;
    void *fill;
};

/* From the options and the data's type and shape.  0, or an exit status; it has been said.  Free
 * in either case. */
int ut_cli_array_plan_make(const struct ut_arguments *arguments, const char *segment,
                           const char *name, const struct ut_element_type *type, unsigned rank,
                           const uint64_t *shape, struct ut_array_plan *plan);
void ut_cli_array_plan_free(struct ut_array_plan *plan);

/* Open the array if it exists as planned, whatever its length; define it if it does not exist.
 * With `replace`, what is there is deleted first.  *existed (may be NULL) tells which.
 * 0, or an exit status; it has been said. */
int ut_cli_array_plan_apply(const struct ut_array_plan *plan, untorn_writer *writer, bool replace,
                            untorn_writer_array **array, bool *existed);

/* "3,4", for messages. */
const char *ut_cli_shape_text(unsigned rank, const uint64_t *shape, char *text, size_t size);

#endif
