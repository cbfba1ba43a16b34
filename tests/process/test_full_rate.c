// SPDX-License-Identifier: MIT
/*
 * Readers in other processes against a writer that commits as fast as it can, for
 * every dtype and many shapes: every read is of one generation, finishes, and never
 * is of an earlier one than the read before.
 *
 * The writer rewrites one array at a time, by turns as a whole and chunk by chunk,
 * until both readers have read it often enough; then all go on to the next.
 */
#include <string.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/stamped.h"

static const struct stamped arrays[] = {
    {"scalar/f8", 1, "f8", 0, {0}, {0}},
    {"scalar/i1", 2, "i1", 0, {0}, {0}},
    {"scalar/S100", 3, "S100", 0, {0}, {0}},
    {"one/bool", 4, "?", 1, {1000}, {7}},
    {"one/i1", 5, "i1", 1, {100000}, {4099}},
    {"one/i2", 6, "i2", 1, {513}, {513}},
    {"one/i4", 7, "i4", 1, {100}, {33}},
    {"one/i8", 8, "i8", 1, {200}, {100}},
    {"two/u1", 9, "u1", 2, {301, 97}, {10, 97}},
    {"two/u2", 10, "u2", 2, {64, 64}, {31, 17}},
    {"two/u4", 11, "u4", 2, {512, 256}, {100, 100}},
    {"two/u8", 12, "u8", 2, {1000, 125}, {1000, 125}},
    {"three/f2", 13, "f2", 3, {9, 30, 31}, {2, 7, 31}},
    {"three/f4", 14, "f4", 3, {3, 5, 7}, {1, 1, 1}},
    {"three/f8", 15, "f8", 3, {16, 64, 64}, {4, 64, 64}},
    {"four/c8", 16, "c8", 4, {3, 4, 5, 6}, {2, 3, 2, 5}},
    {"four/c16", 17, "c16", 4, {2, 2, 40, 40}, {1, 2, 13, 40}},
    {"five/S3", 18, "S3", 5, {2, 3, 4, 5, 6}, {2, 1, 3, 5, 4}},
    {"five/V7", 19, "V7", 5, {3, 3, 3, 3, 9}, {2, 2, 2, 2, 2}},
    {"six/V1", 20, "V1", 6, {2, 3, 2, 3, 2, 30}, {1, 2, 2, 3, 1, 7}},
    {"big/f4", 21, "f4", 2, {1024, 1024}, {256, 1024}},
};
#define ARRAYS (sizeof arrays / sizeof arrays[0])
#define READERS 2

struct board {
    const char *segment;
    _Atomic uint64_t phase; // the array that is rewritten; ARRAYS: the end
    _Atomic uint64_t commits;
    uint64_t reads;
    unsigned flags;
    unsigned patience; // of readers: attempts without a pin
    uint64_t size;     // of the segment
    _Atomic uint64_t overtaken;
    _Atomic uint64_t attempts;
    _Atomic uint64_t pinned;
};

static int write_on(void *argument, int report, int orders) {
    struct board *board = argument;
    untorn_writer *writer = NULL;
    untorn_writer_array *handles[ARRAYS];
    (void)orders;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = board->size;
    options.versions = 2;
    must_ok(untorn_writer_open(board->segment, &options, &writer));
    for (size_t i = 0; i < ARRAYS; i++) {
        handles[i] = stamped_require(writer, &arrays[i]);
        must_ok(stamped_write(handles[i], &arrays[i], 1));
    }
    must_ok(untorn_commit(writer, NULL));
    test_send(report, 1);
    uint64_t stamp = 1;
    for (uint64_t phase; (phase = board->phase) < ARRAYS;) {
        stamp++;
        if (stamp & 1 && stamped_size(&arrays[phase]) < 100000)
            must_ok(stamped_fill(handles[phase], &arrays[phase], stamp));
        else
            must_ok(stamped_write(handles[phase], &arrays[phase], stamp));
        must_ok(untorn_commit(writer, NULL));
        board->commits++;
    }
    untorn_writer_close(writer);
    return 0;
}

static void read_phase(struct board *board, untorn_array *array, const struct stamped *stamped) {
    uint64_t last = 0;
    uint64_t generation = 0;
    uint64_t wanted = stamped_size(stamped) > 1000000 ? board->reads / 10 : board->reads;
    int ordered = stamped_size(stamped) >= 8; // else the stamp is cut off
    for (uint64_t i = 0; i <= wanted; i++) {
        uint64_t stamp = 0;
        untorn_result result;
        untorn_status status = stamped_read(array, stamped, &stamp, &result);
        if (status == UNTORN_E_OVERTAKEN && board->flags & UNTORN_READ_NO_CONTROL) {
            board->overtaken++;
            continue;
        }
        must_ok(status);
        must(!ordered || stamp >= last, "%s: stamp %llu after %llu", stamped->name,
             (unsigned long long)stamp, (unsigned long long)last);
        must(result.generation >= generation, "%s: generations step back", stamped->name);
        must(!ordered || result.generation > generation || stamp == last || generation == 0,
             "%s: one generation, two stamps", stamped->name);
        last = stamp;
        generation = result.generation;
        board->attempts += result.attempts;
        board->pinned += result.pinned;
    }
}

static int read_on(void *argument, int report, int orders) {
    struct board *board = argument;
    untorn_reader *reader = NULL;
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = board->flags;
    options.attempts = board->patience;
    must_ok(untorn_reader_open(board->segment, &options, &reader));
    for (size_t i = 0; i < ARRAYS; i++) {
        untorn_array *array = NULL;
        must_ok(untorn_array_open(reader, arrays[i].name, &array));
        must(test_receive(orders) == i, "phase");
        read_phase(board, array, &arrays[i]);
        untorn_array_close(array);
        test_send(report, i);
    }
    untorn_reader_close(reader);
    return 0;
}

static void run(const char *name, unsigned flags, unsigned attempts, uint64_t size,
                uint64_t reads) {
    struct board *board = test_shared(sizeof *board);
    board->segment = test_segment(name);
    board->reads = reads;
    board->flags = flags;
    board->patience = attempts;
    board->size = size;
    struct test_child writer = test_child_start(write_on, board);
    test_receive(writer.from);
    struct test_child readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = test_child_start(read_on, board);
    for (size_t phase = 0; phase < ARRAYS; phase++) {
        board->phase = phase;
        for (int i = 0; i < READERS; i++)
            test_send(readers[i].to, phase);
        for (int i = 0; i < READERS; i++)
            test_receive(readers[i].from);
    }
    for (int i = 0; i < READERS; i++)
        test_child_finish(&readers[i]);
    board->phase = ARRAYS;
    test_child_finish(&writer);
    print_message("%llu commits, %llu attempts, %llu reads pinned, %llu overtaken\n",
                  (unsigned long long)board->commits, (unsigned long long)board->attempts,
                  (unsigned long long)board->pinned, (unsigned long long)board->overtaken);
    must_ok(untorn_segment_remove(board->segment));
}

static void P1_P4_every_read_finishes_whole_at_full_rate(void **state) {
    (void)state;
    skip_under_tsan();
    run("rate", 0, 0, 0, test_count(3000));
    // Two versions and hardly more: readers soon ask for a pin.
    run("tight", 0, 1, 48u << 20, test_count(2000));
}

static void P7_without_rights_to_pin_every_read_is_whole_or_an_error(void **state) {
    (void)state;
    skip_under_tsan();
    run("unpinned", UNTORN_READ_NO_CONTROL, 0, 48u << 20, test_count(2000));
}

/* ---- a shape that changes with every commit ---- */

// "wave" has as many elements as its stamp says, each of them the stamp.
static uint64_t wave_length(uint64_t stamp) {
    return 1 + stamp * 7 % 50;
}

static int wave_on(void *argument, int report, int orders) {
    struct board *board = argument;
    uint64_t chunk = 16;
    uint64_t length = 1;
    uint64_t values[50];
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer *writer = NULL;
    untorn_writer_array *wave = NULL;
    (void)orders;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    must_ok(untorn_writer_open(board->segment, NULL, &writer));
    must_ok(untorn_define(writer, "wave", &definition, &wave));
    for (uint64_t stamp = 0; board->phase == 0; stamp++) {
        length = wave_length(stamp);
        for (uint64_t i = 0; i < length; i++)
            values[i] = stamp;
        must_ok(untorn_resize(wave, &length));
        must_ok(untorn_write(wave, NULL, NULL, NULL, values));
        must_ok(untorn_commit(writer, NULL));
        board->commits++;
        if (stamp == 0)
            test_send(report, 1);
    }
    untorn_writer_close(writer);
    return 0;
}

static int read_wave(void *argument, int report, int orders) {
    struct board *board = argument;
    untorn_reader *reader = NULL;
    untorn_array *wave = NULL;
    uint64_t values[50];
    uint64_t last = 0;
    (void)report;
    (void)orders;
    must_ok(untorn_reader_open(board->segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "wave", &wave));
    for (uint64_t i = 0; i < board->reads; i++) {
        untorn_result result;
        must_ok(untorn_read(wave, NULL, NULL, values, sizeof values, &result));
        uint64_t stamp = values[0];
        must(stamp >= last && result.shape[0] == wave_length(stamp),
             "TORN: length %llu at stamp %llu after %llu", (unsigned long long)result.shape[0],
             (unsigned long long)stamp, (unsigned long long)last);
        for (uint64_t j = 0; j < result.shape[0]; j++)
            must(values[j] == stamp, "TORN: element %llu", (unsigned long long)j);
        last = stamp;
    }
    untorn_reader_close(reader);
    return 0;
}

static void P1_shape_and_data_change_together_at_full_rate(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = test_shared(sizeof *board);
    board->segment = test_segment("wave");
    board->reads = test_count(500000);
    struct test_child writer = test_child_start(wave_on, board);
    test_receive(writer.from);
    struct test_child readers[READERS + 1];
    for (int i = 0; i <= READERS; i++)
        readers[i] = test_child_start(read_wave, board);
    for (int i = 0; i <= READERS; i++)
        test_child_finish(&readers[i]);
    board->phase = 1;
    test_child_finish(&writer);
    print_message("%llu commits under %llu reads\n", (unsigned long long)board->commits,
                  (unsigned long long)board->reads * (READERS + 1));
    must_ok(untorn_segment_remove(board->segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_P4_every_read_finishes_whole_at_full_rate),
        cmocka_unit_test(P1_shape_and_data_change_together_at_full_rate),
        cmocka_unit_test(P7_without_rights_to_pin_every_read_is_whole_or_an_error),
    };
    return cmocka_run_group_tests_name("full rate", tests, NULL, NULL);
}
