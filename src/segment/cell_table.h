// SPDX-License-Identifier: MIT
/*
 * The table that maps a chunk's linear number to its cell: a tree of nodes of 32
 * cells.  This is the reading half, which trusts nothing; the writer's is
 * segment/table_update.h.
 *
 * What is read is labels of unknown worth until the window has been checked
 * afterwards: every word is one relaxed load into a local, is checked there
 * against the mapping, and walks are bounded by the depth.
 */
#ifndef UT_CELL_TABLE_H
#define UT_CELL_TABLE_H

#include "segment/descriptor.h"

/* A cell's value. */
typedef struct ut_place {
    uint64_t ref; /* 0: absent */
    uint64_t version;
} ut_place;

static inline ut_place ut_cell_load(ut_cell *cell) {
    ut_place place = {ut_load_relaxed(&cell->ref), ut_load_relaxed(&cell->version)};
    return place;
}
static inline void ut_cell_store(ut_cell *cell, ut_place place) {
    ut_store_relaxed(&cell->version, place.version);
    ut_store_relaxed(&cell->ref, place.ref);
}

/* Remembers the last leaf, for walks along neighbouring chunks of one descriptor. */
typedef struct ut_table_cursor {
    ut_node *leaf;
    uint64_t first; /* the number of the leaf's first chunk */
    uint64_t descents;
} ut_table_cursor;

/* UT_FOUND with place->ref == 0 if the chunk is absent.  `cursor` starts as zeros. */
ut_found ut_table_lookup(ut_segment *segment, const ut_descriptor *descriptor, uint64_t number,
                         ut_table_cursor *cursor, ut_place *place);

/* A present chunk, or a subtree that is only in the store. */
typedef struct ut_table_cell {
    uint64_t number; /* of the chunk, or the subtree's first */
    uint64_t span;   /* 1, or how many chunks the subtree may have */
    ut_place place;  /* ref 0: there are no more */
} ut_table_cell;

/* The first present cell at or above chunk `from`, which may lie within a subtree that begins
 * before it.  `cursor` starts as zeros. */
ut_found ut_table_next(ut_segment *segment, const ut_descriptor *descriptor, uint64_t from,
                       ut_table_cursor *cursor, ut_table_cell *cell);

#endif
