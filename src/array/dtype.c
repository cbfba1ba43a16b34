// SPDX-License-Identifier: MIT
/*
 * Parsing of data type names.
 *
 *     [<=|] kind digits      or      ?
 *
 * The byte order mark is accepted wherever NumPy accepts it and then replaced by
 * the canonical one: '|' where order means nothing (one byte, or S and V), '<'
 * elsewhere.  What is refused is refused with the way round it, since the text
 * usually comes from somebody's existing array.
 */
#include "array/dtype.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

_Static_assert(sizeof "|S65535" <= UNTORN_MAX_DTYPE, "the longest canonical text fits");

/* Texts come from outside: show their beginning only. */
#define SHOWN "dtype \"%.32s\": "

static const struct {
    char kind;
    unsigned char sizes[5]; /* zero-terminated */
} fixed_kinds[] = {
    {'b', {1}}, {'i', {1, 2, 4, 8}}, {'u', {1, 2, 4, 8}}, {'f', {2, 4, 8}}, {'c', {8, 16}},
};

/* Whole text is digits without a leading zero; "0" itself is allowed.  UINT_MAX: it is not. */
static unsigned parse_size(const char *digits) {
    if (*digits == '\0' || (digits[0] == '0' && digits[1] != '\0'))
        return UINT_MAX;
    unsigned size = 0;
    for (; *digits; digits++) {
        if (*digits < '0' || *digits > '9')
            return UINT_MAX;
        if (size <= UT_MAX_ITEMSIZE) /* then it cannot overflow; beyond, it only stays too large */
            size = size * 10 + (unsigned)(*digits - '0');
    }
    return size;
}

static bool only_digits(const char *text) {
    return text[strspn(text, "0123456789")] == '\0';
}

/* "M8[ns]", "m8", "datetime64[D]" */
static bool is_time(const char *kind) {
    if (*kind == 'M' || *kind == 'm')
        return only_digits(kind + 1) || (kind[1] == '8' && kind[2] == '[');
    return strncmp(kind, "datetime64", 10) == 0 || strncmp(kind, "timedelta64", 11) == 0;
}

/* The types that people have but that cannot be shared; `kind` is at the type's letter. */
static untorn_status refuse(const char *text, const char *kind) {
    if (is_time(kind)) {
        return ut_fail(UNTORN_E_DTYPE,
                       SHOWN
                       "datetime64 and timedelta64 are not supported: store as int64 (\"<i8\") "
                       "with CF units (\"seconds since 1970-01-01\") in the attributes",
                       text);
    }
    if ((*kind == 'O' && only_digits(kind + 1)) || strcmp(kind, "object") == 0)
        return ut_fail(UNTORN_E_DTYPE, SHOWN "Python objects cannot be shared", text);
    if (*kind == 'U' && only_digits(kind + 1)) {
        return ut_fail(UNTORN_E_DTYPE,
                       SHOWN "unicode is not supported: encode as UTF-8 into bytes (\"S<n>\")",
                       text);
    }
    if (strcmp(kind, "g") == 0 || strcmp(kind, "G") == 0 || strcmp(kind, "f12") == 0 ||
        strcmp(kind, "f16") == 0 || strcmp(kind, "c24") == 0 || strcmp(kind, "c32") == 0) {
        return ut_fail(UNTORN_E_DTYPE,
                       SHOWN "long double differs between machines: convert to \"f8\" or \"c16\"",
                       text);
    }
    return ut_fail(UNTORN_E_DTYPE,
                   SHOWN
                   "not a data type: expected b1, i1 i2 i4 i8, u1 u2 u4 u8, f2 f4 f8, c8 c16, "
                   "S<n> or V<n>",
                   text);
}

static bool is_fixed_kind(char kind, unsigned size) {
    for (size_t i = 0; i < sizeof fixed_kinds / sizeof fixed_kinds[0]; i++) {
        if (fixed_kinds[i].kind != kind)
            continue;
        for (const unsigned char *s = fixed_kinds[i].sizes; *s; s++) {
            if (*s == size)
                return true;
        }
    }
    return false;
}

untorn_status ut_dtype_parse(const char *text, ut_dtype *dtype) {
    if (!text)
        return ut_fail(UNTORN_E_DTYPE, "dtype: none given");
    if (*text == '>' || *text == '!') {
        return ut_fail(UNTORN_E_DTYPE,
                       SHOWN "big-endian is not supported: convert to little-endian first", text);
    }
    bool ordered = *text == '<' || *text == '=' || *text == '|';
    const char *kind = text + (ordered ? 1 : 0);
    if (strcmp(kind, "?") == 0)
        kind = "b1";
    bool variable = *kind == 'S' || *kind == 'V';
    if (variable && (kind[1] == '\0' || strcmp(kind + 1, "0") == 0)) {
        return ut_fail(UNTORN_E_DTYPE, SHOWN "elements need a size of at least 1, as in \"%c8\"",
                       text, *kind);
    }
    unsigned size = *kind ? parse_size(kind + 1) : UINT_MAX;
    if (size == UINT_MAX || (!variable && !is_fixed_kind(*kind, size)))
        return refuse(text, kind);
    if (size > UT_MAX_ITEMSIZE) {
        return ut_fail(UNTORN_E_DTYPE, SHOWN "elements have at most %u bytes", text,
                       UT_MAX_ITEMSIZE);
    }

    memset(dtype, 0, sizeof *dtype);
    snprintf(dtype->text, sizeof dtype->text, "%c%c%u", variable || size == 1 ? '|' : '<', *kind,
             size);
    dtype->itemsize = size;
    dtype->kind = *kind;
    return UNTORN_OK;
}

untorn_status untorn_dtype_size(const char *dtype, size_t *itemsize) {
    if (!itemsize)
        return ut_fail(UNTORN_E_ARGUMENT, "untorn_dtype_size: itemsize is NULL");
    ut_dtype parsed;
    untorn_status status = ut_dtype_parse(dtype, &parsed);
    if (status == UNTORN_OK)
        *itemsize = parsed.itemsize;
    return status;
}
