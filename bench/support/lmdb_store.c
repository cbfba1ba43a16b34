// SPDX-License-Identifier: MIT
/*
 * One key in one LMDB database: a put is a transaction, a get is a renewed read
 * transaction and a copy.
 */
#include "lmdb_store.h"

#if BENCH_HAS_LMDB

#include "machine.h"
#include "report.h"
#include "segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY 0

struct bench_lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reader;
};

static void must(int rc, const char *what) {
    if (rc)
        bench_die("lmdb: %s: %s", what, mdb_strerror(rc));
}

static const char *const files[] = {"data.mdb", "lock.mdb"};

void bench_lmdb_make(char path[64]) {
    snprintf(path, 64, "/dev/shm/untorn-bench-lmdb-%d-XXXXXX", getpid());
    if (!mkdtemp(path))
        bench_die("%s: %s", path, strerror(errno));
    for (int i = 0; i < 2; i++) {
        char file[96];
        snprintf(file, sizeof(file), "%s/%s", path, files[i]);
        bench_remove_at_end(file);
    }
    bench_remove_at_end(path);
}

void bench_lmdb_remove(const char *path) {
    for (int i = 0; i < 2; i++) {
        char file[96];
        snprintf(file, sizeof(file), "%s/%s", path, files[i]);
        unlink(file);
    }
    rmdir(path);
}

MDB_env *bench_lmdb_environment(const char *path, size_t map_bytes) {
    MDB_env *env;
    must(mdb_env_create(&env), "mdb_env_create");
    must(mdb_env_set_mapsize(env, map_bytes), "mdb_env_set_mapsize");
    must(mdb_env_open(env, path, MDB_NOSYNC | MDB_NOMETASYNC | MDB_WRITEMAP, 0600), "mdb_env_open");
    return env;
}

MDB_dbi bench_lmdb_database(MDB_txn *txn) {
    MDB_dbi dbi;
    must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi), "mdb_dbi_open");
    return dbi;
}

void *bench_lmdb_reserve(MDB_txn *txn, MDB_dbi dbi, size_t key, size_t bytes, unsigned flags) {
    MDB_val name = {sizeof(key), &key}, value = {bytes, NULL};
    must(mdb_put(txn, dbi, &name, &value, flags | MDB_RESERVE), "mdb_put");
    return value.mv_data;
}

struct bench_lmdb *bench_lmdb_open(const char *path, size_t map_bytes) {
    struct bench_lmdb *store = calloc(1, sizeof(*store));
    if (!store)
        bench_die("out of memory");
    store->env = bench_lmdb_environment(path, map_bytes);
    MDB_txn *txn;
    must(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin");
    store->dbi = bench_lmdb_database(txn);
    must(mdb_txn_commit(txn), "mdb_txn_commit");
    must(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader), "mdb_txn_begin");
    mdb_txn_reset(store->reader);
    return store;
}

void bench_lmdb_close(struct bench_lmdb *store) {
    mdb_txn_abort(store->reader);
    mdb_env_close(store->env);
    free(store);
}

void bench_lmdb_put(struct bench_lmdb *store, const void *value, size_t bytes) {
    MDB_txn *txn;
    must(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin");
    memcpy(bench_lmdb_reserve(txn, store->dbi, KEY, bytes, 0), value, bytes);
    must(mdb_txn_commit(txn), "mdb_txn_commit");
}

void bench_lmdb_get(struct bench_lmdb *store, void *to, size_t bytes) {
    size_t number = KEY;
    MDB_val key = {sizeof(number), &number}, data;
    must(mdb_txn_renew(store->reader), "mdb_txn_renew");
    must(mdb_get(store->reader, store->dbi, &key, &data), "mdb_get");
    if (data.mv_size != bytes)
        bench_die("lmdb: value has %zu bytes, not %zu", data.mv_size, bytes);
    memcpy(to, data.mv_data, bytes);
    mdb_txn_reset(store->reader);
}

const char *bench_lmdb_version(void) {
    return mdb_version(NULL, NULL, NULL);
}

int bench_lmdb_is_there(void) {
    return 1;
}

void bench_lmdb_note(void) {
    bench_note("%s on tmpfs, MDB_NOSYNC, MDB_NOMETASYNC and MDB_WRITEMAP", bench_lmdb_version());
}

#endif
