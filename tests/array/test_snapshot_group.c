// SPDX-License-Identifier: MIT
/*
 * untorn_snapshot_read_group(): every field of a request and every error, of a snapshot that the
 * writer has long gone on from, also of arrays that do not exist any more; and what is left of it
 * when the snapshot's pin has ended.  That the elements are right for any shapes, chunks, steps and
 * strides is test_regions.c's; that they are under a busy writer, test_stepped_writer.c's.
 */
#include <stdlib.h>
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"

#include "base/test_hooks.h"

#define AXES(...) ((const uint64_t[]){__VA_ARGS__})
#define PLACES(...) ((const size_t[]){__VA_ARGS__})
#define ROWS 10u
#define COLUMNS 20u

/* Places in a snapshot of all; what is in them counts up from `round` thousands. */
enum { PLANE, SERIES, NUMBER, ARRAYS };
static const char *const names[ARRAYS] = {"plane", "series", "number"};
static const struct {
    unsigned rank;
    uint64_t shape[2], chunks[2];
} kinds[ARRAYS] = {
    [PLANE] = {2, {ROWS, COLUMNS}, {4, 6}}, [SERIES] = {1, {30}, {64}}, [NUMBER] = {0, {0}, {0}}};

struct world {
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *array[ARRAYS];
    untorn_reader *reader;
    untorn_array *view[ARRAYS];
    untorn_snapshot *snapshot; /* of all, in round 1 */
    uint32_t round;
};

static void write_round(struct world *w) {
    uint32_t values[ROWS * COLUMNS], round = ++w->round;
    for (uint32_t i = 0; i < ROWS * COLUMNS; i++)
        values[i] = 1000 * round + i;
    for (int a = 0; a < ARRAYS; a++)
        must_ok(untorn_write(w->array[a], NULL, NULL, NULL, values));
    must_ok(untorn_set_attributes(w->array[SERIES], round == 1 ? "{\"round\": 1}" : "{}"));
    must_ok(untorn_commit(w->writer, NULL));
}

/* With more rounds behind it than the window holds; `flags` of the reader. */
static void begin(struct world *w, const char *name, unsigned flags) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_reader_options reading = UNTORN_READER_OPTIONS_INIT;
    memset(w, 0, sizeof *w);
    w->segment = test_segment(name);
    options.size = 8u << 20;
    options.versions = 2;
    reading.flags = flags;
    must_ok(untorn_writer_open(w->segment, &options, &w->writer));
    must_ok(untorn_reader_open(w->segment, &reading, &w->reader));
    for (int a = 0; a < ARRAYS; a++) {
        untorn_definition definition = UNTORN_DEFINITION_INIT;
        definition.dtype = "u4";
        definition.rank = kinds[a].rank;
        definition.shape = kinds[a].shape;
        definition.chunks = kinds[a].chunks;
        must_ok(untorn_define(w->writer, names[a], &definition, &w->array[a]));
    }
    write_round(w);
    for (int a = 0; a < ARRAYS; a++)
        must_ok(untorn_array_open(w->reader, names[a], &w->view[a]));
    must_ok(untorn_snapshot_open(w->reader, NULL, 0, UNTORN_NEWEST, &w->snapshot));
    for (size_t a = 0; a < ARRAYS; a++) {
        untorn_array_info info;
        must_ok(untorn_snapshot_describe(w->snapshot, a, &info, NULL));
        must(strcmp(info.name, names[a]) == 0, "the %zuth is \"%s\"", a, info.name);
    }
}

static void go_on(struct world *w) {
    for (int i = 0; i < 38; i++)
        write_round(w);
}

static void end(struct world *w) {
    untorn_reader_close(w->reader);
    untorn_writer_close(w->writer);
    must_ok(untorn_segment_remove(w->segment));
}

static untorn_status ask(struct world *w, untorn_request *request) {
    return untorn_snapshot_read_group(w->snapshot, NULL, request, 1);
}

static void every_field(void **state) {
    (void)state;
    struct world w;
    uint32_t plane[2][3] = {{0}}, whole[ROWS * COLUMNS], number = 0;
    char *json[2] = {NULL, NULL};
    untorn_result result;
    begin(&w, "snapshot-group", 0);
    go_on(&w);
    untorn_request requests[] = {
        {.array = w.view[SERIES],
         .start = AXES(3),
         .count = AXES(UNTORN_TO_END),
         .steps = AXES(5),
         .flags = UNTORN_GROW,
         .attributes = &json[0]},
        {.start = AXES(1, 2), /* the second array, transposed and backwards */
         .count = AXES(3, 2),
         .steps = AXES(4, 17),
         .strides = (const int64_t[]){-4, 12},
         .destination = &plane[0][2]},
        {.destination = &number, .capacity = sizeof number},
        {.array = w.view[PLANE],
         .destination = whole,
         .capacity = sizeof whole,
         .attributes = &json[1]},
        {.count = AXES(0), .steps = AXES(UINT64_MAX)},
        {.array = w.view[SERIES], .destination = whole + 199, .capacity = 4, .start = AXES(29)},
    };
    must_ok(untorn_snapshot_read_group(
        w.snapshot, PLACES(SERIES, PLANE, NUMBER, PLANE, SERIES, SERIES), requests, 6));
    const uint32_t *series = requests[0].destination;
    must(requests[0].counted[0] == 6 && requests[0].capacity >= 24, "3, 8, ... 28");
    for (uint32_t i = 0; i < 6; i++)
        must(series[i] == 1003 + 5 * i, "element %u of the series is %u", i, series[i]);
    for (uint32_t row = 0; row < 3; row++)
        for (uint32_t column = 0; column < 2; column++)
            must(plane[column][2 - row] == 1000 + (1 + 4 * row) * COLUMNS + 2 + 17 * column,
                 "row %u, column %u is %u", row, column, plane[column][2 - row]);
    must(number == 1000, "the number is %u", number);
    for (uint32_t i = 0; i < ROWS * COLUMNS - 1; i++)
        must(whole[i] == 1000 + i, "element %u of the plane is %u", i, whole[i]);
    must(whole[199] == 1029, "the last element of the series");
    must(requests[4].counted[0] == 0 && requests[4].shape[0] == 30, "nothing of 30");
    must(strcmp(json[0], "{\"round\": 1}") == 0 && strcmp(json[1], "{}") == 0, "attributes");
    for (size_t k = 0; k < 6; k++) {
        size_t place = PLACES(SERIES, PLANE, NUMBER, PLANE, SERIES, SERIES)[k];
        must_ok(untorn_snapshot_describe(w.snapshot, place, NULL, &result));
        must(requests[k].generation == result.generation && requests[k].commit == result.commit,
             "of request %zu", k);
        must(memcmp(requests[k].shape, kinds[place].shape, 8 * kinds[place].rank) == 0,
             "the shape of request %zu", k);
    }
    must(requests[3].counted[0] == ROWS && requests[3].counted[1] == COLUMNS, "all of it");
    must(requests[1].counted[0] == 3 && requests[1].counted[1] == 2, "3 by 2");

    /* By places that are not given: in the snapshot's order, as far as requests go. */
    requests[0].array = w.view[PLANE];
    requests[0].start = requests[0].count = requests[0].steps = NULL;
    requests[0].attributes = NULL;
    requests[1] = (untorn_request){.array = w.view[SERIES], .flags = UNTORN_GROW};
    must_ok(untorn_snapshot_read_group(w.snapshot, NULL, requests, 2));
    must(((uint32_t *)requests[0].destination)[199] == 1199, "a buffer that grew");
    must(((uint32_t *)requests[1].destination)[29] == 1029, "a buffer of the library's");

    /* Steps alone, and strides alone, of an array of one chunk, with room for all of it. */
    untorn_request alone[] = {
        {.steps = AXES(28), .destination = &whole[60], .capacity = 120},
        {.strides = (const int64_t[]){-4}, .destination = &whole[29], .capacity = 120}};
    must_ok(untorn_snapshot_read_group(w.snapshot, PLACES(SERIES, SERIES), alone, 2));
    must(alone[0].counted[0] == 2 && whole[60] == 1000 && whole[61] == 1028, "0 and 28");
    must(alone[1].counted[0] == 30 && whole[0] == 1029 && whole[29] == 1000, "backwards");
    for (size_t k = 0; k < 2; k++)
        free(requests[k].destination);
    free(json[0]);
    free(json[1]);
    end(&w);
}

/* A snapshot of named arrays has them at the places at which they were named. */
static void listed_arrays(void **state) {
    (void)state;
    struct world w;
    uint32_t got[2] = {0};
    begin(&w, "snapshot-group-listed", 0);
    untorn_array *listed[] = {w.view[NUMBER], w.view[SERIES], w.view[NUMBER]};
    untorn_snapshot_close(w.snapshot);
    must_ok(untorn_snapshot_open(w.reader, listed, 3, UNTORN_NEWEST, &w.snapshot));
    go_on(&w);
    untorn_request requests[] = {
        {.array = w.view[NUMBER], .destination = &got[0], .capacity = 4},
        {.start = AXES(7), .count = AXES(1), .destination = &got[1], .capacity = 4}};
    must_ok(untorn_snapshot_read_group(w.snapshot, NULL, requests, 2));
    must(got[0] == 1000 && got[1] == 1007, "%u and %u", got[0], got[1]);
    must_ok(untorn_snapshot_read_group(w.snapshot, PLACES(2, 1), requests, 2));
    must_say(UNTORN_E_ARGUMENT, "\"number\": is not the one at place 1 of the snapshot, \"series\"",
             untorn_snapshot_read_group(w.snapshot, PLACES(1, 1), requests, 2));
    for (int a = 0; a < ARRAYS; a++) /* the snapshot does not need them */
        untorn_array_close(w.view[a]);
    requests[0].array = NULL;
    must_ok(untorn_snapshot_read_group(w.snapshot, PLACES(0, 1), requests, 2));
    must(got[0] == 1000, "%u", got[0]);
    end(&w);
}

static void wrong_arguments(void **state) {
    (void)state;
    struct world w;
    uint32_t got[ROWS * COLUMNS];
    untorn_reader *other = NULL;
    untorn_array *foreign = NULL;
    begin(&w, "snapshot-group-wrong", 0);
    untorn_request good = {.destination = got, .capacity = sizeof got};
    must_say(UNTORN_E_ARGUMENT, "no snapshot", untorn_snapshot_read_group(NULL, NULL, &good, 1));
    must_say(UNTORN_E_ARGUMENT, "no snapshot or no requests",
             untorn_snapshot_read_group(w.snapshot, NULL, NULL, 1));
    must_say(UNTORN_E_ARGUMENT, "no requests",
             untorn_snapshot_read_group(w.snapshot, NULL, &good, 0));
    must_say(UNTORN_E_ARGUMENT, "none at place 3",
             untorn_snapshot_read_group(w.snapshot, PLACES(ARRAYS), &good, 1));
    untorn_request four[ARRAYS + 1] = {good, good, good, good};
    must_say(UNTORN_E_ARGUMENT, "none at place 3",
             untorn_snapshot_read_group(w.snapshot, NULL, four, ARRAYS + 1));

    untorn_request request = good;
    request.array = w.view[SERIES];
    must_say(UNTORN_E_ARGUMENT, "\"series\": is not the one at place 0 of the snapshot, \"plane\"",
             ask(&w, &request));
    must_ok(untorn_reader_open(w.segment, NULL, &other));
    must_ok(untorn_array_open(other, "plane", &foreign));
    request.array = foreign;
    must_say(UNTORN_E_ARGUMENT, "\"plane\": belongs to another reader", ask(&w, &request));
    untorn_reader_close(other);

    request = good;
    request.flags = UNTORN_GROW;
    request.strides = (const int64_t[]){80, 4};
    must_say(UNTORN_E_ARGUMENT, "\"plane\": UNTORN_GROW does not go with strides",
             ask(&w, &request));
    request.flags = 0;
    request.destination = NULL;
    must_say(UNTORN_E_ARGUMENT, "\"plane\": no destination", ask(&w, &request));
    request.count = AXES(0, 5);
    must_ok(ask(&w, &request));
    end(&w);
}

static void regions_and_buffers_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        uint64_t start[2], count[2], steps[2];
        untorn_status status;
        const char *reason;
    } wrong[] = {
        {{0, 0}, {1, 1}, {1, 0}, UNTORN_E_REGION, "\"plane\": region with a step of 0 on axis 1"},
        {{2, 0},
         {4, 1},
         {3, 1},
         UNTORN_E_REGION,
         "region of 4 from 2 in steps of 3 exceeds shape 10 on axis 0"},
        {{0, 21}, {1, 0}, {1, 1}, UNTORN_E_REGION, "region start 21 exceeds shape 20 on axis 1"},
        {{0, 0}, {4, 4}, {3, 5}, UNTORN_E_BUFFER_TOO_SMALL, "60 bytes is too small for 64"},
    };
    struct world w;
    uint32_t got[15];
    begin(&w, "snapshot-group-fit", 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        untorn_request request = {.start = wrong[i].start,
                                  .count = wrong[i].count,
                                  .steps = wrong[i].steps,
                                  .destination = got,
                                  .capacity = sizeof got};
        must_say(wrong[i].status, wrong[i].reason, ask(&w, &request));
        must(request.shape[0] == ROWS && request.shape[1] == COLUMNS, "the shape, case %zu", i);
    }
    untorn_request request = {.destination = got, .capacity = sizeof got};
    must_say(UNTORN_E_BUFFER_TOO_SMALL, "60 bytes is too small for 800", ask(&w, &request));
    request.destination = NULL;
    must_be(UNTORN_E_BUFFER_TOO_SMALL, ask(&w, &request));
    end(&w);
}

/* One bad request fails all: what the others were to get is not set, what grew is the caller's. */
static void a_group_fails_as_a_whole(void **state) {
    (void)state;
    struct world w;
    char *json[2] = {NULL, NULL};
    begin(&w, "snapshot-group-whole", 0);
    untorn_request requests[] = {{.flags = UNTORN_GROW, .attributes = &json[0]},
                                 {.flags = UNTORN_GROW, .attributes = &json[1]},
                                 {.count = AXES(31), .steps = AXES(1), .flags = UNTORN_GROW}};
    must_be(UNTORN_E_REGION,
            untorn_snapshot_read_group(w.snapshot, PLACES(PLANE, SERIES, SERIES), requests, 3));
    must(json[0] == NULL && json[1] == NULL, "attributes of a failed read");
    must(requests[0].destination != NULL && requests[0].capacity >= 800, "room for the first");
    /* Nothing is read at all if one cannot be, whatever the snapshot. */
    void *before = requests[0].destination;
    requests[0].capacity = 0;
    must_be(UNTORN_E_ARGUMENT,
            untorn_snapshot_read_group(w.snapshot, PLACES(PLANE, SERIES, 9), requests, 3));
    must(requests[0].destination == before && requests[0].capacity == 0, "untouched");
    for (size_t k = 0; k < 3; k++)
        free(requests[k].destination);
    end(&w);
}

static void deleted_arrays(void **state) {
    (void)state;
    struct world w;
    uint32_t got[2] = {0};
    untorn_array *again = NULL;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    begin(&w, "snapshot-group-deleted", 0);
    for (int a = 0; a < ARRAYS; a++)
        must_ok(untorn_delete(w.writer, names[a]));
    must_ok(untorn_commit(w.writer, NULL));
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = definition.chunks = AXES(30);
    must_ok(untorn_define(w.writer, "series", &definition, &w.array[SERIES]));
    for (uint32_t i = 0; i < 40; i++) {
        must_ok(untorn_write(w.array[SERIES], AXES(i % 30), AXES(1), NULL, &i));
        must_ok(untorn_commit(w.writer, NULL));
    }
    untorn_request requests[] = {{.array = w.view[PLANE],
                                  .start = AXES(1, 0),
                                  .count = AXES(1, 1),
                                  .steps = AXES(2, 2),
                                  .destination = &got[0],
                                  .capacity = 4},
                                 {.start = AXES(4),
                                  .count = AXES(1),
                                  .steps = AXES(9),
                                  .destination = &got[1],
                                  .capacity = 4}};
    must_ok(untorn_snapshot_read_group(w.snapshot, NULL, requests, 2));
    must(got[0] == 1000 + COLUMNS && got[1] == 1004, "%u and %u", got[0], got[1]);
    /* The same name is another array by now. */
    must_ok(untorn_array_open(w.reader, "series", &again));
    requests[1].array = again;
    must_say(UNTORN_E_ARGUMENT, "\"series\": is not the one at place 1",
             untorn_snapshot_read_group(w.snapshot, NULL, requests, 2));
    requests[1].array = w.view[SERIES];
    must_ok(untorn_snapshot_read_group(w.snapshot, NULL, requests, 2));
    end(&w);
}

/* Asks for this array alone in every way there is, and for all. */
static void must_be_overtaken(struct world *w, size_t a) {
    uint32_t got[ROWS * COLUMNS];
    char *json = NULL;
    untorn_request whole = {.destination = got, .capacity = sizeof got};
    untorn_request some = whole, told = {.count = AXES(0, 0), .attributes = &json};
    untorn_request all[ARRAYS] = {whole, whole, whole};
    some.steps = AXES(3, 3);
    must_say(UNTORN_E_OVERTAKEN, "no longer valid",
             untorn_snapshot_read_group(w->snapshot, &a, &whole, 1));
    must_say(UNTORN_E_OVERTAKEN, "no longer valid",
             untorn_snapshot_read_group(w->snapshot, &a, &some, 1));
    must_say(UNTORN_E_OVERTAKEN, "no longer valid",
             untorn_snapshot_read_group(w->snapshot, &a, &told, 1));
    must(json == NULL, "attributes of an overtaken snapshot");
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_read_group(w->snapshot, NULL, all, ARRAYS));
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(w->snapshot));
}

static void without_a_pin_it_is_overtaken(void **state) {
    (void)state;
    struct world w;
    uint32_t got[ROWS * COLUMNS];
    begin(&w, "snapshot-group-window", UNTORN_READ_NO_CONTROL);
    untorn_request some = {.steps = AXES(3, 3), .destination = got, .capacity = sizeof got};
    must_ok(ask(&w, &some)); /* the window still reaches back to it */
    go_on(&w);
    must_be_overtaken(&w, PLANE);
    end(&w);
}

static struct {
    struct world world;
    unsigned left; /* steps until the writer goes on */
} meanwhile;

static void go_on_in_a_step(const char *step) {
    (void)step;
    if (meanwhile.left-- == 0) {
        ut_step_hook = NULL;
        go_on(&meanwhile.world);
    }
}

/* The writer goes on in this step of the read, if there are so many. */
static untorn_status read_while_it_goes_on(struct world *w, unsigned step) {
    uint32_t got[3][28] = {{0}};
    char *json = NULL;
    untorn_request requests[3];
    for (int k = 0; k < 3; k++)
        requests[k] = (untorn_request){.destination = got[k], .capacity = sizeof got[k]};
    requests[0].steps = AXES(3, 3);
    requests[1].steps = AXES(7);
    requests[1].attributes = &json;
    meanwhile.left = step;
    ut_step_hook = go_on_in_a_step;
    untorn_status status = untorn_snapshot_read_group(w->snapshot, NULL, requests, 3);
    ut_step_hook = NULL;
    if (status != UNTORN_OK) {
        must(json == NULL, "attributes of what was overtaken");
        return status;
    }
    for (uint32_t i = 0; i < 28; i++) {
        uint32_t wanted = 1000 + i / 7 * 3 * COLUMNS + i % 7 * 3;
        must(got[0][i] == wanted, "TORN: step %u: element %u of the plane is %u, not %u", step, i,
             got[0][i], wanted);
    }
    for (uint32_t i = 0; i < 5; i++)
        must(got[1][i] == 1000 + 7 * i, "TORN: step %u: element %u of the series is %u", step, i,
             got[1][i]);
    must(got[2][0] == 1000, "TORN: step %u: the number is %u", step, got[2][0]);
    must(strcmp(json, "{\"round\": 1}") == 0, "TORN: step %u: %s", step, json);
    free(json);
    return UNTORN_OK;
}

/* With a pin it is never, without one it is in any step of a read. */
static void overtaken_in_any_step(void **state) {
    (void)state;
    struct world *w = &meanwhile.world;
    for (unsigned pinned = 0; pinned < 2; pinned++) {
        unsigned overtaken = 0, step = 0;
        for (int over = 0; !over; step++) {
            begin(w, "snapshot-group-step", pinned ? 0 : UNTORN_READ_NO_CONTROL);
            untorn_status status = read_while_it_goes_on(w, step);
            over = w->round == 1; /* there are not so many steps */
            must(status == UNTORN_OK || (status == UNTORN_E_OVERTAKEN && !pinned), "status %d",
                 status);
            overtaken += status != UNTORN_OK;
            end(w);
        }
        must(step > 40 && overtaken >= (pinned ? 0 : 20), "%u of %u", overtaken, step);
    }
}

/* What a writer without space does. */
static void a_pin_that_was_ended(void **state) {
    (void)state;
    struct world w;
    begin(&w, "snapshot-group-ended", 0);
    untorn_request some = {.steps = AXES(3, 3), .flags = UNTORN_GROW};
    must_ok(ask(&w, &some));
    go_on(&w);
    must_ok(ask(&w, &some)); /* the pin holds it */
    must(((uint32_t *)some.destination)[1] == 1003, "as of the snapshot's commit");
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *large = NULL;
    untorn_status status = UNTORN_OK;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = AXES(0);
    definition.chunks = AXES(1u << 16);
    must_ok(untorn_define(w.writer, "large", &definition, &large));
    static const unsigned char bytes[1u << 16];
    for (unsigned i = 0; i < 128 && status == UNTORN_OK; i++) {
        status = untorn_append(large, 0, sizeof bytes, NULL, bytes);
        if (status == UNTORN_OK)
            status = untorn_commit(w.writer, NULL);
    }
    must_be(UNTORN_E_NO_SPACE, status);
    untorn_abort(w.writer);
    go_on(&w);
    must_be_overtaken(&w, PLANE);
    must_be_overtaken(&w, SERIES);
    free(some.destination);
    end(&w);
}

/* After the segment was replaced, the snapshot is none any more, whatever is asked. */
static void a_replaced_segment(void **state) {
    (void)state;
    struct world w;
    begin(&w, "snapshot-group-replaced", 0);
    untorn_writer_close(w.writer);
    must_ok(untorn_segment_remove(w.segment));
    must_ok(untorn_writer_open(w.segment, NULL, &w.writer));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(untorn_reader_reattach(w.reader));
    must_be_overtaken(&w, PLANE);
    must_be_overtaken(&w, SERIES);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field),
        cmocka_unit_test(listed_arrays),
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(regions_and_buffers_that_do_not_fit),
        cmocka_unit_test(a_group_fails_as_a_whole),
        cmocka_unit_test(deleted_arrays),
        cmocka_unit_test(without_a_pin_it_is_overtaken),
        cmocka_unit_test(overtaken_in_any_step),
        cmocka_unit_test(a_pin_that_was_ended),
        cmocka_unit_test(a_replaced_segment),
    };
    return cmocka_run_group_tests_name("requests to a snapshot", tests, NULL, NULL);
}
