// SPDX-License-Identifier: MIT
/*
 * One chunk becomes a file of an array directory: what a worker of the encode pool does.
 */
#ifndef UT_ENCODE_CHUNK_H
#define UT_ENCODE_CHUNK_H

#include "store/encode_pool.h"

/* Memory of one thread, reused from chunk to chunk.  Begins as zeros, but for `hold`. */
typedef struct ut_chunk_encoder {
    ut_hold hold; /* the thread's own copy */
    ut_codec_scratch scratch;
    struct ut_encode_buffer {
        void *memory;
        size_t bytes;
    } chunk, encoded, former; /* as it is to be stored; encoded; as the previous snapshot has it */
} ut_chunk_encoder;

/* Do the job: the file is there, and job->bytes and job->hash are set.  UNTORN_E_OVERTAKEN: the
 * pin ended.  UNTORN_E_CORRUPT, _NO_SPACE, _NO_MEMORY, ...: the message names store, array, chunk.
 */
untorn_status ut_chunk_encode(ut_chunk_encoder *encoder, ut_encode_job *job);

void ut_chunk_encoder_free(ut_chunk_encoder *encoder);

/* Set the message to store, array, chunk and the reason, and return `status`. */
untorn_status ut_chunk_fail(const ut_encode_target *target, uint64_t number, untorn_status status,
                            const char *reason);

#endif
