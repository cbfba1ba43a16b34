// SPDX-License-Identifier: MIT
/*
 * The command line.  A command is a table row: its options, how many operands it takes, and what
 * --help prints; this parses what was typed against it.
 *
 *   --name VALUE, --name=VALUE, -o VALUE, -oVALUE; "--" ends the options; "-" is an operand.
 *   An option's value may begin with '-' (--region -10:).  An option given twice is an error.
 */
#ifndef UT_OPTIONS_H
#define UT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define UT_MAX_OPTIONS 24
#define UT_MAX_OPERANDS 3

struct ut_option {
    const char *name;  /* without the dashes; NULL ends a table */
    char letter;       /* of the short form, 0: none */
    const char *value; /* what --help calls the value; NULL: a flag without value */
    const char *help;
};

struct ut_arguments {
    const struct ut_option *options;
    const char *values[UT_MAX_OPTIONS]; /* parallel to options; NULL: not given */
    const char *operands[UT_MAX_OPERANDS];
    unsigned operand_count;
};

struct ut_command {
    const char *name;
    const char *operands; /* for the usage line */
    const char *summary;  /* one line */
    const char *notes;    /* paragraphs after the options in --help */
    const struct ut_option *options;
    unsigned least_operands;
    unsigned most_operands;
    int (*run)(const struct ut_arguments *arguments);
};

/* 0, or the exit status of wrong usage, which has been said.  *help: --help was asked for. */
int ut_cli_arguments_parse(const struct ut_command *command, int argc, char **argv,
                           struct ut_arguments *arguments, bool *help);

/* The value of an option ("" for a flag), NULL if it was not given. */
const char *ut_cli_option(const struct ut_arguments *arguments, const char *name);

/*
 * Typed values.  All leave *value alone if the option was not given, and return 0, or the exit
 * status of wrong usage, which has been said.
 */
int ut_cli_option_size(const struct ut_arguments *arguments, const char *name, uint64_t *value);
int ut_cli_option_count(const struct ut_arguments *arguments, const char *name, uint64_t least,
                        uint64_t most, uint64_t *value);
int ut_cli_option_mode(const struct ut_arguments *arguments, const char *name, unsigned *value);
int ut_cli_option_duration(const struct ut_arguments *arguments, const char *name, int64_t *ns);
int ut_cli_option_positive(const struct ut_arguments *arguments, const char *name, double *value);
/* "100,100"; "" is rank 0. */
int ut_cli_option_shape(const struct ut_arguments *arguments, const char *name, unsigned *rank,
                        uint64_t *shape);

#endif
