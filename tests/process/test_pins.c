// SPDX-License-Identifier: MIT
/*
 * Pins: a snapshot stays what it is however many commits follow; a killed reader's
 * pin is given up before a living one's; when space is out the newest pins go, and
 * a commit never fails because of a pin.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"
#include "../support/stamped.h"

#define MIB (1u << 20)

static const struct stamped megabyte = {"megabyte", 1, "f8", 1, {131072}, {16384}};

struct pinner {
    const char *segment;
    const struct stamped *stamped;
};

// Take a snapshot, report its stamp, then answer: 1 look again (report the stamp, 0 if it was
// revoked), 0 end.
static int hold_a_pin(void *argument, int report, int orders) {
    struct pinner *pinner = argument;
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    untorn_snapshot *snapshot = NULL;
    uint64_t stamp = 0;
    must_ok(untorn_reader_open(pinner->segment, NULL, &reader));
    must_ok(untorn_array_open(reader, pinner->stamped->name, &array));
    must_ok(untorn_snapshot_open(reader, &array, 1, UNTORN_NEWEST, &snapshot));
    must_ok(stamped_snapshot_read(snapshot, 0, pinner->stamped, &stamp));
    test_send(report, stamp);
    for (uint64_t order; test_receive_maybe(orders, &order) && order;) {
        uint64_t again = 0;
        untorn_status status = stamped_snapshot_read(snapshot, 0, pinner->stamped, &again);
        if (status == UNTORN_E_OVERTAKEN) {
            test_send(report, 0);
            continue;
        }
        must_ok(status);
        must(again == stamp, "TORN: a pinned snapshot changed from %llu to %llu",
             (unsigned long long)stamp, (unsigned long long)again);
        test_send(report, again);
    }
    untorn_snapshot_close(snapshot);
    untorn_reader_close(reader);
    return 0;
}

struct bench {
    struct pinner pinner;
    untorn_writer *writer;
    untorn_writer_array *array;
    uint64_t stamp;
};

static struct bench begin(const char *name, const struct stamped *stamped, uint64_t size) {
    struct bench bench = {.pinner = {test_segment(name), stamped}};
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = size;
    options.versions = 2;
    must_ok(untorn_writer_open(bench.pinner.segment, &options, &bench.writer));
    bench.array = stamped_require(bench.writer, stamped);
    return bench;
}

static void commit(struct bench *bench, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        must_ok(stamped_write(bench->array, bench->pinner.stamped, ++bench->stamp));
        must_ok(untorn_commit(bench->writer, NULL));
    }
}

static struct test_child start_pinner(struct bench *bench) {
    struct test_child child = test_child_start(hold_a_pin, &bench->pinner);
    uint64_t stamp = test_receive(child.from);
    must(stamp == bench->stamp, "the newest");
    return child;
}

static uint64_t ask(struct test_child *child) {
    test_send(child->to, 1);
    return test_receive(child->from);
}

static void end_pinner(struct test_child *child) {
    test_send(child->to, 0);
    test_child_finish(child);
}

static void end(struct bench *bench) {
    untorn_writer_close(bench->writer);
    must_ok(untorn_segment_remove(bench->pinner.segment));
}

static void P2_a_snapshot_stays_over_many_commits(void **state) {
    (void)state;
    skip_under_tsan();
    struct bench bench = begin("stays", &megabyte, 32u * MIB);
    struct test_child children[6];
    for (int i = 0; i < 6; i++) {
        commit(&bench, 3);
        children[i] = start_pinner(&bench);
    }
    uint64_t stamps[6];
    for (int i = 0; i < 6; i++)
        stamps[i] = ask(&children[i]);
    commit(&bench, (unsigned)test_count(400));
    for (int i = 0; i < 6; i++)
        must(ask(&children[i]) == stamps[i], "there was room for this pin");
    // The next writer keeps them.
    untorn_writer_close(bench.writer);
    must_ok(untorn_writer_open(bench.pinner.segment, NULL, &bench.writer));
    bench.array = stamped_require(bench.writer, &megabyte);
    commit(&bench, 100);
    for (int i = 0; i < 6; i++) {
        must(ask(&children[i]) == stamps[i], "pins survive the writer");
        end_pinner(&children[i]);
    }
    commit(&bench, 20);
    end(&bench);
}

static void P4_a_dead_readers_pin_goes_before_a_living_ones(void **state) {
    (void)state;
    skip_under_tsan();
    struct bench bench = begin("dead", &megabyte, 9u * MIB);
    struct test_child dead[3];
    for (int i = 0; i < 3; i++) {
        commit(&bench, 1);
        dead[i] = start_pinner(&bench);
    }
    commit(&bench, 1);
    struct test_child living = start_pinner(&bench); // the newest: first to go among the living
    uint64_t stamp = ask(&living);
    commit(&bench, 3);
    for (int i = 0; i < 3; i++)
        test_child_kill(&dead[i]);
    // Three megabytes more than there is without the dead ones' pins.
    static const struct stamped more = {"more", 2, "f8", 1, {3 * 131072}, {16384}};
    untorn_writer_array *array = stamped_require(bench.writer, &more);
    must_ok(stamped_write(array, &more, 1));
    must_ok(untorn_commit(bench.writer, NULL));
    commit(&bench, 20);
    must(ask(&living) == stamp, "a living reader's pin went, where dead ones' were enough");
    end_pinner(&living);
    end(&bench);
}

static void P3_a_commit_never_fails_because_of_a_pin(void **state) {
    (void)state;
    skip_under_tsan();
    struct bench bench = begin("revoked", &megabyte, 8u * MIB);
    enum { PINS = 12 };
    struct test_child children[PINS];
    uint64_t stamps[PINS];
    unsigned kept = 0;
    for (int i = 0; i < PINS; i++) {
        commit(&bench, 2);
        children[i] = start_pinner(&bench);
        stamps[i] = bench.stamp;
    }
    commit(&bench, (unsigned)test_count(400));
    for (int i = 0; i < PINS; i++) {
        uint64_t stamp = ask(&children[i]);
        must(stamp == 0 || stamp == stamps[i], "TORN: a pin of another commit");
        kept += stamp != 0;
    }
    print_message("%u of %d pins of 1 MiB kept in 8 MiB\n", kept, PINS);
    must(kept < PINS, "they cannot all be there");
    must(kept > 0, "there was room for some");
    must(ask(&children[0]) == stamps[0], "the oldest went before the newest");
    for (int i = 0; i < PINS; i++)
        end_pinner(&children[i]);
    commit(&bench, 10);
    end(&bench);
}

// Readers that need a pin for each read make progress in a segment that holds one version more.
static void P4_with_room_for_one_pin_readers_make_progress(void **state) {
    (void)state;
    skip_under_tsan();
    struct bench bench = begin("oneroom", &megabyte, 5u * MIB);
    commit(&bench, 1);
    struct test_child children[3];
    uint64_t rounds = test_count(25);
    uint64_t good = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < 3; i++) {
            children[i] = start_pinner(&bench);
            commit(&bench, 2);
        }
        commit(&bench, 5);
        for (int i = 0; i < 3; i++)
            good += ask(&children[i]) != 0;
        for (int i = 0; i < 3; i++)
            test_child_kill(&children[i]);
    }
    print_message("%llu of %llu pins lasted\n", (unsigned long long)good,
                  (unsigned long long)(3 * rounds));
    must(good >= rounds, "not even one pin of three lasted");
    end(&bench);
}

// Many readers at once, each dying with its pin: the writer finds its space again each time.
static void P5_killed_readers_leave_nothing_behind(void **state) {
    (void)state;
    skip_under_tsan();
    struct bench bench = begin("reaped", &megabyte, 8u * MIB);
    uint64_t rounds = test_count(100);
    commit(&bench, 1);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_child children[4];
        for (int i = 0; i < 4; i++) {
            children[i] = start_pinner(&bench);
            commit(&bench, 1);
        }
        for (int i = 0; i < 4; i++)
            test_child_kill(&children[i]);
        commit(&bench, 3);
    }
    end(&bench);
}

// Other processes can take the same commit by its number while a pin holds it.
static void P2_a_pinned_commit_can_be_joined(void **state) {
    (void)state;
    skip_under_tsan();
    struct bench bench = begin("joined", &megabyte, 16u * MIB);
    untorn_reader *reader = NULL;
    untorn_snapshot *first = NULL;
    untorn_snapshot *second = NULL;
    untorn_snapshot *none = NULL;
    uint64_t stamp = 0;
    commit(&bench, 3);
    must_ok(untorn_reader_open(bench.pinner.segment, NULL, &reader));
    must_ok(untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &first));
    uint64_t number = untorn_snapshot_commit(first);
    commit(&bench, 60);
    untorn_reader *other = NULL;
    must_ok(untorn_reader_open(bench.pinner.segment, NULL, &other));
    must_ok(untorn_snapshot_open(other, NULL, 0, number, &second));
    must(untorn_snapshot_commit(second) == number, "its number");
    must_ok(stamped_snapshot_read(second, 0, &megabyte, &stamp));
    must(stamp == 3, "stamp %llu", (unsigned long long)stamp);
    must_be(UNTORN_E_NO_COMMIT, untorn_snapshot_open(other, NULL, 0, number + 1, &none));
    must_be(UNTORN_E_NO_COMMIT,
            untorn_snapshot_open(other, NULL, 0, untorn_reader_commit(other) + 1000, &none));
    untorn_snapshot_close(second);
    untorn_snapshot_close(first);
    commit(&bench, 60);
    must_be(UNTORN_E_NO_COMMIT, untorn_snapshot_open(other, NULL, 0, number, &none));
    untorn_reader_close(other);
    untorn_reader_close(reader);
    end(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P2_a_snapshot_stays_over_many_commits),
        cmocka_unit_test(P4_a_dead_readers_pin_goes_before_a_living_ones),
        cmocka_unit_test(P3_a_commit_never_fails_because_of_a_pin),
        cmocka_unit_test(P4_with_room_for_one_pin_readers_make_progress),
        cmocka_unit_test(P5_killed_readers_leave_nothing_behind),
        cmocka_unit_test(P2_a_pinned_commit_can_be_joined),
    };
    return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}
