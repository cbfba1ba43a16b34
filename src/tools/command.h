// SPDX-License-Identifier: MIT
/*
 * The commands, one file each (command_NAME.c), and what they share.
 */
#ifndef UT_COMMAND_H
#define UT_COMMAND_H

#include "tools/options.h"
#include "untorn.h"

extern const struct ut_command ut_cli_command_create;
extern const struct ut_command ut_cli_command_put;
extern const struct ut_command ut_cli_command_append;
extern const struct ut_command ut_cli_command_get;
extern const struct ut_command ut_cli_command_follow;
extern const struct ut_command ut_cli_command_record;
extern const struct ut_command ut_cli_command_flush;
extern const struct ut_command ut_cli_command_load;
extern const struct ut_command ut_cli_command_verify;
extern const struct ut_command ut_cli_command_log;
extern const struct ut_command ut_cli_command_dump;
extern const struct ut_command ut_cli_command_rm;

/* Commit; with --print-commit print the commit's number too.  0, or an exit status; it has been
 * said. */
int ut_cli_command_commit(const struct ut_arguments *arguments, untorn_writer *writer);

/* What was printed counts only once it is written: 0, or an exit status; it has been said. */
int ut_cli_command_finish_printing(void);

#define UT_PRINT_COMMIT_OPTION                                                                     \
    { "print-commit", 0, NULL, "print the number of each commit on standard output" }

#endif
