// SPDX-License-Identifier: MIT
/*
 * Every documented error of every call, and that its sentence names the thing that
 * is wrong; that what failed changed nothing; and what NULLs and zeros mean.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/must.h"
#include "base/file_ops.h"
#include "../support/names.h"
#include "../support/scale.h"

struct world {
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *plane;
    untorn_writer_array *scalar;
    untorn_reader *reader;
    untorn_array *read_plane;
    untorn_array *read_scalar;
};

static untorn_definition definition_of(const char *dtype, unsigned rank, const uint64_t *shape,
                                       const uint64_t *chunks) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = dtype;
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    return definition;
}

static const uint64_t plane_shape[2] = {60, 50};
static const uint64_t plane_chunks[2] = {7, 50};

static struct world begin(void) {
    struct world world = {.segment = test_segment("arguments")};
    untorn_definition definition = definition_of("f4", 2, plane_shape, plane_chunks);
    must_ok(untorn_writer_open(world.segment, NULL, &world.writer));
    must_ok(untorn_define(world.writer, "dir/plane", &definition, &world.plane));
    definition = definition_of("i2", 0, NULL, NULL);
    must_ok(untorn_define(world.writer, "scalar", &definition, &world.scalar));
    must_ok(untorn_commit(world.writer, NULL));
    must_ok(untorn_reader_open(world.segment, NULL, &world.reader));
    must_ok(untorn_array_open(world.reader, "dir/plane", &world.read_plane));
    must_ok(untorn_array_open(world.reader, "scalar", &world.read_scalar));
    return world;
}

static void end(struct world *world) {
    untorn_reader_close(world->reader);
    untorn_writer_close(world->writer);
    must_ok(untorn_segment_remove(world->segment));
}

static void statuses_have_texts_and_the_version_is_there(void **state) {
    (void)state;
#define HAS_TEXT(name, number, text)                                                               \
    must((int)name == number && strcmp(untorn_status_text(name), text) == 0, "%s", text);
    UNTORN_STATUS_LIST(HAS_TEXT)
    must(untorn_status_text((untorn_status)12345) != NULL, "the text of no status");
    must(strcmp(untorn_version(), "0.1.0") == 0, "version %s", untorn_version());
}

static void dtypes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } good[] = {{"?", 1},    {"b1", 1}, {"|b1", 1},         {"i1", 1},  {"i2", 2},
                {"i4", 4},   {"i8", 8}, {"u1", 1},          {"u2", 2},  {"u4", 4},
                {"u8", 8},   {"f2", 2}, {"<f4", 4},         {"=f8", 8}, {"c8", 8},
                {"c16", 16}, {"S1", 1}, {"|S65535", 65535}, {"|V3", 3}, {"V1", 1}};
    static const char *const bad[] = {"",    "x4", ">f8",    "f3", "i16", "S0",
                                      "V0",  "S",  "M8[ns]", "O",  "U5",  "f8 ",
                                      " f8", "f",  "8",      "<",  "S-1", "S99999999999999999999",
                                      "b2",  "c4", "u"};
    size_t size = 0;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        must_ok(untorn_dtype_size(good[i].text, &size));
        must(size == good[i].size, "%s has %zu bytes", good[i].text, size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size = 4711;
        must_say(UNTORN_E_DTYPE, bad[i], untorn_dtype_size(bad[i], &size));
        must(size == 4711, "a failed call wrote its result");
    }
    untorn_status status = untorn_dtype_size(NULL, &size);
    must(status == UNTORN_E_ARGUMENT || status == UNTORN_E_DTYPE, "NULL: %d", (int)status);
    must_be(UNTORN_E_ARGUMENT, untorn_dtype_size("f8", NULL));
}

static char *repeated(char letter, size_t count) {
    char *text = malloc(count + 1);
    must(text, "malloc");
    memset(text, letter, count);
    text[count] = '\0';
    return text;
}

static void segment_names(void **state) {
    (void)state;
    static const char *const bad[] = {"", "a/b", "a b", "\u00e4", "a\n", "~", "x~ctl"};
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        must_say(UNTORN_E_NAME, NULL, untorn_writer_open(bad[i], NULL, &writer));
        must_say(UNTORN_E_NAME, NULL, untorn_reader_open(bad[i], NULL, &reader));
        must_say(UNTORN_E_NAME, NULL, untorn_segment_remove(bad[i]));
    }
    char *name = repeated('n', 201);
    must_be(UNTORN_E_NAME, untorn_writer_open(name, NULL, &writer));
    must_be(UNTORN_E_NAME, untorn_reader_open(name, NULL, &reader));
    free(name);
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open(NULL, NULL, &writer));
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open("x", NULL, NULL));
    must_be(UNTORN_E_ARGUMENT, untorn_reader_open(NULL, NULL, &reader));
    must_be(UNTORN_E_ARGUMENT, untorn_reader_open("x", NULL, NULL));
    must_be(UNTORN_E_ARGUMENT, untorn_segment_remove(NULL));
    must(writer == NULL && reader == NULL, "a failed call wrote its result");
}

static void opening_and_removing(void **state) {
    (void)state;
    const char *segment = test_segment("opening");
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    must_say(UNTORN_E_NO_SEGMENT, segment, untorn_reader_open(segment, NULL, &reader));
    must_say(UNTORN_E_NO_SEGMENT, "does not exist", untorn_segment_remove(segment));
    options.flags = UNTORN_ADOPT_ONLY;
    must_say(UNTORN_E_NO_SEGMENT, segment, untorn_writer_open(segment, &options, &writer));
    options.flags = UNTORN_CREATE_ONLY | UNTORN_ADOPT_ONLY;
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open(segment, &options, &writer));
    options.flags = 1u << 30;
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open(segment, &options, &writer));
    options.flags = UNTORN_CREATE_ONLY;
    options.versions = 1;
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open(segment, &options, &writer));
    options.versions = 65;
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open(segment, &options, &writer));
    options.versions = 3;
    options.struct_size = 3;
    must_be(UNTORN_E_ARGUMENT, untorn_writer_open(segment, &options, &writer));
    options.struct_size = sizeof options;
    must(test_segment_files(segment) == 0, "a failed opening leaves files");
    must_ok(untorn_writer_open(segment, &options, &writer));
    must(!untorn_writer_adopted(writer), "it was created");
    untorn_writer_close(writer);
    must_say(UNTORN_E_SEGMENT_EXISTS, segment, untorn_writer_open(segment, &options, &writer));
    must_ok(untorn_reader_open(segment, NULL, &reader));
    untorn_stat stat;
    must_ok(untorn_reader_stat(reader, &stat));
    must(stat.versions == 3 && stat.arrays == 0 && stat.writer_pid == getpid(), "stat");
    must(stat.created > 0 && stat.writer_since >= stat.created, "times");
    untorn_reader_close(reader);
    must_ok(untorn_segment_remove(segment));
    untorn_writer_close(NULL);
    untorn_reader_close(NULL);
    untorn_array_close(NULL);
    untorn_snapshot_close(NULL);
    untorn_listing_free(NULL);
}

// What others left under a segment's name is called what it is.
static void other_files(void **state) {
    (void)state;
    const char *segment = test_segment("others");
    const char *path = test_segment_path(segment, "");
    untorn_reader *reader = NULL;
    untorn_inspection *inspection = NULL;
    must(mkdir(path, 0700) == 0, "mkdir %s", path);
    must_say(UNTORN_E_CORRUPT, "not a regular file", untorn_reader_open(segment, NULL, &reader));
    must(rmdir(path) == 0 && mkfifo(path, 0600) == 0, "mkfifo %s", path);
    must_say(UNTORN_E_CORRUPT, "not a regular file", untorn_reader_open(segment, NULL, &reader));
    must(unlink(path) == 0, "unlink %s", path);
    FILE *file = fopen(path, "w");
    must(file != NULL, "%s", path);
    must_say(UNTORN_E_CORRUPT, "not an Untorn segment", untorn_reader_open(segment, NULL, &reader));
    must(fputs("hello", file) >= 0 && fclose(file) == 0, "%s", path);
    must_say(UNTORN_E_CORRUPT, "not an Untorn segment (5 bytes)",
             untorn_reader_open(segment, NULL, &reader));
    must_say(UNTORN_E_CORRUPT, "not an Untorn segment (5 bytes)",
             untorn_inspect_open(segment, 0, &inspection));
    must(unlink(path) == 0 && reader == NULL && inspection == NULL,
         "a failed call wrote its result");
}

static ssize_t fails_to_read(int fd, void *bytes, size_t count, off_t offset) {
    (void)fd, (void)bytes, (void)count, (void)offset;
    errno = EIO;
    return -1;
}

static ssize_t reads_a_part(int fd, void *bytes, size_t count, off_t offset) {
    return ut_files_system.pread(fd, bytes, count / 2, offset);
}

// A segment that cannot be read is not called something else.
static void files_that_cannot_be_read(void **state) {
    (void)state;
    static const struct {
        ssize_t (*pread)(int fd, void *bytes, size_t count, off_t offset);
        untorn_status status;
        const char *said;
    } cases[] = {{fails_to_read, UNTORN_E_SYSTEM, ": Input/output error"},
                 {reads_a_part, UNTORN_E_CORRUPT, "truncated"}};
    struct ut_file_ops table = ut_files_system;
    untorn_reader *reader = NULL;
    untorn_inspection *inspection = NULL;
    struct world w = begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        table.pread = cases[i].pread;
        ut_files_replace(&table);
        must_say(cases[i].status, cases[i].said, untorn_reader_open(w.segment, NULL, &reader));
        must_say(cases[i].status, cases[i].said, untorn_inspect_open(w.segment, 0, &inspection));
        ut_files_replace(NULL);
    }
    must(reader == NULL && inspection == NULL, "a failed call wrote its result");
    end(&w);
}

static void array_names(void **state) {
    (void)state;
    struct world w = begin();
    static const char *const bad[] = {"",      "/",           "/a",          "a/",   "a//b",
                                      ".",     "..",          ".a",          "a/.b", "__a",
                                      "a/__b", "zarr.json",   "a/zarr.json", "a\nb", "\xff\xfe",
                                      "a\x7f", "\xed\xa0\x80"};
    static const char *const good[] = {"_a",      "a.b",        "a b", "\u00e4/\u65e5\u672c",
                                       "b/c/d/e", "zarr.json2", "-",   "a_b/.../x"};
    uint64_t length = 2;
    untorn_definition definition = definition_of("u1", 1, &length, NULL);
    untorn_writer_array *array = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        must_say(UNTORN_E_NAME, NULL, untorn_define(w.writer, bad[i], &definition, &array));
    for (size_t i = 0; i + 1 < sizeof good / sizeof good[0]; i++)
        must_ok(untorn_define(w.writer, good[i], &definition, &array));
    char *component = repeated('c', 256);
    must_be(UNTORN_E_NAME, untorn_define(w.writer, component, &definition, &array));
    component[255] = '\0';
    must_ok(untorn_define(w.writer, component, &definition, &array));
    free(component);
    char *name = repeated('l', UNTORN_MAX_NAME + 1);
    for (size_t i = 200; i < UNTORN_MAX_NAME; i += 200)
        name[i] = '/';
    must_be(UNTORN_E_NAME, untorn_define(w.writer, name, &definition, &array));
    name[UNTORN_MAX_NAME] = '\0';
    must_ok(untorn_define(w.writer, name, &definition, &array));
    must_ok(untorn_commit(w.writer, NULL));
    untorn_array *opened = NULL;
    must_ok(untorn_array_open(w.reader, name, &opened));
    untorn_array_close(opened);
    free(name);
    must_say(UNTORN_E_NAME, NULL, untorn_array_open(w.reader, "a//b", &opened));
    must_say(UNTORN_E_NO_ARRAY, "no/such", untorn_array_open(w.reader, "no/such", &opened));
    must_be(UNTORN_E_NO_ARRAY, untorn_array_open(w.reader, "dir", &opened)); // a group
    must_be(UNTORN_E_ARGUMENT, untorn_array_open(w.reader, NULL, &opened));
    end(&w);
}

static void definitions(void **state) {
    (void)state;
    struct world w = begin();
    untorn_writer_array *array = NULL;
    uint64_t shape[UNTORN_MAX_RANK + 1];
    uint64_t chunks[UNTORN_MAX_RANK + 1];
    for (int i = 0; i <= UNTORN_MAX_RANK; i++)
        shape[i] = chunks[i] = 1;
    untorn_definition d = definition_of("f8", UNTORN_MAX_RANK, shape, chunks);
    must_ok(untorn_define(w.writer, "deepest", &d, &array));
    must_say(UNTORN_E_ARRAY_EXISTS, "deepest", untorn_define(w.writer, "deepest", &d, &array));
    must_say(UNTORN_E_ARRAY_EXISTS, "scalar", untorn_define(w.writer, "scalar", &d, &array));
    untorn_status status = untorn_define(w.writer, "dir", &d, &array);
    must(status == UNTORN_E_ARRAY_EXISTS || status == UNTORN_E_NAME, "a group's name: %d",
         (int)status);
    d.rank = UNTORN_MAX_RANK + 1;
    status = untorn_define(w.writer, "x", &d, &array);
    must(status == UNTORN_E_SHAPE || status == UNTORN_E_LIMIT || status == UNTORN_E_ARGUMENT,
         "rank 17: %d", (int)status);
    d = definition_of("f9", 1, shape, NULL);
    must_say(UNTORN_E_DTYPE, "f9", untorn_define(w.writer, "x", &d, &array));
    chunks[0] = 0;
    d = definition_of("f8", 1, shape, chunks);
    must_say(UNTORN_E_SHAPE, "x", untorn_define(w.writer, "x", &d, &array));
    shape[0] = shape[1] = UINT64_MAX / 2;
    chunks[0] = 1;
    d = definition_of("f8", 2, shape, chunks);
    must_be(UNTORN_E_SHAPE, untorn_define(w.writer, "x", &d, &array));
    chunks[0] = chunks[1] = UINT64_MAX / 4;
    shape[0] = shape[1] = 1;
    must_be(UNTORN_E_SHAPE, untorn_define(w.writer, "x", &d, &array));
    chunks[0] = chunks[1] = 1;
    static const char *const bad_json[] = {"[]",   "",     "{",          "{\"a\":}",
                                           "{} x", "null", "{\"a\":01}", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof bad_json / sizeof bad_json[0]; i++) {
        d.attributes = bad_json[i];
        must_say(UNTORN_E_JSON, NULL, untorn_define(w.writer, "x", &d, &array));
        must_say(UNTORN_E_JSON, NULL, untorn_set_attributes(w.plane, bad_json[i]));
        must_say(UNTORN_E_JSON, NULL, untorn_set_group_attributes(w.writer, "dir", bad_json[i]));
    }
    d.attributes = NULL;
    d.codec = "zstd";
    must_say(UNTORN_E_ARGUMENT, "zstd", untorn_define(w.writer, "x", &d, &array));
    d.codec = NULL;
    d.struct_size = 1;
    must_say(UNTORN_E_ARGUMENT, "uninitialized", untorn_define(w.writer, "x", &d, &array));
    must_say(UNTORN_E_ARGUMENT, "uninitialized", untorn_require(w.writer, "scalar", &d, &array));
    d.struct_size = sizeof d;
    d.shape = NULL;
    status = untorn_define(w.writer, "x", &d, &array);
    must(status == UNTORN_E_ARGUMENT || status == UNTORN_E_SHAPE, "no shape: %d", (int)status);
    d.shape = shape;
    d.dtype = NULL;
    must_say(UNTORN_E_ARGUMENT, "no dtype", untorn_define(w.writer, "x", &d, &array));
    must_say(UNTORN_E_ARGUMENT, "no dtype", untorn_require(w.writer, "scalar", &d, &array));
    must_say(UNTORN_E_ARGUMENT, "no definition", untorn_define(w.writer, "x", NULL, &array));
    must_be(UNTORN_E_ARGUMENT, untorn_define(w.writer, NULL, &d, &array));
    must_be(UNTORN_E_NO_ARRAY, untorn_writer_array_open(w.writer, "x", &array));
    must_say(UNTORN_E_NO_ARRAY, "x", untorn_delete(w.writer, "x"));
    must_be(UNTORN_E_NO_ARRAY, untorn_delete(w.writer, "dir"));
    end(&w);
}

static void attributes_of_the_greatest_length(void **state) {
    (void)state;
    struct world w = begin();
    size_t size = UNTORN_MAX_ATTRIBUTES;
    char *json = repeated(' ', size + 1);
    json[0] = '{';
    json[size] = '}';
    untorn_status status = untorn_set_attributes(w.plane, json);
    must(status == UNTORN_E_LIMIT || status == UNTORN_E_JSON, "too long: %d", (int)status);
    json[size - 1] = '}';
    json[size] = '\0';
    must_ok(untorn_set_attributes(w.plane, json));
    must_ok(untorn_set_group_attributes(w.writer, "", json));
    must_ok(untorn_commit(w.writer, NULL));
    char *got = NULL;
    must_ok(untorn_attributes(w.read_plane, &got, NULL));
    must(strcmp(got, json) == 0, "attributes");
    free(got);
    must_ok(untorn_group_attributes(w.reader, "", &got));
    must(strcmp(got, json) == 0, "the root's attributes");
    free(got);
    free(json);
    must_ok(untorn_set_attributes(w.plane, NULL));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(untorn_attributes(w.read_plane, &got, NULL));
    must(strcmp(got, "{}") == 0, "no attributes: %s", got);
    free(got);
    must_be(UNTORN_E_NO_ARRAY, untorn_group_attributes(w.reader, "nogroup", &got));
    must_be(UNTORN_E_NAME, untorn_set_group_attributes(w.writer, "a//b", "{}"));
    status = untorn_set_group_attributes(w.writer, "scalar", "{}");
    must(status == UNTORN_E_NAME || status == UNTORN_E_ARRAY_EXISTS, "an array as a group: %d",
         (int)status);
    end(&w);
}

static void require_says_what_differs(void **state) {
    (void)state;
    struct world w = begin();
    untorn_writer_array *array = NULL;
    uint64_t other[2] = {5, 6};
    untorn_definition d = definition_of("f4", 2, other, NULL);
    must_ok(untorn_require(w.writer, "dir/plane", &d, &array)); // any length, any chunks
    must(array == w.plane, "the writer has one handle for an array");
    d.chunks = plane_chunks;
    must_ok(untorn_require(w.writer, "dir/plane", &d, &array));
    d.dtype = "=f4";
    must_ok(untorn_require(w.writer, "dir/plane", &d, &array));
    d.dtype = "f8";
    must_say(UNTORN_E_MISMATCH, "f8", untorn_require(w.writer, "dir/plane", &d, &array));
    d.dtype = "f4";
    d.rank = 1;
    must_say(UNTORN_E_MISMATCH, "dir/plane", untorn_require(w.writer, "dir/plane", &d, &array));
    d.rank = 2;
    d.chunks = other;
    must_say(UNTORN_E_MISMATCH, "chunk", untorn_require(w.writer, "dir/plane", &d, &array));
    end(&w);
}

static void writing(void **state) {
    (void)state;
    struct world w = begin();
    static float values[70 * 50];
    uint64_t start[2] = {55, 0};
    uint64_t count[2] = {6, 50};
    uint64_t commit = untorn_writer_commit(w.writer);
    must_say(UNTORN_E_REGION, "dir/plane", untorn_write(w.plane, start, count, NULL, values));
    must(strstr(untorn_message(), w.segment) && strstr(untorn_message(), "axis 0"), "%s",
         untorn_message());
    start[0] = 61;
    must_be(UNTORN_E_REGION, untorn_write(w.plane, start, NULL, NULL, values));
    start[0] = UINT64_MAX;
    count[0] = 2;
    must_be(UNTORN_E_REGION, untorn_write(w.plane, start, count, NULL, values));
    must_be(UNTORN_E_ARGUMENT, untorn_write(w.plane, NULL, NULL, NULL, NULL));
    must_be(UNTORN_E_ARGUMENT, untorn_write(NULL, NULL, NULL, NULL, values));
    must_be(UNTORN_E_ARGUMENT, untorn_append(w.plane, 2, 1, NULL, values));
    must_be(UNTORN_E_ARGUMENT, untorn_append(w.scalar, 0, 1, NULL, values));
    must_be(UNTORN_E_SHAPE, untorn_append(w.plane, 0, UINT64_MAX - 3, NULL, values));
    uint64_t shape[2] = {UINT64_MAX / 2, UINT64_MAX / 2};
    must_be(UNTORN_E_SHAPE, untorn_resize(w.plane, shape));
    must_be(UNTORN_E_ARGUMENT, untorn_resize(w.plane, NULL));
    void *memory = NULL;
    uint64_t index[2] = {9, 0};
    must_say(UNTORN_E_REGION, "dir/plane", untorn_chunk_begin(w.plane, index, 0, &memory));
    index[0] = 8; // the last: cut by the shape
    must_ok(untorn_chunk_begin(w.plane, index, UNTORN_CHUNK_KEEP, &memory));
    must_be(UNTORN_E_STATE, untorn_chunk_begin(w.plane, index, 0, &memory));
    must_say(UNTORN_E_STATE, NULL, untorn_commit(w.writer, NULL));
    must_ok(untorn_chunk_done(w.plane, index));
    must_be(UNTORN_E_STATE, untorn_chunk_done(w.plane, index));
    untorn_abort(w.writer);
    uint64_t same = 0;
    must_ok(untorn_commit(w.writer, &same));
    must(same == commit, "a commit of nothing is %llu, the last was %llu", (unsigned long long)same,
         (unsigned long long)commit);
    unsigned rank = 9;
    uint64_t got[UNTORN_MAX_RANK];
    must_ok(untorn_writer_array_shape(w.plane, &rank, got));
    must(rank == 2 && got[0] == 60 && got[1] == 50, "failures changed the shape");
    end(&w);
}

static void reading(void **state) {
    (void)state;
    struct world w = begin();
    static float values[60 * 50];
    uint64_t start[2] = {0, 48};
    uint64_t count[2] = {UNTORN_TO_END, 3};
    untorn_result result = {0};
    must_say(UNTORN_E_REGION, "dir/plane",
             untorn_read(w.read_plane, start, count, values, sizeof values, &result));
    must(strstr(untorn_message(), "axis 1") && strstr(untorn_message(), w.segment), "%s",
         untorn_message());
    must(result.rank == 2 && result.shape[0] == 60, "the shape comes with the refusal");
    count[1] = 2;
    must_be(UNTORN_E_BUFFER_TOO_SMALL,
            untorn_read(w.read_plane, start, count, values, 60 * 2 * 4 - 1, &result));
    must_ok(untorn_read(w.read_plane, start, count, values, 60 * 2 * 4, &result));
    start[0] = 60;
    must_ok(untorn_read(w.read_plane, start, count, values, 0, &result)); // nothing, at the end
    start[0] = 61;
    must_be(UNTORN_E_REGION, untorn_read(w.read_plane, start, NULL, values, 0, &result));
    start[0] = UINT64_MAX;
    must_be(UNTORN_E_REGION, untorn_read(w.read_plane, start, count, values, 0, &result));
    must_be(UNTORN_E_ARGUMENT, untorn_read(NULL, NULL, NULL, values, 0, &result));
    must_be(UNTORN_E_ARGUMENT, untorn_read(w.read_plane, NULL, NULL, NULL, 99999, &result));
    int16_t scalar = 5;
    must_ok(untorn_read(w.read_scalar, NULL, NULL, &scalar, sizeof scalar, NULL));
    must(scalar == 0, "the fill value is zero");
    untorn_reader *other = NULL;
    untorn_array *foreign = NULL;
    must_ok(untorn_reader_open(w.segment, NULL, &other));
    must_ok(untorn_array_open(other, "scalar", &foreign));
    untorn_request requests[2] = {{.array = w.read_scalar, .destination = &scalar, .capacity = 2},
                                  {.array = foreign, .destination = &scalar, .capacity = 2}};
    must_be(UNTORN_E_ARGUMENT, untorn_read_group(w.reader, requests, 2, NULL));
    untorn_reader_close(other);
    requests[1] = (untorn_request){.array = NULL};
    must_be(UNTORN_E_ARGUMENT, untorn_read_group(w.reader, requests, 2, NULL));
    must_be(UNTORN_E_ARGUMENT, untorn_read_group(w.reader, NULL, 2, NULL));
    end(&w);
}

static void deleted_arrays_say_so(void **state) {
    (void)state;
    struct world w = begin();
    static float values[60 * 50];
    untorn_snapshot *snapshot = NULL;
    untorn_snapshot *after = NULL;
    untorn_result result;
    char *json = NULL;
    must_ok(untorn_peek(w.read_plane, &result));
    uint64_t generation = result.generation;
    must_ok(untorn_snapshot_open(w.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    must_ok(untorn_delete(w.writer, "dir/plane"));
    must_ok(untorn_read(w.read_plane, NULL, NULL, values, sizeof values, NULL)); // not yet
    must_ok(untorn_commit(w.writer, NULL));
    must_say(UNTORN_E_ARRAY_DELETED, "dir/plane",
             untorn_read(w.read_plane, NULL, NULL, values, sizeof values, NULL));
    must_be(UNTORN_E_ARRAY_DELETED, untorn_peek(w.read_plane, &result));
    must_be(UNTORN_E_ARRAY_DELETED, untorn_attributes(w.read_plane, &json, &result));
    must_be(UNTORN_E_ARRAY_DELETED, untorn_wait(w.read_plane, generation, 1000));
    must_be(UNTORN_E_ARRAY_DELETED,
            untorn_snapshot_open(w.reader, &w.read_plane, 1, UNTORN_NEWEST, &after));
    must_ok(untorn_snapshot_check(snapshot));
    must(untorn_snapshot_count(snapshot) == 2, "the snapshot has it still");
    for (size_t i = 0; i < 2; i++)
        must_ok(untorn_snapshot_read(snapshot, i, NULL, NULL, values, sizeof values));
    // The same name again is another array.
    uint64_t length = 3;
    untorn_definition d = definition_of("u1", 1, &length, NULL);
    must_ok(untorn_define(w.writer, "dir/plane", &d, &w.plane));
    must_ok(untorn_commit(w.writer, NULL));
    must_be(UNTORN_E_ARRAY_DELETED, untorn_peek(w.read_plane, &result));
    untorn_snapshot_close(snapshot);
    end(&w);
}

static void aborted_definitions_and_deletions(void **state) {
    (void)state;
    struct world w = begin();
    untorn_writer_array *array = NULL;
    uint64_t length = 4;
    uint64_t commit = untorn_reader_commit(w.reader);
    untorn_definition d = definition_of("u8", 1, &length, NULL);
    must_ok(untorn_define(w.writer, "brief", &d, &array));
    must_ok(untorn_delete(w.writer, "scalar"));
    must_be(UNTORN_E_NO_ARRAY, untorn_writer_array_open(w.writer, "scalar", &array));
    untorn_abort(w.writer);
    must_ok(untorn_writer_array_open(w.writer, "scalar", &w.scalar));
    must_be(UNTORN_E_NO_ARRAY, untorn_writer_array_open(w.writer, "brief", &array));
    int16_t value = -3;
    must_ok(untorn_write(w.scalar, NULL, NULL, NULL, &value));
    must_ok(untorn_commit(w.writer, NULL));
    must(untorn_reader_commit(w.reader) > commit, "the commit");
    value = 0;
    must_ok(untorn_read(w.read_scalar, NULL, NULL, &value, sizeof value, NULL));
    must(value == -3, "value %d", value);
    // Defined and deleted in one transaction: as if nothing had been.
    must_ok(untorn_define(w.writer, "brief", &d, &array));
    must_ok(untorn_delete(w.writer, "brief"));
    must_ok(untorn_commit(w.writer, NULL));
    untorn_array *brief = NULL;
    must_be(UNTORN_E_NO_ARRAY, untorn_array_open(w.reader, "brief", &brief));
    end(&w);
}

static void snapshots(void **state) {
    (void)state;
    struct world w = begin();
    static float values[60 * 50];
    untorn_snapshot *snapshot = NULL;
    untorn_array_info info;
    untorn_result result;
    const void *memory = NULL;
    uint64_t index[2] = {9, 0};
    uint64_t start[2] = {0, 51};
    must_be(UNTORN_E_NO_COMMIT, untorn_snapshot_open(w.reader, NULL, 0, UINT64_MAX - 5, &snapshot));
    must_be(UNTORN_E_ARGUMENT, untorn_snapshot_open(NULL, NULL, 0, UNTORN_NEWEST, &snapshot));
    must_be(UNTORN_E_ARGUMENT, untorn_snapshot_open(w.reader, NULL, 0, UNTORN_NEWEST, NULL));
    must_ok(untorn_snapshot_open(w.reader, &w.read_plane, 1, UNTORN_NEWEST, &snapshot));
    must_be(UNTORN_E_ARGUMENT, untorn_snapshot_describe(snapshot, 1, &info, &result));
    must_be(UNTORN_E_ARGUMENT, untorn_snapshot_read(snapshot, 1, NULL, NULL, values, 9));
    must_say(UNTORN_E_ARGUMENT, "plane", untorn_snapshot_attributes(snapshot, 0, NULL));
    must_be(UNTORN_E_REGION, untorn_snapshot_read(snapshot, 0, start, NULL, values, 9));
    must_be(UNTORN_E_BUFFER_TOO_SMALL, untorn_snapshot_read(snapshot, 0, NULL, NULL, values, 9));
    must_be(UNTORN_E_REGION, untorn_snapshot_chunk(snapshot, 0, index, &memory));
    index[0] = 0;
    must_be(UNTORN_E_ABSENT, untorn_snapshot_chunk(snapshot, 0, index, &memory));
    untorn_snapshot_close(snapshot);
    must_ok(untorn_write(w.plane, NULL, NULL, NULL, values));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(untorn_snapshot_open(w.reader, &w.read_plane, 1, UNTORN_NEWEST, &snapshot));
    must_ok(untorn_snapshot_chunk(snapshot, 0, index, &memory));
    must(((uintptr_t)memory & 7) == 0, "a chunk's alignment");
    untorn_snapshot_close(snapshot);
    end(&w);
}

// Many snapshots at once: a limit is an error, and not the end of anything.
static void many_snapshots(void **state) {
    (void)state;
    struct world w = begin();
    enum { MANY = 3000 };
    static untorn_snapshot *held[MANY];
    unsigned count = 0;
    untorn_status status = UNTORN_OK;
    int16_t value = 0;
    for (; count < MANY; count++) {
        status = untorn_snapshot_open(w.reader, &w.read_scalar, 1, UNTORN_NEWEST, &held[count]);
        if (status != UNTORN_OK)
            break;
        if (count % 100 == 0) {
            value++;
            must_ok(untorn_write(w.scalar, NULL, NULL, NULL, &value));
            must_ok(untorn_commit(w.writer, NULL));
        }
    }
    must(status == UNTORN_OK || status == UNTORN_E_LIMIT, "status %d: %s", (int)status,
         untorn_message());
    print_message("%u snapshots at once\n", count);
    must(count >= 16, "only %u snapshots at once", count);
    for (unsigned i = 0; i < count; i++)
        untorn_snapshot_close(held[i]);
    must_ok(untorn_snapshot_open(w.reader, NULL, 0, UNTORN_NEWEST, &held[0]));
    untorn_snapshot_close(held[0]);
    end(&w);
}

static void dumping(void **state) {
    (void)state;
    struct world w = begin();
    char path[400];
    const char *directory = test_directory("dump");
    strcpy(path, directory);
    strcat(path, "/file");
    must_ok(untorn_segment_dump(w.segment, path));
    must(access(path, R_OK) == 0, "no dump");
    must_say(UNTORN_E_NO_SEGMENT, "nosuch", untorn_segment_dump("t-nosuch-1-1", path));
    strcat(path, "/below");
    untorn_status status = untorn_segment_dump(w.segment, path);
    must(status == UNTORN_E_SYSTEM || status == UNTORN_E_ARGUMENT, "a dump into a file: %d",
         (int)status);
    end(&w);
}

static void P9_what_a_removed_segment_leaves(void **state) {
    (void)state;
    struct world w = begin();
    const char *segment = w.segment;
    end(&w);
    must(test_segment_files(segment) == 0, "%u files are left", test_segment_files(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_texts_and_the_version_is_there),
        cmocka_unit_test(dtypes),
        cmocka_unit_test(segment_names),
        cmocka_unit_test(opening_and_removing),
        cmocka_unit_test(other_files),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(array_names),
        cmocka_unit_test(definitions),
        cmocka_unit_test(attributes_of_the_greatest_length),
        cmocka_unit_test(require_says_what_differs),
        cmocka_unit_test(writing),
        cmocka_unit_test(reading),
        cmocka_unit_test(deleted_arrays_say_so),
        cmocka_unit_test(aborted_definitions_and_deletions),
        cmocka_unit_test(snapshots),
        cmocka_unit_test(many_snapshots),
        cmocka_unit_test(dumping),
        cmocka_unit_test(P9_what_a_removed_segment_leaves),
    };
    return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
