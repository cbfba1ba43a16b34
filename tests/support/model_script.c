// SPDX-License-Identifier: MIT
/* Random transactions on a model and a writer: see model_script.h. */
#include "model_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/racy_copy.h"
#include "must.h"

#define MAX_ARRAYS 8 // without the marker
#define MAX_CHUNKS 300

static const char *const names[] = {"a",   "b",          "c/x", "c/y", "c/d/z", "e/f/g/h",
                                    "i.1", "l\u00e4ngs", "k",   "l/m", "l/n",   "o o"};
static const char *const groups[] = {"", "c", "c/d", "grp", "l", "e/f"};

static const struct {
    const char *text;
    size_t size;
} dtypes[] = {{"?", 1},   {"b1", 1}, {"i1", 1},   {"<i2", 2}, {"i4", 4},    {"i8", 8},
              {"|u1", 1}, {"u2", 2}, {"=u4", 4},  {"<u8", 8}, {"f2", 2},    {"f4", 4},
              {"<f8", 8}, {"c8", 8}, {"c16", 16}, {"S1", 1},  {"|S10", 10}, {"S7", 7},
              {"V1", 1},  {"V3", 3}, {"|V20", 20}};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

// Do to the library, if there is one; leave the operation if it has no space.
#define apply(call)                                                                                \
    do {                                                                                           \
        if (script->writer && !script_ok(script, #call, (call)))                                   \
            return;                                                                                \
    } while (0)

static int script_ok(struct script *script, const char *call, untorn_status status) {
    if (status == UNTORN_E_NO_SPACE) {
        script->no_space = 1;
        return 0;
    }
    test_must_status(__FILE__, __LINE__, call, status, UNTORN_OK);
    return 1;
}

static void forget_handle(struct script *script, uint64_t uid) {
    for (unsigned i = 0; i < script->handle_count; i++)
        if (script->handles[i].uid == uid)
            script->handles[i--] = script->handles[--script->handle_count];
}

static void keep_handle(struct script *script, uint64_t uid, untorn_writer_array *array) {
    forget_handle(script, uid);
    must(script->handle_count < MODEL_ARRAYS, "handles");
    script->handles[script->handle_count++] = (struct script_handle){uid, array};
}

static untorn_writer_array *handle_of(struct script *script, const struct model_array *array) {
    if (!script->writer)
        return NULL;
    for (unsigned i = 0; i < script->handle_count; i++)
        if (script->handles[i].uid == array->uid)
            return script->handles[i].array;
    untorn_writer_array *handle = NULL;
    must_ok(untorn_writer_array_open(script->writer, array->name, &handle));
    keep_handle(script, array->uid, handle);
    return handle;
}

static void random_bytes(struct test_rng *rng, void *to, size_t size) {
    unsigned char *bytes = to;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = rng_next(rng);
        memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
    }
}

static int shape_is_small(const struct model_array *array, const uint64_t *shape) {
    return model_elements(array->rank, shape) * array->itemsize <= MODEL_BYTES &&
           model_chunk_count(array->rank, shape, array->chunks) <= MAX_CHUNKS;
}

/* ---- sources of any strides ---- */

// A buffer of random bytes and strides for a region of `count`: NULL strides, or any order of
// axes, gaps, negative and zero strides.
struct source {
    unsigned char *buffer;
    const unsigned char *origin;
    int64_t strides[MODEL_RANK];
    int gapless;
    unsigned char *dense; // the same elements in C order
};

static void make_strides(struct test_rng *rng, struct source *source, unsigned rank,
                         const uint64_t *count, size_t itemsize, int64_t *size, int64_t *origin) {
    unsigned order[MODEL_RANK];
    for (unsigned i = 0; i < rank; i++)
        order[i] = i;
    for (unsigned i = rank; i > 1; i--) { // a random order of the axes
        unsigned j = (unsigned)rng_below(rng, i);
        unsigned other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
    *size = (int64_t)itemsize;
    *origin = 0;
    for (unsigned i = rank; i-- > 0;) {
        unsigned axis = order[i];
        int64_t stride = *size + (int64_t)(rng_chance(rng, 30) ? rng_below(rng, 9) : 0);
        int64_t last = count[axis] ? (int64_t)count[axis] - 1 : 0;
        if (rng_chance(rng, 5))
            stride = 0;
        source->strides[axis] = stride;
        if (rng_chance(rng, 30)) {
            source->strides[axis] = -stride;
            *origin += stride * last;
        }
        *size += stride * last;
    }
}

static struct source make_source(struct test_rng *rng, unsigned rank, const uint64_t *count,
                                 size_t itemsize) {
    struct source source = {0};
    uint64_t elements = model_elements(rank, count);
    int64_t size = (int64_t)(elements * itemsize);
    int64_t origin = 0;
    source.gapless = rng_chance(rng, 40);
    if (!source.gapless)
        make_strides(rng, &source, rank, count, itemsize, &size, &origin);
    source.buffer = malloc((size_t)size + 1);
    source.dense = malloc(elements * itemsize + 1);
    must(source.buffer && source.dense, "malloc");
    random_bytes(rng, source.buffer, (size_t)size);
    source.origin = source.buffer + origin;
    if (source.gapless) {
        memcpy(source.dense, source.buffer, (size_t)size);
        return source;
    }
    uint64_t index[MODEL_RANK] = {0};
    unsigned char *to = source.dense;
    if (elements == 0)
        return source;
    do {
        const unsigned char *from = source.origin;
        for (unsigned i = 0; i < rank; i++)
            from += (int64_t)index[i] * source.strides[i];
        memcpy(to, from, itemsize);
        to += itemsize;
    } while (model_step(rank, count, index));
    return source;
}

static void free_source(struct source *source) {
    free(source->buffer);
    free(source->dense);
}

/* ---- operations ---- */

static int pick_array(struct script *script, struct test_rng *rng, unsigned *place) {
    if (script->open.count == 0)
        return 0;
    *place = (unsigned)rng_below(rng, script->open.count);
    return strcmp(script->open.arrays[*place]->name, SCRIPT_MARKER) != 0;
}

static void random_definition(struct test_rng *rng, const char *name,
                              struct model_array *definition) {
    size_t type = (size_t)rng_below(rng, COUNT(dtypes));
    *definition = (struct model_array){.name = name,
                                       .dtype = dtypes[type].text,
                                       .itemsize = dtypes[type].size,
                                       .rank = (unsigned)rng_below(rng, MODEL_RANK + 1)};
    static const uint64_t lengths[MODEL_RANK + 1] = {1, 900, 40, 13, 7, 5};
    do {
        for (unsigned i = 0; i < definition->rank; i++) {
            definition->shape[i] = rng_below(rng, lengths[definition->rank]);
            definition->chunks[i] = rng_range(rng, 1, definition->rank == 1 ? 101 : 7);
        }
    } while (!shape_is_small(definition, definition->shape));
    if (rng_chance(rng, 50))
        random_bytes(rng, definition->fill, definition->itemsize);
    if (rng_chance(rng, 40))
        definition->dimension_names = 256u | (unsigned)rng_below(rng, 32);
    if (rng_chance(rng, 40))
        snprintf(definition->attributes, sizeof definition->attributes, "{\"made\": %u}",
                 (unsigned)rng_below(rng, 1000));
}

const char *const script_dimension_names[MODEL_RANK] = {"t", "z", "y", "x", "b\u00e4nd"};

static void to_library(const struct model_array *array, const char **dimension_names,
                       untorn_definition *definition) {
    static const unsigned char zeros[MODEL_ITEM];
    int has_fill = memcmp(array->fill, zeros, array->itemsize) != 0;
    for (unsigned i = 0; i < array->rank; i++)
        dimension_names[i] = array->dimension_names >> i & 1 ? script_dimension_names[i] : NULL;
    *definition = (untorn_definition){.struct_size = sizeof *definition,
                                      .dtype = array->dtype,
                                      .rank = array->rank,
                                      .shape = array->shape,
                                      .chunks = array->chunks,
                                      .fill = has_fill ? array->fill : NULL,
                                      .dimension_names =
                                          array->dimension_names & 256u ? dimension_names : NULL,
                                      .attributes = array->attributes[0] ? array->attributes : NULL,
                                      .codec = array->rank == 2 ? "none" : NULL};
}

// How a name stands to those defined: 0 free, 1 taken, 2 a prefix lies in the way.
static int name_conflict(const struct model_state *state, const char *name) {
    size_t length = strlen(name);
    for (unsigned i = 0; i < state->count; i++) {
        const char *other = state->arrays[i]->name;
        size_t other_length = strlen(other);
        if (strcmp(other, name) == 0)
            return 1;
        if (length < other_length && strncmp(other, name, length) == 0 && other[length] == '/')
            return 2;
        if (length > other_length && strncmp(other, name, other_length) == 0 &&
            name[other_length] == '/')
            return 2;
    }
    for (unsigned i = 0; i < state->group_count; i++) // a group with attributes is in the way too
        if (strcmp(state->groups[i].name, name) == 0)
            return 2;
    return 0;
}

static void define(struct script *script, struct test_rng *rng, const char *name) {
    struct model_array made;
    const char *dimension_names[MODEL_RANK];
    untorn_definition definition;
    untorn_writer_array *handle = NULL;
    random_definition(rng, name, &made);
    to_library(&made, dimension_names, &definition);
    int by_require = rng_chance(rng, 30);
    if (script->writer && by_require)
        apply(untorn_require(script->writer, name, &definition, &handle));
    else if (script->writer)
        apply(untorn_define(script->writer, name, &definition, &handle));
    struct model_array *array = model_add(&script->open, &made);
    if (script->writer)
        keep_handle(script, array->uid, handle);
}

static void do_define(struct script *script, struct test_rng *rng) {
    const char *name = names[rng_below(rng, COUNT(names))];
    int conflict = name_conflict(&script->open, name);
    if (conflict == 0 && script->open.count < MAX_ARRAYS)
        define(script, rng, name);
    else if (conflict && script->writer) {
        uint64_t length = 3;
        untorn_definition definition = {
            .struct_size = sizeof definition, .dtype = "i4", .rank = 1, .shape = &length};
        untorn_writer_array *handle = NULL;
        untorn_status status = untorn_define(script->writer, name, &definition, &handle);
        must(status == UNTORN_E_ARRAY_EXISTS || (conflict == 2 && status == UNTORN_E_NAME),
             "define of %s, which is taken: %d %s", name, (int)status, untorn_message());
    }
}

static void do_prefix(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place) || !script->writer)
        return;
    char name[64];
    uint64_t length = 3;
    snprintf(name, sizeof name, "%s/below", script->open.arrays[place]->name);
    untorn_definition definition = {
        .struct_size = sizeof definition, .dtype = "i4", .rank = 1, .shape = &length};
    untorn_writer_array *handle = NULL;
    untorn_status status = untorn_define(script->writer, name, &definition, &handle);
    must(status == UNTORN_E_ARRAY_EXISTS || status == UNTORN_E_NAME,
         "define of %s below an array: %d", name, (int)status);
}

static void do_require(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place) || !script->writer)
        return;
    const struct model_array *array = script->open.arrays[place];
    const char *dimension_names[MODEL_RANK];
    untorn_definition definition;
    untorn_writer_array *handle = NULL;
    to_library(array, dimension_names, &definition);
    uint64_t shape[MODEL_RANK] = {1, 1, 1, 1, 1}; // whatever its length
    definition.shape = shape;
    apply(untorn_require(script->writer, array->name, &definition, &handle));
    keep_handle(script, array->uid, handle);
    definition.dtype = "V4321";
    must_be(UNTORN_E_MISMATCH, untorn_require(script->writer, array->name, &definition, &handle));
}

static void delete_at(struct script *script, unsigned place) {
    uint64_t uid = script->open.arrays[place]->uid;
    apply(untorn_delete(script->writer, script->open.arrays[place]->name));
    forget_handle(script, uid);
    model_remove(&script->open, place);
}

static void do_delete(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (pick_array(script, rng, &place))
        delete_at(script, place);
}

static void do_redefine(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place))
        return;
    const char *name = script->open.arrays[place]->name;
    delete_at(script, place);
    if (!script->no_space)
        define(script, rng, name);
}

static void do_write(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place))
        return;
    struct model_array *array = model_edit(&script->open, place);
    uint64_t start[MODEL_RANK];
    uint64_t count[MODEL_RANK];
    int whole = rng_chance(rng, 30);
    int from_zero = 1;
    int to_end = 1;
    for (unsigned i = 0; i < array->rank; i++) {
        start[i] = whole ? 0 : rng_range(rng, 0, array->shape[i]);
        count[i] = whole || rng_chance(rng, 30) ? array->shape[i] - start[i]
                                                : rng_range(rng, 0, array->shape[i] - start[i]);
        from_zero &= start[i] == 0;
        to_end &= start[i] + count[i] == array->shape[i];
    }
    struct source source = make_source(rng, array->rank, count, array->itemsize);
    untorn_status status = UNTORN_OK;
    if (script->writer)
        status = untorn_write(handle_of(script, array), from_zero && whole ? NULL : start,
                              to_end ? NULL : count, source.gapless ? NULL : source.strides,
                              source.origin);
    if (script_ok(script, "untorn_write", status))
        model_write(array, start, count, source.dense);
    free_source(&source);
}

static void do_bad_write(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place) || !script->writer)
        return;
    const struct model_array *array = script->open.arrays[place];
    uint64_t start[MODEL_RANK] = {0};
    if (array->rank == 0)
        return;
    unsigned axis = (unsigned)rng_below(rng, array->rank);
    uint64_t count[MODEL_RANK] = {1, 1, 1, 1, 1};
    start[axis] = array->shape[axis];
    count[axis] = rng_chance(rng, 50) ? 1 : UINT64_MAX - 1;
    unsigned char item[MODEL_ITEM] = {0};
    must_be(UNTORN_E_REGION, untorn_write(handle_of(script, array), start, count, NULL, item));
}

static void do_append(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place) || script->open.arrays[place]->rank == 0)
        return;
    struct model_array *array = model_edit(&script->open, place);
    unsigned axis = (unsigned)rng_below(rng, array->rank);
    uint64_t start[MODEL_RANK] = {0};
    uint64_t count[MODEL_RANK];
    uint64_t shape[MODEL_RANK];
    memcpy(count, array->shape, sizeof count);
    memcpy(shape, array->shape, sizeof shape);
    count[axis] = rng_below(rng, array->rank == 1 ? 60 : 4);
    start[axis] = shape[axis];
    shape[axis] += count[axis];
    if (!shape_is_small(array, shape))
        return;
    struct source source = make_source(rng, array->rank, count, array->itemsize);
    untorn_status status = UNTORN_OK;
    if (script->writer)
        status = untorn_append(handle_of(script, array), axis, count[axis],
                               source.gapless ? NULL : source.strides, source.origin);
    if (script_ok(script, "untorn_append", status)) {
        model_resize(array, shape);
        model_write(array, start, count, source.dense);
    }
    free_source(&source);
}

static void do_resize(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place))
        return;
    struct model_array *array = model_edit(&script->open, place);
    uint64_t shape[MODEL_RANK];
    for (unsigned i = 0; i < array->rank; i++) {
        uint64_t length = array->shape[i];
        unsigned kind = (unsigned)rng_below(rng, 4);
        shape[i] = kind == 0   ? length
                   : kind == 1 ? rng_range(rng, 0, length)
                   : kind == 2 ? length + rng_below(rng, 1 + array->chunks[i])
                               : rng_below(rng, 2 * length + 5);
    }
    if (!shape_is_small(array, shape))
        return;
    apply(untorn_resize(handle_of(script, array), shape));
    model_resize(array, shape);
    if (script->writer) {
        unsigned rank = 99;
        uint64_t got[UNTORN_MAX_RANK];
        must_ok(untorn_writer_array_shape(handle_of(script, array), &rank, got));
        must(rank == array->rank && memcmp(got, shape, rank * sizeof *got) == 0, "shape");
    }
}

// Write one chunk directly: all of it, or with KEEP some elements after a check of the rest.
static void fill_chunk(struct model_array *array, struct test_rng *rng, const uint64_t *index,
                       int keep, unsigned char *memory) {
    uint64_t inner[MODEL_RANK] = {0};
    unsigned char *at = memory; // NULL without a writer
    int garbage = rng_chance(rng, 50);
    do {
        uint64_t place[MODEL_RANK];
        int inside = 1;
        for (unsigned i = 0; i < array->rank; i++) {
            place[i] = index[i] * array->chunks[i] + inner[i];
            inside &= place[i] < array->shape[i];
        }
        unsigned char item[MODEL_ITEM + 8];
        random_bytes(rng, item, array->itemsize);
        int changes = !keep || rng_chance(rng, 50);
        if (inside && keep && memory)
            must(memcmp(at, model_at(array, place), array->itemsize) == 0,
                 "UNTORN_CHUNK_KEEP of %s", array->name);
        if (inside && changes)
            memcpy(model_at(array, place), item, array->itemsize);
        if (memory && ((inside && changes) || (!inside && garbage)))
            ut_racy_copy(at, item, array->itemsize);
        if (memory)
            at += array->itemsize;
    } while (model_step(array->rank, array->chunks, inner));
}

static void do_chunks(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place))
        return;
    struct model_array *array = model_edit(&script->open, place);
    uint64_t index[MODEL_RANK];
    for (unsigned i = 0; i < array->rank; i++) {
        uint64_t grid = (array->shape[i] + array->chunks[i] - 1) / array->chunks[i];
        if (grid == 0)
            return;
        index[i] = rng_below(rng, grid);
    }
    int keep = rng_chance(rng, 50);
    void *memory = NULL;
    untorn_writer_array *handle = handle_of(script, array);
    apply(untorn_chunk_begin(handle, index, keep ? UNTORN_CHUNK_KEEP : 0, &memory));
    fill_chunk(array, rng, index, keep, memory);
    if (script->writer) {
        void *again = NULL;
        must_be(UNTORN_E_STATE, untorn_chunk_begin(handle, index, 0, &again));
        must_be(UNTORN_E_STATE, untorn_commit(script->writer, NULL));
    }
    apply(untorn_chunk_done(handle, index));
}

static void do_attributes(struct script *script, struct test_rng *rng) {
    unsigned place;
    if (!pick_array(script, rng, &place))
        return;
    struct model_array *array = model_edit(&script->open, place);
    char text[64] = "";
    if (rng_chance(rng, 80))
        snprintf(text, sizeof text, "{\"n\": %u, \"u\": [\"\u00e4\", null]}",
                 (unsigned)rng_below(rng, 100000));
    apply(untorn_set_attributes(handle_of(script, array), text[0] ? text : NULL));
    memcpy(array->attributes, text, sizeof text);
}

static void do_group(struct script *script, struct test_rng *rng) {
    const char *name = groups[rng_below(rng, COUNT(groups))];
    char text[64] = "";
    snprintf(text, sizeof text, "{\"g\": %u}", (unsigned)rng_below(rng, 100000));
    if (name[0] == '\0' && rng_chance(rng, 20))
        text[0] = '\0';
    apply(untorn_set_group_attributes(script->writer, name, text[0] ? text : NULL));
    struct model_state *open = &script->open;
    unsigned i = 0;
    while (i < open->group_count && strcmp(open->groups[i].name, name) != 0)
        i++;
    must(i < MODEL_GROUPS, "groups");
    if (i == open->group_count)
        open->group_count++;
    open->groups[i].name = name;
    memcpy(open->groups[i].attributes, text, sizeof text);
}

/* ---- transactions ---- */

void script_begin(struct script *script, untorn_writer *writer) {
    *script = (struct script){.writer = writer};
}

void script_end(struct script *script) {
    model_free(&script->open);
    model_free(&script->committed);
}

void script_set_writer(struct script *script, untorn_writer *writer) {
    script->writer = writer;
    script->handle_count = 0;
    if (writer)
        script->last_commit = untorn_writer_commit(writer);
}

static void write_marker(struct script *script, uint64_t number) {
    unsigned place = 0;
    while (place < script->open.count &&
           strcmp(script->open.arrays[place]->name, SCRIPT_MARKER) != 0)
        place++;
    if (place == script->open.count) {
        struct model_array made = {.name = SCRIPT_MARKER, .dtype = "u8", .itemsize = 8};
        untorn_definition definition;
        const char *dimension_names[MODEL_RANK];
        untorn_writer_array *handle = NULL;
        to_library(&made, dimension_names, &definition);
        apply(untorn_define(script->writer, SCRIPT_MARKER, &definition, &handle));
        struct model_array *array = model_add(&script->open, &made);
        if (script->writer)
            keep_handle(script, array->uid, handle);
    }
    struct model_array *array = model_edit(&script->open, place);
    memcpy(array->data, &number, sizeof number);
    apply(untorn_write(handle_of(script, array), NULL, NULL, NULL, &number));
}

static void one_operation(struct script *script, struct test_rng *rng) {
    static void (*const operations[])(struct script *, struct test_rng *) = {
        do_define, do_define, do_define,   do_prefix, do_require,    do_delete,
        do_write,  do_write,  do_write,    do_write,  do_write,      do_bad_write,
        do_append, do_append, do_append,   do_resize, do_resize,     do_chunks,
        do_chunks, do_chunks, do_redefine, do_group,  do_attributes, do_attributes};
    // An operation has its own generator: how much it draws must not matter to the next.
    struct test_rng own = {rng_next(rng)};
    operations[rng_below(&own, COUNT(operations))](script, &own);
    script->operations++;
}

enum script_wish script_run(struct script *script, uint64_t number, uint64_t seed) {
    struct test_rng rng = {seed};
    model_copy(&script->open, &script->committed);
    script->no_space = 0;
    unsigned count = (unsigned)rng_range(&rng, 0, 6);
    int aborts = rng_chance(&rng, 12);
    for (unsigned i = 0; i < count && !script->no_space; i++) {
        one_operation(script, &rng);
        if (script->between)
            script->between(script->argument);
    }
    if (!script->no_space && !aborts)
        write_marker(script, number);
    return script->no_space ? SCRIPT_NO_SPACE : aborts ? SCRIPT_ABORT : SCRIPT_COMMIT;
}

int script_commit(struct script *script) {
    if (script->writer) {
        uint64_t commit = 0;
        untorn_status status = untorn_commit(script->writer, &commit);
        if (!script_ok(script, "untorn_commit", status))
            return 0;
        must(commit > script->last_commit, "commit %llu after %llu", (unsigned long long)commit,
             (unsigned long long)script->last_commit);
        must(commit == untorn_writer_commit(script->writer), "untorn_writer_commit");
        script->last_commit = commit;
    }
    model_free(&script->committed);
    script->committed = script->open;
    script->open = (struct model_state){0};
    return 1;
}

void script_abort(struct script *script) {
    if (script->writer)
        untorn_abort(script->writer);
    model_free(&script->open);
    // Handles of what it defined are gone, those of what it deleted were forgotten before.
    for (unsigned i = 0; i < script->handle_count; i++) {
        int lives = 0;
        for (unsigned j = 0; j < script->committed.count; j++)
            lives |= script->committed.arrays[j]->uid == script->handles[i].uid;
        if (!lives)
            script->handles[i--] = script->handles[--script->handle_count];
    }
}

void script_follow(struct script *script, uint64_t number, uint64_t seed) {
    must(!script->writer, "only a model follows");
    if (script_run(script, number, seed) == SCRIPT_COMMIT)
        script_commit(script);
    else
        script_abort(script);
}
