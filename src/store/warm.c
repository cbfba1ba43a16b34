// SPDX-License-Identifier: MIT
/*
 * Warming a segment: chunks that are only in the store come into free memory, a batch at a time.
 *
 * A batch is read and decompressed by several threads straight into the slots that it will have,
 * and then gets its cells in one commit.
 */
#include "base/racy_copy.h"
#include "base/status.h"
#include "array/grid.h"
#include "store/writer_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_CHUNKS 256u
#define BATCH_BYTES (UINT64_C(64) << 20)

/* The chunks of one array that are only in the store. */
typedef struct cold {
    uint64_t *numbers;
    uint64_t *versions;
    size_t count, capacity;
} cold;

typedef struct warming {
    untorn_writer *writer;
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
    uint64_t done, total;
    bool full; /* no free memory any more */
} warming;

static untorn_status collect(void *context, uint64_t number, ut_place place) {
    cold *all = context;
    if (!(place.ref & UT_REF_EVICTED))
        return UNTORN_OK;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity != 0 ? all->capacity * 2 : 256;
        uint64_t *numbers = realloc(all->numbers, capacity * sizeof *numbers);
        if (numbers != NULL)
            all->numbers = numbers;
        uint64_t *versions = realloc(all->versions, capacity * sizeof *versions);
        if (versions != NULL)
            all->versions = versions;
        if (numbers == NULL || versions == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %zu chunks", capacity);
        all->capacity = capacity;
    }
    all->numbers[all->count] = number;
    all->versions[all->count++] = place.version;
    return UNTORN_OK;
}

static untorn_status find_cold(const warming *w, const ut_object *object, cold *all) {
    memset(all, 0, sizeof *all);
    return ut_table_walk(&w->writer->publisher, object, 0, object->now.cells, collect, all);
}

static void free_cold(cold *all) {
    free(all->numbers);
    free(all->versions);
}

/* Chunks on their way into their slots. */
typedef struct batch {
    unsigned char *base;
    ut_wanted wanted[BATCH_CHUNKS];
    uint64_t offsets[BATCH_CHUNKS];
    uint64_t bytes; /* of a slot */
    size_t count;
    _Atomic bool absent;
} batch;

static void take(void *context, size_t i, const void *memory) {
    batch *b = context;
    if (memory == NULL)
        ut_store_relaxed(&b->absent, true);
    else
        ut_racy_copy(b->base + b->offsets[i], memory, b->bytes);
}

/* Slots for the chunks from `first` on, as far as there is free memory. */
static void take_slots(warming *w, const untorn_writer_array *array, const cold *all, size_t first,
                       batch *b) {
    const ut_definition *definition = array->definition;
    size_t most = definition->slot_bytes * BATCH_CHUNKS > BATCH_BYTES
                      ? (size_t)(BATCH_BYTES / definition->slot_bytes) + 1
                      : BATCH_CHUNKS;
    b->count = 0;
    while (b->count < most && first + b->count < all->count) {
        uint64_t offset = ut_space_take_free(&w->writer->publisher, definition->slot_bytes);
        if (offset == 0) {
            w->full = true;
            return;
        }
        ut_wanted *wanted = &b->wanted[b->count];
        uint64_t number = all->numbers[first + b->count];
        for (unsigned axis = definition->rank; axis-- > 0;) {
            wanted->index[axis] = number % array->cells[axis];
            number /= array->cells[axis];
        }
        wanted->definition = definition;
        wanted->data_commit = array->object->now.data_commit;
        wanted->place = (ut_place){UT_REF_EVICTED, all->versions[first + b->count]};
        ut_chunk_extent(definition->rank, array->shape, definition->chunks, wanted->index,
                        wanted->extent);
        b->offsets[b->count++] = offset;
    }
}

static untorn_status warm_batch(warming *w, const untorn_writer_array *array,
                                const uint64_t *numbers, batch *b) {
    ut_publisher *publisher = &w->writer->publisher;
    const ut_writer_store *attached = w->writer->store;
    untorn_status status = ut_read_through_fetch(ut_eviction_read_through(attached->eviction),
                                                 b->wanted, b->count, take, b);
    if (status == UNTORN_OK && ut_load_relaxed(&b->absent))
        status = ut_fail(UNTORN_E_CORRUPT, "%s: array \"%s\": a chunk is not in the store",
                         w->writer->segment.message_name, array->definition->name);
    if (status == UNTORN_OK)
        status = ut_bring_in(publisher, array->object, numbers, b->offsets, b->count);
    if (status != UNTORN_OK)
        for (size_t i = 0; i < b->count; i++)
            ut_space_give(publisher, b->offsets[i], b->bytes);
    /* No room for the table's nodes is no failure of what was asked for. */
    if (status == UNTORN_E_NO_SPACE) {
        w->full = true;
        return UNTORN_OK;
    }
    return status == UNTORN_E_OVERTAKEN ? UNTORN_E_CORRUPT : status;
}

static untorn_status warm_array(warming *w, const untorn_writer_array *array, batch *b) {
    cold all;
    untorn_status status = find_cold(w, array->object, &all);
    b->base = w->writer->segment.base;
    b->bytes = array->definition->slot_bytes;
    for (size_t i = 0; i < all.count && !w->full && status == UNTORN_OK; i += b->count) {
        take_slots(w, array, &all, i, b);
        if (b->count == 0)
            break;
        status = warm_batch(w, array, all.numbers + i, b);
        w->done += b->count * b->bytes;
        if (w->progress != NULL && status == UNTORN_OK)
            w->progress(w->context, w->done, w->total);
    }
    free_cold(&all);
    return status;
}

static const untorn_writer_array *array_at(const untorn_writer *writer, uint32_t i) {
    const untorn_writer_array *array = writer->arrays[i];
    return array != NULL && array->definition->kind == UT_KIND_ARRAY ? array : NULL;
}

untorn_status untorn_warm(untorn_writer *writer,
                          void (*progress)(void *context, uint64_t done, uint64_t total),
                          void *context) {
    untorn_status status = ut_writer_usable(writer);
    if (status != UNTORN_OK)
        return status;
    if (writer->touched != NULL)
        return ut_fail(UNTORN_E_STATE, "%s: warm: a transaction is open",
                       writer->segment.message_name);
    if (writer->store == NULL)
        return UNTORN_OK; /* all there is is in memory */
    batch *b = calloc(1, sizeof *b);
    if (b == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", writer->segment.message_name);
    warming w = {.writer = writer, .progress = progress, .context = context};
    for (uint32_t i = 0; i < writer->arrays_capacity && status == UNTORN_OK; i++) {
        const untorn_writer_array *array = array_at(writer, i);
        cold all = {0};
        if (array != NULL)
            status = find_cold(&w, array->object, &all);
        w.total += all.count * (array != NULL ? array->definition->slot_bytes : 0);
        free_cold(&all);
    }
    for (uint32_t i = 0; i < writer->arrays_capacity && !w.full && status == UNTORN_OK; i++) {
        const untorn_writer_array *array = array_at(writer, i);
        if (array != NULL)
            status = warm_array(&w, array, b);
    }
    free(b);
    return status;
}
