// SPDX-License-Identifier: MIT
/*
 * What pins need, for the thread that deletes store snapshots while the writer grants.
 *
 * Two things can go wrong between its look and its deletion.
 *
 * A pin is requested but not granted.  A reader that posts a request and then still finds the
 * commit that it asked for to be the newest relies on the writer's granting it before it reuses
 * anything; the writer may be in the middle of the commit after that, past its look at requests,
 * and a flush of that commit may be over before its next one.  So requests count as pins.  Such a
 * request is seen: the reader's fence stands between posting and its look at the commit, the one
 * here between the flush, which saw a newer commit, and the look at the requests.
 *
 * A pin is granted on a commit of which memory still has all that it ever had, but the store not
 * what was evicted.  So the writer is told a floor, below which only pins that stand are passed on,
 * and then the grants are looked at: either the writer sees the floor, or its grants are seen here.
 * `changes`, odd while it decides and grants, keeps a pin that passes from one line to another
 * from being missed in both.
 */
#include "segment/publisher.h"

#include "base/test_hooks.h"

#include <sched.h>

#define LOOKS 1000u /* at grants that change, which takes no time unless it is stopped */

/* The lowest commit that a pin stands on or that is asked for. */
static uint64_t lowest(const ut_segment *segment) {
    uint64_t commit = UINT64_MAX;
    for (unsigned i = 0; i < UT_LINES; i++) {
        const ut_ack *ack = &segment->acks[i];
        const ut_line *line = &segment->control->lines[i];
        /* Acquire, both: the commit belongs to the nonce. */
        uint64_t asked = ut_load_acquire(&line->nonce);
        uint64_t wanted = ut_load_relaxed(&line->wanted);
        if (asked > ut_load_relaxed(&ack->last) && wanted != 0 && wanted < commit &&
            !UT_SEEDED(312))
            commit = wanted;
        if (ut_load_acquire(&ack->nonce) == 0)
            continue;
        uint64_t granted = ut_load_relaxed(&ack->commit);
        if (granted < commit)
            commit = granted;
    }
    return commit;
}

uint64_t ut_grants_needed(ut_publisher *publisher, uint64_t floor) {
    ut_grants *grants = &publisher->grants;
    const ut_segment *segment = publisher->segment;
    ut_fence_seq_cst(); /* pairs with the one after a snapshot's request */
    uint64_t asked = lowest(segment);
    ut_store_relaxed(&grants->floor, floor < asked ? floor : asked);
    ut_fence_seq_cst(); /* pairs with the one in ut_grants_scan() */
    for (unsigned look = 0; look < LOOKS; look++) {
        uint64_t changes = ut_load_acquire(&grants->changes);
        uint64_t commit = lowest(segment);
        ut_fence_acquire();
        if (changes % 2 == 0 && ut_load_relaxed(&grants->changes) == changes)
            return commit < asked ? commit : asked;
        sched_yield();
    }
    return 0;
}
