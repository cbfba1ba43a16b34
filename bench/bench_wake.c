// SPDX-License-Identifier: MIT
/*
 * How long after a commit a waiting reader goes on, blocked or spinning, beside
 * a bare futex and a bare spin on a word.
 *
 * First the two that block, then the two that spin take turns, wake by wake.  The reader says that
 * it is about to wait; the writer sleeps half a millisecond, so that the reader is really asleep or
 * spinning, stamps the time, and publishes; the reader takes the time when its wait returns. Ratios
 * are of the medians of blocks of 100 wakes.
 */
#include "support/child.h"
#include "support/report.h"
#include "support/segment.h"

#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 100
#define BLOCKS 30

enum { WAKE = BENCH_FIRST_COMMAND };
enum { TURN_UNTORN, TURN_FUTEX, TURN_SPINNING, TURN_WORD, TURNS };

static int is_commit(int turn) {
    return turn == TURN_UNTORN || turn == TURN_SPINNING;
}

/* word[0]: turns asked for so far; word[1]: the present turn's kind. */
static void writer_main(struct bench_control *control, void *context) {
    untorn_writer *writer = bench_writer(context, 1u << 20, 4);
    untorn_writer_array *array = bench_define(writer, "array", "u8", 8, 8);
    uint64_t data[8] = {0};
    BENCH_MUST(untorn_write(array, NULL, NULL, NULL, data));
    BENCH_MUST(untorn_commit(writer, NULL));
    while (bench_child_wait(control) != BENCH_QUIT) {
        uint64_t done = atomic_load(&control->word[0]);
        while (bench_child_going(control, WAKE)) {
            struct timespec pause = {0, 500000};
            nanosleep(&pause, NULL);
            if (atomic_load(&control->word[0]) == done)
                continue;
            done++;
            data[0] = done;
            int turn = (int)atomic_load(&control->word[1]);
            if (is_commit(turn))
                BENCH_MUST(untorn_write(array, NULL, NULL, NULL, data));
            atomic_store_explicit(&control->stamp, bench_now(), memory_order_relaxed);
            if (is_commit(turn))
                BENCH_MUST(untorn_commit(writer, NULL));
            else
                atomic_fetch_add(&control->futex, 1);
            if (turn == TURN_FUTEX)
                syscall(SYS_futex, &control->futex, FUTEX_WAKE, 1, NULL, NULL, 0);
        }
    }
    untorn_writer_close(writer);
}

/* Nanoseconds from the stamp before publishing to the return of the wait. */
static double wake(struct bench_control *control, untorn_array *array, uint64_t turn) {
    if (is_commit((int)turn)) {
        untorn_result result;
        BENCH_MUST(untorn_peek(array, &result));
        atomic_store(&control->word[1], turn);
        atomic_fetch_add(&control->word[0], 1);
        BENCH_MUST(untorn_wait(array, result.generation, 5000000000));
    } else {
        uint32_t value = atomic_load(&control->futex);
        atomic_store(&control->word[1], turn);
        atomic_fetch_add(&control->word[0], 1);
        while (atomic_load_explicit(&control->futex, memory_order_acquire) == value)
            if (turn == TURN_FUTEX)
                syscall(SYS_futex, &control->futex, FUTEX_WAIT, value, NULL, NULL, 0);
            else
                bench_relax();
    }
    int64_t now = bench_now();
    return (double)(now - atomic_load_explicit(&control->stamp, memory_order_relaxed));
}

static void report(const struct bench_samples *all, const struct bench_samples *medians) {
    struct bench_ratio sleeping = bench_paired_ratio(&medians[TURN_UNTORN], &medians[TURN_FUTEX]);
    struct bench_ratio spinning = bench_paired_ratio(&medians[TURN_SPINNING], &medians[TURN_WORD]);
    bench_section("Waking a waiting reader in another process, on another core");
    bench_note("%d wakes each, taking turns; from before the publication to the wait's return. "
               "Spinning: untorn_reader_options.spin",
               BLOCK * BLOCKS);
    bench_row_time("untorn_wait, asleep", &all[TURN_UNTORN], 0, "time / bare futex's", &sleeping,
                   "at most 1.1 x a bare futex", bench_ratio_goal(&sleeping, BENCH_AT_MOST, 1.1));
    bench_row_time("bare futex", &all[TURN_FUTEX], 0, NULL, NULL, NULL, BENCH_NO_GOAL);
    bench_row_time("untorn_wait, spinning", &all[TURN_SPINNING], 0, "time / bare word's", &spinning,
                   "under 1 us", bench_goal(bench_quantile(&all[TURN_SPINNING], 0.5) < 1000));
    bench_row_time("bare word, spinning", &all[TURN_WORD], 0, NULL, NULL, NULL, BENCH_NO_GOAL);
}

int main(void) {
    static struct bench_samples all[TURNS], block[TURNS], medians[TURNS];
    const char *segment = bench_segment_name("wake");
    struct bench_child child = bench_child_start(writer_main, (void *)(uintptr_t)segment);
    bench_child_ready(&child);
    untorn_reader *sleeper, *spinner;
    untorn_array *arrays[TURNS] = {NULL};
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    BENCH_MUST(untorn_reader_open(segment, &options, &sleeper));
    options.spin = INT64_MAX;
    BENCH_MUST(untorn_reader_open(segment, &options, &spinner));
    BENCH_MUST(untorn_array_open(sleeper, "array", &arrays[TURN_UNTORN]));
    BENCH_MUST(untorn_array_open(spinner, "array", &arrays[TURN_SPINNING]));
    bench_child_command(&child, WAKE);
    /* One pair after the other: what one turn leaves in the caches is part of the next one's. */
    for (int pair = 0; pair < TURNS; pair += 2)
        for (int b = 0; b < BLOCKS; b++) {
            block[pair].count = block[pair + 1].count = 0;
            for (int i = 0; i < BLOCK; i++)
                for (int t = 0; t < 2; t++) {
                    int turn = pair + ((t + i) & 1);
                    double ns = wake(child.control, arrays[turn], (uint64_t)turn);
                    bench_add(&block[turn], ns);
                    bench_add(&all[turn], ns);
                }
            for (int t = pair; t < pair + 2; t++)
                bench_add(&medians[t], bench_quantile(&block[t], 0.5));
        }
    bench_child_stop(&child);
    untorn_reader_close(sleeper);
    untorn_reader_close(spinner);
    bench_segment_remove(segment);
    report(all, medians);
    return 0;
}
