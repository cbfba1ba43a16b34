// SPDX-License-Identifier: MIT
/*
 * All arrays as of one transaction.  Transaction r replaces array 0 and array
 * r mod K, so what the others have to be follows from array 0.
 */
#include "workload.h"

#include "support/pattern.h"

static const char *unable(const struct cell *cell) {
    const struct peer *peer = cell->peer;
    if (!peer->write_some)
        return peer->unable.transaction;
    return peer->snapshot ? NULL : peer->unable.snapshot;
}

static size_t room(const struct cell *cell) {
    return cell->layout.bytes * cell->layout.arrays;
}

static void replace_two(struct role *role) {
    unsigned other = (unsigned)(role->round % role->cell->layout.arrays);
    const unsigned both[2] = {0, other};
    role->cell->peer->write_some(role->round, both, other == 0 ? 1 : 2);
}

/* Until every array has been replaced. */
static void prepare(struct role *role) {
    while (role->round < role->cell->layout.arrays) {
        role->round++;
        replace_two(role);
    }
}

static uint64_t take(struct role *role, const void **data, int64_t deadline) {
    return role->cell->peer->snapshot(role->buffer, data, deadline);
}

static int whole(const struct role *role, const void *data) {
    const struct peer_layout *layout = &role->cell->layout;
    const char *from = data;
    uint64_t newest = bench_pattern_round(from);
    for (unsigned k = 0; k < layout->arrays; k++, from += layout->bytes) {
        uint64_t round = k == 0 ? newest : newest - (newest - k) % layout->arrays;
        if (newest < k || bench_pattern_round(from) != round ||
            !bench_pattern_whole(from, layout->bytes))
            return 0;
    }
    return 1;
}

const struct workload workload_snapshot = {.name = "snapshot",
                                           .kind = CELL_READS_BESIDE_COMMITS,
                                           .unable = unable,
                                           .room = room,
                                           .prepare = prepare,
                                           .commit = replace_two,
                                           .take = take,
                                           .whole = whole};
