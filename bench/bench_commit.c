// SPDX-License-Identifier: MIT
/*
 * What a commit costs when nobody waits: 64 bytes written and committed, beside
 * the same through a classic seqlock and through an LMDB transaction; whether
 * it makes a system call; and the rate of filling 64 MiB directly in shared
 * memory, beside writing plain shared memory.
 *
 * System calls are found by forbidding them: a child that has warmed up enters
 * a seccomp filter under which any call traps, and then commits.
 *
 * An untorn writer that rewrites an array goes round all the versions it keeps,
 * so the plain writer of 64 MiB goes round as many copies; a second row gives
 * the plain writer that always writes the same 64 MiB.
 */
#include "support/child.h"
#include "support/lmdb_store.h"
#include "support/pattern.h"
#include "support/report.h"
#include "support/segment.h"
#include "support/seqlock.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL 64
#define LARGE (64u << 20)
#define CHUNK (1u << 20)
#define VERSIONS 4
#define COPIES (VERSIONS + 1)

struct small {
    untorn_writer *writer;
    untorn_writer_array *array;
    struct bench_seqlock *seqlock;
    struct bench_lmdb *lmdb;
    uint64_t round;
};

static void small_write(struct small *small) {
    uint64_t data[SMALL / 8];
    bench_pattern_fill(data, sizeof(data), ++small->round, 0);
    BENCH_MUST(untorn_write(small->array, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(small->writer, NULL));
}

static void small_direct(struct small *small) {
    uint64_t index = 0;
    void *memory;
    BENCH_MUST(untorn_chunk_begin(small->array, &index, 0, &memory));
    bench_pattern_fill(memory, SMALL, ++small->round, 0);
    BENCH_MUST(untorn_chunk_done(small->array, &index));
    BENCH_MUST(untorn_commit(small->writer, NULL));
}

static void small_seqlock(struct small *small) {
    bench_seqlock_begin(small->seqlock);
    bench_pattern_fill(small->seqlock->data, SMALL, ++small->round, 0);
    bench_seqlock_end(small->seqlock);
}

static void small_lmdb(struct small *small) {
    uint64_t data[SMALL / 8];
    bench_pattern_fill(data, sizeof(data), ++small->round, 0);
    bench_lmdb_put(small->lmdb, data, sizeof(data));
}

static double measure_small(struct small *small, void (*op)(struct small *), int count) {
    int64_t start = bench_now();
    for (int i = 0; i < count; i++)
        op(small);
    return (double)(bench_now() - start) / count;
}

static void check_small(const char *segment, uint64_t round) {
    untorn_reader *reader;
    untorn_array *array;
    uint64_t data[SMALL / 8];
    BENCH_MUST(untorn_reader_open(segment, NULL, &reader));
    BENCH_MUST(untorn_array_open(reader, "array", &array));
    BENCH_MUST(untorn_read(array, NULL, NULL, data, sizeof(data), NULL));
    if (!bench_pattern_whole(data, sizeof(data)) || data[0] >> BENCH_PATTERN_SHIFT != round)
        bench_die("what was committed is not what is read");
    untorn_reader_close(reader);
}

static void commits(void) {
    static struct {
        const char *name;
        void (*op)(struct small *);
        int count;
        struct bench_samples samples;
    } forms[] = {{"untorn_write + untorn_commit", small_write, 50000, {0}},
                 {"chunk_begin, fill, chunk_done, commit", small_direct, 50000, {0}},
                 {"classic seqlock write", small_seqlock, 50000, {0}},
                 {"LMDB put transaction", small_lmdb, 1000, {0}}};
    const char *segment = bench_segment_name("commit");
    char path[64];
    struct small small = {0};
    small.writer = bench_writer(segment, 1u << 20, VERSIONS);
    small.array = bench_define(small.writer, "array", "u8", SMALL / 8, SMALL / 8);
    small.seqlock = bench_shared_memory(sizeof(*small.seqlock) + SMALL);
    int count = bench_lmdb_is_there() ? 4 : 3;
    if (count == 4) {
        bench_lmdb_make(path);
        small.lmdb = bench_lmdb_open(path, 16u << 20);
    }
    for (int r = -2, n = bench_repetitions(51); r < n; r++)
        for (int f = 0; f < count; f++) {
            int form = (f + r + 2) % count;
            double ns = measure_small(&small, forms[form].op, forms[form].count);
            if (r >= 0)
                bench_add(&forms[form].samples, ns);
        }
    small_write(&small);
    check_small(segment, small.round);
    if (count == 4) {
        bench_lmdb_close(small.lmdb);
        bench_lmdb_remove(path);
    }
    untorn_writer_close(small.writer);

    double best = bench_quantile(&forms[1].samples, 0.5);
    double copied = bench_quantile(&forms[0].samples, 0.5);
    bench_row_time(forms[0].name, &forms[0].samples, 0, NULL, NULL, "<= 120 ns",
                   bench_goal(copied <= 120));
    bench_row_time(forms[1].name, &forms[1].samples, 0, NULL, NULL, "<= 120 ns",
                   bench_goal(best <= 120));
    for (int f = 2; f < 4; f++) {
        struct bench_ratio ratio = bench_paired_ratio(&forms[0].samples, &forms[f].samples);
        bench_row_time(forms[f].name, &forms[f].samples, 0, "untorn_write's time / this", &ratio,
                       NULL, BENCH_NO_GOAL);
    }
}

static struct bench_control *trap_report;

static void on_trap(int signal_number, siginfo_t *info, void *context) {
    (void)signal_number, (void)context;
    atomic_store(&trap_report->word[0], 1);
    atomic_store(&trap_report->word[1], (uint64_t)(unsigned)info->si_syscall);
    _exit(2);
}

/* Every system call traps but those with which the child ends. */
static void forbid_system_calls(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    struct sigaction action = {0};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, NULL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        atomic_store(&trap_report->word[2], 1);
}

static void system_calls(void) {
    const char *segment = bench_segment_name("syscalls");
    const int count = 1000000;
    trap_report = bench_shared_memory(sizeof(*trap_report));
    pid_t pid = fork();
    if (pid == 0) {
        bench_segment_forget_cleanup();
        struct small small = {0};
        small.writer = bench_writer(segment, 1u << 20, VERSIONS);
        small.array = bench_define(small.writer, "array", "u8", SMALL / 8, SMALL / 8);
        for (int i = 0; i < 100000; i++)
            small_write(&small);
        forbid_system_calls();
        for (int i = 0; i < count / 2; i++) {
            small_write(&small);
            small_direct(&small);
            atomic_store_explicit(&trap_report->progress, (uint64_t)i, memory_order_relaxed);
        }
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    bench_segment_remove(segment);
    char figure[64], spread[64] = "";
    if (atomic_load(&trap_report->word[2])) {
        bench_row_text("system calls", "not measured", "no seccomp here", "0", BENCH_NO_GOAL);
        return;
    }
    int trapped = atomic_load(&trap_report->word[0]) != 0;
    if (trapped)
        snprintf(spread, sizeof(spread), "call %d after %llu commits",
                 (int)atomic_load(&trap_report->word[1]),
                 2 * (unsigned long long)atomic_load(&trap_report->progress));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_die("the committing child ended with status 0x%x", (unsigned)status);
    snprintf(figure, sizeof(figure), trapped ? "some" : "0 in %d commits", count);
    bench_row_text("system calls", figure, spread, "0", bench_goal(!trapped));
}

struct large {
    untorn_writer *writer;
    untorn_writer_array *array;
    char *copies;
    uint64_t round;
};

static void large_untorn(struct large *large) {
    large->round++;
    for (uint64_t c = 0; c < LARGE / CHUNK; c++) {
        void *memory;
        BENCH_MUST(untorn_chunk_begin(large->array, &c, 0, &memory));
        bench_pattern_fill(memory, CHUNK, large->round, c * CHUNK / 8);
        BENCH_MUST(untorn_chunk_done(large->array, &c));
    }
    BENCH_MUST(untorn_commit(large->writer, NULL));
}

static void large_plain_at(struct large *large, uint64_t copy) {
    for (uint64_t c = 0; c < LARGE / CHUNK; c++)
        bench_pattern_fill(large->copies + copy * LARGE + c * CHUNK, CHUNK, large->round,
                           c * CHUNK / 8);
    atomic_thread_fence(memory_order_release);
}

static void large_round(struct large *large) {
    large->round++;
    large_plain_at(large, large->round % COPIES);
}

static void large_same(struct large *large) {
    large->round++;
    large_plain_at(large, 0);
}

static void fills(void) {
    static struct {
        const char *name;
        void (*op)(struct large *);
        struct bench_samples samples;
    } forms[] = {{"untorn, 64 MiB in chunks of 1 MiB, and commit", large_untorn, {0}},
                 {"plain memory, round as many copies", large_round, {0}},
                 {"plain memory, always the same 64 MiB", large_same, {0}}};
    const char *segment = bench_segment_name("fill");
    struct large large = {0};
    large.writer = bench_writer(segment, 8 * (uint64_t)LARGE, VERSIONS);
    large.array = bench_define(large.writer, "array", "u8", LARGE / 8, CHUNK / 8);
    large.copies = bench_shared_memory((size_t)COPIES * LARGE);
    for (int i = 0; i < 12; i++)
        large_untorn(&large);
    for (int r = -1, n = bench_repetitions(31); r < n; r++)
        for (int f = 0; f < 3; f++) {
            int form = (f + r + 1) % 3;
            int64_t start = bench_now();
            forms[form].op(&large);
            double ns = (double)(bench_now() - start);
            if (r >= 0)
                bench_add(&forms[form].samples, ns);
        }
    untorn_writer_close(large.writer);
    for (int f = 0; f < 3; f++) {
        struct bench_ratio ratio = bench_paired_ratio(&forms[0].samples, &forms[f].samples);
        bench_row_time(forms[f].name, &forms[f].samples, LARGE, f ? "untorn's time / this" : NULL,
                       &ratio, f == 1 ? "untorn at most 1.05 x this" : NULL,
                       f == 1 ? bench_ratio_goal(&ratio, BENCH_AT_MOST, 1.05) : BENCH_NO_GOAL);
    }
    bench_shared_memory_free(large.copies, (size_t)COPIES * LARGE);
    bench_segment_remove(segment);
}

int main(void) {
    bench_pin(BENCH_WRITER_CORE);
    bench_section("Committing a 64 B array, nobody waiting");
    bench_lmdb_note();
    commits();
    system_calls();
    bench_section("Filling 64 MiB directly in shared memory");
    fills();
    return 0;
}
