// SPDX-License-Identifier: MIT
/*
 * Death at every step of an eviction, of a commit that needs evictions, and of bringing chunks in.
 *
 * A copy of the segment's files between two steps is what a kill there leaves (support/books.h).  A
 * step is a UT_STEP or a place that takes space.  The next writer opens the copy with the same
 * store: no commit is lost, its books add up, what is read is what was there before the operation
 * or after it, and it can go on.  Within one world (support/schedule.h) a reader with a pinned
 * snapshot lives through every death.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"
#include "../support/schedule.h"
#include "base/test_hooks.h"
#include "store/durable.h"

/* ---- one reader, many writers' deaths ---- */

static const struct setting roomy = {2, 4u << 20, 3};

static void read_everything(void) {
    for (size_t o = 0; o < world_operation_count; o++)
        world_operations[o].run(&the_reader);
}

// Every script in every step; a snapshot that was pinned before it stays what it is.
static void P5_death_in_every_step_of_the_scripts(void **state) {
    (void)state;
    unsigned deaths = 0, stride = (unsigned)(200 / test_count(100));
    for (size_t s = 0; s < world_cache_script_count; s++) {
        const struct world_named_script *one = &world_cache_scripts[s];
        if (one->n > 2 || strstr(one->name, "die") != NULL || strstr(one->name, "adopt") != NULL)
            continue;
        world_spare = 4 + (unsigned)(test_seed() + s) % 4;
        set_up(&roomy);
        for (unsigned n = 1 + (unsigned)(test_seed() % stride);; n += stride) {
            snprintf(world_context, sizeof world_context, "%s, death %u", one->name, n);
            untorn_snapshot *snapshot = NULL;
            must_ok(untorn_snapshot_open(the_reader.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
            world_check_snapshot(&the_reader, snapshot);
            ut_step_hook = world_step;
            int died = world_die_at(&the_world, n, one->run, one->n);
            ut_step_hook = NULL;
            books_must_add_up(the_world.writer, the_world.ballast, world_context);
            read_everything();
            must_ok(untorn_snapshot_check(snapshot));
            world_check_snapshot(&the_reader, snapshot);
            untorn_snapshot_close(snapshot);
            world_evict(&the_world);
            read_everything();
            world_rewrite(&the_world, W_MULTI);
            world_commit(&the_world);
            books_must_add_up(the_world.writer, the_world.ballast, world_context);
            if (!died)
                break;
            deaths++;
        }
        tear_down();
    }
    print_message("%u deaths\n", deaths);
}

/* ---- a commit that finds no space without evicting ---- */

#define CHUNKS 64
#define CHUNK 1024 // u4 in a page

static struct cache cache;
static uint64_t step, die_at, ballast;
static const char *grave;

static void copy_at(const char *name) {
    (void)name;
    if (step++ == die_at)
        books_copy_segment(cache.segment, grave);
}

// Of the step in which it would die, before it begins: nothing is open then.
static void begin_to_count(uint64_t at) {
    step = 0;
    die_at = at;
    grave = test_segment("grave");
    ut_step_hook = copy_at;
}

static uint32_t stamp[CHUNKS];
static uint32_t *page_of(uint32_t value) {
    static uint32_t page[CHUNK];
    for (int i = 0; i < CHUNK; i++)
        page[i] = value;
    return page;
}

static void write_chunk(untorn_writer_array *array, uint64_t chunk, uint32_t value) {
    uint64_t start = chunk * CHUNK, count = CHUNK;
    must_ok(untorn_write(array, &start, &count, NULL, page_of(value)));
}

// Each chunk has one of the two values throughout, and all have their first or all their second.
static void must_hold(const char *segment, const uint32_t *before, const uint32_t *after) {
    untorn_reader *reader;
    untorn_array *array;
    static uint32_t got[CHUNKS * CHUNK];
    int old = 1, new = 1;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    must_ok(untorn_read(array, NULL, NULL, got, sizeof got, NULL));
    for (uint64_t i = 0; i < CHUNKS * CHUNK; i++) {
        old &= got[i] == before[i / CHUNK];
        new &= got[i] == after[i / CHUNK];
    }
    must(old || new, "torn, or lost");
    untorn_reader_close(reader);
}

static void open_the_grave(const uint32_t *before, const uint32_t *after) {
    untorn_writer *next;
    untorn_writer_array *array;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    ut_store_relaxed(&cache.writer->changed, 0); // a kill flushes nothing
    untorn_writer_close(cache.writer);
    must_hold(grave, before, after); // before anybody took over
    must_ok(untorn_writer_open(grave, &options, &next));
    books_must_add_up(next, 0, "taken over");
    must_hold(grave, before, after);
    must_ok(untorn_writer_array_open(next, "a", &array));
    write_chunk(array, 5, 55);
    must_ok(untorn_commit(next, NULL));
    must_ok(untorn_warm(next, NULL, NULL));
    books_must_add_up(next, 0, "going on");
    cache_evict(next);
    books_must_add_up(next, 0, "evicting");
    must_ok(untorn_flush(next, NULL));
    cache_evict(next);
    untorn_reader *reader;
    untorn_array *read;
    uint32_t got;
    uint64_t start = 5 * CHUNK, one = 1;
    must_ok(untorn_reader_open(grave, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &read));
    must_ok(untorn_read(read, &start, &one, &got, sizeof got, NULL));
    must(got == 55, "%u", got);
    untorn_reader_close(reader);
    untorn_writer_close(next);
    must_ok(untorn_segment_remove(grave));
}

static untorn_writer_array *fill(const char *what) {
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    cache_begin(&cache, what, 1u << 20);
    untorn_writer_array *array = cache_define(&cache, "a", 1, &shape, &chunk, 0);
    for (uint32_t i = 0; i < CHUNKS; i++)
        write_chunk(array, i, stamp[i] = 100 + i);
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    return array;
}

static void end(void) {
    cache.writer = NULL;
    untorn_reader_close(cache.reader);
    must_ok(untorn_segment_remove(cache.segment));
}

// Take all there is but some pages.
static uint64_t leave_pages(unsigned pages) {
    ut_publisher *publisher = &cache.writer->publisher;
    uint64_t taken = 0, offset, kept[8];
    for (; (offset = ut_space_take_free(publisher, UT_PAGE)) != 0; taken++)
        kept[taken % 8] = offset;
    for (; pages > 0; pages--)
        ut_space_give(publisher, kept[--taken % 8], UT_PAGE);
    return taken * UT_PAGE;
}

// Chunks of a transaction evict those of the last commit, of the same array and of another.
static void P5_death_in_a_commit_that_evicts(void **state) {
    (void)state;
    uint64_t steps = UINT64_MAX, evictions = 0, stride = 100 / test_count(100);
    for (uint64_t at = 0; at < steps; at += stride) {
        uint32_t after[CHUNKS];
        untorn_writer_array *array = fill("tight");
        ballast = leave_pages(5);
        memcpy(after, stamp, sizeof after);
        begin_to_count(at);
        uint64_t commit = untorn_writer_commit(cache.writer);
        for (uint32_t i = 0; i < CHUNKS / 2; i++)
            write_chunk(array, i * 2, after[i * 2] = 200 + i);
        must_ok(untorn_commit(cache.writer, NULL));
        ut_step_hook = NULL;
        evictions += untorn_writer_commit(cache.writer) - commit - 1;
        books_must_add_up(cache.writer, ballast, "after all");
        must_hold(cache.segment, after, after);
        steps = step;
        if (at < steps)
            open_the_grave(stamp, after);
        else
            untorn_writer_close(cache.writer);
        end();
    }
    must(evictions > 0, "nothing was evicted");
    print_message("%llu steps, %llu evictions\n", (unsigned long long)steps,
                  (unsigned long long)evictions);
}

static void P5_death_while_chunks_are_brought_in(void **state) {
    (void)state;
    uint64_t steps = UINT64_MAX;
    for (uint64_t at = 0; at < steps; at++) {
        fill("warm");
        cache_evict(cache.writer);
        begin_to_count(at);
        must_ok(untorn_warm(cache.writer, NULL, NULL));
        ut_step_hook = NULL;
        steps = step;
        if (at < steps)
            open_the_grave(stamp, stamp);
        else
            untorn_writer_close(cache.writer);
        end();
    }
    print_message("%llu steps\n", (unsigned long long)steps);
}

/* ---- the store is not there when the next writer comes ---- */

static void P5_the_next_writer_finds_no_store(void **state) {
    (void)state;
    char aside[600];
    fill("nostore");
    cache_evict(cache.writer);
    untorn_writer_close(cache.writer);
    snprintf(aside, sizeof aside, "%s-aside", cache.store);
    must(rename(cache.store, aside) == 0, "rename");
    must_say(UNTORN_E_FOREIGN_STORE, cache.store,
             untorn_writer_open(cache.segment, NULL, &cache.writer));
    must_ok(ut_durable_remove_tree("test", cache.store));
    must(rename(aside, cache.store) == 0, "rename back");
    must_ok(untorn_writer_open(cache.segment, NULL, &cache.writer));
    books_must_add_up(cache.writer, 0, "the store is back");
    must_hold(cache.segment, stamp, stamp);
    untorn_writer_close(cache.writer);
    end();
}

/* ---- space that runs out at each take ---- */

static void commit_again_and_again_without_space(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        uint32_t after[CHUNKS];
        untorn_writer_array *array = fill("take");
        memcpy(after, stamp, sizeof after);
        for (uint32_t i = 0; i < CHUNKS; i += 3)
            write_chunk(array, i, after[i] = 300 + i);
        ut_fail_take = n;
        ut_object *objects[] = {array->object};
        untorn_status status = ut_publish(&cache.writer->publisher, objects, 1);
        ut_fail_take = -1;
        if (status == UNTORN_OK) { // there are only so many takes in a commit
            must(n > 0, "nothing was taken");
            cache.writer->touched = NULL;
            untorn_writer_close(cache.writer);
            end();
            break;
        }
        must_be(UNTORN_E_NO_SPACE, status);
        books_must_add_up(cache.writer, 0, "the commit failed");
        must_hold(cache.segment, stamp, stamp);
        must(ut_space_relieve(&cache.writer->publisher, 64 << 10), "relief: %s", untorn_message());
        books_must_add_up(cache.writer, 0, "evicted");
        must_hold(cache.segment, stamp, stamp);
        must_ok(untorn_commit(cache.writer, NULL));
        books_must_add_up(cache.writer, 0, "committed");
        must_hold(cache.segment, after, after);
        cache_flush_and_evict(&cache);
        must_hold(cache.segment, after, after);
        untorn_writer_close(cache.writer);
        end();
    }
}

// An eviction that finds no space for its nodes changes nothing.
static void an_eviction_without_space(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        fill("evict");
        const ut_relief *relief = cache.writer->publisher.relief;
        ut_fail_take = n;
        bool evicted = relief->evict(relief->context, 1u << 20);
        int failed = ut_fail_take == 0;
        ut_fail_take = -1;
        must(evicted || failed, "not evicted");
        books_must_add_up(cache.writer, 0, "an eviction failed");
        must_hold(cache.segment, stamp, stamp);
        cache_evict(cache.writer);
        books_must_add_up(cache.writer, 0, "the next");
        must(cache_resident(cache.writer, "a") == 0, "resident");
        must_hold(cache.segment, stamp, stamp);
        untorn_writer_close(cache.writer);
        end();
        if (!failed)
            break;
    }
}

// A life that is cut short in the middle of an eviction loses what it had on its stack, which is no
// leak of a program.
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commit_again_and_again_without_space),
        cmocka_unit_test(an_eviction_without_space),
        cmocka_unit_test(P5_death_while_chunks_are_brought_in),
        cmocka_unit_test(P5_the_next_writer_finds_no_store),
        cmocka_unit_test(P5_death_in_a_commit_that_evicts),
        cmocka_unit_test(P5_death_in_every_step_of_the_scripts),
    };
    world_store = 1;
    return cmocka_run_group_tests_name("eviction and death", tests, NULL, NULL);
}
