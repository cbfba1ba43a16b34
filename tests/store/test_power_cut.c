// SPDX-License-Identifier: MIT
/*
 * P6: whatever a power cut leaves of a store, it opens as some flushed commit, whole, and as none
 * that is older than what a flush had reported done.
 *
 * Real flushes of a real segment are recorded (support/crash_log.h), with linked chunks, linked
 * arrays, arrays that come and go, and deleted snapshots.  For a cut after each of their operations
 * many of the states that the disk may then be in (support/crash_disk.h) are made and judged
 * (support/flush_world.h): every snapshot there is must be whole, to us and, file by file, to a
 * plain Zarr reader; `latest` must name one once a flush succeeded, and neither it nor the newest
 * is older than that flush.  Some states are then opened for writing, cleaned and flushed to again,
 * by the segment's own writer or by one that has nothing but the store.
 *
 * That the judge would notice is shown by mistakes switched on one at a time:
 *
 *   201  a chunk file is not synced
 *   202  manifests are not synced
 *   203  an array's directory is not synced before its rename
 *   204  arrays/ is not synced before the snapshot is published
 *   205  the snapshot's directory is not synced before its rename
 *   206  snapshots/ is not synced before `latest`
 *   207  `latest` is removed before it is made anew
 *   208  the store's directory is not synced after the rename of `latest`
 *   209  a snapshot's deletion is not synced before its arrays go
 *   210  the store's own name is not synced when it is made
 *   211  Zarr's metadata files are not synced
 *   212  after a failed fsync of a file another is believed
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/test_hooks.h"
#include "store/retention.h"
#include "support/crash_disk.h"
#include "support/flush_world.h"
#include "support/must.h"
#include "support/names.h"
#include "support/rng.h"
#include "support/scale.h"

// Of how many judged states one is written to again.
#define WRITTEN_TO 8

#define FLUSHES 16 // at most

static struct flush_world world;

// What each snapshot looks like to those who know files only.
static struct { uint64_t commit, hash; } looks[FLUSHES];
static size_t look_count;

/* ---- trees as plain readers see them ---- */

static char *join(const char *path, const char *name) {
    char *joined = NULL;
    if (asprintf(&joined, "%s/%s", path, name) < 0)
        abort();
    return joined;
}

static uint64_t hash_file(const char *path) {
    unsigned char bytes[1 << 16];
    uint64_t hash = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY);
    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        hash = test_mix(hash + ut_hash(bytes, (size_t)n));
    if (fd >= 0)
        close(fd);
    return hash;
}

// A number for all names and bytes below, symbolic links followed.
static uint64_t hash_tree(const char *path) {
    DIR *listing = opendir(path);
    uint64_t sum = 0;
    if (!listing)
        return hash_file(path);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *below = join(path, entry->d_name);
        sum += test_mix(ut_hash(entry->d_name, strlen(entry->d_name)) + hash_tree(below));
        free(below);
    }
    closedir(listing);
    return test_mix(sum + 1);
}

static uint64_t hash_snapshot(const char *store, uint64_t commit) {
    char name[64];
    snprintf(name, sizeof name, "snapshots/%llu", (unsigned long long)commit);
    char *path = join(store, name);
    uint64_t hash = hash_tree(path);
    free(path);
    return hash;
}

/* ---- the recorded history ---- */

static void retain(const ut_store *store, unsigned count) {
    const ut_retention retention = {.count = count, .time = -1, .needed = UINT64_MAX};
    must_ok(ut_retention_apply(store, &retention, NULL));
}

struct history {
    unsigned flushes; // each of one commit, with old snapshots deleted after it
    int seeded_bug;
    int refuse_links;
    int fail; // an fsync fails in the last flush, after good_syncs; the next one goes on
    long good_syncs;
    int kill; // the flusher dies in the last flush, after kill_after changes; the next one goes on
    long kill_after;
    int adopt;        // by a writer who has the store, and not by a flush alone
    size_t killed_at; // set: operations until then, also for `fail`
};

static void remember_looks(const char *path, uint64_t commit) {
    must(look_count < FLUSHES, "too many flushes");
    looks[look_count].commit = commit;
    looks[look_count++].hash = hash_snapshot(path, commit);
}

// The flusher dies in a flush.  0: it was too late to die.
static int die(struct crash_log *log, struct history *history, ut_store *store) {
    ut_flush_report report;
    log->life = history->kill_after;
    int died = flush_world_flush(&world, store, &report) != UNTORN_OK;
    log->life = -1;
    history->killed_at = log->count;
    ut_store_close(store);
    return died;
}

// An fsync fails in a flush.  0: there were no more.
static int fail_sync(struct crash_log *log, struct history *history, ut_store *store) {
    ut_flush_report report;
    log->good_syncs = history->good_syncs;
    int failed = flush_world_flush(&world, store, &report) != UNTORN_OK;
    log->good_syncs = -1;
    history->killed_at = log->count;
    return failed;
}

// Another writer takes the segment over and flushes it.
static void adopt_and_flush(const char *path) {
    uint64_t commit = 0;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.store = path;
    options.flush_interval = UNTORN_ON_DEMAND;
    untorn_writer_close(world.writer);
    must_ok(untorn_writer_open(world.segment, &options, &world.writer));
    must_ok(untorn_flush(world.writer, &commit));
    must(commit == world.next.commit, "commit %llu", (unsigned long long)commit);
}

// The flush that is reported done.
static void flush_one(struct history *history, ut_store *store, unsigned i) {
    ut_flush_report report;
    must_ok(flush_world_flush(&world, store, &report));
    must(report.commit == world.next.commit, "flush %u: commit %llu", i,
         (unsigned long long)report.commit);
    must(i == 0 || history->killed_at || world.options.export ||
             (report.chunks_linked && report.arrays_linked),
         "flush %u links nothing", i);
}

static void flush(struct crash_log *log, struct history *history, ut_store *store, const char *path,
                  unsigned i) {
    int killed = history->kill && i == history->flushes - 1;
    flush_world_step(&world);
    if (killed) {
        history->kill = die(log, history, store);
        if (history->adopt) {
            adopt_and_flush(path);
        } else {
            must_ok(ut_store_open(store, path, true));
            must_ok(ut_retention_clean(store));
        }
    }
    if (history->fail && i == history->flushes - 1)
        history->fail = fail_sync(log, history, store);
    if (!killed || !history->adopt)
        flush_one(history, store, i);
    crash_log_mark(log, world.next.commit);
    remember_looks(path, world.next.commit);
    if (!killed || !history->adopt)
        retain(store, 2);
    if (killed && history->adopt) {
        untorn_writer_close(world.writer);
        world.writer = NULL;
    }
}

static struct crash_log *record(struct history *history) {
    const char *directory = test_directory_in_memory("power");
    char *path = join(directory, "store");
    struct crash_log *log = crash_log_begin(directory);
    ut_store store;
    look_count = 0;
    ut_seeded_bug = history->seeded_bug;
    log->refuse_links = history->refuse_links;
    must_ok(ut_store_open(&store, path, true));
    for (unsigned i = 0; i < history->flushes; i++)
        flush(log, history, &store, path, i);
    ut_store_close(&store);
    ut_seeded_bug = 0;
    crash_log_end(log);
    free(path);
    return log;
}

/* ---- the judge ---- */

struct judging {
    struct test_rng rng;
    unsigned write_every; // 0: never
    unsigned written;
};

static const char *failed(const char *what) {
    static char text[5000];
    snprintf(text, sizeof text, "%s: %s", what, untorn_message());
    return text;
}

// The commit of the newest snapshot, 0: there is none.
static uint64_t newest(const char *path) {
    uint64_t *commits = NULL, commit = 0;
    size_t count = 0;
    ut_store store;
    if (ut_store_open(&store, path, false) != UNTORN_OK)
        return 0;
    if (ut_store_commits(&store, &commits, &count) == UNTORN_OK && count)
        commit = commits[0];
    free(commits);
    ut_store_close(&store);
    return commit;
}

static const char *judge_looks(const char *path) {
    for (size_t i = 0; i < look_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "snapshots/%llu", (unsigned long long)looks[i].commit);
        char *snapshot = join(path, name);
        int there = access(snapshot, F_OK) == 0;
        free(snapshot);
        if (there && hash_snapshot(path, looks[i].commit) != looks[i].hash)
            return "a snapshot's files are not what they were";
    }
    return NULL;
}

// The segment lives on: its next flush, of what may be there already.
static const char *judge_next_flush(const char *path, uint64_t mark) {
    ut_store store;
    ut_flush_report report;
    if (ut_store_open(&store, path, true) != UNTORN_OK)
        return failed("cannot be opened for writing");
    const char *wrong = NULL;
    if (ut_retention_clean(&store) != UNTORN_OK)
        wrong = failed("cleaning");
    if (!wrong)
        wrong = flush_world_judge(&world, path, mark, FLUSH_WORLD_VERIFY);
    if (!wrong)
        wrong = judge_looks(path);
    if (!wrong && flush_world_rubbish(path))
        wrong = "cleaning left rubbish";
    if (!wrong && flush_world_flush(&world, &store, &report) != UNTORN_OK)
        wrong = failed("the next flush");
    ut_store_close(&store);
    if (!wrong)
        wrong = flush_world_judge(&world, path, world.next.commit, FLUSH_WORLD_VERIFY);
    return wrong;
}

// Write to what was recovered, and flush that.
static const char *go_on(untorn_writer *writer, const char *path, uint64_t commit) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    uint64_t flushed = 0;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = (uint64_t[]){9};
    if (untorn_define(writer, "new", &definition, &array) != UNTORN_OK ||
        untorn_commit(writer, NULL) != UNTORN_OK || untorn_flush(writer, &flushed) != UNTORN_OK)
        return failed("the recovered segment");
    if (flushed <= commit)
        return "a recovered segment's commits do not go on above the store's";
    untorn_verify_result result;
    if (untorn_store_verify(path, NULL, &result) != UNTORN_OK)
        return failed("verify");
    return result.snapshots ? NULL : "nothing was flushed";
}

// The segment is gone, as after a real power cut: a new one is made from the store.
static const char *judge_recovery(const char *path) {
    static const char *segment;
    if (!segment)
        segment = test_segment("recovered");
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    uint64_t commit = newest(path);
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.store = path;
    options.size = 4u << 20;
    options.flush_interval = UNTORN_ON_DEMAND;
    if (untorn_writer_open(segment, &options, &writer) != UNTORN_OK)
        return failed("recovery");
    const char *wrong = NULL;
    if (untorn_reader_open(segment, NULL, &reader) != UNTORN_OK)
        wrong = failed("the recovered segment");
    if (!wrong && commit)
        wrong = flush_world_compare(&world, commit, reader);
    // What was recovered counts as flushed, so `latest` is that, too.
    if (!wrong && (wrong = flush_world_judge(&world, path, commit, 0)) != NULL) {
        static char text[8300];
        snprintf(text, sizeof text, "after recovery: %s", wrong);
        wrong = text;
    }
    if (!wrong && flush_world_rubbish(path))
        wrong = "recovery left rubbish";
    if (!wrong)
        wrong = go_on(writer, path, commit);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    return wrong;
}

static const char *judge(void *context, const char *path, uint64_t mark) {
    struct judging *judging = context;
    char store[4200];
    snprintf(store, sizeof store, "%s/store", path);
    const char *wrong = flush_world_judge(&world, store, mark, 0);
    if (!wrong)
        wrong = judge_looks(store);
    if (wrong || !judging->write_every || rng_below(&judging->rng, judging->write_every))
        return wrong;
    judging->written++;
    return judging->written % 2 ? judge_next_flush(store, mark) : judge_recovery(store);
}

static struct crash_plan plan_for(struct judging *judging) {
    *judging = (struct judging){.rng = {test_seed()}};
    return (struct crash_plan){.singles = (unsigned)test_count(12),
                               .subsets = 4,
                               .aside = ".tmp-",
                               .aside_share = 6,
                               .mixtures = (unsigned)test_count(4),
                               .seed = test_seed(),
                               .scratch = test_directory_in_memory("cut"),
                               .judge = judge,
                               .context = judging};
}

/* ---- the tests ---- */

// All cuts of a history are harmless; the number of states that were judged.
static void must_survive(struct history *history, const char *what) {
    struct crash_log *log = record(history);
    struct judging judging;
    struct crash_plan plan = plan_for(&judging);
    struct crash_outcome outcome;
    judging.write_every = WRITTEN_TO;
    if (history->killed_at) {
        plan.from = history->killed_at;
        plan.singles = 0;
        judging.write_every *= 4;
    }
    crash_explore(log, &plan, &outcome);
    print_message("%s: %zu cuts, %zu states, %u of them written to\n", what, outcome.cuts,
                  outcome.states, judging.written);
    must(outcome.bad[0] == 0, "%s: %s", what, outcome.bad);
    must(outcome.cuts == log->count + 1 - plan.from, "%zu cuts of %zu", outcome.cuts, log->count);
    crash_log_free(log);
}

static void P6_store_opens_whole_after_any_power_cut(void **state) {
    (void)state;
    flush_world_begin(&world);
    must_survive(&(struct history){.flushes = 6}, "six flushes");
    flush_world_end(&world);
}

static void P6_other_formats_and_file_systems_open_whole(void **state) {
    (void)state;
    flush_world_begin(&world);
    must_survive(&(struct history){.flushes = 3, .refuse_links = 1}, "copies instead of links");
    flush_world_end(&world);
    flush_world_begin(&world);
    world.options.format = UT_ZARR_V3;
    must_survive(&(struct history){.flushes = 3}, "Zarr 3");
    flush_world_end(&world);
    flush_world_begin(&world);
    world.options.export = true;
    must_survive(&(struct history){.flushes = 3}, "exports");
    flush_world_end(&world);
    flush_world_begin(&world);
    must_ok(ut_encode_pool_open(4, 0, &world.options.pool));
    must_survive(&(struct history){.flushes = 3}, "files written by four threads");
    ut_encode_pool_close(world.options.pool);
    flush_world_end(&world);
}

// What a killed flusher left unsynced must not become part of a flush that is reported done.
static void P6_power_cut_after_a_killed_flusher(void **state) {
    (void)state;
    int killed = 1;
    uint64_t part = test_count(100), stride = part < 900 ? 900 / part : 1;
    for (long after = 0; killed; after += (long)stride) {
        char what[100];
        struct history history = {.flushes = 2, .kill = 1, .kill_after = after};
        snprintf(what, sizeof what, "killed after %ld changes", after);
        flush_world_begin(&world);
        must_survive(&history, what);
        flush_world_end(&world);
        killed = history.kill;
    }
}

// The same at each of the last changes, in which the snapshot gets its name and `latest`.
static void P6_power_cut_after_a_flusher_killed_while_publishing(void **state) {
    (void)state;
    flush_world_begin(&world);
    struct history whole = {.flushes = 2};
    struct crash_log *log = record(&whole);
    long changes = 0;
    size_t i = log->count;
    while (i > 0 && log->operations[i - 1].kind != CRASH_MARK)
        i--; // to the end of the last flush
    for (i--; i > 0 && log->operations[i - 1].kind != CRASH_MARK; i--)
        changes++;
    crash_log_free(log);
    flush_world_end(&world);
    for (long after = changes - 7; after < changes; after++) {
        for (int adopt = 0; adopt < 2; adopt++) {
            char what[100];
            struct history history = {.flushes = 2, .kill = 1, .kill_after = after, .adopt = adopt};
            snprintf(what, sizeof what, "killed after %ld of %ld changes%s", after, changes,
                     adopt ? ", adopted" : "");
            flush_world_begin(&world);
            must_survive(&history, what);
            flush_world_end(&world);
            must(history.kill == 1, "%s: was not killed", what);
        }
    }
}

// Whether the next flush writes anew what could not be synced.
static void P6_power_cut_after_a_failed_sync(void **state) {
    (void)state;
    int failed = 1;
    uint64_t part = test_count(100), stride = part < 300 ? 300 / part : 1;
    for (long good = 0; failed; good += (long)stride) {
        char what[100];
        struct history history = {.flushes = 2, .fail = 1, .good_syncs = good};
        snprintf(what, sizeof what, "fsync fails after %ld", good);
        flush_world_begin(&world);
        must_survive(&history, what);
        flush_world_end(&world);
        failed = history.fail;
    }
}

static void P6_seeded_mistakes_are_found(void **state) {
    (void)state;
    unsigned missed = 0;
    for (int bug = 201; bug <= 212; bug++) {
        flush_world_begin(&world);
        struct history history = {.flushes = 4, .seeded_bug = bug, .fail = bug == 212};
        struct crash_log *log = record(&history);
        struct judging judging;
        struct crash_plan plan = plan_for(&judging);
        struct crash_outcome outcome;
        plan.singles = 12; // a smaller test is to find them, too
        crash_explore(log, &plan, &outcome);
        print_message("mistake %d, after %zu states: %.600s\n", bug, outcome.states, outcome.bad);
        missed += outcome.bad[0] == 0;
        crash_log_free(log);
        flush_world_end(&world);
    }
    must(missed == 0, "%u mistakes went unnoticed", missed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P6_store_opens_whole_after_any_power_cut),
        cmocka_unit_test(P6_other_formats_and_file_systems_open_whole),
        cmocka_unit_test(P6_power_cut_after_a_killed_flusher),
        cmocka_unit_test(P6_power_cut_after_a_flusher_killed_while_publishing),
        cmocka_unit_test(P6_power_cut_after_a_failed_sync),
        cmocka_unit_test(P6_seeded_mistakes_are_found),
    };
    return cmocka_run_group_tests_name("power_cut", tests, NULL, NULL);
}
