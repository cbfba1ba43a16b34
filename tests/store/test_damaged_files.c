// SPDX-License-Identifier: MIT
/*
 * Flushing to a store in which files are missing or damaged, or that is not where it was.
 *
 * What is in memory is written anew, and that is said; what is not is said, too.  A flush that has
 * nothing to write looks whether what was flushed is there, and never writes into a directory that
 * is not the one that was opened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/test_hooks.h"
#include "support/cache_world.h"
#include "support/must.h"
#include "support/names.h"

#define CHUNK 16u
#define MOST_CHUNKS 1024u

static struct cache cache;
static untorn_writer_array *array;
static uint64_t chunks;
static uint32_t values[MOST_CHUNKS * CHUNK];
static char sentence[2048]; // the last that was told
static unsigned told;

static void listen(void *context, untorn_status status, const char *said) {
    (void)context;
    (void)status;
    told++;
    snprintf(sentence, sizeof sentence, "%s", said);
}

static void begin(uint64_t count) {
    uint64_t shape = count * CHUNK, chunk = CHUNK;
    chunks = count;
    told = 0;
    cache_begin(&cache, "damaged", 4u << 20);
    untorn_writer_close(cache.writer);
    cache.options.notify = listen;
    cache_open(&cache);
    array = cache_define(&cache, "a", 1, &shape, &chunk, 7);
    for (uint32_t i = 0; i < shape; i++)
        values[i] = i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
}

// So that the array is written anew, and its other chunks linked.
static void change_first(void) {
    uint64_t start = 0, count = 1;
    values[0]++;
    must_ok(untorn_write(array, &start, &count, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
}

static void must_have_all(void) {
    static uint32_t got[MOST_CHUNKS * CHUNK];
    untorn_array *opened;
    must_ok(untorn_array_open(cache.reader, "a", &opened));
    must_ok(untorn_read(opened, NULL, NULL, got, sizeof got, NULL));
    for (uint32_t i = 0; i < chunks * CHUNK; i++)
        must(got[i] == values[i], "element %u is %u", i, got[i]);
    untorn_array_close(opened);
}

// All is whole again, once the older snapshots are gone: those go after a flush has returned.
static void must_heal(void) {
    untorn_verify_options options = UNTORN_VERIFY_OPTIONS_INIT;
    untorn_verify_result result;
    int rounds = 0;
    do {
        must(rounds++ < 1000, "it does not heal: %s", untorn_message());
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        change_first();
        must_ok(untorn_flush(cache.writer, NULL));
    } while (untorn_store_verify(cache.store, &options, &result) != UNTORN_OK);
    must(told == 0, "told %u times: %s", told, sentence);
}

static void must_verify(untorn_status expected) {
    untorn_verify_options options = UNTORN_VERIFY_OPTIONS_INIT;
    untorn_verify_result result;
    must_be(expected, untorn_store_verify(cache.store, &options, &result));
}

static void must_be_told(const char *file, const char *what, const char *so) {
    must(told == 1, "told %u times: %s", told, sentence);
    must(strstr(sentence, file) && strstr(sentence, what) && strstr(sentence, so), "\"%s\"",
         sentence);
    told = 0;
}

/* ---- files ---- */

static void a_missing_file_is_written_anew(void **state) {
    (void)state;
    begin(64);
    must(unlink(cache_file(&cache, "a", "3")) == 0, "unlink");
    change_first();
    must_ok(untorn_flush(cache.writer, NULL));
    must_be_told("/3 ", "is not there", "written anew");
    for (unsigned i = 10; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        must(unlink(cache_file(&cache, "a", name)) == 0, "unlink");
    }
    change_first();
    must_ok(untorn_flush(cache.writer, NULL));
    must_be_told("/10 ", "is not there", "and so for 9 more");
    must_heal();
    cache_restart(&cache);
    must_have_all();
    cache_end(&cache);
}

static void a_missing_file_of_what_is_only_there_is_an_error(void **state) {
    (void)state;
    char file[4096], aside[4100];
    begin(64);
    must(cache_evict(cache.writer) > 0, "evicted");
    snprintf(file, sizeof file, "%s", cache_file(&cache, "a", "3"));
    snprintf(aside, sizeof aside, "%s-", file);
    must(rename(file, aside) == 0, "rename");
    change_first();
    must_say(UNTORN_E_CORRUPT, file, untorn_flush(cache.writer, NULL));
    must(rename(aside, file) == 0, "rename");
    must_ok(untorn_flush(cache.writer, NULL));
    must_verify(UNTORN_OK);
    must_have_all();
    cache_end(&cache);
}

static void a_shorter_file_is_written_anew(void **state) {
    (void)state;
    begin(64);
    must(truncate(cache_file(&cache, "a", "3"), 5) == 0, "truncate");
    change_first();
    must_ok(untorn_flush(cache.writer, NULL));
    must_be_told("/3 ", "has 5 bytes instead of", "written anew");
    must_heal();
    cache_restart(&cache);
    must_have_all();
    cache_end(&cache);
}

// It is linked: the other chunks shall be kept.
static void a_shorter_file_of_what_is_only_there_is_told(void **state) {
    (void)state;
    begin(64);
    must(cache_evict(cache.writer) > 0, "evicted");
    must(truncate(cache_file(&cache, "a", "3"), 5) == 0, "truncate");
    change_first();
    must_ok(untorn_flush(cache.writer, NULL));
    must_be_told("/3 ", "has 5 bytes instead of", "nothing else has its content");
    must_verify(UNTORN_E_CORRUPT);
    cache_end(&cache);
}

// Of many chunks each flush looks at a part, the next at another.
static void every_file_has_its_turn(void **state) {
    (void)state;
    begin(MOST_CHUNKS);
    must(truncate(cache_file(&cache, "a", "777"), 5) == 0, "truncate");
    for (int i = 0; i < 4; i++) {
        change_first();
        must_ok(untorn_flush(cache.writer, NULL));
    }
    must_be_told("/777 ", "has 5 bytes instead of", "written anew");
    must_heal();
    cache_end(&cache);
}

/* ---- the store ---- */

static void must_be_refused(void) {
    uint64_t commit;
    must_say(UNTORN_E_NO_STORE, "moved, removed or replaced", untorn_flush(cache.writer, &commit));
    must(cache_said(cache.store), "\"%s\"", untorn_message());
    must_say(UNTORN_E_NO_STORE, "moved, removed or replaced",
             untorn_request_flush(cache.reader, -1, &commit));
}

// With nothing to flush, and then with something.
static void a_store_that_is_not_there_fails_the_flush(void **state) {
    (void)state;
    char elsewhere[600];
    uint64_t commit;
    begin(64);
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", cache.store);
    must_ok(untorn_flush(cache.writer, &commit));
    must(rename(cache.store, elsewhere) == 0, "rename");
    must_be_refused();
    must(mkdir(cache.store, 0777) == 0, "mkdir");
    must_be_refused();
    change_first();
    must_be_refused();
    must(rmdir(cache.store) == 0, "something was written into another directory");
    must(rename(elsewhere, cache.store) == 0, "rename");
    must_ok(untorn_flush(cache.writer, &commit));
    must(commit == untorn_writer_commit(cache.writer), "%llu", (unsigned long long)commit);
    must_verify(UNTORN_OK);
    cache_end(&cache);
}

// The directory of that name is another segment's, whose array directories nothing of ours names.
static void another_store_in_its_place_is_left_alone(void **state) {
    (void)state;
    struct cache other;
    char elsewhere[600];
    begin(64);
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", cache.store);
    must(rename(cache.store, elsewhere) == 0, "rename");
    cache_begin(&other, "other", 4u << 20);
    uint64_t one = 1;
    cache_define(&other, "b", 1, &one, &one, 7);
    must_ok(untorn_commit(other.writer, NULL));
    must_ok(untorn_flush(other.writer, NULL));
    char inside[700];
    snprintf(inside, sizeof inside, "%s/arrays/.tmp-0123456789abcdef", other.store);
    must(mkdir(inside, 0777) == 0, "mkdir"); // as if it were being written to
    must(rename(other.store, cache.store) == 0, "rename");
    change_first();
    must_say(UNTORN_E_FOREIGN_STORE, "belongs to another segment",
             untorn_flush(cache.writer, NULL));
    snprintf(inside, sizeof inside, "%s/arrays/.tmp-0123456789abcdef", cache.store);
    must(rmdir(inside) == 0, "another's store was cleaned");
    must_verify(UNTORN_OK);
    must(rename(cache.store, other.store) == 0, "rename");
    must(rename(elsewhere, cache.store) == 0, "rename");
    cache_end(&other);
    cache_end(&cache);
}

static void a_missing_link_and_a_missing_snapshot_are_made_again(void **state) {
    (void)state;
    char latest[600], snapshot[700], aside[600], target[64] = "";
    uint64_t commit;
    begin(64);
    snprintf(latest, sizeof latest, "%s/latest", cache.store);
    must(unlink(latest) == 0, "unlink");
    must_ok(untorn_flush(cache.writer, &commit));
    must(readlink(latest, target, sizeof target - 1) > 0, "it was not made again");
    snprintf(snapshot, sizeof snapshot, "%s/%s", cache.store, target);
    must(access(snapshot, F_OK) == 0, "%s", snapshot);
    must(unlink(latest) == 0, "unlink");
    must_ok(untorn_request_flush(cache.reader, -1, &commit));
    must(access(latest, F_OK) == 0, "it was not made again");
    snprintf(aside, sizeof aside, "%s-aside", cache.store);
    must(rename(snapshot, aside) == 0, "rename");
    must_ok(untorn_flush(cache.writer, &commit));
    must(access(latest, F_OK) == 0 && access(snapshot, F_OK) == 0, "%s", snapshot);
    must_verify(UNTORN_OK);
    cache_end(&cache);
}

// Nobody can look then: whoever asks is sent to become the writer.
static void nobody_answers_without_a_writer(void **state) {
    (void)state;
    begin(64);
    untorn_writer_close(cache.writer);
    cache.writer = NULL;
    must_be(UNTORN_E_WRITER_CLOSED, untorn_request_flush(cache.reader, -1, NULL));
    cache_open(&cache);
    cache_end(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_written_anew),
        cmocka_unit_test(a_missing_file_of_what_is_only_there_is_an_error),
        cmocka_unit_test(a_shorter_file_is_written_anew),
        cmocka_unit_test(a_shorter_file_of_what_is_only_there_is_told),
        cmocka_unit_test(every_file_has_its_turn),
        cmocka_unit_test(a_store_that_is_not_there_fails_the_flush),
        cmocka_unit_test(another_store_in_its_place_is_left_alone),
        cmocka_unit_test(a_missing_link_and_a_missing_snapshot_are_made_again),
        cmocka_unit_test(nobody_answers_without_a_writer),
    };
    return cmocka_run_group_tests_name("damaged_files", tests, NULL, NULL);
}
