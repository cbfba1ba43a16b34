// SPDX-License-Identifier: MIT
/*
 * Writers with a store that is flushed to when the benchmark says so, and of
 * which only the newest snapshot is kept.
 */
#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include "scratch.h"
#include "segment.h"

/* A writer of a new segment of `size` bytes, flushing to `store`.  `threads` compress. */
untorn_writer *bench_store_writer(const char *segment, uint64_t size, const char *store,
                                  unsigned threads);

/* Close it and remove the segment, so that the store is all there is. */
void bench_store_close(untorn_writer *writer, const char *segment);

/* A one-dimensional array with a codec. */
untorn_writer_array *bench_define_stored(untorn_writer *writer, const char *name, const char *dtype,
                                         uint64_t length, uint64_t chunk, const char *codec);

/* Every chunk file of the store must be whole. */
void bench_store_verify(const char *store);

/* The real path of an array's directory in the newest store snapshot. */
void bench_stored_array(const char *store, const char *array, char path[BENCH_PATH]);

#endif
