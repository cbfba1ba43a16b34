// SPDX-License-Identifier: MIT
/*
 * The kernel's counters of this machine, from the text files of /proc:
 *
 *   cpu     /proc/stat       one line for each processor, ten counters of time
 *   memory  /proc/meminfo    one line for each kind, in bytes (lines without "kB" are left out)
 *   disk    /proc/diskstats  one line for each block device but ram* and loop*
 *
 * Which lines and how many fields there are is settled when the files are opened.  A line that
 * disappears later (a processor taken off line) keeps its last values; one that comes later is
 * left out: the shape of a row never changes.
 */
#ifndef UT_KERNEL_COUNTERS_H
#define UT_KERNEL_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ut_counter_file { UT_COUNTERS_CPU, UT_COUNTERS_MEMORY, UT_COUNTERS_DISK, UT_COUNTER_FILES };

/* One file: lines times fields of counters. */
struct ut_counter_table {
    enum ut_counter_file file;
    char path[256];
    int fd;           /* -1: the file does not exist, or has no such lines */
    size_t lines;     /* 0: likewise */
    size_t fields;    /* of each line */
    char **names;     /* of the lines */
    uint64_t *values; /* lines times fields, of the last sample */
};

struct ut_kernel_counters {
    struct ut_counter_table tables[UT_COUNTER_FILES];
    char *text; /* what was read last */
    size_t capacity;
};

/* The names of a file's fields, in order: of cpu and disk (memory has one field). */
const char *ut_cli_counter_field_name(enum ut_counter_file file, size_t field);

/* `directory` is "/proc".  0, or an exit status; it has been said (also if there is no file at
 * all).  Close in either case. */
int ut_cli_kernel_counters_open(const char *directory, struct ut_kernel_counters *counters);
void ut_cli_kernel_counters_close(struct ut_kernel_counters *counters);

/* Read every file once.  0, or an exit status; it has been said. */
int ut_cli_kernel_counters_sample(struct ut_kernel_counters *counters);

#endif
