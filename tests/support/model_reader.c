// SPDX-License-Identifier: MIT
/* A reader's answers compared with a model: see model_reader.h. */
#include "model_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/racy_copy.h"
#include "model_script.h"
#include "must.h"

void model_reader_open(struct model_reader *reader, const char *segment, unsigned flags) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = flags;
    *reader = (struct model_reader){0};
    must_ok(untorn_reader_open(segment, &options, &reader->reader));
}

void model_reader_close(struct model_reader *reader) {
    untorn_reader_close(reader->reader);
    for (unsigned i = 0; i < reader->count; i++)
        model_hold(&reader->handles[i].at, NULL);
    *reader = (struct model_reader){0};
}

static void drop_handle(struct model_reader *reader, unsigned i) {
    untorn_array_close(reader->handles[i].array);
    model_hold(&reader->handles[i].at, NULL);
    reader->handles[i] = reader->handles[--reader->count];
}

static struct model_handle *handle_of(struct model_reader *reader,
                                      const struct model_array *array) {
    for (unsigned i = 0; i < reader->count; i++)
        if (reader->handles[i].uid == array->uid)
            return &reader->handles[i];
    if (reader->count == 2 * MODEL_ARRAYS)
        drop_handle(reader, 0);
    struct model_handle *handle = &reader->handles[reader->count++];
    *handle = (struct model_handle){.uid = array->uid};
    must_ok(untorn_array_open(reader->reader, array->name, &handle->array));
    return handle;
}

// A buffer of exactly this size, so that AddressSanitizer sees a byte too much.
static unsigned char *buffer_of(size_t size) {
    unsigned char *buffer = malloc(size);
    must(buffer || size == 0, "malloc");
    if (size)
        memset(buffer, 0xa5, size);
    return buffer;
}

static void compare(const struct model_array *array, const uint64_t *start, const uint64_t *count,
                    const unsigned char *got, const char *how) {
    size_t size = (size_t)model_elements(array->rank, count) * array->itemsize;
    unsigned char *wanted = buffer_of(size);
    model_read(array, start, count, wanted);
    for (size_t i = 0; i < size; i++)
        must(got[i] == wanted[i],
             "%s of %s (%s, rank %u): byte %zu of %zu is %02x, wanted %02x (before it: %d)", how,
             array->name, array->dtype, array->rank, i, size, got[i], wanted[i],
             i ? got[i - 1] : -1);
    free(wanted);
}

static void compare_shape(const struct model_array *array, unsigned rank, const uint64_t *shape) {
    must(rank == array->rank, "%s: rank %u", array->name, rank);
    for (unsigned i = 0; i < rank; i++)
        must(shape[i] == array->shape[i], "%s: axis %u has length %llu, wanted %llu", array->name,
             i, (unsigned long long)shape[i], (unsigned long long)array->shape[i]);
}

static void compare_attributes(const struct model_array *array, const char *json) {
    const char *wanted = array->attributes[0] ? array->attributes : "{}";
    must(json && strcmp(json, wanted) == 0, "%s: attributes %s, wanted %s", array->name,
         json ? json : "NULL", wanted);
}

static void compare_info(const struct model_array *array, const untorn_array_info *info) {
    must(strcmp(info->name, array->name) == 0, "name %s", info->name);
    must(info->itemsize == array->itemsize && info->rank == array->rank, "%s: info", array->name);
    size_t size = 0;
    must_ok(untorn_dtype_size(info->dtype, &size));
    must(size == array->itemsize, "%s: dtype %s", array->name, info->dtype);
    must(memcmp(info->chunks, array->chunks, info->rank * sizeof(uint64_t)) == 0, "%s: chunks",
         array->name);
    must(memcmp(info->fill, array->fill, array->itemsize) == 0, "%s: fill", array->name);
    must(strcmp(info->codec, array->rank == 2 ? "none" : "lz4") == 0, "codec %s", info->codec);
    for (unsigned i = 0; i < info->rank; i++) {
        const char *name = info->dimension_names ? info->dimension_names[i] : NULL;
        int named = array->dimension_names & 256u && (array->dimension_names >> i & 1);
        must(named ? name && strcmp(name, script_dimension_names[i]) == 0 : name == NULL,
             "%s: axis %u is named %s", array->name, i, name ? name : "NULL");
    }
}

// Generations and commits of one handle: never back; the same content under the same numbers.
static void note(const struct model_reader *reader, struct model_handle *handle,
                 const struct model_array *array, const untorn_result *result) {
    must(result->generation >= handle->generation, "%s: generation steps back", array->name);
    must(result->commit >= handle->commit, "%s: commit steps back", array->name);
    if (handle->at == array && !reader->evicting)
        must(result->commit == handle->commit && result->generation == handle->generation,
             "%s: published anew without a change: generation %llu -> %llu", array->name,
             (unsigned long long)handle->generation, (unsigned long long)result->generation);
    else if (handle->at && model_differs(handle->at, array))
        must(result->commit > handle->commit && result->generation > handle->generation,
             "%s: changed without a new generation", array->name);
    model_hold(&handle->at, array);
    handle->generation = result->generation;
    handle->commit = result->commit;
}

static void random_region(const struct model_array *array, struct test_rng *rng, uint64_t *start,
                          uint64_t *count) {
    int whole = rng_chance(rng, 20);
    for (unsigned i = 0; i < array->rank; i++) {
        start[i] = whole ? 0 : rng_range(rng, 0, array->shape[i]);
        count[i] = whole ? array->shape[i] : rng_range(rng, 0, array->shape[i] - start[i]);
    }
}

static void check_whole(struct model_reader *reader, const struct model_array *array) {
    struct model_handle *handle = handle_of(reader, array);
    static const uint64_t zeros[MODEL_RANK];
    size_t size = model_size(array);
    unsigned char *got = buffer_of(size);
    untorn_result result;
    must_ok(untorn_read(handle->array, NULL, NULL, got, size, &result));
    compare_shape(array, result.rank, result.shape);
    compare(array, zeros, array->shape, got, "read of the whole");
    must(result.attempts >= 1 && result.time > 0, "result");
    note(reader, handle, array, &result);
    free(got);
    reader->reads++;
}

static void check_region(struct model_reader *reader, const struct model_array *array,
                         struct test_rng *rng) {
    struct model_handle *handle = handle_of(reader, array);
    uint64_t start[MODEL_RANK];
    uint64_t count[MODEL_RANK];
    uint64_t asked[MODEL_RANK];
    random_region(array, rng, start, count);
    for (unsigned i = 0; i < array->rank; i++) {
        int to_end = start[i] + count[i] == array->shape[i];
        asked[i] = to_end && rng_chance(rng, 50) ? UNTORN_TO_END : count[i];
    }
    size_t size = (size_t)model_elements(array->rank, count) * array->itemsize;
    unsigned char *got = buffer_of(size);
    untorn_result result;
    must_ok(untorn_read(handle->array, start, asked, got, size, &result));
    compare_shape(array, result.rank, result.shape);
    compare(array, start, count, got, "read of a region");
    note(reader, handle, array, &result);
    if (size) {
        untorn_result refused = {0};
        must_be(UNTORN_E_BUFFER_TOO_SMALL,
                untorn_read(handle->array, start, asked, got, size - 1, &refused));
        compare_shape(array, refused.rank, refused.shape);
    }
    if (array->rank) {
        untorn_result refused = {0};
        asked[0] = array->shape[0] - start[0] + 1;
        must_be(UNTORN_E_REGION, untorn_read(handle->array, start, asked, got, size, &refused));
        compare_shape(array, refused.rank, refused.shape);
    }
    free(got);
    reader->reads++;
}

static void check_small_things(struct model_reader *reader, const struct model_array *array) {
    struct model_handle *handle = handle_of(reader, array);
    untorn_result result;
    untorn_array_info info;
    char *json = NULL;
    must_ok(untorn_peek(handle->array, &result));
    compare_shape(array, result.rank, result.shape);
    note(reader, handle, array, &result);
    must_ok(untorn_attributes(handle->array, &json, &result));
    compare_attributes(array, json);
    free(json);
    must_ok(untorn_array_get_info(handle->array, &info));
    compare_info(array, &info);
    must_be(UNTORN_E_TIMEOUT, untorn_wait(handle->array, handle->generation, 0));
    if (!reader->evicting)
        must_ok(untorn_wait(handle->array, handle->generation - 1, 0));
}

// Handles of arrays that are gone say so, and are closed.
static void check_gone(struct model_reader *reader, const struct model_state *state) {
    for (unsigned i = 0; i < reader->count; i++) {
        int lives = 0;
        for (unsigned j = 0; j < state->count; j++)
            lives |= state->arrays[j]->uid == reader->handles[i].uid;
        if (lives)
            continue;
        untorn_array *array = reader->handles[i].array;
        unsigned char item[MODEL_ITEM];
        must_be(UNTORN_E_ARRAY_DELETED, untorn_read(array, NULL, NULL, item, 0, NULL));
        must_be(UNTORN_E_ARRAY_DELETED, untorn_peek(array, &(untorn_result){0}));
        drop_handle(reader, i--);
    }
}

static const untorn_entry *listed(const untorn_listing *listing, const char *name) {
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->entries[i].name, name) == 0)
            return &listing->entries[i];
    return NULL;
}

static void must_list(const untorn_listing *listing, const char *name, untorn_kind kind) {
    const untorn_entry *entry = listed(listing, name);
    must(entry && entry->kind == kind, "%s is %s in the listing", name,
         entry ? "of another kind" : "not");
}

static void check_listing(struct model_reader *reader, const struct model_state *state) {
    untorn_listing *listing = NULL;
    must_ok(untorn_list(reader->reader, &listing));
    size_t arrays = 0;
    for (size_t i = 0; i < listing->count; i++) {
        arrays += listing->entries[i].kind == UNTORN_KIND_ARRAY;
        must(i == 0 || strcmp(listing->entries[i - 1].name, listing->entries[i].name) < 0,
             "the listing is not sorted");
    }
    must(arrays == state->count, "%zu arrays in the listing, wanted %u", arrays, state->count);
    for (unsigned i = 0; i < state->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s", state->arrays[i]->name);
        must_list(listing, name, UNTORN_KIND_ARRAY);
        for (char *slash; (slash = strrchr(name, '/'));) {
            *slash = '\0';
            must_list(listing, name, UNTORN_KIND_GROUP);
        }
    }
    for (unsigned i = 0; i < state->group_count; i++)
        if (state->groups[i].name[0])
            must_list(listing, state->groups[i].name, UNTORN_KIND_GROUP);
    must(listing->commit <= untorn_reader_commit(reader->reader), "the listing's commit");
    untorn_listing_free(listing);
}

static void check_groups(struct model_reader *reader, const struct model_state *state) {
    for (unsigned i = 0; i < state->group_count; i++) {
        char *json = NULL;
        const char *wanted = state->groups[i].attributes;
        must_ok(untorn_group_attributes(reader->reader, state->groups[i].name, &json));
        must(strcmp(json, wanted[0] ? wanted : "{}") == 0, "group %s: %s, wanted %s",
             state->groups[i].name, json, wanted);
        free(json);
    }
    char *json = NULL;
    must_be(UNTORN_E_NO_ARRAY, untorn_group_attributes(reader->reader, "no/group", &json));
}

void model_check_all(struct model_reader *reader, const struct model_state *state,
                     struct test_rng *rng) {
    check_gone(reader, state);
    check_listing(reader, state);
    check_groups(reader, state);
    for (unsigned i = 0; i < state->count; i++) {
        check_whole(reader, state->arrays[i]);
        check_small_things(reader, state->arrays[i]);
        check_region(reader, state->arrays[i], rng);
    }
}

void model_check_some(struct model_reader *reader, const struct model_state *state,
                      struct test_rng *rng) {
    if (state->count == 0)
        return;
    const struct model_array *array = state->arrays[rng_below(rng, state->count)];
    if (rng_chance(rng, 50))
        check_region(reader, array, rng);
    else
        check_whole(reader, array);
    if (rng_chance(rng, 10))
        check_small_things(reader, array);
}

/* ---- group reads ---- */

struct group_part {
    const struct model_array *array;
    uint64_t start[MODEL_RANK];
    uint64_t count[MODEL_RANK]; // of what is taken
    uint64_t steps[MODEL_RANK]; // all 1 if there are none
    int64_t strides[MODEL_RANK];
    unsigned char *buffer;
    char *attributes;
    size_t size;
};

// Give the destination strides: the axes in reverse, each with a gap.
static size_t reversed_strides(struct group_part *part) {
    size_t size = part->array->itemsize;
    for (unsigned i = 0; i < part->array->rank; i++) {
        part->strides[i] = (int64_t)size + 3;
        if (part->count[i])
            size += (size_t)part->strides[i] * (size_t)(part->count[i] - 1);
    }
    return size;
}

// Some of the random region along each axis, in place of all of it.
static void random_steps(struct group_part *part, int stepped, struct test_rng *rng) {
    for (unsigned i = 0; i < part->array->rank; i++) {
        part->steps[i] = stepped ? rng_range(rng, 1, rng_chance(rng, 80) ? 5 : 50) : 1;
        part->count[i] = (part->count[i] + part->steps[i] - 1) / part->steps[i];
    }
}

// A random request for the array, which `view` may be a handle of.
static void prepare_part(struct group_part *part, untorn_request *request,
                         const struct model_array *array, untorn_array *view,
                         struct test_rng *rng) {
    *part = (struct group_part){.array = array};
    random_region(array, rng, part->start, part->count);
    int stepped = rng_chance(rng, 50);
    random_steps(part, stepped, rng);
    part->size = (size_t)model_elements(array->rank, part->count) * array->itemsize;
    int strided = rng_chance(rng, 30) && part->size;
    if (strided)
        part->size = reversed_strides(part);
    *request = (untorn_request){.array = view,
                                .start = part->start,
                                .count = part->count,
                                .steps = stepped ? part->steps : NULL};
    if (strided) {
        request->strides = part->strides;
        request->destination = part->buffer = buffer_of(part->size);
        request->capacity = part->size;
    } else if (rng_chance(rng, 50)) {
        request->flags = UNTORN_GROW;
        if (rng_chance(rng, 50)) {
            request->destination = malloc(5);
            request->capacity = 5;
        }
    } else {
        request->destination = part->buffer = buffer_of(part->size);
        request->capacity = part->size;
    }
    if (rng_chance(rng, 50))
        request->attributes = &part->attributes;
}

// Every element that was taken, wherever it went.
static void compare_part(const struct group_part *part, const unsigned char *got,
                         const int64_t *strides) {
    const struct model_array *array = part->array;
    uint64_t taken[MODEL_RANK] = {0}, index[MODEL_RANK];
    if (model_elements(array->rank, part->count) == 0)
        return;
    do {
        const unsigned char *at = got;
        for (unsigned i = 0; i < array->rank; i++) {
            index[i] = part->start[i] + taken[i] * part->steps[i];
            at += (int64_t)taken[i] * strides[i];
        }
        must(memcmp(at, model_at(array, index), array->itemsize) == 0,
             "group read of %s (%s, rank %u): an element is another", array->name, array->dtype,
             array->rank);
    } while (model_step(array->rank, part->count, taken));
}

static void drop_part(struct group_part *part, const untorn_request *request) {
    free(part->attributes);
    free(request->destination);
}

static void check_part(struct group_part *part, const untorn_request *request) {
    const struct model_array *array = part->array;
    int64_t dense[MODEL_RANK], size = (int64_t)array->itemsize;
    compare_shape(array, array->rank, request->shape);
    for (unsigned i = array->rank; i-- > 0;) {
        must(request->counted[i] == part->count[i], "%s: counted", array->name);
        dense[i] = size;
        size *= (int64_t)part->count[i];
    }
    compare_part(part, request->destination, request->strides ? part->strides : dense);
    if (request->attributes)
        compare_attributes(array, part->attributes);
    drop_part(part, request);
}

void model_check_group(struct model_reader *reader, const struct model_state *state,
                       struct test_rng *rng) {
    struct group_part parts[MODEL_ARRAYS];
    untorn_request requests[MODEL_ARRAYS];
    if (state->count == 0)
        return;
    size_t count = (size_t)rng_range(rng, 1, MODEL_ARRAYS / 2);
    for (size_t i = 0; i < count; i++) {
        const struct model_array *array = state->arrays[rng_below(rng, state->count)];
        prepare_part(&parts[i], &requests[i], array, handle_of(reader, array)->array, rng);
    }
    untorn_result result;
    must_ok(untorn_read_group(reader->reader, requests, count, &result));
    must(result.generation == requests[0].generation, "the first's generation");
    must(result.commit == untorn_reader_commit(reader->reader), "the commit of the whole");
    for (size_t i = 0; i < count; i++) {
        must(requests[i].commit <= result.commit, "a part's commit");
        check_part(&parts[i], &requests[i]);
    }
    reader->reads++;
}

/* ---- snapshots ---- */

static int still_valid(untorn_status status) {
    if (status == UNTORN_E_OVERTAKEN)
        return 0;
    test_must_status(__FILE__, __LINE__, "a snapshot's call", status, UNTORN_OK);
    return 1;
}

// One random chunk without a copy.  0: overtaken.
static int check_chunk(untorn_snapshot *snapshot, size_t i, const struct model_array *array,
                       struct test_rng *rng) {
    uint64_t index[MODEL_RANK];
    uint64_t start[MODEL_RANK];
    uint64_t count[MODEL_RANK];
    int64_t stride = (int64_t)array->itemsize;
    int64_t strides[MODEL_RANK];
    for (unsigned axis = array->rank; axis-- > 0;) {
        uint64_t grid = (array->shape[axis] + array->chunks[axis] - 1) / array->chunks[axis];
        if (grid == 0)
            return 1;
        index[axis] = rng_below(rng, grid);
        start[axis] = index[axis] * array->chunks[axis];
        uint64_t left = array->shape[axis] - start[axis];
        count[axis] = left < array->chunks[axis] ? left : array->chunks[axis];
        strides[axis] = stride;
        stride *= (int64_t)array->chunks[axis];
    }
    const void *memory = NULL;
    untorn_status status = untorn_snapshot_chunk(snapshot, i, index, &memory);
    if (status != UNTORN_E_ABSENT && !still_valid(status))
        return 0;
    size_t size = (size_t)model_elements(array->rank, count) * array->itemsize;
    unsigned char *dense = buffer_of(size);
    unsigned char *to = dense;
    uint64_t inner[MODEL_RANK] = {0};
    do {
        const unsigned char *from = memory;
        for (unsigned axis = 0; from && axis < array->rank; axis++)
            from += (int64_t)inner[axis] * strides[axis];
        if (status == UNTORN_OK)
            ut_racy_copy(to, from, array->itemsize);
        else
            memcpy(to, array->fill, array->itemsize);
        to += array->itemsize;
    } while (model_step(array->rank, count, inner));
    int valid = still_valid(untorn_snapshot_check(snapshot));
    if (valid)
        compare(array, start, count, dense, "chunk of a snapshot");
    free(dense);
    return valid;
}

static int check_snapshot_array(untorn_snapshot *snapshot, size_t i,
                                const struct model_array *array, struct test_rng *rng) {
    static const uint64_t zeros[MODEL_RANK];
    untorn_result result;
    if (!still_valid(untorn_snapshot_describe(snapshot, i, NULL, &result)))
        return 0;
    compare_shape(array, result.rank, result.shape);
    must(result.commit <= untorn_snapshot_commit(snapshot), "a snapshot's array is newer than it");
    size_t size = model_size(array);
    unsigned char *got = buffer_of(size);
    int valid = still_valid(untorn_snapshot_read(snapshot, i, NULL, NULL, got, size));
    if (valid)
        compare(array, zeros, array->shape, got, "read of a snapshot");
    uint64_t start[MODEL_RANK];
    uint64_t count[MODEL_RANK];
    random_region(array, rng, start, count);
    valid = valid && still_valid(untorn_snapshot_read(snapshot, i, start, count, got, size));
    if (valid)
        compare(array, start, count, got, "read of a snapshot's region");
    free(got);
    char *json = NULL;
    valid = valid && still_valid(untorn_snapshot_attributes(snapshot, i, &json));
    if (valid)
        compare_attributes(array, json);
    free(json);
    return valid && check_chunk(snapshot, i, array, rng);
}

// Several requests at once, for arrays at random places.
static int check_snapshot_group(untorn_snapshot *snapshot, const struct model_state *state,
                                struct test_rng *rng) {
    struct group_part parts[MODEL_ARRAYS];
    untorn_request requests[MODEL_ARRAYS];
    size_t places[MODEL_ARRAYS];
    if (state->count == 0)
        return 1;
    size_t count = (size_t)rng_range(rng, 1, MODEL_ARRAYS / 2);
    for (size_t i = 0; i < count; i++) {
        untorn_array_info info;
        places[i] = (size_t)rng_below(rng, state->count);
        must_ok(untorn_snapshot_describe(snapshot, places[i], &info, NULL));
        prepare_part(&parts[i], &requests[i], model_find(state, info.name), NULL, rng);
    }
    int valid = still_valid(untorn_snapshot_read_group(snapshot, places, requests, count));
    for (size_t i = 0; i < count; i++)
        if (valid)
            check_part(&parts[i], &requests[i]);
        else
            drop_part(&parts[i], &requests[i]);
    return valid;
}

int model_check_snapshot(untorn_snapshot *snapshot, const struct model_state *state,
                         struct test_rng *rng) {
    size_t count = untorn_snapshot_count(snapshot);
    must(count == state->count, "%zu arrays in the snapshot, wanted %u", count, state->count);
    for (size_t i = 0; i < count; i++) {
        untorn_array_info info;
        if (!still_valid(untorn_snapshot_describe(snapshot, i, &info, NULL)))
            return 0;
        const struct model_array *array = model_find(state, info.name);
        must(array, "the snapshot has %s", info.name);
        compare_info(array, &info);
        if (!check_snapshot_array(snapshot, i, array, rng))
            return 0;
    }
    return check_snapshot_group(snapshot, state, rng) &&
           still_valid(untorn_snapshot_check(snapshot));
}

int model_snapshot_marker(untorn_snapshot *snapshot, uint64_t *number) {
    for (size_t i = 0; i < untorn_snapshot_count(snapshot); i++) {
        untorn_array_info info;
        if (!still_valid(untorn_snapshot_describe(snapshot, i, &info, NULL)))
            return -1;
        if (strcmp(info.name, SCRIPT_MARKER) != 0)
            continue;
        if (!still_valid(untorn_snapshot_read(snapshot, i, NULL, NULL, number, sizeof *number)))
            return -1;
        return 1;
    }
    return 0;
}
