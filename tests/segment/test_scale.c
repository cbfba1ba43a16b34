// SPDX-License-Identifier: MIT
/*
 * Large numbers: more than 65,536 arrays, transactions over thousands, an array of ten million
 * chunks; and adopting all that.  What a commit costs follows from what it changes: that
 * is measured in bytes taken and, where the kernel lets us, in instructions; never in time.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/test_hooks.h"
#include "support/books.h"
#include "support/must.h"
#include "support/names.h"
#include "support/rng.h"
#include "support/scale.h"

/* ---- instructions ---- */

// This thread's, in user space; -1: the kernel does not let us count.
static int open_counter(void) {
    struct perf_event_attr what = {.type = PERF_TYPE_HARDWARE,
                                   .size = sizeof what,
                                   .config = PERF_COUNT_HW_INSTRUCTIONS,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    return (int)syscall(SYS_perf_event_open, &what, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t counted(int counter) {
    uint64_t value = 0;
    if (counter >= 0 && read(counter, &value, sizeof value) != sizeof value)
        value = 0;
    return value;
}

/* ---- arrays ---- */

static untorn_writer *open_writer(const char *segment, uint64_t size) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = size;
    options.versions = 2;
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(segment, &options, &writer));
    return writer;
}

static void name_of(uint64_t number, char name[32]) {
    snprintf(name, 32, "g%u/a%u", (unsigned)(number % 7), (unsigned)number);
}

static untorn_writer_array *define(untorn_writer *writer, uint64_t number) {
    char name[32];
    name_of(number, name);
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u4";
    untorn_writer_array *array = NULL;
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

static untorn_writer_array *find(untorn_writer *writer, uint64_t number) {
    char name[32];
    name_of(number, name);
    untorn_writer_array *array = NULL;
    must_ok(untorn_writer_array_open(writer, name, &array));
    return array;
}

static void write_number(untorn_writer_array *array, uint64_t number) {
    uint32_t value = (uint32_t)number;
    must_ok(untorn_write(array, NULL, NULL, NULL, &value));
}

// Every `stride`-th array has its number + `more`.
static void check_arrays(const char *segment, uint64_t count, uint64_t stride, uint32_t more) {
    untorn_reader *reader = NULL;
    untorn_listing *listing = NULL;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_list(reader, &listing));
    size_t arrays = 0;
    for (size_t i = 0; i < listing->count; i++)
        arrays += listing->entries[i].kind == UNTORN_KIND_ARRAY;
    must(arrays == count, "%zu arrays are listed of %llu", arrays, (unsigned long long)count);
    untorn_listing_free(listing);
    for (uint64_t i = 0; i < count; i += stride) {
        char name[32];
        name_of(i, name);
        untorn_array *array = NULL;
        uint32_t value = 0;
        must_ok(untorn_array_open(reader, name, &array));
        must_ok(untorn_read(array, NULL, NULL, &value, sizeof value, NULL));
        must(value == i + more, "%s is %u", name, value);
        untorn_array_close(array);
    }
    untorn_reader_close(reader);
}

static void more_than_65536_arrays(void **state) {
    (void)state;
    const char *segment = test_segment("scale");
    untorn_writer *writer = open_writer(segment, UINT64_C(1) << 30);
    uint64_t count = test_count(66000), defined = 0;
    for (unsigned part = 0; part < 4; part++) {
        for (uint64_t end = count * (part + 1) / 4; defined < end; defined++)
            write_number(define(writer, defined), defined);
        must_ok(untorn_commit(writer, NULL));
    }
    books_must_add_up(writer, 0, "many arrays");
    check_arrays(segment, count, 1 + count / 500, 0);

    // One more in a transaction of its own, and a rewrite: among so many it costs no more.
    uint64_t before = ut_alloc_free_bytes(writer->publisher.alloc);
    int counter = open_counter();
    uint64_t begin = counted(counter);
    write_number(find(writer, count / 2), count / 2);
    must_ok(untorn_commit(writer, NULL));
    uint64_t instructions = counted(counter) - begin;
    must(before <= ut_alloc_free_bytes(writer->publisher.alloc) + 64, "a rewrite's space");
    must(instructions < 100000, "%llu instructions for a commit", (unsigned long long)instructions);
    close(counter);

    untorn_writer_close(writer);
    writer = open_writer(segment, 0);
    must(untorn_writer_adopted(writer), "adopted");
    books_must_add_up(writer, 0, "many arrays, adopted");
    for (uint64_t i = 0; i < count; i++)
        write_number(find(writer, i), i + 1);
    must_ok(untorn_commit(writer, NULL));
    books_must_add_up(writer, 0, "all rewritten at once");
    check_arrays(segment, count, 1 + count / 500, 1);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- a large transaction, and a death in it ---- */

static const char *dying;
static unsigned deaths;
static uint64_t generations;

static void die_in_a_large_transaction(const char *step) {
    const uint64_t count = 1000;
    int stored = strcmp(step, "generation stored") == 0;
    generations += (uint64_t)stored;
    if (strcmp(step, "record filled") != 0 && strcmp(step, "prepared") != 0 &&
        (!stored || generations % 300 != 0))
        return;
    ut_step_hook = NULL;
    const char *copy = test_segment("scalecopy");
    books_copy_segment(dying, copy);
    untorn_writer *writer = open_writer(copy, 0);
    books_must_add_up(writer, 0, step);
    check_arrays(copy, count, 1, strcmp(step, "record filled") == 0 ? 0 : 7);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(copy));
    deaths++;
    ut_step_hook = die_in_a_large_transaction;
}

static void P5_death_in_a_transaction_over_1000_arrays(void **state) {
    (void)state;
    dying = test_segment("scale");
    untorn_writer *writer = open_writer(dying, 64u << 20);
    for (uint64_t i = 0; i < 1000; i++)
        write_number(define(writer, i), i);
    must_ok(untorn_commit(writer, NULL));
    for (uint64_t i = 0; i < 1000; i++)
        write_number(find(writer, i), i + 7);
    ut_step_hook = die_in_a_large_transaction;
    must_ok(untorn_commit(writer, NULL));
    ut_step_hook = NULL;
    must(deaths == 5, "%u deaths", deaths);
    books_must_add_up(writer, 0, "after the commit");
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(dying));
}

// Arrays that are defined and deleted, many at once, again and again: nothing piles up.
static void many_that_come_and_go(void **state) {
    (void)state;
    const char *segment = test_segment("scale");
    untorn_writer *writer = open_writer(segment, 64u << 20);
    uint64_t count = test_count(2000), settled = 0;
    for (unsigned round = 0; round < 8; round++) {
        for (uint64_t i = 0; i < count; i++)
            write_number(define(writer, i), i);
        if (round % 3 == 1)
            untorn_abort(writer);
        else
            must_ok(untorn_commit(writer, NULL));
        for (uint64_t i = 0; i < count && round % 3 != 1; i++) {
            char name[32];
            name_of(i, name);
            must_ok(untorn_delete(writer, name));
        }
        must_ok(untorn_commit(writer, NULL));
        books_must_add_up(writer, 0, "come and gone");
        if (round == 3)
            settled = ut_alloc_end(writer->publisher.alloc);
        must(writer->publisher.object_count <= count + 1, "headers are used again");
    }
    must(ut_alloc_end(writer->publisher.alloc) == settled, "the file grew on");
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- chunks ---- */

struct cost {
    uint64_t bytes, instructions;
};

static untorn_writer_array *define_chunks(untorn_writer *writer, const char *name,
                                          uint64_t chunks) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &chunks;
    definition.chunks = (uint64_t[]){1};
    untorn_writer_array *array = NULL;
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

// The dearest of some commits that rewrite one chunk and append another.
static struct cost cost_of_commits(untorn_writer *writer, untorn_writer_array *array,
                                   uint64_t chunks, int counter) {
    struct cost cost = {0, UINT64_MAX};
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t at = chunks / 21 * (i + 1);
        uint64_t bytes =
            ut_alloc_end(writer->publisher.alloc) - ut_alloc_free_bytes(writer->publisher.alloc);
        uint64_t begin = counted(counter);
        must_ok(untorn_write(array, &at, (uint64_t[]){1}, NULL, &i));
        must_ok(untorn_append(array, 0, 1, NULL, &i));
        must_ok(untorn_commit(writer, NULL));
        uint64_t instructions = counted(counter) - begin;
        bytes = ut_alloc_end(writer->publisher.alloc) -
                ut_alloc_free_bytes(writer->publisher.alloc) - bytes;
        if (bytes > cost.bytes && bytes < UINT64_MAX / 2)
            cost.bytes = bytes;
        if (instructions < cost.instructions)
            cost.instructions = instructions;
    }
    return cost;
}

static void ten_million_chunks(void **state) {
    (void)state;
    const char *segment = test_segment("scale");
    untorn_writer *writer = open_writer(segment, 256u << 20);
    const uint64_t few = 1000, many = 10000000;
    untorn_writer_array *small = define_chunks(writer, "small", few);
    untorn_writer_array *large = define_chunks(writer, "large", many);
    struct test_rng rng = {test_seed()};
    uint64_t sparse = test_count(20000);
    for (uint64_t i = 0; i < sparse; i++) {
        uint64_t at = rng_below(&rng, many);
        uint32_t value = (uint32_t)at;
        must_ok(untorn_write(large, &at, (uint64_t[]){1}, NULL, &value));
    }
    must_ok(untorn_commit(writer, NULL));
    books_must_add_up(writer, 0, "sparse");
    int counter = open_counter();
    struct cost a = cost_of_commits(writer, small, few, counter);
    struct cost b = cost_of_commits(writer, large, many, counter);
    print_message("a commit of two chunks: %llu bytes, %llu instructions of %llu chunks; "
                  "%llu bytes, %llu instructions of %llu\n",
                  (unsigned long long)a.bytes, (unsigned long long)a.instructions,
                  (unsigned long long)few, (unsigned long long)b.bytes,
                  (unsigned long long)b.instructions, (unsigned long long)many);
    must(b.bytes <= 2 * (5 + 1) * sizeof(ut_node) + 2 * 64, "bytes of a commit");
    must(b.instructions <= 8 * a.instructions + 10000, "instructions of a commit");
    if (counter >= 0)
        close(counter);

    untorn_writer_close(writer);
    writer = open_writer(segment, 0);
    books_must_add_up(writer, 0, "sparse, adopted");
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "large", &array));
    uint32_t *values = malloc((many + 20) * sizeof *values);
    must(values != NULL);
    must_ok(untorn_read(array, NULL, NULL, values, (many + 20) * sizeof *values, NULL));
    uint64_t present = 0;
    for (uint64_t i = 0; i < many; i++) {
        must(values[i] == 0 || values[i] == i || values[i] < 20, "chunk %llu is %u",
             (unsigned long long)i, values[i]);
        present += values[i] >= 20;
    }
    must(present > sparse * 9 / 10, "%llu chunks are there", (unsigned long long)present);
    free(values);
    untorn_reader_close(reader);

    // Cut almost all of it off.
    must_ok(untorn_writer_array_open(writer, "large", &large));
    uint64_t length = 5;
    must_ok(untorn_resize(large, &length));
    must_ok(untorn_commit(writer, NULL));
    books_must_add_up(writer, 0, "cut");
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

// As many chunks as an array can have, below 2^62: the tree is at its deepest.
static void chunks_at_the_far_end(void **state) {
    (void)state;
    const char *segment = test_segment("scale");
    untorn_writer *writer = open_writer(segment, 1u << 20);
    const uint64_t length = (UINT64_C(1) << 62) - 1, one = 1;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &one;
    untorn_writer_array *array = NULL;
    must_ok(untorn_define(writer, "a", &definition, &array));
    static const uint64_t places[] = {0,
                                      31,
                                      (UINT64_C(1) << 55) - 1,
                                      UINT64_C(1) << 55,
                                      (UINT64_C(1) << 60) - 1,
                                      UINT64_C(1) << 60,
                                      (UINT64_C(1) << 60) + (UINT64_C(9) << 56) + 5,
                                      (UINT64_C(1) << 61) + 31,
                                      (UINT64_C(1) << 62) - 2};
    const unsigned count = sizeof places / sizeof places[0];
    for (unsigned i = 0; i < count; i++) {
        unsigned char value = (unsigned char)(i + 1);
        must_ok(untorn_write(array, &places[i], &one, NULL, &value));
        must_ok(untorn_commit(writer, NULL));
        books_must_add_up(writer, 0, "far apart");
    }
    untorn_writer_close(writer);
    writer = open_writer(segment, 0);
    books_must_add_up(writer, 0, "far apart, adopted");
    untorn_reader *reader = NULL;
    untorn_array *seen = NULL;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &seen));
    for (unsigned i = 0; i < count; i++)
        for (uint64_t before = places[i] != 0; before < 2; before--) {
            uint64_t at = places[i] - before;
            unsigned expected = 0;
            for (unsigned k = 0; k < count; k++)
                expected = places[k] == at ? k + 1 : expected;
            unsigned char value = 255;
            must_ok(untorn_read(seen, &at, &one, &value, 1, NULL));
            must(value == expected, "chunk %llu is %u", (unsigned long long)at, value);
        }
    must_ok(untorn_writer_array_open(writer, "a", &array));
    for (uint64_t shape = UINT64_C(1) << 61; shape > 1; shape >>= 7) {
        must_ok(untorn_resize(array, &shape));
        must_ok(untorn_commit(writer, NULL));
        books_must_add_up(writer, 0, "cut");
    }
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_65536_arrays),
        cmocka_unit_test(P5_death_in_a_transaction_over_1000_arrays),
        cmocka_unit_test(many_that_come_and_go),
        cmocka_unit_test(ten_million_chunks),
        cmocka_unit_test(chunks_at_the_far_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
