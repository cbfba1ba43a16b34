// SPDX-License-Identifier: MIT
/* A writer that may die anywhere, and what must hold all the same: see ledger.h. */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "pattern.h"

static const struct stamped arrays[LEDGER_ARRAYS] = {
    {"now/scalar", 1, "u8", 0, {0}, {0}},
    {"now/row", 2, "i2", 1, {700}, {99}},
    {"now/plane", 3, "f4", 2, {50, 41}, {7, 41}},
    {"now/cube", 4, "V5", 3, {6, 20, 21}, {2, 9, 10}},
};

// "wave" has the stamp's length of these many elements, each of which is the stamp.
static uint64_t wave_length(uint64_t stamp) {
    return 5 + stamp * 7 % 61;
}

static void define_growing(struct ledger_writer *w) {
    uint64_t zero = 0;
    uint64_t chunk = 33;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &zero;
    definition.chunks = &chunk;
    must_ok(untorn_require(w->writer, "log", &definition, &w->log));
    must_ok(untorn_require(w->writer, "now/wave", &definition, &w->wave));
}

void ledger_open(struct ledger_writer *w, struct ledger *ledger) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = ledger->size;
    *w = (struct ledger_writer){.ledger = ledger};
    must_ok(untorn_writer_open(ledger->segment, &options, &w->writer));
    for (int i = 0; i < LEDGER_ARRAYS; i++)
        w->arrays[i] = stamped_require(w->writer, &arrays[i]);
    define_growing(w);
    if (ledger->begun == 0)
        ledger_commit(w); // so that readers find everything with a stamp
}

// An array that comes and goes: "brief-N" is defined in one transaction, gone in the next.
static void define_and_delete(struct ledger_writer *w, uint64_t stamp) {
    char name[40];
    uint64_t length = 40;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &length;
    untorn_writer_array *brief = NULL;
    uint32_t values[40];
    for (int i = 0; i < 40; i++)
        values[i] = (uint32_t)stamp;
    snprintf(name, sizeof name, "brief-%u", (unsigned)(stamp % 2));
    must_ok(untorn_require(w->writer, name, &definition, &brief));
    must_ok(untorn_write(brief, NULL, NULL, NULL, values));
    snprintf(name, sizeof name, "brief-%u", (unsigned)(1 - stamp % 2));
    untorn_status status = untorn_delete(w->writer, name);
    if (status != UNTORN_E_NO_ARRAY)
        must_ok(status);
}

void ledger_commit(struct ledger_writer *w) {
    uint64_t stamp = ++w->ledger->begun;
    for (int i = 0; i < LEDGER_ARRAYS; i++) {
        if ((stamp + (uint64_t)i) % 3 == 0)
            must_ok(stamped_fill(w->arrays[i], &arrays[i], stamp));
        else
            must_ok(stamped_write(w->arrays[i], &arrays[i], stamp));
    }
    must_ok(untorn_append(w->log, 0, 1, NULL, &stamp));
    uint64_t wave[80];
    uint64_t length = wave_length(stamp);
    for (uint64_t i = 0; i < length; i++)
        wave[i] = stamp;
    must_ok(untorn_resize(w->wave, &length));
    must_ok(untorn_write(w->wave, NULL, NULL, NULL, wave));
    char json[60];
    snprintf(json, sizeof json, "{\"stamp\": %llu}", (unsigned long long)stamp);
    must_ok(untorn_set_attributes(w->wave, json));
    if (stamp % 3 == 0)
        define_and_delete(w, stamp / 3);
    must_ok(untorn_commit(w->writer, NULL));
    w->ledger->committed = stamp;
}

void ledger_close(struct ledger_writer *w) {
    untorn_writer_close(w->writer);
}

void ledger_attach(struct ledger_reader *r, struct ledger *ledger, unsigned flags) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = flags;
    *r = (struct ledger_reader){.ledger = ledger};
    must_ok(untorn_reader_open(ledger->segment, &options, &r->reader));
    for (int i = 0; i < LEDGER_ARRAYS; i++)
        must_ok(untorn_array_open(r->reader, arrays[i].name, &r->arrays[i]));
    must_ok(untorn_array_open(r->reader, "log", &r->log));
    must_ok(untorn_array_open(r->reader, "now/wave", &r->wave));
}

void ledger_detach(struct ledger_reader *r) {
    untorn_reader_close(r->reader);
}

static void check_stamp(struct ledger_reader *r, uint64_t stamp, uint64_t floor) {
    must(stamp >= r->last, "stamp %llu after %llu", (unsigned long long)stamp,
         (unsigned long long)r->last);
    must(stamp >= floor, "LOST: stamp %llu, but %llu was committed before the read",
         (unsigned long long)stamp, (unsigned long long)floor);
    must(stamp <= r->ledger->begun, "stamp %llu was never begun", (unsigned long long)stamp);
    r->last = stamp;
}

static void check_wave(uint64_t stamp, const uint64_t *wave, uint64_t length, const char *json) {
    must(length == wave_length(stamp), "TORN: wave has length %llu at stamp %llu",
         (unsigned long long)length, (unsigned long long)stamp);
    for (uint64_t i = 0; i < length; i++)
        must(wave[i] == stamp, "TORN: wave[%llu] is %llu at stamp %llu", (unsigned long long)i,
             (unsigned long long)wave[i], (unsigned long long)stamp);
    char wanted[60];
    snprintf(wanted, sizeof wanted, "{\"stamp\": %llu}", (unsigned long long)stamp);
    must(json && strcmp(json, wanted) == 0, "TORN: attributes %s at stamp %llu", json,
         (unsigned long long)stamp);
}

// The part of the log that is new: stamps rise and end at `stamp`.
static void check_log(struct ledger_reader *r, uint64_t stamp, const uint64_t *rows, uint64_t first,
                      uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t before = i ? rows[i - 1] : first ? r->last_row : 0;
        must(rows[i] > before, "TORN: log[%llu] is %llu after %llu",
             (unsigned long long)(first + i), (unsigned long long)rows[i],
             (unsigned long long)before);
    }
    uint64_t end = count ? rows[count - 1] : r->last_row;
    must(end == stamp, "TORN: the log ends in %llu at stamp %llu", (unsigned long long)end,
         (unsigned long long)stamp);
    r->rows = first + count;
    r->last_row = end;
}

// One array alone must not show more than the group that is read after it.
static int check_one(struct ledger_reader *r, uint64_t floor) {
    size_t i = (size_t)(r->checks % LEDGER_ARRAYS);
    uint64_t stamp = 0;
    untorn_result result;
    untorn_status status = stamped_read(r->arrays[i], &arrays[i], &stamp, &result);
    if (status == UNTORN_E_OVERTAKEN)
        return 0;
    must_ok(status);
    must(result.commit <= untorn_reader_commit(r->reader), "a commit that is not there yet");
    check_stamp(r, stamp, floor);
    return 1;
}

int ledger_check(struct ledger_reader *r) {
    uint64_t floor = r->ledger->committed;
    if (!check_one(r, floor))
        return 0;
    untorn_request requests[LEDGER_ARRAYS + 2] = {0};
    void *buffers[LEDGER_ARRAYS];
    uint64_t wave[80];
    char *json = NULL;
    untorn_result result;
    for (int i = 0; i < LEDGER_ARRAYS; i++) {
        requests[i].array = r->arrays[i];
        requests[i].capacity = stamped_size(&arrays[i]);
        requests[i].destination = buffers[i] = malloc(requests[i].capacity);
    }
    requests[LEDGER_ARRAYS] = (untorn_request){
        .array = r->wave, .destination = wave, .capacity = sizeof wave, .attributes = &json};
    uint64_t first = r->rows;
    requests[LEDGER_ARRAYS + 1] =
        (untorn_request){.array = r->log, .start = &first, .flags = UNTORN_GROW};
    untorn_status status = untorn_read_group(r->reader, requests, LEDGER_ARRAYS + 2, &result);
    if (status == UNTORN_OK) {
        uint64_t stamp = stamped_check(&arrays[0], buffers[0]);
        for (int i = 1; i < LEDGER_ARRAYS; i++)
            must(stamped_check(&arrays[i], buffers[i]) == stamp, "TORN group: %s", arrays[i].name);
        check_stamp(r, stamp, floor);
        check_wave(stamp, wave, requests[LEDGER_ARRAYS].counted[0], json);
        check_log(r, stamp, requests[LEDGER_ARRAYS + 1].destination, first,
                  requests[LEDGER_ARRAYS + 1].counted[0]);
        r->checks++;
    }
    for (int i = 0; i < LEDGER_ARRAYS; i++)
        free(buffers[i]);
    free(requests[LEDGER_ARRAYS + 1].destination);
    free(json);
    if (status == UNTORN_E_OVERTAKEN)
        return 0;
    must_ok(status);
    return 1;
}

static int good(untorn_status status) {
    if (status != UNTORN_E_OVERTAKEN)
        must_ok(status);
    return status == UNTORN_OK;
}

static int look_into(struct ledger_reader *r, untorn_snapshot *snapshot, uint64_t *stamp) {
    untorn_result result;
    for (size_t i = 0; i < LEDGER_ARRAYS; i++) {
        uint64_t own = 0;
        if (!good(stamped_snapshot_read(snapshot, i, &arrays[i], &own)))
            return 0;
        must(i == 0 || own == *stamp, "TORN snapshot: %s", arrays[i].name);
        *stamp = own;
    }
    uint64_t wave[80];
    if (!good(untorn_snapshot_describe(snapshot, LEDGER_ARRAYS, NULL, &result)) ||
        !good(untorn_snapshot_read(snapshot, LEDGER_ARRAYS, NULL, NULL, wave, sizeof wave)))
        return 0;
    char *json = NULL;
    if (!good(untorn_snapshot_attributes(snapshot, LEDGER_ARRAYS, &json)))
        return 0;
    check_wave(*stamp, wave, result.shape[0], json);
    free(json);
    if (!good(untorn_snapshot_describe(snapshot, LEDGER_ARRAYS + 1, NULL, &result)))
        return 0;
    uint64_t last = result.shape[0] - 1;
    uint64_t row = 0;
    uint64_t one = 1;
    if (!good(untorn_snapshot_read(snapshot, LEDGER_ARRAYS + 1, &last, &one, &row, sizeof row)))
        return 0;
    must(row == *stamp, "TORN snapshot: log");
    (void)r;
    return 1;
}

int ledger_check_snapshot(struct ledger_reader *r) {
    uint64_t floor = r->ledger->committed;
    untorn_array *handles[LEDGER_ARRAYS + 2];
    untorn_snapshot *snapshot = NULL;
    uint64_t stamp = 0;
    memcpy(handles, r->arrays, sizeof r->arrays);
    handles[LEDGER_ARRAYS] = r->wave;
    handles[LEDGER_ARRAYS + 1] = r->log;
    if (!good(
            untorn_snapshot_open(r->reader, handles, LEDGER_ARRAYS + 2, UNTORN_NEWEST, &snapshot)))
        return 0;
    int seen = look_into(r, snapshot, &stamp);
    if (seen)
        check_stamp(r, stamp, floor);
    untorn_snapshot_close(snapshot);
    r->checks += (uint64_t)seen;
    return seen;
}
