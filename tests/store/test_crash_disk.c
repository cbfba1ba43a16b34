// SPDX-License-Identifier: MIT
/*
 * The simulator of power cuts (support/crash_disk.h) itself: it finds the classic mistakes of
 * replacing a file, finds nothing wrong with the right way, and its disks hold what the rules of
 * its header say.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_ops.h"
#include "support/crash_disk.h"
#include "support/must.h"
#include "support/names.h"
#include "support/scale.h"

#define BYTES 3000u

static const char *directory;

static const char *at(const char *name) {
    static char paths[8][600];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void put(const char *name, int letter, int sync) {
    char bytes[BYTES];
    memset(bytes, letter, sizeof bytes);
    int fd = ut_files->open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0, "%s: %s", name, strerror(errno));
    // In pieces of no sector's length.
    for (size_t i = 0; i < BYTES; i += 1000)
        must(ut_files->write(fd, bytes + i, 1000) == 1000, "%s: %s", name, strerror(errno));
    // The mistake of SYNC_AGAIN is to believe a second fsync.
    must(!sync || ut_files->fsync(fd) == 0 || ut_files->fsync(fd) == 0, "%s: %s", name,
         strerror(errno));
    ut_files->close(fd);
}

static void sync_directory(const char *name) {
    int fd = ut_files->open(at(name), O_RDONLY | O_DIRECTORY, 0);
    must(fd >= 0 && ut_files->fsync(fd) == 0, "%s: %s", name, strerror(errno));
    ut_files->close(fd);
}

/* ---- replacing a file ---- */

enum way { RIGHT, FILE_UNSYNCED, DIRECTORY_UNSYNCED, IN_PLACE, UNLINK_FIRST, SYNC_AGAIN, WAYS };

// The file "f" goes from 'a' to 'b' to 'c'; each is marked once it is there for good.
static struct crash_log *replace_file(enum way way) {
    directory = test_directory("disk");
    struct crash_log *log = crash_log_begin(directory);
    put("f", 'a', 1);
    sync_directory("");
    crash_log_mark(log, 'a');
    for (int letter = 'b'; letter <= 'c'; letter++) {
        if (way == IN_PLACE) {
            put("f", letter, 1);
        } else {
            if (way == SYNC_AGAIN)
                log->good_syncs = 0;
            put(".tmp", letter, way != FILE_UNSYNCED);
            if (way == UNLINK_FIRST)
                must(ut_files->unlink(at("f")) == 0, "%s", strerror(errno));
            must(ut_files->rename(at(".tmp"), at("f")) == 0, "%s", strerror(errno));
        }
        if (way != DIRECTORY_UNSYNCED)
            sync_directory("");
        crash_log_mark(log, (uint64_t)letter);
    }
    crash_log_end(log);
    return log;
}

// All of one letter, no older than the mark.
static const char *judge_file(void *context, const char *path, uint64_t mark) {
    char name[4200], bytes[BYTES + 1];
    (void)context;
    snprintf(name, sizeof name, "%s/f", path);
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        return mark ? "the file is gone" : NULL;
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    if (mark == 0)
        return NULL; // it may be anything as long as nobody said that it is there
    if (n != BYTES)
        return "not the whole file";
    for (size_t i = 1; i < BYTES; i++)
        if (bytes[i] != bytes[0])
            return "a mix";
    return (uint64_t)bytes[0] < mark ? "older than was said" : NULL;
}

static struct crash_plan plan_of(void) {
    return (struct crash_plan){.singles = 100,
                               .subsets = 6,
                               .mixtures = (unsigned)test_count(20),
                               .seed = test_seed(),
                               .scratch = test_directory("cut"),
                               .judge = judge_file};
}

static void P6_simulator_finds_the_classic_mistakes(void **state) {
    static const char *const expected[WAYS] = {"",      "the whole file",   "older than was said",
                                               "whole", "the file is gone", "the whole file"};
    (void)state;
    for (int way = RIGHT; way < WAYS; way++) {
        struct crash_log *log = replace_file((enum way)way);
        struct crash_plan plan = plan_of();
        struct crash_outcome outcome;
        crash_explore(log, &plan, &outcome);
        print_message("way %d: %zu cuts, %zu states: %s\n", way, outcome.cuts, outcome.states,
                      outcome.bad);
        if (way == RIGHT)
            must(outcome.bad[0] == 0, "%s", outcome.bad);
        else
            must(strstr(outcome.bad, expected[way]) != NULL, "way %d: %s", way, outcome.bad);
        must(way != RIGHT || outcome.cuts == log->count + 1, "%zu cuts of %zu", outcome.cuts,
             log->count);
        crash_log_free(log);
    }
}

/* ---- what the disks hold ---- */

static struct crash_disk *disk_after(const struct crash_log *log) {
    struct crash_disk *disk = crash_disk_begin(log);
    while (crash_disk_advance(disk))
        continue;
    return disk;
}

// Which of the names a, b, ... exist, as text, in the state that the fates leave.
static const char *names_in(struct crash_disk *disk, const unsigned char *fates,
                            const char *const *names, size_t count) {
    static char text[512];
    char tree[600];
    snprintf(tree, sizeof tree, "%s/tree", test_directory("cut"));
    crash_disk_build(disk, fates, 1);
    crash_disk_materialize(disk, tree);
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        char path[1200];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", tree, names[i]);
        if (lstat(path, &status) == 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s:%llu ", names[i],
                     S_ISREG(status.st_mode) ? (unsigned long long)status.st_nlink : 0ull);
    }
    crash_remove_tree(tree);
    return text;
}

static void P6_simulator_rename_across_directories_is_never_neither(void **state) {
    static const char *const names[] = {"x/f", "y/f"};
    (void)state;
    for (int synced = 0; synced < 3; synced++) { // nothing, the source, the destination
        directory = test_directory("disk");
        struct crash_log *log = crash_log_begin(directory);
        ut_files->mkdir(at("x"), 0755);
        ut_files->mkdir(at("y"), 0755);
        put("x/f", 'a', 1);
        sync_directory("x");
        sync_directory("");
        ut_files->rename(at("x/f"), at("y/f"));
        if (synced)
            sync_directory(synced == 1 ? "x" : "y");
        crash_log_end(log);
        struct crash_disk *disk = disk_after(log);
        must(crash_disk_items(disk) == (synced == 1 ? 0u : 1u), "%zu items",
             crash_disk_items(disk));
        enum crash_fate fates[CRASH_BOTH + 1];
        const char *const left[3][3] = {
            {"x/f:1 ", "y/f:1 ", "x/f:2 y/f:2 "}, {"y/f:1 "}, {"x/f:2 y/f:2 ", "y/f:1 "}};
        size_t count = synced == 1 ? 1 : crash_disk_fates(disk, 0, fates);
        must(count == (synced == 0 ? 3u : synced == 1 ? 1u : 2u), "%zu fates", count);
        for (size_t f = 0; f < count; f++) {
            unsigned char fate = (unsigned char)(synced == 1 ? CRASH_LOST : fates[f]);
            const char *got = names_in(disk, &fate, names, 2);
            must(strcmp(got, left[synced][f]) == 0, "synced %d, fate %u: %s", synced, fate, got);
        }
        crash_disk_free(disk);
        crash_log_free(log);
    }
}

static void P6_simulator_content_is_the_inodes_and_names_are_their_directories(void **state) {
    static const char *const names[] = {"d", "d/f", "g", "l"};
    (void)state;
    directory = test_directory("disk");
    struct crash_log *log = crash_log_begin(directory);
    ut_files->mkdir(at("d"), 0755);
    put("d/f", 'a', 1);
    sync_directory("d");
    ut_files->link(at("d/f"), at("g"));
    ut_files->symlink("d", at("l"));
    crash_log_end(log);
    struct crash_disk *disk = disk_after(log);
    // The entries d, g and l of the root; d/f and the content are durable.
    must(crash_disk_items(disk) == 3, "%zu", crash_disk_items(disk));
    unsigned char fates[3] = {CRASH_LOST, CRASH_LOST, CRASH_LOST};
    must(strcmp(names_in(disk, fates, names, 4), "") == 0, "all lost");
    fates[1] = CRASH_KEPT;
    must(strcmp(names_in(disk, fates, names, 4), "g:1 ") == 0, "the link alone");
    fates[0] = fates[2] = CRASH_KEPT;
    const char *all = names_in(disk, fates, names, 4);
    must(strcmp(all, "d:0 d/f:2 g:2 l:0 ") == 0, "%s", all);
    crash_disk_free(disk);
    crash_log_free(log);
}

// What a torn write may leave: each sector new, old or anything, the length old or new.
static void P6_simulator_unsynced_bytes_are_torn_by_sectors(void **state) {
    (void)state;
    directory = test_directory("disk");
    struct crash_log *log = crash_log_begin(directory);
    put("f", 'a', 1);
    sync_directory("");
    int fd = ut_files->open(at("f"), O_WRONLY | O_APPEND, 0);
    char bytes[BYTES];
    memset(bytes, 'b', sizeof bytes);
    must(ut_files->write(fd, bytes, BYTES) == BYTES, "%s", strerror(errno));
    ut_files->close(fd);
    crash_log_end(log);
    struct crash_disk *disk = disk_after(log);
    unsigned seen[4] = {0}; // new, zero, garbage, shorter
    for (uint64_t seed = 0; seed < 50; seed++) {
        enum crash_fate all[CRASH_BOTH + 1];
        size_t count = crash_disk_fates(disk, 0, all);
        unsigned char fate = (unsigned char)all[seed % count];
        char tree[600], path[700], got[3 * BYTES];
        snprintf(tree, sizeof tree, "%s/tree", test_directory("cut"));
        snprintf(path, sizeof path, "%s/f", tree);
        crash_disk_build(disk, &fate, seed);
        crash_disk_materialize(disk, tree);
        fd = open(path, O_RDONLY);
        ssize_t n = read(fd, got, sizeof got);
        close(fd);
        crash_remove_tree(tree);
        must(n >= (ssize_t)BYTES && n <= (ssize_t)(2 * BYTES), "%zd bytes", n);
        must((fate != CRASH_LOST || n == BYTES) && (fate != CRASH_KEPT || n == 2 * BYTES), "%zd",
             n);
        for (ssize_t i = 0; i < (ssize_t)BYTES; i++)
            must(got[i] == 'a' || (fate == CRASH_SECTORS && i >= (ssize_t)(BYTES / 512 * 512)),
                 "synced byte %zd changed", i);
        for (ssize_t i = BYTES; i < n; i++)
            seen[got[i] == 'b' ? 0 : got[i] == 0 ? 1 : 2]++;
        seen[3] += n > BYTES && n < 2 * BYTES;
        must(fate == CRASH_SECTORS || seen[2] == 0 || seed >= count, "garbage without tearing");
    }
    must(seen[0] && seen[1] && seen[2] && seen[3], "new %u, zero %u, garbage %u, shorter %u",
         seen[0], seen[1], seen[2], seen[3]);
    crash_disk_free(disk);
    crash_log_free(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P6_simulator_finds_the_classic_mistakes),
        cmocka_unit_test(P6_simulator_rename_across_directories_is_never_neither),
        cmocka_unit_test(P6_simulator_content_is_the_inodes_and_names_are_their_directories),
        cmocka_unit_test(P6_simulator_unsynced_bytes_are_torn_by_sectors),
    };
    return cmocka_run_group_tests_name("crash_disk", tests, NULL, NULL);
}
