// SPDX-License-Identifier: MIT
/*
 * The writer's side opens everything after the fork; the reader's side as well.
 */
#include "read_load.h"

#include "pattern.h"

#include <stdlib.h>

struct writer_side {
    struct read_load *load;
    untorn_writer *writer;
    untorn_writer_array *array;
    size_t chunk;
    uint64_t round;
};

static void rewrite_untorn(struct writer_side *side) {
    size_t bytes = side->load->bytes;
    side->round++;
    for (uint64_t c = 0; c * side->chunk < bytes; c++) {
        void *memory;
        BENCH_MUST(untorn_chunk_begin(side->array, &c, 0, &memory));
        bench_pattern_fill(memory, side->chunk, side->round, c * side->chunk / 8);
        BENCH_MUST(untorn_chunk_done(side->array, &c));
    }
    BENCH_MUST(untorn_commit(side->writer, NULL));
}

static void rewrite_seqlock(struct writer_side *side) {
    side->round++;
    bench_seqlock_begin(side->load->seqlock);
    bench_pattern_fill(side->load->seqlock->data, side->load->bytes, side->round, 0);
    bench_seqlock_end(side->load->seqlock);
}

static void rewrite_plain(struct writer_side *side) {
    side->round++;
    bench_pattern_fill(side->load->rewritten, side->load->bytes, side->round, 0);
    /* so that the compiler finishes one round before the next */
    atomic_thread_fence(memory_order_release);
}

static void set_up(struct writer_side *side) {
    struct read_load *load = side->load;
    side->chunk = load->bytes < LOAD_CHUNK_BYTES ? load->bytes : LOAD_CHUNK_BYTES;
    side->writer = bench_writer(load->segment, 8 * (uint64_t)load->bytes, 4);
    side->array = bench_define(side->writer, "array", "u8", load->bytes / 8, side->chunk / 8);
    for (int i = 0; i < 8; i++)
        rewrite_untorn(side);
    rewrite_seqlock(side);
    rewrite_plain(side);
    bench_pattern_fill(load->quiet, load->bytes, 1, 0);
    if (load->with_lmdb) {
        struct bench_lmdb *lmdb = bench_lmdb_open(load->lmdb_path, 8 * load->bytes + (1u << 20));
        bench_lmdb_put(lmdb, load->quiet, load->bytes);
        bench_lmdb_close(lmdb);
    }
}

static void writer_main(struct bench_control *control, void *context) {
    struct writer_side side = {.load = context};
    set_up(&side);
    for (;;) {
        uint32_t command = bench_child_wait(control);
        if (command == BENCH_QUIT)
            break;
        uint64_t rounds = 0;
        while (bench_child_going(control, command)) {
            if (command == LOAD_UNTORN)
                rewrite_untorn(&side);
            else if (command == LOAD_SEQLOCK)
                rewrite_seqlock(&side);
            else
                rewrite_plain(&side);
            atomic_store_explicit(&control->progress, ++rounds, memory_order_relaxed);
        }
    }
    untorn_writer_close(side.writer);
}

void read_load_start(struct read_load *load, size_t bytes, int with_lmdb) {
    load->bytes = bytes;
    load->with_lmdb = with_lmdb;
    load->segment = bench_segment_name("read");
    if (with_lmdb)
        bench_lmdb_make(load->lmdb_path);
    load->rewritten = bench_shared_memory(bytes);
    load->quiet = bench_shared_memory(bytes);
    load->seqlock = bench_shared_memory(sizeof(*load->seqlock) + bytes);
    load->child = bench_child_start(writer_main, load);
    bench_child_ready(&load->child);
    BENCH_MUST(untorn_reader_open(load->segment, NULL, &load->reader));
    BENCH_MUST(untorn_array_open(load->reader, "array", &load->array));
    if (with_lmdb)
        load->lmdb = bench_lmdb_open(load->lmdb_path, 8 * bytes + (1u << 20));
}

void read_load_stop(struct read_load *load) {
    untorn_reader_close(load->reader);
    bench_child_stop(&load->child);
    bench_segment_remove(load->segment);
    if (load->with_lmdb) {
        bench_lmdb_close(load->lmdb);
        bench_lmdb_remove(load->lmdb_path);
    }
    bench_shared_memory_free(load->rewritten, load->bytes);
    bench_shared_memory_free(load->quiet, load->bytes);
    bench_shared_memory_free(load->seqlock, sizeof(*load->seqlock) + load->bytes);
}

void read_untorn(struct read_load *load, void *to) {
    untorn_result result;
    BENCH_MUST(untorn_read(load->array, NULL, NULL, to, load->bytes, &result));
    load->reads++;
    load->attempts += result.attempts;
}

void read_seqlock(struct read_load *load, void *to) {
    load->attempts += bench_seqlock_read(load->seqlock, to, load->bytes, 0);
    load->reads++;
}

void read_quiet(struct read_load *load, void *to) {
    memcpy(to, load->quiet, load->bytes);
    atomic_signal_fence(memory_order_acq_rel);
}

void read_rewritten(struct read_load *load, void *to) {
    memcpy(to, load->rewritten, load->bytes);
    atomic_signal_fence(memory_order_acq_rel);
}

void read_lmdb(struct read_load *load, void *to) {
    bench_lmdb_get(load->lmdb, to, load->bytes);
}
