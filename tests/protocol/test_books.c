// SPDX-License-Identifier: MIT
/*
 * Long random histories in tiny segments, with pins held by a reader, aborts, and space
 * that runs out at any place, really or by injection; and at steps of the
 * protocol, a death: a copy of the segment's files (support/books.h), which is adopted,
 * compared with the model, written to, and compared again.
 *
 *   - Adoption succeeds, and the content is that of the last commit, or of the one in
 *     flight once it was prepared.
 *   - Not less space is free after adoption than the living writer had.
 *   - The books add up: after every operation, failed or not, and in the adopter.
 *   - Pins of readers that live on stay valid, and what they show does not change, whatever
 *     the adopter then writes.
 *   - Sometimes the adopter dies, too, at a step of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array/snapshot.h"
#include "base/test_hooks.h"
#include "support/books.h"
#include "support/model.h"
#include "support/model_reader.h"
#include "support/model_script.h"
#include "support/must.h"
#include "support/names.h"
#include "support/scale.h"

#define KEPT 5

struct kept {
    untorn_snapshot *snapshot;
    struct model_state state;
};

struct world {
    const char *segment;
    untorn_writer *writer;
    struct script script;
    struct model_reader reader;
    struct test_rng rng;
    struct kept kept[KEPT];
    unsigned death_chance; // of 1000 steps
    uint64_t ballast;
    int committing;
    int prepared; // the commit in flight is
    uint64_t deaths, second_deaths, pins_kept, no_space, injected, retried, reads;
};

static struct world *the_world;

/* ---- death ---- */

struct death {
    const char *from, *to;
    const struct model_state *expected;
    uint64_t free_bytes; // of the one that died; 0: not known
    unsigned depth;
    int readers;    // locks that keep the readers living, or -1: they died, too
    unsigned until; // the adopter's own death, in steps; 0: it lives
};

static struct death *the_adopter;

static void die(struct death *death);

// A step of an adopter that dies.
static void adopter_step(const char *step) {
    (void)step;
    struct death *death = the_adopter;
    if (death->until == 0 || --death->until != 0)
        return;
    ut_step_hook = NULL;
    the_world->second_deaths++;
    struct death second = {.from = death->to,
                           .to = test_segment("books2"),
                           .expected = death->expected,
                           .free_bytes = death->free_bytes,
                           .depth = 1,
                           .readers = death->readers};
    die(&second);
    the_adopter = death;
}

// What the live reader's snapshots show must be shown by the adopted segment, too.
static void check_pins(struct world *world, struct death *death, untorn_writer *writer,
                       untorn_reader *reader, untorn_snapshot **joined) {
    for (unsigned i = 0; i < KEPT; i++) {
        struct kept *kept = &world->kept[i];
        joined[i] = NULL;
        if (kept->snapshot == NULL)
            continue;
        uint64_t commit = untorn_snapshot_commit(kept->snapshot);
        int pinned = books_pinned(&writer->segment, commit);
        // Requested in time is granted, at the latest by the adopter.
        int stands = untorn_snapshot_check(kept->snapshot) == UNTORN_OK &&
                     !ut_pin_ended(kept->snapshot->hold.segment, &kept->snapshot->hold.own);
        must(pinned || !stands || death->readers < 0, "the pin on %llu was not adopted",
             (unsigned long long)commit);
        untorn_status status = untorn_snapshot_open(reader, NULL, 0, commit, &joined[i]);
        if (!pinned && status != UNTORN_OK) {
            joined[i] = NULL;
            continue;
        }
        must_ok(status);
        int valid = model_check_snapshot(joined[i], &kept->state, &world->rng);
        must(valid || !pinned, "a pin on %llu was lost by adoption", (unsigned long long)commit);
        world->pins_kept += pinned != 0;
    }
}

static void run_adopter(struct world *world, struct death *death, untorn_writer *writer,
                        struct model_reader *reader) {
    untorn_snapshot *joined[KEPT] = {0};
    check_pins(world, death, writer, reader->reader, joined);
    struct script script;
    script_begin(&script, NULL);
    model_copy(&script.committed, death->expected);
    script_set_writer(&script, writer);
    uint64_t count = rng_below(&world->rng, 12);
    for (uint64_t i = 0; i < count; i++) {
        enum script_wish wish = script_run(&script, 900000 + i, rng_next(&world->rng));
        if (wish != SCRIPT_COMMIT || !script_commit(&script))
            script_abort(&script);
        if (rng_chance(&world->rng, 30))
            model_check_some(reader, &script.committed, &world->rng);
    }
    books_must_add_up(writer, 0, "after the adopter wrote");
    model_check_all(reader, &script.committed, &world->rng);
    for (unsigned i = 0; i < KEPT; i++) {
        if (joined[i] == NULL)
            continue;
        uint64_t commit = untorn_snapshot_commit(joined[i]);
        int valid = model_check_snapshot(joined[i], &world->kept[i].state, &world->rng);
        must(valid || !books_pinned(&writer->segment, commit), "a pin on %llu is of no use",
             (unsigned long long)commit);
        untorn_snapshot_close(joined[i]);
    }
    script_end(&script);
}

static void die(struct death *death) {
    struct world *world = the_world;
    books_copy_segment(death->from, death->to);
    death->readers =
        death->readers >= 0 && rng_chance(&world->rng, 80) ? books_keep_readers(death->to) : -1;
    if (death->depth == 0 && rng_chance(&world->rng, 15)) {
        death->until = 1 + (unsigned)rng_below(&world->rng, 40);
        the_adopter = death;
        ut_step_hook = adopter_step;
    }
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = UNTORN_ADOPT_ONLY;
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(death->to, &options, &writer));
    ut_step_hook = NULL;
    books_must_add_up(writer, 0, "after adoption");
    uint64_t free_bytes = ut_alloc_free_bytes(writer->publisher.alloc);
    must(free_bytes >= death->free_bytes, "adoption lost space: %llu bytes free, before %llu",
         (unsigned long long)free_bytes, (unsigned long long)death->free_bytes);
    struct model_reader reader;
    model_reader_open(&reader, death->to, 0);
    model_check_all(&reader, death->expected, &world->rng);
    run_adopter(world, death, writer, &reader);
    model_reader_close(&reader);
    untorn_writer_close(writer);
    if (death->readers >= 0)
        close(death->readers);
    must_ok(untorn_segment_remove(death->to));
    world->deaths++;
}

static void look_at_snapshots(struct world *world);

static void step_hook(const char *step) {
    struct world *world = the_world;
    if (strcmp(step, "commit begins") == 0) {
        world->committing = 1;
        world->prepared = 0;
    }
    if (strcmp(step, "prepared") == 0)
        world->prepared = 1;
    if (rng_chance(&world->rng, 3)) {
        ut_step_hook = NULL;
        look_at_snapshots(world);
        ut_step_hook = step_hook;
    }
    if (rng_below(&world->rng, 1000) >= world->death_chance)
        return;
    struct script *script = &world->script;
    struct death death = {.from = world->segment,
                          .to = test_segment("books1"),
                          .expected = world->prepared ? &script->open : &script->committed,
                          .free_bytes = ut_alloc_free_bytes(world->writer->publisher.alloc)};
    long fail = ut_fail_take;
    ut_step_hook = NULL;
    ut_fail_take = -1;
    die(&death);
    ut_step_hook = step_hook;
    ut_fail_take = fail;
}

/* ---- histories ---- */

static void drop(struct kept *kept) {
    untorn_snapshot_close(kept->snapshot);
    model_free(&kept->state);
    kept->snapshot = NULL;
}

static void look_at_snapshots(struct world *world) {
    struct kept *kept = &world->kept[rng_below(&world->rng, KEPT)];
    if (!kept->snapshot) {
        must_ok(
            untorn_snapshot_open(world->reader.reader, NULL, 0, UNTORN_NEWEST, &kept->snapshot));
        struct script *script = &world->script;
        int visible = untorn_snapshot_commit(kept->snapshot) > script->last_commit;
        model_copy(&kept->state, visible ? &script->open : &script->committed);
    } else if (rng_chance(&world->rng, 15)) {
        drop(kept);
        return;
    }
    if (!model_check_snapshot(kept->snapshot, &kept->state, &world->rng)) {
        ut_hold *hold = &kept->snapshot->hold;
        must(ut_pin_ended(hold->segment, &hold->own), "a pin on %llu is of no use",
             (unsigned long long)hold->commit);
        drop(kept);
    }
}

static void look(struct world *world) {
    void (*hook)(const char *) = ut_step_hook;
    ut_step_hook = NULL;
    if (rng_chance(&world->rng, 50))
        look_at_snapshots(world);
    else
        model_check_some(&world->reader, &world->script.committed, &world->rng);
    ut_step_hook = hook;
}

static void between(void *argument) {
    struct world *world = argument;
    books_must_add_up(world->writer, world->ballast, "after an operation");
    if (rng_chance(&world->rng, 30))
        look(world);
    world->prepared = 0;
    step_hook("between operations");
}

static int commit(struct world *world) {
    int committed = script_commit(&world->script);
    world->committing = world->prepared = 0;
    return committed;
}

static void one_transaction(struct world *world, uint64_t number) {
    struct script *script = &world->script;
    int injects = rng_chance(&world->rng, 25);
    if (injects)
        ut_fail_take = (long)rng_below(&world->rng, 14);
    enum script_wish wish = script_run(script, number, rng_next(&world->rng));
    int done = 0;
    if (wish == SCRIPT_COMMIT) {
        done = commit(world);
        if (!done) {
            books_must_add_up(world->writer, world->ballast, "after a commit that failed");
            look(world);
        }
        if (!done && injects && rng_chance(&world->rng, 60)) {
            ut_fail_take = -1;
            done = commit(world); // the transaction is open still
            world->retried += done != 0;
        }
    }
    if (injects)
        world->injected += ut_fail_take == 0;
    ut_fail_take = -1;
    if (!done) {
        world->no_space += wish != SCRIPT_ABORT;
        books_must_add_up(world->writer, world->ballast, "before an abort");
        script_abort(script);
    }
    books_must_add_up(world->writer, world->ballast, "after a transaction");
}

// leave: bytes of a segment of 256 KiB that are left free, 0: all.
static void run_history(unsigned versions, uint64_t size, uint64_t leave, uint64_t transactions,
                        unsigned death_chance) {
    struct world world = {.segment = test_segment("books"),
                          .rng = {test_seed() + versions * 77 + size},
                          .death_chance = death_chance};
    the_world = &world;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = size;
    options.versions = versions;
    must_ok(untorn_writer_open(world.segment, &options, &world.writer));
    if (leave != 0)
        world.ballast = books_take_ballast(world.writer, leave);
    script_begin(&world.script, world.writer);
    script_set_writer(&world.script, world.writer);
    world.script.between = between;
    world.script.argument = &world;
    model_reader_open(&world.reader, world.segment, 0);
    ut_step_hook = step_hook;
    for (uint64_t i = 0; i < transactions; i++) {
        one_transaction(&world, i);
        look(&world);
    }
    ut_step_hook = NULL;
    model_check_all(&world.reader, &world.script.committed, &world.rng);
    for (unsigned i = 0; i < KEPT; i++)
        if (world.kept[i].snapshot)
            drop(&world.kept[i]);
    print_message("%llu deaths, %llu of them twice; %llu pins kept; space ran out %llu times, "
                  "%llu by injection; %llu commits succeeded at the second try\n",
                  (unsigned long long)world.deaths, (unsigned long long)world.second_deaths,
                  (unsigned long long)world.pins_kept, (unsigned long long)world.no_space,
                  (unsigned long long)world.injected, (unsigned long long)world.retried);
    model_reader_close(&world.reader);
    script_end(&world.script);
    untorn_writer_close(world.writer);
    must_ok(untorn_segment_remove(world.segment));
}

static void P5_death_at_any_step_versions_2(void **state) {
    (void)state;
    run_history(2, 512u << 10, 0, test_count(1500), 60);
}

static void P5_death_at_any_step_versions_3(void **state) {
    (void)state;
    run_history(3, 1024u << 10, 0, test_count(1500), 60);
}

static void P5_death_at_any_step_versions_4(void **state) {
    (void)state;
    run_history(4, 3u << 20, 0, test_count(1500), 60);
}

static void P9_books_add_up_over_long_histories(void **state) {
    (void)state;
    for (unsigned versions = 2; versions <= 4; versions++)
        run_history(versions, 256u << 10, 0, test_count(6000), 2);
}

static void P9_space_that_runs_out(void **state) {
    (void)state;
    for (unsigned versions = 2; versions <= 4; versions++)
        for (uint64_t leave = 16u << 10; leave <= 128u << 10; leave *= 2)
            run_history(versions, 256u << 10, leave, test_count(2000), 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P5_death_at_any_step_versions_2),
        cmocka_unit_test(P5_death_at_any_step_versions_3),
        cmocka_unit_test(P5_death_at_any_step_versions_4),
        cmocka_unit_test(P9_books_add_up_over_long_histories),
        cmocka_unit_test(P9_space_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
