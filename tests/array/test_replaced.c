// SPDX-License-Identifier: MIT
/*
 * Handles of a reader that was attached again, to a segment in which arrays of the same names are
 * others.  Who asks with the starts and strides of one axis must not be answered from an array of
 * two, and elements must not be longer than there is room for.
 */
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"

enum { LENGTH = 6 };

static void define(untorn_writer *writer, const char *name, const char *dtype, unsigned rank,
                   uint64_t chunk) {
    static const char data[LENGTH * 16];
    const uint64_t shape[2] = {rank == 1 ? LENGTH : 2, LENGTH / 2}, chunks[2] = {chunk, chunk};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array;
    definition.dtype = dtype;
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    must_ok(untorn_define(writer, name, &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
}

static untorn_writer *make(const char *segment, const char *dtype, unsigned rank, uint64_t chunk) {
    untorn_writer *writer;
    must_ok(untorn_writer_open(segment, NULL, &writer));
    define(writer, "a", dtype, rank, chunk);
    define(writer, "same", "u1", 1, chunk);
    must_ok(untorn_commit(writer, NULL));
    return writer;
}

// Every call on the handle says that the array is another one.
static void must_refuse(untorn_reader *reader, untorn_array *array, const char *said) {
    const uint64_t start = 1, count = 2, none = 0;
    const int64_t stride = 1;
    unsigned char data[LENGTH], before[LENGTH];
    untorn_array_info info;
    untorn_result result;
    untorn_snapshot *snapshot;
    char *json;
    memset(data, 7, sizeof data);
    memcpy(before, data, sizeof data);
    untorn_request request = {
        .array = array, .start = &start, .count = &count, .strides = &stride, .destination = data};
    must_say(UNTORN_E_MISMATCH, said, untorn_array_get_info(array, &info));
    must_say(UNTORN_E_MISMATCH, said, untorn_peek(array, &result));
    must_say(UNTORN_E_MISMATCH, said, untorn_read(array, NULL, NULL, data, sizeof data, NULL));
    must_say(UNTORN_E_MISMATCH, said, untorn_read_group(reader, &request, 1, NULL));
    must_say(UNTORN_E_MISMATCH, said, untorn_attributes(array, &json, NULL));
    must_say(UNTORN_E_MISMATCH, said, untorn_wait(array, 0, 0));
    must_say(UNTORN_E_MISMATCH, said, untorn_wait_any(&array, &none, 1, 0, NULL));
    must_say(UNTORN_E_MISMATCH, said,
             untorn_snapshot_open(reader, &array, 1, UNTORN_NEWEST, &snapshot));
    must(memcmp(data, before, sizeof data) == 0, "something was written to the destination");
}

static void arrays_that_became_others_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *dtype, *said;
        unsigned rank;
    } others[] = {{"u1", "|u1 and 2 axes now, not |u1 and 1", 2},
                  {"f8", "<f8 and 1 axes now, not |u1 and 1", 1},
                  {"i1", "|i1 and 1 axes now, not |u1 and 1", 1}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const char *segment = test_segment("replaced");
        untorn_reader *reader;
        untorn_array *array, *same;
        unsigned char data[LENGTH];
        untorn_writer *writer = make(segment, "u1", 1, LENGTH);
        must_ok(untorn_reader_open(segment, NULL, &reader));
        must_ok(untorn_array_open(reader, "a", &array));
        must_ok(untorn_array_open(reader, "same", &same));
        must_ok(untorn_read(array, NULL, NULL, data, sizeof data, NULL));
        untorn_writer_close(writer);
        must_ok(untorn_segment_remove(segment));
        writer = make(segment, others[i].dtype, others[i].rank, 2);
        must_ok(untorn_reader_reattach(reader));
        must_refuse(reader, array, others[i].said);
        must_ok(
            untorn_read(same, NULL, NULL, data, sizeof data, NULL)); // other chunks do not matter
        untorn_array_close(array);
        must_ok(untorn_array_open(reader, "a", &array));
        must_ok(untorn_peek(array, NULL));
        untorn_reader_close(reader);
        untorn_writer_close(writer);
        must_ok(untorn_segment_remove(segment));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_that_became_others_are_refused),
    };
    return cmocka_run_group_tests_name("replaced", tests, NULL, NULL);
}
