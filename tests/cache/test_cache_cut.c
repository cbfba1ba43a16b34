// SPDX-License-Identifier: MIT
/*
 * Arrays that become shorter, or go, in a segment that is full: what they leave behind makes room,
 * whether it was superseded by an earlier commit or is given up by the open transaction.  With a
 * store and, as far as nobody needs it, without one.
 *
 * The last `versions` generations of what is rewritten stay all the same, and the newest always.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#include "base/test_hooks.h"

#define SIZE (2u << 20)
#define CHUNK 4096u // elements: 16 KiB
#define MANY 110u   // chunks: most of the segment
#define MOST (MANY * CHUNK)

static struct cache cache;
static uint32_t values[2 * MOST];

static const uint32_t *filled(uint64_t count, uint32_t value) {
    must(count <= sizeof values / sizeof *values, "count");
    for (uint64_t i = 0; i < count; i++)
        values[i] = value;
    return values;
}

static untorn_writer_array *define(const char *name) {
    uint64_t nothing = 0, chunk = CHUNK;
    return cache_define(&cache, name, 1, &nothing, &chunk, 0);
}

// With `versions` of 4 and, if `store`, with one.
static void begin(const char *what, bool store) {
    cache_begin(&cache, what, SIZE);
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    must_ok(untorn_segment_remove(cache.segment));
    cache.reader = NULL;
    cache.options.versions = 4;
    cache.options.store = store ? cache.store : NULL;
    cache_open(&cache);
}

static void append(untorn_writer_array *array, uint64_t count, uint32_t value) {
    must_ok(untorn_append(array, 0, count, NULL, filled(count, value)));
}

static void resize(untorn_writer_array *array, uint64_t length) {
    must_ok(untorn_resize(array, &length));
}

static void must_have(const char *name, uint64_t length, uint32_t value) {
    static uint32_t got[2 * MOST];
    untorn_array *array;
    untorn_result result;
    memset(got, 0xee, sizeof got);
    must_ok(untorn_array_open(cache.reader, name, &array));
    must_ok(untorn_read(array, NULL, NULL, got, sizeof got, &result));
    must(result.shape[0] == length, "%s has %llu elements, not %llu", name,
         (unsigned long long)result.shape[0], (unsigned long long)length);
    for (uint64_t i = 0; i < length; i++)
        must(got[i] == value, "%s: element %llu is %u, not %u", name, (unsigned long long)i, got[i],
             value);
    untorn_array_close(array);
}

/* ---- what an earlier commit cut off ---- */

// "a" has filled the segment, and was cut in a commit of its own.
static untorn_writer_array *begin_cut(const char *what, bool store, uint64_t length) {
    begin(what, store);
    untorn_writer_array *array = define("a");
    define("b");
    append(array, MOST, 1);
    must_ok(untorn_commit(cache.writer, NULL));
    if (store)
        must_ok(untorn_flush(cache.writer, NULL));
    resize(array, length);
    must_ok(untorn_commit(cache.writer, NULL));
    return array;
}

static void what_was_cut_off_makes_room(bool store) {
    for (uint64_t length = 0; length <= 5000; length += 5000) {
        untorn_writer_array *array = begin_cut("cut", store, length);
        append(array, MOST - 2 * CHUNK, 1); // itself
        must_ok(untorn_commit(cache.writer, NULL));
        must_have("a", length + MOST - 2 * CHUNK, 1);
        books_must_add_up(cache.writer, 0, "its own");
        cache_end(&cache);

        begin_cut("other", store, length);
        untorn_writer_array *other;
        must_ok(untorn_writer_array_open(cache.writer, "b", &other));
        append(other, MOST - 2 * CHUNK, 2);
        must_ok(untorn_commit(cache.writer, NULL));
        must_have("a", length, 1);
        must_have("b", MOST - 2 * CHUNK, 2);
        books_must_add_up(cache.writer, 0, "another's");
        cache_end(&cache);

        begin_cut("reopened", store, length);
        untorn_writer_close(cache.writer);
        cache_open(&cache);
        must_ok(untorn_writer_array_open(cache.writer, "a", &array));
        append(array, MOST - 2 * CHUNK, 1);
        must_ok(untorn_commit(cache.writer, NULL));
        must_have("a", length + MOST - 2 * CHUNK, 1);
        books_must_add_up(cache.writer, 0, "after another writer's");
        cache_end(&cache);
    }
}

static void P10_what_was_cut_off_makes_room(void **state) {
    (void)state;
    what_was_cut_off_makes_room(true);
}

static void P10_what_was_cut_off_makes_room_without_a_store(void **state) {
    (void)state;
    what_was_cut_off_makes_room(false);
}

// A reader's snapshot of before holds it: the pin ends, the call does not fail.
static void P10_a_pin_on_what_was_cut_off_ends(void **state) {
    (void)state;
    begin("pinned", false);
    untorn_writer_array *array = define("a");
    append(array, MOST, 1);
    must_ok(untorn_commit(cache.writer, NULL));
    untorn_snapshot *snapshot;
    must_ok(untorn_snapshot_open(cache.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    resize(array, 0);
    must_ok(untorn_commit(cache.writer, NULL));
    append(array, MOST - 2 * CHUNK, 2);
    must_ok(untorn_commit(cache.writer, NULL));
    must_be(UNTORN_E_OVERTAKEN, untorn_snapshot_check(snapshot));
    untorn_snapshot_close(snapshot);
    must_have("a", MOST - 2 * CHUNK, 2);
    cache_end(&cache);
}

// Attributes are never evicted, but earlier ones are in nobody's way for ever.
static void P10_earlier_attributes_make_room(void **state) {
    (void)state;
    enum { LENGTH = 400 << 10 };
    begin("attributes", true);
    untorn_writer_array *array = define("a");
    char *text = malloc(LENGTH + 1);
    memset(text, 'x', LENGTH);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + LENGTH - 2, "\"}", 3);
    for (int i = 0; i < 12; i++) {
        text[6] = (char)('a' + i);
        must_ok(untorn_set_attributes(array, text));
        must_ok(untorn_commit(cache.writer, NULL));
    }
    free(text);
    books_must_add_up(cache.writer, 0, "attributes");
    cache_end(&cache);
}

/* ---- what stays ---- */

// Without a store, what is rewritten keeps its versions, and the call that wants them fails.
static void versions_of_what_is_rewritten_stay(void **state) {
    (void)state;
    enum { PART = MANY / 5 * CHUNK };
    begin("stays", false);
    untorn_writer_array *a = define("a"), *b = define("b");
    append(a, PART, 0);
    for (uint32_t i = 1; i <= 8; i++) {
        must_ok(untorn_write(a, NULL, NULL, NULL, filled(PART, i)));
        must_ok(untorn_commit(cache.writer, NULL));
    }
    must_say(UNTORN_E_NO_SPACE, "the last 4 are kept",
             untorn_append(b, 0, 2 * PART, NULL, filled(2 * PART, 1)));
    untorn_abort(cache.writer);
    uint64_t oldest = ut_load_relaxed(&a->object->header->oldest);
    must(a->object->generation - oldest >= 3, "the window begins %llu before the newest",
         (unsigned long long)(a->object->generation - oldest));
    must_have("a", PART, 8);
    cache_end(&cache);
}

struct looker {
    _Atomic int stop;
    _Atomic uint64_t reads;
};

// Whatever length it has: all of one value, which belongs to that length.
static void *look(void *argument) {
    struct looker *looker = argument;
    uint32_t *got = malloc(MOST * sizeof *got);
    untorn_reader *reader;
    untorn_array *array;
    uint32_t last = 0;
    must_ok(untorn_reader_open(cache.segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
    while (!atomic_load(&looker->stop)) {
        untorn_result result;
        untorn_status status = untorn_read(array, NULL, NULL, got, MOST * sizeof *got, &result);
        if (status == UNTORN_E_OVERTAKEN) // no space for a pin
            continue;
        must_ok(status);
        uint64_t length = result.shape[0];
        for (uint64_t i = 1; i < length; i++)
            must(got[i] == got[0], "%u and %u in one array", got[0], got[i]);
        bool right = length == 0 || (got[0] >= last && length == (got[0] % 7 + 1) * 10000);
        must(right, "%llu elements of %u after %u", (unsigned long long)length, got[0], last);
        last = length == 0 ? last : got[0];
        atomic_fetch_add(&looker->reads, 1);
    }
    untorn_reader_close(reader);
    free(got);
    return NULL;
}

// In a segment that has no room for versions, which go with each cut, readers see whole arrays.
static void P4_the_newest_stays_for_readers(void **state) {
    (void)state;
    struct looker looker = {0, 0};
    pthread_t thread;
    begin("look", false);
    untorn_writer_array *array = define("a"), *rest = define("rest");
    append(rest, MOST - 8 * 10000, 1);
    must_ok(untorn_commit(cache.writer, NULL));
    must(pthread_create(&thread, NULL, look, &looker) == 0, "thread");
    for (uint32_t i = 1; i < test_count(2000) || atomic_load(&looker.reads) < 20; i++) {
        append(array, (i % 7 + 1) * 10000, i);
        must_ok(untorn_commit(cache.writer, NULL));
        resize(array, 0);
        must_ok(untorn_commit(cache.writer, NULL));
    }
    atomic_store(&looker.stop, 1);
    pthread_join(thread, NULL);
    books_must_add_up(cache.writer, 0, "at the end");
    must_have("rest", MOST - 8 * 10000, 1);
    cache_end(&cache);
}

/* ---- what the open transaction gives up ---- */

static untorn_writer_array *begin_full(const char *what) {
    begin(what, true);
    untorn_writer_array *array = define("a");
    append(array, MOST, 1);
    must_ok(untorn_commit(cache.writer, NULL));
    return array;
}

static void refill(untorn_writer_array *array, uint64_t length, uint32_t value) {
    resize(array, 0);
    append(array, length, value);
}

static void shrink_and_refill(void) {
    untorn_writer_array *array = begin_full("refill");
    for (uint32_t i = 2; i <= 6; i++) {
        if (i % 2 == 0) // else the call waits for a flush
            must_ok(untorn_flush(cache.writer, NULL));
        refill(array, MOST - i * 1000, i);
        books_must_add_up(cache.writer, 0, "refilled");
        must_ok(untorn_commit(cache.writer, NULL));
        books_must_add_up(cache.writer, 0, "committed");
        must_have("a", MOST - i * 1000, i);
    }
    cache_end(&cache);
}

static void P10_shrink_and_refill_in_one_transaction(void **state) {
    (void)state;
    shrink_and_refill();
}

static void an_abort_has_it_back(void **state) {
    (void)state;
    untorn_writer_array *array = begin_full("abort");
    for (int i = 0; i < 3; i++) {
        must_ok(untorn_flush(cache.writer, NULL));
        refill(array, MOST, 2);
        must(cache_resident(cache.writer, "a") < 10, "what was given up was evicted");
        untorn_abort(cache.writer);
        books_must_add_up(cache.writer, 0, "aborted");
        must_have("a", MOST, 1);
    }
    append(array, CHUNK, 1);
    must_ok(untorn_commit(cache.writer, NULL));
    must_have("a", MOST + CHUNK, 1);
    cache_end(&cache);
}

static void P10_everything_rewritten_in_one_transaction(void **state) {
    (void)state;
    untorn_writer_array *array = begin_full("rewrite");
    for (uint32_t i = 2; i <= 5; i++) {
        must_ok(untorn_write(array, NULL, NULL, NULL, filled(MOST, i)));
        must_ok(untorn_commit(cache.writer, NULL));
        books_must_add_up(cache.writer, 0, "rewritten");
        must_have("a", MOST, i);
    }
    cache_end(&cache);
}

static void P10_deleted_and_defined_anew_in_one_transaction(void **state) {
    (void)state;
    untorn_writer_array *array = begin_full("anew");
    for (uint32_t i = 2; i <= 5; i++) {
        must_ok(untorn_delete(cache.writer, "a"));
        array = define("a");
        append(array, MOST - 1000, i);
        if (i % 2 == 0) {
            untorn_abort(cache.writer);
            must_have("a", i == 2 ? MOST : MOST - 1000, i - 1);
            must_ok(untorn_delete(cache.writer, "a"));
            array = define("a");
            append(array, MOST - 1000, i);
        }
        must_ok(untorn_commit(cache.writer, NULL));
        books_must_add_up(cache.writer, 0, "anew");
        must_have("a", MOST - 1000, i);
    }
    cache_end(&cache);
}

/* ---- known mistakes ---- */

static void its_own(void) {
    untorn_writer_array *array = begin_cut("own", false, 0);
    append(array, MOST - 2 * CHUNK, 1);
    _exit(0);
}

static void must_be_noticed(int seed, void (*scenario)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        test_is_child = 1;
        ut_seeded_bug = seed;
        alarm(60);
        if (freopen("/dev/null", "w", stderr) == NULL || freopen("/dev/null", "w", stdout) == NULL)
            _exit(0);
        scenario();
        _exit(0);
    }
    int status = 0;
    must(child > 0 && waitpid(child, &status, 0) == child, "child");
    must(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "%d was not noticed", seed);
}

// 137: no window gives way; 330: a slot that was evicted stays among what the transaction gives up.
static void mistakes_are_noticed(void **state) {
    (void)state;
    skip_under_tsan();
    must_be_noticed(137, its_own);
    must_be_noticed(330, shrink_and_refill);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_what_was_cut_off_makes_room),
        cmocka_unit_test(P10_what_was_cut_off_makes_room_without_a_store),
        cmocka_unit_test(P10_a_pin_on_what_was_cut_off_ends),
        cmocka_unit_test(P10_earlier_attributes_make_room),
        cmocka_unit_test(versions_of_what_is_rewritten_stay),
        cmocka_unit_test(P4_the_newest_stays_for_readers),
        cmocka_unit_test(P10_shrink_and_refill_in_one_transaction),
        cmocka_unit_test(an_abort_has_it_back),
        cmocka_unit_test(P10_everything_rewritten_in_one_transaction),
        cmocka_unit_test(P10_deleted_and_defined_anew_in_one_transaction),
        cmocka_unit_test(mistakes_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
