// SPDX-License-Identifier: MIT
/*
 * What size costs: a commit and a read of one chunk in an array of a million
 * chunks beside one of 16, and attaching to a segment of ten thousand arrays.
 *
 * One process writes and reads in turn, so both sides' tables count.  Chunks
 * are drawn at random.  A million chunks of 512 B are half a gigabyte and miss
 * every cache where 16 chunks miss none; what that alone costs is shown by plain
 * memory of the same two sizes, and what the deeper table alone costs by 16
 * chunks spread over the array of a million.  Attaching is timed in a fresh
 * process each time, opening the segment and a random array.
 */
#include "support/child.h"
#include "support/pattern.h"
#include "support/report.h"
#include "support/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 512
#define MANY 1000000
#define FEW 16
#define PER_REPETITION 2000
#define ARRAYS 10000

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

struct target {
    const char *array_name;
    uint64_t chunks;
    uint64_t drawn; /* how many of them are drawn from, evenly spread */
    untorn_writer *writer;
    untorn_writer_array *array;
    untorn_array *view;
    char *plain;
    uint64_t round;
    struct bench_samples commit, read, both, bare, wait;
};

static void write_chunk(struct target *target, uint64_t index) {
    void *memory;
    BENCH_MUST(untorn_chunk_begin(target->array, &index, 0, &memory));
    bench_pattern_fill(memory, CHUNK, target->round, 0);
    BENCH_MUST(untorn_chunk_done(target->array, &index));
}

static void draw(const struct target *target, uint64_t *chunk) {
    for (int i = 0; i < PER_REPETITION; i++)
        chunk[i] = random_below(target->drawn) * (target->chunks / target->drawn);
}

/* Time of reading one word of each of the chunks in plain memory, where the next is known only when
 * the word is there, as a chunk's place is only when its leaf is. */
static int64_t wait_for_each(const struct target *target, const uint64_t *chunk) {
    int64_t start = bench_now();
    uint64_t word = 0;
    for (int i = 0; i < PER_REPETITION; i++) {
        const char *at = target->plain + chunk[i] * CHUNK + (word & 1) * 8;
        memcpy(&word, at, sizeof(word));
        __asm__ volatile("" : "+r"(word));
    }
    return bench_now() - start;
}

/* Times of writing, committing and reading one chunk, and of doing so in plain memory. */
static void measure(struct target *target, int counted) {
    static uint64_t chunk[PER_REPETITION];
    int64_t commit = 0, read = 0;
    char data[CHUNK];
    draw(target, chunk);
    for (int i = 0; i < PER_REPETITION; i++) {
        uint64_t start = chunk[i] * CHUNK / 8, count = CHUNK / 8;
        int64_t t0 = bench_now();
        target->round++;
        write_chunk(target, chunk[i]);
        BENCH_MUST(untorn_commit(target->writer, NULL));
        int64_t t1 = bench_now();
        BENCH_MUST(untorn_read(target->view, &start, &count, data, sizeof(data), NULL));
        int64_t t2 = bench_now();
        commit += t1 - t0;
        read += t2 - t1;
        uint64_t first;
        memcpy(&first, data, sizeof(first));
        if (!bench_pattern_whole(data, CHUNK) || first >> BENCH_PATTERN_SHIFT != target->round)
            bench_die("chunk %llu reads wrong", (unsigned long long)chunk[i]);
    }
    int64_t start = bench_now();
    for (int i = 0; i < PER_REPETITION; i++) {
        bench_pattern_fill(target->plain + chunk[i] * CHUNK, CHUNK, target->round, 0);
        atomic_thread_fence(memory_order_release);
        memcpy(data, target->plain + chunk[i] * CHUNK, CHUNK);
        atomic_thread_fence(memory_order_acquire);
    }
    int64_t bare = bench_now() - start;
    draw(target, chunk); /* others, which are in no cache yet */
    int64_t wait = wait_for_each(target, chunk);
    if (!counted)
        return;
    bench_add(&target->commit, (double)commit / PER_REPETITION);
    bench_add(&target->read, (double)read / PER_REPETITION);
    bench_add(&target->both, (double)(commit + read) / PER_REPETITION);
    bench_add(&target->bare, (double)bare / PER_REPETITION);
    bench_add(&target->wait, (double)wait / PER_REPETITION);
}

static void report(const char *what, const struct bench_samples *many,
                   const struct bench_samples *spread, const struct bench_samples *few,
                   int with_goal) {
    char name[96];
    struct bench_ratio ratio = bench_paired_ratio(many, few);
    snprintf(name, sizeof(name), "%s, any of a million", what);
    bench_row_time(name, many, 0, "time / of 16's", &ratio, with_goal ? "at most 2 x" : NULL,
                   with_goal ? bench_ratio_goal(&ratio, BENCH_AT_MOST, 2) : BENCH_NO_GOAL);
    ratio = bench_paired_ratio(spread, few);
    snprintf(name, sizeof(name), "%s, of 16 in the million", what);
    bench_row_time(name, spread, 0, "time / of 16's", &ratio, NULL, BENCH_NO_GOAL);
    snprintf(name, sizeof(name), "%s, of 16", what);
    bench_row_time(name, few, 0, NULL, NULL, NULL, BENCH_NO_GOAL);
}

static void define(struct target *target, untorn_writer *writer) {
    target->writer = writer;
    target->array =
        bench_define(writer, target->array_name, "u8", target->chunks * CHUNK / 8, CHUNK / 8);
    target->plain = bench_shared_memory(target->chunks * CHUNK);
    target->round = 1;
    for (uint64_t i = 0; i < target->chunks; i++)
        write_chunk(target, i);
}

static void chunks(void) {
    static struct target targets[3] = {
        {.array_name = "many", .chunks = MANY, .drawn = MANY},
        {.array_name = "many", .chunks = MANY, .drawn = FEW},
        {.array_name = "few", .chunks = FEW, .drawn = FEW},
    };
    struct target *many = &targets[0], *spread = &targets[1], *few = &targets[2];
    const char *segment = bench_segment_name("scale");
    untorn_writer *writer = bench_writer(segment, 1u << 30, 4);
    untorn_reader *reader;
    define(many, writer);
    define(few, writer);
    BENCH_MUST(untorn_commit(writer, NULL));
    spread->writer = writer;
    spread->array = many->array;
    spread->plain = many->plain;
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    for (int t = 0; t < 3; t++)
        BENCH_MUST(untorn_array_open(reader, targets[t].array_name, &targets[t].view));
    /* BENCH_PROFILE=1 perf record ...: mostly the costly case. */
    if (getenv("BENCH_PROFILE") != NULL)
        for (int r = 0; r < 4000000 / PER_REPETITION; r++)
            measure(many, 0);
    for (int r = -3, n = bench_repetitions(51); r < n; r++)
        for (int t = 0; t < 3; t++)
            measure(&targets[(t + r + 3) % 3], r >= 0);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    bench_segment_remove(segment);
    bench_shared_memory_free(many->plain, many->chunks * CHUNK);
    bench_shared_memory_free(few->plain, few->chunks * CHUNK);

    bench_section("One chunk of 512 B in an array of a million chunks and of 16");
    bench_note(
        "What the table's four levels cost shows where 16 chunks, spread over the million, are "
        "used: all is in the caches then. Where any is, a commit waits for the chunk's leaf, of "
        "which there are 16 MB, and where that lies only the table tells; the slot is known before "
        "and fetched ahead. So any costs at least what 16 do and one wait for memory (the last "
        "rows', in pages of 4 KiB; about two thirds of that in pages of 2 MiB): more than 2 x");
    report("fill, commit, read", &many->both, &spread->both, &few->both, 1);
    report("fill, commit", &many->commit, &spread->commit, &few->commit, 0);
    report("read", &many->read, &spread->read, &few->read, 0);
    report("fill, read plain memory", &many->bare, &spread->bare, &few->bare, 0);
    report("wait for plain memory", &many->wait, &spread->wait, &few->wait, 0);
}

/* In a fresh process: nanoseconds to attach and to open one array. */
static double attach(const char *segment, const char *name) {
    struct bench_control *shared = bench_shared_memory(sizeof(*shared));
    pid_t pid = fork();
    if (pid == 0) {
        bench_segment_forget_cleanup();
        untorn_reader *reader;
        untorn_array *array;
        int64_t start = bench_now();
        BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
        BENCH_MUST(untorn_array_open(reader, name, &array));
        atomic_store(&shared->stamp, bench_now() - start);
        uint64_t value;
        BENCH_MUST(untorn_read(array, NULL, NULL, &value, sizeof(value), NULL));
        if (value != strtoull(name + 6, NULL, 10))
            bench_die("array %s reads %llu", name, (unsigned long long)value);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status != 0)
        bench_die("the attaching child failed");
    double ns = (double)atomic_load(&shared->stamp);
    bench_shared_memory_free(shared, sizeof(*shared));
    return ns;
}

static void arrays(void) {
    static struct bench_samples samples;
    const char *segment = bench_segment_name("attach");
    pid_t pid = fork(); /* the writer closes before anyone attaches, as a segment at rest */
    if (pid == 0) {
        bench_segment_forget_cleanup();
        untorn_writer *writer = bench_writer(segment, 512u << 20, 4);
        for (uint64_t i = 0; i < ARRAYS; i++) {
            char name[32];
            snprintf(name, sizeof(name), "g%03u/a%u", (unsigned)(i / 100), (unsigned)i);
            untorn_writer_array *array = bench_define(writer, name, "u8", 1, 1);
            BENCH_MUST(untorn_write(array, NULL, NULL, NULL, &i));
        }
        BENCH_MUST(untorn_commit(writer, NULL));
        untorn_writer_close(writer);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status != 0)
        bench_die("the defining child failed");
    for (int r = 0, n = bench_repetitions(101); r < n; r++) {
        char name[32];
        unsigned i = (unsigned)random_below(ARRAYS);
        snprintf(name, sizeof(name), "g%03u/a%u", i / 100, i);
        bench_add(&samples, attach(segment, name));
    }
    bench_segment_remove(segment);
    bench_section("Attaching to a segment of 10,000 arrays");
    bench_row_time("untorn_reader_open + untorn_array_open", &samples, 0, NULL, NULL, "under 5 ms",
                   bench_goal(bench_quantile(&samples, 0.5) < 5e6));
}

int main(void) {
    bench_pin(BENCH_READER_CORE);
    chunks();
    arrays();
    return 0;
}
