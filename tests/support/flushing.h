// SPDX-License-Identifier: MIT
/*
 * A segment and a store that it is flushed to, and the comparison of the two: every chunk file is
 * decoded by itself and compared with the whole chunk, the fill value beyond the shape included.
 */
#ifndef UT_TEST_FLUSHING_H
#define UT_TEST_FLUSHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/flush.h"

#define MOST_BYTES (1u << 20) // of an array here

// The one under test.
struct flushing {
    const char *segment;
    char store_path[512];
    untorn_writer *writer;
    untorn_reader *reader;
    ut_store store;
    ut_flush_report report; // of the last flush
    unsigned threads;       // 1 unless a test says otherwise
    ut_encode_pool *pool;   // NULL unless a test says otherwise
    unsigned format;        // 2
};
extern struct flushing flushing;

void flushing_begin(void);
void flushing_end(void);

// Flush the last commit.  Commit, flush and compare.
untorn_status flushing_try(void);
void flushing_commit(void);

untorn_writer_array *flushing_define(const char *name, const char *dtype, unsigned rank,
                                     const uint64_t *shape, const uint64_t *chunks,
                                     const char *codec, const void *fill);

// The store's newest snapshot is the segment's last commit.
void flushing_check_store(const ut_store *of);

// Every chunk of the grid has a file if and only if it is present, with the content of `bytes`.
// present: NULL: whatever has a record.
void flushing_check_array(const ut_stored_array *stored, const untorn_array_info *info,
                          const uint64_t *shape, const unsigned char *bytes,
                          bool (*present)(void *, const uint64_t *), void *context);

// What the last flush reported.
void flushing_must_count(uint64_t arrays_written, uint64_t arrays_linked, uint64_t chunks_written,
                         uint64_t chunks_linked);

// Of a file of an array in the newest snapshot.
ino_t flushing_inode(const char *array, const char *file);

// Lest the test's directory grow with all it flushed.
void flushing_drop_older(void);

#endif
