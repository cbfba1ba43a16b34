// SPDX-License-Identifier: MIT
/*
 * Arrays that are rewritten as a whole with the self-checking fill of pattern.h:
 * whatever a reader gets must be all of one stamp.
 */
#ifndef UT_TEST_STAMPED_H
#define UT_TEST_STAMPED_H

#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

#define STAMPED_RANK 6

struct stamped {
    const char *name;
    uint64_t id; // makes the arrays' bytes differ
    const char *dtype;
    unsigned rank;
    uint64_t shape[STAMPED_RANK];
    uint64_t chunks[STAMPED_RANK];
};

size_t stamped_itemsize(const struct stamped *stamped);
size_t stamped_size(const struct stamped *stamped);

// Define it, or take the one that is there.
untorn_writer_array *stamped_require(untorn_writer *writer, const struct stamped *stamped);

// Rewrite it, by untorn_write() or chunk by chunk; NO_SPACE and such are the caller's.
untorn_status stamped_write(untorn_writer_array *array, const struct stamped *stamped,
                            uint64_t stamp);
untorn_status stamped_fill(untorn_writer_array *array, const struct stamped *stamped,
                           uint64_t stamp);

// Check that `bytes` is the array as of one stamp, and return the stamp.
uint64_t stamped_check(const struct stamped *stamped, const void *bytes);

// Read it whole and check it.
untorn_status stamped_read(untorn_array *array, const struct stamped *stamped, uint64_t *stamp,
                           untorn_result *result);

// Read it from a snapshot.
untorn_status stamped_snapshot_read(untorn_snapshot *snapshot, size_t i,
                                    const struct stamped *stamped, uint64_t *stamp);

// Read `count` arrays as of one commit; all must have one stamp.
untorn_status stamped_read_group(untorn_reader *reader, untorn_array *const *arrays,
                                 const struct stamped *stamped, size_t count, uint64_t *stamp,
                                 untorn_result *result);

#endif
