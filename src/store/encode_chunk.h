// SPDX-License-Identifier: MIT
/*
 * One chunk becomes the bytes of a file, and they become the file: what a thread of the encode pool
 * does.
 */
#ifndef UT_ENCODE_CHUNK_H
#define UT_ENCODE_CHUNK_H

#include "store/encode_pool.h"

typedef struct ut_encode_buffer {
    void *memory;
    size_t bytes;
} ut_encode_buffer;

/* Memory of one thread, reused from chunk to chunk.  Begins as zeros, but for `hold`. */
typedef struct ut_chunk_encoder {
    ut_hold hold; /* the thread's own copy */
    ut_codec_scratch scratch;
    ut_encode_buffer chunk, former; /* as it is to be encoded; as the previous snapshot has it */
} ut_chunk_encoder;

/* Encode a job that is no link: sets job->file (in `out`, or the slot), ->bytes and ->hash.
 * UNTORN_E_OVERTAKEN: the pin ended.  UNTORN_E_CORRUPT, _NO_MEMORY, ...: the message names store,
 * array and chunk. */
untorn_status ut_chunk_encode(ut_chunk_encoder *encoder, ut_encode_job *job, ut_encode_buffer *out);

/* Write what ut_chunk_encode() made. */
untorn_status ut_chunk_write(ut_hold *hold, const ut_encode_job *job);

void ut_chunk_encoder_free(ut_chunk_encoder *encoder);

/* Set the message to store, array, chunk and the reason, and return `status`. */
untorn_status ut_chunk_fail(const ut_encode_target *target, uint64_t number, untorn_status status,
                            const char *reason);

#endif
