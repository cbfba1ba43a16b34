// SPDX-License-Identifier: MIT
// The codecs: the ways to shuffle agree, everything comes back, sizes stay below their bound, the
// container is what Blosc has (fixed bytes; tests/store/test_codec_interop.sh asks real decoders),
// and damaged containers are refused without a byte read or written outside: all buffers are as
// long as they may be used, and the address sanitizer is the judge.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/rng.h"
#include "../support/scale.h"
#include "store/codec.h"
#include "store/shuffle.h"

// Made by c-blosc 1.21 from the 32-bit numbers i / 64 * 1000, 1029 bytes of them.
static const unsigned char blosc_split[] = {
    0x02, 0x01, 0x21, 0x04, 0x05, 0x04, 0x00, 0x00, 0x04, 0x04, 0x00, 0x00, 0x77, 0x00, 0x00,
    0x00, 0x18, 0x00, 0x00, 0x00, 0x72, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x00, 0x00, 0x1f, 0x00,
    0x01, 0x00, 0x2c, 0x1f, 0xe8, 0x01, 0x00, 0x2c, 0x1f, 0xd0, 0x01, 0x00, 0x2c, 0x1f, 0xb8,
    0x01, 0x00, 0x28, 0x50, 0xb8, 0xb8, 0xb8, 0xb8, 0xa0, 0x1a, 0x00, 0x00, 0x00, 0x1f, 0x00,
    0x01, 0x00, 0x2c, 0x1f, 0x03, 0x01, 0x00, 0x2c, 0x1f, 0x07, 0x01, 0x00, 0x2c, 0x1f, 0x0b,
    0x01, 0x00, 0x28, 0x50, 0x0b, 0x0b, 0x0b, 0x0b, 0x0f, 0x0b, 0x00, 0x00, 0x00, 0x1f, 0x00,
    0x01, 0x00, 0xe8, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00, 0x1f, 0x00,
    0x01, 0x00, 0xe8, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xa0,
};
static const unsigned char blosc_hc[] = {
    0x02, 0x01, 0x20, 0x04, 0x05, 0x04, 0x00, 0x00, 0x04, 0x04, 0x00, 0x00, 0x62, 0x00,
    0x00, 0x00, 0x18, 0x00, 0x00, 0x00, 0x5d, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00,
    0x1f, 0x00, 0x01, 0x00, 0xe8, 0x50, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x0e, 0x00, 0x00,
    0x00, 0x4f, 0x03, 0x00, 0x00, 0xe8, 0x04, 0x00, 0xe5, 0x50, 0x03, 0x00, 0x00, 0xd0,
    0x07, 0x0e, 0x00, 0x00, 0x00, 0x4f, 0x00, 0x00, 0xd0, 0x07, 0x04, 0x00, 0xe5, 0x50,
    0x00, 0x00, 0xb8, 0x0b, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x4f, 0x00, 0xb8, 0x0b, 0x00,
    0x04, 0x00, 0xe5, 0x50, 0x00, 0xa0, 0x0f, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xa0,
};

static void fill_golden(unsigned char *content) {
    for (uint32_t i = 0; i < 258; i++) {
        uint32_t value = i / 64 * 1000;
        memcpy(content + 4 * i, &value, i < 257 ? 4 : 1);
    }
}

// A buffer of exactly `n` bytes, so that one more is noticed.
static unsigned char *exact(size_t n) {
    unsigned char *bytes = malloc(n > 0 ? n : 1);
    assert_non_null(bytes);
    return bytes;
}

static unsigned char *exact_copy(const void *bytes, size_t n) {
    unsigned char *copy = exact(n);
    memcpy(copy, bytes, n);
    return copy;
}

// ------------------------------------------------------------ shuffle

static void check_shuffle(size_t typesize, size_t n, struct test_rng *rng) {
    unsigned char *from = exact(n), *to = exact(n), *back = exact(n), *expected = exact(n);
    size_t elements = n / typesize;
    for (size_t i = 0; i < n; i++)
        from[i] = (unsigned char)rng_next(rng);
    for (size_t i = 0; i < n; i++) {
        size_t whole = elements * typesize;
        expected[i < whole ? i % typesize * elements + i / typesize : i] = from[i];
    }
    for (int way = UT_SHUFFLE_PORTABLE; way <= UT_SHUFFLE_AVX2; way++) {
        memset(to, 0, n);
        memset(back, 0, n);
        ut_shuffle_by((ut_shuffle_way)way, typesize, n, from, to);
        assert_memory_equal(to, expected, n);
        ut_unshuffle_by((ut_shuffle_way)way, typesize, n, to, back);
        assert_memory_equal(back, from, n);
    }
    free(from);
    free(to);
    free(back);
    free(expected);
}

static void the_ways_to_shuffle_agree(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    for (size_t typesize = 1; typesize <= 33; typesize++) {
        for (size_t elements = 0; elements < 70; elements++)
            check_shuffle(typesize, elements * typesize + rng_below(&rng, typesize), &rng);
        check_shuffle(typesize, 4000 + rng_below(&rng, 2000), &rng);
    }
    check_shuffle(255, 255 * 300 + 7, &rng);
}

// ------------------------------------------------------------ round trips

enum pattern { ZEROS, NOISE, RAMP, SPARSE, PATTERNS };

static void fill_pattern(unsigned char *bytes, size_t n, enum pattern pattern,
                         struct test_rng *rng) {
    for (size_t i = 0; i < n; i++) {
        switch (pattern) {
        case ZEROS:
            bytes[i] = 0;
            break;
        case NOISE:
            bytes[i] = (unsigned char)rng_next(rng);
            break;
        case RAMP:
            bytes[i] = (unsigned char)(i / 8 >> i % 8 * 8);
            break;
        default:
            bytes[i] = rng_chance(rng, 3) ? (unsigned char)rng_next(rng) : 7;
        }
    }
}

static void check_round_trip(ut_codec codec, size_t itemsize, size_t n, enum pattern pattern,
                             struct test_rng *rng, ut_codec_scratch *scratch) {
    size_t bound = (size_t)ut_codec_bound(codec, n), size = 0, again = 0;
    unsigned char *content = exact(n), *file = exact(bound), *twice = exact(bound);
    fill_pattern(content, n, pattern, rng);
    assert_int_equal(ut_codec_encode(codec, itemsize, content, n, file, bound, &size, scratch),
                     UNTORN_OK);
    assert_true(size <= bound);
    ut_codec_scratch fresh = UT_CODEC_SCRATCH_INIT;
    assert_int_equal(ut_codec_encode(codec, itemsize, content, n, twice, bound, &again, &fresh),
                     UNTORN_OK);
    assert_int_equal(size, again);
    assert_memory_equal(file, twice, size);
    unsigned char *shrunk = exact_copy(file, size), *back = exact(n);
    memset(back, 0xa5, n);
    assert_int_equal(ut_codec_decode(codec, shrunk, size, back, n, scratch), UNTORN_OK);
    assert_memory_equal(back, content, n);
    if (codec == UT_CODEC_LZ4 && pattern == ZEROS && n > 300)
        assert_true(size < n / 4 + 64);
    // Another length than expected is refused.
    unsigned char *longer = exact(n + 1);
    assert_int_equal(ut_codec_decode(codec, shrunk, size, longer, n + 1, scratch),
                     UNTORN_E_CORRUPT);
    if (n > 0)
        assert_int_equal(ut_codec_decode(codec, shrunk, size, longer, n - 1, scratch),
                         UNTORN_E_CORRUPT);
    ut_codec_scratch_free(&fresh);
    free(content);
    free(file);
    free(twice);
    free(shrunk);
    free(back);
    free(longer);
}

static void everything_comes_back(void **state) {
    (void)state;
    static const size_t itemsizes[] = {1, 2, 3, 4, 7, 8, 10, 16, 17, 255, 256, 65535};
    static const size_t sizes[] = {0,
                                   1,
                                   15,
                                   16,
                                   17,
                                   127,
                                   128,
                                   129,
                                   1000,
                                   4096,
                                   (64 << 10),
                                   (256 << 10) - 1,
                                   256 << 10,
                                   (256 << 10) + 1,
                                   (512 << 10) + 24,
                                   (1 << 20) + 3};
    struct test_rng rng = {test_seed()};
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    for (size_t t = 0; t < sizeof itemsizes / sizeof *itemsizes; t++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int p = 0; p < PATTERNS; p++)
                check_round_trip(UT_CODEC_LZ4, itemsizes[t], sizes[s], (enum pattern)p, &rng,
                                 &scratch);
        check_round_trip(UT_CODEC_NONE, itemsizes[t], 1000, NOISE, &rng, &scratch);
    }
    check_round_trip(UT_CODEC_NONE, 8, 0, ZEROS, &rng, &scratch);
    uint64_t times = test_count(300);
    for (uint64_t i = 0; i < times; i++)
        check_round_trip(UT_CODEC_LZ4, (size_t)rng_range(&rng, 1, 40),
                         (size_t)rng_below(&rng, 20000), (enum pattern)rng_below(&rng, PATTERNS),
                         &rng, &scratch);
    ut_codec_scratch_free(&scratch);
}

// ------------------------------------------------------------ the format

static void noise_is_stored_behind_its_header(void **state) {
    (void)state;
    struct test_rng rng = {1};
    unsigned char content[1000], file[1016];
    fill_pattern(content, sizeof content, NOISE, &rng);
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    size_t size;
    assert_int_equal(ut_codec_encode(UT_CODEC_LZ4, 8, content, sizeof content, file, sizeof file,
                                     &size, &scratch),
                     UNTORN_OK);
    static const unsigned char header[] = {2,    1, 0x33, 8, 0xe8, 3, 0, 0,
                                           0xe8, 3, 0,    0, 0xf8, 3, 0, 0};
    assert_int_equal(size, sizeof file);
    assert_memory_equal(file, header, sizeof header);
    assert_memory_equal(file + sizeof header, content, sizeof content);
    ut_codec_scratch_free(&scratch);
}

static void headers_say_what_is_inside(void **state) {
    (void)state;
    size_t n = 600000, size;
    unsigned char *content = calloc(1, n), *file = exact(n + 16);
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    ut_codec_encode(UT_CODEC_LZ4, 12, content, n, file, n + 16, &size, &scratch);
    // Blocks of whole elements: 262140 = 0x3fffc.
    static const unsigned char header[] = {2, 1, 0x31, 12, 0xc0, 0x27, 9, 0, 0xfc, 0xff, 3, 0};
    assert_memory_equal(file, header, sizeof header);
    uint32_t cbytes, first;
    memcpy(&cbytes, file + 12, 4);
    memcpy(&first, file + 16, 4);
    assert_int_equal(cbytes, size);
    assert_int_equal(first, 16 + 3 * 4);
    // An element wider than a typesize can tell is not shuffled.
    ut_codec_encode(UT_CODEC_LZ4, 256, content, n, file, n + 16, &size, &scratch);
    assert_int_equal(file[2], 0x30);
    assert_int_equal(file[3], 1);
    ut_codec_scratch_free(&scratch);
    free(content);
    free(file);
}

static void what_blosc_writes_is_read(void **state) {
    (void)state;
    unsigned char content[1032], back[1029];
    fill_golden(content);
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    assert_int_equal(
        ut_codec_decode(UT_CODEC_LZ4, blosc_split, sizeof blosc_split, back, 1029, &scratch),
        UNTORN_OK);
    assert_memory_equal(back, content, 1029);
    memset(back, 0, sizeof back);
    assert_int_equal(ut_codec_decode(UT_CODEC_LZ4, blosc_hc, sizeof blosc_hc, back, 1029, &scratch),
                     UNTORN_OK);
    assert_memory_equal(back, content, 1029);
    ut_codec_scratch_free(&scratch);
}

// ------------------------------------------------------------ refusals

static void refuse(size_t at, unsigned char value, size_t n, const char *message) {
    unsigned char *file = exact_copy(blosc_split, n), back[1029];
    if (at < n)
        file[at] = value;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    assert_int_equal(ut_codec_decode(UT_CODEC_LZ4, file, n, back, sizeof back, &scratch),
                     UNTORN_E_CORRUPT);
    if (strstr(untorn_message(), message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", untorn_message(), message);
    ut_codec_scratch_free(&scratch);
    free(file);
}

static void damage_is_named(void **state) {
    (void)state;
    size_t n = sizeof blosc_split;
    refuse(0, 2, 0, "0 bytes");
    refuse(0, 2, 15, "15 bytes");
    refuse(0, 3, n, "not a Blosc 1 container");
    refuse(2, 0x29, n, "not a Blosc 1 container");
    refuse(1, 2, n, "something else than LZ4");
    refuse(2, 0x41, n, "something else than LZ4");
    refuse(2, 0x24, n, "bit-shuffled");
    refuse(2, 0x23, n, "length");
    refuse(3, 0, n, "typesize");
    refuse(4, 4, n, "its content has 1028 bytes, the chunk 1029");
    refuse(11, 0x80, n, "block size");
    refuse(8, 1, n, "block ");
    refuse(12, 1, n, "its header says");
    refuse(0, 2, n - 1, "its header says");
    refuse(19, 0x7f, n, "block 0 of 2");
    refuse(16, 8, n, "block 0 of 2"); // into the table itself
    refuse(23, 0xff, n, "block 1 of 2");
}

// Three stored pieces of 342 bytes do not make a block of 1028: the last two bytes would be
// whatever was in memory.
static void pieces_that_do_not_make_a_block_are_refused(void **state) {
    (void)state;
    enum { CONTENT = 1028, PIECE = 342, LENGTH = 20 + 3 * (4 + PIECE) };
    uint32_t words[] = {0x03210102, CONTENT, CONTENT, LENGTH, 20};
    uint32_t piece = PIECE;
    unsigned char *file = exact(LENGTH), *out = exact(CONTENT);
    memset(file, 'x', LENGTH);
    memcpy(file, words, sizeof words);
    for (size_t i = 0; i < 3; i++)
        memcpy(file + 20 + i * (4 + PIECE), &piece, 4);
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    assert_int_equal(ut_codec_decode(UT_CODEC_LZ4, file, LENGTH, out, CONTENT, &scratch),
                     UNTORN_E_CORRUPT);
    assert_non_null(strstr(untorn_message(), "block 0 of 1"));
    ut_codec_scratch_free(&scratch);
    free(file);
    free(out);
}

static void limits(void **state) {
    (void)state;
    char byte = 0;
    size_t size;
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    ut_codec codec;
    assert_int_equal(ut_codec_parse("lz4", &codec), UNTORN_OK);
    assert_int_equal(codec, UT_CODEC_LZ4);
    assert_int_equal(ut_codec_parse("none", &codec), UNTORN_OK);
    assert_int_equal(codec, UT_CODEC_NONE);
    assert_int_equal(ut_codec_parse("zstd", &codec), UNTORN_E_ARGUMENT);
    assert_int_equal(ut_codec_check(UT_CODEC_LZ4, UT_CODEC_MAX_LZ4), UNTORN_OK);
    assert_int_equal(ut_codec_check(UT_CODEC_LZ4, UT_CODEC_MAX_LZ4 + 1), UNTORN_E_LIMIT);
    assert_non_null(strstr(untorn_message(), "Blosc"));
    assert_int_equal(ut_codec_check(UT_CODEC_NONE, UINT64_C(1) << 40), UNTORN_OK);
    assert_int_equal(ut_codec_encode(UT_CODEC_LZ4, 1, &byte, UT_CODEC_MAX_LZ4 + 1, &byte, SIZE_MAX,
                                     &size, &scratch),
                     UNTORN_E_LIMIT);
    assert_int_equal(ut_codec_decode(UT_CODEC_LZ4, &byte, 1, &byte, (size_t)1 << 31, &scratch),
                     UNTORN_E_LIMIT);
    char room[20];
    assert_int_equal(ut_codec_encode(UT_CODEC_LZ4, 1, &byte, 1, room, 16, &size, &scratch),
                     UNTORN_E_BUFFER_TOO_SMALL);
    assert_int_equal(ut_codec_encode(UT_CODEC_NONE, 1, &byte, 1, room, 0, &size, &scratch),
                     UNTORN_E_BUFFER_TOO_SMALL);
    assert_null(scratch.memory);
}

// ------------------------------------------------------------ hostile bytes

// Decode with the header's lengths made to fit or not; the status does not matter, but what is
// decoded without a fault must not depend on anything outside.
static void decode_damaged(const unsigned char *file, size_t n, size_t expected,
                           ut_codec_scratch *scratch) {
    unsigned char *copy = exact_copy(file, n), *out = exact(expected);
    untorn_status status = ut_codec_decode(UT_CODEC_LZ4, copy, n, out, expected, scratch);
    assert_true(status == UNTORN_OK || status == UNTORN_E_CORRUPT);
    free(copy);
    free(out);
}

static void fuzz(const unsigned char *file, size_t n, size_t expected, uint64_t times,
                 struct test_rng *rng, ut_codec_scratch *scratch) {
    unsigned char *work = exact(n);
    for (uint64_t i = 0; i < times; i++) {
        memcpy(work, file, n);
        size_t length = rng_chance(rng, 30) ? (size_t)rng_below(rng, n + 1) : n;
        uint64_t changes = rng_range(rng, 1, 4);
        for (uint64_t c = 0; c < changes; c++) {
            // The header, the table and the first block's begin are where it hurts.
            size_t at = (size_t)rng_below(rng, rng_chance(rng, 60) && n > 48 ? 48 : n);
            uint64_t value = rng_chance(rng, 30)   ? 0xff
                             : rng_chance(rng, 30) ? work[at] ^ UINT64_C(1) << rng_below(rng, 8)
                                                   : rng_next(rng);
            work[at] = (unsigned char)value;
        }
        if (length >= 16 && rng_chance(rng, 80)) {
            uint32_t cbytes = (uint32_t)length, nbytes = (uint32_t)expected;
            memcpy(work + 12, &cbytes, 4);
            memcpy(work + 4, &nbytes, 4);
            work[0] = 2;
        }
        decode_damaged(work, length, expected, scratch);
    }
    for (size_t length = 0; length < n && length < 600; length++)
        decode_damaged(file, length, expected, scratch);
    free(work);
}

static void damaged_files_do_no_damage(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    ut_codec_scratch scratch = UT_CODEC_SCRATCH_INIT;
    uint64_t times = test_count(20000);
    fuzz(blosc_split, sizeof blosc_split, 1029, times, &rng, &scratch);
    fuzz(blosc_hc, sizeof blosc_hc, 1029, times, &rng, &scratch);
    for (int p = 0; p < PATTERNS; p++) {
        size_t n = 5000 + (size_t)rng_below(&rng, 3000), size;
        unsigned char *content = exact(n), *file = exact(n + 16);
        fill_pattern(content, n, (enum pattern)p, &rng);
        ut_codec_encode(UT_CODEC_LZ4, (size_t)rng_range(&rng, 1, 20), content, n, file, n + 16,
                        &size, &scratch);
        fuzz(file, size, n, times, &rng, &scratch);
        free(content);
        free(file);
    }
    ut_codec_scratch_free(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ways_to_shuffle_agree),
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(noise_is_stored_behind_its_header),
        cmocka_unit_test(headers_say_what_is_inside),
        cmocka_unit_test(what_blosc_writes_is_read),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(pieces_that_do_not_make_a_block_are_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(damaged_files_do_no_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
