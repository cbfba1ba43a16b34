// SPDX-License-Identifier: MIT
/*
 * Eviction's policy: see eviction.h.
 *
 * A round looks at arrays in turn until it has found several times what is needed, and evicts the
 * oldest of that.  What is pinned is passed over: its slot would not become free.  So is what the
 * open transaction refers to, in its own slot or in place; what it gives up, by cutting it off or
 * by replacing it, goes first, for nobody will want it in memory again.
 *
 * The store's directory is listed once a round: what its newest snapshot is does not change so soon
 * that it would matter, and it is never deleted.
 *
 * A flush that is waited for may take long: it makes a link for each chunk that has not changed of
 * an array that has.  So it is given up only if it did nothing for a while, however long it takes.
 */
#include "store/eviction.h"

#include "array/grid.h"
#include "base/clock.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "store/flush_state.h"
#include "store/writer_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOWEST_DISK (UINT64_C(16) << 20) /* bytes per second that it is hoped to have */
#define ROUND_PART 16u                    /* of the segment, evicted at a time */
#define ENOUGH 4u                         /* times what a round needs is looked at */
#define LEAF_CHUNK (UINT64_C(4) << 10)    /* chunks below this go by the leaf */

#define THREADS 4u /* that bring chunks in */

int64_t ut_eviction_patience = INT64_C(10000000000);

struct ut_eviction {
    untorn_writer *writer;
    ut_read_through *read_through;
    ut_relief relief;
    uint32_t hand;   /* the next object to look at */
    uint64_t waited; /* commit up to which a flush was waited for */
    bool holding;    /* no flush runs or begins */
    bool looked;     /* at what the store has, in this round */
};

/* Clean chunks that go together. */
typedef struct candidate {
    uint32_t object;
    uint64_t age;   /* the highest version among them */
    uint64_t first; /* number of the first chunk */
    uint64_t end;   /* one past the last */
    uint64_t bytes;
} candidate;

typedef struct candidates {
    candidate *list;
    size_t count, capacity;
    uint64_t bytes;
} candidates;

/* One array being looked at. */
typedef struct looking {
    ut_eviction *eviction;
    const untorn_writer_array *array;
    ut_held_array *held;
    const ut_stored_array *stored;
    uint64_t cells[UNTORN_MAX_RANK]; /* of the grid that is committed */
    uint64_t *given_up;              /* slots, ascending, that the open transaction gives up */
    size_t given_up_count;
    uint64_t *numbers; /* of clean chunks, when they are collected */
    size_t count, capacity;
    candidates *all; /* else where candidates go */
    uint64_t dirty;  /* bytes */
} looking;

/* --- looking --- */

static int ascending(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static untorn_status find_given_up(looking *l) {
    const ut_object *object = l->array->object;
    if (!object->touched || object->dropped.count == 0)
        return UNTORN_OK;
    l->given_up = malloc(object->dropped.count * sizeof *l->given_up);
    if (l->given_up == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for an eviction");
    for (size_t i = 0; i < object->dropped.count; i++)
        l->given_up[i] = object->dropped.list[i].offset;
    l->given_up_count = object->dropped.count;
    qsort(l->given_up, l->given_up_count, sizeof *l->given_up, ascending);
    return UNTORN_OK;
}

/* l->stored is what the newest store snapshot has of the array; NULL: nothing that could be used.
 * Not in the store yet, or damaged there: nothing of the array is clean. */
static untorn_status begin_looking(looking *l) {
    ut_eviction *eviction = l->eviction;
    const untorn_writer *writer = eviction->writer;
    const ut_object *object = l->array->object;
    uint64_t flushed = ut_load_relaxed(&writer->segment.store->flushed_commit);
    ut_grid_cells(l->array->definition->rank, object->now.shape, l->array->definition->chunks,
                  l->cells);
    untorn_status status = (eviction->looked ? ut_read_through_find : ut_read_through_hold)(
        eviction->read_through, l->array->definition, object->now.data_commit, flushed, &l->held);
    if (status != UNTORN_OK) {
        l->held = NULL;
        return UNTORN_OK;
    }
    eviction->looked = true;
    l->stored = ut_held_stored(l->held);
    return find_given_up(l);
}

static void end_looking(looking *l) {
    if (l->held != NULL)
        ut_read_through_release(l->eviction->read_through, l->held);
    free(l->given_up);
    free(l->numbers);
}

/* --- what is clean --- */

static void index_of(const looking *l, uint64_t number, uint64_t *index) {
    for (unsigned axis = l->array->definition->rank; axis-- > 0;) {
        index[axis] = number % l->cells[axis];
        number /= l->cells[axis];
    }
}

/* Whether the newest store snapshot has the chunk as the last commit shows it. */
static bool is_stored(const looking *l, const uint64_t *index, uint64_t version) {
    const ut_definition *definition = l->array->definition;
    uint64_t visible[UNTORN_MAX_RANK];
    const ut_manifest_chunk *record = ut_stored_record(l->stored, index);
    if (record == NULL || (record->version != version && !UT_SEEDED(303)))
        return false;
    ut_chunk_extent(definition->rank, l->array->object->now.shape, definition->chunks, index,
                    visible);
    for (unsigned axis = 0; axis < definition->rank; axis++)
        if (record->extent[axis] != visible[axis] && !UT_SEEDED(303))
            return false;
    return true;
}

/* Whether the open transaction refers to the chunk: renumbered, sealed, or more or less of it is
 * visible. */
static bool is_in_use(const looking *l, uint64_t number, const uint64_t *index) {
    const ut_definition *definition = l->array->definition;
    const ut_object *object = l->array->object;
    uint64_t visible[UNTORN_MAX_RANK], open[UNTORN_MAX_RANK];
    if (object->touched &&
        (number >= object->keep || ut_changes_find(&object->changes, number) != NULL))
        return true;
    ut_chunk_extent(definition->rank, object->now.shape, definition->chunks, index, visible);
    ut_chunk_extent(definition->rank, l->array->shape, definition->chunks, index, open);
    return memcmp(open, visible, definition->rank * sizeof *open) != 0 && !UT_SEEDED(302);
}

static bool is_given_up(const looking *l, ut_place place) {
    uint64_t offset = ut_ref_offset(place.ref);
    return l->given_up_count != 0 &&
           bsearch(&offset, l->given_up, l->given_up_count, sizeof offset, ascending) != NULL;
}

/* Whether pins do not stand against evicting what was written with this version. */
static bool is_unpinned(const looking *l, uint64_t version) {
    const ut_publisher *publisher = &l->eviction->writer->publisher;
    const ut_grants *grants = &publisher->grants;
    if (!ut_grants_need(grants, version, UINT64_MAX))
        return true;
    /* The flusher's pin ends by itself, and no other need end before that. */
    bool flushing =
        grants->nonce[UT_FLUSHER_LINE] != 0 && version <= grants->commit[UT_FLUSHER_LINE];
    l->eviction->relief.pinned |= !flushing;
    return !flushing && publisher->pressing;
}

static untorn_status add_candidate(candidates *all, candidate one) {
    candidate *last = all->count != 0 ? &all->list[all->count - 1] : NULL;
    if (last != NULL && last->object == one.object && last->end == one.first &&
        one.first % UT_NODE_CELLS != 0 && one.bytes < LEAF_CHUNK) {
        last->end = one.end;
        last->bytes += one.bytes;
        if (one.age > last->age)
            last->age = one.age;
        all->bytes += one.bytes;
        return UNTORN_OK;
    }
    if (all->count == all->capacity) {
        size_t capacity = all->capacity != 0 ? all->capacity * 2 : 256;
        candidate *list = realloc(all->list, capacity * sizeof *list);
        if (list == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for an eviction");
        all->list = list;
        all->capacity = capacity;
    }
    all->list[all->count++] = one;
    all->bytes += one.bytes;
    return UNTORN_OK;
}

static untorn_status add_number(looking *l, uint64_t number) {
    if (l->count == l->capacity) {
        size_t capacity = l->capacity != 0 ? l->capacity * 2 : 64;
        uint64_t *numbers = realloc(l->numbers, capacity * sizeof *numbers);
        if (numbers == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for an eviction");
        l->numbers = numbers;
        l->capacity = capacity;
    }
    l->numbers[l->count++] = number;
    return UNTORN_OK;
}

static untorn_status visit(void *context, uint64_t number, ut_place place) {
    looking *l = context;
    uint64_t index[UNTORN_MAX_RANK];
    if (place.ref & UT_REF_EVICTED)
        return UNTORN_OK;
    index_of(l, number, index);
    bool given_up = is_given_up(l, place);
    if ((!given_up && is_in_use(l, number, index)) || !is_stored(l, index, place.version) ||
        !is_unpinned(l, place.version))
        return UNTORN_OK;
    if (l->all == NULL)
        return add_number(l, number);
    return add_candidate(l->all, (candidate){.object = l->array->object->index,
                                             .age = given_up ? 0 : place.version,
                                             .first = number,
                                             .end = number + 1,
                                             .bytes = l->array->definition->slot_bytes});
}

/* Visit chunks [first, end) that are in memory. */
static untorn_status look_at(looking *l, uint64_t first, uint64_t end) {
    return l->stored == NULL ? UNTORN_OK
                             : ut_table_walk_memory(&l->eviction->writer->publisher,
                                                    l->array->object, first, end, visit, l);
}

/* --- what is dirty --- */

static untorn_status visit_dirty(void *context, uint64_t number, ut_place place) {
    looking *l = context;
    uint64_t index[UNTORN_MAX_RANK];
    index_of(l, number, index);
    if (!(place.ref & UT_REF_EVICTED) && (l->stored == NULL || !is_stored(l, index, place.version)))
        l->dirty += ut_alloc_rounded(l->array->definition->slot_bytes);
    return UNTORN_OK;
}

/* --- a round --- */

static bool is_candidate(const untorn_writer_array *array) {
    return array != NULL && array->definition->kind == UT_KIND_ARRAY && !array->created &&
           !array->object->busy && !ut_object_is_free(array->object) &&
           array->object->now.root_ref != 0;
}

static int older(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->age != y->age)
        return (x->age < y->age) != UT_SEEDED(316) ? -1 : 1;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int by_place(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static untorn_status find_candidates(ut_eviction *eviction, uint64_t bytes, candidates *all) {
    untorn_writer *writer = eviction->writer;
    untorn_status status = UNTORN_OK;
    uint32_t count = writer->arrays_capacity;
    for (uint32_t i = 0; i < count && status == UNTORN_OK && all->bytes < bytes * ENOUGH; i++) {
        const untorn_writer_array *array = writer->arrays[eviction->hand++ % count];
        if (!is_candidate(array))
            continue;
        looking l = {.eviction = eviction, .array = array, .all = all};
        status = begin_looking(&l);
        if (status == UNTORN_OK)
            status = look_at(&l, 0, array->object->now.cells);
        end_looking(&l);
    }
    return status;
}

/* The candidates from `from` on that lie in one object, and not in too many nodes. */
static size_t run_length(const ut_publisher *publisher, const candidate *from, size_t count) {
    unsigned depth = ut_kind_depth(publisher->objects[from->object]->now.kind);
    /* The copies of that many the reserve has room for, and something is left of it. */
    uint64_t most = publisher->eviction_pages * (UT_PAGE / sizeof(ut_node)) * 3 / 4, nodes = depth;
    size_t n = 1;
    while (n < count && from[n].object == from->object) {
        uint64_t a = from[n - 1].first, b = from[n].first;
        for (unsigned level = 0; level < depth && (a >>= UT_NODE_SHIFT) != (b >>= UT_NODE_SHIFT);
             level++)
            nodes++;
        if (nodes > most)
            break;
        n++;
    }
    return n;
}

static untorn_status evict_run(ut_eviction *eviction, const candidate *run, size_t count) {
    untorn_writer *writer = eviction->writer;
    looking l = {.eviction = eviction, .array = writer->arrays[run->object]};
    untorn_status status = begin_looking(&l);
    for (size_t i = 0; i < count && status == UNTORN_OK; i++)
        status = look_at(&l, run[i].first, run[i].end);
    if (status == UNTORN_OK && l.count != 0)
        status = ut_evict(&writer->publisher, l.array->object, l.numbers, l.count);
    end_looking(&l);
    return status;
}

static bool evict(void *context, uint64_t bytes) {
    ut_eviction *eviction = context;
    untorn_writer *writer = eviction->writer;
    uint64_t part = writer->segment.super->size / ROUND_PART, before = writer->publisher.commit;
    if (bytes < part)
        bytes = part;
    candidates all = {0};
    eviction->relief.pinned = eviction->looked = false;
    ut_grants_look(&writer->publisher);
    untorn_status status = find_candidates(eviction, bytes, &all);
    if (status == UNTORN_OK && all.count != 0) {
        qsort(all.list, all.count, sizeof *all.list, older);
        size_t chosen = 0;
        for (uint64_t sum = 0; chosen < all.count && sum < bytes; chosen++)
            sum += all.list[chosen].bytes;
        qsort(all.list, chosen, sizeof *all.list, by_place);
        for (size_t i = 0; i < chosen && status == UNTORN_OK;) {
            size_t n = run_length(&writer->publisher, all.list + i, chosen - i);
            status = evict_run(eviction, all.list + i, n);
            ut_evict_reserve(&writer->publisher, UT_EVICTION_LEAST_PAGES);
            i += n;
        }
    }
    free(all.list);
    return writer->publisher.commit != before;
}

static uint64_t dirty(void *context) {
    ut_eviction *eviction = context;
    const untorn_writer *writer = eviction->writer;
    uint64_t bytes = 0;
    eviction->looked = false;
    for (uint32_t i = 0; i < writer->arrays_capacity; i++) {
        if (!is_candidate(writer->arrays[i]))
            continue;
        looking l = {.eviction = eviction, .array = writer->arrays[i]};
        if (begin_looking(&l) == UNTORN_OK)
            ut_table_walk_memory(&eviction->writer->publisher, l.array->object, 0,
                                 l.array->object->now.cells, visit_dirty, &l);
        bytes += l.dirty;
        end_looking(&l);
    }
    return bytes;
}

/* --- waiting for a flush --- */

static ut_flusher *flusher_of(const ut_eviction *eviction) {
    const ut_writer_store *attached = eviction->writer->store;
    return attached->flusher;
}

/* Waiting for a flush for as long as it moves. */
typedef struct waiting {
    uint64_t seen; /* of its progress */
    int64_t until; /* it has to do something */
} waiting;

static int64_t patience(const ut_eviction *eviction) {
    return ut_eviction_patience +
           (int64_t)(eviction->writer->segment.super->size / SLOWEST_DISK) * INT64_C(1000000000);
}

static waiting begin_waiting(const ut_eviction *eviction) {
    return (waiting){ut_flusher_progress(flusher_of(eviction)),
                     ut_clock_monotonic() + patience(eviction)};
}

/* False: it did nothing for too long. */
static bool is_worth_waiting(const ut_eviction *eviction, waiting *w) {
    uint64_t progress = ut_flusher_progress(flusher_of(eviction));
    int64_t now = ut_clock_monotonic();
    if (progress != w->seen)
        *w = (waiting){progress, now + patience(eviction)};
    return now < w->until;
}

/* Have what was committed flushed.  False: the message says why it cannot be. */
static bool flush_all(const ut_eviction *eviction, uint64_t changed) {
    ut_segment *segment = &eviction->writer->segment;
    waiting w = begin_waiting(eviction);
    ut_flush_wish wish;
    ut_flush_ask(segment, changed, &wish);
    for (;;) {
        uint32_t ended = ut_flush_ended(segment);
        untorn_status status;
        if (ut_flush_answered(segment, &wish, NULL, &status))
            return status == UNTORN_OK;
        if (!is_worth_waiting(eviction, &w))
            return false;
        ut_flush_sleep(segment, ended, w.until - ut_clock_monotonic());
    }
}

/* Have no flush run, and none begin. */
static bool hold_flusher(const ut_eviction *eviction) {
    waiting w = begin_waiting(eviction);
    while (!ut_flusher_hold(flusher_of(eviction), w.until))
        if (!is_worth_waiting(eviction, &w))
            return false;
    return true;
}

/* First without the pin of the flush that may be running; then with all of it in the store. */
static bool wait_for_flush(void *context) {
    ut_eviction *eviction = context;
    ut_flusher *flusher = flusher_of(eviction);
    if (flusher == NULL)
        return false;
    uint64_t changed = ut_load_relaxed(&eviction->writer->changed);
    ut_fail(UNTORN_E_NO_SPACE, "a flush has done nothing for %" PRId64 " s",
            patience(eviction) / INT64_C(1000000000));
    if (eviction->holding) {
        ut_flusher_release(flusher);
        eviction->holding = false;
        if (eviction->waited >= changed) {
            ut_fail(UNTORN_E_NO_SPACE, "all that was committed is in the store already");
            return false;
        }
        if (!flush_all(eviction, changed))
            return false;
        eviction->waited = changed;
    }
    eviction->holding = hold_flusher(eviction);
    return eviction->holding;
}

static void end_waiting(void *context) {
    ut_eviction *eviction = context;
    if (eviction->holding)
        ut_flusher_release(flusher_of(eviction));
    eviction->holding = false;
}

/* --- using what was evicted --- */

/* The first record with number >= first. */
static uint64_t lower_bound(const ut_manifest_array *manifest, uint64_t first) {
    uint64_t low = 0, high = manifest->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (ut_manifest_chunk_at(manifest, middle)->number < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static untorn_status next(void *context, const ut_object *object, ut_place place, uint64_t first,
                          uint64_t end, uint64_t *number, uint64_t *version) {
    ut_eviction *eviction = context;
    const untorn_writer_array *array = eviction->writer->arrays[object->index];
    ut_held_array *held;
    *version = 0;
    untorn_status status = ut_read_through_find(eviction->read_through, array->definition,
                                                object->now.data_commit, place.version, &held);
    if (status != UNTORN_OK)
        return ut_fail(UNTORN_E_CORRUPT, "%s", untorn_message());
    const ut_manifest_array *manifest = &ut_held_stored(held)->manifest;
    uint64_t i = lower_bound(manifest, first);
    if (i < manifest->count) {
        const ut_manifest_chunk *record = ut_manifest_chunk_at(manifest, i);
        if (record->number < end) {
            *number = record->number;
            *version = record->version;
        }
    }
    ut_read_through_release(eviction->read_through, held);
    return UNTORN_OK;
}

typedef struct taking {
    void *memory;
    size_t bytes;
    bool present;
} taking;

static void take(void *context, size_t i, const void *memory) {
    taking *t = context;
    (void)i;
    t->present = memory != NULL;
    if (memory != NULL)
        ut_racy_copy(t->memory, memory, t->bytes);
}

static untorn_status fetch(untorn_writer *writer, const ut_wanted *wanted, void *memory) {
    const ut_writer_store *attached = writer->store;
    taking t = {memory, wanted->definition->slot_bytes, false};
    untorn_status status =
        ut_read_through_fetch(attached->eviction->read_through, wanted, 1, take, &t);
    if (status == UNTORN_OK && !t.present)
        return ut_fail(UNTORN_E_CORRUPT, "%s: array \"%s\": a chunk is not in the store",
                       writer->segment.message_name, wanted->definition->name);
    if (status == UNTORN_E_OVERTAKEN) /* there is nothing newer than what the writer has */
        status = UNTORN_E_CORRUPT;
    return status == UNTORN_OK
               ? status
               : ut_fail(status, "%s: array \"%s\": %s", writer->segment.message_name,
                         wanted->definition->name, untorn_message());
}

untorn_status ut_eviction_start(untorn_writer *writer, const char *store_path, ut_eviction **out) {
    ut_eviction *eviction = calloc(1, sizeof *eviction);
    if (eviction == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", writer->segment.message_name);
    untorn_status status = ut_read_through_open(store_path, 0, THREADS, &eviction->read_through);
    if (status != UNTORN_OK) {
        free(eviction);
        return status;
    }
    ut_read_through_own(eviction->read_through, writer->segment.super);
    eviction->writer = writer;
    eviction->relief =
        (ut_relief){eviction, false, evict, wait_for_flush, end_waiting, dirty, next};
    writer->fetch = fetch;
    writer->publisher.relief = &eviction->relief;
    ut_evict_reserve(&writer->publisher, UT_EVICTION_PAGES);
    *out = eviction;
    return UNTORN_OK;
}

ut_read_through *ut_eviction_read_through(ut_eviction *eviction) {
    return eviction->read_through;
}

void ut_eviction_stop(ut_eviction *eviction) {
    if (eviction == NULL)
        return;
    ut_read_through_close(eviction->read_through);
    free(eviction);
}
