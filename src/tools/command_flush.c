// SPDX-License-Identifier: MIT
/*
 * untorn flush: bring the last commit into the segment's store, or into another one.
 *
 * A live writer is asked to; if there is none, this process becomes the writer for as long as it
 * takes.  Between the two looks a writer may come or go, so each sends to the other, a bounded
 * number of times.
 */
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/notice.h"
#include "tools/progress.h"
#include "tools/say.h"
#include "tools/store_operand.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define SLICE_NS 1000000000
#define PAUSE_NS 100000000
#define TURNS 20 /* from asking to flushing and back */

static int print_path(const char *store, uint64_t commit) {
    char *resolved = realpath(store, NULL);
    printf("%s/snapshots/%llu\n", resolved ? resolved : store, (unsigned long long)commit);
    free(resolved);
    return ut_cli_command_finish_printing();
}

/* Ask the live writer, in slices, so that progress is shown. */
static untorn_status ask_writer(untorn_reader *reader, int64_t timeout, uint64_t *commit) {
    int64_t end = ut_cli_monotonic_now() + timeout;
    // Each slice asks anew, for a flush that begins after: one has to outlast two slow flushes.
    for (int64_t longest = SLICE_NS;; longest += longest) {
        int64_t slice = longest;
        if (timeout >= 0 && end - ut_cli_monotonic_now() < slice)
            slice = end - ut_cli_monotonic_now();
        untorn_status status = untorn_request_flush(reader, slice > 0 ? slice : 0, commit);
        if (status != UNTORN_E_TIMEOUT || ut_cli_interrupted())
            return status;
        if (timeout >= 0 && ut_cli_monotonic_now() >= end)
            return status;
        untorn_flush_state state;
        if (ut_cli_progress_due() && untorn_reader_flush_state(reader, &state) == UNTORN_OK)
            ut_cli_progress_show(
                "waiting for the writer's flush of commit %llu; the store has %llu",
                (unsigned long long)untorn_reader_commit(reader),
                (unsigned long long)state.flushed_commit);
    }
}

/* Become the writer, flush, and close.  The exit status; it has been said.  *busy: there is a
 * writer again, whom `sentence` names, and nothing was said. */
static int flush_alone(const char *segment, const char *store, bool *busy, char *sentence,
                       size_t size) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = UNTORN_ADOPT_ONLY;
    options.notify = ut_cli_notice;
    untorn_writer *writer;
    untorn_status status = untorn_writer_open(segment, &options, &writer);
    *busy = status == UNTORN_E_BUSY;
    if (*busy) {
        snprintf(sentence, size, "%s", untorn_message());
        return UT_EXIT_FAILED;
    }
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    uint64_t commit;
    status = untorn_flush(writer, &commit);
    int exit_status = status == UNTORN_OK ? print_path(store, commit) : ut_cli_say_status(status);
    untorn_writer_close(writer);
    return exit_status;
}

static int flush_own(const char *segment, untorn_reader *reader, const char *store,
                     int64_t timeout) {
    char sentence[2048] = "";
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t commit;
        untorn_status status = ask_writer(reader, timeout, &commit);
        ut_cli_progress_clear();
        if (status == UNTORN_OK)
            return print_path(store, commit);
        if (status != UNTORN_E_WRITER_CLOSED && status != UNTORN_E_WRITER_DIED)
            return ut_cli_say_status(status);
        bool busy;
        int exit_status = flush_alone(segment, store, &busy, sentence, sizeof sentence);
        if (!busy)
            return exit_status;
        // Another one has just become the writer: ask it, once readers can see that it lives.
        if (!ut_cli_interrupt_sleep_until(ut_cli_monotonic_now() + PAUSE_NS))
            return ut_cli_say_failed("interrupted");
    }
    return ut_cli_say_failed("%s", sentence);
}

static int export_to(untorn_reader *reader, const char *store,
                     const untorn_export_options *options) {
    uint64_t commit;
    untorn_status status = untorn_export(reader, store, options, &commit);
    return status == UNTORN_OK ? print_path(store, commit) : ut_cli_say_status(status);
}

static int flush(const struct ut_arguments *arguments, untorn_reader *reader, int64_t timeout,
                 const untorn_export_options *options) {
    const char *segment = arguments->operands[0], *other = arguments->operands[1];
    untorn_flush_state state;
    untorn_status status = untorn_reader_flush_state(reader, &state);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    bool own = !other || (state.store[0] && ut_cli_same_directory(other, state.store));
    if (!own)
        return export_to(reader, other, options);
    if (!state.store[0])
        return ut_cli_say_failed("segment \"%s\" has no store; one to write it to can be named: "
                                 "untorn flush %s DIR",
                                 segment, segment);
    static const char *const excluded[] = {"format", "flush-threads", "commit"};
    for (unsigned i = 0; i < sizeof excluded / sizeof *excluded; i++)
        if (ut_cli_option(arguments, excluded[i]))
            return ut_cli_say_usage("flush: --%s is for another STORE than the segment's own",
                                    excluded[i]);
    return flush_own(segment, reader, state.store, timeout);
}

static int run(const struct ut_arguments *arguments) {
    int64_t timeout = -1;
    uint64_t format = 0, threads = 0;
    untorn_export_options export = UNTORN_EXPORT_OPTIONS_INIT;
    int exit_status = ut_cli_option_duration(arguments, "timeout", &timeout);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "format", 2, 3, &format);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "flush-threads", 1, 256, &threads);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "commit", 1, UINT64_MAX, &export.commit);
    if (exit_status)
        return exit_status;
    export.format = (unsigned)format;
    export.threads = (unsigned)threads;

    untorn_reader *reader;
    untorn_status status = untorn_reader_open(arguments->operands[0], NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    ut_cli_interrupt_catch();
    exit_status = flush(arguments, reader, timeout, &export);
    untorn_reader_close(reader);
    return exit_status;
}

static const struct ut_option options[] = {
    {"timeout", 0, "TIME", "how long to wait for a live writer (default: for ever)"},
    {"format", 0, "2|3", "of another STORE: its Zarr format (default 2)"},
    {"flush-threads", 0, "N", "for another STORE: threads that compress (default 1)"},
    {"commit", 0, "N", "for another STORE: this commit, while it can be read"},
    {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_flush = {
    .name = "flush",
    .operands = "SEGMENT [STORE] [options]",
    .summary = "bring the last commit to disk",
    .notes =
        "Into the segment's own store: a live writer is asked to flush, which needs rights to\n"
        "the segment's control file; if there is none, this command does it. Into another\n"
        "STORE: the arrays are exported, as real directories without links, beside a live\n"
        "writer or without one. Prints the path of the store snapshot, a Zarr group.\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 2,
    .run = run,
};
