// SPDX-License-Identifier: MIT
/*
 * What an inspection says of the store: the same from the totals in the snapshot's manifest as from
 * the arrays' own manifests, which are not opened if there are totals; and a store that cannot be
 * read is asked once for all arrays, and again after the next flush.
 */
#include "support/child.h"
#include "support/must.h"
#include "support/names.h"

#include "array/writer.h"
#include "base/clock.h"
#include "base/file_ops.h"
#include "base/hash.h"
#include "store/manifest_layout.h"
#include "store/writer_store.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARRAYS 20
#define ITEMS 50u /* in chunks of 20: two whole ones and half of one */

typedef struct world {
    const char *name;
    char store[512];
    untorn_writer *writer;
    untorn_writer_array *arrays[ARRAYS];
} world;

static void write_all(world *w, uint32_t value) {
    uint32_t items[ITEMS];
    for (unsigned i = 0; i < ARRAYS; i++) {
        for (unsigned k = 0; k < ITEMS; k++)
            items[k] = value + i * k;
        must_ok(untorn_write(w->arrays[i], NULL, NULL, NULL, items));
    }
    must_ok(untorn_commit(w->writer, NULL));
}

static void open_world(world *w, const char *what) {
    const uint64_t length = ITEMS, chunk = 20;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    w->name = test_segment(what);
    snprintf(w->store, sizeof w->store, "%s/store", test_directory(what));
    options.size = 8 << 20;
    options.store = w->store;
    options.flush_interval = UNTORN_ON_DEMAND;
    must_ok(untorn_writer_open(w->name, &options, &w->writer));
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    for (unsigned i = 0; i < ARRAYS; i++) {
        char name[32];
        snprintf(name, sizeof name, "group%u/array%u", i % 3, i);
        must_ok(untorn_require(w->writer, name, &definition, &w->arrays[i]));
    }
    write_all(w, 1);
}

static untorn_inspection *inspect(const world *w) {
    untorn_inspection *inspection;
    const char *const *names;
    size_t count;
    must_ok(untorn_inspect_open(w->name, 0, &inspection));
    must_ok(untorn_inspect_catalogue(inspection, &names, &count));
    must(count == ARRAYS);
    return inspection;
}

static void look(const world *w, untorn_stored_state states[ARRAYS]) {
    untorn_inspection *inspection = inspect(w);
    for (unsigned i = 0; i < ARRAYS; i++)
        must_ok(untorn_inspect_stored(inspection, i, &states[i]));
    untorn_inspect_close(inspection);
}

/* --- counting --- */

static unsigned opened, named;

static int count_open(const char *path, int flags, mode_t mode) {
    opened++;
    return ut_files_system.open(path, flags, mode);
}
static ssize_t count_readlink(const char *path, char *target, size_t capacity) {
    named++;
    return ut_files_system.readlink(path, target, capacity);
}
static int count_lstat(const char *path, struct stat *stat) {
    named++;
    return ut_files_system.lstat(path, stat);
}

static ut_flusher *flusher_of(const world *w) {
    const ut_writer_store *attached = w->writer->store;
    return attached->flusher;
}

/* Of this thread's calls alone: the flusher, which deletes after it has answered, is held. */
static void begin_counting(const world *w) {
    must(ut_flusher_hold(flusher_of(w), ut_clock_monotonic() + INT64_C(1000000000) * TEST_HUNG));
    static struct ut_file_ops table;
    table = ut_files_system;
    table.open = count_open;
    table.readlink = count_readlink;
    table.lstat = count_lstat;
    ut_files_replace(&table);
    opened = named = 0;
}

static void end_counting(const world *w) {
    ut_files_replace(NULL);
    ut_flusher_release(flusher_of(w));
}

/* --- the newest snapshot's manifest --- */

static size_t load_manifest(const world *w, char path[600], unsigned char *bytes, size_t capacity) {
    snprintf(path, 600, "%s/latest/.manifest", w->store);
    int fd = open(path, O_RDONLY);
    must(fd >= 0);
    ssize_t n = read(fd, bytes, capacity);
    must(n > 0 && (size_t)n < capacity);
    close(fd);
    return (size_t)n;
}

/* Change the lengths, or the first number, of all totals. */
static void change_totals(const world *w, bool remove) {
    static unsigned char bytes[1 << 16];
    char path[600];
    size_t n = load_manifest(w, path, bytes, sizeof bytes), at = 128;
    unsigned changed = 0;
    while (at < n - sizeof(struct ut_manifest_trailer)) {
        struct ut_manifest_entry entry;
        memcpy(&entry, bytes + at, sizeof entry);
        if (entry.totals_bytes != 0 && !remove)
            bytes[at + entry.bytes - 24] ^= 0x40;
        changed += entry.totals_bytes != 0;
        if (remove)
            entry.totals_bytes = 0;
        memcpy(bytes + at, &entry, sizeof entry);
        at += entry.bytes;
    }
    must(changed == ARRAYS);
    uint64_t hash = ut_hash(bytes, n - 8);
    memcpy(bytes + n - 8, &hash, 8);
    must(unlink(path) == 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0);
}

/* --- tests --- */

static void totals_tell_what_the_manifests_do(void **state) {
    (void)state;
    world w;
    untorn_stored_state with[ARRAYS], without[ARRAYS];
    open_world(&w, "totals");
    must_ok(untorn_flush(w.writer, NULL));
    begin_counting(&w);
    look(&w, with);
    unsigned opened_with = opened;
    change_totals(&w, true);
    opened = 0;
    look(&w, without);
    end_counting(&w);
    must(memcmp(with, without, sizeof with) == 0);
    must(opened >= opened_with + ARRAYS);
    must(opened_with < ARRAYS);
    for (unsigned i = 0; i < ARRAYS; i++)
        must(with[i].chunks == 3 && with[i].data_bytes == 4 * ITEMS && with[i].file_bytes > 3 * 16);
    untorn_writer_close(w.writer);
}

/* An array that did not change is linked into the next snapshot, and its totals with it. */
static void totals_are_linked_again(void **state) {
    (void)state;
    world w;
    untorn_stored_state before[ARRAYS], after[ARRAYS];
    open_world(&w, "linked");
    must_ok(untorn_flush(w.writer, NULL));
    look(&w, before);
    const uint32_t one = 7;
    const uint64_t at = 0, count = 1;
    must_ok(untorn_write(w.arrays[0], &at, &count, NULL, &one));
    must_ok(untorn_commit(w.writer, NULL));
    must_ok(untorn_flush(w.writer, NULL));
    begin_counting(&w);
    look(&w, after);
    end_counting(&w);
    must(opened < ARRAYS);
    must(memcmp(&before[1], &after[1], sizeof before - sizeof *before) == 0);
    change_totals(&w, false);
    look(&w, after);
    must(after[1].chunks == (3 ^ 0x40));
    untorn_writer_close(w.writer);
}

static void a_store_is_asked_once(void **state) {
    (void)state;
    world w;
    untorn_stored_state stored;
    open_world(&w, "asked");
    untorn_inspection *inspection = inspect(&w);
    must_say(UNTORN_E_ABSENT, "nothing was flushed yet",
             untorn_inspect_stored(inspection, 0, &stored));
    must_ok(untorn_flush(w.writer, NULL));
    must_ok(untorn_inspect_stored(inspection, 0, &stored));
    begin_counting(&w);
    for (unsigned i = 0; i < ARRAYS; i++)
        must_ok(untorn_inspect_stored(inspection, i, &stored));
    must(opened == 0 && named == 0);
    char latest[600], aside[600];
    snprintf(latest, sizeof latest, "%s/latest", w.store);
    snprintf(aside, sizeof aside, "%s/aside", w.store);
    untorn_inspect_close(inspection);
    must(rename(latest, aside) == 0);
    inspection = inspect(&w);
    must_say(UNTORN_E_CORRUPT, "\"latest\" is missing or damaged",
             untorn_inspect_stored(inspection, 0, &stored));
    opened = named = 0;
    for (unsigned i = 0; i < ARRAYS; i++)
        must_say(UNTORN_E_CORRUPT, "\"latest\" is missing or damaged",
                 untorn_inspect_stored(inspection, i, &stored));
    must(opened == 0 && named == 0);
    end_counting(&w);
    must(rename(aside, latest) == 0);
    write_all(&w, 2);
    must_ok(untorn_flush(w.writer, NULL));
    must_ok(untorn_inspect_stored(inspection, 0, &stored));
    untorn_inspect_close(inspection);
    untorn_writer_close(w.writer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_tell_what_the_manifests_do),
        cmocka_unit_test(totals_are_linked_again),
        cmocka_unit_test(a_store_is_asked_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
