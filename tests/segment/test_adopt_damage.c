// SPDX-License-Identifier: MIT
/*
 * Damage that every checksum fits: cells that are copied whole to where they do not belong.
 * Whoever takes such a segment over must not find out when it frees the same bytes twice.
 */
#include <string.h>

#include "segment/descriptor.h"
#include "segment/cell_table.h"
#include "support/must.h"
#include "support/names.h"

enum { CHUNKS = 5 };

/* A segment with the array "a" of five chunks, closed. */
static const char *make(void) {
    const char *segment = test_segment("adopt-damage");
    untorn_writer *writer = NULL;
    untorn_writer_array *array = NULL;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    const uint64_t shape = CHUNKS * 64, chunk = 64;
    double data[CHUNKS * 64] = {1, 2, 3};
    definition.dtype = "f8";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &chunk;
    definition.attributes = "{\"a\": 1}";
    must_ok(untorn_writer_open(segment, NULL, &writer));
    must_ok(untorn_define(writer, "a", &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
    must_ok(untorn_commit(writer, NULL));
    untorn_writer_close(writer);
    return segment;
}

/* The only node of the array's table. */
static ut_node *root_of(ut_segment *segment, ut_descriptor *descriptor) {
    ut_header *header = ut_segment_header(segment, 1);
    must(header != NULL, "header");
    memset(descriptor, 0, sizeof *descriptor);
    must(ut_descriptor_newest(segment, header, descriptor) == UT_FOUND, "descriptor");
    must(ut_kind_depth(descriptor->kind) == 1, "depth");
    return ut_at(segment, ut_ref_offset(descriptor->root_ref), sizeof(ut_node));
}

static void must_be_refused(const char *segment) {
    untorn_writer *writer = NULL;
    untorn_status status = untorn_writer_open(segment, NULL, &writer);
    must(status == UNTORN_E_CORRUPT, "status %d: %s", (int)status, untorn_message());
    must(strstr(untorn_message(), "overlaps") != NULL, "%s", untorn_message());
    must_ok(untorn_segment_remove(segment));
}

static void P8_a_chunk_in_two_cells_is_refused(void **state) {
    (void)state;
    const char *name = make();
    ut_segment segment;
    ut_descriptor descriptor;
    must_ok(ut_segment_attach(&segment, name, true, true));
    ut_node *node = root_of(&segment, &descriptor);
    ut_cell_store(&node->cells[3], ut_cell_load(&node->cells[1]));
    ut_segment_detach(&segment);
    must_be_refused(name);
}

static void P8_a_node_below_itself_is_refused(void **state) {
    (void)state;
    const char *name = make();
    ut_segment segment;
    ut_descriptor descriptor;
    must_ok(ut_segment_attach(&segment, name, true, true));
    ut_node *node = root_of(&segment, &descriptor);
    uint64_t offset = (uint64_t)((unsigned char *)node - segment.base);
    ut_place place = {ut_ref_make(offset, 0, descriptor.root_version, descriptor.uid, 0),
                      descriptor.root_version};
    ut_cell_store(&node->cells[2], place);
    ut_segment_detach(&segment);
    must_be_refused(name);
}

static void an_undamaged_one_is_taken_over(void **state) {
    (void)state;
    const char *name = make();
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(name, NULL, &writer));
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undamaged_one_is_taken_over),
        cmocka_unit_test(P8_a_chunk_in_two_cells_is_refused),
        cmocka_unit_test(P8_a_node_below_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
