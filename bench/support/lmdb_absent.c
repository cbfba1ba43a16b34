// SPDX-License-Identifier: MIT
/*
 * In place of lmdb_store.c where LMDB is not installed, so that benchmarks which
 * compare with it measure all else.  They ask bench_lmdb_is_there() first; who
 * does not is ended.
 */
#include "lmdb_store.h"

#if !BENCH_HAS_LMDB

#include "machine.h"
#include "report.h"

static const char why[] = "LMDB: not measured, liblmdb-dev was not there to compile with";

int bench_lmdb_is_there(void) {
    return 0;
}

void bench_lmdb_note(void) {
    bench_note("%s", why);
}

const char *bench_lmdb_version(void) {
    return "LMDB is not there";
}

void bench_lmdb_make(char path[64]) {
    path[0] = 0;
    bench_die("%s", why);
}

void bench_lmdb_remove(const char *path) {
    (void)path;
}

struct bench_lmdb *bench_lmdb_open(const char *path, size_t map_bytes) {
    (void)path, (void)map_bytes;
    bench_die("%s", why);
}

void bench_lmdb_close(struct bench_lmdb *store) {
    (void)store;
}

void bench_lmdb_put(struct bench_lmdb *store, const void *value, size_t bytes) {
    (void)store, (void)value, (void)bytes;
    bench_die("%s", why);
}

void bench_lmdb_get(struct bench_lmdb *store, void *to, size_t bytes) {
    (void)store, (void)to, (void)bytes;
    bench_die("%s", why);
}

#endif
