// SPDX-License-Identifier: MIT
/*
 * Deleting store snapshots, and the array directories that no snapshot names any more.
 *
 * An array directory may be named by any number of snapshots.  All directories that there are go
 * into a set, every snapshot's manifest marks what it names, and what is not marked goes: that is
 * linear in what there is.  One manifest that cannot be read may name anything, so then nothing
 * goes, until that snapshot's own time is up: a directory too many costs space, one too few costs
 * data.
 *
 * Directories are renamed before they are removed, so that what a crash leaves of them is known as
 * rubbish by its name alone.  That a snapshot is renamed has to be on the disk before anything in
 * it or of its arrays goes; the arrays' own renames need no sync, since nothing names them.
 */
#include "store/retention.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "store/durable.h"
#include "store/key_set.h"
#include "store/store_view.h"

/* Remove what was renamed to `doomed`. */
static untorn_status remove_doomed(const ut_store *store, const ut_retention *retention,
                                   const char *doomed) {
    untorn_status status = ut_durable_remove_tree(store->who, doomed);
    if (retention != NULL && retention->removed != NULL)
        retention->removed(retention->context);
    return status;
}

static void note(untorn_status *first, untorn_status status) {
    if (*first == UNTORN_OK)
        *first = status;
}

/* Rename STORE/<within>/<name> to a name that marks it as rubbish: `doomed` gets its path. */
static untorn_status doom(const ut_store *store, const char *within, const char *name,
                          char doomed[UT_STORE_PATH_MAX]) {
    char from[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(store, from, "%s/%s", within, name);
    if (status == UNTORN_OK)
        status = ut_store_path(store, doomed, "%s/.tmp-%016" PRIx64, within, ut_store_nonce());
    if (status == UNTORN_OK)
        status = ut_durable_rename(store->who, from, doomed, false);
    return status;
}

/* ------------------------------------------------------------ snapshots */

/* ns since the snapshot was published; below 0 if that cannot be told. */
static int64_t own_age(const ut_store *store, uint64_t commit, int64_t now) {
    char path[UT_STORE_PATH_MAX];
    struct stat stat;
    int64_t then;
    if (ut_store_path(store, path, "snapshots/%" PRIu64 "/.manifest", commit) != UNTORN_OK ||
        ut_files->lstat(path, &stat) != 0 ||
        __builtin_mul_overflow((int64_t)stat.st_mtim.tv_sec, INT64_C(1000000000), &then) ||
        __builtin_add_overflow(then, (int64_t)stat.st_mtim.tv_nsec, &then) ||
        __builtin_sub_overflow(now, then, &then))
        return -1;
    return then;
}

typedef struct deletion {
    size_t deleted;
    bool unsynced; /* what was deleted may be back after a power cut */
} deletion;

/* Delete one snapshot, unless somebody holds it. */
static untorn_status delete_snapshot(const ut_store *store, const ut_retention *retention,
                                     uint64_t commit, deletion *done) {
    char path[UT_STORE_PATH_MAX], doomed[UT_STORE_PATH_MAX], name[24];
    int lease;
    snprintf(name, sizeof name, "%" PRIu64, commit);
    untorn_status status = ut_store_path(store, path, "snapshots/%s", name);
    if (status != UNTORN_OK)
        return status;
    status = ut_lease_end(path, &lease);
    if (status == UNTORN_E_BUSY)
        return UNTORN_OK;
    if (status != UNTORN_OK)
        return status;
    status = doom(store, "snapshots", name, doomed);
    if (status != UNTORN_OK)
        goto close_lease;
    done->deleted++;
    status = ut_store_path(store, path, "snapshots");
    if (status == UNTORN_OK && !UT_SEEDED(209))
        status = ut_durable_sync_directory(store->who, path);
    if (status == UNTORN_OK)
        status = remove_doomed(store, retention, doomed);
    else
        done->unsynced = true;
close_lease:
    ut_lease_close(lease);
    return status;
}

/* Which of `commits`, descending, need not stay but for pins; returns the lowest that does above
 * the first of them, or 0 if all stay. */
static uint64_t find_old(const ut_store *store, const ut_retention *retention, uint64_t latest,
                         const uint64_t *commits, size_t count, bool *old) {
    int64_t now = ut_clock_wall_exact(), age = 0;
    size_t newest = retention->count > 0 ? retention->count : 1;
    uint64_t floor = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t own = own_age(store, commits[i], now);
        age = own > age ? own : age;
        old[i] = i >= newest && age >= retention->time && commits[i] != latest;
        if (old[i] && floor == 0)
            floor = commits[i - 1];
    }
    return floor;
}

/* Delete those of `commits`, descending, that need not stay. */
static untorn_status delete_snapshots(const ut_store *store, const ut_retention *retention,
                                      const uint64_t *commits, size_t count, deletion *done) {
    uint64_t latest, floor, needed = retention->needed;
    bool *old = calloc(count + 1, sizeof *old);
    if (old == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for its snapshots", store->who);
    untorn_status first = ut_store_latest(store, &latest);
    if (first != UNTORN_OK)
        goto free_old;
    floor = find_old(store, retention, latest, commits, count, old);
    if (floor == 0)
        goto free_old;
    if (retention->pinned != NULL)
        needed = retention->pinned(retention->context, floor);
    bool below = false; /* the newest below `needed` was met */
    for (size_t i = 0; i < count; i++) {
        bool kept = commits[i] >= needed || !below;
        below = commits[i] < needed;
        if (old[i] && !kept)
            note(&first, delete_snapshot(store, retention, commits[i], done));
    }
free_old:
    free(old);
    return first;
}

/* ------------------------------------------------------------ array directories */

/* <uid>-<commit>-<nonce>: what else lies in arrays/ is not ours to remove. */
static bool is_array_directory(const char *name) {
    for (int part = 0; part < 2; part++) {
        size_t digits = strspn(name, "0123456789");
        if (digits == 0 || name[digits] != '-')
            return false;
        name += digits + 1;
    }
    return strspn(name, "0123456789abcdef") == 16 && name[16] == '\0';
}

static uint64_t commit_of(const char *array_directory) {
    const char *dash = strchr(array_directory, '-');
    return dash == NULL ? 0 : strtoull(dash + 1, NULL, 10);
}

static bool is_number(const char *name) {
    return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

static bool is_temporary(const char *name) {
    return strncmp(name, ".tmp-", 5) == 0;
}

/* The entries of STORE/<within> ("": the store itself) that are wanted. */
static untorn_status list(const ut_store *store, const char *within, bool (*wanted)(const char *),
                          ut_key_set *names) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(store, path, "%s", within);
    if (status != UNTORN_OK)
        return status;
    DIR *directory = ut_files->opendir(path);
    if (directory == NULL && errno == ENOENT)
        return UNTORN_OK;
    if (directory == NULL)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot list %s", store->who,
                             path);
    while (status == UNTORN_OK) {
        errno = 0;
        struct dirent *entry = ut_files->readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                status = ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot list %s",
                                       store->who, path);
            break;
        }
        if (wanted(entry->d_name))
            status = ut_key_set_add(names, entry->d_name, strlen(entry->d_name), NULL);
    }
    ut_files->closedir(directory);
    return status;
}

/* Mark the directories that a snapshot names. */
static untorn_status mark_named(const ut_store *store, uint64_t commit, ut_key_set *directories) {
    ut_store_view *view;
    untorn_status status = ut_store_view_open(store, commit, &view);
    if (status != UNTORN_OK)
        return status;
    for (uint64_t i = 0; i < view->manifest.count; i++) {
        ut_manifest_object object;
        ut_manifest_object_at(&view->manifest, i, &object);
        ut_key *key = ut_key_set_find(directories, object.directory, strlen(object.directory));
        if (key != NULL)
            key->mark = true;
    }
    ut_store_view_close(view);
    return UNTORN_OK;
}

/* *all: every manifest could be read. */
static untorn_status mark_all(const ut_store *store, ut_key_set *directories, bool *all) {
    uint64_t *commits;
    size_t count;
    *all = false;
    untorn_status status = ut_store_commits(store, &commits, &count);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++)
        status = mark_named(store, commits[i], directories);
    free(commits);
    *all = status == UNTORN_OK;
    /* Damage is told by who wants to use the snapshot; here it is only a reason to remove nothing.
     */
    bool damaged =
        status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION || status == UNTORN_E_ABSENT;
    return damaged ? UNTORN_OK : status;
}

static untorn_status remove_unnamed(const ut_store *store, const ut_retention *retention,
                                    const ut_key_set *directories) {
    untorn_status first = UNTORN_OK;
    for (size_t i = 0; i < directories->count; i++) {
        if (directories->keys[i].mark)
            continue;
        char doomed[UT_STORE_PATH_MAX];
        untorn_status status = doom(store, "arrays", ut_key_set_bytes(directories, i), doomed);
        if (status == UNTORN_OK)
            status = remove_doomed(store, retention, doomed);
        note(&first, status);
    }
    return first;
}

/* What a damaged snapshot that was put aside may need stays until somebody removes that: all array
 * directories up to its commit.  A restart begins above them, so these get no more. */
static untorn_status mark_put_aside(const ut_store *store, ut_key_set *directories) {
    ut_key_set aside = UT_KEY_SET_INIT;
    untorn_status status = list(store, UT_STORE_ASIDE, is_number, &aside);
    uint64_t highest = 0;
    for (size_t i = 0; i < aside.count && status == UNTORN_OK; i++) {
        uint64_t commit = strtoull(ut_key_set_bytes(&aside, i), NULL, 10);
        highest = commit > highest ? commit : highest;
    }
    ut_key_set_free(&aside);
    for (size_t i = 0; i < directories->count && status == UNTORN_OK; i++)
        if (commit_of(ut_key_set_bytes(directories, i)) <= highest)
            directories->keys[i].mark = true;
    return status;
}

/* Remove the array directories that no snapshot names. */
static untorn_status sweep(const ut_store *store, const ut_retention *retention) {
    ut_key_set directories = UT_KEY_SET_INIT;
    bool all;
    untorn_status status = list(store, "arrays", is_array_directory, &directories);
    if (status == UNTORN_OK && directories.count > 0) {
        status = mark_all(store, &directories, &all);
        if (status == UNTORN_OK)
            status = mark_put_aside(store, &directories);
        if (status == UNTORN_OK && all)
            status = remove_unnamed(store, retention, &directories);
    }
    ut_key_set_free(&directories);
    return status;
}

static untorn_status remove_temporary(const ut_store *store, const char *within) {
    ut_key_set names = UT_KEY_SET_INIT;
    untorn_status first = list(store, within, is_temporary, &names);
    for (size_t i = 0; i < names.count; i++) {
        char path[UT_STORE_PATH_MAX];
        untorn_status status =
            ut_store_path(store, path, "%s/%s", within, ut_key_set_bytes(&names, i));
        if (status == UNTORN_OK)
            status = ut_durable_remove_tree(store->who, path);
        note(&first, status);
    }
    ut_key_set_free(&names);
    return first;
}

/* ------------------------------------------------------------ */

untorn_status ut_retention_apply(const ut_store *store, const ut_retention *retention,
                                 size_t *deleted) {
    deletion done = {0, false};
    uint64_t *commits;
    size_t count;
    untorn_status first = ut_store_commits(store, &commits, &count);
    if (first == UNTORN_OK) {
        first = delete_snapshots(store, retention, commits, count, &done);
        free(commits);
    }
    /* A snapshot that may be back still needs its arrays. */
    if (done.deleted > 0 && !done.unsynced)
        note(&first, sweep(store, retention));
    if (deleted != NULL)
        *deleted = done.deleted;
    return first;
}

untorn_status ut_retention_clean(const ut_store *store) {
    static const char *const places[] = {"", "snapshots", "arrays"};
    untorn_status first = UNTORN_OK;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        note(&first, remove_temporary(store, places[i]));
    note(&first, sweep(store, NULL));
    return first;
}
