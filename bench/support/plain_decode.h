// SPDX-License-Identifier: MIT
/*
 * What reading a chunk file takes by hand and no less: open it in its directory, read it, hash it
 * with XXH3, decode Blosc's container with liblz4, close it.  With memory that is kept between the
 * calls, and without looking up which file it is.
 */
#ifndef BENCH_PLAIN_DECODE_H
#define BENCH_PLAIN_DECODE_H

#include <stddef.h>
#include <stdint.h>

struct bench_plain_reader {
    int directory;
    size_t bytes;          /* of a chunk of 4-byte elements */
    unsigned char *file;   /* what is in it */
    unsigned char *planes; /* a block before its shuffle is undone */
    uint64_t hash;         /* of all files so far, so that no compiler leaves it out */
};

void bench_plain_open(struct bench_plain_reader *reader, const char *directory, size_t bytes);
void bench_plain_close(struct bench_plain_reader *reader);

/* Chunk `number` of a one-dimensional array, whose codec is lz4 or none. */
void bench_plain_read(struct bench_plain_reader *reader, uint64_t number, int lz4, void *to);

#endif
