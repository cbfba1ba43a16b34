// SPDX-License-Identifier: MIT
/*
 * What a disk may hold after a power cut: directory trees made from a recording (crash_log.h), for
 * a cut between any two operations.  It allows what ext4, XFS and btrfs may leave, and some more:
 * file systems keep the order of changes to directories, here they are kept or lost one by one.
 *
 * Content belongs to the inode, whatever its names.  All that was written before the last fsync of
 * the file is there.  What came later is an item that may be
 *     lost     as of the last fsync: empty, or of the old length
 *     kept     all there
 *     zeros    the new length, without the new bytes
 *     prefix   the new bytes up to some place
 *     sectors  each 512 bytes of what changed new, old (zero, if beyond the old end) or garbage
 *
 * An fsync that fails loses what it was to save: Linux drops the pages' mark as unwritten, and a
 * later fsync of the file succeeds and saves nothing.
 *
 * Changes of names are durable once their directory was synced after them; each that is not is an
 * item that is lost or kept whatever becomes of others.  A rename within a directory is one such
 * change: old name or new.  Across directories it may also leave both names (each goes with its
 * directory's fsync), but never neither: all three file systems log it as one.  A symbolic link
 * comes with its target.  A directory whose name is lost takes all below it along; fsync of a file
 * or a directory does not make its own name durable.
 *
 * For each cut are tried: nothing kept, all kept, all but one, one alone, with few items all
 * subsets, and random mixtures.  States that are alike are checked once.
 */
#ifndef UT_TEST_CRASH_DISK_H
#define UT_TEST_CRASH_DISK_H

#include "crash_log.h"

struct crash_disk;

// The disk before the first operation: an empty directory.
struct crash_disk *crash_disk_begin(const struct crash_log *log);
void crash_disk_free(struct crash_disk *disk);

// Go on by one operation.  0: there are no more.
int crash_disk_advance(struct crash_disk *disk);

enum crash_fate { CRASH_LOST, CRASH_KEPT, CRASH_ZEROS, CRASH_PREFIX, CRASH_SECTORS, CRASH_BOTH };

// What may be lost at this cut: how many items, and the fates that item i may have.
size_t crash_disk_items(const struct crash_disk *disk);
size_t crash_disk_fates(const struct crash_disk *disk, size_t item,
                        enum crash_fate fates[CRASH_BOTH + 1]);

// The state that these fates (one for each item) leave: a number for it, and the tree itself in
// `path`, which must not exist.  `seed` chooses prefixes and garbage.
uint64_t crash_disk_build(struct crash_disk *disk, const unsigned char *fates, uint64_t seed);
// The number again, of all but what lies below names that begin so.
uint64_t crash_disk_hash(const struct crash_disk *disk, const char *aside);
void crash_disk_materialize(struct crash_disk *disk, const char *path);

/* ---- all of it ---- */

struct crash_plan {
    unsigned singles;  // items that are tried alone and left out alone, at most, at each cut
    unsigned subsets;  // all subsets are tried of so many items or fewer
    unsigned mixtures; // random ones at each cut
    size_t from;       // cuts after fewer operations are left out
    // Of the states that differ only below names that begin so (NULL: none), one in `aside_share`
    // is judged.
    const char *aside;
    unsigned aside_share;
    uint64_t seed;
    const char *scratch; // a directory for the trees, which come and go
    // Judge a tree after a cut.  `mark` is the last remark before it, 0: none.  NULL: it is good.
    const char *(*judge)(void *context, const char *path, uint64_t mark);
    void *context;
};

struct crash_outcome {
    size_t cuts, states; // that were judged
    char bad[8192];      // "" or where the cut was, what was lost, and what came of it
};

// Try all cuts, until one is bad.
void crash_explore(const struct crash_log *log, const struct crash_plan *plan,
                   struct crash_outcome *outcome);

// Remove a tree.
void crash_remove_tree(const char *path);

#endif
