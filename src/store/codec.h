// SPDX-License-Identifier: MIT
/*
 * Codecs: a chunk's bytes to a chunk file's bytes, and back.
 *
 *   none   the bytes themselves
 *   lz4    byte shuffle and LZ4 in the container of Blosc 1, which zarr-python
 *          2 and 3, TensorStore, GDAL and zarrs read as codec "blosc", cname
 *          "lz4".  Written with liblz4 alone.
 *
 * The container, little-endian:
 *
 *    0  u8   2, the container's version
 *    1  u8   1, the version of the LZ4 format
 *    2  u8   flags: 0x01 shuffled, 0x02 stored, 0x04 bit-shuffled, 0x10 blocks
 *            are not split; bits 5 to 7: 1, LZ4
 *    3  u8   typesize, which the shuffle took for an element's size
 *    4  u32  nbytes, of the content
 *    8  u32  blocksize
 *   12  u32  cbytes, of the container, this header included
 *   stored:  the content
 *   else:    u32 per block of blocksize (the last may be shorter): where it
 *            begins, from the begin of the header; there:
 *            u32 csize, then csize bytes: if csize is the block's length, the
 *            shuffled block, else an LZ4 block of it.  Without flag 0x10 there
 *            are `typesize` such pieces in each whole block of at least 128
 *            elements of at most 16 bytes, one per byte plane.
 *
 * Elements wider than 255 bytes, which typesize cannot tell, are not shuffled
 * (typesize 1), as Blosc has it.  What LZ4 does not make smaller is stored, so a
 * file is never more than 16 bytes longer than its chunk.
 *
 * nbytes has 31 bits, hence a chunk has less than 2 GiB with codec lz4:
 * ut_codec_check() tells beforehand.  Such chunks are not stored in any other way
 * behind the metadata's back: other readers could not make sense of them.
 *
 * There is no state but the scratch memory that a caller brings: any number of
 * threads, each with its own.
 */
#ifndef UT_CODEC_H
#define UT_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

typedef enum ut_codec { UT_CODEC_NONE = 0, UT_CODEC_LZ4 = 1 } ut_codec;

/* The most that Blosc takes: INT32_MAX less its header. */
#define UT_CODEC_MAX_LZ4 UINT64_C(2147483631)

/* What an encoder writes as the metadata's compression level; Blosc's default.  Decoders ignore it.
 */
#define UT_CODEC_LEVEL 5

/* Memory that calls of one thread reuse.  Begin with UT_CODEC_SCRATCH_INIT. */
typedef struct ut_codec_scratch {
    void *memory;
    size_t bytes;
} ut_codec_scratch;
#define UT_CODEC_SCRATCH_INIT                                                                      \
    { NULL, 0 }

void ut_codec_scratch_free(ut_codec_scratch *scratch);

/* "lz4" or "none".  UNTORN_E_ARGUMENT. */
untorn_status ut_codec_parse(const char *name, ut_codec *codec);

/* The typesize that a container of elements of this size gets: 1 if it is too large for one. */
unsigned ut_codec_typesize(ut_codec codec, size_t itemsize);

/* UNTORN_E_LIMIT if chunks of this many bytes cannot be encoded. */
untorn_status ut_codec_check(ut_codec codec, uint64_t chunk_bytes);

/* The most bytes that a chunk of `n` bytes becomes. */
uint64_t ut_codec_bound(ut_codec codec, uint64_t n);

/*
 * Encode `n` bytes, which must not change meanwhile, of elements of `itemsize`
 * into `out`, which has ut_codec_bound() bytes at least; *size gets how many
 * were needed.  The same bytes always give the same result, with one version
 * of liblz4.  UNTORN_E_LIMIT, _BUFFER_TOO_SMALL, _NO_MEMORY.
 */
untorn_status ut_codec_encode(ut_codec codec, size_t itemsize, const void *bytes, size_t n,
                              void *out, size_t capacity, size_t *size, ut_codec_scratch *scratch);

/*
 * Decode a whole file of `n` bytes, which must not change meanwhile, to exactly
 * `expected` bytes.  The file is not trusted.  Also decodes what Blosc itself
 * writes with LZ4 or LZ4HC, split or not, shuffled or not.  On failure the
 * content of `out` is undefined.
 * UNTORN_E_CORRUPT (also for Blosc's other compressors), _LIMIT, _NO_MEMORY.
 */
untorn_status ut_codec_decode(ut_codec codec, const void *bytes, size_t n, void *out,
                              size_t expected, ut_codec_scratch *scratch);

#endif
