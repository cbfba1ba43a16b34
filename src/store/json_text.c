// SPDX-License-Identifier: MIT
// Pieces of JSON as text.  Numbers are tried with ever more digits until one reads back as the
// same value, which gives the shortest; all digits before the point are shown below 1e15.  What is
// printed with the C library's functions is freed of the locale's decimal point.
#include "store/json_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array/name.h"
#include "base/status.h"

// One character of a string, which is known to need no other escape.
static void add_character(ut_growing_text *text, uint32_t code) {
    if (code >= 0x10000)
        ut_text_format(text, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (code >> 10)),
                       (unsigned)(0xdc00 + (code & 0x3ff)));
    else
        ut_text_format(text, "\\u%04x", (unsigned)code);
}

untorn_status ut_json_add_string(ut_growing_text *text, const char *string) {
    size_t left = strlen(string);
    ut_text_add(text, "\"");
    while (left > 0) {
        uint32_t code;
        size_t n = ut_utf8_decode(string, left, &code);
        if (n == 0)
            return ut_fail(UNTORN_E_CORRUPT, "a name is not UTF-8");
        if (code == '"' || code == '\\')
            ut_text_format(text, "\\%c", (int)code);
        else if (code < 0x20 || code >= 0x7f)
            add_character(text, code);
        else
            ut_text_add_bytes(text, string, n);
        string += n;
        left -= n;
    }
    ut_text_add(text, "\"");
    return UNTORN_OK;
}

// ------------------------------------------------------------ numbers

// Whether `read` rounds to `value` in the type that matters.
typedef bool reads_as(double read, double value);

static bool reads_as_double(double read, double value) {
    return read == value;
}

static bool reads_as_float(double read, double value) {
    return (float)read == (float)value;
}

// The positive half of these bits; the exponent of infinity counts like any other.
static double half_magnitude(unsigned bits) {
    unsigned exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
    return exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, (int)exponent - 25);
}

static unsigned half_bits(double magnitude) {
    int exponent;
    if (magnitude < half_magnitude(0x400))
        return (unsigned)ldexp(magnitude, 24);
    double fraction = frexp(magnitude, &exponent); // 0.5 <= fraction < 1
    return (unsigned)(exponent + 14) << 10 | ((unsigned)ldexp(fraction, 11) & 0x3ff);
}

// Closer to `value` than to either neighbour.
static bool reads_as_half(double read, double value) {
    unsigned bits = half_bits(fabs(value));
    double low = bits == 0 ? -half_magnitude(1) : half_magnitude(bits - 1);
    double high = half_magnitude(bits + 1);
    read = value < 0 ? -read : read;
    return 2 * read > low + fabs(value) && 2 * read < high + fabs(value);
}

// Printing and reading back use the same locale; its decimal point, of any length, is then what
// is neither digit, sign nor exponent.
static void add_shortest(ut_growing_text *text, double value, int digits, reads_as *same) {
    if (isnan(value)) {
        ut_text_add(text, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        ut_text_add(text, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return;
    }
    char printed[64];
    int n = 1;
    for (; n <= digits; n++) {
        snprintf(printed, sizeof printed, "%.*g", n, value);
        if (same(strtod(printed, NULL), value))
            break;
    }
    if (fabs(value) >= 10 && fabs(value) < 1e15) { // rather 100 than 1e+02
        int whole = snprintf(NULL, 0, "%.0f", fabs(value));
        if (whole > n)
            snprintf(printed, sizeof printed, "%.*g", whole, value);
    }
    bool fractional = false;
    for (const char *at = printed; *at != '\0';) {
        size_t plain = strspn(at, "0123456789+-e");
        fractional |= memchr(at, 'e', plain) != NULL;
        ut_text_add_bytes(text, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        ut_text_add(text, ".");
        fractional = true;
        at += strcspn(at, "0123456789+-e");
    }
    if (!fractional)
        ut_text_add(text, ".0");
}

void ut_json_add_double(ut_growing_text *text, double value) {
    add_shortest(text, value, 17, reads_as_double);
}

void ut_json_add_float(ut_growing_text *text, float value) {
    add_shortest(text, (double)value, 17, reads_as_float);
}

void ut_json_add_half(ut_growing_text *text, uint16_t bits) {
    double value = half_magnitude(bits & 0x7fffu);
    if ((bits & 0x7c00u) == 0x7c00u)
        value = bits & 0x3ff ? (double)NAN : (double)INFINITY;
    add_shortest(text, bits & 0x8000u ? -value : value, 17, reads_as_half);
}

void ut_json_add_numbers(ut_growing_text *text, unsigned count, const uint64_t *numbers) {
    ut_text_add(text, "[");
    for (unsigned i = 0; i < count; i++)
        ut_text_format(text, "%s%llu", i > 0 ? "," : "", (unsigned long long)numbers[i]);
    ut_text_add(text, "]");
}

void ut_json_add_base64(ut_growing_text *text, const void *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes;
    ut_text_add(text, "\"");
    for (size_t i = 0; i < n; i += 3) {
        size_t here = n - i < 3 ? n - i : 3;
        unsigned group = (unsigned)from[i] << 16;
        group |= here > 1 ? (unsigned)from[i + 1] << 8 : 0;
        group |= here > 2 ? (unsigned)from[i + 2] : 0;
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        here > 1 ? digits[group >> 6 & 63] : '=',
                        here > 2 ? digits[group & 63] : '='};
        ut_text_add_bytes(text, four, sizeof four);
    }
    ut_text_add(text, "\"");
}

// ------------------------------------------------------------ members of an object

// All of these rely on the text being JSON, and stop at its NUL if it is not.

static const char *skip_space(const char *at) {
    return at + strspn(at, " \t\n\r");
}

// Behind the string that begins at `at`.
static const char *skip_string(const char *at) {
    for (at++; *at != '\0' && *at != '"'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at == '"' ? at + 1 : at;
}

// To the comma or brace that ends the value at `at`.
static const char *skip_value(const char *at) {
    for (unsigned depth = 0; *at != '\0';) {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (depth == 0 && (*at == ',' || *at == '}'))
            return at;
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    }
    return at;
}

static unsigned hex_value(char digit) {
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit | 0x20) - 'a' + 10;
}

// Whether the JSON string at `at` means `name`, which is ASCII without control characters.
static bool string_is(const char *at, const char *name) {
    for (at++; *at != '"' && *at != '\0'; at++, name++) {
        unsigned char c = (unsigned char)*at;
        if (c == '\\') {
            c = (unsigned char)*++at;
            if (c == 'u') {
                unsigned code = 0;
                for (int i = 0; i < 4; i++)
                    code = code << 4 | hex_value(*++at);
                c = code < 0x80 ? (unsigned char)code : 0;
            } else if (!strchr("\"\\/", c)) {
                return false;
            }
        }
        if (c == 0 || c != (unsigned char)*name)
            return false;
    }
    return *name == '\0';
}

// JSON as it is, but in ASCII: other characters are only in strings.
static void add_ascii(ut_growing_text *text, const char *bytes, size_t n) {
    while (n > 0) {
        size_t plain = 0;
        while (plain < n && (unsigned char)bytes[plain] < 0x80)
            plain++;
        ut_text_add_bytes(text, bytes, plain);
        bytes += plain;
        n -= plain;
        uint32_t code;
        size_t length = ut_utf8_decode(bytes, n, &code);
        if (n == 0 || length == 0)
            return;
        add_character(text, code);
        bytes += length;
        n -= length;
    }
}

size_t ut_json_add_members(ut_growing_text *text, const char *object, const char *skip) {
    size_t count = 0;
    const char *at = skip_space(object);
    if (*at == '{')
        at++;
    for (at = skip_space(at); *at == '"';) {
        const char *end = skip_value(skip_string(at)), *last = end;
        while (last[-1] == ' ' || last[-1] == '\t' || last[-1] == '\n' || last[-1] == '\r')
            last--;
        if (skip == NULL || !string_is(at, skip)) {
            if (count++ > 0)
                ut_text_add(text, ",");
            add_ascii(text, at, (size_t)(last - at));
        }
        if (*end != ',')
            break;
        at = skip_space(end + 1);
    }
    return count;
}
