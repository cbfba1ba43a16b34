// SPDX-License-Identifier: MIT
/*
 * untorn itself: chunks filled in shared memory, one commit per round, one handle
 * per process and array.
 *
 *   --spin   (untorn-spin) Readers that wait never sleep: untorn_reader_options.spin.
 *   --pin    (untorn-pin) Takes several arrays of one commit by a snapshot, which is
 *            pinned, in place of one untorn_read_group(): what is read in more than one
 *            call needs that, one copy of each does not.
 */
#include "peer.h"

#include "untorn_array.h"

#include <stdio.h>
#include <stdlib.h>

#define ATTEMPTS 8 /* that a read makes before it is overtaken, by default */

static struct peer_layout layout;
static const char *segment;
static untorn_writer *writer;
static untorn_writer_array *written[PEER_MAX_ARRAYS];
static struct untorn_places places; /* of the first chunk of array 0 */
static void *piece;                 /* what is appended */
static size_t appended_bytes;
static untorn_reader *reader;
static untorn_array *arrays[PEER_MAX_ARRAYS];
static untorn_request requests[PEER_MAX_ARRAYS];
static uint64_t generation; /* that the reader has */
static int64_t spin;        /* ns before a wait sleeps */

static void version(char *to, size_t size) {
    snprintf(to, size, "untorn %s", untorn_version());
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    segment = bench_segment_name("peer");
    return NULL;
}

static void writer_open(const struct peer_layout *wanted) {
    (void)wanted;
    writer = untorn_array_writer(segment, &layout);
    for (unsigned k = 0; k < layout.arrays; k++) {
        char name[16];
        snprintf(name, sizeof(name), "array%u", k);
        written[k] = untorn_array_define(writer, name, &layout);
    }
    if (layout.capacity)
        piece = bench_private_memory(layout.bytes);
}

static void fill_chunk(unsigned k, uint64_t round, uint64_t index) {
    size_t bytes, at = flat_chunk(&layout, (size_t)index, &bytes);
    void *memory;
    BENCH_MUST(untorn_chunk_begin(written[k], &index, 0, &memory));
    if (k == 0 && index == 0)
        untorn_places_add(&places, memory);
    bench_pattern_fill(memory, bytes, round, at / 8);
    BENCH_MUST(untorn_chunk_done(written[k], &index));
}

static void fill_array(unsigned k, uint64_t round) {
    for (uint64_t c = 0; c * layout.chunk < layout.bytes; c++)
        fill_chunk(k, round, c);
}

static void prepare(uint64_t round) {
    fill_array(0, round);
}

static void publish(void) {
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void write_round(uint64_t round) {
    prepare(round);
    publish();
}

static void write_some(uint64_t round, const unsigned *selected, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        fill_array(selected[i], round);
    publish();
}

static void write_chunk(uint64_t round, size_t index) {
    fill_chunk(0, round, index);
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void append_begin(void) {
    const uint64_t none = 0;
    appended_bytes = 0;
    BENCH_MUST(untorn_resize(written[0], &none));
    BENCH_MUST(untorn_commit(writer, NULL));
}

static void append(size_t bytes) {
    bench_pattern_fill(piece, bytes, 1, appended_bytes / 8);
    BENCH_MUST(untorn_append(written[0], 0, bytes / 8, NULL, piece));
    BENCH_MUST(untorn_commit(writer, NULL));
    appended_bytes += bytes;
}

static unsigned copies(void) {
    return untorn_places_different(&places);
}

static void writer_close(void) {
    untorn_writer_close(writer);
}

static void reader_open(const struct peer_layout *wanted) {
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    untorn_result result;
    options.spin = spin;
    BENCH_MUST(untorn_reader_open(segment, &options, &reader));
    for (unsigned k = 0; k < wanted->arrays; k++) {
        char name[16];
        snprintf(name, sizeof(name), "array%u", k);
        BENCH_MUST(untorn_array_open(reader, name, &arrays[k]));
        requests[k].array = arrays[k];
    }
    BENCH_MUST(untorn_peek(arrays[0], &result));
    generation = result.generation;
}

/* Whether a call is to be made again; any other failure ends the benchmark. */
static int overtaken(untorn_status status, int64_t deadline, uint64_t *attempts) {
    if (status != UNTORN_E_OVERTAKEN)
        BENCH_MUST(status);
    *attempts = bench_now() < deadline ? *attempts + ATTEMPTS : 0;
    return *attempts != 0;
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    untorn_result result;
    untorn_status status;
    uint64_t attempts = 0;
    (void)data;
    while ((status = untorn_read(arrays[0], NULL, NULL, buffer, layout.bytes, &result)) !=
           UNTORN_OK)
        if (!overtaken(status, deadline, &attempts))
            return 0;
    generation = result.generation;
    return attempts + result.attempts;
}

static size_t appended(void *buffer) {
    untorn_result result;
    BENCH_MUST(untorn_read(arrays[0], NULL, NULL, buffer, layout.capacity, &result));
    return (size_t)result.shape[0] * 8;
}

static uint64_t wait_for(uint64_t last, void *buffer, const void **data, int64_t deadline) {
    (void)last;
    untorn_status status = untorn_wait(arrays[0], generation, deadline - bench_now());
    if (status == UNTORN_E_TIMEOUT)
        return 0;
    BENCH_MUST(status);
    return read_whole(buffer, data, deadline);
}

static untorn_status take_snapshot(char *buffer) {
    untorn_snapshot *taken;
    untorn_status status =
        untorn_snapshot_open(reader, arrays, layout.arrays, UNTORN_NEWEST, &taken);
    if (status != UNTORN_OK)
        return status;
    for (size_t k = 0; k < layout.arrays && status == UNTORN_OK; k++)
        status =
            untorn_snapshot_read(taken, k, NULL, NULL, buffer + k * layout.bytes, layout.bytes);
    if (status == UNTORN_OK)
        status = untorn_snapshot_check(taken);
    untorn_snapshot_close(taken);
    return status;
}

static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    (void)data;
    for (uint64_t attempts = 1;; attempts++) {
        untorn_status status = take_snapshot(buffer);
        if (status == UNTORN_OK)
            return attempts;
        if (status != UNTORN_E_OVERTAKEN)
            BENCH_MUST(status);
        if (bench_now() > deadline)
            return 0;
    }
}

static uint64_t read_group(void *buffer, const void **data, int64_t deadline) {
    untorn_result result;
    untorn_status status;
    uint64_t attempts = 0;
    (void)data;
    for (unsigned k = 0; k < layout.arrays; k++) {
        requests[k].destination = (char *)buffer + k * layout.bytes;
        requests[k].capacity = layout.bytes;
    }
    while ((status = untorn_read_group(reader, requests, layout.arrays, &result)) != UNTORN_OK)
        if (!overtaken(status, deadline, &attempts))
            return 0;
    return attempts + result.attempts;
}

static void reader_close(void) {
    untorn_reader_close(reader);
}

static const struct peer untorn = {.name = "untorn",
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
                                   .prepare = prepare,
                                   .publish = publish,
                                   .wait = wait_for,
                                   .snapshot = read_group,
                                   .copies = copies,
                                   .writer_close = writer_close,
                                   .reader_close = reader_close};

int main(int argc, char **argv) {
    struct peer peer = untorn;
    if (peer_flag(argc, argv, "--spin")) {
        peer.flag = "--spin";
        peer.name = "untorn-spin";
        spin = INT64_MAX;
    } else if (peer_flag(argc, argv, "--pin")) {
        peer.flag = "--pin";
        peer.name = "untorn-pin";
        peer.snapshot = snapshot;
    }
    return peer_main(argc, argv, &peer);
}
