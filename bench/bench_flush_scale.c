// SPDX-License-Identifier: MIT
/*
 * What a flush costs by the number of chunks that did not change: 10^4, 10^5
 * and 10^6 chunks, in memory and on a disk.
 *
 *   one chunk of the array changed   each of the others is linked again, beside
 *                                    a loop of link(2) over the same files
 *   another, small array changed     the array is linked as a whole
 *
 * The segments of all sizes live at once and take turns, as do flush and loop,
 * so that a slow minute of the machine hits all alike.  Chunks of 64 bytes: what
 * grows is the number of files, never the data.
 *
 * The first flush makes every file and syncs it, which takes long on a disk.  It
 * is timed for the least size; the others are made without syncs, by an fsync()
 * of this program's own, and synced as a whole.  A size that would take more than
 * BENCH_SCALE_SECONDS (default 1800, times BENCH_EFFORT), judged by the one
 * before, is left out, and the table says so.
 */
#include "support/points.h"
#include "support/report.h"
#include "support/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK 64u
#define SIZES 3
#define REPETITIONS 15 /* with the usual effort: as many pairs as a goal needs */
#define PASSES 24      /* over all chunks, that measuring takes, as a guess */

struct target {
    uint64_t chunks;
    char directory[BENCH_PATH], store[BENCH_PATH];
    const char *segment;
    untorn_writer *writer;
    untorn_writer_array *large, *small;
    uint64_t round;
    struct bench_samples linked, links, synced, whole;
};

/* The library's syncs come here, since it is linked statically. */
static int without_syncs;
int fsync(int fd) {
    return without_syncs ? 0 : (int)syscall(SYS_fsync, fd);
}

static void write_chunk(struct target *target, untorn_writer_array *array, uint64_t chunk) {
    uint64_t data[CHUNK / 8], start = chunk * (CHUNK / 8), count = CHUNK / 8;
    for (uint64_t i = 0; i < CHUNK / 8; i++)
        data[i] = (target->round << 24) + start + i + 1;
    BENCH_MUST(untorn_write(array, &start, &count, NULL, data));
}

static double flush_after(struct target *target, untorn_writer_array *array, uint64_t chunk) {
    target->round++;
    write_chunk(target, array, chunk);
    BENCH_MUST(untorn_commit(target->writer, NULL));
    int64_t start = bench_now();
    BENCH_MUST(untorn_flush(target->writer, NULL));
    return (double)(bench_now() - start);
}

/* A segment and its store, with all chunks written and flushed; returns the flush's time. */
static double make_target(struct target *target, enum bench_medium medium, uint64_t chunks,
                          int synced) {
    target->chunks = chunks;
    target->round = 0;
    bench_scratch(medium, target->directory);
    bench_join(target->store, target->directory, "store");
    target->segment = bench_segment_name("scale");
    target->writer =
        bench_store_writer(target->segment, (64u << 20) + chunks * 320, target->store, 1);
    target->large =
        bench_define_stored(target->writer, "large", "u8", chunks * (CHUNK / 8), CHUNK / 8, "none");
    target->small =
        bench_define_stored(target->writer, "small", "u8", CHUNK / 8, CHUNK / 8, "none");
    for (uint64_t c = 0; c < chunks; c++)
        write_chunk(target, target->large, c);
    without_syncs = !synced;
    double ns = flush_after(target, target->small, 0);
    without_syncs = 0;
    sync();
    return ns;
}

static void remove_target(struct target *target) {
    bench_store_close(target->writer, target->segment);
    bench_remove_tree(target->directory);
}

/* Link every file of the large array's newest directory into a new one.  Only the calls are
 * timed; *sync gets the time with the sync of the directory that a flush does as well. */
static double link_all(struct target *target, double *sync) {
    char from[BENCH_PATH], to[BENCH_PATH];
    bench_stored_array(target->store, "large", from);
    bench_join(to, target->directory, "links");
    if (mkdir(to, 0700) != 0)
        bench_die("%s: %s", to, strerror(errno));
    int from_fd = open(from, O_RDONLY | O_DIRECTORY), to_fd = open(to, O_RDONLY | O_DIRECTORY);
    DIR *directory = opendir(from);
    if (from_fd < 0 || to_fd < 0 || !directory)
        bench_die("%s: %s", from, strerror(errno));
    /* in the order in which a flush goes: by number */
    uint64_t linked = 0;
    int64_t start = bench_now();
    for (uint64_t c = 0; c < target->chunks; c++) {
        char name[24];
        snprintf(name, sizeof(name), "%llu", (unsigned long long)c);
        linked += linkat(from_fd, name, to_fd, name, 0) == 0;
    }
    double ns = (double)(bench_now() - start);
    if (linked != target->chunks)
        bench_die("%s: only %llu of %llu files could be linked", from, (unsigned long long)linked,
                  (unsigned long long)target->chunks);
    if (fsync(to_fd) != 0)
        bench_die("fsync: %s", strerror(errno));
    *sync = (double)(bench_now() - start);
    closedir(directory);
    close(from_fd);
    close(to_fd);
    bench_remove_tree(to);
    return ns;
}

/* Divided by the number of chunks, so that rows of different sizes compare.  A flush returns before
 * the snapshot that it replaces is removed; the next one waits for that, and takes it out of the
 * way of what is timed then. */
static void measure(struct target *target, int counted) {
    double chunks = (double)target->chunks, synced;
    uint64_t chunk = target->round * 7919 % target->chunks;
    double linked = flush_after(target, target->large, chunk);
    flush_after(target, target->small, 0);
    double links = link_all(target, &synced);
    double whole = flush_after(target, target->small, 0);
    if (!counted)
        return;
    bench_add(&target->linked, linked / chunks);
    bench_add(&target->links, links / chunks);
    bench_add(&target->synced, synced / chunks);
    bench_add(&target->whole, whole);
}

static int power_of(uint64_t chunks) {
    return (int)lround(log10((double)chunks));
}

static void report(struct target *target, struct target *least, const char *where) {
    char name[96];
    int power = power_of(target->chunks);
    struct bench_ratio bare = bench_paired_ratio(&target->linked, &target->links);
    struct bench_ratio with_sync = bench_paired_ratio(&target->linked, &target->synced);
    struct bench_ratio to_least = bench_paired_ratio(&target->whole, &least->whole);
    snprintf(name, sizeof(name), "flush of one chunk of 10^%d, %s, per chunk", power, where);
    bench_row_time(name, &target->linked, 0, "this / link(2)", &bare, "<= 1.5 x link(2)",
                   bench_ratio_goal(&bare, BENCH_AT_MOST, 1.5));
    snprintf(name, sizeof(name), "link(2), 10^%d, %s, per chunk", power, where);
    bench_row_time(name, &target->links, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "link(2) and fsync of the directory, 10^%d, %s", power, where);
    bench_row_time(name, &target->synced, 0, "the flush / this", &with_sync, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "flush beside an unchanged array of 10^%d, %s", power, where);
    bench_row_time(name, &target->whole, 0, target == least ? NULL : "this / the least array's",
                   &to_least, target == least ? NULL : "<= 1.25 x the least array's",
                   target == least ? BENCH_NO_GOAL
                                   : bench_ratio_goal(&to_least, BENCH_AT_MOST, 1.25));
}

/* In all, not per chunk: what a user waits for. */
static void plot(const struct target *target, const char *where) {
    static struct bench_samples flush, links;
    double chunks = (double)target->chunks;
    char name[96];
    flush.count = links.count = 0;
    for (int i = 0; i < target->linked.count; i++) {
        bench_add(&flush, target->linked.value[i] * chunks);
        bench_add(&links, target->links.value[i] * chunks);
    }
    snprintf(name, sizeof(name), "flush, one chunk changed, %s", where);
    bench_plot_samples(name, chunks, &flush);
    snprintf(name, sizeof(name), "link(2) of as many files, %s", where);
    bench_plot_samples(name, chunks, &links);
    snprintf(name, sizeof(name), "flush, another array changed, %s", where);
    bench_plot_samples(name, chunks, &target->whole);
}

/* Whether it fits and can be measured in time; if not, a row says why. */
static int worth_it(enum bench_medium medium, uint64_t chunks, double ns_per_chunk,
                    const char *where) {
    const char *text = getenv("BENCH_SCALE_SECONDS");
    double limit = (text ? atof(text) : 1800) * bench_effort();
    double seconds = PASSES * ns_per_chunk * (double)chunks / 1e9;
    uint64_t bytes, files;
    char name[96], reason[96];
    bench_room(medium, &bytes, &files);
    snprintf(name, sizeof(name), "10^%d chunks, %s", power_of(chunks), where);
    /* Links count as files on tmpfs: there are two of each at a time. */
    if (bytes / 2 < chunks * 5200 || files / 12 * 5 < chunks)
        snprintf(reason, sizeof(reason), "no room for the files");
    else if (seconds > limit)
        snprintf(reason, sizeof(reason), "would take about %.0f s", seconds);
    else
        return 1;
    bench_row_text(name, "left out", reason, NULL, BENCH_NO_GOAL);
    return 0;
}

/* The time of a first flush, per chunk, that a size is judged by and, for the least, shown. */
static double first_flush(struct target *target, enum bench_medium medium, uint64_t chunks,
                          const char *where, int shown) {
    static struct bench_samples made;
    char name[96];
    double ns = make_target(target, medium, chunks, shown) / (double)chunks;
    made.count = 0;
    bench_add(&made, ns);
    snprintf(name, sizeof(name), "first flush of 10^%d chunks, %s, per chunk", power_of(chunks),
             where);
    if (shown)
        bench_row_time(name, &made, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    return ns;
}

static void scale(enum bench_medium medium) {
    static const uint64_t sizes[SIZES] = {10000, 100000, 1000000};
    static struct target targets[SIZES], trial;
    const char *where = bench_file_system(medium);
    double effort = bench_effort();
    int count = 0;
    memset(targets, 0, sizeof(targets));
    double ns = make_target(&trial, medium, 1000, 0) / 1000;
    remove_target(&trial);
    for (; count < SIZES && worth_it(medium, sizes[count], ns, where); count++) {
        double first = first_flush(&targets[count], medium, sizes[count], where, count == 0);
        ns = count == 0 ? ns : first; /* without syncs */
    }
    for (int r = -1; r < 1000; r++) {
        int left = 0;
        for (int t = 0; t < count; t++) {
            struct target *target = &targets[(t + r + 1) % count];
            int wanted = (int)(REPETITIONS * effort);
            if (r < (wanted < 5 ? 5 : wanted))
                measure(target, r >= 0), left = 1;
        }
        if (!left)
            break;
    }
    for (int t = 0; t < count; t++)
        report(&targets[t], &targets[0], where), plot(&targets[t], where);
    for (int t = 0; t < count; t++) {
        bench_store_verify(targets[t].store);
        remove_target(&targets[t]);
    }
}

int main(void) {
    bench_section("Flushing by the number of chunks that did not change");
    bench_note(
        "chunks of 64 B, codec none; per chunk: the time divided by all chunks of the array; "
        "one snapshot is kept; the one before is removed after the flush has returned");
    bench_plot_begin("flush_scale", "A flush by the chunks of an array",
                     (struct bench_axis){"chunks", "", 1}, (struct bench_axis){"time", "ns", 1});
    scale(BENCH_TMPFS);
    scale(BENCH_DISK);
    bench_plot_end();
    bench_note(
        "what is linear is one name per chunk in a new directory. Fewer files would lift it: "
        "several chunks in one file (the shards of Zarr 3), or a directory per part of the "
        "grid, shared by a link of its own as whole arrays are");
    return 0;
}
