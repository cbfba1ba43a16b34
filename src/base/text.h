// SPDX-License-Identifier: MIT
// A text that grows.  Files that are made of text are put together in one before they are written.
// Running out of memory is remembered, not returned: whoever adds many pieces asks once, at the
// end, with ut_text_check().
#ifndef UT_BASE_TEXT_H
#define UT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "untorn.h"

typedef struct ut_growing_text {
    char *bytes; // NUL-terminated once anything was added; NULL before
    size_t length;
    size_t capacity;
    bool failed; // out of memory; what was added is incomplete
} ut_growing_text;

#define UT_GROWING_TEXT_INIT                                                                       \
    { NULL, 0, 0, false }

void ut_text_add_bytes(ut_growing_text *text, const char *bytes, size_t count);
void ut_text_add(ut_growing_text *text, const char *string);
void ut_text_format(ut_growing_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Forget the content, keep the memory.
void ut_text_clear(ut_growing_text *text);

// UNTORN_E_NO_MEMORY if anything could not be added.
untorn_status ut_text_check(const ut_growing_text *text);

void ut_text_free(ut_growing_text *text);

#endif
