// SPDX-License-Identifier: MIT
/*
 * Copying a region of one generation out of the segment.
 *
 * Each tile: look up the chunk's cell, copy, and check; the one check after
 * the copy covers the cell, the nodes on the way to it, and the bytes.  A tile
 * that passed is that version of the chunk for ever: when a later one fails and
 * the read goes on with a newer generation, tiles whose version is still wanted
 * are kept, and of a chunk that only grew along the first axis, the growth is
 * copied.  A copy that did not pass its own check is never kept, whatever its
 * version: the slot may have been reused while the version lived.
 */
#include "array/reader.h"

#include "array/box.h"
#include "array/grid.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <string.h>

ut_found ut_array_check(untorn_array *array, const ut_descriptor *descriptor) {
    if (array->checked == descriptor->stamp)
        return UT_FOUND;
    const ut_definition *definition = array->definition;
    if (descriptor->uid != definition->uid || (descriptor->kind & UT_KIND_DELETED))
        return UT_NOT_FOUND;
    if ((descriptor->kind & UT_KIND_MASK) != definition->kind ||
        ut_kind_rank(descriptor->kind) != definition->rank)
        return UT_DAMAGED;
    if (definition->kind == UT_KIND_ARRAY &&
        (descriptor->slot_bytes != definition->slot_bytes ||
         !ut_grid_valid(definition->rank, descriptor->shape, definition->chunks,
                        definition->dtype.itemsize) ||
         ut_grid_cells(definition->rank, descriptor->shape, definition->chunks, array->cells) !=
             descriptor->cells))
        return UT_DAMAGED;
    array->checked = descriptor->stamp;
    return UT_FOUND;
}

untorn_status ut_region_bounds(const untorn_array *array, const uint64_t *shape,
                               const uint64_t *start, const uint64_t *count, uint64_t *from,
                               uint64_t *n) {
    unsigned rank = array->definition->rank;
    unsigned axis = ut_region_fit(rank, shape, start, count, from, n);
    if (axis == rank)
        return UNTORN_OK;
    char text[128];
    untorn_status status = ut_region_describe(text, sizeof text, axis, shape, from, n);
    return ut_array_fail(array, status, "%s", text);
}

/* Copy the rows at and above `skip` of a tile. */
static void copy_tile(const ut_definition *definition, const ut_tile *tile, uint64_t skip,
                      unsigned char *destination, const int64_t *strides, const unsigned char *slot,
                      const int64_t *chunk_strides) {
    unsigned rank = definition->rank;
    uint64_t count[UNTORN_MAX_RANK];
    for (unsigned axis = 0; axis < rank; axis++) {
        uint64_t more = axis == 0 ? skip : 0;
        count[axis] = tile->count[axis] - more;
        destination += (int64_t)(tile->in_region[axis] + more) * strides[axis];
        if (slot != NULL)
            slot += (int64_t)(tile->in_chunk[axis] + more) * chunk_strides[axis];
    }
    if (slot != NULL)
        ut_box_copy(rank, definition->dtype.itemsize, count, destination, strides, slot,
                    chunk_strides);
    else
        ut_box_fill(rank, definition->dtype.itemsize, count, destination, strides,
                    definition->fill_is_zero ? NULL : definition->fill);
}

ut_found ut_region_copy(ut_hold *hold, untorn_array *array, const ut_descriptor *descriptor,
                        ut_region *region) {
    const ut_definition *definition = array->definition;
    ut_segment *segment = hold->segment;
    int64_t chunk_strides[UNTORN_MAX_RANK];
    ut_c_strides(definition->rank, definition->dtype.itemsize, definition->chunks, chunk_strides);
    ut_table_cursor cursor = {NULL, 0};
    ut_tiles tiles;
    ut_tile tile;
    ut_tiles_begin(&tiles, definition->rank, array->cells, definition->chunks, region->start,
                   region->count);
    for (size_t i = 0; ut_tiles_next(&tiles, &tile); i++) {
        ut_place place;
        UT_STEP("tile begins");
        ut_found found = ut_table_lookup(segment, descriptor, tile.cell, &cursor, &place);
        if (found == UT_DAMAGED)
            return ut_hold_valid(hold, array->header, descriptor->stamp) ? UT_DAMAGED
                                                                         : UT_NOT_FOUND;
        UT_STEP("cell read");
        const unsigned char *slot = NULL;
        uint64_t version = UT_KEPT_ABSENT;
        if (place.ref != 0) {
            slot = ut_at(segment, ut_ref_offset(place.ref), definition->slot_bytes);
            version = place.version;
            if (slot == NULL)
                return ut_hold_valid(hold, array->header, descriptor->stamp) ? UT_DAMAGED
                                                                             : UT_NOT_FOUND;
        }
        uint64_t rows = definition->rank > 0 ? tile.count[0] : 1, skip = 0;
        ut_kept *kept = i < region->kept_count ? &region->kept[i] : NULL;
        if (kept != NULL && region->kept_valid && kept->version == version)
            skip = kept->rows < rows ? kept->rows : rows;
        if (kept != NULL && UT_SEEDED(118)) /* keep before the check */
            *kept = (ut_kept){version, rows};
        if (skip < rows)
            copy_tile(definition, &tile, skip, region->destination, region->strides, slot,
                      chunk_strides);
        UT_STEP("tile copied");
        if (!ut_hold_valid(hold, array->header, descriptor->stamp)) {
            /* This tile's bytes may be anything now, and so may those of tiles never reached,
             * which keep what they had. */
            if (kept != NULL && skip < rows && !UT_SEEDED(118)) {
                kept->version = skip > 0 ? version : 0;
                kept->rows = skip;
            }
            return UT_NOT_FOUND;
        }
        if (kept != NULL)
            *kept = (ut_kept){version, rows};
    }
    return UT_FOUND;
}

void ut_result_set(untorn_result *result, const ut_descriptor *descriptor, unsigned attempts,
                   bool pinned) {
    if (result == NULL)
        return;
    result->generation = descriptor->stamp;
    result->commit = descriptor->commit;
    result->time = descriptor->time;
    result->attempts = attempts;
    result->pinned = pinned;
    result->rank = ut_kind_rank(descriptor->kind);
    for (unsigned axis = 0; axis < result->rank; axis++)
        result->shape[axis] = descriptor->shape[axis];
}

ut_found ut_attributes_copy(ut_segment *segment, const ut_descriptor *descriptor, char **json) {
    *json = NULL;
    if (descriptor->attributes_ref == 0) {
        *json = strdup("{}");
        return UT_FOUND;
    }
    if (!ut_ref_good(descriptor->attributes_ref, descriptor->attributes_version, descriptor->uid,
                     UT_LEVEL_ATTRIBUTES))
        return UT_DAMAGED;
    size_t length;
    return ut_text_copy(segment, ut_ref_offset(descriptor->attributes_ref), UNTORN_MAX_ATTRIBUTES,
                        json, &length);
}
