// SPDX-License-Identifier: MIT
/* The recording table: see crash_log.h. */
#include "crash_log.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file_ops.h"

#define DESCRIPTORS 4096

// The lock may be held, and the table be in use: there is no leaving by longjmp.
#define sure(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "recording file operations: " __VA_ARGS__);                            \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct crash_log *recording;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// Which of the log's inodes an open descriptor is.  Descriptors are closed and reused behind the
// table's back, too (those of locks), so the kernel's own inode is kept to tell.
static struct {
    int known, inode;
    dev_t device;
    ino_t number;
} descriptors[DESCRIPTORS];

/* ---- trees ---- */

static struct crash_names *names_of(struct crash_tree *tree, int directory) {
    size_t need = (size_t)directory + 1;
    if (need > tree->count) {
        tree->directories = realloc(tree->directories, need * sizeof *tree->directories);
        sure(tree->directories != NULL, "out of memory");
        memset(tree->directories + tree->count, 0,
               (need - tree->count) * sizeof *tree->directories);
        tree->count = need;
    }
    return &tree->directories[directory];
}

int crash_tree_get(const struct crash_tree *tree, int directory, const char *name) {
    if ((size_t)directory >= tree->count)
        return CRASH_NONE;
    const struct crash_names *names = &tree->directories[directory];
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->entries[i].name, name) == 0)
            return names->entries[i].inode;
    return CRASH_NONE;
}

void crash_tree_set(struct crash_tree *tree, int directory, const char *name, int inode) {
    struct crash_names *names = names_of(tree, directory);
    size_t i = 0;
    while (i < names->count && strcmp(names->entries[i].name, name) != 0)
        i++;
    if (inode == CRASH_NONE) {
        if (i < names->count)
            names->entries[i] = names->entries[--names->count];
        return;
    }
    if (i == names->count) {
        if (names->count == names->capacity) {
            names->capacity = names->capacity ? 2 * names->capacity : 8;
            names->entries = realloc(names->entries, names->capacity * sizeof *names->entries);
            sure(names->entries != NULL, "out of memory");
        }
        names->count++;
    }
    names->entries[i] = (struct crash_entry){name, inode};
}

void crash_tree_copy(struct crash_tree *to, const struct crash_tree *from) {
    if (from->count)
        names_of(to, (int)from->count - 1);
    for (size_t d = 0; d < to->count; d++) {
        struct crash_names *names = &to->directories[d];
        names->count = 0;
        if (d >= from->count || from->directories[d].count == 0)
            continue;
        const struct crash_names *source = &from->directories[d];
        if (names->capacity < source->count) {
            names->capacity = source->count;
            names->entries = realloc(names->entries, names->capacity * sizeof *names->entries);
            sure(names->entries != NULL, "out of memory");
        }
        memcpy(names->entries, source->entries, source->count * sizeof *source->entries);
        names->count = source->count;
    }
}

void crash_tree_free(struct crash_tree *tree) {
    for (size_t d = 0; d < tree->count; d++)
        free(tree->directories[d].entries);
    free(tree->directories);
    *tree = (struct crash_tree){0};
}

/* ---- the log ---- */

static int add_inode(enum crash_type type, const char *target) {
    struct crash_log *log = recording;
    if (log->inode_count == log->inode_capacity) {
        log->inode_capacity = log->inode_capacity ? 2 * log->inode_capacity : 256;
        log->inodes = realloc(log->inodes, log->inode_capacity * sizeof *log->inodes);
        sure(log->inodes != NULL, "out of memory");
    }
    log->inodes[log->inode_count] = (struct crash_inode){type, target ? strdup(target) : NULL};
    return (int)log->inode_count++;
}

static struct crash_operation *add(enum crash_kind kind, int inode) {
    struct crash_log *log = recording;
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? 2 * log->capacity : 1024;
        log->operations = realloc(log->operations, log->capacity * sizeof *log->operations);
        sure(log->operations != NULL, "out of memory");
    }
    struct crash_operation *operation = &log->operations[log->count++];
    *operation = (struct crash_operation){
        .kind = kind, .inode = inode, .directory = CRASH_NONE, .old_directory = CRASH_NONE};
    return operation;
}

static int add_name(enum crash_kind kind, int inode, int directory, const char *name) {
    struct crash_operation *operation = add(kind, inode);
    operation->directory = directory;
    operation->name = strdup(name);
    sure(operation->name != NULL, "out of memory");
    crash_tree_set(&recording->live, directory, operation->name,
                   kind == CRASH_REMOVE ? CRASH_NONE : inode);
    return inode;
}

// Where a path is, whether there is something or not.  False: not below the recorded directory.
struct place {
    int directory; // CRASH_NONE: it is the recorded directory itself
    char name[NAME_MAX + 1];
    int inode; // CRASH_NONE: nothing is there
};

// The inode of a resolved path of a directory; -2: not below the root.
static int find_directory(const char *resolved) {
    size_t length = strlen(recording->root);
    if (strncmp(resolved, recording->root, length) != 0 ||
        (resolved[length] != '/' && resolved[length] != 0))
        return -2;
    char rest[PATH_MAX], *next = NULL;
    snprintf(rest, sizeof rest, "%s", resolved + length);
    int inode = 0;
    for (char *part = strtok_r(rest, "/", &next); part; part = strtok_r(NULL, "/", &next)) {
        inode = crash_tree_get(&recording->live, inode, part);
        sure(inode != CRASH_NONE, "%s came into being unrecorded", resolved);
    }
    return inode;
}

static int find(const char *path, struct place *place) {
    char copy[PATH_MAX], parent[PATH_MAX], whole[PATH_MAX];
    if (recording == NULL)
        return 0;
    if (realpath(path, whole) && strcmp(whole, recording->root) == 0) {
        *place = (struct place){.directory = CRASH_NONE, .inode = 0};
        return 1;
    }
    snprintf(copy, sizeof copy, "%s", path);
    if (!realpath(dirname(copy), parent))
        return 0;
    int directory = find_directory(parent);
    if (directory == -2)
        return 0;
    snprintf(copy, sizeof copy, "%s", path);
    const char *name = basename(copy);
    sure(strcmp(name, "..") != 0 && strcmp(name, ".") != 0, "%s: not modelled", path);
    place->directory = directory;
    snprintf(place->name, sizeof place->name, "%.255s", name);
    place->inode = crash_tree_get(&recording->live, directory, name);
    return 1;
}

/* ---- the operations ---- */

// Whether the recorded process is dead.
static int dead(int here) {
    if (!here || recording->life < 0 || recording->life-- > 0)
        return 0;
    recording->life = 0;
    errno = EIO;
    return 1;
}

static void opened(int fd, int flags, const struct place *place) {
    int inode = place->inode;
    sure(fd < DESCRIPTORS, "descriptor %d: too many", fd);
    if (inode == CRASH_NONE) {
        sure((flags & O_CREAT) != 0, "%s came into being unrecorded", place->name);
        inode = add_inode(CRASH_FILE, NULL);
        add_name(CRASH_CREATE, inode, place->directory, place->name);
    } else if (flags & O_TRUNC) {
        add(CRASH_TRUNCATE, inode)->offset = 0;
    }
    struct stat status;
    sure(fstat(fd, &status) == 0, "%s: %s", place->name, strerror(errno));
    descriptors[fd].known = 1;
    descriptors[fd].inode = inode;
    descriptors[fd].device = status.st_dev;
    descriptors[fd].number = status.st_ino;
}

static int record_open(const char *path, int flags, mode_t mode) {
    struct place place;
    pthread_mutex_lock(&lock);
    int here = find(path, &place);
    sure(!here || (flags & O_TMPFILE) != O_TMPFILE, "%s: O_TMPFILE is not modelled", path);
    int is_new = here && (flags & O_CREAT) != 0 && place.inode == CRASH_NONE;
    int fd = dead(is_new) ? -1 : ut_files_system.open(path, flags, mode), error = errno;
    if (here && fd >= 0)
        opened(fd, flags, &place);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static int record_close(int fd) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < DESCRIPTORS)
        descriptors[fd].known = 0;
    int result = ut_files_system.close(fd), error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

// The inode that a descriptor stands for, also of one that was not opened here (dirfd()).
static int inode_behind(int fd) {
    if (recording == NULL || fd < 0 || fd >= DESCRIPTORS)
        return CRASH_NONE;
    struct stat status;
    if (descriptors[fd].known && fstat(fd, &status) == 0 &&
        status.st_dev == descriptors[fd].device && status.st_ino == descriptors[fd].number)
        return descriptors[fd].inode;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return CRASH_NONE;
    path[n] = 0;
    struct place place;
    return path[0] == '/' && find(path, &place) ? place.inode : CRASH_NONE;
}

static ssize_t record_write(int fd, const void *bytes, size_t count) {
    pthread_mutex_lock(&lock);
    int inode = inode_behind(fd);
    ssize_t result = dead(inode != CRASH_NONE) ? -1 : ut_files_system.write(fd, bytes, count);
    int error = errno;
    if (inode != CRASH_NONE && result > 0) {
        struct crash_operation *operation = add(CRASH_WRITE, inode);
        operation->offset = (uint64_t)(lseek(fd, 0, SEEK_CUR) - result);
        operation->n = (size_t)result;
        operation->bytes = malloc((size_t)result);
        sure(operation->bytes != NULL, "out of memory");
        memcpy(operation->bytes, bytes, (size_t)result);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_fsync(int fd) {
    pthread_mutex_lock(&lock);
    int inode = inode_behind(fd);
    int fails = inode != CRASH_NONE && recording->good_syncs >= 0 && recording->good_syncs-- == 0;
    int result = -1, error = EIO;
    if (!fails) {
        result = dead(inode != CRASH_NONE) ? -1 : ut_files_system.fsync(fd);
        error = errno;
    }
    if (inode != CRASH_NONE && (result == 0 || fails))
        add(fails ? CRASH_UNSYNC : CRASH_SYNC, inode);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_ftruncate(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    int inode = inode_behind(fd);
    int result = dead(inode != CRASH_NONE) ? -1 : ut_files_system.ftruncate(fd, length);
    int error = errno;
    if (inode != CRASH_NONE && result == 0)
        add(CRASH_TRUNCATE, inode)->offset = (uint64_t)length;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_posix_fallocate(int fd, off_t offset, off_t length) {
    pthread_mutex_lock(&lock);
    sure(inode_behind(fd) == CRASH_NONE, "posix_fallocate() is not modelled");
    int result = ut_files_system.posix_fallocate(fd, offset, length);
    pthread_mutex_unlock(&lock);
    return result;
}

static void renamed(const struct place *old, const struct place *new) {
    if (old->inode == new->inode)
        return; // two names of one file: POSIX has rename() do nothing
    int inode = old->inode;
    crash_tree_set(&recording->live, old->directory, old->name, CRASH_NONE);
    add_name(CRASH_RENAME, inode, new->directory, new->name);
    struct crash_operation *operation = &recording->operations[recording->count - 1];
    operation->old_directory = old->directory;
    operation->old_name = strdup(old->name);
    sure(operation->old_name != NULL, "out of memory");
}

static int record_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                            unsigned flags) {
    struct place old, new;
    pthread_mutex_lock(&lock);
    int here = find(from, &old), there = find(to, &new);
    sure(here == there, "%s to %s: across the recorded directory's border", from, to);
    sure(!here || (from[0] == '/' && to[0] == '/'), "%s: relative paths are not modelled", from);
    sure(!here || (flags & ~1u) == 0, "renameat2(%s, %s, %u) is not modelled", from, to, flags);
    int result = -1;
    if (!dead(here))
        result = flags ? ut_files_system.renameat2(from_dir, from, to_dir, to, flags)
                       : ut_files_system.rename(from, to);
    int error = errno;
    if (here && result == 0)
        renamed(&old, &new);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_rename(const char *from, const char *to) {
    return record_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int record_remove(int (*remove)(const char *), const char *path) {
    struct place place;
    pthread_mutex_lock(&lock);
    int here = find(path, &place), result = dead(here) ? -1 : remove(path), error = errno;
    if (here && result == 0)
        add_name(CRASH_REMOVE, place.inode, place.directory, place.name);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_unlink(const char *path) {
    return record_remove(ut_files_system.unlink, path);
}

static int record_rmdir(const char *path) {
    return record_remove(ut_files_system.rmdir, path);
}

static int record_mkdir(const char *path, mode_t mode) {
    struct place place;
    pthread_mutex_lock(&lock);
    int here = find(path, &place);
    int result = dead(here) ? -1 : ut_files_system.mkdir(path, mode), error = errno;
    if (here && result == 0)
        add_name(CRASH_MKDIR, add_inode(CRASH_DIRECTORY, NULL), place.directory, place.name);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_link(const char *from, const char *to) {
    struct place old, new;
    pthread_mutex_lock(&lock);
    int here = find(to, &new), refused = here && recording->refuse_links;
    int result = refused || dead(here) ? -1 : ut_files_system.link(from, to);
    int error = refused ? EPERM : errno;
    if (here && result == 0) {
        sure(find(from, &old) && old.inode != CRASH_NONE, "%s came into being unrecorded", from);
        add_name(CRASH_LINK, old.inode, new.directory, new.name);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int record_symlink(const char *target, const char *path) {
    struct place place;
    pthread_mutex_lock(&lock);
    int here = find(path, &place);
    int result = dead(here) ? -1 : ut_files_system.symlink(target, path), error = errno;
    if (here && result == 0)
        add_name(CRASH_SYMLINK, add_inode(CRASH_SYMBOLIC, target), place.directory, place.name);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

/* ---- a recording ---- */

struct crash_log *crash_log_begin(const char *root) {
    static struct ut_file_ops table;
    struct crash_log *log = calloc(1, sizeof *log);
    sure(log != NULL, "out of memory");
    sure(realpath(root, log->root) != NULL, "%s: %s", root, strerror(errno));
    log->life = log->good_syncs = -1;
    recording = log;
    memset(descriptors, 0, sizeof descriptors);
    add_inode(CRASH_DIRECTORY, NULL);
    table = ut_files_system;
    table.open = record_open;
    table.close = record_close;
    table.posix_fallocate = record_posix_fallocate;
    table.ftruncate = record_ftruncate;
    table.rename = record_rename;
    table.renameat2 = record_renameat2;
    table.unlink = record_unlink;
    table.write = record_write;
    table.fsync = record_fsync;
    table.mkdir = record_mkdir;
    table.rmdir = record_rmdir;
    table.link = record_link;
    table.symlink = record_symlink;
    ut_files_replace(&table);
    return log;
}

void crash_log_end(struct crash_log *log) {
    sure(recording == log, "not this recording");
    ut_files_replace(NULL);
    recording = NULL;
}

void crash_log_free(struct crash_log *log) {
    for (size_t i = 0; i < log->count; i++) {
        free(log->operations[i].name);
        free(log->operations[i].old_name);
        free(log->operations[i].bytes);
    }
    for (size_t i = 0; i < log->inode_count; i++)
        free(log->inodes[i].target);
    crash_tree_free(&log->live);
    free(log->operations);
    free(log->inodes);
    free(log);
}

void crash_log_mark(struct crash_log *log, uint64_t mark) {
    pthread_mutex_lock(&lock);
    sure(recording == log, "not this recording");
    add(CRASH_MARK, CRASH_NONE)->offset = mark;
    pthread_mutex_unlock(&lock);
}

/* ---- words ---- */

// The name that an inode last had before operation `i`, with those of its directories.
static void name_inode(const struct crash_log *log, int inode, size_t i, char *text, size_t room) {
    if (inode <= 0) {
        snprintf(text, room, "%s", "");
        return;
    }
    while (i-- > 0) {
        const struct crash_operation *operation = &log->operations[i];
        if (operation->inode != inode || !operation->name)
            continue;
        char above[2048];
        name_inode(log, operation->directory, i, above, sizeof above);
        snprintf(text, room, "%s/%s", above, operation->name);
        return;
    }
    snprintf(text, room, "inode %d", inode);
}

const char *crash_log_say(const struct crash_log *log, size_t i) {
    static const char *const verbs[] = {"create", "mkdir",        "symlink", "link",
                                        "rename", "remove",       "write",   "ftruncate",
                                        "fsync",  "failed fsync", "mark"};
    static char text[8192];
    const struct crash_operation *operation = &log->operations[i];
    char path[3000], old[3000] = "";
    if (operation->name) {
        name_inode(log, operation->directory, i, path, sizeof path - 300);
        snprintf(path + strlen(path), 300, "/%s", operation->name);
    } else {
        name_inode(log, operation->inode, i, path, sizeof path);
    }
    if (operation->old_name) {
        name_inode(log, operation->old_directory, i, old, sizeof old - 300);
        snprintf(old + strlen(old), 300, "/%s to ", operation->old_name);
    }
    if (operation->kind == CRASH_WRITE)
        snprintf(old, sizeof old, "%zu bytes at %llu of ", operation->n,
                 (unsigned long long)operation->offset);
    if (operation->kind == CRASH_MARK)
        snprintf(path, sizeof path, "%llu", (unsigned long long)operation->offset);
    snprintf(text, sizeof text, "%s %s%s", verbs[operation->kind], old, path);
    return text;
}
