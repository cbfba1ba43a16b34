// SPDX-License-Identifier: MIT
/*
 * A text that grows: JSON and text output is put together in one before it is written.  Running
 * out of memory is remembered in `failed`, which the user looks at once, at the end.
 */
#ifndef UT_TEXT_H
#define UT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ut_text {
    char *bytes; /* NUL-terminated once anything was added */
    size_t length;
    size_t capacity;
    bool failed;
};

void ut_cli_text_add(struct ut_text *text, const char *string);
void ut_cli_text_add_bytes(struct ut_text *text, const char *bytes, size_t count);
void ut_cli_text_format(struct ut_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A JSON string.  Bytes that are not UTF-8 become the code points of the same numbers. */
void ut_cli_text_json_string(struct ut_text *text, const char *bytes, size_t count);

/* 2024-01-31T23:59:59.999Z, from ns since 1970. */
void ut_cli_text_time(struct ut_text *text, int64_t time);

/* ["one","two"] */
void ut_cli_text_json_list(struct ut_text *text, char *const *strings, size_t count);

void ut_cli_text_free(struct ut_text *text);

#endif
