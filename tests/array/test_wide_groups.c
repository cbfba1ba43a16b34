// SPDX-License-Identifier: MIT
/*
 * Groups of many arrays of one chunk, which are read in their own way: more than are looked at
 * together, in any order, some more than once, while some of them changed since the handles were
 * last used and others did not.  Every answer is compared with what was committed.
 */
#include <stdio.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define ARRAYS 150u
#define REQUESTS 200u
#define MOST_ELEMENTS 300u
#define UNTOUCHED 0xEEEEEEEEEEEEEEEEu

struct known {
    unsigned rank;
    uint64_t shape[2];
    uint64_t elements;
    uint64_t value, generation, commit;
};

struct world {
    struct test_rng rng;
    untorn_writer *writer;
    untorn_writer_array *arrays[ARRAYS];
    untorn_reader *readers[2]; /* the second one is used less often */
    untorn_array *views[2][ARRAYS];
    struct known known[ARRAYS];
    uint64_t commit;
};

static const char *name_of(unsigned i) {
    static char name[16];
    snprintf(name, sizeof name, "array%u", i);
    return name;
}

// Of no, one or two axes; so long that some are copied in another way than others.
static void define(struct world *w, unsigned i) {
    struct known *known = &w->known[i];
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    known->rank = i % 3;
    known->shape[0] = 1 + rng_below(&w->rng, i % 2 == 0 ? 10 : MOST_ELEMENTS / 2);
    known->shape[1] = 2;
    known->elements = 1;
    for (unsigned axis = 0; axis < known->rank; axis++)
        known->elements *= known->shape[axis];
    definition.dtype = "u8";
    definition.rank = known->rank;
    definition.shape = definition.chunks = known->shape;
    must_ok(untorn_define(w->writer, name_of(i), &definition, &w->arrays[i]));
}

static void change(struct world *w, unsigned i) {
    uint64_t values[MOST_ELEMENTS];
    struct known *known = &w->known[i];
    known->value = rng_next(&w->rng);
    known->generation++;
    known->commit = w->commit + 1;
    for (unsigned k = 0; k < known->elements; k++)
        values[k] = known->value + k;
    must_ok(untorn_write(w->arrays[i], NULL, NULL, NULL, values));
}

// Each array with the chance of `percent`, and one at least.
static void commit(struct world *w, unsigned percent) {
    unsigned one = (unsigned)rng_below(&w->rng, ARRAYS);
    for (unsigned i = 0; i < ARRAYS; i++)
        if (i == one || rng_chance(&w->rng, percent))
            change(w, i);
    uint64_t number;
    must_ok(untorn_commit(w->writer, &number));
    must(number == w->commit + 1, "the books are wrong");
    w->commit = number;
}

static void compare(const struct known *known, const untorn_request *request) {
    const uint64_t *values = request->destination;
    must(request->generation == known->generation && request->commit == known->commit,
         "generation %llu of commit %llu, not %llu of %llu",
         (unsigned long long)request->generation, (unsigned long long)request->commit,
         (unsigned long long)known->generation, (unsigned long long)known->commit);
    for (unsigned axis = 0; axis < known->rank; axis++)
        must(request->shape[axis] == known->shape[axis] &&
                 request->counted[axis] == known->shape[axis],
             "axis %u", axis);
    for (uint64_t k = 0; k < known->elements; k++)
        must(values[k] == known->value + k, "element %llu", (unsigned long long)k);
    must(values[known->elements] == UNTOUCHED, "wrote beyond the array");
}

static void read_some(struct world *w, unsigned reader, size_t count) {
    static uint64_t bytes[REQUESTS][MOST_ELEMENTS + 1];
    static untorn_request requests[REQUESTS];
    unsigned which[REQUESTS];
    untorn_result result;
    memset(requests, 0, sizeof requests);
    memset(bytes, 0xEE, sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        which[i] = (unsigned)rng_below(&w->rng, ARRAYS);
        requests[i] = (untorn_request){.array = w->views[reader][which[i]],
                                       .destination = bytes[i],
                                       .capacity = w->known[which[i]].elements * 8};
    }
    must_ok(untorn_read_group(w->readers[reader], requests, count, &result));
    must(result.commit == w->commit && result.attempts == 1, "nobody was writing");
    for (size_t i = 0; i < count; i++)
        compare(&w->known[which[i]], &requests[i]);
}

static void P2_a_group_of_any_width_is_what_was_committed(void **state) {
    (void)state;
    static struct world world;
    struct world *w = &world;
    const char *segment = test_segment("wide");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 32u << 20;
    w->rng.state = test_seed();
    must_ok(untorn_writer_open(segment, &options, &w->writer));
    must_ok(untorn_commit(w->writer, &w->commit)); /* that it begins with */
    for (unsigned i = 0; i < ARRAYS; i++)
        define(w, i);
    commit(w, 100);
    for (unsigned r = 0; r < 2; r++) {
        must_ok(untorn_reader_open(segment, NULL, &w->readers[r]));
        for (unsigned i = 0; i < ARRAYS; i++)
            must_ok(untorn_array_open(w->readers[r], name_of(i), &w->views[r][i]));
    }
    for (uint64_t left = test_count(400); left > 0; left--) {
        for (uint64_t commits = rng_below(&w->rng, 3); commits > 0; commits--)
            commit(w, (unsigned)rng_below(&w->rng, 100));
        read_some(w, rng_chance(&w->rng, 20) ? 1 : 0, (size_t)rng_range(&w->rng, 1, REQUESTS));
    }
    read_some(w, 0, 64);
    read_some(w, 1, 65);
    for (unsigned r = 0; r < 2; r++)
        untorn_reader_close(w->readers[r]);
    untorn_writer_close(w->writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P2_a_group_of_any_width_is_what_was_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
