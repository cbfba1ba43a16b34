// SPDX-License-Identifier: MIT
/*
 * The case that made all this: a one-dimensional array in chunks of 100 is grown
 * from 100 to 200 elements and on, while readers in other processes read it.  None
 * may ever get the first chunks of a longer array, or a length without its elements.
 *
 * "log" is only appended to.  "frame" is resized and rewritten as a whole in the
 * same commit, with its length as the stamp.  Both always have one length.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/pattern.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define LOG 1
#define FRAME 2
#define READERS 3
#define LONGEST 30000u

struct scenario {
    const char *segment;
    uint64_t seed;
    uint64_t steps;
    _Atomic int stop; // shared with the readers
    _Atomic uint64_t length;
};

static uint64_t next_length(struct test_rng *rng, uint64_t step, uint64_t length) {
    static const uint64_t growths[] = {1, 37, 100, 100, 100, 199, 250, 1000};
    return step == 1 ? 200 : length + growths[rng_below(rng, 8)];
}

static void check_length(uint64_t length, const unsigned char *log_bytes, uint64_t stamp) {
    size_t bad = pattern_check(LOG, 0, 0, log_bytes, (size_t)length * 8);
    must(bad == PATTERN_GOOD, "TORN: log of %llu has a wrong byte at element %zu",
         (unsigned long long)length, bad / 8);
    must(stamp == 0 || stamp == length, "TORN: frame of %llu, log of %llu",
         (unsigned long long)stamp, (unsigned long long)length);
}

static uint64_t check_frame(uint64_t length, const unsigned char *bytes) {
    uint64_t stamp = pattern_stamp(bytes, (size_t)length * 8);
    must(stamp == length, "TORN: frame of length %llu has the content of length %llu",
         (unsigned long long)length, (unsigned long long)stamp);
    size_t bad = pattern_check(FRAME, stamp, 0, bytes, (size_t)length * 8);
    must(bad == PATTERN_GOOD, "TORN: frame of %llu has a wrong byte at element %zu",
         (unsigned long long)length, bad / 8);
    return stamp;
}

// Read alone, together, and from a snapshot; the length never steps back.
static int read_on(void *argument, int report, int orders) {
    struct scenario *scenario = argument;
    untorn_reader *reader = NULL;
    untorn_array *arrays[2];
    must_ok(untorn_reader_open(scenario->segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "log", &arrays[0]));
    must_ok(untorn_array_open(reader, "frame", &arrays[1]));
    size_t capacity = (size_t)LONGEST * 16;
    unsigned char *bytes = malloc(capacity);
    untorn_request requests[2] = {{.array = arrays[0], .flags = UNTORN_GROW},
                                  {.array = arrays[1], .flags = UNTORN_GROW}};
    uint64_t last = 0;
    uint64_t reads = 0;
    (void)orders;
    test_send(report, 1);
    for (int last_round = 0; !last_round; reads++) {
        last_round = scenario->stop;
        untorn_result result;
        uint64_t floor = scenario->length;
        must_ok(untorn_read(arrays[0], NULL, NULL, bytes, capacity, &result));
        check_length(result.shape[0], bytes, 0);
        must(result.shape[0] >= last && result.shape[0] >= floor, "the length steps back");
        must_ok(untorn_read(arrays[1], NULL, NULL, bytes, capacity, &result));
        last = check_frame(result.shape[0], bytes);
        must_ok(untorn_read_group(reader, requests, 2, &result));
        uint64_t length = requests[0].shape[0];
        must(length == requests[1].shape[0] && length >= last, "TORN: group of %llu and %llu",
             (unsigned long long)length, (unsigned long long)requests[1].shape[0]);
        check_length(length, requests[0].destination, check_frame(length, requests[1].destination));
        last = length;
        untorn_snapshot *snapshot = NULL;
        must_ok(untorn_snapshot_open(reader, arrays, 2, UNTORN_NEWEST, &snapshot));
        must_ok(untorn_snapshot_describe(snapshot, 0, NULL, &result));
        must(result.shape[0] >= last, "the snapshot's length steps back");
        last = result.shape[0];
        must_ok(untorn_snapshot_read(snapshot, 1, NULL, NULL, bytes, capacity));
        check_frame(last, bytes);
        must_ok(untorn_snapshot_read(snapshot, 0, NULL, NULL, bytes, capacity));
        check_length(last, bytes, last);
        untorn_snapshot_close(snapshot);
    }
    must(last == scenario->length, "the last length is %llu, not %llu", (unsigned long long)last,
         (unsigned long long)scenario->length);
    test_send(report, reads);
    free(requests[0].destination);
    free(requests[1].destination);
    free(bytes);
    untorn_reader_close(reader);
    return 0;
}

static void grow(untorn_writer *writer, untorn_writer_array **arrays, uint64_t from, uint64_t to,
                 unsigned char *bytes) {
    pattern_fill(LOG, 0, (size_t)from * 8, bytes, (size_t)(to - from) * 8);
    must_ok(untorn_append(arrays[0], 0, to - from, NULL, bytes));
    pattern_fill(FRAME, to, 0, bytes, (size_t)to * 8);
    must_ok(untorn_resize(arrays[1], &to));
    must_ok(untorn_write(arrays[1], NULL, NULL, NULL, bytes));
    must_ok(untorn_commit(writer, NULL));
}

static void P1_an_array_grown_from_100_to_200_is_never_half_written(void **state) {
    (void)state;
    skip_under_tsan();
    struct scenario *scenario = test_shared(sizeof *scenario);
    struct test_rng rng = {test_seed()};
    scenario->segment = test_segment("growing");
    scenario->steps = test_count(6000);
    untorn_writer *writer = NULL;
    untorn_writer_array *arrays[2];
    must_ok(untorn_writer_open(scenario->segment, NULL, &writer));
    uint64_t zero = 0;
    uint64_t chunk = 100;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "f8";
    definition.rank = 1;
    definition.shape = &zero;
    definition.chunks = &chunk;
    must_ok(untorn_define(writer, "log", &definition, &arrays[0]));
    must_ok(untorn_define(writer, "frame", &definition, &arrays[1]));
    unsigned char *bytes = malloc((size_t)LONGEST * 16);
    grow(writer, arrays, 0, 100, bytes);
    scenario->length = 100;
    struct test_child readers[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = test_child_start(read_on, scenario);
        test_receive(readers[i].from);
    }
    uint64_t length = 100;
    for (uint64_t step = 1; step <= scenario->steps; step++) {
        uint64_t next = next_length(&rng, step, length);
        if (next > LONGEST)
            next = length; // the frame goes on at one length; the log cannot shrink
        grow(writer, arrays, length, next, bytes);
        scenario->length = length = next;
        if (step % 8 == 0)
            test_sleep_us(500); // let readers in on two cores
    }
    scenario->stop = 1;
    uint64_t reads = 0;
    for (int i = 0; i < READERS; i++) {
        uint64_t own = 0;
        if (test_receive_maybe(readers[i].from, &own))
            reads += own;
        test_child_finish(&readers[i]);
    }
    print_message("%llu elements in %llu commits, %llu rounds of reading\n",
                  (unsigned long long)length, (unsigned long long)scenario->steps,
                  (unsigned long long)reads);
    free(bytes);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(scenario->segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P1_an_array_grown_from_100_to_200_is_never_half_written),
    };
    return cmocka_run_group_tests_name("growing array", tests, NULL, NULL);
}
