// SPDX-License-Identifier: MIT
/*
 * How long after a publication blocked readers have it.  A reader says which
 * round it is about to wait for; when all wait for the next one, the writer
 * sleeps half a millisecond, so that they are really asleep, fills the array,
 * stamps the time, and publishes.  So each reader sees each round, and the stamp is that of the
 * round.
 */
#include "workload.h"

#include "support/machine.h"
#include "support/pattern.h"

#define ASLEEP 500000 /* ns */
#define GIVE_UP 10    /* waits in vain */
#define LONGEST 1000000000
#define NEVER UINT64_MAX

static const char *unable(const struct cell *cell) {
    return cell->peer->wait ? NULL : cell->peer->unable.wait;
}

static int all_wait(const struct role *role) {
    for (unsigned i = 0; i < role->cell->layout.readers; i++)
        if (atomic_load_explicit(&role->stage->awaited[i], memory_order_acquire) <= role->round)
            return 0;
    return 1;
}

static void writer(struct role *role, uint32_t command) {
    const struct peer *peer = role->cell->peer;
    const struct timespec moment = {0, 50000};
    while (bench_child_going(role->control, command)) {
        if (!all_wait(role)) {
            nanosleep(&moment, NULL);
            continue;
        }
        /* in no fixed relation to the timer's ticks */
        const struct timespec pause = {0, ASLEEP + (long)(role->round * 7919 % 100000)};
        nanosleep(&pause, NULL);
        peer->prepare(++role->round);
        atomic_store_explicit(&role->stage->stamp, bench_now(), memory_order_relaxed);
        peer->publish();
        atomic_store_explicit(&role->control->progress, role->round, memory_order_relaxed);
    }
}

/* One publication; 0 if it did not come. */
static int wait_for(struct role *role, uint64_t last, int counted) {
    struct figures *figures = role_figures(role);
    const void *data = role->buffer;
    atomic_store_explicit(&role->stage->awaited[role->number], last + 1, memory_order_release);
    uint64_t attempts = 0;
    for (int i = 0; i < GIVE_UP && attempts == 0 && atomic_load(&role->stage->end) != 0; i++)
        attempts = role->cell->peer->wait(last, role->buffer, &data, bench_now() + LONGEST);
    int64_t took = bench_now() - atomic_load_explicit(&role->stage->stamp, memory_order_relaxed);
    if (attempts == 0) {
        figures->unfinished++;
        return 0;
    }
    if (counted) {
        figures_call(figures, took);
        figures->attempts += attempts;
        figures->checked++;
        figures->compared++;
        figures->fresh += bench_pattern_round(data) == last + 1;
        figures->torn += !workload_whole_one(role, data);
    }
    return 1;
}

/* The first round was there before it opened. */
static void reader(struct role *role) {
    struct figures *figures = role_figures(role);
    uint64_t last = 1;
    int64_t now;
    while (role_goes_on(role, now = bench_now())) {
        int counted = now >= atomic_load(&role->stage->start);
        if (counted && figures->begun == 0)
            figures->begun = now;
        if (!wait_for(role, last++, counted))
            break;
    }
    figures->ended = bench_now();
    atomic_store(&role->stage->awaited[role->number], NEVER);
}

const struct workload workload_wake = {.name = "wake",
                                       .kind = CELL_READS,
                                       .unable = unable,
                                       .room = workload_room_for_one,
                                       .prepare = workload_write_once,
                                       .writer = writer,
                                       .reader = reader};
