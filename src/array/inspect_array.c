// SPDX-License-Identifier: MIT
/*
 * Looking at arrays: the catalogue, descriptors, the ring's history, and the states of chunks.
 *
 * DIRTY.  A chunk is clean if the store has its version at its visible extent.  Versions above the
 * flushed commit are dirty.  A chunk to which elements were appended in place keeps its version, so
 * its extent at the flushed commit has to be known as well: from the descriptor of that commit
 * while there is one, else the last row of older chunks is taken to have grown.
 *
 * INTERVALS.  The ring has the last descriptors, and each has the time of its commit: what lies
 * between them are the write intervals, of at most 63 commits, to the tick of the coarse clock.
 */
#include "array/inspect.h"

#include "array/grid.h"
#include "array/name_bucket.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "segment/page_alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETAINED_BOUND 4096u

/* --- descriptors --- */

ut_found ut_inspect_descriptor(untorn_inspection *inspection, ut_header *header, const char *what,
                               ut_descriptor *descriptor, bool *damaged) {
    ut_segment *segment = &inspection->segment;
    ut_found found = UT_NOT_FOUND;
    *damaged = false;
    for (unsigned look = 0; look < UT_INSPECT_LOOKS && found != UT_FOUND; look++) {
        descriptor->stamp = 0;
        found = ut_descriptor_newest(segment, header, descriptor);
    }
    if (found == UT_FOUND)
        return found;
    uint64_t generation = ut_load_acquire(&header->generation), entries;
    if (ut_descriptor_ring(segment, header, &entries) == NULL) {
        ut_inspect_note(inspection, "%s: its ring of descriptors lies outside the segment", what);
        return UT_DAMAGED;
    }
    if (generation == 0) {
        ut_inspect_note(inspection, "%s: has no generation", what);
        return UT_DAMAGED;
    }
    if (found == UT_NOT_FOUND && !inspection->dump &&
        ut_load_relaxed(&header->generation) != generation)
        return UT_NOT_FOUND;
    ut_inspect_note(inspection, "%s: the descriptor of generation %" PRIu64 " is %s", what,
                    generation, found == UT_DAMAGED ? "damaged" : "missing");
    *damaged = true;
    for (uint64_t g = generation; g > 0 && generation - g < UT_RING_LARGE; g--)
        if (ut_descriptor_of_generation(segment, header, g, descriptor) == UT_FOUND)
            return UT_FOUND;
    return UT_DAMAGED;
}

/* --- the catalogue --- */

static bool add_array(untorn_inspection *inspection, uint64_t object, ut_definition *definition) {
    if (inspection->array_count == inspection->array_capacity) {
        size_t capacity = inspection->array_capacity != 0 ? 2 * inspection->array_capacity : 64;
        ut_inspected_array *arrays = realloc(inspection->arrays, capacity * sizeof *arrays);
        if (arrays == NULL)
            return false;
        inspection->arrays = arrays;
        const char **names = realloc((void *)inspection->names, capacity * sizeof *names);
        if (names == NULL)
            return false;
        inspection->names = names;
        inspection->array_capacity = capacity;
    }
    inspection->arrays[inspection->array_count] =
        (ut_inspected_array){(uint32_t)object, definition};
    inspection->names[inspection->array_count++] = definition->name;
    return true;
}

static void drop_arrays(untorn_inspection *inspection) {
    while (inspection->array_count > 0)
        ut_definition_drop(inspection->arrays[--inspection->array_count].definition);
}

/* One entry; damage is noted. */
static untorn_status read_entry(untorn_inspection *inspection, const ut_descriptor *descriptor,
                                uint64_t object, ut_table_cursor *cursor, ut_inspected_name *name) {
    ut_segment *segment = &inspection->segment;
    ut_place place;
    name->damaged = true; /* unless it turns out not to be */
    if (ut_table_lookup(segment, descriptor, ut_catalogue_cell(object), cursor, &place) !=
        UT_FOUND) {
        ut_inspect_note(inspection, "catalogue: the cell of object %" PRIu64 " is damaged", object);
        cursor->leaf = NULL;
        return UNTORN_OK;
    }
    if (place.ref == 0) {
        name->damaged = false;
        return UNTORN_OK;
    }
    char *text = NULL;
    size_t length;
    if (ut_text_copy(segment, ut_ref_offset(place.ref), UT_MAX_DEFINITION, &text, &length) !=
        UT_FOUND) {
        ut_inspect_note(inspection, "catalogue: the definition of object %" PRIu64 " is damaged",
                        object);
        return UNTORN_OK;
    }
    ut_definition *definition;
    untorn_status status = ut_definition_decode(text, length, &definition);
    free(text);
    if (status == UNTORN_E_NO_MEMORY)
        return status;
    if (status != UNTORN_OK) {
        ut_inspect_note(inspection, "catalogue: object %" PRIu64 ": %s", object, untorn_message());
        return UNTORN_OK;
    }
    *name = (ut_inspected_name){.defined = true, .hash = ut_name_hash(definition->name)};
    if (definition->kind == UT_KIND_ARRAY && add_array(inspection, object, definition))
        return UNTORN_OK;
    status = definition->kind == UT_KIND_ARRAY
                 ? ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", segment->message_name)
                 : UNTORN_OK;
    ut_definition_drop(definition);
    return status;
}

/* UNTORN_E_OVERTAKEN: the writer was faster. */
static untorn_status read_catalogue(untorn_inspection *inspection) {
    ut_segment *segment = &inspection->segment;
    ut_header *header = ut_segment_header(segment, 0);
    if (header == NULL) {
        ut_inspect_note(inspection, "the catalogue's header is missing");
        return UNTORN_OK;
    }
    ut_descriptor descriptor;
    bool damaged;
    ut_found found = ut_inspect_descriptor(inspection, header, "catalogue", &descriptor, &damaged);
    if (found == UT_NOT_FOUND)
        return UNTORN_E_OVERTAKEN;
    if (found == UT_DAMAGED)
        return UNTORN_OK;
    if (!ut_catalogue_plausible(&descriptor)) {
        ut_inspect_note(inspection, "the catalogue's descriptor is that of something else");
        return UNTORN_OK;
    }
    ut_inspected_name *names = calloc(descriptor.shape[0] + 1, sizeof *names);
    if (names == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", segment->message_name);
    ut_table_cursor cursor = {0};
    untorn_status status = UNTORN_OK;
    for (uint64_t i = 1; i < descriptor.shape[0] && status == UNTORN_OK; i++) {
        status = read_entry(inspection, &descriptor, i, &cursor, &names[i]);
        if (i % 64 == 0 && !damaged && !ut_window_holds(header, descriptor.stamp))
            status = UNTORN_E_OVERTAKEN;
    }
    if (status == UNTORN_OK)
        ut_inspect_names(inspection, &descriptor, names);
    free(names);
    if (status == UNTORN_OK && !damaged && !ut_window_holds(header, descriptor.stamp))
        status = UNTORN_E_OVERTAKEN;
    return status;
}

untorn_status untorn_inspect_catalogue(untorn_inspection *inspection, const char *const **names,
                                       size_t *count) {
    if (inspection == NULL || names == NULL || count == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect_catalogue: no inspection or no place");
    untorn_status status = UNTORN_E_OVERTAKEN;
    size_t problems = inspection->problem_count;
    for (unsigned look = 0; look < 4 * UT_INSPECT_LOOKS && status == UNTORN_E_OVERTAKEN; look++) {
        drop_arrays(inspection);
        ut_inspect_forget(inspection, problems);
        status = read_catalogue(inspection);
    }
    if (status == UNTORN_E_OVERTAKEN) {
        ut_inspect_forget(inspection, problems);
        return ut_fail(status, "%s: catalogue: overtaken by the writer",
                       inspection->segment.message_name);
    }
    *names = (const char *const *)inspection->names;
    *count = inspection->array_count;
    return status;
}

ut_inspected_array *ut_inspected(untorn_inspection *inspection, size_t i) {
    if (inspection != NULL && i < inspection->array_count)
        return &inspection->arrays[i];
    ut_fail(UNTORN_E_ARGUMENT, "inspect: no inspection, or no array of this number");
    return NULL;
}

/* --- what is in the store --- */

typedef struct flushed {
    uint64_t commit; /* 0: nothing is in a store */
    bool known;      /* the shape then */
    bool changed;    /* data or shape were since */
    uint64_t shape[UNTORN_MAX_RANK];
    uint64_t edge; /* if it is not known: chunks up to it may have grown; UINT64_MAX: none */
    uint64_t row;  /* chunks along all axes but the first */
} flushed;

/* What is looked at. */
typedef struct walk {
    untorn_inspection *inspection;
    const ut_definition *definition;
    const ut_descriptor *descriptor;
    uint64_t cells[UNTORN_MAX_RANK];
} walk;

/* The last chunk in memory that is not newer than the flush. */
typedef struct edge_search {
    uint64_t commit, edge;
} edge_search;

static bool look_for_edge(void *context, const ut_table_cell *cell) {
    edge_search *search = context;
    if (cell->place.version <= search->commit && !(cell->place.ref & UT_REF_EVICTED))
        search->edge = cell->number;
    return true;
}

static uint64_t find_edge(walk *w, uint64_t commit) {
    edge_search search = {commit, UINT64_MAX};
    ut_inspect_table(w->inspection, w->descriptor, 0, w->descriptor->cells, look_for_edge, &search);
    return search.edge;
}

static void find_flushed(walk *w, ut_header *header, flushed *f) {
    ut_segment *segment = &w->inspection->segment;
    const ut_descriptor *descriptor = w->descriptor;
    unsigned rank = w->definition->rank;
    memset(f, 0, sizeof *f);
    f->edge = UINT64_MAX;
    if (ut_load_acquire(&segment->store->path_bytes) != 0)
        f->commit = ut_load_acquire(&segment->store->flushed_commit);
    f->changed = descriptor->data_commit > f->commit;
    if (f->commit == 0 || !f->changed || rank == 0)
        return;
    ut_descriptor then = {.stamp = 0};
    if (ut_descriptor_at(segment, header, f->commit, &then) == UT_FOUND &&
        then.uid == descriptor->uid && ut_kind_rank(then.kind) == rank) {
        f->known = true;
        memcpy(f->shape, then.shape, rank * sizeof *f->shape);
        return;
    }
    f->row = w->cells[0] != 0 ? descriptor->cells / w->cells[0] : 1;
    f->edge = find_edge(w, f->commit);
}

static void chunk_index(const walk *w, uint64_t number, uint64_t *index) {
    for (unsigned axis = w->definition->rank; axis-- > 0;) {
        index[axis] = number % w->cells[axis];
        number /= w->cells[axis];
    }
}

static uint64_t visible_bytes(const walk *w, const uint64_t *shape, uint64_t number) {
    uint64_t index[UNTORN_MAX_RANK], extent[UNTORN_MAX_RANK];
    const ut_definition *definition = w->definition;
    chunk_index(w, number, index);
    ut_chunk_extent(definition->rank, shape, definition->chunks, index, extent);
    return ut_product(definition->rank, extent) * definition->dtype.itemsize;
}

static bool is_dirty(const walk *w, const flushed *f, const ut_table_cell *cell) {
    if (cell->place.version > f->commit)
        return true;
    if (!f->changed)
        return false;
    if (f->known)
        return visible_bytes(w, f->shape, cell->number) !=
               visible_bytes(w, w->descriptor->shape, cell->number);
    return f->edge != UINT64_MAX && f->row != 0 && cell->number / f->row == f->edge / f->row;
}

/* --- one array --- */

static bool fits(const ut_definition *definition, const ut_descriptor *descriptor,
                 uint64_t *cells) {
    return (descriptor->kind & UT_KIND_MASK) == UT_KIND_ARRAY &&
           ut_kind_rank(descriptor->kind) == definition->rank &&
           descriptor->slot_bytes == definition->slot_bytes &&
           ut_grid_valid(definition->rank, descriptor->shape, definition->chunks,
                         definition->dtype.itemsize) &&
           ut_grid_cells(definition->rank, descriptor->shape, definition->chunks, cells) ==
               descriptor->cells;
}

typedef struct chunk_count {
    walk *w;
    const flushed *f;
    untorn_array_state *state;
    uint64_t slot; /* bytes */
    uint64_t left; /* of the budget */
} chunk_count;

static bool count_chunk(void *context, const ut_table_cell *cell) {
    chunk_count *count = context;
    const ut_descriptor *descriptor = count->w->descriptor;
    untorn_array_state *state = count->state;
    if (count->left-- == 0) {
        state->partial = 1;
        return false;
    }
    if (cell->place.ref & UT_REF_EVICTED) {
        uint64_t rest = descriptor->cells - cell->number;
        state->evicted += cell->span < rest ? cell->span : rest;
        return true;
    }
    state->resident++;
    if (is_dirty(count->w, count->f, cell)) {
        state->dirty++;
        state->dirty_bytes += count->slot;
    }
    if (cell->place.version == descriptor->data_commit)
        state->last_bytes += visible_bytes(count->w, descriptor->shape, cell->number);
    return true;
}

/* Count the chunks by state.  False if the table is damaged, or was being changed. */
static bool count_chunks(walk *w, const flushed *f, uint64_t budget, untorn_array_state *state) {
    chunk_count count = {w, f, state, ut_alloc_rounded(w->descriptor->slot_bytes),
                         budget != 0 ? budget : UINT64_MAX};
    state->resident = state->dirty = state->evicted = state->dirty_bytes = state->last_bytes = 0;
    state->partial = 0;
    ut_inspect_walk done = ut_inspect_table(w->inspection, w->descriptor, 0, w->descriptor->cells,
                                            count_chunk, &count);
    state->memory = state->resident * count.slot + done.nodes * sizeof(ut_node);
    return !done.damaged;
}

/* What was appended in place has no new version: the growth tells. */
static void count_growth(walk *w, ut_header *header, untorn_array_state *state) {
    const ut_descriptor *newest = w->descriptor;
    ut_descriptor before;
    unsigned rank = w->definition->rank;
    if (newest->stamp < 2 || newest->data_commit != newest->commit || rank == 0 ||
        ut_descriptor_of_generation(&w->inspection->segment, header, newest->stamp - 1, &before) !=
            UT_FOUND ||
        before.uid != newest->uid || ut_kind_rank(before.kind) != rank)
        return;
    uint64_t now = ut_product(rank, newest->shape), then = ut_product(rank, before.shape);
    uint64_t growth = now > then ? (now - then) * w->definition->dtype.itemsize : 0;
    if (growth > state->last_bytes)
        state->last_bytes = growth;
}

/* Bytes besides slots and nodes. */
static uint64_t overhead(ut_segment *segment, ut_header *header, const ut_definition *definition,
                         const ut_descriptor *descriptor) {
    uint64_t entries = 0, bytes = sizeof(ut_header) + ut_alloc_rounded(definition->text_bytes);
    if (ut_descriptor_ring(segment, header, &entries) != NULL)
        bytes += entries * sizeof(ut_descriptor_slot);
    ut_text *text = descriptor->attributes_ref != 0
                        ? ut_at(segment, ut_ref_offset(descriptor->attributes_ref), sizeof *text)
                        : NULL;
    if (text != NULL) {
        ut_text head;
        ut_racy_copy(&head, text, sizeof head);
        if (head.length <= UNTORN_MAX_ATTRIBUTES)
            bytes += ut_alloc_rounded(sizeof head + head.length);
    }
    return bytes;
}

static int by_length(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Whether a pin stands on a commit in [born, until). */
static bool pinned(const ut_segment *segment, uint64_t born, uint64_t until) {
    for (unsigned i = 0; i < UT_LINES; i++) {
        uint64_t commit = ut_load_relaxed(&segment->acks[i].commit);
        if (ut_load_relaxed(&segment->acks[i].nonce) != 0 && born <= commit && commit < until)
            return true;
    }
    return false;
}

static unsigned count_retained(ut_segment *segment, ut_header *header, uint64_t below) {
    unsigned count = 0;
    uint64_t offset = ut_load_acquire(&header->retained);
    for (unsigned i = 0; offset != 0 && i < RETAINED_BOUND; i++) {
        ut_descriptor_slot *slot = offset % UT_UNIT ? NULL : ut_at(segment, offset, sizeof *slot);
        ut_descriptor descriptor;
        if (slot == NULL)
            break;
        uint64_t stamp = ut_load_acquire(&slot->words[0]);
        if (stamp != 0 && stamp < below &&
            ut_descriptor_load(slot, stamp, &descriptor) == UT_FOUND &&
            pinned(segment, descriptor.commit, descriptor.until))
            count++;
        offset = ut_load_relaxed(&slot->words[offsetof(ut_descriptor, next) / 8]);
    }
    return count;
}

/* From the newest generation downwards: which are held, and the times between them. */
static void look_back(ut_segment *segment, ut_header *header, const ut_descriptor *newest,
                      untorn_array_state *state) {
    int64_t lengths[UT_RING_LARGE], later = newest->time;
    bool written = newest->changed == newest->stamp; /* `later` is a commit of the user's */
    unsigned count = 0;
    uint64_t lowest = newest->stamp; /* found in the ring and in the window */
    state->versions = 1;
    for (uint64_t g = newest->stamp - 1; g > 0 && newest->stamp - g < UT_RING_LARGE; g--) {
        ut_descriptor descriptor;
        if (ut_descriptor_of_generation(segment, header, g, &descriptor) != UT_FOUND ||
            descriptor.uid != newest->uid)
            break;
        /* Evictions are no writes.  A clock that was set back would give lengths below 0. */
        if (descriptor.changed == g) {
            int64_t length;
            if (written && !__builtin_sub_overflow(later, descriptor.time, &length) && length >= 0)
                lengths[count++] = length;
            later = descriptor.time;
            written = true;
        }
        if (g >= state->oldest) {
            state->versions++;
            lowest = g;
        }
    }
    state->versions += count_retained(segment, header, lowest);
    state->intervals = count;
    if (count == 0)
        return;
    qsort(lengths, count, sizeof *lengths, by_length);
    static const unsigned percent[] = {10, 50, 90, 100};
    for (unsigned i = 0; i < 4; i++) {
        unsigned rank = (count * percent[i] + 99) / 100; /* nearest rank */
        state->interval[i] = lengths[rank > 0 ? rank - 1 : 0];
    }
}

/* The header, and the newest descriptor that fits the definition. */
static untorn_status find_array(untorn_inspection *inspection, const ut_inspected_array *array,
                                ut_header **header, ut_descriptor *descriptor, uint64_t *cells,
                                bool *damaged) {
    const ut_definition *definition = array->definition;
    const char *who = inspection->segment.message_name;
    char what[1100];
    snprintf(what, sizeof what, "array \"%s\"", definition->name);
    *header = ut_segment_header(&inspection->segment, array->object);
    if (*header == NULL) {
        ut_inspect_note(inspection, "%s: has no header", what);
        return ut_fail(UNTORN_E_CORRUPT, "%s: %s: has no header", who, what);
    }
    switch (ut_inspect_descriptor(inspection, *header, what, descriptor, damaged)) {
    case UT_NOT_FOUND:
        return ut_fail(UNTORN_E_OVERTAKEN, "%s: %s: overtaken by the writer", who, what);
    case UT_DAMAGED:
        return ut_fail(UNTORN_E_CORRUPT, "%s: %s: has no descriptor that is whole", who, what);
    default:
        break;
    }
    if (descriptor->uid != definition->uid || (descriptor->kind & UT_KIND_DELETED))
        return ut_fail(UNTORN_E_ARRAY_DELETED, "%s: %s: was deleted", who, what);
    if (!fits(definition, descriptor, cells)) {
        ut_inspect_note(inspection, "%s: its descriptor does not fit its definition", what);
        return ut_fail(UNTORN_E_CORRUPT, "%s: %s: its descriptor does not fit its definition", who,
                       what);
    }
    return UNTORN_OK;
}

untorn_status untorn_inspect_array(untorn_inspection *inspection, size_t i, uint64_t budget,
                                   untorn_array_state *state) {
    ut_inspected_array *array = ut_inspected(inspection, i);
    if (array == NULL || state == NULL)
        return UNTORN_E_ARGUMENT;
    ut_segment *segment = &inspection->segment;
    const ut_definition *definition = array->definition;
    memset(state, 0, sizeof *state);
    ut_definition_info(definition, &state->info);
    for (unsigned look = 1;; look++) {
        ut_header *header;
        ut_descriptor descriptor;
        bool damaged;
        walk w = {inspection, definition, &descriptor, {0}};
        untorn_status status =
            find_array(inspection, array, &header, &descriptor, w.cells, &damaged);
        if (status != UNTORN_OK)
            return status;
        flushed f;
        find_flushed(&w, header, &f);
        bool good = count_chunks(&w, &f, budget, state);
        count_growth(&w, header, state);
        state->memory += overhead(segment, header, definition, &descriptor);
        bool holds = ut_window_holds(header, descriptor.stamp);
        if (!holds && !damaged && look < UT_INSPECT_LOOKS)
            continue;
        if (holds && !good)
            ut_inspect_note(inspection, "array \"%s\": its chunk table is damaged",
                            definition->name);
        state->damaged = damaged || (holds && !good);
        state->overtaken = !holds && !damaged;
        memcpy(state->shape, descriptor.shape, definition->rank * sizeof *state->shape);
        state->generation = descriptor.stamp;
        state->oldest = ut_load_relaxed(&header->oldest);
        if (state->oldest == 0) /* nothing was reused yet */
            state->oldest = 1;
        uint64_t inherited = ut_load_relaxed(&header->inherited);
        state->inherited = inherited < state->generation ? inherited : state->generation;
        state->commit = descriptor.commit;
        state->data_commit = descriptor.data_commit;
        state->time = descriptor.time;
        state->chunks = descriptor.cells;
        look_back(segment, header, &descriptor, state);
        return UNTORN_OK;
    }
}

/* --- the chunk map --- */

typedef struct chunk_map {
    walk *w;
    const flushed *f;
    uint64_t first, last;
    unsigned char *states;
} chunk_map;

static bool map_chunk(void *context, const ut_table_cell *cell) {
    chunk_map *map = context;
    uint64_t begin = cell->number > map->first ? cell->number : map->first;
    uint64_t end = cell->span < map->last - cell->number ? cell->number + cell->span : map->last;
    unsigned char state = cell->place.ref & UT_REF_EVICTED ? UNTORN_CHUNK_EVICTED
                          : is_dirty(map->w, map->f, cell) ? UNTORN_CHUNK_DIRTY
                                                           : UNTORN_CHUNK_CLEAN;
    memset(map->states + (begin - map->first), state, end - begin);
    return true;
}

static bool map_chunks(walk *w, const flushed *f, uint64_t first, size_t count,
                       unsigned char *states) {
    chunk_map map = {w, f, first, first + count, states};
    memset(states, UNTORN_CHUNK_ABSENT, count);
    return !ut_inspect_table(w->inspection, w->descriptor, first, map.last, map_chunk, &map)
                .damaged;
}

untorn_status untorn_inspect_chunks(untorn_inspection *inspection, size_t i, uint64_t first,
                                    size_t count, unsigned char *states) {
    ut_inspected_array *array = ut_inspected(inspection, i);
    if (array == NULL || states == NULL)
        return UNTORN_E_ARGUMENT;
    for (unsigned look = 1;; look++) {
        ut_header *header;
        ut_descriptor descriptor;
        bool damaged;
        walk w = {inspection, array->definition, &descriptor, {0}};
        untorn_status status =
            find_array(inspection, array, &header, &descriptor, w.cells, &damaged);
        if (status != UNTORN_OK)
            return status;
        if (first > descriptor.cells || count > descriptor.cells - first)
            return ut_fail(UNTORN_E_REGION, "array \"%s\": it has %" PRIu64 " chunks",
                           array->definition->name, descriptor.cells);
        flushed f;
        find_flushed(&w, header, &f);
        bool good = map_chunks(&w, &f, first, count, states);
        bool holds = ut_window_holds(header, descriptor.stamp);
        if (holds && good)
            return UNTORN_OK;
        if (holds)
            return ut_fail(UNTORN_E_CORRUPT, "array \"%s\": its chunk table is damaged",
                           array->definition->name);
        if (look == UT_INSPECT_LOOKS)
            return ut_fail(UNTORN_E_OVERTAKEN, "array \"%s\": overtaken by the writer",
                           array->definition->name);
    }
}
