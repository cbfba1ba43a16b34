// SPDX-License-Identifier: MIT
/*
 * untorn put: store an array, whole or a region of it, in one commit.
 */
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/region.h"
#include "tools/say.h"
#include "tools/session.h"
#include "tools/source.h"
#include "tools/transfer.h"

#include <string.h>

/* Raw data have no header to contradict: bytes too many mean a wrong --shape. */
static int check_raw_end(struct ut_input *input) {
    char byte;
    size_t got;
    int exit_status = ut_cli_input_read(input, &byte, 1, &got);
    if (exit_status == 0 && got)
        return ut_cli_say_failed("%s holds more data than --shape takes; nothing was committed",
                                 input->name);
    return exit_status;
}

/* Write the input's data into the box and commit. */
static int fill_box(const struct ut_arguments *arguments, struct ut_input *input,
                    const struct ut_npy *npy, const struct ut_box *box, untorn_writer *writer,
                    untorn_writer_array *array) {
    struct ut_transfer transfer = {.input = input,
                                   .type = npy->type,
                                   .big_endian = npy->big_endian,
                                   .fortran_order = npy->fortran_order,
                                   .array = array,
                                   .rank = box->rank};
    memcpy(transfer.start, box->start, sizeof transfer.start);
    memcpy(transfer.count, box->count, sizeof transfer.count);
    memcpy(transfer.step, box->step, sizeof transfer.step);
    int exit_status = ut_cli_transfer_run(&transfer);
    if (exit_status == 0 && ut_cli_source_is_raw(arguments))
        exit_status = check_raw_end(input);
    return exit_status ? exit_status : ut_cli_command_commit(arguments, writer);
}

static int put_whole(const struct ut_arguments *arguments, struct ut_input *input,
                     const struct ut_npy *npy) {
    const char *segment = arguments->operands[0];
    struct ut_array_plan plan;
    untorn_writer *writer = NULL;
    untorn_writer_array *array;
    bool existed;
    int exit_status = ut_cli_array_plan_make(arguments, segment, arguments->operands[1], &npy->type,
                                             npy->rank, npy->shape, &plan);
    if (exit_status)
        goto free_plan;
    exit_status = ut_cli_session_open(arguments, segment, 0, &writer);
    if (exit_status)
        goto free_plan;
    exit_status = ut_cli_array_plan_apply(
        &plan, writer, ut_cli_option(arguments, "replace") != NULL, &array, &existed);
    if (exit_status == 0 && existed) {
        untorn_status status = untorn_resize(array, npy->shape);
        if (status != UNTORN_OK)
            exit_status = ut_cli_say_status(status);
    }
    if (exit_status == 0) {
        struct ut_box box = {.rank = npy->rank};
        memcpy(box.count, npy->shape, sizeof box.count);
        exit_status = fill_box(arguments, input, npy, &box, writer, array);
    }
    exit_status = ut_cli_session_close(writer, exit_status);
free_plan:
    ut_cli_array_plan_free(&plan);
    return exit_status;
}

/* The region of an array that exists, and a check that the data are of its type and shape. */
static int find_box(const struct ut_arguments *arguments, const struct ut_npy *npy,
                    untorn_writer *writer, struct ut_box *box, untorn_writer_array **array) {
    const char *name = arguments->operands[1];
    struct ut_region region;
    int exit_status = ut_cli_region_parse(ut_cli_option(arguments, "region"), &region);
    if (exit_status)
        return exit_status;
    unsigned rank;
    uint64_t shape[UNTORN_MAX_RANK];
    untorn_status status = untorn_writer_array_open(writer, name, array);
    if (status == UNTORN_OK)
        status = untorn_writer_array_shape(*array, &rank, shape);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    char why[160];
    if (!ut_cli_region_resolve(&region, rank, shape, box, why, sizeof why))
        return ut_cli_say_failed("array \"%s\": %s", name, why);

    untorn_definition wanted = UNTORN_DEFINITION_INIT;
    wanted.dtype = npy->type.text;
    wanted.rank = rank;
    wanted.shape = shape;
    status = untorn_require(writer, name, &wanted, array);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    if (npy->rank != box->kept_rank ||
        memcmp(npy->shape, box->kept, npy->rank * sizeof *npy->shape) != 0) {
        char data_text[400], region_text[400];
        return ut_cli_say_failed(
            "the region %s of array \"%s\" has shape %s, the data have %s", region.text, name,
            ut_cli_shape_text(box->kept_rank, box->kept, region_text, sizeof region_text),
            ut_cli_shape_text(npy->rank, npy->shape, data_text, sizeof data_text));
    }
    return 0;
}

static int put_region(const struct ut_arguments *arguments, struct ut_input *input,
                      const struct ut_npy *npy) {
    static const char *const excluded[] = {"replace", "chunks", "codec", "fill", "dims"};
    for (unsigned i = 0; i < sizeof excluded / sizeof *excluded; i++)
        if (ut_cli_option(arguments, excluded[i]))
            return ut_cli_say_usage("put: --region writes into an array as it is; --%s does not go "
                                    "with it",
                                    excluded[i]);
    untorn_writer *writer;
    int exit_status =
        ut_cli_session_open(arguments, arguments->operands[0], UNTORN_ADOPT_ONLY, &writer);
    if (exit_status)
        return exit_status;
    struct ut_box box;
    untorn_writer_array *array;
    exit_status = find_box(arguments, npy, writer, &box, &array);
    const char *attributes = ut_cli_option(arguments, "attrs");
    if (exit_status == 0 && attributes) {
        untorn_status status = untorn_set_attributes(array, attributes);
        if (status != UNTORN_OK)
            exit_status = ut_cli_say_status(status);
    }
    if (exit_status == 0)
        exit_status = fill_box(arguments, input, npy, &box, writer, array);
    exit_status = ut_cli_session_close(writer, exit_status);
    return exit_status;
}

static int run(const struct ut_arguments *arguments) {
    bool raw = ut_cli_source_is_raw(arguments);
    if (raw != (ut_cli_option(arguments, "shape") != NULL))
        return ut_cli_say_usage("put: raw data need both --dtype and --shape");
    // Wrong usage is told before anything is waited for.
    struct ut_region region;
    int exit_status = ut_cli_region_parse(ut_cli_option(arguments, "region"), &region);
    if (exit_status)
        return exit_status;
    struct ut_input input;
    struct ut_npy npy;
    ut_cli_interrupt_catch();
    exit_status = ut_cli_input_open(arguments->operands[2], &input);
    if (exit_status)
        return exit_status;
    exit_status =
        raw ? ut_cli_source_raw(arguments, "shape", &npy) : ut_cli_npy_read(&input, &npy, NULL);
    if (exit_status == 0)
        exit_status = ut_cli_source_check_length(&input, &npy);
    if (exit_status == 0)
        exit_status = ut_cli_option(arguments, "region") ? put_region(arguments, &input, &npy)
                                                         : put_whole(arguments, &input, &npy);
    ut_cli_input_close(&input);
    return exit_status;
}

static const struct ut_option options[] = {
    {"region", 0, "REGION", "write into this part of an existing array"},
    {"replace", 0, NULL, "an existing array may have another data type, rank or chunks"},
    {"dtype", 0, "TYPE", "the input is raw, of this data type: i4, >f8, S10, ..."},
    {"shape", 0, "SHAPE", "the shape of raw input, such as 100,100"},
    UT_ARRAY_OPTIONS,
    UT_PRINT_COMMIT_OPTION,
    UT_SEGMENT_OPTIONS,
    UT_STORE_OPTIONS,
    {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_put = {
    .name = "put",
    .operands = "SEGMENT ARRAY [FILE.npy|-] [options]",
    .summary = "store an array, or a region of one, in one commit",
    .notes =
        "FILE is an .npy image, or raw bytes with --dtype and --shape; by default standard\n"
        "input. Segment and array are made if need be. An array that exists gets new data\n"
        "and shape in one commit; its data type, rank and chunks are kept, and data of\n"
        "another kind are refused unless --replace is given. If the input is truncated,\n"
        "nothing is committed.\n"
        "\n"
        "REGION has a part for each axis, such as 0:100,5:6 or -10: (the last ten) or ::8 (every\n"
        "eighth) or 5 (one index, an axis that the data do not have); later axes are whole.\n"
        "\n" UT_STORE_NOTES,
    .options = options,
    .least_operands = 2,
    .most_operands = 3,
    .run = run,
};
