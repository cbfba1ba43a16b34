// SPDX-License-Identifier: MIT
/*
 * A restart from the store, the segment being gone: how long until the first
 * chunk can be read, and until all of the data has been, beside `cat` of the
 * same chunk files.
 *
 * From codec none, whose files are the data, and from lz4, whose files are
 * smaller and have to be decompressed.  With the files in the kernel's memory
 * and, on a disk, with the kernel told to forget them.
 */
#include "support/float_field.h"
#include "support/report.h"
#include "support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20)

static size_t chunks; /* of 1 MiB */
static char *data, *found;

static uint64_t size_of_segment(void) {
    return 2 * chunks * CHUNK + (64u << 20);
}

static void make_store(const char *store, const char *codec) {
    const char *segment = bench_segment_name("before");
    untorn_writer *writer = bench_store_writer(segment, size_of_segment(), store, 2);
    untorn_writer_array *array =
        bench_define_stored(writer, "array", "f4", chunks * CHUNK / 4, CHUNK / 4, codec);
    BENCH_MUST(untorn_write(array, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
    BENCH_MUST(untorn_flush(writer, NULL));
    bench_store_close(writer, segment);
}

/* `cat` of all chunk files. */
static double cat(const char *store) {
    char directory[BENCH_PATH], name[32];
    char(*path)[BENCH_PATH] = calloc(chunks, sizeof(*path));
    const char **argv = calloc(chunks + 3, sizeof(*argv));
    if (!path || !argv)
        bench_die("out of memory");
    bench_stored_array(store, "array", directory);
    argv[0] = "cat";
    argv[1] = "--";
    for (size_t c = 0; c < chunks; c++) {
        snprintf(name, sizeof(name), "%zu", c);
        bench_join(path[c], directory, name);
        argv[c + 2] = path[c];
    }
    int64_t start = bench_now();
    bench_run(argv);
    double ns = (double)(bench_now() - start);
    free(argv);
    free(path);
    return ns;
}

struct restart {
    double opened, first, all;
};

static struct restart restart(const char *store, const char *segment) {
    struct restart times;
    untorn_reader *reader;
    untorn_array *array;
    uint64_t start = (chunks / 2) * (CHUNK / 4), count = CHUNK / 4;
    int64_t begin = bench_now();
    untorn_writer *writer = bench_store_writer(segment, size_of_segment(), store, 1);
    times.opened = (double)(bench_now() - begin);
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    BENCH_MUST(untorn_read(array, &start, &count, found, CHUNK, NULL));
    times.first = (double)(bench_now() - begin);
    if (memcmp(found, data + start * 4, CHUNK) != 0)
        bench_die("the first chunk read after the restart is not what was written");
    memset(found, 0, chunks * CHUNK);
    int64_t again = bench_now();
    BENCH_MUST(untorn_read(array, NULL, NULL, found, chunks * CHUNK, NULL));
    times.all = times.opened + (double)(bench_now() - again);
    if (memcmp(found, data, chunks * CHUNK) != 0)
        bench_die("what is read after the restart is not what was written");
    untorn_reader_close(reader);
    bench_store_close(writer, segment);
    return times;
}

static void measure(enum bench_medium medium, const char *codec, int cold) {
    static struct bench_samples opened, first, all, cats;
    char directory[BENCH_PATH], store[BENCH_PATH], what[96], name[128];
    const char *segment = bench_segment_name("after");
    opened.count = first.count = all.count = cats.count = 0;
    bench_scratch(medium, directory);
    bench_join(store, directory, "store");
    make_store(store, codec);
    for (int r = -1, n = bench_repetitions(15); r < n; r++) {
        struct restart times = {0, 0, 0};
        double cat_ns = 0;
        for (int f = 0; f < 2; f++) {
            if (cold)
                bench_forget_pages(store);
            if ((f + r + 1) % 2)
                cat_ns = cat(store);
            else
                times = restart(store, segment);
        }
        if (r < 0)
            continue;
        bench_add(&opened, times.opened);
        bench_add(&first, times.first);
        bench_add(&all, times.all);
        bench_add(&cats, cat_ns);
    }
    bench_remove_tree(directory);
    struct bench_ratio to_first = bench_paired_ratio(&first, &cats);
    struct bench_ratio to_all = bench_paired_ratio(&all, &cats);
    snprintf(what, sizeof(what), "%s, %s%s", codec, bench_file_system(medium),
             medium == BENCH_TMPFS ? ""
             : cold                ? ", files forgotten"
                                   : ", files in memory");
    snprintf(name, sizeof(name), "open the segment, %s", what);
    bench_row_time(name, &opened, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "until one chunk is read, %s", what);
    bench_row_time(name, &first, 0, "this / cat", &to_first, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "until all is read, %s", what);
    bench_row_time(name, &all, (double)(chunks * CHUNK), "this / cat", &to_all, NULL,
                   BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "cat of the files, %s", what);
    bench_row_time(name, &cats, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
}

int main(void) {
    double effort = bench_effort();
    chunks = effort < 1 ? (size_t)(1024 * effort) : 1024;
    if (chunks < 16)
        chunks = 16;
    data = bench_private_memory(chunks * CHUNK);
    found = bench_private_memory(chunks * CHUNK);
    bench_float_field((float *)(void *)data, chunks * CHUNK / sizeof(float));
    bench_section("Restarting from a store");
    bench_note("%zu MiB of float32 in chunks of 1 MiB; the rate is of the data, not of the files; "
               "what was read is compared with what was written; hashes are checked, by cat not",
               chunks);
    measure(BENCH_TMPFS, "none", 0);
    measure(BENCH_TMPFS, "lz4", 0);
    measure(BENCH_DISK, "none", 0);
    measure(BENCH_DISK, "none", 1);
    measure(BENCH_DISK, "lz4", 1);
    return 0;
}
