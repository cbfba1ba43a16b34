// SPDX-License-Identifier: MIT
/*
 * A call that waits for a flush to make room: it waits as long as the flush does anything, and not
 * for one that does nothing; what it says then; and how often it looks at the store meanwhile.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/books.h"
#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/scale.h"

#include "base/clock.h"
#include "base/file_ops.h"
#include "store/eviction.h"

#define SIZE (2u << 20)
#define CHUNK 4096u // elements: 16 KiB
#define SLOT (CHUNK * sizeof(uint32_t))
#define SMALL 64u // elements
#define LINKS 600u

static struct cache cache;
static uint32_t values[1u << 17];

static const uint32_t *filled(uint64_t count, uint32_t value) {
    must(count <= sizeof values / sizeof *values, "count");
    for (uint64_t i = 0; i < count; i++)
        values[i] = value;
    return values;
}

static untorn_writer_array *array_of(const char *name) {
    untorn_writer_array *array;
    must_ok(untorn_writer_array_open(cache.writer, name, &array));
    return array;
}

/* ---- file operations of our own ---- */

static struct ut_file_ops table;
static const struct ut_file_ops *usual;
static uint64_t link_us;       // that a link takes
static _Atomic int64_t moved;  // when the last one was made
static _Atomic int64_t rested; // the longest that none was made
static _Atomic int links_hang; // until this is 0
static _Atomic uint64_t links; // made
static _Atomic int counting;   // how often the snapshots are listed, by this thread
static pthread_t lister;
static uint64_t listings;

static void note_a_move(void) {
    int64_t now = ut_clock_monotonic(), rest = now - atomic_load(&moved);
    if (rest > atomic_load(&rested))
        atomic_store(&rested, rest);
    atomic_store(&moved, now);
}

static int slow_link(const char *from, const char *to) {
    test_sleep_us(link_us);
    while (atomic_load(&links_hang))
        test_sleep_us(1000);
    atomic_fetch_add(&links, 1);
    note_a_move();
    return usual->link(from, to);
}

static DIR *counted_opendir(const char *path) {
    size_t length = strlen(path), tail = strlen("/snapshots");
    if (atomic_load(&counting) && pthread_equal(pthread_self(), lister) && length > tail &&
        strcmp(path + length - tail, "/snapshots") == 0)
        listings++;
    return usual->opendir(path);
}

// Of the writer that is opened next.
static void use_table(void) {
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    cache.reader = NULL;
    usual = ut_files;
    table = *usual;
    table.link = slow_link;
    table.opendir = counted_opendir;
    ut_files_replace(&table);
    cache_open(&cache);
}

static void end(void) {
    untorn_reader_close(cache.reader);
    untorn_writer_close(cache.writer);
    ut_files_replace(usual);
    must_ok(untorn_segment_remove(cache.segment));
}

/* ---- flushes of many links ---- */

static void change_one(uint32_t value) {
    uint64_t start = 0, count = SMALL;
    must_ok(untorn_write(array_of("many"), &start, &count, NULL, filled(count, value)));
    must_ok(untorn_commit(cache.writer, NULL));
}

// "many" has LINKS chunks in the store, one of which has changed: a flush links all others.
static void begin(const char *what) {
    uint64_t nothing = 0, small = SMALL, chunk = CHUNK;
    cache_begin(&cache, what, SIZE);
    untorn_writer_array *many = cache_define(&cache, "many", 1, &nothing, &small, 0);
    cache_define(&cache, "a", 1, &nothing, &chunk, 0);
    must_ok(untorn_append(many, 0, LINKS * SMALL, NULL, filled(LINKS * SMALL, 1)));
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    use_table();
    change_one(2);
}

// Commit until space is out; the status of the call that found none.
static untorn_status fill(untorn_writer_array *array, uint64_t most) {
    untorn_status status = UNTORN_OK;
    for (uint64_t i = 0; i < most && status == UNTORN_OK; i++) {
        status = untorn_append(array, 0, CHUNK, NULL, filled(CHUNK, 3));
        if (status == UNTORN_OK)
            status = untorn_commit(cache.writer, NULL);
    }
    return status;
}

// Fill, and once more as often as it was not the flush that did nothing, but the machine that gave
// it no processor.
static untorn_status fill_patiently(untorn_writer_array *array, uint64_t most) {
    for (;;) {
        atomic_store(&moved, ut_clock_monotonic());
        atomic_store(&rested, 0);
        untorn_status status = fill(array, most);
        note_a_move();
        if (status != UNTORN_E_NO_SPACE || atomic_load(&rested) < ut_eviction_patience / 2)
            return status;
        untorn_abort(cache.writer);
    }
}

static void P10_a_flush_that_moves_is_waited_for(void **state) {
    (void)state;
    int64_t patience = ut_eviction_patience;
    begin("moves");
    ut_eviction_patience = INT64_C(1000000000);
    link_us = 5000; // 3 s in all
    atomic_store(&links, 0);
    must_ok(fill_patiently(array_of("a"), 2 * SIZE / SLOT));
    must(atomic_load(&links) >= LINKS - 1, "%llu links", (unsigned long long)atomic_load(&links));
    link_us = 0;
    ut_eviction_patience = patience;
    books_must_add_up(cache.writer, 0, "at the end");
    end();
}

// The number before this part of the last message.
static uint64_t said(const char *part) {
    const char *at = strstr(untorn_message(), part);
    must(at != NULL, "%s", untorn_message());
    while (at > untorn_message() && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return strtoull(at, NULL, 10);
}

static void one_that_does_nothing_is_not(void **state) {
    (void)state;
    int64_t patience = ut_eviction_patience;
    begin("hangs");
    ut_eviction_patience = INT64_C(1000000000);
    atomic_store(&links_hang, 1);
    untorn_writer_array *a = array_of("a");
    must_say(UNTORN_E_NO_SPACE, "a flush has done nothing for 1 s", fill(a, 2 * SIZE / SLOT));
    uint64_t in_memory = cache_resident(cache.writer, "a");
    must(in_memory > 0 && said(" were changed since the last flush") ==
                              in_memory * SLOT + SMALL * sizeof(uint32_t),
         "%llu chunks in memory: %s", (unsigned long long)in_memory, untorn_message());
    must(said(" are of the open transaction") == 0, "%s", untorn_message());
    untorn_abort(cache.writer);

    // What is superseded now the flush's pin holds.
    uint64_t shape = 8 * CHUNK;
    must_ok(untorn_resize(a, &shape));
    must_ok(untorn_commit(cache.writer, NULL));
    untorn_status status = UNTORN_OK;
    for (uint32_t i = 0; i < 100 && status == UNTORN_OK; i++) {
        status = untorn_write(a, NULL, NULL, NULL, filled(shape, i));
        if (status == UNTORN_OK)
            status = untorn_commit(cache.writer, NULL);
    }
    must_be(UNTORN_E_NO_SPACE, status);
    must(said(" are held by the pin of the flush in progress") > 0, "%s", untorn_message());
    untorn_abort(cache.writer);

    atomic_store(&links_hang, 0);
    ut_eviction_patience = patience;
    must_ok(fill(a, SIZE / SLOT));
    books_must_add_up(cache.writer, 0, "at the end");
    end();
}

static void a_transaction_that_is_too_large_is_told(void **state) {
    (void)state;
    begin("large");
    untorn_writer_array *a = array_of("a");
    untorn_status status = UNTORN_OK;
    uint64_t appended = 0;
    for (; status == UNTORN_OK; appended++)
        status = untorn_append(a, 0, CHUNK, NULL, filled(CHUNK, 4));
    must_be(UNTORN_E_NO_SPACE, status);
    must(said(" are of the open transaction") == (appended - 1) * SLOT, "%llu appended: %s",
         (unsigned long long)appended, untorn_message());
    must(said(" were changed since the last flush") == 0 &&
             cache_said("all that was committed is in the store already"),
         "%s", untorn_message());
    end();
}

/* ---- looking at the store ---- */

static void the_store_is_listed_once_a_round(void **state) {
    (void)state;
    enum { CHUNKS = 500, ELEMENTS = 1024, ARRAYS = 3 };
    static const char *const names[ARRAYS] = {"x", "y", "z"};
    uint64_t shape = CHUNKS / ARRAYS * ELEMENTS, chunk = ELEMENTS;
    cache_begin(&cache, "listed", 4u << 20);
    for (int i = 0; i < ARRAYS; i++) {
        cache_define(&cache, names[i], 1, &shape, &chunk, 0);
        for (uint64_t start = 0; start < shape; start += chunk)
            must_ok(untorn_write(array_of(names[i]), &start, &chunk, NULL, filled(chunk, 5)));
    }
    must_ok(untorn_commit(cache.writer, NULL));
    must_ok(untorn_flush(cache.writer, NULL));
    use_table();
    const ut_relief *relief = cache.writer->publisher.relief;
    uint64_t rounds = 0, before = 0, after = 0;
    for (int i = 0; i < ARRAYS; i++)
        before += cache_resident(cache.writer, names[i]);
    lister = pthread_self();
    listings = 0;
    atomic_store(&counting, 1);
    while (rounds < 1000 && relief->evict(relief->context, 1u << 20))
        rounds++;
    atomic_store(&counting, 0);
    for (int i = 0; i < ARRAYS; i++)
        after += cache_resident(cache.writer, names[i]);
    must(before > CHUNKS - ARRAYS - 1 && after == 0, "%llu chunks, then %llu",
         (unsigned long long)before, (unsigned long long)after);
    // The last round finds nothing.  An array whose manifest is not open yet takes a look, too.
    must(listings > 0 && listings <= rounds + 1 + ARRAYS, "%llu listings in %llu rounds",
         (unsigned long long)listings, (unsigned long long)rounds);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P10_a_flush_that_moves_is_waited_for),
        cmocka_unit_test(one_that_does_nothing_is_not),
        cmocka_unit_test(a_transaction_that_is_too_large_is_told),
        cmocka_unit_test(the_store_is_listed_once_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
