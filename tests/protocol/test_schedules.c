// SPDX-License-Identifier: MIT
/*
 * Every interleaving that can be forced by running one side in a step of the other.
 *
 * The library calls ut_step_hook between the instructions whose order matters, so
 * no chance is needed: for each operation of a reader and each step of it, each
 * script of the writer runs in that step (or in every step, or in two), and for each
 * script and each step of it, in particular between `prepared` and `commit`, each
 * operation runs.  Where both must be stopped half-way, they are fibers: threads of
 * which one runs at a time, and which switch at steps by a seeded plan.
 *
 * What is read is compared with the history of all commits (support/schedule.h).
 */
#include "../support/must.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/schedule.h"

// Sets this pair up; 0: not now.  The setting goes with the pair, another one in each run.
static int choose(size_t o, size_t s, unsigned longest) {
    uint64_t mixed = test_mix(test_seed() + 1000 * o + s);
    operation = &world_operations[o];
    script = &world_scripts[s];
    if (script->n > longest || mixed / 3 % 100 >= test_count(100))
        return 0;
    set_up(&settings[mixed % 3]);
    return 1;
}

#define FOR_EACH(o, s)                                                                             \
    for (size_t o = 0; o < world_operation_count; o++)                                             \
        for (size_t s = 0; s < world_script_count; s++)

static uint64_t cases;

static void the_writer_runs_in_any_step_of_a_reader(void **state) {
    (void)state;
    cases = 0;
    FOR_EACH(o, s) {
        if (!choose(o, s, 1000))
            continue;
        for (uint64_t k = 0; k < 80 && writer_in_steps(k, UINT64_MAX); k++)
            cases++;
        tear_down();
    }
    print_message("%llu cases\n", (unsigned long long)cases);
}

static void the_writer_runs_in_every_step_of_a_reader(void **state) {
    (void)state;
    FOR_EACH(o, s) {
        if (!choose(o, s, 100))
            continue;
        every = 1; // from some step on
        for (uint64_t k = 0; k < 6; k++)
            writer_in_steps(k, UINT64_MAX);
        tear_down();
    }
    every = 0;
}

static void the_writer_runs_in_two_steps_of_a_reader(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    uint64_t pairs = test_count(40);
    FOR_EACH(o, s) {
        if (!choose(o, s, 100))
            continue;
        for (uint64_t i = 0; i < pairs; i++) {
            uint64_t one = rng_below(&rng, 40);
            writer_in_steps(one, one + 1 + rng_below(&rng, 12));
        }
        tear_down();
    }
}

static void a_reader_runs_in_any_step_of_the_writer(void **state) {
    (void)state;
    cases = 0;
    FOR_EACH(o, s) {
        if (!choose(o, s, 100))
            continue;
        for (uint64_t k = 0; k < 120 && reader_in_steps(k, UINT64_MAX); k++)
            cases++;
        every = 1;
        reader_in_steps(0, UINT64_MAX);
        tear_down();
    }
    print_message("%llu cases\n", (unsigned long long)cases);
}

static void both_stop_half_way(void **state) {
    (void)state;
    uint64_t seed = test_seed(), runs = test_count(120);
    operations = 60;
    for (uint64_t i = 0; i < runs; i++)
        run_fibers(seed + i, &settings[i % 3]);
}

// No room but for what must be kept: everything is reused as soon as it may be, pins end early,
// and readers may be told so; they still get nothing wrong.
static void nothing_is_spare(void **state) {
    (void)state;
    static const struct setting tiny = {2, 256u << 10, 2};
    uint64_t runs = test_count(40);
    operations = 60;
    world_ballast = 1;
    for (uint64_t i = 0; i < runs; i++)
        run_fibers(test_seed() + i, &tiny);
    world_ballast = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_writer_runs_in_any_step_of_a_reader),
        cmocka_unit_test(the_writer_runs_in_every_step_of_a_reader),
        cmocka_unit_test(the_writer_runs_in_two_steps_of_a_reader),
        cmocka_unit_test(a_reader_runs_in_any_step_of_the_writer),
        cmocka_unit_test(both_stop_half_way),
        cmocka_unit_test(nothing_is_spare),
    };
    return cmocka_run_group_tests_name("schedules", tests, NULL, NULL);
}
