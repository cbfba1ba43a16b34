// SPDX-License-Identifier: MIT
/*
 * The ways by which the writer gets the memory of a superseded chunk and keeps the versions it
 * promised, taken in each step of a reader that is just reading that chunk: the read is told so, or
 * it is whole.  (What it gives up besides, it gives up with a store: test_eviction_schedules.c.)
 *
 *   oldest      the array's own oldest item
 *   passed      the same beside a pin of an earlier commit, whose chunks are passed over
 *   text        its own oldest again, but for a text of about that size
 *   reclaimed   by another array, since nothing else is free
 *
 * With a budget of one byte for what an array keeps beyond its versions, each is met in the first
 * transaction in which it may be, whatever the schedule; that it was met is asserted.  The reader
 * has one attempt and no pin, but for what its handle knows already, which it tries before.
 *
 * Mistakes on purpose, as in test_seeded_bugs.c: 106, windows are not raised before reuse, once in
 * each way; 107, superseded items are taken although a pin stands.
 */
#include <stdio.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/seeded.h"
#include "array/writer.h"
#include "base/test_hooks.h"

enum { MOST_CHUNKS = 8, ELEMENTS = 128, VERSIONS = 2, TURNS = 12 };

static struct place {
    unsigned chunks;
    untorn_writer *writer;
    untorn_writer_array *array, *other;
    uint64_t slots[MOST_CHUNKS]; // of the array's newest generation
    uint32_t stamp;              // what all its elements are, and its generation
    untorn_reader *reader, *pinning;
    untorn_array *opened;
    untorn_snapshot *snapshot; // NULL: there is no pin
    uint32_t pinned;           // its stamp
} here;

/* --- the writer's part --- */

static untorn_writer_array *define(const char *name) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t shape = (uint64_t)here.chunks * ELEMENTS, chunk = ELEMENTS;
    untorn_writer_array *array = NULL;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &chunk;
    must_ok(untorn_define(here.writer, name, &definition, &array));
    return array;
}

// The slot that the chunk got.
static uint64_t write_chunk(untorn_writer_array *array, unsigned i, uint32_t value) {
    uint32_t values[ELEMENTS];
    uint64_t start = (uint64_t)i * ELEMENTS, count = ELEMENTS;
    for (unsigned element = 0; element < ELEMENTS; element++)
        values[element] = value;
    must_ok(untorn_write(array, &start, &count, NULL, values));
    const ut_change *change = ut_changes_find(&array->object->changes, i);
    must(change != NULL && change->offset != 0, "chunk %u has no slot", i);
    return change->offset;
}

static unsigned is_one_of(const uint64_t *slots, uint64_t slot) {
    for (unsigned i = 0; i < here.chunks; i++)
        if (slots[i] == slot)
            return 1;
    return 0;
}

// How many of the slots in `old` it got from the head of the array's own queue.
static unsigned rewrite(const uint64_t *old) {
    const ut_object *object = here.array->object;
    unsigned reused = 0;
    here.stamp++;
    for (unsigned i = 0; i < here.chunks; i++) {
        uint64_t first = object->queue_count != 0 ? object->queue[object->queue_head].offset : 0;
        here.slots[i] = write_chunk(here.array, i, here.stamp);
        reused += here.slots[i] == first && is_one_of(old, first);
    }
    must_ok(untorn_commit(here.writer, NULL));
    return reused;
}

static void take_all_that_is_free(void) {
    for (uint64_t bytes = UT_PAGE; bytes >= UT_UNIT; bytes /= 2)
        while (ut_space_take_free(&here.writer->publisher, bytes) != 0)
            continue;
}

/* --- the ways --- */

static unsigned reuse_own(const uint64_t *old) {
    unsigned reused = 0;
    for (unsigned turn = 0; turn < TURNS && reused == 0; turn++)
        reused = rewrite(old);
    must((here.writer->publisher.grants.standing != 0) == (here.snapshot != NULL), "pins");
    return reused;
}

// Until the next that is superseded may be taken.
static void outlive_the_versions(const uint64_t *old) {
    for (unsigned turn = 0; turn < VERSIONS; turn++)
        must(rewrite(old) == 0, "reused before the versions were over");
}

static unsigned reuse_as_text(const uint64_t *old) {
    char json[ELEMENTS * sizeof(uint32_t) - sizeof(ut_text)] = "{\"text\": \"";
    size_t length = strlen(json);
    memset(json + length, 'x', sizeof json - length);
    memcpy(json + sizeof json - 3, "\"}", 3);
    outlive_the_versions(old);
    must_ok(untorn_set_attributes(here.array, json));
    unsigned reused = is_one_of(old, here.array->attributes);
    untorn_abort(here.writer); // its bytes were there; and generations count what is rewritten
    return reused;
}

static unsigned reuse_by_another(const uint64_t *old) {
    unsigned reused = 0;
    outlive_the_versions(old);
    for (unsigned i = 0; i < here.chunks; i++) {
        must(here.other->object->queue_count == 0, "the other has something of its own");
        reused += is_one_of(old, write_chunk(here.other, i, UINT32_MAX));
    }
    must_ok(untorn_commit(here.writer, NULL));
    return reused;
}

/* --- a reader, and the writer in one of its steps --- */

static unsigned (*reuse)(const uint64_t *old);
static unsigned at, at_count;
static char stopped_in[64]; // "": the read has no such step

static void reuse_in_step(const char *step) {
    if (at_count++ != at)
        return;
    uint64_t old[MOST_CHUNKS];
    ut_step_hook = NULL;
    snprintf(stopped_in, sizeof stopped_in, "%s", step);
    memcpy(old, here.slots, sizeof old);
    must(reuse(old) > 0, "nothing of it was reused in %s", step);
}

static untorn_reader *open_reader(const char *segment, unsigned flags, untorn_array **opened) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    untorn_reader *reader = NULL;
    options.flags = flags;
    options.attempts = 1;
    must_ok(untorn_reader_open(segment, &options, &reader));
    must_ok(untorn_array_open(reader, "array", opened));
    return reader;
}

static void must_be_whole(const uint32_t *values, uint64_t stamp) {
    for (unsigned i = 0; i < here.chunks * ELEMENTS; i++)
        must(values[i] == stamp, "TORN: element %u of generation %llu is %u (in %s)", i,
             (unsigned long long)stamp, values[i], stopped_in);
}

// The generation that it got; 0: it was overtaken.
static uint64_t read_all(void) {
    uint32_t values[MOST_CHUNKS * ELEMENTS];
    untorn_result result;
    untorn_status status = untorn_read(here.opened, NULL, NULL, values, sizeof values, &result);
    if (status != UNTORN_OK) {
        must_be(UNTORN_E_OVERTAKEN, status);
        return 0;
    }
    must_be_whole(values, result.generation);
    return result.generation;
}

static void set_up(const char *segment, int pin, int full) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_array *pinned = NULL;
    static const uint64_t none[MOST_CHUNKS];
    options.size = UINT64_C(1) << 20;
    options.versions = VERSIONS;
    must_ok(untorn_writer_open(segment, &options, &here.writer));
    here.writer->publisher.budget = 1;
    here.array = define("array");
    here.other = define("other");
    here.stamp = 0;
    here.snapshot = NULL;
    rewrite(none);
    here.reader = open_reader(segment, UNTORN_READ_NO_CONTROL, &here.opened);
    here.pinning = open_reader(segment, 0, &pinned);
    here.pinned = here.stamp;
    if (pin)
        must_ok(untorn_snapshot_open(here.pinning, &pinned, 1, UNTORN_NEWEST, &here.snapshot));
    for (unsigned turn = 0; turn < TURNS; turn++)
        rewrite(none);
    if (full)
        take_all_that_is_free();
}

static void tear_down(const char *segment) {
    if (here.snapshot != NULL) {
        uint32_t values[MOST_CHUNKS * ELEMENTS];
        must_ok(untorn_snapshot_read(here.snapshot, 0, NULL, NULL, values, sizeof values));
        must_be_whole(values, here.pinned);
        untorn_snapshot_close(here.snapshot);
    }
    untorn_reader_close(here.pinning);
    untorn_reader_close(here.reader);
    untorn_writer_close(here.writer);
    must_ok(untorn_segment_remove(segment));
}

// In any one step of a read, all steps one after another.
static void in_any_step(unsigned (*way)(const uint64_t *), unsigned chunks, int pin, int full) {
    const char *segment = test_segment("reuse");
    unsigned told = 0;
    reuse = way;
    here.chunks = chunks;
    stopped_in[0] = 'x';
    for (at = 0; stopped_in[0] != '\0'; at++) {
        set_up(segment, pin, full);
        uint64_t gone = read_all(); // so that the handle knows the generation that is to go
        must(gone == here.stamp, "it read %llu", (unsigned long long)gone);
        at_count = 0;
        stopped_in[0] = '\0';
        ut_step_hook = reuse_in_step;
        uint64_t got = read_all();
        ut_step_hook = NULL;
        told += got != gone;
        // What was copied, or is next, is gone.
        must(got != gone || strncmp(stopped_in, "tile ", 5) != 0, "not told in %s", stopped_in);
        tear_down(segment);
    }
    must(told > 0, "no read was told in %u steps", at);
}

static void the_oldest_is_reused(void) {
    in_any_step(reuse_own, 1, 0, 0);
    in_any_step(reuse_own, MOST_CHUNKS, 0, 0);
}

static void the_oldest_is_reused_beside_a_pin(void) {
    in_any_step(reuse_own, 1, 1, 0);
    in_any_step(reuse_own, MOST_CHUNKS, 1, 0);
}

static void a_text_takes_its_place(void) {
    in_any_step(reuse_as_text, 1, 0, 0);
    in_any_step(reuse_as_text, MOST_CHUNKS, 0, 0);
}

static void another_array_reclaims_it(void) {
    in_any_step(reuse_by_another, 1, 0, 1);
    in_any_step(reuse_by_another, MOST_CHUNKS, 0, 1);
}

static const struct test_seeded table[] = {
    {106, the_oldest_is_reused},
    {106, the_oldest_is_reused_beside_a_pin},
    {107, the_oldest_is_reused_beside_a_pin},
    {106, a_text_takes_its_place},
    {106, another_array_reclaims_it},
};
#define ENTRIES (sizeof table / sizeof table[0])

static void scenarios_pass_without_mistakes(void **state) {
    (void)state;
    test_scenarios_pass(table, ENTRIES);
}

static void every_mistake_is_noticed(void **state) {
    (void)state;
    test_mistakes_are_noticed(table, ENTRIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenarios_pass_without_mistakes),
        cmocka_unit_test(every_mistake_is_noticed),
    };
    return cmocka_run_group_tests_name("ways to reuse", tests, NULL, NULL);
}
