// SPDX-License-Identifier: MIT
/*
 * What makes reads valid, and how often they are tried.
 *
 * OPTIMISTIC.  The writer raises an object's oldest before it reuses anything that
 * generations below could reach.  So a copy made from generation g is whole if
 * oldest <= g after it.
 *
 * PINNED.  After some attempts the reader posts a request and goes on trying.  Either
 * the writer reuses nothing, and the next attempt passes; or its first reuse
 * grants the pin.  Then the descriptors for exactly the granted commit are
 * taken, and a copy is whole while the grant stands.  An ack counts only for the
 * commit for which the descriptors were chosen.
 */
#include "array/reader.h"

#include "base/fork_guard.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <sched.h>
#include <string.h>

#define PINNED_ATTEMPTS 256u /* after the optimistic ones; two would do but for revocations */
#define PINS_DENIED 8u

static bool pin_holds(ut_segment *segment, ut_pin *pin, uint64_t commit) {
    if (pin->nonce == 0)
        return false;
    if (pin->commit == 0 && !ut_pin_granted(segment, pin))
        return false;
    return (pin->commit == commit || UT_SEEDED(115)) && ut_pin_stands(segment, pin);
}

bool ut_hold_valid(ut_hold *hold, const ut_header *header, uint64_t generation) {
    if (ut_window_holds(header, generation))
        return true;
    if (hold->commit == 0 || UT_SEEDED(133)) /* pins checked against oldest alone */
        return false;
    if (pin_holds(hold->segment, &hold->own, hold->commit) ||
        pin_holds(hold->segment, &hold->joined, hold->commit))
        return true;
    /* The pin that was joined ended, but others on the same commit do as well: the writer grants
     * a commit only while all that is live at it is there. */
    return hold->joined.nonce != 0 && ut_pin_find(hold->segment, hold->commit, &hold->joined);
}

void ut_attempts_begin(ut_attempts *attempts, untorn_reader *reader, bool group) {
    attempts->reader = reader;
    attempts->hold.segment = reader->segment;
    attempts->hold.commit = 0;
    attempts->hold.own.nonce = attempts->hold.joined.nonce = 0;
    attempts->count = attempts->denied = 0;
    attempts->group = group;
    attempts->line = UT_NO_LINE;
}

static untorn_status post(ut_attempts *attempts) {
    untorn_reader *reader = attempts->reader;
    if (attempts->line == UT_NO_LINE && reader->segment->control != NULL) {
        pthread_mutex_lock(&reader->lock);
        attempts->line = ut_line_take(&reader->lines);
        pthread_mutex_unlock(&reader->lock);
    }
    if (attempts->line == UT_NO_LINE)
        return ut_fail(UNTORN_E_OVERTAKEN,
                       "%s: overtaken by the writer %u times, and no pin can be had: %s",
                       reader->segment->message_name, attempts->count - 1,
                       reader->segment->control == NULL ? "no rights to the control file"
                                                        : "all reader lines are taken");
    attempts->hold.own.line = attempts->line;
    ut_pin_request(reader->segment, &attempts->hold.own, 0);
    return UNTORN_OK;
}

/* After the optimistic attempts: have a request posted, and see what became of it. */
static untorn_status pursue_pin(ut_attempts *attempts) {
    untorn_reader *reader = attempts->reader;
    ut_pin *pin = &attempts->hold.own;
    if (attempts->count > reader->attempts + PINNED_ATTEMPTS)
        return ut_fail(UNTORN_E_OVERTAKEN, "%s: overtaken by the writer %u times",
                       reader->segment->message_name, attempts->count - 1);
    if (pin->nonce == 0)
        return post(attempts);
    if (pin->commit == 0)
        ut_pin_granted(reader->segment, pin);
    if (ut_pin_ended(reader->segment, pin)) {
        if (++attempts->denied > PINS_DENIED)
            return ut_fail(UNTORN_E_OVERTAKEN,
                           "%s: overtaken by the writer %u times, whose space does not suffice "
                           "for a pin: %u were revoked",
                           reader->segment->message_name, attempts->count - 1, attempts->denied);
        return post(attempts);
    }
    return UNTORN_OK;
}

untorn_status ut_attempts_next(ut_attempts *attempts) {
    attempts->count++;
    if (__builtin_expect(attempts->count > attempts->reader->attempts, 0)) {
        untorn_status status = pursue_pin(attempts);
        if (status != UNTORN_OK)
            return status;
    }
    ut_segment *segment = attempts->reader->segment;
    const ut_pin *pin = &attempts->hold.own;
    /* The commit comes before any generation: all generations up to it are seen then. */
    if (pin->nonce != 0 && pin->commit != 0)
        attempts->hold.commit = pin->commit;
    else
        attempts->hold.commit = attempts->group ? ut_load_acquire(&segment->super->commit) : 0;
    UT_STEP("attempt begins");
    return UNTORN_OK;
}

void ut_attempts_end(ut_attempts *attempts) {
    if (attempts->line == UT_NO_LINE)
        return;
    untorn_reader *reader = attempts->reader;
    ut_pin_release(reader->segment, &attempts->hold.own);
    pthread_mutex_lock(&reader->lock);
    ut_line_give(&reader->lines, attempts->line);
    pthread_mutex_unlock(&reader->lock);
    attempts->line = UT_NO_LINE;
}

/* The line is this reader's alone.  Threads that share the reader may lose a count now and then,
 * which an atomic addition would not be worth. */
void ut_reader_publish(untorn_reader *reader, ut_line *line, unsigned reads, unsigned attempts,
                       uint64_t commit) {
    if (reader->lines.fork_generation != ut_fork_generation_now())
        return; /* inherited: the line is the parent's */
    if (commit == 0)
        commit = ut_load_relaxed(&reader->segment->super->commit);
    ut_store_relaxed(&line->reads, ut_load_relaxed(&line->reads) + reads);
    ut_store_relaxed(&line->attempts, ut_load_relaxed(&line->attempts) + attempts);
    if (ut_load_relaxed(&line->last_commit) < commit)
        ut_store_relaxed(&line->last_commit, commit);
}

ut_found ut_attempts_descriptor(ut_attempts *attempts, ut_header *header, ut_descriptor *cached) {
    ut_segment *segment = attempts->reader->segment;
    return attempts->hold.commit == 0 || UT_SEEDED(138)
               ? ut_descriptor_newest(segment, header, cached)
               : ut_descriptor_at(segment, header, attempts->hold.commit, cached);
}
