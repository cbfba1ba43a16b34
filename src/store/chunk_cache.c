// SPDX-License-Identifier: MIT
/*
 * The cache of decompressed chunks: a hash table with chains, and a ring in order of use.
 */
#include "store/chunk_cache.h"

#include "base/test_hooks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u

struct ut_cached_chunk {
    ut_chunk_key key;
    size_t bytes;
    unsigned held;  /* by callers */
    bool forgotten; /* not in the table any more: freed when nobody holds it */
    ut_cached_chunk *chain;
    ut_cached_chunk *newer, *older;
    unsigned char content[];
};

struct ut_chunk_cache {
    pthread_mutex_t lock;
    size_t capacity, used;
    ut_cached_chunk *newest, *oldest;
    ut_cached_chunk *buckets[BUCKETS];
};

const void *ut_cached_bytes(const ut_cached_chunk *chunk) {
    return chunk->content;
}

ut_chunk_cache *ut_chunk_cache_create(size_t bytes) {
    ut_chunk_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    cache->capacity = bytes;
    return cache;
}

static ut_cached_chunk **bucket_of(ut_chunk_cache *cache, ut_chunk_key key) {
    uint64_t x = (key.hash ^ key.number * UINT64_C(0x9e3779b97f4a7c15)) + key.uid;
    return &cache->buckets[(x >> 32 ^ x) % BUCKETS];
}

static bool same_key(ut_chunk_key a, ut_chunk_key b) {
    return a.uid == b.uid && a.number == b.number && a.hash == b.hash;
}

static ut_cached_chunk *find(ut_chunk_cache *cache, ut_chunk_key key) {
    ut_cached_chunk *chunk = *bucket_of(cache, key);
    while (chunk != NULL && !same_key(chunk->key, key))
        chunk = chunk->chain;
    return chunk;
}

static void unlink_use(ut_chunk_cache *cache, ut_cached_chunk *chunk) {
    *(chunk->newer != NULL ? &chunk->newer->older : &cache->newest) = chunk->older;
    *(chunk->older != NULL ? &chunk->older->newer : &cache->oldest) = chunk->newer;
}

static void link_newest(ut_chunk_cache *cache, ut_cached_chunk *chunk) {
    chunk->newer = NULL;
    chunk->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = chunk;
    cache->newest = chunk;
}

static void forget(ut_chunk_cache *cache, ut_cached_chunk *chunk) {
    ut_cached_chunk **at = bucket_of(cache, chunk->key);
    while (*at != chunk)
        at = &(*at)->chain;
    *at = chunk->chain;
    unlink_use(cache, chunk);
    cache->used -= chunk->bytes;
    chunk->forgotten = true;
    if (chunk->held == 0)
        free(chunk);
}

void ut_chunk_cache_destroy(ut_chunk_cache *cache) {
    if (cache == NULL)
        return;
    while (cache->oldest != NULL)
        forget(cache, cache->oldest);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

ut_cached_chunk *ut_chunk_cache_get(ut_chunk_cache *cache, ut_chunk_key key) {
    pthread_mutex_lock(&cache->lock);
    ut_cached_chunk *chunk = find(cache, key);
    if (chunk != NULL) {
        chunk->held++;
        unlink_use(cache, chunk);
        link_newest(cache, chunk);
    }
    pthread_mutex_unlock(&cache->lock);
    return chunk;
}

void ut_chunk_cache_put(ut_chunk_cache *cache, ut_chunk_key key, const void *bytes, size_t n) {
    if (n > cache->capacity)
        return;
    ut_cached_chunk *chunk = malloc(sizeof *chunk + n);
    if (chunk == NULL)
        return;
    *chunk = (ut_cached_chunk){.key = key, .bytes = n};
    memcpy(chunk->content, bytes, n);
    pthread_mutex_lock(&cache->lock);
    if (find(cache, key) != NULL) { /* another thread was faster */
        free(chunk);
    } else {
        while (cache->used + n > cache->capacity && !UT_SEEDED(315))
            forget(cache, cache->oldest);
        ut_cached_chunk **bucket = bucket_of(cache, key);
        chunk->chain = *bucket;
        *bucket = chunk;
        link_newest(cache, chunk);
        cache->used += n;
    }
    pthread_mutex_unlock(&cache->lock);
}

void ut_chunk_cache_release(ut_chunk_cache *cache, ut_cached_chunk *chunk) {
    pthread_mutex_lock(&cache->lock);
    if (--chunk->held == 0 && chunk->forgotten)
        free(chunk);
    pthread_mutex_unlock(&cache->lock);
}
