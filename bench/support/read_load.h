// SPDX-License-Identifier: MIT
/*
 * The same array of one size in every form that the read benchmarks compare
 * (an untorn array, a classic seqlock, an LMDB value, plain shared memory), and
 * the writer process that keeps still or rewrites one of them without pause.
 */
#ifndef BENCH_READ_LOAD_H
#define BENCH_READ_LOAD_H

#include "child.h"
#include "lmdb_store.h"
#include "segment.h"
#include "seqlock.h"

enum {
    LOAD_UNTORN = BENCH_FIRST_COMMAND, /* chunk by chunk in shared memory, one commit per round */
    LOAD_SEQLOCK,
    LOAD_PLAIN, /* in place, no protocol */
};

#define LOAD_CHUNK_BYTES (1u << 20)

struct read_load {
    size_t bytes;
    const char *segment;
    char lmdb_path[64];
    int with_lmdb;
    char *rewritten;               /* plain memory that LOAD_PLAIN rewrites */
    char *quiet;                   /* plain memory that nobody writes */
    struct bench_seqlock *seqlock; /* of its own, that LOAD_SEQLOCK rewrites */
    struct bench_child child;
    /* the reader's side */
    untorn_reader *reader;
    untorn_array *array;
    struct bench_lmdb *lmdb;
    /* counted by the readers below */
    uint64_t reads, attempts, failures;
};

void read_load_start(struct read_load *load, size_t bytes, int with_lmdb);
void read_load_stop(struct read_load *load);

/* One whole read of each form. */
typedef void read_function(struct read_load *load, void *to);
read_function read_untorn, read_seqlock, read_quiet, read_rewritten, read_lmdb;

#endif
