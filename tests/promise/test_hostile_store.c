// SPDX-License-Identifier: MIT
/*
 * P8, where a segment and a store meet: a store block, cells and manifests that are valid in form
 * and lie, and things in the store's place that are no files.  Readers, the next writer, recovery
 * and the flusher may refuse; they may not crash, hang, read beyond anything or give wrong data.
 *
 * Each case is a child that makes its own segment and store, so that a crash or a hang is that
 * case's failure.  Lies are told through the library's own writers of cells and manifests, so that
 * every check and hash is right.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "store/durable.h"
#include "store/store_view.h"

#define CHUNK 16
#define CHUNKS 70
#define LENGTH (CHUNK * CHUNKS)

static struct cache cache;
static untorn_writer_array *array;
static uint32_t values[LENGTH];

// An array of a table of two levels, flushed, and all of it only in the store.
static void begin(void) {
    uint64_t shape = LENGTH, chunk = CHUNK, two[2] = {6, 6}, three[2] = {3, 3};
    static const uint32_t some[36] = {1, 2, 3};
    cache_begin(&cache, "hostile", 2u << 20);
    array = cache_define(&cache, "a", 1, &shape, &chunk, 7);
    untorn_writer_array *other = cache_define(&cache, "b", 2, two, three, 0);
    for (uint32_t i = 0; i < LENGTH; i++)
        values[i] = 1000 + i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_write(other, NULL, NULL, NULL, some));
    must_ok(untorn_set_attributes(array, "{\"a\": 1}"));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
}

static void close_all(void) {
    untorn_reader_close(cache.reader);
    cache.reader = NULL;
    ut_store_relaxed(&cache.writer->changed, 0);
    untorn_writer_close(cache.writer);
    cache.writer = NULL;
}

/* ---- everything that can be done ---- */

// Right data or an error; `exactly`: right data.
static void read_it(bool exactly) {
    untorn_reader *reader;
    untorn_array *a;
    static uint32_t got[2 * LENGTH];
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.cache_bytes = 100000;
    options.threads = 3;
    untorn_status status = untorn_reader_open(cache.segment, &options, &reader);
    if (status != UNTORN_OK) {
        must(!exactly, "%s", untorn_message());
        return;
    }
    for (int i = 0; i < 2; i++) {
        status = untorn_array_open(reader, i ? "b" : "a", &a);
        if (status == UNTORN_OK) {
            untorn_result result;
            status = untorn_read(a, NULL, NULL, got, sizeof got, &result);
            if (status == UNTORN_OK && i == 0 && result.shape[0] == LENGTH)
                must(memcmp(got, values, sizeof values) == 0, "wrong data");
            char *json;
            if (untorn_attributes(a, &json, NULL) == UNTORN_OK)
                free(json);
            untorn_array_close(a);
        }
        must(!exactly || status == UNTORN_OK, "status %d: %s", status, untorn_message());
        must(status == UNTORN_OK || untorn_message()[0] != '\0', "no message");
    }
    untorn_listing *listing;
    if (untorn_list(reader, &listing) == UNTORN_OK)
        untorn_listing_free(listing);
    untorn_snapshot *snapshot;
    if (untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &snapshot) == UNTORN_OK) {
        for (size_t i = 0; i < untorn_snapshot_count(snapshot); i++) {
            uint64_t index[2] = {1, 1};
            const void *memory;
            untorn_snapshot_read(snapshot, i, NULL, NULL, got, sizeof got);
            untorn_snapshot_chunk(snapshot, i, index, &memory);
        }
        untorn_snapshot_close(snapshot);
    }
    untorn_flush_state state;
    untorn_reader_flush_state(reader, &state);
    uint64_t commit = 0;
    if (untorn_request_flush(reader, 20000000, &commit) == UNTORN_OK)
        must(commit != 0, "no commit");
    untorn_reader_close(reader);
}

static bool write_it(void) {
    untorn_writer *writer;
    untorn_writer_array *a;
    uint32_t some[3] = {1, 2, 3};
    uint64_t start = 35, count = 3, less = LENGTH - 20, more = LENGTH + 40;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flush_interval = UNTORN_ON_DEMAND;
    if (untorn_writer_open(cache.segment, &options, &writer) != UNTORN_OK)
        return false;
    if (untorn_writer_array_open(writer, "a", &a) == UNTORN_OK) {
        untorn_write(a, &start, &count, NULL, some);
        untorn_resize(a, &less);
        untorn_resize(a, &more);
        untorn_append(a, 0, 3, NULL, some);
        untorn_set_attributes(a, "{}");
        if (untorn_commit(writer, NULL) != UNTORN_OK)
            untorn_abort(writer);
    }
    if (writer->publisher.relief != NULL)
        cache_evict(writer);
    untorn_warm(writer, NULL, NULL);
    untorn_flush(writer, NULL);
    // What was superseded is used again.
    while (ut_space_take_free(&writer->publisher, UT_PAGE) != 0)
        continue;
    for (int i = 0; i < 30; i++) {
        static uint32_t all[LENGTH];
        if (untorn_writer_array_open(writer, i % 2 ? "b" : "a", &a) != UNTORN_OK ||
            untorn_write(a, NULL, i % 2 ? NULL : &(uint64_t){LENGTH / 2}, NULL, all) != UNTORN_OK ||
            untorn_commit(writer, NULL) != UNTORN_OK)
            untorn_abort(writer);
    }
    untorn_delete(writer, "a");
    if (untorn_commit(writer, NULL) != UNTORN_OK)
        untorn_abort(writer);
    untorn_writer_close(writer);
    return true;
}

static void use(bool exactly) {
    read_it(exactly);
    write_it();
    untorn_segment_remove(cache.segment);
    // From the store alone.
    cache.options.store = cache.store;
    if (untorn_writer_open(cache.segment, &cache.options, &cache.writer) == UNTORN_OK) {
        untorn_flush(cache.writer, NULL);
        cache_evict(cache.writer);
        untorn_warm(cache.writer, NULL, NULL);
        untorn_writer_close(cache.writer);
        untorn_segment_remove(cache.segment);
    }
}

/* ---- the store block ---- */

static unsigned which;

static void lie_in_the_block(void) {
    begin();
    ut_store_block *block = cache.writer->segment.store;
    cache_evict(cache.writer);
    uint32_t length = ut_load_relaxed(&block->path_bytes);
    bool exactly = false;
    switch (which) {
    case 0: // no NUL anywhere
        memset(block->path, 'x', sizeof block->path);
        block->path[0] = '/';
        break;
    case 1:
        memset(block->path, 'x', sizeof block->path);
        block->path[0] = '/';
        ut_store_relaxed(&block->path_bytes, UNTORN_MAX_STORE_PATH - 1);
        break;
    case 2:
        ut_store_relaxed(&block->path_bytes, UNTORN_MAX_STORE_PATH);
        break;
    case 3:
        ut_store_relaxed(&block->path_bytes, UINT32_MAX);
        break;
    case 4:
        memmove(block->path, block->path + 1, length); // relative
        break;
    case 5:
        block->path[length / 2] = '\0';
        break;
    case 6: // none, though there are evicted cells
        ut_store_relaxed(&block->path_bytes, 0);
        break;
    case 7: // a flush that never ends to be told of
        ut_store_relaxed(&block->stamp, UINT64_MAX);
        break;
    case 8:
        ut_store_relaxed(&block->failures, 3);
        ut_store_relaxed(&block->status, 0);
        ut_store_relaxed(&block->flushed_commit, 0);
        ut_store_relaxed(&block->ended, 0x7fffffff);
        memset(block->error, 'e', sizeof block->error);
        break;
    case 9:
        ut_store_relaxed(&block->failures, 3);
        ut_store_relaxed(&block->status, UINT64_MAX);
        ut_store_relaxed(&block->flushed_commit, 0);
        ut_store_relaxed(&block->ended, 0x7fffffff);
        break;
    case 10:
        ut_store_relaxed(&block->zarr_format, 77);
        ut_store_relaxed(&block->interval, INT64_MIN);
        ut_store_relaxed(&block->threads, UINT32_MAX);
        ut_store_relaxed(&block->keep_snapshots, UINT32_MAX);
        ut_store_relaxed(&block->keep_time, INT64_MIN);
        ut_store_relaxed(&block->flush_bytes, UINT64_MAX);
        exactly = true;
        break;
    case 11:
        ut_store_relaxed(&block->flushed_commit, UINT64_MAX);
        break;
    default: // a directory that is none, a FIFO, a symbolic link to itself
        must_ok(ut_durable_remove_tree("test", cache.store));
        if (which == 12)
            must(mkfifo(cache.store, 0600) == 0, "mkfifo");
        else if (which == 13)
            must(symlink(cache.store, cache.store) == 0, "symlink");
        else
            close(open(cache.store, O_CREAT | O_WRONLY, 0600));
    }
    read_it(exactly); // with its writer alive
    close_all();
    use(false);
}

/* ---- cells ---- */

// The leaf of chunk 0.
static ut_node *leaf_of(const untorn_writer_array *of) {
    ut_table_cursor cursor;
    ut_place place;
    memset(&cursor, 0, sizeof cursor);
    ut_table_lookup(&cache.writer->segment, &of->object->now, 0, &cursor, &place);
    must(cursor.leaf != NULL, "no leaf");
    return cursor.leaf;
}

static void set_cell(ut_cell *cell, uint64_t offset, uint64_t flags, uint64_t version,
                     unsigned level) {
    ut_cell_store(
        cell,
        (ut_place){ut_ref_make(offset, flags, version, array->object->now.uid, level), version});
}

static void lie_in_a_cell(void) {
    begin();
    ut_object *object = array->object;
    ut_cell *cell = &leaf_of(array)->cells[2];
    ut_place place = ut_cell_load(cell);
    uint64_t slot = ut_ref_offset(place.ref), version = place.version;
    ut_segment *segment = &cache.writer->segment;
    ut_node *root = ut_at(segment, ut_ref_offset(object->now.root_ref), sizeof *root);
    ut_descriptor descriptor = object->now;
    switch (which) {
    case 0: // evicted, and yet somewhere
        set_cell(cell, slot, UT_REF_EVICTED, version, 0);
        break;
    case 1:
        set_cell(cell, 4096, UT_REF_EVICTED | UT_REF_SEALED, version, 0);
        break;
    case 2: // a subtree at the leaf
        set_cell(cell, 0, UT_REF_EVICTED | UT_REF_SUBTREE, version, 0);
        break;
    case 3:
        set_cell(cell, slot, UT_REF_SUBTREE, version, 0);
        break;
    case 4: // of the wrong level
        set_cell(cell, 0, UT_REF_EVICTED, version, 1);
        break;
    case 5:
        set_cell(cell, 0, UT_REF_EVICTED, version + 1000, 0);
        break;
    case 6:
        set_cell(cell, 0, UT_REF_EVICTED, 1, 0);
        break;
    case 7: // above the leaf: evicted without being a subtree, a subtree that is not evicted
        set_cell(&root->cells[1], 0, UT_REF_EVICTED, version, 1);
        break;
    case 8:
        set_cell(&root->cells[1], ut_ref_offset(ut_cell_load(&root->cells[1]).ref), UT_REF_SUBTREE,
                 version, 1);
        break;
    case 9:
        set_cell(&root->cells[1], 4096, UT_REF_SUBTREE | UT_REF_EVICTED, version, 1);
        break;
    case 10:
        set_cell(&root->cells[1], 0, UT_REF_SUBTREE | UT_REF_EVICTED, UINT64_MAX, 1);
        break;
    case 11: // the root itself
        descriptor.root_ref = ut_ref_make(0, UT_REF_EVICTED, version, descriptor.uid, 2);
        descriptor.root_version = version;
        break;
    case 12:
        descriptor.attributes_ref =
            ut_ref_make(slot, UT_REF_EVICTED, version, descriptor.uid, UT_LEVEL_ATTRIBUTES);
        descriptor.attributes_version = version;
        break;
    case 13: // without a store
        set_cell(cell, 0, UT_REF_EVICTED, version, 0);
        set_cell(&root->cells[1], 0, UT_REF_SUBTREE | UT_REF_EVICTED, version, 1);
        ut_store_relaxed(&segment->store->path_bytes, 0);
        break;
    case 14:
        descriptor.data_commit = 1;
        break;
    default: { // in the catalogue
        ut_object *catalogue = cache.writer->catalogue.object;
        ut_node *node = ut_at(segment, ut_ref_offset(catalogue->now.root_ref), sizeof *node);
        uint64_t born = catalogue->now.root_version;
        if (which == 15)
            ut_cell_store(&node->cells[1],
                          (ut_place){ut_ref_make(0, UT_REF_EVICTED, born, 1, 0), born});
        else if (which == 16)
            ut_cell_store(
                &node->cells[1],
                (ut_place){ut_ref_make(0, UT_REF_EVICTED | UT_REF_SUBTREE, born, 1, 0), born});
        else if (which == 17)
            ut_cell_store(&node->cells[1],
                          (ut_place){ut_ref_make(4096, UT_REF_EVICTED, born, 1, 0), born});
        else {
            ut_descriptor top = catalogue->now;
            top.root_ref =
                ut_ref_make(0, UT_REF_EVICTED | UT_REF_SUBTREE, born, 1, ut_kind_depth(top.kind));
            ut_descriptor_store(
                &catalogue->ring[catalogue->generation & (catalogue->ring_entries - 1)], &top,
                catalogue->generation);
        }
    }
    }
    if (which >= 11 && which < 15)
        ut_descriptor_store(&object->ring[object->generation & (object->ring_entries - 1)],
                            &descriptor, object->generation);
    close_all();
    use(false);
}

/* ---- manifests ---- */

static untorn_status to_file(void *context, const void *bytes, size_t n) {
    return fwrite(bytes, 1, n, context) == n ? UNTORN_OK : UNTORN_E_SYSTEM;
}

struct lie {
    ut_manifest_array head;
    ut_definition *definition;
    int64_t version, extent, number;
    bool missing;
};

// Write the array's manifest anew, with a lie, and the snapshot's that names it.
static void tell(struct lie *lie, const char *directory, uint64_t lied_uid, uint64_t data_commit) {
    ut_store store;
    ut_store_view *view;
    ut_manifest_object object;
    ut_stored_array *stored;
    uint64_t commit, bytes, hash;
    char path[UT_STORE_PATH_MAX];
    must_ok(ut_store_open(&store, cache.store, false));
    must_ok(ut_store_latest(&store, &commit));
    must_ok(ut_store_view_open(&store, commit, &view));
    must(ut_manifest_find_object(&view->manifest, "a", &object), "a");
    must_ok(ut_stored_array_open(view, &object, &stored));
    const ut_manifest_array *old = &stored->manifest;
    ut_manifest_array head = *old;
    if (lie->head.uuid[0] != 0)
        head.uuid[0] = lie->head.uuid[0];
    if (data_commit != 0)
        head.data_commit = data_commit;
    ut_definition definition = *old->definition;
    definition.uid = lied_uid != 0 ? lied_uid : definition.uid;
    const ut_definition *told = lie->definition != NULL ? lie->definition : &definition;
    must_ok(ut_store_path(&store, path, "arrays/%s/.manifest", object.directory));
    unlink(path);
    FILE *file = fopen(path, "w");
    ut_manifest_writer *writer;
    must_ok(ut_manifest_begin_array(&writer, &head, told,
                                    lie->head.shape[0] ? lie->head.shape : old->shape,
                                    old->attributes, to_file, file));
    for (uint64_t i = 0; i < old->count; i++) {
        const ut_manifest_chunk *chunk = ut_manifest_chunk_at(old, i);
        uint64_t extent = chunk->extent[0];
        if (i == 3 && lie->missing)
            continue;
        if (i == 3)
            extent = (uint64_t)((int64_t)extent + lie->extent);
        if (ut_manifest_add_chunk(writer, chunk->number + (uint64_t)(i > 40 ? lie->number : 0),
                                  chunk->version + (uint64_t)(i == 3 ? lie->version : 0), &extent,
                                  chunk->bytes, chunk->hash) != UNTORN_OK)
            _exit(0); // such a lie cannot be told
    }
    must_ok(ut_manifest_end(writer, &bytes, &hash));
    fclose(file);
    char whole[UT_STORE_PATH_MAX];
    must_ok(ut_store_path(&store, whole, "snapshots/%llu/.manifest", (unsigned long long)commit));
    unlink(whole);
    file = fopen(whole, "w");
    must_ok(ut_manifest_begin_snapshot(&writer, &view->manifest, to_file, file));
    for (uint64_t i = 0; i < view->manifest.count; i++) {
        ut_manifest_object one;
        ut_manifest_object_at(&view->manifest, i, &one);
        if (strcmp(one.name, "a") == 0) {
            one.file_bytes = bytes;
            one.file_hash = hash;
            one.uid = lied_uid != 0 ? lied_uid : one.uid;
            if (data_commit != 0)
                one.data_commit = data_commit;
            if (directory != NULL)
                one.directory = directory;
        }
        if (ut_manifest_add_object(writer, &one) != UNTORN_OK)
            _exit(0);
    }
    must_ok(ut_manifest_end(writer, NULL, NULL));
    fclose(file);
    ut_stored_array_close(stored);
    ut_store_view_close(view);
    ut_store_close(&store);
}

static ut_definition *definition_with(const char *dtype, uint64_t chunk) {
    ut_definition *definition;
    untorn_definition given = UNTORN_DEFINITION_INIT;
    uint64_t shape = LENGTH;
    uint32_t fill = 7;
    given.dtype = dtype;
    given.rank = 1;
    given.shape = &shape;
    given.chunks = &chunk;
    given.fill = strcmp(dtype, "u4") == 0 ? &fill : NULL;
    must_ok(ut_definition_make("a", &given, array->definition->uid, &definition));
    return definition;
}

static void lie_in_a_manifest(void) {
    begin();
    cache_evict(cache.writer);
    struct lie lie = {.version = 0};
    uint64_t uid = 0, data_commit = 0;
    const char *directory = NULL;
    bool may_work = false;
    switch (which) {
    case 0:
        lie.version = 1;
        break;
    case 1:
        lie.version = -1;
        may_work = true; // a subtree's cell has the highest version only
        break;
    case 2:
        lie.extent = -5;
        break;
    case 3:
        lie.extent = 1;
        break;
    case 4:
        lie.number = 1;
        break;
    case 5:
        lie.number = 1000000;
        break;
    case 6:
        lie.missing = true;
        may_work = true;
        break;
    case 7: // chunks larger than those who read them think
        lie.definition = definition_with("u4", 8 * CHUNK);
        break;
    case 8: // or smaller
        lie.definition = definition_with("u4", 4);
        break;
    case 9:
        lie.definition = definition_with("f4", CHUNK);
        break;
    case 10:
        lie.definition = definition_with("u8", CHUNK);
        break;
    case 11: // gigantic
        lie.definition = definition_with("u4", UINT64_C(1) << 38);
        break;
    case 12:
        uid = array->object->now.uid + 50;
        break;
    case 13:
        data_commit = UINT64_C(1) << 40;
        break;
    case 14:
        data_commit = 1;
        may_work = true;
        break;
    case 15:
        directory = "..";
        break;
    case 16:
        directory = ".manifest";
        break;
    case 17:
        lie.head.shape[0] = LENGTH / 2;
        may_work = true;
        break;
    case 18:
        lie.head.shape[0] = UINT64_C(1) << 50;
        may_work = true;
        break;
    default:
        lie.head.uuid[0] = 77;
    }
    tell(&lie, directory, uid, data_commit);
    // With its writer alive: one who has not read the manifest yet, and the writer, who has.
    if (!may_work)
        read_it(false);
    untorn_writer_array *mine = array;
    uint64_t start = 3 * CHUNK + 2, one = 1;
    uint32_t value = 5;
    untorn_write(mine, &start, &one, NULL, &value);
    if (untorn_commit(cache.writer, NULL) != UNTORN_OK)
        untorn_abort(cache.writer);
    untorn_flush(cache.writer, NULL);
    cache_evict(cache.writer);
    untorn_warm(cache.writer, NULL, NULL);
    values[start] = value;
    close_all();
    write_it();
    untorn_segment_remove(cache.segment);
    if (untorn_writer_open(cache.segment, &cache.options, &cache.writer) == UNTORN_OK) {
        untorn_warm(cache.writer, NULL, NULL);
        untorn_flush(cache.writer, NULL);
        untorn_writer_close(cache.writer);
        untorn_segment_remove(cache.segment);
    }
}

/* ---- another store in its place ---- */

// It has the same uids, names, versions and shapes, but is another segment's.
static void another_store_in_its_place(void) {
    char aside[600];
    begin();
    cache_evict(cache.writer);
    close_all();
    snprintf(aside, sizeof aside, "%s-other", cache.store);
    must(rename(cache.store, aside) == 0, "rename");
    untorn_writer_options options = cache.options;
    untorn_writer *writer;
    const char *other = test_segment("other");
    must_ok(untorn_writer_open(other, &options, &writer));
    uint64_t shape = LENGTH, chunk = CHUNK;
    uint32_t fill = 7, wrong[LENGTH] = {1};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &chunk;
    definition.fill = &fill;
    untorn_writer_array *same;
    must_ok(untorn_define(writer, "a", &definition, &same));
    must_ok(untorn_write(same, NULL, NULL, NULL, wrong));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_flush(writer, NULL));
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(other));
    untorn_reader *reader;
    untorn_array *a;
    static uint32_t got[LENGTH];
    must_ok(untorn_reader_open(cache.segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &a));
    must_say(UNTORN_E_FOREIGN_STORE, cache.store,
             untorn_read(a, NULL, NULL, got, sizeof got, NULL));
    untorn_reader_close(reader);
    must_be(UNTORN_E_FOREIGN_STORE, untorn_writer_open(cache.segment, NULL, &writer));
    must_ok(untorn_segment_remove(cache.segment));
}

/* ---- the judge ---- */

static void in_children(const char *what, void (*scenario)(void), unsigned cases) {
    unsigned failed = 0;
    for (which = 0; which < cases; which++) {
        fflush(stdout);
        fflush(stderr);
        pid_t child = fork();
        if (child == 0) {
            test_is_child = 1;
            alarm(120); // a hang
            scenario();
            _exit(0);
        }
        int status = 0;
        must(child > 0 && waitpid(child, &status, 0) == child, "child");
        if (status != 0) {
            print_message("%s, case %u: status %d, signal %d\n", what, which, WEXITSTATUS(status),
                          WTERMSIG(status));
            failed++;
        }
    }
    must(failed == 0, "%u cases failed", failed);
}

static void P8_a_store_block_that_lies(void **state) {
    (void)state;
    in_children("store block", lie_in_the_block, 15);
}

static void P8_cells_that_lie(void **state) {
    (void)state;
    in_children("cell", lie_in_a_cell, 19);
}

static void P8_manifests_that_lie(void **state) {
    (void)state;
    in_children("manifest", lie_in_a_manifest, 20);
}

static void P8_another_store_in_its_place(void **state) {
    (void)state;
    in_children("another store", another_store_in_its_place, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P8_a_store_block_that_lies),
        cmocka_unit_test(P8_cells_that_lie),
        cmocka_unit_test(P8_manifests_that_lie),
        cmocka_unit_test(P8_another_store_in_its_place),
    };
    return cmocka_run_group_tests_name("hostile stores", tests, NULL, NULL);
}
