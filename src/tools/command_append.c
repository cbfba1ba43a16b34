// SPDX-License-Identifier: MIT
/*
 * untorn append: rows along an array's first axis.
 *
 * .npy images: each is one commit, whole or not at all; several may follow one another, as
 * "untorn follow --format npy" writes them.  Raw rows: whatever whole rows have arrived are
 * committed at once, without waiting for more.
 */
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/progress.h"
#include "tools/say.h"
#include "tools/session.h"
#include "tools/source.h"
#include "tools/transfer.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* The most that is committed at once of raw rows, and read at once of an image. */
#define BATCH_BYTES (1u << 20)

struct target {
    const struct ut_arguments *arguments;
    struct ut_input *input;
    untorn_writer *writer; /* NULL until the first data are there */
    untorn_writer_array *array;
    unsigned rank;
    uint64_t shape[UNTORN_MAX_RANK];
    uint64_t appended; /* rows committed */
};

/* Open or define the array for rows of npy->shape[1...]; npy->shape[0] does not matter. */
static int open_target(struct target *target, const struct ut_npy *npy) {
    const struct ut_arguments *arguments = target->arguments;
    struct ut_array_plan plan;
    uint64_t shape[UNTORN_MAX_RANK];
    memcpy(shape, npy->shape, sizeof shape);
    shape[0] = 0;
    int exit_status =
        ut_cli_array_plan_make(arguments, arguments->operands[0], arguments->operands[1],
                               &npy->type, npy->rank, shape, &plan);
    plan.grows = true;
    if (exit_status == 0 && !target->writer)
        exit_status = ut_cli_session_open(arguments, arguments->operands[0], 0, &target->writer);
    if (exit_status == 0)
        exit_status = ut_cli_array_plan_apply(&plan, target->writer, false, &target->array, NULL);
    ut_cli_array_plan_free(&plan);
    if (exit_status)
        return exit_status;
    untorn_status status = untorn_writer_array_shape(target->array, &target->rank, target->shape);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    if (memcmp(target->shape + 1, shape + 1, (npy->rank - 1) * sizeof *shape) != 0) {
        char ours[400], theirs[400];
        return ut_cli_say_failed(
            "rows of shape %s cannot be appended to array \"%s\", whose rows "
            "have shape %s",
            ut_cli_shape_text(npy->rank - 1, shape + 1, ours, sizeof ours), arguments->operands[1],
            ut_cli_shape_text(npy->rank - 1, target->shape + 1, theirs, sizeof theirs));
    }
    return 0;
}

static uint64_t row_bytes(const struct ut_npy *npy) {
    uint64_t bytes = npy->type.itemsize;
    for (unsigned i = 1; i < npy->rank; i++)
        bytes *= npy->shape[i];
    return bytes;
}

/* A C-order image: rows in batches, all in the open transaction. */
static int append_image_rows(struct target *target, const struct ut_npy *npy) {
    uint64_t row = row_bytes(npy);
    uint64_t batch = BATCH_BYTES / row ? BATCH_BYTES / row : 1;
    if (batch > npy->shape[0])
        batch = npy->shape[0];
    char *memory = malloc(batch * row);
    if (!memory)
        return ut_cli_say_failed("out of memory");
    int exit_status = 0;
    for (uint64_t at = 0; at < npy->shape[0] && exit_status == 0; at += batch) {
        uint64_t rows = npy->shape[0] - at < batch ? npy->shape[0] - at : batch;
        size_t wanted = (size_t)(rows * row), got;
        exit_status = ut_cli_input_read(target->input, memory, wanted, &got);
        if (exit_status)
            break;
        if (got < wanted) {
            exit_status =
                ut_cli_say_failed("%s is truncated: its shape takes %llu bytes of data, found %llu",
                                  target->input->name, (unsigned long long)npy->bytes,
                                  (unsigned long long)(at * row + got));
            break;
        }
        if (npy->big_endian)
            ut_cli_npy_swap(&npy->type, memory, wanted);
        untorn_status status = untorn_append(target->array, 0, rows, NULL, memory);
        if (status != UNTORN_OK)
            exit_status = ut_cli_say_status(status);
        else if (ut_cli_progress_due())
            ut_cli_progress_show("%llu of %llu rows", (unsigned long long)(at + rows),
                                 (unsigned long long)npy->shape[0]);
    }
    ut_cli_progress_clear();
    free(memory);
    return exit_status;
}

/* A Fortran-order image: its rows are complete only at its end, so the array grows first. */
static int append_image_columns(struct target *target, const struct ut_npy *npy) {
    struct ut_transfer transfer = {.input = target->input,
                                   .type = npy->type,
                                   .big_endian = npy->big_endian,
                                   .fortran_order = true,
                                   .array = target->array,
                                   .rank = npy->rank};
    memcpy(transfer.count, npy->shape, sizeof transfer.count);
    transfer.start[0] = target->shape[0];
    uint64_t grown[UNTORN_MAX_RANK];
    memcpy(grown, target->shape, sizeof grown);
    if (__builtin_add_overflow(grown[0], npy->shape[0], &grown[0]))
        return ut_cli_say_failed("array \"%s\" would be too long", target->arguments->operands[1]);
    untorn_status status = untorn_resize(target->array, grown);
    return status == UNTORN_OK ? ut_cli_transfer_run(&transfer) : ut_cli_say_status(status);
}

static int append_image(struct target *target, const struct ut_npy *npy) {
    if (npy->rank == 0)
        return ut_cli_say_failed("%s holds a scalar, which has no rows to append",
                                 target->input->name);
    int exit_status = ut_cli_source_check_length(target->input, npy);
    if (exit_status == 0)
        exit_status = open_target(target, npy);
    if (exit_status)
        return exit_status;
    if (npy->bytes == 0) {
        // Rows without elements, or no rows: only the length can change.
        uint64_t grown[UNTORN_MAX_RANK];
        memcpy(grown, target->shape, sizeof grown);
        if (__builtin_add_overflow(grown[0], npy->shape[0], &grown[0]))
            return ut_cli_say_failed("array \"%s\" would be too long",
                                     target->arguments->operands[1]);
        untorn_status status = untorn_resize(target->array, grown);
        exit_status = status == UNTORN_OK ? 0 : ut_cli_say_status(status);
    } else if (npy->fortran_order && npy->rank > 1) {
        exit_status = append_image_columns(target, npy);
    } else {
        exit_status = append_image_rows(target, npy);
    }
    if (exit_status == 0)
        exit_status = ut_cli_command_commit(target->arguments, target->writer);
    if (exit_status == 0)
        target->appended += npy->shape[0];
    return exit_status;
}

static int append_images(struct target *target) {
    for (bool first = true;; first = false) {
        struct ut_npy npy;
        bool end = false;
        int exit_status = ut_cli_npy_read(target->input, &npy, first ? NULL : &end);
        if (exit_status == 0 && !end)
            exit_status = append_image(target, &npy);
        if (exit_status || end)
            return exit_status;
    }
}

/* Take what has arrived, up to the buffer's end, waiting only for the first byte. */
static int take_arrived(struct ut_input *input, char *buffer, size_t capacity, size_t *have,
                        bool *end) {
    struct pollfd ready = {.fd = input->fd, .events = POLLIN};
    do {
        size_t some;
        int exit_status = ut_cli_input_read_some(input, buffer + *have, capacity - *have, &some);
        if (exit_status)
            return exit_status;
        *have += some;
        *end = some == 0;
    } while (!*end && *have < capacity && poll(&ready, 1, 0) > 0);
    return 0;
}

static int append_raw_rows(struct target *target, const struct ut_npy *npy, char *buffer,
                           size_t capacity) {
    size_t row = (size_t)row_bytes(npy), have = 0;
    bool end = false;
    int exit_status = 0;
    while (!end && exit_status == 0) {
        exit_status = take_arrived(target->input, buffer, capacity, &have, &end);
        // Also when interrupted: whole rows that have come are not thrown away.
        size_t rows = have / row;
        if (rows == 0)
            continue;
        if (npy->big_endian)
            ut_cli_npy_swap(&npy->type, buffer, rows * row);
        untorn_status status = untorn_append(target->array, 0, rows, NULL, buffer);
        int committed = status == UNTORN_OK
                            ? ut_cli_command_commit(target->arguments, target->writer)
                            : ut_cli_say_status(status);
        if (committed)
            return committed;
        target->appended += rows;
        have -= rows * row;
        memmove(buffer, buffer + rows * row, have);
        if (ut_cli_progress_due())
            ut_cli_progress_show("%llu rows", (unsigned long long)target->appended);
    }
    if (exit_status == 0 && have)
        return ut_cli_say_failed("%s ended within a row: %zu bytes of %zu; %llu whole rows were "
                                 "appended",
                                 target->input->name, have, row,
                                 (unsigned long long)target->appended);
    return exit_status;
}

static int append_raw(struct target *target) {
    struct ut_npy npy;
    int exit_status = ut_cli_source_raw(target->arguments, "row-shape", &npy);
    if (exit_status)
        return exit_status;
    if (npy.rank == UNTORN_MAX_RANK || npy.bytes == 0)
        return ut_cli_say_usage("--row-shape: a row must have elements, and fewer than %d axes",
                                UNTORN_MAX_RANK);
    if (npy.bytes > SIZE_MAX / 2)
        return ut_cli_say_usage("--row-shape: a row is larger than memory");
    memmove(npy.shape + 1, npy.shape, npy.rank * sizeof *npy.shape);
    npy.rank++;
    npy.shape[0] = 0;
    exit_status = open_target(target, &npy);
    if (exit_status == 0)
        exit_status = ut_cli_command_commit(target->arguments, target->writer);
    if (exit_status)
        return exit_status;
    size_t row = (size_t)row_bytes(&npy);
    size_t capacity = row < BATCH_BYTES ? BATCH_BYTES : row;
    char *buffer = malloc(capacity);
    if (!buffer)
        return ut_cli_say_failed("out of memory");
    exit_status = append_raw_rows(target, &npy, buffer, capacity);
    ut_cli_progress_clear();
    free(buffer);
    return exit_status;
}

static int run(const struct ut_arguments *arguments) {
    bool raw = ut_cli_source_is_raw(arguments);
    if (!raw && ut_cli_option(arguments, "row-shape"))
        return ut_cli_say_usage("append: --row-shape is for raw data, which need --dtype");
    struct ut_input input;
    ut_cli_interrupt_catch();
    int exit_status = ut_cli_input_open(arguments->operands[2], &input);
    if (exit_status)
        return exit_status;
    struct target target = {.arguments = arguments, .input = &input};
    exit_status = raw ? append_raw(&target) : append_images(&target);
    exit_status = ut_cli_session_close(target.writer, exit_status);
    ut_cli_input_close(&input);
    return exit_status;
}

static const struct ut_option options[] = {
    {"dtype", 0, "TYPE", "the input is raw rows of this data type: i4, >f8, S10, ..."},
    {"row-shape", 0, "SHAPE", "the shape of one raw row, such as 100,100 (default: one element)"},
    UT_ARRAY_OPTIONS,
    UT_PRINT_COMMIT_OPTION,
    UT_SEGMENT_OPTIONS,
    UT_STORE_OPTIONS,
    {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_append = {
    .name = "append",
    .operands = "SEGMENT ARRAY [FILE|-] [options]",
    .summary = "append rows along an array's first axis",
    .notes =
        "FILE holds one or more .npy images, or raw rows with --dtype; by default standard input.\n"
        "Segment and array are made if need be. Each .npy image is one commit. Raw rows are\n"
        "committed as they arrive: all whole rows that are there, without waiting for more. A\n"
        "part of a row at the end is an error; the whole rows before it stay committed.\n"
        "\n" UT_STORE_NOTES,
    .options = options,
    .least_operands = 2,
    .most_operands = 3,
    .run = run,
};
