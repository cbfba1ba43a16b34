// SPDX-License-Identifier: MIT
/*
 * Everything that a reader can ask, compared with a model state.
 *
 * Handles are kept from check to check, keyed by the model's uid, so that one
 * handle lives through many generations; those of arrays that are gone must say so.
 */
#ifndef UT_TEST_MODEL_READER_H
#define UT_TEST_MODEL_READER_H

#include "model.h"
#include "rng.h"
#include "untorn.h"

struct model_handle {
    uint64_t uid;
    untorn_array *array;
    uint64_t generation; // the last seen: never steps back
    uint64_t commit;
    const struct model_array *at; // the content seen with it; held, so that it is not reused
};

struct model_reader {
    untorn_reader *reader;
    unsigned count;
    struct model_handle handles[2 * MODEL_ARRAYS];
    int evicting; // evictions publish generations without a change
    uint64_t reads;
};

void model_reader_open(struct model_reader *reader, const char *segment, unsigned flags);
void model_reader_close(struct model_reader *reader);

// The state is the newest commit and stays it meanwhile: look at all or at some of it.
void model_check_all(struct model_reader *reader, const struct model_state *state,
                     struct test_rng *rng);
void model_check_some(struct model_reader *reader, const struct model_state *state,
                      struct test_rng *rng);

// A group read of some arrays with all its options.
void model_check_group(struct model_reader *reader, const struct model_state *state,
                       struct test_rng *rng);

// The snapshot's content is the state's.  0: the snapshot was overtaken; then nothing counts.
int model_check_snapshot(untorn_snapshot *snapshot, const struct model_state *state,
                         struct test_rng *rng);

// The number in the snapshot's marker: 1 found, 0 no marker in it, -1 overtaken.
int model_snapshot_marker(untorn_snapshot *snapshot, uint64_t *number);

#endif
