// SPDX-License-Identifier: MIT
/*
 * Taking over a segment from a writer that closed or died at any instruction.
 *
 *   1. Finish the transaction that was being published, or forget it.
 *   2. Invalidate descriptors stamped above their object's generation.
 *   3. Take up the pins that stand; grant the requests that wait.
 *   4. Raise every window to the lowest generation whose descriptor is still
 *      found, and fence.  What older generations reach cannot be known any more,
 *      so nobody may go on reading them once anything is reused.
 *   5. Claim in the books what windows and pins reach.  All else is free: no log
 *      of allocations is needed, and nothing leaks.
 *   6. Set the published words and wake, since the dead writer may not have.
 *
 * Everything read here is checked against the mapping and the books: two things
 * that claim the same bytes are damage, and are named.
 */
#include "segment/publisher.h"

#include "base/check.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define GROW_STEP (UINT64_C(4) << 20) /* that the kernel reserves in about a millisecond */

/* A descriptor that must stay readable, and until when. */
typedef struct living {
    ut_descriptor descriptor;
    uint64_t until;      /* commit of the next higher living one; UINT64_MAX: the newest */
    uint64_t generation; /* the next higher's stamp */
    bool windowed;       /* in the window; else only a pin needs it */
} living;

static untorn_status damaged(const ut_publisher *publisher, const ut_object *object,
                             const char *what, uint64_t where) {
    return ut_fail(UNTORN_E_CORRUPT, "%s: object %u: %s at %" PRIu64,
                   publisher->segment->message_name, object->index, what, where);
}

/* --- 5: claiming --- */

/*
 * Who claimed what begins at a unit: the number of the walk, counted over all descriptors of all
 * objects.  Generations of one object share what did not change, so a walk may come upon what an
 * earlier one of the same object claimed.  Anything else claimed twice would be freed twice.
 */
typedef struct claims {
    uint32_t *walks; /* by offset / UT_UNIT; 0: nobody, or not by a walk */
    size_t bytes;
    uint32_t walk;  /* the present one */
    uint32_t first; /* the object's first */
} claims;

typedef struct claim {
    ut_publisher *publisher;
    claims *claims;
    ut_object *object;
    const living *of;
    ut_items *superseded; /* what only older ones than the newest reach */
} claim;

/* 1: newly claimed; 0: claimed already, and so is all below. */
static untorn_status claim_item(claim *c, uint64_t offset, uint64_t bytes, uint64_t born,
                                int *fresh) {
    *fresh = bytes == 0 ? -1 : ut_alloc_mark(c->publisher->alloc, offset, bytes);
    uint32_t *walk = &c->claims->walks[offset / UT_UNIT];
    if (*fresh < 0 || (*fresh == 0 && (*walk < c->claims->first || *walk == c->claims->walk)))
        return damaged(c->publisher, c->object, "reference that overlaps something else", offset);
    if (*fresh == 1)
        *walk = c->claims->walk;
    if (*fresh == 0 || c->of->until == UINT64_MAX)
        return UNTORN_OK;
    ut_item item = {offset, bytes, born, c->of->until, c->of->generation};
    return ut_items_push(c->of->windowed ? c->superseded : &c->publisher->held, item);
}

/* `first` is the number of the first chunk below.  Cells that the descriptor does not show are
 * passed over: in nodes shared with newer generations they are those ones' business. */
static untorn_status claim_place(claim *c, ut_place place, unsigned level, uint64_t first) {
    if (place.ref == 0)
        return UNTORN_OK;
    ut_segment *segment = c->publisher->segment;
    const ut_descriptor *descriptor = &c->of->descriptor;
    uint64_t offset = ut_ref_offset(place.ref);
    if (!ut_ref_good(place.ref, place.version, descriptor->uid, level) ||
        place.version > descriptor->commit)
        return damaged(c->publisher, c->object, "damaged cell for", offset);
    bool is_node = level > 0 && level < UT_LEVEL_ATTRIBUTES;
    bool evicted = (place.ref & UT_REF_EVICTED) != 0;
    bool subtree = (place.ref & UT_REF_SUBTREE) != 0;
    /* What has a place is given up one day: not that of a cell that must have none. */
    if (subtree != (evicted && is_node) ||
        (evicted && (offset != 0 || level == UT_LEVEL_ATTRIBUTES ||
                     (descriptor->kind & UT_KIND_MASK) != UT_KIND_ARRAY)))
        return damaged(c->publisher, c->object, "impossible cell for", offset);
    if (evicted) {
        c->publisher->evicted = true;
        return UNTORN_OK;
    }
    uint64_t bytes = is_node
                         ? sizeof(ut_node)
                         : ut_slot_bytes(segment, level == 0 ? descriptor->slot_bytes : 0, offset);
    if (bytes == 0 || ut_at(segment, offset, bytes) == NULL)
        return damaged(c->publisher, c->object, "reference out of bounds", offset);
    int fresh;
    untorn_status status = claim_item(c, offset, bytes, place.version, &fresh);
    if (status != UNTORN_OK || fresh == 0 || !is_node)
        return status;
    ut_node *node = (ut_node *)(segment->base + offset);
    uint64_t child = UINT64_C(1) << ((level - 1) * UT_NODE_SHIFT);
    for (unsigned i = 0; i < UT_NODE_CELLS && first + i * child < descriptor->cells; i++) {
        status = claim_place(c, ut_cell_load(&node->cells[i]), level - 1, first + i * child);
        if (status != UNTORN_OK)
            return status;
    }
    return UNTORN_OK;
}

static untorn_status claim_living(claim *c) {
    const ut_descriptor *descriptor = &c->of->descriptor;
    ut_place root = {descriptor->root_ref, descriptor->root_version};
    untorn_status status = claim_place(c, root, ut_kind_depth(descriptor->kind), 0);
    if (status != UNTORN_OK)
        return status;
    ut_place attributes = {descriptor->attributes_ref, descriptor->attributes_version};
    return claim_place(c, attributes, UT_LEVEL_ATTRIBUTES, 0);
}

/* --- which descriptors live --- */

static int newest_first(const void *a, const void *b) {
    uint64_t x = ((const living *)a)->descriptor.stamp, y = ((const living *)b)->descriptor.stamp;
    return x > y ? -1 : x < y;
}

/* All descriptors of the object that are found, newest first, without repeats. */
static untorn_status find_all(ut_object *object, living **out, size_t *count) {
    living *all = calloc(object->ring_entries + object->retained_count, sizeof *all);
    if (all == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory while taking over");
    size_t n = 0;
    for (uint64_t i = 0; i < object->ring_entries + object->retained_count; i++) {
        ut_descriptor_slot *slot = i < object->ring_entries
                                       ? &object->ring[i]
                                       : object->retained[i - object->ring_entries].slot;
        uint64_t stamp = ut_load_relaxed(&slot->words[0]);
        if (stamp != 0 && stamp <= object->generation &&
            ut_descriptor_load(slot, stamp, &all[n].descriptor) == UT_FOUND)
            n++;
    }
    qsort(all, n, sizeof *all, newest_first);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || all[i].descriptor.stamp != all[kept - 1].descriptor.stamp)
            all[kept++] = all[i];
    *out = all;
    *count = kept;
    return UNTORN_OK;
}

static int by_generation(const void *a, const void *b) {
    const ut_item *x = a, *y = b;
    return x->generation < y->generation ? -1 : x->generation > y->generation;
}

static untorn_status claim_object(ut_publisher *publisher, ut_object *object, claims *all_claims) {
    living *all = NULL;
    size_t count = 0;
    untorn_status status = find_all(object, &all, &count);
    if (status != UNTORN_OK)
        return status;
    ut_items superseded = {0};
    all_claims->first = all_claims->walk + 1;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++) {
        living *one = &all[i];
        one->until = i == 0 ? UINT64_MAX : all[i - 1].descriptor.commit;
        one->generation = i == 0 ? 0 : all[i - 1].descriptor.stamp;
        one->windowed = one->descriptor.stamp >= object->oldest;
        if (i == 0 && (one->descriptor.kind & UT_KIND_DELETED))
            continue;
        if (i > 0 && !one->windowed &&
            !ut_grants_need(&publisher->grants, one->descriptor.commit, one->until))
            continue;
        all_claims->walk++;
        claim c = {publisher, all_claims, object, one, &superseded};
        status = claim_living(&c);
    }
    if (status == UNTORN_OK)
        status = ut_space_reserve_queue(object, superseded.count);
    if (status == UNTORN_OK && superseded.count > 0) {
        qsort(superseded.list, superseded.count, sizeof *superseded.list, by_generation);
        for (size_t i = 0; i < superseded.count; i++)
            ut_space_supersede(publisher, object, &superseded.list[i]);
        ut_space_list(publisher, object);
    }
    free(superseded.list);
    free(all);
    return status;
}

/* --- 2 and 4: headers and windows --- */

static untorn_status adopt_headers(ut_publisher *publisher) {
    ut_segment *segment = publisher->segment;
    uint64_t count = ut_load_acquire(&segment->super->objects);
    if (count == 0 || count > UT_MAX_OBJECTS)
        return ut_fail(UNTORN_E_CORRUPT, "%s: damaged: number of objects %" PRIu64,
                       segment->message_name, count);
    for (uint64_t page = 0; page < UT_DIRECTORY_SIZE; page++) {
        uint64_t offset = ut_load_relaxed(&segment->directory[page]);
        if (offset != 0 && ut_alloc_mark(publisher->alloc, offset, UT_PAGE) != 1)
            return ut_fail(UNTORN_E_CORRUPT, "%s: damaged: directory entry %" PRIu64,
                           segment->message_name, page);
    }
    for (uint64_t i = 0; i < UT_MAX_OBJECTS; i++) {
        ut_header *header = ut_segment_header(segment, i);
        if (header == NULL && i < count)
            return ut_fail(UNTORN_E_CORRUPT, "%s: damaged: object %" PRIu64 " has no header",
                           segment->message_name, i);
        if (header == NULL) {
            i |= UT_HEADERS_PER_PAGE - 1;
            continue;
        }
        if (i >= count) { /* its making was not finished: nobody can know of it */
            ut_store_relaxed(&header->ring, 0);
            continue;
        }
        ut_object *object = ut_object_alloc((uint32_t)i);
        if (object == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", segment->message_name);
        object->header = header;
        untorn_status status = ut_object_add(publisher, object);
        if (status != UNTORN_OK) {
            free(object);
            return status;
        }
        status = ut_ring_adopt(publisher, object);
        if (status != UNTORN_OK)
            return status;
    }
    publisher->free_capacity = publisher->object_capacity;
    publisher->free_list = calloc(publisher->free_capacity, sizeof *publisher->free_list);
    return publisher->free_list != NULL
               ? UNTORN_OK
               : ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", segment->message_name);
}

/* Set object->oldest to what its window can reach back to, and the reach to where all windows
 * do: everything live at a commit from there on can still be pinned. */
static untorn_status find_window(ut_publisher *publisher, ut_object *object) {
    if (object->generation == 0)
        return UNTORN_OK;
    if (ut_descriptor_of_generation(publisher->segment, object->header, object->generation,
                                    &object->now) != UT_FOUND)
        return damaged(publisher, object, "damaged descriptor of generation", object->generation);
    object->cut = object->now.data_commit; /* it may have been any up to this */
    uint64_t lowest = object->generation, commit = object->now.commit;
    while (lowest > 1 && lowest > object->oldest) {
        ut_descriptor below;
        if (ut_descriptor_of_generation(publisher->segment, object->header, lowest - 1, &below) !=
            UT_FOUND)
            break;
        lowest--;
        commit = below.commit;
    }
    if (lowest > 1 && commit > publisher->reach)
        publisher->reach = commit;
    if (object->now.kind & UT_KIND_DELETED)
        lowest = object->generation;
    if (lowest > object->oldest && !UT_SEEDED(112))
        object->oldest = lowest;
    return UNTORN_OK;
}

static untorn_status claim_all(ut_publisher *publisher, uint64_t reserve) {
    claims all = {.bytes = reserve / UT_UNIT * sizeof(uint32_t)};
    /* Zeroed, and real only where something is claimed. */
    all.walks = mmap(NULL, all.bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all.walks == MAP_FAILED)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory while taking over",
                       publisher->segment->message_name);
    untorn_status status = UNTORN_OK;
    for (uint32_t i = 0; i < publisher->object_count && status == UNTORN_OK; i++) {
        ut_object *object = publisher->objects[i];
        status = claim_object(publisher, object, &all);
        if (status != UNTORN_OK)
            break;
        ut_table_trim(publisher, object);
        if (i != 0 && ut_object_is_free(object))
            ut_object_give(publisher, object);
        ut_store_release(&object->header->published, (uint32_t)object->generation);
    }
    munmap(all.walks, all.bytes);
    return status;
}

/* A writer that died while the file grew may have left it longer than what is reserved, with memory
 * that nobody uses.  That it cannot be cut is no harm. */
static void cut_unpublished(const ut_segment *segment, uint64_t reserve) {
    struct stat file;
    if (ut_files->fstat(segment->fd, &file) == 0 && (uint64_t)file.st_size > reserve &&
        ut_files->ftruncate(segment->fd, (off_t)reserve) != 0)
        return;
}

untorn_status ut_adopt(ut_publisher *publisher, ut_segment *segment) {
    memset(publisher, 0, sizeof *publisher);
    publisher->segment = segment;
    untorn_status status = ut_publish_replay(segment);
    if (status != UNTORN_OK)
        return status;
    ut_superblock *super = segment->super;
    uint64_t reserve = ut_load_relaxed(&super->reserve);
    publisher->commit = ut_load_relaxed(&super->commit);
    publisher->versions = super->versions;
    publisher->step = GROW_STEP;
    while (publisher->step > UT_PAGE && publisher->step > super->size / 16)
        publisher->step /= 2;
    publisher->budget = super->size / 8 < (UINT64_C(1) << 20) ? super->size / 8 : UINT64_C(1) << 20;
    status = ut_alloc_create(UT_HEAP_OFFSET, super->size, &publisher->alloc);
    if (status != UNTORN_OK)
        goto free_publisher;
    ut_alloc_extend(publisher->alloc, reserve);

    status = adopt_headers(publisher);
    if (status != UNTORN_OK)
        goto free_publisher;
    for (uint32_t i = 0; i < publisher->object_count && status == UNTORN_OK; i++)
        status = find_window(publisher, publisher->objects[i]);
    if (status != UNTORN_OK)
        goto free_publisher;
    UT_STEP("headers adopted");
    if (!UT_SEEDED(111))
        ut_grants_adopt(publisher);
    /* What deleted objects were is free from here on, but for what was granted just now: a later
     * request for a commit at which one existed comes too late. */
    for (uint32_t i = 0; i < publisher->object_count; i++) {
        const ut_descriptor *now = &publisher->objects[i]->now;
        if ((now->kind & UT_KIND_DELETED) && now->commit > publisher->reach && !UT_SEEDED(127))
            publisher->reach = now->commit;
    }
    UT_STEP("requests granted");
    for (uint32_t i = 0; i < publisher->object_count; i++)
        ut_store_release(&publisher->objects[i]->header->oldest, publisher->objects[i]->oldest);
    /* THE RULE, for all windows at once; see publisher.h. */
    ut_fence_release();
    ut_store_fence();
    UT_STEP("windows raised");
    status = claim_all(publisher, reserve);
    if (status != UNTORN_OK)
        goto free_publisher;
    cut_unpublished(segment, reserve);
    ut_store_release(&super->prepared, publisher->commit);
    ut_store_release(&super->published, (uint32_t)publisher->commit);
    return UNTORN_OK;

free_publisher:
    ut_publisher_free(publisher);
    return status;
}
