// SPDX-License-Identifier: MIT
/* A segment to be flushed and what its stores must hold: see flush_world.h. */
#include "flush_world.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "must.h"
#include "names.h"
#include "store/store_view.h"

static const struct {
    const char *name, *codec;
    unsigned rank;
    uint64_t shape[2], chunks[2];
    uint32_t fill;
} kinds[F_ARRAYS] = {
    [F_EDIT] = {"edit", "lz4", 2, {12, 12}, {5, 5}, 0},
    [F_STILL] = {"g/still", "none", 1, {10, 1}, {4, 1}, 0},
    [F_GROW] = {"grow", "lz4", 1, {3, 1}, {8, 1}, 9},
    [F_GONE] = {"g/h/gone", "lz4", 1, {6, 1}, {3, 1}, 0},
    [F_SPARSE] = {"sparse", "none", 2, {40, 40}, {20, 20}, 7},
};

static uint64_t elements(const struct flush_array_state *state) {
    return state->shape[0] * state->shape[1];
}

/* ---- the writer's part ---- */

static void define(struct flush_world *world, enum flush_array a) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    struct flush_array_state *state = &world->next.arrays[a];
    definition.dtype = "u4";
    definition.rank = kinds[a].rank;
    definition.shape = kinds[a].shape;
    definition.chunks = kinds[a].chunks;
    definition.fill = &kinds[a].fill;
    definition.codec = kinds[a].codec;
    must_ok(untorn_define(world->writer, kinds[a].name, &definition, &world->handle[a]));
    memset(state, 0, sizeof *state);
    state->exists = 1;
    memcpy(state->shape, kinds[a].shape, sizeof state->shape);
    for (uint64_t i = 0; i < elements(state); i++)
        state->values[i] = kinds[a].fill;
}

// Fresh numbers to the box from (row, column), of rows x columns.
static void write_box(struct flush_world *world, enum flush_array a, uint64_t row, uint64_t column,
                      uint64_t rows, uint64_t columns) {
    struct flush_array_state *state = &world->next.arrays[a];
    uint32_t values[FLUSH_ELEMENTS];
    for (uint64_t i = 0; i < rows * columns; i++) {
        values[i] = ++world->last_value;
        state->values[(row + i / columns) * state->shape[1] + column + i % columns] = values[i];
    }
    must_ok(untorn_write(world->handle[a], (uint64_t[]){row, column}, (uint64_t[]){rows, columns},
                         NULL, values));
}

static void resize(struct flush_world *world, enum flush_array a, uint64_t length) {
    struct flush_array_state *state = &world->next.arrays[a];
    for (uint64_t i = elements(state); i < length; i++)
        state->values[i] = kinds[a].fill;
    state->shape[0] = length;
    must_ok(untorn_resize(world->handle[a], &length));
}

static void attributes(struct flush_world *world, enum flush_array a) {
    char json[64];
    uint64_t value = world->next.arrays[a].attribute = world->step;
    snprintf(json, sizeof json, "{\"step\":%llu}", (unsigned long long)value);
    must_ok(untorn_set_attributes(world->handle[a], json));
}

static void group_attributes(struct flush_world *world) {
    char json[64];
    world->next.attribute = world->step;
    snprintf(json, sizeof json, "{\"step\":%llu}", (unsigned long long)world->step);
    must_ok(untorn_set_group_attributes(world->writer, "g", json));
}

static void first_step(struct flush_world *world) {
    for (int a = 0; a < F_ARRAYS; a++)
        define(world, (enum flush_array)a);
    write_box(world, F_EDIT, 0, 0, 12, 12);
    write_box(world, F_STILL, 0, 0, 10, 1);
    write_box(world, F_GROW, 0, 0, 3, 1);
    write_box(world, F_GONE, 0, 0, 6, 1);
    write_box(world, F_SPARSE, 0, 20, 20, 20);
    group_attributes(world);
}

static void later_step(struct flush_world *world) {
    uint64_t step = world->step, length = world->next.arrays[F_GROW].shape[0];
    write_box(world, F_EDIT, 5 * (step % 2), 5 * (step / 2 % 2), 3, 4);
    if (step % 5 == 4) {
        resize(world, F_GROW, length / 2);
    } else {
        resize(world, F_GROW, length + 4);
        write_box(world, F_GROW, length, 0, 3, 1);
    }
    if (world->next.arrays[F_GONE].exists && step % 3 == 2) {
        must_ok(untorn_delete(world->writer, kinds[F_GONE].name));
        world->next.arrays[F_GONE].exists = 0;
    } else if (!world->next.arrays[F_GONE].exists) {
        define(world, F_GONE);
        write_box(world, F_GONE, 2, 0, 3, 1);
    }
    if (step % 3 == 0)
        write_box(world, F_SPARSE, 25, 25, 2, 2);
    if (step % 2 == 0)
        attributes(world, F_EDIT);
    if (step % 4 == 1)
        group_attributes(world);
}

void flush_world_step(struct flush_world *world) {
    if (world->step == 0)
        first_step(world);
    else
        later_step(world);
    world->step++;
    must_ok(untorn_commit(world->writer, &world->next.commit));
    if (world->count == 2 * FLUSH_RECORDS) {
        world->count = FLUSH_RECORDS;
        memmove(world->records, world->records + world->count,
                world->count * sizeof *world->records);
    }
    world->records = realloc(world->records, (world->count + 1) * sizeof *world->records);
    must(world->records != NULL, "out of memory");
    world->records[world->count++] = world->next;
}

void flush_world_begin(struct flush_world *world) {
    memset(world, 0, sizeof *world);
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 4u << 20;
    world->options =
        (ut_flush_options){.format = UT_ZARR_V2, .threads = 2, .commit = UNTORN_NEWEST};
    world->segment = test_segment("flush");
    must_ok(untorn_writer_open(world->segment, &options, &world->writer));
    must_ok(untorn_reader_open(world->segment, NULL, &world->reader));
}

void flush_world_end(struct flush_world *world) {
    untorn_reader_close(world->reader);
    untorn_writer_close(world->writer);
    must_ok(untorn_segment_remove(world->segment));
    free(world->records);
    world->records = NULL;
}

untorn_status flush_world_flush(struct flush_world *world, const ut_store *store,
                                ut_flush_report *report) {
    memset(report, 0, sizeof *report);
    return ut_flush(store, world->reader, &world->options, report);
}

/* ---- the judge ---- */

static const char *bad(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *bad(const char *format, ...) {
    static char text[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static const char *judge_attributes(const char *what, const char *json, uint64_t step) {
    char expected[64];
    snprintf(expected, sizeof expected, "{\"step\":%llu}", (unsigned long long)step);
    // A definition without attributes has "" or the empty object.
    if (step == 0 && (json[0] == 0 || strcmp(json, "{}") == 0 || strcmp(json, expected) == 0))
        return NULL;
    return strcmp(json, expected) == 0 ? NULL
                                       : bad("%s: attributes %.100s, not %s", what, json, expected);
}

// The chunk's elements that the array has are those of the state.
static const char *judge_chunk(enum flush_array a, const struct flush_array_state *state,
                               uint64_t number, uint64_t across, const uint32_t *got) {
    const uint64_t *chunks = kinds[a].chunks;
    uint64_t top = number / across * chunks[0], left = number % across * chunks[1];
    for (uint64_t i = 0; i < chunks[0] * chunks[1]; i++) {
        uint64_t row = top + i / chunks[1], column = left + i % chunks[1];
        if (row >= state->shape[0] || column >= state->shape[1])
            continue;
        uint32_t expected = state->values[row * state->shape[1] + column];
        uint32_t value = got ? got[i] : kinds[a].fill;
        if (value != expected)
            return bad("array \"%s\": element %llu,%llu is %u, not %u", kinds[a].name,
                       (unsigned long long)row, (unsigned long long)column, value, expected);
    }
    return NULL;
}

static const char *judge_chunks(const ut_stored_array *stored, enum flush_array a,
                                const struct flush_array_state *state) {
    const uint64_t *chunks = kinds[a].chunks;
    uint64_t across = (state->shape[1] + chunks[1] - 1) / chunks[1];
    uint64_t down = (state->shape[0] + chunks[0] - 1) / chunks[0];
    uint32_t got[FLUSH_ELEMENTS];
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    const char *wrong = NULL;
    for (uint64_t number = 0; !wrong && number < across * down; number++) {
        const ut_manifest_chunk *chunk = ut_manifest_find_chunk(&stored->manifest, number);
        if (chunk && ut_stored_chunk_read(stored, chunk, got, &scratch) != UNTORN_OK)
            wrong = bad("%s", untorn_message());
        else
            wrong = judge_chunk(a, state, number, across, chunk ? got : NULL);
    }
    ut_codec_scratch_free(&scratch);
    return wrong;
}

static const char *judge_array(const ut_store_view *view, enum flush_array a,
                               const struct flush_array_state *state) {
    ut_manifest_object object;
    if (!ut_manifest_find_object(&view->manifest, kinds[a].name, &object))
        return state->exists ? bad("array \"%s\" is missing", kinds[a].name) : NULL;
    if (!state->exists)
        return bad("array \"%s\" had been deleted", kinds[a].name);
    ut_stored_array *stored = NULL;
    if (ut_stored_array_open(view, &object, &stored) != UNTORN_OK)
        return bad("%s", untorn_message());
    const char *wrong = NULL;
    if (stored->manifest.rank != kinds[a].rank ||
        memcmp(stored->manifest.shape, state->shape, kinds[a].rank * sizeof *state->shape) != 0)
        wrong = bad("array \"%s\": another shape", kinds[a].name);
    if (!wrong)
        wrong = judge_attributes(kinds[a].name, stored->manifest.attributes, state->attribute);
    if (!wrong)
        wrong = judge_chunks(stored, a, state);
    ut_stored_array_close(stored);
    return wrong;
}

static const struct flush_record *find_record(const struct flush_world *world, uint64_t commit) {
    for (size_t i = 0; i < world->count; i++)
        if (world->records[i].commit == commit)
            return &world->records[i];
    return NULL;
}

static const char *judge_snapshot(const struct flush_world *world, const ut_store *store,
                                  uint64_t commit) {
    const struct flush_record *record = find_record(world, commit);
    if (!record)
        return bad("there was no commit %llu", (unsigned long long)commit);
    ut_store_view *view = NULL;
    if (ut_store_view_open(store, commit, &view) != UNTORN_OK)
        return bad("%s", untorn_message());
    const char *wrong = NULL;
    ut_manifest_object group;
    if (view->manifest.commit != commit)
        wrong = bad("snapshot %llu says that it is %llu", (unsigned long long)commit,
                    (unsigned long long)view->manifest.commit);
    else if (!ut_manifest_find_object(&view->manifest, "g", &group))
        wrong = "group \"g\" is missing";
    else
        wrong = judge_attributes("group \"g\"", group.attributes, record->attribute);
    for (int a = 0; !wrong && a < F_ARRAYS; a++)
        wrong = judge_array(view, (enum flush_array)a, &record->arrays[a]);
    ut_store_view_close(view);
    return wrong;
}

static const char *judge_latest(const ut_store *store, const uint64_t *commits, size_t count,
                                uint64_t oldest) {
    char path[UT_STORE_PATH_MAX], target[64];
    uint64_t latest = 0;
    if (ut_store_latest(store, &latest) != UNTORN_OK)
        return bad("%s", untorn_message());
    must_ok(ut_store_path(store, path, "latest"));
    if (latest == 0 && readlink(path, target, sizeof target) >= 0)
        return "`latest` leads nowhere";
    if (oldest && (count == 0 || commits[0] < oldest))
        return bad("the newest snapshot is older than that of commit %llu, which was flushed",
                   (unsigned long long)oldest);
    if (latest == 0)
        return oldest ? "`latest` is gone" : NULL;
    return latest < oldest ? bad("`latest` is older than commit %llu, which was flushed",
                                 (unsigned long long)oldest)
                           : NULL;
}

const char *flush_world_judge(const struct flush_world *world, const char *path, uint64_t oldest,
                              unsigned flags) {
    ut_store store;
    untorn_status status = ut_store_open(&store, path, false);
    if (status != UNTORN_OK)
        return oldest == 0 && (status == UNTORN_E_NO_STORE || status == UNTORN_E_ARGUMENT)
                   ? NULL
                   : bad("%s", untorn_message());
    uint64_t *commits = NULL;
    size_t count = 0;
    const char *wrong = NULL;
    if (ut_store_commits(&store, &commits, &count) != UNTORN_OK)
        wrong = bad("%s", untorn_message());
    if (!wrong)
        wrong = judge_latest(&store, commits, count, oldest);
    for (size_t i = 0; !wrong && i < count; i++)
        wrong = judge_snapshot(world, &store, commits[i]);
    free(commits);
    ut_store_close(&store);
    if (!wrong && (flags & FLUSH_WORLD_VERIFY) && count) {
        untorn_verify_result result;
        if (untorn_store_verify(path, NULL, &result) != UNTORN_OK)
            wrong = bad("verify: %s", untorn_message());
    }
    return wrong;
}

const char *flush_world_rubbish(const char *path) {
    static char found[1200];
    DIR *listing = opendir(path);
    const char *result = NULL;
    if (!listing)
        return NULL;
    for (struct dirent *entry; !result && (entry = readdir(listing));) {
        char below[1200];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%.900s/%.255s", path, entry->d_name);
        if (strncmp(entry->d_name, ".tmp-", 5) == 0)
            result = strcpy(found, below);
        else if (lstat(below, &status) == 0 && S_ISDIR(status.st_mode))
            result = flush_world_rubbish(below);
    }
    closedir(listing);
    return result;
}

/* ---- a segment ---- */

static const char *compare_array(enum flush_array a, const struct flush_array_state *state,
                                 untorn_reader *reader) {
    untorn_array *array = NULL;
    untorn_result result;
    uint32_t values[FLUSH_ELEMENTS];
    untorn_status status = untorn_array_open(reader, kinds[a].name, &array);
    if (!state->exists)
        return status == UNTORN_E_NO_ARRAY ? NULL : bad("array \"%s\" is there", kinds[a].name);
    if (status == UNTORN_OK)
        status = untorn_read(array, NULL, NULL, values, sizeof values, &result);
    untorn_array_close(array);
    if (status != UNTORN_OK)
        return bad("%s", untorn_message());
    if (memcmp(result.shape, state->shape, kinds[a].rank * sizeof *state->shape) != 0)
        return bad("array \"%s\": another shape", kinds[a].name);
    for (uint64_t i = 0; i < elements(state); i++)
        if (values[i] != state->values[i])
            return bad("array \"%s\": element %llu is %u, not %u", kinds[a].name,
                       (unsigned long long)i, values[i], state->values[i]);
    return NULL;
}

const char *flush_world_compare(const struct flush_world *world, uint64_t commit,
                                untorn_reader *reader) {
    const struct flush_record *record = find_record(world, commit);
    if (!record)
        return bad("there was no commit %llu", (unsigned long long)commit);
    char *json = NULL;
    if (untorn_group_attributes(reader, "g", &json) != UNTORN_OK)
        return bad("%s", untorn_message());
    const char *wrong = judge_attributes("group \"g\"", json, record->attribute);
    free(json);
    for (int a = 0; !wrong && a < F_ARRAYS; a++)
        wrong = compare_array((enum flush_array)a, &record->arrays[a], reader);
    return wrong;
}

void flush_world_check_segment(const struct flush_world *world) {
    untorn_reader *reader = NULL;
    must_ok(untorn_reader_open(world->segment, NULL, &reader));
    const char *wrong = flush_world_compare(world, world->next.commit, reader);
    must(wrong == NULL, "%s", wrong);
    untorn_reader_close(reader);
}
