// SPDX-License-Identifier: MIT
/*
 * untorn get: an array or a region of it, as of one generation, as an .npy image.
 */
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/npy.h"
#include "tools/output.h"
#include "tools/reading.h"
#include "tools/say.h"

#include <string.h>
#include <unistd.h>

static int write_image(const struct ut_arguments *arguments, untorn_array *array,
                       const struct ut_reading *reading) {
    untorn_array_info info;
    struct ut_element_type type;
    untorn_status status = untorn_array_get_info(array, &info);
    if (status != UNTORN_OK || !ut_cli_element_type_parse(info.dtype, &type))
        return ut_cli_say_status(status);
    char header[UT_NPY_MAX_HEADER];
    size_t length = ut_cli_npy_format(&type, reading->box.kept_rank, reading->box.kept, header);

    struct ut_output output;
    int exit_status = ut_cli_output_open(ut_cli_option(arguments, "output"), &output);
    if (exit_status == 0)
        exit_status = ut_cli_output_write(&output, header, length);
    if (exit_status == 0)
        exit_status = ut_cli_output_write(&output, reading->data, reading->bytes);
    if (exit_status == 0)
        exit_status = ut_cli_output_finish(&output);
    if (exit_status && output.reader_gone)
        ut_cli_say("%s: closed by its reader before the end", output.name);
    ut_cli_output_discard(&output);
    return exit_status;
}

static int run(const struct ut_arguments *arguments) {
    struct ut_region region;
    uint64_t commit = UNTORN_NEWEST;
    int exit_status = ut_cli_region_parse(ut_cli_option(arguments, "region"), &region);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "commit", 1, UINT64_MAX, &commit);
    if (exit_status)
        return exit_status;
    const char *path = ut_cli_option(arguments, "output");
    if ((!path || strcmp(path, "-") == 0) && isatty(STDOUT_FILENO))
        return ut_cli_say_usage("get: standard output is a terminal; use -o FILE or a pipe");

    // So that an interrupt leaves no temporary file behind.
    ut_cli_interrupt_catch();
    untorn_reader *reader;
    untorn_array *array;
    struct ut_reading reading = {.data = NULL};
    untorn_status status = untorn_reader_open(arguments->operands[0], NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    status = untorn_array_open(reader, arguments->operands[1], &array);
    if (status != UNTORN_OK)
        exit_status = ut_cli_say_status(status);
    else if (ut_cli_reading_read(reader, array, &region, commit, &reading) != UNTORN_OK)
        exit_status = ut_cli_say_failed("%s", ut_cli_reading_message());
    else
        exit_status = write_image(arguments, array, &reading);
    ut_cli_reading_free(&reading);
    untorn_reader_close(reader);
    return exit_status;
}

static const struct ut_option options[] = {
    {"output", 'o', "FILE", "write to this file; - is standard output (default)"},
    {"region", 0, "REGION", "read only this part, such as 0:100,5:6 or -10: or ::8"},
    {"commit", 0, "N", "as of this commit, while it can still be read"},
    {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_get = {
    .name = "get",
    .operands = "SEGMENT ARRAY [-o FILE.npy|-] [options]",
    .summary = "read an array, or a region of one, as an .npy image",
    .notes =
        "What is read is one generation of the array, whole. FILE appears under its name only\n"
        "when it is complete.\n"
        "\n"
        "REGION has a part for each axis: a:b from a up to b, b not included; a:b:s every s-th of\n"
        "these, so that ::8 is every eighth (s at least 1); one index, whose axis is left out of\n"
        "the image; negative numbers count from the end, so that -10: is the last ten, or all if\n"
        "there are fewer. Later axes are whole.\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run,
};
