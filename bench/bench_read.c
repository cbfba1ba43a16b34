// SPDX-License-Identifier: MIT
/*
 * Reading a whole array, first while the writer sleeps, then while it rewrites
 * the whole array without pause.
 *
 * Reads go in batches into as many buffers as fit in 128 KiB; a batch is timed
 * as a whole, and every word of it checked afterwards, outside the time.  The
 * forms compared take turns within each repetition, so that what the machine
 * does besides meets them all.
 *
 * Under load the yardstick is a memcpy of memory that nobody writes, beside the
 * same rewriting writer.  Beside it stands a memcpy without any protocol of
 * memory that is being rewritten: what the hardware takes for fetching lines
 * that another core has just written, and what no reader of fresh data can
 * beat.  The classic seqlock gets a deadline, since it may never succeed.
 */
#include "support/pattern.h"
#include "support/read_load.h"
#include "support/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define BATCH_BYTES (128u << 10)
#define MAX_FORMS 4

struct form {
    const char *name;
    read_function *read;
    uint32_t load; /* what the writer does meanwhile */
    int checked;   /* whether the data must be whole */
    struct bench_samples samples;
    uint64_t reads, attempts, torn;
};

static char *buffers;

/* Nanoseconds per read, over at least `least` ns of reading. */
static double measure(struct read_load *load, struct form *form, int64_t least) {
    size_t batch = load->bytes < BATCH_BYTES ? BATCH_BYTES / load->bytes : 1;
    int64_t spent = 0;
    uint64_t reads = 0;
    load->reads = load->attempts = 0;
    while (spent < least) {
        int64_t start = bench_now();
        for (size_t i = 0; i < batch; i++)
            form->read(load, buffers + i * load->bytes);
        spent += bench_now() - start;
        reads += batch;
        for (size_t i = 0; form->checked && i < batch; i++)
            form->torn += !bench_pattern_whole(buffers + i * load->bytes, load->bytes);
    }
    form->reads += reads;
    form->attempts += load->attempts ? load->attempts : reads;
    return (double)spent / (double)reads;
}

static int64_t least_time(size_t bytes) {
    int64_t least = bytes >= (16u << 20) ? 20000000 : bytes >= (1u << 20) ? 5000000 : 2000000;
    return (int64_t)((double)least * bench_effort());
}

static void run_forms(struct read_load *load, struct form *forms, int n, int repetitions) {
    for (int i = 0; i < n; i++) { /* warm up */
        bench_child_command(&load->child, forms[i].load);
        measure(load, &forms[i], least_time(load->bytes));
        forms[i].reads = forms[i].attempts = forms[i].torn = 0;
    }
    uint32_t now = forms[n - 1].load;
    for (int r = 0; r < repetitions; r++)
        for (int i = 0; i < n; i++) {
            struct form *form = &forms[(i + r) % n];
            if (form->load != now)
                bench_child_command(&load->child, now = form->load);
            bench_add(&form->samples, measure(load, form, least_time(load->bytes)));
        }
    bench_child_command(&load->child, BENCH_IDLE);
}

static void size_text(char text[32], size_t bytes) {
    if (bytes < 1024)
        snprintf(text, 32, "%zu B", bytes);
    else if (bytes < (1u << 20))
        snprintf(text, 32, "%zu KiB", bytes >> 10);
    else
        snprintf(text, 32, "%zu MiB", bytes >> 20);
}

static void report_torn(const struct form *form, const char *size) {
    char name[96], figure[64];
    snprintf(name, sizeof(name), "%s torn reads, %s", form->name, size);
    snprintf(figure, sizeof(figure), "%llu of %llu", (unsigned long long)form->torn,
             (unsigned long long)form->reads);
    bench_row_text(name, figure, NULL, "0", bench_goal(form->torn == 0));
}

static void row(const struct form *form, const char *size, size_t bytes, const char *against,
                const struct bench_ratio *ratio, const char *goal, enum bench_verdict verdict) {
    char name[96];
    snprintf(name, sizeof(name), "%s, %s", form->name, size);
    bench_row_time(name, &form->samples, (double)bytes, against, ratio, goal, verdict);
}

static void idle(size_t bytes) {
    static struct read_load load;
    static struct form forms[4];
    char size[32];
    size_text(size, bytes);
    memset(&load, 0, sizeof(load));
    memset(forms, 0, sizeof(forms));
    struct form *untorn = &forms[0], *memory = &forms[1], *seqlock = &forms[2], *lmdb = &forms[3];
    *untorn = (struct form){.name = "untorn", .read = read_untorn, .checked = 1};
    *memory = (struct form){.name = "memcpy", .read = read_quiet, .checked = 1};
    *seqlock = (struct form){.name = "classic seqlock", .read = read_seqlock, .checked = 1};
    *lmdb = (struct form){.name = "LMDB get", .read = read_lmdb, .checked = 1};
    int with_lmdb = bench_lmdb_is_there();
    read_load_start(&load, bytes, with_lmdb);
    run_forms(&load, forms, with_lmdb ? 4 : 3, bench_repetitions(bytes >= (16u << 20) ? 25 : 51));
    read_load_stop(&load);

    struct bench_ratio rate = bench_paired_ratio(&memory->samples, &untorn->samples);
    struct bench_ratio to_seqlock = bench_paired_ratio(&untorn->samples, &seqlock->samples);
    struct bench_ratio to_lmdb = bench_paired_ratio(&untorn->samples, &lmdb->samples);
    int large = bytes >= (16u << 20), small = bytes <= 64;
    row(untorn, size, bytes, "rate / memcpy's", &rate, large ? ">= 0.95 of memcpy's rate" : NULL,
        large ? bench_ratio_goal(&rate, BENCH_AT_LEAST, 0.95) : BENCH_NO_GOAL);
    row(seqlock, size, bytes, "untorn's time / this", &to_seqlock,
        small ? "untorn at most 2 x this" : NULL,
        small ? bench_ratio_goal(&to_seqlock, BENCH_AT_MOST, 2) : BENCH_NO_GOAL);
    row(lmdb, size, bytes, "untorn's time / this", &to_lmdb,
        small ? "untorn faster than this" : NULL,
        small ? bench_ratio_goal(&to_lmdb, BENCH_AT_MOST, 1) : BENCH_NO_GOAL);
    row(memory, size, bytes, NULL, NULL, NULL, BENCH_NO_GOAL);
    report_torn(untorn, size);
}

/* How many reads a second the classic seqlock completes, with a deadline. */
static void seqlock_busy(struct read_load *load, const char *size) {
    uint64_t reads = 0, torn = 0, attempts = 0;
    int64_t spent = 0, budget = (int64_t)(300e6 * bench_effort());
    bench_child_command(&load->child, LOAD_SEQLOCK);
    while (spent < budget) {
        int64_t start = bench_now();
        uint64_t tries =
            bench_seqlock_read(load->seqlock, buffers, load->bytes, start + budget - spent);
        spent += bench_now() - start;
        if (!tries)
            break;
        reads++;
        attempts += tries;
        torn += !bench_pattern_whole(buffers, load->bytes);
    }
    bench_child_command(&load->child, BENCH_IDLE);
    char name[96], figure[64], spread[64];
    snprintf(name, sizeof(name), "classic seqlock, %s", size);
    snprintf(figure, sizeof(figure), "%.4g reads/s", (double)reads * 1e9 / (double)spent);
    if (reads)
        snprintf(spread, sizeof(spread), "%.3g attempts/read", (double)attempts / (double)reads);
    else
        snprintf(spread, sizeof(spread), "none succeeded");
    bench_row_text(name, figure, spread, NULL, BENCH_NO_GOAL);
    if (torn)
        bench_die("the seqlock baseline itself is torn");
}

static void busy(size_t bytes) {
    static struct read_load load;
    static struct form forms[3];
    char size[32], name[96], figure[64];
    size_text(size, bytes);
    memset(&load, 0, sizeof(load));
    memset(forms, 0, sizeof(forms));
    struct form *untorn = &forms[0], *quiet = &forms[1], *rewritten = &forms[2];
    *untorn =
        (struct form){.name = "untorn", .read = read_untorn, .load = LOAD_UNTORN, .checked = 1};
    *quiet = (struct form){.name = "memcpy of memory nobody writes",
                           .read = read_quiet,
                           .load = LOAD_UNTORN,
                           .checked = 1};
    *rewritten = (struct form){.name = "memcpy of rewritten memory (torn)",
                               .read = read_rewritten,
                               .load = LOAD_PLAIN,
                               .checked = 0};
    read_load_start(&load, bytes, 0);
    run_forms(&load, forms, 3, bench_repetitions(bytes >= (16u << 20) ? 25 : 51));

    struct bench_ratio rate = bench_paired_ratio(&quiet->samples, &untorn->samples);
    struct bench_ratio fresh = bench_paired_ratio(&rewritten->samples, &untorn->samples);
    /* What is new has to come out of the writer's cache, for memcpy as for anybody. */
    row(untorn, size, bytes, "rate / memcpy's", &fresh, ">= 0.85 of memcpy's, same load",
        bench_ratio_goal(&fresh, BENCH_AT_LEAST, 0.85));
    double wasted = (double)untorn->attempts / (double)untorn->reads - 1;
    snprintf(name, sizeof(name), "untorn attempts wasted per read, %s", size);
    snprintf(figure, sizeof(figure), "%.4f", wasted);
    bench_row_text(name, figure, NULL, "<= 0.05", bench_goal(wasted <= 0.05));
    report_torn(untorn, size);
    row(rewritten, size, bytes, NULL, NULL, NULL, BENCH_NO_GOAL);
    row(quiet, size, bytes, "untorn's rate / this", &rate, NULL, BENCH_NO_GOAL);
    seqlock_busy(&load, size);
    read_load_stop(&load);
}

/* How often something else took the reader's processor: what these figures cannot be blamed for. */
static long preemptions(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
}

int main(void) {
    static const size_t sizes[] = {64, 4096, 1u << 20, 64u << 20};
    buffers = bench_private_memory(64u << 20);
    bench_section("Reading a whole array, the writer alive and asleep");
    bench_lmdb_note();
    bench_note("64 MiB in chunks of 1 MiB");
    for (int i = 0; i < 4; i++)
        idle(sizes[i]);
    bench_section("Reading a whole array while the writer rewrites it without pause");
    bench_note(
        "The rate to compare with is that of memcpy of memory which another process rewrites in "
        "the same way: what is new comes out of the writer's cache, for memcpy, too. Beside it, "
        "memcpy of memory that nobody writes and the reader's own cache holds");
    long before = preemptions();
    for (int i = 1; i < 4; i++)
        busy(sizes[i]);
    bench_note("the reader was preempted %ld times meanwhile, by something else on this machine",
               preemptions() - before);
    return 0;
}
