// SPDX-License-Identifier: MIT
/*
 * How fast a flush is: float data with codec lz4 beside what shuffle and LZ4
 * reach on the same chunks in memory by the same number of threads (and what they
 * reach when they also write files), and codec none beside cp of the files that
 * the flush just wrote.
 *
 * Before each flush every chunk is written anew, outside the time, so that all
 * of it has to be encoded and written.  On tmpfs a sync costs nothing; on a
 * disk a flush syncs every file, so cp is followed by a sync of each there.
 */
#include "support/float_field.h"
#include "support/plain_codec.h"
#include "support/report.h"
#include "support/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)
#define MAX_CHUNKS 128u

struct target {
    char store[BENCH_PATH], copy[BENCH_PATH];
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *array;
    size_t chunks;
    const char *data; /* what is written: chunk c of round r is chunk (c + r) % chunks of it */
    char *plain;      /* the same in plain shared memory, for the codec alone */
    uint64_t round;
    unsigned threads;
    uint64_t encoded;
};

static void open_target(struct target *target, enum bench_medium medium, const char *codec,
                        unsigned threads) {
    char directory[BENCH_PATH];
    bench_scratch(medium, directory);
    bench_join(target->store, directory, "store");
    bench_join(target->copy, directory, "copy");
    target->segment = bench_segment_name("flush");
    target->threads = threads;
    target->writer = bench_store_writer(target->segment, 6 * target->chunks * CHUNK + (64u << 20),
                                        target->store, threads);
    target->array = bench_define_stored(target->writer, "array", "f4", target->chunks * CHUNK / 4,
                                        CHUNK / 4, codec);
}

static void close_target(struct target *target) {
    bench_store_verify(target->store);
    bench_store_close(target->writer, target->segment);
    bench_remove_tree(target->store);
}

static void rewrite(struct target *target) {
    target->round++;
    for (uint64_t c = 0; c < target->chunks; c++) {
        void *memory;
        size_t from = (size_t)((c + target->round) % target->chunks);
        BENCH_MUST(untorn_chunk_begin(target->array, &c, 0, &memory));
        memcpy(memory, target->data + from * CHUNK, CHUNK);
        BENCH_MUST(untorn_chunk_done(target->array, &c));
    }
    BENCH_MUST(untorn_commit(target->writer, NULL));
}

static void flush(struct target *target) {
    BENCH_MUST(untorn_flush(target->writer, NULL));
}

static void codec_alone(struct target *target) {
    target->encoded = bench_plain_encode(target->plain, target->chunks, CHUNK, target->threads);
}

static void blosc_alone(struct target *target) {
    target->encoded = bench_blosc_encode(target->plain, target->chunks, CHUNK, target->threads);
}

static void codec_and_files(struct target *target) {
    if (mkdir(target->copy, 0700) != 0)
        bench_die("%s: %s", target->copy, strerror(errno));
    bench_plain_encode_to(target->copy, target->plain, target->chunks, CHUNK, target->threads);
}

static void copy(struct target *target) {
    char from[BENCH_PATH];
    bench_stored_array(target->store, "array", from);
    bench_run((const char *const[]){"cp", "-r", "--", from, target->copy, NULL});
}

static void copy_and_sync(struct target *target) {
    copy(target);
    bench_run((const char *const[]){"find", target->copy, "-exec", "sync", "{}", "+", NULL});
}

struct form {
    const char *name;
    void (*op)(struct target *);
    struct bench_samples samples;
};

/* Interleaved: each repetition times every form, beginning with another. */
static void run(struct target *target, struct form *forms, int count, int repetitions) {
    for (int r = -1; r < repetitions; r++)
        for (int f = 0; f < count; f++) {
            struct form *form = &forms[(f + r + 1) % count];
            if (form->op == flush)
                rewrite(target);
            else if (r < 0 && (form->op == copy || form->op == copy_and_sync))
                flush(target); /* so that there is something to copy */
            int64_t start = bench_now();
            form->op(target);
            double ns = (double)(bench_now() - start);
            if (r >= 0)
                bench_add(&form->samples, ns);
            if (form->op != flush && access(target->copy, F_OK) == 0)
                bench_remove_tree(target->copy);
        }
}

static double stored_share(struct target *target) {
    char path[BENCH_PATH];
    uint64_t files, bytes;
    bench_stored_array(target->store, "array", path);
    bytes = bench_bytes_in(path, &files);
    if (files != target->chunks)
        bench_die("%s has %llu chunk files, not %zu", path, (unsigned long long)files,
                  target->chunks);
    return (double)bytes / (double)(target->chunks * CHUNK);
}

static void against_codec(struct target *target, enum bench_medium medium, unsigned threads) {
    struct form forms[4] = {{.name = "flush", .op = flush},
                            {.name = "shuffle and LZ4 alone", .op = codec_alone},
                            {.name = "shuffle, LZ4 and new files", .op = codec_and_files},
                            {.name = "c-blosc alone", .op = blosc_alone}};
    int count = bench_blosc_version() ? 4 : 3;
    const char *places[4] = {bench_file_system(medium), "memory", bench_file_system(medium),
                             "memory"};
    char name[96];
    double bytes = (double)(target->chunks * CHUNK);
    open_target(target, medium, "lz4", threads);
    run(target, forms, count, bench_repetitions(15));
    double share = stored_share(target);
    codec_alone(target);
    for (int f = 0; f < count; f++) {
        struct bench_ratio ratio = bench_paired_ratio(&forms[f].samples, &forms[0].samples);
        int goal = f == 1 && medium == BENCH_TMPFS;
        snprintf(name, sizeof(name), "%s, %s, %u thread%s", forms[f].name, places[f], threads,
                 threads > 1 ? "s" : "");
        bench_row_time(name, &forms[f].samples, bytes, f == 0 ? NULL : "flush's rate / this",
                       &ratio, goal ? "the flush's >= 0.9 of this" : NULL,
                       goal ? bench_ratio_goal(&ratio, BENCH_AT_LEAST, 0.9) : BENCH_NO_GOAL);
    }
    snprintf(name, sizeof(name), "%.1f %% of the data", 100 * share);
    bench_row_text("size of the chunk files", name, NULL, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "%.1f %% of the data", 100 * (double)target->encoded / bytes);
    bench_row_text("what the codec alone gives", name, NULL, NULL, BENCH_NO_GOAL);
    close_target(target);
}

static void against_cp(struct target *target, enum bench_medium medium) {
    struct form forms[2] = {
        {.name = "flush, codec none", .op = flush},
        {.name = medium == BENCH_TMPFS ? "cp -r" : "cp -r, then sync of each file",
         .op = medium == BENCH_TMPFS ? copy : copy_and_sync}};
    char name[96];
    double bytes = (double)(target->chunks * CHUNK);
    open_target(target, medium, "none", 1);
    run(target, forms, 2, bench_repetitions(15));
    struct bench_ratio ratio = bench_paired_ratio(&forms[1].samples, &forms[0].samples);
    int goal = medium == BENCH_TMPFS;
    for (int f = 0; f < 2; f++) {
        snprintf(name, sizeof(name), "%s, %s", forms[f].name, bench_file_system(medium));
        bench_row_time(name, &forms[f].samples, bytes, f == 0 ? "rate / cp's" : NULL, &ratio,
                       f == 0 && goal ? ">= 0.8 of cp's rate" : NULL,
                       f == 0 && goal ? bench_ratio_goal(&ratio, BENCH_AT_LEAST, 0.8)
                                      : BENCH_NO_GOAL);
    }
    close_target(target);
}

int main(void) {
    static struct target target;
    double effort = bench_effort();
    target.chunks = effort < 1 ? (size_t)(MAX_CHUNKS * effort) : MAX_CHUNKS;
    if (target.chunks < 16)
        target.chunks = 16;
    char *data = bench_private_memory(target.chunks * CHUNK);
    bench_float_field((float *)(void *)data, target.chunks * CHUNK / sizeof(float));
    target.data = data;
    target.plain = bench_shared_memory(target.chunks * CHUNK);
    memcpy(target.plain, data, target.chunks * CHUNK);

    bench_section("Flushing an array whose every chunk changed");
    bench_note("%zu MiB of float32 in chunks of 1 MiB; one snapshot kept; the codec alone works in "
               "memory on blocks of 256 KiB, c-blosc is %s",
               target.chunks, bench_blosc_version() ? bench_blosc_version() : "not installed");
    bench_note("a flush writes files, too; with as many threads as processors nobody is left to do "
               "that beside the codec, and the row with new files is the bound");
    against_codec(&target, BENCH_TMPFS, 1);
    against_codec(&target, BENCH_TMPFS, 2);
    against_cp(&target, BENCH_TMPFS);
    against_codec(&target, BENCH_DISK, 1);
    against_cp(&target, BENCH_DISK);
    return 0;
}
