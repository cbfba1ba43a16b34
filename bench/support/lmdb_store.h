// SPDX-License-Identifier: MIT
/*
 * LMDB as a baseline, used as its documentation advises: one environment per
 * process on tmpfs with MDB_NOSYNC | MDB_NOMETASYNC, a read transaction that is
 * reset and renewed instead of begun anew, and values copied out of the map.
 */
#ifndef BENCH_LMDB_STORE_H
#define BENCH_LMDB_STORE_H

#include <stddef.h>

struct bench_lmdb;

/* A fresh directory in /dev/shm, to be removed with bench_lmdb_remove(). */
void bench_lmdb_make(char path[64]);
void bench_lmdb_remove(const char *path);

/* Never across a fork: open in each process. */
struct bench_lmdb *bench_lmdb_open(const char *path, size_t map_bytes);
void bench_lmdb_close(struct bench_lmdb *store);

void bench_lmdb_put(struct bench_lmdb *store, const void *value, size_t bytes);
void bench_lmdb_get(struct bench_lmdb *store, void *to, size_t bytes);

/* "LMDB 0.9.24: (July 24, 2019)" */
const char *bench_lmdb_version(void);

#endif
