// SPDX-License-Identifier: MIT
/*
 * What commands share: committing, and the end of what they print (see command.h).
 */
#include "tools/command.h"
#include "tools/say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int ut_cli_command_commit(const struct ut_arguments *arguments, untorn_writer *writer) {
    uint64_t commit;
    untorn_status status = untorn_commit(writer, &commit);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    if (!ut_cli_option(arguments, "print-commit"))
        return 0;
    // Flushed at once: whoever waits for the number may use it at once.
    if (printf("%llu\n", (unsigned long long)commit) < 0 || fflush(stdout) != 0)
        return ut_cli_say_failed("standard output: %s (the data were committed)", strerror(errno));
    return 0;
}

int ut_cli_command_finish_printing(void) {
    if (fflush(stdout) != 0 || ferror(stdout))
        return ut_cli_say_failed("standard output: %s", strerror(errno));
    return UT_EXIT_OK;
}
