// SPDX-License-Identifier: MIT
/* The writer's half of the world: see schedule.h. */
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array/writer.h"
#include "must.h"
#include "names.h"

char world_context[256];
int world_ballast;

static const struct {
    const char *name;
    uint64_t length, chunk;
} specs[W_ARRAYS] = {
    {"single", 16, 16}, {"multi", 64, 8}, {"grow", 20, 16}, {"edge", 100, 200}, {"gone", 12, 4},
};

#define SPARE 12 // pages left for what the scripts do

static void fill_segment(struct world *world) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t none = 0, page = 4096, pages = 0;
    untorn_writer_array *array = NULL;
    static const char zeros[4096];
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &none;
    definition.chunks = &page;
    must_ok(untorn_define(world->writer, "ballast/pages", &definition, &array));
    must_ok(untorn_commit(world->writer, NULL));
    while (untorn_append(array, 0, page, NULL, zeros) == UNTORN_OK)
        pages++;
    uint64_t kept = (pages > SPARE ? pages - SPARE : 0) * page;
    must_ok(untorn_resize(array, &kept));
    must_ok(untorn_commit(world->writer, NULL));
}

void world_begin(struct world *world, unsigned versions, uint64_t size) {
    memset(world, 0, sizeof *world);
    world->segment = test_segment("schedule");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.versions = versions;
    options.size = size;
    must_ok(untorn_writer_open(world->segment, &options, &world->writer));
    for (enum world_array a = 0; a < W_ARRAYS; a++) {
        // In place for good: readers look at it while more is added.
        world->history[a] = calloc(WORLD_HISTORY, sizeof *world->history[a]);
        must(world->history[a] != NULL, "memory");
        world_define(world, a);
    }
    world_commit(world);
    if (world_ballast) {
        world->tight = 1;
        fill_segment(world);
    }
}

void world_end(struct world *world) {
    untorn_writer_close(world->writer);
    must_ok(untorn_segment_remove(world->segment));
    for (enum world_array a = 0; a < W_ARRAYS; a++) {
        for (size_t i = 0; i < world->count[a]; i++)
            free(world->history[a][i].values);
        free(world->history[a]);
    }
}

/* --- transactions --- */

void world_define(struct world *world, enum world_array a) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &specs[a].length;
    definition.chunks = &specs[a].chunk;
    must_ok(untorn_define(world->writer, specs[a].name, &definition, &world->handle[a]));
    struct world_state *state = &world->next[a];
    memset(state, 0, sizeof *state);
    state->incarnation = ++world->last_incarnation;
    state->length = specs[a].length;
    state->touched = 1;
    world_rewrite(world, a);
}

void world_delete(struct world *world, enum world_array a) {
    must_ok(untorn_delete(world->writer, specs[a].name));
    memset(&world->next[a], 0, sizeof world->next[a]);
    world->next[a].touched = 1;
}

static void fresh_values(struct world *world, enum world_array a, uint64_t from, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        world->next[a].values[from + i] = ++world->last_value;
    world->next[a].touched = 1;
}

void world_write(struct world *world, enum world_array a, uint64_t from, uint64_t count) {
    fresh_values(world, a, from, count);
    must_ok(untorn_write(world->handle[a], &from, &count, NULL, world->next[a].values + from));
}

void world_rewrite(struct world *world, enum world_array a) {
    world_write(world, a, 0, world->next[a].length);
}

void world_append(struct world *world, enum world_array a, uint64_t count) {
    struct world_state *state = &world->next[a];
    fresh_values(world, a, state->length, count);
    must_ok(untorn_append(world->handle[a], 0, count, NULL, state->values + state->length));
    state->length += count;
}

void world_resize(struct world *world, enum world_array a, uint64_t length) {
    struct world_state *state = &world->next[a];
    must_ok(untorn_resize(world->handle[a], &length));
    uint64_t kept = length < state->length ? length : state->length;
    memset(state->values + kept, 0, (WORLD_LENGTH - kept) * sizeof *state->values);
    state->length = length;
    state->touched = 1;
}

void world_attributes(struct world *world, enum world_array a) {
    char json[64];
    world->next[a].attribute = ++world->last_value;
    world->next[a].touched = 1;
    snprintf(json, sizeof json, "{\"n\": %u}", world->last_value);
    must_ok(untorn_set_attributes(world->handle[a], json));
}

static void record(struct world *world, enum world_array a, uint64_t commit) {
    struct world_state *state = &world->next[a];
    must(world->count[a] < WORLD_HISTORY, "too long a history: %s", world_context);
    struct world_record *r = &world->history[a][world->count[a]++];
    *r = (struct world_record){.commit = commit,
                               .incarnation = state->incarnation,
                               .length = state->length,
                               .attribute = state->attribute};
    r->values = malloc(state->length * sizeof *r->values + 1);
    must(r->values != NULL, "memory");
    memcpy(r->values, state->values, state->length * sizeof *r->values);
}

// The records are there before the commit is: readers that run within it may see it.
void world_commit(struct world *world) {
    uint64_t commit = untorn_writer_commit(world->writer) + 1, got = 0;
    int any = 0;
    for (enum world_array a = 0; a < W_ARRAYS; a++)
        if (world->next[a].touched) {
            record(world, a, commit);
            any = 1;
        }
    must_ok(untorn_commit(world->writer, &got));
    must(!any || got == commit, "commit number");
    for (enum world_array a = 0; a < W_ARRAYS; a++)
        world->next[a].touched = 0;
    world->commits++;
}

// Only for transactions that neither define nor delete.
void world_abort(struct world *world) {
    untorn_abort(world->writer);
    for (enum world_array a = 0; a < W_ARRAYS; a++) {
        if (!world->next[a].touched)
            continue;
        const struct world_record *last = &world->history[a][world->count[a] - 1];
        struct world_state *state = &world->next[a];
        memset(state, 0, sizeof *state);
        state->incarnation = last->incarnation;
        state->length = last->length;
        state->attribute = last->attribute;
        memcpy(state->values, last->values, last->length * sizeof *last->values);
    }
}

/* --- the next writer --- */

#define BURIED 65536
static untorn_writer *buried[BURIED]; // what is left of writers that died
static size_t buried_count;
static _Thread_local jmp_buf death;
static _Thread_local unsigned steps_to_live;

static _Thread_local const char *fatal_step;

void world_step(const char *name) {
    if ((steps_to_live > 0 && --steps_to_live == 0) ||
        (fatal_step != NULL && strcmp(name, fatal_step) == 0))
        longjmp(death, 1);
}

// What the kernel does to a process that is killed: its locks and mappings go, no more.
static void bury(untorn_writer *writer) {
    ut_writer_lock_drop(&writer->lock, writer->segment.name, false);
    ut_publisher_free(&writer->publisher);
    ut_segment_detach(&writer->segment);
    buried[buried_count++ % BURIED] = writer;
}

void world_adopt(struct world *world, int dies) {
    if (dies)
        bury(world->writer);
    else
        untorn_writer_close(world->writer);
    must_ok(untorn_writer_open(world->segment, NULL, &world->writer));
    uint64_t commit = untorn_writer_commit(world->writer);
    for (enum world_array a = 0; a < W_ARRAYS; a++) {
        while (world->history[a][world->count[a] - 1].commit > commit)
            free(world->history[a][--world->count[a]].values);
        const struct world_record *last = &world->history[a][world->count[a] - 1];
        struct world_state *state = &world->next[a];
        memset(state, 0, sizeof *state);
        state->incarnation = last->incarnation;
        state->length = last->length;
        state->attribute = last->attribute;
        memcpy(state->values, last->values, last->length * sizeof *last->values);
        if (last->incarnation == 0) {
            world_define(world, a);
            world_commit(world);
        } else {
            must_ok(untorn_writer_array_open(world->writer, specs[a].name, &world->handle[a]));
        }
    }
}

// A transaction with something of everything, in whose step `step` the writer dies.
static void die_within(struct world *world, unsigned step) {
    if (setjmp(death) == 0) {
        steps_to_live = step;
        world_rewrite(world, W_SINGLE);
        world_write(world, W_MULTI, 6, 20);
        world_attributes(world, W_SINGLE);
        if (world->next[W_GROW].length < WORLD_LENGTH - 20)
            world_append(world, W_GROW, 20);
        if (world->next[W_EDGE].length < 170)
            world_append(world, W_EDGE, 30);
        world_delete(world, W_GONE);
        if (world->last_value % 2)
            world_define(world, W_GONE);
        world_commit(world);
        steps_to_live = 0;
        if (world->next[W_GONE].incarnation == 0) {
            world_define(world, W_GONE);
            world_commit(world);
        }
    } else {
        world_adopt(world, 1);
    }
}

void world_die_in(struct world *world, const char *step, void (*run)(struct world *)) {
    if (setjmp(death) == 0) {
        fatal_step = step;
        run(world);
        must(0, "there was no step %s", step);
    }
    fatal_step = NULL;
    world_adopt(world, 1);
}

/* --- scripts --- */

static void rewrite_single(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_rewrite(w, W_SINGLE);
        world_commit(w);
    }
}

static void rewrite_multi(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_rewrite(w, W_MULTI);
        world_commit(w);
    }
}

static void rewrite_all(struct world *w, unsigned n) {
    while (n-- > 0) {
        for (enum world_array a = 0; a < W_ARRAYS; a++)
            world_rewrite(w, a);
        world_commit(w);
    }
}

static void rewrite_a_chunk(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_write(w, W_MULTI, w->last_value % 60, 4);
        world_commit(w);
    }
}

static void append(struct world *w, unsigned n) {
    while (n-- > 0) {
        if (w->next[W_GROW].length > WORLD_LENGTH - 8)
            world_resize(w, W_GROW, 5);
        else
            world_append(w, W_GROW, 1 + w->last_value % 7);
        world_commit(w);
    }
}

static void shrink_and_append(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_resize(w, W_GROW, n % 3 == 1 ? 16 : 9 + n % 30); // 16: no chunk is cut
        world_commit(w);
        world_append(w, W_GROW, 20);
        world_commit(w);
        world_append(w, W_GROW, 5);
        world_commit(w);
    }
}

static void shrink_and_append_in_place(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_resize(w, W_EDGE, 150);
        world_commit(w);
        world_append(w, W_EDGE, 30);
        world_commit(w);
    }
}

static void abort_and_grow(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_resize(w, W_EDGE, 100 + n % 3);
        world_commit(w);
        world_append(w, W_EDGE, 60);
        world_abort(w);
        world_resize(w, W_EDGE, 170);
        world_commit(w);
    }
}

static void redefine(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_delete(w, W_GONE);
        if (n % 2)
            world_commit(w);
        world_define(w, W_GONE);
        world_commit(w);
    }
}

static void attributes(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_attributes(w, W_SINGLE);
        world_attributes(w, W_MULTI);
        if (n % 3 == 0)
            world_rewrite(w, W_SINGLE);
        world_commit(w);
    }
}

// Absent chunks, one chunk, many chunks in turn: tables of depth 1 and 0.
static void empty_and_fill(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_resize(w, W_MULTI, 0);
        world_resize(w, W_MULTI, 8);
        world_rewrite(w, W_MULTI);
        world_commit(w);
        world_rewrite(w, W_MULTI);
        world_commit(w);
        world_resize(w, W_MULTI, 0);
        world_resize(w, W_MULTI, 64);
        world_write(w, W_MULTI, 40, 24);
        world_commit(w);
        world_write(w, W_MULTI, 40, 24);
        world_commit(w);
    }
}

// Closes with a transaction open.
static void close_and_adopt(struct world *w, unsigned n) {
    rewrite_all(w, 30);
    while (n-- > 0) {
        world_write(w, W_MULTI, 3, 30);
        world_adopt(w, 0);
        rewrite_all(w, 3 * n + 1);
    }
    rewrite_all(w, 40);
}

static void die_and_adopt(struct world *w, unsigned n) {
    while (n-- > 0) {
        die_within(w, 1 + w->last_value % 41);
        rewrite_all(w, 2);
        append(w, 1);
    }
}

static void everything(struct world *w, unsigned n) {
    rewrite_all(w, n);
    append(w, n);
    redefine(w, n);
    shrink_and_append_in_place(w, n);
    attributes(w, n);
    empty_and_fill(w, n);
}

const struct world_named_script world_scripts[] = {
    {"rewrite single", rewrite_single, 1},
    {"rewrite single", rewrite_single, 3},
    {"rewrite single", rewrite_single, 9},
    {"rewrite single", rewrite_single, 20},
    {"rewrite single past a larger ring", rewrite_single, 260},
    {"rewrite multi", rewrite_multi, 1},
    {"rewrite multi", rewrite_multi, 2},
    {"rewrite multi", rewrite_multi, 5},
    {"rewrite multi", rewrite_multi, 20},
    {"rewrite all", rewrite_all, 1},
    {"rewrite all", rewrite_all, 7},
    {"rewrite all", rewrite_all, 20},
    {"rewrite a chunk", rewrite_a_chunk, 1},
    {"rewrite a chunk", rewrite_a_chunk, 12},
    {"append", append, 1},
    {"append", append, 11},
    {"shrink and append", shrink_and_append, 1},
    {"shrink and append", shrink_and_append, 6},
    {"shrink and append in place", shrink_and_append_in_place, 1},
    {"shrink and append in place", shrink_and_append_in_place, 5},
    {"abort and grow", abort_and_grow, 1},
    {"abort and grow", abort_and_grow, 6},
    {"redefine", redefine, 1},
    {"redefine", redefine, 2},
    {"redefine", redefine, 9},
    {"attributes", attributes, 1},
    {"attributes", attributes, 12},
    {"empty and fill", empty_and_fill, 1},
    {"empty and fill", empty_and_fill, 4},
    {"close and adopt", close_and_adopt, 1},
    {"close and adopt", close_and_adopt, 3},
    {"die and adopt", die_and_adopt, 1},
    {"die and adopt", die_and_adopt, 4},
    {"everything", everything, 1},
    {"everything", everything, 4},
};
const size_t world_script_count = sizeof world_scripts / sizeof world_scripts[0];
