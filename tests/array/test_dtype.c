// SPDX-License-Identifier: MIT
// Data type names: what is accepted and becomes which canonical text, and what is refused with
// which advice.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "array/dtype.h"

static void check(const char *given, const char *text, uint32_t itemsize) {
    ut_dtype dtype;
    memset(&dtype, 0xAA, sizeof dtype);
    assert_int_equal(ut_dtype_parse(given, &dtype), UNTORN_OK);
    assert_string_equal(dtype.text, text);
    assert_int_equal(dtype.itemsize, itemsize);
    assert_int_equal(dtype.kind, text[1]);
    size_t used = strlen(text);
    for (size_t i = used; i < sizeof dtype.text; i++)
        assert_int_equal(dtype.text[i], 0);

    // Canonical texts are their own canonical texts.
    ut_dtype again;
    assert_int_equal(ut_dtype_parse(dtype.text, &again), UNTORN_OK);
    assert_string_equal(again.text, text);

    size_t size = 0;
    assert_int_equal(untorn_dtype_size(given, &size), UNTORN_OK);
    assert_int_equal(size, itemsize);
}

static void refuse(const char *given, const char *advice) {
    ut_dtype dtype;
    ut_dtype untouched;
    memset(&dtype, 0xAA, sizeof dtype);
    memset(&untouched, 0xAA, sizeof untouched);
    assert_int_equal(ut_dtype_parse(given, &dtype), UNTORN_E_DTYPE);
    assert_memory_equal(&dtype, &untouched, sizeof dtype);
    if (!strstr(untorn_message(), advice))
        fail_msg("message of \"%s\" lacks \"%s\": %s", given, advice, untorn_message());
    size_t size = 77;
    assert_int_equal(untorn_dtype_size(given, &size), UNTORN_E_DTYPE);
    assert_int_equal(size, 77);
}

static void every_fixed_type_has_one_text(void **state) {
    (void)state;
    static const char *const names[] = {"b1", "i1", "i2", "i4", "i8", "u1", "u2",
                                        "u4", "u8", "f2", "f4", "f8", "c8", "c16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *digits = names[i] + 1;
        uint32_t size = (uint32_t)(digits[1] ? 16 : digits[0] - '0');
        char text[8];
        snprintf(text, sizeof text, "%c%s", size == 1 ? '|' : '<', names[i]);
        for (const char *order = " <=|"; *order; order++) {
            char given[8];
            snprintf(given, sizeof given, "%c%s", *order, names[i]);
            check(*order == ' ' ? given + 1 : given, text, size);
        }
    }
    check("?", "|b1", 1);
    check("|?", "|b1", 1);
}

static void bytes_of_any_size_up_to_the_limit(void **state) {
    (void)state;
    check("S10", "|S10", 10);
    check("|S1", "|S1", 1);
    check("<V3", "|V3", 3);
    check("S65535", "|S65535", 65535);
    check("V65535", "|V65535", 65535);
    refuse("S65536", "at most 65535");
    refuse("V4294967297", "at most 65535");
    refuse("V99999999999999999999999999999999", "at most 65535");
}

static void refusals_say_what_to_do(void **state) {
    (void)state;
    refuse(">f8", "convert");
    refuse(">u1", "convert");
    refuse("!i4", "convert");
    refuse("O", "objects");
    refuse("|O", "objects");
    refuse("|O8", "objects");
    refuse("object", "objects");
    refuse("<U10", "UTF-8");
    refuse("U", "UTF-8");
    refuse("<M8[ns]", "CF units");
    refuse("m8", "CF units");
    refuse("datetime64[D]", "CF units");
    refuse("timedelta64", "CF units");
    refuse("f16", "long double");
    refuse("<f12", "long double");
    refuse("g", "long double");
    refuse("c32", "long double");
    refuse("S", "at least 1");
    refuse("S0", "at least 1");
    refuse("|V", "at least 1");
    refuse("V0", "at least 1");
}

static void everything_else_is_no_type(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",   "<",  "<<f8", "f",     "f3",    "f08", "f8 ", " f8", "b2",  "b",   "i16",
        "u0", "c4", "q",    "x4",    "float", "S-1", "S+1", "S1x", "S ",  "S01", "i4,f8",
        "??", "?1", "M",    "(2)f8", "\xff",  "i 4", "B",   "a10", "m8x", "f8f8"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ut_dtype dtype;
        if (ut_dtype_parse(texts[i], &dtype) != UNTORN_E_DTYPE)
            fail_msg("\"%s\" was accepted", texts[i]);
    }
    refuse("float64", "expected b1");
    assert_int_equal(ut_dtype_parse(NULL, NULL), UNTORN_E_DTYPE);
    assert_int_equal(untorn_dtype_size("f8", NULL), UNTORN_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fixed_type_has_one_text),
        cmocka_unit_test(bytes_of_any_size_up_to_the_limit),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(everything_else_is_no_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
