// SPDX-License-Identifier: MIT
/*
 * Segments for benchmarks: names of one's own, arrays in one call, calls that
 * must succeed, and removal at exit and at Ctrl-C.
 */
#ifndef BENCH_SEGMENT_H
#define BENCH_SEGMENT_H

#include "machine.h"
#include "untorn.h"

/* The call must succeed; else its sentence is printed and the benchmark ends. */
#define BENCH_MUST(call)                                                                           \
    do {                                                                                           \
        untorn_status bench_status_ = (call);                                                      \
        if (bench_status_ != UNTORN_OK)                                                            \
            bench_die("%s: %s (%s)", #call, untorn_status_text(bench_status_), untorn_message());  \
    } while (0)

/* A name no other run uses; the segment of this name is removed at exit. */
const char *bench_segment_name(const char *what);

/* A file or a directory (and what is in it) of one's own, to be removed as well, in this order. */
void bench_remove_at_end(const char *path);

/* In a child: leave the removal to the parent. */
void bench_segment_forget_cleanup(void);

/* Remove it now. */
void bench_segment_remove(const char *name);

/* A writer of a segment of `size` bytes and `versions` versions, or of the least
 * larger size that the library takes. */
untorn_writer *bench_writer(const char *segment, uint64_t size, unsigned versions);

/* A one-dimensional array. */
untorn_writer_array *bench_define(untorn_writer *writer, const char *name, const char *dtype,
                                  uint64_t length, uint64_t chunk);

#endif
