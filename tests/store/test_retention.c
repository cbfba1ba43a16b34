// SPDX-License-Identifier: MIT
// Which snapshots and array directories stay, and which go.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/sample_store.h"
#include "../support/scale.h"
#include "base/clock.h"
#include "base/file_ops.h"
#include "segment/layout.h"
#include "store/durable.h"
#include "store/retention.h"

#define SECOND INT64_C(1000000000)

// Snapshots 1 to n; array "a" is written anew in each, the others in the first only.
static void begin(ut_store *store, unsigned n) {
    sample_begin(store, "retention");
    for (unsigned i = 1; i <= n; i++)
        sample_publish(store, SAMPLE_COMMIT(i), i > 1 ? SAMPLE_COMMIT(i - 1) : 0, 1, UT_ZARR_V2,
                       false);
}

// As if snapshot i had been published then.
static void set_time(const ut_store *store, unsigned i, int64_t then) {
    struct timespec times[2];
    times[0] = times[1] = (struct timespec){then / SECOND, then % SECOND};
    must(utimensat(AT_FDCWD, sample_path(store, SAMPLE_COMMIT(i), ".manifest"), times, 0) == 0,
         "utimensat");
}

// As if snapshot i had been published `age` seconds ago.
static void set_age(const ut_store *store, unsigned i, int64_t age) {
    set_time(store, i, ut_clock_wall() - age * SECOND);
}

// Which of the snapshots are there, as "134".
static const char *there(const ut_store *store) {
    static char text[64];
    uint64_t *commits;
    size_t count, n = 0;
    must_ok(ut_store_commits(store, &commits, &count));
    for (size_t i = count; i-- > 0;)
        n += (size_t)snprintf(text + n, sizeof text - n, "%" PRIu64, commits[i] & 0xffff);
    text[n] = '\0';
    free(commits);
    return text;
}

static size_t entries(const ut_store *store, const char *within, const char *start) {
    char path[UT_STORE_PATH_MAX];
    size_t n = 0;
    must_ok(ut_store_path(store, path, "%s", within));
    DIR *directory = opendir(path);
    must(directory != NULL, "%s", path);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
             strncmp(entry->d_name, start, strlen(start)) == 0;
    closedir(directory);
    return n;
}

static void apply(const ut_store *store, unsigned count, int64_t time, uint64_t needed,
                  const char *left) {
    size_t before = strlen(there(store)), deleted = 99;
    ut_retention retention = {.count = count, .time = time, .needed = needed};
    must_ok(ut_retention_apply(store, &retention, &deleted));
    must(strcmp(there(store), left) == 0, "%s are there, not %s", there(store), left);
    must(deleted == before - strlen(left), "%zu", deleted);
    must(entries(store, "snapshots", ".tmp-") == 0 && entries(store, "arrays", ".tmp-") == 0,
         "tmp");
    for (const char *one = left; *one != '\0'; one++)
        sample_check(store, SAMPLE_COMMIT((uint64_t)(*one - '0')));
}

static void by_count(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 5);
    must(entries(&store, "arrays", "") == 5 + 2, "array directories");
    apply(&store, 9, -1, UINT64_MAX, "12345");
    apply(&store, 4, -1, UINT64_MAX, "2345");
    must(entries(&store, "arrays", "") == 4 + 2, "those that are shared stay");
    apply(&store, 4, 0, UINT64_MAX, "2345");
    apply(&store, 2, -1, UINT64_MAX, "45");
    apply(&store, 0, -1, UINT64_MAX, "5");
    must(entries(&store, "arrays", "") == 1 + 2, "array directories");
    ut_store_close(&store);
}

static void by_age(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 5);
    static const int64_t ages[] = {0, 500, 400, 300, 200, 100};
    for (unsigned i = 1; i <= 5; i++)
        set_age(&store, i, ages[i]);
    apply(&store, 1, 1000 * SECOND, UINT64_MAX, "12345");
    apply(&store, 1, 350 * SECOND, UINT64_MAX, "345");
    apply(&store, 2, 10 * SECOND, UINT64_MAX, "45");
    apply(&store, 1, 250 * SECOND, UINT64_MAX, "45");
    apply(&store, 1, -1, UINT64_MAX, "5"); // the disk is full
    ut_store_close(&store);
}

// 1 and 2 were published before the clock was set back by a day, the others after.
static void the_clock_was_set_back(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 5);
    set_age(&store, 1, -86400);
    set_age(&store, 2, -86390);
    for (unsigned i = 3; i <= 5; i++)
        set_age(&store, i, 50 - i);
    apply(&store, 1, 60 * SECOND, UINT64_MAX, "12345"); // not deleted before their time
    for (unsigned i = 3; i <= 5; i++)
        set_age(&store, i, 1000 - 100 * i);
    apply(&store, 1, 650 * SECOND, UINT64_MAX, "45"); // nor kept for a day
    ut_store_close(&store);
    begin(&store, 3);
    for (unsigned i = 1; i <= 3; i++)
        set_age(&store, i, -86400);
    apply(&store, 1, 60 * SECOND, UINT64_MAX, "123");
    apply(&store, 1, -1, UINT64_MAX, "3");
    ut_store_close(&store);
}

// The shortest time that can be asked for is over at once, not when the clock ticks.
static void published_within_the_tick(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 5);
    for (unsigned i = 1; i <= 5; i++)
        set_time(&store, i, ut_clock_wall_exact());
    apply(&store, 2, 1, UINT64_MAX, "45");
    ut_store_close(&store);
}

static void what_latest_names_stays(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 4);
    must_ok(ut_store_set_latest(&store, SAMPLE_COMMIT(2)));
    apply(&store, 1, -1, UINT64_MAX, "24");
    ut_store_close(&store);
}

static void what_a_pin_needs_stays(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 6);
    apply(&store, 1, -1, SAMPLE_COMMIT(4), "3456"); // 4 and on, and the newest below
    apply(&store, 1, -1, SAMPLE_COMMIT(6), "56");
    apply(&store, 1, -1, SAMPLE_COMMIT(7), "6");
    ut_store_close(&store);
}

// ------------------------------------------------------------ leases

static int hold(const ut_store *store, unsigned i, int kind) {
    int fd = -1;
    if (kind == 0) {
        must_ok(ut_lease_take(sample_path(store, SAMPLE_COMMIT(i), ""), &fd));
        return fd;
    }
    fd = open(sample_path(store, SAMPLE_COMMIT(i), ".lease"), O_RDONLY | O_CLOEXEC);
    must(fd >= 0, "open");
    must(flock(fd, LOCK_SH) == 0, "flock");
    return fd;
}

struct pin {
    uint64_t commit, floor;
    unsigned looks;
};

static uint64_t look(void *context, uint64_t floor) {
    struct pin *pin = context;
    pin->floor = floor;
    pin->looks++;
    return pin->commit;
}

// Pins are looked at only if something would go, and with all that may be pinned later staying.
static void pins_are_told_what_may_go(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 5);
    struct pin pin = {.commit = SAMPLE_COMMIT(3)};
    ut_retention retention = {
        .count = 5, .time = -1, .needed = UINT64_MAX, .pinned = look, .context = &pin};
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(pin.looks == 0, "nothing is to go");
    retention.count = 2;
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(pin.looks == 1 && pin.floor == SAMPLE_COMMIT(4), "floor %llu",
         (unsigned long long)pin.floor);
    must(strcmp(there(&store), "2345") == 0, "%s are there", there(&store));
    pin.commit = UINT64_MAX;
    retention.count = 1;
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(pin.looks == 2 && pin.floor == SAMPLE_COMMIT(5), "floor %llu",
         (unsigned long long)pin.floor);
    must(strcmp(there(&store), "5") == 0, "%s are there", there(&store));
    ut_store_close(&store);
}

static void held_snapshots_stay(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        ut_store store;
        begin(&store, 4);
        int one = hold(&store, 1, kind), again = hold(&store, 1, 1 - kind),
            three = hold(&store, 3, kind);
        apply(&store, 1, -1, UINT64_MAX, "134");
        close(one);
        apply(&store, 1, -1, UINT64_MAX, "134");
        close(again);
        apply(&store, 1, -1, UINT64_MAX, "34");
        // Not even an attempt to delete it leaves a lock.
        int fd = hold(&store, 3, 1 - kind);
        close(fd);
        close(three);
        apply(&store, 1, -1, UINT64_MAX, "4");
        ut_store_close(&store);
    }
}

// Locks of another process, of the kind that belongs to a process, end with it.
static void a_holder_that_dies(void **state) {
    (void)state;
    skip_under_tsan();
    ut_store store;
    int ready[2], done[2];
    begin(&store, 3);
    must(pipe(ready) == 0 && pipe(done) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        int fd = open(sample_path(&store, SAMPLE_COMMIT(1), ".lease"), O_RDONLY);
        close(done[1]);
        if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        char byte;
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    char byte;
    must(read(ready[0], &byte, 1) == 1, "the child locked");
    apply(&store, 1, -1, UINT64_MAX, "13");
    close(done[1]);
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "%d", status);
    close(done[0]), close(ready[0]), close(ready[1]);
    apply(&store, 1, -1, UINT64_MAX, "3");
    ut_store_close(&store);
}

static void a_snapshot_that_is_gone(void **state) {
    (void)state;
    ut_store store;
    char path[UT_STORE_PATH_MAX];
    int fd = -1;
    begin(&store, 2);
    snprintf(path, sizeof path, "%s", sample_path(&store, SAMPLE_COMMIT(1), ""));
    apply(&store, 1, -1, UINT64_MAX, "2");
    must_say(UNTORN_E_ABSENT, path, ut_lease_take(path, &fd));
    must(unlink(sample_path(&store, SAMPLE_COMMIT(2), ".lease")) == 0, "unlink");
    must_say(UNTORN_E_CORRUPT, ".lease",
             ut_lease_take(sample_path(&store, SAMPLE_COMMIT(2), ""), &fd));
    must(fd == -1, "%d", fd);
    ut_store_close(&store);
}

// Between a reader's opening of .lease and its locking, the snapshot goes.
static const ut_store *race_store;
static int delete_then_fstat(int fd, struct stat *stat) {
    ut_files_replace(NULL);
    apply(race_store, 1, -1, UINT64_MAX, "2");
    return fstat(fd, stat);
}

static void deleted_before_it_is_locked(void **state) {
    (void)state;
    ut_store store;
    int fd;
    begin(&store, 2);
    race_store = &store;
    struct ut_file_ops table = ut_files_system;
    table.fstat = delete_then_fstat;
    char path[UT_STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s", sample_path(&store, SAMPLE_COMMIT(1), ""));
    ut_files_replace(&table);
    must_be(UNTORN_E_ABSENT, ut_lease_take(path, &fd));
    ut_files_replace(NULL);
    ut_store_close(&store);
}

// ------------------------------------------------------------ failures

static char removed_before_sync[UT_STORE_PATH_MAX];
static bool synced, refuse_sync;
static int count_fsync(int fd) {
    synced = true;
    if (refuse_sync) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}
static int watch_unlink(const char *path) {
    if (!synced)
        snprintf(removed_before_sync, sizeof removed_before_sync, "%s", path);
    return unlink(path);
}

static void nothing_goes_before_the_rename_is_on_the_disk(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 3);
    size_t arrays = entries(&store, "arrays", "");
    struct ut_file_ops table = ut_files_system;
    table.fsync = count_fsync;
    table.unlink = watch_unlink;
    ut_files_replace(&table);
    ut_retention retention = {.count = 1, .time = -1, .needed = UINT64_MAX};
    size_t deleted;
    synced = false;
    refuse_sync = true;
    untorn_status status = ut_retention_apply(&store, &retention, &deleted);
    ut_files_replace(NULL);
    must(status == UNTORN_E_SYSTEM && deleted == 2, "%d %zu", status, deleted);
    // What might be back after a power cut is all there, and so is what it needs.
    must(entries(&store, "snapshots", ".tmp-") == 2, "still there");
    must(entries(&store, "arrays", "") == arrays, "arrays");
    must_ok(ut_retention_clean(&store));
    must(entries(&store, "snapshots", "") == 1 && entries(&store, "arrays", "") == 3, "cleaned");
    sample_check(&store, SAMPLE_COMMIT(3));
    ut_store_close(&store);

    begin(&store, 3);
    synced = refuse_sync = false;
    removed_before_sync[0] = '\0';
    ut_files_replace(&table);
    status = ut_retention_apply(&store, &retention, &deleted);
    ut_files_replace(NULL);
    must(status == UNTORN_OK && deleted == 2, "%d %zu", status, deleted);
    must(removed_before_sync[0] == '\0', "%s", removed_before_sync);
    ut_store_close(&store);
}

static void count_removed(void *context) {
    ++*(size_t *)context;
}

// Whoever waits for the flush that removes them sees that it goes on.
static void each_directory_that_is_removed_is_told(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 4);
    size_t removed = 0, arrays = entries(&store, "arrays", "");
    ut_retention retention = {.count = 1,
                              .time = -1,
                              .needed = UINT64_MAX,
                              .removed = count_removed,
                              .context = &removed};
    must_ok(ut_retention_apply(&store, &retention, NULL));
    size_t gone = arrays - entries(&store, "arrays", "");
    must(gone > 0 && removed == 3 + gone, "%zu of 3 + %zu", removed, gone);
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(removed == 3 + gone, "%zu", removed);
    ut_store_close(&store);
}

static void a_damaged_manifest_keeps_all_arrays(void **state) {
    (void)state;
    ut_store store;
    begin(&store, 4);
    must_ok(ut_store_set_latest(&store, SAMPLE_COMMIT(3)));
    sample_flip(sample_path(&store, SAMPLE_COMMIT(3), ".manifest"), 999);
    ut_retention retention = {.count = 1, .time = -1, .needed = UINT64_MAX};
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must_ok(ut_retention_clean(&store));
    must(strcmp(there(&store), "34") == 0, "%s", there(&store));
    must(entries(&store, "arrays", "") == 4 + 2, "arrays");
    must_ok(ut_store_set_latest(&store, SAMPLE_COMMIT(4)));
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(strcmp(there(&store), "4") == 0, "%s", there(&store));
    must(entries(&store, "arrays", "") == 1 + 2, "arrays");
    sample_check(&store, SAMPLE_COMMIT(4));
    ut_store_close(&store);
}

// ------------------------------------------------------------ cleaning

static void make(const ut_store *store, const char *name) {
    char path[UT_STORE_PATH_MAX];
    must_ok(ut_store_path(store, path, "%s", name));
    must(mkdir(path, 0777) == 0, "%s", path);
    must_ok(ut_store_path(store, path, "%s/file", name));
    sample_write(path, "x", 1);
}

static void cleaning_removes_rubbish_alone(void **state) {
    (void)state;
    ut_store store;
    char path[UT_STORE_PATH_MAX], outside[UT_STORE_PATH_MAX];
    begin(&store, 2);
    make(&store, ".tmp-1");
    make(&store, "snapshots/.tmp-2");
    make(&store, "snapshots/.tmp-2/deep");
    make(&store, "arrays/.tmp-3");
    make(&store, "arrays/7-281474976710657-0123456789abcdef"); // nobody names it
    make(&store, "arrays/notes");
    make(&store, "arrays/7-281474976710657-0123456789abcdeg");
    make(&store, "arrays/7-281474976710657-0123456789abcdef0");
    make(&store, "mine");
    must_ok(ut_store_path(&store, outside, "mine"));
    must_ok(ut_store_path(&store, path, "arrays/8-1-0123456789abcdef"));
    must(symlink(outside, path) == 0, "symlink");
    must_ok(ut_store_path(&store, path, ".tmp-9"));
    must(symlink(outside, path) == 0, "symlink");
    must_ok(ut_retention_clean(&store));
    must(entries(&store, "", ".tmp-") + entries(&store, "arrays", ".tmp-") +
                 entries(&store, "snapshots", ".tmp-") ==
             0,
         "rubbish");
    must(entries(&store, "arrays", "") == 4 + 3, "arrays and what is not ours");
    must(entries(&store, "mine", "file") == 1, "what a link named");
    sample_check(&store, SAMPLE_COMMIT(1));
    sample_check(&store, SAMPLE_COMMIT(2));
    ut_store_close(&store);
}

// ------------------------------------------------------------ many

static untorn_status sink(void *context, const void *bytes, size_t n) {
    return ut_durable_add(context, bytes, n);
}

// A snapshot of `count` arrays in directories `first` and on, of which only the names exist.
static void name_directories(const ut_store *store, unsigned i, unsigned first, unsigned count) {
    char path[UT_STORE_PATH_MAX], name[32], directory[64];
    ut_durable_file file;
    ut_manifest_writer *w;
    ut_manifest_snapshot head = {
        .uuid = {1, 2}, .commit = SAMPLE_COMMIT(i), .next_uid = UINT64_MAX, .zarr_format = 2};
    must_ok(ut_durable_mkdir("test", sample_path(store, SAMPLE_COMMIT(i), "")));
    must_ok(ut_store_path(store, path, "snapshots/%" PRIu64 "/.manifest", SAMPLE_COMMIT(i)));
    must_ok(ut_durable_open(&file, "test", path));
    must_ok(ut_manifest_begin_snapshot(&w, &head, sink, &file));
    for (unsigned k = first; k < first + count; k++) {
        snprintf(name, sizeof name, "a%08u", k);
        snprintf(directory, sizeof directory, "%u-1-%016x", k, k);
        ut_manifest_object object = {.kind = UT_KIND_ARRAY,
                                     .uid = k,
                                     .generation = 1,
                                     .commit = 1,
                                     .name = name,
                                     .directory = directory,
                                     .attributes = "",
                                     .file_bytes = 512};
        must_ok(ut_manifest_add_object(w, &object));
        must_ok(ut_store_path(store, path, "arrays/%s", directory));
        must(mkdir(path, 0777) == 0 || errno == EEXIST, "%s", path);
    }
    must_ok(ut_manifest_end(w, NULL, NULL));
    must_ok(ut_durable_finish(&file));
}

// Ten thousand arrays in each of four snapshots; each drops some and adds as many.
static void many_arrays(void **state) {
    (void)state;
    const unsigned count = (unsigned)test_count(10000), step = count / 100 + 1;
    ut_store store;
    sample_begin(&store, "retentionmany");
    for (unsigned i = 1; i <= 4; i++)
        name_directories(&store, i, 1 + i * step, count);
    must_ok(ut_store_set_latest(&store, SAMPLE_COMMIT(4)));
    must(entries(&store, "arrays", "") == count + 3 * step, "before");
    ut_retention retention = {.count = 3, .time = -1, .needed = UINT64_MAX};
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(entries(&store, "arrays", "") == count + 2 * step, "one snapshot less");
    retention.count = 1;
    must_ok(ut_retention_apply(&store, &retention, NULL));
    must(entries(&store, "arrays", "") == count, "three less");
    ut_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_count),
        cmocka_unit_test(by_age),
        cmocka_unit_test(the_clock_was_set_back),
        cmocka_unit_test(published_within_the_tick),
        cmocka_unit_test(what_latest_names_stays),
        cmocka_unit_test(what_a_pin_needs_stays),
        cmocka_unit_test(pins_are_told_what_may_go),
        cmocka_unit_test(held_snapshots_stay),
        cmocka_unit_test(a_holder_that_dies),
        cmocka_unit_test(a_snapshot_that_is_gone),
        cmocka_unit_test(deleted_before_it_is_locked),
        cmocka_unit_test(nothing_goes_before_the_rename_is_on_the_disk),
        cmocka_unit_test(each_directory_that_is_removed_is_told),
        cmocka_unit_test(a_damaged_manifest_keeps_all_arrays),
        cmocka_unit_test(cleaning_removes_rubbish_alone),
        cmocka_unit_test(many_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
