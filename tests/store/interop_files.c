// SPDX-License-Identifier: MIT
/*
 * What test_codec_interop.sh has other programs read, and reads of theirs.
 *
 *     interop_files write DIR          a store of each format, DIR/v2 and DIR/v3, with arrays of
 *                                      all types, and DIR/raw/NAME: what each array contains
 *     interop_files decode FILE RAW    whether the container FILE has the content RAW
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "array/box.h"
#include "array/definition.h"
#include "array/grid.h"
#include "store/codec.h"
#include "store/zarr_metadata.h"

static void must(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : untorn_message());
        exit(1);
    }
}

static void make_directory(const char *path) {
    must(mkdir(path, 0700) == 0 || errno == EEXIST, path);
    errno = 0;
}

static void write_file(const char *directory, const char *name, const void *bytes, size_t n) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    must(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, path);
}

static void *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    must(f != NULL && fseek(f, 0, SEEK_END) == 0, path);
    *n = (size_t)ftell(f);
    char *bytes = malloc(*n + 1);
    must(bytes != NULL && fseek(f, 0, SEEK_SET) == 0 && fread(bytes, 1, *n, f) == *n, path);
    fclose(f);
    return bytes;
}

// ------------------------------------------------------------ arrays

static const struct sample {
    const char *dtype;
    unsigned rank;
    uint64_t shape[3], chunks[3];
    const char *codec;
    const void *fill;
} samples[] = {
    {"b1", 1, {100}, {30}, "lz4", "\1"},
    {"i1", 2, {30, 41}, {8, 20}, "lz4", "\xff"},
    {"u2", 1, {5000}, {1000}, "none", "\x34\x12"},
    {"i4", 3, {20, 30, 7}, {8, 30, 3}, "lz4", NULL},
    {"u8", 1, {100}, {10}, "lz4", "\xff\xff\xff\xff\xff\xff\xff\xff"},
    {"i8", 1, {0}, {10}, "lz4", "\0\0\0\0\0\0\0\x80"},
    {"f2", 1, {100}, {64}, "lz4", "\x55\x35"},
    {"f4", 2, {300, 500}, {299, 499}, "lz4", "\xcd\xcc\xcc\x3d"},
    {"f8", 0, {0}, {0}, "lz4", NULL},
    {"f8", 2, {513, 400}, {256, 300}, "lz4", "\0\0\0\0\0\0\xf8\x7f"},
    {"f8", 1, {40}, {7}, "none", "\x9a\x99\x99\x99\x99\x99\xb9\x3f"},
    {"c8", 1, {100}, {50}, "lz4", "\0\0\xc0\x3f\0\0\0\xc0"},
    {"c16", 1, {3000}, {1000}, "lz4", NULL},
    {"S10", 1, {1000}, {300}, "lz4", "ab\0\0\0\0\0\0\0\0"},
    {"V3", 1, {1000}, {300}, "lz4", "\1\2\3"},
    {"S300", 1, {70}, {20}, "lz4", NULL},
};
#define SAMPLES (sizeof samples / sizeof *samples)

// Smooth in the high bytes and noisy in the low, as measurements are; flags are flags.
static void fill_content(unsigned char *bytes, size_t n, const ut_dtype *dtype) {
    uint32_t noise = 1;
    for (size_t i = 0; i < n; i++) {
        size_t element = i / dtype->itemsize, byte = i % dtype->itemsize;
        noise = noise * 1664525 + 1013904223;
        unsigned char value = (unsigned char)(noise >> 24);
        bytes[i] = dtype->kind == 'b' ? value & 1
                   : byte == 0        ? value
                                      : (unsigned char)(element >> (4 + byte) & 0x3f);
    }
}

// The chunks of the grid, but for number 1, which is to read as the fill value.
static void write_chunks(const char *directory, const ut_definition *d, const uint64_t *shape,
                         unsigned char *content) {
    uint64_t cells[UNTORN_MAX_RANK], start[UNTORN_MAX_RANK] = {0};
    int64_t strides[UNTORN_MAX_RANK], chunk_strides[UNTORN_MAX_RANK];
    size_t n = (size_t)d->slot_bytes, itemsize = d->dtype.itemsize;
    size_t bound = (size_t)ut_codec_bound(UT_CODEC_LZ4, n), size;
    char *chunk = malloc(n), *file = malloc(bound), *fill = malloc(n);
    ut_codec codec;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must(chunk && file && fill && ut_codec_parse(d->codec, &codec) == UNTORN_OK, d->codec);
    for (size_t i = 0; i < n; i++)
        fill[i] = ((const char *)d->fill)[i % itemsize];
    ut_grid_cells(d->rank, shape, d->chunks, cells);
    ut_c_strides(d->rank, itemsize, shape, strides);
    ut_c_strides(d->rank, itemsize, d->chunks, chunk_strides);
    ut_tiles tiles;
    ut_tile tile;
    for (ut_tiles_begin(&tiles, d->rank, cells, d->chunks, start, shape);
         ut_tiles_next(&tiles, &tile);) {
        unsigned char *at = content;
        for (unsigned i = 0; i < d->rank; i++)
            at += tile.in_region[i] * (uint64_t)strides[i];
        if (tile.cell == 1) {
            ut_box_copy(d->rank, itemsize, tile.count, at, strides, fill, chunk_strides);
            continue;
        }
        memset(chunk, 0, n);
        ut_box_copy(d->rank, itemsize, tile.count, chunk, chunk_strides, at, strides);
        must(ut_codec_encode(codec, itemsize, chunk, n, file, bound, &size, &scratch) == UNTORN_OK,
             "encode");
        char key[UT_ZARR_KEY_BYTES];
        ut_zarr_chunk_key(d->rank, cells, tile.cell, key);
        write_file(directory, key, file, size);
    }
    ut_codec_scratch_free(&scratch);
    free(chunk);
    free(file);
    free(fill);
}

static const char attributes[] =
    "{\"units\":\"m/s\",\"\xc3\xa9\":\"\xf0\x9f\x8c\x8a\",\"_ARRAY_DIMENSIONS\":[\"old\"]}";

static void write_metadata(const char *directory, ut_zarr_format format, const char *name,
                           const ut_definition *d, const uint64_t *shape,
                           ut_zarr_consolidation *c) {
    ut_growing_text text = UT_GROWING_TEXT_INIT;
    if (format == UT_ZARR_V2) {
        must(ut_zarr_v2_array(&text, d, shape) == UNTORN_OK, name);
        write_file(directory, ".zarray", text.bytes, text.length);
        ut_zarr_consolidate_add(c, name, ".zarray", text.bytes);
        ut_text_clear(&text);
        must(ut_zarr_v2_attributes(&text, d, attributes, NULL) == UNTORN_OK, name);
        write_file(directory, ".zattrs", text.bytes, text.length);
        ut_zarr_consolidate_add(c, name, ".zattrs", text.bytes);
    } else {
        must(ut_zarr_v3_array(&text, d, shape, attributes) == UNTORN_OK, name);
        write_file(directory, "zarr.json", text.bytes, text.length);
        ut_zarr_consolidate_add(c, name, "", text.bytes);
    }
    ut_text_free(&text);
}

static void write_sample(const char *top, const char *store, ut_zarr_format format, size_t i,
                         ut_zarr_consolidation *c) {
    const struct sample *s = &samples[i];
    static const char *const names[] = {"t", NULL, "\xc3\xa9"};
    char name[32], path[4096];
    snprintf(name, sizeof name, "g/a%zu_%s", i, s->dtype);
    untorn_definition from = UNTORN_DEFINITION_INIT;
    from.dtype = s->dtype;
    from.rank = s->rank;
    from.shape = s->shape;
    from.chunks = s->chunks;
    from.fill = s->fill;
    from.codec = s->codec;
    from.dimension_names = names;
    ut_definition *d;
    must(ut_definition_make(name, &from, 1, &d) == UNTORN_OK, name);
    if (ut_zarr_check(format, d) == UNTORN_OK) {
        size_t n = (size_t)ut_product(s->rank, s->shape) * d->dtype.itemsize;
        unsigned char *content = malloc(n + 1);
        must(content != NULL, name);
        fill_content(content, n, &d->dtype);
        snprintf(path, sizeof path, "%s/%s", store, name);
        make_directory(path);
        write_metadata(path, format, name, d, s->shape, c);
        write_chunks(path, d, s->shape, content);
        snprintf(path, sizeof path, "%s/raw", top);
        write_file(path, name + 2, content, n);
        free(content);
    }
    ut_definition_drop(d);
}

static void write_store(const char *top, ut_zarr_format format) {
    char store[2048], path[4096];
    snprintf(store, sizeof store, "%s/v%d", top, (int)format);
    snprintf(path, sizeof path, "%s/g", store);
    make_directory(store);
    make_directory(path);
    const ut_zarr_stamp stamp = {
        .uuid = {1, 2}, .commit = (UINT64_C(40) << 48) + 5, .time = INT64_C(1767323045000000009)};
    ut_growing_text text = UT_GROWING_TEXT_INIT, all = UT_GROWING_TEXT_INIT;
    ut_zarr_consolidation c;
    ut_zarr_consolidate_begin(&c, format, &all, "{\"title\":\"t\"}", &stamp);
    if (format == UT_ZARR_V2) {
        ut_zarr_v2_attributes(&text, NULL, "{\"title\":\"t\"}", &stamp);
        write_file(store, ".zattrs", text.bytes, text.length);
        ut_zarr_consolidate_add(&c, "", ".zattrs", text.bytes);
        ut_text_clear(&text);
        ut_zarr_v2_group(&text);
        write_file(store, ".zgroup", text.bytes, text.length);
        ut_zarr_consolidate_add(&c, "", ".zgroup", text.bytes);
        write_file(path, ".zgroup", text.bytes, text.length);
        ut_zarr_consolidate_add(&c, "g", ".zgroup", text.bytes);
    } else {
        ut_zarr_v3_group(&text, NULL, NULL);
        write_file(path, "zarr.json", text.bytes, text.length);
        ut_zarr_consolidate_add(&c, "g", "", text.bytes);
    }
    for (size_t i = 0; i < SAMPLES; i++)
        write_sample(top, store, format, i, &c);
    must(ut_zarr_consolidate_end(&c) == UNTORN_OK, "consolidated");
    write_file(store, format == UT_ZARR_V2 ? ".zmetadata" : "zarr.json", all.bytes, all.length);
    ut_text_free(&text);
    ut_text_free(&all);
}

static int decode(const char *file, const char *raw) {
    size_t n, expected;
    char *bytes = read_file(file, &n), *content = read_file(raw, &expected);
    char *out = malloc(expected + 1);
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    must(out != NULL &&
             ut_codec_decode(UT_CODEC_LZ4, bytes, n, out, expected, &scratch) == UNTORN_OK,
         file);
    int same = memcmp(out, content, expected) == 0;
    ut_codec_scratch_free(&scratch);
    free(out);
    free(bytes);
    free(content);
    return same ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "decode") == 0)
        return decode(argv[2], argv[3]);
    if (argc != 3 || strcmp(argv[1], "write") != 0)
        return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/raw", argv[2]);
    make_directory(path);
    write_store(argv[2], UT_ZARR_V2);
    write_store(argv[2], UT_ZARR_V3);
    return 0;
}
