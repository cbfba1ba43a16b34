// SPDX-License-Identifier: MIT
/*
 * Whose history a store snapshot shows: see lineage.h.
 */
#include "store/lineage.h"

#include <inttypes.h>
#include <string.h>

#include "base/atomic_order.h"
#include "base/status.h"
#include "base/test_hooks.h"

static bool told(const uint64_t nonce[2]) {
    return nonce[0] != 0 || nonce[1] != 0;
}

static bool same(const uint64_t a[2], const uint64_t b[2]) {
    return a[0] == b[0] && a[1] == b[1];
}

/* A segment stays in its epoch for life. */
static uint64_t epoch_of(const ut_superblock *super) {
    return ut_load_relaxed(&super->commit) >> UT_EPOCH_SHIFT;
}

ut_lineage ut_lineage_of(const ut_superblock *super) {
    return (ut_lineage){{super->nonce[0], super->nonce[1]},
                        {super->origin_nonce[0], super->origin_nonce[1]},
                        super->origin_commit};
}

uint64_t ut_lineage_commit(const ut_superblock *super, const ut_lineage *lineage, uint64_t commit) {
    if (UT_SEEDED(317))
        return commit;
    if (!told(lineage->nonce) || UT_SEEDED(318))
        return commit >> UT_EPOCH_SHIFT <= epoch_of(super) ? commit : 0;
    if (same(lineage->nonce, super->nonce))
        return commit;
    if (same(lineage->nonce, super->origin_nonce) && commit <= super->origin_commit)
        return commit;
    if (same(lineage->origin_nonce, super->nonce))
        return UT_SEEDED(319) ? commit : lineage->origin_commit;
    return 0;
}

bool ut_lineage_is_rival(const ut_superblock *super, const ut_lineage *lineage, uint64_t commit) {
    if (commit >> UT_EPOCH_SHIFT < epoch_of(super))
        return false;
    return told(lineage->nonce) ? !same(lineage->nonce, super->nonce)
                                : commit >> UT_EPOCH_SHIFT > epoch_of(super);
}

untorn_status ut_lineage_fail(const char *store, const char *segment, uint64_t commit) {
    return ut_fail(UNTORN_E_FOREIGN_STORE,
                   "%s: went on without %s: its snapshot of commit %" PRIu64
                   " is of another history, which a restart began",
                   store, segment, commit);
}
