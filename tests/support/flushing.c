// SPDX-License-Identifier: MIT
/* Flushing and comparing: see flushing.h. */
#include "flushing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "must.h"
#include "names.h"

#include "array/box.h"
#include "array/grid.h"
#include "base/hash.h"
#include "store/retention.h"

struct flushing flushing = {.threads = 1, .format = 2};

void flushing_begin(void) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 32u << 20;
    flushing.segment = test_segment("flush");
    must_ok(untorn_writer_open(flushing.segment, &options, &flushing.writer));
    must_ok(untorn_reader_open(flushing.segment, NULL, &flushing.reader));
    // What a disk does after a power cut is tested elsewhere; here syncing would only take time.
    snprintf(flushing.store_path, sizeof flushing.store_path, "%s/store",
             test_directory_in_memory("flush"));
    must_ok(ut_store_open(&flushing.store, flushing.store_path, true));
}

void flushing_end(void) {
    ut_store_close(&flushing.store);
    untorn_reader_close(flushing.reader);
    untorn_writer_close(flushing.writer);
    must_ok(untorn_segment_remove(flushing.segment));
}

untorn_status flushing_try(void) {
    ut_flush_options options = {.format = (ut_zarr_format)flushing.format,
                                .threads = flushing.threads,
                                .pool = flushing.pool};
    return ut_flush(&flushing.store, flushing.reader, &options, &flushing.report);
}

untorn_writer_array *flushing_define(const char *name, const char *dtype, unsigned rank,
                                     const uint64_t *shape, const uint64_t *chunks,
                                     const char *codec, const void *fill) {
    untorn_writer_array *array;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = dtype;
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    definition.codec = codec;
    definition.fill = fill;
    must_ok(untorn_define(flushing.writer, name, &definition, &array));
    return array;
}

// ------------------------------------------------------------ what the store has

// One chunk as its file must be: the visible box of the array's bytes, fill around it.
static void expected_chunk(const untorn_array_info *info, const uint64_t *shape,
                           const uint64_t *index, const unsigned char *array,
                           unsigned char *chunk) {
    int64_t array_strides[UNTORN_MAX_RANK], chunk_strides[UNTORN_MAX_RANK];
    uint64_t extent[UNTORN_MAX_RANK], size = ut_product(info->rank, info->chunks);
    for (uint64_t i = 0; i < size; i++)
        memcpy(chunk + i * info->itemsize, info->fill, info->itemsize);
    ut_c_strides(info->rank, info->itemsize, shape, array_strides);
    ut_c_strides(info->rank, info->itemsize, info->chunks, chunk_strides);
    ut_chunk_extent(info->rank, shape, info->chunks, index, extent);
    for (unsigned axis = 0; axis < info->rank; axis++)
        array += (int64_t)(index[axis] * info->chunks[axis]) * array_strides[axis];
    ut_box_copy(info->rank, info->itemsize, extent, chunk, chunk_strides, array, array_strides);
}

// The file's bytes match its record, and decode to `chunk`.
static void check_file(const ut_stored_array *stored, const ut_manifest_chunk *record,
                       const unsigned char *chunk, size_t bytes) {
    static unsigned char file[2 * MOST_BYTES], decoded[2 * MOST_BYTES];
    char path[UT_STORE_PATH_MAX];
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must_ok(ut_stored_chunk_path(stored, record->number, path));
    FILE *in = fopen(path, "rb");
    must(in != NULL, "%s: %s", path, strerror(errno));
    size_t n = fread(file, 1, sizeof file, in);
    fclose(in);
    must(n == record->bytes, "%s has %zu bytes", path, n);
    must(ut_hash(file, n) == record->hash, "%s", path);
    must_ok(ut_codec_decode(stored->codec, file, n, decoded, bytes, &scratch));
    must(memcmp(decoded, chunk, bytes) == 0, "%s: other content than in the segment", path);
    ut_codec_scratch_free(&scratch);
}

void flushing_check_array(const ut_stored_array *stored, const untorn_array_info *info,
                          const uint64_t *shape, const unsigned char *bytes,
                          bool (*present)(void *, const uint64_t *), void *context) {
    static unsigned char chunk[2 * MOST_BYTES];
    uint64_t cells[UNTORN_MAX_RANK], index[UNTORN_MAX_RANK], records = 0;
    size_t chunk_bytes = (size_t)ut_product(info->rank, info->chunks) * info->itemsize;
    uint64_t count = ut_grid_cells(info->rank, shape, info->chunks, cells);
    must(stored->manifest.rank == info->rank);
    must(info->rank == 0 || memcmp(stored->manifest.shape, shape, info->rank * sizeof *shape) == 0);
    for (uint64_t number = 0; number < count; number++) {
        uint64_t rest = number, extent[UNTORN_MAX_RANK];
        for (unsigned axis = info->rank; axis-- > 0; rest /= cells[axis])
            index[axis] = rest % cells[axis];
        const ut_manifest_chunk *record = ut_manifest_find_chunk(&stored->manifest, number);
        must(present == NULL || (record != NULL) == present(context, index), "chunk %llu",
             (unsigned long long)number);
        expected_chunk(info, shape, index, bytes, chunk);
        if (record != NULL) {
            ut_chunk_extent(info->rank, shape, info->chunks, index, extent);
            must(ut_manifest_same_chunk(record, info->rank, record->version, extent));
            check_file(stored, record, chunk, chunk_bytes);
            records++;
        }
    }
    must(records == stored->manifest.count);
}

struct member {
    untorn_snapshot *snapshot;
    size_t i;
};

static bool in_segment(void *context, const uint64_t *index) {
    struct member *member = context;
    const void *memory;
    untorn_status status = untorn_snapshot_chunk(member->snapshot, member->i, index, &memory);
    must(status == UNTORN_OK || status == UNTORN_E_ABSENT, "%s", untorn_message());
    return status == UNTORN_OK;
}

static void check_member(ut_store_view *view, untorn_snapshot *snapshot, size_t i) {
    static unsigned char bytes[MOST_BYTES];
    untorn_array_info info;
    untorn_result result;
    ut_manifest_object object;
    ut_stored_array *stored;
    char *attributes;
    must_ok(untorn_snapshot_describe(snapshot, i, &info, &result));
    must_ok(untorn_snapshot_read(snapshot, i, NULL, NULL, bytes, sizeof bytes));
    must_ok(untorn_snapshot_attributes(snapshot, i, &attributes));
    must(ut_manifest_find_object(&view->manifest, info.name, &object), "%s", info.name);
    must(object.generation == result.generation && object.commit == result.commit &&
         object.time == result.time);
    must_ok(ut_stored_array_open(view, &object, &stored));
    const char *text = stored->manifest.attributes;
    must(strcmp(text[0] != '\0' ? text : "{}", attributes) == 0, "%s: %s", info.name, text);
    struct member member = {snapshot, i};
    flushing_check_array(stored, &info, result.shape, bytes, in_segment, &member);
    ut_stored_array_close(stored);
    free(attributes);
}

void flushing_check_store(const ut_store *of) {
    untorn_snapshot *snapshot;
    ut_store_view *view;
    uint64_t latest;
    must_ok(ut_store_latest(of, &latest));
    must(latest == untorn_writer_commit(flushing.writer) && latest == flushing.report.commit);
    must_ok(untorn_snapshot_open(flushing.reader, NULL, 0, latest, &snapshot));
    must_ok(ut_store_view_open(of, latest, &view));
    must(view->manifest.time == flushing.report.time);
    size_t arrays = 0;
    for (uint64_t i = 0; i < view->manifest.count; i++) {
        ut_manifest_object object;
        ut_manifest_object_at(&view->manifest, i, &object);
        arrays += object.kind == UT_KIND_ARRAY;
        must(object.uid < view->manifest.next_uid);
    }
    must(arrays == untorn_snapshot_count(snapshot));
    for (size_t i = 0; i < arrays; i++)
        check_member(view, snapshot, i);
    ut_store_view_close(view);
    untorn_snapshot_close(snapshot);
}

void flushing_commit(void) {
    must_ok(untorn_commit(flushing.writer, NULL));
    must_ok(flushing_try());
    must(flushing.report.written);
    flushing_check_store(&flushing.store);
}

void flushing_drop_older(void) {
    const ut_retention retention = {.count = 2, .time = -1, .needed = UINT64_MAX};
    must_ok(ut_retention_apply(&flushing.store, &retention, NULL));
}

ino_t flushing_inode(const char *array, const char *file) {
    char path[1024];
    struct stat stat_;
    snprintf(path, sizeof path, "%s/latest/%s/%s", flushing.store_path, array, file);
    must(stat(path, &stat_) == 0, "%s: %s", path, strerror(errno));
    return stat_.st_ino;
}

void flushing_must_count(uint64_t arrays_written, uint64_t arrays_linked, uint64_t chunks_written,
                         uint64_t chunks_linked) {
    must(flushing.report.arrays_written == arrays_written &&
             flushing.report.arrays_linked == arrays_linked &&
             flushing.report.chunks_written == chunks_written &&
             flushing.report.chunks_linked == chunks_linked,
         "%llu %llu arrays, %llu %llu chunks", (unsigned long long)flushing.report.arrays_written,
         (unsigned long long)flushing.report.arrays_linked,
         (unsigned long long)flushing.report.chunks_written,
         (unsigned long long)flushing.report.chunks_linked);
}
