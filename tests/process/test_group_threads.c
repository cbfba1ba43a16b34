// SPDX-License-Identifier: MIT
/*
 * Groups of arrays of one chunk each, most of which have not changed since the last time, and
 * snapshots of them, by threads that share a reader, under a writer at full rate.
 *
 * Transaction r writes r to all elements of array 0 and of array r mod ARRAYS, so array 0 tells
 * what every other one has to be.
 */
#include <pthread.h>
#include <stdio.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#define ARRAYS 40u
#define ELEMENTS 24u
#define READERS 2

struct world {
    untorn_writer *writer;
    untorn_writer_array *written[ARRAYS];
    untorn_reader *reader;
    uint64_t commits;
    _Atomic int stop;
    _Atomic uint64_t rounds;
};

static void write_round(struct world *world, uint64_t round) {
    uint64_t which[2] = {0, round % ARRAYS};
    for (int i = 0; i < (which[1] == 0 ? 1 : 2); i++) {
        uint64_t values[ELEMENTS];
        for (size_t k = 0; k < ELEMENTS; k++)
            values[k] = round;
        must_ok(untorn_write(world->written[which[i]], NULL, NULL, NULL, values));
    }
    must_ok(untorn_commit(world->writer, NULL));
}

static void *write_on(void *argument) {
    struct world *world = argument;
    // Readers may start after the last commit that is asked for, on a machine with much to do.
    for (uint64_t i = 0; i < world->commits || world->rounds < 2 * READERS; i++)
        write_round(world, 2 * ARRAYS + i);
    world->stop = 1;
    return NULL;
}

// Returns the round that all are of.
static uint64_t check(const char *what, uint64_t (*values)[ELEMENTS], uint64_t last) {
    uint64_t round = values[0][0];
    must(round >= last, "%s steps back from %llu to %llu", what, (unsigned long long)last,
         (unsigned long long)round);
    for (uint64_t k = 0; k < ARRAYS; k++) {
        uint64_t wanted = k == 0 ? round : round - (round - k) % ARRAYS;
        for (size_t i = 0; i < ELEMENTS; i++)
            must(values[k][i] == wanted, "TORN %s: array %llu has %llu, not %llu, in round %llu",
                 what, (unsigned long long)k, (unsigned long long)values[k][i],
                 (unsigned long long)wanted, (unsigned long long)round);
    }
    return round;
}

static void *read_on(void *argument) {
    struct world *world = argument;
    untorn_array *arrays[ARRAYS];
    untorn_request requests[ARRAYS] = {{0}};
    uint64_t values[ARRAYS][ELEMENTS], last = 0;
    for (unsigned k = 0; k < ARRAYS; k++) {
        char name[16];
        snprintf(name, sizeof name, "g/%u", k);
        must_ok(untorn_array_open(world->reader, name, &arrays[k]));
        requests[k].array = arrays[k];
        requests[k].destination = values[k];
        requests[k].capacity = sizeof values[k];
    }
    for (unsigned turn = 0; !world->stop; turn++) {
        untorn_result result;
        must_ok(untorn_read_group(world->reader, requests, ARRAYS, &result));
        last = check("group", values, last);
        for (unsigned k = 0; k < ARRAYS; k++)
            must(requests[k].commit <= result.commit && requests[k].counted[0] == ELEMENTS,
                 "array %u: commit or count", k);
        world->rounds++;
        if (turn % 8 != 0)
            continue;
        untorn_snapshot *snapshot = NULL;
        must_ok(untorn_snapshot_open(world->reader, arrays, ARRAYS, UNTORN_NEWEST, &snapshot));
        for (unsigned k = 0; k < ARRAYS; k++)
            must_ok(untorn_snapshot_read(snapshot, k, NULL, NULL, values[k], sizeof values[k]));
        last = check("snapshot", values, last);
        untorn_snapshot_close(snapshot);
    }
    for (unsigned k = 0; k < ARRAYS; k++)
        untorn_array_close(arrays[k]);
    return NULL;
}

static void P1_P2_groups_of_small_arrays(void **state) {
    (void)state;
    static struct world world;
    const char *segment = test_segment("group-threads");
    world.commits = test_count(100000);
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 2u << 20;
    options.versions = 2;
    must_ok(untorn_writer_open(segment, &options, &world.writer));
    for (unsigned k = 0; k < ARRAYS; k++) {
        static const uint64_t shape = ELEMENTS;
        untorn_definition definition = UNTORN_DEFINITION_INIT;
        char name[16];
        snprintf(name, sizeof name, "g/%u", k);
        definition.dtype = "u8";
        definition.rank = 1;
        definition.shape = definition.chunks = &shape;
        must_ok(untorn_require(world.writer, name, &definition, &world.written[k]));
    }
    for (uint64_t round = ARRAYS; round < 2 * ARRAYS; round++)
        write_round(&world, round);
    must_ok(untorn_reader_open(segment, NULL, &world.reader));
    pthread_t threads[READERS + 1];
    must(pthread_create(&threads[0], NULL, write_on, &world) == 0, "pthread_create");
    for (int i = 1; i <= READERS; i++)
        must(pthread_create(&threads[i], NULL, read_on, &world) == 0, "pthread_create");
    for (int i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    print_message("at least %llu commits, %llu groups\n", (unsigned long long)world.commits,
                  (unsigned long long)world.rounds);
    untorn_reader_close(world.reader);
    untorn_writer_close(world.writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_P2_groups_of_small_arrays),
    };
    return cmocka_run_group_tests_name("groups of small arrays", tests, NULL, NULL);
}
