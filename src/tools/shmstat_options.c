// SPDX-License-Identifier: MIT
/*
 * shmstat's command line.
 */
#include "tools/shmstat.h"

#include "tools/quantity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USAGE = 2 };

static const char help[] =
    "usage: shmstat [SEGMENT[/ARRAY] | DUMP[/ARRAY] ...] [options] [INTERVAL [COUNT]]\n"
    "\n"
    "Looks at segments of arrays in shared memory; changes nothing.\n"
    "\n"
    "Without an operand: one line for each segment on this machine. With a segment: it, its\n"
    "arrays and its readers. With an array: also its least, greatest and mean value, how much of\n"
    "it is the fill value, and a picture if it has one or two axes. Names may have wildcards\n"
    "('*' matches slashes, too). A DUMP is what \"untorn dump\" made; its path begins with '/',\n"
    "\"./\" or \"../\". INTERVAL is in seconds; COUNT looks are taken, or any number.\n"
    "\n"
    "options:\n"
    "  --chunks            the map of the chunks of an array that is named\n"
    "  --json              one line of JSON for each look\n"
    "  --prometheus        the text exposition format of Prometheus\n"
    "  --sort COLUMN       sort the tables by a column: numbers descending, texts ascending\n"
    "  --no-header         leave out the columns' titles\n"
    "  --help, --version\n"
    "\n"
    "Sizes are in powers of 1024; times are UTC; rates are averages since the segment was made,\n"
    "or, with an interval, since the look before. The exit status is 0; 1 if something could\n"
    "not be looked at, is damaged or is not there; 2 for wrong usage.\n";

static int usage(const char *format, const char *what) {
    ut_stat_say(format, what);
    return USAGE;
}

/* The value of "--name=value" or "--name value"; NULL: this is another option. */
static const char *value_of(const char *name, int argc, char **argv, int *i) {
    size_t length = strlen(name);
    if (strncmp(argv[*i], name, length) != 0)
        return NULL;
    if (argv[*i][length] == '=')
        return argv[*i] + length + 1;
    if (argv[*i][length] != '\0')
        return NULL;
    return *i + 1 < argc ? argv[++*i] : "";
}

static int parse_option(struct ut_stat_options *options, int argc, char **argv, int *i,
                        bool *done) {
    const char *option = argv[*i], *value;
    enum ut_stat_format before = options->format;
    if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
        fputs(help, stdout);
        *done = true;
    } else if (strcmp(option, "--version") == 0) {
        printf("shmstat %s\n", untorn_version());
        *done = true;
    } else if (strcmp(option, "--json") == 0) {
        options->format = UT_STAT_JSON;
    } else if (strcmp(option, "--prometheus") == 0) {
        options->format = UT_STAT_PROMETHEUS;
    } else if (strcmp(option, "--chunks") == 0) {
        options->chunks = true;
    } else if (strcmp(option, "--no-header") == 0) {
        options->header = false;
    } else if ((value = value_of("--sort", argc, argv, i)) != NULL) {
        if (*value == '\0')
            return usage("%s needs the name of a column", "--sort");
        options->sort = value;
    } else {
        return usage("there is no option %s (try shmstat --help)", option);
    }
    if (before != UT_STAT_TEXT && before != options->format)
        return usage("%s", "--json and --prometheus exclude each other");
    return 0;
}

/* [0-9]*[.[0-9]*], so that it cannot be a word that begins with digits. */
static bool is_number(const char *text) {
    return *text != '\0' && strcmp(text, ".") != 0 && text[strspn(text, "0123456789.")] == '\0';
}

/* Numbers at the end are the interval and the count. */
static int take_interval(struct ut_stat_options *options) {
    unsigned n = options->operand_count, numbers = 0;
    while (numbers < 2 && numbers < n && is_number(options->operands[n - 1 - numbers]))
        numbers++;
    if (numbers == 0)
        return 0;
    const char *interval = options->operands[n - numbers];
    const char *count = numbers == 2 ? options->operands[n - 1] : NULL;
    options->operand_count -= numbers;
    double seconds;
    if (!ut_cli_parse_positive(interval, &seconds) || seconds < 0.001 || seconds > 1e9)
        return usage("the interval %s is not between 0.001 and 1000000000 seconds", interval);
    options->interval = (int64_t)(seconds * 1e9);
    if (count != NULL && (!ut_cli_parse_count(count, &options->count) || options->count == 0))
        return usage("the count %s is not a number above 0", count);
    if (options->format == UT_STAT_PROMETHEUS)
        return usage("%s", "--prometheus takes no interval: whoever scrapes it has one");
    return 0;
}

int ut_stat_options_parse(int argc, char **argv, struct ut_stat_options *options, bool *done) {
    memset(options, 0, sizeof *options);
    options->header = true;
    options->operands = calloc((size_t)argc + 1, sizeof(char *));
    *done = false;
    if (options->operands == NULL)
        return usage("%s", "out of memory");
    bool only_operands = false;
    for (int i = 1; i < argc && !*done; i++) {
        if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0') {
            options->operands[options->operand_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else {
            int exit_status = parse_option(options, argc, argv, &i, done);
            if (exit_status != 0)
                return exit_status;
        }
    }
    return *done ? 0 : take_interval(options);
}

void ut_stat_options_free(struct ut_stat_options *options) {
    free(options->operands);
}
