// SPDX-License-Identifier: MIT
/*
 * Random transactions, applied to a model and, if there is one, to a writer.
 *
 * What a transaction does follows from the model's state and a seed alone, never
 * from what the library answers.  So another process that knows the seeds can
 * follow the writer with a model of its own, which is how a reader in one process
 * knows what a writer in another (killed now and then) must have left.
 *
 * Every transaction that commits writes its number to the array "marker".
 */
#ifndef UT_TEST_MODEL_SCRIPT_H
#define UT_TEST_MODEL_SCRIPT_H

#include "model.h"
#include "rng.h"
#include "untorn.h"

#define SCRIPT_MARKER "marker"

// The name of axis i, where an array names it.
extern const char *const script_dimension_names[MODEL_RANK];

enum script_wish { SCRIPT_COMMIT, SCRIPT_ABORT, SCRIPT_NO_SPACE };

struct script_handle {
    uint64_t uid;
    untorn_writer_array *array;
};

struct script {
    struct model_state committed;
    struct model_state open;
    untorn_writer *writer; // NULL: the model only
    unsigned handle_count;
    struct script_handle handles[MODEL_ARRAYS];
    int no_space;
    uint64_t last_commit;
    uint64_t operations;
    // Called after every operation of the open transaction (may be NULL).
    void (*between)(void *argument);
    void *argument;
};

// A model of an empty segment; writer may be NULL.
void script_begin(struct script *script, untorn_writer *writer);
void script_end(struct script *script);

// Another writer (or none) over the same committed state.
void script_set_writer(struct script *script, untorn_writer *writer);

// Run transaction `number`, up to but without its end.
enum script_wish script_run(struct script *script, uint64_t number, uint64_t seed);

// End it.  script_commit() returns 0 for a lack of space, which leaves it open.
int script_commit(struct script *script);
void script_abort(struct script *script);

// The same in the model alone, for whoever follows.
void script_follow(struct script *script, uint64_t number, uint64_t seed);

#endif
