// SPDX-License-Identifier: MIT
/*
 * Whose history a store snapshot shows.
 *
 * A restart from a store begins a new epoch, and commits of a later epoch are above all before. But
 * where the store was found behind its newest state (a damaged snapshot passed over, a backup put
 * back), what was committed after that state is known to whoever is still attached to the old
 * segment, and the new segment writes other things under numbers as high: uids and versions, and,
 * from a backup, the epoch too.  What is equal by number is then not equal by content.
 *
 * So each snapshot tells the nonce of the segment that flushed it, and what that segment was made
 * from: the commit of a snapshot, and the nonce of the segment which had flushed that.  With the
 * same of the segment that asks, there are three kinds of snapshots that show its history:
 *
 *   its own                             up to their commit
 *   the one that it was made from, and  up to their commit
 *   older ones of the same segment
 *   those of a segment that was made    up to the commit from which that began; what changed
 *   from one of its own                 since then is the other's
 *
 * All others are of no use, though they may share older history: one step is what is recorded.
 * A snapshot without a nonce is taken for the segment's by its epoch alone.
 */
#ifndef UT_LINEAGE_H
#define UT_LINEAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/layout.h"
#include "untorn.h"

typedef struct ut_lineage {
    uint64_t nonce[2]; /* of the segment; 0: not told */
    uint64_t origin_nonce[2];
    uint64_t origin_commit; /* 0: it began with nothing */
} ut_lineage;

/* What a segment's snapshots tell. */
ut_lineage ut_lineage_of(const ut_superblock *super);

/* The commit of the segment's own history up to which a snapshot shows it; 0: it shows another.
 * Objects whose data commit is above that are not the segment's. */
uint64_t ut_lineage_commit(const ut_superblock *super, const ut_lineage *lineage, uint64_t commit);

/* Whether the snapshot is one of a history that goes on instead of the segment's. */
bool ut_lineage_is_rival(const ut_superblock *super, const ut_lineage *lineage, uint64_t commit);

/* UNTORN_E_FOREIGN_STORE, and the sentence for it. */
untorn_status ut_lineage_fail(const char *store, const char *segment, uint64_t commit);

#endif
