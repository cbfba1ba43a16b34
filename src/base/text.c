// SPDX-License-Identifier: MIT
// A text that grows: one block of memory, doubled when it is full.
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

// Room for `count` bytes more and the NUL.
static bool make_room(ut_growing_text *text, size_t count) {
    if (text->failed)
        return false;
    if (text->capacity - text->length > count)
        return true;
    if (count >= SIZE_MAX / 4 - text->length) {
        text->failed = true;
        return false;
    }
    size_t capacity = text->capacity > 0 ? text->capacity : 256;
    while (capacity - text->length <= count)
        capacity *= 2;
    char *bytes = realloc(text->bytes, capacity);
    if (bytes == NULL) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void ut_text_add_bytes(ut_growing_text *text, const char *bytes, size_t count) {
    if (!make_room(text, count))
        return;
    if (count > 0)
        memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    text->bytes[text->length] = '\0';
}

void ut_text_add(ut_growing_text *text, const char *string) {
    ut_text_add_bytes(text, string, strlen(string));
}

void ut_text_format(ut_growing_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (count < 0) {
        text->failed = true;
    } else if (make_room(text, (size_t)count)) {
        vsnprintf(text->bytes + text->length, (size_t)count + 1, format, again);
        text->length += (size_t)count;
    }
    va_end(again);
}

void ut_text_clear(ut_growing_text *text) {
    text->length = 0;
    text->failed = false;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

untorn_status ut_text_check(const ut_growing_text *text) {
    if (text->failed)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a text of more than %zu bytes",
                       text->length);
    return UNTORN_OK;
}

void ut_text_free(ut_growing_text *text) {
    free(text->bytes);
    *text = (ut_growing_text)UT_GROWING_TEXT_INIT;
}
