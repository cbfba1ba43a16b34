// SPDX-License-Identifier: MIT
/*
 * Encoding one chunk.
 *
 * Shared memory is read only while the hold (window or pin) stands, and what was read counts only
 * if the hold still stands afterwards: the check comes after the encoding, so that nothing made of
 * reused bytes gets a record.  What is written straight from shared memory is checked again after
 * the write.
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

/* Whether what was read of the job's slot until now is the chunk. */
static untorn_status check(ut_hold *hold, const ut_encode_job *job) {
    const ut_encode_target *target = job->target;
    if (job->kind != UT_ENCODE_SLOT || ut_hold_valid(hold, target->header, target->generation))
        return UNTORN_OK;
    return ut_chunk_fail(target, job->number, UNTORN_E_OVERTAKEN,
                         "overtaken by the writer: the pin ended");
}

static untorn_status reserve(const ut_encode_job *job, ut_encode_buffer *buffer, uint64_t bytes) {
    if (buffer->bytes >= bytes)
        return UNTORN_OK;
    free(buffer->memory);
    *buffer = (ut_encode_buffer){malloc(bytes), bytes};
    if (buffer->memory != NULL)
        return UNTORN_OK;
    buffer->bytes = 0;
    return ut_chunk_fail(job->target, job->number, UNTORN_E_NO_MEMORY, "out of memory");
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

/* Encode `bytes`, a whole chunk, unless they are the file as they are. */
static untorn_status encode(ut_chunk_encoder *encoder, ut_encode_job *job, const void *bytes,
                            ut_encode_buffer *out) {
    const ut_encode_target *target = job->target;
    const ut_definition *definition = target->definition;
    size_t size = definition->slot_bytes;
    job->file = bytes;
    if (target->codec != UT_CODEC_NONE) {
        uint64_t bound = ut_codec_bound(target->codec, definition->slot_bytes);
        untorn_status status = reserve(job, out, bound);
        if (status != UNTORN_OK)
            return status;
        status =
            ut_codec_encode(target->codec, definition->dtype.itemsize, bytes,
                            definition->slot_bytes, out->memory, bound, &size, &encoder->scratch);
        if (status != UNTORN_OK)
            return ut_chunk_fail(target, job->number, status, untorn_message());
        job->file = out->memory;
    }
    /* While it is in the cache. */
    job->bytes = size;
    job->hash = ut_hash(job->file, size);
    UT_STEP("chunk encoded");
    return check(&encoder->hold, job);
}

/* Where a chunk is put together: without a codec that is the file. */
static untorn_status reserve_chunk(ut_chunk_encoder *encoder, const ut_encode_job *job,
                                   ut_encode_buffer *out, void **chunk) {
    ut_encode_buffer *buffer = job->target->codec == UT_CODEC_NONE ? out : &encoder->chunk;
    untorn_status status = reserve(job, buffer, job->target->definition->slot_bytes);
    *chunk = buffer->memory;
    return status;
}

static untorn_status encode_slot(ut_chunk_encoder *encoder, ut_encode_job *job,
                                 ut_encode_buffer *out) {
    const ut_definition *definition = job->target->definition;
    void *chunk;
    /* ThreadSanitizer takes reads of a slot for races with the writer that reuses it, which only
     * the check afterwards makes harmless. */
    if (is_whole(definition, job->extent) && !UT_RACY_ATOMIC)
        return encode(encoder, job, job->slot, out);
    untorn_status status = reserve_chunk(encoder, job, out, &chunk);
    if (status != UNTORN_OK)
        return status;
    assemble(definition, job->extent, chunk, job->slot);
    return encode(encoder, job, chunk, out);
}

/* What is only in the store and shows more or less of itself by now.  What grew has the fill value
 * in the file already. */
static untorn_status encode_stored(ut_chunk_encoder *encoder, ut_encode_job *job,
                                   ut_encode_buffer *out) {
    const ut_encode_target *target = job->target;
    const ut_definition *definition = target->definition;
    void *chunk;
    untorn_status status = reserve_chunk(encoder, job, out, &chunk);
    if (status == UNTORN_OK)
        status = reserve(job, &encoder->former, definition->slot_bytes);
    if (status != UNTORN_OK)
        return status;
    status = ut_stored_chunk_read(target->stored, job->stored, encoder->former.memory,
                                  &encoder->scratch);
    if (status != UNTORN_OK)
        /* A file that a manifest names and that is not there is damage. */
        return ut_chunk_fail(target, job->number,
                             status == UNTORN_E_ABSENT ? UNTORN_E_CORRUPT : status,
                             untorn_message());
    assemble(definition, job->extent, chunk, encoder->former.memory);
    return encode(encoder, job, chunk, out);
}

untorn_status ut_chunk_encode(ut_chunk_encoder *encoder, ut_encode_job *job,
                              ut_encode_buffer *out) {
    return job->kind == UT_ENCODE_STORED ? encode_stored(encoder, job, out)
                                         : encode_slot(encoder, job, out);
}

untorn_status ut_chunk_write(ut_hold *hold, const ut_encode_job *job) {
    untorn_status status =
        ut_array_writer_file(job->target->writer, job->number, job->file, job->bytes);
    return status == UNTORN_OK && job->file == job->slot ? check(hold, job) : status;
}

void ut_chunk_encoder_free(ut_chunk_encoder *encoder) {
    ut_codec_scratch_free(&encoder->scratch);
    free(encoder->chunk.memory);
    free(encoder->former.memory);
}
