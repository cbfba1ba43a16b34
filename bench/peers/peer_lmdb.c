// SPDX-License-Identifier: MIT
/*
 * LMDB on tmpfs, used as support/lmdb_store.h says: a put transaction per round
 * from private memory, a renewed read transaction per read.
 */
#include "peer.h"

#include "support/lmdb_store.h"
#include "support/machine.h"
#include "support/pattern.h"

#include <stdio.h>

static char path[64];
static struct bench_lmdb *lmdb;
static void *filled;

static void version(char *to, size_t size) {
    snprintf(to, size, "%s", bench_lmdb_version());
}

static const char *make(size_t bytes) {
    (void)bytes;
    bench_lmdb_make(path);
    return NULL;
}

static void open_here(size_t bytes) {
    filled = bench_private_memory(bytes);
    /* A reader that loses its processor keeps all pages that are freed meanwhile. */
    lmdb = bench_lmdb_open(path, 16 * bytes + (1u << 30));
}

static void write_round(uint64_t round, size_t bytes) {
    bench_pattern_fill(filled, bytes, round, 0);
    bench_lmdb_put(lmdb, filled, bytes);
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data, (void)deadline;
    bench_lmdb_get(lmdb, buffer, bytes);
    return 1;
}

static void close_here(void) {
    bench_lmdb_close(lmdb);
}

static void remove_files(void) {
    bench_lmdb_remove(path);
}

int main(int argc, char **argv) {
    static const struct peer peer = {"lmdb",    version,    make,       open_here,  write_round,
                                     open_here, read_whole, close_here, close_here, remove_files};
    return peer_main(argc, argv, &peer);
}
