// SPDX-License-Identifier: MIT
/*
 * untorn dump: copy a segment's bytes to a file, for a post-mortem.
 */
#include "tools/command.h"
#include "tools/say.h"

#include <unistd.h>

static int run(const struct ut_arguments *arguments) {
    const char *path = arguments->operands[1];
    // A dump is evidence: one that is there is not written over.
    if (access(path, F_OK) == 0)
        return ut_cli_say_failed("%s exists", path);
    untorn_status status = untorn_segment_dump(arguments->operands[0], path);
    return status == UNTORN_OK ? 0 : ut_cli_say_status(status);
}

static const struct ut_option options[] = {{NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_dump = {
    .name = "dump",
    .operands = "SEGMENT FILE",
    .summary = "copy a segment's bytes to a file, for a post-mortem",
    .notes = "The copy takes no part in the protocol: what a live writer changes meanwhile may be\n"
             "caught half-way. It is an error if FILE exists.\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run,
};
