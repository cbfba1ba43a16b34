// SPDX-License-Identifier: MIT
/*
 * The arrays that "untorn record" grows, all in one group and all one row longer per commit:
 *
 *   GROUP/time    int64  [t]                 ns since 1970, strictly increasing
 *   GROUP/cpu     uint64 [t, cpu, field]
 *   GROUP/memory  uint64 [t, field]          bytes
 *   GROUP/disk    uint64 [t, device, field]
 *   GROUP/check   uint64 [t]                 a hash of the row in all the others
 *
 * check[i] is the 64-bit FNV-1a hash of the little-endian bytes of time[i], cpu[i], memory[i] and
 * disk[i] in this order, each in C order, those that exist: whoever reads a row of all arrays can
 * tell whether it belongs together.
 */
#ifndef UT_RECORDING_H
#define UT_RECORDING_H

#include "tools/kernel_counters.h"
#include "untorn.h"

#include <stdbool.h>
#include <stdint.h>

enum { UT_RECORDING_TIME, UT_RECORDING_FIRST_TABLE, UT_RECORDING_CHECK = 4, UT_RECORDING_ARRAYS };

struct ut_recording {
    const char *segment;
    const char *group;
    untorn_writer *writer;
    struct ut_kernel_counters *counters;
    untorn_writer_array *arrays[UT_RECORDING_ARRAYS]; /* NULL: this machine has no such file */
    int64_t last_time;
    uint64_t rows;        /* in the arrays */
    uint64_t chunk_bytes; /* of arrays that are made */
};

/* Define the arrays, or go on with those that are there if they are of this machine.  0, or an
 * exit status; it has been said. */
int ut_cli_recording_open(const char *segment, const char *group, untorn_writer *writer,
                          struct ut_kernel_counters *counters, struct ut_recording *recording);

/* Append the counters' last sample as a row and commit.  `now` is ns since 1970.  0, or an exit
 * status; it has been said, and nothing was appended. */
int ut_cli_recording_append(struct ut_recording *recording, int64_t now);

/* FNV-1a, 64 bits: begin with UT_FNV_BEGIN. */
#define UT_FNV_BEGIN UINT64_C(0xcbf29ce484222325)
uint64_t ut_cli_fnv(uint64_t hash, const void *bytes, size_t count);

#endif
