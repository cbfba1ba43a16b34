// SPDX-License-Identifier: MIT
/*
 * LMDB on tmpfs, opened as for all benchmarks (support/lmdb_store.h).  What is
 * appended is put with MDB_APPEND: "fast bulk loading when keys are already known
 * to be in the correct order".
 *
 * A value is replaced as a whole.  So an array is one value, but where chunks of
 * it are replaced, one value per chunk; what is appended is a value of its own
 * under the next key.
 */
#include "peer.h"

#include "flat.h"
#include "support/lmdb_store.h"
#include "support/machine.h"

#include <stdio.h>

#if !BENCH_HAS_LMDB
#error lmdb.h is missing
#endif

#define ROOM ((size_t)4 << 30) /* a reader that loses its processor keeps all that is freed */

static struct peer_layout layout;
static size_t pieces; /* values per array */
static char path[64];
static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reading;
static size_t next_key, appended_bytes;

static void must(int rc, const char *what) {
    if (rc)
        bench_die("lmdb: %s: %s", what, mdb_strerror(rc));
}
#define MUST(call) must((call), #call)

static void version(char *to, size_t size) {
    snprintf(to, size, "%s", bench_lmdb_version());
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    pieces = layout.part ? (layout.bytes + layout.chunk - 1) / layout.chunk : 1;
    bench_lmdb_make(path);
    return NULL;
}

static void open_environment(void) {
    env = bench_lmdb_environment(path, 16 * flat_bytes(&layout) + ROOM);
}

static MDB_txn *begin(void) {
    MDB_txn *txn;
    MUST(mdb_txn_begin(env, NULL, 0, &txn));
    return txn;
}

static void writer_open(const struct peer_layout *wanted) {
    (void)wanted;
    open_environment();
    MDB_txn *txn = begin();
    dbi = bench_lmdb_database(txn);
    MUST(mdb_txn_commit(txn));
}

static void put(MDB_txn *txn, size_t number, size_t bytes, uint64_t round, size_t first_word,
                unsigned flags) {
    bench_pattern_fill(bench_lmdb_reserve(txn, dbi, number, bytes, flags), bytes, round,
                       first_word);
}

static void put_piece(MDB_txn *txn, uint64_t round, unsigned array, size_t piece) {
    size_t at = 0, bytes = layout.bytes;
    if (layout.part)
        at = flat_chunk(&layout, piece, &bytes);
    put(txn, array * pieces + piece, bytes, round, at / 8, 0);
}

static void write_some(uint64_t round, const unsigned *arrays, unsigned count) {
    MDB_txn *txn = begin();
    for (unsigned i = 0; i < count; i++)
        for (size_t piece = 0; piece < pieces; piece++)
            put_piece(txn, round, arrays[i], piece);
    MUST(mdb_txn_commit(txn));
}

static void write_round(uint64_t round) {
    write_some(round, (const unsigned[]){0}, 1);
}

static void write_chunk(uint64_t round, size_t index) {
    MDB_txn *txn = begin();
    put_piece(txn, round, 0, index);
    MUST(mdb_txn_commit(txn));
}

static void append_begin(void) {
    MDB_txn *txn = begin();
    next_key = appended_bytes = 0;
    MUST(mdb_drop(txn, dbi, 0));
    MUST(mdb_txn_commit(txn));
}

static void append(size_t bytes) {
    MDB_txn *txn = begin();
    put(txn, next_key++, bytes, 1, appended_bytes / 8, MDB_APPEND);
    MUST(mdb_txn_commit(txn));
    appended_bytes += bytes;
}

static void reader_open(const struct peer_layout *wanted) {
    MDB_txn *txn;
    (void)wanted;
    open_environment();
    MUST(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    MUST(mdb_dbi_open(txn, NULL, 0, &dbi));
    MUST(mdb_txn_commit(txn));
    MUST(mdb_txn_begin(env, NULL, MDB_RDONLY, &reading));
    mdb_txn_reset(reading);
}

static uint64_t copy(char *to, unsigned arrays) {
    MUST(mdb_txn_renew(reading));
    for (size_t number = 0; number < arrays * pieces; number++) {
        MDB_val key = {sizeof(number), &number}, value;
        MUST(mdb_get(reading, dbi, &key, &value));
        memcpy(to, value.mv_data, value.mv_size);
        to += value.mv_size;
    }
    mdb_txn_reset(reading);
    return 1;
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    return copy(buffer, 1);
}

static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    return copy(buffer, layout.arrays);
}

static size_t appended(void *buffer) {
    MDB_cursor *cursor;
    MDB_val key, value;
    char *to = buffer;
    int rc;
    MUST(mdb_txn_renew(reading));
    MUST(mdb_cursor_open(reading, dbi, &cursor));
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        memcpy(to, value.mv_data, value.mv_size);
        to += value.mv_size;
    }
    if (rc != MDB_NOTFOUND)
        must(rc, "mdb_cursor_get");
    mdb_cursor_close(cursor);
    mdb_txn_reset(reading);
    return (size_t)(to - (char *)buffer);
}

static void close_here(void) {
    if (reading)
        mdb_txn_abort(reading);
    mdb_env_close(env);
}

static void remove_files(void) {
    bench_lmdb_remove(path);
}

int main(int argc, char **argv) {
    static const struct peer peer = {.name = "lmdb",
                                     .version = version,
                                     .make = make,
                                     .writer_open = writer_open,
                                     .reader_open = reader_open,
                                     .write = write_round,
                                     .read = read_whole,
                                     .write_some = write_some,
                                     .write_chunk = write_chunk,
                                     .append_begin = append_begin,
                                     .append = append,
                                     .appended = appended,
                                     .snapshot = snapshot,
                                     .writer_close = close_here,
                                     .reader_close = close_here,
                                     .remove = remove_files,
                                     .unable = {.wait = "LMDB does not tell readers of a commit"}};
    return peer_main(argc, argv, &peer);
}
