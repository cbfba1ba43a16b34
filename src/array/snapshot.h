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

/* A chunk that was only in the store. */
typedef struct ut_snapshot_chunk {
    const ut_snapshot_member *member;
    uint64_t number;
    void *memory;
    struct ut_snapshot_chunk *next;
} ut_snapshot_chunk;

struct untorn_snapshot {
    untorn_reader *reader;
    bool invalid; /* the reader was attached anew */
    ut_hold hold;
    uint32_t line;
    unsigned fork_generation;
    ut_snapshot_member *members;
    size_t count;
    bool listed;               /* of arrays that were named: their handles are the next */
    untorn_array *handles;     /* else each member has one of its own */
    size_t capacity;           /* of members and handles, if listed */
    size_t held;               /* so many of these handles hold their definition */
    bool groups;               /* are members as well as arrays; see ut_snapshot_open_all() */
    uint64_t catalogue_commit; /* of the catalogue that a snapshot of all is after */
    int64_t catalogue_time;
    ut_snapshot_chunk *fetched;
    struct untorn_snapshot *previous, *next;
};

/* As untorn_snapshot_open() of all arrays; `groups`: members of kind UT_KIND_GROUP, too, which have
 * a descriptor and attributes but no data. */
untorn_status ut_snapshot_open_all(untorn_reader *reader, uint64_t commit, bool groups,
                                   untorn_snapshot **snapshot);

/* When a snapshot of all arrays and groups was committed, ns since 1970. */
int64_t ut_snapshot_time(const untorn_snapshot *snapshot);

/* Give back the memory that the reader keeps for its next snapshot. */
void ut_snapshot_free_spare(untorn_reader *reader);

/* The mapping goes: let go of everything in it. */
void ut_snapshot_invalidate(untorn_snapshot *snapshot);

#endif
