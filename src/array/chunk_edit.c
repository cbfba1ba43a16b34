// SPDX-License-Identifier: MIT
/*
 * What a transaction does to chunks: own them, reshape the grid, drop them.
 *
 * APPEND IN PLACE.  Bytes of a committed chunk beyond the largest box ever
 * published under its version are visible to nobody, and may be written where
 * they are.  As long as the array has only grown since the chunk was written, that
 * box is what the last commit's shape shows of it.  Shrinking seals the chunks
 * it cuts: from then on more was visible once than the shape tells, and the
 * chunk must be copied before it is changed anywhere.  The seal is in the cell, so
 * the next writer knows, too.
 *
 * Growing writes every newly visible byte of chunks that exist, with the fill
 * value if with nothing else: an aborted transaction may have left its bytes there.
 */
#include "array/writer.h"

#include "array/box.h"
#include "array/grid.h"
#include "base/check.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>
#include <string.h>

static unsigned char *at(untorn_writer_array *array, uint64_t offset) {
    return array->writer->segment.base + offset;
}

static untorn_status no_memory(untorn_writer_array *array) {
    return ut_writer_fail(array, UNTORN_E_NO_MEMORY, "out of memory");
}

untorn_status ut_chunk_view(untorn_writer_array *array, uint64_t number, ut_view *view) {
    ut_object *object = array->object;
    const ut_change *change = ut_changes_find(&object->changes, number);
    if (change != NULL) {
        *view = (ut_view){change->offset, change->flags, change->version};
        return UNTORN_OK;
    }
    *view = (ut_view){0, 0, 0};
    if (number >= object->keep)
        return UNTORN_OK;
    ut_place place = {object->now.root_ref, object->now.root_version};
    untorn_status status = UNTORN_OK;
    if (ut_kind_depth(object->now.kind) != 0)
        status = ut_table_get(&array->writer->publisher, object, number, &place);
    if (status == UNTORN_OK && place.ref != 0)
        *view = (ut_view){ut_ref_offset(place.ref), place.ref & UT_REF_FLAGS, place.version};
    return status;
}

/* How much of the chunk the last commit shows. */
static void published_extent(const untorn_writer_array *array, const uint64_t *index,
                             uint64_t *extent) {
    const ut_definition *definition = array->definition;
    ut_chunk_extent(definition->rank, array->object->now.shape, definition->chunks, index, extent);
}

static void index_of(const untorn_writer_array *array, const uint64_t *cells, uint64_t number,
                     uint64_t *index) {
    for (unsigned axis = array->definition->rank; axis-- > 0;) {
        index[axis] = number % cells[axis];
        number /= cells[axis];
    }
}

/* Whether the last commit has the chunk, in memory or only in the store. */
static bool replaces_committed(ut_view view) {
    return view.version != 0;
}

/* Whether the chunk is only in the store. */
static bool is_evicted(ut_view view) {
    return (view.flags & UT_REF_EVICTED) != 0;
}

/* Bring the chunk, as the last commit has it, into memory that is ours. */
static untorn_status fetch(untorn_writer_array *array, const uint64_t *index, ut_view view,
                           unsigned char *memory) {
    untorn_writer *writer = array->writer;
    if (writer->fetch == NULL)
        return ut_writer_fail(array, UNTORN_E_STATE, "a chunk is only in the store");
    ut_wanted wanted = {.definition = array->definition,
                        .data_commit = array->object->now.data_commit,
                        .place = {view.flags, view.version}};
    if (array->definition->rank > 0)
        memcpy(wanted.index, index, array->definition->rank * sizeof *index);
    published_extent(array, index, wanted.extent);
    return writer->fetch(writer, &wanted, memory);
}

/* What is kept of the chunk, into its new place. */
static untorn_status keep_content(untorn_writer_array *array, const uint64_t *index, ut_view view,
                                  unsigned char *memory) {
    if (is_evicted(view))
        return fetch(array, index, view, memory);
    const ut_definition *definition = array->definition;
    uint64_t extent[UNTORN_MAX_RANK];
    int64_t strides[UNTORN_MAX_RANK];
    ut_chunk_extent(definition->rank, array->shape, definition->chunks, index, extent);
    ut_c_strides(definition->rank, definition->dtype.itemsize, definition->chunks, strides);
    if (view.offset != 0)
        ut_box_copy(definition->rank, definition->dtype.itemsize, extent, memory, strides,
                    at(array, view.offset), strides);
    else
        ut_box_fill(definition->rank, definition->dtype.itemsize, extent, memory, strides,
                    definition->fill_is_zero ? NULL : definition->fill);
    return UNTORN_OK;
}

untorn_status ut_chunk_own_viewed(untorn_writer_array *array, uint64_t number,
                                  const uint64_t *index, ut_view *view, bool keep,
                                  unsigned char **memory) {
    if (view->offset != 0 && view->version == 0) {
        *memory = at(array, view->offset);
        return UNTORN_OK;
    }
    ut_publisher *publisher = &array->writer->publisher;
    uint64_t commit = publisher->commit;
    ut_object *object = array->object;
    const ut_definition *definition = array->definition;
    untorn_status status = ut_items_reserve(&object->dropped, 1);
    if (status != UNTORN_OK)
        return status;
    uint64_t offset;
    status = ut_space_take(publisher, object, definition->slot_bytes, &offset);
    if (status != UNTORN_OK)
        return status;
    *memory = at(array, offset);
    if (publisher->commit != commit) /* what was evicted to make room may be this very chunk */
        status = ut_chunk_view(array, number, view);
    if (status == UNTORN_OK && keep)
        status = keep_content(array, index, *view, *memory);
    ut_change *change = NULL;
    if (status == UNTORN_OK && (change = ut_changes_put(&object->changes, number)) == NULL)
        status = no_memory(array);
    if (status != UNTORN_OK) {
        ut_space_give(publisher, offset, definition->slot_bytes);
        return status;
    }
    if (replaces_committed(*view) && view->offset != 0)
        object->dropped.list[object->dropped.count++] = (ut_item){
            .offset = view->offset, .bytes = definition->slot_bytes, .born = view->version};
    change->offset = offset;
    change->flags = 0;
    change->version = 0;
    object->data_changed = true;
    return UNTORN_OK;
}

/* --- all present chunks --- */

typedef struct present {
    uint64_t number;
    ut_view view;
} present;

typedef struct presents {
    const ut_object *object;
    present *list;
    size_t count, capacity;
} presents;

static untorn_status add_present(presents *all, uint64_t number, ut_view view) {
    if (all->count == all->capacity) {
        size_t capacity = all->capacity != 0 ? all->capacity * 2 : 64;
        present *list = realloc(all->list, capacity * sizeof *list);
        if (list == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %zu chunks", capacity);
        all->list = list;
        all->capacity = capacity;
    }
    all->list[all->count++] = (present){number, view};
    return UNTORN_OK;
}

static untorn_status visit_committed(void *context, uint64_t number, ut_place place) {
    presents *all = context;
    if (ut_changes_find(&all->object->changes, number) != NULL)
        return UNTORN_OK;
    return add_present(
        all, number, (ut_view){ut_ref_offset(place.ref), place.ref & UT_REF_FLAGS, place.version});
}

/* The present chunks with first <= number < end. */
static untorn_status find_present(untorn_writer_array *array, uint64_t first, uint64_t end,
                                  presents *all) {
    ut_object *object = array->object;
    *all = (presents){.object = object};
    uint64_t last = object->keep < end ? object->keep : end;
    untorn_status status =
        ut_table_walk(&array->writer->publisher, object, first, last, visit_committed, all);
    for (size_t i = 0; i < object->changes.count && status == UNTORN_OK; i++) {
        const ut_change *change = &object->changes.list[i];
        bool there = change->offset != 0 || (change->flags & UT_REF_EVICTED);
        if (there && first <= change->number && change->number < end)
            status = add_present(all, change->number,
                                 (ut_view){change->offset, change->flags, change->version});
    }
    if (status != UNTORN_OK) {
        free(all->list);
        all->list = NULL;
    }
    return status;
}

/* The chunk is no more: supersede its slot at the commit, or give it back now. */
static untorn_status drop_chunk(untorn_writer_array *array, ut_view view) {
    if (is_evicted(view))
        return UNTORN_OK;
    ut_item item = {
        .offset = view.offset, .bytes = array->definition->slot_bytes, .born = view.version};
    if (replaces_committed(view))
        return ut_items_push(&array->object->dropped, item);
    ut_space_give(&array->writer->publisher, item.offset, item.bytes);
    return UNTORN_OK;
}

static untorn_status set_change(untorn_writer_array *array, uint64_t number, ut_view view) {
    ut_change *change = ut_changes_put(&array->object->changes, number);
    if (change == NULL)
        return no_memory(array);
    change->offset = view.offset;
    change->flags = view.flags;
    change->version = view.version;
    return UNTORN_OK;
}

/* --- shrinking --- */

/* Whether `shape` hides something of the chunk that the last commit shows. */
static bool cuts_published(const untorn_writer_array *array, const uint64_t *index,
                           const uint64_t *shape) {
    const ut_definition *definition = array->definition;
    uint64_t published[UNTORN_MAX_RANK], extent[UNTORN_MAX_RANK];
    published_extent(array, index, published);
    ut_chunk_extent(definition->rank, shape, definition->chunks, index, extent);
    bool cut = false;
    for (unsigned axis = 0; axis < definition->rank; axis++) {
        if (published[axis] == 0)
            return false; /* nothing of it was visible */
        cut = cut || extent[axis] < published[axis];
    }
    return cut;
}

static untorn_status seal_if_cut(untorn_writer_array *array, const present *chunk,
                                 const uint64_t *index, const uint64_t *shape) {
    if (!replaces_committed(chunk->view) || (chunk->view.flags & UT_REF_SEALED) ||
        !cuts_published(array, index, shape) || UT_SEEDED(113))
        return UNTORN_OK;
    ut_view sealed = chunk->view;
    sealed.flags |= UT_REF_SEALED;
    return set_change(array, chunk->number, sealed);
}

static uint64_t trailing_cells(unsigned rank, const uint64_t *cells) {
    return rank == 0 ? 1 : ut_product(rank - 1, cells + 1);
}

/* Forget the changes at and above `end`; their slots are given back or dropped already. */
static void forget_changes_from(ut_changes *changes, uint64_t end) {
    size_t kept = 0;
    for (size_t i = 0; i < changes->count; i++)
        if (changes->list[i].number < end)
            changes->list[kept++] = changes->list[i];
    if (kept == changes->count)
        return;
    changes->count = kept;
    free(changes->index);
    changes->index = NULL;
    changes->index_size = 0;
}

/* The first axis becomes shorter, nothing else changes. */
static untorn_status shrink_first_axis(untorn_writer_array *array, const uint64_t *shape,
                                       const uint64_t *cells) {
    const ut_definition *definition = array->definition;
    uint64_t trailing = trailing_cells(definition->rank, cells);
    uint64_t end = cells[0] * trailing;
    untorn_status status = UNTORN_OK;
    /* First what may fail: a seal too many does no harm. */
    if (shape[0] % definition->chunks[0] != 0) {
        presents edge;
        status = find_present(array, end - trailing, end, &edge);
        for (size_t i = 0; i < edge.count && status == UNTORN_OK; i++) {
            uint64_t index[UNTORN_MAX_RANK];
            index_of(array, cells, edge.list[i].number, index);
            status = seal_if_cut(array, &edge.list[i], index, shape);
        }
        free(edge.list);
        if (status != UNTORN_OK)
            return status;
    }
    presents gone;
    status = find_present(array, end, UINT64_MAX, &gone);
    if (status != UNTORN_OK)
        return status;
    status = ut_items_reserve(&array->object->dropped, gone.count);
    for (size_t i = 0; i < gone.count && status == UNTORN_OK; i++)
        status = drop_chunk(array, gone.list[i].view);
    free(gone.list);
    if (status != UNTORN_OK)
        return status;
    forget_changes_from(&array->object->changes, end);
    if (end < array->object->keep)
        array->object->keep = end;
    return UNTORN_OK;
}

/* Any change of the grid: every present chunk becomes a change under its new number.  On failure
 * all is as before. */
static untorn_status renumber(untorn_writer_array *array, const uint64_t *shape,
                              const uint64_t *cells) {
    const ut_definition *definition = array->definition;
    ut_object *object = array->object;
    presents all;
    untorn_status status = find_present(array, 0, UINT64_MAX, &all);
    if (status != UNTORN_OK)
        return status;
    ut_changes before = object->changes;
    uint64_t keep = object->keep;
    status = ut_items_reserve(&object->dropped, all.count);
    if (status != UNTORN_OK)
        goto free_list;
    memset(&object->changes, 0, sizeof object->changes);
    object->keep = 0;
    size_t gone = 0; /* gathered at the list's begin */
    for (size_t i = 0; i < all.count && status == UNTORN_OK; i++) {
        uint64_t index[UNTORN_MAX_RANK];
        index_of(array, array->cells, all.list[i].number, index);
        bool inside = true;
        for (unsigned axis = 0; axis < definition->rank; axis++)
            inside = inside && index[axis] < cells[axis];
        if (!inside) {
            all.list[gone++] = all.list[i];
            continue;
        }
        all.list[i].number = ut_grid_linear(definition->rank, cells, index);
        status = set_change(array, all.list[i].number, all.list[i].view);
        if (status == UNTORN_OK)
            status = seal_if_cut(array, &all.list[i], index, shape);
    }
    ut_changes_free(status == UNTORN_OK ? &before : &object->changes);
    if (status != UNTORN_OK) {
        object->changes = before;
        object->keep = keep;
        goto free_list;
    }
    for (size_t i = 0; i < gone && status == UNTORN_OK; i++) /* there is room in the list */
        status = drop_chunk(array, all.list[i].view);
free_list:
    free(all.list);
    return status;
}

static untorn_status shrink(untorn_writer_array *array, const uint64_t *shape) {
    const ut_definition *definition = array->definition;
    uint64_t cells[UNTORN_MAX_RANK];
    ut_check(definition->rank > 0); /* without axes there is nothing to cut */
    ut_grid_cells(definition->rank, shape, definition->chunks, cells);
    bool others = false;
    for (unsigned axis = 1; axis < definition->rank; axis++)
        others = others || shape[axis] < array->shape[axis];
    untorn_status status =
        others ? renumber(array, shape, cells) : shrink_first_axis(array, shape, cells);
    if (status != UNTORN_OK)
        return status;
    memcpy(array->shape, shape, definition->rank * sizeof *shape);
    memcpy(array->cells, cells, definition->rank * sizeof *cells);
    return UNTORN_OK;
}

/* --- growing --- */

/* Write the fill value to what `shape` shows of the chunk and array->shape does not. */
static untorn_status fill_growth(untorn_writer_array *array, const present *chunk,
                                 const uint64_t *index, const uint64_t *shape) {
    const ut_definition *definition = array->definition;
    unsigned rank = definition->rank;
    uint64_t old[UNTORN_MAX_RANK], new[UNTORN_MAX_RANK];
    ut_chunk_extent(rank, array->shape, definition->chunks, index, old);
    ut_chunk_extent(rank, shape, definition->chunks, index, new);
    if (memcmp(old, new, rank * sizeof *old) == 0 || UT_SEEDED(114))
        return UNTORN_OK;
    ut_view view; /* as it is now: an earlier one's growth may have evicted this */
    untorn_status status = ut_chunk_view(array, chunk->number, &view);
    if (status != UNTORN_OK)
        return status;
    unsigned char *memory = at(array, view.offset);
    if (view.version != 0 && (view.flags & (UT_REF_SEALED | UT_REF_EVICTED))) {
        status = ut_chunk_own(array, chunk->number, index, true, &memory);
        if (status != UNTORN_OK)
            return status;
    }
    int64_t strides[UNTORN_MAX_RANK];
    ut_c_strides(rank, definition->dtype.itemsize, definition->chunks, strides);
    /* new without old, cut into boxes that do not overlap: in the one of axis a, the axes
     * before it are within old. */
    for (unsigned a = 0; a < rank; a++) {
        uint64_t count[UNTORN_MAX_RANK];
        for (unsigned axis = 0; axis < rank; axis++)
            count[axis] = axis < a ? old[axis] : new[axis];
        count[a] = new[a] - old[a];
        ut_box_fill(rank, definition->dtype.itemsize, count, memory + (int64_t)old[a] * strides[a],
                    strides, definition->fill_is_zero ? NULL : definition->fill);
    }
    return UNTORN_OK;
}

static untorn_status grow(untorn_writer_array *array, const uint64_t *shape, bool fill) {
    const ut_definition *definition = array->definition;
    unsigned rank = definition->rank;
    uint64_t cells[UNTORN_MAX_RANK];
    ut_grid_cells(rank, shape, definition->chunks, cells);
    bool others = false, same_grid = true;
    for (unsigned axis = 1; axis < rank; axis++) {
        others = others || shape[axis] > array->shape[axis];
        same_grid = same_grid && cells[axis] == array->cells[axis];
    }
    untorn_status status = UNTORN_OK;
    if (fill && rank > 0) {
        /* Only chunks at an old edge can show more. */
        uint64_t trailing = trailing_cells(rank, array->cells);
        uint64_t end = array->cells[0] * trailing;
        uint64_t first = others                                         ? 0
                         : array->shape[0] % definition->chunks[0] != 0 ? end - trailing
                                                                        : end;
        presents edge = {.list = NULL};
        if (first < end)
            status = find_present(array, first, end, &edge);
        for (size_t i = 0; i < edge.count && status == UNTORN_OK; i++) {
            uint64_t index[UNTORN_MAX_RANK];
            index_of(array, array->cells, edge.list[i].number, index);
            status = fill_growth(array, &edge.list[i], index, shape);
        }
        free(edge.list);
    }
    if (status == UNTORN_OK && !same_grid)
        status = renumber(array, shape, cells);
    if (status != UNTORN_OK)
        return status;
    memcpy(array->shape, shape, rank * sizeof *shape);
    memcpy(array->cells, cells, rank * sizeof *cells);
    return UNTORN_OK;
}

/* `less` cuts some axes, then `shape` grows others: own the chunks for which growing after cutting
 * would need a slot, so that a lack of space is met while the shape still is what it was. */
static untorn_status own_cut_and_grown(untorn_writer_array *array, const uint64_t *less,
                                       const uint64_t *shape) {
    const ut_definition *definition = array->definition;
    unsigned rank = definition->rank;
    uint64_t cells[UNTORN_MAX_RANK];
    ut_grid_cells(rank, less, definition->chunks, cells);
    presents all;
    untorn_status status = find_present(array, 0, UINT64_MAX, &all);
    for (size_t i = 0; i < all.count && status == UNTORN_OK; i++) {
        uint64_t index[UNTORN_MAX_RANK], cut[UNTORN_MAX_RANK], grown[UNTORN_MAX_RANK];
        index_of(array, array->cells, all.list[i].number, index);
        bool inside = true;
        for (unsigned axis = 0; axis < rank; axis++)
            inside = inside && index[axis] < cells[axis];
        if (!inside || !replaces_committed(all.list[i].view))
            continue;
        ut_chunk_extent(rank, less, definition->chunks, index, cut);
        ut_chunk_extent(rank, shape, definition->chunks, index, grown);
        unsigned char *memory;
        if (memcmp(cut, grown, rank * sizeof *cut) != 0 &&
            ((all.list[i].view.flags & (UT_REF_SEALED | UT_REF_EVICTED)) ||
             cuts_published(array, index, less)))
            status = ut_chunk_own(array, all.list[i].number, index, true, &memory);
    }
    free(all.list);
    return status;
}

untorn_status ut_chunks_reshape(untorn_writer_array *array, const uint64_t *shape, bool fill) {
    unsigned rank = array->definition->rank;
    uint64_t less[UNTORN_MAX_RANK];
    bool shrinks = false, grows = false;
    for (unsigned axis = 0; axis < rank; axis++) {
        less[axis] = shape[axis] < array->shape[axis] ? shape[axis] : array->shape[axis];
        shrinks = shrinks || shape[axis] < array->shape[axis];
        grows = grows || shape[axis] > array->shape[axis];
    }
    if (!shrinks && !grows)
        return UNTORN_OK;
    array->object->data_changed = true;
    /* Growth is filled in place, while the shape does not show it yet. */
    array->object->busy = true;
    untorn_status status = UNTORN_OK;
    if (shrinks && grows && fill)
        status = own_cut_and_grown(array, less, shape);
    if (status == UNTORN_OK && shrinks)
        status = shrink(array, less);
    if (status == UNTORN_OK && grows)
        status = grow(array, shape, fill);
    array->object->busy = false;
    return status;
}

untorn_status ut_chunks_drop_all(untorn_writer_array *array) {
    presents all;
    untorn_status status = find_present(array, 0, UINT64_MAX, &all);
    if (status != UNTORN_OK)
        return status;
    status = ut_items_reserve(&array->object->dropped, all.count + 1);
    for (size_t i = 0; i < all.count && status == UNTORN_OK; i++)
        status = drop_chunk(array, all.list[i].view);
    free(all.list);
    if (status == UNTORN_OK) {
        ut_changes_clear(&array->object->changes);
        array->object->keep = 0;
    }
    return status;
}

void ut_chunks_forget(untorn_writer_array *array) {
    ut_object *object = array->object;
    for (size_t i = 0; i < object->changes.count; i++) {
        const ut_change *change = &object->changes.list[i];
        if (change->offset != 0 && change->version == 0)
            ut_space_give(&array->writer->publisher, change->offset, array->definition->slot_bytes);
    }
}

void ut_array_restore_shape(untorn_writer_array *array) {
    const ut_definition *definition = array->definition;
    memcpy(array->shape, array->object->now.shape, definition->rank * sizeof *array->shape);
    if (definition->kind == UT_KIND_ARRAY)
        ut_grid_cells(definition->rank, array->shape, definition->chunks, array->cells);
}
