// SPDX-License-Identifier: MIT
/*
 * The writer's private objects, and the small containers that its books are
 * made of.
 */
#include "segment/publisher.h"

#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>
#include <string.h>

untorn_status ut_items_grow(ut_items *items, size_t more) {
    size_t capacity =
        items->capacity * 2 > items->count + more ? items->capacity * 2 : items->count + more;
    ut_item *list = realloc(items->list, capacity * sizeof *list);
    if (list == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %zu superseded items", capacity);
    items->list = list;
    items->capacity = capacity;
    return UNTORN_OK;
}

untorn_status ut_items_push(ut_items *items, ut_item item) {
    if (items->count == items->capacity) {
        untorn_status status = ut_items_reserve(items, 16);
        if (status != UNTORN_OK)
            return status;
    }
    items->list[items->count++] = item;
    return UNTORN_OK;
}

/* --- changes --- */

#define INDEX_ABOVE 8u /* a short list is searched from its end faster than hashed */

static size_t index_slot(const ut_changes *changes, uint64_t number) {
    return (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (changes->index_size - 1);
}

static bool build_index(ut_changes *changes, size_t size) {
    uint32_t *index = calloc(size, sizeof *index);
    if (index == NULL)
        return false;
    free(changes->index);
    changes->index = index;
    changes->index_size = size;
    for (size_t i = 0; i < changes->count; i++) {
        size_t slot = index_slot(changes, changes->list[i].number);
        while (index[slot] != 0)
            slot = (slot + 1) & (size - 1);
        index[slot] = (uint32_t)i + 1;
    }
    return true;
}

ut_change *ut_changes_search(const ut_changes *changes, uint64_t number) {
    if (changes->index_size == 0) {
        for (size_t i = changes->count; i-- > 0;)
            if (changes->list[i].number == number)
                return &changes->list[i];
        return NULL;
    }
    size_t slot = index_slot(changes, number);
    while (changes->index[slot] != 0) {
        ut_change *change = &changes->list[changes->index[slot] - 1];
        if (change->number == number)
            return change;
        slot = (slot + 1) & (changes->index_size - 1);
    }
    return NULL;
}

ut_change *ut_changes_put_any(ut_changes *changes, uint64_t number) {
    ut_change *change = ut_changes_find(changes, number);
    if (change != NULL)
        return change;
    if (changes->count >= UINT32_MAX - 1)
        return NULL;
    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity != 0 ? changes->capacity * 2 : 8;
        ut_change *list = realloc(changes->list, capacity * sizeof *list);
        if (list == NULL)
            return NULL;
        changes->list = list;
        changes->capacity = capacity;
    }
    if (changes->count >= INDEX_ABOVE && changes->index_size < 2 * (changes->count + 1)) {
        size_t size = 64;
        while (size < 4 * (changes->count + 1))
            size *= 2;
        if (!build_index(changes, size))
            return NULL;
    }
    changes->list[changes->count] = (ut_change){.number = number};
    if (changes->index_size != 0) {
        size_t slot = index_slot(changes, number);
        while (changes->index[slot] != 0)
            slot = (slot + 1) & (changes->index_size - 1);
        changes->index[slot] = (uint32_t)changes->count + 1;
    }
    return &changes->list[changes->count++];
}

static int by_number(const void *a, const void *b) {
    uint64_t x = ((const ut_change *)a)->number, y = ((const ut_change *)b)->number;
    return x < y ? -1 : x > y;
}

void ut_changes_sort(ut_changes *changes) {
    bool sorted = true;
    for (size_t i = 1; sorted && i < changes->count; i++)
        sorted = changes->list[i - 1].number < changes->list[i].number;
    if (sorted)
        return;
    qsort(changes->list, changes->count, sizeof *changes->list, by_number);
    if (changes->index_size != 0) {
        memset(changes->index, 0, changes->index_size * sizeof *changes->index);
        for (size_t i = 0; i < changes->count; i++) {
            size_t slot = index_slot(changes, changes->list[i].number);
            while (changes->index[slot] != 0)
                slot = (slot + 1) & (changes->index_size - 1);
            changes->index[slot] = (uint32_t)i + 1;
        }
    }
}

void ut_changes_clear(ut_changes *changes) {
    changes->count = 0;
    if (changes->index_size != 0) {
        free(changes->index);
        changes->index = NULL;
        changes->index_size = 0;
    }
    if (changes->capacity > 4096) { /* one large transaction should not cost memory for ever */
        free(changes->list);
        changes->list = NULL;
        changes->capacity = 0;
    }
}

void ut_changes_free(ut_changes *changes) {
    ut_changes_clear(changes);
    free(changes->list);
    memset(changes, 0, sizeof *changes);
}

/* --- objects --- */

ut_object *ut_object_alloc(uint32_t index) {
    ut_object *object = calloc(1, sizeof *object);
    if (object != NULL)
        object->index = index;
    return object;
}

untorn_status ut_object_add(ut_publisher *publisher, ut_object *object) {
    if (publisher->object_count == publisher->object_capacity) {
        uint32_t capacity = publisher->object_capacity != 0 ? publisher->object_capacity * 2 : 64;
        ut_object **objects = realloc(publisher->objects, capacity * sizeof(ut_object *));
        if (objects == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for %u objects",
                           publisher->segment->message_name, capacity);
        publisher->objects = objects;
        publisher->object_capacity = capacity;
    }
    publisher->objects[publisher->object_count++] = object;
    return UNTORN_OK;
}

/* The next header of the directory, in a fresh page if need be. */
static untorn_status fresh_header(ut_publisher *publisher, ut_object *object) {
    ut_segment *segment = publisher->segment;
    uint32_t index = object->index;
    if (index >= UT_MAX_OBJECTS)
        return ut_fail(UNTORN_E_LIMIT, "%s: holds %u arrays and groups, the most there can be",
                       segment->message_name, index);
    _Atomic uint64_t *entry = &segment->directory[index / UT_HEADERS_PER_PAGE];
    untorn_status status = UNTORN_OK;
    if (ut_load_relaxed(entry) == 0) {
        uint64_t page;
        status = ut_space_take(publisher, NULL, UT_PAGE, &page);
        if (status != UNTORN_OK)
            return status;
        ut_racy_fill_zero(segment->base + page, UT_PAGE);
        /* Pairs with the acquire in ut_segment_header(): the page is seen zeroed. */
        ut_store_release(entry, page);
    }
    object->header = ut_segment_header(segment, index);
    if (ut_load_relaxed(&object->header->ring) == 0) {
        uint64_t ring;
        status = ut_space_take(publisher, NULL, UT_RING_BYTES(UT_RING_SMALL), &ring);
        if (status != UNTORN_OK)
            return status;
        ut_racy_fill_zero(segment->base + ring, UT_RING_BYTES(UT_RING_SMALL));
        /* Pairs with the acquire in ut_descriptor_ring(). */
        ut_store_release(&object->header->ring, ring | 3);
    }
    return ut_ring_adopt(publisher, object);
}

untorn_status ut_object_new(ut_publisher *publisher, ut_object **out) {
    if (publisher->free_count > 0) {
        *out = publisher->objects[publisher->free_list[--publisher->free_count]];
        if (UT_SEEDED(135)) { /* counters that begin again */
            ut_store_relaxed(&(*out)->header->generation, (*out)->generation = 0);
            ut_store_relaxed(&(*out)->header->oldest, (*out)->oldest = 1);
        }
        return UNTORN_OK;
    }
    /* Room for the index in the free list is made here, so that giving it back cannot fail. */
    if (publisher->object_count >= publisher->free_capacity) {
        uint32_t capacity = publisher->free_capacity != 0 ? publisher->free_capacity * 2 : 64;
        uint32_t *list = realloc(publisher->free_list, capacity * sizeof *list);
        if (list == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for %u objects",
                           publisher->segment->message_name, capacity);
        publisher->free_list = list;
        publisher->free_capacity = capacity;
    }
    ut_object *object = ut_object_alloc(publisher->object_count);
    if (object == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for an object",
                       publisher->segment->message_name);
    untorn_status status = fresh_header(publisher, object);
    if (status == UNTORN_OK)
        status = ut_object_add(publisher, object);
    if (status != UNTORN_OK) {
        free(object);
        return status;
    }
    /* After the header: whoever takes over believes in those below this number. */
    ut_store_release(&publisher->segment->super->objects, publisher->object_count);
    *out = object;
    return UNTORN_OK;
}

void ut_object_give(ut_publisher *publisher, ut_object *object) {
    publisher->free_list[publisher->free_count++] = object->index;
}

void ut_object_clear_transaction(ut_object *object) {
    object->touched = false;
    object->data_changed = false;
    object->table_built = false;
    object->evicting = false;
    ut_changes_clear(&object->changes);
    object->dropped.count = 0;
    object->nodes.count = 0;
    object->fresh.count = 0;
}

void ut_publisher_free(ut_publisher *publisher) {
    for (uint32_t i = 0; i < publisher->object_count; i++) {
        ut_object *object = publisher->objects[i];
        ut_changes_free(&object->changes);
        free(object->dropped.list);
        free(object->nodes.list);
        free(object->fresh.list);
        free(object->queue);
        free(object->retained);
        free(object);
    }
    free(publisher->objects);
    free(publisher->free_list);
    free(publisher->held.list);
    ut_alloc_destroy(publisher->alloc);
    memset(publisher, 0, sizeof *publisher);
}
