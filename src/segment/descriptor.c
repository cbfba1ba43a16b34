// SPDX-License-Identifier: MIT
/*
 * Storing and finding descriptors; descriptor.h has the rules.
 */
#include "segment/descriptor.h"

#include "base/hash.h"
#include "base/racy_copy.h"
#include "base/test_hooks.h"

/* The longest retained list that is followed: one for each pin, and those whose pins are gone. */
#define RETAINED_BOUND 4096u

/* A loop of few and known turns, on the path of every commit. */
#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

static uint64_t descriptor_check(const ut_descriptor *descriptor, uint64_t stamp) {
    size_t bytes = offsetof(ut_descriptor, shape) - 8 * UT_DESCRIPTOR_BODY +
                   8 * ut_kind_rank(descriptor->kind);
    return ut_hash(&descriptor->uid, bytes) ^ stamp * UINT64_C(0x9e3779b97f4a7c15);
}

void ut_descriptor_retract(ut_descriptor_slot *slot) {
    /* Release: who finds it gone from the ring finds it in the retained list. */
    ut_store_release(&slot->words[0], 0);
}

/* Word i of a descriptor, which has members of one size but of two types. */
static inline uint64_t word_of(const ut_descriptor *descriptor, size_t i) {
    uint64_t word;
    memcpy(&word, (const unsigned char *)descriptor + i * sizeof word, sizeof word);
    return word;
}

/* Word by word from where the words were just stored, one by one: a copy by larger pieces would
 * have to wait until those stores are out. */
void ut_descriptor_fill(ut_descriptor_slot *slot, const ut_descriptor *descriptor, uint64_t stamp) {
    const size_t fixed = offsetof(ut_descriptor, shape) / 8;
    size_t count = fixed + ut_kind_rank(descriptor->kind);
    ut_store_relaxed(&slot->words[1], descriptor_check(descriptor, stamp));
    UNROLLED
    for (size_t i = UT_DESCRIPTOR_BODY; i < fixed; i++)
        ut_store_relaxed(&slot->words[i], word_of(descriptor, i));
    for (size_t i = fixed; i < count; i++)
        ut_store_relaxed(&slot->words[i], word_of(descriptor, i));
    /* Pairs with the acquire in ut_descriptor_load(). */
    ut_store_release(&slot->words[0], stamp);
}

void ut_descriptor_store(ut_descriptor_slot *slot, const ut_descriptor *descriptor,
                         uint64_t stamp) {
    ut_descriptor_retract(slot);
    /* Pairs with the fence in ut_descriptor_load(): who sees a new word sees the stamp gone. */
    ut_fence_release();
    ut_descriptor_fill(slot, descriptor, stamp);
}

ut_found ut_descriptor_load(ut_descriptor_slot *slot, uint64_t stamp, ut_descriptor *descriptor) {
    if (ut_load_acquire(&slot->words[0]) != stamp)
        return UT_NOT_FOUND;
    const size_t fixed = offsetof(ut_descriptor, shape) / 8;
    static_assert(offsetof(ut_descriptor, shape) == 128, "in two pieces");
    ut_racy_copy(descriptor, slot->words, 64);
    ut_racy_copy((unsigned char *)descriptor + 64, slot->words + 8, 64);
    unsigned rank = ut_kind_rank(descriptor->kind);
    bool damaged = rank > UNTORN_MAX_RANK;
    UT_STEP("descriptor half copied");
    for (unsigned axis = 0; !damaged && axis < rank; axis++)
        descriptor->shape[axis] = ut_load_relaxed(&slot->words[fixed + axis]);
    UT_STEP("descriptor copied");
    ut_fence_acquire();
    if (ut_load_relaxed(&slot->words[0]) != stamp && !UT_SEEDED(101))
        return UT_NOT_FOUND;
    if (damaged)
        return UT_DAMAGED;
    descriptor->stamp = stamp;
    if (descriptor_check(descriptor, stamp) != descriptor->check && !UT_SEEDED(101))
        return UT_DAMAGED;
    if (ut_kind_depth(descriptor->kind) > UT_MAX_DEPTH)
        return UT_DAMAGED;
    return UT_FOUND;
}

ut_descriptor_slot *ut_descriptor_ring(ut_segment *segment, ut_header *header, uint64_t *entries) {
    /* Acquire: pairs with the release when a ring is put in place, complete. */
    uint64_t ring = ut_load_acquire(&header->ring);
    unsigned log2 = (unsigned)(ring & (UT_UNIT - 1));
    if (log2 > 6)
        return NULL;
    *entries = UINT64_C(1) << log2;
    return ut_at(segment, ring & ~(UT_UNIT - 1), *entries * sizeof(ut_descriptor_slot));
}

ut_found ut_descriptor_of_generation(ut_segment *segment, ut_header *header, uint64_t generation,
                                     ut_descriptor *descriptor) {
    uint64_t entries;
    ut_descriptor_slot *ring = ut_descriptor_ring(segment, header, &entries);
    if (ring == NULL)
        return UT_DAMAGED;
    ut_found found =
        ut_descriptor_load(ring + (generation & (entries - 1)), generation, descriptor);
    /* After the fence in there: if what was read had been reused since the ring was replaced,
     * the new ring is seen here. */
    uint64_t offset = (uint64_t)((unsigned char *)ring - segment->base);
    if ((ut_load_relaxed(&header->ring) & ~(UT_UNIT - 1)) != offset)
        return UT_NOT_FOUND;
    return found;
}

/* The newest committed descriptor at or below `generation`. */
static ut_found newest_below(ut_segment *segment, ut_header *header, uint64_t generation,
                             ut_descriptor *cached) {
    for (unsigned step = 0; step < UT_RING_LARGE && generation != 0; step++, generation--) {
        ut_descriptor descriptor;
        if (generation == cached->stamp)
            return UT_FOUND;
        ut_found found = ut_descriptor_of_generation(segment, header, generation, &descriptor);
        if (found != UT_FOUND)
            return found;
        /* Published but not committed yet, or never if the writer died in between: as if it
         * were not there.  Acquire: once one array shows a commit, so must all others. */
        if (descriptor.commit > ut_load_acquire(&segment->super->commit) && !UT_SEEDED(102))
            continue;
        if (UT_SEEDED(130)) /* cache under the generation word */
            descriptor.stamp = ut_load_relaxed(&header->generation);
        ut_descriptor_copy(cached, &descriptor);
        return UT_FOUND;
    }
    return UT_NOT_FOUND;
}

/* How often a reader that was away while the whole ring went by begins again; nothing was
 * copied yet, so that is not worth an attempt. */
#define RING_LAPS 4u

ut_found ut_descriptor_newest(ut_segment *segment, ut_header *header, ut_descriptor *cached) {
    ut_found found = UT_NOT_FOUND;
    for (unsigned lap = 0; lap < RING_LAPS && found == UT_NOT_FOUND; lap++) {
        /* Acquire: the descriptor and all it leads to were written before. */
        uint64_t generation = ut_load_acquire(&header->generation);
        UT_STEP("generation read");
        if (generation == cached->stamp && generation != 0)
            return UT_FOUND;
        found = newest_below(segment, header, generation, cached);
    }
    return found;
}

static ut_found find_retained(ut_segment *segment, ut_header *header, uint64_t commit, uint64_t top,
                              ut_descriptor *descriptor) {
    UT_STEP("ring passed");
    uint64_t offset = ut_load_acquire(&header->retained);
    for (unsigned i = 0; offset != 0 && i < RETAINED_BOUND; i++) {
        ut_descriptor_slot *slot = offset % UT_UNIT ? NULL : ut_at(segment, offset, sizeof *slot);
        if (slot == NULL)
            return UT_DAMAGED;
        uint64_t stamp = ut_load_acquire(&slot->words[0]);
        if (stamp != 0 && stamp <= top && ut_descriptor_load(slot, stamp, descriptor) == UT_FOUND &&
            descriptor->commit <= commit && (commit < descriptor->until || UT_SEEDED(129)))
            return UT_FOUND;
        /* The link is written before the node is linked, and never again. */
        offset = ut_load_relaxed(&slot->words[offsetof(ut_descriptor, next) / 8]);
    }
    return UT_NOT_FOUND;
}

ut_found ut_descriptor_at(ut_segment *segment, ut_header *header, uint64_t commit,
                          ut_descriptor *cached) {
    uint64_t top = ut_load_acquire(&header->generation);
    UT_STEP("generation read");
    if (top == cached->stamp && top != 0 && cached->commit <= commit)
        return UT_FOUND;
    ut_descriptor descriptor;
    if (UT_SEEDED(129) && find_retained(segment, header, commit, top, cached) == UT_FOUND)
        return UT_FOUND;
    uint64_t generation = top;
    /* Downwards from the newest without a gap, so that the first one not above `commit` is the
     * one that is live there.  The ring comes first: the list may hold older ones. */
    for (unsigned step = 0; step < UT_RING_LARGE && generation != 0; step++, generation--) {
        ut_found found = ut_descriptor_of_generation(segment, header, generation, &descriptor);
        if (found == UT_DAMAGED)
            return found;
        if (found == UT_NOT_FOUND)
            break;
        if (descriptor.commit <= commit) {
            ut_descriptor_copy(cached, &descriptor);
            return UT_FOUND;
        }
    }
    ut_found found = find_retained(segment, header, commit, top, &descriptor);
    if (found == UT_FOUND)
        ut_descriptor_copy(cached, &descriptor);
    return found;
}
