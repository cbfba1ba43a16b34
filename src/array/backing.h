// SPDX-License-Identifier: MIT
/*
 * What lies behind a segment: chunks that are only in the store.  The layer above knows how to get
 * them; this is all that readers need of it.
 */
#ifndef UT_BACKING_H
#define UT_BACKING_H

#include "array/definition.h"
#include "segment/cell_table.h"

#include <stdbool.h>

/* A chunk: as it is at a descriptor's data commit. */
typedef struct ut_wanted {
    const ut_definition *definition;
    uint64_t data_commit;
    uint64_t index[UNTORN_MAX_RANK];  /* its place in the grid */
    uint64_t extent[UNTORN_MAX_RANK]; /* how much of it is visible */
    ut_place place;                   /* its cell, or that of the subtree that it lies in */
} ut_wanted;

/* Takes the i-th chunk: slot_bytes bytes that live until it returns, or NULL if it is absent. */
typedef void ut_take(void *context, size_t i, const void *memory);

typedef struct ut_backing {
    /*
     * Fetch `count` chunks; each is handed to `take`, from any thread, in any order.  *backed
     * begins as NULL and is the backing's to keep between calls; calls come from any number of
     * threads. UNTORN_E_OVERTAKEN: the store does not have this state of the array any more.  Else
     * UNTORN_E_CORRUPT, _NO_MEMORY, _PERMISSION or _SYSTEM, naming the file.
     */
    untorn_status (*fetch)(untorn_reader *reader, const ut_wanted *wanted, size_t count,
                           ut_take *take, void *context);
    void (*detach)(void *backed);
} ut_backing;

#endif
