// SPDX-License-Identifier: MIT
/*
 * Readings in the formats of "untorn follow" (see report.h).
 */
#include "tools/report.h"

#include "tools/npy.h"
#include "tools/say.h"
#include "tools/text.h"

#include <string.h>

/* What a text may hold before it is written out; a report may be larger than memory is free. */
#define PIECE_BYTES (1u << 16)

bool ut_cli_report_format_parse(const char *name, enum ut_report_format *format) {
    static const char *const names[] = {"npy", "raw", "json", "text"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *format = (enum ut_report_format)i;
            return true;
        }
    }
    return false;
}

static int flush_text(struct ut_text *text, struct ut_output *output) {
    if (text->failed)
        return ut_cli_say_failed("out of memory");
    int exit_status = text->length ? ut_cli_output_write(output, text->bytes, text->length) : 0;
    text->length = 0;
    return exit_status;
}

static void add_numbers(struct ut_text *text, unsigned count, const uint64_t *numbers) {
    for (unsigned i = 0; i < count; i++)
        ut_cli_text_format(text, i ? ",%llu" : "%llu", (unsigned long long)numbers[i]);
}

/* How many axes, counted from the last, end or begin at element `place`. */
static unsigned boundary_axes(unsigned rank, const uint64_t *shape, uint64_t place) {
    unsigned axes = 0;
    for (unsigned i = rank; i-- > 0 && place % shape[i] == 0; axes++)
        place /= shape[i];
    return axes;
}

static void add_repeated(struct ut_text *text, char byte, unsigned count) {
    for (; count; count--)
        ut_cli_text_add_bytes(text, &byte, 1);
}

/* The nested lists of an array without elements: [] or [[],[]]; bounded, for the outer lengths
 * may be anything. */
static void add_empty_json(struct ut_text *text, unsigned rank, const uint64_t *shape) {
    if (rank > 1 && shape[0] && shape[0] <= 4096 && !text->failed) {
        ut_cli_text_add(text, "[");
        for (uint64_t i = 0; i < shape[0] && text->length < 16 * PIECE_BYTES; i++) {
            if (i)
                ut_cli_text_add(text, ",");
            add_empty_json(text, rank - 1, shape + 1);
        }
        ut_cli_text_add(text, "]");
        return;
    }
    ut_cli_text_add(text, "[]");
}

static int add_json_data(const struct ut_element_type *type, const struct ut_reading *reading,
                         struct ut_text *text, struct ut_output *output) {
    unsigned rank = reading->box.kept_rank;
    const uint64_t *shape = reading->box.kept;
    uint64_t count = reading->bytes / type->itemsize;
    if (count == 0)
        add_empty_json(text, rank, shape);
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            ut_cli_text_add(text, ",");
        add_repeated(text, '[', boundary_axes(rank, shape, i));
        ut_cli_element_json(type, (const char *)reading->data + i * type->itemsize, text);
        add_repeated(text, ']', boundary_axes(rank, shape, i + 1));
        int exit_status = text->length < PIECE_BYTES ? 0 : flush_text(text, output);
        if (exit_status)
            return exit_status;
    }
    return 0;
}

static int write_json(const struct ut_element_type *type, unsigned rank,
                      const struct ut_reading *reading, struct ut_output *output) {
    struct ut_text text = {.bytes = NULL};
    ut_cli_text_format(&text,
                       "{\"generation\":%llu,\"commit\":%llu,\"time\":%lld,\"dtype\":\"%s\",",
                       (unsigned long long)reading->generation, (unsigned long long)reading->commit,
                       (long long)reading->time, type->text);
    ut_cli_text_add(&text, "\"shape\":[");
    add_numbers(&text, rank, reading->shape);
    ut_cli_text_add(&text, "],\"start\":[");
    add_numbers(&text, rank, reading->box.start);
    ut_cli_text_add(&text, "],\"step\":[");
    add_numbers(&text, rank, reading->box.step);
    ut_cli_text_add(&text, "],\"data\":");
    int exit_status = add_json_data(type, reading, &text, output);
    ut_cli_text_add(&text, "}\n");
    if (exit_status == 0)
        exit_status = flush_text(&text, output);
    ut_cli_text_free(&text);
    return exit_status;
}

static void add_header_line(unsigned rank, const struct ut_reading *reading, struct ut_text *text) {
    ut_cli_text_format(text, "# generation %llu commit %llu time ",
                       (unsigned long long)reading->generation,
                       (unsigned long long)reading->commit);
    ut_cli_text_time(text, reading->time);
    ut_cli_text_add(text, " shape ");
    add_numbers(text, rank, reading->shape);
    ut_cli_text_add(text, rank ? " start " : "() start ");
    add_numbers(text, rank, reading->box.start);
    if (reading->box.stepped) {
        ut_cli_text_add(text, " step ");
        add_numbers(text, rank, reading->box.step);
    }
    ut_cli_text_add(text, rank ? "\n" : "()\n");
}

static int write_text(const struct ut_element_type *type, unsigned rank,
                      const struct ut_reading *reading, struct ut_output *output) {
    struct ut_text text = {.bytes = NULL};
    unsigned kept_rank = reading->box.kept_rank;
    uint64_t count = reading->bytes / type->itemsize;
    int exit_status = 0;
    add_header_line(rank, reading, &text);
    for (uint64_t i = 0; i < count && exit_status == 0; i++) {
        ut_cli_element_text(type, (const char *)reading->data + i * type->itemsize, &text);
        unsigned ended = boundary_axes(kept_rank, reading->box.kept, i + 1);
        bool last = i + 1 == count;
        ut_cli_text_add(&text, ended || last ? "\n" : " ");
        // A blank line between planes, as np.savetxt users expect of their own loops.
        if (!last && ended > 1)
            add_repeated(&text, '\n', ended - 1);
        if (text.length >= PIECE_BYTES)
            exit_status = flush_text(&text, output);
    }
    if (exit_status == 0)
        exit_status = flush_text(&text, output);
    ut_cli_text_free(&text);
    return exit_status;
}

int ut_cli_report_write(enum ut_report_format format, const struct ut_element_type *type,
                        unsigned rank, const struct ut_reading *reading, struct ut_output *output) {
    char header[UT_NPY_MAX_HEADER];
    int exit_status = 0;
    switch (format) {
    case UT_REPORT_JSON:
        return write_json(type, rank, reading, output);
    case UT_REPORT_TEXT:
        return write_text(type, rank, reading, output);
    case UT_REPORT_NPY:
        exit_status = ut_cli_output_write(
            output, header,
            ut_cli_npy_format(type, reading->box.kept_rank, reading->box.kept, header));
        break;
    case UT_REPORT_RAW:
        break;
    }
    return exit_status ? exit_status : ut_cli_output_write(output, reading->data, reading->bytes);
}
