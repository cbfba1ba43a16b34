// SPDX-License-Identifier: MIT
/*
 * Blocks from an input into an array (see transfer.h).
 *
 * The input is walked in its own order: "file axis" 0 varies slowest there.  In C order file axis
 * i is the array's axis i, in Fortran order it is axis rank - 1 - i, and the only difference is in
 * the strides given to untorn_write().  File axis `split` is the first whose inner axes fit in a
 * block together; a block is a run along it at one index of the axes before.
 *
 * untorn_write() takes no steps: along axes that have one, a block is written an index at a time.
 */
#include "tools/transfer.h"

#include "tools/interrupt.h"
#include "tools/npy.h"
#include "tools/progress.h"
#include "tools/say.h"

#include <stdlib.h>
#include <string.h>

/* Large, for a block in Fortran order touches every chunk along the first axis. */
#define BLOCK_BYTES (32u << 20)

struct walk {
    const struct ut_transfer *transfer;
    unsigned axis_of[UNTORN_MAX_RANK]; /* the array's axis for a file axis */
    unsigned split;
    uint64_t run;         /* elements along `split` in a full block */
    uint64_t inner_bytes; /* one element along `split` with all inner axes */
    uint64_t total;       /* bytes */
    uint64_t done;
    char *block;
};

static uint64_t file_length(const struct walk *walk, unsigned file_axis) {
    return walk->transfer->count[walk->axis_of[file_axis]];
}

/* Choose the split axis and allocate the block. */
static int plan_walk(const struct ut_transfer *transfer, struct walk *walk) {
    memset(walk, 0, sizeof *walk);
    walk->transfer = transfer;
    walk->inner_bytes = transfer->type.itemsize;
    walk->total = transfer->type.itemsize;
    for (unsigned i = 0; i < transfer->rank; i++) {
        walk->axis_of[i] = transfer->fortran_order ? transfer->rank - 1 - i : i;
        walk->total *= transfer->count[i];
    }
    walk->split = transfer->rank ? transfer->rank - 1 : 0;
    walk->run = 1;
    if (transfer->rank && walk->total) {
        while (walk->split > 0 &&
               walk->inner_bytes * file_length(walk, walk->split) <= BLOCK_BYTES) {
            walk->inner_bytes *= file_length(walk, walk->split);
            walk->split--;
        }
        walk->run = BLOCK_BYTES / walk->inner_bytes;
        if (walk->run > file_length(walk, walk->split))
            walk->run = file_length(walk, walk->split);
        if (walk->run == 0)
            walk->run = 1;
    }
    walk->block = malloc(walk->run * walk->inner_bytes);
    return walk->block ? 0 : ut_cli_say_failed("out of memory");
}

static int read_block(struct walk *walk, size_t bytes) {
    const struct ut_transfer *transfer = walk->transfer;
    size_t got;
    int exit_status = ut_cli_input_read(transfer->input, walk->block, bytes, &got);
    if (exit_status)
        return exit_status;
    walk->done += got;
    if (got < bytes)
        return ut_cli_say_failed("%s is truncated: its shape takes %llu bytes of data, found %llu",
                                 transfer->input->name, (unsigned long long)walk->total,
                                 (unsigned long long)walk->done);
    if (transfer->big_endian)
        ut_cli_npy_swap(&transfer->type, walk->block, bytes);
    if (ut_cli_progress_due())
        ut_cli_progress_show("%llu of %llu MiB", (unsigned long long)(walk->done >> 20),
                             (unsigned long long)(walk->total >> 20));
    return 0;
}

static int interrupted(void) {
    return ut_cli_say_failed("interrupted; nothing was committed");
}

/* The next box of those that differ along axes with steps; false after the last. */
static bool next_box(const struct ut_transfer *transfer, const uint64_t *count, uint64_t *index) {
    for (unsigned axis = transfer->rank; axis-- > 0;) {
        if (transfer->step[axis] <= 1)
            continue;
        if (++index[axis] < count[axis])
            return true;
        index[axis] = 0;
    }
    return false;
}

/* Write what is `first`, first + 1, ... along each axis of what is put, from `block`. */
static int write_block(const struct ut_transfer *transfer, const uint64_t *first,
                       const uint64_t *count, const int64_t *strides, const char *block) {
    uint64_t index[UNTORN_MAX_RANK] = {0};
    for (;;) {
        uint64_t start[UNTORN_MAX_RANK], extent[UNTORN_MAX_RANK];
        const char *source = block;
        for (unsigned axis = 0; axis < transfer->rank; axis++) {
            uint64_t step = transfer->step[axis];
            extent[axis] = step > 1 ? 1 : count[axis];
            start[axis] =
                transfer->start[axis] + (first[axis] + index[axis]) * (step > 1 ? step : 1);
            source += (int64_t)index[axis] * strides[axis];
        }
        untorn_status status = untorn_write(transfer->array, start, extent, strides, source);
        if (status != UNTORN_OK)
            return ut_cli_say_status(status);
        if (!next_box(transfer, count, index))
            return 0;
        if (ut_cli_interrupted())
            return interrupted();
    }
}

/* One block: `length` elements along the split axis from `index`. */
static int move_block(struct walk *walk, const uint64_t *index, uint64_t length) {
    const struct ut_transfer *transfer = walk->transfer;
    size_t bytes = (size_t)(length * walk->inner_bytes);
    int exit_status = read_block(walk, bytes);
    if (exit_status)
        return exit_status;

    uint64_t first[UNTORN_MAX_RANK], count[UNTORN_MAX_RANK];
    int64_t strides[UNTORN_MAX_RANK];
    int64_t stride = (int64_t)transfer->type.itemsize;
    for (unsigned i = transfer->rank; i-- > 0;) {
        unsigned axis = walk->axis_of[i];
        first[axis] = i <= walk->split ? index[i] : 0;
        count[axis] = i < walk->split ? 1 : i == walk->split ? length : file_length(walk, i);
        strides[axis] = stride;
        stride *= (int64_t)count[axis];
    }
    return write_block(transfer, first, count, strides, walk->block);
}

/* The next index of the axes before the split; false after the last. */
static bool next_index(const struct walk *walk, uint64_t *index) {
    for (unsigned i = walk->split; i-- > 0;) {
        if (++index[i] < file_length(walk, i))
            return true;
        index[i] = 0;
    }
    return false;
}

int ut_cli_transfer_run(const struct ut_transfer *transfer) {
    struct walk walk;
    int exit_status = plan_walk(transfer, &walk);
    if (exit_status)
        return exit_status;
    uint64_t index[UNTORN_MAX_RANK] = {0};
    uint64_t length = transfer->rank ? file_length(&walk, walk.split) : 1;
    do {
        for (uint64_t at = 0; walk.total && at < length && exit_status == 0; at += walk.run) {
            if (transfer->rank)
                index[walk.split] = at;
            exit_status =
                ut_cli_interrupted()
                    ? interrupted()
                    : move_block(&walk, index, walk.run < length - at ? walk.run : length - at);
        }
    } while (walk.total && exit_status == 0 && next_index(&walk, index));
    free(walk.block);
    ut_cli_progress_clear();
    return exit_status;
}
