// SPDX-License-Identifier: MIT
/*
 * As many pins as there are lines for, opened and closed in any order while the writer commits.
 * Each keeps its commit for as long as it is open, whichever line it has and whatever stands on the
 * others; and what an ended one kept is free again.
 */
#include <string.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#define PINS (UNTORN_MAX_READERS - 1) /* the last line is the flusher's */
#define LENGTH 512u                   /* of u8: what is pinned is much, for its number */

struct pin {
    untorn_snapshot *snapshot; /* NULL: none */
    uint64_t commit;           /* which is what the array held then, too */
};

struct world {
    struct test_rng rng;
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *array;
    untorn_reader *reader;
    untorn_array *view;
    struct pin pins[PINS];
    uint64_t commit;
};

static void commit(struct world *w) {
    uint64_t values[LENGTH], number;
    for (unsigned i = 0; i < LENGTH; i++)
        values[i] = w->commit + 1;
    must_ok(untorn_write(w->array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(w->writer, &number));
    must(number == w->commit + 1, "the books are wrong");
    w->commit = number;
}

static void open_pin(struct world *w, struct pin *pin) {
    must_ok(untorn_snapshot_open(w->reader, &w->view, 1, UNTORN_NEWEST, &pin->snapshot));
    pin->commit = untorn_snapshot_commit(pin->snapshot);
    must(pin->commit == w->commit, "nobody was writing");
}

static void close_pin(struct pin *pin) {
    untorn_snapshot_close(pin->snapshot);
    pin->snapshot = NULL;
}

static void look_at(struct pin *pin) {
    uint64_t values[LENGTH];
    must_ok(untorn_snapshot_read(pin->snapshot, 0, NULL, NULL, values, sizeof values));
    for (unsigned i = 0; i < LENGTH; i++)
        must(values[i] == pin->commit, "TORN: %llu in the snapshot of commit %llu",
             (unsigned long long)values[i], (unsigned long long)pin->commit);
    must_ok(untorn_snapshot_check(pin->snapshot));
}

static void look_at_all(struct world *w) {
    for (unsigned i = 0; i < PINS; i++)
        if (w->pins[i].snapshot != NULL)
            look_at(&w->pins[i]);
}

static void begin(struct world *w, const char *name, uint64_t size) {
    const uint64_t length = LENGTH;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    memset(w, 0, sizeof *w);
    w->rng.state = test_seed();
    w->segment = test_segment(name);
    options.size = size;
    options.versions = 2;
    must_ok(untorn_writer_open(w->segment, &options, &w->writer));
    must_ok(untorn_commit(w->writer, &w->commit)); /* that it begins with */
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = definition.chunks = &length;
    must_ok(untorn_define(w->writer, "array", &definition, &w->array));
    commit(w);
    must_ok(untorn_reader_open(w->segment, NULL, &w->reader));
    must_ok(untorn_array_open(w->reader, "array", &w->view));
}

static void end(struct world *w) {
    for (unsigned i = 0; i < PINS; i++)
        if (w->pins[i].snapshot != NULL)
            close_pin(&w->pins[i]);
    untorn_reader_close(w->reader);
    untorn_writer_close(w->writer);
    must_ok(untorn_segment_remove(w->segment));
}

static void P2_pins_on_all_lines_keep_their_commits(void **state) {
    (void)state;
    struct world world, *w = &world;
    begin(w, "all-lines", 32u << 20);
    for (unsigned i = 0; i < PINS; i++) {
        open_pin(w, &w->pins[i]);
        commit(w);
    }
    for (unsigned i = 0; i < 100; i++)
        commit(w);
    look_at_all(w);
    for (uint64_t left = test_count(2000); left > 0; left--) {
        struct pin *pin = &w->pins[rng_below(&w->rng, PINS)];
        if (pin->snapshot != NULL)
            close_pin(pin);
        else
            open_pin(w, pin);
        for (uint64_t commits = rng_below(&w->rng, 4); commits > 0; commits--)
            commit(w);
        pin = &w->pins[rng_below(&w->rng, PINS)];
        if (pin->snapshot != NULL)
            look_at(pin);
    }
    look_at_all(w);
    // The next writer takes them up from the segment.
    untorn_writer_close(w->writer);
    must_ok(untorn_writer_open(w->segment, NULL, &w->writer));
    must_ok(untorn_writer_array_open(w->writer, "array", &w->array));
    for (unsigned i = 0; i < 100; i++)
        commit(w);
    look_at_all(w);
    end(w);
}

/* ---- room ---- */

#define BLOCK 65536u
#define KEPT 20u
#define MORE 12u

static void commit_blocks(untorn_writer *writer, untorn_writer_array *array, uint64_t blocks) {
    static const char bytes[MORE * BLOCK];
    const uint64_t start = 0, count = blocks * BLOCK;
    must_ok(untorn_write(array, &start, &count, NULL, bytes));
    must_ok(untorn_commit(writer, NULL));
}

static untorn_writer_array *define_blocks(untorn_writer *writer, const char *name, uint64_t most) {
    const uint64_t shape = most * BLOCK, chunk = BLOCK;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &chunk;
    must_ok(untorn_define(writer, name, &definition, &array));
    return array;
}

// What the ended ones kept and what is written next do not fit in together, and for want of room
// the newest pin, which goes on standing, would be revoked first.
static void P4_what_ended_pins_kept_is_free_again(void **state) {
    (void)state;
    struct world world, *w = &world;
    begin(w, "room", 2u << 20);
    untorn_writer_array *block = define_blocks(w->writer, "block", 1);
    commit_blocks(w->writer, block, 1);
    must_ok(untorn_array_open(w->reader, "block", &w->view));
    for (unsigned i = 0; i < KEPT; i++) {
        must_ok(untorn_snapshot_open(w->reader, &w->view, 1, UNTORN_NEWEST, &w->pins[i].snapshot));
        commit_blocks(w->writer, block, 1);
    }
    for (unsigned i = 0; i < 5; i++)
        commit_blocks(w->writer, block, 1);
    for (unsigned i = 0; i < KEPT; i++)
        must_ok(untorn_snapshot_check(w->pins[i].snapshot));
    for (unsigned i = 0; i + 1 < KEPT; i++)
        close_pin(&w->pins[i]);
    commit_blocks(w->writer, define_blocks(w->writer, "more", MORE), MORE);
    must_ok(untorn_snapshot_check(w->pins[KEPT - 1].snapshot));
    end(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P2_pins_on_all_lines_keep_their_commits),
        cmocka_unit_test(P4_what_ended_pins_kept_is_free_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
