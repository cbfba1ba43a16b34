// SPDX-License-Identifier: MIT
/*
 * Reads with steps under a writer at full rate, of what is newest and out of snapshots with and
 * without a pin: never of two generations.
 *
 * Transaction r writes r to all elements of "whole", which has many chunks, and appends to "grows"
 * a row of r.  So "whole" tells what "grows" has to be: row i has i + 1, and there are r rows.
 */
#include <pthread.h>
#include <stdlib.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define ROWS 30u
#define COLUMNS 37u
#define WIDTH 9u
#define READERS 2

struct world {
    untorn_writer *writer;
    untorn_writer_array *whole, *grows;
    untorn_reader *reader, *pinless;
    uint64_t commits;
    _Atomic uint64_t seed; /* of the next reader */
    _Atomic int stop;
    _Atomic uint64_t reads, snapshots, overtaken;
};

static void write_one(struct world *world, uint64_t round) {
    uint64_t values[ROWS * COLUMNS];
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        values[i] = round;
    must_ok(untorn_write(world->whole, NULL, NULL, NULL, values));
    must_ok(untorn_append(world->grows, 0, 1, NULL, values));
    must_ok(untorn_commit(world->writer, NULL));
}

static void *write_on(void *argument) {
    struct world *world = argument;
    uint64_t round = 1;
    // Readers may start after the last commit that is asked for, on a machine with much to do.
    while (round < world->commits || world->reads < 20 * READERS)
        write_one(world, ++round);
    world->stop = 1;
    return NULL;
}

static uint64_t taken(uint64_t length, uint64_t start, uint64_t step) {
    return start < length ? (length - start - 1) / step + 1 : 0;
}

static uint64_t check_whole(const untorn_request *request) {
    const uint64_t *got = request->destination, *start = request->start, *steps = request->steps;
    uint64_t count = taken(ROWS, start[0], steps[0]) * taken(COLUMNS, start[1], steps[1]);
    for (uint64_t i = 0; i < count; i++)
        must(got[i] == got[0], "TORN: %llu and %llu", (unsigned long long)got[0],
             (unsigned long long)got[i]);
    return got[0];
}

static void check_grows(const untorn_request *request, uint64_t rows) {
    const uint64_t *got = request->destination, *start = request->start, *steps = request->steps;
    uint64_t count = taken(rows, start[0], steps[0]), width = taken(WIDTH, start[1], steps[1]);
    must(request->shape[0] == rows && request->counted[0] == count && request->counted[1] == width,
         "TORN: %llu of %llu rows, in round %llu", (unsigned long long)request->counted[0],
         (unsigned long long)request->shape[0], (unsigned long long)rows);
    for (uint64_t i = 0; i < count * width; i++)
        must(got[i] == start[0] + i / width * steps[0] + 1, "TORN: row %llu has %llu",
             (unsigned long long)(start[0] + i / width * steps[0]), (unsigned long long)got[i]);
}

/* One snapshot several times, while the writer goes on.  Without a pin it is soon overtaken, but
 * what was read before that counts. */
static void read_snapshot(struct world *world, struct test_rng *rng, untorn_request *requests) {
    untorn_snapshot *snapshot = NULL;
    untorn_array *kept[2] = {requests[0].array, requests[1].array}, *other[2] = {NULL, NULL};
    int pinned = rng_chance(rng, 50);
    for (int i = 0; i < 2 && !pinned; i++) {
        must_ok(untorn_array_open(world->pinless, i == 0 ? "whole" : "grows", &other[i]));
        requests[i].array = other[i];
    }
    untorn_status status = untorn_snapshot_open(pinned ? world->reader : world->pinless,
                                                pinned ? kept : other, 2, UNTORN_NEWEST, &snapshot);
    for (int turn = 0; turn < 10 && status == UNTORN_OK; turn++) {
        status = untorn_snapshot_read_group(snapshot, NULL, requests, 2);
        if (status == UNTORN_OK)
            check_grows(&requests[1], check_whole(&requests[0]));
    }
    if (pinned || status != UNTORN_E_OVERTAKEN)
        must_ok(status);
    world->overtaken += status != UNTORN_OK;
    world->snapshots++;
    untorn_snapshot_close(snapshot);
    for (int i = 0; i < 2; i++) {
        untorn_array_close(other[i]);
        requests[i].array = kept[i];
    }
}

static void *read_on(void *argument) {
    struct world *world = argument;
    struct test_rng rng = {world->seed++};
    uint64_t start[2][2], steps[2][2];
    untorn_request requests[2] = {{.flags = UNTORN_GROW}, {.flags = UNTORN_GROW}};
    must_ok(untorn_array_open(world->reader, "whole", &requests[0].array));
    must_ok(untorn_array_open(world->reader, "grows", &requests[1].array));
    for (int i = 0; i < 2; i++) {
        requests[i].start = start[i];
        requests[i].steps = steps[i];
    }
    while (!world->stop) {
        for (int i = 0; i < 2; i++)
            for (int axis = 0; axis < 2; axis++) {
                steps[i][axis] = rng_range(&rng, 1, rng_chance(&rng, 70) ? 8 : 40);
                start[i][axis] = i == 1 && axis == 0 ? 0 : rng_below(&rng, WIDTH);
            }
        if (rng_chance(&rng, 30)) {
            read_snapshot(world, &rng, requests);
        } else {
            must_ok(untorn_read_group(world->reader, requests, 2, NULL));
            check_grows(&requests[1], check_whole(&requests[0]));
        }
        world->reads++;
    }
    for (int i = 0; i < 2; i++) {
        untorn_array_close(requests[i].array);
        free(requests[i].destination);
    }
    return NULL;
}

static untorn_writer_array *define(struct world *world, const char *name, const uint64_t *shape,
                                   const uint64_t *chunks) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    definition.dtype = "u8";
    definition.rank = 2;
    definition.shape = shape;
    definition.chunks = chunks;
    must_ok(untorn_define(world->writer, name, &definition, &array));
    return array;
}

static void P1_P2_reads_with_steps_are_of_one_commit(void **state) {
    (void)state;
    static struct world world;
    const char *segment = test_segment("stepped-writer");
    world.commits = test_count(20000);
    world.seed = test_seed();
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 64u << 20;
    options.versions = 2;
    must_ok(untorn_writer_open(segment, &options, &world.writer));
    world.whole =
        define(&world, "whole", (const uint64_t[2]){ROWS, COLUMNS}, (const uint64_t[2]){7, 8});
    world.grows =
        define(&world, "grows", (const uint64_t[2]){0, WIDTH}, (const uint64_t[2]){64, 4});
    write_one(&world, 1);
    untorn_reader_options pinless = UNTORN_READER_OPTIONS_INIT;
    pinless.flags = UNTORN_READ_NO_CONTROL;
    must_ok(untorn_reader_open(segment, NULL, &world.reader));
    must_ok(untorn_reader_open(segment, &pinless, &world.pinless));
    pthread_t threads[READERS + 1];
    must(pthread_create(&threads[0], NULL, write_on, &world) == 0, "pthread_create");
    for (int i = 1; i <= READERS; i++)
        must(pthread_create(&threads[i], NULL, read_on, &world) == 0, "pthread_create");
    for (int i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    print_message("%llu reads, %llu of snapshots, %llu overtaken\n",
                  (unsigned long long)world.reads, (unsigned long long)world.snapshots,
                  (unsigned long long)world.overtaken);
    untorn_reader_close(world.pinless);
    untorn_reader_close(world.reader);
    untorn_writer_close(world.writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_P2_reads_with_steps_are_of_one_commit),
    };
    return cmocka_run_group_tests_name("steps and a busy writer", tests, NULL, NULL);
}
