// SPDX-License-Identifier: MIT
/*
 * Pins, the writer's half: readers ask, the writer grants.
 *
 * A grant stands in acks[line], in memory that only the writer can write, so
 * that no reader can erase or forge another's.  It is a nonce, which the reader
 * chose, and a commit.  While it stands, nothing that is live at the commit is
 * reused.  It ends, whatever the reason, in one way: the nonce is cleared, a
 * fence, and only then may anything be reused.  A nonce is never granted twice:
 * each must be above the last one of its line.
 *
 * The commit that was asked for is granted if everything live at it is still
 * there: `reach` is at most that commit, or a pin on it stands already.
 * Otherwise the newest is.
 */
#include "segment/publisher.h"

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/test_hooks.h"

#include <fcntl.h>
#include <unistd.h>

static void recount(ut_grants *grants) {
    grants->standing = 0;
    grants->lowest = UINT64_MAX;
    grants->highest = 0;
    for (unsigned i = 0; i < UT_LINES; i++) {
        if (grants->nonce[i] == 0)
            continue;
        grants->standing++;
        if (grants->commit[i] < grants->lowest)
            grants->lowest = grants->commit[i];
        if (grants->commit[i] > grants->highest)
            grants->highest = grants->commit[i];
    }
}

bool ut_grants_need(const ut_grants *grants, uint64_t born, uint64_t until) {
    if (grants->standing == 0 || until <= grants->lowest || born > grants->highest)
        return false;
    for (unsigned i = 0; i < UT_LINES; i++)
        if (grants->nonce[i] != 0 && born <= grants->commit[i] && grants->commit[i] < until)
            return true;
    return false;
}

static bool pinned_exactly(const ut_grants *grants, uint64_t commit) {
    return ut_grants_need(grants, commit, commit + 1);
}

/* Take an ack away.  The fence is the one that stands before every reuse. */
static void end(ut_publisher *publisher, unsigned line) {
    ut_store_relaxed(&publisher->segment->acks[line].nonce, 0);
    /* Pairs with the reader's fence before it looks at its ack: who saw a byte that is reused
     * from here on, sees the ack gone. */
    ut_fence_release();
    ut_store_fence();
    publisher->grants.nonce[line] = 0;
    recount(&publisher->grants);
}

static void grant(ut_publisher *publisher, unsigned line, uint64_t nonce, uint64_t wanted) {
    ut_grants *grants = &publisher->grants;
    ut_ack *ack = &publisher->segment->acks[line];
    uint64_t commit = publisher->commit;
    if (wanted != 0 && wanted <= commit &&
        (publisher->reach <= wanted || pinned_exactly(grants, wanted)))
        commit = wanted;
    int64_t now = ut_clock_monotonic();
    ut_store_relaxed(&ack->last, nonce);
    ut_store_relaxed(&ack->commit, commit);
    ut_store_relaxed(&ack->granted, now);
    /* Pairs with the reader's acquire: the commit belongs to the nonce. */
    ut_store_release(&ack->nonce, nonce);
    grants->nonce[line] = nonce;
    grants->commit[line] = commit;
    grants->granted[line] = now;
    recount(grants);
}

/* True if a pin ended. */
static bool scan_line(ut_publisher *publisher, unsigned line) {
    ut_grants *grants = &publisher->grants;
    ut_line *asked = &publisher->segment->control->lines[line];
    uint64_t nonce = ut_load_acquire(&asked->nonce);
    if (nonce == grants->nonce[line])
        return false;
    uint64_t wanted = ut_load_relaxed(&asked->wanted);
    UT_STEP("request seen");
    uint64_t last = ut_load_relaxed(&publisher->segment->acks[line].last);
    bool asks = nonce > last || (UT_SEEDED(104) && nonce != 0);
    /* Who asks anew for what it has keeps it: nothing goes in between. */
    bool ended = grants->nonce[line] != 0 && !(asks && wanted == grants->commit[line]);
    if (ended)
        end(publisher, line);
    if (asks)
        grant(publisher, line, nonce, wanted);
    return ended;
}

void ut_grants_scan(ut_publisher *publisher) {
    ut_grants *grants = &publisher->grants;
    ut_control *control = publisher->segment->control;
    /* Before the lines are read: what is posted after this is scanned next time. */
    grants->posted = ut_load_acquire(&control->posted);
    bool ended = false;
    /* First those that only ask: who asks for a commit on which a pin stands may be relieving
     * the one that is released here, too. */
    for (unsigned i = UT_SEEDED(123) ? UT_LINES : 0; i < 2 * UT_LINES; i++)
        if (i >= UT_LINES || grants->nonce[i] == 0)
            ended = scan_line(publisher, i % UT_LINES) || ended;
    if (ended)
        ut_space_release_held(publisher);
}

/* Whether the reader that has this line is alive: it holds the kernel's lock on its byte. */
static bool line_owned(ut_publisher *publisher, unsigned line) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)line, .l_len = 1};
    return fcntl(publisher->segment->control_fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool ut_grants_revoke(ut_publisher *publisher) {
    ut_grants *grants = &publisher->grants;
    if (grants->standing == 0)
        return false;
    bool dead = false;
    int newest = -1, expired = -1;
    int64_t lease = (int64_t)publisher->segment->super->lease_ms * 1000000;
    int64_t now = ut_clock_monotonic();
    for (unsigned i = 0; i < UT_LINES; i++) {
        if (grants->nonce[i] == 0)
            continue;
        if (!line_owned(publisher, i)) {
            end(publisher, i);
            dead = true;
            continue;
        }
        if (now - grants->granted[i] > lease &&
            (expired < 0 || grants->granted[i] < grants->granted[expired]))
            expired = (int)i;
        if (newest < 0 || (grants->granted[i] > grants->granted[newest]) != UT_SEEDED(134))
            newest = (int)i;
    }
    if (dead)
        return true;
    end(publisher, (unsigned)(expired >= 0 ? expired : newest));
    return true;
}

void ut_grants_count_waiters(ut_publisher *publisher) {
    ut_control *control = publisher->segment->control;
    /* Acquire: pairs with the release of the add in ut_wait_begin(). */
    uint32_t arrays_before = ut_load_acquire(&control->array_waiters);
    uint32_t segments_before = ut_load_acquire(&control->segment_waiters);
    uint32_t arrays = 0, segments = 0;
    for (unsigned i = 0; i < UT_LINES; i++) {
        uint32_t waiting = ut_load_relaxed(&control->lines[i].waiting);
        if (waiting == 0 || !line_owned(publisher, i))
            continue;
        arrays += (waiting & 1) != 0;
        segments += (waiting & 2) != 0;
    }
    UT_STEP("waiters counted");
    /* Not over the head of one that has just added itself: nobody would wake it. */
    if (UT_SEEDED(125)) {
        ut_store_relaxed(&control->array_waiters, arrays);
        ut_store_relaxed(&control->segment_waiters, segments);
    }
    ut_compare_exchange_acq_rel(&control->array_waiters, &arrays_before, arrays);
    ut_compare_exchange_acq_rel(&control->segment_waiters, &segments_before, segments);
}

void ut_grants_adopt(ut_publisher *publisher) {
    ut_grants *grants = &publisher->grants;
    ut_segment *segment = publisher->segment;
    for (unsigned i = 0; i < UT_LINES; i++) {
        ut_ack *ack = &segment->acks[i];
        grants->nonce[i] = ut_load_relaxed(&ack->nonce);
        grants->commit[i] = ut_load_relaxed(&ack->commit);
        grants->granted[i] = ut_load_relaxed(&ack->granted);
        /* Killed between the two stores of a grant: the nonce was not set, but may be next. */
        if (grants->nonce[i] != 0 &&
            (grants->commit[i] > publisher->commit || !line_owned(publisher, i))) {
            ut_store_relaxed(&ack->nonce, 0);
            grants->nonce[i] = 0;
        }
    }
    ut_fence_release();
    recount(grants);
    /* What was requested of the last writer is granted before anything is reused. */
    ut_grants_scan(publisher);
    ut_grants_count_waiters(publisher);
}
