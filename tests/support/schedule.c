// SPDX-License-Identifier: MIT
/* The writer's half of the world: see schedule.h. */
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array/writer.h"
#include "base/file_ops.h"
#include "cache_world.h"
#include "lost_memory.h"
#include "must.h"
#include "names.h"
#include "store/durable.h"
#include "store/writer_store.h"

char world_context[256];
int world_ballast, world_store;
unsigned world_spare;

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

// Take all that is free but world_spare pages.
static void take_ballast(struct world *world) {
    ut_publisher *publisher = &world->writer->publisher;
    uint64_t offset, count = 0, kept[16];
    for (; (offset = ut_space_take_free(publisher, UT_PAGE)) != 0; count++)
        kept[count % 16] = offset;
    for (unsigned i = 0; i < world_spare && i < 16 && count > 0; i++)
        ut_space_give(publisher, kept[--count % 16], UT_PAGE);
    world->ballast = count * UT_PAGE;
    world->tight = 1;
}

static int no_fsync(int fd) {
    (void)fd;
    return 0;
}

// On the tmpfs of the segments, and never synced: what survives a power cut is another question.
static void choose_store(struct world *world, untorn_writer_options *options) {
    static struct ut_file_ops table;
    static const char *directory;
    static unsigned count;
    if (directory == NULL) {
        directory = test_directory_in_memory("schedule");
        table = ut_files_system;
        table.fsync = no_fsync;
        ut_files_replace(&table);
    }
    snprintf(world->store, sizeof world->store, "%s/%u", directory, count++);
    options->store = world->store;
    options->flush_interval = UNTORN_ON_DEMAND;
    options->flush_bytes = UINT64_MAX;
    options->keep_snapshots = 2;
    options->keep_time = 1;
}

void world_begin(struct world *world, unsigned versions, uint64_t size) {
    memset(world, 0, sizeof *world);
    world->segment = test_segment("schedule");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.versions = versions;
    options.size = size;
    if (world_store)
        choose_store(world, &options);
    must_ok(untorn_writer_open(world->segment, &options, &world->writer));
    for (enum world_array a = 0; a < W_ARRAYS; a++) {
        // In place for good: readers look at it while more is added.
        world->history[a] = calloc(WORLD_HISTORY, sizeof *world->history[a]);
        must(world->history[a] != NULL, "memory");
        world_define(world, a);
    }
    world_commit(world);
    if (world_spare > 0)
        take_ballast(world);
    if (world_ballast) {
        world->tight = 1;
        fill_segment(world);
    }
}

void world_end(struct world *world) {
    untorn_writer_close(world->writer);
    must_ok(untorn_segment_remove(world->segment));
    if (world->store[0] != '\0')
        must_ok(ut_durable_remove_tree("test", world->store));
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

static _Thread_local struct world *committing; // until the commit's number is stored
static uint64_t pending;                       // what that will be

static void set_pending(struct world *world, uint64_t commit) {
    for (enum world_array a = 0; a < W_ARRAYS; a++)
        if (world->next[a].touched)
            world->history[a][world->count[a] - 1].commit = commit;
    pending = commit;
}

// What is evicted to make room for the commit takes numbers before it.
static void follow_commit(struct world *world, const char *step) {
    const ut_publisher *publisher = &world->writer->publisher;
    int evicting = 0;
    for (uint32_t i = 0; i < publisher->object_count; i++)
        evicting |= publisher->objects[i]->evicting;
    if (evicting || strcmp(step, "committed") != 0)
        set_pending(world, ut_load_relaxed(&publisher->segment->super->commit) + 1);
    else
        committing = NULL;
}

// The records are there before the commit is: readers that run within it may see it.
void world_commit(struct world *world) {
    uint64_t got = 0;
    int any = 0;
    for (enum world_array a = 0; a < W_ARRAYS; a++)
        if (world->next[a].touched) {
            record(world, a, 0);
            any = 1;
        }
    set_pending(world, untorn_writer_commit(world->writer) + 1);
    committing = world;
    must_ok(untorn_commit(world->writer, &got));
    committing = NULL;
    must(!any || got == pending || world_spare > 0, "commit number");
    if (any)
        set_pending(world, got);
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
    if (committing != NULL)
        follow_commit(committing, name);
    if ((steps_to_live > 0 && --steps_to_live == 0) ||
        (fatal_step != NULL && strcmp(name, fatal_step) == 0))
        longjmp(death, 1);
}

// What the kernel does to a process that is killed: its locks and mappings go, no more.
static void bury(untorn_writer *writer) {
    ut_writer_store *attached = writer->store;
    if (attached != NULL) { // its flusher does nothing more
        ut_store_relaxed(&writer->changed, 0);
        ut_flusher_stop(attached->flusher);
        ut_eviction_stop(attached->eviction);
        ut_store_close(&attached->store);
    }
    ut_writer_lock_drop(&writer->lock, writer->segment.name, false);
    ut_publisher_free(&writer->publisher);
    ut_segment_detach(&writer->segment);
    buried[buried_count++ % BURIED] = writer;
}

void world_adopt(struct world *world, int dies) {
    committing = NULL;
    if (dies)
        bury(world->writer);
    else
        untorn_writer_close(world->writer);
    must_ok(untorn_writer_open(world->segment, NULL, &world->writer));
    uint64_t commit = untorn_writer_commit(world->writer);
    if (world_spare > 0)
        take_ballast(world);
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
    lost_memory_begins();
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
        lost_memory_ends();
    } else {
        lost_memory_ends();
        world_adopt(world, 1);
    }
}

void world_die_in(struct world *world, const char *step, void (*run)(struct world *)) {
    lost_memory_begins();
    if (setjmp(death) == 0) {
        fatal_step = step;
        run(world);
        must(0, "there was no step %s", step);
    }
    fatal_step = NULL;
    lost_memory_ends();
    world_adopt(world, 1);
}

int world_die_at(struct world *world, unsigned n, void (*run)(struct world *, unsigned),
                 unsigned argument) {
    lost_memory_begins();
    if (setjmp(death) == 0) {
        steps_to_live = n;
        run(world, argument);
        steps_to_live = 0;
        lost_memory_ends();
        return 0;
    }
    lost_memory_ends();
    world_adopt(world, 1);
    return 1;
}

/* --- the store --- */

void world_flush(struct world *world) {
    must_ok(untorn_flush(world->writer, NULL));
}

void world_evict(struct world *world) {
    cache_evict(world->writer);
}

void world_warm(struct world *world) {
    must_ok(untorn_warm(world->writer, NULL, NULL));
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

/* --- scripts with a store --- */

static void evict_all(struct world *w, unsigned n) {
    while (n-- > 0) {
        rewrite_all(w, 1);
        world_flush(w);
        world_evict(w);
    }
}

static void evict_and_warm(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_flush(w);
        world_evict(w);
        world_warm(w);
    }
}

// What is clean goes out of the middle of a transaction that has its hand on the rest.
static void evict_within(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_flush(w);
        world_write(w, W_MULTI, 10, 20);
        world_attributes(w, W_SINGLE);
        if (w->next[W_EDGE].length < 170)
            world_append(w, W_EDGE, 7);
        else
            world_resize(w, W_EDGE, 100);
        world_evict(w);
        world_write(w, W_MULTI, 50, 3);
        if (w->next[W_GROW].length > WORLD_LENGTH - 30)
            world_resize(w, W_GROW, 5);
        world_append(w, W_GROW, 21);
        world_evict(w);
        world_commit(w);
        world_write(w, W_MULTI, 3, 30);
        world_evict(w);
        if (n % 2)
            world_abort(w);
        else
            world_commit(w);
    }
}

// Into what is only in the store.
static void evict_and_edit(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_flush(w);
        world_evict(w);
        world_write(w, W_MULTI, w->last_value % 60, 4);
        world_resize(w, W_EDGE, 90 + n % 20);
        world_write(w, W_SINGLE, 2, 3);
        world_commit(w);
        world_resize(w, W_GROW, 9 + w->last_value % 30);
        world_commit(w);
        world_append(w, W_GROW, 20);
        world_append(w, W_EDGE, 30);
        world_commit(w);
    }
}

static void evict_and_redefine(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_flush(w);
        world_evict(w);
        world_delete(w, W_GONE);
        if (n % 2) {
            world_evict(w);
            world_commit(w);
        }
        world_define(w, W_GONE);
        world_evict(w);
        world_commit(w);
        world_evict(w);
    }
}

// All commits but evictions' change nothing that is flushed.
static void evict_old_versions(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_flush(w);
        rewrite_a_chunk(w, 2);
        attributes(w, 1);
        world_evict(w);
        append(w, 1);
        world_evict(w);
        world_flush(w);
        world_evict(w);
    }
}

static void evict_and_adopt(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_flush(w);
        world_evict(w);
        world_write(w, W_MULTI, 3, 30);
        world_adopt(w, 0);
        world_evict(w);
        rewrite_a_chunk(w, 1);
        world_warm(w);
    }
}

static void evict_and_die(struct world *w, unsigned n) {
    while (n-- > 0) {
        world_die_at(w, 1 + w->last_value % 19, evict_all, 1);
        world_die_at(w, 1 + w->last_value % 17, evict_and_warm, 1);
        world_die_at(w, 1 + w->last_value % 29, evict_and_edit, 1);
    }
}

const struct world_named_script world_cache_scripts[] = {
    {"evict all", evict_all, 1},
    {"evict all", evict_all, 6},
    {"evict and warm", evict_and_warm, 1},
    {"evict and warm", evict_and_warm, 4},
    {"evict within", evict_within, 1},
    {"evict within", evict_within, 4},
    {"evict and edit", evict_and_edit, 1},
    {"evict and edit", evict_and_edit, 4},
    {"evict and redefine", evict_and_redefine, 2},
    {"evict old versions", evict_old_versions, 1},
    {"evict old versions", evict_old_versions, 3},
    {"evict and adopt", evict_and_adopt, 2},
    {"evict and die", evict_and_die, 2},
};
const size_t world_cache_script_count = sizeof world_cache_scripts / sizeof world_cache_scripts[0];

void world_churn(struct world *world, unsigned n) {
    while (n-- > 0) {
        for (enum world_array a = 0; a < W_ARRAYS; a++)
            world_rewrite(world, a);
        world_commit(world);
    }
}
