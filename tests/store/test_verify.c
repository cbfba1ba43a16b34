// SPDX-License-Identifier: MIT
// untorn_store_verify() and untorn_store_list(): a store that is whole is said to be, and whatever
// is done to any one of its files, exactly that file is named.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/sample_store.h"
#include "../support/scale.h"
#include "base/file_ops.h"
#include "base/hash.h"
#include "store/retention.h"

#define N(i) SAMPLE_COMMIT(i)

// Three snapshots that share arrays and, by hard links, chunk files.
static void begin(ut_store *store, ut_zarr_format format) {
    sample_begin(store, "verify");
    sample_publish(store, N(1), 0, 7, format, false);
    sample_publish(store, N(2), N(1), 1, format, false);
    sample_publish(store, N(3), N(2), 3, format, false);
}

// ------------------------------------------------------------ what was told

static struct told {
    size_t count;
    char sentences[64][1024];
    uint64_t done, total, calls;
} told;

static void damaged(void *context, const char *sentence) {
    struct told *t = context;
    if (t->count < 64)
        snprintf(t->sentences[t->count], sizeof *t->sentences, "%s", sentence);
    t->count++;
}

static void progress(void *context, uint64_t done, uint64_t total) {
    struct told *t = context;
    must(done >= t->done && done <= total, "%" PRIu64 " of %" PRIu64, done, total);
    t->done = done;
    t->total = total;
    t->calls++;
}

static untorn_status verify(const ut_store *store, untorn_verify_result *result) {
    untorn_verify_options options = UNTORN_VERIFY_OPTIONS_INIT;
    options.damaged = damaged;
    options.progress = progress;
    options.context = &told;
    memset(&told, 0, sizeof told);
    return untorn_store_verify(store->path, &options, result);
}

static void must_be_whole(const ut_store *store) {
    untorn_verify_result result;
    untorn_status status = verify(store, &result);
    must(status == UNTORN_OK, "%s", untorn_message());
    must(result.damaged == 0 && told.count == 0, "%s", told.sentences[0]);
    must(told.done == told.total && told.calls > 0, "progress");
}

// One file is damaged, and the sentence names it, by any of its links.
static void must_name(const ut_store *store, const char *path, const struct stat *inode) {
    untorn_verify_result result = {.damaged = 99};
    untorn_status status = verify(store, &result);
    must(status == UNTORN_E_CORRUPT, "%s: %d", path, status);
    must(strstr(untorn_message(), told.sentences[0]) != NULL, "%s", untorn_message());
    must(result.damaged == 1 && told.count == 1, "%s: %s; %s", path, told.sentences[0],
         told.sentences[1]);
    char named[1024] = "";
    int parsed = sscanf(told.sentences[0], "\"%1023[^\"]\"", named);
    must(parsed == 1, "%s", told.sentences[0]);
    struct stat stat;
    bool same = strcmp(named, path) == 0 ||
                (inode != NULL && lstat(named, &stat) == 0 && stat.st_ino == inode->st_ino);
    must(same, "%s was damaged, but %s", path, told.sentences[0]);
}

// ------------------------------------------------------------ all files of a store

static char *files[512];
static size_t file_count;

static int add_file(const char *path, const struct stat *stat, int flag, struct FTW *walk) {
    (void)walk;
    if ((flag == FTW_F && stat->st_size > 0) || flag == FTW_SL)
        files[file_count++] = strdup(path);
    return 0;
}

static void list_files(const ut_store *store) {
    static const char *const parts[] = {"arrays", "snapshots", "latest"};
    for (size_t i = 0; i < 3; i++) {
        char path[UT_STORE_PATH_MAX];
        must_ok(ut_store_path(store, path, "%s", parts[i]));
        must(nftw(path, add_file, 16, FTW_PHYS) == 0, "nftw");
    }
}

static void free_files(void) {
    while (file_count > 0)
        free(files[--file_count]);
}

// ------------------------------------------------------------ whole stores

static void a_whole_store(void **state) {
    (void)state;
    for (unsigned format = 2; format <= 3; format++) {
        ut_store store;
        begin(&store, format);
        untorn_verify_result result;
        must_ok(verify(&store, &result));
        must(result.snapshots == 3 && result.arrays == 3 + 1 + 2, "%" PRIu64, result.arrays);
        // Of those written anew, one file each; what is linked counts once.
        must(result.chunks == SAMPLE_FILES + 1 + 2, "%" PRIu64, result.chunks);
        must(result.damaged == 0 && result.bytes > 0, "%" PRIu64, result.damaged);
        must_be_whole(&store);
        must_ok(untorn_store_verify(store.path, NULL, &result));
        ut_store_close(&store);
    }
}

static void an_exported_store(void **state) {
    (void)state;
    ut_store store;
    sample_begin(&store, "verify");
    sample_publish(&store, N(1), 0, 7, UT_ZARR_V2, true);
    must_be_whole(&store);
    char path[UT_STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s", sample_path(&store, N(1), "g/b/1"));
    sample_flip(path, 5);
    must_name(&store, path, NULL);
    ut_store_close(&store);
}

static void an_empty_store(void **state) {
    (void)state;
    ut_store store;
    sample_begin(&store, "verify");
    must_be_whole(&store);
    ut_store_close(&store);
    untorn_verify_result result;
    must_be(UNTORN_E_NO_STORE, untorn_store_verify(test_directory("none"), NULL, &result));
    must_be(UNTORN_E_ARGUMENT, untorn_store_verify(store.path, NULL, NULL));
    must_be(UNTORN_E_ARGUMENT, untorn_store_verify(NULL, NULL, &result));
}

static void what_does_not_belong_is_no_damage(void **state) {
    (void)state;
    ut_store store;
    begin(&store, UT_ZARR_V2);
    sample_write(sample_path(&store, N(2), "notes"), "x", 1);
    sample_write(sample_path(&store, N(2), "a/notes"), "x", 1);
    must(mkdir(sample_path(&store, N(2), ".tmp-1"), 0777) == 0, "mkdir");
    must(mkdir(sample_path(&store, N(2), "g/more"), 0777) == 0, "mkdir");
    must_be_whole(&store);
    ut_store_close(&store);
}

// cp -rL, as a copy of a store is made; `latest` becomes a directory, too.
static void a_copy_without_links(void **state) {
    (void)state;
    ut_store store, copy;
    char command[3 * UT_STORE_PATH_MAX], path[UT_STORE_PATH_MAX];
    begin(&store, UT_ZARR_V2);
    snprintf(command, sizeof command, "cp -rL '%s' '%s-copy'", store.path, store.path);
    must(system(command) == 0, "cp");
    snprintf(path, sizeof path, "%s-copy", store.path);
    must_ok(ut_store_open(&copy, path, false));
    must_be_whole(&copy);
    snprintf(path, sizeof path, "%s", sample_path(&copy, N(1), "g/b/1"));
    sample_flip(path, 5);
    must_name(&copy, path, NULL);
    ut_store_close(&copy);
    ut_store_close(&store);
}

// ------------------------------------------------------------ every kind of damage to every file

static void damage(const char *path, const struct stat *stat, int kind, struct test_rng *rng) {
    char aside[UT_STORE_PATH_MAX];
    if (!S_ISREG(stat->st_mode))
        kind = 3 + kind % 3;
    switch (kind) {
    case 0:
        sample_flip(path, rng_next(rng));
        break;
    case 1:
        sample_resize(path, -1);
        break;
    case 2:
        sample_resize(path, 1);
        break;
    default:
        snprintf(aside, sizeof aside, "%s.aside", path);
        must(rename(path, aside) == 0, "%s", path);
        if (kind == 4)
            must(symlink("/etc", path) == 0, "%s", path);
        if (kind == 5)
            must(mkfifo(path, 0666) == 0, "%s", path);
    }
}

static void repair(const char *path, const struct stat *stat, const unsigned char *bytes,
                   size_t n) {
    char aside[UT_STORE_PATH_MAX];
    snprintf(aside, sizeof aside, "%s.aside", path);
    if (rename(aside, path) != 0 && S_ISREG(stat->st_mode))
        sample_write(path, bytes, n);
}

// A link of the store's that is missing altogether is a whole store to `latest` only.
static bool is_damage(const char *path, int kind) {
    size_t n = strlen(path);
    bool latest = n > 7 && strcmp(path + n - 7, "/latest") == 0;
    return !latest || kind % 3 == 1;
}

static void every_file_in_every_way(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    for (unsigned format = 2; format <= 3; format++) {
        ut_store store;
        begin(&store, format);
        list_files(&store);
        must(file_count > 40, "%zu", file_count);
        for (size_t i = 0; i < file_count; i++) {
            for (int kind = 0; kind < 6; kind++) {
                struct stat stat;
                unsigned char *bytes = NULL;
                size_t n = 0;
                must(lstat(files[i], &stat) == 0, "%s", files[i]);
                if (S_ISREG(stat.st_mode))
                    n = sample_read(files[i], &bytes);
                damage(files[i], &stat, kind, &rng);
                if (is_damage(files[i], kind))
                    must_name(&store, files[i], S_ISREG(stat.st_mode) ? &stat : NULL);
                else
                    must_be_whole(&store);
                char odd[UT_STORE_PATH_MAX];
                snprintf(odd, sizeof odd, "%s.aside", files[i]);
                if (access(odd, F_OK) == 0 || lstat(odd, &stat) == 0)
                    unlink(files[i]);
                repair(files[i], &stat, bytes, n);
                free(bytes);
            }
        }
        must_be_whole(&store);
        free_files();
        ut_store_close(&store);
    }
}

static void groups_and_leases(void **state) {
    (void)state;
    ut_store store;
    char path[UT_STORE_PATH_MAX], aside[UT_STORE_PATH_MAX + 8];
    begin(&store, UT_ZARR_V2);
    snprintf(path, sizeof path, "%s", sample_path(&store, N(2), ".lease"));
    unlink(path);
    must_name(&store, path, NULL);
    sample_write(path, "", 0);
    must_be_whole(&store);
    // A group that is elsewhere, though all in it is right.
    snprintf(path, sizeof path, "%s", sample_path(&store, N(2), "g"));
    snprintf(aside, sizeof aside, "%s-aside", path);
    must(rename(path, aside) == 0 && symlink(aside, path) == 0, "symlink");
    must_name(&store, path, NULL);
    ut_store_close(&store);
}

// An array's directory that leads elsewhere, and a snapshot's.
static void hostile_links(void **state) {
    (void)state;
    ut_store store;
    char path[UT_STORE_PATH_MAX], aside[UT_STORE_PATH_MAX + 8];
    begin(&store, UT_ZARR_V2);
    snprintf(path, sizeof path, "%s", sample_array_path(&store, N(1), "g/h/c"));
    snprintf(aside, sizeof aside, "%s-aside", path);
    must(rename(path, aside) == 0 && symlink("/etc", path) == 0, "symlink");
    must_name(&store, path, NULL);
    unlink(path);
    must(symlink(path, path) == 0, "a loop");
    must_name(&store, path, NULL);
    unlink(path);
    must(rename(aside, path) == 0, "rename");
    must(symlink("/etc", sample_path(&store, 4, "")) == 0, "symlink");
    must_name(&store, sample_path(&store, 4, ""), NULL);
    unlink(sample_path(&store, 4, ""));
    must(symlink("..", sample_path(&store, 4, "")) == 0, "symlink");
    must_name(&store, sample_path(&store, 4, ""), NULL);
    ut_store_close(&store);
}

// Random damage to several files at once: an error, and no more than that.
static void much_damage(void **state) {
    (void)state;
    struct test_rng rng = {test_seed() + 1};
    for (uint64_t round = 0; round < test_count(60); round++) {
        ut_store store;
        begin(&store, rng_chance(&rng, 50) ? UT_ZARR_V2 : UT_ZARR_V3);
        sample_flip(sample_path(&store, N(2), ".manifest"), rng_next(&rng));
        list_files(&store);
        struct stat stat;
        for (uint64_t i = rng_range(&rng, 2, 20); i > 0; i--) {
            const char *path = files[rng_below(&rng, file_count)];
            if (lstat(path, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size > 1)
                damage(path, &stat, (int)rng_below(&rng, 5), &rng);
        }
        untorn_verify_result result;
        must_be(UNTORN_E_CORRUPT, verify(&store, &result));
        must(result.damaged == told.count && told.count > 0, "%zu", told.count);
        free_files();
        ut_store_close(&store);
    }
}

// An array's manifest that was changed together with all hashes above it.
static void make_hash_fit(unsigned char *bytes, size_t n) {
    uint64_t hash = ut_hash(bytes, n - 8);
    memcpy(bytes + n - 8, &hash, 8);
}

static void a_forged_manifest(void **state) {
    (void)state;
    struct test_rng rng = {test_seed() + 2};
    ut_store store;
    sample_begin(&store, "verify");
    sample_publish(&store, N(1), 0, 7, UT_ZARR_V2, false);
    char lower[UT_STORE_PATH_MAX + 16], upper[UT_STORE_PATH_MAX];
    unsigned char *array, *snapshot;
    snprintf(lower, sizeof lower, "%s/.manifest", sample_array_path(&store, N(1), "a"));
    snprintf(upper, sizeof upper, "%s", sample_path(&store, N(1), ".manifest"));
    size_t n = sample_read(lower, &array), m = sample_read(upper, &snapshot);
    uint64_t noticed = 0, rounds = test_count_at_least(150, 1500); // 17 in 20
    for (uint64_t i = 0; i < rounds; i++) {
        unsigned char *a = malloc(n), *s = malloc(m);
        memcpy(a, array, n);
        memcpy(s, snapshot, m);
        for (uint64_t k = rng_range(&rng, 1, 3); k > 0; k--)
            a[48 + rng_below(&rng, n - 48 - 32)] ^= (unsigned char)(1u << rng_below(&rng, 8));
        make_hash_fit(a, n);
        unsigned char *at = memmem(s, m, array + n - 8, 8);
        must(at != NULL, "the hash");
        memcpy(at, a + n - 8, 8);
        make_hash_fit(s, m);
        sample_write(lower, a, n);
        sample_write(upper, s, m);
        untorn_verify_result result;
        untorn_status status = verify(&store, &result);
        must(status == UNTORN_OK || status == UNTORN_E_CORRUPT || status == UNTORN_E_NO_MEMORY,
             "%s", untorn_message());
        noticed += status != UNTORN_OK;
        free(a);
        free(s);
    }
    must(noticed > rounds / 2, "%" PRIu64, noticed);
    free(array);
    free(snapshot);
    ut_store_close(&store);
}

// ------------------------------------------------------------ beside a writer

// Snapshots are deleted as soon as the verifying begins to look for them.
static const ut_store *live;
static int delete_once(DIR *directory) {
    static bool deleted;
    int result = closedir(directory);
    if (!deleted) {
        deleted = true;
        const struct ut_file_ops *table = ut_files;
        ut_files_replace(NULL);
        ut_retention retention = {.count = 1, .time = -1, .needed = UINT64_MAX};
        must_ok(ut_retention_apply(live, &retention, NULL));
        ut_files_replace(table);
    }
    return result;
}

static void snapshots_that_go_are_no_damage(void **state) {
    (void)state;
    ut_store store;
    untorn_verify_result result;
    begin(&store, UT_ZARR_V2);
    live = &store;
    struct ut_file_ops table = ut_files_system;
    table.closedir = delete_once;
    ut_files_replace(&table);
    untorn_status status = verify(&store, &result);
    ut_files_replace(NULL);
    must(status == UNTORN_OK, "%s", untorn_message());
    must(result.snapshots == 1 && result.damaged == 0, "%" PRIu64, result.snapshots);
    ut_store_close(&store);
}

// While it looks at a snapshot it holds it.
static void delete_meanwhile(void) {
    ut_retention retention = {.count = 1, .time = -1, .needed = UINT64_MAX};
    must_ok(ut_retention_apply(live, &retention, NULL));
}

static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t pread_and_delete(int fd, void *to, size_t n, off_t at) {
    const struct ut_file_ops *table = ut_files;
    ut_files_replace(NULL);
    delete_meanwhile();
    ut_files_replace(table);
    return real_pread(fd, to, n, at);
}

static void the_snapshot_in_hand_is_held(void **state) {
    (void)state;
    ut_store store;
    untorn_verify_result result;
    begin(&store, UT_ZARR_V2);
    live = &store;
    struct ut_file_ops table = ut_files_system;
    real_pread = pread;
    table.pread = pread_and_delete;
    ut_files_replace(&table);
    untorn_status status = untorn_store_verify(store.path, NULL, &result);
    ut_files_replace(NULL);
    must(status == UNTORN_OK, "%s", untorn_message());
    must(result.damaged == 0 && result.snapshots >= 1, "%" PRIu64, result.snapshots);
    ut_store_close(&store);
}

// Where there are no leases to be had, it goes in the middle.
static int open_and_delete(const char *path, int flags, mode_t mode) {
    size_t n = strlen(path);
    if (n > 7 && strcmp(path + n - 7, "/.lease") == 0) {
        errno = EACCES;
        return -1;
    }
    int fd = open(path, flags, mode);
    if (strstr(path, "snapshots/281474976710658/.manifest") != NULL) {
        const struct ut_file_ops *table = ut_files;
        ut_files_replace(NULL);
        delete_meanwhile();
        ut_files_replace(table);
    }
    return fd;
}

static void a_snapshot_that_could_not_be_held(void **state) {
    (void)state;
    ut_store store;
    untorn_verify_result result;
    begin(&store, UT_ZARR_V2);
    live = &store;
    struct ut_file_ops table = ut_files_system;
    table.open = open_and_delete;
    ut_files_replace(&table);
    untorn_status status = untorn_store_verify(store.path, NULL, &result);
    ut_files_replace(NULL);
    must(status == UNTORN_OK, "%s", untorn_message());
    must(result.damaged == 0 && result.snapshots == 2, "%" PRIu64, result.snapshots);
    ut_store_close(&store);
}

// ------------------------------------------------------------ listing

static void listing(void **state) {
    (void)state;
    ut_store store;
    untorn_store_listing *list;
    sample_begin(&store, "list");
    must_ok(untorn_store_list(store.path, &list));
    must(list->count == 0, "%zu", list->count);
    untorn_store_listing_free(list);
    ut_store_close(&store);
    begin(&store, UT_ZARR_V2);
    sample_flip(sample_path(&store, N(2), ".manifest"), 4711);
    must_ok(untorn_store_list(store.path, &list));
    must(list->count == 3, "%zu", list->count);
    for (unsigned i = 0; i < 3; i++) {
        const untorn_store_snapshot *s = &list->snapshots[i];
        must(s->commit == N(i + 1) && s->latest == (i == 2), "%u", i);
        must(strcmp(s->path, sample_path(&store, N(i + 1), "")) == 0, "%s", s->path);
        must(s->status == (i == 1 ? UNTORN_E_CORRUPT : UNTORN_OK), "%u", i);
        must(s->arrays == (i == 1 ? 0 : 3) && s->time == (i == 1 ? 0 : 1000000007), "%u", i);
    }
    untorn_store_listing_free(list);
    untorn_store_listing_free(NULL);
    must_be(UNTORN_E_NO_STORE, untorn_store_list(test_directory("none"), &list));
    must_be(UNTORN_E_ARGUMENT, untorn_store_list(store.path, NULL));
    ut_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_store),
        cmocka_unit_test(an_exported_store),
        cmocka_unit_test(an_empty_store),
        cmocka_unit_test(what_does_not_belong_is_no_damage),
        cmocka_unit_test(a_copy_without_links),
        cmocka_unit_test(every_file_in_every_way),
        cmocka_unit_test(groups_and_leases),
        cmocka_unit_test(hostile_links),
        cmocka_unit_test(much_damage),
        cmocka_unit_test(a_forged_manifest),
        cmocka_unit_test(snapshots_that_go_are_no_damage),
        cmocka_unit_test(the_snapshot_in_hand_is_held),
        cmocka_unit_test(a_snapshot_that_could_not_be_held),
        cmocka_unit_test(listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
