// SPDX-License-Identifier: MIT
/*
 * Reading every array of a segment (see segment_check.h).
 *
 * Chunk by chunk: the smallest piece that tells which part of an array is damaged, and a buffer
 * of one chunk.
 */
#include "tools/segment_check.h"

#include "tools/progress.h"
#include "tools/say.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 8 /* at an array whose pin is taken away */

struct piece {
    unsigned rank;
    uint64_t start[UNTORN_MAX_RANK];
    uint64_t count[UNTORN_MAX_RANK];
    uint64_t bytes;
};

/* The part of the array that the chunk at piece->start covers. */
static void clip(struct piece *piece, const untorn_array_info *info, const uint64_t *shape) {
    piece->bytes = info->itemsize;
    for (unsigned i = 0; i < piece->rank; i++) {
        uint64_t rest = shape[i] - piece->start[i];
        piece->count[i] = rest < info->chunks[i] ? rest : info->chunks[i];
        piece->bytes *= piece->count[i];
    }
}

/* The next chunk in C order; false after the last. */
static bool next_piece(struct piece *piece, const untorn_array_info *info, const uint64_t *shape) {
    for (unsigned i = piece->rank; i-- > 0;) {
        if (shape[i] - piece->start[i] > info->chunks[i]) {
            piece->start[i] += info->chunks[i];
            return true;
        }
        piece->start[i] = 0;
    }
    return false;
}

static untorn_status read_pieces(untorn_snapshot *snapshot, struct ut_segment_check *check) {
    untorn_array_info info;
    untorn_result result;
    untorn_status status = untorn_snapshot_describe(snapshot, 0, &info, &result);
    if (status != UNTORN_OK)
        return status;
    for (unsigned i = 0; i < info.rank; i++)
        if (result.shape[i] == 0)
            return UNTORN_OK;
    struct piece piece = {.rank = info.rank};
    clip(&piece, &info, result.shape);
    size_t capacity = (size_t)piece.bytes; // the first chunk is the largest
    void *memory = malloc(capacity);
    if (!memory)
        return UNTORN_E_NO_MEMORY;
    do {
        clip(&piece, &info, result.shape);
        status = untorn_snapshot_read(snapshot, 0, piece.start, piece.count, memory, capacity);
        check->bytes += piece.bytes;
        if (ut_cli_progress_due())
            ut_cli_progress_show("reading %s: %llu MiB of all arrays", info.name,
                                 (unsigned long long)(check->bytes >> 20));
    } while (status == UNTORN_OK && next_piece(&piece, &info, result.shape));
    free(memory);
    return status;
}

static untorn_status read_array(untorn_reader *reader, const char *name,
                                struct ut_segment_check *check) {
    untorn_array *array;
    untorn_snapshot *snapshot;
    char *attributes;
    untorn_status status = untorn_array_open(reader, name, &array);
    if (status != UNTORN_OK)
        return status;
    status = untorn_snapshot_open(reader, &array, 1, UNTORN_NEWEST, &snapshot);
    if (status == UNTORN_OK) {
        uint64_t before = check->bytes;
        status = untorn_snapshot_attributes(snapshot, 0, &attributes);
        if (status == UNTORN_OK) {
            free(attributes);
            status = read_pieces(snapshot, check);
        }
        if (status != UNTORN_OK)
            check->bytes = before;
        untorn_snapshot_close(snapshot);
    }
    untorn_array_close(array);
    return status;
}

static untorn_status read_group(untorn_reader *reader, const char *name) {
    char *attributes;
    untorn_status status = untorn_group_attributes(reader, name, &attributes);
    if (status == UNTORN_OK)
        free(attributes);
    return status;
}

static bool is_listed(untorn_reader *reader, const untorn_entry *entry) {
    untorn_listing *listing;
    if (untorn_list(reader, &listing) != UNTORN_OK)
        return false;
    bool found = false;
    for (size_t i = 0; i < listing->count && !found; i++)
        found = listing->entries[i].kind == entry->kind &&
                strcmp(listing->entries[i].name, entry->name) == 0;
    untorn_listing_free(listing);
    return found;
}

static void check_entry(untorn_reader *reader, const untorn_entry *entry,
                        struct ut_segment_check *check) {
    untorn_status status = UNTORN_E_OVERTAKEN;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        status = entry->kind == UNTORN_KIND_ARRAY ? read_array(reader, entry->name, check)
                                                  : read_group(reader, entry->name);
        // Deleted since it was listed, or the listing has what its name does not lead to.
        if (status == UNTORN_E_ARRAY_DELETED ||
            (status == UNTORN_E_NO_ARRAY && !is_listed(reader, entry)))
            return;
        if (status != UNTORN_E_OVERTAKEN && status != UNTORN_E_NO_ARRAY)
            break;
    }
    check->arrays += entry->kind == UNTORN_KIND_ARRAY;
    if (status == UNTORN_OK)
        return;
    check->bad++;
    char missing[UNTORN_MAX_NAME + 64];
    snprintf(missing, sizeof missing, "\"%s\" is listed, but is not found by its name",
             entry->name);
    check->damaged(check->context, status == UNTORN_E_NO_MEMORY  ? "out of memory for a chunk"
                                   : status == UNTORN_E_NO_ARRAY ? missing
                                                                 : untorn_message());
}

int ut_cli_segment_check(untorn_reader *reader, struct ut_segment_check *check) {
    check->arrays = check->bytes = check->bad = 0;
    untorn_listing *listing;
    untorn_status status = untorn_list(reader, &listing);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    for (size_t i = 0; i < listing->count; i++)
        check_entry(reader, &listing->entries[i], check);
    ut_cli_progress_clear();
    untorn_listing_free(listing);
    return 0;
}
