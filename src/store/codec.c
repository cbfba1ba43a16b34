// SPDX-License-Identifier: MIT
/*
 * Codecs; codec.h has the container's format.
 *
 * Encoding goes block by block: shuffle into scratch memory, compress from there
 * to the output.  A block has to fit into the second-level cache with its
 * shuffled copy, and should be long, because LZ4 starts anew with each and
 * because each byte plane is then searched as one.  Measured on float data of 1
 * MiB: from 64 to 256 KiB files shrink by 1 to 3 % and both ways get faster; above,
 * nothing changes.  LZ4's higher accelerations gain 10 % of the encoder's time and
 * may cost half of the decoder's.
 */
#include "store/codec.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>

#include "base/status.h"
#include "store/shuffle.h"

#define HEADER_BYTES 16u
#define CONTAINER_VERSION 2u
#define LZ4_FORMAT_VERSION 1u

#define FLAG_SHUFFLED 0x01u
#define FLAG_STORED 0x02u
#define FLAG_BIT_SHUFFLED 0x04u
#define FLAG_FUTURE 0x08u
#define FLAG_NOT_SPLIT 0x10u
#define FLAG_LZ4 0x20u
#define COMPRESSOR_SHIFT 5u

#define MAX_TYPESIZE 255u
#define MAX_SPLITS 16u
#define MIN_SPLIT_BYTES 128u /* of a piece */

#define BLOCK_BYTES ((size_t)256 << 10)
#define MIN_COMPRESSED 128u /* shorter chunks are stored, as Blosc has it */
#define ACCELERATION 1

static uint32_t get32(const unsigned char *from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void put32(unsigned char *to, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

void ut_codec_scratch_free(ut_codec_scratch *scratch) {
    free(scratch->memory);
    *scratch = (ut_codec_scratch)UT_CODEC_SCRATCH_INIT;
}

static untorn_status need_scratch(ut_codec_scratch *scratch, size_t bytes) {
    if (scratch->bytes >= bytes)
        return UNTORN_OK;
    void *memory = malloc(bytes); /* not realloc: nothing in it is worth copying */
    if (memory == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %zu bytes to shuffle in", bytes);
    free(scratch->memory);
    scratch->memory = memory;
    scratch->bytes = bytes;
    return UNTORN_OK;
}

untorn_status ut_codec_parse(const char *name, ut_codec *codec) {
    if (strcmp(name, "lz4") == 0)
        *codec = UT_CODEC_LZ4;
    else if (strcmp(name, "none") == 0)
        *codec = UT_CODEC_NONE;
    else
        return ut_fail(UNTORN_E_ARGUMENT, "codec \"%.32s\" is neither \"lz4\" nor \"none\"", name);
    return UNTORN_OK;
}

unsigned ut_codec_typesize(ut_codec codec, size_t itemsize) {
    return codec == UT_CODEC_NONE || itemsize == 0 || itemsize > MAX_TYPESIZE ? 1
                                                                              : (unsigned)itemsize;
}

untorn_status ut_codec_check(ut_codec codec, uint64_t chunk_bytes) {
    if (codec == UT_CODEC_LZ4 && chunk_bytes > UT_CODEC_MAX_LZ4)
        return ut_fail(UNTORN_E_LIMIT,
                       "a chunk of %llu bytes is too large for codec \"lz4\": the Blosc format has "
                       "at most %llu; use smaller chunks or codec \"none\"",
                       (unsigned long long)chunk_bytes, (unsigned long long)UT_CODEC_MAX_LZ4);
    return UNTORN_OK;
}

uint64_t ut_codec_bound(ut_codec codec, uint64_t n) {
    return codec == UT_CODEC_LZ4 ? n + HEADER_BYTES : n;
}

/* ------------------------------------------------------------ encoding */

static void put_header(unsigned char *out, unsigned flags, unsigned typesize, size_t nbytes,
                       size_t blocksize, size_t cbytes) {
    out[0] = CONTAINER_VERSION;
    out[1] = LZ4_FORMAT_VERSION;
    out[2] = (unsigned char)(FLAG_LZ4 | FLAG_NOT_SPLIT | flags);
    out[3] = (unsigned char)typesize;
    put32(out + 4, (uint32_t)nbytes);
    put32(out + 8, (uint32_t)blocksize);
    put32(out + 12, (uint32_t)cbytes);
}

/* The length of blocks: whole elements, and not longer than the content. */
static size_t choose_blocksize(unsigned typesize, size_t n) {
    size_t blocksize = BLOCK_BYTES / typesize * typesize;
    return n > blocksize ? blocksize : n > 0 ? n : 1;
}

/*
 * One block of `n` bytes to `out`, with its csize.  Returns the bytes written, 0
 * if there is no room.  LZ4 gets one byte less than the block has, since a csize
 * of the block's length means stored.
 */
static size_t encode_block(const unsigned char *block, size_t n, unsigned char *out, size_t room) {
    if (room < 4)
        return 0;
    size_t limit = room - 4 < n - 1 ? room - 4 : n - 1;
    int csize =
        LZ4_compress_fast((const char *)block, (char *)out + 4, (int)n, (int)limit, ACCELERATION);
    if (csize > 0) {
        put32(out, (uint32_t)csize);
        return 4 + (size_t)csize;
    }
    if (room - 4 < n)
        return 0;
    put32(out, (uint32_t)n);
    memcpy(out + 4, block, n);
    return 4 + n;
}

/* All blocks, for fewer than `room` bytes with everything, or 0. */
static size_t encode_blocks(unsigned typesize, const unsigned char *bytes, size_t n,
                            size_t blocksize, unsigned char *out, size_t room,
                            unsigned char *shuffled) {
    size_t blocks = (n + blocksize - 1) / blocksize, at = HEADER_BYTES + 4 * blocks;
    if (at >= room)
        return 0;
    for (size_t i = 0; i < blocks; i++) {
        const unsigned char *block = bytes + i * blocksize;
        size_t length = n - i * blocksize < blocksize ? n - i * blocksize : blocksize;
        if (typesize > 1) {
            ut_shuffle(typesize, length, block, shuffled);
            block = shuffled;
        }
        put32(out + HEADER_BYTES + 4 * i, (uint32_t)at);
        size_t written = encode_block(block, length, out + at, room - at);
        if (written == 0)
            return 0;
        at += written;
    }
    return at < room ? at : 0;
}

static untorn_status encode_lz4(size_t itemsize, const void *bytes, size_t n, unsigned char *out,
                                size_t *size, ut_codec_scratch *scratch) {
    unsigned typesize = ut_codec_typesize(UT_CODEC_LZ4, itemsize);
    size_t blocksize = choose_blocksize(typesize, n), encoded = 0;
    unsigned flags = typesize > 1 ? FLAG_SHUFFLED : 0;
    if (n >= MIN_COMPRESSED) {
        if (typesize > 1) {
            untorn_status status = need_scratch(scratch, blocksize);
            if (status != UNTORN_OK)
                return status;
        }
        encoded =
            encode_blocks(typesize, bytes, n, blocksize, out, n + HEADER_BYTES, scratch->memory);
    }
    if (encoded == 0) {
        encoded = n + HEADER_BYTES;
        flags |= FLAG_STORED;
        if (n > 0)
            memcpy(out + HEADER_BYTES, bytes, n);
    }
    put_header(out, flags, typesize, n, blocksize, encoded);
    *size = encoded;
    return UNTORN_OK;
}

untorn_status ut_codec_encode(ut_codec codec, size_t itemsize, const void *bytes, size_t n,
                              void *out, size_t capacity, size_t *size, ut_codec_scratch *scratch) {
    untorn_status status = ut_codec_check(codec, n);
    if (status != UNTORN_OK)
        return status;
    if (capacity < ut_codec_bound(codec, n))
        return ut_fail(UNTORN_E_BUFFER_TOO_SMALL, "%zu bytes are too few to encode %zu into",
                       capacity, n);
    if (codec == UT_CODEC_LZ4)
        return encode_lz4(itemsize, bytes, n, out, size, scratch);
    if (n > 0)
        memcpy(out, bytes, n);
    *size = n;
    return UNTORN_OK;
}

/* ------------------------------------------------------------ decoding */

struct container {
    const unsigned char *bytes;
    size_t cbytes;
    unsigned flags;
    unsigned typesize;
    size_t nbytes;
    size_t blocksize;
};

static untorn_status corrupt(const char *what) {
    return ut_fail(UNTORN_E_CORRUPT, "damaged chunk file: %s", what);
}

/* Everything the header says is what it may say, for this length and content. */
static untorn_status read_header(struct container *c, const void *bytes, size_t n,
                                 size_t expected) {
    if (n < HEADER_BYTES)
        return ut_fail(UNTORN_E_CORRUPT, "damaged chunk file: %zu bytes, a header has %u", n,
                       HEADER_BYTES);
    const unsigned char *header = bytes;
    *c = (struct container){.bytes = header,
                            .cbytes = get32(header + 12),
                            .flags = header[2],
                            .typesize = header[3],
                            .nbytes = get32(header + 4),
                            .blocksize = get32(header + 8)};
    if (header[0] != CONTAINER_VERSION || (c->flags & FLAG_FUTURE))
        return corrupt("not a Blosc 1 container");
    if (c->cbytes != n)
        return ut_fail(UNTORN_E_CORRUPT,
                       "damaged chunk file: it has %zu bytes, its header says %zu", n, c->cbytes);
    if (c->nbytes != expected)
        return ut_fail(UNTORN_E_CORRUPT,
                       "damaged chunk file: its content has %zu bytes, the chunk %zu", c->nbytes,
                       expected);
    if (c->typesize == 0 || (c->nbytes > 0 && (c->blocksize == 0 || c->blocksize > c->nbytes)))
        return corrupt("typesize or block size");
    if (c->flags & FLAG_STORED)
        return c->cbytes == c->nbytes + HEADER_BYTES ? UNTORN_OK : corrupt("length");
    if (c->flags >> COMPRESSOR_SHIFT != FLAG_LZ4 >> COMPRESSOR_SHIFT ||
        header[1] != LZ4_FORMAT_VERSION)
        return corrupt("compressed with something else than LZ4");
    if (c->flags & FLAG_BIT_SHUFFLED)
        return corrupt("bit-shuffled, which is not supported");
    return UNTORN_OK;
}

/* The pieces of one block, which begins at `at`, to `out`, still shuffled. */
static bool decode_block(const struct container *c, size_t at, unsigned char *out, size_t length,
                         unsigned pieces) {
    size_t piece = length / pieces;
    for (unsigned i = 0; i < pieces; i++) {
        if (at > c->cbytes || c->cbytes - at < 4)
            return false;
        size_t csize = get32(c->bytes + at);
        at += 4;
        if (csize > c->cbytes - at || csize > INT_MAX)
            return false;
        const char *from = (const char *)c->bytes + at;
        if (csize == piece)
            memcpy(out, from, piece);
        else if (LZ4_decompress_safe(from, (char *)out, (int)csize, (int)piece) != (int)piece)
            return false;
        at += csize;
        out += piece;
    }
    return true;
}

static unsigned count_pieces(const struct container *c, size_t length) {
    bool split = !(c->flags & FLAG_NOT_SPLIT) && c->typesize <= MAX_SPLITS &&
                 c->blocksize / c->typesize >= MIN_SPLIT_BYTES && length == c->blocksize;
    return split ? c->typesize : 1;
}

static untorn_status decode_blocks(const struct container *c, unsigned char *out,
                                   ut_codec_scratch *scratch) {
    size_t blocks = c->nbytes / c->blocksize + (c->nbytes % c->blocksize != 0);
    if (blocks > (c->cbytes - HEADER_BYTES) / 4)
        return corrupt("more blocks than there is room for");
    bool shuffled = (c->flags & FLAG_SHUFFLED) && c->typesize > 1;
    if (shuffled) {
        untorn_status status = need_scratch(scratch, c->blocksize);
        if (status != UNTORN_OK)
            return status;
    }
    for (size_t i = 0; i < blocks; i++) {
        size_t from = i * c->blocksize, left = c->nbytes - from;
        size_t length = left < c->blocksize ? left : c->blocksize;
        unsigned pieces = count_pieces(c, length);
        size_t at = get32(c->bytes + HEADER_BYTES + 4 * i);
        unsigned char *to = shuffled ? scratch->memory : out + from;
        if (at < HEADER_BYTES + 4 * blocks || length % pieces != 0 ||
            !decode_block(c, at, to, length, pieces))
            return ut_fail(UNTORN_E_CORRUPT, "damaged chunk file: block %zu of %zu", i, blocks);
        if (shuffled)
            ut_unshuffle(c->typesize, length, to, out + from);
    }
    return UNTORN_OK;
}

static untorn_status decode_lz4(const void *bytes, size_t n, unsigned char *out, size_t expected,
                                ut_codec_scratch *scratch) {
    untorn_status status = ut_codec_check(UT_CODEC_LZ4, expected);
    if (status != UNTORN_OK)
        return status;
    struct container c = {0};
    status = read_header(&c, bytes, n, expected);
    if (status != UNTORN_OK || c.nbytes == 0)
        return status;
    if (c.flags & FLAG_STORED) {
        memcpy(out, c.bytes + HEADER_BYTES, c.nbytes);
        return UNTORN_OK;
    }
    return decode_blocks(&c, out, scratch);
}

untorn_status ut_codec_decode(ut_codec codec, const void *bytes, size_t n, void *out,
                              size_t expected, ut_codec_scratch *scratch) {
    if (codec == UT_CODEC_LZ4)
        return decode_lz4(bytes, n, out, expected, scratch);
    if (n != expected)
        return ut_fail(UNTORN_E_CORRUPT, "damaged chunk file: it has %zu bytes, the chunk %zu", n,
                       expected);
    if (n > 0)
        memcpy(out, bytes, n);
    return UNTORN_OK;
}
