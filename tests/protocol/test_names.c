// SPDX-License-Identifier: MIT
/*
 * Names in a segment: whatever was defined and deleted, in whatever transactions, a name leads to
 * its array exactly if there is one.  The buckets that names are found by change with
 * the definitions: by commits, aborts, for lack of space, over deaths at any step,
 * and under readers that look names up meanwhile.
 *
 * Known mistakes (UT_SEEDED), each noticed by a scenario that passes without it:
 *
 *   331   what a look-up found is not checked to be of one generation
 *   332   a bucket is not split
 *   333   a deletion leaves the name in its bucket
 *   334   a bucket that readers reach is changed in place
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array/name_bucket.h"
#include "array/reader.h"
#include "array/writer.h"
#include "base/test_hooks.h"
#include "support/books.h"
#include "support/must.h"
#include "support/names.h"
#include "support/rng.h"
#include "support/scale.h"
#include "support/seeded.h"

#define NAMES 200u

/* --- a segment and what should be in it --- */

struct world {
    const char *segment;
    untorn_writer *writer;
    untorn_reader *reader;
    uint64_t commit;                    // the last
    char committed[NAMES], open[NAMES]; // whether the name exists
};

static struct world w;

static void name_of(unsigned i, char *name) {
    sprintf(name, "%s/name-%u", i % 3 == 0 ? "some" : "other", i);
}

static void set_up(const char *what, uint64_t size) {
    memset(&w, 0, sizeof w);
    w.segment = test_segment(what);
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = size;
    options.versions = 2;
    must_ok(untorn_writer_open(w.segment, &options, &w.writer));
    must_ok(untorn_reader_open(w.segment, NULL, &w.reader));
    w.commit = untorn_writer_commit(w.writer);
}

static void tear_down(void) {
    untorn_reader_close(w.reader);
    untorn_writer_close(w.writer);
    untorn_segment_remove(w.segment);
}

static untorn_status define(untorn_writer *writer, const char *name) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "i4";
    return untorn_define(writer, name, &definition, NULL);
}

static untorn_status change(unsigned i) {
    char name[64];
    name_of(i, name);
    untorn_status status = w.open[i] ? untorn_delete(w.writer, name) : define(w.writer, name);
    if (status == UNTORN_OK)
        w.open[i] = !w.open[i];
    return status;
}

static void commit(void) {
    must_ok(untorn_commit(w.writer, &w.commit));
    memcpy(w.committed, w.open, sizeof w.open);
}

static void check_name(untorn_reader *reader, const char *name, int there) {
    untorn_array *array = NULL;
    untorn_status status = untorn_array_open(reader, name, &array);
    must(status == (there ? UNTORN_OK : UNTORN_E_NO_ARRAY), "%s: status %d, %s: %s", name, status,
         there ? "there" : "not there", untorn_message());
    if (there) {
        untorn_array_info info;
        must_ok(untorn_array_get_info(array, &info));
        must(strcmp(info.name, name) == 0, "\"%s\" leads to \"%s\"", name, info.name);
        int32_t value = 1;
        must_ok(untorn_read(array, NULL, NULL, &value, sizeof value, NULL));
        untorn_array_close(array);
    }
}

static void check_names(untorn_reader *reader, const char *there) {
    char name[64];
    for (unsigned i = 0; i < NAMES; i++) {
        name_of(i, name);
        check_name(reader, name, there[i]);
    }
}

static void check_inspection(const char *segment, const char *part) {
    untorn_inspection *inspection;
    const char *const *names;
    size_t count;
    must_ok(untorn_inspect_open(segment, 0, &inspection));
    must_ok(untorn_inspect_catalogue(inspection, &names, &count));
    const char *problem = untorn_inspect_problem(inspection, 0);
    must((part != NULL) == (problem != NULL), "%s", problem != NULL ? problem : "no problem");
    must(part == NULL || strstr(problem, part) != NULL, "%s", problem);
    untorn_inspect_close(inspection);
}

// Adopted by another writer, all of `there` and nothing else has a name.
static void check_adopted(const char *segment, const char *there) {
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = UNTORN_ADOPT_ONLY;
    must_ok(untorn_writer_open(segment, &options, &writer));
    books_must_add_up(writer, 0, "adopted");
    must_ok(untorn_reader_open(segment, NULL, &reader));
    check_names(reader, there);
    must_ok(define(writer, "one/more"));
    must_ok(untorn_commit(writer, NULL));
    check_name(reader, "one/more", 1);
    check_names(reader, there);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
}

/* --- scenarios --- */

// Defining, deleting, both, and aborting, in transactions of all sizes.
static void any_changes(void) {
    set_up("names", 4u << 20);
    struct test_rng rng = {test_seed()};
    for (uint64_t round = 0; round < test_count_at_least(20, 200); round++) {
        unsigned changes = (unsigned)rng_below(&rng, rng_chance(&rng, 10) ? 2 * NAMES : 8);
        for (unsigned i = 0; i < changes; i++)
            must_ok(change((unsigned)rng_below(&rng, NAMES)));
        check_names(w.reader, w.committed);
        if (rng_chance(&rng, 30)) {
            untorn_abort(w.writer);
            memcpy(w.open, w.committed, sizeof w.open);
        } else {
            commit();
        }
        books_must_add_up(w.writer, 0, "changed");
        check_names(w.reader, w.committed);
        check_inspection(w.segment, NULL);
        if (round % 8 == 0) {
            const char *copy = test_segment("names-copy");
            books_copy_segment(w.segment, copy);
            check_adopted(copy, w.committed);
            untorn_segment_remove(copy);
        }
    }
    tear_down();
}

// Each place that takes space finds none once: what failed did not happen.
static void no_space_anywhere(void) {
    set_up("names-space", 4u << 20);
    struct test_rng rng = {test_seed()};
    unsigned failed = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        for (long k = 0;; k++) {
            ut_fail_take = k;
            untorn_status status = change(i);
            ut_fail_take = -1;
            if (status == UNTORN_OK)
                break;
            must(status == UNTORN_E_NO_SPACE, "%s", untorn_message());
            failed++;
            if (k % 2 == 0) {
                commit();
                check_names(w.reader, w.committed);
            }
        }
        if (rng_chance(&rng, 40))
            must_ok(change((unsigned)rng_below(&rng, i + 1)));
        if (rng_chance(&rng, 50))
            commit();
    }
    commit();
    check_names(w.reader, w.committed);
    must(failed > NAMES, "only %u failed", failed);
    books_must_add_up(w.writer, 0, "no space");
    check_inspection(w.segment, NULL);
    tear_down();
}

/* --- under a reader --- */

static unsigned busy, hooked;

// Two names go and come in each commit, among others, so that objects, cells and slots are all used
// again at once.
static void swap_names(void) {
    must_ok(untorn_delete(w.writer, "kept/a"));
    must_ok(define(w.writer, "kept/b"));
    must_ok(untorn_delete(w.writer, "always"));
    must_ok(define(w.writer, "always"));
    must_ok(change(busy++ % 40));
    commit();
    must_ok(untorn_delete(w.writer, "kept/b"));
    must_ok(untorn_delete(w.writer, "always"));
    must_ok(define(w.writer, "always"));
    must_ok(define(w.writer, "kept/a"));
    must_ok(change(busy++ % 40));
    commit();
}

static void swap_within(const char *step) {
    static int inside;
    if (inside || (strcmp(step, "bucket's cell read") != 0 && strcmp(step, "text begins") != 0 &&
                   strcmp(step, "text copied") != 0 && strcmp(step, "name looked up") != 0))
        return;
    inside = 1;
    if (hooked++ % 4 == busy / 2 % 4)
        for (int i = 0; i < 60; i++)
            swap_names();
    inside = 0;
}

// The name is there in every commit.
static void a_name_is_always_found(void) {
    set_up("names-busy", 512u << 10);
    busy = hooked = 0;
    must_ok(define(w.writer, "always"));
    must_ok(define(w.writer, "kept/a"));
    commit();
    for (uint64_t i = 0; i < test_count_at_least(20, 60); i++) {
        untorn_array *array;
        ut_step_hook = swap_within;
        must_ok(untorn_array_open(w.reader, "always", &array));
        ut_step_hook = NULL;
        must(array->header == ut_segment_header(w.reader->segment, array->index), "header");
        untorn_array_close(array);
    }
    check_names(w.reader, w.committed);
    tear_down();
}

/* --- deaths --- */

static uint64_t steps;

static void die_here(const char *step) {
    static int inside;
    if (inside)
        return;
    inside = 1;
    steps++;
    (void)step;
    void (*hook)(const char *) = ut_step_hook;
    ut_step_hook = NULL;
    const char *copy = test_segment("names-dead");
    books_copy_segment(w.segment, copy);
    untorn_reader *reader;
    must_ok(untorn_reader_open(copy, NULL, &reader));
    // All of the last commit or all of the next, before and after it is taken over.
    _Atomic uint64_t *last = &reader->segment->super->commit;
    check_names(reader, ut_load_acquire(last) == w.commit ? w.committed : w.open);
    untorn_writer *writer;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = UNTORN_ADOPT_ONLY;
    must_ok(untorn_writer_open(copy, &options, &writer));
    int after = ut_load_acquire(last) != w.commit;
    check_names(reader, after ? w.open : w.committed);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    check_adopted(copy, after ? w.open : w.committed);
    untorn_segment_remove(copy);
    ut_step_hook = hook;
    inside = 0;
}

static void deaths_while_defining(void) {
    set_up("names-deaths", 1u << 20);
    for (unsigned i = 0; i < 30; i++) {
        if (i >= 5 && i < 26) {
            must_ok(change(i));
            if (i % 2 == 0)
                continue;
            commit();
            continue;
        }
        ut_step_hook = die_here;
        must_ok(change(i));
        if (i % 4 == 3)
            must_ok(change(i - 1));
        commit();
        ut_step_hook = NULL;
    }
    must(steps > 20, "%llu steps", (unsigned long long)steps);
    tear_down();
}

/* --- damage --- */

// The text of the bucket that the name is in.
static ut_text *bucket_of(const char *name) {
    ut_segment *segment = &w.writer->segment;
    const ut_descriptor *now = &w.writer->catalogue.object->now;
    uint64_t number = ut_name_bucket(ut_name_hash(name), ut_catalogue_buckets(now->shape[0]));
    ut_table_cursor cursor = {0};
    ut_place place;
    must(ut_table_lookup(segment, now, number * UT_CATALOGUE_STRIDE, &cursor, &place) == UT_FOUND &&
             place.ref != 0,
         "no bucket");
    return (ut_text *)(segment->base + ut_ref_offset(place.ref));
}

static void damage(unsigned which, ut_text *text, const char *name) {
    ut_name_pair *pairs = (ut_name_pair *)(void *)(text + 1), *pair = pairs;
    size_t count = text->length / sizeof *pairs;
    while (pair->hash != ut_name_hash(name) || pair->object == 0)
        must(++pair < pairs + count, "no pair");
    switch (which) {
    case 0: // and its check is not
        pair->object++;
        return;
    case 1: // of no object
        pair->object = 1u << 30;
        break;
    case 2: // of the wrong one
        pair->object = pair->object > 1 ? pair->object - 1 : pair->object + 1;
        break;
    case 3: // of one that was never defined
        pair->object = (uint32_t)w.writer->catalogue.shape[0] - 1;
        break;
    case 4:
        *pair = (ut_name_pair){0, 0};
        break;
    case 5:
        pair->hash ^= 1;
        break;
    default:
        text->length = UINT64_MAX;
        return;
    }
    text->check = ut_hash(pairs, text->length);
}

// The tool that reads everything finds what is listed and cannot be opened.
static void check_verify(const char *segment, const char *name) {
    char command[512], line[512] = "";
    const char *build = getenv("BUILD");
    if (build == NULL) // run by hand
        return;
    snprintf(command, sizeof command, "'%s/untorn' verify %s 2>&1", build, segment);
    FILE *output = popen(command, "r");
    must(output != NULL, "%s", command);
    int found = 0;
    while (fgets(line, sizeof line, output) != NULL)
        found |= strstr(line, name) != NULL && strstr(line, "not found by its name") != NULL;
    int status = pclose(output);
    must(found && status != 0, "%s: status %d", command, status);
}

static void damaged_buckets(void **state) {
    (void)state;
    for (unsigned which = 0; which < 7; which++) {
        set_up("names-damage", 1u << 20);
        for (unsigned i = 0; i < 40; i++)
            must_ok(change(i));
        commit();
        must_ok(change(39)); // the last object has no definition
        commit();
        char name[64];
        name_of(20, name);
        damage(which, bucket_of(name), name);
        untorn_array *array;
        untorn_status status = untorn_array_open(w.reader, name, &array);
        must(status == UNTORN_E_CORRUPT ||
                 ((which == 2 || which == 4 || which == 5) && status == UNTORN_E_NO_ARRAY),
             "damage %u: status %d", which, status);
        check_inspection(w.segment, which == 0 || which == 1 || which == 6 ? "bucket" : "object");
        if (which == 4)
            check_verify(w.segment, name);
        const char *copy = test_segment("names-damaged");
        books_copy_segment(w.segment, copy);
        untorn_writer *writer;
        untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
        options.flags = UNTORN_ADOPT_ONLY;
        must_be(UNTORN_E_CORRUPT, untorn_writer_open(copy, &options, &writer));
        untorn_segment_remove(copy);
        tear_down();
    }
}

/* --- many --- */

static void many_arrays(void **state) {
    (void)state;
    set_up("names-many", 64u << 20);
    unsigned count = (unsigned)test_count_at_least(1000, 10000);
    char name[64];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "many/%u/array-%u", i % 10, i);
        must_ok(define(w.writer, name));
        if (i % 2 == 0 || i < count / 2)
            must_ok(untorn_commit(w.writer, NULL));
    }
    must_ok(untorn_commit(w.writer, NULL));
    unsigned longest = 0;
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "many/%u/array-%u", i % 10, i);
        check_name(w.reader, name, 1);
        size_t pairs = bucket_of(name)->length / sizeof(ut_name_pair);
        longest = pairs > longest ? (unsigned)pairs : longest;
        snprintf(name, sizeof name, "many/%u/other-%u", i % 10, i);
        check_name(w.reader, name, 0);
    }
    // Two times seven on average in the fullest: this is far above any that hashes come to.
    must(longest < 100, "a bucket of %u pairs", longest);
    must(w.reader->catalogue.count == 0, "all definitions were read");
    check_inspection(w.segment, NULL);
    tear_down();
}

/* --- groups --- */

static void check_group(const char *group, untorn_status expected, const char *attributes) {
    char *json = NULL;
    must_be(expected, untorn_group_attributes(w.reader, group, &json));
    if (expected == UNTORN_OK)
        must(strcmp(json, attributes) == 0, "%s", json);
    free(json);
}

static void groups_by_name(void **state) {
    (void)state;
    set_up("names-groups", 1u << 20);
    must_ok(define(w.writer, "a/b/c"));
    must_ok(untorn_set_group_attributes(w.writer, "a/b", "{\"x\": 1}"));
    must_ok(untorn_set_group_attributes(w.writer, "alone", "{\"x\": 2}"));
    commit();
    check_group("", UNTORN_OK, "{}");
    check_group("a", UNTORN_OK, "{}");
    check_group("a/b", UNTORN_OK, "{\"x\": 1}");
    check_group("alone", UNTORN_OK, "{\"x\": 2}");
    check_group("a/b/c", UNTORN_E_NO_ARRAY, NULL); // an array
    check_group("a/", UNTORN_E_NO_ARRAY, NULL);
    check_group("b", UNTORN_E_NO_ARRAY, NULL);
    check_name(w.reader, "alone", 0);
    must_ok(untorn_set_group_attributes(w.writer, "", "{\"x\": 3}"));
    commit();
    check_group("", UNTORN_OK, "{\"x\": 3}");
    tear_down();
}

/* --- threads --- */

static _Atomic int done;

static void *open_on(void *argument) {
    (void)argument;
    uint64_t opened = 0;
    while (!atomic_load(&done) || opened == 0) {
        untorn_array *array;
        must_ok(untorn_array_open(w.reader, "always", &array));
        untorn_array_close(array);
        opened++;
    }
    return NULL;
}

static void readers_beside_the_writer(void **state) {
    (void)state;
    set_up("names-threads", 4u << 20);
    must_ok(define(w.writer, "always"));
    must_ok(define(w.writer, "kept/a"));
    commit();
    pthread_t threads[2];
    atomic_store(&done, 0);
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, open_on, NULL) == 0, "thread");
    for (uint64_t i = 0; i < test_count_at_least(50, 3000); i++)
        swap_names();
    atomic_store(&done, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    tear_down();
}

/* --- the table --- */

static const struct test_seeded table[] = {
    {331, a_name_is_always_found},
    {332, any_changes},
    {333, any_changes},
    {334, any_changes},
    {0, no_space_anywhere},
    {0, deaths_while_defining},
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
        cmocka_unit_test(damaged_buckets),
        cmocka_unit_test(many_arrays),
        cmocka_unit_test(groups_by_name),
        cmocka_unit_test(readers_beside_the_writer),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
