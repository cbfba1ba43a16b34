// SPDX-License-Identifier: MIT
/*
 * Operations that fail half-way for lack of space, at each place that takes some: what they
 * promise to leave unchanged is unchanged, the transaction goes on, its commit shows
 * exactly what succeeded, and the books add up.  And pins: neither does a commit fail because
 * of one, nor does one end for nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test_hooks.h"
#include "support/books.h"
#include "support/must.h"
#include "support/names.h"
#include "support/scale.h"

static untorn_writer *new_writer(const char *segment, uint64_t size, unsigned versions) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = size;
    options.versions = versions;
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(segment, &options, &writer));
    return writer;
}

static untorn_writer_array *define(untorn_writer *writer, const char *name, unsigned rank,
                                   const uint64_t *shape, const uint64_t *chunks) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u1";
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    untorn_writer_array *array = NULL;
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

static void end(untorn_writer *writer, const char *segment) {
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- each operation, failing at each place ---- */

#define ROWS 20u
#define COLUMNS 30u

struct scene {
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *array;
};

static unsigned char value(uint64_t row, uint64_t column) {
    return (unsigned char)(1 + (row * 7 + column * 13) % 200);
}

// ROWS x COLUMNS of value(), cut once and grown again, so that some chunks are sealed, and
// half of another transaction open.
static void begin_scene(struct scene *scene) {
    scene->segment = test_segment("failed");
    scene->writer = new_writer(scene->segment, 4u << 20, 2);
    scene->array = define(scene->writer, "a", 2, (uint64_t[]){ROWS, COLUMNS}, (uint64_t[]){8, 8});
    unsigned char bytes[ROWS * COLUMNS];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = value(i / COLUMNS, i % COLUMNS);
    must_ok(untorn_write(scene->array, NULL, NULL, NULL, bytes));
    must_ok(untorn_commit(scene->writer, NULL));
    must_ok(untorn_resize(scene->array, (uint64_t[]){ROWS - 2, COLUMNS - 3}));
    must_ok(untorn_commit(scene->writer, NULL));
}

// The committed array is `rows` x `columns`, value() where that was left, else 0 or, beyond
// ROWS - 2 or COLUMNS - 3, `added`.
static void check_scene(struct scene *scene, uint64_t rows, uint64_t columns, unsigned char added) {
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    untorn_result result;
    unsigned char bytes[64 * 64];
    must_ok(untorn_reader_open(scene->segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    must_ok(untorn_read(array, NULL, NULL, bytes, sizeof bytes, &result));
    must(result.shape[0] == rows && result.shape[1] == columns, "shape %llu x %llu",
         (unsigned long long)result.shape[0], (unsigned long long)result.shape[1]);
    for (uint64_t i = 0; i < rows * columns; i++) {
        uint64_t row = i / columns, column = i % columns;
        int old = row < ROWS - 2 && column < COLUMNS - 3;
        must(bytes[i] == (old ? value(row, column) : added), "row %llu, column %llu: %u",
             (unsigned long long)row, (unsigned long long)column, bytes[i]);
    }
    char *json = NULL;
    must_be(UNTORN_E_NO_ARRAY, untorn_group_attributes(reader, "g", &json));
    must_be(UNTORN_E_NO_ARRAY, untorn_array_open(reader, "b", &array));
    untorn_reader_close(reader);
}

typedef untorn_status scene_operation(struct scene *scene);

static untorn_status append_rows(struct scene *scene) {
    unsigned char bytes[20 * COLUMNS];
    memset(bytes, 255, sizeof bytes);
    return untorn_append(scene->array, 0, 20, NULL, bytes);
}

static untorn_status append_columns(struct scene *scene) {
    unsigned char bytes[20 * ROWS];
    memset(bytes, 255, sizeof bytes);
    return untorn_append(scene->array, 1, 20, NULL, bytes);
}

static untorn_status resize_up(struct scene *scene) {
    return untorn_resize(scene->array, (uint64_t[]){ROWS + 9, COLUMNS + 9});
}

static untorn_status resize_up_and_down(struct scene *scene) {
    return untorn_resize(scene->array, (uint64_t[]){ROWS + 9, 12});
}

static untorn_status resize_down_and_up(struct scene *scene) {
    return untorn_resize(scene->array, (uint64_t[]){3, COLUMNS + 9});
}

static untorn_status define_another(struct scene *scene) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "f8";
    definition.attributes = "{\"x\": 1}";
    return untorn_define(scene->writer, "b", &definition, NULL);
}

static untorn_status set_group(struct scene *scene) {
    return untorn_set_group_attributes(scene->writer, "g", "{\"x\": 1}");
}

static untorn_status set_attributes(struct scene *scene) {
    return untorn_set_attributes(scene->array, "{\"x\": 1}");
}

static void fail_everywhere(scene_operation *operation, const char *name) {
    unsigned failures = 0;
    for (long place = 0;; place++) {
        struct scene scene;
        begin_scene(&scene);
        uint64_t before = ut_alloc_free_bytes(scene.writer->publisher.alloc);
        ut_fail_take = place;
        untorn_status status = operation(&scene);
        ut_fail_take = -1;
        books_must_add_up(scene.writer, 0, name);
        if (status == UNTORN_OK) {
            untorn_abort(scene.writer);
            end(scene.writer, scene.segment);
            break;
        }
        must_be(UNTORN_E_NO_SPACE, status);
        failures++;
        if (place % 2 == 0) {
            must_ok(untorn_commit(scene.writer, NULL));
        } else {
            untorn_abort(scene.writer);
            /* but for pages of headers and rings, which stay for the next */
            must(ut_alloc_free_bytes(scene.writer->publisher.alloc) + 8192 >= before, "%s", name);
        }
        books_must_add_up(scene.writer, 0, name);
        check_scene(&scene, ROWS - 2, COLUMNS - 3, 0);
        must_ok(operation(&scene));
        must_ok(untorn_commit(scene.writer, NULL));
        books_must_add_up(scene.writer, 0, name);
        end(scene.writer, scene.segment);
    }
    must(failures > 0, "%s took no space", name);
}

static void P9_operation_that_fails_changes_nothing(void **state) {
    (void)state;
    fail_everywhere(append_rows, "append of rows");
    fail_everywhere(append_columns, "append of columns");
    fail_everywhere(resize_up, "resize up");
    fail_everywhere(resize_up_and_down, "resize up and down");
    fail_everywhere(resize_down_and_up, "resize down and up");
    fail_everywhere(define_another, "define");
    fail_everywhere(set_group, "attributes of a new group");
    fail_everywhere(set_attributes, "attributes");
}

// A commit that failed can be tried again, at each place that it fails.
static void P9_commit_that_fails_can_be_repeated(void **state) {
    (void)state;
    for (long place = 0;; place++) {
        struct scene scene;
        begin_scene(&scene);
        must_ok(append_rows(&scene));
        must_ok(define_another(&scene));
        ut_fail_take = place;
        untorn_status status = untorn_commit(scene.writer, NULL);
        ut_fail_take = -1;
        books_must_add_up(scene.writer, 0, "commit");
        if (status == UNTORN_OK) {
            must(place > 0, "takes of a commit");
            end(scene.writer, scene.segment);
            break;
        }
        must_be(UNTORN_E_NO_SPACE, status);
        check_scene(&scene, ROWS - 2, COLUMNS - 3, 0);
        must_ok(untorn_delete(scene.writer, "b"));
        must_ok(untorn_commit(scene.writer, NULL));
        books_must_add_up(scene.writer, 0, "second commit");
        check_scene(&scene, ROWS + 18, COLUMNS - 3, 255);
        end(scene.writer, scene.segment);
    }
}

/* ---- pins ---- */

static void write_number(untorn_writer_array *array, uint64_t number) {
    unsigned char byte = (unsigned char)number;
    must_ok(untorn_write(array, NULL, NULL, NULL, &byte));
}

// A pin needs a descriptor that must be copied away, and there is no room for that.
static void P9_commit_does_not_fail_because_of_a_pin(void **state) {
    (void)state;
    const char *segment = test_segment("failed");
    untorn_writer *writer = new_writer(segment, 256u << 10, 2);
    untorn_writer_array *array = define(writer, "a", 0, NULL, NULL);
    for (uint64_t i = 0; i < 40; i++) {
        write_number(array, i);
        must_ok(untorn_commit(writer, NULL));
    }
    untorn_reader *reader = NULL;
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    // All that is left is slots of 64 bytes, such as the array's.
    uint64_t ballast = 0;
    for (uint64_t i = 40; i < 100; i++) {
        for (uint64_t bytes = UT_PAGE; bytes >= 128; bytes /= 2)
            while (ut_alloc_take(writer->publisher.alloc, bytes) != 0)
                ballast += ut_alloc_rounded(bytes);
        write_number(array, i);
        must_ok(untorn_commit(writer, NULL));
        books_must_add_up(writer, ballast, "with a full segment");
    }
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(snapshot));
    untorn_reader_close(reader);
    end(writer, segment);
}

static void P4_hopeless_request_ends_no_pin(void **state) {
    (void)state;
    const char *segment = test_segment("failed");
    untorn_writer *writer = new_writer(segment, 1u << 20, 2);
    untorn_writer_array *array = define(writer, "a", 0, NULL, NULL);
    untorn_writer_array *large =
        define(writer, "large", 1, (uint64_t[]){4u << 20}, (uint64_t[]){4u << 20});
    write_number(array, 1);
    must_ok(untorn_commit(writer, NULL));
    untorn_reader *reader = NULL;
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    for (uint64_t i = 0; i < 50; i++) {
        write_number(array, 2 + i);
        unsigned char byte = 1;
        must_be(UNTORN_E_NO_SPACE,
                untorn_write(large, (uint64_t[]){7}, (uint64_t[]){1}, NULL, &byte));
        must_ok(untorn_commit(writer, NULL));
        must_ok(untorn_snapshot_check(snapshot));
    }
    untorn_reader_close(reader);
    end(writer, segment);
}

static struct {
    const char *step;
    untorn_reader *reader;
    untorn_snapshot *snapshot;
} late;

static void open_late(const char *step) {
    if (strcmp(step, late.step) != 0 || late.snapshot != NULL)
        return;
    ut_step_hook = NULL;
    must_ok(untorn_snapshot_open(late.reader, NULL, 0, UNTORN_NEWEST, &late.snapshot));
    ut_step_hook = open_late;
}

// Asked for after the commit that deletes the array has looked at the requests.
static void P2_snapshot_outlives_a_deletion_in_progress(void **state) {
    (void)state;
    static const char *const steps[] = {"commit begins", "tables built", "descriptor filled",
                                        "record filled", "prepared",     "generation stored"};
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        const char *segment = test_segment("failed");
        untorn_writer *writer = new_writer(segment, 1u << 20, 2);
        untorn_writer_array *other = define(writer, "other", 0, NULL, NULL);
        write_number(define(writer, "gone", 0, NULL, NULL), 77);
        must_ok(untorn_commit(writer, NULL));
        late.step = steps[s];
        late.snapshot = NULL;
        must_ok(untorn_reader_open(segment, NULL, &late.reader));
        must_ok(untorn_delete(writer, "gone"));
        ut_step_hook = open_late;
        must_ok(untorn_commit(writer, NULL));
        ut_step_hook = NULL;
        for (uint64_t i = 0; i < 40; i++) {
            must_ok(untorn_snapshot_check(late.snapshot));
            must(untorn_snapshot_count(late.snapshot) == 2, "arrays before the deletion");
            for (size_t k = 0; k < 2; k++) {
                untorn_array_info info;
                unsigned char byte = 1;
                must_ok(untorn_snapshot_describe(late.snapshot, k, &info, NULL));
                must_ok(untorn_snapshot_read(late.snapshot, k, NULL, NULL, &byte, 1));
                must(byte == (strcmp(info.name, "gone") == 0 ? 77 : 0), "%s: %u", info.name, byte);
            }
            write_number(other, 1 + i);
            must_ok(untorn_commit(writer, NULL));
        }
        untorn_reader_close(late.reader);
        end(writer, segment);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P9_operation_that_fails_changes_nothing),
        cmocka_unit_test(P9_commit_that_fails_can_be_repeated),
        cmocka_unit_test(P9_commit_does_not_fail_because_of_a_pin),
        cmocka_unit_test(P4_hopeless_request_ends_no_pin),
        cmocka_unit_test(P2_snapshot_outlives_a_deletion_in_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
