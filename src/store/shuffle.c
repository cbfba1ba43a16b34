// SPDX-License-Identifier: MIT
/*
 * Byte shuffle in vectors.
 *
 * Take 16 elements of T = 2^t bytes: T vectors of 16 bytes.  Byte b of element e
 * lies at e * T + b and has to go to b * 16 + e: seen as a number of 4 + t bits,
 * its place is rotated by 4.  Interleaving the bytes of the first half of the
 * vectors with those of the second half rotates every place left by one.  So
 * four rounds of interleaving shuffle, and t rounds undo it; each round is T
 * unpack instructions.
 *
 * AVX2 unpacks within its two halves.  That suits: let one half work on one 16
 * elements and the other on the next 16; then each vector of the result is 32
 * bytes of one plane, stored at once.
 *
 * Typesizes other than 2, 4, 8 and 16, and what remains after the last whole
 * vectors, are moved byte by byte.
 */
#include "store/shuffle.h"

#include <stdint.h>
#include <string.h>

/* ------------------------------------------------------------ byte by byte */

/* Elements at a time: T rows of the other side then stay in the first-level cache. */
#define TILE 256u

/* Elements from `begin`.  With a constant typesize the compiler makes the loops better. */
static inline __attribute__((always_inline)) void shuffle_bytes(size_t typesize, size_t elements,
                                                                size_t begin,
                                                                const unsigned char *from,
                                                                unsigned char *to) {
    for (size_t tile = begin; tile < elements; tile += TILE) {
        size_t end = elements - tile < TILE ? elements : tile + TILE;
        for (size_t b = 0; b < typesize; b++)
            for (size_t e = tile; e < end; e++)
                to[b * elements + e] = from[e * typesize + b];
    }
}

static inline __attribute__((always_inline)) void unshuffle_bytes(size_t typesize, size_t elements,
                                                                  size_t begin,
                                                                  const unsigned char *from,
                                                                  unsigned char *to) {
    for (size_t tile = begin; tile < elements; tile += TILE) {
        size_t end = elements - tile < TILE ? elements : tile + TILE;
        for (size_t b = 0; b < typesize; b++)
            for (size_t e = tile; e < end; e++)
                to[e * typesize + b] = from[b * elements + e];
    }
}

static void shuffle_portable(size_t typesize, size_t elements, size_t begin,
                             const unsigned char *from, unsigned char *to) {
    switch (typesize) {
    case 2:
        shuffle_bytes(2, elements, begin, from, to);
        return;
    case 4:
        shuffle_bytes(4, elements, begin, from, to);
        return;
    case 8:
        shuffle_bytes(8, elements, begin, from, to);
        return;
    default:
        shuffle_bytes(typesize, elements, begin, from, to);
    }
}

static void unshuffle_portable(size_t typesize, size_t elements, size_t begin,
                               const unsigned char *from, unsigned char *to) {
    switch (typesize) {
    case 2:
        unshuffle_bytes(2, elements, begin, from, to);
        return;
    case 4:
        unshuffle_bytes(4, elements, begin, from, to);
        return;
    case 8:
        unshuffle_bytes(8, elements, begin, from, to);
        return;
    default:
        unshuffle_bytes(typesize, elements, begin, from, to);
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

/* The loops over vectors have to vanish for the vectors to stay in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define TARGET_AVX2 __attribute__((target("avx2")))
#define FORCE_INLINE static inline __attribute__((always_inline))

/* ------------------------------------------------------------ SSE2: 16 elements at a time */

FORCE_INLINE void interleave_sse2(unsigned typesize, unsigned rounds, __m128i *v) {
    UNROLL
    for (unsigned round = 0; round < rounds; round++) {
        __m128i next[16];
        UNROLL
        for (unsigned i = 0; i < typesize / 2; i++) {
            next[2 * i] = _mm_unpacklo_epi8(v[i], v[i + typesize / 2]);
            next[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + typesize / 2]);
        }
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            v[i] = next[i];
    }
}

/* Return the number of elements that are done. */
FORCE_INLINE size_t shuffle_sse2(unsigned typesize, size_t elements, const unsigned char *from,
                                 unsigned char *to) {
    size_t e = 0;
    for (; e + 16 <= elements; e += 16) {
        __m128i v[16];
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            v[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + e * typesize + 16 * i));
        interleave_sse2(typesize, 4, v);
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            _mm_storeu_si128((__m128i *)(void *)(to + i * elements + e), v[i]);
    }
    return e;
}

FORCE_INLINE size_t unshuffle_sse2(unsigned typesize, unsigned rounds, size_t elements,
                                   const unsigned char *from, unsigned char *to) {
    size_t e = 0;
    for (; e + 16 <= elements; e += 16) {
        __m128i v[16];
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            v[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + i * elements + e));
        interleave_sse2(typesize, rounds, v);
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            _mm_storeu_si128((__m128i *)(void *)(to + e * typesize + 16 * i), v[i]);
    }
    return e;
}

static size_t shuffle_by_sse2(size_t typesize, size_t elements, const unsigned char *from,
                              unsigned char *to) {
    switch (typesize) {
    case 2:
        return shuffle_sse2(2, elements, from, to);
    case 4:
        return shuffle_sse2(4, elements, from, to);
    case 8:
        return shuffle_sse2(8, elements, from, to);
    case 16:
        return shuffle_sse2(16, elements, from, to);
    default:
        return 0;
    }
}

static size_t unshuffle_by_sse2(size_t typesize, size_t elements, const unsigned char *from,
                                unsigned char *to) {
    switch (typesize) {
    case 2:
        return unshuffle_sse2(2, 1, elements, from, to);
    case 4:
        return unshuffle_sse2(4, 2, elements, from, to);
    case 8:
        return unshuffle_sse2(8, 3, elements, from, to);
    case 16:
        return unshuffle_sse2(16, 4, elements, from, to);
    default:
        return 0;
    }
}

/* ------------------------------------------------------------ AVX2: 32 elements at a time */

TARGET_AVX2 FORCE_INLINE void interleave_avx2(unsigned typesize, unsigned rounds, __m256i *v) {
    UNROLL
    for (unsigned round = 0; round < rounds; round++) {
        __m256i next[16];
        UNROLL
        for (unsigned i = 0; i < typesize / 2; i++) {
            next[2 * i] = _mm256_unpacklo_epi8(v[i], v[i + typesize / 2]);
            next[2 * i + 1] = _mm256_unpackhi_epi8(v[i], v[i + typesize / 2]);
        }
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            v[i] = next[i];
    }
}

TARGET_AVX2 FORCE_INLINE size_t shuffle_avx2(unsigned typesize, size_t elements,
                                             const unsigned char *from, unsigned char *to) {
    size_t e = 0;
    for (; e + 32 <= elements; e += 32) {
        __m256i v[16];
        UNROLL
        for (unsigned i = 0; i < typesize; i++) {
            const unsigned char *low = from + e * typesize + 16 * i, *high = low + 16 * typesize;
            v[i] = _mm256_inserti128_si256(
                _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)low)),
                _mm_loadu_si128((const __m128i *)(const void *)high), 1);
        }
        interleave_avx2(typesize, 4, v);
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            _mm256_storeu_si256((__m256i *)(void *)(to + i * elements + e), v[i]);
    }
    return e;
}

TARGET_AVX2 FORCE_INLINE size_t unshuffle_avx2(unsigned typesize, unsigned rounds, size_t elements,
                                               const unsigned char *from, unsigned char *to) {
    size_t e = 0;
    for (; e + 32 <= elements; e += 32) {
        __m256i v[16];
        UNROLL
        for (unsigned i = 0; i < typesize; i++)
            v[i] = _mm256_loadu_si256((const __m256i *)(const void *)(from + i * elements + e));
        interleave_avx2(typesize, rounds, v);
        UNROLL
        for (unsigned i = 0; i < typesize; i++) {
            unsigned char *low = to + e * typesize + 16 * i, *high = low + 16 * typesize;
            _mm_storeu_si128((__m128i *)(void *)low, _mm256_castsi256_si128(v[i]));
            _mm_storeu_si128((__m128i *)(void *)high, _mm256_extracti128_si256(v[i], 1));
        }
    }
    return e;
}

TARGET_AVX2 static size_t shuffle_by_avx2(size_t typesize, size_t elements,
                                          const unsigned char *from, unsigned char *to) {
    switch (typesize) {
    case 2:
        return shuffle_avx2(2, elements, from, to);
    case 4:
        return shuffle_avx2(4, elements, from, to);
    case 8:
        return shuffle_avx2(8, elements, from, to);
    case 16:
        return shuffle_avx2(16, elements, from, to);
    default:
        return 0;
    }
}

TARGET_AVX2 static size_t unshuffle_by_avx2(size_t typesize, size_t elements,
                                            const unsigned char *from, unsigned char *to) {
    switch (typesize) {
    case 2:
        return unshuffle_avx2(2, 1, elements, from, to);
    case 4:
        return unshuffle_avx2(4, 2, elements, from, to);
    case 8:
        return unshuffle_avx2(8, 3, elements, from, to);
    case 16:
        return unshuffle_avx2(16, 4, elements, from, to);
    default:
        return 0;
    }
}

ut_shuffle_way ut_shuffle_best(void) {
    return __builtin_cpu_supports("avx2") ? UT_SHUFFLE_AVX2 : UT_SHUFFLE_SSE2;
}

static size_t shuffle_vectors(ut_shuffle_way way, size_t typesize, size_t elements,
                              const unsigned char *from, unsigned char *to) {
    if (way == UT_SHUFFLE_PORTABLE)
        return 0;
    return way == UT_SHUFFLE_AVX2 ? shuffle_by_avx2(typesize, elements, from, to)
                                  : shuffle_by_sse2(typesize, elements, from, to);
}

static size_t unshuffle_vectors(ut_shuffle_way way, size_t typesize, size_t elements,
                                const unsigned char *from, unsigned char *to) {
    if (way == UT_SHUFFLE_PORTABLE)
        return 0;
    return way == UT_SHUFFLE_AVX2 ? unshuffle_by_avx2(typesize, elements, from, to)
                                  : unshuffle_by_sse2(typesize, elements, from, to);
}

#else

ut_shuffle_way ut_shuffle_best(void) {
    return UT_SHUFFLE_PORTABLE;
}

static size_t shuffle_vectors(ut_shuffle_way way, size_t typesize, size_t elements,
                              const unsigned char *from, unsigned char *to) {
    (void)way, (void)typesize, (void)elements, (void)from, (void)to;
    return 0;
}

static size_t unshuffle_vectors(ut_shuffle_way way, size_t typesize, size_t elements,
                                const unsigned char *from, unsigned char *to) {
    (void)way, (void)typesize, (void)elements, (void)from, (void)to;
    return 0;
}

#endif

/* ------------------------------------------------------------ all together */

void ut_shuffle_by(ut_shuffle_way way, size_t typesize, size_t bytes, const void *from, void *to) {
    if (way > ut_shuffle_best())
        way = ut_shuffle_best();
    size_t elements = bytes / typesize, whole = elements * typesize;
    size_t done = shuffle_vectors(way, typesize, elements, from, to);
    shuffle_portable(typesize, elements, done, from, to);
    if (bytes > whole)
        memcpy((char *)to + whole, (const char *)from + whole, bytes - whole);
}

void ut_unshuffle_by(ut_shuffle_way way, size_t typesize, size_t bytes, const void *from,
                     void *to) {
    if (way > ut_shuffle_best())
        way = ut_shuffle_best();
    size_t elements = bytes / typesize, whole = elements * typesize;
    size_t done = unshuffle_vectors(way, typesize, elements, from, to);
    unshuffle_portable(typesize, elements, done, from, to);
    if (bytes > whole)
        memcpy((char *)to + whole, (const char *)from + whole, bytes - whole);
}

void ut_shuffle(size_t typesize, size_t bytes, const void *from, void *to) {
    ut_shuffle_by(ut_shuffle_best(), typesize, bytes, from, to);
}

void ut_unshuffle(size_t typesize, size_t bytes, const void *from, void *to) {
    ut_unshuffle_by(ut_shuffle_best(), typesize, bytes, from, to);
}
