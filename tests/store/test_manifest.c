// SPDX-License-Identifier: MIT
// Manifests: what is written is read, fixed bytes at fixed places, what is out of order is refused
// by the writer, and every damage by the reader: each byte changed, each length cut, and random
// damage under a hash that was made to fit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/rng.h"
#include "../support/scale.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/manifest.h"
#include "store/manifest_layout.h"

#define EPOCH (UINT64_C(1) << 48)

// Of the two samples below, as version 1 has them.
#define ARRAY_HASH UINT64_C(0x842a0592358041e5)
#define SNAPSHOT_HASH UINT64_C(0xb65b7422ba553103)
#define SNAPSHOT_HASH_WITHOUT_TOTALS UINT64_C(0xa57f41c62974407c)

// ------------------------------------------------------------ a file in memory

typedef struct file {
    unsigned char *bytes;
    size_t n, capacity;
    unsigned calls;
    size_t fail_at; // bytes after which there is no more room; 0: never
} file;

static untorn_status append(void *context, const void *bytes, size_t n) {
    file *f = context;
    f->calls++;
    if (f->fail_at != 0 && f->n + n > f->fail_at)
        return ut_fail(UNTORN_E_NO_SPACE, "disk full");
    if (f->n + n > f->capacity) {
        f->capacity = 2 * (f->n + n);
        f->bytes = realloc(f->bytes, f->capacity);
        assert_non_null(f->bytes);
    }
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
    return UNTORN_OK;
}

static void *exact_copy(const void *bytes, size_t n) {
    void *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    return copy;
}

static void make_hash_fit(unsigned char *bytes, size_t n) {
    if (n < 32 || n % 8 != 0)
        return;
    uint64_t length = n, magic = UT_MANIFEST_END_MAGIC;
    memcpy(bytes + n - 24, &length, 8);
    memcpy(bytes + n - 16, &magic, 8);
    uint64_t hash = ut_hash(bytes, n - 8);
    memcpy(bytes + n - 8, &hash, 8);
}

// ------------------------------------------------------------ samples

static ut_definition *define(const char *name, const char *dtype, unsigned rank,
                             const uint64_t *chunks, const char *codec, uint64_t uid) {
    static const uint64_t shape[UNTORN_MAX_RANK];
    static const char *const names[UNTORN_MAX_RANK] = {"time"};
    untorn_definition from = UNTORN_DEFINITION_INIT;
    from.dtype = dtype;
    from.rank = rank;
    from.shape = shape;
    from.chunks = chunks;
    from.dimension_names = names;
    from.codec = codec;
    ut_definition *definition;
    if (ut_definition_make(name, &from, uid, &definition) != UNTORN_OK)
        fail_msg("%s", untorn_message());
    return definition;
}

static const ut_manifest_array array_head = {.uuid = {11, 12},
                                             .generation = 21,
                                             .commit = EPOCH + 9,
                                             .data_commit = EPOCH + 8,
                                             .time = 1234567890,
                                             .zarr_format = 2};

// 5 x 2 chunks, of which the first, the sixth and the last have files.
static ut_manifest_totals write_array(file *f) {
    ut_definition *d = define("g/a", "f8", 2, (const uint64_t[]){10, 20}, NULL, 77);
    ut_manifest_writer *w;
    assert_int_equal(ut_manifest_begin_array(&w, &array_head, d, (const uint64_t[]){45, 33},
                                             "{\"units\":\"m\"}", append, f),
                     UNTORN_OK);
    ut_manifest_add_chunk(w, 0, EPOCH + 3, (const uint64_t[]){10, 20}, 500, 0xaaaa);
    ut_manifest_add_chunk(w, 5, EPOCH + 8, (const uint64_t[]){10, 13}, 1616, 0xbbbb);
    ut_manifest_add_chunk(w, 9, EPOCH + 1, (const uint64_t[]){5, 13}, 16, 0xcccc);
    ut_manifest_totals totals = ut_manifest_written(w);
    uint64_t bytes, hash, stored;
    assert_int_equal(ut_manifest_end(w, &bytes, &hash), UNTORN_OK);
    assert_int_equal(bytes, f->n);
    memcpy(&stored, f->bytes + f->n - 8, 8);
    assert_int_equal(hash, stored);
    assert_int_equal(hash, ut_hash(f->bytes, f->n - 8));
    ut_definition_drop(d);
    return totals;
}

static const ut_manifest_object objects[] = {
    {UT_KIND_GROUP, 1, 3, EPOCH + 5, EPOCH + 5, 50, 0, 0, "", "", "{\"title\":\"x\"}", {0}},
    {UT_KIND_GROUP, 2, 1, EPOCH + 2, EPOCH + 2, 20, 0, 0, "g", "", "", {0}},
    {UT_KIND_ARRAY,
     77,
     21,
     EPOCH + 9,
     EPOCH + 8,
     90,
     512,
     0xfeed,
     "g/a",
     "4d-1000000000009-ab12",
     "",
     {true, 3, 2132, 3144}},
    {UT_KIND_ARRAY, 5, 1, EPOCH + 9, EPOCH + 9, 90, 400, 0xbeef, "g/a-b", "5-9-x", "", {0}},
};
#define OBJECTS (sizeof objects / sizeof *objects)

static const ut_manifest_snapshot snapshot_head = {
    .uuid = {11, 12}, .commit = EPOCH + 9, .time = -5, .next_uid = 78, .zarr_format = 3};

static untorn_status write_snapshot(file *f, const ut_manifest_object *from, size_t count) {
    ut_manifest_writer *w;
    assert_int_equal(ut_manifest_begin_snapshot(&w, &snapshot_head, append, f), UNTORN_OK);
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++)
        status = ut_manifest_add_object(w, &from[i]);
    untorn_status ended = ut_manifest_end(w, NULL, NULL);
    return status != UNTORN_OK ? status : ended;
}

// ------------------------------------------------------------ round trips

static void an_array_comes_back(void **state) {
    (void)state;
    file f = {0};
    write_array(&f);
    ut_manifest_array a;
    assert_int_equal(ut_manifest_open_array(f.bytes, f.n, &a), UNTORN_OK);
    assert_int_equal(a.uuid[1], 12);
    assert_int_equal(a.uid, 77);
    assert_int_equal(a.generation, 21);
    assert_int_equal(a.commit, EPOCH + 9);
    assert_int_equal(a.data_commit, EPOCH + 8);
    assert_int_equal(a.time, 1234567890);
    assert_int_equal(a.zarr_format, 2);
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.shape[0], 45);
    assert_int_equal(a.cells[1], 2);
    assert_string_equal(a.definition->name, "g/a");
    assert_string_equal(a.definition->dimension_names[0], "time");
    assert_string_equal(a.attributes, "{\"units\":\"m\"}");
    assert_int_equal(a.count, 3);
    assert_int_equal(a.file_hash, ut_hash(f.bytes, f.n - 8));
    const ut_manifest_chunk *c = ut_manifest_find_chunk(&a, 5);
    assert_ptr_equal(c, ut_manifest_chunk_at(&a, 1));
    assert_int_equal(c->bytes, 1616);
    assert_int_equal(c->hash, 0xbbbb);
    assert_true(ut_manifest_same_chunk(c, 2, EPOCH + 8, (const uint64_t[]){10, 13}));
    assert_false(ut_manifest_same_chunk(c, 2, EPOCH + 7, (const uint64_t[]){10, 13}));
    assert_false(ut_manifest_same_chunk(c, 2, EPOCH + 8, (const uint64_t[]){10, 12}));
    assert_non_null(ut_manifest_find_chunk(&a, 0));
    assert_non_null(ut_manifest_find_chunk(&a, 9));
    for (uint64_t number = 1; number < 12; number++)
        if (number != 5 && number != 9)
            assert_null(ut_manifest_find_chunk(&a, number));
    assert_null(ut_manifest_chunk_at(&a, 3));
    ut_manifest_close_array(&a);
    free(f.bytes);
}

static void arrays_of_all_kinds_come_back(void **state) {
    (void)state;
    static const char *const dtypes[] = {"b1", "u1", "f2", "c16", "S10", "V3", "S65535"};
    struct test_rng rng = {test_seed()};
    for (unsigned i = 0; i < 7 * 17; i++) {
        unsigned rank = i % 17;
        uint64_t chunks[UNTORN_MAX_RANK], shape[UNTORN_MAX_RANK], extent[UNTORN_MAX_RANK];
        uint64_t cells = 1;
        for (unsigned k = 0; k < rank; k++) {
            chunks[k] = rng_range(&rng, 1, 2);
            shape[k] = rng_chance(&rng, 3) ? 0 : rng_range(&rng, 1, 3);
            extent[k] = chunks[k];
            cells *= (shape[k] + chunks[k] - 1) / chunks[k];
        }
        ut_definition *d = define("x", dtypes[i / 17], rank, chunks, i % 2 ? "none" : "lz4", i + 1);
        file f = {0};
        ut_manifest_writer *w;
        assert_int_equal(ut_manifest_begin_array(&w, &array_head, d, shape, NULL, append, &f),
                         UNTORN_OK);
        uint64_t added = 0;
        for (uint64_t n = 0; n < cells && n < 5000; n += rng_range(&rng, 1, 3), added++)
            assert_int_equal(ut_manifest_add_chunk(w, n, EPOCH, extent, d->slot_bytes, n),
                             UNTORN_OK);
        assert_int_equal(ut_manifest_end(w, NULL, NULL), UNTORN_OK);
        ut_manifest_array a;
        // A container has 16 bytes at least, and these files may have fewer.
        if (ut_manifest_open_array(f.bytes, f.n, &a) == UNTORN_OK) {
            assert_int_equal(a.count, added);
            assert_string_equal(a.definition->dtype.text, d->dtype.text);
            assert_string_equal(a.attributes, "");
            for (uint64_t k = 0; k < added; k++)
                assert_int_equal(ut_manifest_chunk_at(&a, k)->hash,
                                 ut_manifest_chunk_at(&a, k)->number);
            ut_manifest_close_array(&a);
        } else if (!(added > 0 && i % 2 == 0 && d->slot_bytes < 16)) {
            fail_msg("%s", untorn_message());
        }
        ut_definition_drop(d);
        free(f.bytes);
    }
}

static void a_million_chunks_stream(void **state) {
    (void)state;
    uint64_t count = 1000000;
    ut_definition *d = define("big", "f4", 1, (const uint64_t[]){100}, "none", 4);
    file f = {0};
    ut_manifest_writer *w;
    assert_int_equal(ut_manifest_begin_array(&w, &array_head, d, (const uint64_t[]){count * 200},
                                             NULL, append, &f),
                     UNTORN_OK);
    const uint64_t whole[] = {100};
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(ut_manifest_add_chunk(w, 2 * i, EPOCH + 1, whole, 400, i), UNTORN_OK);
    uint64_t bytes;
    assert_int_equal(ut_manifest_end(w, &bytes, NULL), UNTORN_OK);
    assert_int_equal(bytes, f.n);
    assert_true(f.calls < bytes / 60000 + 5);
    ut_manifest_array a;
    assert_int_equal(ut_manifest_open_array(f.bytes, f.n, &a), UNTORN_OK);
    assert_int_equal(a.count, count);
    for (uint64_t i = 0; i < count; i += 997) {
        assert_int_equal(ut_manifest_find_chunk(&a, 2 * i)->hash, i);
        assert_null(ut_manifest_find_chunk(&a, 2 * i + 1));
    }
    ut_manifest_close_array(&a);
    ut_definition_drop(d);
    free(f.bytes);
}

static void same_totals(const ut_manifest_totals *totals, const ut_manifest_totals *expected) {
    assert_int_equal(totals->known, expected->known);
    assert_int_equal(totals->chunks, expected->chunks);
    assert_int_equal(totals->file_bytes, expected->file_bytes);
    assert_int_equal(totals->data_bytes, expected->data_bytes);
}

// What the writer counted is what the records say.
static void totals_are_the_sums_of_the_records(void **state) {
    (void)state;
    file f = {0};
    ut_manifest_totals written = write_array(&f), counted;
    ut_manifest_array a;
    assert_int_equal(ut_manifest_open_array(f.bytes, f.n, &a), UNTORN_OK);
    counted = ut_manifest_count(&a);
    same_totals(&counted,
                &(ut_manifest_totals){true, 3, 500 + 1616 + 16, 8 * (10 * 20 + 10 * 13 + 5 * 13)});
    same_totals(&written, &counted);
    ut_manifest_close_array(&a);
    free(f.bytes);
}

// The third object's totals stand behind its texts; 0 as their length takes them away, as in a
// manifest of a writer that knew of none.
static void totals_may_be_missing(void **state) {
    (void)state;
    for (uint32_t length = 0; length <= 40; length += 4) {
        file f = {0};
        assert_int_equal(write_snapshot(&f, objects, 3), UNTORN_OK);
        size_t at = 128 + 96 + 88; // the head, "" with its attributes, and "g"
        assert_int_equal(f.bytes[at + 8], 77);
        memcpy(f.bytes + at + 76, &length, sizeof length);
        make_hash_fit(f.bytes, f.n);
        ut_manifest_snapshot s;
        untorn_status status = ut_manifest_open_snapshot(f.bytes, f.n, &s);
        assert_int_equal(status, length == 0 || length == 24 ? UNTORN_OK : UNTORN_E_CORRUPT);
        ut_manifest_object o;
        if (status == UNTORN_OK) {
            assert_true(ut_manifest_find_object(&s, "g/a", &o));
            assert_int_equal(o.totals.known, length != 0);
            ut_manifest_close_snapshot(&s);
        }
        free(f.bytes);
    }
}

static void a_snapshot_comes_back(void **state) {
    (void)state;
    file f = {0};
    assert_int_equal(write_snapshot(&f, objects, OBJECTS), UNTORN_OK);
    ut_manifest_snapshot s;
    if (ut_manifest_open_snapshot(f.bytes, f.n, &s) != UNTORN_OK)
        fail_msg("%s", untorn_message());
    assert_int_equal(s.commit, EPOCH + 9);
    assert_int_equal(s.time, -5);
    assert_int_equal(s.next_uid, 78);
    assert_int_equal(s.zarr_format, 3);
    assert_int_equal(s.uuid[0], 11);
    assert_int_equal(s.count, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        ut_manifest_object o;
        assert_true(ut_manifest_find_object(&s, objects[i].name, &o));
        assert_int_equal(o.kind, objects[i].kind);
        assert_int_equal(o.uid, objects[i].uid);
        assert_int_equal(o.generation, objects[i].generation);
        assert_int_equal(o.commit, objects[i].commit);
        assert_int_equal(o.data_commit, objects[i].data_commit);
        assert_int_equal(o.time, objects[i].time);
        assert_int_equal(o.file_bytes, objects[i].file_bytes);
        assert_int_equal(o.file_hash, objects[i].file_hash);
        assert_string_equal(o.name, objects[i].name);
        assert_string_equal(o.directory, objects[i].directory);
        assert_string_equal(o.attributes, objects[i].attributes);
        same_totals(&o.totals, &objects[i].totals);
    }
    ut_manifest_object o;
    assert_false(ut_manifest_find_object(&s, "f", &o));
    assert_false(ut_manifest_find_object(&s, "zz", &o));
    ut_manifest_close_snapshot(&s);
    f.n = 0;
    assert_int_equal(write_snapshot(&f, objects, 0), UNTORN_OK);
    assert_int_equal(f.n, 160);
    assert_int_equal(ut_manifest_open_snapshot(f.bytes, f.n, &s), UNTORN_OK);
    assert_false(ut_manifest_find_object(&s, "", &o));
    ut_manifest_close_snapshot(&s);
    free(f.bytes);
}

// ------------------------------------------------------------ fixed bytes

static void the_format_is_fixed(void **state) {
    (void)state;
    file f = {0};
    write_array(&f);
    static const unsigned char head[] = {
        'U', 'N', 'T', 'O', 'R', 'N', 'M', '\n', 1,  0, 0, 0, 4, 3, 2, 1, 1,  0, 0, 0, 0, 0, 0, 0,
        0,   1,   0,   0,   2,   0,   0,   0,    11, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(f.bytes, head, sizeof head);
    // Definition: 48 fixed, 2 * 8 chunks, 8 fill, "g/a\0", 4 + "time\0", 4 + "\0" = 90, so 96.
    uint64_t words[] = {77, 21, EPOCH + 9, EPOCH + 8, 1234567890, 2 | UINT64_C(48) << 32, 90, 13,
                        0,  0,  45,        33,        0};
    assert_memory_equal(f.bytes + 48, words, sizeof words);
    assert_string_equal((char *)f.bytes + 256 + 96, "{\"units\":\"m\"}");
    uint64_t record[] = {5, EPOCH + 8, 1616, 0xbbbb, 10, 13};
    assert_memory_equal(f.bytes + 256 + 96 + 16 + 48, record, sizeof record);
    assert_int_equal(f.n, 256 + 96 + 16 + 3 * 48 + 32);
    uint64_t trailer[] = {3, f.n, UINT64_C(0x0a454e524f544e55)};
    assert_memory_equal(f.bytes + f.n - 32, trailer, sizeof trailer);
    // The hash of the whole would change with any byte of the format.
    uint64_t hash;
    memcpy(&hash, f.bytes + f.n - 8, 8);
    assert_int_equal(hash, ARRAY_HASH);
    f.n = 0;
    write_snapshot(&f, objects, OBJECTS);
    memcpy(&hash, f.bytes + f.n - 8, 8);
    assert_int_equal(hash, SNAPSHOT_HASH);
    // "g/a": 80 fixed and 4 + 22 + 1 of texts, so 112, and 24 of totals.
    const unsigned char *entry = f.bytes + 128 + 96 + 88;
    uint32_t lengths[] = {112 + 24, 24};
    assert_memory_equal(entry, &lengths[0], 4);
    assert_memory_equal(entry + 76, &lengths[1], 4);
    uint64_t totals[] = {3, 2132, 3144};
    assert_memory_equal(entry + 112, totals, sizeof totals);
    // Without totals it is what it was before there were any.
    ut_manifest_object without[OBJECTS];
    memcpy(without, objects, sizeof objects);
    without[2].totals.known = false;
    f.n = 0;
    write_snapshot(&f, without, OBJECTS);
    memcpy(&hash, f.bytes + f.n - 8, 8);
    assert_int_equal(hash, SNAPSHOT_HASH_WITHOUT_TOTALS);
    free(f.bytes);
}

// ------------------------------------------------------------ the writer refuses

static void the_writer_keeps_order(void **state) {
    (void)state;
    file f = {0};
    ut_definition *d = define("a", "u1", 1, (const uint64_t[]){10}, NULL, 1);
    ut_manifest_writer *w;
    assert_int_equal(
        ut_manifest_begin_array(&w, &array_head, d, (const uint64_t[]){95}, NULL, append, &f),
        UNTORN_OK);
    const uint64_t ten[] = {10}, none[] = {0}, many[] = {11};
    assert_int_equal(ut_manifest_add_chunk(w, 3, 1, ten, 16, 0), UNTORN_OK);
    assert_int_equal(ut_manifest_add_chunk(w, 3, 1, ten, 16, 0), UNTORN_E_ARGUMENT);
    assert_int_equal(ut_manifest_add_chunk(w, 2, 1, ten, 16, 0), UNTORN_E_ARGUMENT);
    assert_int_equal(ut_manifest_add_chunk(w, 10, 1, ten, 16, 0), UNTORN_E_ARGUMENT);
    assert_int_equal(ut_manifest_add_chunk(w, 4, 1, none, 16, 0), UNTORN_E_ARGUMENT);
    assert_int_equal(ut_manifest_add_chunk(w, 4, 1, many, 16, 0), UNTORN_E_ARGUMENT);
    assert_int_equal(ut_manifest_add_chunk(w, 9, 1, ten, 16, 0), UNTORN_OK);
    ut_manifest_abandon(w);
    ut_manifest_abandon(NULL);
    assert_int_equal(ut_manifest_begin_array(&w, &array_head, d,
                                             (const uint64_t[]){UINT64_C(1) << 63}, NULL, append,
                                             &f),
                     UNTORN_E_ARGUMENT);
    ut_manifest_object swapped[] = {objects[1], objects[0]};
    assert_int_equal(write_snapshot(&f, swapped, 2), UNTORN_E_ARGUMENT);
    ut_manifest_object twice[] = {objects[1], objects[1]};
    assert_int_equal(write_snapshot(&f, twice, 2), UNTORN_E_ARGUMENT);

    // What the sink says ends the file.
    file full = {.fail_at = 100000};
    assert_int_equal(ut_manifest_begin_array(&w, &array_head, d,
                                             (const uint64_t[]){UINT64_C(1) << 30}, NULL, append,
                                             &full),
                     UNTORN_OK);
    untorn_status status = UNTORN_OK;
    for (uint64_t i = 0; i < 10000; i++)
        status = ut_manifest_add_chunk(w, i, 1, ten, 16, 0);
    assert_int_equal(status, UNTORN_E_NO_SPACE);
    assert_int_equal(ut_manifest_end(w, NULL, NULL), UNTORN_E_NO_SPACE);
    assert_true(full.n <= 100000);
    ut_definition_drop(d);
    free(full.bytes);
    free(f.bytes);
}

// ------------------------------------------------------------ the reader refuses

static untorn_status open_either(const void *bytes, size_t n, bool array) {
    if (array) {
        ut_manifest_array a;
        untorn_status status = ut_manifest_open_array(bytes, n, &a);
        if (status != UNTORN_OK)
            return status;
        // Whatever was accepted can be used.
        for (uint64_t i = 0; i < a.count; i++) {
            const ut_manifest_chunk *c = ut_manifest_chunk_at(&a, i);
            assert_ptr_equal(ut_manifest_find_chunk(&a, c->number), c);
            ut_manifest_same_chunk(c, a.rank, 0, a.shape);
        }
        assert_true(strlen(a.attributes) < n);
        ut_manifest_close_array(&a);
        return UNTORN_OK;
    }
    ut_manifest_snapshot s;
    untorn_status status = ut_manifest_open_snapshot(bytes, n, &s);
    if (status != UNTORN_OK)
        return status;
    for (uint64_t i = 0; i < s.count; i++) {
        ut_manifest_object o, found;
        ut_manifest_object_at(&s, i, &o);
        assert_true(strlen(o.name) + strlen(o.directory) + strlen(o.attributes) < n);
        assert_true(ut_manifest_find_object(&s, o.name, &found));
        assert_ptr_equal(found.name, o.name);
        assert_null(strchr(o.directory, '/'));
    }
    ut_manifest_close_snapshot(&s);
    return UNTORN_OK;
}

static void every_changed_byte_is_seen(void **state) {
    (void)state;
    for (int array = 0; array < 2; array++) {
        file f = {0};
        if (array)
            write_array(&f);
        else
            write_snapshot(&f, objects, OBJECTS);
        assert_int_equal(open_either(f.bytes, f.n, array), UNTORN_OK);
        assert_int_equal(open_either(f.bytes, f.n, !array), UNTORN_E_CORRUPT);
        for (size_t i = 0; i < f.n; i++) {
            f.bytes[i] ^= 0x10;
            untorn_status status = open_either(f.bytes, f.n, array);
            assert_true(status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION);
            assert_true(status == UNTORN_E_CORRUPT || (i >= 8 && i < 24));
            f.bytes[i] ^= 0x10;
        }
        for (size_t n = 0; n < f.n; n++) {
            unsigned char *cut = exact_copy(f.bytes, n);
            assert_int_equal(open_either(cut, n, array), UNTORN_E_CORRUPT);
            make_hash_fit(cut, n);
            open_either(cut, n, array);
            free(cut);
        }
        unsigned char *shifted = malloc(f.n + 8);
        memcpy(shifted + 4, f.bytes, f.n);
        assert_int_equal(open_either(shifted + 4, f.n, array), UNTORN_E_ARGUMENT);
        free(shifted);
        free(f.bytes);
    }
}

static void damage_under_a_good_hash_does_no_damage(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    uint64_t times = test_count(200000), accepted = 0;
    for (int array = 0; array < 2; array++) {
        file f = {0};
        if (array)
            write_array(&f);
        else
            write_snapshot(&f, objects, OBJECTS);
        for (uint64_t i = 0; i < times; i++) {
            unsigned char *bytes = exact_copy(f.bytes, f.n);
            for (uint64_t changes = rng_range(&rng, 1, 3); changes > 0; changes--) {
                size_t at = (size_t)rng_below(&rng, f.n);
                static const unsigned char nasty[] = {0, 1, 0x7f, 0x80, 0xff};
                bytes[at] = rng_chance(&rng, 50) ? nasty[rng_below(&rng, sizeof nasty)]
                                                 : (unsigned char)rng_next(&rng);
            }
            size_t n = rng_chance(&rng, 10) ? 8 * (size_t)rng_below(&rng, f.n / 8 + 1) : f.n;
            make_hash_fit(bytes, n);
            unsigned char *cut = exact_copy(bytes, n);
            accepted += open_either(cut, n, array) == UNTORN_OK;
            free(cut);
            free(bytes);
        }
        free(f.bytes);
    }
    assert_true(accepted > 0); // damage to a time, say, is none; else the hash did not fit
}

// One 64-bit word of the array manifest, changed, and the hash made to fit.
static void refuse_array(size_t at, uint64_t value, const char *message) {
    file f = {0};
    write_array(&f);
    memcpy(f.bytes + at, &value, 8);
    if (at + 32 < f.n) // the trailer's count is kept otherwise
        make_hash_fit(f.bytes, f.n);
    uint64_t hash = ut_hash(f.bytes, f.n - 8);
    memcpy(f.bytes + f.n - 8, &hash, 8);
    assert_int_equal(open_either(f.bytes, f.n, true), UNTORN_E_CORRUPT);
    if (strstr(untorn_message(), message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", untorn_message(), message);
    free(f.bytes);
}

static void impossible_fields_are_named(void **state) {
    (void)state;
    const size_t records = 256 + 96 + 16;
    refuse_array(24, 264 | UINT64_C(2) << 32, "damaged"); // a longer head moves all else
    refuse_array(24, 250 | UINT64_C(2) << 32, "length of its head");
    refuse_array(24, 256 | UINT64_C(4) << 32, "Zarr format");
    refuse_array(48, 78, "definition");
    refuse_array(64, EPOCH, "commit or generation");
    refuse_array(88, 17 | UINT64_C(48) << 32, "rank");
    refuse_array(88, 2 | UINT64_C(40) << 32, "number of chunk records");
    refuse_array(88, 2, "number of chunk records");
    refuse_array(96, UINT64_MAX, "too long");
    refuse_array(96, 80, "damaged");
    refuse_array(104, 12, "attributes");
    refuse_array(104, 900, "exceed");
    refuse_array(128, UINT64_MAX, "shape");
    refuse_array(128, 0, "chunk record 0"); // then there is no chunk at all
    refuse_array(records, 5, "chunk record 1");
    refuse_array(records + 8, 0, "chunk record 0");
    refuse_array(records + 8, EPOCH + 10, "chunk record 0");
    refuse_array(records + 16, 1617, "chunk record 0");
    refuse_array(records + 16, 15, "chunk record 0");
    refuse_array(records + 32, 11, "chunk record 0");
    refuse_array(records + 40, 0, "chunk record 0");
    refuse_array(records + 3 * 48, 2, "number of chunk records");
}

static void refuse_objects(const ut_manifest_object *from, size_t count, const char *message) {
    file f = {0};
    assert_int_equal(write_snapshot(&f, from, count), UNTORN_OK);
    assert_int_equal(open_either(f.bytes, f.n, false), UNTORN_E_CORRUPT);
    if (strstr(untorn_message(), message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", untorn_message(), message);
    free(f.bytes);
}

static void impossible_objects_are_named(void **state) {
    (void)state;
    static const char *const bad_directories[] = {".", "..", "../x", "a/b", "/", ".tmp-1", "a b"};
    for (size_t i = 0; i < sizeof bad_directories / sizeof *bad_directories; i++) {
        ut_manifest_object o = objects[2];
        o.directory = bad_directories[i];
        refuse_objects(&o, 1, "object 0: directory");
    }
    ut_manifest_object o = objects[1];
    o.directory = "x";
    refuse_objects(&o, 1, "directory");
    o = objects[1];
    o.name = "g//a";
    refuse_objects(&o, 1, "name");
    o = objects[2];
    o.name = "";
    refuse_objects(&o, 1, "name");
    o = objects[2];
    o.attributes = "{}";
    refuse_objects(&o, 1, "attributes");
    o = objects[1];
    o.attributes = "[]";
    refuse_objects(&o, 1, "attributes");
    o = objects[1];
    o.kind = UT_KIND_CATALOGUE;
    refuse_objects(&o, 1, "kind");
    o = objects[1];
    o.uid = 78;
    refuse_objects(&o, 1, "uid");
    o = objects[1];
    o.commit = EPOCH + 10;
    refuse_objects(&o, 1, "commit");
    ut_manifest_object two[] = {objects[2], objects[3]};
    two[1].uid = two[0].uid;
    refuse_objects(two, 2, "twice");
    two[1] = objects[3];
    two[1].name = "g/a/b";
    refuse_objects(two, 2, "below an array");
}

static void objects_are_counted(void **state) {
    (void)state;
    for (uint64_t count = 0; count < 8; count++) {
        file f = {0};
        write_snapshot(&f, objects, OBJECTS);
        memcpy(f.bytes + f.n - 32, &count, 8);
        make_hash_fit(f.bytes, f.n);
        assert_int_equal(open_either(f.bytes, f.n, false),
                         count == OBJECTS ? UNTORN_OK : UNTORN_E_CORRUPT);
        free(f.bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_comes_back),
        cmocka_unit_test(arrays_of_all_kinds_come_back),
        cmocka_unit_test(a_million_chunks_stream),
        cmocka_unit_test(totals_are_the_sums_of_the_records),
        cmocka_unit_test(totals_may_be_missing),
        cmocka_unit_test(a_snapshot_comes_back),
        cmocka_unit_test(the_format_is_fixed),
        cmocka_unit_test(the_writer_keeps_order),
        cmocka_unit_test(every_changed_byte_is_seen),
        cmocka_unit_test(damage_under_a_good_hash_does_no_damage),
        cmocka_unit_test(impossible_fields_are_named),
        cmocka_unit_test(impossible_objects_are_named),
        cmocka_unit_test(objects_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
