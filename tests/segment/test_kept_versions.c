// SPDX-License-Identifier: MIT
/*
 * How much of what was superseded an array keeps beyond its `versions`: by time, which is counted
 * in bytes that anybody superseded.  Many small arrays that are written together must not fill the
 * segment with old versions; one that is written often must keep many, also beside large ones; and
 * one that rests keeps what it has.
 */
#include <stdlib.h>
#include <string.h>

#include "array/writer.h"
#include "support/books.h"
#include "support/must.h"
#include "support/names.h"

#define VERSIONS 4u
#define MANY 64u
#define PAGE_BYTES 4096u
#define LARGE_BYTES (4u << 20)

static untorn_writer *open_writer_keeping(const char *segment, unsigned versions) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = UINT64_C(256) << 20;
    options.versions = versions;
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(segment, &options, &writer));
    return writer;
}

static untorn_writer *open_writer(const char *segment) {
    return open_writer_keeping(segment, VERSIONS);
}

// One chunk of so many bytes.
static untorn_writer_array *define(untorn_writer *writer, const char *name, uint64_t bytes) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = definition.chunks = &bytes;
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

static void write_array(untorn_writer_array *array, const void *bytes) {
    must_ok(untorn_write(array, NULL, NULL, NULL, bytes));
}

static void rewrite(untorn_writer *writer, untorn_writer_array *array, const void *bytes,
                    unsigned times) {
    while (times-- > 0) {
        write_array(array, bytes);
        must_ok(untorn_commit(writer, NULL));
    }
}

static void must_keep_versions(const ut_object *object) {
    must(object->oldest <= object->generation - VERSIONS + 1, "the window begins at %llu of %llu",
         (unsigned long long)object->oldest, (unsigned long long)object->generation);
}

static void many_arrays_of_a_transaction_keep_little(void **state) {
    (void)state;
    static const char bytes[PAGE_BYTES];
    const char *segment = test_segment("together");
    untorn_writer *writer = open_writer(segment);
    untorn_writer_array *arrays[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char name[] = {(char)('a' + i / 26), (char)('a' + i % 26), 0};
        arrays[i] = define(writer, name, sizeof bytes);
    }
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < MANY; i++)
            write_array(arrays[i], bytes);
        must_ok(untorn_commit(writer, NULL));
    }
    uint64_t kept = 0;
    for (unsigned i = 0; i < MANY; i++) {
        must_keep_versions(arrays[i]->object);
        must(arrays[i]->object->ring_entries == UT_RING_SMALL, "the ring of array %u grew", i);
        kept += arrays[i]->object->queue_bytes;
    }
    // What the versions are, and twice a MiB that was superseded last.
    uint64_t most = MANY * VERSIONS * PAGE_BYTES + (2u << 20);
    must(kept <= most, "%llu bytes are kept", (unsigned long long)kept);
    books_must_add_up(writer, 0, "many arrays, written together");
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

// More versions than a small ring has descriptors: what is promised can be read, and opened by its
// commit, also where it did not grow for its own sake; and outlives its writer.
static void open_the_promised(unsigned rounds) {
    enum { KEPT = 16 };
    static const char bytes[PAGE_BYTES];
    const char *segment = test_segment("promised");
    untorn_writer *writer = open_writer_keeping(segment, KEPT);
    untorn_writer_array *arrays[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char name[] = {(char)('a' + i / 26), (char)('a' + i % 26), 0};
        arrays[i] = define(writer, name, sizeof bytes);
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < MANY; i++)
            write_array(arrays[i], bytes);
        must_ok(untorn_commit(writer, NULL));
    }
    untorn_reader *reader = NULL;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    uint64_t newest = untorn_reader_commit(reader);
    for (unsigned taken_over = 0; taken_over < 2; taken_over++) {
        for (uint64_t back = 0; back < KEPT; back++) {
            untorn_snapshot *snapshot = NULL;
            must_ok(untorn_snapshot_open(reader, NULL, 0, newest - back, &snapshot));
            untorn_snapshot_close(snapshot);
        }
        untorn_writer_close(writer);
        if (!taken_over)
            writer = open_writer(segment);
    }
    untorn_reader_close(reader);
    must_ok(untorn_segment_remove(segment));
}

static void many_versions_of_many_arrays_can_be_opened(void **state) {
    (void)state;
    open_the_promised(20);
    open_the_promised(300);
}

static void a_small_array_alone_keeps_many(void **state) {
    (void)state;
    static const char bytes[64];
    const char *segment = test_segment("alone");
    untorn_writer *writer = open_writer(segment);
    untorn_writer_array *array = define(writer, "small", sizeof bytes);
    rewrite(writer, array, bytes, 1000);
    must(array->object->queue_count >= 256, "it keeps %zu", array->object->queue_count);
    must(array->object->ring_entries == UT_RING_LARGE, "its ring did not grow");
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

// And what rests keeps all it had.
static void a_small_array_beside_a_large_one_keeps_many(void **state) {
    (void)state;
    const char *segment = test_segment("beside");
    char *bytes = calloc(1, LARGE_BYTES);
    untorn_writer *writer = open_writer(segment);
    untorn_writer_array *rests = define(writer, "rests", PAGE_BYTES);
    untorn_writer_array *small = define(writer, "small", PAGE_BYTES);
    untorn_writer_array *large = define(writer, "large", LARGE_BYTES);
    must(bytes != NULL, "memory");
    rewrite(writer, rests, bytes, 20);
    uint64_t oldest = rests->object->oldest;
    for (unsigned round = 0; round < 60; round++) {
        rewrite(writer, small, bytes, 10);
        rewrite(writer, large, bytes, 1);
    }
    must(small->object->queue_count >= 48, "it keeps %zu", small->object->queue_count);
    must_keep_versions(small->object);
    must_keep_versions(large->object);
    must(rests->object->oldest == oldest, "the window of what rests was raised");
    books_must_add_up(writer, 0, "small and large arrays");
    free(bytes);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_arrays_of_a_transaction_keep_little),
        cmocka_unit_test(many_versions_of_many_arrays_can_be_opened),
        cmocka_unit_test(a_small_array_alone_keeps_many),
        cmocka_unit_test(a_small_array_beside_a_large_one_keeps_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
