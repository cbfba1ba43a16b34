// SPDX-License-Identifier: MIT
/*
 * The inspecting calls, where shmstat's output does not tell: forged tables end, intervals are the
 * ring's, readers are counted if and only if they own a line.
 */
#include "support/child.h"
#include "support/must.h"
#include "support/names.h"

#include "segment/descriptor.h"

#include <string.h>

#define RANK_ONE 1

static untorn_writer_array *define(untorn_writer *writer, const char *name, uint64_t length,
                                   uint64_t chunk) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u1";
    definition.rank = RANK_ONE;
    definition.shape = &length;
    definition.chunks = &chunk;
    untorn_writer_array *array;
    must_ok(untorn_require(writer, name, &definition, &array));
    return array;
}

/* A segment with the array "a" of `length` bytes in chunks of `chunk`, committed `commits` times.
 */
static const char *make(const char *what, uint64_t length, uint64_t chunk, unsigned commits) {
    static unsigned char bytes[4096];
    const char *name = test_segment(what);
    untorn_writer *writer;
    must_ok(untorn_writer_open(name, NULL, &writer));
    untorn_writer_array *array = define(writer, "a", length, chunk);
    for (unsigned i = 0; i < commits; i++) {
        memset(bytes, (int)i + 1, sizeof bytes);
        must_ok(untorn_write(array, NULL, NULL, NULL, bytes));
        must_ok(untorn_commit(writer, NULL));
    }
    untorn_writer_close(writer);
    return name;
}

static untorn_inspection *inspect(const char *name) {
    untorn_inspection *inspection;
    const char *const *names;
    size_t count;
    must_ok(untorn_inspect_open(name, 0, &inspection));
    must_ok(untorn_inspect_catalogue(inspection, &names, &count));
    must(count == 1 && strcmp(names[0], "a") == 0);
    return inspection;
}

static ut_descriptor_slot *slot_of(ut_segment *segment, uint64_t generation) {
    uint64_t entries;
    ut_header *header = ut_segment_header(segment, 1);
    must(header != NULL);
    ut_descriptor_slot *ring = ut_descriptor_ring(segment, header, &entries);
    must(ring != NULL);
    return ring + generation % entries;
}

/* Twelve nodes, each of which refers to the next one 32 times: 2^60 chunks on 6 KiB, all absent, so
 * that who looks for the first one that is present looks at all. */
static void P8_forged_table_ends(void **state) {
    (void)state;
    const char *name = make("forged", 1, 1, 1);
    ut_segment segment;
    must_ok(ut_segment_attach(&segment, name, true, false));
    ut_descriptor descriptor;
    must(ut_descriptor_load(slot_of(&segment, 1), 1, &descriptor) == UT_FOUND);
    uint64_t at = ut_load_relaxed(&segment.super->reserve) - UT_PAGE * 2;
    for (unsigned level = 1; level <= 12; level++) {
        ut_node *node = ut_at(&segment, at + level * sizeof *node, sizeof *node);
        must(node != NULL);
        memset((void *)node, 0, sizeof *node);
        for (unsigned i = 0; level > 1 && i < UT_NODE_CELLS; i++) {
            ut_store_relaxed(&node->cells[i].ref, ut_ref_make(at + (level - 1) * sizeof *node, 0, 1,
                                                              descriptor.uid, level - 1));
            ut_store_relaxed(&node->cells[i].version, 1);
        }
    }
    descriptor.kind = ut_kind_make(UT_KIND_ARRAY, RANK_ONE, 12);
    descriptor.shape[0] = descriptor.cells = UINT64_C(1) << 60;
    descriptor.root_ref = ut_ref_make(at + 12 * sizeof(ut_node), 0, 1, descriptor.uid, 12);
    descriptor.root_version = 1;
    ut_descriptor_store(slot_of(&segment, 1), &descriptor, 1);
    ut_segment_detach(&segment);

    untorn_inspection *inspection = inspect(name);
    untorn_array_state array;
    must_ok(untorn_inspect_array(inspection, 0, 0, &array));
    must(array.damaged && array.resident == 0 && array.chunks == UINT64_C(1) << 60);
    must(strstr(untorn_inspect_problem(inspection, 0), "chunk table is damaged") != NULL);
    unsigned char states[64];
    /* A few chunks have but a few nodes above them. */
    memset(states, 9, sizeof states);
    must_ok(untorn_inspect_chunks(inspection, 0, UINT64_C(1) << 59, sizeof states, states));
    for (size_t i = 0; i < sizeof states; i++)
        must(states[i] == UNTORN_CHUNK_ABSENT);
    must_be(UNTORN_E_REGION, untorn_inspect_chunks(inspection, 0, UINT64_C(1) << 60, 1, states));
    must_be(UNTORN_E_REGION, untorn_inspect_chunks(inspection, 0, 1, SIZE_MAX, states));
    untorn_inspect_close(inspection);
    must_ok(untorn_segment_remove(name));
}

static void intervals_are_of_the_ring(void **state) {
    (void)state;
    const char *name = make("intervals", 100, 10, 8);
    /* Seven intervals: 10, 20, 30, 40, 50, 60 and 700, not in this order. */
    static const int64_t times[8] = {1000, 1030, 1040, 1740, 1760, 1820, 1860, 1910};
    ut_segment segment;
    must_ok(ut_segment_attach(&segment, name, true, false));
    for (uint64_t g = 1; g <= 8; g++) {
        ut_descriptor descriptor;
        must(ut_descriptor_load(slot_of(&segment, g), g, &descriptor) == UT_FOUND);
        descriptor.time = times[g - 1];
        ut_descriptor_store(slot_of(&segment, g), &descriptor, g);
    }
    ut_segment_detach(&segment);
    untorn_inspection *inspection = inspect(name);
    untorn_array_state array;
    must_ok(untorn_inspect_array(inspection, 0, 0, &array));
    must(array.intervals == 7 && array.time == 1910 && array.generation == 8);
    must(array.interval[0] == 10 && array.interval[1] == 40 && array.interval[2] == 700 &&
             array.interval[3] == 700,
         "%ld %ld %ld %ld", (long)array.interval[0], (long)array.interval[1],
         (long)array.interval[2], (long)array.interval[3]);
    must(array.resident == 10 && array.last_bytes == 100 && array.dirty == 10);
    must_ok(untorn_inspect_array(inspection, 0, 4, &array));
    must(array.partial && array.resident == 4);
    untorn_inspect_close(inspection);
    must_ok(untorn_segment_remove(name));
}

/* The only line that is owned, or NULL. */
static const untorn_reader_state *only_reader(const char *name) {
    static untorn_reader_state readers[UNTORN_MAX_READERS];
    size_t count;
    untorn_inspection *inspection = inspect(name);
    must_ok(untorn_inspect_readers(inspection, readers, &count));
    untorn_inspect_close(inspection);
    must(count <= 1);
    return count == 1 ? readers : NULL;
}

static untorn_array *inherited;

static int read_as_child(void *argument, int report, int orders) {
    (void)argument;
    (void)report;
    (void)orders;
    unsigned char bytes[128];
    for (int i = 0; i < 10; i++)
        must_ok(untorn_read(inherited, NULL, NULL, bytes, sizeof bytes, NULL));
    return 0;
}

static void readers_are_counted_if_they_own_a_line(void **state) {
    (void)state;
    const char *name = make("counted", 100, 10, 3);
    untorn_reader *reader;
    untorn_snapshot *snapshot;
    unsigned char bytes[128];
    must_ok(untorn_reader_open(name, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &inherited));
    for (int i = 0; i < 10; i++)
        must_ok(untorn_read(inherited, NULL, NULL, bytes, sizeof bytes, NULL));
    must(only_reader(name) == NULL, "reading takes no line");
    must_ok(untorn_snapshot_open(reader, &inherited, 1, UNTORN_NEWEST, &snapshot));
    const untorn_reader_state *seen = only_reader(name);
    must(seen != NULL && seen->reads == 1 && seen->attempts == 1);
    must(seen->last_commit == untorn_reader_commit(reader) && !seen->flusher);
    for (int i = 0; i < 10; i++)
        must_ok(untorn_read(inherited, NULL, NULL, bytes, sizeof bytes, NULL));
    seen = only_reader(name);
    must(seen != NULL && seen->reads == 11 && seen->attempts == 11);
    struct test_child child = test_child_start(read_as_child, NULL);
    test_child_finish(&child);
    seen = only_reader(name);
    must(seen != NULL && seen->reads == 11, "a child counts in its parent's line: %lu",
         seen == NULL ? 0 : (unsigned long)seen->reads);
    untorn_snapshot_close(snapshot);
    untorn_reader_close(reader);
    must(only_reader(name) == NULL, "a reader that closed");
    must_ok(untorn_segment_remove(name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P8_forged_table_ends),
        cmocka_unit_test(intervals_are_of_the_ring),
        cmocka_unit_test(readers_are_counted_if_they_own_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
