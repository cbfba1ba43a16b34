// SPDX-License-Identifier: MIT
/*
 * untorn_commit_list(): what it calls whole can be read as a snapshot of all arrays, and nothing
 * else can; pins; deleted and later arrays; a writer at full rate meanwhile; hostile bytes.
 *
 * The truth is asked of untorn_snapshot_open(), which finds descriptors by another way.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "segment/layout.h"

struct bench {
    const char *segment;
    untorn_writer *writer;
    untorn_reader *reader;
    uint64_t value;
};

static struct bench begin(const char *what) {
    struct bench bench = {.segment = test_segment(what)};
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 16u << 20;
    options.versions = 2;
    must_ok(untorn_writer_open(bench.segment, &options, &bench.writer));
    must_ok(untorn_reader_open(bench.segment, NULL, &bench.reader));
    return bench;
}

static void end(struct bench *bench) {
    untorn_reader_close(bench->reader);
    untorn_writer_close(bench->writer);
    must_ok(untorn_segment_remove(bench->segment));
}

// Rewrite an array, making it if it is not there.  Not committed.
static void change(struct bench *bench, const char *name) {
    const uint64_t shape[1] = {4096};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = shape;
    untorn_writer_array *array = NULL;
    uint64_t data[4096];
    bench->value++;
    for (size_t i = 0; i < 4096; i++)
        data[i] = bench->value;
    must_ok(untorn_require(bench->writer, name, &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
}

static uint64_t commit(struct bench *bench) {
    uint64_t number = 0;
    must_ok(untorn_commit(bench->writer, &number));
    return number;
}

static untorn_commit_listing *list(struct bench *bench) {
    untorn_commit_listing *listing = NULL;
    must_ok(untorn_commit_list(bench->reader, &listing));
    for (size_t i = 1; i < listing->count; i++)
        must(listing->commits[i - 1].commit < listing->commits[i].commit, "ascending, each once");
    return listing;
}

static const untorn_commit_entry *entry_of(const untorn_commit_listing *listing, uint64_t number) {
    for (size_t i = 0; i < listing->count; i++)
        if (listing->commits[i].commit == number)
            return &listing->commits[i];
    return NULL;
}

// Whether a snapshot of all arrays can be had; *arrays: how many these are.
static int readable(struct bench *bench, uint64_t number, size_t *arrays) {
    untorn_snapshot *snapshot = NULL;
    untorn_status status = untorn_snapshot_open(bench->reader, NULL, 0, number, &snapshot);
    if (status == UNTORN_E_NO_COMMIT)
        return 0;
    must_ok(status);
    int same = untorn_snapshot_commit(snapshot) == number;
    *arrays = untorn_snapshot_count(snapshot);
    untorn_snapshot_close(snapshot);
    return same;
}

// Whether each commit from 1 to the newest is as listed.  Of one at which not all of today's arrays
// existed, the listing may not know that.
static void compare(struct bench *bench) {
    untorn_stat stat;
    must_ok(untorn_reader_stat(bench->reader, &stat));
    untorn_commit_listing *listing = list(bench);
    for (uint64_t number = 1; number <= stat.commit; number++) {
        const untorn_commit_entry *entry = entry_of(listing, number);
        size_t arrays = 0;
        int listed = entry != NULL && entry->whole;
        int can = readable(bench, number, &arrays);
        must(listed == can || (can && arrays < stat.arrays),
             "commit %llu of %llu: listed %d, can be read %d", (unsigned long long)number,
             (unsigned long long)stat.commit, listed, can);
    }
    untorn_commit_listing_free(listing);
}

static void whole_is_what_can_be_read(void **state) {
    (void)state;
    struct bench bench = begin("log-whole");
    compare(&bench);
    struct test_rng rng = {test_seed()};
    for (unsigned step = 0; step < 60; step++) {
        static const char *const names[] = {"a", "b", "c/d"};
        for (unsigned i = 0; i < 3; i++)
            if (rng_below(&rng, 2))
                change(&bench, names[i]);
        commit(&bench);
        if (step % 6 == 5)
            compare(&bench);
    }
    end(&bench);
}

static void arrays_are_counted(void **state) {
    (void)state;
    struct bench bench = begin("log-counted");
    change(&bench, "a");
    change(&bench, "b");
    uint64_t both = commit(&bench);
    change(&bench, "b");
    uint64_t one = commit(&bench);
    untorn_commit_listing *listing = list(&bench);
    must(entry_of(listing, both)->arrays == 2, "both");
    must(entry_of(listing, one)->arrays == 1, "one");
    must(entry_of(listing, one)->time > INT64_C(1600000000000000000), "a time");
    must(!entry_of(listing, one)->pinned, "not pinned");
    untorn_commit_listing_free(listing);
    end(&bench);
}

static void a_deletion_ends_what_was_before(void **state) {
    (void)state;
    struct bench bench = begin("log-deleted");
    change(&bench, "a");
    change(&bench, "b");
    uint64_t before = commit(&bench);
    must_ok(untorn_delete(bench.writer, "a"));
    uint64_t deleted = commit(&bench);
    change(&bench, "c"); // where a was
    uint64_t after = commit(&bench);
    untorn_commit_listing *listing = list(&bench);
    const untorn_commit_entry *entry = entry_of(listing, before);
    must(entry != NULL && !entry->whole, "b can be read, a cannot");
    must(entry_of(listing, deleted)->whole && entry_of(listing, after)->whole, "b, and then c");
    untorn_commit_listing_free(listing);
    compare(&bench);
    end(&bench);
}

static void pins_stay_listed(void **state) {
    (void)state;
    struct bench bench = begin("log-pins");
    change(&bench, "a");
    change(&bench, "b");
    commit(&bench);
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_snapshot_open(bench.reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    uint64_t pinned = untorn_snapshot_commit(snapshot);
    for (unsigned i = 0; i < 200; i++) {
        change(&bench, "a");
        commit(&bench);
    }
    untorn_commit_listing *listing = list(&bench);
    const untorn_commit_entry *entry = entry_of(listing, pinned);
    must(entry != NULL && entry->whole && entry->pinned, "the pin's");
    must(entry->arrays == 2, "%llu arrays", (unsigned long long)entry->arrays);
    must(entry->time > 0, "its time");
    size_t arrays = 0;
    must(readable(&bench, pinned, &arrays) && arrays == 2, "it is there");
    // What comes after it is gone, though b is as it was.
    const untorn_commit_entry *next = entry_of(listing, pinned + 1);
    must(next == NULL || !next->whole, "the next one's");
    untorn_commit_listing_free(listing);
    untorn_snapshot_close(snapshot);
    for (unsigned i = 0; i < 200; i++) {
        change(&bench, "a");
        commit(&bench);
    }
    listing = list(&bench);
    entry = entry_of(listing, pinned);
    must(entry == NULL || (!entry->pinned && !entry->whole), "the pin has ended");
    untorn_commit_listing_free(listing);
    end(&bench);
}

struct busy {
    struct bench *bench;
    atomic_int stop;
};

static void *commit_on(void *argument) {
    struct busy *busy = argument;
    while (!atomic_load(&busy->stop)) {
        change(busy->bench, "a");
        if (busy->bench->value % 16 == 0)
            change(busy->bench, "b");
        commit(busy->bench);
    }
    return NULL;
}

// Listings of a moment: in order, never above the newest commit, never without an end.
static void beside_a_writer_at_full_rate(void **state) {
    (void)state;
    struct bench bench = begin("log-busy");
    change(&bench, "a");
    commit(&bench);
    struct busy busy = {.bench = &bench};
    pthread_t thread;
    must(pthread_create(&thread, NULL, commit_on, &busy) == 0, "thread");
    uint64_t last = 0, whole = 0;
    uint64_t rounds = test_count(500);
    // And the newest can be read now and then: when, is the scheduler's business.
    for (uint64_t i = 0; i < rounds || last < 1000 || whole == 0; i++) {
        untorn_commit_listing *listing = list(&bench);
        uint64_t newest = untorn_reader_commit(bench.reader);
        if (listing->count != 0) {
            uint64_t highest = listing->commits[listing->count - 1].commit;
            must(highest <= newest && highest >= last, "time runs forward");
            last = highest;
            whole += (uint64_t)listing->commits[listing->count - 1].whole;
        }
        untorn_commit_listing_free(listing);
    }
    atomic_store(&busy.stop, 1);
    pthread_join(thread, NULL);
    compare(&bench);
    end(&bench);
}

// Any bytes in the data file: a listing or an error.
static void hostile_bytes(void **state) {
    (void)state;
    struct bench bench = begin("log-hostile");
    for (unsigned i = 0; i < 12; i++) {
        change(&bench, "a");
        change(&bench, "b");
        commit(&bench);
    }
    int fd = open(test_segment_path(bench.segment, ""), O_RDWR | O_CLOEXEC);
    must(fd >= 0, "the data file");
    const size_t size = 192u << 10; // where headers and rings are
    uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(words != MAP_FAILED, "mapped");
    uint64_t *copy = malloc(size);
    memcpy(copy, words, size);
    struct test_rng rng = {test_seed()};
    uint64_t cases = test_count_at_least(500, 1000), refused = 0; // one in 18 is refused
    for (uint64_t i = 0; i < cases; i++) {
        unsigned damages = 1 + (unsigned)rng_below(&rng, 8);
        for (unsigned d = 0; d < damages; d++) {
            size_t at = offsetof(ut_superblock, commit) / 8 +
                        (size_t)rng_below(&rng, size / 8 - offsetof(ut_superblock, commit) / 8);
            // Places that say something, half of the time.
            if (rng_below(&rng, 2))
                while (copy[at] == 0)
                    at = offsetof(ut_superblock, commit) / 8 +
                         (size_t)rng_below(&rng, size / 8 - offsetof(ut_superblock, commit) / 8);
            words[at] =
                rng_below(&rng, 2) ? rng_next(&rng) : copy[at] ^ UINT64_C(1) << rng_below(&rng, 64);
        }
        untorn_commit_listing *listing = NULL;
        untorn_status status = untorn_commit_list(bench.reader, &listing);
        if (status == UNTORN_OK)
            untorn_commit_listing_free(listing);
        else
            refused++;
        must(status == UNTORN_OK || status == UNTORN_E_CORRUPT, "%s", untorn_message());
        memcpy(words, copy, size);
    }
    must(refused > 0, "some of it was found");
    compare(&bench);
    free(copy);
    munmap(words, size);
    close(fd);
    end(&bench);
}

static void arguments(void **state) {
    (void)state;
    untorn_commit_listing *listing = NULL;
    must_be(UNTORN_E_ARGUMENT, untorn_commit_list(NULL, &listing));
    struct bench bench = begin("log-arguments");
    must_be(UNTORN_E_ARGUMENT, untorn_commit_list(bench.reader, NULL));
    untorn_commit_listing_free(NULL);
    end(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_is_what_can_be_read),
        cmocka_unit_test(arrays_are_counted),
        cmocka_unit_test(a_deletion_ends_what_was_before),
        cmocka_unit_test(pins_stay_listed),
        cmocka_unit_test(beside_a_writer_at_full_rate),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests_name("commit log", tests, NULL, NULL);
}
