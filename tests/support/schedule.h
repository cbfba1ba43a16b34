// SPDX-License-Identifier: MIT
/*
 * A small world for forced schedules: one writer, a handful of arrays whose every
 * element ever written is a different number, and the history of all commits.
 * Whatever a reader gets is compared with that history, so that a torn read, a
 * step back and a stale read all show, whatever the interleaving was.
 *
 * All in one process: the test decides in the step hook what runs when.
 * Nothing here is locked: exactly one thread runs at a time.
 */
#ifndef UT_TEST_SCHEDULE_H
#define UT_TEST_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

enum world_array { W_SINGLE, W_MULTI, W_GROW, W_EDGE, W_GONE, W_ARRAYS };

#define WORLD_LENGTH 256         // no array gets longer
#define WORLD_HISTORY (1u << 18) // and none has more generations

// What an array is from one commit on.
struct world_record {
    uint64_t commit;
    uint64_t incarnation; // 0: does not exist
    uint64_t generation;  // 0: no reader saw it yet
    uint64_t length;
    uint64_t attribute;
    uint32_t *values;
};

struct world_state {
    uint64_t incarnation, length, attribute;
    uint32_t values[WORLD_LENGTH];
    int touched;
};

struct world {
    const char *segment;
    char store[512];  // "": there is none
    uint64_t ballast; // bytes
    untorn_writer *writer;
    untorn_writer_array *handle[W_ARRAYS];
    struct world_state next[W_ARRAYS]; // in the open transaction
    struct world_record *history[W_ARRAYS];
    size_t count[W_ARRAYS];
    uint32_t last_value;
    uint64_t last_incarnation;
    int tight; // space may run out: readers may be overtaken
    uint64_t commits, reads, overtaken;
};

// A reader's handles, opened once, so that they carry what they cached from read to read.
struct world_reader {
    struct world *world;
    untorn_reader *reader;
    untorn_array *array[W_ARRAYS];
    uint64_t incarnation[W_ARRAYS];
    uint32_t buffer[W_ARRAYS][WORLD_LENGTH];
    untorn_snapshot *snapshot; // of the operation under way, or kept
};

void world_begin(struct world *world, unsigned versions, uint64_t size);
void world_end(struct world *world);

/* --- the writer's part --- */

// Fresh numbers to all elements, or to [from, from + count).
void world_rewrite(struct world *world, enum world_array a);
void world_write(struct world *world, enum world_array a, uint64_t from, uint64_t count);
void world_append(struct world *world, enum world_array a, uint64_t count);
void world_resize(struct world *world, enum world_array a, uint64_t length);
void world_attributes(struct world *world, enum world_array a);
void world_delete(struct world *world, enum world_array a);
void world_define(struct world *world, enum world_array a);
void world_commit(struct world *world);
void world_abort(struct world *world);

// The writer goes, without a word if `dies`, and another takes over.
void world_adopt(struct world *world, int dies);
// To be called first in the step hook: the writer may die here.
void world_step(const char *name);
// Dies in the first step of this name within `run`, and another takes over.
void world_die_in(struct world *world, const char *step, void (*run)(struct world *));

// Whole scripts: each is some transactions, and leaves every array defined.
typedef void world_script(struct world *world, unsigned n);
struct world_named_script {
    const char *name;
    world_script *run;
    unsigned n;
};
extern const struct world_named_script world_scripts[];
extern const size_t world_script_count;
// Those that also evict and bring in; only where world_store is set.
extern const struct world_named_script world_cache_scripts[];
extern const size_t world_cache_script_count;

// Flush the last commit; evict all that can go; bring all in.  The open transaction goes on.
void world_flush(struct world *world);
void world_evict(struct world *world);
// Rewrites all arrays in each of n commits.
void world_churn(struct world *world, unsigned n);
void world_warm(struct world *world);
// Dies in the n-th step from now within `run`, and another takes over; 0: there were fewer steps.
int world_die_at(struct world *world, unsigned n, void (*run)(struct world *, unsigned),
                 unsigned argument);

/* --- the reader's part --- */

void world_reader_begin(struct world_reader *reader, struct world *world, unsigned flags,
                        unsigned attempts);
void world_reader_end(struct world_reader *reader);

// Each reads and checks against the history; fails the test if anything is wrong.
typedef void world_operation(struct world_reader *reader);
struct world_named_operation {
    const char *name;
    world_operation *run;
};
extern const struct world_named_operation world_operations[];
extern const size_t world_operation_count;

// All that a snapshot of any of the arrays can tell.
void world_check_snapshot(struct world_reader *reader, untorn_snapshot *snapshot);

// What is running, for messages: set by the test.
extern char world_context[256];

/* --- who runs when --- */

struct setting {
    unsigned versions;
    uint64_t size;
    unsigned attempts;
};
#define SETTINGS 3
extern int world_store;      // flush on demand to a store behind the segment
extern unsigned world_spare; // pages that are left free, so that slots are reused at once; 0: all
extern int
    world_ballast; // fill the segment but for a little, and take no offence at being overtaken
extern const struct setting settings[SETTINGS];

extern struct world the_world;
extern struct world_reader the_reader;
void set_up(const struct setting *setting);
void tear_down(void);

// The one script or operation runs in steps `one` and `two` (UINT64_MAX: none) of the other, or, if
// `every`, in all from `one` on.  0: there were no such steps.
extern const struct world_named_script *script;
extern const struct world_named_operation *operation;
extern int every;
int writer_in_steps(uint64_t one, uint64_t two);
int reader_in_steps(uint64_t one, uint64_t two);
// Every operation of these names with every script of those, in any one, two or all steps.
void try_all(const char *operations_named, const char *scripts_named,
             const struct setting *setting);

// The writer and three readers, each stopped at any step for others to go on, `operations` of each
// reader, by a plan that the seed makes.
extern uint64_t operations;
void run_fibers(uint64_t seed, const struct setting *setting);

#endif
