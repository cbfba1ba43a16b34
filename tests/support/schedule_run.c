// SPDX-License-Identifier: MIT
/* Who runs when: see schedule.h. */
#include "schedule.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "base/test_hooks.h"
#include "must.h"
#include "rng.h"

struct world the_world;
struct world_reader the_reader;

/* --- one side in steps of the other --- */

const struct world_named_script *script;
const struct world_named_operation *operation;
int every;
static uint64_t step, first, second;
static int inside;
static _Thread_local int on_stage; // not so a flusher, which has steps of its own

static int due(void) {
    uint64_t now = step++;
    return every ? now >= first : now == first || now == second;
}

static void run_writer(const char *name) {
    if (!on_stage)
        return;
    world_step(name);
    if (inside || !due())
        return;
    inside = 1;
    script->run(&the_world, script->n);
    inside = 0;
}

static void run_reader(const char *name) {
    if (inside || !on_stage)
        return; // the reader's own step: it is the writer that may die in one
    world_step(name);
    if (!due())
        return;
    inside = 1;
    operation->run(&the_reader);
    inside = 0;
}

static void describe(const char *outer, const char *inner, unsigned n) {
    snprintf(world_context, sizeof world_context, "%s with %s (%u) in step%s %llu, %llu", outer,
             inner, n, every ? "s from" : "", (unsigned long long)first,
             (unsigned long long)second);
}

// Runs the operation with the script in its steps; 0: it had none of those steps.
int writer_in_steps(uint64_t one, uint64_t two) {
    step = 0;
    first = one;
    second = two;
    describe(operation->name, script->name, script->n);
    ut_step_hook = run_writer;
    operation->run(&the_reader);
    ut_step_hook = NULL;
    return step > one && (two == UINT64_MAX || step > two);
}

int reader_in_steps(uint64_t one, uint64_t two) {
    step = 0;
    first = one;
    second = two;
    describe(script->name, operation->name, script->n);
    ut_step_hook = run_reader;
    script->run(&the_world, script->n);
    ut_step_hook = NULL;
    return step > one && (two == UINT64_MAX || step > two);
}

const struct setting settings[SETTINGS] = {{2, 1u << 20, 0}, {2, 512u << 10, 1}, {4, 8u << 20, 3}};

void set_up(const struct setting *setting) {
    inside = every = 0;
    on_stage = 1;
    world_begin(&the_world, setting->versions, setting->size);
    world_reader_begin(&the_reader, &the_world, 0, setting->attempts);
}

void tear_down(void) {
    ut_step_hook = NULL;
    world_reader_end(&the_reader);
    world_end(&the_world);
}

/* --- fibers --- */

#define FIBERS 4 // the writer and its readers

static struct fiber {
    pthread_t thread;
    sem_t turn;
    struct world_reader reader;
    unsigned index;
} fibers[FIBERS];
static sem_t all_done;
static struct test_rng plan;
static unsigned stay; // of 64: how likely a fiber goes on at a step
static unsigned left; // readers that are not done
uint64_t operations;
static _Thread_local struct fiber *self;

static void switch_to(struct fiber *next) {
    if (next == self)
        return;
    sem_post(&next->turn);
    while (sem_wait(&self->turn) != 0)
        continue;
}

static int is_done[FIBERS];

static struct fiber *any_fiber(void) {
    struct fiber *fiber;
    do
        fiber = &fibers[rng_below(&plan, FIBERS)];
    while (is_done[fiber->index]);
    return fiber;
}

static void at_step(const char *name) {
    world_step(name); // of this thread
    if (self != NULL && rng_below(&plan, 64) >= stay)
        switch_to(any_fiber());
}

static void leave(void) {
    is_done[self->index] = 1;
    for (unsigned i = 0; i < FIBERS; i++)
        if (!is_done[i]) {
            sem_post(&any_fiber()->turn);
            return;
        }
    sem_post(&all_done);
}

static void *write_on(void *argument) {
    self = argument;
    while (sem_wait(&self->turn) != 0)
        continue;
    while (left > 0) {
        const struct world_named_script *next =
            world_store && rng_chance(&plan, 60)
                ? &world_cache_scripts[rng_below(&plan, world_cache_script_count)]
                : &world_scripts[rng_below(&plan, world_script_count)];
        next->run(&the_world, next->n > 100 ? 5 : next->n);
        at_step("");
    }
    leave();
    return NULL;
}

static void *read_on(void *argument) {
    self = argument;
    while (sem_wait(&self->turn) != 0)
        continue;
    for (uint64_t i = 0; i < operations; i++) {
        world_operations[rng_below(&plan, world_operation_count)].run(&self->reader);
        at_step("");
    }
    left--;
    leave();
    return NULL;
}

void run_fibers(uint64_t seed, const struct setting *setting) {
    plan.state = seed;
    stay = (unsigned[]){32, 56, 62}[seed % 3];
    snprintf(world_context, sizeof world_context, "fibers, seed %llu", (unsigned long long)seed);
    world_begin(&the_world, setting->versions, setting->size);
    left = FIBERS - 1;
    sem_init(&all_done, 0, 0);
    for (unsigned i = 0; i < FIBERS; i++) {
        fibers[i].index = i;
        is_done[i] = 0;
        sem_init(&fibers[i].turn, 0, 0);
        if (i > 0)
            world_reader_begin(&fibers[i].reader, &the_world, 0, setting->attempts);
    }
    ut_step_hook = at_step;
    for (unsigned i = 0; i < FIBERS; i++)
        must(pthread_create(&fibers[i].thread, NULL, i == 0 ? write_on : read_on, &fibers[i]) == 0,
             "thread");
    sem_post(&fibers[0].turn);
    while (sem_wait(&all_done) != 0)
        continue;
    for (unsigned i = 0; i < FIBERS; i++)
        pthread_join(fibers[i].thread, NULL);
    ut_step_hook = NULL;
    for (unsigned i = 1; i < FIBERS; i++)
        world_reader_end(&fibers[i].reader);
    world_end(&the_world);
}

static int named(const char *list, const char *name) {
    return strstr(list, name) != NULL;
}

void try_all(const char *operations_named, const char *scripts_named,
             const struct setting *setting) {
    for (size_t o = 0; o < world_operation_count; o++)
        for (size_t s = 0; s < world_script_count; s++) {
            operation = &world_operations[o];
            script = &world_scripts[s];
            if (!named(operations_named, operation->name) || !named(scripts_named, script->name))
                continue;
            set_up(setting);
            for (uint64_t k = 0; k < 40 && writer_in_steps(k, UINT64_MAX); k++)
                writer_in_steps(k / 2, k + 1);
            every = 1;
            for (uint64_t k = 0; k < 4; k++)
                writer_in_steps(k, UINT64_MAX);
            every = 0;
            for (uint64_t k = 0; k < 60 && reader_in_steps(k, UINT64_MAX); k++)
                continue;
            every = 1;
            reader_in_steps(0, UINT64_MAX);
            tear_down();
        }
}
