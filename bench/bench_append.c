// SPDX-License-Identifier: MIT
/*
 * Appending one float64 per commit.  The cost must not depend on the chunk
 * size, since what is appended goes behind what was published, in place; four
 * chunk sizes take turns, beside a bare store with a released length, and an
 * LMDB transaction per element.
 *
 * Then appending 64 KiB per commit to memory that was never used: that is the file's growing, the
 * kernel's clearing and mapping of pages, and a copy; beside the same by hand in a bare file of the
 * same file system, which grows in steps of 4 MiB and is mapped page by page as it is written.
 */
#include "support/lmdb_store.h"
#include "support/report.h"
#include "support/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZES 4
#define PER_REPETITION 400000
#define LMDB_PER_REPETITION 1000
#define PIECE 65536u
#define FRESH (16u << 20) /* bytes appended to fresh memory in a repetition */
#define STEP (4u << 20)

struct target {
    uint64_t chunk;
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *array;
    uint64_t length;
    struct bench_samples samples;
};

/* Element i is i, so that any reader can tell. */
static double append(struct target *target) {
    int64_t start = bench_now();
    for (int i = 0; i < PER_REPETITION; i++) {
        double value = (double)target->length++;
        BENCH_MUST(untorn_append(target->array, 0, 1, NULL, &value));
        BENCH_MUST(untorn_commit(target->writer, NULL));
    }
    return (double)(bench_now() - start) / PER_REPETITION;
}

static double append_bare(double *memory, _Atomic uint64_t *length) {
    uint64_t n = 0;
    int64_t start = bench_now();
    for (int i = 0; i < PER_REPETITION; i++) {
        memory[n] = (double)n;
        atomic_store_explicit(length, ++n, memory_order_release);
    }
    return (double)(bench_now() - start) / PER_REPETITION;
}

static double put_lmdb(struct bench_lmdb *lmdb) {
    int64_t start = bench_now();
    for (int i = 0; i < LMDB_PER_REPETITION; i++) {
        double value = i;
        bench_lmdb_put(lmdb, &value, sizeof(value));
    }
    return (double)(bench_now() - start) / LMDB_PER_REPETITION;
}

static void check(struct target *target) {
    untorn_reader *reader;
    untorn_array *array;
    size_t bytes = target->length * sizeof(double);
    double *data = bench_private_memory(bytes);
    BENCH_MUST(untorn_reader_open(target->segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    BENCH_MUST(untorn_read(array, NULL, NULL, data, bytes, NULL));
    for (uint64_t i = 0; i < target->length; i++)
        if (data[i] != (double)i)
            bench_die("chunk %llu: element %llu is %g", (unsigned long long)target->chunk,
                      (unsigned long long)i, data[i]);
    untorn_reader_close(reader);
    free(data);
}

/* --- fresh memory --- */

/* Of one piece. */
static double append_fresh(const char *segment, const double *piece) {
    untorn_writer *writer = bench_writer(segment, 2 * FRESH, 4);
    untorn_writer_array *array = bench_define(writer, "array", "f8", 0, 131072);
    BENCH_MUST(untorn_commit(writer, NULL));
    int64_t start = bench_now();
    for (unsigned done = 0; done < FRESH; done += PIECE) {
        BENCH_MUST(untorn_append(array, 0, PIECE / sizeof(*piece), NULL, piece));
        BENCH_MUST(untorn_commit(writer, NULL));
    }
    double ns = (double)(bench_now() - start) / (FRESH / PIECE);
    untorn_writer_close(writer);
    bench_segment_remove(segment);
    return ns;
}

static double copy_fresh(const double *piece) {
    char path[] = "/dev/shm/untorn-bench-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        bench_die("%s: %s", path, strerror(errno));
    unlink(path);
    char *memory = mmap(NULL, FRESH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        bench_die("mmap: %s", strerror(errno));
    int64_t start = bench_now();
    for (unsigned done = 0; done < FRESH; done += PIECE) {
        int error = done % STEP == 0 ? posix_fallocate(fd, (off_t)done, STEP) : 0;
        if (error)
            bench_die("no %u bytes in /dev/shm: %s", FRESH, strerror(error));
        memcpy(memory + done, piece, PIECE);
    }
    double ns = (double)(bench_now() - start) / (FRESH / PIECE);
    munmap(memory, FRESH);
    close(fd);
    return ns;
}

static void fresh_memory(void) {
    static struct bench_samples own, bare;
    const char *segment = bench_segment_name("append-fresh");
    double *piece = bench_private_memory(PIECE);
    for (int r = -1, n = bench_repetitions(25); r < n; r++) {
        double first = r % 2 == 0 ? append_fresh(segment, piece) : copy_fresh(piece);
        double second = r % 2 == 0 ? copy_fresh(piece) : append_fresh(segment, piece);
        if (r >= 0) {
            bench_add(&own, r % 2 == 0 ? first : second);
            bench_add(&bare, r % 2 == 0 ? second : first);
        }
    }
    free(piece);
    struct bench_ratio ratio = bench_paired_ratio(&own, &bare);
    bench_section("Appending 64 KiB per commit to memory that was never used");
    bench_row_time("append 64 KiB, commit", &own, PIECE, "time / bare file's", &ratio,
                   "<= 1.1 of a bare file's", bench_ratio_goal(&ratio, BENCH_AT_MOST, 1.1));
    bench_row_time("grow a bare file, copy 64 KiB", &bare, PIECE, NULL, NULL, NULL, BENCH_NO_GOAL);
}

static void one_element(void) {
    static struct target targets[SIZES] = {
        {.chunk = 1000}, {.chunk = 10000}, {.chunk = 131072}, {.chunk = 1000000}};
    static struct bench_samples bare, lmdb_samples;
    int n = bench_repetitions(25);
    uint64_t total = (uint64_t)(n + 1) * PER_REPETITION * sizeof(double);
    for (int t = 0; t < SIZES; t++) {
        targets[t].segment = bench_segment_name("append");
        targets[t].writer = bench_writer(targets[t].segment, total + total / 4 + (64u << 20), 4);
        targets[t].array = bench_define(targets[t].writer, "array", "f8", 0, targets[t].chunk);
    }
    double *memory = bench_shared_memory(PER_REPETITION * sizeof(double));
    _Atomic uint64_t *length = bench_shared_memory(sizeof(*length));
    char path[64];
    struct bench_lmdb *lmdb = NULL;
    if (bench_lmdb_is_there()) {
        bench_lmdb_make(path);
        lmdb = bench_lmdb_open(path, 16u << 20);
    }
    for (int r = -1; r < n; r++) {
        for (int t = 0; t < SIZES; t++) {
            struct target *target = &targets[(t + r + 1) % SIZES];
            double ns = append(target);
            if (r >= 0)
                bench_add(&target->samples, ns);
        }
        double ns = append_bare(memory, length), lmdb_ns = lmdb ? put_lmdb(lmdb) : 0;
        if (r >= 0)
            bench_add(&bare, ns);
        if (r >= 0 && lmdb)
            bench_add(&lmdb_samples, lmdb_ns);
    }
    if (lmdb) {
        bench_lmdb_close(lmdb);
        bench_lmdb_remove(path);
    }

    bench_section("Appending one float64 per commit, nobody waiting");
    bench_lmdb_note();
    for (int t = 0; t < SIZES; t++) {
        char name[64];
        int subject = targets[t].chunk == 131072;
        struct bench_ratio ratio = bench_paired_ratio(&targets[t].samples, &targets[2].samples);
        snprintf(name, sizeof(name), "append + commit, chunk of %llu",
                 (unsigned long long)targets[t].chunk);
        bench_row_time(name, &targets[t].samples, 0, subject ? NULL : "time / chunk of 131072's",
                       &ratio, subject ? "<= 100 ns (10 M commits/s)" : NULL,
                       subject ? bench_goal(bench_quantile(&targets[t].samples, 0.5) <= 100)
                               : BENCH_NO_GOAL);
    }
    bench_row_time("bare store and released length", &bare, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    bench_row_time("LMDB put transaction", &lmdb_samples, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    for (int t = 0; t < SIZES; t++) {
        check(&targets[t]);
        untorn_writer_close(targets[t].writer);
        bench_segment_remove(targets[t].segment);
    }
}

int main(void) {
    bench_pin(BENCH_WRITER_CORE);
    one_element();
    fresh_memory();
    return 0;
}
