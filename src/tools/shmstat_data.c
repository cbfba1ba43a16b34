// SPDX-License-Identifier: MIT
/*
 * What an array's data are: least, greatest and mean value, how much equals the fill value, and
 * a small picture.
 *
 * An array of up to 64 MiB is read as a whole, so all is of one generation.  A larger one is read
 * in pieces along its first axis, each of one generation; if they differ, that is said.
 *
 * The picture is a grid of means: of a 1-D array up to 64 bins; of a 2-D one up to 64 x 16.
 */
#include "tools/shmstat.h"

#include "tools/element.h"
#include "tools/half_float.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (UINT64_C(64) << 20)

struct scan {
    struct ut_stat_data *data;
    char kind;
    size_t itemsize;
    const unsigned char *fill;
    unsigned rank;
    const uint64_t *shape;
    uint64_t next; /* number of the next element, in C order */
    double sum;
    double sums[UT_STAT_PICTURE_WIDTH * UT_STAT_PICTURE_HEIGHT];
    uint64_t counts[UT_STAT_PICTURE_WIDTH * UT_STAT_PICTURE_HEIGHT];
};

static double integer(const unsigned char *bytes, size_t size, bool is_signed) {
    uint64_t value = 0;
    memcpy(&value, bytes, size); /* little-endian */
    if (is_signed && size < 8 && value >> (8 * size - 1))
        value |= UINT64_MAX << (8 * size);
    return is_signed ? (double)(int64_t)value : (double)value;
}

static double number(const struct scan *scan, const unsigned char *bytes) {
    if (scan->kind != 'f')
        return integer(bytes, scan->itemsize, scan->kind == 'i');
    if (scan->itemsize == 8) {
        double value;
        memcpy(&value, bytes, sizeof value);
        return value;
    }
    if (scan->itemsize == 4) {
        float value;
        memcpy(&value, bytes, sizeof value);
        return (double)value;
    }
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    return ut_cli_half_to_double(half);
}

/* The picture's cell that an element belongs to. */
static unsigned cell_of(const struct scan *scan, uint64_t element) {
    const struct ut_stat_data *data = scan->data;
    if (scan->rank == 1)
        return (unsigned)((double)element / (double)scan->shape[0] * data->width);
    uint64_t row = element / scan->shape[1], column = element % scan->shape[1];
    return (unsigned)((double)row / (double)scan->shape[0] * data->height) * data->width +
           (unsigned)((double)column / (double)scan->shape[1] * data->width);
}

static void add_number(struct scan *scan, double value) {
    struct ut_stat_data *data = scan->data;
    if (!isfinite(value)) {
        data->not_finite++;
        return;
    }
    if (data->numbers++ == 0 || value < data->minimum)
        data->minimum = value;
    if (data->numbers == 1 || value > data->maximum)
        data->maximum = value;
    scan->sum += value;
    if (data->width > 0) {
        unsigned cell = cell_of(scan, scan->next);
        scan->sums[cell] += value;
        scan->counts[cell]++;
    }
}

static void add_elements(struct scan *scan, const unsigned char *bytes, uint64_t count) {
    for (uint64_t i = 0; i < count; i++, bytes += scan->itemsize, scan->next++) {
        scan->data->elements++;
        scan->data->fill += memcmp(bytes, scan->fill, scan->itemsize) == 0;
        if (scan->data->numeric)
            add_number(scan, number(scan, bytes));
    }
}

static unsigned at_most(uint64_t length, unsigned most) {
    return length < most ? (unsigned)length : most;
}

static void begin_scan(struct scan *scan, struct ut_stat_data *data, const untorn_array_info *info,
                       const untorn_result *now) {
    scan->data = data;
    scan->kind = info->dtype[0] != '\0' ? info->dtype[1] : 'V';
    scan->itemsize = info->itemsize;
    scan->fill = info->fill;
    scan->rank = info->rank;
    scan->shape = now->shape;
    data->numeric = strchr("biuf", scan->kind) != NULL && scan->itemsize <= 8;
    data->whole = scan->kind != 'f';
    data->generation = now->generation;
    if (!data->numeric || info->rank == 0 || info->rank > 2)
        return;
    data->width = at_most(now->shape[info->rank - 1], UT_STAT_PICTURE_WIDTH);
    data->height = info->rank == 1 ? 1 : at_most(now->shape[0], UT_STAT_PICTURE_HEIGHT);
}

static void end_scan(struct scan *scan) {
    struct ut_stat_data *data = scan->data;
    data->there = true;
    if (data->numbers > 0)
        data->mean = scan->sum / (double)data->numbers;
    if (data->width == 0 || data->height == 0)
        data->width = data->height = 0;
    for (unsigned i = 0; i < data->width * data->height; i++)
        data->cells[i] = scan->counts[i] > 0 ? scan->sums[i] / (double)scan->counts[i] : NAN;
}

/* Read from row `from` on, `rows` of them. */
static untorn_status read_rows(untorn_array *array, struct scan *scan, uint64_t from, uint64_t rows,
                               unsigned char *buffer, size_t capacity) {
    uint64_t start[UNTORN_MAX_RANK] = {from}, count[UNTORN_MAX_RANK] = {rows}, elements = 1;
    untorn_result result;
    for (unsigned axis = 1; axis < scan->rank; axis++)
        count[axis] = scan->shape[axis];
    for (unsigned axis = 0; axis < scan->rank; axis++)
        elements *= count[axis];
    untorn_status status = untorn_read(array, start, count, buffer, capacity, &result);
    if (status != UNTORN_OK)
        return status;
    if (from > 0 && result.generation != scan->data->generation)
        scan->data->mixed = true;
    if (from == 0)
        scan->data->generation = result.generation;
    add_elements(scan, buffer, elements);
    return UNTORN_OK;
}

static untorn_status read_all(untorn_array *array, struct scan *scan) {
    uint64_t row = scan->itemsize, length = scan->rank > 0 ? scan->shape[0] : 1;
    for (unsigned axis = 1; axis < scan->rank; axis++)
        row *= scan->shape[axis];
    if (row == 0 || length == 0)
        return UNTORN_OK;
    uint64_t piece = PIECE_BYTES / row > 0 ? PIECE_BYTES / row : 1;
    if (piece > length)
        piece = length;
    unsigned char *buffer = malloc(piece * row);
    if (buffer == NULL)
        return UNTORN_E_NO_MEMORY;
    untorn_status status = UNTORN_OK;
    for (uint64_t from = 0; from < length && status == UNTORN_OK; from += piece)
        status = read_rows(array, scan, from, length - from < piece ? length - from : piece, buffer,
                           piece * row);
    free(buffer);
    return status;
}

void ut_stat_read_data(struct ut_stat_segment *segment, struct ut_stat_array *array) {
    untorn_reader *reader;
    untorn_array *handle = NULL;
    untorn_array_info info;
    untorn_result now;
    struct scan *scan = calloc(1, sizeof *scan);
    untorn_status status = scan != NULL ? UNTORN_OK : UNTORN_E_NO_MEMORY;
    if (status == UNTORN_OK)
        status = untorn_inspect_reader(segment->inspection, &reader);
    if (status == UNTORN_OK)
        status = untorn_array_open(reader, array->name, &handle);
    if (status == UNTORN_OK)
        status = untorn_array_get_info(handle, &info);
    if (status == UNTORN_OK)
        status = untorn_peek(handle, &now);
    if (status == UNTORN_OK) {
        begin_scan(scan, array->data, &info, &now);
        status = read_all(handle, scan);
    }
    if (status == UNTORN_OK)
        end_scan(scan);
    else
        array->data->error =
            strdup(status == UNTORN_E_NO_MEMORY ? "out of memory" : untorn_message());
    array->data->failed = status != UNTORN_OK && status != UNTORN_E_OVERTAKEN;
    untorn_array_close(handle);
    free(scan);
}
