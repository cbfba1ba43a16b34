// SPDX-License-Identifier: MIT
// Status texts and the sentence of a thread's last failure: formatting, cutting between UTF-8
// characters, arguments that are the sentence itself, one sentence per thread.
#include "base/status.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_a_text(void **state) {
    (void)state;
#define CHECK_TEXT(name, number, text)                                                             \
    assert_int_equal(name, number);                                                                \
    assert_string_equal(untorn_status_text(name), text);
    UNTORN_STATUS_LIST(CHECK_TEXT)
#undef CHECK_TEXT
    assert_string_equal(untorn_status_text((untorn_status)9999), "unknown status");
}

static void version_matches_the_header(void **state) {
    (void)state;
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "%d.%d.%d", UNTORN_VERSION_MAJOR,
                   UNTORN_VERSION_MINOR, UNTORN_VERSION_PATCH);
    assert_string_equal(untorn_version(), expected);
}

static void a_failure_returns_its_status_and_sets_the_sentence(void **state) {
    (void)state;
    assert_int_equal(ut_fail(UNTORN_E_NO_ARRAY, "no array \"%s\" (%d)", "a", 7), UNTORN_E_NO_ARRAY);
    assert_string_equal(untorn_message(), "no array \"a\" (7)");
}

static void errno_is_told_and_left_alone(void **state) {
    (void)state;
    errno = EAGAIN;
    assert_int_equal(ut_fail_errno(UNTORN_E_PERMISSION, EACCES, "open %s", "/x"),
                     UNTORN_E_PERMISSION);
    assert_string_equal(untorn_message(), "open /x: Permission denied");
    assert_int_equal(errno, EAGAIN);
}

static void the_sentence_can_be_its_own_argument(void **state) {
    (void)state;
    (void)ut_fail(UNTORN_E_NAME, "inner");
    (void)ut_fail(UNTORN_E_NAME, "segment \"%s\": %s", "cam", untorn_message());
    assert_string_equal(untorn_message(), "segment \"cam\": inner");
}

// All lengths around the limit, with characters of 1 to 4 bytes, so that every place in a
// character falls on the cut.
static void a_long_sentence_is_cut_between_characters(void **state) {
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8c\x8a"};
    char text[UT_MESSAGE_BYTES + 64];
    for (size_t c = 0; c < 4; c++) {
        size_t width = strlen(characters[c]);
        for (size_t lead = 0; lead < 4; lead++) {
            memset(text, 'a', lead);
            size_t used = lead;
            for (; used + width < sizeof(text); used += width)
                memcpy(text + used, characters[c], width);
            text[used] = '\0';
            (void)ut_fail(UNTORN_E_NAME, "%s", text);
            const char *got = untorn_message();
            size_t n = strlen(got);
            assert_true(n < UT_MESSAGE_BYTES && n + 4 >= UT_MESSAGE_BYTES - 3);
            assert_string_equal(got + n - 3, "...");
            assert_memory_equal(got, text, n - 3);
            assert_int_equal((n - 3 - lead) % width, 0);
        }
    }
}

static void the_longest_sentence_is_not_cut(void **state) {
    (void)state;
    char text[UT_MESSAGE_BYTES + 1];
    memset(text, 'a', sizeof(text));
    text[UT_MESSAGE_BYTES - 1] = '\0';
    (void)ut_fail(UNTORN_E_NAME, "%s", text);
    assert_string_equal(untorn_message(), text);
    text[UT_MESSAGE_BYTES - 1] = 'a';
    text[UT_MESSAGE_BYTES] = '\0';
    (void)ut_fail(UNTORN_E_NAME, "%s", text);
    assert_int_equal(strlen(untorn_message()), UT_MESSAGE_BYTES - 1);
    assert_string_equal(untorn_message() + UT_MESSAGE_BYTES - 4, "...");
    // What errno means is cut off with the rest, within the buffer.
    (void)ut_fail_errno(UNTORN_E_SYSTEM, EIO, "%s", text);
    assert_int_equal(strlen(untorn_message()), UT_MESSAGE_BYTES - 1);
}

static void *fail_elsewhere(void *fresh) {
    *(int *)fresh = untorn_message()[0] == '\0';
    (void)ut_fail(UNTORN_E_NAME, "elsewhere");
    return NULL;
}

static void each_thread_has_its_own_sentence(void **state) {
    (void)state;
    (void)ut_fail(UNTORN_E_NAME, "here");
    pthread_t thread;
    int fresh = 0;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &fresh), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(fresh);
    assert_string_equal(untorn_message(), "here");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(version_matches_the_header),
        cmocka_unit_test(a_failure_returns_its_status_and_sets_the_sentence),
        cmocka_unit_test(errno_is_told_and_left_alone),
        cmocka_unit_test(the_sentence_can_be_its_own_argument),
        cmocka_unit_test(a_long_sentence_is_cut_between_characters),
        cmocka_unit_test(the_longest_sentence_is_not_cut),
        cmocka_unit_test(each_thread_has_its_own_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
