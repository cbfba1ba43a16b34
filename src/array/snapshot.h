// SPDX-License-Identifier: MIT
/*
 * A snapshot: descriptors of several arrays as of one commit, and what holds it.
 */
#ifndef UT_SNAPSHOT_H
#define UT_SNAPSHOT_H

#include "array/reader.h"

typedef struct ut_snapshot_member {
    untorn_array *array; /* the snapshot's own handle */
    ut_descriptor descriptor;
} ut_snapshot_member;

struct untorn_snapshot {
    untorn_reader *reader;
    bool invalid; /* the reader was attached anew */
    ut_hold hold;
    uint32_t line;
    unsigned fork_generation;
    ut_snapshot_member *members;
    size_t count;
    struct untorn_snapshot *previous, *next;
};

/* The mapping goes: let go of everything in it. */
void ut_snapshot_invalidate(untorn_snapshot *snapshot);

#endif
