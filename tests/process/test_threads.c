// SPDX-License-Identifier: MIT
/*
 * The same in one process, for ThreadSanitizer: a writer thread at full rate, whose
 * chunks are partly filled by several threads at once, and reader threads that share
 * one reader, with handles of their own.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/pattern.h"
#include "../support/scale.h"
#include "../support/stamped.h"
#include "base/racy_copy.h"

static const struct stamped arrays[] = {
    {"t/scalar", 1, "f8", 0, {0}, {0}},
    {"t/row", 2, "i4", 1, {300}, {41}},
    {"t/plane", 3, "u2", 2, {40, 90}, {9, 90}},
    {"t/rows", 4, "u8", 2, {24, 64}, {4, 64}},
};
#define ARRAYS (sizeof arrays / sizeof arrays[0])
#define READERS 3
#define FILLERS 3

struct world {
    untorn_writer *writer;
    untorn_writer_array *handles[ARRAYS];
    untorn_reader *reader;
    uint64_t commits;
    _Atomic int stop;
    _Atomic uint64_t reads;
    const char *segment;
};

struct filler {
    untorn_writer_array *array;
    uint64_t stamp;
    uint64_t first;
    const unsigned char *bytes;
};

// Every FILLERS-th chunk of "t/rows", whose chunks are contiguous in the array.
static void *fill_some(void *argument) {
    struct filler *filler = argument;
    const struct stamped *rows = &arrays[3];
    size_t chunk = (size_t)(rows->chunks[0] * rows->chunks[1]) * 8;
    for (uint64_t i = filler->first; i < rows->shape[0] / rows->chunks[0]; i += FILLERS) {
        uint64_t index[2] = {i, 0};
        void *memory = NULL;
        must_ok(untorn_chunk_begin(filler->array, index, 0, &memory));
        ut_racy_copy(memory, filler->bytes + i * chunk, chunk);
        must_ok(untorn_chunk_done(filler->array, index));
    }
    return NULL;
}

static void fill_by_threads(struct world *world, uint64_t stamp, unsigned char *bytes) {
    pthread_t threads[FILLERS];
    struct filler fillers[FILLERS];
    pattern_fill(arrays[3].id, stamp, 0, bytes, stamped_size(&arrays[3]));
    for (uint64_t i = 0; i < FILLERS; i++) {
        fillers[i] = (struct filler){world->handles[3], stamp, i, bytes};
        must(pthread_create(&threads[i], NULL, fill_some, &fillers[i]) == 0, "pthread_create");
    }
    for (int i = 0; i < FILLERS; i++)
        pthread_join(threads[i], NULL);
}

static void *write_on(void *argument) {
    struct world *world = argument;
    unsigned char *bytes = malloc(stamped_size(&arrays[3]));
    for (uint64_t stamp = 2; stamp < 2 + world->commits; stamp++) {
        for (size_t i = 0; i < ARRAYS; i++) {
            if (i == 3 && stamp % 8 == 0)
                fill_by_threads(world, stamp, bytes);
            else if (stamp % 2)
                must_ok(stamped_fill(world->handles[i], &arrays[i], stamp));
            else
                must_ok(stamped_write(world->handles[i], &arrays[i], stamp));
        }
        must_ok(untorn_commit(world->writer, NULL));
    }
    free(bytes);
    world->stop = 1;
    return NULL;
}

static void *read_on(void *argument) {
    struct world *world = argument;
    untorn_array *handles[ARRAYS];
    uint64_t last = 0;
    for (size_t i = 0; i < ARRAYS; i++)
        must_ok(untorn_array_open(world->reader, arrays[i].name, &handles[i]));
    while (!world->stop) {
        uint64_t stamp = 0;
        untorn_result result;
        must_ok(stamped_read_group(world->reader, handles, arrays, ARRAYS, &stamp, &result));
        must(stamp >= last, "the group steps back");
        last = stamp;
        must_ok(stamped_read(handles[last & 3], &arrays[last & 3], &stamp, &result));
        must(stamp >= last, "a read steps back");
        untorn_snapshot *snapshot = NULL;
        must_ok(untorn_snapshot_open(world->reader, handles, ARRAYS, UNTORN_NEWEST, &snapshot));
        for (int turn = 0; turn < 2; turn++) {
            uint64_t first = 0;
            for (size_t i = 0; i < ARRAYS; i++) {
                must_ok(stamped_snapshot_read(snapshot, i, &arrays[i], &stamp));
                must(i == 0 || stamp == first, "TORN snapshot: %s", arrays[i].name);
                first = stamp;
            }
        }
        must(stamp >= last, "a snapshot steps back");
        last = stamp;
        untorn_snapshot_close(snapshot);
        untorn_status status = untorn_wait(handles[0], result.generation, 1000);
        must(status == UNTORN_OK || status == UNTORN_E_TIMEOUT, "wait: %d", (int)status);
        world->reads++;
    }
    for (size_t i = 0; i < ARRAYS; i++)
        untorn_array_close(handles[i]);
    return NULL;
}

static void P1_P2_threads_of_one_process(void **state) {
    (void)state;
    static struct world world;
    world = (struct world){.segment = test_segment("threads"),
                           .commits = test_count(TEST_TSAN ? 150000 : 30000)};
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 8u << 20;
    must_ok(untorn_writer_open(world.segment, &options, &world.writer));
    for (size_t i = 0; i < ARRAYS; i++) {
        world.handles[i] = stamped_require(world.writer, &arrays[i]);
        must_ok(stamped_write(world.handles[i], &arrays[i], 1));
    }
    must_ok(untorn_commit(world.writer, NULL));
    must_ok(untorn_reader_open(world.segment, NULL, &world.reader));
    pthread_t threads[READERS + 1];
    must(pthread_create(&threads[0], NULL, write_on, &world) == 0, "pthread_create");
    for (int i = 1; i <= READERS; i++)
        must(pthread_create(&threads[i], NULL, read_on, &world) == 0, "pthread_create");
    for (int i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    print_message("%llu commits, %llu rounds of reading\n", (unsigned long long)world.commits,
                  (unsigned long long)world.reads);
    untorn_reader_close(world.reader);
    untorn_writer_close(world.writer);
    must_ok(untorn_segment_remove(world.segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_P2_threads_of_one_process),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
