// SPDX-License-Identifier: MIT
/* untorn itself: chunks filled in shared memory, one commit per round, one handle per process. */
#include "peer.h"

#include "support/pattern.h"
#include "support/segment.h"

#include <stdio.h>

static const char *segment;
static untorn_writer *writer;
static untorn_writer_array *written;
static untorn_reader *reader;
static untorn_array *array;

static size_t chunk_of(size_t bytes) {
    return bytes < PEER_CHUNK ? bytes : PEER_CHUNK;
}

static void version(char *to, size_t size) {
    snprintf(to, size, "untorn %s", untorn_version());
}

static const char *make(size_t bytes) {
    (void)bytes;
    segment = bench_segment_name("peer");
    return NULL;
}

static void writer_open(size_t bytes) {
    writer = bench_writer(segment, 8 * (uint64_t)bytes, 4);
    written = bench_define(writer, "array", "u8", bytes / 8, chunk_of(bytes) / 8);
}

static void write_round(uint64_t round, size_t bytes) {
    size_t chunk = chunk_of(bytes);
    for (uint64_t c = 0; c * chunk < bytes; c++) {
        void *memory;
        BENCH_MUST(untorn_chunk_begin(written, &c, 0, &memory));
        bench_pattern_fill(memory, chunk, round, c * chunk / 8);
        BENCH_MUST(untorn_chunk_done(written, &c));
    }
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void writer_close(void) {
    untorn_writer_close(writer);
}

static void reader_open(size_t bytes) {
    (void)bytes;
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    untorn_result result;
    (void)data, (void)deadline;
    BENCH_MUST(untorn_read(array, NULL, NULL, buffer, bytes, &result));
    return result.attempts;
}

static void reader_close(void) {
    untorn_reader_close(reader);
}

int main(int argc, char **argv) {
    static const struct peer peer = {"untorn",     version,     make,       writer_open,
                                     write_round,  reader_open, read_whole, writer_close,
                                     reader_close, NULL};
    return peer_main(argc, argv, &peer);
}
