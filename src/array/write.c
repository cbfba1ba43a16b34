// SPDX-License-Identifier: MIT
/*
 * Changing arrays: write a region, append, resize, set attributes, and fill
 * chunks directly.
 */
#include "array/writer.h"

#include "array/box.h"
#include "array/grid.h"
#include "array/json.h"
#include "array/run.h"
#include "base/fork_guard.h"
#include "base/hash.h"
#include "base/racy_copy.h"
#include "base/single_threaded.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static untorn_status unusable(const untorn_writer_array *array) {
    if (array == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "no array");
    return ut_writer_usable(array->writer);
}

/* As ut_writer_usable(), whose call is spared nearly always. */
static inline untorn_status usable(const untorn_writer_array *array) {
    return __builtin_expect(
               array != NULL && array->writer->fork_generation == ut_fork_generation_now(), 1)
               ? UNTORN_OK
               : unusable(array);
}

/* --- regions --- */

static untorn_status check_region(const untorn_writer_array *array, const uint64_t *start,
                                  const uint64_t *count, uint64_t *from, uint64_t *n) {
    unsigned rank = array->definition->rank;
    unsigned axis = ut_region_fit(rank, array->shape, start, count, from, n);
    if (axis == rank)
        return UNTORN_OK;
    char text[128];
    untorn_status status = ut_region_describe(text, sizeof text, axis, array->shape, from, n);
    return ut_writer_fail(array, status, "%s", text);
}

/* Whether the tile covers all that the array's shape shows of the chunk. */
static bool covers_visible(const untorn_writer_array *array, const ut_tile *tile) {
    const ut_definition *definition = array->definition;
    for (unsigned axis = 0; axis < definition->rank; axis++) {
        uint64_t chunk = definition->chunks[axis];
        uint64_t left = array->shape[axis] - tile->index[axis] * chunk;
        if (tile->in_chunk[axis] != 0 || tile->count[axis] != (left < chunk ? left : chunk))
            return false;
    }
    return true;
}

/* Whether nothing that was ever published of the committed chunk lies in the tile. */
static bool beyond_published(const untorn_writer_array *array, const ut_view *view,
                             const ut_tile *tile) {
    if (view->flags & UT_REF_SEALED)
        return false;
    const ut_definition *definition = array->definition;
    const uint64_t *published = array->object->now.shape;
    for (unsigned axis = 0; axis < definition->rank; axis++)
        if (tile->index[axis] * definition->chunks[axis] + tile->in_chunk[axis] >= published[axis])
            return true;
    return false;
}

/* The chunk's memory, in which the tile may be written. */
static untorn_status tile_memory(untorn_writer_array *array, const ut_tile *tile,
                                 unsigned char **memory) {
    ut_view view;
    untorn_status status = ut_chunk_view(array, tile->cell, &view);
    if (status != UNTORN_OK)
        return status;
    if (view.offset != 0 && view.version == 0) {
        *memory = array->writer->segment.base + view.offset;
    } else if (view.offset != 0 && beyond_published(array, &view, tile)) {
        *memory = array->writer->segment.base + view.offset;
        array->object->data_changed = true;
    } else {
        status = ut_chunk_own_viewed(array, tile->cell, tile->index, &view,
                                     !covers_visible(array, tile), memory);
    }
    return status;
}

/* One axis, and a source without gaps. */
static untorn_status write_run(untorn_writer_array *array, uint64_t start, uint64_t count,
                               const unsigned char *source) {
    size_t itemsize = array->definition->dtype.itemsize;
    ut_run run;
    ut_tile tile;
    ut_run_begin(&run, array->definition->chunks[0], start, count);
    while (ut_run_next(&run, &tile)) {
        unsigned char *memory;
        untorn_status status = tile_memory(array, &tile, &memory);
        if (status != UNTORN_OK)
            return status;
        ut_racy_copy(memory + tile.in_chunk[0] * itemsize, source + tile.in_region[0] * itemsize,
                     tile.count[0] * itemsize);
    }
    return UNTORN_OK;
}

/* Tile by tile, the most of which are of one size. */
static untorn_status write_tiles(untorn_writer_array *array, const uint64_t *start,
                                 const uint64_t *count, const int64_t *strides,
                                 const unsigned char *source) {
    const ut_definition *definition = array->definition;
    unsigned rank = definition->rank;
    size_t itemsize = definition->dtype.itemsize;
    int64_t chunk_strides[UNTORN_MAX_RANK];
    ut_tiles tiles;
    ut_tile tile;
    ut_box box;
    ut_c_strides(rank, itemsize, definition->chunks, chunk_strides);
    ut_tiles_begin(&tiles, rank, array->cells, definition->chunks, start, count);
    ut_tiles_strides(&tiles, chunk_strides, strides);
    while (ut_tiles_next(&tiles, &tile)) {
        unsigned char *memory;
        untorn_status status = tile_memory(array, &tile, &memory);
        if (status != UNTORN_OK)
            return status;
        if (tile.resized)
            ut_box_prepare(&box, rank, itemsize, tile.count, chunk_strides, strides);
        ut_box_copy_prepared(&box, memory + tile.chunk_at, source + tile.region_at);
    }
    return UNTORN_OK;
}

static untorn_status write_region(untorn_writer_array *array, const uint64_t *start,
                                  const uint64_t *count, const int64_t *strides,
                                  const void *source) {
    unsigned rank = array->definition->rank;
    size_t itemsize = array->definition->dtype.itemsize;
    int64_t own[UNTORN_MAX_RANK];
    array->writer->written += ut_product(rank, count) * itemsize;
    if (rank == 1 && strides == NULL)
        return write_run(array, start[0], count[0], source);
    if (strides == NULL) {
        ut_c_strides(rank, itemsize, count, own);
        strides = own;
    }
    return write_tiles(array, start, count, strides, source);
}

/* Whether the array is exactly one chunk. */
static bool is_one_chunk(const untorn_writer_array *array) {
    const ut_definition *definition = array->definition;
    for (unsigned axis = 0; axis < definition->rank; axis++)
        if (array->shape[axis] != definition->chunks[axis])
            return false;
    return true;
}

static untorn_status write_one_chunk(untorn_writer_array *array, const void *source) {
    static const uint64_t index[UNTORN_MAX_RANK];
    unsigned char *memory;
    ut_writer_touch(array);
    array->writer->written += array->definition->slot_bytes;
    untorn_status status = ut_chunk_own(array, 0, index, false, &memory);
    if (status == UNTORN_OK)
        ut_racy_copy(memory, source, array->definition->slot_bytes);
    return status;
}

untorn_status untorn_write(untorn_writer_array *array, const uint64_t *start, const uint64_t *count,
                           const int64_t *strides, const void *source) {
    untorn_status status = usable(array);
    if (status != UNTORN_OK)
        return status;
    if (start == NULL && count == NULL && strides == NULL && source != NULL && is_one_chunk(array))
        return write_one_chunk(array, source);
    uint64_t from[UNTORN_MAX_RANK], n[UNTORN_MAX_RANK];
    status = check_region(array, start, count, from, n);
    if (status != UNTORN_OK)
        return status;
    if (source == NULL && ut_product(array->definition->rank, n) != 0)
        return ut_writer_fail(array, UNTORN_E_ARGUMENT, "write: no source");
    ut_writer_touch(array);
    return write_region(array, from, n, strides, source);
}

/* --- shape --- */

static untorn_status check_shape(const untorn_writer_array *array, const uint64_t *shape) {
    const ut_definition *definition = array->definition;
    if (ut_grid_valid(definition->rank, shape, definition->chunks, definition->dtype.itemsize))
        return UNTORN_OK;
    return ut_writer_fail(array, UNTORN_E_SHAPE, "the new shape is too large");
}

static untorn_status check_not_filling(const untorn_writer_array *array) {
    for (size_t i = 0; i < array->writer->filling_count; i++)
        if (array->writer->filling[i].array == array)
            return ut_writer_fail(array, UNTORN_E_STATE, "a chunk is still being filled");
    return UNTORN_OK;
}

/*
 * Append rows behind those of the last chunk, in place: what a growing series does nearly every
 * time.  It applies if the chunks lie in one column, so that rows have no gaps, if the last one has
 * room for all of the new rows, and if bytes beyond those shown may be written there: the chunk is
 * this transaction's own, or nothing that was ever published lies behind its rows.  Then no chunk
 * is taken, the grid stays, and there is nothing to fill and nothing that could fail.
 */
static bool append_in_place(untorn_writer_array *array, uint64_t count, const void *source) {
    const ut_definition *definition = array->definition;
    uint64_t row = definition->dtype.itemsize, length = array->shape[0];
    for (unsigned axis = 1; axis < definition->rank; axis++) {
        if (array->shape[axis] != definition->chunks[axis])
            return false;
        row *= definition->chunks[axis];
    }
    uint64_t chunk = definition->chunks[0], last = array->cells[0] - 1;
    uint64_t rows = length - last * chunk; /* that the last chunk shows */
    if (length == 0 || count > chunk - rows || array->writer->filling_count != 0)
        return false;
    ut_writer_touch(array);
    ut_view view;
    if (ut_chunk_view(array, last, &view) != UNTORN_OK || view.offset == 0)
        return false;
    /* Beyond what is published, and not sealed: else more of the chunk was visible once. */
    if (view.version != 0 && ((view.flags & UT_REF_SEALED) || length < array->object->now.shape[0]))
        return false;
    ut_racy_copy(array->writer->segment.base + view.offset + rows * row, source, count * row);
    array->shape[0] = length + count;
    array->object->data_changed = true;
    array->writer->written += count * row;
    return true;
}

untorn_status untorn_append(untorn_writer_array *array, unsigned axis, uint64_t count,
                            const int64_t *strides, const void *source) {
    untorn_status status = usable(array);
    if (status != UNTORN_OK)
        return status;
    if (axis == 0 && array->definition->rank != 0 && strides == NULL && source != NULL &&
        count != 0 && append_in_place(array, count, source))
        return UNTORN_OK;
    unsigned rank = array->definition->rank;
    if (axis >= rank)
        return ut_writer_fail(array, UNTORN_E_ARGUMENT, "append: no axis %u among %u", axis, rank);
    if (count == 0)
        return UNTORN_OK;
    uint64_t before[UNTORN_MAX_RANK], after[UNTORN_MAX_RANK];
    uint64_t start[UNTORN_MAX_RANK], extent[UNTORN_MAX_RANK];
    for (unsigned i = 0; i < rank; i++) {
        before[i] = after[i] = extent[i] = array->shape[i];
        start[i] = 0;
    }
    start[axis] = before[axis];
    extent[axis] = count;
    if (count > UINT64_MAX - before[axis])
        return ut_writer_fail(array, UNTORN_E_SHAPE, "append: the length of axis %u overflows",
                              axis);
    after[axis] += count;
    status = check_shape(array, after);
    if (status == UNTORN_OK)
        status = check_not_filling(array);
    if (status != UNTORN_OK)
        return status;
    if (source == NULL && ut_product(rank, extent) != 0)
        return ut_writer_fail(array, UNTORN_E_ARGUMENT, "append: no source");
    ut_writer_touch(array);
    /* What becomes visible is exactly what is written next: no need to fill it first. */
    status = ut_chunks_reshape(array, after, false);
    if (status == UNTORN_OK)
        status = write_region(array, start, extent, strides, source);
    if (status != UNTORN_OK) {
        char message[512];
        snprintf(message, sizeof message, "%s", untorn_message());
        ut_chunks_reshape(array, before, false);
        return ut_fail(status, "%s", message);
    }
    return UNTORN_OK;
}

untorn_status untorn_resize(untorn_writer_array *array, const uint64_t *shape) {
    untorn_status status = usable(array);
    if (status != UNTORN_OK)
        return status;
    if (shape == NULL && array->definition->rank > 0)
        return ut_writer_fail(array, UNTORN_E_ARGUMENT, "resize: no shape");
    status = check_shape(array, shape);
    if (status == UNTORN_OK)
        status = check_not_filling(array);
    if (status != UNTORN_OK)
        return status;
    ut_writer_touch(array);
    return ut_chunks_reshape(array, shape, true);
}

untorn_status untorn_writer_array_shape(const untorn_writer_array *array, unsigned *rank,
                                        uint64_t *shape) {
    untorn_status status = usable(array);
    if (status != UNTORN_OK)
        return status;
    if (rank != NULL)
        *rank = array->definition->rank;
    if (shape != NULL)
        memcpy(shape, array->shape, array->definition->rank * sizeof *shape);
    return UNTORN_OK;
}

/* --- attributes --- */

untorn_status untorn_set_attributes(untorn_writer_array *array, const char *json) {
    untorn_status status = usable(array);
    if (status != UNTORN_OK)
        return status;
    if (json != NULL && (status = ut_json_check_object(json)) != UNTORN_OK) {
        char reason[256];
        snprintf(reason, sizeof reason, "%s", untorn_message());
        return ut_writer_fail(array, status, "%s", reason);
    }
    ut_writer_touch(array);
    ut_object *object = array->object;
    ut_publisher *publisher = &array->writer->publisher;
    uint64_t offset = 0, bytes = 0;
    if (json != NULL) {
        ut_text head = {.length = strlen(json)};
        head.check = ut_hash(json, head.length);
        bytes = sizeof head + head.length;
        status = ut_space_take(publisher, object, bytes, &offset);
        if (status != UNTORN_OK)
            return status;
        ut_racy_copy(array->writer->segment.base + offset, &head, sizeof head);
        ut_racy_copy(array->writer->segment.base + offset + sizeof head, json, head.length);
    }
    if (!array->attributes_changed && object->now.attributes_ref != 0 &&
        !ut_object_is_free(object)) {
        uint64_t old = ut_ref_offset(object->now.attributes_ref);
        ut_item item = {.offset = old,
                        .bytes = ut_slot_bytes(&array->writer->segment, 0, old),
                        .born = object->now.attributes_version};
        status = ut_items_push(&object->dropped, item);
        if (status != UNTORN_OK) {
            if (offset != 0)
                ut_space_give(publisher, offset, bytes);
            return status;
        }
    }
    if (array->attributes != 0)
        ut_space_give(publisher, array->attributes, array->attributes_bytes);
    array->attributes = offset;
    array->attributes_bytes = bytes;
    array->attributes_changed = true;
    return UNTORN_OK;
}

/* --- filling chunks directly --- */

static untorn_status number_of_any(const untorn_writer_array *array, const uint64_t *index,
                                   uint64_t *number) {
    unsigned rank = array->definition->rank;
    if (index == NULL && rank > 0)
        return ut_writer_fail(array, UNTORN_E_ARGUMENT, "no chunk index");
    for (unsigned axis = 0; axis < rank; axis++)
        if (index[axis] >= array->cells[axis])
            return ut_writer_fail(array, UNTORN_E_REGION,
                                  "chunk %" PRIu64 " exceeds the %" PRIu64 " chunks on axis %u",
                                  index[axis], array->cells[axis], axis);
    *number = ut_grid_linear(rank, array->cells, index);
    return UNTORN_OK;
}

static inline untorn_status chunk_number(const untorn_writer_array *array, const uint64_t *index,
                                         uint64_t *number) {
    if (array->definition->rank != 1 || index == NULL || index[0] >= array->cells[0])
        return number_of_any(array, index, number);
    *number = index[0];
    return UNTORN_OK;
}

static struct ut_filling *find_filling(untorn_writer *writer, const untorn_writer_array *array,
                                       uint64_t number) {
    for (size_t i = 0; i < writer->filling_count; i++)
        if (writer->filling[i].array == array && writer->filling[i].number == number)
            return &writer->filling[i];
    return NULL;
}

static untorn_status grow_filling(untorn_writer_array *array) {
    untorn_writer *writer = array->writer;
    size_t capacity = writer->filling_capacity != 0 ? writer->filling_capacity * 2 : 16;
    struct ut_filling *list = realloc(writer->filling, capacity * sizeof *list);
    if (list == NULL)
        return ut_writer_fail(array, UNTORN_E_NO_MEMORY, "out of memory");
    writer->filling = list;
    writer->filling_capacity = capacity;
    return UNTORN_OK;
}

static untorn_status begin_filling(untorn_writer_array *array, uint64_t number,
                                   const uint64_t *index, bool keep, void **memory) {
    untorn_writer *writer = array->writer;
    if (find_filling(writer, array, number) != NULL)
        return ut_writer_fail(array, UNTORN_E_STATE, "chunk %" PRIu64 " is already being filled",
                              number);
    if (writer->filling_count == writer->filling_capacity) {
        untorn_status grown = grow_filling(array);
        if (grown != UNTORN_OK)
            return grown;
    }
    ut_writer_touch(array);
    unsigned char *slot;
    untorn_status status = ut_chunk_own(array, number, index, keep, &slot);
    if (status != UNTORN_OK)
        return status;
    writer->filling[writer->filling_count++] = (struct ut_filling){array, number};
    writer->written += array->definition->slot_bytes;
    *memory = slot;
    return UNTORN_OK;
}

untorn_status untorn_chunk_begin(untorn_writer_array *array, const uint64_t *index, unsigned flags,
                                 void **memory) {
    untorn_status status = usable(array);
    if (status != UNTORN_OK)
        return status;
    if (memory == NULL || (flags & ~UNTORN_CHUNK_KEEP) != 0)
        return ut_writer_fail(array, UNTORN_E_ARGUMENT, "chunk_begin: bad flags or no memory");
    uint64_t number;
    status = chunk_number(array, index, &number);
    if (status != UNTORN_OK)
        return status;
    bool alone = ut_single_threaded();
    if (!alone)
        pthread_mutex_lock(&array->writer->filling_lock);
    status = begin_filling(array, number, index, (flags & UNTORN_CHUNK_KEEP) != 0, memory);
    if (!alone)
        pthread_mutex_unlock(&array->writer->filling_lock);
    /* The window may have been raised for this slot by another thread: its raise is before our
     * first byte for every reader, through the lock and this.  Streaming stores cannot pass it
     * either: whoever raised has a store fence behind that, so it was out before. */
    ut_fence_release();
    return status;
}

untorn_status untorn_chunk_done(untorn_writer_array *array, const uint64_t *index) {
    untorn_status status = usable(array);
    uint64_t number = 0;
    if (status == UNTORN_OK)
        status = chunk_number(array, index, &number);
    if (status != UNTORN_OK)
        return status;
    /* Whatever streaming stores this thread made are out before the commit can be, which is made
     * by any thread.  If there is no other, it is made by this one, behind a store fence. */
    bool alone = ut_single_threaded();
    if (!alone)
        ut_store_fence();
    untorn_writer *writer = array->writer;
    if (!alone)
        pthread_mutex_lock(&writer->filling_lock);
    struct ut_filling *filling = find_filling(writer, array, number);
    /* Mostly it is the last; and a copy in one piece of what was just stored in two has to wait. */
    if (filling != NULL && filling != &writer->filling[--writer->filling_count])
        *filling = writer->filling[writer->filling_count];
    if (!alone)
        pthread_mutex_unlock(&writer->filling_lock);
    if (filling == NULL)
        return ut_writer_fail(array, UNTORN_E_STATE, "chunk %" PRIu64 " is not being filled",
                              number);
    return UNTORN_OK;
}
