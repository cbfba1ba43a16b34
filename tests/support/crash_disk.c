// SPDX-License-Identifier: MIT
/* Disks after a power cut: see crash_disk.h. */
#include "crash_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "must.h"
#include "rng.h"

#define SECTOR 512u

struct content {
    unsigned char *bytes;
    size_t n;
};

struct file {
    struct content synced, current, built;
    int dirty;   // current is not what is synced
    int doomed;  // nor will it ever be: an fsync failed
    char *place; // while materializing: its first name
};

// A change of names that is not durable.
struct change {
    size_t operation;
    int removal_only; // of a rename across directories, whose new name is durable
};

struct crash_disk {
    const struct crash_log *log;
    size_t at; // operations gone by
    struct crash_tree durable, built;
    struct file *files; // by inode
    struct change *changes;
    size_t change_count, change_capacity;
    int *dirty; // inodes
    size_t dirty_count;
};

static void set_content(struct content *to, const struct content *from) {
    if (from->n) {
        to->bytes = realloc(to->bytes, from->n);
        must(to->bytes != NULL, "out of memory");
        memcpy(to->bytes, from->bytes, from->n);
    }
    to->n = from->n;
}

static void resize_content(struct content *content, size_t n) {
    if (n > content->n) {
        content->bytes = realloc(content->bytes, n);
        must(content->bytes != NULL, "out of memory");
        memset(content->bytes + content->n, 0, n - content->n);
    }
    content->n = n;
}

struct crash_disk *crash_disk_begin(const struct crash_log *log) {
    struct crash_disk *disk = calloc(1, sizeof *disk);
    must(disk != NULL, "out of memory");
    disk->log = log;
    disk->files = calloc(log->inode_count, sizeof *disk->files);
    disk->dirty = calloc(log->inode_count, sizeof *disk->dirty);
    must(disk->files != NULL && disk->dirty != NULL, "out of memory");
    return disk;
}

void crash_disk_free(struct crash_disk *disk) {
    for (size_t i = 0; i < disk->log->inode_count; i++) {
        free(disk->files[i].synced.bytes);
        free(disk->files[i].current.bytes);
        free(disk->files[i].built.bytes);
    }
    crash_tree_free(&disk->durable);
    crash_tree_free(&disk->built);
    free(disk->files);
    free(disk->dirty);
    free(disk->changes);
    free(disk);
}

/* ---- going on ---- */

static const struct crash_operation *operation_of(const struct crash_disk *disk, size_t change) {
    return &disk->log->operations[disk->changes[change].operation];
}

static void add_change(struct crash_disk *disk, size_t operation) {
    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity ? 2 * disk->change_capacity : 64;
        disk->changes = realloc(disk->changes, disk->change_capacity * sizeof *disk->changes);
        must(disk->changes != NULL, "out of memory");
    }
    disk->changes[disk->change_count++] = (struct change){operation, 0};
}

// A name is taken away only where it stands for what was removed or renamed: it may be another's,
// because changes in between were lost.
static void take_away(struct crash_tree *tree, int directory, const char *name, int inode) {
    if (crash_tree_get(tree, directory, name) == inode)
        crash_tree_set(tree, directory, name, CRASH_NONE);
}

static void apply(struct crash_tree *tree, const struct crash_operation *operation,
                  enum crash_fate fate, int removal_only) {
    int inode = operation->inode;
    if (operation->kind == CRASH_REMOVE)
        take_away(tree, operation->directory, operation->name, inode);
    else if (!removal_only)
        crash_tree_set(tree, operation->directory, operation->name, inode);
    if (operation->kind == CRASH_RENAME && fate != CRASH_BOTH)
        take_away(tree, operation->old_directory, operation->old_name, inode);
}

static void sync_directory(struct crash_disk *disk, int directory) {
    size_t left = 0;
    for (size_t i = 0; i < disk->change_count; i++) {
        struct change change = disk->changes[i];
        const struct crash_operation *operation = operation_of(disk, i);
        int across =
            operation->kind == CRASH_RENAME && operation->old_directory != operation->directory;
        if (across && operation->old_directory == directory) {
            apply(&disk->durable, operation, CRASH_KEPT, change.removal_only);
        } else if (across && operation->directory == directory && !change.removal_only) {
            apply(&disk->durable, operation, CRASH_BOTH, 0);
            change.removal_only = 1;
            disk->changes[left++] = change;
        } else if (!across && operation->directory == directory) {
            apply(&disk->durable, operation, CRASH_KEPT, 0);
        } else {
            disk->changes[left++] = change;
        }
    }
    disk->change_count = left;
}

static void sync_file(struct crash_disk *disk, int inode) {
    struct file *file = &disk->files[inode];
    if (!file->dirty || file->doomed)
        return;
    set_content(&file->synced, &file->current);
    file->dirty = 0;
    size_t left = 0;
    for (size_t i = 0; i < disk->dirty_count; i++)
        if (disk->dirty[i] != inode)
            disk->dirty[left++] = disk->dirty[i];
    disk->dirty_count = left;
}

static void change_file(struct crash_disk *disk, const struct crash_operation *operation) {
    struct file *file = &disk->files[operation->inode];
    if (!file->dirty)
        disk->dirty[disk->dirty_count++] = operation->inode;
    file->dirty = 1;
    if (operation->kind == CRASH_TRUNCATE) {
        resize_content(&file->current, (size_t)operation->offset);
        return;
    }
    size_t end = (size_t)operation->offset + operation->n;
    if (end > file->current.n)
        resize_content(&file->current, end);
    memcpy(file->current.bytes + operation->offset, operation->bytes, operation->n);
}

int crash_disk_advance(struct crash_disk *disk) {
    if (disk->at == disk->log->count)
        return 0;
    const struct crash_operation *operation = &disk->log->operations[disk->at];
    switch (operation->kind) {
    case CRASH_WRITE:
    case CRASH_TRUNCATE:
        change_file(disk, operation);
        break;
    case CRASH_SYNC:
        if (disk->log->inodes[operation->inode].type == CRASH_DIRECTORY)
            sync_directory(disk, operation->inode);
        else
            sync_file(disk, operation->inode);
        break;
    case CRASH_UNSYNC:
        disk->files[operation->inode].doomed = disk->files[operation->inode].dirty;
        break;
    case CRASH_MARK:
        break;
    default:
        add_change(disk, disk->at);
    }
    disk->at++;
    return 1;
}

/* ---- items: changes of names, then contents ---- */

size_t crash_disk_items(const struct crash_disk *disk) {
    return disk->change_count + disk->dirty_count;
}

size_t crash_disk_fates(const struct crash_disk *disk, size_t item,
                        enum crash_fate fates[CRASH_BOTH + 1]) {
    size_t n = 0;
    fates[n++] = CRASH_LOST;
    fates[n++] = CRASH_KEPT;
    if (item >= disk->change_count) {
        fates[n++] = CRASH_ZEROS;
        fates[n++] = CRASH_PREFIX;
        fates[n++] = CRASH_SECTORS;
        return n;
    }
    const struct crash_operation *operation = operation_of(disk, item);
    if (operation->kind == CRASH_RENAME && operation->directory != operation->old_directory &&
        !disk->changes[item].removal_only)
        fates[n++] = CRASH_BOTH;
    return n;
}

static void build_content(struct file *file, enum crash_fate fate, struct test_rng *rng) {
    struct content *built = &file->built;
    if (fate == CRASH_LOST || fate == CRASH_ZEROS) {
        set_content(built, &file->synced);
        if (fate == CRASH_ZEROS)
            resize_content(built, file->current.n);
        return;
    }
    set_content(built, &file->current);
    size_t old = file->synced.n < built->n ? file->synced.n : built->n;
    if (fate == CRASH_PREFIX) {
        resize_content(built, old + (size_t)rng_below(rng, built->n - old + 1));
        return;
    }
    for (size_t at = 0; fate == CRASH_SECTORS && at < built->n; at += SECTOR) {
        size_t n = built->n - at < SECTOR ? built->n - at : SECTOR;
        size_t kept = at >= old ? 0 : old - at < n ? old - at : n; // bytes that were there before
        if (kept == n && memcmp(built->bytes + at, file->synced.bytes + at, n) == 0)
            continue; // not written to
        uint64_t choice = rng_below(rng, 3);
        if (choice == 1) {
            if (kept)
                memcpy(built->bytes + at, file->synced.bytes + at, kept);
            memset(built->bytes + at + kept, 0, n - kept);
        }
        for (size_t i = 0; choice == 2 && i < n; i++)
            built->bytes[at + i] = (unsigned char)rng_next(rng);
    }
}

static const struct content *content_of(const struct crash_disk *disk, int inode) {
    const struct file *file = &disk->files[inode];
    return file->dirty ? &file->built : &file->synced;
}

// A number for all below a directory; the order of names is of no account.
static uint64_t hash_directory(const struct crash_disk *disk, int directory, const char *aside,
                               unsigned depth) {
    must(depth < 64, "directories within themselves");
    uint64_t sum = 1;
    if ((size_t)directory >= disk->built.count)
        return sum;
    const struct crash_names *names = &disk->built.directories[directory];
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->entries[i].name;
        int inode = names->entries[i].inode;
        const struct crash_inode *what = &disk->log->inodes[inode];
        uint64_t below;
        if (aside && strncmp(name, aside, strlen(aside)) == 0)
            continue;
        if (what->type == CRASH_DIRECTORY)
            below = hash_directory(disk, inode, aside, depth + 1);
        else if (what->type == CRASH_SYMBOLIC)
            below = ut_hash(what->target, strlen(what->target)) + 2;
        else
            below = ut_hash(content_of(disk, inode)->bytes, content_of(disk, inode)->n);
        sum += test_mix(ut_hash(name, strlen(name)) + test_mix(below + what->type));
    }
    return test_mix(sum);
}

uint64_t crash_disk_build(struct crash_disk *disk, const unsigned char *fates, uint64_t seed) {
    struct test_rng rng = {seed};
    crash_tree_copy(&disk->built, &disk->durable);
    for (size_t i = 0; i < disk->change_count; i++)
        if (fates[i] != CRASH_LOST)
            apply(&disk->built, operation_of(disk, i), (enum crash_fate)fates[i],
                  disk->changes[i].removal_only);
    for (size_t i = 0; i < disk->dirty_count; i++)
        build_content(&disk->files[disk->dirty[i]], (enum crash_fate)fates[disk->change_count + i],
                      &rng);
    return hash_directory(disk, 0, NULL, 0);
}

uint64_t crash_disk_hash(const struct crash_disk *disk, const char *aside) {
    return hash_directory(disk, 0, aside, 0);
}

/* ---- trees for real ---- */

static void write_file(const char *path, const struct content *content) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    must(fd >= 0, "%s: %s", path, strerror(errno));
    for (size_t at = 0; at < content->n;) {
        ssize_t n = write(fd, content->bytes + at, content->n - at);
        must(n > 0, "%s: %s", path, strerror(errno));
        at += (size_t)n;
    }
    close(fd);
}

static void make_directory(struct crash_disk *disk, int directory, const char *path) {
    must(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
    if ((size_t)directory >= disk->built.count)
        return;
    const struct crash_names *names = &disk->built.directories[directory];
    for (size_t i = 0; i < names->count; i++) {
        int inode = names->entries[i].inode;
        const struct crash_inode *what = &disk->log->inodes[inode];
        struct file *file = &disk->files[inode];
        char *name = NULL;
        if (asprintf(&name, "%s/%s", path, names->entries[i].name) < 0)
            abort();
        if (what->type == CRASH_DIRECTORY) {
            make_directory(disk, inode, name);
        } else if (what->type == CRASH_SYMBOLIC) {
            must(symlink(what->target, name) == 0, "%s: %s", name, strerror(errno));
        } else if (file->place) {
            must(link(file->place, name) == 0, "%s: %s", name, strerror(errno));
        } else {
            write_file(name, content_of(disk, inode));
            file->place = name;
            name = NULL;
        }
        free(name);
    }
}

void crash_disk_materialize(struct crash_disk *disk, const char *path) {
    make_directory(disk, 0, path);
    for (size_t i = 0; i < disk->log->inode_count; i++) {
        free(disk->files[i].place);
        disk->files[i].place = NULL;
    }
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk) {
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

void crash_remove_tree(const char *path) {
    must(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0, "%s: %s", path, strerror(errno));
}

/* ---- all of it ---- */

struct exploration {
    struct crash_disk *disk;
    const struct crash_plan *plan;
    struct crash_outcome *outcome;
    struct test_rng rng;
    uint64_t mark;
    uint64_t *seen; // states that were judged: an open hash table, 0 is free
    size_t seen_count, seen_room;
    unsigned char *fates;
};

// False if it was there.
static int add_seen(struct exploration *explore, uint64_t state) {
    state += state == 0;
    if (2 * explore->seen_count >= explore->seen_room) {
        uint64_t *old = explore->seen;
        size_t room = explore->seen_room;
        explore->seen_room = room ? 2 * room : 4096;
        explore->seen = calloc(explore->seen_room, sizeof *explore->seen);
        must(explore->seen != NULL, "out of memory");
        for (size_t i = 0; i < room; i++) {
            if (old[i] == 0)
                continue;
            size_t at = (size_t)old[i] % explore->seen_room;
            while (explore->seen[at] != 0)
                at = (at + 1) % explore->seen_room;
            explore->seen[at] = old[i];
        }
        free(old);
    }
    size_t at = (size_t)state % explore->seen_room;
    while (explore->seen[at] != 0 && explore->seen[at] != state)
        at = (at + 1) % explore->seen_room;
    if (explore->seen[at] == state)
        return 0;
    explore->seen[at] = state;
    explore->seen_count++;
    return 1;
}

// What became of the items, the rarer of lost and kept, as text.
static void say_fates(const struct exploration *explore, char *text, size_t room) {
    static const char *const words[] = {"lost", "kept", "zeros", "prefix", "sectors", "both"};
    const struct crash_disk *disk = explore->disk;
    size_t items = crash_disk_items(disk), lost = 0, used = 0;
    for (size_t i = 0; i < items; i++)
        lost += explore->fates[i] == CRASH_LOST;
    int common = 2 * lost > items ? CRASH_LOST : CRASH_KEPT;
    used +=
        (size_t)snprintf(text, room, "of %zu unsynced changes all %s but", items, words[common]);
    for (size_t i = 0; i < items && used < room; i++) {
        if (explore->fates[i] == common)
            continue;
        const char *what = NULL;
        if (i < disk->change_count)
            what = crash_log_say(disk->log, disk->changes[i].operation);
        for (size_t o = disk->at; what == NULL && o-- > 0;)
            if (disk->log->operations[o].inode == disk->dirty[i - disk->change_count])
                what = crash_log_say(disk->log, o);
        used +=
            (size_t)snprintf(text + used, room - used, " [%s: %s]", words[explore->fates[i]], what);
    }
}

// Judge the state of explore->fates, unless it was.  0: it is bad.
static int judge(struct exploration *explore) {
    struct crash_disk *disk = explore->disk;
    const struct crash_plan *plan = explore->plan;
    uint64_t state = crash_disk_build(disk, explore->fates, rng_next(&explore->rng));
    if (!add_seen(explore, test_mix(state + explore->mark)))
        return 1;
    if (plan->aside &&
        !add_seen(explore, test_mix(crash_disk_hash(disk, plan->aside) + explore->mark) + 1) &&
        rng_below(&explore->rng, plan->aside_share))
        return 1;
    explore->outcome->states++;
    char path[4096], fates[4096];
    snprintf(path, sizeof path, "%s/cut", plan->scratch);
    crash_disk_materialize(disk, path);
    const char *bad = plan->judge(plan->context, path, explore->mark);
    crash_remove_tree(path);
    if (bad == NULL)
        return 1;
    say_fates(explore, fates, sizeof fates);
    snprintf(explore->outcome->bad, sizeof explore->outcome->bad,
             "power cut after operation %zu (%.1000s), %s: %.2000s", disk->at,
             disk->at ? crash_log_say(disk->log, disk->at - 1) : "none", fates, bad);
    return 0;
}

static void set_all(struct exploration *explore, enum crash_fate fate) {
    memset(explore->fates, (int)fate, crash_disk_items(explore->disk));
}

static int judge_singles(struct exploration *explore, size_t items) {
    size_t n = items < explore->plan->singles ? items : explore->plan->singles;
    for (size_t i = 0; i < n; i++) {
        // If not all, then at random places.
        size_t item = n == items ? i : (size_t)rng_below(&explore->rng, items);
        enum crash_fate fates[CRASH_BOTH + 1];
        size_t count = crash_disk_fates(explore->disk, item, fates);
        for (size_t f = 0; f < count; f++) {
            set_all(explore, fates[f] == CRASH_KEPT ? CRASH_LOST : CRASH_KEPT);
            explore->fates[item] = (unsigned char)fates[f];
            if (!judge(explore))
                return 0;
        }
    }
    return 1;
}

static int judge_subsets(struct exploration *explore, size_t items) {
    for (size_t subset = 0; items <= explore->plan->subsets && subset < (size_t)1 << items;
         subset++) {
        for (size_t i = 0; i < items; i++)
            explore->fates[i] = (unsigned char)(subset >> i & 1 ? CRASH_KEPT : CRASH_LOST);
        if (!judge(explore))
            return 0;
    }
    return 1;
}

static int judge_mixtures(struct exploration *explore, size_t items) {
    for (unsigned m = 0; items && m < explore->plan->mixtures; m++) {
        // Some mixtures lose little, some much.
        unsigned kept = (unsigned)rng_range(&explore->rng, 5, 95);
        for (size_t i = 0; i < items; i++) {
            enum crash_fate fates[CRASH_BOTH + 1];
            size_t count = crash_disk_fates(explore->disk, i, fates);
            explore->fates[i] = (unsigned char)CRASH_KEPT;
            if (!rng_chance(&explore->rng, kept))
                explore->fates[i] = (unsigned char)fates[rng_below(&explore->rng, count)];
        }
        if (!judge(explore))
            return 0;
    }
    return 1;
}

static int judge_cut(struct exploration *explore) {
    size_t items = crash_disk_items(explore->disk);
    if (explore->disk->at < explore->plan->from)
        return 1;
    explore->outcome->cuts++;
    set_all(explore, CRASH_LOST);
    if (!judge(explore))
        return 0;
    set_all(explore, CRASH_KEPT);
    return judge(explore) && judge_singles(explore, items) && judge_subsets(explore, items) &&
           judge_mixtures(explore, items);
}

void crash_explore(const struct crash_log *log, const struct crash_plan *plan,
                   struct crash_outcome *outcome) {
    struct exploration explore = {.disk = crash_disk_begin(log),
                                  .plan = plan,
                                  .outcome = outcome,
                                  .rng = {plan->seed},
                                  .fates = malloc(log->count + log->inode_count + 1)};
    must(explore.fates != NULL, "out of memory");
    *outcome = (struct crash_outcome){0};
    while (judge_cut(&explore) && crash_disk_advance(explore.disk)) {
        const struct crash_operation *operation = &log->operations[explore.disk->at - 1];
        if (operation->kind == CRASH_MARK)
            explore.mark = operation->offset;
    }
    crash_disk_free(explore.disk);
    free(explore.seen);
    free(explore.fates);
}
