// SPDX-License-Identifier: MIT
/*
 * A look at the clock takes 20 to 30 ns, as long as the shortest calls.  So calls
 * that are short, by their mean before anything is counted, are made in turns of
 * a batch of BATCH calls between two looks, from which the rate comes, and of
 * SINGLES with a look before and after each, from which the percentiles come,
 * the clock included.  Longer calls are all timed one by one.
 *
 * Everything read is looked at between two measurements.  The reads of a batch
 * go to slots, one behind the other, which take no more room than the fastest
 * cache has: a copy to memory that is farther away would be another measurement.
 * Where there are fewer slots than calls in a batch, the last reads are looked
 * at.  Whether a read is new is known only if the one before was looked at, too.
 */
#include "measured.h"

#include "support/machine.h"

#include <string.h>

#define BATCH 64
#define SINGLES 16
#define SHORT 10000        /* ns; the clock is no hundredth of what is longer */
#define SLOTS_BYTES 16384u /* of which a read takes one slot at most */

/* How long calls take, before those that count. */
struct warm_up {
    uint64_t calls;
    int64_t spent;
};

static void warm_up_call(struct warm_up *warm_up, int64_t took) {
    warm_up->calls++;
    warm_up->spent += took;
}

static int calls_are_short(const struct warm_up *warm_up) {
    return warm_up->spent < (int64_t)warm_up->calls * SHORT;
}

static void begin_at(struct figures *figures, int64_t now) {
    if (figures->begun == 0)
        figures->begun = now;
}

/* ---- a reader */

struct reading {
    struct role *role;
    const struct workload *workload;
    struct figures *figures;
    char *slots;
    size_t bytes;   /* of a slot */
    unsigned count; /* of slots */
    uint64_t last;  /* the first word of the last read that was looked at */
    int own_memory; /* the peer hands out memory of its own, which the next read takes back */
};

static unsigned slots_of(size_t bytes) {
    size_t fit = SLOTS_BYTES / bytes;
    return fit == 0 ? 1 : fit > BATCH ? BATCH : (unsigned)fit;
}

size_t measured_room(const struct cell *cell, const struct workload *workload) {
    size_t bytes = workload->room(cell);
    return cell->kind == CELL_CALLS ? bytes : bytes * slots_of(bytes);
}

/* How long a call that begins now may take. */
static int64_t deadline(const struct role *role, int64_t now) {
    int64_t start = atomic_load(&role->stage->start), end = atomic_load(&role->stage->end);
    if (now < start)
        return start;
    return now < end ? end : now + (end - start);
}

/* `follows`: the read before was looked at, or there was none. */
static void look_at(struct reading *reading, const void *data, int follows) {
    struct figures *figures = reading->figures;
    uint64_t first;
    figures->checked++;
    figures->torn += !reading->workload->whole(reading->role, data);
    memcpy(&first, data, sizeof(first));
    if (follows) {
        figures->compared++;
        figures->fresh += first != reading->last;
    }
    reading->last = first;
}

/* One call; how long it took, or -1 if it did not end in time. */
static int64_t read_one(struct reading *reading, int64_t before, const void **data) {
    struct role *role = reading->role;
    role->buffer = reading->slots;
    *data = role->buffer;
    uint64_t attempts = reading->workload->take(role, data, deadline(role, before));
    int64_t after = bench_now();
    if (before < atomic_load(&role->stage->start))
        return after - before;
    begin_at(reading->figures, before);
    reading->figures->ended = after;
    if (attempts == 0) {
        reading->figures->spent += after - before;
        reading->figures->unfinished = 1;
        return -1;
    }
    reading->figures->attempts += attempts;
    figures_call(reading->figures, after - before);
    return after - before;
}

/* The last `kept` of a batch of `calls`; the last of them is in the slot before `next`. */
static void look_at_slots(struct reading *reading, unsigned calls, unsigned kept, unsigned next) {
    unsigned slot = (next + reading->count - kept) % reading->count;
    for (unsigned i = 0; i < kept; i++) {
        look_at(reading, reading->slots + slot * reading->bytes, i > 0 || kept == calls);
        slot = slot + 1 == reading->count ? 0 : slot + 1;
    }
}

static void read_batch(struct reading *reading) {
    struct role *role = reading->role;
    struct figures *figures = reading->figures;
    int64_t until = deadline(role, bench_now()), before = bench_now();
    uint64_t all = 0, attempts = 1;
    unsigned calls = 0, slot = 0;
    const void *data;
    while (calls < BATCH) {
        role->buffer = reading->slots + slot * reading->bytes;
        attempts = reading->workload->take(role, &data, until);
        if (attempts == 0)
            break;
        all += attempts;
        calls++;
        slot = slot + 1 == reading->count ? 0 : slot + 1;
    }
    int64_t after = bench_now();
    begin_at(figures, before);
    figures->ended = after;
    figures->attempts += all;
    figures->unfinished = attempts == 0;
    figures_batch(figures, calls, after - before);
    /* one that did not end has spoiled its slot */
    unsigned most = attempts == 0 ? reading->count - 1 : reading->count;
    look_at_slots(reading, calls, calls < most ? calls : most, slot);
}

static void read_singles(struct reading *reading, int singles) {
    const void *data;
    for (int i = 0; i < singles && read_one(reading, bench_now(), &data) >= 0; i++)
        look_at(reading, data, 1);
}

void measured_reads(struct role *role, const struct workload *workload) {
    struct reading reading = {.role = role,
                              .workload = workload,
                              .figures = role_figures(role),
                              .slots = role->buffer,
                              .bytes = workload->room(role->cell)};
    struct warm_up warm_up = {0, 0};
    int64_t start = atomic_load(&role->stage->start), now;
    reading.count = slots_of(reading.bytes);
    while ((now = bench_now()) < start && role_goes_on(role, now)) {
        const void *data;
        warm_up_call(&warm_up, read_one(&reading, now, &data));
        reading.own_memory = data != role->buffer;
        memcpy(&reading.last, data, sizeof(reading.last));
    }
    int batches = calls_are_short(&warm_up) && reading.bytes <= SLOTS_BYTES && !reading.own_memory;
    while (!reading.figures->unfinished && role_goes_on(role, bench_now())) {
        if (batches)
            read_batch(&reading);
        if (!reading.figures->unfinished)
            read_singles(&reading, batches ? SINGLES : 1);
    }
}

/* ---- the writer */

static void renew(struct role *role, const struct workload *workload, unsigned commits) {
    if (workload->renew)
        workload->renew(role, commits);
}

/* The time of one call, which ended at *after. */
static int64_t commit_one(struct role *role, const struct workload *workload, int64_t *after) {
    int64_t before = bench_now();
    role_commit(role, workload);
    *after = bench_now();
    return *after - before;
}

static void commit_batch(struct role *role, const struct workload *workload) {
    size_t left = workload->until_renewal ? workload->until_renewal(role) : BATCH;
    unsigned calls = left < BATCH ? (unsigned)left : BATCH;
    int64_t before = bench_now();
    for (unsigned i = 0; i < calls; i++)
        role_commit(role, workload);
    figures_batch(role_figures(role), calls, bench_now() - before);
    renew(role, workload, calls);
}

static void commit_singles(struct role *role, const struct workload *workload, int singles) {
    struct figures *figures = role_figures(role);
    for (int i = 0; i < singles; i++) {
        figures_call(figures, commit_one(role, workload, &figures->ended));
        renew(role, workload, 1);
    }
}

void measured_commits(struct role *role, const struct workload *workload) {
    struct figures *figures = role_figures(role);
    struct warm_up warm_up = {0, 0};
    int64_t start = atomic_load(&role->stage->start), now;
    while ((now = bench_now()) < start && role_goes_on(role, now)) {
        warm_up_call(&warm_up, commit_one(role, workload, &now));
        renew(role, workload, 1);
    }
    int batches = calls_are_short(&warm_up);
    while (role_goes_on(role, now = bench_now())) {
        begin_at(figures, now);
        if (batches)
            commit_batch(role, workload);
        commit_singles(role, workload, batches ? SINGLES : 1);
    }
}
