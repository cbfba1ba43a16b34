// SPDX-License-Identifier: MIT
/*
 * A segment with a handful of arrays of all sorts, the history of what each commit of it is, and a
 * judge who says whether a store holds some of these commits whole.
 *
 * Every value ever written is a different number, so that a chunk of another commit, array or place
 * shows.  The arrays: one in which each step rewrites a chunk (the others are linked), one that
 * never changes (linked whole), one that grows and is cut, one that comes and goes, one of mostly
 * absent chunks and a fill value that is not zero.
 */
#ifndef UT_TEST_FLUSH_WORLD_H
#define UT_TEST_FLUSH_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "store/flush.h"
#include "untorn.h"

enum flush_array { F_EDIT, F_STILL, F_GROW, F_GONE, F_SPARSE, F_ARRAYS };

#define FLUSH_ELEMENTS 1600 // no array gets more

struct flush_array_state {
    int exists;
    uint64_t shape[2];
    uint64_t attribute;
    uint32_t values[FLUSH_ELEMENTS]; // C order of the shape
};

// What one commit is.
struct flush_record {
    uint64_t commit;
    uint64_t attribute; // of the group "g"
    struct flush_array_state arrays[F_ARRAYS];
};

#define FLUSH_RECORDS 64

struct flush_world {
    const char *segment;
    untorn_writer *writer;
    untorn_reader *reader;
    untorn_writer_array *handle[F_ARRAYS];
    struct flush_record next;
    struct flush_record *records;
    size_t count; // the last ones, FLUSH_RECORDS at least
    uint64_t step;
    uint32_t last_value;
    ut_flush_options options; // of its flushes
};

void flush_world_begin(struct flush_world *world);
void flush_world_end(struct flush_world *world);

// One transaction, committed.
void flush_world_step(struct flush_world *world);

// Flush the newest commit.
untorn_status flush_world_flush(struct flush_world *world, const ut_store *store,
                                ut_flush_report *report);

#define FLUSH_WORLD_VERIFY 1u // also by untorn_store_verify()

// Whether the store at `path` is one whose every snapshot is a commit of this world, whole, and
// whose `latest` is the newest of these or one below, and neither that nor any older than `oldest`
// (0: there need not be a store).  NULL, or what is wrong.  Static storage.
const char *flush_world_judge(const struct flush_world *world, const char *path, uint64_t oldest,
                              unsigned flags);

// A name that begins with ".tmp-" anywhere below, or NULL.  Static storage.
const char *flush_world_rubbish(const char *path);

// What of this commit is not in the segment that `reader` reads, or NULL.
const char *flush_world_compare(const struct flush_world *world, uint64_t commit,
                                untorn_reader *reader);

// The segment itself is as the last commit left it.
void flush_world_check_segment(const struct flush_world *world);

#endif
