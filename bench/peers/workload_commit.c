// SPDX-License-Identifier: MIT
/*
 * Transactions of one size that nobody reads: K whole arrays, or one chunk of
 * one array, each time the next.  What they leave behind is looked at by another
 * process: all of it where the peer can give all arrays, else array 0.
 */
#include "workload.h"

#include "support/pattern.h"

static const char *unable(const struct cell *cell) {
    const struct peer *peer = cell->peer;
    if (!peer->read)
        return peer->unable.read;
    if (cell->layout.part)
        return peer->write_chunk ? NULL : peer->unable.part;
    return cell->layout.arrays == 1 || peer->write_some ? NULL : peer->unable.transaction;
}

static size_t room(const struct cell *cell) {
    return cell->layout.bytes * cell->layout.arrays;
}

static size_t chunks(const struct peer_layout *layout) {
    return (layout->bytes + layout->chunk - 1) / layout->chunk;
}

static void replace(struct role *role) {
    const struct cell *cell = role->cell;
    if (cell->layout.arrays == 1)
        cell->peer->write(role->round);
    else
        cell->peer->write_some(role->round, role->selected, cell->layout.arrays);
}

static void prepare(struct role *role) {
    for (unsigned k = 0; k < role->cell->layout.arrays; k++)
        role->selected[k] = k;
    role->round++;
    replace(role);
}

static void commit(struct role *role) {
    const struct peer_layout *layout = &role->cell->layout;
    if (layout->part)
        role->cell->peer->write_chunk(role->round, (size_t)(role->round % chunks(layout)));
    else
        replace(role);
}

static int all_arrays(const struct cell *cell) {
    return cell->layout.arrays > 1 && cell->peer->snapshot;
}

static uint64_t take(struct role *role, const void **data, int64_t deadline) {
    const struct peer *peer = role->cell->peer;
    return all_arrays(role->cell) ? peer->snapshot(role->buffer, data, deadline)
                                  : peer->read(role->buffer, data, deadline);
}

/* Chunk c was last replaced by the last round that it is the turn of, or by the first. */
static int chunks_whole(const struct peer_layout *layout, const char *data, uint64_t last) {
    uint64_t n = chunks(layout);
    for (uint64_t c = 0; c < n; c++) {
        size_t at = (size_t)c * layout->chunk;
        size_t bytes = layout->bytes - at < layout->chunk ? layout->bytes - at : layout->chunk;
        uint64_t behind = (last + n - c) % n;
        uint64_t round = last > behind + 1 ? last - behind : 1;
        if (bench_pattern_round(data + at) != round ||
            !bench_pattern_whole_from(data + at, bytes, at / 8))
            return 0;
    }
    return 1;
}

static int whole(const struct role *role, const void *data) {
    const struct peer_layout *layout = &role->cell->layout;
    uint64_t last = atomic_load(&role->control->progress);
    const char *from = data;
    if (layout->part)
        return chunks_whole(layout, from, last);
    for (unsigned k = 0; k < (all_arrays(role->cell) ? layout->arrays : 1);
         k++, from += layout->bytes)
        if (bench_pattern_round(from) != last || !bench_pattern_whole(from, layout->bytes))
            return 0;
    return 1;
}

const struct workload workload_commit = {.name = "commit",
                                         .kind = CELL_CALLS,
                                         .unable = unable,
                                         .room = room,
                                         .prepare = prepare,
                                         .commit = commit,
                                         .take = take,
                                         .whole = whole};
