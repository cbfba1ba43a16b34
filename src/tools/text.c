// SPDX-License-Identifier: MIT
/*
 * A text that grows (see text.h).
 */
#include "tools/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Room for `count` bytes more and the NUL. */
static bool make_room(struct ut_text *text, size_t count) {
    if (text->failed)
        return false;
    size_t wanted = text->length + count + 1;
    if (wanted <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < wanted)
        capacity *= 2;
    char *grown = realloc(text->bytes, capacity);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->bytes = grown;
    text->capacity = capacity;
    return true;
}

void ut_cli_text_add_bytes(struct ut_text *text, const char *bytes, size_t count) {
    if (!make_room(text, count))
        return;
    if (count)
        memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    text->bytes[text->length] = '\0';
}

void ut_cli_text_add(struct ut_text *text, const char *string) {
    ut_cli_text_add_bytes(text, string, strlen(string));
}

void ut_cli_text_format(struct ut_text *text, const char *format, ...) {
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (length < 0) {
        text->failed = true;
        return;
    }
    if ((size_t)length < sizeof piece) {
        ut_cli_text_add_bytes(text, piece, (size_t)length);
        return;
    }
    if (!make_room(text, (size_t)length))
        return;
    va_start(arguments, format);
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

/* The length of the UTF-8 sequence at `bytes` (1 to 4), 0 if there is none. */
static size_t utf8_length(const unsigned char *bytes, size_t count) {
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xc2 && first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (first < 0xc2 || length == 0 || length > count)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    // Overlong forms, surrogates, and what lies beyond U+10FFFF.
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] >= 0xa0) ||
        (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] >= 0x90))
        return 0;
    return length;
}

void ut_cli_text_json_string(struct ut_text *text, const char *bytes, size_t count) {
    ut_cli_text_add(text, "\"");
    for (size_t i = 0; i < count;) {
        unsigned char byte = (unsigned char)bytes[i];
        size_t length = utf8_length((const unsigned char *)bytes + i, count - i);
        if (length == 0 || byte < 0x20 || byte == 0x7f) {
            ut_cli_text_format(text, "\\u%04x", byte);
            i++;
        } else if (byte == '"' || byte == '\\') {
            ut_cli_text_format(text, "\\%c", byte);
            i++;
        } else {
            ut_cli_text_add_bytes(text, bytes + i, length);
            i += length;
        }
    }
    ut_cli_text_add(text, "\"");
}

void ut_cli_text_time(struct ut_text *text, int64_t time) {
    char clock[64];
    struct tm parts;
    // Rounded down, for times before 1970 as well.
    int64_t fraction = time % 1000000000;
    time_t seconds = (time_t)(time / 1000000000 - (fraction < 0));
    fraction += fraction < 0 ? 1000000000 : 0;
    if (!gmtime_r(&seconds, &parts) || !strftime(clock, sizeof clock, "%Y-%m-%dT%H:%M:%S", &parts))
        snprintf(clock, sizeof clock, "?");
    ut_cli_text_format(text, "%s.%03dZ", clock, (int)(fraction / 1000000));
}

void ut_cli_text_json_list(struct ut_text *text, char *const *strings, size_t count) {
    ut_cli_text_add(text, "[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            ut_cli_text_add(text, ",");
        ut_cli_text_json_string(text, strings[i], strlen(strings[i]));
    }
    ut_cli_text_add(text, "]");
}

void ut_cli_text_free(struct ut_text *text) {
    free(text->bytes);
    memset(text, 0, sizeof *text);
}
