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
 *
 * Chunks that are only in the store are gathered on the way, their cells checked like any
 * other, and fetched all at once at the end.  What comes from the store is that version for ever,
 * too, and needs no further check.
 */
#include "array/reader.h"

#include "array/box.h"
#include "array/grid.h"
#include "array/run.h"
#include "array/slot_guess.h"
#include "array/stepped.h"
#include "base/racy_copy.h"
#include "base/racy_rows.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 6u                /* tiles */
#define LONG_RUN UINT64_C(1024) /* bytes of a tile, from which on the next one is soon enough */

/* Bytes of a region from which on it is copied past the processor's caches, which would not hold
 * it: neither would who uses it find it there. */
#define STREAM_BYTES (UINT64_C(16) << 20)

/* Whether the shape can be and has as many chunks as the descriptor says; sets array->cells.  Most
 * generations have the shape of the one before. */
static bool fits_grid(untorn_array *array, const ut_descriptor *descriptor) {
    const ut_definition *definition = array->definition;
    unsigned rank = definition->rank;
    bool same = array->all_cells != 0 && array->all_cells == descriptor->cells;
    for (unsigned axis = 0; same && axis < rank; axis++)
        same = array->shape[axis] == descriptor->shape[axis];
    if (same)
        return true;
    array->all_cells = 0;
    if (!ut_grid_valid(rank, descriptor->shape, definition->chunks, definition->dtype.itemsize))
        return false;
    uint64_t cells = ut_grid_cells(rank, descriptor->shape, definition->chunks, array->cells);
    if (cells != descriptor->cells)
        return false;
    for (unsigned axis = 0; axis < rank; axis++)
        array->shape[axis] = descriptor->shape[axis];
    array->all_cells = cells;
    return true;
}

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
        (descriptor->slot_bytes != definition->slot_bytes || !fits_grid(array, descriptor)))
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

untorn_status ut_region_take(const untorn_array *array, const uint64_t *shape,
                             const uint64_t *start, const uint64_t *count, const uint64_t *steps,
                             uint64_t *from, uint64_t *n, ut_region *region) {
    region->stepped = false;
    if (steps == NULL)
        return ut_region_bounds(array, shape, start, count, from, n);
    unsigned rank = array->definition->rank;
    unsigned axis = ut_stepped_fit(rank, shape, start, count, steps, from, n);
    if (axis < rank) {
        char text[160];
        untorn_status status = ut_stepped_describe(text, sizeof text, axis, shape, from, n, steps);
        return ut_array_fail(array, status, "%s", text);
    }
    region->stepped = ut_stepped_steps(rank, n, steps, region->step);
    return UNTORN_OK;
}

/* From one element of a chunk that a region takes to the next along each axis, in bytes: the
 * chunk's strides, or `stepped`, which is set then. */
static const int64_t *taken_strides(const ut_region *region, unsigned rank,
                                    const int64_t *chunk_strides, int64_t *stepped) {
    if (!region->stepped)
        return chunk_strides;
    for (unsigned axis = 0; axis < rank; axis++)
        stepped[axis] = (int64_t)region->step[axis] * chunk_strides[axis];
    return stepped;
}

/* Copy the rows at and above `skip` of a tile: the general case. */
static void copy_tile(const ut_definition *definition, const ut_tile *tile, uint64_t skip,
                      unsigned char *destination, const int64_t *strides, const unsigned char *slot,
                      const int64_t *chunk_strides, const int64_t *from_strides) {
    unsigned rank = definition->rank;
    size_t itemsize = definition->dtype.itemsize;
    uint64_t count[UNTORN_MAX_RANK];
    for (unsigned axis = 0; axis < rank; axis++) {
        uint64_t more = axis == 0 ? skip : 0;
        count[axis] = tile->count[axis] - more;
        destination += (int64_t)(tile->in_region[axis] + more) * strides[axis];
        if (slot != NULL)
            slot += (int64_t)tile->in_chunk[axis] * chunk_strides[axis] +
                    (int64_t)more * from_strides[axis];
    }
    if (slot != NULL)
        ut_box_copy(rank, itemsize, count, destination, strides, slot, from_strides);
    else
        ut_box_fill(rank, itemsize, count, destination, strides,
                    definition->fill_is_zero ? NULL : definition->fill);
}

/* --- chunks that are only in the store --- */

/* Those of one region: what is wanted, and for which tiles. */
typedef struct gathered {
    untorn_array *array;
    ut_region *region;
    ut_wanted *wanted;
    struct gathered_tile {
        ut_tile tile;
        size_t number; /* among the region's */
    } * tiles;
    size_t count, capacity;
    const int64_t *chunk_strides, *from_strides; /* as the walk's */
} gathered;

static void set_wanted(ut_wanted *wanted, const untorn_array *array,
                       const ut_descriptor *descriptor, const uint64_t *index, ut_place place) {
    const ut_definition *definition = array->definition;
    wanted->definition = definition;
    wanted->data_commit = descriptor->data_commit;
    if (definition->rank > 0)
        memcpy(wanted->index, index, definition->rank * sizeof *index);
    ut_chunk_extent(definition->rank, descriptor->shape, definition->chunks, index, wanted->extent);
    wanted->place = place;
}

static bool gather(gathered *all, const ut_descriptor *descriptor, const ut_tile *tile,
                   size_t number, ut_place place) {
    if (all->count == all->capacity) {
        size_t capacity = all->capacity != 0 ? all->capacity * 2 : 16;
        ut_wanted *wanted = realloc(all->wanted, capacity * sizeof *wanted);
        if (wanted != NULL)
            all->wanted = wanted;
        struct gathered_tile *tiles = realloc(all->tiles, capacity * sizeof *tiles);
        if (tiles != NULL)
            all->tiles = tiles;
        if (wanted == NULL || tiles == NULL)
            return false;
        all->capacity = capacity;
    }
    set_wanted(&all->wanted[all->count], all->array, descriptor, tile->index, place);
    all->tiles[all->count++] = (struct gathered_tile){*tile, number};
    return true;
}

/* From any thread: tiles do not overlap. */
static void take_tile(void *context, size_t i, const void *memory) {
    gathered *all = context;
    const ut_tile *tile = &all->tiles[i].tile;
    const ut_definition *definition = all->array->definition;
    copy_tile(definition, tile, 0, all->region->destination, all->region->strides, memory,
              all->chunk_strides, all->from_strides);
    size_t number = all->tiles[i].number;
    if (number < all->region->kept_count) /* under a subtree's cell its own version is not known */
        all->region->kept[number] =
            (ut_kept){all->wanted[i].place.ref & UT_REF_SUBTREE ? 0 : all->wanted[i].place.version,
                      definition->rank > 0 ? tile->count[0] : 1};
}

static ut_found found_of(untorn_array *array, untorn_status status, untorn_status *failure) {
    if (status == UNTORN_OK)
        return UT_FOUND;
    if (status == UNTORN_E_OVERTAKEN)
        return UT_NOT_FOUND;
    char reason[1024];
    strncpy(reason, untorn_message(), sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    *failure = ut_array_fail(array, status, "%s", reason);
    return UT_DAMAGED;
}

static untorn_status fetch(untorn_array *array, const ut_wanted *wanted, size_t count,
                           ut_take *take, void *context) {
    untorn_reader *reader = array->reader;
    if (reader->backing == NULL)
        return ut_fail(UNTORN_E_STATE, "a chunk is only in the store");
    return reader->backing->fetch(reader, wanted, count, take, context);
}

typedef struct single_fetch {
    void *memory;
    size_t bytes;
    bool present;
} single_fetch;

static void take_single(void *context, size_t i, const void *memory) {
    single_fetch *one = context;
    (void)i;
    one->present = memory != NULL;
    if (memory != NULL)
        memcpy(one->memory, memory, one->bytes);
}

ut_found ut_evicted_read(ut_hold *hold, untorn_array *array, const ut_descriptor *descriptor,
                         const uint64_t *index, ut_place place, void *memory, bool *present,
                         untorn_status *failure) {
    if (!ut_hold_valid(hold, array->header, descriptor->stamp))
        return UT_NOT_FOUND;
    ut_wanted wanted;
    single_fetch one = {memory, array->definition->slot_bytes, false};
    set_wanted(&wanted, array, descriptor, index, place);
    untorn_status status = fetch(array, &wanted, 1, take_single, &one);
    *present = one.present;
    return found_of(array, status, failure);
}

/* --- regions --- */

/* A walk over one region of one generation. */
typedef struct walk {
    ut_hold *hold;
    untorn_array *array;
    const ut_descriptor *descriptor;
    ut_region *region;
    bool one_axis; /* and a destination without gaps, and no step */
    bool prepared; /* `box` is for tiles of this one's size */
    bool stream;
    size_t number;  /* of the tile */
    uint64_t ahead; /* how many tiles ahead something is fetched; more than 1: but a line */
    ut_tile tile;
    union {
        ut_run run;
        ut_tiles tiles;
    };
    ut_box box;
    ut_table_cursor cursor;
    const int64_t *from_strides; /* of what is taken from a chunk: one of these two */
    int64_t chunk_strides[UNTORN_MAX_RANK], stepped_strides[UNTORN_MAX_RANK];
} walk;

static void walk_begin(walk *w) {
    const ut_definition *definition = w->array->definition;
    const ut_region *region = w->region;
    unsigned rank = definition->rank;
    size_t itemsize = definition->dtype.itemsize;
    ut_c_strides(rank, itemsize, definition->chunks, w->chunk_strides);
    w->from_strides = taken_strides(region, rank, w->chunk_strides, w->stepped_strides);
    w->one_axis = rank == 1 && region->strides[0] == (int64_t)itemsize && !region->stepped;
    w->prepared = false;
    w->stream = ut_product(rank, region->count) >= STREAM_BYTES / itemsize;
    if (w->one_axis) {
        ut_run_begin(&w->run, definition->chunks[0], region->start[0], region->count[0]);
    } else {
        if (region->stepped)
            ut_tiles_begin_stepped(&w->tiles, rank, w->array->cells, definition->chunks,
                                   region->start, region->count, region->step);
        else
            ut_tiles_begin(&w->tiles, rank, w->array->cells, definition->chunks, region->start,
                           region->count);
        ut_tiles_strides(&w->tiles, w->chunk_strides, region->strides);
    }
}

static inline bool walk_next(walk *w) {
    if (w->one_axis)
        return ut_run_next(&w->run, &w->tile);
    if (!ut_tiles_next(&w->tiles, &w->tile))
        return false;
    if (w->tile.resized)
        w->prepared = false;
    return true;
}

/* ut_hold_valid(), which nearly always looks at nothing but the window. */
static inline bool still_valid(const walk *w) {
    return __builtin_expect(ut_window_holds(w->array->header, w->descriptor->stamp), 1) ||
           ut_hold_valid(w->hold, w->array->header, w->descriptor->stamp);
}

static ut_found overtaken_or_damaged(const walk *w) {
    return still_valid(w) ? UT_DAMAGED : UT_NOT_FOUND;
}

/* Bytes from the first to the last that the tile takes of its chunk. */
static size_t tile_span(const walk *w, size_t *begin) {
    const ut_definition *definition = w->array->definition;
    size_t last = 0;
    *begin = 0;
    for (unsigned axis = 0; axis < definition->rank; axis++) {
        *begin += w->tile.in_chunk[axis] * (size_t)w->chunk_strides[axis];
        last += (w->tile.count[axis] - 1) * (size_t)w->from_strides[axis];
    }
    return last + definition->dtype.itemsize;
}

/* ut_table_lookup(), while the chunk is fetched from where it probably is. */
static ut_found find_far_cell(walk *w, ut_place *place) {
    ut_slot_guess *guess = &w->array->guess;
    size_t begin, bytes = tile_span(w, &begin);
    uint64_t before = w->tile.cell * ut_slot_spacing(w->array->definition->slot_bytes);
    ut_slot_guess_fetch(guess, w->hold->segment->base + begin, before, bytes);
    ut_found found =
        ut_table_lookup(w->hold->segment, w->descriptor, w->tile.cell, &w->cursor, place);
    if (found == UT_FOUND && place->ref != 0 && !(place->ref & UT_REF_EVICTED))
        ut_slot_guess_learn(guess, before, ut_ref_offset(place->ref));
    return found;
}

/* ut_table_lookup(), which mostly finds the chunk beside the one before. */
static inline ut_found find_cell(walk *w, ut_place *place) {
    uint64_t beside = w->tile.cell - w->cursor.first;
    if (w->cursor.leaf != NULL && beside < UT_NODE_CELLS) {
        *place = ut_cell_load(&w->cursor.leaf->cells[beside]);
        return place->ref == 0 || ut_ref_good(place->ref, place->version, w->descriptor->uid, 0)
                   ? UT_FOUND
                   : UT_DAMAGED;
    }
    if (ut_kind_depth(w->descriptor->kind) >= UT_GUESS_DEPTH)
        return find_far_cell(w, place);
    return ut_table_lookup(w->hold->segment, w->descriptor, w->tile.cell, &w->cursor, place);
}

static void prepare_box(walk *w) {
    const ut_definition *definition = w->array->definition;
    ut_box_prepare(&w->box, definition->rank, definition->dtype.itemsize, w->tile.count,
                   w->region->strides, w->from_strides);
    w->box.stream = w->stream;
    w->ahead = w->box.axes == 0 && w->box.unit < LONG_RUN ? AHEAD : 1;
    w->prepared = true;
}

static inline void copy_box(const walk *w, unsigned char *to, const unsigned char *from) {
    if (w->box.axes == 0 && !w->stream)
        ut_racy_copy(to, from, w->box.unit);
    else
        ut_box_copy_prepared(&w->box, to, from);
}

/* Copy the rows at and above `skip` of this tile. */
static inline void copy_rows(walk *w, uint64_t skip, const unsigned char *slot) {
    const ut_definition *definition = w->array->definition;
    const ut_region *region = w->region;
    const ut_tile *tile = &w->tile;
    if (slot == NULL || (skip > 0 && !w->one_axis)) {
        copy_tile(definition, tile, skip, region->destination, region->strides, slot,
                  w->chunk_strides, w->from_strides);
    } else if (w->one_axis) {
        size_t itemsize = definition->dtype.itemsize, bytes = (tile->count[0] - skip) * itemsize;
        unsigned char *to = region->destination + (tile->in_region[0] + skip) * itemsize;
        const unsigned char *from = slot + (tile->in_chunk[0] + skip) * itemsize;
        if (__builtin_expect(w->stream, 0))
            ut_racy_stream_rows(to, 0, from, 0, bytes, 1);
        else
            ut_racy_copy(to, from, bytes);
    } else {
        if (!w->prepared)
            prepare_box(w);
        copy_box(w, region->destination + tile->region_at, slot + tile->chunk_at);
    }
}

/*
 * Have the processor fetch what a tile ahead begins with.  Where a region has little in each of
 * many chunks, that is what it waits for: chunks lie anywhere, and it cannot foresee them.  What is
 * read for it is trusted no more than to be given to an instruction that cannot fail.
 * `beside`: where in the leaf the tile at hand is; `alike`: so many like it follow.
 */
static inline void prefetch(const walk *w, uint64_t beside, uint64_t alike) {
    uint64_t at = beside + w->ahead * w->tiles.plain_cell;
    if (alike < w->ahead || at >= UT_NODE_CELLS || w->cursor.leaf == NULL)
        return;
    uint64_t ref = ut_load_relaxed(&w->cursor.leaf->cells[at].ref);
    uintptr_t place = (uintptr_t)w->hold->segment->base + ut_ref_offset(ref);
    place += (uintptr_t)w->tile.chunk_at;
    if (w->ahead > 1)
        __builtin_prefetch((const void *)place);
    else
        ut_box_fetch(&w->box, (const void *)place);
}

/* Where a copy of the tile with this number is kept; NULL: nowhere. */
static inline ut_kept *kept_of(const walk *w, size_t number) {
    return number < w->region->kept_count ? &w->region->kept[number] : NULL;
}

/* A tile was copied, but for the first `skip` rows, which an earlier attempt had: check, and keep
 * it. */
static inline ut_found settle(walk *w, ut_kept *kept, ut_kept copy, uint64_t skip) {
    UT_STEP("tile copied");
    if (!still_valid(w)) {
        /* This tile's bytes may be anything now, and so may those of tiles never reached,
         * which keep what they had. */
        if (kept != NULL && skip < copy.rows && !UT_SEEDED(118)) {
            kept->version = skip > 0 ? copy.version : 0;
            kept->rows = skip;
        }
        return UT_NOT_FOUND;
    }
    if (kept != NULL)
        *kept = copy;
    return UT_FOUND;
}

/* A tile whose chunk is in memory, or absent. */
static inline ut_found copy_one(walk *w, ut_place place) {
    const ut_definition *definition = w->array->definition;
    ut_region *region = w->region;
    const unsigned char *slot = NULL;
    uint64_t version = UT_KEPT_ABSENT;
    if (place.ref != 0) {
        slot = ut_at(w->hold->segment, ut_ref_offset(place.ref), definition->slot_bytes);
        version = place.version;
        if (slot == NULL)
            return overtaken_or_damaged(w);
    }
    uint64_t rows = definition->rank > 0 ? w->tile.count[0] : 1, skip = 0;
    ut_kept *kept = kept_of(w, w->number);
    if (kept != NULL && region->kept_valid && kept->version == version)
        skip = kept->rows < rows ? kept->rows : rows;
    if (kept != NULL && UT_SEEDED(118)) /* keep before the check */
        *kept = (ut_kept){version, rows};
    if (skip < rows)
        copy_rows(w, skip, slot);
    return settle(w, kept, (ut_kept){version, rows}, skip);
}

/* Whether copy_alike() may find any: nothing of an earlier attempt's is to be kept. */
static inline bool has_alike(const walk *w) {
    return w->prepared && w->tiles.plain != 0 && w->cursor.leaf != NULL &&
           (w->region->kept_count == 0 || !w->region->kept_valid);
}

/* Turns to `n` tiles that are alike, at once. */
static void turn_alike(walk *w, uint64_t n) {
    ut_tiles *tiles = &w->tiles;
    unsigned axis = tiles->axes[0];
    tiles->plain -= n;
    w->number += n;
    w->tile.index[axis] += n * tiles->plain_index;
    w->tile.in_region[axis] += n * tiles->plain_in_region;
    w->tile.cell += n * tiles->plain_cell;
    w->tile.region_at += (int64_t)n * tiles->plain_at;
}

/*
 * Go on with the tiles that are like this one, in the same leaf, and are in memory.  It is what the
 * loop of ut_region_copy() does with them, but for looking up what they have in common each time:
 * where there is little in a tile, that is most of the work.  At whatever is special it ends, as if
 * the tile before had been the last, and leaves it to that loop.
 */
static ut_found copy_alike(walk *w) {
    const ut_definition *definition = w->array->definition;
    ut_segment *segment = w->hold->segment;
    const uint64_t uid = w->descriptor->uid, slot_bytes = definition->slot_bytes;
    const uint64_t each = w->tiles.plain_cell, alike = w->tiles.plain, rows = w->tile.count[0];
    const int64_t chunk_at = w->tile.chunk_at;
    ut_node *leaf = w->cursor.leaf;
    unsigned char *to = w->region->destination + w->tile.region_at;
    uint64_t beside = w->tile.cell - w->cursor.first, n = 0;
    ut_found found = UT_FOUND;
    while (found == UT_FOUND && n < alike && (beside += each) < UT_NODE_CELLS) {
        UT_STEP("tile begins");
        ut_place place = ut_cell_load(&leaf->cells[beside]);
        if (place.ref == 0 || (place.ref & UT_REF_EVICTED) ||
            !ut_ref_good(place.ref, place.version, uid, 0))
            break;
        UT_STEP("cell read");
        const unsigned char *slot = ut_at(segment, ut_ref_offset(place.ref), slot_bytes);
        if (slot == NULL)
            break;
        n++;
        prefetch(w, beside, alike - n);
        ut_kept *kept = kept_of(w, w->number + n);
        if (kept != NULL && UT_SEEDED(118)) /* keep before the check */
            *kept = (ut_kept){place.version, rows};
        to += w->tiles.plain_at;
        copy_box(w, to, slot + chunk_at);
        found = settle(w, kept, (ut_kept){place.version, rows}, 0);
    }
    turn_alike(w, n);
    return found;
}

/* A tile whose chunk is only in the store: kept from an earlier attempt, or to be fetched. */
static ut_found postpone(walk *w, gathered *all, ut_place place) {
    ut_region *region = w->region;
    if (!still_valid(w))
        return UT_NOT_FOUND;
    uint64_t rows = w->array->definition->rank > 0 ? w->tile.count[0] : 1;
    ut_kept *kept = kept_of(w, w->number);
    if (kept != NULL && region->kept_valid && !(place.ref & UT_REF_SUBTREE) &&
        kept->version == place.version && kept->rows >= rows)
        return UT_FOUND;
    if (kept != NULL)
        kept->version = 0;
    if (gather(all, w->descriptor, &w->tile, w->number, place))
        return UT_FOUND;
    region->failure = ut_array_fail(w->array, UNTORN_E_NO_MEMORY, "out of memory for a read");
    return UT_DAMAGED;
}

ut_found ut_region_copy(ut_hold *hold, untorn_array *array, const ut_descriptor *descriptor,
                        ut_region *region) {
    walk w;
    w.hold = hold;
    w.array = array;
    w.descriptor = descriptor;
    w.region = region;
    w.cursor = (ut_table_cursor){0};
    gathered all = {.array = array, .region = region, .chunk_strides = w.chunk_strides};
    ut_found found = UT_FOUND;
    region->failure = UNTORN_OK;
    walk_begin(&w);
    all.from_strides = w.from_strides;
    for (w.number = 0; found == UT_FOUND && walk_next(&w); w.number++) {
        ut_place place;
        UT_STEP("tile begins");
        found = find_cell(&w, &place);
        UT_STEP("cell read");
        if (w.prepared)
            prefetch(&w, w.tile.cell - w.cursor.first, w.tiles.plain);
        if (found == UT_DAMAGED)
            found = overtaken_or_damaged(&w);
        else if (__builtin_expect(place.ref & UT_REF_EVICTED, 0))
            found = postpone(&w, &all, place);
        else
            found = copy_one(&w, place);
        if (found == UT_FOUND && has_alike(&w))
            found = copy_alike(&w);
    }
    if (found == UT_FOUND && all.count != 0)
        found =
            found_of(array, fetch(array, all.wanted, all.count, take_tile, &all), &region->failure);
    free(all.wanted);
    free(all.tiles);
    return found;
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
