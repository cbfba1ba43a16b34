// SPDX-License-Identifier: MIT
/*
 * untorn follow: each new generation of an array as it comes.
 *
 * Waits in slices, so that an interrupt or a closed pipe is noticed.  A writer that closed or died
 * is told once; then this waits for the next one.  A segment that was replaced is attached anew,
 * an array that was deleted is waited for by name; in both cases counting begins again.
 */
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/reading.h"
#include "tools/report.h"
#include "tools/say.h"

#include <string.h>
#include <unistd.h>

/* Long enough for the library to be certain that no writer is there. */
#define SLICE_NS 500000000
/* How often to look for the next writer. */
#define RETRY_NS 20000000

struct follower {
    const char *segment;
    const char *name;
    bool until_close;
    uint64_t most; /* generations to report, 0: no end */
    uint64_t reported;
    enum ut_report_format format;
    struct ut_region region;
    untorn_reader *reader;
    untorn_array *array; /* NULL: to be opened */
    uint64_t generation; /* reported last */
    struct ut_reading reading;
    struct ut_output output;
    untorn_status told; /* the state of the writer that was told last */
    bool done;
};

static void pause_shortly(void) {
    ut_cli_interrupt_sleep_until(ut_cli_monotonic_now() + RETRY_NS);
}

static int report(struct follower *follower) {
    untorn_array_info info;
    struct ut_element_type type;
    untorn_status status = untorn_array_get_info(follower->array, &info);
    if (status != UNTORN_OK || !ut_cli_element_type_parse(info.dtype, &type))
        return ut_cli_say_status(status);
    int exit_status = ut_cli_report_write(follower->format, &type, info.rank, &follower->reading,
                                          &follower->output);
    if (exit_status)
        return exit_status;
    follower->generation = follower->reading.generation;
    follower->done = ++follower->reported == follower->most;
    return 0;
}

/* Tell once what became of the writer; with --until-close that is the end. */
static int lose_writer(struct follower *follower, untorn_status status) {
    const char *what = status == UNTORN_E_WRITER_CLOSED ? "its writer closed"
                       : status == UNTORN_E_WRITER_DIED ? "its writer died"
                       : status == UNTORN_E_REMOVED     ? "it was removed"
                                                        : "it was replaced";
    if (follower->until_close) {
        follower->done = true;
        if (status == UNTORN_E_WRITER_DIED)
            return ut_cli_say_failed("segment \"%s\": %s", follower->segment, what);
        return 0;
    }
    if (status != follower->told)
        ut_cli_say("segment \"%s\": %s; waiting for %s", follower->segment, what,
                   status == UNTORN_E_REMOVED ? "a new one" : "the next writer");
    follower->told = status;
    pause_shortly();
    return 0;
}

static int reattach(struct follower *follower) {
    untorn_status status = untorn_reader_reattach(follower->reader);
    if (status == UNTORN_E_NO_SEGMENT) {
        pause_shortly();
        return 0;
    }
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    follower->generation = 0;
    follower->told = UNTORN_OK;
    // Opened by name again, for the new segment may not hold the array yet.
    if (follower->array)
        untorn_array_close(follower->array);
    follower->array = NULL;
    return 0;
}

/* What is to be done after a status that is no success. */
static int react(struct follower *follower, untorn_status status, const char *message) {
    switch (status) {
    case UNTORN_E_TIMEOUT:
        follower->told = UNTORN_OK; // a writer is alive
        return 0;
    case UNTORN_E_INTERRUPTED:
        return 0;
    case UNTORN_E_WRITER_CLOSED:
    case UNTORN_E_WRITER_DIED:
        return lose_writer(follower, status);
    case UNTORN_E_REMOVED:
    case UNTORN_E_REPLACED: {
        int exit_status = lose_writer(follower, status);
        return exit_status || follower->done ? exit_status : reattach(follower);
    }
    case UNTORN_E_ARRAY_DELETED:
    case UNTORN_E_NO_ARRAY:
        if (follower->array) {
            ut_cli_say("segment \"%s\": array \"%s\" was deleted; waiting for a new one",
                       follower->segment, follower->name);
            untorn_array_close(follower->array);
        }
        follower->array = NULL;
        follower->generation = 0;
        return 0;
    case UNTORN_E_OVERTAKEN:
        // Another generation is there by now; one that cannot be caught is not the last.
        pause_shortly();
        return 0;
    default:
        return ut_cli_say_failed("%s", message);
    }
}

static int step(struct follower *follower) {
    untorn_status status;
    if (!follower->array) {
        status = untorn_wait_array(follower->reader, follower->name, SLICE_NS, &follower->array);
        if (status != UNTORN_OK)
            follower->array = NULL;
        return status == UNTORN_OK ? 0 : react(follower, status, untorn_message());
    }
    status = untorn_wait(follower->array, follower->generation, SLICE_NS);
    if (status != UNTORN_OK)
        return react(follower, status, untorn_message());
    status = ut_cli_reading_read(follower->reader, follower->array, &follower->region,
                                 UNTORN_NEWEST, &follower->reading);
    if (status != UNTORN_OK)
        return react(follower, status, ut_cli_reading_message());
    if (follower->reading.generation <= follower->generation)
        return 0;
    return report(follower);
}

static int follow(struct follower *follower) {
    int exit_status = 0;
    while (exit_status == 0 && !follower->done && !ut_cli_interrupted()) {
        exit_status = step(follower);
        if (ut_cli_output_is_unwanted(&follower->output))
            follower->output.reader_gone = true;
        if (follower->output.reader_gone)
            return 0;
    }
    if (ut_cli_interrupted())
        return 0;
    return exit_status ? exit_status : ut_cli_output_finish(&follower->output);
}

static int parse(const struct ut_arguments *arguments, struct follower *follower) {
    memset(follower, 0, sizeof *follower);
    follower->segment = arguments->operands[0];
    follower->name = arguments->operands[1];
    follower->until_close = ut_cli_option(arguments, "until-close") != NULL;
    const char *format = ut_cli_option(arguments, "format");
    if (!ut_cli_report_format_parse(format ? format : "text", &follower->format))
        return ut_cli_say_usage("--format: \"%s\" is none of npy, raw, json, text", format);
    int exit_status = ut_cli_option_count(arguments, "count", 1, UINT64_MAX, &follower->most);
    if (exit_status == 0)
        exit_status = ut_cli_region_parse(ut_cli_option(arguments, "region"), &follower->region);
    bool binary = follower->format == UT_REPORT_NPY || follower->format == UT_REPORT_RAW;
    if (exit_status == 0 && binary && isatty(STDOUT_FILENO))
        return ut_cli_say_usage(
            "follow: standard output is a terminal; --format text or json, or a "
            "pipe");
    return exit_status;
}

/* Attach to segment and array.  With `may_wait` the array may be missing, and so may the segment:
 * there is nothing yet that could wake anybody, so it is looked for again and again.  What ends
 * following ends that, too, with `done`. */
static int attach(struct follower *follower, bool may_wait) {
    untorn_status status;
    while ((status = untorn_reader_open(follower->segment, NULL, &follower->reader)) ==
               UNTORN_E_NO_SEGMENT &&
           may_wait) {
        follower->done = ut_cli_interrupted() || ut_cli_output_is_unwanted(&follower->output);
        if (follower->done)
            return 0;
        pause_shortly();
    }
    if (status != UNTORN_OK) {
        follower->reader = NULL;
        return ut_cli_say_status(status);
    }
    status = untorn_array_open(follower->reader, follower->name, &follower->array);
    if (status == UNTORN_OK)
        return 0;
    follower->array = NULL;
    return may_wait && status == UNTORN_E_NO_ARRAY ? 0 : ut_cli_say_status(status);
}

static int run(const struct ut_arguments *arguments) {
    struct follower follower;
    int exit_status = parse(arguments, &follower);
    if (exit_status == 0)
        exit_status = ut_cli_output_open(NULL, &follower.output);
    if (exit_status)
        return exit_status;
    ut_cli_interrupt_catch();
    exit_status = attach(&follower, ut_cli_option(arguments, "wait") != NULL);
    if (exit_status == 0 && !follower.done)
        exit_status = follow(&follower);
    ut_cli_reading_free(&follower.reading);
    untorn_reader_close(follower.reader);
    return exit_status;
}

static const struct ut_option options[] = {
    {"count", 0, "N", "end after N generations"},
    {"format", 0, "FORMAT", "npy, raw, json or text (default)"},
    {"region", 0, "REGION", "only this part of each, such as -10: for the last ten rows"},
    {"wait", 0, NULL, "wait for a segment or an array that does not exist yet"},
    {"until-close", 0, NULL, "end when the writer closes; fail if it died"},
    {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_follow = {
    .name = "follow",
    .operands = "SEGMENT ARRAY [options]",
    .summary = "print each new generation of an array as it comes",
    .notes =
        "Begins with the generation that is there. Who is slower than the writer gets the newest\n"
        "each time; the generation numbers tell what was skipped.\n"
        "\n"
        "  npy   .npy images, one after another (untorn append reads them)\n"
        "  raw   the elements in C order\n"
        "  json  a line for each: generation, commit, time (ns since 1970), dtype, shape of the\n"
        "        array, start and step of the region, data\n"
        "  text  a line beginning with # that says which, then the elements\n"
        "\n"
        "Without --until-close a writer that closed or died is told on standard error, and the\n"
        "next one waited for, also when it replaces the segment. An array that is deleted is\n"
        "waited for by name. Ends with status 0 on SIGINT, SIGTERM, or when nobody reads the\n"
        "output any more.\n"
        "\n"
        "A region that the array does not have is an error; -10: never is.\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run,
};
