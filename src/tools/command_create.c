// SPDX-License-Identifier: MIT
/*
 * untorn create: make a segment and exit; its settings, those of its store included, stay for the
 * writers that follow.
 */
#include "tools/command.h"
#include "tools/session.h"

static int run(const struct ut_arguments *arguments) {
    untorn_writer *writer;
    int exit_status =
        ut_cli_session_open(arguments, arguments->operands[0], UNTORN_CREATE_ONLY, &writer);
    return exit_status ? exit_status : ut_cli_session_close(writer, 0);
}

static const struct ut_option options[] = {
    UT_SEGMENT_OPTIONS, UT_STORE_OPTIONS, {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_create = {
    .name = "create",
    .operands = "SEGMENT [options]",
    .summary = "make a segment",
    .notes = "The segment is empty; size, versions and modes stay as given here for every writer\n"
             "that adopts it. It is an error if the segment exists.\n"
             "\n" UT_STORE_NOTES,
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
