// SPDX-License-Identifier: MIT
/*
 * Readers interrupted by the writer, without a second thread: the hook that the
 * library calls between the steps of a read runs whole transactions, now and then as
 * many as overrun every window.  So the rarest interleavings come often and can be
 * repeated from the seed.
 *
 * Which commit a read is of, the marker tells (support/model_script.h); the states
 * of the last commits are kept to compare with.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/model.h"
#include "../support/model_reader.h"
#include "../support/model_script.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"
#include "base/test_hooks.h"

#define HISTORY 2048u

struct world {
    const char *segment;
    untorn_writer *writer;
    struct script script;
    untorn_reader *reader;
    struct test_rng rng;
    struct model_state history[HISTORY]; // by transaction number
    uint64_t number;                     // of the last transaction begun
    uint64_t last_seen;
    unsigned chance; // of an interruption at a step, in percent
    unsigned bursts; // how many of them are long, in percent
    int inside;      // the writer is at work: its own steps do not count
    uint64_t steps;
    uint64_t interruptions;
    uint64_t reads;
    uint64_t deleted;
    uint64_t adoptions;
    uint64_t overtaken;
    uint64_t pinned;
};

static struct world *hooked;

static void write_once(struct world *world) {
    struct script *script = &world->script;
    uint64_t number = ++world->number;
    int outer = world->inside;
    world->inside = 1;
    enum script_wish wish = script_run(script, number, rng_next(&world->rng));
    if (wish == SCRIPT_COMMIT && script_commit(script)) {
        model_free(&world->history[number % HISTORY]);
        model_copy(&world->history[number % HISTORY], &script->committed);
    } else {
        script_abort(script);
        world->number--; // it was not used: nothing can show it
    }
    world->inside = outer;
}

static void replace_writer(struct world *world) {
    int outer = world->inside;
    world->inside = 1;
    world->adoptions++;
    untorn_writer_close(world->writer);
    must_ok(untorn_writer_open(world->segment, NULL, &world->writer));
    script_set_writer(&world->script, world->writer);
    for (uint64_t i = rng_below(&world->rng, 10); i > 0; i--)
        write_once(world);
    world->inside = outer;
}

static void interrupt_reader(const char *step) {
    struct world *world = hooked;
    (void)step;
    if (world->inside)
        return;
    world->steps++;
    if (!rng_chance(&world->rng, world->chance))
        return;
    world->interruptions++;
    uint64_t transactions = rng_chance(&world->rng, world->bursts) ? rng_range(&world->rng, 10, 40)
                                                                   : rng_range(&world->rng, 1, 3);
    for (uint64_t i = 0; i < transactions; i++)
        write_once(world);
    if (rng_below(&world->rng, 150) == 0) // the next writer goes on, with what the last one left
        replace_writer(world);
}

// NULL: so old that there is nothing to compare with.
static const struct model_state *state_of(struct world *world, uint64_t number) {
    must(number <= world->number && number >= world->last_seen,
         "transaction %llu is shown after %llu, before %llu was written",
         (unsigned long long)number, (unsigned long long)world->last_seen,
         (unsigned long long)world->number);
    world->last_seen = number;
    if (world->number - number >= HISTORY)
        return NULL;
    return &world->history[number % HISTORY];
}

static const struct model_array *by_uid(const struct model_state *state, uint64_t uid) {
    for (unsigned i = 0; i < state->count; i++)
        if (state->arrays[i]->uid == uid)
            return state->arrays[i];
    return NULL;
}

// All elements that the request takes: of the whole array, or every so many from the first on.
static void compare(const struct model_array *array, const untorn_request *request,
                    const char *json) {
    must(array, "a request was answered for an array that was not there");
    uint64_t counted[MODEL_RANK], taken[MODEL_RANK] = {0}, index[MODEL_RANK];
    for (unsigned i = 0; i < array->rank; i++)
        must(request->shape[i] == array->shape[i], "%s: axis %u", array->name, i);
    const char *wanted = array->attributes[0] ? array->attributes : "{}";
    must(strcmp(json, wanted) == 0, "%s: attributes %s, wanted %s", array->name, json, wanted);
    for (unsigned i = 0; i < array->rank; i++) {
        uint64_t step = request->steps ? request->steps[i] : 1;
        counted[i] = (array->shape[i] + step - 1) / step;
        must(request->counted[i] == counted[i], "%s: counted on axis %u", array->name, i);
    }
    if (model_elements(array->rank, counted) == 0)
        return;
    const unsigned char *got = request->destination;
    do {
        for (unsigned i = 0; i < array->rank; i++)
            index[i] = taken[i] * (request->steps ? request->steps[i] : 1);
        must(memcmp(got, model_at(array, index), array->itemsize) == 0,
             "TORN: %s (%s, rank %u): byte %zu", array->name, array->dtype, array->rank,
             (size_t)(got - (const unsigned char *)request->destination));
        got += array->itemsize;
    } while (model_step(array->rank, counted, taken));
}

// The marker and some arrays, whole or every so many of their elements, with attributes.
static void read_group(struct world *world) {
    enum { MOST = 5 };
    untorn_request requests[MOST] = {0};
    char *texts[MOST] = {0};
    uint64_t uids[MOST], steps[MOST][MODEL_RANK];
    struct model_state before = {0};
    uint64_t number = 0;
    size_t count = (size_t)rng_range(&world->rng, 1, MOST);
    model_copy(&before, &world->script.committed);
    int complete = 1;
    for (size_t i = 0; i < count; i++) {
        const struct model_array *array = before.arrays[rng_below(&world->rng, before.count)];
        if (i == 0)
            array = model_find(&before, SCRIPT_MARKER);
        uids[i] = array->uid;
        requests[i].flags = UNTORN_GROW;
        for (unsigned axis = 0; axis < MODEL_RANK; axis++)
            steps[i][axis] = rng_range(&world->rng, 1, 6);
        requests[i].steps = i > 0 && rng_chance(&world->rng, 40) ? steps[i] : NULL;
        requests[i].attributes = &texts[i];
        ut_step_hook = NULL; // the handle is to be of this very definition
        must_ok(untorn_array_open(world->reader, array->name, &requests[i].array));
        ut_step_hook = interrupt_reader;
    }
    untorn_result result;
    untorn_status status = untorn_read_group(world->reader, requests, count, &result);
    world->reads++;
    world->overtaken += status == UNTORN_E_OVERTAKEN;
    if (status == UNTORN_E_ARRAY_DELETED) {
        for (size_t i = 0; i < count; i++)
            complete &= by_uid(&world->script.committed, uids[i]) != NULL;
        must(!complete, "no array is deleted: %s", untorn_message());
        world->deleted++;
    } else if (status != UNTORN_E_OVERTAKEN) {
        must_ok(status);
        world->pinned += result.pinned;
        memcpy(&number, requests[0].destination, sizeof number);
        const struct model_state *state = state_of(world, number);
        for (size_t i = 0; state && i < count; i++)
            compare(by_uid(state, uids[i]), &requests[i], texts[i]);
    }
    for (size_t i = 0; i < count; i++) {
        free(requests[i].destination);
        free(texts[i]);
        untorn_array_close(requests[i].array);
    }
    model_free(&before);
}

static void take_snapshot(struct world *world) {
    untorn_snapshot *snapshot = NULL;
    uint64_t number = 0;
    untorn_status status = untorn_snapshot_open(world->reader, NULL, 0, UNTORN_NEWEST, &snapshot);
    world->reads++;
    if (status == UNTORN_E_OVERTAKEN) {
        world->overtaken++;
        return;
    }
    must_ok(status);
    int found = model_snapshot_marker(snapshot, &number);
    must(found != 0, "a snapshot without the marker");
    struct model_state state = {0};
    const struct model_state *shown = found > 0 ? state_of(world, number) : NULL;
    if (shown) {
        model_copy(&state, shown);
        for (int again = 0; again < 2 && found > 0; again++)
            found = model_check_snapshot(snapshot, &state, &world->rng) ? 1 : -1;
    }
    world->overtaken += found < 0;
    model_free(&state);
    untorn_snapshot_close(snapshot);
}

// Opening by name finds an array that was there at some time meanwhile.
static void open_array(struct world *world) {
    struct model_state before = {0};
    model_copy(&before, &world->script.committed);
    const struct model_array *array = before.arrays[rng_below(&world->rng, before.count)];
    untorn_array *opened = NULL;
    untorn_status status = untorn_array_open(world->reader, array->name, &opened);
    if (status == UNTORN_E_NO_ARRAY || status == UNTORN_E_ARRAY_DELETED) {
        const struct model_array *now = model_find(&world->script.committed, array->name);
        // It may have gone and come back within the call: then it is another.
        must(!now || now->uid != array->uid, "%s is there: %s", array->name, untorn_message());
    } else if (status != UNTORN_E_OVERTAKEN) {
        must_ok(status);
        untorn_array_close(opened);
    }
    world->overtaken += status == UNTORN_E_OVERTAKEN;
    world->reads++;
    model_free(&before);
}

struct variant {
    const char *name;
    unsigned flags;    // of the reader
    unsigned attempts; // without a pin
    unsigned versions;
    uint64_t size; // of the segment
    unsigned most; // interruptions, in percent of the steps
    unsigned bursts;
    unsigned share;    // one read of so many may be overtaken, if it may pin
    uint64_t reads[2]; // at least, and at scale 100
};

#define FEW 10 // reads that may be overtaken beyond the share

static void run(const struct variant *variant, uint64_t seed) {
    static struct world world;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_reader_options reader_options = UNTORN_READER_OPTIONS_INIT;
    world = (struct world){
        .segment = test_segment(variant->name), .rng = {seed}, .bursts = variant->bursts};
    options.size = variant->size;
    options.versions = variant->versions;
    reader_options.flags = variant->flags;
    reader_options.attempts = variant->attempts;
    hooked = &world;
    script_begin(&world.script, NULL);
    must_ok(untorn_writer_open(world.segment, &options, &world.writer));
    script_set_writer(&world.script, world.writer);
    while (world.number == 0)
        write_once(&world);
    must_ok(untorn_reader_open(world.segment, &reader_options, &world.reader));
    ut_step_hook = interrupt_reader;
    uint64_t rounds = test_count_at_least(variant->reads[0], variant->reads[1]);
    for (uint64_t i = 0; i < rounds; i++) {
        world.chance = (unsigned)rng_range(&world.rng, 1, variant->most);
        write_once(&world);
        switch (rng_below(&world.rng, 4)) {
        case 0:
            take_snapshot(&world);
            break;
        case 1:
            open_array(&world);
            break;
        default:
            read_group(&world);
        }
    }
    ut_step_hook = NULL;
    print_message("%llu reads, interrupted at %llu of %llu steps, by %llu transactions and %llu "
                  "adoptions; "
                  "%llu deleted, %llu pinned, %llu overtaken\n",
                  (unsigned long long)world.reads, (unsigned long long)world.interruptions,
                  (unsigned long long)world.steps, (unsigned long long)world.number,
                  (unsigned long long)world.adoptions, (unsigned long long)world.deleted,
                  (unsigned long long)world.pinned, (unsigned long long)world.overtaken);
    must(world.steps > 0, "readers have no steps: is it the testing build?");
    // Only where space cannot hold a version more is that an answer to a reader with pins.  It is
    // at most a quarter of what is allowed here, but for the few that chance brings.
    uint64_t most = variant->flags ? world.reads : world.reads / variant->share + FEW;
    must(world.overtaken <= most, "too many reads were overtaken");
    for (unsigned i = 0; i < HISTORY; i++)
        model_free(&world.history[i]);
    untorn_reader_close(world.reader);
    untorn_writer_close(world.writer);
    script_end(&world.script);
    must_ok(untorn_segment_remove(world.segment));
}

static void P1_P2_P4_interrupted_reads_are_whole_and_finish(void **state) {
    (void)state;
    static const struct variant variants[] = {
        {"two", 0, 0, 2, 6u << 20, 20, 10, 40, {120, 2000}},
        {"four", 0, 0, 4, 6u << 20, 20, 10, 40, {120, 2000}},
        {"eager", 0, 1, 2, 6u << 20, 60, 60, 40, {60, 300}}, // to pin
    };
    for (unsigned i = 0; i < 3; i++)
        run(&variants[i], test_seed() + 20 + i);
}

// Little space, so that all is soon reused, pins are needed, and pins are revoked.
static void P4_interrupted_reads_finish_in_a_small_segment(void **state) {
    (void)state;
    static const struct variant variants[] = {{"small", 0, 0, 2, 1u << 20, 20, 10, 20, {120, 2000}},
                                              {"smaller", 0, 1, 2, 3u << 18, 60, 60, 2, {60, 300}}};
    for (unsigned i = 0; i < 2; i++)
        run(&variants[i], test_seed() + 30 + i);
}

static void P7_interrupted_reads_without_pins_are_whole_or_errors(void **state) {
    (void)state;
    static const struct variant variant = {
        "unpinned", UNTORN_READ_NO_CONTROL, 0, 2, 6u << 20, 20, 10, 0, {1, 3000}};
    run(&variant, test_seed() + 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_P2_P4_interrupted_reads_are_whole_and_finish),
        cmocka_unit_test(P4_interrupted_reads_finish_in_a_small_segment),
        cmocka_unit_test(P7_interrupted_reads_without_pins_are_whole_or_errors),
    };
    return cmocka_run_group_tests_name("interleaved", tests, NULL, NULL);
}
