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
 * there: `reach` is at most that commit and so is `floor`, below which the store
 * may have deleted what was evicted; or a pin on it stands already.  Otherwise the
 * newest is.
 */
#include "segment/publisher.h"

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/test_hooks.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Sets of lines, a bit each: of so many lines most are never used, and a busy writer looks at what
 * is asked for and at what stands as often as any reader pins. */
#define LINE_WORDS (UT_LINES / 64)
static_assert(UT_LINES % 64 == 0, "sets of lines");

#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

/* The lowest line of the set that is at least `line`; UT_LINES: there is none. */
static inline unsigned line_from(const uint64_t *set, unsigned line) {
    for (; line < UT_LINES; line = (line / 64 + 1) * 64) {
        uint64_t rest = set[line / 64] >> line % 64;
        if (rest != 0)
            return line + (unsigned)__builtin_ctzll(rest);
    }
    return UT_LINES;
}

#define FOR_LINES(i, set)                                                                          \
    for (unsigned i = line_from(set, 0); i < UT_LINES; i = line_from(set, i + 1))

static void recount(ut_grants *grants) {
    grants->standing = 0;
    grants->lowest = UINT64_MAX;
    grants->highest = 0;
    FOR_LINES(i, grants->lines) {
        grants->standing++;
        if (grants->commit[i] < grants->lowest)
            grants->lowest = grants->commit[i];
        if (grants->commit[i] > grants->highest)
            grants->highest = grants->commit[i];
    }
}

/* What stands on the line; 0: nothing. */
static void set_nonce(ut_grants *grants, unsigned line, uint64_t nonce) {
    uint64_t bit = UINT64_C(1) << line % 64;
    grants->nonce[line] = nonce;
    if (nonce != 0)
        grants->lines[line / 64] |= bit;
    else
        grants->lines[line / 64] &= ~bit;
}

bool ut_grants_need(const ut_grants *grants, uint64_t born, uint64_t until) {
    if (grants->standing == 0 || until <= grants->lowest || born > grants->highest)
        return false;
    FOR_LINES(i, grants->lines) {
        if (born <= grants->commit[i] && grants->commit[i] < until)
            return true;
    }
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
    set_nonce(&publisher->grants, line, 0);
    recount(&publisher->grants);
}

/* What a line asks for, and what it gets. */
typedef struct decision {
    uint64_t nonce;  /* 0: nothing */
    uint64_t commit; /* to be granted */
    bool relieves;   /* it can be had because a pin stands on it now */
    bool changed;    /* what stands on this line ends */
} decision;

static decision decide(ut_publisher *publisher, unsigned line) {
    const ut_grants *grants = &publisher->grants;
    ut_line *asked = &publisher->segment->control->lines[line];
    uint64_t nonce = ut_load_acquire(&asked->nonce);
    decision made = {.changed = nonce != grants->nonce[line]};
    if (!made.changed)
        return made;
    uint64_t wanted = ut_load_relaxed(&asked->wanted);
    UT_STEP("request seen");
    uint64_t last = ut_load_relaxed(&publisher->segment->acks[line].last);
    if (nonce <= last && !(UT_SEEDED(104) && nonce != 0))
        return made;
    made.nonce = nonce;
    made.commit = publisher->commit;
    if (wanted != 0 && wanted <= publisher->commit) {
        made.relieves = pinned_exactly(grants, wanted);
        bool whole = publisher->reach <= wanted &&
                     (ut_load_relaxed(&grants->floor) <= wanted || UT_SEEDED(313));
        if (made.relieves || whole)
            made.commit = wanted;
    }
    return made;
}

static void grant(ut_publisher *publisher, unsigned line, uint64_t nonce, uint64_t commit) {
    ut_grants *grants = &publisher->grants;
    ut_ack *ack = &publisher->segment->acks[line];
    int64_t now = ut_clock_monotonic();
    ut_store_relaxed(&ack->last, nonce);
    ut_store_relaxed(&ack->commit, commit);
    ut_store_relaxed(&ack->granted, now);
    /* Pairs with the reader's acquire: the commit belongs to the nonce. */
    ut_store_release(&ack->nonce, nonce);
    set_nonce(grants, line, nonce);
    grants->commit[line] = commit;
    grants->granted[line] = now;
    recount(grants);
}

/* True if a pin ended. */
static bool carry_out(ut_publisher *publisher, unsigned line, decision made) {
    bool ended = publisher->grants.nonce[line] != 0;
    if (ended)
        end(publisher, line);
    if (made.nonce != 0)
        grant(publisher, line, made.nonce, made.commit);
    return ended;
}

/* The lines that ask for something else than stands on them.  All are looked at: a hint as to which
 * of them readers use would have to be believed. */
static void find_changed(const ut_publisher *publisher, uint64_t *changed) {
    const ut_line *line = publisher->segment->control->lines;
    const uint64_t *standing = publisher->grants.nonce;
    memset(changed, 0, LINE_WORDS * sizeof *changed);
    for (unsigned first = 0; first < UT_LINES; first += 8, line += 8, standing += 8) {
        UNROLLED
        for (unsigned i = 0; i < 8; i++) {
            /* Relaxed: decide() looks again, and pairs with the reader. */
            if (__builtin_expect(ut_load_relaxed(&line[i].nonce) != standing[i], 0))
                changed[first / 64] |= UINT64_C(1) << (first + i) % 64;
        }
    }
}

/*
 * All is decided as things stand before anything ends: who asks for a commit on which a pin stands
 * may be relieving one that is released in the same moment, whichever line comes first.  Then
 * grants go before endings as far as they can, so that the one that is relieved is not missed.
 */
void ut_grants_scan(ut_publisher *publisher) {
    ut_grants *grants = &publisher->grants;
    /* Before the lines are read: what is posted after this is scanned next time. */
    grants->posted = ut_load_acquire(&publisher->segment->control->posted);
    ut_store_relaxed(&grants->changes, ut_load_relaxed(&grants->changes) | 1);
    /* Pairs with the one in ut_grants_needed(): the floor is seen here, or this there. */
    ut_fence_seq_cst();
    uint64_t changed[LINE_WORDS];
    find_changed(publisher, changed);
    decision made[UT_LINES];
    FOR_LINES(i, changed) {
        made[i] = decide(publisher, i);
    }
    bool ended = false;
    for (int pass = UT_SEEDED(123) ? 2 : 0; pass < 3; pass++)
        FOR_LINES(i, changed) {
            bool asks = made[i].nonce != 0;
            if (!made[i].changed || (pass == 0 && !(asks && grants->nonce[i] == 0)) ||
                (pass == 1 && !(asks && made[i].relieves)))
                continue;
            if (UT_SEEDED(123))
                made[i] = decide(publisher, i);
            ended = carry_out(publisher, i, made[i]) || ended;
            made[i].changed = false;
        }
    /* Pairs with the acquire in ut_grants_needed(): what was granted is seen. */
    ut_store_release(&grants->changes, ut_load_relaxed(&grants->changes) + 1);
    /* Only now is anything reused: what ended here and was granted again was never let go. */
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
    FOR_LINES(i, grants->lines) {
        if (!line_owned(publisher, i)) {
            end(publisher, i);
            dead = true;
            continue;
        }
        if (i == UT_FLUSHER_LINE && publisher->relief != NULL)
            continue; /* without it nothing would ever become clean */
        if (now - grants->granted[i] > lease &&
            (expired < 0 || grants->granted[i] < grants->granted[expired]))
            expired = (int)i;
        if (newest < 0 || (grants->granted[i] > grants->granted[newest]) != UT_SEEDED(134))
            newest = (int)i;
    }
    if (dead)
        return true;
    if (newest < 0)
        return false;
    end(publisher, (unsigned)(expired >= 0 ? expired : newest));
    return true;
}

/* Not over the head of one that has just added itself: nobody would wake it. */
static void replace_count(_Atomic uint32_t *count, uint32_t before, uint32_t waiters) {
    ut_compare_exchange_acq_rel(count, &before, (before & ~UT_WAITERS) | waiters);
}

void ut_grants_count_waiters(ut_publisher *publisher) {
    ut_control *control = publisher->segment->control;
    /* Acquire: pairs with the release of the add in ut_wait_begin(). */
    uint32_t arrays_before = ut_load_acquire(&control->array_waiters);
    uint32_t segments_before = ut_load_acquire(&control->segment_waiters);
    uint32_t arrays = 0, segments = 0;
    UT_STEP("waiters are counted next");
    for (unsigned i = 0; i < UT_LINES; i++) {
        /* Acquire: who is not there any more has taken itself off the count. */
        uint32_t waiting = ut_load_acquire(&control->lines[i].waiting);
        if (waiting == 0 || !line_owned(publisher, i))
            continue;
        arrays += (waiting & 1) != 0;
        segments += (waiting & 2) != 0;
    }
    UT_STEP("waiters counted");
    if (UT_SEEDED(125)) {
        ut_store_relaxed(&control->array_waiters, arrays);
        ut_store_relaxed(&control->segment_waiters, segments);
    }
    replace_count(&control->array_waiters, arrays_before, arrays);
    replace_count(&control->segment_waiters, segments_before, segments);
}

void ut_grants_adopt(ut_publisher *publisher) {
    ut_grants *grants = &publisher->grants;
    ut_segment *segment = publisher->segment;
    for (unsigned i = 0; i < UT_LINES; i++) {
        ut_ack *ack = &segment->acks[i];
        uint64_t nonce = ut_load_relaxed(&ack->nonce);
        grants->commit[i] = ut_load_relaxed(&ack->commit);
        grants->granted[i] = ut_load_relaxed(&ack->granted);
        /* Killed between the two stores of a grant: the nonce was not set, but may be next. */
        if (nonce != 0 && (grants->commit[i] > publisher->commit || !line_owned(publisher, i))) {
            ut_store_relaxed(&ack->nonce, 0);
            nonce = 0;
        }
        set_nonce(grants, i, nonce);
    }
    ut_fence_release();
    recount(grants);
    /* What was requested of the last writer is granted before anything is reused. */
    ut_grants_scan(publisher);
    ut_grants_count_waiters(publisher);
}
