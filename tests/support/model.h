// SPDX-License-Identifier: MIT
/*
 * What a segment should hold, in the simplest form that can be right: every array
 * a dense block in C order, every operation a loop over elements.
 *
 * A state is a list of references to arrays.  Arrays that several states share are
 * never changed: model_edit() gives a private copy first.  So keeping the state of
 * every commit that a snapshot was taken of costs little.
 */
#ifndef UT_TEST_MODEL_H
#define UT_TEST_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_RANK 5
#define MODEL_ARRAYS 12
#define MODEL_GROUPS 6
#define MODEL_ITEM 20
#define MODEL_BYTES 24576u // the largest array

struct model_array {
    unsigned references;
    uint64_t uid; // of this definition; a redefinition gets another
    const char *name;
    const char *dtype;
    size_t itemsize;
    unsigned rank;
    uint64_t shape[MODEL_RANK];
    uint64_t chunks[MODEL_RANK];
    unsigned char fill[MODEL_ITEM];
    unsigned dimension_names; // bit i: axis i is named; bit 8: the list was given
    char attributes[64];      // "" for none
    unsigned char *data;
};

struct model_group {
    const char *name;
    char attributes[64];
};

struct model_state {
    uint64_t next_uid;
    unsigned count;
    struct model_array *arrays[MODEL_ARRAYS];
    unsigned group_count; // groups that were given attributes
    struct model_group groups[MODEL_GROUPS];
};

void model_copy(struct model_state *to, const struct model_state *from);
void model_free(struct model_state *state);

// Take ownership of a new array with zero references and no data yet; filled with `fill`.
struct model_array *model_add(struct model_state *state, const struct model_array *definition);
void model_remove(struct model_state *state, unsigned place);

// The array at `place`, private to this state.
struct model_array *model_edit(struct model_state *state, unsigned place);

// Put a counted reference to `array` (may be NULL) into `*slot`, in place of what is there.
void model_hold(const struct model_array **slot, const struct model_array *array);

// Whether shape, data or attributes differ.
int model_differs(const struct model_array *a, const struct model_array *b);

// NULL if there is none.
const struct model_array *model_find(const struct model_state *state, const char *name);

uint64_t model_elements(unsigned rank, const uint64_t *shape);
size_t model_size(const struct model_array *array);
uint64_t model_chunk_count(unsigned rank, const uint64_t *shape, const uint64_t *chunks);

// Step `index` through the box of `count` in C order; 0 at the end.
int model_step(unsigned rank, const uint64_t *count, uint64_t *index);

// The element at `index`.
unsigned char *model_at(const struct model_array *array, const uint64_t *index);

// The region start : start + count, C order without gaps, from or to `bytes`.
void model_write(struct model_array *array, const uint64_t *start, const uint64_t *count,
                 const unsigned char *bytes);
void model_read(const struct model_array *array, const uint64_t *start, const uint64_t *count,
                unsigned char *bytes);
void model_resize(struct model_array *array, const uint64_t *shape);

#endif
