// SPDX-License-Identifier: MIT
/*
 * What a read of one chunk costs: in memory (a hit), only in the store (a miss), only in the store
 * but kept in the reader's own cache; and beside the miss what its file takes by hand: open, read,
 * hash, decode, close.
 *
 * The arrays "lz4" and "none" come from a store whose segment was removed, so all of their chunks
 * are in the store alone; "kept" is written afterwards, so all of its are in memory.  They hold the
 * same, and are read in the same random order.  The forms take turns.  Reads go in batches into
 * 128 KiB of buffers, are timed as a batch, and compared with what was written outside the time.
 */
#include "support/float_field.h"
#include "support/plain_decode.h"
#include "support/report.h"
#include "support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (128u << 10)

struct world {
    size_t bytes, chunks; /* of a chunk, and how many */
    char size[16];        /* the first in words */
    char store[BENCH_PATH];
    untorn_writer *writer;
    const char *segment;
    untorn_reader *reader, *caching;
    struct bench_plain_reader plain;
    uint64_t *order;
};

struct form {
    const char *name;
    untorn_array *array; /* NULL: by hand */
    int lz4;
    struct bench_samples samples;
    size_t next; /* in the order */
};

static char *data, *buffers;

static void make_store(struct world *world) {
    static const char *const codecs[] = {"lz4", "none"};
    uint64_t bytes = world->chunks * world->bytes;
    world->segment = bench_segment_name("cache");
    untorn_writer *writer =
        bench_store_writer(world->segment, 4 * bytes + (64u << 20), world->store, 2);
    for (int i = 0; i < 2; i++) {
        untorn_writer_array *array =
            bench_define_stored(writer, codecs[i], "f4", bytes / 4, world->bytes / 4, codecs[i]);
        BENCH_MUST(untorn_write(array, NULL, NULL, NULL, data));
    }
    BENCH_MUST(untorn_commit(writer, NULL));
    BENCH_MUST(untorn_flush(writer, NULL));
    bench_store_close(writer, world->segment);
}

static void open_world(struct world *world) {
    uint64_t bytes = world->chunks * world->bytes;
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    world->writer = bench_store_writer(world->segment, 4 * bytes + (64u << 20), world->store, 2);
    untorn_writer_array *kept =
        bench_define_stored(world->writer, "kept", "f4", bytes / 4, world->bytes / 4, "none");
    BENCH_MUST(untorn_write(kept, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(world->writer, NULL));
    BENCH_MUST(untorn_reader_open(world->segment, NULL, &world->reader));
    options.cache_bytes = 3 * bytes + (16u << 20);
    BENCH_MUST(untorn_reader_open(world->segment, &options, &world->caching));
}

static void close_world(struct world *world) {
    untorn_reader_close(world->reader);
    untorn_reader_close(world->caching);
    bench_store_close(world->writer, world->segment);
}

static uint64_t *random_order(size_t count) {
    uint64_t *order = bench_private_memory(count * sizeof(*order));
    uint32_t random = 1;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        random = random * 1664525u + 1013904223u;
        size_t j = (size_t)((uint64_t)random * i >> 32);
        uint64_t other = order[j];
        order[j] = order[i - 1], order[i - 1] = other;
    }
    return order;
}

static void read_one(struct world *world, struct form *form, uint64_t chunk, char *to) {
    uint64_t count = world->bytes / 4, start = chunk * count;
    if (form->array)
        BENCH_MUST(untorn_read(form->array, &start, &count, to, world->bytes, NULL));
    else
        bench_plain_read(&world->plain, chunk, form->lz4, to);
}

static void check(const struct world *world, const struct form *form, size_t i, const char *found) {
    uint64_t chunk = world->order[i % world->chunks];
    if (memcmp(found, data + chunk * world->bytes, world->bytes) != 0)
        bench_die("%s: chunk %llu is not what was written", form->name, (unsigned long long)chunk);
}

/* Nanoseconds per read, over at least `least` ns and `reads` reads. */
static double measure(struct world *world, struct form *form, int64_t least, size_t reads) {
    size_t batch = world->bytes < BATCH_BYTES ? BATCH_BYTES / world->bytes : 1, done = 0;
    int64_t spent = 0;
    while (spent < least || done < reads) {
        size_t first = form->next;
        int64_t start = bench_now();
        for (size_t i = 0; i < batch; i++)
            read_one(world, form, world->order[(first + i) % world->chunks],
                     buffers + i * world->bytes);
        spent += bench_now() - start;
        for (size_t i = 0; i < batch; i++)
            check(world, form, first + i, buffers + i * world->bytes);
        form->next = (first + batch) % world->chunks;
        done += batch;
    }
    return (double)spent / (double)done;
}

static untorn_array *open_array(untorn_reader *reader, const char *name) {
    untorn_array *array;
    BENCH_MUST(untorn_array_open(reader, name, &array));
    return array;
}

static void row(const struct world *world, const struct form *form, const char *more,
                const char *against, const struct bench_ratio *ratio) {
    char name[96];
    snprintf(name, sizeof(name), "%s, %s%s", form->name, world->size, more);
    bench_row_time(name, &form->samples, (double)world->bytes, against, ratio, NULL, BENCH_NO_GOAL);
}

/* Everything in the kernel's memory. */
static void warm(struct world *world, const char *codec) {
    static struct form forms[4];
    char more[64];
    int lz4 = strcmp(codec, "lz4") == 0;
    memset(forms, 0, sizeof(forms));
    struct form *hit = &forms[0], *miss = &forms[1], *cached = &forms[2], *hand = &forms[3];
    *hit = (struct form){.name = "hit", .array = open_array(world->reader, "kept")};
    *miss = (struct form){.name = "miss", .array = open_array(world->reader, codec)};
    *cached =
        (struct form){.name = "in the reader's cache", .array = open_array(world->caching, codec)};
    *hand = (struct form){.name = "by hand", .lz4 = lz4};
    int64_t least = (int64_t)(3e6 * bench_effort());
    for (int f = 0; f < 4; f++) /* the cache gets all */
        measure(world, &forms[f], 0, world->chunks);
    for (int r = 0, n = bench_repetitions(25); r < n; r++)
        for (int f = 0; f < 4; f++) {
            struct form *form = &forms[(f + r) % 4];
            bench_add(&form->samples, measure(world, form, least, 1));
        }
    struct bench_ratio to_hit = bench_paired_ratio(&miss->samples, &hit->samples);
    struct bench_ratio of_hand = bench_paired_ratio(&miss->samples, &hand->samples);
    struct bench_ratio of_cached = bench_paired_ratio(&cached->samples, &hit->samples);
    snprintf(more, sizeof(more), ", %s", codec);
    if (lz4)
        row(world, hit, "", NULL, NULL);
    row(world, miss, more, "this / hit", &to_hit);
    row(world, hand, more, "miss / this", &of_hand);
    row(world, cached, more, "this / hit", &of_cached);
}

/* The kernel told to forget the files before each batch. */
static void cold(struct world *world, const char *codec) {
    static struct form forms[2];
    char more[64];
    size_t reads = world->chunks / 4;
    forms[0] = (struct form){.name = "miss", .array = open_array(world->reader, codec)};
    forms[1] = (struct form){.name = "by hand", .lz4 = strcmp(codec, "lz4") == 0};
    for (int r = 0, n = bench_repetitions(15); r < n; r++)
        for (int f = 0; f < 2; f++) {
            struct form *form = &forms[(f + r) % 2];
            bench_forget_pages(world->store);
            bench_add(&form->samples, measure(world, form, 0, reads));
        }
    struct bench_ratio of_hand = bench_paired_ratio(&forms[0].samples, &forms[1].samples);
    snprintf(more, sizeof(more), ", %s, files forgotten", codec);
    row(world, &forms[0], more, NULL, NULL);
    row(world, &forms[1], more, "miss / this", &of_hand);
}

static void compare(size_t bytes, size_t chunks) {
    struct world world = {.bytes = bytes, .chunks = chunks};
    char directory[BENCH_PATH], files[BENCH_PATH];
    snprintf(world.size, sizeof(world.size), bytes < (1u << 20) ? "%zu KiB" : "%zu MiB",
             bytes < (1u << 20) ? bytes >> 10 : bytes >> 20);
    bench_scratch(BENCH_DISK, directory);
    bench_join(world.store, directory, "store");
    world.order = random_order(chunks);
    make_store(&world);
    open_world(&world);
    static const char *const codecs[] = {"lz4", "none"};
    for (int i = 0; i < 2; i++) {
        bench_stored_array(world.store, codecs[i], files);
        bench_plain_open(&world.plain, files, bytes);
        warm(&world, codecs[i]);
        if (bytes > 4096)
            cold(&world, codecs[i]);
        bench_plain_close(&world.plain);
    }
    close_world(&world);
    free(world.order);
    bench_remove_tree(directory);
}

int main(void) {
    size_t large = bench_effort() < 1 ? 16 : 64;
    data = bench_private_memory(large << 20);
    buffers = bench_private_memory(1u << 20);
    bench_float_field((float *)(void *)data, (large << 20) / sizeof(float));
    bench_section("Reading one chunk: in memory, in the reader's cache, only in the store");
    bench_note(
        "float32, chunks of an array of 4 to %zu MiB in random order; the store on %s, its "
        "files in the kernel's memory unless it is said that they were forgotten; by hand is "
        "open, read, hash, decode, close of the same file",
        large, bench_file_system(BENCH_DISK));
    compare(4096, 1024);
    compare(64u << 10, large << 2);
    compare(1u << 20, large);
    return 0;
}
