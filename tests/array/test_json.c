// SPDX-License-Identifier: MIT
// The JSON validator: good texts, bad texts with the byte and the reason, every prefix of a good
// text, and random damage, for which the address sanitizer is the judge.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../support/rng.h"
#include "array/json.h"

// Everything the grammar has.
static const char rich[] =
    " \t\r\n{ \"\" : null , \"a\":true,\"b\" "
    ":false,\"n\":[0,-0,1,10,-12.5,0.25,1e5,1E+05,1.5e-300],"
    "\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83C\\udf0a \xc3\xa9 \xf0\x9f\x8c\x8a \x7f\","
    "\"o\":{\"p\":{},\"q\":[]},\"d\":[[],[[]],{ },[ ]],\"z\":\"\\u0000\"}";

static void accept(const char *text) {
    if (ut_json_check_object(text) != UNTORN_OK)
        fail_msg("%s refused: %s", text, untorn_message());
}

static void refuse(const char *text, size_t at, const char *reason) {
    char message[200];
    snprintf(message, sizeof message, "attributes: byte %zu: %s", at, reason);
    assert_int_equal(ut_json_check_object(text), UNTORN_E_JSON);
    assert_string_equal(untorn_message(), message);
}

static void good_objects(void **state) {
    (void)state;
    accept("{}");
    accept(" { } \n");
    accept("{\"a\":1}");
    accept("{\"a\":1,\"a\":2}"); // RFC 8259 allows it
    accept(rich);
}

static void structure(void **state) {
    (void)state;
    refuse("", 0, "expected '{'");
    refuse("[]", 0, "expected '{'");
    refuse("null", 0, "expected '{'");
    refuse("\xef\xbb\xbf{}", 0, "expected '{'");
    refuse("{", 1, "expected a string");
    refuse("{a:1}", 1, "expected a string");
    refuse("{'a':1}", 1, "expected a string");
    refuse("{\"a\"}", 4, "expected ':'");
    refuse("{\"temperature\": 5, 1}", 19, "expected a string");
    refuse("{\"temperature\":1,\"b\" 2}", 21, "expected ':'");
    refuse("{\"a\":}", 5, "expected a value");
    refuse("{\"a\":1,}", 7, "expected a string");
    refuse("{,}", 1, "expected a string");
    refuse("{\"a\":1 \"b\":2}", 7, "expected ',' or '}'");
    refuse("{\"a\":[1 2]}", 8, "expected ',' or ']'");
    refuse("{\"a\":[1,]}", 8, "expected a value");
    refuse("{\"a\":[1}", 7, "expected ',' or ']'");
    refuse("{\"a\":[", 6, "expected a value");
    refuse("{} {}", 3, "text after the object");
    refuse("{}}", 2, "text after the object");
    refuse("{\"a\":1}//", 7, "text after the object");
    refuse("{\v}", 1, "expected a string");
    assert_int_equal(ut_json_check_object(NULL), UNTORN_E_JSON);
}

static void literals_and_numbers(void **state) {
    (void)state;
    static const char not_json[] = "NaN and Infinity are not JSON: use null or a string";
    refuse("{\"a\":NaN}", 5, not_json);
    refuse("{\"a\":Infinity}", 5, not_json);
    refuse("{\"a\":-Infinity}", 5, not_json);
    refuse("{\"a\":nan}", 5, "expected a value");
    refuse("{\"a\":True}", 5, "expected a value");
    refuse("{\"a\":tru}", 5, "expected a value");
    refuse("{\"a\":truer}", 9, "expected ',' or '}'");
    refuse("{\"a\":undefined}", 5, "expected a value");
    refuse("{\"a\":+1}", 5, "expected a value");
    refuse("{\"a\":.5}", 5, "expected a value");
    refuse("{\"a\":01}", 6, "a number has a leading zero");
    refuse("{\"a\":-01}", 7, "a number has a leading zero");
    refuse("{\"a\":-}", 6, "expected a digit");
    refuse("{\"a\":1.}", 7, "expected a digit");
    refuse("{\"a\":1.e5}", 7, "expected a digit");
    refuse("{\"a\":1e}", 7, "expected a digit");
    refuse("{\"a\":1e+-5}", 8, "expected a digit");
    refuse("{\"a\":0x10}", 6, "expected ',' or '}'");
    refuse("{\"a\":1_000}", 6, "expected ',' or '}'");
}

static void strings(void **state) {
    (void)state;
    refuse("{\"a", 1, "unterminated string");
    refuse("{\"a\":\"b}", 5, "unterminated string");
    refuse("{\"a\":\"\\", 7, "unknown escape");
    refuse("{\"a\":\"\\x41\"}", 7, "unknown escape");
    refuse("{\"a\":\"\\U0041\"}", 7, "unknown escape");
    refuse("{\"a\":\"\\u00g0\"}", 10, "expected four hexadecimal digits");
    refuse("{\"a\":\"\\u12\"}", 10, "expected four hexadecimal digits");
    refuse("{\"a\":\"\\ud800\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\\udc00\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\\ud800\\ud800\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\\ud800x\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\\ud800\\n\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\\udc00\\ud800\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\\ud800\\u00\"}", 16, "expected four hexadecimal digits");
    refuse("{\"a\":\"\\udc00\\udc00\"}", 6, "lone surrogate");
    refuse("{\"a\":\"\x1f\"}", 6, "control character in a string");
    refuse("{\"a\":\"\n\"}", 6, "control character in a string");
    refuse("{\"a\tb\":1}", 3, "control character in a string");
    refuse("{\"a\":\"x\xff\"}", 7, "not UTF-8");
    refuse("{\"a\":\"\xed\xa0\x80\"}", 6, "not UTF-8");
    refuse("{\"\xc0\x80\":1}", 2, "not UTF-8");
    refuse("{\"a\":\"\xe2\x82\"}", 6, "not UTF-8");
    refuse("{\"a\":\"\xe2\x82", 6, "not UTF-8");
}

// `levels` objects and arrays within each other, alternating.
static void nested(char *text, unsigned levels) {
    char *end = text;
    for (unsigned i = 0; i < levels; i++)
        end = stpcpy(end, i % 2 ? "[" : i + 1 < levels ? "{\"\":" : "{");
    for (unsigned i = levels; i-- > 0;)
        *end++ = i % 2 ? ']' : '}';
    *end = '\0';
}

static void bounds(void **state) {
    (void)state;
    char text[1000];
    nested(text, UT_MAX_JSON_DEPTH);
    accept(text);
    nested(text, UT_MAX_JSON_DEPTH + 1);
    refuse(text, 32 * 4 + 32, "nested too deeply (at most 64 levels)");
    // Depth is how deep, not how many.
    char *many = malloc(20000);
    assert_non_null(many);
    char *end = stpcpy(many, "{\"a\":[{}");
    for (int i = 0; i < 3000; i++)
        end = stpcpy(end, i % 2 ? ",{}" : ",[]");
    strcpy(end, "]}");
    accept(many);
    free(many);

    size_t size = UNTORN_MAX_ATTRIBUTES;
    char *large = malloc(size + 2);
    assert_non_null(large);
    memset(large, ' ', size + 1);
    memcpy(large, "{}", 2);
    large[size] = '\0';
    accept(large);
    large[size] = ' ';
    large[size + 1] = '\0';
    assert_int_equal(ut_json_check_object(large), UNTORN_E_JSON);
    assert_string_equal(untorn_message(), "attributes: longer than 1048576 bytes");
    // Brackets without end must not exhaust the stack.
    memset(large, '[', size);
    memcpy(large, "{\"\":", 4);
    large[size] = '\0';
    refuse(large, 67, "nested too deeply (at most 64 levels)");
    free(large);
}

static void no_prefix_is_an_object(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof rich - 1; n++) {
        char *prefix = strndup(rich, n); // exactly as long, so that an over-read shows
        assert_non_null(prefix);
        if (ut_json_check_object(prefix) != UNTORN_E_JSON)
            fail_msg("the first %zu bytes were accepted", n);
        free(prefix);
    }
}

static void random_damage_is_survived(void **state) {
    struct test_rng *rng = *state;
    for (int round = 0; round < 50000; round++) {
        char *text = strdup(rich);
        assert_non_null(text);
        for (uint64_t n = rng_range(rng, 1, 3); n > 0; n--) {
            size_t at = rng_below(rng, sizeof rich - 1);
            text[at] = rng_chance(rng, 50) ? rich[rng_below(rng, sizeof rich - 1)]
                                           : (char)rng_below(rng, 256);
        }
        untorn_status status = ut_json_check_object(text);
        assert_true(status == UNTORN_OK || status == UNTORN_E_JSON);
        free(text);
    }
}

int main(void) {
    const char *seed = getenv("UNTORN_TEST_SEED");
    struct test_rng rng = {seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL)};
    printf("UNTORN_TEST_SEED=%llu\n", (unsigned long long)rng.state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_objects),
        cmocka_unit_test(structure),
        cmocka_unit_test(literals_and_numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(bounds),
        cmocka_unit_test(no_prefix_is_an_object),
        cmocka_unit_test_prestate(random_damage_is_survived, &rng),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
