// SPDX-License-Identifier: MIT
/*
 * The writer's side of an object's descriptors: the ring of the newest, and the
 * list of those that pins still need.
 *
 * A ring has 8 slots.  One of 64 takes its place where more versions than 8 are
 * promised; and for a busy object, so that a reader who was away for a
 * microsecond still finds the generation it saw, unless 8 reach back far enough,
 * as with many arrays that are written together, all of whose rings no cache
 * would hold.  The old ring is superseded like anything else.  A reader that
 * still has its address has a generation below the one that was published next,
 * or looks at header.ring again after reading, and so never takes what comes to
 * lie there for a descriptor.  Nodes of the retained list are for ever nodes of
 * that list.
 */
#include "segment/publisher.h"

#include "base/check.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_GENERATIONS 256u /* published since a ring of 64 is worth its memory */

static uint64_t offset_of(ut_publisher *publisher, const void *place) {
    return (uint64_t)((const unsigned char *)place - publisher->segment->base);
}

static untorn_status reserve_retained(ut_object *object, size_t more) {
    if (object->retained_capacity - object->retained_count >= more)
        return UNTORN_OK;
    size_t capacity = object->retained_capacity * 2 + more;
    ut_retained *list = realloc(object->retained, capacity * sizeof *list);
    if (list == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for retained descriptors");
    object->retained = list;
    object->retained_capacity = capacity;
    return UNTORN_OK;
}

/* Put a slot of descriptor memory at the head of the retained list. */
static void link_retained(ut_publisher *publisher, ut_object *object, ut_descriptor_slot *slot) {
    ut_store_relaxed(&slot->words[offsetof(ut_descriptor, next) / 8],
                     ut_load_relaxed(&object->header->retained));
    object->retained[object->retained_count++] = (ut_retained){.slot = slot};
    /* Pairs with the acquire in find_retained(): the link and the stamp are seen. */
    ut_store_release(&object->header->retained, offset_of(publisher, slot));
}

/* A slot of the retained list that no pin needs. */
static untorn_status free_retained(ut_publisher *publisher, ut_object *object, ut_retained **out) {
    for (size_t i = 0; i < object->retained_count; i++) {
        ut_retained *retained = &object->retained[i];
        if (retained->until == 0 ||
            !ut_grants_need(&publisher->grants, retained->commit, retained->until)) {
            *out = retained;
            return UNTORN_OK;
        }
    }
    untorn_status status = reserve_retained(object, 1);
    if (status != UNTORN_OK)
        return status;
    uint64_t offset;
    status = ut_space_take(publisher, object, sizeof(ut_descriptor_slot), &offset);
    if (status != UNTORN_OK)
        return status;
    ut_descriptor_slot *slot = (ut_descriptor_slot *)(publisher->segment->base + offset);
    ut_racy_fill_zero(slot, sizeof *slot);
    link_retained(publisher, object, slot);
    *out = &object->retained[object->retained_count - 1];
    return UNTORN_OK;
}

/* Copy the descriptor in the ring slot of `generation` to the retained list. */
static untorn_status retain(ut_publisher *publisher, ut_object *object, uint64_t generation,
                            uint64_t until) {
    ut_descriptor descriptor;
    memset(&descriptor, 0, sizeof descriptor);
    ut_descriptor_slot *slot = &object->ring[generation & (object->ring_entries - 1)];
    if (ut_descriptor_load(slot, generation, &descriptor) != UT_FOUND)
        return UNTORN_OK;                               /* it was of no use to anybody */
    for (size_t i = 0; i < object->retained_count; i++) /* a commit that failed retained it */
        if (object->retained[i].commit == descriptor.commit && object->retained[i].until == until)
            return UNTORN_OK;
    ut_retained *retained;
    untorn_status status = free_retained(publisher, object, &retained);
    if (status != UNTORN_OK)
        return status;
    descriptor.until = until;
    ut_descriptor_store(retained->slot, &descriptor, generation);
    retained->commit = descriptor.commit;
    retained->until = until;
    return UNTORN_OK;
}

static void grow_ring(ut_publisher *publisher, ut_object *object) {
    const uint64_t bytes = UT_RING_BYTES(UT_RING_LARGE);
    /* Never at the price of anything else. */
    if (publisher->ring_bytes + bytes > publisher->segment->super->size / 16 ||
        ut_space_reserve_queue(object, 1) != UNTORN_OK)
        return;
    uint64_t offset = ut_alloc_take(publisher->alloc, bytes);
    if (offset == 0)
        return;
    publisher->ring_bytes += bytes;
    ut_descriptor_slot *ring = (ut_descriptor_slot *)(publisher->segment->base + offset);
    ut_racy_fill_zero(ring, bytes);
    uint64_t commits[UT_RING_LARGE] = {0};
    uint64_t generation = object->generation;
    for (uint64_t i = 0; i < object->ring_entries && i < generation; i++) {
        ut_descriptor descriptor;
        memset(&descriptor, 0, sizeof descriptor);
        uint64_t g = generation - i, slot = g & (object->ring_entries - 1);
        if (ut_descriptor_load(&object->ring[slot], g, &descriptor) != UT_FOUND)
            break;
        ut_descriptor_fill(&ring[g & (UT_RING_LARGE - 1)], &descriptor, g);
        commits[g & (UT_RING_LARGE - 1)] = descriptor.commit;
    }
    ut_item old = {.offset = offset_of(publisher, object->ring),
                   .bytes = UT_RING_BYTES(object->ring_entries),
                   .commit = publisher->commit + 1,
                   .generation = generation + 1};
    /* Pairs with the acquire in ut_descriptor_ring(): the new ring is seen complete. */
    ut_store_release(&object->header->ring, offset | 6);
    static_assert(UT_RING_LARGE == 64, "log2 of the ring's entries above");
    object->ring = ring;
    object->ring_entries = UT_RING_LARGE;
    memcpy(object->ring_commits, commits, sizeof commits);
    ut_space_supersede(publisher, object, &old);
}

/* Before the slot of a generation that a pin needs is reused.  Not inline, so that
 * ut_ring_prepare() is short where there are no pins. */
static __attribute__((noinline)) untorn_status retain_needed(ut_publisher *publisher,
                                                             ut_object *object, uint64_t reused,
                                                             uint64_t commit, uint64_t until) {
    while (publisher->grants.standing != 0 && !UT_SEEDED(103) &&
           ut_grants_need(&publisher->grants, commit, until)) {
        if (retain(publisher, object, reused, until) == UNTORN_OK)
            break;
        /* A commit does not fail because of a pin: rather the pin ends. */
        if (ut_grants_revoke(publisher))
            ut_space_release_held(publisher);
        else if (ut_grants_need(&publisher->grants, commit, until))
            return UNTORN_E_NO_SPACE; /* the flusher's, whose flush must end first */
    }
    return UNTORN_OK;
}

/* Whether the ring reaches back less than superseded chunks are kept anyway, because they are
 * promised or, of a busy object, did not age yet (see space.c): a reader that is away for as long,
 * and whoever takes over, would miss the descriptors alone. */
static bool is_short(const ut_publisher *publisher, const ut_object *object) {
    uint64_t mask = object->ring_entries - 1;
    if (object->ring_entries >= UT_RING_LARGE || object->generation == 0)
        return false;
    return object->ring_entries < publisher->versions ||
           (object->generation % BUSY_GENERATIONS == 0 &&
            object->ring_commits[(object->generation + 1) & mask] > publisher->aged);
}

untorn_status ut_ring_prepare(ut_publisher *publisher, ut_object *object) {
    if (object->generation % UT_RING_SMALL == 0 && is_short(publisher, object))
        grow_ring(publisher, object);
    uint64_t mask = object->ring_entries - 1;
    uint64_t next = object->generation + 1;
    if (next <= object->ring_entries)
        return UNTORN_OK;
    uint64_t reused = next - object->ring_entries;
    uint64_t commit = object->ring_commits[reused & mask];
    if (commit == 0)
        return UNTORN_OK; /* not there since a writer died */
    uint64_t until = object->ring_commits[(reused + 1) & mask];
    if (publisher->grants.standing != 0) {
        untorn_status status = retain_needed(publisher, object, reused, commit, until);
        if (status != UNTORN_OK)
            return status;
    }
    if (until > publisher->reach)
        publisher->reach = until;
    if (UT_SEEDED(128)) /* the window tied to the ring */
        ut_space_raise(publisher, object, reused + 1);
    return UNTORN_OK;
}

/* Claim a piece of descriptor memory for the books. */
static bool claim(ut_publisher *publisher, uint64_t offset, uint64_t bytes) {
    return ut_alloc_mark(publisher->alloc, offset, bytes) >= 0;
}

static untorn_status adopt_retained(ut_publisher *publisher, ut_object *object) {
    ut_segment *segment = publisher->segment;
    uint64_t offset = ut_load_relaxed(&object->header->retained);
    for (unsigned i = 0; offset != 0; i++) {
        ut_descriptor_slot *slot = offset % UT_UNIT ? NULL : ut_at(segment, offset, sizeof *slot);
        if (slot == NULL || i > 65536 || !claim(publisher, offset, sizeof *slot))
            return ut_fail(UNTORN_E_CORRUPT, "%s: object %u: damaged list of retained descriptors",
                           segment->message_name, object->index);
        untorn_status status = reserve_retained(object, 1);
        if (status != UNTORN_OK)
            return status;
        ut_retained *retained = &object->retained[object->retained_count++];
        *retained = (ut_retained){.slot = slot};
        ut_descriptor descriptor;
        uint64_t stamp = ut_load_relaxed(&slot->words[0]);
        if (stamp != 0 && ut_descriptor_load(slot, stamp, &descriptor) == UT_FOUND &&
            descriptor.until > descriptor.commit) {
            retained->commit = descriptor.commit;
            retained->until = descriptor.until;
        }
        offset = ut_load_relaxed(&slot->words[offsetof(ut_descriptor, next) / 8]);
    }
    return UNTORN_OK;
}

untorn_status ut_ring_adopt(ut_publisher *publisher, ut_object *object) {
    ut_segment *segment = publisher->segment;
    ut_header *header = object->header;
    object->generation = ut_load_relaxed(&header->generation);
    object->oldest = ut_load_relaxed(&header->oldest);
    object->ring = ut_descriptor_ring(segment, header, &object->ring_entries);
    uint64_t offset = ut_load_relaxed(&header->ring) & ~(UT_UNIT - 1);
    if (object->ring == NULL || object->generation == UINT64_MAX ||
        object->oldest > object->generation + 1)
        return ut_fail(UNTORN_E_CORRUPT, "%s: object %u: damaged header", segment->message_name,
                       object->index);
    if (!claim(publisher, offset, UT_RING_BYTES(object->ring_entries)))
        return ut_fail(UNTORN_E_CORRUPT, "%s: object %u: ring overlaps something else",
                       segment->message_name, object->index);
    if (object->ring_entries == UT_RING_LARGE)
        publisher->ring_bytes += UT_RING_BYTES(UT_RING_LARGE);
    memset(object->ring_commits, 0, sizeof object->ring_commits);
    for (uint64_t i = 0; i < object->ring_entries; i++) {
        uint64_t stamp = ut_load_relaxed(&object->ring[i].words[0]);
        ut_descriptor descriptor;
        if (stamp > object->generation && !UT_SEEDED(136))
            ut_descriptor_retract(&object->ring[i]); /* of a transaction that never was */
        else if (stamp != 0 && (stamp & (object->ring_entries - 1)) == i &&
                 ut_descriptor_load(&object->ring[i], stamp, &descriptor) == UT_FOUND)
            object->ring_commits[i] = descriptor.commit;
    }
    return adopt_retained(publisher, object);
}
