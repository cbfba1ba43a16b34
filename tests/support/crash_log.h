// SPDX-License-Identifier: MIT
/*
 * A recording of all that is done to a directory through ut_files: the operations run for real,
 * and each that changes something is logged with its data.  What a disk may hold after a power cut
 * between any two of them is crash_disk.h's part.
 *
 * The log speaks of inodes, not of paths: 0 is the recorded directory, every file, directory and
 * symbolic link that comes into being gets the next number, and names are changes to directories.
 * Operations elsewhere pass unrecorded.  Threads are recorded in the order in which they really
 * ran: each operation is made and logged under one lock.
 */
#ifndef UT_TEST_CRASH_LOG_H
#define UT_TEST_CRASH_LOG_H

#include <stddef.h>
#include <stdint.h>

enum crash_kind {
    CRASH_CREATE,   // file `inode` as `name` in `directory`
    CRASH_MKDIR,    // directory `inode` so
    CRASH_SYMLINK,  // symbolic link `inode` so
    CRASH_LINK,     // one name more for file `inode`
    CRASH_RENAME,   // `inode` from `old_name` in `old_directory` to `name` in `directory`
    CRASH_REMOVE,   // unlink or rmdir
    CRASH_WRITE,    // `n` bytes at `offset` of file `inode`
    CRASH_TRUNCATE, // file `inode` to `offset` bytes
    CRASH_SYNC,     // fsync of `inode`
    CRASH_UNSYNC,   // fsync of `inode` that failed
    CRASH_MARK      // the test's own remark: `offset`
};

struct crash_operation {
    enum crash_kind kind;
    int inode;
    int directory, old_directory;
    char *name, *old_name;
    uint64_t offset;
    unsigned char *bytes;
    size_t n;
};

enum crash_type { CRASH_FILE, CRASH_DIRECTORY, CRASH_SYMBOLIC };

struct crash_inode {
    enum crash_type type;
    char *target; // of a symbolic link
};

// The names in each directory, by inode.
struct crash_entry {
    const char *name; // the log's
    int inode;
};
struct crash_names {
    struct crash_entry *entries;
    size_t count, capacity;
};
struct crash_tree {
    struct crash_names *directories;
    size_t count;
};

#define CRASH_NONE (-1)

// What a name stands for, or CRASH_NONE; and change that (CRASH_NONE removes it).
int crash_tree_get(const struct crash_tree *tree, int directory, const char *name);
void crash_tree_set(struct crash_tree *tree, int directory, const char *name, int inode);
void crash_tree_copy(struct crash_tree *to, const struct crash_tree *from);
void crash_tree_free(struct crash_tree *tree);

struct crash_log {
    char root[4096];
    struct crash_operation *operations;
    size_t count, capacity;
    struct crash_inode *inodes;
    size_t inode_count, inode_capacity;
    struct crash_tree live; // as it is now
    int refuse_links;       // link() fails with EPERM
    // The process is dead after so many changes more, that is, can make none: -1, never.
    long life;
    long good_syncs; // the fsync after so many fails, and it alone: -1, none
};

// Record what happens below `root`, an empty directory.  One recording at a time.
struct crash_log *crash_log_begin(const char *root);
void crash_log_end(struct crash_log *log); // the log stays
void crash_log_free(struct crash_log *log);

// Remark that what was asked for has been reported done.
void crash_log_mark(struct crash_log *log, uint64_t mark);

// The i-th operation in words.  Static storage.
const char *crash_log_say(const struct crash_log *log, size_t i);

#endif
