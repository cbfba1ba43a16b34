// SPDX-License-Identifier: MIT
/*
 * A store's directory: finding or making it, its writer's lock, its snapshots' numbers, `latest`.
 *
 * The lock is an open-file-description lock on STORE/.lock, as the segment's is (its reasons are in
 * segment/writer_lock.h).  The file holds the writer's process id and the inode number of its pid
 * namespace in decimal, only so that a second writer can be told who is in its way, and only its
 * owner may open it: who may read a store must not be able to keep its writer out.
 *
 * snapshots/ is made last, so a directory that has it is a store.  A making that was cut short left
 * nothing but names of ours and is gone on with.
 */
#include "store/store_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_order.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "store/durable.h"

/* ------------------------------------------------------------ paths */

uint64_t ut_store_nonce(void) {
    uint64_t nonce;
    if (getrandom(&nonce, sizeof nonce, GRND_NONBLOCK) == (ssize_t)sizeof nonce)
        return nonce;
    /* Names only have to differ from those that are there; making one that is fails. */
    static _Atomic uint64_t count;
    uint64_t seed[3] = {(uint64_t)ut_clock_monotonic(), (uint64_t)getpid(),
                        ut_fetch_add_relaxed(&count, 1)};
    return ut_hash(seed, sizeof seed);
}

untorn_status ut_store_path(const ut_store *store, char path[UT_STORE_PATH_MAX], const char *format,
                            ...) {
    int head = snprintf(path, UT_STORE_PATH_MAX, "%s/", store->path);
    ut_check(head > 0 && head < UT_STORE_PATH_MAX);
    va_list arguments;
    va_start(arguments, format);
    int rest = vsnprintf(path + head, UT_STORE_PATH_MAX - (size_t)head, format, arguments);
    va_end(arguments);
    if (rest < 0 || head + rest >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "%s: a path in it is longer than %d bytes", store->who,
                       UT_STORE_PATH_MAX - 1);
    return UNTORN_OK;
}

static untorn_status copy_path(const char *path, const char *full, const char *name,
                               char resolved[UNTORN_MAX_STORE_PATH]) {
    const char *between = name[0] != '\0' && strcmp(full, "/") != 0 ? "/" : "";
    int n = snprintf(resolved, UNTORN_MAX_STORE_PATH, "%s%s%s", full, between, name);
    if (n < 0 || n >= UNTORN_MAX_STORE_PATH)
        return ut_fail(UNTORN_E_LIMIT, "store \"%.200s...\": its path is longer than %d bytes",
                       path, UNTORN_MAX_STORE_PATH - 1);
    return UNTORN_OK;
}

/* A path that does not exist: its parent resolved, and its last name. */
static untorn_status resolve_new(const char *path, char resolved[UNTORN_MAX_STORE_PATH]) {
    char *copy = strdup(path), *parent = NULL;
    if (copy == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "store \"%s\": out of memory", path);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash != NULL ? slash + 1 : copy;
    untorn_status status;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        status = ut_fail_errno(UNTORN_E_ARGUMENT, ENOENT, "store \"%s\": no such directory", path);
        goto free_copy;
    }
    if (slash == NULL) {
        parent = realpath(".", NULL);
    } else {
        char *end = slash == copy ? slash + 1 : slash, kept = *end;
        *end = '\0'; /* "/x" lies in "/" */
        parent = realpath(copy, NULL);
        *end = kept;
    }
    if (parent == NULL)
        status = ut_fail_errno(ut_durable_status(errno), errno,
                               "store \"%s\": cannot find the directory that it is to be in", path);
    else
        status = copy_path(path, parent, name, resolved);
    free(parent);
free_copy:
    free(copy);
    return status;
}

untorn_status ut_store_resolve(const char *path, char resolved[UNTORN_MAX_STORE_PATH]) {
    if (path == NULL || path[0] == '\0')
        return ut_fail(UNTORN_E_ARGUMENT, "a store's path is empty");
    char *full = realpath(path, NULL);
    if (full == NULL && errno == ENOENT)
        return resolve_new(path, resolved);
    if (full == NULL)
        return ut_fail_errno(ut_durable_status(errno), errno, "store \"%s\": cannot find it", path);
    untorn_status status = copy_path(path, full, "", resolved);
    free(full);
    return status;
}

/* `store "PATH"`; of a long path the end, which tells more. */
static void name_store(ut_store *store) {
    const char *path = store->path;
    size_t length = strlen(path), most = 240;
    const char *cut = "";
    if (length > most) {
        cut = "...";
        path += length - most;
        while (((unsigned char)*path & 0xc0) == 0x80) /* not within a character */
            path++;
    }
    snprintf(store->who, sizeof store->who, "store \"%s%.240s\"", cut, path);
}

/* ------------------------------------------------------------ what is there */

/* 0: nothing, 1: a directory, -1: errno (ENOTDIR: something else). */
static int look_for_directory(const char *path) {
    struct stat what;
    int result;
    do
        result = ut_files->lstat(path, &what);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        return errno == ENOENT ? 0 : -1;
    if (S_ISDIR(what.st_mode))
        return 1;
    errno = ENOTDIR;
    return -1;
}

/* Calls `look` with each name in a directory until it says false. */
static untorn_status each_name(const ut_store *store, const char *path,
                               bool (*look)(void *context, const char *name), void *context) {
    DIR *directory;
    do
        directory = ut_files->opendir(path);
    while (directory == NULL && errno == EINTR);
    if (directory == NULL)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot open directory %s",
                             store->who, path);
    untorn_status status = UNTORN_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = ut_files->readdir(directory);
        if (entry == NULL && errno == EINTR)
            continue;
        if (entry == NULL && errno != 0)
            status = ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot list %s",
                                   store->who, path);
        if (entry == NULL || !look(context, entry->d_name))
            break;
    }
    ut_files->closedir(directory);
    return status;
}

static bool starts_with(const char *name, const char *start) {
    return strncmp(name, start, strlen(start)) == 0;
}

typedef struct content {
    bool snapshots;
    char zarr[64];  /* metadata of a Zarr hierarchy that begins right here */
    char other[64]; /* something that is not a store's */
} content;

static bool look_at_content(void *context, const char *name) {
    static const char *const ours[] = {".", "..", ".lock", "arrays", "latest", "lost+found"};
    content *found = context;
    if (strcmp(name, "snapshots") == 0) {
        found->snapshots = true;
        return true;
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    if (starts_with(name, ".tmp-"))
        return true;
    if (starts_with(name, ".z") || strcmp(name, "zarr.json") == 0)
        snprintf(found->zarr, sizeof found->zarr, "%.60s", name);
    snprintf(found->other, sizeof found->other, "%.60s", name);
    return true;
}

/* Cleaning a store removes what no snapshot names: never let it loose on what is not one. */
static untorn_status check_content(const ut_store *store) {
    content found = {.snapshots = false};
    untorn_status status = each_name(store, store->path, look_at_content, &found);
    if (status != UNTORN_OK)
        return status;
    const char *name = found.snapshots ? found.zarr : found.other;
    if (name[0] != '\0')
        return ut_fail(UNTORN_E_ARGUMENT, "%s: a directory that is no store, for it has \"%s\"",
                       store->who, name);
    return UNTORN_OK;
}

/* ------------------------------------------------------------ the lock */

static int open_guarded(const char *path) {
    ut_fork_block();
    int fd;
    do
        fd = ut_files->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0 && ut_fork_guard_fd(fd) != UNTORN_OK) {
        ut_files->close(fd);
        errno = ENOMEM;
        fd = -1;
    }
    ut_fork_allow();
    return fd;
}

/* Who has the lock, from what the file says. */
static untorn_status busy(const ut_store *store, int fd) {
    char text[48] = "", process[UT_PROCESS_TEXT], *end;
    ssize_t n = ut_files->pread(fd, text, sizeof text - 1, 0);
    long long pid = n > 0 ? strtoll(text, &end, 10) : 0;
    if (pid <= 0)
        return ut_fail(UNTORN_E_BUSY, "%s: another process has it", store->who);
    ut_process_is_writer(pid, (uint32_t)strtoul(end, NULL, 10), process);
    return ut_fail(UNTORN_E_BUSY, "%s: %s", store->who, process);
}

/* Who has the lock; a full disk must not keep a writer out, so failing is no failure. */
static void announce(int fd) {
    char text[48];
    int n = snprintf(text, sizeof text, "%lld %" PRIu32 "\n", (long long)getpid(),
                     ut_process_namespace());
    if (ut_files->ftruncate(fd, 0) != 0 || ut_files->write(fd, text, (size_t)n) != n)
        (void)ut_files->ftruncate(fd, 0);
}

static untorn_status take_lock(ut_store *store) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(store, path, ".lock");
    if (status != UNTORN_OK)
        return status;
    int fd = open_guarded(path);
    if (fd < 0 && errno == EROFS)
        return ut_fail(
            UNTORN_E_PERMISSION,
            "%s: lies on a read-only file system: it can be read, but no writer can have it",
            store->who);
    if (fd < 0)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot open %s", store->who,
                             path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        int error = errno;
        status =
            error == EAGAIN || error == EACCES
                ? busy(store, fd)
                : ut_fail_errno(UNTORN_E_SYSTEM, error, "%s: cannot lock %s", store->who, path);
        ut_fork_close_fd(fd);
        return status;
    }
    announce(fd);
    store->lock_fd = fd;
    return UNTORN_OK;
}

/* ------------------------------------------------------------ opening */

/* A directory in the store, or the store itself, and its name in its parent, synced. */
static untorn_status make_directory(const ut_store *store, const char *path) {
    int there = look_for_directory(path);
    if (there < 0)
        return ut_fail_errno(errno == ENOTDIR ? UNTORN_E_ARGUMENT : ut_durable_status(errno), errno,
                             "%s: cannot use %s", store->who, path);
    if (there == 0) {
        untorn_status status = ut_durable_mkdir(store->who, path);
        /* Another process may have been making it, too: the lock will tell who stays. */
        if (status != UNTORN_OK && look_for_directory(path) != 1)
            return status;
    }
    char parent[UT_STORE_PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    slash[slash == parent ? 1 : 0] = '\0';
    if (UT_SEEDED(210))
        return UNTORN_OK;
    untorn_status status = ut_durable_sync_directory(store->who, parent);
    /* Where it was there already, whoever made it may have died before syncing; but the parent may
     * be another user's, whom we have nothing to tell. */
    return there == 0 ? status : UNTORN_OK;
}

static untorn_status make_part(const ut_store *store, const char *name) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(store, path, "%s", name);
    return status == UNTORN_OK ? make_directory(store, path) : status;
}

static untorn_status open_for_writing(ut_store *store) {
    untorn_status status = make_directory(store, store->path);
    if (status == UNTORN_OK)
        status = check_content(store);
    if (status == UNTORN_OK)
        status = take_lock(store);
    if (status != UNTORN_OK)
        return status;
    status = make_part(store, "arrays");
    if (status == UNTORN_OK)
        status = make_part(store, "snapshots");
    if (status != UNTORN_OK)
        ut_store_close(store);
    return status;
}

static untorn_status open_for_looking(const ut_store *store) {
    char path[UT_STORE_PATH_MAX];
    untorn_status status = ut_store_path(store, path, "snapshots");
    if (status != UNTORN_OK)
        return status;
    int there = look_for_directory(path);
    if (there == 0 || (there < 0 && errno == ENOTDIR))
        return ut_fail(UNTORN_E_NO_STORE, "%s: no store there", store->who);
    if (there < 0)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot look at %s", store->who,
                             path);
    return UNTORN_OK;
}

untorn_status ut_store_open(ut_store *store, const char *path, bool write) {
    *store = (ut_store){.lock_fd = -1};
    untorn_status status = ut_store_resolve(path, store->path);
    if (status != UNTORN_OK)
        return status;
    name_store(store);
    return write ? open_for_writing(store) : open_for_looking(store);
}

void ut_store_close(ut_store *store) {
    if (store->lock_fd >= 0)
        ut_fork_close_fd(store->lock_fd);
    store->lock_fd = -1;
}

/* ------------------------------------------------------------ snapshots */

/* A number as it stands in names: decimal, no sign, no leading zero; 0 if it is none. */
static uint64_t parse_commit(const char *text) {
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 20 || text[length] != '\0' || text[0] == '0')
        return 0;
    errno = 0;
    unsigned long long commit = strtoull(text, NULL, 10);
    return errno == 0 ? commit : 0;
}

typedef struct commit_list {
    uint64_t *commits;
    size_t count, capacity;
    bool failed;
} commit_list;

static bool add_commit(void *context, const char *name) {
    commit_list *list = context;
    uint64_t commit = parse_commit(name);
    if (commit == 0)
        return true;
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 16;
        uint64_t *grown = realloc(list->commits, capacity * sizeof *grown);
        if (grown == NULL) {
            list->failed = true;
            return false;
        }
        list->commits = grown;
        list->capacity = capacity;
    }
    list->commits[list->count++] = commit;
    return true;
}

static int compare_descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

untorn_status ut_store_commits(const ut_store *store, uint64_t **commits, size_t *count) {
    char path[UT_STORE_PATH_MAX];
    commit_list list = {.commits = NULL};
    untorn_status status = ut_store_path(store, path, "snapshots");
    if (status == UNTORN_OK)
        status = each_name(store, path, add_commit, &list);
    if (status == UNTORN_OK && list.failed)
        status = ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for its snapshots", store->who);
    if (status != UNTORN_OK) {
        free(list.commits);
        return status;
    }
    if (list.count > 0)
        qsort(list.commits, list.count, sizeof *list.commits, compare_descending);
    *commits = list.commits;
    *count = list.count;
    return UNTORN_OK;
}

untorn_status ut_store_latest(const ut_store *store, uint64_t *commit) {
    static const char where[] = "snapshots/";
    char path[UT_STORE_PATH_MAX], target[64];
    *commit = 0;
    untorn_status status = ut_store_path(store, path, "latest");
    if (status != UNTORN_OK)
        return status;
    ssize_t n;
    do
        n = ut_files->readlink(path, target, sizeof target - 1);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == ENOENT || errno == EINVAL)) /* EINVAL: not a symbolic link */
        return UNTORN_OK;
    if (n < 0)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot read %s", store->who,
                             path);
    target[n] = '\0';
    uint64_t named = starts_with(target, where) ? parse_commit(target + sizeof where - 1) : 0;
    if (named == 0)
        return UNTORN_OK;
    status = ut_store_path(store, path, "%s", target);
    if (status != UNTORN_OK)
        return status;
    int there = look_for_directory(path);
    if (there < 0 && errno != ENOTDIR)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot look at %s", store->who,
                             path);
    *commit = there == 1 ? named : 0;
    return UNTORN_OK;
}

untorn_status ut_store_set_latest(const ut_store *store, uint64_t commit) {
    char fresh[UT_STORE_PATH_MAX], path[UT_STORE_PATH_MAX], target[64];
    snprintf(target, sizeof target, "snapshots/%" PRIu64, commit);
    untorn_status status = ut_store_path(store, path, "latest");
    if (status == UNTORN_OK)
        status = ut_store_path(store, fresh, ".tmp-%016" PRIx64, ut_store_nonce());
    if (status == UNTORN_OK)
        status = ut_durable_symlink(store->who, target, fresh);
    if (status != UNTORN_OK)
        return status;
    if (UT_SEEDED(207))
        ut_files->unlink(path);
    status = ut_durable_rename(store->who, fresh, path, true);
    if (status != UNTORN_OK) {
        ut_files->unlink(fresh);
        return status;
    }
    return UT_SEEDED(208) ? UNTORN_OK : ut_durable_sync_directory(store->who, store->path);
}

untorn_status ut_store_confirm(const ut_store *store, uint64_t commit) {
    char path[UT_STORE_PATH_MAX];
    uint64_t latest;
    untorn_status status = ut_store_path(store, path, "snapshots");
    if (status == UNTORN_OK)
        status = ut_durable_sync_directory(store->who, path);
    if (status == UNTORN_OK)
        status = ut_store_latest(store, &latest);
    if (status != UNTORN_OK)
        return status;
    if (latest < commit)
        return ut_store_set_latest(store, commit);
    return ut_durable_sync_directory(store->who, store->path);
}
