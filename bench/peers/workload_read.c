// SPDX-License-Identifier: MIT
/* Reading array 0 whole: beside a writer that sleeps, and beside one that replaces it. */
#include "workload.h"

#include "support/pattern.h"

void workload_write_once(struct role *role) {
    role->cell->peer->write(++role->round);
}

size_t workload_room_for_one(const struct cell *cell) {
    return cell->layout.bytes;
}

uint64_t workload_take_one(struct role *role, const void **data, int64_t deadline) {
    return role->cell->peer->read(role->buffer, data, deadline);
}

int workload_whole_one(const struct role *role, const void *data) {
    return bench_pattern_whole(data, role->cell->layout.bytes);
}

static const char *unable(const struct cell *cell) {
    return cell->peer->read ? NULL : cell->peer->unable.read;
}

static void replace(struct role *role) {
    role->cell->peer->write(role->round);
}

const struct workload workload_read = {.name = "read",
                                       .kind = CELL_READS,
                                       .unable = unable,
                                       .room = workload_room_for_one,
                                       .prepare = workload_write_once,
                                       .take = workload_take_one,
                                       .whole = workload_whole_one};

const struct workload workload_rewrite = {.name = "rewrite",
                                          .kind = CELL_READS_BESIDE_COMMITS,
                                          .unable = unable,
                                          .room = workload_room_for_one,
                                          .prepare = workload_write_once,
                                          .commit = replace,
                                          .take = workload_take_one,
                                          .whole = workload_whole_one};
