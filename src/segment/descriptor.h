// SPDX-License-Identifier: MIT
/*
 * Descriptors in shared memory: storing one, and finding the one of a given
 * generation or commit.
 *
 * STAMPS.  A descriptor's slot is reused while readers may be reading it.  The
 * writer takes the stamp away (0), fences, writes the words and stores the new
 * stamp with release.  A reader loads the stamp with acquire, copies the words,
 * fences and loads the stamp again: if it is the same, the words belong to it.
 *   - without the writer's fence a reader could see new words under the old stamp;
 *   - without the release, the new stamp over old words;
 *   - without the reader's acquire fence, its second look could come first.
 * Generations never repeat, so neither do stamps.
 *
 * WHERE.  Descriptor g lies in ring slot g mod entries.  Before the writer
 * reuses a slot, it copies the descriptor to the object's retained list if a pin
 * needs it.  Nodes of the list are never unlinked nor used for anything else;
 * they are reused in place under the same stamp rule.
 *
 * WHICH.  Descriptor g is live at commit T if its commit is at most T and the next
 * one's is above T.  Stamps above the loaded generation belong to transactions
 * that are not, or never were, published: they are ignored.
 */
#ifndef UT_DESCRIPTOR_H
#define UT_DESCRIPTOR_H

#include "segment/segment.h"

#include "base/test_hooks.h"

#include <string.h>

typedef enum ut_found {
    UT_FOUND,
    UT_NOT_FOUND, /* overtaken, or never there */
    UT_DAMAGED,   /* cannot be what the writer wrote: corrupt, unless overtaken */
} ut_found;

/* Write *descriptor (its stamp and check are set here) into `slot` as generation `stamp`. */
void ut_descriptor_store(ut_descriptor_slot *slot, const ut_descriptor *descriptor, uint64_t stamp);
/* The same in two halves, so that one fence serves several: take the stamp away; write. */
void ut_descriptor_retract(ut_descriptor_slot *slot);
void ut_descriptor_fill(ut_descriptor_slot *slot, const ut_descriptor *descriptor, uint64_t stamp);

/* Copy generation `stamp` from `slot` and check it.  What *descriptor gets counts if it is found.
 */
ut_found ut_descriptor_load(ut_descriptor_slot *slot, uint64_t stamp, ut_descriptor *descriptor);

/* Copy what a descriptor has: the fixed words and those of its shape. */
static inline void ut_descriptor_copy(ut_descriptor *to, const ut_descriptor *from) {
    memcpy(to, from, offsetof(ut_descriptor, shape));
    unsigned rank = ut_kind_rank(from->kind);
    if (rank == 1) /* the loop becomes a call of memcpy() */
        to->shape[0] = from->shape[0];
    else
        for (unsigned axis = 0; axis < rank; axis++)
            to->shape[axis] = from->shape[axis];
}

/* The descriptor of exactly this generation, from the ring. */
ut_found ut_descriptor_of_generation(ut_segment *segment, ut_header *header, uint64_t generation,
                                     ut_descriptor *descriptor);

/*
 * Ask for what a generation that was just found in the header leads to: its descriptor, whether it
 * is committed, and at most `lines` of the root.  All of it may have to come out of the cache of
 * the writer's processor; asked for together it comes in the time of one, while the root alone
 * would have to wait for the descriptor.  Unchecked: a prefetch neither fails nor shows what is
 * there.
 */
static inline void ut_descriptor_prefetch(const ut_segment *segment, const ut_header *header,
                                          uint64_t generation, unsigned lines) {
    uint64_t ring = ut_load_relaxed(&header->ring);
    uint64_t hint = ut_load_relaxed(&header->root_hint);
    uint64_t entries = UINT64_C(1) << (ring & (UT_UNIT - 1));
    uintptr_t base = (uintptr_t)segment->base;
    uintptr_t slot =
        base + (ring & ~(UT_UNIT - 1)) + (generation & (entries - 1)) * sizeof(ut_descriptor);
    uintptr_t root = base + (hint & ~(UT_UNIT - 1));
    if (lines > (hint & (UT_UNIT - 1)))
        lines = (unsigned)(hint & (UT_UNIT - 1));
    for (unsigned i = 0; i < 3; i++)
        __builtin_prefetch((const void *)(slot + 64 * i));
    __builtin_prefetch(&segment->super->commit);
    for (unsigned i = 0; i < lines; i++)
        __builtin_prefetch((const void *)(root + 64 * i));
}

/* The newest descriptor that is committed.  *cached is tried first and is
 * updated; it is keyed by its own stamp (0: nothing cached).  Keying it by the
 * generation word instead would, after a step back, serve the old one for ever. */
ut_found ut_descriptor_newest(ut_segment *segment, ut_header *header, ut_descriptor *cached);

/* The descriptor that is live at `commit`, from the ring or the retained list. */
ut_found ut_descriptor_at(ut_segment *segment, ut_header *header, uint64_t commit,
                          ut_descriptor *cached);

/* The ring's slots and how many they are, or NULL. */
ut_descriptor_slot *ut_descriptor_ring(ut_segment *segment, ut_header *header, uint64_t *entries);

/* Whether nothing that this generation reaches had been reused when the caller's reads before
 * this were made. */
static inline bool ut_window_holds(const ut_header *header, uint64_t generation) {
    /* Pairs with the writer's fence between raising oldest (or ending an ack) and reusing: if
     * anything read so far had been reused, the raise is seen here.  Without it the look below
     * could be done before the copy that it vouches for. */
    if (!UT_SEEDED(116))
        ut_fence_acquire();
    return ut_load_relaxed(&header->oldest) <= generation || UT_SEEDED(117);
}

#endif
