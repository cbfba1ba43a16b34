// SPDX-License-Identifier: MIT
// The text of metadata files: whole files byte by byte, fill values that read back as themselves
// (all halves, random floats and doubles), attributes that are merged and not mangled, chunk keys.
// tests/store/test_codec_interop.sh has zarr open what is written.
#include <math.h>
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
#include "array/json.h"
#include "store/json_text.h"
#include "store/zarr_fill.h"
#include "store/zarr_metadata.h"

static ut_definition *define(const char *dtype, unsigned rank, const uint64_t *chunks,
                             const void *fill, const char *const *names, const char *codec) {
    static const uint64_t shape[UNTORN_MAX_RANK];
    untorn_definition from = UNTORN_DEFINITION_INIT;
    from.dtype = dtype;
    from.rank = rank;
    from.shape = shape;
    from.chunks = chunks;
    from.fill = fill;
    from.dimension_names = names;
    from.codec = codec;
    ut_definition *definition;
    if (ut_definition_make("a", &from, 5, &definition) != UNTORN_OK)
        fail_msg("%s", untorn_message());
    return definition;
}

// Compare and empty the text; it also has to be a JSON object.
static void expect(ut_growing_text *text, const char *expected) {
    assert_non_null(text->bytes);
    assert_string_equal(text->bytes, expected);
    if (ut_json_check_object(text->bytes) != UNTORN_OK)
        fail_msg("%s: %s", text->bytes, untorn_message());
    ut_text_clear(text);
}

static const ut_zarr_stamp stamp = {.uuid = {UINT64_C(0x0123456789abcdef), 0xfedcba9876543210u},
                                    .commit = (UINT64_C(2) << 48) + 7,
                                    .time = INT64_C(1767323045000000009)};
#define STAMP_TEXT                                                                                 \
    "\"untorn\":{\"uuid\":\"01234567-89ab-cdef-fedc-ba9876543210\",\"epoch\":2,"                   \
    "\"commit\":562949953421319,\"time\":\"2026-01-02T03:04:05.000000009Z\"}"

// ------------------------------------------------------------ files

static void format_2_files(void **state) {
    (void)state;
    ut_growing_text text = UT_GROWING_TEXT_INIT;
    const double fill = -1.5;
    const char *const names[] = {"t", NULL};
    ut_definition *d = define("f8", 2, (const uint64_t[]){10, 20}, &fill, names, NULL);
    assert_int_equal(ut_zarr_v2_array(&text, d, (const uint64_t[]){0, 25}), UNTORN_OK);
    expect(&text, "{\"zarr_format\":2,\"shape\":[0,25],\"chunks\":[10,20],\"dtype\":\"<f8\","
                  "\"compressor\":{\"id\":\"blosc\",\"cname\":\"lz4\",\"clevel\":5,\"shuffle\":1,"
                  "\"blocksize\":0},\"fill_value\":-1.5,\"order\":\"C\",\"filters\":null,"
                  "\"dimension_separator\":\".\"}");
    ut_zarr_v2_attributes(&text, d, "{ \"units\" : \"m\" }", NULL);
    expect(&text, "{\"units\" : \"m\",\"_ARRAY_DIMENSIONS\":[\"t\",\"dim_1\"]}");
    ut_definition_drop(d);

    d = define("?", 0, NULL, "\1", NULL, "none");
    ut_zarr_v2_array(&text, d, NULL);
    expect(&text, "{\"zarr_format\":2,\"shape\":[],\"chunks\":[],\"dtype\":\"|b1\","
                  "\"compressor\":null,\"fill_value\":true,\"order\":\"C\",\"filters\":null,"
                  "\"dimension_separator\":\".\"}");
    ut_zarr_v2_attributes(&text, d, NULL, NULL);
    expect(&text, "{\"_ARRAY_DIMENSIONS\":[]}");
    ut_definition_drop(d);

    d = define("S3", 1, (const uint64_t[]){4}, "a\0\xff", NULL, NULL);
    ut_zarr_v2_array(&text, d, (const uint64_t[]){UINT64_C(1) << 50});
    expect(&text, "{\"zarr_format\":2,\"shape\":[1125899906842624],\"chunks\":[4],\"dtype\":"
                  "\"|S3\",\"compressor\":{\"id\":\"blosc\",\"cname\":\"lz4\",\"clevel\":5,"
                  "\"shuffle\":1,\"blocksize\":0},\"fill_value\":\"YQD/\",\"order\":\"C\","
                  "\"filters\":null,\"dimension_separator\":\".\"}");
    ut_zarr_v2_attributes(&text, d, "", NULL); // no axis has a name
    expect(&text, "{}");
    ut_definition_drop(d);

    ut_zarr_v2_group(&text);
    expect(&text, "{\"zarr_format\":2}");
    ut_zarr_v2_attributes(&text, NULL, "{\"untorn\":1,\"a\":2}", &stamp);
    expect(&text, "{\"a\":2," STAMP_TEXT "}");
    ut_text_free(&text);
}

static void format_3_files(void **state) {
    (void)state;
    ut_growing_text text = UT_GROWING_TEXT_INIT;
    const float fill = 0.1f;
    const char *const names[] = {"t\"\n\xc3\xa9", NULL};
    // Control characters are refused when an array is defined, but not when it is decoded.
    const char *const plain[] = {"t", NULL};
    ut_definition *d = define("f4", 2, (const uint64_t[]){10, 20}, &fill, plain, NULL);
    d->dimension_names[0] = names[0];
    ut_zarr_v3_array(&text, d, (const uint64_t[]){0, 25}, "{\"x\":[1]}");
    expect(&text,
           "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[0,25],\"data_type\":\"float32\","
           "\"chunk_grid\":{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":[10,20]}},"
           "\"chunk_key_encoding\":{\"name\":\"v2\",\"configuration\":{\"separator\":\".\"}},"
           "\"fill_value\":0.1,\"codecs\":[{\"name\":\"bytes\",\"configuration\":{\"endian\":"
           "\"little\"}},{\"name\":\"blosc\",\"configuration\":{\"cname\":\"lz4\",\"clevel\":5,"
           "\"shuffle\":\"shuffle\",\"typesize\":4,\"blocksize\":0}}],\"dimension_names\":"
           "[\"t\\\"\\u000a\\u00e9\",null],\"attributes\":{\"x\":[1]}}");
    d->dimension_names[0] = "\xff";
    assert_int_equal(ut_zarr_v3_array(&text, d, (const uint64_t[]){0, 25}, NULL), UNTORN_E_CORRUPT);
    ut_text_clear(&text);
    ut_definition_drop(d);

    d = define("u1", 0, NULL, NULL, NULL, "none");
    ut_zarr_v3_array(&text, d, NULL, NULL);
    expect(&text,
           "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[],\"data_type\":\"uint8\","
           "\"chunk_grid\":{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":[]}},"
           "\"chunk_key_encoding\":{\"name\":\"v2\",\"configuration\":{\"separator\":\".\"}},"
           "\"fill_value\":0,\"codecs\":[{\"name\":\"bytes\"}],\"attributes\":{}}");
    ut_definition_drop(d);

    ut_zarr_v3_group(&text, "{}", &stamp);
    expect(&text, "{\"zarr_format\":3,\"node_type\":\"group\",\"attributes\":{" STAMP_TEXT "}}");
    ut_text_free(&text);
}

static void consolidated_files(void **state) {
    (void)state;
    ut_growing_text text = UT_GROWING_TEXT_INIT;
    ut_zarr_consolidation c;
    ut_zarr_consolidate_begin(&c, UT_ZARR_V2, &text, NULL, NULL);
    ut_zarr_consolidate_add(&c, "", ".zgroup", "{\"zarr_format\":2}");
    ut_zarr_consolidate_add(&c, "g/a", ".zattrs", "{}");
    ut_zarr_consolidate_end(&c);
    expect(&text, "{\"zarr_consolidated_format\":1,\"metadata\":{\".zgroup\":{\"zarr_format\":2},"
                  "\"g/a/.zattrs\":{}}}");
    ut_zarr_consolidate_begin(&c, UT_ZARR_V3, &text, "{\"a\":1}", NULL);
    ut_zarr_consolidate_add(&c, "g", "", "{\"x\":1}");
    ut_zarr_consolidate_add(&c, "g/a", "", "{\"x\":2}");
    ut_zarr_consolidate_end(&c);
    expect(&text, "{\"zarr_format\":3,\"node_type\":\"group\",\"attributes\":{\"a\":1},"
                  "\"consolidated_metadata\":{\"kind\":\"inline\",\"must_understand\":false,"
                  "\"metadata\":{\"g\":{\"x\":1},\"g/a\":{\"x\":2}}}}");
    ut_text_free(&text);
}

static void what_cannot_be_said_is_refused(void **state) {
    (void)state;
    static const char *const refused[] = {"S10", "V3"};
    ut_growing_text text = UT_GROWING_TEXT_INIT;
    for (int i = 0; i < 2; i++) {
        ut_definition *d = define(refused[i], 1, (const uint64_t[]){4}, NULL, NULL, NULL);
        assert_int_equal(ut_zarr_check(UT_ZARR_V2, d), UNTORN_OK);
        assert_int_equal(ut_zarr_check(UT_ZARR_V3, d), UNTORN_E_DTYPE);
        assert_int_equal(ut_zarr_v3_array(&text, d, (const uint64_t[]){9}, NULL), UNTORN_E_DTYPE);
        ut_definition_drop(d);
    }
    ut_definition *d = define("u1", 1, (const uint64_t[]){UINT64_C(1) << 31}, NULL, NULL, NULL);
    assert_int_equal(ut_zarr_check(UT_ZARR_V2, d), UNTORN_E_LIMIT);
    assert_int_equal(ut_zarr_v2_attributes(&text, d, "{\"a\":NaN}", NULL), UNTORN_E_JSON);
    ut_definition_drop(d);
    d = define("u1", 1, (const uint64_t[]){UINT64_C(1) << 31}, NULL, NULL, "none");
    assert_int_equal(ut_zarr_check(UT_ZARR_V2, d), UNTORN_OK);
    ut_definition_drop(d);
    ut_text_free(&text);
}

// ------------------------------------------------------------ attributes

static void merge(const char *object, const char *skip, const char *expected, size_t count) {
    ut_growing_text text = UT_GROWING_TEXT_INIT;
    assert_int_equal(ut_json_check_object(object), UNTORN_OK);
    assert_int_equal(ut_json_add_members(&text, object, skip), count);
    assert_string_equal(text.bytes != NULL ? text.bytes : "", expected);
    ut_text_free(&text);
}

static void members_are_passed_on(void **state) {
    (void)state;
    merge("{}", "k", "", 0);
    merge(" \n{ \t} ", "k", "", 0);
    merge("{\"k\":1}", "k", "", 0);
    merge("{\"k\":1}", NULL, "\"k\":1", 1);
    merge("{\"a\":1,\"k\":{\"b\":[1,2,\"}\"]},\"c\":\"\\\"k\\\\\"}", "k",
          "\"a\":1,\"c\":\"\\\"k\\\\\"", 2);
    merge("{ \"k\" : 1 , \"b\" : [ { } , 2 ] }", "k", "\"b\" : [ { } , 2 ]", 1);
    merge("{\"\\u006b\":1,\"\\u006B\":2,\"kk\":3,\"\":4,\"\\u016b\":5,\"\\n\":6}", "k",
          "\"kk\":3,\"\":4,\"\\u016b\":5,\"\\n\":6", 4);
    merge("{\"a\\/b\":1,\"x\":{\"a/b\":2}}", "a/b", "\"x\":{\"a/b\":2}", 1);
    merge("{\"\xc3\xa9\":[\"\xf0\x9f\x8c\x8ax\",\"\xe2\x82\xac\"]}", "k",
          "\"\\u00e9\":[\"\\ud83c\\udf0ax\",\"\\u20ac\"]", 1);
    merge("{\"k\":1,\"k\":2,\"z\":null}", "k", "\"z\":null", 1);
}

// ------------------------------------------------------------ fill values

static const char *fill_text(const char *dtype, const void *fill, int exact) {
    static ut_growing_text text = UT_GROWING_TEXT_INIT;
    ut_dtype parsed;
    assert_int_equal(ut_dtype_parse(dtype, &parsed), UNTORN_OK);
    ut_text_clear(&text);
    ut_zarr_add_fill(&text, &parsed, fill, exact);
    return text.bytes;
}

#define FILL(dtype, type, value, exact, expected)                                                  \
    do {                                                                                           \
        type fill_value = value;                                                                   \
        assert_string_equal(fill_text(dtype, &fill_value, exact), expected);                       \
    } while (0)

static void fill_values(void **state) {
    (void)state;
    FILL("i1", int8_t, -128, 0, "-128");
    FILL("u1", uint8_t, 255, 0, "255");
    FILL("i2", int16_t, -2, 0, "-2");
    FILL("u4", uint32_t, UINT32_MAX, 0, "4294967295");
    FILL("i8", int64_t, INT64_MIN, 0, "-9223372036854775808");
    FILL("u8", uint64_t, UINT64_MAX, 0, "18446744073709551615");
    FILL("b1", uint8_t, 0, 0, "false");
    FILL("f8", double, 0.0, 0, "0.0");
    FILL("f8", double, -0.0, 0, "-0.0");
    FILL("f8", double, 1e22, 0, "1e+22");
    FILL("f8", double, 100.0, 0, "100.0");
    FILL("f8", double, 0.1, 0, "0.1");
    FILL("f8", double, 9007199254740993.0, 0, "9007199254740992.0");
    FILL("f8", double, 5e-324, 0, "5e-324");
    FILL("f8", double, 1.7976931348623157e308, 0, "1.7976931348623157e+308");
    FILL("f8", double, INFINITY, 0, "\"Infinity\"");
    FILL("f8", double, -INFINITY, 1, "\"-Infinity\"");
    FILL("f8", uint64_t, UINT64_C(0x7ff8000000000000), 1, "\"NaN\"");
    FILL("f8", uint64_t, UINT64_C(0xfff8000000000000), 1, "\"0xfff8000000000000\"");
    FILL("f8", uint64_t, UINT64_C(0xfff8000000000000), 0, "\"NaN\"");
    FILL("f4", uint32_t, 0x7fc00001, 1, "\"0x7fc00001\"");
    FILL("f4", float, 3.4028235e38f, 0, "3.4028234663852886e+38");
    FILL("f4", float, 16777216.0f, 0, "16777216.0");
    FILL("f2", uint16_t, 0x3555, 0, "0.3333");
    FILL("f2", uint16_t, 0x7bff, 0, "65504.0");
    FILL("f2", uint16_t, 0x0001, 0, "6e-08");
    FILL("f2", uint16_t, 0xfc00, 0, "\"-Infinity\"");
    FILL("f2", uint16_t, 0x7c01, 1, "\"0x7c01\"");
    const float pair[] = {1.5f, -INFINITY};
    assert_string_equal(fill_text("c8", pair, 0), "[1.5,\"-Infinity\"]");
    const double wide[] = {NAN, -0.0};
    assert_string_equal(fill_text("c16", wide, 0), "[\"NaN\",-0.0]");
    assert_string_equal(fill_text("V1", "\xfb", 0), "\"+w==\"");
    assert_string_equal(fill_text("S2", "ab", 0), "\"YWI=\"");
    assert_string_equal(fill_text("V3", "\0\0\0", 0), "\"AAAA\"");
}

// Round to the nearest half, ties to even, with the arithmetic of numpy's conversion: scale so
// that the unit in the last place is 1.
static uint16_t to_half(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs(value);
    int exponent;
    frexp(magnitude, &exponent);
    int unit = exponent - 11 > -24 ? exponent - 11 : -24;
    double units = nearbyint(ldexp(magnitude, -unit));
    double rounded = ldexp(units, unit);
    if (rounded == 0)
        return sign;
    frexp(rounded, &exponent);
    if (exponent < -13)
        return sign | (uint16_t)ldexp(rounded, 24);
    return sign | (uint16_t)((unsigned)(exponent + 14) << 10) |
           (uint16_t)((unsigned)ldexp(rounded, 11 - exponent) & 0x3ff);
}

static void every_half_reads_back(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        if ((bits & 0x7c00) == 0x7c00)
            continue;
        uint16_t fill = (uint16_t)bits;
        const char *text = fill_text("f2", &fill, 0);
        double read = strtod(text, NULL);
        if (to_half(read) != fill || to_half((double)(float)read) != fill)
            fail_msg("%04x: %s reads as %04x", bits, text, to_half(read));
        if (strspn(text, "-0123456789") == strlen(text))
            fail_msg("%s is not a float", text);
    }
}

static void random_floats_read_back(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    uint64_t times = test_count(200000);
    for (uint64_t i = 0; i < times; i++) {
        uint64_t bits = rng_next(&rng);
        double d, read;
        float f;
        memcpy(&d, &bits, sizeof d);
        if (!isnan(d) && !isinf(d)) {
            read = strtod(fill_text("f8", &d, 0), NULL);
            assert_memory_equal(&read, &d, sizeof d);
        }
        memcpy(&f, &bits, sizeof f);
        if (!isnan(f) && !isinf(f)) {
            float narrow = (float)strtod(fill_text("f4", &f, 0), NULL);
            assert_memory_equal(&narrow, &f, sizeof f);
        }
    }
}

// ------------------------------------------------------------ chunk keys

static void chunk_keys(void **state) {
    (void)state;
    char key[UT_ZARR_KEY_BYTES];
    assert_int_equal(ut_zarr_chunk_key(0, NULL, 0, key), 1);
    assert_string_equal(key, "0");
    ut_zarr_chunk_key(1, (const uint64_t[]){UINT64_C(1) << 60}, (UINT64_C(1) << 60) - 1, key);
    assert_string_equal(key, "1152921504606846975");
    assert_int_equal(ut_zarr_chunk_key(3, (const uint64_t[]){3, 4, 50}, 2 * 200 + 3 * 50 + 49, key),
                     6);
    assert_string_equal(key, "2.3.49");
    uint64_t ones[UNTORN_MAX_RANK];
    for (unsigned i = 0; i < UNTORN_MAX_RANK; i++)
        ones[i] = 1;
    ut_zarr_chunk_key(UNTORN_MAX_RANK, ones, 0, key);
    assert_string_equal(key, "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_2_files),
        cmocka_unit_test(format_3_files),
        cmocka_unit_test(consolidated_files),
        cmocka_unit_test(what_cannot_be_said_is_refused),
        cmocka_unit_test(members_are_passed_on),
        cmocka_unit_test(fill_values),
        cmocka_unit_test(every_half_reads_back),
        cmocka_unit_test(random_floats_read_back),
        cmocka_unit_test(chunk_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
