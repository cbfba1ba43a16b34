// SPDX-License-Identifier: MIT
/*
 * A store goes on without a segment that is still in use: it was found behind its newest state, and
 * another segment began from there.  What the other writes has numbers as high as what only the
 * first one knows, so numbers do not tell the two apart; none may get the other's data for its own.
 *
 *   seed  what is broken
 *   317   all snapshots of the store count
 *   318   those up to the segment's epoch count
 *   319   one of a segment that was made from this one's counts up to its own commit
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/seeded.h"

#include "base/test_hooks.h"

#define CHUNKS 64u
#define CHUNK 16u
#define LENGTH (CHUNKS * CHUNK)

static struct cache cache; // the segment that stays behind
static const char *second; // the name of the one that the store goes on with
static const uint64_t shape = LENGTH, chunk = CHUNK;

/* ---- values ---- */

static void write_all(untorn_writer *writer, const char *name, uint32_t value) {
    static uint32_t values[LENGTH];
    untorn_writer_array *array;
    for (uint64_t i = 0; i < LENGTH; i++)
        values[i] = value;
    must_ok(untorn_writer_array_open(writer, name, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(writer, NULL));
}

static untorn_status read_all(untorn_reader *reader, const char *name, uint32_t value) {
    static uint32_t got[LENGTH];
    untorn_array *array;
    must_ok(untorn_array_open(reader, name, &array));
    untorn_status status = untorn_read(array, NULL, NULL, got, sizeof got, NULL);
    for (uint64_t i = 0; i < LENGTH && status == UNTORN_OK; i++)
        must(got[i] == value, "%s: element %llu is %u, not %u", name, (unsigned long long)i, got[i],
             value);
    untorn_array_close(array);
    return status;
}

static void must_be_told(untorn_status status) {
    must(status == UNTORN_E_FOREIGN_STORE, "status %d: %s", (int)status, untorn_message());
    must(cache_said(cache.store) && cache_said("went on without"), "%s", untorn_message());
}

/* ---- stores ---- */

static void run_command(const char *format, const char *a, const char *b) {
    char line[2048];
    snprintf(line, sizeof line, format, a, b);
    must(system(line) == 0, "%s", line);
}

static void back_up(void) {
    run_command("cp -a '%s' '%s-backup'", cache.store, cache.store);
}

static void put_back(void) {
    run_command("rm -rf '%s'", cache.store, "");
    run_command("cp -a '%s-backup' '%s'", cache.store, cache.store);
}

static void flip_a_byte(const char *path) {
    FILE *file = fopen(path, "r+b");
    must(file != NULL && fseek(file, 40, SEEK_SET) == 0, "%s", path);
    int byte = getc(file);
    must(fseek(file, 40, SEEK_SET) == 0 && putc(byte ^ 1, file) != EOF && fclose(file) == 0, "%s",
         path);
}

static void begin(unsigned keep) {
    cache_begin(&cache, "first", 4u << 20);
    untorn_writer_close(cache.writer);
    cache.options.keep_snapshots = keep;
    cache_open(&cache);
    cache_define(&cache, "a", 1, &shape, &chunk, 7);
    cache_define(&cache, "b", 1, &shape, &chunk, 7);
    write_all(cache.writer, "a", 1);
    must_ok(untorn_flush(cache.writer, NULL));
}

// "a" is in the store only, as one cell for all of it.
static void evict_all(void) {
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
}

// The writer goes, and another segment gets the name; the reader stays with the removed one.
static void leave_the_reader_behind(void) {
    untorn_writer_close(cache.writer);
    must_ok(untorn_segment_remove(cache.segment));
}

// A segment of another name that begins from the store.
static untorn_writer *open_other(void) {
    untorn_writer *writer;
    must_ok(untorn_writer_open(second = test_segment("second"), &cache.options, &writer));
    return writer;
}

/* ---- scenarios ---- */

static void the_newest_snapshot_was_damaged(void) {
    begin(100);
    write_all(cache.writer, "a", 2);
    evict_all();
    must_ok(read_all(cache.reader, "a", 2));
    untorn_reader *late; // has nothing open yet
    must_ok(untorn_reader_open(cache.segment, NULL, &late));
    char path[4096];
    snprintf(path, sizeof path, "%s", cache_file(&cache, ".", ".manifest"));
    leave_the_reader_behind();
    flip_a_byte(path);
    cache_open(&cache);
    must(cache.told > 0, "nobody was told");
    write_all(cache.writer, "b", 3);
    must_ok(untorn_flush(cache.writer, NULL));
    must_be_told(read_all(late, "a", 2));
    must_ok(untorn_reader_reattach(late));
    must_ok(read_all(late, "a", 1));
    must_ok(read_all(late, "b", 3));
    untorn_reader_close(late);
    cache_end(&cache);
}

// Both segments are of epoch 1, and use the same numbers.
static void begin_from_backup(void) {
    begin(100);
    back_up();
    cache_restart(&cache);
    write_all(cache.writer, "b", 0); // so that the other one's commits are below
    write_all(cache.writer, "a", 2);
}

static void a_backup_was_put_back(void) {
    begin_from_backup();
    evict_all();
    leave_the_reader_behind();
    put_back();
    untorn_writer *other = open_other();
    for (uint32_t i = 0; i < 9; i++)
        write_all(other, "b", i);
    must_ok(untorn_flush(other, NULL));
    must_be_told(read_all(cache.reader, "a", 2));
    untorn_writer_close(other);
    must_ok(untorn_segment_remove(second));
    untorn_reader_close(cache.reader);
}

// Nothing was lost: the new segment's snapshots have what did not change since.
static void a_restart_that_loses_nothing(void) {
    begin(1);
    write_all(cache.writer, "b", 2);
    evict_all();
    uint64_t before = cache_stored_commit(&cache);
    leave_the_reader_behind();
    cache_open(&cache);
    for (int i = 0; i < 8; i++) { // until its window needs nothing from before
        write_all(cache.writer, "b", 3);
        must_ok(untorn_flush(cache.writer, NULL));
    }
    untorn_writer_close(cache.writer); // waits until old snapshots are deleted
    char path[1024];
    snprintf(path, sizeof path, "%s/snapshots/%llu", cache.store, (unsigned long long)before);
    must(access(path, F_OK) != 0, "%s is there still", path);
    must_ok(read_all(cache.reader, "a", 1));
    must_be_told(read_all(cache.reader, "b", 2));
    untorn_reader_close(cache.reader);
    cache.reader = NULL;
    cache_open(&cache);
    must_ok(read_all(cache.reader, "b", 3));
    cache_end(&cache);
}

static untorn_status write_one(untorn_writer *writer, uint32_t value) {
    untorn_writer_array *array;
    const uint64_t start = 5, count = 1;
    must_ok(untorn_writer_array_open(writer, "a", &array));
    return untorn_write(array, &start, &count, NULL, &value);
}

// Its writer lives on, and reads what it evicted; its flusher would link what the other one wrote.
static void a_backup_was_put_back_under_a_writer(void) {
    begin_from_backup();
    evict_all();
    write_all(cache.writer, "b", 5);
    put_back();
    untorn_writer *other = open_other();
    write_all(other, "b", 6);
    must_ok(untorn_flush(other, NULL));
    must(cache_stored_commit(&cache) < untorn_writer_commit(cache.writer), "the store is ahead");
    must_be_told(write_one(cache.writer, 1)); // into a chunk that is only in the store
    untorn_abort(cache.writer);
    must(untorn_flush(cache.writer, NULL) != UNTORN_OK, "flushed into another history");
    untorn_writer_close(other);
    must_ok(untorn_segment_remove(second));
    cache_end(&cache);
}

// Where both are exported to: chunks of the one are not linked for the other.
static void both_are_exported_to_one_place(void) {
    char place[600];
    begin_from_backup();
    must_ok(untorn_flush(cache.writer, NULL));
    put_back();
    untorn_writer *other = open_other();
    untorn_reader *reader;
    must_ok(untorn_reader_open(second, NULL, &reader));
    snprintf(place, sizeof place, "%s-exported", cache.store);
    for (uint32_t i = 0; i < 9; i++)
        write_all(cache.writer, "b", i);
    must_ok(untorn_export(reader, place, NULL, NULL));
    must_be(UNTORN_E_FOREIGN_STORE, untorn_export(cache.reader, place, NULL, NULL));
    must(cache_said("went on without"), "%s", untorn_message());
    untorn_reader_close(reader);
    untorn_writer_close(other);
    must_ok(untorn_segment_remove(second));
    cache_end(&cache);
}

// All that it has is in memory: only whose the store is stands against going on.
static void a_backup_was_put_back_before_adoption(void) {
    begin_from_backup();
    must_ok(untorn_flush(cache.writer, NULL));
    write_all(cache.writer, "b", 4);
    write_all(cache.writer, "b", 5);
    untorn_writer_close(cache.writer);
    put_back();
    untorn_writer *other = open_other();
    for (uint32_t i = 0; i < 5; i++) // the store's newest commit is between flushed and last
        write_all(other, "b", i);
    must_ok(untorn_flush(other, NULL));
    untorn_writer_close(other);
    must_ok(untorn_segment_remove(second));
    must_be_told(untorn_writer_open(cache.segment, &cache.options, &cache.writer));
    cache.writer = NULL;
    cache_end(&cache);
}

/* ---- with and without mistakes ---- */

static const struct entry {
    int seed;
    void (*scenario)(void);
} table[] = {
    {317, the_newest_snapshot_was_damaged},
    {319, the_newest_snapshot_was_damaged},
    {317, a_backup_was_put_back},
    {318, a_backup_was_put_back},
    {0, a_backup_was_put_back_under_a_writer},
    {0, a_restart_that_loses_nothing},
    {0, a_backup_was_put_back_before_adoption},
    {0, both_are_exported_to_one_place},
};
#define ENTRIES (sizeof table / sizeof table[0])

static void none_gets_the_data_of_another_history(void **state) {
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++)
        must(test_with_seed(table[i].scenario, 0) == 0, "scenario %zu fails", i);
}

static void every_mistake_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++)
        must(table[i].seed == 0 ||
                 test_with_seed(table[i].scenario, table[i].seed) == TEST_CHILD_FAILED,
             "seed %d in scenario %zu", table[i].seed, i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_gets_the_data_of_another_history),
        cmocka_unit_test(every_mistake_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
