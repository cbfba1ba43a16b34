// SPDX-License-Identifier: MIT
/*
 * Reading and writing .npy headers (see npy.h).
 *
 * The header is a Python literal, which anybody may have written.  It is parsed by a parser of
 * just this dictionary, over a bounded text: nothing is evaluated, every number is checked for
 * overflow, and every key must occur once.
 */
#include "tools/npy.h"

#include "tools/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NumPy itself refuses more than 10000 bytes unless the file is trusted. */
#define MAX_HEADER_READ (1u << 20)

struct cursor {
    const char *at;
    const char *end;
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct cursor *cursor, const char *format,
                                                         ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cursor->why, cursor->why_size, format, arguments);
    va_end(arguments);
    return false;
}

static void skip_blanks(struct cursor *cursor) {
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' ||
                                        *cursor->at == '\n' || *cursor->at == '\r'))
        cursor->at++;
}

/* The next character if it is `wanted`. */
static bool take(struct cursor *cursor, char wanted) {
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct cursor *cursor, const char *word) {
    skip_blanks(cursor);
    size_t length = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* A quoted string without escapes: all that NumPy writes here. */
static bool take_string(struct cursor *cursor, char *string, size_t size) {
    char quote = '\'';
    if (!take(cursor, quote)) {
        quote = '"';
        if (!take(cursor, quote))
            return false;
    }
    size_t length = 0;
    for (; cursor->at < cursor->end && *cursor->at != quote; cursor->at++) {
        if (*cursor->at == '\\' || (unsigned char)*cursor->at < ' ' || length + 1 == size)
            return false;
        string[length++] = *cursor->at;
    }
    string[length] = '\0';
    return take(cursor, quote);
}

static bool take_length(struct cursor *cursor, uint64_t *length) {
    skip_blanks(cursor);
    const char *begin = cursor->at;
    *length = 0;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++)
        if (__builtin_mul_overflow(*length, 10u, length) ||
            __builtin_add_overflow(*length, (uint64_t)(*cursor->at - '0'), length))
            return false;
    if (cursor->at == begin)
        return false;
    // Python 2 wrote 3L.
    if (cursor->at < cursor->end && *cursor->at == 'L')
        cursor->at++;
    return true;
}

static bool take_shape(struct cursor *cursor, struct ut_npy *npy) {
    if (!take(cursor, '('))
        return refuse(cursor, "its shape is not a tuple");
    npy->rank = 0;
    while (!take(cursor, ')')) {
        if (npy->rank == UNTORN_MAX_RANK)
            return refuse(cursor, "it has more than %d axes", UNTORN_MAX_RANK);
        if (!take_length(cursor, &npy->shape[npy->rank]))
            return refuse(cursor, "its shape is not a tuple of lengths");
        npy->rank++;
        skip_blanks(cursor);
        bool comma = take(cursor, ',');
        skip_blanks(cursor);
        if (!comma && (cursor->at == cursor->end || *cursor->at != ')'))
            return refuse(cursor, "its shape is not a tuple of lengths");
        // (3) is a number in Python, no tuple.
        if (!comma && npy->rank == 1)
            return refuse(cursor, "its shape is not a tuple");
    }
    return true;
}

static bool take_type(struct cursor *cursor, struct ut_npy *npy) {
    skip_blanks(cursor);
    if (cursor->at < cursor->end && (*cursor->at == '[' || *cursor->at == '('))
        return refuse(cursor, "its elements are records (a structured data type), which arrays "
                              "cannot hold: store each field as an array of its own");
    char descr[64];
    if (!take_string(cursor, descr, sizeof descr))
        return refuse(cursor, "its data type is not understood");
    char order = strchr("<>=|", *descr) ? *descr : '=';
    const char *type = descr + (*descr && strchr("<>=|", *descr) != NULL);
    switch (*type) {
    case 'M':
    case 'm':
        return refuse(cursor,
                      "its data type %s (datetime64 or timedelta64) cannot be stored: "
                      "use int64 with CF attributes, such as {\"units\": "
                      "\"nanoseconds since 1970-01-01\"}",
                      descr);
    case 'O':
        return refuse(cursor, "its data type %s (Python objects) cannot be stored", descr);
    case 'U':
        return refuse(cursor,
                      "its data type %s (Unicode strings) cannot be stored: encode the "
                      "strings to bytes (S) first",
                      descr);
    default:
        break;
    }
    if (!ut_cli_element_type_parse(type, &npy->type))
        return refuse(cursor, "its data type %s cannot be stored", descr);
    npy->big_endian = order == '>' && ut_cli_element_component(&npy->type) > 1;
    return true;
}

/* One key and its value; `seen` has a bit for each key. */
static bool take_item(struct cursor *cursor, struct ut_npy *npy, unsigned *seen) {
    char key[24];
    if (!take_string(cursor, key, sizeof key) || !take(cursor, ':'))
        return refuse(cursor, "its header is not a dictionary");
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned place = 0;
    while (place < 3 && strcmp(key, keys[place]) != 0)
        place++;
    if (place == 3)
        return refuse(cursor, "its header has the unknown key '%s'", key);
    if (*seen & 1u << place)
        return refuse(cursor, "its header has the key '%s' twice", key);
    *seen |= 1u << place;
    if (place == 0)
        return take_type(cursor, npy);
    if (place == 2)
        return take_shape(cursor, npy);
    npy->fortran_order = take_word(cursor, "True");
    if (!npy->fortran_order && !take_word(cursor, "False"))
        return refuse(cursor, "its fortran_order is neither True nor False");
    return true;
}

bool ut_cli_npy_parse(const char *text, size_t length, struct ut_npy *npy, char *why,
                      size_t why_size) {
    struct cursor cursor = {.at = text, .end = text + length, .why = why, .why_size = why_size};
    unsigned seen = 0;
    memset(npy, 0, sizeof *npy);
    if (!take(&cursor, '{'))
        return refuse(&cursor, "its header is not a dictionary");
    while (!take(&cursor, '}')) {
        if (!take_item(&cursor, npy, &seen))
            return false;
        if (!take(&cursor, ',')) {
            if (!take(&cursor, '}'))
                return refuse(&cursor, "its header is not a dictionary");
            break;
        }
    }
    skip_blanks(&cursor);
    if (cursor.at != cursor.end)
        return refuse(&cursor, "its header goes on after the dictionary");
    if (seen != 7)
        return refuse(&cursor, "its header lacks descr, fortran_order or shape");
    npy->bytes = npy->type.itemsize;
    // A zero length makes the product 0 whatever the others are.
    bool empty = false, overflows = false;
    for (unsigned i = 0; i < npy->rank; i++) {
        empty |= npy->shape[i] == 0;
        overflows |= __builtin_mul_overflow(npy->bytes, npy->shape[i], &npy->bytes);
    }
    if (empty)
        npy->bytes = 0;
    else if (overflows || npy->bytes > INT64_MAX)
        return refuse(&cursor, "its shape is larger than any memory");
    return true;
}

/* The bytes up to the dictionary's end, in memory of its own. */
static int read_dictionary(struct ut_input *input, unsigned major, char **text, size_t *length) {
    unsigned char digits[4] = {0};
    size_t width = major == 1 ? 2 : 4, got;
    int exit_status = ut_cli_input_read(input, digits, width, &got);
    if (exit_status)
        return exit_status;
    if (got < width)
        return ut_cli_say_failed("%s is truncated within the .npy header", input->name);
    *length = (size_t)digits[0] | (size_t)digits[1] << 8 | (size_t)digits[2] << 16 |
              (size_t)digits[3] << 24;
    if (*length > MAX_HEADER_READ)
        return ut_cli_say_failed("%s: its .npy header claims %zu bytes, more than the %u allowed",
                                 input->name, *length, MAX_HEADER_READ);
    *text = malloc(*length + 1);
    if (!*text)
        return ut_cli_say_failed("out of memory");
    exit_status = ut_cli_input_read(input, *text, *length, &got);
    if (exit_status == 0 && got < *length)
        exit_status =
            ut_cli_say_failed("%s is truncated within the .npy header: it claims %zu bytes, "
                              "found %zu",
                              input->name, *length, got);
    if (exit_status) {
        free(*text);
        *text = NULL;
    }
    return exit_status;
}

int ut_cli_npy_read(struct ut_input *input, struct ut_npy *npy, bool *end) {
    unsigned char magic[8];
    size_t got;
    int exit_status = ut_cli_input_read(input, magic, sizeof magic, &got);
    if (exit_status)
        return exit_status;
    if (end)
        *end = got == 0;
    if (got == 0 && end)
        return 0;
    if (got == 0)
        return ut_cli_say_failed("%s is empty, not an .npy image", input->name);
    if (got < sizeof magic || memcmp(magic, "\x93NUMPY", 6) != 0)
        return ut_cli_say_failed("%s is not an .npy image (raw data need --dtype)", input->name);
    if (magic[6] < 1 || magic[6] > 3 || magic[7] != 0)
        return ut_cli_say_failed("%s has .npy version %u.%u; 1.0, 2.0 and 3.0 can be read",
                                 input->name, magic[6], magic[7]);
    char *text = NULL;
    size_t length = 0;
    exit_status = read_dictionary(input, magic[6], &text, &length);
    if (exit_status)
        return exit_status;
    char why[256];
    if (!ut_cli_npy_parse(text, length, npy, why, sizeof why))
        exit_status = ut_cli_say_failed("%s cannot be read: %s", input->name, why);
    free(text);
    return exit_status;
}

size_t ut_cli_npy_format(const struct ut_element_type *type, unsigned rank, const uint64_t *shape,
                         char header[UT_NPY_MAX_HEADER]) {
    const size_t fixed = 10; // magic, version and length
    char *at = header + fixed;
    at += sprintf(at, "{'descr': '%s', 'fortran_order': False, 'shape': (", type->text);
    for (unsigned i = 0; i < rank; i++)
        at += sprintf(at,
                      i + 1 < rank ? "%llu, "
                      : rank == 1  ? "%llu,"
                                   : "%llu",
                      (unsigned long long)shape[i]);
    at += sprintf(at, "), }");
    size_t length = (size_t)(at - header) + 1;
    size_t padded = (length + 63) / 64 * 64;
    memset(at, ' ', padded - length);
    header[padded - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((padded - fixed) & 255);
    header[9] = (char)((padded - fixed) >> 8);
    return padded;
}

void ut_cli_npy_swap(const struct ut_element_type *type, void *data, size_t bytes) {
    size_t size = ut_cli_element_component(type);
    char *at = data;
    char *end = at + bytes;
    // memcpy of a constant size is one load or store, whatever the alignment.
    switch (size) {
    case 2:
        for (; at < end; at += 2) {
            uint16_t word;
            memcpy(&word, at, 2);
            word = __builtin_bswap16(word);
            memcpy(at, &word, 2);
        }
        break;
    case 4:
        for (; at < end; at += 4) {
            uint32_t word;
            memcpy(&word, at, 4);
            word = __builtin_bswap32(word);
            memcpy(at, &word, 4);
        }
        break;
    case 8:
        for (; at < end; at += 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            word = __builtin_bswap64(word);
            memcpy(at, &word, 8);
        }
        break;
    default:
        break;
    }
}
