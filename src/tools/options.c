// SPDX-License-Identifier: MIT
/*
 * The command line's parser (see options.h).  Not getopt_long(): its messages are its own, it
 * abbreviates options, which breaks scripts when options are added, and it takes "-10:" after an
 * option that has an optional value for an option.
 */
#include "tools/options.h"

#include "tools/quantity.h"
#include "tools/say.h"
#include "untorn.h"

#include <string.h>

static int store_value(const struct ut_command *command, struct ut_arguments *arguments,
                       unsigned place, const char *value) {
    if (arguments->values[place])
        return ut_cli_say_usage("%s: --%s was given twice", command->name,
                                command->options[place].name);
    arguments->values[place] = value;
    return 0;
}

/* Parse the option at argv[*at], and its value if that is the next argument. */
static int parse_option(const struct ut_command *command, int argc, char **argv, int *at,
                        struct ut_arguments *arguments) {
    const char *text = argv[*at];
    bool is_long = text[1] == '-';
    const char *name = text + (is_long ? 2 : 1);
    size_t length = is_long ? strcspn(name, "=") : 1;
    const char *attached = NULL;
    if (is_long && name[length] == '=')
        attached = name + length + 1;
    else if (!is_long && name[1])
        attached = name + 1;

    for (unsigned i = 0; command->options[i].name; i++) {
        const struct ut_option *option = &command->options[i];
        bool matches =
            is_long ? strlen(option->name) == length && strncmp(option->name, name, length) == 0
                    : option->letter && option->letter == *name;
        if (!matches)
            continue;
        if (!option->value) {
            if (attached)
                return ut_cli_say_usage("%s: --%s takes no value", command->name, option->name);
            return store_value(command, arguments, i, "");
        }
        if (!attached) {
            if (*at + 1 >= argc)
                return ut_cli_say_usage("%s: --%s needs a value, %s", command->name, option->name,
                                        option->value);
            attached = argv[++*at];
        }
        return store_value(command, arguments, i, attached);
    }
    return ut_cli_say_usage("%s: there is no option %.*s (try untorn %s --help)", command->name,
                            (int)(length + (is_long ? 2 : 1)), text, command->name);
}

int ut_cli_arguments_parse(const struct ut_command *command, int argc, char **argv,
                           struct ut_arguments *arguments, bool *help) {
    memset(arguments, 0, sizeof *arguments);
    arguments->options = command->options;
    *help = false;
    bool options_ended = false;
    for (int at = 0; at < argc; at++) {
        const char *text = argv[at];
        if (!options_ended && text[0] == '-' && text[1]) {
            if (strcmp(text, "--") == 0) {
                options_ended = true;
                continue;
            }
            if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
                *help = true;
                return 0;
            }
            int exit_status = parse_option(command, argc, argv, &at, arguments);
            if (exit_status)
                return exit_status;
            continue;
        }
        if (arguments->operand_count == command->most_operands)
            return ut_cli_say_usage("%s: \"%s\" is one operand too many (usage: untorn %s %s)",
                                    command->name, text, command->name, command->operands);
        arguments->operands[arguments->operand_count++] = text;
    }
    if (arguments->operand_count < command->least_operands)
        return ut_cli_say_usage("%s: an operand is missing (usage: untorn %s %s)", command->name,
                                command->name, command->operands);
    return 0;
}

const char *ut_cli_option(const struct ut_arguments *arguments, const char *name) {
    for (unsigned i = 0; arguments->options[i].name; i++)
        if (strcmp(arguments->options[i].name, name) == 0)
            return arguments->values[i];
    return NULL;
}

int ut_cli_option_size(const struct ut_arguments *arguments, const char *name, uint64_t *value) {
    const char *text = ut_cli_option(arguments, name);
    if (text && (!ut_cli_parse_size(text, value) || *value == 0))
        return ut_cli_say_usage("--%s: \"%s\" is not a size such as 4096, 256M or 1G", name, text);
    return 0;
}

int ut_cli_option_count(const struct ut_arguments *arguments, const char *name, uint64_t least,
                        uint64_t most, uint64_t *value) {
    const char *text = ut_cli_option(arguments, name);
    if (!text)
        return 0;
    if (!ut_cli_parse_count(text, value))
        return ut_cli_say_usage("--%s: \"%s\" is not a whole number", name, text);
    if (*value < least || *value > most)
        return ut_cli_say_usage("--%s: %s is not between %llu and %llu", name, text,
                                (unsigned long long)least, (unsigned long long)most);
    return 0;
}

int ut_cli_option_mode(const struct ut_arguments *arguments, const char *name, unsigned *value) {
    const char *text = ut_cli_option(arguments, name);
    if (text && !ut_cli_parse_mode(text, value))
        return ut_cli_say_usage("--%s: \"%s\" is not an octal mode such as 0640", name, text);
    return 0;
}

int ut_cli_option_duration(const struct ut_arguments *arguments, const char *name, int64_t *ns) {
    const char *text = ut_cli_option(arguments, name);
    if (text && !ut_cli_parse_duration(text, ns))
        return ut_cli_say_usage("--%s: \"%s\" is not a time such as 1s, 100ms or 2h", name, text);
    return 0;
}

int ut_cli_option_positive(const struct ut_arguments *arguments, const char *name, double *value) {
    const char *text = ut_cli_option(arguments, name);
    if (text && !ut_cli_parse_positive(text, value))
        return ut_cli_say_usage("--%s: \"%s\" is not a positive number", name, text);
    return 0;
}

int ut_cli_option_shape(const struct ut_arguments *arguments, const char *name, unsigned *rank,
                        uint64_t *shape) {
    const char *text = ut_cli_option(arguments, name);
    if (text && !ut_cli_parse_shape(text, rank, shape))
        return ut_cli_say_usage("--%s: \"%s\" is not a shape such as 100,100 (at most %d axes)",
                                name, text, UNTORN_MAX_RANK);
    return 0;
}
