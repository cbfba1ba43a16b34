// SPDX-License-Identifier: MIT
/* A naive model of a segment's content: see model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

uint64_t model_elements(unsigned rank, const uint64_t *shape) {
    uint64_t elements = 1;
    for (unsigned i = 0; i < rank; i++)
        elements *= shape[i];
    return elements;
}

size_t model_size(const struct model_array *array) {
    return (size_t)model_elements(array->rank, array->shape) * array->itemsize;
}

uint64_t model_chunk_count(unsigned rank, const uint64_t *shape, const uint64_t *chunks) {
    uint64_t count = 1;
    for (unsigned i = 0; i < rank; i++)
        count *= (shape[i] + chunks[i] - 1) / chunks[i];
    return count;
}

static unsigned char *allocate(size_t size) {
    unsigned char *bytes = malloc(size ? size : 1);
    must(bytes, "malloc");
    return bytes;
}

static void release(struct model_array *array) {
    if (--array->references == 0) {
        free(array->data);
        free(array);
    }
}

void model_copy(struct model_state *to, const struct model_state *from) {
    *to = *from;
    for (unsigned i = 0; i < to->count; i++)
        to->arrays[i]->references++;
}

void model_free(struct model_state *state) {
    for (unsigned i = 0; i < state->count; i++)
        release(state->arrays[i]);
    state->count = state->group_count = 0;
}

static void fill_all(struct model_array *array) {
    size_t size = model_size(array);
    for (size_t at = 0; at < size; at += array->itemsize)
        memcpy(array->data + at, array->fill, array->itemsize);
}

struct model_array *model_add(struct model_state *state, const struct model_array *definition) {
    must(state->count < MODEL_ARRAYS, "the model is full");
    struct model_array *array = malloc(sizeof *array);
    must(array, "malloc");
    *array = *definition;
    array->references = 1;
    array->uid = ++state->next_uid;
    array->data = allocate(model_size(array));
    fill_all(array);
    state->arrays[state->count++] = array;
    return array;
}

void model_remove(struct model_state *state, unsigned place) {
    release(state->arrays[place]);
    state->arrays[place] = state->arrays[--state->count];
}

struct model_array *model_edit(struct model_state *state, unsigned place) {
    struct model_array *shared = state->arrays[place];
    if (shared->references == 1)
        return shared;
    struct model_array *array = malloc(sizeof *array);
    must(array, "malloc");
    *array = *shared;
    array->references = 1;
    array->data = allocate(model_size(array));
    memcpy(array->data, shared->data, model_size(array));
    shared->references--;
    state->arrays[place] = array;
    return array;
}

void model_hold(const struct model_array **slot, const struct model_array *array) {
    // Counting is no change of what the array is: hence the casts.
    if (array)
        ((struct model_array *)(uintptr_t)array)->references++;
    if (*slot)
        release((struct model_array *)(uintptr_t)*slot);
    *slot = array;
}

int model_differs(const struct model_array *a, const struct model_array *b) {
    return memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) != 0 ||
           strcmp(a->attributes, b->attributes) != 0 ||
           memcmp(a->data, b->data, model_size(a)) != 0;
}

const struct model_array *model_find(const struct model_state *state, const char *name) {
    for (unsigned i = 0; i < state->count; i++)
        if (strcmp(state->arrays[i]->name, name) == 0)
            return state->arrays[i];
    return NULL;
}

int model_step(unsigned rank, const uint64_t *count, uint64_t *index) {
    for (unsigned axis = rank; axis-- > 0;) {
        if (++index[axis] < count[axis])
            return 1;
        index[axis] = 0;
    }
    return 0;
}

unsigned char *model_at(const struct model_array *array, const uint64_t *index) {
    uint64_t place = 0;
    for (unsigned i = 0; i < array->rank; i++)
        place = place * array->shape[i] + index[i];
    return array->data + place * array->itemsize;
}

// Every element of a region in C order: its place in the array and in `bytes`.
static void each(const struct model_array *array, const uint64_t *start, const uint64_t *count,
                 unsigned char *bytes, int writes) {
    uint64_t index[MODEL_RANK] = {0};
    if (model_elements(array->rank, count) == 0)
        return;
    do {
        uint64_t place[MODEL_RANK];
        for (unsigned i = 0; i < array->rank; i++)
            place[i] = start[i] + index[i];
        unsigned char *element = model_at(array, place);
        if (writes)
            memcpy(element, bytes, array->itemsize);
        else
            memcpy(bytes, element, array->itemsize);
        bytes += array->itemsize;
    } while (model_step(array->rank, count, index));
}

void model_write(struct model_array *array, const uint64_t *start, const uint64_t *count,
                 const unsigned char *bytes) {
    // each() only reads `bytes` here
    each(array, start, count, (unsigned char *)(uintptr_t)bytes, 1);
}

void model_read(const struct model_array *array, const uint64_t *start, const uint64_t *count,
                unsigned char *bytes) {
    each(array, start, count, bytes, 0);
}

void model_resize(struct model_array *array, const uint64_t *shape) {
    uint64_t zeros[MODEL_RANK] = {0};
    uint64_t kept[MODEL_RANK];
    for (unsigned i = 0; i < array->rank; i++)
        kept[i] = shape[i] < array->shape[i] ? shape[i] : array->shape[i];
    size_t kept_size = (size_t)model_elements(array->rank, kept) * array->itemsize;
    unsigned char *saved = allocate(kept_size);
    model_read(array, zeros, kept, saved);
    free(array->data);
    memcpy(array->shape, shape, array->rank * sizeof *shape);
    array->data = allocate(model_size(array));
    fill_all(array);
    model_write(array, zeros, kept, saved);
    free(saved);
}
