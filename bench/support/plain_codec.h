// SPDX-License-Identifier: MIT
/*
 * What the codec alone reaches: byte shuffle and LZ4 over chunks in memory, in
 * blocks of 256 KiB as Blosc does it, and nothing else.  With liblz4 and a
 * shuffle of 16-byte vectors; or, where it is installed, by c-blosc itself.
 */
#ifndef BENCH_PLAIN_CODEC_H
#define BENCH_PLAIN_CODEC_H

#include <stddef.h>
#include <stdint.h>

/* Encode `count` chunks of `bytes` each of 4-byte elements, lying one behind the other, by
 * `threads` threads.  Returns the bytes that came out. */
uint64_t bench_plain_encode(const void *chunks, size_t count, size_t bytes, unsigned threads);

/* The same, and each chunk's bytes written to a new file in `directory`. */
uint64_t bench_plain_encode_to(const char *directory, const void *chunks, size_t count,
                               size_t bytes, unsigned threads);

/* The same in memory by c-blosc.  bench_blosc_version(): NULL if it is not installed. */
const char *bench_blosc_version(void);
uint64_t bench_blosc_encode(const void *chunks, size_t count, size_t bytes, unsigned threads);

#endif
