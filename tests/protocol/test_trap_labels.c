// SPDX-License-Identifier: MIT
/*
 * The first trap: a reader labels a copy by a cell that it read from a node already being reused,
 * finds itself overtaken, and keeps the copy because the label is what it wants in the end.
 *
 * All chunks of an array are rewritten by one commit, so they have one version.  The reader has the
 * first leaf's address when the writer makes that leaf's memory the second leaf of a newer
 * generation: what it then reads as the cell of chunk 3 is that of chunk 35.  Only the check after
 * the copy tells; mistake 118 is to remember the copy before it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/test_hooks.h"
#include "segment/cell_table.h"
#include "support/must.h"
#include "support/names.h"

enum { CHUNKS = 64, CHUNK = 8, TILE = 3 };

static untorn_writer *writer;
static untorn_writer_array *array;
static ut_segment segment; /* a look at the nodes' addresses */
static uint64_t old_leaf;
static int tiles, inside, done;
static double stamp;

static void rewrite(uint64_t first, uint64_t count) {
    static double data[CHUNKS * CHUNK];
    const uint64_t start = first * CHUNK, length = count * CHUNK;
    stamp += 1;
    for (uint64_t i = 0; i < length; i++)
        data[i] = stamp * (double)CHUNKS + (double)((start + i) / CHUNK); /* value and chunk */
    must_ok(untorn_write(array, &start, &length, NULL, data));
    must_ok(untorn_commit(writer, NULL));
}

/* Where the newest table's leaf lies. */
static uint64_t leaf(unsigned i) {
    ut_descriptor descriptor;
    memset(&descriptor, 0, sizeof descriptor);
    ut_header *header = ut_segment_header(&segment, 1);
    must(ut_descriptor_newest(&segment, header, &descriptor) == UT_FOUND, "descriptor");
    ut_node *root = ut_at(&segment, ut_ref_offset(descriptor.root_ref), sizeof *root);
    return ut_ref_offset(ut_load_relaxed(&root->cells[i].ref));
}

/* In the reader's step before tile 3: write until its leaf has become the other one. */
static void reuse_leaf(const char *step) {
    if (inside || done || strcmp(step, "tile begins") != 0 || tiles++ != TILE)
        return;
    inside = 1;
    uint64_t random = 1;
    for (unsigned i = 0; i < 10000 && !done; i++) {
        /* Single chunks shift the order in which nodes are freed and taken. */
        for (random = random * 6364136223846793005u + 1; random >> 62 != 0;
             random = random * 6364136223846793005u + 1)
            rewrite(random >> 40 & (CHUNKS - 1), 1);
        rewrite(0, CHUNKS);
        done = leaf(1) == old_leaf;
    }
    inside = 0;
}

/* Whether a read that this is done to returns one generation. */
static int read_is_whole(int mistake) {
    const char *name = test_segment("labels");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    const uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    untorn_reader *reader = NULL;
    untorn_array *opened = NULL;
    double data[CHUNKS * CHUNK];
    options.size = 256 << 10;
    options.versions = 2;
    definition.dtype = "f8";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &chunk;
    must_ok(untorn_writer_open(name, &options, &writer));
    must_ok(untorn_define(writer, "a", &definition, &array));
    rewrite(0, CHUNKS);
    must_ok(ut_segment_attach(&segment, name, false, false));
    must_ok(untorn_reader_open(name, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &opened));
    old_leaf = leaf(0);
    tiles = done = 0;
    ut_seeded_bug = mistake;
    ut_step_hook = reuse_leaf;
    must_ok(untorn_read(opened, NULL, NULL, data, sizeof data, NULL));
    ut_step_hook = NULL;
    ut_seeded_bug = 0;
    must(done != 0, "the leaf was never reused as the other one");
    int whole = 1;
    for (uint64_t i = 0; i < CHUNKS * CHUNK; i++)
        whole &= data[i] == stamp * (double)CHUNKS + (double)(i / CHUNK);
    ut_segment_detach(&segment);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(name));
    return whole;
}

static void P1_a_label_counts_only_after_the_check(void **state) {
    (void)state;
    must(read_is_whole(0), "torn");
    must(!read_is_whole(118), "mistake 118 was not noticed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_a_label_counts_only_after_the_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
