// SPDX-License-Identifier: MIT
/*
 * Rows as a benchmark writes them, for check_report.py: ratios of 14 and 15
 * pairs, from 0.90 up in steps of 0.01, against goals that their interval's ends
 * just reach or just miss.  The 95 % interval of 15 pairs goes from the 4th to
 * the 12th, 0.93 to 1.01; that of 2000 from the 956th, 10.46.  One was not
 * measured at all.
 */
#include "support/report.h"

#include <stddef.h>

static struct bench_ratio ratio_of(int pairs, struct bench_samples *these) {
    static struct bench_samples ones;
    these->count = ones.count = 0;
    for (int i = 0; i < pairs; i++) {
        bench_add(these, 0.90 + 0.01 * ((i * 7) % pairs));
        bench_add(&ones, 1);
    }
    return bench_paired_ratio(these, &ones);
}

static void row(const char *name, int pairs, enum bench_side side, double goal) {
    static struct bench_samples these;
    struct bench_ratio ratio = ratio_of(pairs, &these);
    bench_row_time(name, &these, 0, "this / one", &ratio, name,
                   bench_ratio_goal(&ratio, side, goal));
}

int main(void) {
    bench_section("Goals");
    row("15 at least 1.005", 15, BENCH_AT_LEAST, 1.005);
    row("15 at least 1.015", 15, BENCH_AT_LEAST, 1.015);
    row("15 at most 0.935", 15, BENCH_AT_MOST, 0.935);
    row("15 at most 0.925", 15, BENCH_AT_MOST, 0.925);
    row("2000 at most 10.6", 2000, BENCH_AT_MOST, 10.6);
    row("2000 at most 10.3", 2000, BENCH_AT_MOST, 10.3);
    row("14 at least 0.5", 14, BENCH_AT_LEAST, 0.5);
    row("14 at most 0.5", 14, BENCH_AT_MOST, 0.5);
    static const struct bench_samples none;
    const struct bench_ratio nothing = bench_paired_ratio(&none, &none);
    bench_row_time("not measured", &none, 64, "this / one", &nothing, "at most 1",
                   bench_ratio_goal(&nothing, BENCH_AT_MOST, 1));
    bench_row_text("counted", "0", NULL, "0", bench_goal(1));
    return 0;
}
