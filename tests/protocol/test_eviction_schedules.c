// SPDX-License-Identifier: MIT
/*
 * Forced schedules with a store behind the segment: chunks leave memory and come back in any step
 * of a reader's operation, and readers run in any step of a writer that evicts.
 *
 * As tests/protocol/test_schedules.c, with scripts that flush, evict and warm
 * (support/schedule.h).  What a reader gets is compared with the history of all commits, in which
 * an eviction is none.
 */
#include "../support/books.h"
#include "../support/must.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/schedule.h"

static const struct setting store_settings[SETTINGS] = {
    {2, 2u << 20, 0}, {2, 1u << 20, 1}, {4, 8u << 20, 3}};

static int choose(size_t o, size_t s, uint64_t percent) {
    uint64_t mixed = test_mix(test_seed() + 1000 * o + s);
    operation = &world_operations[o];
    script = &world_cache_scripts[s];
    if (mixed / 3 % 100 >= percent)
        return 0;
    world_spare =
        mixed / 300 % 4 ? 3 + (unsigned)(mixed / 300 % 4) : 0; // mostly, slots are reused at once
    set_up(&store_settings[mixed % 3]);
    return 1;
}

#define FOR_EACH(o, s)                                                                             \
    for (size_t o = 0; o < world_operation_count; o++)                                             \
        for (size_t s = 0; s < world_cache_script_count; s++)

static uint64_t cases;

static void chunks_leave_in_any_step_of_a_reader(void **state) {
    (void)state;
    cases = 0;
    FOR_EACH(o, s) {
        if (!choose(o, s, test_count(30)))
            continue;
        for (uint64_t k = 0; k < 50 && writer_in_steps(k, UINT64_MAX); k++)
            cases++;
        books_must_add_up(the_world.writer, the_world.ballast, world_context);
        tear_down();
    }
    print_message("%llu cases\n", (unsigned long long)cases);
}

static void chunks_leave_in_two_or_all_steps_of_a_reader(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    FOR_EACH(o, s) {
        if (!choose(o, s, test_count(20)))
            continue;
        for (uint64_t i = 0; i < 10; i++) {
            uint64_t one = rng_below(&rng, 30);
            writer_in_steps(one, one + 1 + rng_below(&rng, 12));
        }
        every = 1;
        writer_in_steps(rng_below(&rng, 4), UINT64_MAX);
        every = 0;
        tear_down();
    }
}

static void a_reader_runs_in_any_step_of_an_eviction(void **state) {
    (void)state;
    cases = 0;
    FOR_EACH(o, s) {
        if (!choose(o, s, test_count(30)))
            continue;
        for (uint64_t k = 0; k < 150 && reader_in_steps(k, UINT64_MAX); k++)
            cases++;
        every = 1;
        reader_in_steps(0, UINT64_MAX);
        every = 0;
        books_must_add_up(the_world.writer, the_world.ballast, world_context);
        tear_down();
    }
    print_message("%llu cases\n", (unsigned long long)cases);
}

static void both_stop_half_way(void **state) {
    (void)state;
    uint64_t seed = test_seed(), runs = test_count(20);
    operations = 60;
    for (uint64_t i = 0; i < runs; i++) {
        world_spare = 4 + (unsigned)((seed + i) % 4);
        run_fibers(seed + i, &store_settings[i % 3]);
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
        cmocka_unit_test(chunks_leave_in_any_step_of_a_reader),
        cmocka_unit_test(chunks_leave_in_two_or_all_steps_of_a_reader),
        cmocka_unit_test(a_reader_runs_in_any_step_of_an_eviction),
        cmocka_unit_test(both_stop_half_way),
    };
    world_store = 1;
    return cmocka_run_group_tests_name("schedules with a store", tests, NULL, NULL);
}
