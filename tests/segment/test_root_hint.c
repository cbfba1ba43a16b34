// SPDX-License-Identifier: MIT
/*
 * The header's guess where the newest root lies: it is right after a commit, and it may be anything
 * without a reader noticing more than that it takes longer.
 */
#include <string.h>

#include "segment/descriptor.h"
#include "support/must.h"
#include "support/names.h"

struct world {
    const char *name;
    untorn_writer *writer;
    untorn_writer_array *array;
    ut_segment segment;
    ut_header *header;
};

enum { MAX_BYTES = 1 << 16 };

/* One array of `bytes` bytes in chunks of `chunk` bytes. */
static void set_up(struct world *world, uint64_t bytes, uint64_t chunk) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &bytes;
    definition.chunks = &chunk;
    world->name = test_segment("root-hint");
    must_ok(untorn_writer_open(world->name, NULL, &world->writer));
    must_ok(untorn_define(world->writer, "a", &definition, &world->array));
    must_ok(untorn_commit(world->writer, NULL));
    must_ok(ut_segment_attach(&world->segment, world->name, true, true));
    world->header = ut_segment_header(&world->segment, 1);
    must(world->header != NULL, "header");
}

static void tear_down(struct world *world) {
    ut_segment_detach(&world->segment);
    untorn_writer_close(world->writer);
    must_ok(untorn_segment_remove(world->name));
}

static void rewrite(struct world *world, unsigned char value) {
    unsigned char data[MAX_BYTES];
    memset(data, value, sizeof data);
    must_ok(untorn_write(world->array, NULL, NULL, NULL, data));
    must_ok(untorn_commit(world->writer, NULL));
}

static uint64_t root_of(struct world *world) {
    ut_descriptor descriptor;
    memset(&descriptor, 0, sizeof descriptor);
    must(ut_descriptor_newest(&world->segment, world->header, &descriptor) == UT_FOUND,
         "descriptor");
    return ut_ref_offset(descriptor.root_ref);
}

static void it_points_at_the_newest_root(void **state) {
    (void)state;
    static const struct {
        uint64_t bytes, chunk, lines;
    } cases[] = {{1, 1, 1},        {64, 64, 1},        {65, 65, 2},
                 {4096, 4096, 63}, {65536, 65536, 63}, {4096, 64, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        set_up(&world, cases[i].bytes, cases[i].chunk);
        must(ut_load_relaxed(&world.header->root_hint) == 0, "of an array without data");
        for (unsigned char value = 1; value < 20; value++) {
            rewrite(&world, value);
            uint64_t hint = ut_load_relaxed(&world.header->root_hint);
            must(hint == (root_of(&world) | cases[i].lines), "case %zu: %llx", i,
                 (unsigned long long)hint);
        }
        tear_down(&world);
    }
}

static void whatever_it_says_the_newest_is_read(void **state) {
    (void)state;
    static const uint64_t wild[] = {
        0,          63,           UINT64_C(0x7fffffffffffffff), UINT64_C(0x8000000000000000),
        UINT64_MAX, UT_PAGE | 63, UINT64_C(1) << 46 | 1};
    struct world world;
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    unsigned char found[4096], expected[4096];
    set_up(&world, sizeof found, sizeof found);
    must_ok(untorn_reader_open(world.name, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        for (unsigned char way = 1; way <= 2; way++) {
            unsigned char value = (unsigned char)(2 * i + way);
            untorn_request request = {0};
            request.array = array;
            request.destination = found;
            request.capacity = sizeof found;
            rewrite(&world, value);
            ut_store_relaxed(&world.header->root_hint, wild[i]);
            if (way == 1)
                must_ok(untorn_read(array, NULL, NULL, found, sizeof found, NULL));
            else
                must_ok(untorn_read_group(reader, &request, 1, NULL));
            memset(expected, value, sizeof expected);
            must(memcmp(found, expected, sizeof found) == 0, "hint %zu, way %u", i, way);
        }
    untorn_reader_close(reader);
    tear_down(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_points_at_the_newest_root),
        cmocka_unit_test(whatever_it_says_the_newest_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
