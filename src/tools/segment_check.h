// SPDX-License-Identifier: MIT
/*
 * Reading everything that a segment holds, to see whether it can be read.
 *
 * Each array is read from a snapshot of its own, so that no pin stands for longer than one array
 * takes.  Data in memory have no hash; what this finds are damaged tables, descriptors, texts and
 * places, and chunks that lie in the store and do not have their hash there.
 */
#ifndef UT_SEGMENT_CHECK_H
#define UT_SEGMENT_CHECK_H

#include "untorn.h"

#include <stdint.h>

struct ut_segment_check {
    void (*damaged)(void *context, const char *sentence);
    void *context;
    /* set by ut_cli_segment_check() */
    uint64_t arrays; /* read */
    uint64_t bytes;
    uint64_t bad; /* arrays and groups that could not be read */
};

/* 0, or an exit status if the check itself could not be done; it has been said. */
int ut_cli_segment_check(untorn_reader *reader, struct ut_segment_check *check);

#endif
