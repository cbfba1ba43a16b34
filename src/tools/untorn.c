// SPDX-License-Identifier: MIT
/*
 * The command untorn: finds the command that is meant and runs it; prints --help and --version.
 *
 * Results go to standard output, messages to standard error as "untorn: sentence"; the exit status
 * is 0, 1 (it failed) or 2 (wrong usage).
 */
#include "tools/command.h"
#include "tools/say.h"
#include "untorn.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct ut_command *const commands[] = {
    &ut_cli_command_create, &ut_cli_command_put,    &ut_cli_command_append, &ut_cli_command_get,
    &ut_cli_command_follow, &ut_cli_command_record, &ut_cli_command_flush,  &ut_cli_command_load,
    &ut_cli_command_verify, &ut_cli_command_log,    &ut_cli_command_dump,   &ut_cli_command_rm};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void) {
    printf("usage: untorn COMMAND [operands and options]\n"
           "\n"
           "Works on segments of arrays in shared memory, in which no reader ever sees a\n"
           "half-written array.\n"
           "\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        printf("  %-8s  %s\n", commands[i]->name, commands[i]->summary);
    printf("\n"
           "untorn COMMAND --help tells more about a command; untorn --version the version.\n"
           "Results go to standard output, messages to standard error. The exit status is\n"
           "0, 1 if it failed, 2 for wrong usage.\n");
}

static void print_command_help(const struct ut_command *command) {
    printf("usage: untorn %s %s\n\n%s.\n", command->name, command->operands, command->summary);
    if (command->options[0].name)
        printf("\noptions:\n");
    for (const struct ut_option *option = command->options; option->name; option++) {
        char left[64];
        char letter[8] = "";
        if (option->letter)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        printf("  %-24s  %s\n", left, option->help);
    }
    printf("\n%s", command->notes);
}

static int run_command(const struct ut_command *command, int argc, char **argv) {
    struct ut_arguments arguments;
    bool help;
    int exit_status = ut_cli_arguments_parse(command, argc, argv, &arguments, &help);
    if (exit_status)
        return exit_status;
    if (help) {
        print_command_help(command);
        return ut_cli_command_finish_printing();
    }
    return command->run(&arguments);
}

int main(int argc, char **argv) {
    // A closed pipe is an error like any other, told or taken for the end by the command.
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return ut_cli_say_usage("which command? (try untorn --help)");
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return ut_cli_command_finish_printing();
    }
    if (strcmp(name, "--version") == 0) {
        printf("untorn %s\n", untorn_version());
        return ut_cli_command_finish_printing();
    }
    for (unsigned i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return run_command(commands[i], argc - 2, argv + 2);
    return ut_cli_say_usage("there is no command \"%s\" (try untorn --help)", name);
}
