// SPDX-License-Identifier: MIT
/*
 * LMDB as a baseline: one environment per process on tmpfs, with what its
 * documentation (lmdb.h) has for this use:
 *
 *   MDB_NOSYNC      "Don't flush system buffers to disk when committing a transaction"
 *   MDB_NOMETASYNC  "omit the metadata flush"
 *   MDB_WRITEMAP    "fewer mallocs", "may be slightly faster for DBs that fit entirely in RAM"
 *   MDB_RESERVE     the value is written into the map, which "saves an extra memcpy"
 *   MDB_INTEGERKEY  "Keys are binary integers in native byte order"
 *   mdb_txn_reset(), mdb_txn_renew()  in place of a new transaction per read: "saves allocation
 *                   overhead if the process will start a new read-only transaction soon"
 *
 * All processes of an environment open it alike: "Do not mix processes with and without
 * MDB_WRITEMAP on the same environment."
 *
 * Where liblmdb-dev is not installed, or with -DBENCH_WITHOUT_LMDB, benchmarks are compiled with
 * lmdb_absent.c in its place: BENCH_HAS_LMDB is 0 then, there is nothing to open, and the cells of
 * LMDB are empty.
 */
#ifndef BENCH_LMDB_STORE_H
#define BENCH_LMDB_STORE_H

#include <stddef.h>

#if defined(BENCH_WITHOUT_LMDB) || !__has_include(<lmdb.h>)
#define BENCH_HAS_LMDB 0
#else
#define BENCH_HAS_LMDB 1
#include <lmdb.h>
#endif

struct bench_lmdb;

/* Whether it can be measured; if it cannot, nothing below may be called but bench_lmdb_note(). */
int bench_lmdb_is_there(void);

/* A note under the section's title: which one, and how it is opened; or why there is none. */
void bench_lmdb_note(void);

/* A fresh directory in /dev/shm, to be removed with bench_lmdb_remove(). */
void bench_lmdb_make(char path[64]);
void bench_lmdb_remove(const char *path);

#if BENCH_HAS_LMDB
/* Never across a fork: open in each process.  Whatever fails ends the benchmark. */
MDB_env *bench_lmdb_environment(const char *path, size_t map_bytes);

/* The one database, whose keys are numbers; made if it is not there. */
MDB_dbi bench_lmdb_database(MDB_txn *txn);

/* Where to write the value of a key, until the next update or the commit. */
void *bench_lmdb_reserve(MDB_txn *txn, MDB_dbi dbi, size_t key, size_t bytes, unsigned flags);
#endif

/* One value under one key, and a read transaction. */
struct bench_lmdb *bench_lmdb_open(const char *path, size_t map_bytes);
void bench_lmdb_close(struct bench_lmdb *store);

void bench_lmdb_put(struct bench_lmdb *store, const void *value, size_t bytes);
void bench_lmdb_get(struct bench_lmdb *store, void *to, size_t bytes);

/* "LMDB 0.9.24: (July 24, 2019)" */
const char *bench_lmdb_version(void);

#endif
