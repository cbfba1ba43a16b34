// SPDX-License-Identifier: MIT
/*
 * Attaching to a segment that grows in between: the file is longer, and the superblock says more,
 * after each look at either.  Nobody may take that for a truncated file.
 */
#include "base/file_ops.h"
#include "support/must.h"
#include "support/names.h"

#include <stdbool.h>

enum { GROWTHS = 20, PIECE = 300000 };

static struct ut_file_ops table;
static untorn_writer *writer;
static untorn_writer_array *array;
static unsigned grown;
static bool growing;

static void grow(void) {
    static const unsigned char piece[PIECE] = {1};
    if (growing || grown == GROWTHS)
        return;
    growing = true;
    must_ok(untorn_append(array, 0, PIECE, NULL, piece));
    must_ok(untorn_commit(writer, NULL));
    grown++;
    growing = false;
}

static int fstat_and_grow(int fd, struct stat *stat) {
    int result = ut_files_system.fstat(fd, stat);
    grow();
    return result;
}

static ssize_t pread_and_grow(int fd, void *bytes, size_t count, off_t offset) {
    ssize_t result = ut_files_system.pread(fd, bytes, count, offset);
    grow();
    return result;
}

static const char *begin(void) {
    const char *segment = test_segment("growing");
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    const uint64_t none = 0, chunk = PIECE;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &none;
    definition.chunks = &chunk;
    must_ok(untorn_writer_open(segment, NULL, &writer));
    must_ok(untorn_define(writer, "a", &definition, &array));
    must_ok(untorn_commit(writer, NULL));
    grown = 0;
    table = ut_files_system;
    table.fstat = fstat_and_grow;
    table.pread = pread_and_grow;
    ut_files_replace(&table);
    return segment;
}

static void end(const char *segment) {
    must(grown > 0, "nothing grew");
    ut_files_replace(NULL);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

static void a_reader_attaches(void **state) {
    (void)state;
    const char *segment = begin();
    untorn_reader *reader;
    while (grown < GROWTHS) {
        must_ok(untorn_reader_open(segment, NULL, &reader));
        untorn_reader_close(reader);
    }
    end(segment);
}

static void an_inspection_finds_no_damage(void **state) {
    (void)state;
    const char *segment = begin();
    while (grown < GROWTHS) {
        untorn_inspection *inspection;
        must_ok(untorn_inspect_open(segment, 0, &inspection));
        const char *problem = untorn_inspect_problem(inspection, 0);
        must(problem == NULL, "%s", problem);
        untorn_inspect_close(inspection);
    }
    end(segment);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_attaches),
        cmocka_unit_test(an_inspection_finds_no_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
