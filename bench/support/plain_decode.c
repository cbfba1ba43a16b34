// SPDX-License-Identifier: MIT
/*
 * The container of Blosc 1 as untorn and c-blosc write it with LZ4: a header of 16 bytes, the
 * places of the blocks, and each block's pieces with their lengths.
 */
#include "plain_decode.h"

#include "machine.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define TYPESIZE 4u
#define HEADER 16u
#define SHUFFLED 0x01u
#define STORED 0x02u
#define NOT_SPLIT 0x10u

static void unshuffle(size_t bytes, const unsigned char *from, unsigned char *to) {
    size_t elements = bytes / TYPESIZE, e = 0;
#if defined(__SSE2__)
    /* As the shuffle, whose four rounds and these two are the identity. */
    for (; e + 16 <= elements; e += 16) {
        __m128i v[4], w[4];
        for (size_t b = 0; b < 4; b++)
            v[b] = _mm_loadu_si128((const __m128i *)(const void *)(from + b * elements + e));
        for (int round = 0; round < 2; round++) {
            w[0] = _mm_unpacklo_epi8(v[0], v[2]), w[1] = _mm_unpackhi_epi8(v[0], v[2]);
            w[2] = _mm_unpacklo_epi8(v[1], v[3]), w[3] = _mm_unpackhi_epi8(v[1], v[3]);
            memcpy(v, w, sizeof(v));
        }
        for (int i = 0; i < 4; i++)
            _mm_storeu_si128((__m128i *)(void *)(to + e * TYPESIZE) + i, v[i]);
    }
#endif
    for (; e < elements; e++)
        for (size_t b = 0; b < TYPESIZE; b++)
            to[e * TYPESIZE + b] = from[b * elements + e];
}

static uint32_t word(const unsigned char *from) {
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

/* A block's pieces, decompressed one behind the other. */
static void decode_pieces(const unsigned char *from, size_t bytes, size_t pieces,
                          unsigned char *to) {
    size_t each = bytes / pieces;
    for (size_t p = 0; p < pieces; p++) {
        int size = (int)word(from);
        from += 4;
        if ((size_t)size == each)
            memcpy(to, from, each);
        else if (LZ4_decompress_safe((const char *)from, (char *)to, size, (int)each) != (int)each)
            bench_die("LZ4_decompress_safe failed");
        from += size;
        to += each;
    }
}

static void decode(struct bench_plain_reader *reader, unsigned char *to) {
    const unsigned char *file = reader->file;
    unsigned flags = file[2];
    size_t bytes = word(file + 4), block = word(file + 8);
    if (bytes != reader->bytes || file[3] != TYPESIZE || flags >> 5 != 1)
        bench_die("a chunk file is not what the benchmark wrote");
    if (flags & STORED) {
        memcpy(to, file + HEADER, bytes);
        return;
    }
    for (size_t at = 0, i = 0; at < bytes; at += block, i++) {
        size_t n = bytes - at < block ? bytes - at : block;
        int split = !(flags & NOT_SPLIT) && n == block && block / TYPESIZE >= 128;
        unsigned char *place = flags & SHUFFLED ? reader->planes : to + at;
        decode_pieces(file + word(file + HEADER + 4 * i), n, split ? TYPESIZE : 1, place);
        if (flags & SHUFFLED)
            unshuffle(n, reader->planes, to + at);
    }
}

void bench_plain_open(struct bench_plain_reader *reader, const char *directory, size_t bytes) {
    reader->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reader->directory < 0)
        bench_die("%s: %s", directory, strerror(errno));
    reader->bytes = bytes;
    reader->file = bench_private_memory(bytes + 4096);
    reader->planes = bench_private_memory(bytes);
    reader->hash = 0;
}

void bench_plain_close(struct bench_plain_reader *reader) {
    close(reader->directory);
    free(reader->file);
    free(reader->planes);
}

void bench_plain_read(struct bench_plain_reader *reader, uint64_t number, int lz4, void *to) {
    unsigned char *file = lz4 ? reader->file : to;
    char name[24];
    snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
    int fd = openat(reader->directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, file, reader->bytes + (lz4 ? 4096 : 0), 0);
    if (n < 0 || close(fd) != 0)
        bench_die("chunk file %s: %s", name, strerror(errno));
    reader->hash ^= XXH3_64bits(file, (size_t)n);
    if (lz4)
        decode(reader, to);
    else if ((size_t)n != reader->bytes)
        bench_die("chunk file %s: has %zd bytes", name, n);
}
