// SPDX-License-Identifier: MIT
/*
 * Decompressed chunks in private memory, bounded in bytes; the least recently used goes first.
 *
 * The key is the array's uid, the chunk's number and the hash of its file: what a key means never
 * changes, so nothing is ever invalidated.  Any number of threads.
 */
#ifndef UT_CHUNK_CACHE_H
#define UT_CHUNK_CACHE_H

#include <stddef.h>
#include <stdint.h>

typedef struct ut_chunk_cache ut_chunk_cache;

typedef struct ut_chunk_key {
    uint64_t uid, number, hash;
} ut_chunk_key;

/* A chunk that is held; its bytes follow. */
typedef struct ut_cached_chunk ut_cached_chunk;
const void *ut_cached_bytes(const ut_cached_chunk *chunk);

/* NULL: out of memory. */
ut_chunk_cache *ut_chunk_cache_create(size_t bytes);
void ut_chunk_cache_destroy(ut_chunk_cache *cache); /* NULL is allowed; nothing is held */

/* Hold the chunk, or NULL. */
ut_cached_chunk *ut_chunk_cache_get(ut_chunk_cache *cache, ut_chunk_key key);
/* Copy a chunk in, if it fits. */
void ut_chunk_cache_put(ut_chunk_cache *cache, ut_chunk_key key, const void *bytes, size_t n);
void ut_chunk_cache_release(ut_chunk_cache *cache, ut_cached_chunk *chunk);

#endif
