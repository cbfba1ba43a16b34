// SPDX-License-Identifier: MIT
/* Small stores without a segment: see sample_store.h. */
#include "sample_store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array/grid.h"
#include "base/file_ops.h"
#include "base/hash.h"
#include "must.h"
#include "names.h"
#include "rng.h"
#include "segment/layout.h"

const char *const sample_names[SAMPLE_ARRAYS] = {"a", "g/b", "g/h/c"};

static const double one_and_a_half = 1.5;
static const char *const axes[] = {"y", "x"};
static const struct sample {
    const char *dtype, *codec, *attributes;
    unsigned rank;
    uint64_t shape[2], chunks[2];
    const void *fill;
    const char *const *dimension_names;
    uint64_t absent; // this chunk has no file
} samples[SAMPLE_ARRAYS] = {
    {"i4", "lz4", "{\"units\":\"m\"}", 2, {10, 7}, {4, 4}, NULL, axes, 99},
    {"f8", "none", NULL, 1, {30}, {8}, &one_and_a_half, NULL, 2},
    {"u1", "lz4", NULL, 0, {0}, {0}, NULL, NULL, 99},
};

static void fill_chunk(uint64_t uid, uint64_t number, uint64_t version, unsigned char *bytes,
                       size_t n) {
    struct test_rng rng = {uid * 1000003 + number * 10007 + version};
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i % 4 == 0 ? rng_next(&rng) : number);
}

void sample_begin(ut_store *store, const char *what) {
    char path[1024];
    snprintf(path, sizeof path, "%s/store", test_directory(what));
    must_ok(ut_store_open(store, path, true));
}

// ------------------------------------------------------------ publishing

static ut_definition *define(unsigned i) {
    const struct sample *s = &samples[i];
    untorn_definition from = UNTORN_DEFINITION_INIT;
    from.dtype = s->dtype;
    from.rank = s->rank;
    from.shape = s->shape;
    from.chunks = s->chunks;
    from.fill = s->fill;
    from.dimension_names = s->dimension_names;
    from.codec = s->codec;
    ut_definition *definition;
    must_ok(ut_definition_make(sample_names[i], &from, i + 1, &definition));
    return definition;
}

static void write_chunk(ut_array_writer *w, const ut_definition *d, uint64_t number,
                        uint64_t version, const uint64_t *extent) {
    unsigned char raw[512], file[600];
    size_t size = 0, n = (size_t)d->slot_bytes;
    ut_codec codec;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must_ok(ut_codec_parse(d->codec, &codec));
    fill_chunk(d->uid, number, version, raw, n);
    must_ok(ut_codec_encode(codec, d->dtype.itemsize, raw, n, file, sizeof file, &size, &scratch));
    must_ok(ut_array_writer_file(w, number, file, size));
    must_ok(ut_array_writer_record(w, number, version, extent, size, ut_hash(file, size)));
    ut_codec_scratch_free(&scratch);
}

static void write_array(ut_snapshot_writer *writer, unsigned i, uint64_t commit,
                        const ut_stored_array *stored) {
    const struct sample *s = &samples[i];
    ut_definition *d = define(i);
    ut_manifest_array head = {.uid = i + 1,
                              .generation = commit & 0xffff,
                              .commit = commit,
                              .data_commit = commit,
                              .time = (int64_t)(commit & 0xffff)};
    ut_array_writer *w;
    must_ok(ut_array_writer_begin(writer, &head, d, s->shape, s->attributes, &w));
    uint64_t cells[UNTORN_MAX_RANK], start[2] = {0};
    ut_grid_cells(s->rank, s->shape, s->chunks, cells);
    ut_tiles tiles;
    ut_tile tile;
    ut_tiles_begin(&tiles, s->rank, cells, s->chunks, start, s->shape);
    while (ut_tiles_next(&tiles, &tile)) {
        if (tile.cell == s->absent)
            continue;
        const ut_manifest_chunk *old = stored != NULL && tile.cell > 0
                                           ? ut_manifest_find_chunk(&stored->manifest, tile.cell)
                                           : NULL;
        if (old == NULL) {
            write_chunk(w, d, tile.cell, commit, tile.count);
        } else {
            must_ok(ut_array_writer_link(w, tile.cell, stored, old));
            must_ok(ut_array_writer_record(w, tile.cell, old->version, old->extent, old->bytes,
                                           old->hash));
        }
    }
    must_ok(ut_array_writer_end(w));
    ut_definition_drop(d);
}

static int no_sync(int fd) {
    (void)fd;
    return 0;
}

static void publish(const ut_store *store, uint64_t commit, uint64_t previous, unsigned changed,
                    ut_zarr_format format, bool real_directories) {
    ut_snapshot_head head = {.uuid = {11, 12},
                             .commit = commit,
                             .time = 1000000007,
                             .next_uid = 100,
                             .format = format,
                             .real_directories = real_directories};
    ut_snapshot_writer *writer;
    ut_store_view *view = NULL;
    must_ok(ut_snapshot_writer_begin(store, &head, &writer));
    if (previous != 0)
        must_ok(ut_store_view_open(store, previous, &view));
    static const struct {
        const char *name, *attributes;
    } groups[] = {{"g", "{\"k\":[1,2]}"}, {"", "{\"title\":\"x\"}"}, {"e", "{\"k\":3}"}};
    for (unsigned i = 0; i < 3; i++) {
        ut_manifest_object group = {.uid = 50 + i,
                                    .generation = 1,
                                    .commit = SAMPLE_COMMIT(1),
                                    .data_commit = SAMPLE_COMMIT(1),
                                    .name = groups[i].name,
                                    .directory = "",
                                    .attributes = groups[i].attributes};
        must_ok(ut_snapshot_writer_add_group(writer, &group));
    }
    for (unsigned i = 0; i < SAMPLE_ARRAYS; i++) {
        ut_manifest_object object;
        ut_stored_array *stored = NULL;
        if (view != NULL) {
            must(ut_manifest_find_object(&view->manifest, sample_names[i], &object), "%s",
                 sample_names[i]);
            must_ok(ut_stored_array_open(view, &object, &stored));
        }
        if (view == NULL || (changed >> i & 1) != 0)
            write_array(writer, i, commit, stored);
        else
            must_ok(ut_snapshot_writer_link_array(writer, stored, &object));
        ut_stored_array_close(stored);
    }
    must_ok(ut_snapshot_writer_publish(writer));
    ut_store_view_close(view);
}

// Nobody cuts the power here, so that nothing has to wait for the disk.
void sample_publish(const ut_store *store, uint64_t commit, uint64_t previous, unsigned changed,
                    ut_zarr_format format, bool real_directories) {
    const struct ut_file_ops *before = ut_files;
    struct ut_file_ops table = *before;
    table.fsync = no_sync;
    ut_files_replace(&table);
    publish(store, commit, previous, changed, format, real_directories);
    ut_files_replace(before);
}

// ------------------------------------------------------------ checking

static bool within(const ut_definition *d, const uint64_t *extent, uint64_t element) {
    for (unsigned i = d->rank; i-- > 0;) {
        if (element % d->chunks[i] >= extent[i])
            return false;
        element /= d->chunks[i];
    }
    return true;
}

void sample_chunk(const ut_stored_array *array, const ut_manifest_chunk *chunk, void *bytes) {
    const ut_definition *d = array->manifest.definition;
    size_t n = (size_t)d->slot_bytes, item = d->dtype.itemsize;
    fill_chunk(d->uid, chunk->number, chunk->version, bytes, n);
    for (size_t i = 0; i < n / item; i++)
        if (!within(d, chunk->extent, i))
            memcpy((char *)bytes + i * item, d->fill, item);
}

ut_stored_array *sample_array(const ut_store_view *view, const char *name) {
    ut_manifest_object object;
    ut_stored_array *array;
    must(ut_manifest_find_object(&view->manifest, name, &object), "%s", name);
    must_ok(ut_stored_array_open(view, &object, &array));
    return array;
}

void sample_check(const ut_store *store, uint64_t commit) {
    ut_store_view *view;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must_ok(ut_store_view_open(store, commit, &view));
    for (unsigned i = 0; i < SAMPLE_ARRAYS; i++) {
        ut_stored_array *array = sample_array(view, sample_names[i]);
        size_t n = (size_t)array->manifest.definition->slot_bytes;
        unsigned char *got = malloc(n), *expected = malloc(n);
        for (uint64_t k = 0; k < array->manifest.count; k++) {
            const ut_manifest_chunk *chunk = ut_manifest_chunk_at(&array->manifest, k);
            must_ok(ut_stored_chunk_read(array, chunk, got, &scratch));
            sample_chunk(array, chunk, expected);
            must(memcmp(got, expected, n) == 0, "%s chunk %" PRIu64, sample_names[i],
                 chunk->number);
        }
        free(got);
        free(expected);
        ut_stored_array_close(array);
    }
    ut_codec_scratch_free(&scratch);
    ut_store_view_close(view);
}

// ------------------------------------------------------------ files

const char *sample_path(const ut_store *store, uint64_t commit, const char *rest) {
    static char path[UT_STORE_PATH_MAX];
    must_ok(ut_store_path(store, path, "snapshots/%" PRIu64 "%s%s", commit,
                          rest[0] != '\0' ? "/" : "", rest));
    return path;
}

const char *sample_array_path(const ut_store *store, uint64_t commit, const char *name) {
    static char path[UT_STORE_PATH_MAX];
    must(realpath(sample_path(store, commit, name), path) != NULL, "%s", name);
    return path;
}

size_t sample_read(const char *path, unsigned char **bytes) {
    int fd = open(path, O_RDONLY);
    struct stat stat;
    must(fd >= 0 && fstat(fd, &stat) == 0, "%s", path);
    size_t n = (size_t)stat.st_size;
    *bytes = malloc(n + 1);
    must(read(fd, *bytes, n) == (ssize_t)n, "%s", path);
    close(fd);
    return n;
}

// In place, so that other links of the file see it.
void sample_write(const char *path, const void *bytes, size_t n) {
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0666);
    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0, "%s", path);
}

void sample_flip(const char *path, uint64_t bit) {
    unsigned char *bytes;
    size_t n = sample_read(path, &bytes);
    must(n > 0, "%s", path);
    bytes[bit / 8 % n] ^= (unsigned char)(1u << bit % 8);
    sample_write(path, bytes, n);
    free(bytes);
}

void sample_resize(const char *path, int by) {
    unsigned char *bytes;
    size_t n = sample_read(path, &bytes);
    bytes[n] = 0;
    must(n > 0 || by > 0, "%s", path);
    sample_write(path, bytes, by > 0 ? n + 1 : n - 1);
    free(bytes);
}
