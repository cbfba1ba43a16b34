// SPDX-License-Identifier: MIT
/*
 * From an input into a writer's array, in blocks of bounded size, so that data larger than memory
 * can be stored: all blocks are part of the open transaction, which the caller commits.
 */
#ifndef UT_TRANSFER_H
#define UT_TRANSFER_H

#include "tools/element.h"
#include "tools/input.h"
#include "untorn.h"

#include <stdbool.h>
#include <stdint.h>

struct ut_transfer {
    struct ut_input *input;
    struct ut_element_type type;
    bool big_endian;
    bool fortran_order;
    untorn_writer_array *array;
    unsigned rank;
    uint64_t start[UNTORN_MAX_RANK];
    uint64_t count[UNTORN_MAX_RANK];
    uint64_t step[UNTORN_MAX_RANK]; /* from one element to the next; 0 means 1, too */
};

/* Read the region's data and write them.  0, or an exit status; it has been said. */
int ut_cli_transfer_run(const struct ut_transfer *transfer);

#endif
