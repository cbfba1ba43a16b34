// SPDX-License-Identifier: MIT
/*
 * Encoding one chunk.
 *
 * Shared memory is read only while the hold (window or pin) stands, and what was read counts only
 * if the hold still stands afterwards: the check comes after the encoding, so that nothing made of
 * reused bytes gets a record.  What is written straight from shared memory is checked after the
 * write.
 */
#include "store/encode_chunk.h"

#include "array/box.h"
#include "base/hash.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

untorn_status ut_chunk_fail(const ut_encode_target *target, uint64_t number, untorn_status status,
                            const char *reason) {
    char key[UT_ZARR_KEY_BYTES];
    ut_zarr_chunk_key(target->definition->rank, target->cells, number, key);
    /* The layer below may have said which store it is. */
    size_t who = strlen(target->who);
    if (strncmp(reason, target->who, who) == 0 && strncmp(reason + who, ": ", 2) == 0)
        reason += who + 2;
    return ut_fail(status, "%s: array \"%.1023s\": chunk %s: %s", target->who,
                   target->definition->name, key, reason);
}

static bool reserve(struct ut_encode_buffer *buffer, uint64_t bytes) {
    if (buffer->bytes >= bytes)
        return true;
    free(buffer->memory);
    buffer->memory = malloc(bytes);
    buffer->bytes = buffer->memory != NULL ? bytes : 0;
    return buffer->memory != NULL;
}

/* The visible box from `from`, the fill value everywhere else. */
static void assemble(const ut_definition *definition, const uint64_t *extent, void *to,
                     const void *from) {
    unsigned rank = definition->rank;
    size_t itemsize = definition->dtype.itemsize;
    int64_t strides[UNTORN_MAX_RANK];
    ut_c_strides(rank, itemsize, definition->chunks, strides);
    ut_box_copy(rank, itemsize, extent, to, strides, from, strides);
    /* The rest, cut into one box per axis: within the extent along the axes before, beyond it
     * along this one, whole along those after. */
    uint64_t count[UNTORN_MAX_RANK];
    memcpy(count, definition->chunks, rank * sizeof *count);
    for (unsigned axis = 0; axis < rank; axis++) {
        count[axis] = definition->chunks[axis] - extent[axis];
        if (count[axis] > 0)
            ut_box_fill(rank, itemsize, count, (char *)to + (int64_t)extent[axis] * strides[axis],
                        strides, definition->fill_is_zero ? NULL : definition->fill);
        count[axis] = extent[axis];
    }
}

static bool is_whole(const ut_definition *definition, const uint64_t *extent) {
    for (unsigned axis = 0; axis < definition->rank; axis++)
        if (extent[axis] != definition->chunks[axis])
            return false;
    return true;
}

/* Encode `bytes` (a whole chunk) and write the file. */
static untorn_status write_file(ut_chunk_encoder *encoder, ut_encode_job *job, const void *bytes) {
    const ut_encode_target *target = job->target;
    const ut_definition *definition = target->definition;
    const void *encoded = bytes;
    size_t size = definition->slot_bytes;
    if (target->codec != UT_CODEC_NONE) {
        uint64_t bound = ut_codec_bound(target->codec, definition->slot_bytes);
        if (!reserve(&encoder->encoded, bound))
            return ut_chunk_fail(target, job->number, UNTORN_E_NO_MEMORY, "out of memory");
        untorn_status status = ut_codec_encode(target->codec, definition->dtype.itemsize, bytes,
                                               definition->slot_bytes, encoder->encoded.memory,
                                               bound, &size, &encoder->scratch);
        if (status != UNTORN_OK)
            return ut_chunk_fail(target, job->number, status, untorn_message());
        encoded = encoder->encoded.memory;
    }
    UT_STEP("chunk encoded");
    bool from_memory = job->kind == UT_ENCODE_SLOT;
    if (from_memory && !ut_hold_valid(&encoder->hold, target->header, target->generation))
        return ut_chunk_fail(target, job->number, UNTORN_E_OVERTAKEN,
                             "overtaken by the writer: the pin ended");
    job->bytes = size;
    job->hash = ut_hash(encoded, size);
    untorn_status status = ut_array_writer_file(target->writer, job->number, encoded, size);
    if (status != UNTORN_OK)
        return ut_chunk_fail(target, job->number, status, untorn_message());
    if (from_memory && encoded == job->slot &&
        !ut_hold_valid(&encoder->hold, target->header, target->generation))
        return ut_chunk_fail(target, job->number, UNTORN_E_OVERTAKEN,
                             "overtaken by the writer: the pin ended");
    return UNTORN_OK;
}

static untorn_status encode_slot(ut_chunk_encoder *encoder, ut_encode_job *job) {
    const ut_definition *definition = job->target->definition;
    /* ThreadSanitizer takes reads of a slot for races with the writer that reuses it, which only
     * the check afterwards makes harmless. */
    if (is_whole(definition, job->extent) && !UT_RACY_ATOMIC)
        return write_file(encoder, job, job->slot);
    if (!reserve(&encoder->chunk, definition->slot_bytes))
        return ut_chunk_fail(job->target, job->number, UNTORN_E_NO_MEMORY, "out of memory");
    assemble(definition, job->extent, encoder->chunk.memory, job->slot);
    return write_file(encoder, job, encoder->chunk.memory);
}

/* What is only in the store and shows more or less of itself by now.  What grew has the fill value
 * in the file already. */
static untorn_status encode_stored(ut_chunk_encoder *encoder, ut_encode_job *job) {
    const ut_encode_target *target = job->target;
    const ut_definition *definition = target->definition;
    if (!reserve(&encoder->chunk, definition->slot_bytes) ||
        !reserve(&encoder->former, definition->slot_bytes))
        return ut_chunk_fail(target, job->number, UNTORN_E_NO_MEMORY, "out of memory");
    untorn_status status = ut_stored_chunk_read(target->stored, job->stored, encoder->former.memory,
                                                &encoder->scratch);
    if (status != UNTORN_OK)
        /* A file that a manifest names and that is not there is damage. */
        return ut_chunk_fail(target, job->number,
                             status == UNTORN_E_ABSENT ? UNTORN_E_CORRUPT : status,
                             untorn_message());
    assemble(definition, job->extent, encoder->chunk.memory, encoder->former.memory);
    return write_file(encoder, job, encoder->chunk.memory);
}

static untorn_status link_stored(ut_encode_job *job) {
    const ut_encode_target *target = job->target;
    job->bytes = job->stored->bytes;
    job->hash = job->stored->hash;
    untorn_status status =
        ut_array_writer_link(target->writer, job->number, target->stored, job->stored);
    return status == UNTORN_OK ? status
                               : ut_chunk_fail(target, job->number, status, untorn_message());
}

untorn_status ut_chunk_encode(ut_chunk_encoder *encoder, ut_encode_job *job) {
    switch (job->kind) {
    case UT_ENCODE_SLOT:
        return encode_slot(encoder, job);
    case UT_ENCODE_STORED:
        return encode_stored(encoder, job);
    default:
        return link_stored(job);
    }
}

void ut_chunk_encoder_free(ut_chunk_encoder *encoder) {
    ut_codec_scratch_free(&encoder->scratch);
    free(encoder->chunk.memory);
    free(encoder->encoded.memory);
    free(encoder->former.memory);
}
