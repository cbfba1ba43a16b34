// SPDX-License-Identifier: MIT
/*
 * untorn rm: remove a segment, or delete one array of it in a commit of its own.
 */
#include "tools/command.h"
#include "tools/notice.h"
#include "tools/say.h"
#include "tools/session.h"

static int remove_array(const struct ut_arguments *arguments) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = UNTORN_ADOPT_ONLY;
    options.notify = ut_cli_notice;
    untorn_writer *writer;
    untorn_status status = untorn_writer_open(arguments->operands[0], &options, &writer);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    status = untorn_delete(writer, arguments->operands[1]);
    int exit_status =
        status == UNTORN_OK ? ut_cli_command_commit(arguments, writer) : ut_cli_say_status(status);
    return ut_cli_session_close(writer, exit_status);
}

static int run(const struct ut_arguments *arguments) {
    if (arguments->operand_count == 2)
        return remove_array(arguments);
    untorn_status status = untorn_segment_remove(arguments->operands[0]);
    return status == UNTORN_OK ? 0 : ut_cli_say_status(status);
}

static const struct ut_option options[] = {UT_PRINT_COMMIT_OPTION, {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_rm = {
    .name = "rm",
    .operands = "SEGMENT [ARRAY]",
    .summary = "remove a segment, or delete an array",
    .notes = "Readers that are attached keep what they have and learn that it was removed. It is\n"
             "an error while a writer is alive.\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 2,
    .run = run,
};
