// SPDX-License-Identifier: MIT
/*
 * Mistakes on purpose in evicting, bringing in and reading through, as in
 * tests/protocol/test_seeded_bugs.c: each is switched on by its number in a child process, and a
 * scenario must notice it; the same scenario must pass without it.
 *
 *   seed  what is broken
 *   301   an eviction reuses slots without raising the window
 *   302   a chunk goes to which the open transaction appended in place
 *   303   a dirty chunk goes
 *   304   an eviction changes the data commit
 *   305   a subtree is given up for one cell while the store has what was cut off from it
 *   306   ... by whose version older snapshots will do, which still have that
 *   307   read-through takes a record of another version
 *   308   ... of a smaller extent
 *   309   ... of a manifest that is newer than the data commit
 *   310   a chunk comes in unsealed
 *   311   the slot of an evicted chunk is reused although a pin needs it
 *   312   a store snapshot goes that a pin needs which was asked for, but is not granted yet
 *   313   a pin is granted on a commit that needs store snapshots which are gone
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/seeded.h"
#include "../support/schedule.h"
#include "base/clock.h"
#include "base/test_hooks.h"
#include "store/read_through.h"
#include "store/writer_store.h"

static const struct setting roomy = {2, 4u << 20, 3}, // and one that reuses what is evicted:
    narrow = {2, 1u << 20, 3};

/* ---- scenarios in the world of schedules ---- */

static void evict_and_reuse(struct world *w, unsigned n) {
    world_flush(w);
    world_evict(w);
    while (n-- > 0) {
        for (enum world_array a = 0; a < W_ARRAYS; a++)
            world_rewrite(w, a);
        world_commit(w);
    }
}

static void slots_are_reused_under_a_reader(void) {
    static const struct world_named_script reuse = {"evict and reuse", evict_and_reuse, 3};
    world_spare = 1;
    for (size_t o = 0; o < world_operation_count; o++) {
        if (strncmp(world_operations[o].name, "read", 4) != 0)
            continue;
        operation = &world_operations[o];
        script = &reuse;
        set_up(&narrow);
        for (uint64_t k = 0; k < 40 && writer_in_steps(k, UINT64_MAX); k++)
            continue;
        tear_down();
    }
}

static void read_all(void) {
    for (size_t o = 0; o < world_operation_count; o++)
        world_operations[o].run(&the_reader);
}

static void what_is_in_use_stays(void) {
    set_up(&roomy);
    for (unsigned i = 0; i < 3; i++) {
        world_flush(&the_world);
        world_append(&the_world, W_EDGE, 7); // in place
        world_append(&the_world, W_GROW, 5);
        world_evict(&the_world);
        world_commit(&the_world);
        read_all();
    }
    tear_down();
}

static void what_is_dirty_stays(void) {
    set_up(&roomy);
    for (unsigned i = 0; i < 3; i++) {
        world_flush(&the_world);
        world_write(&the_world, W_MULTI, 12, 9);
        world_append(&the_world, W_EDGE, 7);
        world_commit(&the_world);
        world_evict(&the_world);
        read_all();
    }
    tear_down();
}

static void an_open_manifest_shows_less(void) {
    set_up(&roomy);
    for (unsigned i = 0; i < 4; i++) {
        world_flush(&the_world);
        if (i % 2) // brought in, it would be sealed
            world_evict(&the_world);
        read_all();
        world_append(&the_world, W_EDGE, 7);
        world_commit(&the_world);
    }
    // In place: version and slot as they were, but more is visible.
    world_rewrite(&the_world, W_EDGE);
    world_commit(&the_world);
    for (unsigned i = 0; i < 3; i++) {
        world_flush(&the_world);
        untorn_snapshot *snapshot;
        must_ok(untorn_snapshot_open(the_reader.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
        untorn_snapshot_close(snapshot);
        world_append(&the_world, W_EDGE, 7);
        world_commit(&the_world);
    }
    tear_down();
}

static untorn_snapshot *pinned;

static void pin_as_it_begins(const char *step) {
    if (strcmp(step, "eviction begins") != 0 || pinned != NULL)
        return;
    ut_step_hook = NULL;
    must_ok(untorn_snapshot_open(the_reader.reader, NULL, 0, UNTORN_NEWEST, &pinned));
}

static void a_pin_comes_while_chunks_are_chosen(void) {
    world_spare = 1;
    set_up(&narrow);
    world_flush(&the_world);
    ut_step_hook = pin_as_it_begins;
    world_evict(&the_world);
    must(pinned != NULL, "there was no eviction");
    for (unsigned i = 0; i < 4; i++) {
        for (enum world_array a = 0; a < W_ARRAYS; a++)
            world_rewrite(&the_world, a);
        world_commit(&the_world);
        must_ok(untorn_snapshot_check(pinned));
        world_check_snapshot(&the_reader, pinned);
    }
    untorn_snapshot_close(pinned);
    tear_down();
}

/* ---- others ---- */

static struct cache cache;

#define LENGTH (64 * 16)
static untorn_writer_array *begin(void) {
    uint64_t shape = LENGTH, chunk = 16;
    static uint32_t values[LENGTH];
    cache_begin(&cache, "seed", 4u << 20);
    untorn_writer_array *array = cache_define(&cache, "a", 1, &shape, &chunk, 7);
    for (uint32_t i = 0; i < LENGTH; i++)
        values[i] = 100 + i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    return array;
}

static unsigned stored_arrays(void) {
    char path[600];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/arrays", cache.store);
    DIR *listing = opendir(path);
    must(listing != NULL, "%s", path);
    while (readdir(listing) != NULL)
        count++;
    closedir(listing);
    return count;
}

// Followers and flusher have nothing to do for it: the array is linked whole.
static void an_eviction_changes_no_data(void) {
    untorn_writer_array *array = begin();
    must_ok(untorn_flush(cache.writer, NULL));
    uint64_t data = array->object->now.data_commit, changed = array->object->now.changed;
    unsigned count = stored_arrays();
    must(cache_evict(cache.writer) > 0, "an eviction");
    must(array->object->now.data_commit == data && array->object->now.changed == changed, "data");
    must_ok(untorn_set_group_attributes(cache.writer, "g", "{}"));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    must(stored_arrays() == count, "written anew");
    cache_end(&cache);
}

static void take_nothing(void *context, size_t i, const void *memory) {
    (void)context;
    (void)i;
    (void)memory;
}

static untorn_status fetch(const untorn_writer_array *array, uint64_t version, uint64_t extent,
                           uint64_t data_commit) {
    ut_read_through *rt;
    ut_wanted wanted = {.definition = array->definition,
                        .data_commit = data_commit,
                        .index = {3},
                        .extent = {extent},
                        .place = {UT_REF_EVICTED, version}};
    must_ok(ut_read_through_open(cache.store, 0, 1, &rt));
    untorn_status status = ut_read_through_fetch(rt, &wanted, 1, take_nothing, NULL);
    ut_read_through_close(rt);
    return status;
}

// Only the very version, to the extent that is wanted.
static void only_what_was_meant(void) {
    untorn_writer_array *array = begin();
    uint64_t old = array->object->now.data_commit, one = 16, three = 48;
    uint32_t values[16] = {0};
    must_ok(untorn_write(array, &three, &one, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    uint64_t data = array->object->now.data_commit;
    must_ok(fetch(array, data, 16, data));
    must_ok(fetch(array, data, 16, data + 1));
    must_be(UNTORN_E_OVERTAKEN, fetch(array, old, 16, data));
    must_be(UNTORN_E_OVERTAKEN, fetch(array, data, 17, data));
    must_be(UNTORN_E_OVERTAKEN, fetch(array, old, 16, old));
    must_be(UNTORN_E_OVERTAKEN, fetch(array, data + 1, 16, data + 1));
    cache_end(&cache);
}

// What a subtree's cell stands for, as of the pin's commit, is not what the newest snapshot has.
static void a_pinned_subtree_is_of_its_time(void) {
    untorn_writer_array *array = begin();
    untorn_snapshot *snapshot;
    uint64_t less = 16 * 16, all = LENGTH;
    static uint32_t got[LENGTH];
    must_ok(untorn_flush(cache.writer, NULL));
    cache_evict(cache.writer);
    must_ok(untorn_snapshot_open(cache.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    must_ok(untorn_resize(array, &less));
    must_ok(untorn_resize(array, &all));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    must_ok(untorn_snapshot_read(snapshot, 0, NULL, NULL, got, sizeof got));
    for (uint32_t i = 0; i < LENGTH; i++)
        must(got[i] == 100 + i, "%u: %u", i, got[i]);
    untorn_snapshot_close(snapshot);
    cache_end(&cache);
}

static uint64_t version_of(const untorn_writer_array *array, uint64_t number) {
    ut_place place;
    must_ok(ut_table_get(&cache.writer->publisher, array->object, number, &place));
    return place.version;
}

// A version never has two contents: appending to what came in makes another one.
static void what_comes_in_is_sealed(void) {
    untorn_writer_array *array = begin();
    uint64_t cut = 63 * 16 + 5;
    uint32_t values[4] = {1, 2, 3, 4};
    must_ok(untorn_resize(array, &cut));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    cache_evict(cache.writer);
    must_ok(untorn_warm(cache.writer, NULL, NULL));
    must(cache_resident(cache.writer, "a") == 64, "warm");
    uint64_t version = version_of(array, 63);
    must_ok(untorn_append(array, 0, 4, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    must(version_of(array, 63) != version, "appended in place");
    cache_end(&cache);
}

// A subtree's cell stands for what is absent, too: not for what was cut off, as long as the store
// has it still, nor by a manifest that is open from before.
static void what_was_cut_off_is_gone(int flushed_first) {
    untorn_writer_array *array = begin();
    untorn_array *reader;
    uint64_t less = 16 * 16, all = LENGTH, one = 1, last = LENGTH - 1;
    static uint32_t got[LENGTH];
    const uint64_t chunk = 63;
    uint32_t value = 100;
    untorn_writer_close(cache.writer);
    cache.options.keep_snapshots = 8; // what is open is there, too
    cache_open(&cache);
    must_ok(untorn_writer_array_open(cache.writer, "a", &array));
    must_ok(untorn_write(array, NULL, &one, NULL, &value)); // the highest version is another's
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    must_ok(untorn_array_open(cache.reader, "a", &reader));
    if (flushed_first) {
        must_ok(ut_evict(&cache.writer->publisher, array->object, &chunk, 1));
        must_ok(untorn_read(reader, &last, &one, &value, sizeof value, NULL)); // opens it
    }
    must_ok(untorn_resize(array, &less));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_resize(array, &all));
    must_ok(untorn_commit(cache.writer, NULL));
    if (flushed_first)
        must_ok(untorn_flush(cache.writer, NULL));
    cache_evict(cache.writer);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    must_ok(untorn_read(reader, NULL, NULL, got, sizeof got, NULL));
    for (uint32_t i = 0; i < LENGTH; i++)
        must(got[i] == (i < less ? 100 + i : 7), "%u: %u", i, got[i]);
    cache_end(&cache);
}

static void the_store_has_what_was_cut_off(void) {
    what_was_cut_off_is_gone(0);
}

static void an_open_manifest_has_what_was_cut_off(void) {
    what_was_cut_off_is_gone(1);
}

/* ---- pins that come while the flusher looks what is pinned ---- */

static untorn_snapshot *late;
static _Thread_local int on_stage; // not so the flusher, which has steps of its own

static size_t stored_snapshots(void) {
    untorn_store_listing *listing;
    must_ok(untorn_store_list(cache.store, &listing));
    size_t count = listing->count;
    untorn_store_listing_free(listing);
    return count;
}

// Whichever flush is the first with this commit deletes the snapshot before.
static void commit_stamp(untorn_writer_array *array, uint32_t stamp) {
    static uint32_t values[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++)
        values[i] = stamp * 100000 + i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
}

static void must_have_stamp(untorn_snapshot *snapshot, uint32_t stamp) {
    static uint32_t got[LENGTH];
    must_ok(untorn_snapshot_check(snapshot));
    must_ok(untorn_snapshot_read(snapshot, 0, NULL, NULL, got, sizeof got));
    for (uint32_t i = 0; i < LENGTH; i++)
        must(got[i] == stamp * 100000 + i, "stamp %u, element %u: %u", stamp, i, got[i]);
}

// A flush is answered before it deletes what need not stay.
static void flush_and_delete(void) {
    const ut_writer_store *attached = cache.writer->store;
    must_ok(untorn_flush(cache.writer, NULL));
    must(ut_flusher_hold(attached->flusher, ut_clock_monotonic() + INT64_C(1000000000) * TEST_HUNG),
         "the flush does not end");
    ut_flusher_release(attached->flusher);
}

static untorn_writer_array *stamped;

// Until one snapshot is left.  A pin whose end the writer has not seen yet, the flusher's own, too,
// keeps one more: a few commits, and it looks.
static void move_on_to(uint32_t stamp) {
    for (int i = 0; i == 0 || (stored_snapshots() > 1 && i < 20); i++) {
        commit_stamp(stamped, stamp);
        flush_and_delete();
    }
    must(stored_snapshots() == 1, "%zu snapshots", stored_snapshots());
}

static void begin_evicted(void) {
    stamped = begin();
    commit_stamp(stamped, 1);
    flush_and_delete();
    cache_evict(cache.writer);
    must(cache_resident(cache.writer, "a") == 0 && stored_snapshots() == 1, "evicted");
    on_stage = 1;
}

static untorn_snapshot *take_newest(void) {
    untorn_snapshot *snapshot;
    must_ok(untorn_snapshot_open(cache.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    return snapshot;
}

static void take_within_a_commit(const char *step) {
    if (!on_stage || strcmp(step, "record filled") != 0)
        return;
    ut_step_hook = NULL;
    late = take_newest();
}

// Requested while the writer, which has looked for requests, is in the middle of a commit: it does
// not grant the pin before its next one, and by then the flush of this one is over.
static void a_request_is_as_good_as_a_pin(void) {
    begin_evicted();
    ut_step_hook = take_within_a_commit;
    commit_stamp(stamped, 2);
    must(late != NULL && ut_step_hook == NULL, "taken");
    flush_and_delete();
    must_have_stamp(late, 1);
    commit_stamp(stamped, 3);
    flush_and_delete();
    must_have_stamp(late, 1);
    untorn_snapshot_close(late);
    move_on_to(4);
    cache_end(&cache);
}

static void move_on(const char *step) {
    static int moved;
    if (!on_stage)
        return;
    if (strcmp(step, "snapshot begins") == 0 && !moved) {
        moved = 1;
        on_stage = 0;
        move_on_to(2);
        on_stage = 1;
    } else if (strcmp(step, "answer awaited") == 0) {
        ut_step_hook = NULL;
        must_ok(untorn_set_group_attributes(cache.writer, "g", "{}"));
        must_ok(untorn_commit(cache.writer, NULL)); // grants what is requested
    }
}

// The other way round: it comes too late, for a commit of which memory has all that it ever had,
// and the store has not any more.
static void a_pin_is_not_granted_on_what_the_store_has_lost(void) {
    begin_evicted();
    ut_step_hook = move_on;
    untorn_snapshot *snapshot = take_newest();
    must(ut_step_hook == NULL, "answered");
    must_have_stamp(snapshot, 2);
    untorn_snapshot_close(snapshot);
    cache_end(&cache);
}

/* ---- the table ---- */

static const struct test_seeded table[] = {
    {301, slots_are_reused_under_a_reader},
    {302, what_is_in_use_stays},
    {303, what_is_dirty_stays},
    {304, an_eviction_changes_no_data},
    {305, the_store_has_what_was_cut_off},
    {306, an_open_manifest_has_what_was_cut_off},
    {307, only_what_was_meant},
    {308, only_what_was_meant},
    {309, a_pinned_subtree_is_of_its_time},
    {310, what_comes_in_is_sealed},
    {311, a_pin_comes_while_chunks_are_chosen},
    {312, a_request_is_as_good_as_a_pin},
    {313, a_pin_is_not_granted_on_what_the_store_has_lost},
    {0, an_open_manifest_shows_less},
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
    world_store = 1;
    return cmocka_run_group_tests_name("seeded bugs of eviction", tests, NULL, NULL);
}
