// SPDX-License-Identifier: MIT
/*
 * Mistakes that designs of this kind make, one test each, without chance: the
 * writer's part runs in the hook that the library calls between the steps of a read.
 * (Those that need processes or a random history are in tests/process and
 * tests/model.)
 */
#include <stdlib.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/pattern.h"
#include "../support/scale.h"
#include "../support/stamped.h"
#include "base/test_hooks.h"

static untorn_writer *writer;
static untorn_writer_array *hot;
static uint64_t hot_count;
static uint64_t steps;
static int inside;

static untorn_writer_array *define_row(const char *name, const char *dtype, uint64_t length,
                                       uint64_t chunk) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    definition.dtype = dtype;
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

static const char *begin(unsigned versions, uint64_t size) {
    const char *segment = test_segment("trap");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.versions = versions;
    options.size = size;
    hot_count = steps = 0;
    must_ok(untorn_writer_open(segment, &options, &writer));
    return segment;
}

static void end(const char *segment, untorn_reader *reader) {
    ut_step_hook = NULL;
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- an array that only grows ---- */

static void append_often(const char *step) {
    (void)step;
    if (inside)
        return;
    inside = 1;
    steps++;
    for (int i = 0; i < 20; i++) {
        must_ok(untorn_append(hot, 0, 1, NULL, &hot_count));
        hot_count++;
        must_ok(untorn_commit(writer, NULL));
    }
    inside = 0;
}

static void read_growing(const char *segment, unsigned flags) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    static uint64_t values[400000];
    options.flags = flags;
    must_ok(untorn_reader_open(segment, &options, &reader));
    must_ok(untorn_array_open(reader, "log", &array));
    for (int i = 0; i < 30; i++) {
        untorn_result result;
        uint64_t before = hot_count;
        ut_step_hook = append_often;
        must_ok(untorn_read(array, NULL, NULL, values, sizeof values, &result));
        ut_step_hook = NULL;
        must(result.shape[0] >= before && result.shape[0] <= hot_count, "length");
        for (uint64_t j = 0; j < result.shape[0]; j++)
            must(values[j] == j, "TORN: element %llu is %llu", (unsigned long long)j,
                 (unsigned long long)values[j]);
    }
    must(steps > 0, "readers have no steps: is it the testing build?");
    untorn_reader_close(reader);
}

static void trap_3_readers_of_a_growing_array_starve(void **state) {
    (void)state;
    const char *segment = begin(2, 64u << 20);
    hot = define_row("log", "u8", 0, 1u << 17);
    append_often("");
    read_growing(segment, 0);
    // No byte of it is ever overwritten, so this needs no pin.
    read_growing(segment, UNTORN_READ_NO_CONTROL);
    end(segment, NULL);
}

/* ---- many arrays, one of them hot ---- */

static void heat(const char *step) {
    (void)step;
    if (inside)
        return;
    inside = 1;
    steps++;
    for (int i = 0; i < 40; i++) {
        hot_count++;
        must_ok(untorn_write(hot, NULL, NULL, NULL, &hot_count));
        must_ok(untorn_commit(writer, NULL));
    }
    inside = 0;
}

static void trap_3_8_a_snapshot_of_many_arrays_with_a_hot_one_never_succeeds(void **state) {
    (void)state;
    const char *segment = begin(2, 16u << 20);
    untorn_reader *reader = NULL;
    untorn_array *arrays[16];
    char name[20];
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        name[0] = (char)('a' + i);
        name[1] = '\0';
        untorn_writer_array *array = define_row(name, "u8", 1, 1);
        if (i == 7)
            hot = array;
    }
    heat("");
    must_ok(untorn_reader_open(segment, NULL, &reader));
    for (int i = 0; i < 16; i++) {
        name[0] = (char)('a' + i);
        must_ok(untorn_array_open(reader, name, &arrays[i]));
    }
    for (int turn = 0; turn < 50; turn++) {
        untorn_snapshot *snapshot = NULL;
        uint64_t before = hot_count;
        ut_step_hook = heat;
        must_ok(untorn_snapshot_open(reader, turn % 2 ? arrays : NULL, turn % 2 ? 16 : 0,
                                     UNTORN_NEWEST, &snapshot));
        uint64_t first = 0;
        for (int again = 0; again < 3; again++) {
            for (size_t i = 0; i < 16; i++)
                must_ok(untorn_snapshot_read(snapshot, i, NULL, NULL, &value, sizeof value));
            must_ok(untorn_snapshot_read(snapshot, 7, NULL, NULL, &value, sizeof value));
            must(value >= before && (again == 0 || value == first), "hot is %llu, was %llu",
                 (unsigned long long)value, (unsigned long long)first);
            first = value;
        }
        untorn_request requests[16];
        uint64_t values[16];
        for (int i = 0; i < 16; i++)
            requests[i] = (untorn_request){
                .array = arrays[i], .destination = &values[i], .capacity = sizeof values[i]};
        must_ok(untorn_read_group(reader, requests, 16, NULL));
        ut_step_hook = NULL;
        must(values[7] >= value, "the group steps back behind the snapshot");
        untorn_snapshot_close(snapshot);
    }
    end(segment, reader);
}

// A row of many chunks, rewritten again and again between any two steps of its read.
static const struct stamped rewritten = {"row", 9, "u8", 1, {64}, {4}};

static void rewrite(const char *step) {
    (void)step;
    if (inside)
        return;
    inside = 1;
    for (int i = 0; i < 20; i++) {
        must_ok(stamped_write(hot, &rewritten, ++hot_count));
        must_ok(untorn_commit(writer, NULL));
    }
    inside = 0;
}

static void trap_1_2_7_a_read_with_a_rewriting_writer_in_every_step(void **state) {
    (void)state;
    const char *segment = begin(2, 8u << 20);
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    hot = stamped_require(writer, &rewritten);
    rewrite("");
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "row", &array));
    for (uint64_t turn = 0; turn < 200; turn++) {
        untorn_result result;
        uint64_t before = hot_count;
        uint64_t stamp = 0;
        ut_step_hook = rewrite;
        must_ok(stamped_read(array, &rewritten, &stamp, &result));
        ut_step_hook = NULL;
        must(stamp >= before && stamp <= hot_count, "stamp");
    }
    end(segment, reader);
}

/* ---- leftovers ---- */

static void read_row(untorn_reader *reader, const char *name, uint32_t *values, uint64_t length) {
    untorn_array *array = NULL;
    untorn_result result;
    must_ok(untorn_array_open(reader, name, &array));
    must_ok(untorn_read(array, NULL, NULL, values, (size_t)length * 4, &result));
    must(result.shape[0] == length, "length");
    untorn_array_close(array);
}

static void set_all(uint32_t *values, uint32_t value, int count) {
    for (int i = 0; i < count; i++)
        values[i] = value;
}

static void trap_9_shrunk_and_appended_in_place(void **state) {
    (void)state;
    const char *segment = begin(2, 4u << 20);
    untorn_reader *reader = NULL;
    untorn_snapshot *old = NULL;
    uint32_t values[200];
    uint64_t length = 150;
    untorn_writer_array *row = define_row("row", "u4", 180, 200);
    set_all(values, 1, 180);
    must_ok(untorn_write(row, NULL, NULL, NULL, values));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &old));
    must_ok(untorn_resize(row, &length));
    must_ok(untorn_commit(writer, NULL));
    set_all(values, 2, 30);
    must_ok(untorn_append(row, 0, 30, NULL, values));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_snapshot_read(old, 0, NULL, NULL, values, sizeof values));
    for (int i = 0; i < 180; i++)
        must(values[i] == 1, "TORN: the old snapshot's element %d is %u", i, values[i]);
    read_row(reader, "row", values, 180);
    for (int i = 0; i < 180; i++)
        must(values[i] == (i < 150 ? 1 : 2), "element %d is %u", i, values[i]);
    // The same with another writer in between, which must know that it was cut.
    untorn_snapshot_close(old);
    must_ok(untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &old));
    must_ok(untorn_resize(row, &length));
    must_ok(untorn_commit(writer, NULL));
    untorn_writer_close(writer);
    must_ok(untorn_writer_open(segment, NULL, &writer));
    must_ok(untorn_writer_array_open(writer, "row", &row));
    set_all(values, 3, 30);
    must_ok(untorn_append(row, 0, 30, NULL, values));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_snapshot_read(old, 0, NULL, NULL, values, sizeof values));
    for (int i = 0; i < 180; i++)
        must(values[i] == (i < 150 ? 1 : 2), "TORN: the old snapshot's element %d is %u", i,
             values[i]);
    untorn_snapshot_close(old);
    end(segment, reader);
}

static void trap_9_leftovers_of_an_aborted_append(void **state) {
    (void)state;
    const char *segment = begin(2, 4u << 20);
    untorn_reader *reader = NULL;
    uint32_t values[200];
    uint64_t length = 180;
    untorn_writer_array *row = define_row("row", "u4", 100, 200);
    set_all(values, 1, 100);
    must_ok(untorn_write(row, NULL, NULL, NULL, values));
    must_ok(untorn_commit(writer, NULL));
    for (int adopts = 0; adopts < 2; adopts++) {
        set_all(values, 0xbad, 80);
        must_ok(untorn_append(row, 0, 80, NULL, values));
        if (adopts) {
            untorn_writer_close(writer);
            must_ok(untorn_writer_open(segment, NULL, &writer));
            must_ok(untorn_writer_array_open(writer, "row", &row));
        } else {
            untorn_abort(writer);
        }
        must_ok(untorn_resize(row, &length));
        must_ok(untorn_commit(writer, NULL));
        must_ok(untorn_reader_open(segment, NULL, &reader));
        read_row(reader, "row", values, 180);
        for (int i = 0; i < 180; i++)
            must(values[i] == (i < 100 ? 1 : 0), "element %d is %x", i, values[i]);
        untorn_reader_close(reader);
        length = 100;
        must_ok(untorn_resize(row, &length));
        must_ok(untorn_commit(writer, NULL));
        length = 180;
    }
    end(segment, NULL);
}

// What a direct fill leaves beyond the shape must not come to light.
static void trap_9_leftovers_of_a_chunk_filled_directly(void **state) {
    (void)state;
    const char *segment = begin(2, 4u << 20);
    untorn_reader *reader = NULL;
    uint32_t values[200];
    uint64_t zero = 0;
    uint64_t length = 200;
    void *memory = NULL;
    untorn_writer_array *row = define_row("row", "u4", 100, 200);
    must_ok(untorn_chunk_begin(row, &zero, 0, &memory));
    set_all(memory, 0xbad, 200);
    must_ok(untorn_chunk_done(row, &zero));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_resize(row, &length));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_reader_open(segment, NULL, &reader));
    read_row(reader, "row", values, 200);
    for (int i = 0; i < 200; i++)
        must(values[i] == (i < 100 ? 0xbad : 0), "element %d is %x", i, values[i]);
    end(segment, reader);
}

static void trap_5_an_aborted_transactions_descriptors_come_back(void **state) {
    (void)state;
    const char *segment = begin(2, 4u << 20);
    untorn_reader *reader = NULL;
    uint32_t value = 1;
    uint32_t got = 0;
    untorn_writer_array *a = define_row("a", "u4", 1, 1);
    untorn_writer_array *b = define_row("b", "u4", 1, 1);
    must_ok(untorn_write(a, NULL, NULL, NULL, &value));
    must_ok(untorn_write(b, NULL, NULL, NULL, &value));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_reader_open(segment, NULL, &reader));
    for (uint32_t i = 2; i < 50; i++) {
        uint32_t bad = 0xbad;
        must_ok(untorn_write(a, NULL, NULL, NULL, &bad));
        if (i % 3 == 0) { // the next writer aborts it
            untorn_writer_close(writer);
            must_ok(untorn_writer_open(segment, NULL, &writer));
            must_ok(untorn_writer_array_open(writer, "a", &a));
            must_ok(untorn_writer_array_open(writer, "b", &b));
        } else {
            untorn_abort(writer);
        }
        must_ok(untorn_write(b, NULL, NULL, NULL, &i));
        must_ok(untorn_commit(writer, NULL));
        read_row(reader, "a", &got, 1);
        must(got == 1, "a is %x", got);
        read_row(reader, "b", &got, 1);
        must(got == i, "b is %x", got);
    }
    end(segment, reader);
}

static void trap_10_a_deleted_array_shows_its_successors_bytes(void **state) {
    (void)state;
    const char *segment = begin(2, 4u << 20);
    untorn_reader *reader = NULL;
    untorn_array *stale[40];
    must_ok(untorn_reader_open(segment, NULL, &reader));
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t values[10];
        uint32_t got[10] = {0};
        set_all(values, i, 10);
        untorn_writer_array *array = define_row("same", "u4", 10, 10);
        must_ok(untorn_write(array, NULL, NULL, NULL, values));
        must_ok(untorn_commit(writer, NULL));
        must_ok(untorn_array_open(reader, "same", &stale[i]));
        must_ok(untorn_read(stale[i], NULL, NULL, got, sizeof got, NULL));
        must(got[0] == i && got[9] == i, "element");
        for (uint32_t j = 0; j < i; j++)
            must_be(UNTORN_E_ARRAY_DELETED,
                    untorn_read(stale[j], NULL, NULL, got, sizeof got, NULL));
        must_ok(untorn_delete(writer, "same"));
        if (i % 4 != 3) // else deletion and definition are one commit
            must_ok(untorn_commit(writer, NULL));
    }
    end(segment, reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trap_3_readers_of_a_growing_array_starve),
        cmocka_unit_test(trap_3_8_a_snapshot_of_many_arrays_with_a_hot_one_never_succeeds),
        cmocka_unit_test(trap_1_2_7_a_read_with_a_rewriting_writer_in_every_step),
        cmocka_unit_test(trap_5_an_aborted_transactions_descriptors_come_back),
        cmocka_unit_test(trap_9_shrunk_and_appended_in_place),
        cmocka_unit_test(trap_9_leftovers_of_an_aborted_append),
        cmocka_unit_test(trap_9_leftovers_of_a_chunk_filled_directly),
        cmocka_unit_test(trap_10_a_deleted_array_shows_its_successors_bytes),
    };
    return cmocka_run_group_tests_name("traps", tests, NULL, NULL);
}
