// SPDX-License-Identifier: MIT
/*
 * What a handle knows of its array from an earlier read, and what groups and snapshots may take
 * from that: only what is as of their commit, and no byte without its check.  Mistakes on purpose,
 * as in test_seeded_bugs.c:
 *
 *   341   a group takes the chunk that a handle knows, whatever came since P2 11
 *   342   chunks that handles know are copied for a group and not checked P1
 *   343   a snapshot's reads of single chunks are not checked             P1
 *   344   a snapshot takes what a handle knows as of its commit           P2 11
 */
#include <string.h>

#include "../support/must.h"
#include "../support/schedule.h"
#include "../support/seeded.h"
#include "base/test_hooks.h"

static const struct setting roomy = {4, 8u << 20, 0}, narrow = {2, 512u << 10, 1};

static uint64_t at_count, at;

static void groups_of_singles(void) {
    try_all("read singles", "rewrite single, rewrite all", &roomy);
    try_all("read singles", "rewrite single, rewrite all", &narrow);
}

static void reuse_in_step(const char *step) {
    world_step(step);
    if (at_count++ != at)
        return;
    ut_step_hook = NULL;
    world_churn(&the_world, 300);
}

// Between any two steps of a group read, all that it found is reused.
static void groups_of_singles_are_reused(void) {
    size_t read_singles = 0;
    while (strcmp(world_operations[read_singles].name, "read singles") != 0)
        read_singles++;
    set_up(&narrow);
    for (at = 0; at < 30; at++) {
        world_operations[read_singles].run(&the_reader);
        at_count = 0;
        ut_step_hook = reuse_in_step;
        world_operations[read_singles].run(&the_reader);
        ut_step_hook = NULL;
    }
    tear_down();
}

// A snapshot without a pin ends when its window does, and its reads say so.
static void a_snapshot_without_a_pin(void) {
    struct world_reader without;
    set_up(&narrow);
    world_reader_begin(&without, &the_world, UNTORN_READ_NO_CONTROL, 0);
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_snapshot_open(without.reader, &without.array[W_SINGLE], 1, UNTORN_NEWEST,
                                 &snapshot));
    world_check_snapshot(&without, snapshot);
    world_churn(&the_world, 300);
    uint32_t values[WORLD_LENGTH];
    must_be(UNTORN_E_OVERTAKEN,
            untorn_snapshot_read(snapshot, 0, NULL, NULL, values, sizeof values));
    untorn_snapshot_close(snapshot);
    world_reader_end(&without);
    tear_down();
}

// The handles that a snapshot is opened with know an older or a newer generation than it is of,
// and are closed before it is.
static void a_snapshot_of_known_arrays(void) {
    set_up(&roomy);
    for (int newer = 0; newer < 2; newer++)
        for (int commits = 0; commits < 3; commits++) {
            struct world_reader other;
            world_reader_begin(&other, &the_world, 0, 0);
            untorn_array *arrays[] = {other.array[W_SINGLE], other.array[W_MULTI]};
            untorn_snapshot *snapshot = NULL;
            uint32_t values[WORLD_LENGTH];
            uint64_t wanted = UNTORN_NEWEST;
            if (newer) {
                wanted = untorn_writer_commit(the_world.writer);
                world_churn(&the_world, (unsigned)commits);
            }
            for (int i = 0; i < 2; i++)
                must_ok(untorn_read(arrays[i], NULL, NULL, values, sizeof values, NULL));
            if (!newer)
                world_churn(&the_world, (unsigned)commits);
            must_ok(untorn_snapshot_open(other.reader, arrays, 2, wanted, &snapshot));
            must(!newer || untorn_snapshot_commit(snapshot) == wanted, "another commit");
            for (int i = 0; i < 2; i++)
                untorn_array_close(arrays[i]);
            world_check_snapshot(&other, snapshot);
            world_churn(&the_world, 300);
            world_check_snapshot(&other, snapshot);
            untorn_snapshot_close(snapshot);
            world_reader_end(&other);
        }
    tear_down();
}

static const struct test_seeded table[] = {
    {138, groups_of_singles},
    {341, groups_of_singles},
    {342, groups_of_singles_are_reused},
    {343, a_snapshot_without_a_pin},
    {344, a_snapshot_of_known_arrays},
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
    return cmocka_run_group_tests_name("known handles", tests, NULL, NULL);
}
