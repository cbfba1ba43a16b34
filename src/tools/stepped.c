// SPDX-License-Identifier: MIT
/*
 * Regions with steps out of a snapshot (see stepped.h).
 */
#include "tools/stepped.h"

#include <string.h>

#define BLOCK_BYTES (32u << 20)
/* Copying so much takes longer than to begin another read. */
#define SKIP_BYTES (64u << 10)

/* How many elements along the first axis go into a block, each of so many bytes. */
static uint64_t run_length(const struct ut_box *box, uint64_t bytes) {
    uint64_t room = BLOCK_BYTES / bytes;
    if (room == 0 || (box->step[0] - 1) > SKIP_BYTES / bytes)
        return 1;
    uint64_t run = (room - 1) / box->step[0] + 1;
    return run < box->count[0] ? run : box->count[0];
}

void ut_cli_stepped_plan(const struct ut_box *box, size_t itemsize, struct ut_stepped *stepped) {
    memset(stepped, 0, sizeof *stepped);
    stepped->box = box;
    stepped->block_bytes = 1; // an allocation even if there is nothing to take
    stepped->inner = box->rank;
    stepped->inner_bytes = itemsize;
    for (unsigned i = 0; i < box->rank; i++) {
        if (box->count[i] == 0)
            return;
        stepped->extent[i] = (box->count[i] - 1) * box->step[i] + 1;
    }
    // Not the first axis, along which blocks differ in length.
    while (stepped->inner > 1 &&
           stepped->extent[stepped->inner - 1] == box->count[stepped->inner - 1])
        stepped->inner_bytes *= (size_t)box->count[--stepped->inner];
    uint64_t bytes = itemsize;
    for (unsigned i = box->rank; i-- > 1;) {
        stepped->stride[i] = box->step[i] * bytes;
        bytes *= stepped->extent[i];
    }
    stepped->stride[0] = box->step[0] * bytes;
    stepped->run = run_length(box, bytes);
    stepped->block_bytes = (size_t)(((stepped->run - 1) * box->step[0] + 1) * bytes);
}

/* Take `count` elements along `axis` and all that is taken of each; returns where the next go. */
static char *take(const struct ut_stepped *stepped, unsigned axis, uint64_t count, const char *from,
                  char *to) {
    for (uint64_t i = 0; i < count; i++) {
        const char *at = from + i * stepped->stride[axis];
        if (axis + 1 < stepped->inner) {
            to = take(stepped, axis + 1, stepped->box->count[axis + 1], at, to);
            continue;
        }
        memcpy(to, at, stepped->inner_bytes);
        to += stepped->inner_bytes;
    }
    return to;
}

untorn_status ut_cli_stepped_read(const struct ut_stepped *stepped, untorn_snapshot *snapshot,
                                  void *block, void *data) {
    const struct ut_box *box = stepped->box;
    uint64_t start[UNTORN_MAX_RANK], extent[UNTORN_MAX_RANK];
    memcpy(start, box->start, sizeof start);
    memcpy(extent, stepped->extent, sizeof extent);
    char *to = data;
    for (uint64_t at = 0, count; stepped->run && at < box->count[0]; at += count) {
        count = stepped->run < box->count[0] - at ? stepped->run : box->count[0] - at;
        start[0] = box->start[0] + at * box->step[0];
        extent[0] = (count - 1) * box->step[0] + 1;
        untorn_status status =
            untorn_snapshot_read(snapshot, 0, start, extent, block, stepped->block_bytes);
        if (status != UNTORN_OK)
            return status;
        to = take(stepped, 0, count, block, to);
    }
    return UNTORN_OK;
}
