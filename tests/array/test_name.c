// SPDX-License-Identifier: MIT
// Names of arrays and segments: the rules one by one, their edges, and what the message shows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "array/name.h"

static void accept_array(const char *name) {
    if (ut_name_check_array(name) != UNTORN_OK)
        fail_msg("refused: %s", untorn_message());
}

static void refuse_array(const char *name, const char *message) {
    assert_int_equal(ut_name_check_array(name), UNTORN_E_NAME);
    assert_string_equal(untorn_message(), message);
}

static void refuse_segment(const char *name, const char *message) {
    assert_int_equal(ut_name_check_segment(name), UNTORN_E_NAME);
    assert_string_equal(untorn_message(), message);
}

static void good_array_names(void **state) {
    (void)state;
    static const char *const names[] = {"a",
                                        "a/b/c",
                                        "a.b",
                                        "a_/_b",
                                        "_a",
                                        "zarr.json2",
                                        "a b",
                                        "xzarr.json",
                                        "\xc3\xa9t\xc3\xa9",
                                        "\xf0\x9f\x8c\x8a/x",
                                        "a\\b",
                                        "-",
                                        "\xef\xbf\xbd",
                                        "\xc2\xa0",
                                        "Zarr.json",
                                        "~"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        accept_array(names[i]);
}

static void components_of_array_names(void **state) {
    (void)state;
    refuse_array("", "array name \"\": empty");
    refuse_array("a//b", "array name \"a//b\": empty component");
    refuse_array("/a", "array name \"/a\": begins with '/'");
    refuse_array("/", "array name \"/\": begins with '/'");
    refuse_array("a/", "array name \"a/\": ends with '/'");
    refuse_array(".", "array name \".\": a component begins with '.'");
    refuse_array("a/../b", "array name \"a/../b\": a component begins with '.'");
    refuse_array(".zarray", "array name \".zarray\": a component begins with '.'");
    refuse_array("a/__b", "array name \"a/__b\": a component begins with \"__\"");
    refuse_array("__", "array name \"__\": a component begins with \"__\"");
    refuse_array("zarr.json", "array name \"zarr.json\": a component is \"zarr.json\"");
    refuse_array("a/zarr.json/b", "array name \"a/zarr.json/b\": a component is \"zarr.json\"");
    assert_int_equal(ut_name_check_array(NULL), UNTORN_E_NAME);
}

static void characters_of_array_names(void **state) {
    (void)state;
    refuse_array("a\nb", "array name \"a\\x0ab\": control character");
    refuse_array("a\x7f", "array name \"a\\x7f\": control character");
    refuse_array("\x1b[2J", "array name \"\\x1b[2J\": control character");
    refuse_array("\xc2\x80", "array name \"\\xc2\\x80\": control character");
    refuse_array("\xc2\x9f", "array name \"\\xc2\\x9f\": control character");
    refuse_array("a\x80", "array name \"a\\x80\": not UTF-8");
    refuse_array("\xc0\xaf", "array name \"\\xc0\\xaf\": not UTF-8");
    refuse_array("\xed\xa0\x80", "array name \"\\xed\\xa0\\x80\": not UTF-8");
    refuse_array("\xe2\x82", "array name \"\\xe2\\x82\": not UTF-8");
    refuse_array("\xff", "array name \"\\xff\": not UTF-8");
}

static void lengths_of_array_names(void **state) {
    (void)state;
    char name[UNTORN_MAX_NAME + 2];
    memset(name, 'a', sizeof name);
    name[UT_MAX_NAME_COMPONENT] = '\0';
    accept_array(name);
    name[UT_MAX_NAME_COMPONENT] = 'a';
    name[UT_MAX_NAME_COMPONENT + 1] = '\0';
    assert_int_equal(ut_name_check_array(name), UNTORN_E_NAME);
    assert_non_null(strstr(untorn_message(), "...\": a component is longer than 255 bytes"));

    memset(name, 'a', sizeof name);
    for (size_t i = UT_MAX_NAME_COMPONENT; i < UNTORN_MAX_NAME; i += UT_MAX_NAME_COMPONENT + 1)
        name[i] = '/';
    name[UNTORN_MAX_NAME] = '\0';
    accept_array(name);
    name[UNTORN_MAX_NAME] = 'a';
    name[UNTORN_MAX_NAME + 1] = '\0';
    assert_int_equal(ut_name_check_array(name), UNTORN_E_NAME);
    assert_non_null(strstr(untorn_message(), "longer than 1023 bytes"));

    // The worst that a message can be asked to show.
    memset(name, '\xff', UNTORN_MAX_NAME);
    name[UNTORN_MAX_NAME] = '\0';
    assert_int_equal(ut_name_check_array(name), UNTORN_E_NAME);
    assert_non_null(strstr(untorn_message(), "\\xff...\": not UTF-8"));
}

static void segment_names(void **state) {
    (void)state;
    char name[UT_MAX_SEGMENT_NAME + 2];
    assert_int_equal(ut_name_check_segment("a"), UNTORN_OK);
    assert_int_equal(ut_name_check_segment("-Az09._-."), UNTORN_OK);
    memset(name, 'x', sizeof name);
    name[UT_MAX_SEGMENT_NAME] = '\0';
    assert_int_equal(ut_name_check_segment(name), UNTORN_OK);
    name[UT_MAX_SEGMENT_NAME] = 'x';
    name[UT_MAX_SEGMENT_NAME + 1] = '\0';
    assert_int_equal(ut_name_check_segment(name), UNTORN_E_NAME);
    assert_non_null(strstr(untorn_message(), "longer than 200 characters"));

    refuse_segment("", "segment name \"\": empty");
    refuse_segment(".a", "segment name \".a\": begins with '.'");
    refuse_segment("a/b",
                   "segment name \"a/b\": only letters, digits, '.', '_' and '-' are allowed");
    refuse_segment("a~ctl",
                   "segment name \"a~ctl\": only letters, digits, '.', '_' and '-' are allowed");
    refuse_segment("\xc3\xa9",
                   "segment name \"\xc3\xa9\": only letters, digits, '.', '_' and '-' are allowed");
    assert_int_equal(ut_name_check_segment(NULL), UNTORN_E_NAME);
}

// Encode every number a sequence of up to four bytes can carry, in every length, and compare with
// the definition.
static void utf8_is_decoded_exactly(void **state) {
    (void)state;
    static const unsigned lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    static const uint32_t least[6] = {0, 0, 0x80, 0x800, 0x10000, 0x110000};
    for (size_t length = 2; length <= 4; length++) {
        uint32_t end = 1u << (length == 2 ? 11 : length == 3 ? 16 : 21);
        for (uint32_t value = 0; value < end; value++) {
            char bytes[4];
            uint32_t rest = value;
            for (size_t i = length - 1; i > 0; i--, rest >>= 6)
                bytes[i] = (char)(0x80 | (rest & 0x3F));
            bytes[0] = (char)(lead[length] | rest);
            int valid =
                value >= least[length] && value < 0x110000 && (value < 0xD800 || value > 0xDFFF);
            uint32_t code = 0;
            size_t taken = ut_utf8_decode(bytes, length, &code);
            if (taken != (valid ? length : 0) || (valid && code != value))
                fail_msg("length %zu value %#x: %zu %#x", length, value, taken, code);
            if (ut_utf8_decode(bytes, length - 1, &code) != 0)
                fail_msg("length %zu value %#x: cut short and taken", length, value);
        }
    }
    uint32_t code = 7;
    assert_int_equal(ut_utf8_decode("", 0, &code), 0);
    assert_int_equal(ut_utf8_decode("\0", 1, &code), 1);
    assert_int_equal(code, 0);
    for (int lead_byte = 0x80; lead_byte < 0x100; lead_byte++) {
        char alone[4] = {(char)lead_byte, 'a', 'a', 'a'};
        assert_int_equal(ut_utf8_decode(alone, 4, &code), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_array_names),
        cmocka_unit_test(components_of_array_names),
        cmocka_unit_test(characters_of_array_names),
        cmocka_unit_test(lengths_of_array_names),
        cmocka_unit_test(segment_names),
        cmocka_unit_test(utf8_is_decoded_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
