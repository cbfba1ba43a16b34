// SPDX-License-Identifier: MIT
/*
 * Where a flush takes things from: a segment whose writer commits on, a pin that ends, a store that
 * is another's or damaged, chunks that are only in the store; and exports.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/flushing.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#include "array/grid.h"
#include "base/test_hooks.h"

// ------------------------------------------------------------ a writer at full rate

#define ROWS 24u
#define ROW 500u
#define LONG (1u << 16)
static _Atomic bool stop_writing;

// Commit k has k everywhere in two arrays, one of whose chunks are cut, and k elements in another.
static void *write_on(void *argument) {
    static uint32_t values[ROWS * ROW];
    untorn_writer_array **arrays = argument;
    for (uint32_t k = 2; !atomic_load(&stop_writing); k++) {
        for (unsigned i = 0; i < ROWS * ROW; i++)
            values[i] = k;
        must_ok(untorn_write(arrays[0], NULL, NULL, NULL, values));
        must_ok(untorn_write(arrays[1], NULL, NULL, NULL, values));
        must_ok(untorn_append(arrays[2], 0, 1, NULL, &k));
        must_ok(untorn_commit(flushing.writer, NULL));
    }
    return NULL;
}

static uint32_t check_uniform(ut_store_view *view, const char *name) {
    static uint32_t chunk[ROWS * ROW];
    ut_manifest_object object;
    ut_stored_array *stored;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    uint32_t value = 0;
    must(ut_manifest_find_object(&view->manifest, name, &object));
    must_ok(ut_stored_array_open(view, &object, &stored));
    must(stored->manifest.count > 0);
    for (uint64_t i = 0; i < stored->manifest.count; i++) {
        const ut_manifest_chunk *record = ut_manifest_chunk_at(&stored->manifest, i);
        must_ok(ut_stored_chunk_read(stored, record, chunk, &scratch));
        if (i == 0)
            value = chunk[0];
        uint64_t width = stored->manifest.definition->chunks[1];
        for (uint64_t y = 0; y < record->extent[0]; y++)
            for (uint64_t x = 0; x < record->extent[1]; x++)
                must(chunk[y * width + x] == value, "%s: chunk %llu has %u and %u", name,
                     (unsigned long long)i, value, chunk[y * width + x]);
    }
    ut_codec_scratch_free(&scratch);
    ut_stored_array_close(stored);
    return value;
}

static uint32_t check_growing(ut_store_view *view, const char *name) {
    static uint32_t chunk[LONG];
    ut_manifest_object object;
    ut_stored_array *stored;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must(ut_manifest_find_object(&view->manifest, name, &object));
    must_ok(ut_stored_array_open(view, &object, &stored));
    uint64_t length = stored->manifest.shape[0];
    for (uint64_t i = 0; i < length; i++) {
        const ut_manifest_chunk *record = ut_manifest_find_chunk(&stored->manifest, i / LONG);
        must(record != NULL);
        if (i % LONG == 0)
            must_ok(ut_stored_chunk_read(stored, record, chunk, &scratch));
        uint32_t value = chunk[i % LONG];
        must(value == i + 1);
    }
    ut_codec_scratch_free(&scratch);
    ut_stored_array_close(stored);
    return (uint32_t)length;
}

static void P2_a_flush_under_a_writer_at_full_rate_is_of_one_commit(void **state) {
    (void)state;
    static uint32_t ones[ROWS * ROW];
    const uint64_t shape[] = {ROWS, ROW}, whole[] = {4, ROW}, cut[] = {5, 300}, none[] = {0},
                   long_[] = {LONG};
    pthread_t thread;
    flushing_begin();
    untorn_writer_array *arrays[3] = {flushing_define("whole", "u4", 2, shape, whole, "none", NULL),
                                      flushing_define("cut", "u4", 2, shape, cut, "lz4", NULL),
                                      flushing_define("grow", "u4", 1, none, long_, NULL, NULL)};
    for (unsigned i = 0; i < ROWS * ROW; i++)
        ones[i] = 1;
    must_ok(untorn_write(arrays[0], NULL, NULL, NULL, ones));
    must_ok(untorn_write(arrays[1], NULL, NULL, NULL, ones));
    must_ok(untorn_append(arrays[2], 0, 1, NULL, ones));
    must_ok(untorn_commit(flushing.writer, NULL));
    atomic_store(&stop_writing, false);
    must(pthread_create(&thread, NULL, write_on, arrays) == 0);
    uint64_t flushes = test_count(30), last = 0, flushed = 0;
    for (uint64_t n = 0; n < flushes || flushed == 0; n++) {
        flushing.threads = 1 + (unsigned)(n % 3);
        untorn_status status = flushing_try();
        if (status == UNTORN_E_OVERTAKEN) // out of space the writer may end an ordinary pin
            continue;
        must_ok(status);
        ut_store_view *view;
        must(flushing.report.commit >= last);
        last = flushing.report.commit;
        must_ok(ut_store_view_open(&flushing.store, flushing.report.commit, &view));
        uint32_t value = check_uniform(view, "whole");
        must(check_uniform(view, "cut") == value);
        must(check_growing(view, "grow") == value);
        ut_store_view_close(view);
        flushing_drop_older();
        flushed++;
    }
    atomic_store(&stop_writing, true);
    must(pthread_join(thread, NULL) == 0);
    flushing.threads = 1;
    flushing_end();
}

// ------------------------------------------------------------ the pin ends

static untorn_writer_array *hooked;
static unsigned overtake_in; // chunks

static void overtake(const char *step) {
    static uint32_t next;
    if (strcmp(step, "chunk encoded") != 0 || overtake_in == 0 || --overtake_in > 0)
        return;
    for (unsigned i = 0; i < 300; i++) { // the window keeps what is small for long
        uint32_t values[16];
        for (unsigned k = 0; k < 16; k++)
            values[k] = 1000 + next++;
        must_ok(untorn_write(hooked, NULL, NULL, NULL, values));
        must_ok(untorn_commit(flushing.writer, NULL));
    }
}

static void what_is_overtaken_is_not_stored(void **state) {
    (void)state;
    const uint64_t shape[] = {16}, chunks[] = {4};
    uint32_t values[16] = {1, 2, 3};
    flushing_begin();
    // Without the control file there is no pin, only the window.
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = UNTORN_READ_NO_CONTROL;
    untorn_reader_close(flushing.reader);
    must_ok(untorn_reader_open(flushing.segment, &options, &flushing.reader));
    for (unsigned codec = 0; codec < 2; codec++) {
        hooked = flushing_define(codec ? "lz4" : "none", "u4", 1, shape, chunks,
                                 codec ? "lz4" : "none", NULL);
        must_ok(untorn_write(hooked, NULL, NULL, NULL, values));
        flushing_commit();
        for (unsigned at = 1; at <= 4; at++) {
            uint64_t before = flushing.report.commit, latest;
            values[0]++;
            must_ok(untorn_write(hooked, NULL, NULL, NULL, values));
            must_ok(untorn_commit(flushing.writer, NULL));
            overtake_in = at;
            ut_step_hook = overtake;
            untorn_status status = flushing_try();
            ut_step_hook = NULL;
            must_be(UNTORN_E_OVERTAKEN, status);
            must(strstr(untorn_message(), codec ? "lz4" : "none") != NULL, "%s", untorn_message());
            must_ok(ut_store_latest(&flushing.store, &latest));
            must(latest == before);
            must_ok(flushing_try());
            flushing_check_store(&flushing.store);
        }
    }
    flushing_end();
}

// ------------------------------------------------------------ whose store it is

static void a_foreign_store_is_refused(void **state) {
    (void)state;
    const uint64_t one[] = {1};
    flushing_begin();
    flushing_define("a", "i4", 1, one, one, NULL, NULL);
    flushing_commit();
    ut_store first = flushing.store;
    char first_path[sizeof flushing.store_path];
    strcpy(first_path, flushing.store_path);
    untorn_writer *first_writer = flushing.writer;
    untorn_reader *first_reader = flushing.reader;
    const char *first_segment = flushing.segment;
    flushing_begin();
    ut_store second = flushing.store;
    flushing.store = first;
    must_say(UNTORN_E_FOREIGN_STORE, "belongs to another segment", flushing_try());
    flushing_define("b", "i4", 1, one, one, NULL, NULL);
    must_ok(untorn_commit(flushing.writer, NULL));
    must_ok(untorn_set_group_attributes(flushing.writer, "", "{}"));
    must_ok(untorn_commit(flushing.writer, NULL));
    must_say(UNTORN_E_FOREIGN_STORE, "belongs to another segment", flushing_try());
    flushing.store = second;
    flushing_end();
    flushing.segment = first_segment;
    flushing.writer = first_writer;
    flushing.reader = first_reader;
    flushing.store = first;
    strcpy(flushing.store_path, first_path);

    // An older commit than the store has.
    untorn_snapshot *snapshot;
    uint64_t old = untorn_writer_commit(flushing.writer);
    must_ok(untorn_snapshot_open(flushing.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    must_ok(untorn_set_group_attributes(flushing.writer, "", "{\"x\":1}"));
    flushing_commit();
    ut_flush_options options = {.format = UT_ZARR_V2, .threads = 1, .commit = old};
    must_say(UNTORN_E_FOREIGN_STORE, "went on without",
             ut_flush(&flushing.store, flushing.reader, &options, &flushing.report));
    untorn_snapshot_close(snapshot);
    flushing_end();
}

static void damage(const char *file_name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/.manifest", flushing.store_path, file_name);
    FILE *file = fopen(path, "r+b");
    must(file != NULL, "%s", path);
    must(fseek(file, -40, SEEK_END) == 0);
    int byte = fgetc(file);
    must(fseek(file, -40, SEEK_END) == 0);
    must(fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
}

static void a_damaged_snapshot_is_passed_over(void **state) {
    (void)state;
    const uint64_t shape[] = {8}, chunks[] = {2}, one[] = {1};
    uint32_t values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    flushing_begin();
    untorn_writer_array *a = flushing_define("a", "u4", 1, shape, chunks, NULL, NULL);
    untorn_writer_array *b = flushing_define("b", "u4", 1, shape, chunks, NULL, NULL);
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    must_ok(untorn_write(b, NULL, NULL, NULL, values));
    flushing_commit();
    must_ok(untorn_write(a, NULL, one, NULL, values + 2));
    flushing_commit();
    damage("latest");
    // Its own commit cannot be flushed again.
    must_say(UNTORN_E_CORRUPT, ".manifest", flushing_try());
    must_ok(untorn_write(a, (const uint64_t[]){7}, one, NULL, values + 2));
    flushing_commit();
    flushing_must_count(1, 1, 2, 2);
    // An array's manifest is damaged: it is written anew, when it has to be looked into.
    damage("latest/a");
    must_ok(untorn_write(a, (const uint64_t[]){1}, one, NULL, values + 2));
    flushing_commit();
    flushing_must_count(1, 1, 4, 0);
    flushing_end();
}

// ------------------------------------------------------------ what is only in the store

// Cells of an array's newest generation, changed where they are as an eviction would leave them.
static void evict(const char *name, uint64_t number, bool subtree, uint64_t version) {
    untorn_reader *own;
    untorn_array *array;
    ut_segment segment_;
    ut_descriptor descriptor = {.stamp = 0};
    must_ok(untorn_reader_open(flushing.segment, NULL, &own));
    must_ok(untorn_array_open(own, name, &array));
    must_ok(ut_segment_attach(&segment_, flushing.segment, true, false));
    ut_header *header = ut_segment_header(&segment_, array->index);
    must(ut_descriptor_newest(&segment_, header, &descriptor) == UT_FOUND);
    unsigned depth = ut_kind_depth(descriptor.kind);
    if (depth == 0) {
        uint64_t entries;
        descriptor.root_ref =
            ut_ref_make(0, UT_REF_EVICTED, descriptor.root_version, descriptor.uid, 0);
        ut_descriptor_slot *ring = ut_descriptor_ring(&segment_, header, &entries);
        uint64_t stamp = descriptor.stamp;
        ut_descriptor_store(ring + stamp % entries, &descriptor, stamp);
    } else {
        ut_node *node = ut_at(&segment_, ut_ref_offset(descriptor.root_ref), sizeof *node);
        for (unsigned level = depth; level > (subtree ? 2 : 1); level--)
            node = ut_at(
                &segment_,
                ut_ref_offset(ut_cell_load(&node->cells[number >> (5 * (level - 1)) & 31]).ref),
                sizeof *node);
        ut_cell *cell = &node->cells[subtree ? number >> 5 & 31 : number & 31];
        ut_place place = ut_cell_load(cell);
        must(place.ref != 0);
        place.version = version != 0 ? version : place.version;
        place.ref = ut_ref_make(0, UT_REF_EVICTED | (subtree ? UT_REF_SUBTREE : 0), place.version,
                                descriptor.uid, subtree ? 1 : 0);
        ut_cell_store(cell, place);
    }
    ut_segment_detach(&segment_);
    untorn_reader_close(own);
}

// The store's array is `values`, wherever the segment has them.
static void check_values(const ut_store *of, const char *name, const uint32_t *values,
                         uint64_t length, uint64_t absent) {
    ut_store_view *view;
    ut_manifest_object object;
    ut_stored_array *stored;
    untorn_array_info info;
    must_ok(ut_store_view_open(of, flushing.report.commit, &view));
    must(ut_manifest_find_object(&view->manifest, name, &object));
    must_ok(ut_stored_array_open(view, &object, &stored));
    ut_definition_info(stored->manifest.definition, &info);
    uint64_t cells = ut_grid_cells(1, &length, info.chunks, (uint64_t[1]){0});
    flushing_check_array(stored, &info, &length, (const void *)values, NULL, NULL);
    must(stored->manifest.count == cells - absent);
    ut_stored_array_close(stored);
    ut_store_view_close(view);
}

static void what_is_only_in_the_store_is_taken_from_there(void **state) {
    (void)state;
    enum { LENGTH = 254, GROWN = 255, CUT = 197 };
    const uint64_t shape[] = {LENGTH}, chunks[] = {4}, one[] = {1};
    uint32_t values[GROWN], fill = 77;
    for (unsigned i = 0; i < GROWN; i++)
        values[i] = i < LENGTH ? 1000 + i : fill;
    for (flushing.threads = 1; flushing.threads <= 2; flushing.threads++) {
        flushing_begin();
        untorn_writer_array *a = flushing_define("a", "u4", 1, shape, chunks, NULL, &fill);
        untorn_writer_array *s = flushing_define("s", "u4", 1, one, one, NULL, &fill);
        // Chunk 5 stays absent.
        must_ok(untorn_write(a, NULL, (const uint64_t[]){20}, NULL, values));
        must_ok(untorn_write(a, (const uint64_t[]){24}, (const uint64_t[]){LENGTH - 24}, NULL,
                             values + 24));
        must_ok(untorn_write(s, NULL, NULL, NULL, values));
        for (unsigned i = 20; i < 24; i++)
            values[i] = fill;
        flushing_commit();
        uint64_t flushed = flushing.report.commit;
        // Only attributes change: all is linked, in the store or not.
        must_ok(untorn_set_attributes(a, "{\"x\":1}"));
        must_ok(untorn_set_attributes(s, "{\"x\":1}"));
        must_ok(untorn_commit(flushing.writer, NULL));
        evict("a", 3, false, 0);
        evict("a", 40, false, 0);
        evict("s", 0, false, 0);
        must_ok(flushing_try());
        flushing_must_count(2, 0, 0, 64);
        check_values(&flushing.store, "a", values, LENGTH, 1);
        check_values(&flushing.store, "s", values, 1, 0);
        // Half of it a marker.
        must_ok(untorn_set_attributes(a, "{\"x\":2}"));
        must_ok(untorn_commit(flushing.writer, NULL));
        evict("a", 0, true, flushed);
        must_ok(flushing_try());
        flushing_must_count(1, 1, 0, 63);
        check_values(&flushing.store, "a", values, LENGTH, 1);
        // More of the last chunk shows, and then less of one: files are made of files.
        must_ok(untorn_resize(a, (const uint64_t[]){GROWN}));
        must_ok(untorn_commit(flushing.writer, NULL));
        evict("a", 63, false, flushed);
        must_ok(flushing_try());
        must(flushing.report.chunks_linked == 62 && flushing.report.chunks_written == 1);
        check_values(&flushing.store, "a", values, GROWN, 1);
        // An export has all of it as well: from the segment's own store.
        ut_store exported;
        uint64_t commit;
        char path[600];
        snprintf(path, sizeof path, "%s-exported", flushing.store_path);
        must_say(UNTORN_E_CORRUPT, "only in the store",
                 untorn_export(flushing.reader, path, NULL, &commit));
        ut_segment own;
        must_ok(ut_segment_attach(&own, flushing.segment, true, false));
        strcpy(own.store->path, flushing.store.path);
        ut_store_release(&own.store->path_bytes, (uint32_t)strlen(flushing.store.path));
        ut_segment_detach(&own);
        must_ok(untorn_export(flushing.reader, path, NULL, &commit));
        must(commit == flushing.report.commit);
        must_ok(ut_store_open(&exported, path, false));
        check_values(&exported, "a", values, GROWN, 1);
        check_values(&exported, "s", values, 1, 0);
        ut_store_close(&exported);
        // A version that no file has.
        must_ok(untorn_set_attributes(a, "{\"x\":3}"));
        must_ok(untorn_commit(flushing.writer, NULL));
        evict("a", 41, false, flushed - 1);
        must_say(UNTORN_E_CORRUPT, "array \"a\": chunk 41: is only in the store", flushing_try());
        flushing_end();
    }
    flushing.threads = 1;
}

// The writer's books know nothing of what was done to its table: it resizes by what it sees there.
// So cutting is seen through another segment than growing.
static void what_is_only_in_the_store_is_cut(void **state) {
    (void)state;
    const uint64_t shape[] = {8, 8}, chunks[] = {8, 8};
    uint32_t values[64], fill = 5;
    ut_store_view *view;
    ut_manifest_object object;
    ut_stored_array *stored;
    untorn_array_info info;
    for (unsigned i = 0; i < 64; i++)
        values[i] = 100 + i;
    flushing_begin();
    untorn_writer_array *a = flushing_define("a", "u4", 2, shape, chunks, NULL, &fill);
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    flushing_commit();
    must_ok(untorn_resize(a, (const uint64_t[]){7, 3}));
    must_ok(untorn_commit(flushing.writer, NULL));
    evict("a", 0, false, 0);
    must_ok(flushing_try());
    flushing_must_count(1, 0, 1, 0);
    must_ok(ut_store_view_open(&flushing.store, flushing.report.commit, &view));
    must(ut_manifest_find_object(&view->manifest, "a", &object));
    must_ok(ut_stored_array_open(view, &object, &stored));
    ut_definition_info(stored->manifest.definition, &info);
    uint32_t cut[21];
    for (unsigned i = 0; i < 21; i++)
        cut[i] = 100 + i / 3 * 8 + i % 3;
    flushing_check_array(stored, &info, (const uint64_t[]){7, 3}, (const void *)cut, NULL, NULL);
    must(stored->manifest.count == 1);
    ut_stored_array_close(stored);
    ut_store_view_close(view);
    flushing_end();
}

// ------------------------------------------------------------ export

static void an_export_has_real_directories(void **state) {
    (void)state;
    const uint64_t shape[] = {9}, chunks[] = {4};
    uint32_t values[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    char path[600], file[1200];
    struct stat stat_;
    uint64_t commit;
    flushing_begin();
    untorn_writer_array *a = flushing_define("g/a", "u4", 1, shape, chunks, NULL, NULL);
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    flushing_commit();
    snprintf(path, sizeof path, "%s-exported", flushing.store_path);
    untorn_export_options options = UNTORN_EXPORT_OPTIONS_INIT;
    options.threads = 2;
    for (unsigned n = 0; n < 2; n++) {
        must_ok(untorn_export(flushing.reader, path, &options, &commit));
        must(commit == untorn_writer_commit(flushing.writer));
        ut_store exported;
        must_ok(ut_store_open(&exported, path, false));
        flushing.report.commit = commit;
        flushing_check_store(&exported);
        ut_store_close(&exported);
        snprintf(file, sizeof file, "%s/snapshots/%llu/g/a", path, (unsigned long long)commit);
        must(lstat(file, &stat_) == 0 && S_ISDIR(stat_.st_mode), "%s", file);
        strcat(file, "/0");
        must(lstat(file, &stat_) == 0 && S_ISREG(stat_.st_mode) && stat_.st_nlink == 1, "%s", file);
        // Once more: it is there.  Then a second commit, beside the first.
        must_ok(untorn_export(flushing.reader, path, &options, &commit));
        must_ok(untorn_append(a, 0, 1, NULL, values));
        flushing_commit();
    }
    // The store of another segment.
    options.struct_size = 0;
    must_be(UNTORN_E_ARGUMENT, untorn_export(flushing.reader, path, &options, &commit));
    options = (untorn_export_options)UNTORN_EXPORT_OPTIONS_INIT;
    options.format = 4;
    must_be(UNTORN_E_ARGUMENT, untorn_export(flushing.reader, path, &options, &commit));
    must_be(UNTORN_E_BUSY, untorn_export(flushing.reader, flushing.store_path, NULL, &commit));
    flushing_end();
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P2_a_flush_under_a_writer_at_full_rate_is_of_one_commit),
        cmocka_unit_test(what_is_overtaken_is_not_stored),
        cmocka_unit_test(a_foreign_store_is_refused),
        cmocka_unit_test(a_damaged_snapshot_is_passed_over),
        cmocka_unit_test(what_is_only_in_the_store_is_taken_from_there),
        cmocka_unit_test(what_is_only_in_the_store_is_cut),
        cmocka_unit_test(an_export_has_real_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
