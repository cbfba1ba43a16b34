// SPDX-License-Identifier: MIT
/*
 * untorn load: make a segment from a store.
 *
 * The library makes it when a writer opens a segment that does not exist with a store that has a
 * snapshot; so that there is one is looked at before, or an empty store would come into being.
 */
#include "tools/command.h"
#include "tools/progress.h"
#include "tools/say.h"
#include "tools/session.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/statvfs.h>

static int check_store(const char *store) {
    untorn_store_listing *listing;
    untorn_status status = untorn_store_list(store, &listing);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    size_t count = listing->count;
    untorn_store_listing_free(listing);
    return count ? 0 : ut_cli_say_failed("store \"%s\": has no snapshot", store);
}

/* Where nothing can be written, reading has to do. */
static unsigned flags_for(const char *store) {
    struct statvfs system;
    bool read_only = statvfs(store, &system) == 0 && (system.f_flag & ST_RDONLY) != 0;
    return UNTORN_CREATE_ONLY | (read_only ? UNTORN_READ_STORE : 0);
}

static int print_loaded(const char *segment, untorn_writer *writer) {
    untorn_reader *reader;
    untorn_stat stat;
    untorn_status status = untorn_reader_open(segment, NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    status = untorn_reader_stat(reader, &stat);
    untorn_reader_close(reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    printf("commit %llu, %llu %s\n", (unsigned long long)untorn_writer_commit(writer),
           (unsigned long long)stat.arrays, stat.arrays == 1 ? "array" : "arrays");
    return ut_cli_command_finish_printing();
}

static void on_progress(void *context, uint64_t done, uint64_t total) {
    (void)context;
    if (ut_cli_progress_due())
        ut_cli_progress_show("loading: %llu of %llu MiB", (unsigned long long)(done >> 20),
                             (unsigned long long)(total >> 20));
}

static int warm(untorn_writer *writer) {
    untorn_status status = untorn_warm(writer, on_progress, NULL);
    ut_cli_progress_clear();
    return status == UNTORN_OK ? 0 : ut_cli_say_status(status);
}

static int run(const struct ut_arguments *arguments) {
    const char *store = arguments->operands[0], *segment = arguments->operands[1];
    untorn_writer_options parsed = UNTORN_WRITER_OPTIONS_INIT;
    // Wrong usage is told before anything is looked at.
    int exit_status = ut_cli_session_flush_options(arguments, &parsed);
    if (exit_status == 0)
        exit_status = check_store(store);
    untorn_writer *writer = NULL;
    if (exit_status == 0)
        exit_status =
            ut_cli_session_open_store(arguments, segment, store, flags_for(store), &writer);
    if (exit_status)
        return exit_status;
    if (ut_cli_option(arguments, "warm") != NULL)
        exit_status = warm(writer);
    if (exit_status == 0)
        exit_status = print_loaded(segment, writer);
    return ut_cli_session_close(writer, exit_status);
}

static const struct ut_option options[] = {{"warm", 0, NULL, "bring in as much data as fits"},
                                           UT_SEGMENT_OPTIONS,
                                           UT_FLUSH_OPTIONS,
                                           {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_load = {
    .name = "load",
    .operands = "STORE SEGMENT [options]",
    .summary = "make a segment from a store",
    .notes =
        "The segment has the arrays of the newest snapshot of STORE that is whole, and STORE\n"
        "becomes its store; if that is not the newest snapshot of all, a warning says so.\n"
        "Nothing is read but what describes the arrays: data are read from the store when they\n"
        "are first needed, or now, with --warm, as far as there is memory. Prints the segment's\n"
        "commit, which is above all in the store, and the number of arrays. It is an error if\n"
        "the segment exists. From a STORE on a read-only file system a segment can be made, too: "
        "it can\n"
        "be read, but no writer opens it while STORE cannot be written.\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run,
};
