// SPDX-License-Identifier: MIT
// Status texts and the sentence of each thread's last failure.  The sentence lives in a buffer of
// the thread, never in the heap: an out-of-memory failure must be able to say so.
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UT_TEXT_OF(x) #x
#define UT_VERSION_TEXT(major, minor, patch)                                                       \
    UT_TEXT_OF(major) "." UT_TEXT_OF(minor) "." UT_TEXT_OF(patch)

static _Thread_local char ut_sentence[UT_MESSAGE_BYTES];

const char *untorn_version(void) {
    return UT_VERSION_TEXT(UNTORN_VERSION_MAJOR, UNTORN_VERSION_MINOR, UNTORN_VERSION_PATCH);
}

const char *untorn_status_text(untorn_status status) {
    switch (status) {
#define UT_STATUS_CASE(name, number, text)                                                         \
    case name:                                                                                     \
        return text;
        UNTORN_STATUS_LIST(UT_STATUS_CASE)
#undef UT_STATUS_CASE
    }
    return "unknown status";
}

const char *untorn_message(void) {
    return ut_sentence;
}

// Append to the sentence being built in `text`; `used` stops at the buffer's end, where
// a longer length only says that something was cut.
static size_t ut_append(char *text, size_t used, const char *format, va_list arguments) {
    if (used >= UT_MESSAGE_BYTES)
        return used;
    int n = vsnprintf(text + used, UT_MESSAGE_BYTES - used, format, arguments);
    return n < 0 ? used : used + (size_t)n;
}

static size_t ut_append_text(char *text, size_t used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t ut_append_text(char *text, size_t used, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    used = ut_append(text, used, format, arguments);
    va_end(arguments);
    return used;
}

// A sentence that was cut ends in "...", put where a character begins: half a UTF-8 character
// would make the whole sentence undecodable in most languages.
static void ut_end_cut_text(char *text) {
    size_t end = UT_MESSAGE_BYTES - sizeof("...");
    while (end > 0 && ((unsigned char)text[end] & 0xC0u) == 0x80u)
        end--;
    memcpy(text + end, "...", sizeof("..."));
}

// The sentence is built aside because its arguments may point into the present one.
static void ut_set_sentence(char *text, size_t used) {
    if (used >= UT_MESSAGE_BYTES)
        ut_end_cut_text(text);
    memcpy(ut_sentence, text, strlen(text) + 1);
}

untorn_status ut_fail(untorn_status s, const char *format, ...) {
    int saved = errno;
    char text[UT_MESSAGE_BYTES];
    text[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    size_t used = ut_append(text, 0, format, arguments);
    va_end(arguments);
    ut_set_sentence(text, used);
    errno = saved;
    return s;
}

untorn_status ut_fail_errno(untorn_status s, int error, const char *format, ...) {
    int saved = errno;
    char text[UT_MESSAGE_BYTES];
    char reason[128];
    text[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    size_t used = ut_append(text, 0, format, arguments);
    va_end(arguments);
    used = ut_append_text(text, used, ": %s", strerror_r(error, reason, sizeof(reason)));
    ut_set_sentence(text, used);
    errno = saved;
    return s;
}
