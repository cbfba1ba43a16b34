// SPDX-License-Identifier: MIT
/*
 * P2: several arrays always as of one commit.  Each transaction rewrites arrays of
 * very different size with one stamp, in a changing order; a group read, and a
 * snapshot however long it is kept, must show one stamp in all of them.  "rare" is
 * left out of most transactions, "hot" gets many commits of its own in between, so
 * that a group has members of very different pace.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/stamped.h"

static const struct stamped arrays[] = {
    {"g/tiny", 1, "u8", 0, {0}, {0}},
    {"g/small", 2, "i4", 1, {50}, {7}},
    {"g/plane", 3, "f4", 2, {120, 130}, {17, 130}},
    {"g/cube", 4, "u2", 3, {10, 60, 61}, {1, 30, 61}},
    {"g/big", 5, "f8", 1, {60000}, {10000}},
    {"other/wide", 6, "V3", 2, {3, 5000}, {3, 999}},
};
#define ARRAYS (sizeof arrays / sizeof arrays[0])
#define READERS 3

static const struct stamped hot = {"hot", 7, "u8", 1, {4}, {4}};
static const struct stamped rare = {"rare", 8, "u8", 1, {300}, {100}};

struct board {
    const char *segment;
    uint64_t rounds;
    _Atomic int stop;
    _Atomic uint64_t kept_to_the_end;
    _Atomic uint64_t snapshots;
    _Atomic uint64_t overtaken;
};

static int write_on(void *argument, int report, int orders) {
    struct board *board = argument;
    struct test_rng rng = {17};
    untorn_writer *writer = NULL;
    untorn_writer_array *handles[ARRAYS];
    (void)orders;
    must_ok(untorn_writer_open(board->segment, NULL, &writer));
    for (size_t i = 0; i < ARRAYS; i++)
        handles[i] = stamped_require(writer, &arrays[i]);
    untorn_writer_array *hot_handle = stamped_require(writer, &hot);
    untorn_writer_array *rare_handle = stamped_require(writer, &rare);
    must_ok(stamped_write(rare_handle, &rare, 1));
    must_ok(stamped_write(hot_handle, &hot, 1));
    for (uint64_t stamp = 1; !board->stop; stamp++) {
        size_t first = (size_t)rng_below(&rng, ARRAYS);
        for (size_t i = 0; i < ARRAYS; i++) {
            size_t at = (first + i) % ARRAYS;
            must_ok(stamped_write(handles[at], &arrays[at], stamp));
        }
        if (stamp % 50 == 0)
            must_ok(stamped_write(rare_handle, &rare, stamp));
        must_ok(untorn_commit(writer, NULL));
        if (stamp == 1)
            test_send(report, 1);
        for (uint64_t i = rng_below(&rng, 30); i > 0; i--) {
            must_ok(stamped_write(hot_handle, &hot, stamp * 100 + i));
            must_ok(untorn_commit(writer, NULL));
        }
    }
    untorn_writer_close(writer);
    return 0;
}

static uint64_t read_snapshot(untorn_snapshot *snapshot, size_t *order, uint64_t *rare_stamp) {
    uint64_t stamp = 0;
    for (size_t i = 0; i < ARRAYS; i++) {
        uint64_t own = 0;
        untorn_status status = stamped_snapshot_read(snapshot, i, &arrays[order[i]], &own);
        if (status == UNTORN_E_OVERTAKEN)
            return 0;
        must_ok(status);
        must(i == 0 || own == stamp, "TORN snapshot: %s has stamp %llu, not %llu",
             arrays[order[i]].name, (unsigned long long)own, (unsigned long long)stamp);
        stamp = own;
    }
    untorn_status status = stamped_snapshot_read(snapshot, ARRAYS, &rare, rare_stamp);
    if (status == UNTORN_E_OVERTAKEN)
        return 0;
    must_ok(status);
    return stamp;
}

struct handles {
    untorn_reader *reader;
    untorn_array *arrays[ARRAYS + 2]; // rare and hot at the end
};

static void attach(struct handles *handles, const char *segment) {
    must_ok(untorn_reader_open(segment, NULL, &handles->reader));
    for (size_t i = 0; i < ARRAYS; i++)
        must_ok(untorn_array_open(handles->reader, arrays[i].name, &handles->arrays[i]));
    must_ok(untorn_array_open(handles->reader, "rare", &handles->arrays[ARRAYS]));
    must_ok(untorn_array_open(handles->reader, "hot", &handles->arrays[ARRAYS + 1]));
}

static uint64_t keep_a_snapshot(struct board *board, struct handles *handles, uint64_t last) {
    size_t order[ARRAYS];
    untorn_array *ordered[ARRAYS + 2];
    for (size_t i = 0; i < ARRAYS; i++) {
        order[i] = (i * 5 + 1) % ARRAYS;
        ordered[i] = handles->arrays[order[i]];
    }
    ordered[ARRAYS] = handles->arrays[ARRAYS];
    ordered[ARRAYS + 1] = handles->arrays[ARRAYS + 1];
    untorn_snapshot *snapshot = NULL;
    uint64_t rare_stamp = 0;
    must_ok(untorn_snapshot_open(handles->reader, ordered, ARRAYS + 2, UNTORN_NEWEST, &snapshot));
    uint64_t stamp = read_snapshot(snapshot, order, &rare_stamp);
    board->snapshots++;
    for (int again = 0; stamp && again < 3; again++) {
        must(stamp >= last, "the snapshot steps back");
        must(rare_stamp == (stamp < 50 ? 1 : stamp / 50 * 50), "TORN snapshot: rare %llu at %llu",
             (unsigned long long)rare_stamp, (unsigned long long)stamp);
        test_sleep_us(1000); // dozens of commits
        uint64_t same = read_snapshot(snapshot, order, &rare_stamp);
        must(same == 0 || same == stamp, "TORN: one snapshot, two stamps");
        if (same == 0)
            break;
        board->kept_to_the_end += again == 2;
        must_ok(untorn_snapshot_check(snapshot));
    }
    board->overtaken += untorn_snapshot_check(snapshot) == UNTORN_E_OVERTAKEN;
    untorn_snapshot_close(snapshot);
    return stamp ? stamp : last;
}

static int read_on(void *argument, int report, int orders) {
    struct board *board = argument;
    struct handles handles;
    uint64_t last = 0;
    (void)report;
    (void)orders;
    attach(&handles, board->segment);
    for (uint64_t i = 0; i < board->rounds; i++) {
        uint64_t stamp = 0;
        untorn_result result;
        must_ok(
            stamped_read_group(handles.reader, handles.arrays, arrays, ARRAYS, &stamp, &result));
        must(stamp >= last, "the group steps back from %llu to %llu", (unsigned long long)last,
             (unsigned long long)stamp);
        last = stamp;
        must_ok(stamped_read(handles.arrays[4], &arrays[4], &stamp, &result));
        must(stamp >= last, "a read steps back behind the group");
        last = keep_a_snapshot(board, &handles, stamp);
    }
    untorn_reader_close(handles.reader);
    return 0;
}

static void P2_groups_and_snapshots_are_of_one_commit(void **state) {
    (void)state;
    skip_under_tsan();
    struct board *board = test_shared(sizeof *board);
    board->segment = test_segment("groups");
    board->rounds = test_count(2000);
    struct test_child writer = test_child_start(write_on, board);
    test_receive(writer.from);
    struct test_child readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = test_child_start(read_on, board);
    for (int i = 0; i < READERS; i++)
        test_child_finish(&readers[i]);
    board->stop = 1;
    test_child_finish(&writer);
    print_message("%llu snapshots, %llu kept, %llu overtaken\n",
                  (unsigned long long)board->snapshots, (unsigned long long)board->kept_to_the_end,
                  (unsigned long long)board->overtaken);
    must(board->overtaken == 0, "there is room for every pin, so every snapshot stays");
    must_ok(untorn_segment_remove(board->segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P2_groups_and_snapshots_are_of_one_commit),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
