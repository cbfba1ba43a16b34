// SPDX-License-Identifier: MIT
/*
 * Flushing one array.
 *
 * The chunk table of the pinned descriptor and the records of the previous snapshot are walked side
 * by side, both ascending, so that memory does not grow with the number of chunks.  For each
 * present chunk:
 *
 *   record of equal version and extent       the same file again
 *   in shared memory                         encode
 *   only in the store, another extent        read, cut or fill, encode
 *   only in the store, no record             corrupt: nothing has its content
 *
 * A file that was to be linked and is not there is written anew if the chunk is in shared memory,
 * too.  The lengths of files are looked at in turns, of a part in each flush: to look at each would
 * cost a quarter of linking it.  What changed without another length is found by verifying alone.
 *
 * An export links nothing.  What is only in the segment's own store is read from there.
 */
#include "store/flush_array.h"

#include "array/grid.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "store/encode_chunk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Lengths of files are looked at in arrays of so many chunks; in larger ones of about as many, in
 * turns, but of one in LONGEST_STRIDE at least. */
#define LOOKED_AT 256u
#define LONGEST_STRIDE 16u

static untorn_status array_fail(const ut_flushing *flushing, const ut_snapshot_member *member,
                                untorn_status status, const char *reason) {
    const ut_definition *definition = member->array->definition;
    return ut_fail(status, "%s: %s \"%.1023s\": %s", flushing->store->who,
                   definition->kind == UT_KIND_ARRAY ? "array" : "group", definition->name, reason);
}

/* What was read of the member is valid if the snapshot still is. */
static untorn_status check(ut_flushing *flushing, const ut_snapshot_member *member,
                           ut_found found) {
    if (!ut_hold_valid(&flushing->snapshot->hold, member->array->header, member->descriptor.stamp))
        return array_fail(flushing, member, UNTORN_E_OVERTAKEN,
                          "overtaken by the writer: the pin ended");
    switch (found) {
    case UT_FOUND:
        return UNTORN_OK;
    case UT_NOT_FOUND:
        return array_fail(flushing, member, UNTORN_E_NO_MEMORY, "out of memory");
    default:
        return array_fail(flushing, member, UNTORN_E_CORRUPT, "is damaged in shared memory");
    }
}

untorn_status ut_flush_attributes(ut_flushing *flushing, ut_snapshot_member *member, char **json) {
    if (member->descriptor.attributes_ref == 0) {
        *json = strdup("");
        return *json != NULL ? UNTORN_OK
                             : array_fail(flushing, member, UNTORN_E_NO_MEMORY, "out of memory");
    }
    ut_found found =
        ut_attributes_copy(flushing->snapshot->reader->segment, &member->descriptor, json);
    untorn_status status = check(flushing, member, found);
    if (status != UNTORN_OK && found == UT_FOUND)
        free(*json);
    return status;
}

/* --- writing it anew --- */

/* Chunks whose files are not what the records say, and what is wrong with the first. */
typedef struct bad_files {
    uint64_t count;
    char first[1024];
} bad_files;

typedef struct array_walk {
    ut_flushing *flushing;
    ut_snapshot_member *member;
    ut_encode_target target;
    ut_stored_array *stored; /* NULL: none, or not looked for yet */
    bool looked;
    ut_records records;
    uint64_t stride, turn;     /* chunks of number = turn modulo stride are looked at */
    bad_files rewritten, lost; /* that were in memory, too; that were not */
} array_walk;

/* The array in the previous snapshot, if it is there and whole. */
static untorn_status open_stored(array_walk *walk) {
    ut_previous *previous = &walk->flushing->previous;
    ut_manifest_object object;
    walk->looked = true;
    if (!ut_previous_find(previous, walk->target.definition, &object))
        return UNTORN_OK;
    untorn_status status = ut_stored_array_open(previous->view, &object, &walk->stored);
    if (status == UNTORN_E_CORRUPT || status == UNTORN_E_ABSENT) {
        walk->stored = NULL; /* then all is written that can be */
        return UNTORN_OK;
    }
    if (status != UNTORN_OK)
        return status;
    walk->target.stored = walk->stored;
    ut_records_begin(&walk->records, &walk->stored->manifest, walk->target.cells);
    uint64_t stride = walk->stored->manifest.count / LOOKED_AT;
    walk->stride = stride < 1 ? 1 : stride < LONGEST_STRIDE ? stride : LONGEST_STRIDE;
    walk->turn =
        ut_load_relaxed(&walk->flushing->snapshot->reader->segment->store->flushes) % walk->stride;
    return UNTORN_OK;
}

static void extent_of(const array_walk *walk, uint64_t number, uint64_t *extent) {
    const ut_definition *definition = walk->target.definition;
    uint64_t index[UNTORN_MAX_RANK];
    for (unsigned axis = definition->rank; axis-- > 0;) {
        index[axis] = number % walk->target.cells[axis];
        number /= walk->target.cells[axis];
    }
    ut_chunk_extent(definition->rank, walk->member->descriptor.shape, definition->chunks, index,
                    extent);
}

static untorn_status missing(const array_walk *walk, uint64_t number) {
    const ut_previous *previous = &walk->flushing->previous;
    char reason[512] = "is only in the store, which does not have this version of it";
    if (previous->missing[0] != '\0')
        snprintf(reason, sizeof reason, "is only in the segment's store: %s", previous->missing);
    else if (previous->skipped)
        strcpy(reason, "was only in a store snapshot that is damaged");
    return ut_chunk_fail(&walk->target, number, UNTORN_E_CORRUPT, reason);
}

/* --- files to be linked --- */

/* Remember what the message says of a file. */
static void note_bad(bad_files *bad) {
    if (bad->count++ == 0)
        snprintf(bad->first, sizeof bad->first, "%s", untorn_message());
}

static void tell_bad(const array_walk *walk, const bad_files *bad, const char *so) {
    const ut_flush_options *options = walk->flushing->options;
    char sentence[2 * sizeof bad->first], more[64] = "";
    if (bad->count == 0 || options->notify == NULL)
        return;
    if (bad->count > 1)
        snprintf(more, sizeof more, ", and so for %" PRIu64 " more", bad->count - 1);
    snprintf(sentence, sizeof sentence, "%s: %s%s", bad->first, so, more);
    options->notify(options->notify_context, UNTORN_E_CORRUPT, sentence);
}

/* Whether the file that this job links has the length that it should, as far as it is looked at. */
static bool has_length(const array_walk *walk, const ut_encode_job *job) {
    char path[UT_STORE_PATH_MAX], reason[UT_STORE_PATH_MAX + 100];
    struct stat file;
    if (job->number % walk->stride != walk->turn || UT_SEEDED(219) ||
        ut_stored_chunk_path(walk->stored, job->stored->number, path) != UNTORN_OK ||
        ut_files->lstat(path, &file) != 0 || (uint64_t)file.st_size == job->stored->bytes)
        return true; /* if it is not there, linking it tells */
    snprintf(reason, sizeof reason, "%s has %lld bytes instead of %" PRIu64, path,
             (long long)file.st_size, job->stored->bytes);
    ut_chunk_fail(&walk->target, job->number, UNTORN_E_CORRUPT, reason);
    return false;
}

/* Link a file or, if it is not what was written and the chunk has a slot, write that. */
static untorn_status add_link(array_walk *walk, ut_encode_job *job) {
    ut_encode_pool *pool = walk->flushing->pool;
    untorn_status status = UNTORN_E_ABSENT;
    bool good = has_length(walk, job);
    if (!good && job->slot == NULL)
        note_bad(&walk->lost); /* no worse for being linked, and the others are not kept */
    if (good || job->slot == NULL)
        status = ut_encode_pool_add(pool, job);
    if (status != UNTORN_E_ABSENT)
        return status;
    if (job->slot == NULL) /* a file that a manifest names and that is not there is damage */
        return ut_fail(UNTORN_E_CORRUPT, "%s", untorn_message());
    note_bad(&walk->rewritten);
    job->kind = UT_ENCODE_SLOT;
    job->stored = NULL;
    return ut_encode_pool_add(pool, job);
}

/* --- chunks --- */

/* A chunk of which the store has this file. */
static untorn_status add_stored(array_walk *walk, uint64_t number, const ut_manifest_chunk *chunk) {
    ut_encode_job job = {.target = &walk->target,
                         .kind = UT_ENCODE_STORED,
                         .number = number,
                         .version = chunk->version,
                         .stored = chunk};
    extent_of(walk, number, job.extent);
    if (walk->flushing->previous.linkable &&
        ut_manifest_same_chunk(chunk, walk->target.definition->rank, chunk->version, job.extent)) {
        job.kind = UT_ENCODE_LINK;
        return add_link(walk, &job);
    }
    return ut_encode_pool_add(walk->flushing->pool, &job);
}

/* All below a marker is as the store has it. */
static untorn_status add_subtree(array_walk *walk, const ut_table_cell *cell) {
    uint64_t first = cell->number, end;
    if (__builtin_add_overflow(first, cell->span, &end) || end > walk->member->descriptor.cells)
        end = walk->member->descriptor.cells;
    /* One that is older than the marker may lack chunks that the marker stands for. */
    if (walk->stored == NULL ||
        (walk->flushing->previous.skipped &&
         walk->flushing->previous.view->manifest.commit < cell->place.version))
        return missing(walk, first);
    uint64_t number;
    const ut_manifest_chunk *chunk;
    for (uint64_t from = first;
         (chunk = ut_records_find(&walk->records, from, end, &number)) != NULL; from = number + 1) {
        untorn_status status = chunk->version <= cell->place.version
                                   ? add_stored(walk, number, chunk)
                                   : missing(walk, number);
        if (status != UNTORN_OK)
            return status;
    }
    return UNTORN_OK;
}

static untorn_status add_cell(array_walk *walk, const ut_table_cell *cell) {
    ut_flushing *flushing = walk->flushing;
    const ut_definition *definition = walk->target.definition;
    uint64_t ref = cell->place.ref, number;
    untorn_status status = UNTORN_OK;
    if ((ref & UT_REF_EVICTED) != 0 && !walk->looked)
        status = open_stored(walk);
    if (status != UNTORN_OK)
        return status;
    if (cell->span != 1)
        return add_subtree(walk, cell);
    const ut_manifest_chunk *chunk =
        ut_records_find(&walk->records, cell->number, cell->number + 1, &number);
    if (chunk != NULL && chunk->version != cell->place.version)
        chunk = NULL;
    if ((ref & UT_REF_EVICTED) != 0)
        return chunk != NULL ? add_stored(walk, cell->number, chunk) : missing(walk, cell->number);
    ut_encode_job job = {.target = &walk->target,
                         .kind = UT_ENCODE_SLOT,
                         .number = cell->number,
                         .version = cell->place.version};
    extent_of(walk, cell->number, job.extent);
    job.slot =
        ut_at(flushing->snapshot->reader->segment, ut_ref_offset(ref), definition->slot_bytes);
    if (job.slot == NULL)
        return check(flushing, walk->member, UT_DAMAGED);
    if (chunk != NULL && flushing->previous.linkable &&
        ut_manifest_same_chunk(chunk, definition->rank, cell->place.version, job.extent)) {
        job.kind = UT_ENCODE_LINK;
        job.stored = chunk;
        return add_link(walk, &job);
    }
    return ut_encode_pool_add(flushing->pool, &job);
}

static untorn_status walk_table(array_walk *walk) {
    const ut_descriptor *descriptor = &walk->member->descriptor;
    ut_segment *segment = walk->flushing->snapshot->reader->segment;
    ut_table_cursor cursor = {0};
    ut_table_cell cell;
    for (uint64_t from = 0;;) {
        ut_found found = ut_table_next(segment, descriptor, from, &cursor, &cell);
        untorn_status status = check(walk->flushing, walk->member, found);
        if (status != UNTORN_OK || cell.place.ref == 0)
            return status;
        status = add_cell(walk, &cell);
        if (status != UNTORN_OK || cell.span > UINT64_MAX - cell.number)
            return status;
        from = cell.number + cell.span;
    }
}

static untorn_status write_array(ut_flushing *flushing, ut_snapshot_member *member,
                                 const ut_manifest_array *head) {
    untorn_array *array = member->array;
    array_walk walk = {.flushing = flushing,
                       .member = member,
                       .target = {.who = flushing->store->who,
                                  .definition = array->definition,
                                  .cells = array->cells,
                                  .header = array->header,
                                  .generation = member->descriptor.stamp}};
    untorn_status status = ut_codec_parse(array->definition->codec, &walk.target.codec);
    /* An export looks for it when it needs it. */
    if (status == UNTORN_OK && flushing->previous.linkable)
        status = open_stored(&walk);
    if (status == UNTORN_OK)
        status = ut_array_writer_begin(flushing->writer, head, array->definition, head->shape,
                                       head->attributes, &walk.target.writer);
    if (status != UNTORN_OK)
        goto close_stored;
    status = walk_table(&walk);
    /* Chunks on their way come before what ended the walk. */
    untorn_status finished = ut_encode_pool_finish(flushing->pool);
    if (finished != UNTORN_OK)
        status = finished;
    if (status == UNTORN_OK)
        status = ut_array_writer_end(walk.target.writer);
    else
        ut_array_writer_abandon(walk.target.writer);
    if (status == UNTORN_OK)
        flushing->report->arrays_written++;
    tell_bad(&walk, &walk.rewritten, "written anew from memory");
    tell_bad(&walk, &walk.lost, "nothing else has its content");
close_stored:
    ut_stored_array_close(walk.stored);
    return status;
}

/* --- linking it --- */

static untorn_status link_array(ut_flushing *flushing, const ut_manifest_array *head,
                                ut_manifest_object *object, const ut_stored_array *stored) {
    object->generation = head->generation;
    object->commit = head->commit;
    object->time = head->time;
    untorn_status status = ut_snapshot_writer_link_array(flushing->writer, stored, object);
    if (status == UNTORN_OK)
        flushing->report->arrays_linked++;
    return status;
}

untorn_status ut_flush_array(ut_flushing *flushing, ut_snapshot_member *member) {
    const ut_descriptor *descriptor = &member->descriptor;
    const ut_definition *definition = member->array->definition;
    const ut_segment *segment = flushing->snapshot->reader->segment;
    char *attributes = NULL;
    untorn_status status = ut_flush_attributes(flushing, member, &attributes);
    if (status != UNTORN_OK)
        return status;
    ut_manifest_array head = {.uuid = {segment->super->uuid[0], segment->super->uuid[1]},
                              .uid = definition->uid,
                              .generation = descriptor->stamp,
                              .commit = descriptor->commit,
                              .data_commit = descriptor->data_commit,
                              .time = descriptor->time,
                              .zarr_format = (unsigned)flushing->options->format,
                              .rank = definition->rank,
                              .attributes = attributes};
    memcpy(head.shape, descriptor->shape, definition->rank * sizeof *head.shape);
    memcpy(head.cells, member->array->cells, definition->rank * sizeof *head.cells);
    ut_manifest_object object;
    ut_stored_array stored;
    if (flushing->previous.linkable && ut_previous_find(&flushing->previous, definition, &object) &&
        ut_previous_same_array(flushing->store, &object, &head, definition, &stored))
        status = link_array(flushing, &head, &object, &stored);
    else
        status = write_array(flushing, member, &head);
    free(attributes);
    return status;
}
