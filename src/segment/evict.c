// SPDX-License-Identifier: MIT
/*
 * Eviction: a commit that changes nothing but where chunks are.
 *
 * The chunks' cells keep their versions and lose their slots; nodes on the way are copied, and
 * those of which nothing is left in memory become one cell.  The array's data commit stays, so
 * that nobody who waits for data or flushes it has anything to do.
 *
 * What generations before this one reach is given up at once, by raising the window: a reader in
 * the middle of a read begins again, with the copies that passed.  Waiting for the window to move
 * on instead would let an array that is not written to keep its slots for ever.
 *
 * It may run while a transaction is open, even one of the same object: the transaction's part is
 * put aside and comes back unchanged, since it refers to chunks by their numbers.  Only the list of
 * what it gives up is of slots: a chunk that it cuts off or replaces goes from that list when it is
 * evicted, for its slot has been given up by then.
 *
 * Bringing chunks in again is the same commit the other way round.  They come in sealed: what else
 * the store ever showed under their versions is not known here, so nothing may be appended to them
 * in place.
 *
 * Nodes need space when there is none: a reserve is kept for them alone.
 */
#include "segment/publisher.h"

#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>
#include <string.h>

/* An object's part in the open transaction, while it is put aside. */
typedef struct aside {
    bool touched, data_changed;
    ut_descriptor next;
    uint64_t keep;
    ut_changes changes;
    ut_items dropped;
} aside;

static aside put_aside(ut_object *object) {
    aside part = {object->touched, object->data_changed, object->next,
                  object->keep,    object->changes,      object->dropped};
    memset(&object->changes, 0, sizeof object->changes);
    memset(&object->dropped, 0, sizeof object->dropped);
    object->touched = true;
    object->data_changed = UT_SEEDED(304);
    object->evicting = true;
    object->next = object->now;
    object->keep = object->now.cells;
    return part;
}

static void put_back(ut_object *object, aside *part) {
    ut_changes_free(&object->changes);
    free(object->dropped.list);
    object->touched = part->touched;
    object->data_changed = part->data_changed;
    object->evicting = object->table_built = false;
    object->next = part->next;
    object->keep = part->keep;
    object->changes = part->changes;
    object->dropped = part->dropped;
}

static int by_offset(const void *a, const void *b) {
    const ut_item *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Move what is evicted to the end of what the transaction gives up; returns how much stays. */
static size_t part_evicted(ut_items *given_up, ut_items *evicted) {
    size_t kept = 0;
    if (given_up->count == 0 || UT_SEEDED(330))
        return given_up->count;
    qsort(evicted->list, evicted->count, sizeof *evicted->list, by_offset);
    for (size_t i = 0; i < given_up->count; i++) {
        ut_item item = given_up->list[i];
        if (bsearch(&item, evicted->list, evicted->count, sizeof item, by_offset) != NULL)
            continue;
        given_up->list[i] = given_up->list[kept];
        given_up->list[kept++] = item;
    }
    return kept;
}

static untorn_status add(ut_publisher *publisher, ut_object *object, uint64_t number) {
    ut_place place;
    untorn_status status = ut_table_get(publisher, object, number, &place);
    if (status != UNTORN_OK || place.ref == 0 || (place.ref & UT_REF_EVICTED))
        return status;
    ut_item item = {
        .offset = ut_ref_offset(place.ref), .bytes = object->now.slot_bytes, .born = place.version};
    if (UT_SEEDED(311)) /* as if no pin could need it */
        item.born = publisher->commit + 1;
    status = ut_items_push(&object->dropped, item);
    if (status != UNTORN_OK)
        return status;
    ut_change *change = ut_changes_put(&object->changes, number);
    if (change == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for an eviction",
                       publisher->segment->message_name);
    /* Without its seal, which would keep its node from being given up: nothing is ever appended in
     * place to what is not in memory, and what comes in again is sealed. */
    change->flags = UT_REF_EVICTED;
    change->version = place.version;
    return UNTORN_OK;
}

/* Where a page of the reserve says which is the next.  It is nobody's else: free memory is not
 * reached by any reader that would believe it. */
static void *next_page(const ut_publisher *publisher, uint64_t page) {
    return publisher->segment->base + page;
}

/* Hand the reserve to the allocator for the time of an eviction. */
static void open_reserve(ut_publisher *publisher) {
    while (publisher->eviction_reserve != 0) {
        uint64_t page = publisher->eviction_reserve;
        ut_racy_copy(&publisher->eviction_reserve, next_page(publisher, page), sizeof page);
        ut_alloc_give(publisher->alloc, page, UT_PAGE);
    }
    publisher->eviction_pages = 0;
}

/* Single pages: what evictions leave is scattered, and a reserve in one piece would be lost for
 * good when it cannot be had again. */
void ut_evict_reserve(ut_publisher *publisher, unsigned pages) {
    uint64_t most = publisher->segment->super->size / 16 / UT_PAGE;
    while (publisher->eviction_pages < pages && publisher->eviction_pages < most) {
        uint64_t page = publisher->eviction_pages < UT_EVICTION_LEAST_PAGES
                            ? ut_space_take_reclaimed(publisher, UT_PAGE)
                            : ut_alloc_take(publisher->alloc, UT_PAGE);
        if (page == 0)
            break;
        ut_racy_copy(next_page(publisher, page), &publisher->eviction_reserve, sizeof page);
        publisher->eviction_reserve = page;
        publisher->eviction_pages++;
    }
}

untorn_status ut_evict(ut_publisher *publisher, ut_object *object, const uint64_t *numbers,
                       size_t count) {
    aside part = put_aside(object);
    size_t given_up = part.dropped.count;
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++)
        status = add(publisher, object, numbers[i]);
    if (status == UNTORN_OK && object->changes.count != 0) {
        given_up = part_evicted(&part.dropped, &object->dropped);
        open_reserve(publisher);
        UT_STEP("eviction begins");
        status = ut_publish(publisher, &object, 1);
    }
    if (status == UNTORN_OK)
        part.dropped.count = given_up;
    put_back(object, &part);
    if (status == UNTORN_OK) {
        if (UT_SEEDED(301)) /* as if readers knew */
            object->oldest = object->generation;
        ut_space_raise(publisher, object, object->generation);
        ut_space_list(publisher, object);
        UT_STEP("evicted");
    }
    return status;
}

/* The chunk's cell gets a slot. */
static untorn_status add_slot(ut_publisher *publisher, ut_object *object, uint64_t number,
                              uint64_t offset) {
    ut_place place;
    untorn_status status = ut_table_get(publisher, object, number, &place);
    if (status != UNTORN_OK)
        return status;
    if (!(place.ref & UT_REF_EVICTED))
        return ut_fail(UNTORN_E_STATE, "%s: object %u: chunk %llu is not only in the store",
                       publisher->segment->message_name, object->index, (unsigned long long)number);
    ut_change *change = ut_changes_put(&object->changes, number);
    if (change == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", publisher->segment->message_name);
    change->offset = offset;
    change->flags = UT_SEEDED(310) ? 0 : UT_REF_SEALED;
    change->version = place.version;
    return UNTORN_OK;
}

untorn_status ut_bring_in(ut_publisher *publisher, ut_object *object, const uint64_t *numbers,
                          const uint64_t *offsets, size_t count) {
    aside part = put_aside(object);
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++)
        status = add_slot(publisher, object, numbers[i], offsets[i]);
    if (status == UNTORN_OK)
        status = ut_publish(publisher, &object, 1);
    put_back(object, &part);
    return status;
}
