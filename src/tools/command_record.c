// SPDX-License-Identifier: MIT
/*
 * untorn record: this machine's kernel counters as growing arrays, a row and a commit per sample.
 *
 * Sample k is due at start + k / rate on CLOCK_MONOTONIC, an absolute deadline, so that the time
 * sampling takes does not add up.  A sample that begins more than a period late is counted as late
 * and takes the place of those that it missed: no burst to catch up.
 */
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/kernel_counters.h"
#include "tools/progress.h"
#include "tools/recording.h"
#include "tools/say.h"
#include "tools/session.h"

#include <string.h>
#include <time.h>

#define MAX_RATE 1e6

struct pace {
    double rate;      /* samples a second */
    int64_t duration; /* ns, 0: no end */
    uint64_t most;    /* rows, 0: no end */
    int64_t start;    /* CLOCK_MONOTONIC */
    int64_t first;    /* when the first and the last sample began */
    int64_t last;
    uint64_t turn; /* k of the next sample */
    uint64_t rows;
    uint64_t late;
    uint64_t missed;
};

static int64_t wall_now(void) {
    // Not the coarse clock: at a thousand rows a second its ticks would be the differences.
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t due(const struct pace *pace, uint64_t turn) {
    return pace->start + (int64_t)((double)turn * 1e9 / pace->rate + 0.5);
}

/* Sleep until the next sample is due; false at the end of the recording. */
static bool await_turn(struct pace *pace) {
    if (pace->most && pace->rows == pace->most)
        return false;
    int64_t deadline = due(pace, pace->turn);
    if (pace->duration && deadline - pace->start >= pace->duration)
        return false;
    if (!ut_cli_interrupt_sleep_until(deadline))
        return false;
    int64_t now = ut_cli_monotonic_now();
    if (now >= due(pace, pace->turn + 1)) {
        uint64_t turn = pace->turn;
        pace->late++;
        while (due(pace, turn + 1) <= now) {
            // Far behind (a suspended machine): jump instead of counting one by one.
            uint64_t jump = (uint64_t)((double)(now - due(pace, turn + 1)) * pace->rate / 1e9);
            turn += jump ? jump : 1;
        }
        pace->missed += turn - pace->turn;
        pace->turn = turn;
    }
    if (pace->rows == 0)
        pace->first = now;
    pace->last = now;
    pace->turn++;
    return true;
}

static double rate_reached(const struct pace *pace) {
    if (pace->rows < 2 || pace->last == pace->first)
        return 0;
    return (double)(pace->rows - 1) * 1e9 / (double)(pace->last - pace->first);
}

static int record(struct ut_recording *recording, struct pace *pace) {
    int exit_status = 0;
    pace->start = ut_cli_monotonic_now();
    while (exit_status == 0 && await_turn(pace)) {
        exit_status = ut_cli_kernel_counters_sample(recording->counters);
        if (exit_status == 0)
            exit_status = ut_cli_recording_append(recording, wall_now());
        if (exit_status == 0)
            pace->rows++;
        if (ut_cli_progress_due())
            ut_cli_progress_show("recording: %llu rows, %.1f a second, %llu late",
                                 (unsigned long long)pace->rows, rate_reached(pace),
                                 (unsigned long long)pace->late);
    }
    ut_cli_progress_clear();
    ut_cli_say("recorded %llu rows in %.1f s, %.1f a second, %llu late (%llu samples missed); the "
               "arrays have %llu rows",
               (unsigned long long)pace->rows, (double)(ut_cli_monotonic_now() - pace->start) / 1e9,
               rate_reached(pace), (unsigned long long)pace->late, (unsigned long long)pace->missed,
               (unsigned long long)recording->rows);
    return exit_status;
}

static int parse_pace(const struct ut_arguments *arguments, struct pace *pace) {
    memset(pace, 0, sizeof *pace);
    pace->rate = 10;
    int exit_status = ut_cli_option_positive(arguments, "rate", &pace->rate);
    if (exit_status == 0)
        exit_status = ut_cli_option_duration(arguments, "for", &pace->duration);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "max-rows", 1, UINT64_MAX, &pace->most);
    if (exit_status == 0 && (pace->rate > MAX_RATE || pace->rate < 1e-6))
        exit_status = ut_cli_say_usage("--rate: %s is not between 0.000001 and %.0f",
                                       ut_cli_option(arguments, "rate"), MAX_RATE);
    if (exit_status == 0 && ut_cli_option(arguments, "for") && pace->duration == 0)
        exit_status = ut_cli_say_usage("--for: the time must be above 0");
    return exit_status;
}

static int run(const struct ut_arguments *arguments) {
    const char *segment = arguments->operands[0];
    const char *group = ut_cli_option(arguments, "group");
    const char *directory = ut_cli_option(arguments, "proc");
    group = group ? group : "kernel";
    if (strlen(group) > UNTORN_MAX_NAME - 8)
        return ut_cli_say_usage("--group: the name is too long");
    struct pace pace;
    int exit_status = parse_pace(arguments, &pace);
    if (exit_status)
        return exit_status;

    struct ut_kernel_counters counters;
    struct ut_recording recording;
    untorn_writer *writer = NULL;
    ut_cli_interrupt_catch();
    exit_status = ut_cli_kernel_counters_open(directory ? directory : "/proc", &counters);
    if (exit_status == 0)
        exit_status = ut_cli_session_open(arguments, segment, 0, &writer);
    if (exit_status == 0)
        exit_status = ut_cli_recording_open(segment, group, writer, &counters, &recording);
    if (exit_status == 0)
        exit_status = record(&recording, &pace);
    exit_status = ut_cli_session_close(writer, exit_status);
    ut_cli_kernel_counters_close(&counters);
    return exit_status;
}

static const struct ut_option options[] = {
    {"rate", 0, "HZ", "samples a second (default 10)"},
    {"for", 0, "SECONDS", "end after this time, such as 60 or 2h (default: when interrupted)"},
    {"max-rows", 0, "N", "end after N rows"},
    {"group", 0, "NAME", "the group that holds the arrays (default kernel)"},
    {"proc", 0, "DIR", "where the kernel's files are (default /proc)"},
    UT_SEGMENT_OPTIONS,
    UT_STORE_OPTIONS,
    {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_record = {
    .name = "record",
    .operands = "SEGMENT [options]",
    .summary = "record this machine's kernel counters as growing arrays",
    .notes =
        "Each sample is one commit, which makes all arrays of the group one row longer:\n"
        "\n"
        "  time    int64  [t]                 ns since 1970, strictly increasing\n"
        "  cpu     uint64 [t, cpu, field]     /proc/stat\n"
        "  memory  uint64 [t, field]          /proc/meminfo, bytes\n"
        "  disk    uint64 [t, device, field]  /proc/diskstats, without ram* and loop*\n"
        "  check   uint64 [t]                 64-bit FNV-1a hash of the row's little-endian bytes\n"
        "                                     in the arrays above, in this order\n"
        "\n"
        "Files that do not exist are left out. Names and units are in the attributes. A segment\n"
        "that holds a recording of this machine is continued; a recording of another one is\n"
        "refused. Should the clock be behind the last time recorded, times go on by a nanosecond\n"
        "each. A processor or device that disappears keeps its last values.\n"
        "\n"
        "Ends when interrupted, with status 0. When the segment is full it ends with status 1;\n"
        "all rows recorded so far stay.\n"
        "\n" UT_STORE_NOTES,
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
