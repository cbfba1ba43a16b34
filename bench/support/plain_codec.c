// SPDX-License-Identifier: MIT
/*
 * Threads draw chunk numbers from one counter.  c-blosc is looked for at run
 * time, so that benchmarks build without it; it uses its own block size.
 */
#include "plain_codec.h"

#include "machine.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BLOCK ((size_t)256 << 10)
#define TYPESIZE 4u

static void shuffle(size_t bytes, const unsigned char *from, unsigned char *to) {
    size_t elements = bytes / TYPESIZE, e = 0;
#if defined(__SSE2__)
    /* Four vectors hold 16 elements; four rounds of interleaving part their bytes. */
    for (; e + 16 <= elements; e += 16) {
        __m128i v[4], w[4];
        for (int i = 0; i < 4; i++)
            v[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + e * TYPESIZE) + i);
        for (int round = 0; round < 4; round++) {
            w[0] = _mm_unpacklo_epi8(v[0], v[2]), w[1] = _mm_unpackhi_epi8(v[0], v[2]);
            w[2] = _mm_unpacklo_epi8(v[1], v[3]), w[3] = _mm_unpackhi_epi8(v[1], v[3]);
            memcpy(v, w, sizeof(v));
        }
        for (size_t b = 0; b < 4; b++)
            _mm_storeu_si128((__m128i *)(void *)(to + b * elements + e), v[b]);
    }
#endif
    for (; e < elements; e++)
        for (size_t b = 0; b < TYPESIZE; b++)
            to[b * elements + e] = from[e * TYPESIZE + b];
}

typedef int blosc_compress_function(int, int, size_t, size_t, const void *, void *, size_t,
                                    const char *, size_t, int);

struct work {
    const unsigned char *chunks;
    size_t count, bytes;
    blosc_compress_function *blosc; /* NULL: liblz4 */
    int directory;                  /* to write files in; below 0: none */
    _Atomic size_t next;
    _Atomic uint64_t encoded;
};

static uint64_t encode_chunk(const unsigned char *chunk, size_t bytes, unsigned char *scratch,
                             unsigned char *out) {
    uint64_t size = 0;
    for (size_t at = 0; at < bytes; at += BLOCK) {
        size_t n = bytes - at < BLOCK ? bytes - at : BLOCK;
        shuffle(n, chunk + at, scratch);
        int became = LZ4_compress_default((const char *)scratch, (char *)out + size, (int)n,
                                          LZ4_compressBound((int)n));
        if (became <= 0)
            bench_die("LZ4_compress_default failed");
        size += (uint64_t)became;
    }
    return size;
}

static void write_file(int directory, size_t number, const void *bytes, size_t n) {
    char name[24];
    snprintf(name, sizeof(name), "%zu", number);
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd) != 0)
        bench_die("%s: %s", name, strerror(errno));
}

static void *encode_some(void *context) {
    struct work *work = context;
    size_t room = work->bytes + work->bytes / 128 + BLOCK;
    unsigned char *out = bench_private_memory(room), *scratch = bench_private_memory(BLOCK);
    for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->count;) {
        const unsigned char *chunk = work->chunks + i * work->bytes;
        int size = work->blosc
                       ? work->blosc(5, 1, TYPESIZE, work->bytes, chunk, out, room, "lz4", 0, 1)
                       : (int)encode_chunk(chunk, work->bytes, scratch, out);
        if (size <= 0)
            bench_die("blosc_compress_ctx failed");
        if (work->directory >= 0)
            write_file(work->directory, i, out, (size_t)size);
        atomic_fetch_add(&work->encoded, (uint64_t)size);
    }
    free(out);
    free(scratch);
    return NULL;
}

static uint64_t encode(struct work *work, unsigned threads) {
    pthread_t thread[16];
    unsigned started = 0;
    while (started + 1 < threads && started < 16 &&
           pthread_create(&thread[started], NULL, encode_some, work) == 0)
        started++;
    encode_some(work);
    for (unsigned t = 0; t < started; t++)
        pthread_join(thread[t], NULL);
    return atomic_load(&work->encoded);
}

uint64_t bench_plain_encode(const void *chunks, size_t count, size_t bytes, unsigned threads) {
    struct work work = {.chunks = chunks, .count = count, .bytes = bytes, .directory = -1};
    return encode(&work, threads);
}

uint64_t bench_plain_encode_to(const char *directory, const void *chunks, size_t count,
                               size_t bytes, unsigned threads) {
    struct work work = {.chunks = chunks, .count = count, .bytes = bytes};
    work.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (work.directory < 0)
        bench_die("%s: %s", directory, strerror(errno));
    uint64_t encoded = encode(&work, threads);
    close(work.directory);
    return encoded;
}

static void *blosc_symbol(const char *name) {
    static void *library;
    if (!library)
        library = dlopen("libblosc.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : NULL;
}

const char *bench_blosc_version(void) {
    void *symbol = blosc_symbol("blosc_get_version_string");
    const char *(*version)(void);
    if (!symbol)
        return NULL;
    memcpy(&version, &symbol, sizeof(version));
    return version();
}

uint64_t bench_blosc_encode(const void *chunks, size_t count, size_t bytes, unsigned threads) {
    void *symbol = blosc_symbol("blosc_compress_ctx");
    struct work work = {.chunks = chunks, .count = count, .bytes = bytes, .directory = -1};
    memcpy(&work.blosc, &symbol, sizeof(work.blosc));
    return encode(&work, threads);
}
