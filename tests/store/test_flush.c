// SPDX-License-Identifier: MIT
/*
 * Flushing: whatever was done to a segment, what the store then has of a commit is what a reader
 * of the segment gets of it.  And no more is written than what changed: links are seen by their
 * inodes.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/flushing.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

// ------------------------------------------------------------ content

static void random_bytes(struct test_rng *rng, void *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)to)[i] = (unsigned char)rng_next(rng);
}

static void every_dtype_codec_and_rank_is_stored_as_it_is(void **state) {
    (void)state;
    static const char *const dtypes[] = {"?",  "i1", "i2", "i4", "i8", "u1",  "u2", "u4",
                                         "u8", "f2", "f4", "f8", "c8", "c16", "S3", "V300"};
    static const uint64_t shapes[][3] = {{0}, {10}, {7, 5}, {0, 4}, {4, 4, 4}, {5, 3, 9}};
    static const uint64_t chunks[][3] = {{1}, {4}, {3, 5}, {2, 2}, {2, 2, 2}, {2, 4, 5}};
    static const unsigned ranks[] = {0, 1, 2, 2, 3, 3};
    static unsigned char bytes[MOST_BYTES], fill[300];
    struct test_rng rng = {test_seed()};
    for (flushing.threads = 1; flushing.threads <= 3; flushing.threads += 2) {
        flushing_begin();
        for (unsigned d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
            for (unsigned s = 0; s < sizeof ranks / sizeof *ranks; s++)
                for (unsigned c = 0; c < 2; c++) {
                    char name[64];
                    size_t itemsize;
                    must_ok(untorn_dtype_size(dtypes[d], &itemsize));
                    random_bytes(&rng, bytes, sizeof bytes / 8);
                    if (rng_chance(&rng, 50)) // compressible
                        memset(bytes, (int)rng_below(&rng, 2), sizeof bytes / 8);
                    random_bytes(&rng, fill, sizeof fill);
                    if (d == 0)
                        fill[0] &= 1;
                    snprintf(name, sizeof name, "%s/%u/%s", d == 0 ? "b1" : dtypes[d], s,
                             c ? "lz4" : "none");
                    untorn_writer_array *array =
                        flushing_define(name, dtypes[d], ranks[s], shapes[s], chunks[s],
                                        c ? "lz4" : "none", rng_chance(&rng, 50) ? fill : NULL);
                    if (rng_chance(&rng, 90))
                        must_ok(untorn_write(array, NULL, NULL, NULL, bytes));
                }
        flushing_commit();
        flushing_end();
    }
    flushing.threads = 1;
}

static void format_3_is_stored_too(void **state) {
    (void)state;
    const uint64_t shape[] = {10}, chunks[] = {4};
    float values[10] = {1, 2, 3};
    flushing_begin();
    flushing.format = 3;
    must_ok(untorn_write(flushing_define("a", "f4", 1, shape, chunks, NULL, NULL), NULL, NULL, NULL,
                         values));
    flushing_commit();
    flushing_must_count(1, 0, 3, 0);
    // Another format is other metadata: the array is written anew, of the same files.
    flushing.format = 2;
    must_ok(untorn_set_group_attributes(flushing.writer, "g", "{\"x\":1}"));
    ino_t before = flushing_inode("a", "0");
    flushing_commit();
    flushing_must_count(1, 0, 0, 3);
    must(flushing_inode("a", "0") == before);
    flushing_end();
}

static void an_empty_segment_is_a_snapshot_without_objects(void **state) {
    (void)state;
    flushing_begin();
    must_ok(flushing_try());
    must(flushing.report.written && flushing.report.time != 0);
    flushing_check_store(&flushing.store);
    must_ok(flushing_try());
    must(!flushing.report.written &&
         flushing.report.commit == untorn_writer_commit(flushing.writer));
    flushing_end();
}

static void groups_are_there_with_their_attributes(void **state) {
    (void)state;
    const uint64_t one[] = {1};
    ut_store_view *view;
    ut_manifest_object object;
    flushing_begin();
    flushing_define("g/h/a", "i4", 1, one, one, NULL, NULL);
    must_ok(untorn_set_group_attributes(flushing.writer, "", "{\"root\":1}"));
    must_ok(untorn_set_group_attributes(flushing.writer, "g", "{\"g\":[2]}"));
    must_ok(untorn_set_group_attributes(flushing.writer, "alone", "{}"));
    flushing_commit();
    must_ok(ut_store_view_open(&flushing.store, flushing.report.commit, &view));
    must(ut_manifest_find_object(&view->manifest, "", &object));
    assert_string_equal(object.attributes, "{\"root\":1}");
    must(ut_manifest_find_object(&view->manifest, "g", &object) && object.kind == UT_KIND_GROUP);
    assert_string_equal(object.attributes, "{\"g\":[2]}");
    must(object.commit == flushing.report.commit && object.uid != 0);
    must(ut_manifest_find_object(&view->manifest, "alone", &object));
    ut_store_view_close(view);
    // Only a group changes: the array is linked, the time is the group's.
    must_ok(untorn_set_group_attributes(flushing.writer, "g", "{\"g\":3}"));
    flushing_commit();
    flushing_must_count(0, 1, 0, 0);
    must_ok(ut_store_view_open(&flushing.store, flushing.report.commit, &view));
    must(ut_manifest_find_object(&view->manifest, "g", &object));
    assert_string_equal(object.attributes, "{\"g\":3}");
    must(object.time == view->manifest.time);
    ut_store_view_close(view);
    // An array goes: the time is that of the commit that deleted it.
    must_ok(untorn_delete(flushing.writer, "g/h/a"));
    flushing_commit();
    flushing_must_count(0, 0, 0, 0);
    flushing_end();
}

// ------------------------------------------------------------ no more than what changed

static void what_did_not_change_is_linked(void **state) {
    (void)state;
    const uint64_t shape[] = {8, 8}, chunks[] = {2, 8};
    uint32_t values[64];
    for (unsigned i = 0; i < 64; i++)
        values[i] = i;
    flushing_begin();
    untorn_writer_array *a = flushing_define("a", "u4", 2, shape, chunks, NULL, NULL);
    untorn_writer_array *b = flushing_define("b", "u4", 2, shape, chunks, "none", NULL);
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    must_ok(untorn_write(b, NULL, NULL, NULL, values));
    flushing_commit();
    flushing_must_count(2, 0, 8, 0);
    ino_t a0 = flushing_inode("a", "0.0"), b0 = flushing_inode("b", "0.0"),
          b1 = flushing_inode("b", "1.0"), manifest = flushing_inode("a", ".manifest");

    const uint64_t start[] = {2, 3}, one[] = {1, 1};
    must_ok(untorn_write(b, start, one, NULL, values));
    flushing_commit();
    flushing_must_count(1, 1, 1, 3);
    must(flushing.report.bytes_written == 64);
    must(flushing_inode("a", ".manifest") == manifest && flushing_inode("a", "0.0") == a0,
         "a is the same directory");
    must(flushing_inode("b", "0.0") == b0 && flushing_inode("b", "1.0") != b1);

    // Attributes alone: new metadata, old files.
    must_ok(untorn_set_attributes(a, "{\"unit\":\"K\"}"));
    flushing_commit();
    flushing_must_count(1, 1, 0, 4);
    must(flushing_inode("a", "0.0") == a0 && flushing_inode("a", ".manifest") != manifest);
    manifest = flushing_inode("a", ".manifest");
    // And back to the text that it has: a new version of the same attributes.
    must_ok(untorn_set_attributes(a, "{\"unit\":\"K\"}"));
    must_ok(untorn_write(b, start, one, NULL, values + 7));
    flushing_commit();
    flushing_must_count(1, 1, 1, 3);
    must(flushing_inode("a", ".manifest") == manifest);

    // The same name, another array.
    must_ok(untorn_delete(flushing.writer, "a"));
    a = flushing_define("a", "u4", 2, shape, chunks, NULL, NULL);
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    flushing_commit();
    flushing_must_count(1, 1, 4, 0);
    must(flushing_inode("a", "0.0") != a0);
    flushing_end();
}

static void growing_and_shrinking_write_only_the_chunks_they_cut(void **state) {
    (void)state;
    const uint64_t shape[] = {10, 6}, chunks[] = {4, 3};
    uint16_t values[400];
    for (unsigned i = 0; i < 400; i++)
        values[i] = (uint16_t)(i + 1);
    flushing_begin();
    untorn_writer_array *a =
        flushing_define("a", "u2", 2, shape, chunks, NULL, (const uint16_t[]){7});
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    flushing_commit();
    flushing_must_count(1, 0, 6, 0);
    // In place along the first axis: the last row of chunks shows more.
    must_ok(untorn_append(a, 0, 1, NULL, values));
    flushing_commit();
    flushing_must_count(1, 0, 2, 4);
    // Along the other axis: chunks get other numbers, and keep their files.
    must_ok(untorn_append(a, 1, 4, NULL, values));
    flushing_commit();
    flushing_must_count(1, 0, 6, 6);
    // Shrunk along both: to one column of chunks.
    must_ok(untorn_resize(a, (const uint64_t[]){9, 2}));
    flushing_commit();
    flushing_must_count(1, 0, 3, 0);
    // And appended to again: the same lengths, other bytes.
    must_ok(untorn_append(a, 0, 2, NULL, values + 99));
    flushing_commit();
    flushing_must_count(1, 0, 1, 2);
    // Grown by resize along the second axis; nothing was ever written there.
    must_ok(untorn_resize(a, (const uint64_t[]){11, 6}));
    flushing_commit();
    must(flushing.report.chunks_written >= 3);
    must_ok(untorn_resize(a, (const uint64_t[]){0, 6}));
    flushing_commit();
    flushing_must_count(1, 0, 0, 0);
    must_ok(untorn_append(a, 0, 5, NULL, values));
    flushing_commit();
    flushing_must_count(1, 0, 4, 0);
    flushing_end();
}

// Any changes, flushed now and then: always what the segment has.
static void whatever_is_done_is_what_is_stored(void **state) {
    (void)state;
    static const char *const names[] = {"a", "g/b", "g/h/c", "d"};
    static unsigned char values[MOST_BYTES];
    struct test_rng rng = {test_seed()};
    untorn_writer_array *arrays[4] = {NULL};
    flushing_begin();
    for (uint64_t n = test_count(150); n-- > 0;) {
        for (uint64_t changes = rng_range(&rng, 1, 4); changes-- > 0;) {
            unsigned i = (unsigned)rng_below(&rng, 4), rank = 0;
            uint64_t shape[3], start[3], count[3];
            random_bytes(&rng, values, 4096);
            if (arrays[i] == NULL) {
                uint64_t chunks[3];
                rank = (unsigned)rng_below(&rng, 4);
                for (unsigned axis = 0; axis < rank; axis++) {
                    shape[axis] = rng_below(&rng, 12);
                    chunks[axis] = rng_range(&rng, 1, 5);
                }
                arrays[i] = flushing_define(names[i], rng_chance(&rng, 50) ? "i2" : "f8", rank,
                                            shape, chunks, rng_chance(&rng, 50) ? "none" : "lz4",
                                            rng_chance(&rng, 50) ? values : NULL);
                continue;
            }
            must_ok(untorn_writer_array_shape(arrays[i], &rank, shape));
            switch (rng_below(&rng, 12)) {
            case 0:
                must_ok(untorn_delete(flushing.writer, names[i]));
                arrays[i] = NULL;
                break;
            case 1:
                must_ok(untorn_set_attributes(arrays[i], rng_chance(&rng, 50) ? "{\"a\":1}"
                                                                              : "{\"b\":[2,3]}"));
                break;
            case 2:
            case 3:
                for (unsigned axis = 0; axis < rank; axis++)
                    if (rng_chance(&rng, 50))
                        shape[axis] = rng_below(&rng, 14);
                must_ok(untorn_resize(arrays[i], shape));
                break;
            case 4:
            case 5:
            case 6:
                if (rank > 0)
                    must_ok(untorn_append(
                        arrays[i], rng_chance(&rng, 70) ? 0 : (unsigned)rng_below(&rng, rank),
                        rng_below(&rng, 3), NULL, values));
                break;
            default:
                for (unsigned axis = 0; axis < rank; axis++) {
                    start[axis] = rng_below(&rng, shape[axis] + 1);
                    count[axis] = rng_below(&rng, shape[axis] - start[axis] + 1);
                }
                must_ok(untorn_write(arrays[i], start, count, NULL, values));
            }
        }
        must_ok(untorn_commit(flushing.writer, NULL));
        if (rng_chance(&rng, 40))
            continue;
        flushing.threads = (unsigned)rng_range(&rng, 1, 3);
        must_ok(flushing_try());
        flushing_check_store(&flushing.store);
        flushing_drop_older();
    }
    flushing.threads = 1;
    flushing_end();
}

static void many_chunks_go_through_a_small_queue(void **state) {
    (void)state;
    const uint64_t chunks[] = {1};
    const uint64_t shape[] = {test_count(3000) + 100};
    flushing_begin();
    flushing.threads = 3;
    uint16_t *values = calloc(shape[0], sizeof *values);
    for (uint64_t i = 0; i < shape[0]; i++)
        values[i] = (uint16_t)i;
    untorn_writer_array *a = flushing_define("a", "u2", 1, shape, chunks, NULL, NULL);
    must_ok(untorn_write(a, NULL, NULL, NULL, values));
    flushing_commit();
    flushing_must_count(1, 0, shape[0], 0);
    must_ok(untorn_write(a, NULL, (const uint64_t[]){1}, NULL, values + 1));
    flushing_commit();
    flushing_must_count(1, 0, 1, shape[0] - 1);
    free(values);
    flushing.threads = 1;
    flushing_end();
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_codec_and_rank_is_stored_as_it_is),
        cmocka_unit_test(format_3_is_stored_too),
        cmocka_unit_test(an_empty_segment_is_a_snapshot_without_objects),
        cmocka_unit_test(groups_are_there_with_their_attributes),
        cmocka_unit_test(what_did_not_change_is_linked),
        cmocka_unit_test(growing_and_shrinking_write_only_the_chunks_they_cut),
        cmocka_unit_test(whatever_is_done_is_what_is_stored),
        cmocka_unit_test(many_chunks_go_through_a_small_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
