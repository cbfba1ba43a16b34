// SPDX-License-Identifier: MIT
/*
 * Elements from text and as text (see element.h).
 *
 * Numbers are printed with the fewest digits that read back as the same number, found by trying:
 * 0.1 is better than 0.10000000000000001, and nothing is lost.
 */
#include "tools/element.h"

#include "tools/half_float.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool ut_cli_element_type_parse(const char *text, struct ut_element_type *type) {
    if (untorn_dtype_size(text, &type->itemsize) != UNTORN_OK)
        return false;
    if (*text == '<' || *text == '=' || *text == '|')
        text++;
    type->kind = *text == '?' ? 'b' : *text;
    bool has_order = strchr("iufc", type->kind) && type->itemsize > 1;
    snprintf(type->text, sizeof type->text, "%c%c%zu", has_order ? '<' : '|', type->kind,
             type->itemsize);
    return true;
}

size_t ut_cli_element_component(const struct ut_element_type *type) {
    switch (type->kind) {
    case 'c':
        return type->itemsize / 2;
    case 'S':
    case 'V':
        return 1;
    default:
        return type->itemsize;
    }
}

static bool parse_bool(const char *text, void *element) {
    bool is_true = strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
    bool is_false = strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0;
    *(unsigned char *)element = is_true;
    return is_true || is_false;
}

static bool parse_integer(char kind, size_t itemsize, const char *text, void *element) {
    bool negative = *text == '-';
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits))
        return false;
    int base = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
    char *end;
    errno = 0;
    unsigned long long magnitude = strtoull(digits, &end, base);
    if (errno || *end || end == digits)
        return false;
    unsigned bits = (unsigned)itemsize * 8;
    uint64_t most = kind == 'u' ? UINT64_MAX >> (64 - bits) : (UINT64_MAX >> (64 - bits)) >> 1;
    if (negative ? (kind == 'u' ? magnitude > 0 : magnitude > most + 1) : magnitude > most)
        return false;
    uint64_t value = negative ? 0 - (uint64_t)magnitude : (uint64_t)magnitude;
    memcpy(element, &value, itemsize); // the low bytes: little-endian
    return true;
}

/* `size` bytes of a floating-point number. */
static void store_float(double value, size_t size, void *element) {
    if (size == 2) {
        uint16_t half = ut_cli_half_from_double(value);
        memcpy(element, &half, sizeof half);
    } else if (size == 4) {
        float single = (float)value;
        memcpy(element, &single, sizeof single);
    } else {
        memcpy(element, &value, sizeof value);
    }
}

static double load_float(size_t size, const void *element) {
    if (size == 2) {
        uint16_t half;
        memcpy(&half, element, sizeof half);
        return ut_cli_half_to_double(half);
    }
    if (size == 4) {
        float single;
        memcpy(&single, element, sizeof single);
        return (double)single;
    }
    double value;
    memcpy(&value, element, sizeof value);
    return value;
}

/* A floating-point number at *text, which is moved past it; `size` so that it is rounded once. */
static bool take_float(const char **text, size_t size, double *value) {
    char *end;
    if (isspace((unsigned char)**text))
        return false;
    *value = size == 4 ? (double)strtof(*text, &end) : strtod(*text, &end);
    if (end == *text)
        return false;
    *text = end;
    return true;
}

static bool parse_complex(size_t size, const char *text, void *element) {
    double real = 0, imaginary = 0;
    if (!take_float(&text, size, &real))
        return false;
    if (*text == 'j' && !text[1]) {
        imaginary = real;
        real = 0;
    } else if (*text == '+' || *text == '-') {
        if (text[1] == 'j') {
            imaginary = *text++ == '-' ? -1 : 1;
        } else if (!take_float(&text, size, &imaginary)) {
            return false;
        }
        if (*text != 'j' || text[1])
            return false;
    } else if (*text) {
        return false;
    }
    store_float(real, size, element);
    store_float(imaginary, size, (char *)element + size);
    return true;
}

static bool parse_hexadecimal(size_t itemsize, const char *text, void *element) {
    if (strlen(text) != 2 * itemsize || strspn(text, "0123456789abcdefABCDEF") != 2 * itemsize)
        return false;
    for (size_t i = 0; i < itemsize; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        ((unsigned char *)element)[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return true;
}

bool ut_cli_element_parse(const struct ut_element_type *type, const char *text, void *element) {
    double value;
    switch (type->kind) {
    case 'b':
        return parse_bool(text, element);
    case 'i':
    case 'u':
        return parse_integer(type->kind, type->itemsize, text, element);
    case 'f':
        if (!take_float(&text, type->itemsize, &value) || *text)
            return false;
        store_float(value, type->itemsize, element);
        return true;
    case 'c':
        return parse_complex(type->itemsize / 2, text, element);
    case 'S':
        if (strlen(text) > type->itemsize)
            return false;
        memset(element, 0, type->itemsize);
        memcpy(element, text, strlen(text));
        return true;
    default:
        return parse_hexadecimal(type->itemsize, text, element);
    }
}

static bool reads_back(const char *digits, double value, size_t size) {
    double back = strtod(digits, NULL);
    if (size == 8)
        return back == value;
    if (size == 4)
        return strtof(digits, NULL) == (float)value;
    return ut_cli_half_from_double(back) == ut_cli_half_from_double(value);
}

static void print_float(double value, size_t size, bool json, struct ut_text *text) {
    if (isnan(value)) {
        ut_cli_text_add(text, json ? "\"NaN\"" : "nan");
        return;
    }
    if (isinf(value)) {
        ut_cli_text_add(text, json ? (value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
                                   : (value < 0 ? "-inf" : "inf"));
        return;
    }
    char digits[40];
    int least = size == 8 ? 15 : size == 4 ? 6 : 3;
    int most = size == 8 ? 17 : size == 4 ? 9 : 5;
    for (int precision = least; precision <= most; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (reads_back(digits, value, size))
            break;
    }
    ut_cli_text_add(text, digits);
    // "1" would read as an integer.
    if (!strpbrk(digits, ".e"))
        ut_cli_text_add(text, ".0");
}

static void print_integer(const struct ut_element_type *type, const void *element,
                          struct ut_text *text) {
    uint64_t value = 0;
    memcpy(&value, element, type->itemsize);
    if (type->kind == 'u') {
        ut_cli_text_format(text, "%llu", (unsigned long long)value);
        return;
    }
    unsigned unused = 64 - (unsigned)type->itemsize * 8;
    ut_cli_text_format(text, "%lld", (long long)((int64_t)(value << unused) >> unused));
}

static void print_complex(const struct ut_element_type *type, const void *element, bool json,
                          struct ut_text *text) {
    size_t size = type->itemsize / 2;
    double imaginary = load_float(size, (const char *)element + size);
    if (json)
        ut_cli_text_add(text, "[");
    print_float(load_float(size, element), size, json, text);
    if (json)
        ut_cli_text_add(text, ",");
    else if (!signbit(imaginary) || isnan(imaginary))
        ut_cli_text_add(text, "+");
    print_float(imaginary, size, json, text);
    ut_cli_text_add(text, json ? "]" : "j");
}

static void print_element(const struct ut_element_type *type, const void *element, bool json,
                          struct ut_text *text) {
    switch (type->kind) {
    case 'b':
        ut_cli_text_add(text, *(const unsigned char *)element ? "true" : "false");
        break;
    case 'i':
    case 'u':
        print_integer(type, element, text);
        break;
    case 'f':
        print_float(load_float(type->itemsize, element), type->itemsize, json, text);
        break;
    case 'c':
        print_complex(type, element, json, text);
        break;
    case 'S': {
        // Text output quotes strings as JSON does: they may hold blanks and line ends.
        size_t length = type->itemsize;
        while (length && !((const char *)element)[length - 1])
            length--;
        ut_cli_text_json_string(text, element, length);
        break;
    }
    default:
        if (json)
            ut_cli_text_add(text, "\"");
        for (size_t i = 0; i < type->itemsize; i++)
            ut_cli_text_format(text, "%02x", ((const unsigned char *)element)[i]);
        if (json)
            ut_cli_text_add(text, "\"");
    }
}

void ut_cli_element_text(const struct ut_element_type *type, const void *element,
                         struct ut_text *text) {
    print_element(type, element, false, text);
}

void ut_cli_element_json(const struct ut_element_type *type, const void *element,
                         struct ut_text *text) {
    print_element(type, element, true, text);
}
