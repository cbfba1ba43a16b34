// SPDX-License-Identifier: MIT
/*
 * Checking of names, in one pass over the code points.
 *
 * A refused name is repeated in the message with everything unprintable
 * escaped, because it may be just what a terminal should not be sent.
 */
#include "array/name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

#define SHOWN_BYTES 100 /* of a refused name */

size_t ut_utf8_decode(const char *bytes, size_t n, uint32_t *code) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: no overlong */
    const unsigned char *b = (const unsigned char *)bytes;
    if (n == 0)
        return 0;
    if (b[0] < 0x80) {
        *code = b[0];
        return 1;
    }
    size_t length = b[0] < 0xC0 ? 0 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : b[0] < 0xF8 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t value = b[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((b[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (b[i] & 0x3Fu);
    }
    if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *code = value;
    return length;
}

static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/* The name with bytes that are not printable text as \xNN, shortened with "...". */
static void show(const char *name, size_t n, char *shown, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        if (i >= SHOWN_BYTES) {
            snprintf(shown + used, size - used, "...");
            return;
        }
        uint32_t code;
        size_t length = ut_utf8_decode(name + i, n - i, &code);
        if (length == 0 || is_control(code)) {
            length = 1;
            used += (size_t)snprintf(shown + used, size - used, "\\x%02x", (unsigned char)name[i]);
        } else {
            memcpy(shown + used, name + i, length);
            used += length;
        }
        i += length;
    }
    shown[used] = '\0';
}

static untorn_status refuse(const char *what, const char *name, size_t n, const char *reason) {
    char shown[SHOWN_BYTES * 4 + 8];
    show(name, n, shown, sizeof shown);
    return ut_fail(UNTORN_E_NAME, "%s name \"%s\": %s", what, shown, reason);
}

/* What is wrong with a path component, or NULL. */
static const char *component_fault(const char *component, size_t n) {
    if (n == 0)
        return "empty component";
    if (n > UT_MAX_NAME_COMPONENT)
        return "a component is longer than 255 bytes";
    if (component[0] == '.')
        return "a component begins with '.'";
    if (n >= 2 && memcmp(component, "__", 2) == 0)
        return "a component begins with \"__\"";
    if (n == strlen("zarr.json") && memcmp(component, "zarr.json", n) == 0)
        return "a component is \"zarr.json\"";
    return NULL;
}

/* What is wrong with a name's characters, or NULL. */
static const char *character_fault(const char *name, size_t n) {
    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t length = ut_utf8_decode(name + i, n - i, &code);
        if (length == 0)
            return "not UTF-8";
        if (is_control(code))
            return "control character";
        i += length;
    }
    return NULL;
}

untorn_status ut_name_check_array(const char *name) {
    if (!name)
        return ut_fail(UNTORN_E_NAME, "array name: none given");
    size_t n = strnlen(name, UNTORN_MAX_NAME + 1);
    if (n == 0)
        return refuse("array", name, n, "empty");
    if (n > UNTORN_MAX_NAME)
        return refuse("array", name, n, "longer than 1023 bytes");
    const char *fault = character_fault(name, n);
    if (!fault && name[0] == '/')
        fault = "begins with '/'";
    if (!fault && name[n - 1] == '/')
        fault = "ends with '/'";
    for (size_t i = 0; !fault && i <= n;) {
        size_t length = strcspn(name + i, "/");
        fault = component_fault(name + i, length);
        i += length + 1;
    }
    return fault ? refuse("array", name, n, fault) : UNTORN_OK;
}

static bool is_segment_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

untorn_status ut_name_check_segment(const char *name) {
    if (!name)
        return ut_fail(UNTORN_E_NAME, "segment name: none given");
    size_t n = strnlen(name, UT_MAX_SEGMENT_NAME + 1);
    if (n == 0)
        return refuse("segment", name, n, "empty");
    if (n > UT_MAX_SEGMENT_NAME)
        return refuse("segment", name, n, "longer than 200 characters");
    if (name[0] == '.')
        return refuse("segment", name, n, "begins with '.'");
    for (size_t i = 0; i < n; i++) {
        if (!is_segment_character(name[i]))
            return refuse("segment", name, n, "only letters, digits, '.', '_' and '-' are allowed");
    }
    return UNTORN_OK;
}

_Static_assert(UNTORN_MAX_NAME == 1023 && UT_MAX_NAME_COMPONENT == 255 &&
                   UT_MAX_SEGMENT_NAME == 200,
               "the numbers in the messages");
