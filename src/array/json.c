// SPDX-License-Identifier: MIT
/*
 * A validator for JSON: recursive descent over the grammar of RFC 8259, with
 * the recursion bounded by UT_MAX_JSON_DEPTH.
 *
 * Each function takes one production, leaves `at` behind it and returns true;
 * or it notes what was expected at `at`, the first fault, and returns false.
 */
#include "array/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "array/name.h"
#include "base/status.h"

struct text {
    const char *bytes;
    size_t size;
    size_t at;
    unsigned depth;
    const char *fault;
};

static bool take_value(struct text *t);

static bool fail(struct text *t, const char *fault) {
    t->fault = fault;
    return false;
}

/* The character at `at`, '\0' at the end (no NUL is inside). */
static char peek(const struct text *t) {
    return t->bytes[t->at];
}

static bool take(struct text *t, char c) {
    if (peek(t) != c)
        return false;
    t->at++;
    return true;
}

static void skip_space(struct text *t) {
    t->at += strspn(t->bytes + t->at, " \t\n\r");
}

static bool take_digits(struct text *t) {
    size_t n = strspn(t->bytes + t->at, "0123456789");
    t->at += n;
    return n > 0 || fail(t, "expected a digit");
}

static bool take_number(struct text *t) {
    take(t, '-');
    if (take(t, '0')) {
        if (peek(t) >= '0' && peek(t) <= '9')
            return fail(t, "a number has a leading zero");
    } else if (!take_digits(t)) {
        return false;
    }
    if (take(t, '.') && !take_digits(t))
        return false;
    if (take(t, 'e') || take(t, 'E')) {
        if (!take(t, '+'))
            take(t, '-');
        return take_digits(t);
    }
    return true;
}

static bool take_hex4(struct text *t, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++) {
        char c = peek(t);
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return fail(t, "expected four hexadecimal digits");
        *code = *code << 4 | digit;
        t->at++;
    }
    return true;
}

/* What follows a backslash.  A surrogate counts only as the first or second of a pair. */
static bool take_escape(struct text *t) {
    size_t begin = t->at - 1;
    char c = peek(t);
    if (c != 'u') {
        if (c == '\0' || !strchr("\"\\/bfnrt", c))
            return fail(t, "unknown escape");
        t->at++;
        return true;
    }
    t->at++;
    uint32_t code;
    if (!take_hex4(t, &code))
        return false;
    if (code < 0xD800 || code > 0xDFFF)
        return true;
    uint32_t low = 0;
    if (code <= 0xDBFF && take(t, '\\') && take(t, 'u')) {
        if (!take_hex4(t, &low))
            return false;
        if (low >= 0xDC00 && low <= 0xDFFF)
            return true;
    }
    t->at = begin;
    return fail(t, "lone surrogate");
}

static bool take_string(struct text *t) {
    size_t begin = t->at;
    if (!take(t, '"'))
        return fail(t, "expected a string");
    while (t->at < t->size) {
        if (take(t, '"'))
            return true;
        if (take(t, '\\')) {
            if (!take_escape(t))
                return false;
            continue;
        }
        uint32_t code;
        size_t length = ut_utf8_decode(t->bytes + t->at, t->size - t->at, &code);
        if (length == 0)
            return fail(t, "not UTF-8");
        if (code < 0x20)
            return fail(t, "control character in a string");
        t->at += length;
    }
    t->at = begin;
    return fail(t, "unterminated string");
}

static bool take_word(struct text *t, const char *word) {
    size_t n = strlen(word);
    if (strncmp(t->bytes + t->at, word, n) != 0)
        return fail(t, "expected a value");
    t->at += n;
    return true;
}

static bool take_member(struct text *t) {
    if (!take_string(t))
        return false;
    skip_space(t);
    if (!take(t, ':'))
        return fail(t, "expected ':'");
    return take_value(t);
}

/* An object or array, from its opening bracket: items with commas between them. */
static bool take_items(struct text *t, char close, bool (*take_item)(struct text *)) {
    if (t->depth == UT_MAX_JSON_DEPTH)
        return fail(t, "nested too deeply (at most 64 levels)");
    t->depth++;
    t->at++;
    skip_space(t);
    if (!take(t, close)) {
        for (;;) {
            skip_space(t);
            if (!take_item(t))
                return false;
            skip_space(t);
            if (take(t, close))
                break;
            if (!take(t, ','))
                return fail(t, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        }
    }
    t->depth--;
    return true;
}

static bool take_value(struct text *t) {
    skip_space(t);
    switch (peek(t)) {
    case '{':
        return take_items(t, '}', take_member);
    case '[':
        return take_items(t, ']', take_value);
    case '"':
        return take_string(t);
    case 't':
        return take_word(t, "true");
    case 'f':
        return take_word(t, "false");
    case 'n':
        return take_word(t, "null");
    case 'N':
    case 'I':
        return fail(t, "NaN and Infinity are not JSON: use null or a string");
    case '-':
        if (t->bytes[t->at + 1] == 'I')
            return fail(t, "NaN and Infinity are not JSON: use null or a string");
        return take_number(t);
    default:
        if (peek(t) >= '0' && peek(t) <= '9')
            return take_number(t);
        return fail(t, "expected a value");
    }
}

static bool take_document(struct text *t) {
    skip_space(t);
    if (peek(t) != '{')
        return fail(t, "expected '{'");
    if (!take_value(t))
        return false;
    skip_space(t);
    return t->at == t->size || fail(t, "text after the object");
}

untorn_status ut_json_check_object(const char *text) {
    if (!text)
        return ut_fail(UNTORN_E_JSON, "attributes: none given");
    struct text t = {.bytes = text, .size = strnlen(text, (size_t)UNTORN_MAX_ATTRIBUTES + 1)};
    if (t.size > UNTORN_MAX_ATTRIBUTES)
        return ut_fail(UNTORN_E_JSON, "attributes: longer than %u bytes", UNTORN_MAX_ATTRIBUTES);
    if (!take_document(&t))
        return ut_fail(UNTORN_E_JSON, "attributes: byte %zu: %s", t.at, t.fault);
    return UNTORN_OK;
}

_Static_assert(UT_MAX_JSON_DEPTH == 64, "the number in the message");
