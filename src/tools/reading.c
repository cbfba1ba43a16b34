// SPDX-License-Identifier: MIT
/*
 * Regions of one generation (see reading.h).
 *
 * The region is resolved against the shape seen last, read, and resolved once more against the
 * shape that the read returned; if that makes a difference, the array changed in between and it
 * is done again.  An array that changes all the time could go on so for ever; after some attempts
 * a snapshot settles what the shape is.
 */
#include "tools/reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 16

static char message[512];

const char *ut_cli_reading_message(void) {
    return message;
}

static untorn_status keep_message(untorn_status status) {
    const char *sentence = untorn_message();
    snprintf(message, sizeof message, "%s", *sentence ? sentence : untorn_status_text(status));
    return status;
}

static untorn_status refuse_region(const char *name, const char *why) {
    snprintf(message, sizeof message, "array \"%s\": %s", name, why);
    return UNTORN_E_REGION;
}

static bool same_box(const struct ut_box *box, const struct ut_box *other) {
    return memcmp(box->start, other->start, sizeof box->start) == 0 &&
           memcmp(box->count, other->count, sizeof box->count) == 0;
}

/* For the box, into the buffer. */
static untorn_request request_for(const struct ut_reading *reading) {
    return (untorn_request){.start = reading->box.start,
                            .count = reading->box.count,
                            .steps = reading->box.step,
                            .destination = reading->data,
                            .capacity = reading->capacity,
                            .flags = UNTORN_GROW};
}

static void keep_buffer(struct ut_reading *reading, const untorn_request *request) {
    reading->data = request->destination;
    reading->capacity = request->capacity;
}

/* One attempt; UNTORN_E_OVERTAKEN with *changed if the shape changed meanwhile. */
static untorn_status read_once(untorn_reader *reader, untorn_array *array,
                               const untorn_array_info *info, const struct ut_region *region,
                               struct ut_reading *reading, bool *changed) {
    *changed = false;
    untorn_result result;
    untorn_status status = untorn_peek(array, &result);
    if (status != UNTORN_OK)
        return keep_message(status);
    char why[160];
    if (!ut_cli_region_resolve(region, info->rank, result.shape, &reading->box, why, sizeof why))
        return refuse_region(info->name, why);

    untorn_request request = request_for(reading);
    request.array = array;
    status = untorn_read_group(reader, &request, 1, &result);
    keep_buffer(reading, &request);
    if (status == UNTORN_E_REGION) {
        *changed = true;
        return keep_message(UNTORN_E_OVERTAKEN);
    }
    if (status != UNTORN_OK)
        return keep_message(status);
    struct ut_box settled;
    if (!ut_cli_region_resolve(region, info->rank, request.shape, &settled, why, sizeof why) ||
        !same_box(&settled, &reading->box)) {
        *changed = true;
        return UNTORN_E_OVERTAKEN;
    }
    memcpy(reading->shape, request.shape, sizeof reading->shape);
    reading->generation = request.generation;
    reading->commit = request.commit;
    reading->time = result.time;
    return UNTORN_OK;
}

static size_t box_bytes(const struct ut_box *box, size_t itemsize) {
    size_t bytes = itemsize;
    for (unsigned i = 0; i < box->rank; i++)
        bytes *= (size_t)box->count[i];
    return bytes;
}

static untorn_status read_snapshot(untorn_reader *reader, untorn_array *array,
                                   const untorn_array_info *info, const struct ut_region *region,
                                   uint64_t commit, struct ut_reading *reading) {
    untorn_snapshot *snapshot;
    untorn_result result;
    untorn_status status = untorn_snapshot_open(reader, &array, 1, commit, &snapshot);
    if (status != UNTORN_OK)
        return keep_message(status);
    status = untorn_snapshot_describe(snapshot, 0, NULL, &result);
    if (status != UNTORN_OK) {
        keep_message(status);
        goto close_snapshot;
    }
    char why[160];
    if (!ut_cli_region_resolve(region, info->rank, result.shape, &reading->box, why, sizeof why)) {
        status = refuse_region(info->name, why);
        goto close_snapshot;
    }
    untorn_request request = request_for(reading);
    status = untorn_snapshot_read_group(snapshot, NULL, &request, 1);
    keep_buffer(reading, &request);
    if (status != UNTORN_OK)
        keep_message(status);
    memcpy(reading->shape, result.shape, sizeof reading->shape);
    reading->generation = result.generation;
    reading->commit = result.commit;
    reading->time = result.time;
close_snapshot:
    untorn_snapshot_close(snapshot);
    return status;
}

untorn_status ut_cli_reading_read(untorn_reader *reader, untorn_array *array,
                                  const struct ut_region *region, uint64_t commit,
                                  struct ut_reading *reading) {
    untorn_array_info info;
    untorn_status status = untorn_array_get_info(array, &info);
    if (status != UNTORN_OK)
        return keep_message(status);
    bool settled = false;
    for (unsigned i = 0; commit == UNTORN_NEWEST && i < ATTEMPTS && !settled; i++) {
        bool changed;
        status = read_once(reader, array, &info, region, reading, &changed);
        settled = !changed;
    }
    if (!settled)
        status = read_snapshot(reader, array, &info, region, commit, reading);
    if (status == UNTORN_OK)
        reading->bytes = box_bytes(&reading->box, info.itemsize);
    return status;
}

void ut_cli_reading_free(struct ut_reading *reading) {
    free(reading->data);
    memset(reading, 0, sizeof *reading);
}
