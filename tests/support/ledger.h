// SPDX-License-Identifier: MIT
/*
 * The life of a writer that may end anywhere: it opens the segment, then commits
 * transactions that touch everything (whole rewrites, direct chunk fills, appends, a
 * growing and shrinking array, definitions and deletions, attributes), each with one
 * stamp, and says on a board in shared memory which stamps it began and committed.
 *
 * ledger_check() is what must hold for a reader at any time, whatever became of the
 * writer: all arrays of one stamp, that stamp committed or at least begun, the log
 * of all stamps complete, nothing that was once seen gone again.
 */
#ifndef UT_TEST_LEDGER_H
#define UT_TEST_LEDGER_H

#include <stdint.h>

#include "stamped.h"
#include "untorn.h"

#define LEDGER_ARRAYS 4

struct ledger {
    const char *segment;
    uint64_t size;          // of the segment, 0: default
    _Atomic uint64_t begun; // the stamp whose transaction is open
    _Atomic uint64_t committed;
};

struct ledger_writer {
    struct ledger *ledger;
    untorn_writer *writer;
    untorn_writer_array *arrays[LEDGER_ARRAYS];
    untorn_writer_array *log;
    untorn_writer_array *wave;
};

struct ledger_reader {
    struct ledger *ledger;
    untorn_reader *reader;
    untorn_array *arrays[LEDGER_ARRAYS];
    untorn_array *log;
    untorn_array *wave;
    uint64_t last;
    uint64_t rows; // of the log, checked so far
    uint64_t last_row;
    uint64_t checks;
};

// Become the writer, by creation or adoption, and make what is missing (one commit).
void ledger_open(struct ledger_writer *writer, struct ledger *ledger);
// One transaction and its commit.
void ledger_commit(struct ledger_writer *writer);
void ledger_close(struct ledger_writer *writer);

void ledger_attach(struct ledger_reader *reader, struct ledger *ledger, unsigned flags);
// One look; 0 if it was overtaken (which only a reader without control may be).
int ledger_check(struct ledger_reader *reader);
// The same through a snapshot.
int ledger_check_snapshot(struct ledger_reader *reader);
void ledger_detach(struct ledger_reader *reader);

#endif
