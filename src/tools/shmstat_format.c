// SPDX-License-Identifier: MIT
/*
 * Numbers, times and names as text (see shmstat_format.h).
 */
#include "tools/shmstat_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

void ut_stat_size(uint64_t bytes, char text[UT_STAT_FIELD]) {
    static const char letters[] = "BKMGTPE";
    double value = (double)bytes;
    unsigned i = 0;
    /* What would be printed as 1024 belongs to the next unit. */
    while (value >= 1023.95 && i + 1 < sizeof letters - 1) {
        value /= 1024;
        i++;
    }
    if (i == 0)
        snprintf(text, UT_STAT_FIELD, "%" PRIu64 "B", bytes);
    else
        snprintf(text, UT_STAT_FIELD, value < 99.95 ? "%.1f%c" : "%.0f%c", value, letters[i]);
}

void ut_stat_duration(int64_t ns, char text[UT_STAT_FIELD]) {
    uint64_t n = ns > 0 ? (uint64_t)ns : 0, s = n / 1000000000;
    if (n < 1000)
        snprintf(text, UT_STAT_FIELD, n == 0 ? "0s" : "%" PRIu64 "ns", n);
    else if (n < 1000000)
        snprintf(text, UT_STAT_FIELD, "%.1fus", (double)n / 1e3);
    else if (n < 1000000000)
        snprintf(text, UT_STAT_FIELD, "%.1fms", (double)n / 1e6);
    else if (s < 60)
        snprintf(text, UT_STAT_FIELD, "%.1fs", (double)n / 1e9);
    else if (s < 3600)
        snprintf(text, UT_STAT_FIELD, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, UT_STAT_FIELD, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(text, UT_STAT_FIELD, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
}

int64_t ut_stat_span(int64_t from, int64_t to) {
    int64_t span;
    if (__builtin_sub_overflow(to, from, &span))
        return to > from ? INT64_MAX : INT64_MIN;
    return span;
}

void ut_stat_time(int64_t ns, char text[UT_STAT_FIELD]) {
    struct tm parts;
    time_t seconds = (time_t)(ns / 1000000000);
    if (ns <= 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, UT_STAT_FIELD, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(text, UT_STAT_FIELD, "-");
}

void ut_stat_rate(double rate, char text[UT_STAT_FIELD]) {
    if (isnan(rate))
        snprintf(text, UT_STAT_FIELD, "-");
    else if (rate < 0.005)
        snprintf(text, UT_STAT_FIELD, "0");
    else
        snprintf(text, UT_STAT_FIELD, rate < 9.995 ? "%.2f" : rate < 999.5 ? "%.1f" : "%.0f", rate);
}

/* --- names --- */

/* The length of the UTF-8 sequence at `bytes`, and its code point; 0: there is none. */
static size_t decode(const unsigned char *bytes, uint32_t *code) {
    unsigned char first = bytes[0];
    size_t length = first < 0x80                    ? 1
                    : first >= 0xc2 && first < 0xe0 ? 2
                    : first >= 0xe0 && first < 0xf0 ? 3
                    : first >= 0xf0 && first < 0xf5 ? 4
                                                    : 0;
    if (length == 0)
        return 0;
    uint32_t value = length == 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) /* the NUL, too */
            return 0;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || (value >= 0xd800 && value < 0xe000) || value > 0x10ffff)
        return 0;
    *code = value;
    return length;
}

/* Controls, and what moves or hides its neighbours: directional and zero-width characters. */
static bool is_unruly(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
           code == 0x180e || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) ||
           (code >= 0xe0000 && code <= 0xe0fff);
}

void ut_stat_name(const char *name, struct ut_text *text) {
    const unsigned char *at = (const unsigned char *)name;
    while (*at != 0) {
        uint32_t code;
        size_t length = decode(at, &code);
        if (length == 0) {
            ut_cli_text_format(text, "\\x%02x", *at++);
            continue;
        }
        if (code == '\\')
            ut_cli_text_add(text, "\\\\");
        else if (is_unruly(code))
            ut_cli_text_format(text, code < 0x80 ? "\\x%02x" : "\\u{%x}", code);
        else
            ut_cli_text_add_bytes(text, (const char *)at, length);
        at += length;
    }
    ut_cli_text_add(text, "");
}

void ut_stat_utf8(const char *bytes, struct ut_text *text) {
    const unsigned char *at = (const unsigned char *)bytes;
    ut_cli_text_add(text, "");
    while (*at != 0) {
        uint32_t code;
        size_t length = decode(at, &code);
        if (length != 0) {
            ut_cli_text_add_bytes(text, (const char *)at, length);
            at += length;
        } else {
            const char two[] = {(char)(0xc0 | *at >> 6), (char)(0x80 | (*at & 0x3f))};
            ut_cli_text_add_bytes(text, two, sizeof two);
            at++;
        }
    }
}

void ut_stat_shape(unsigned rank, const uint64_t *shape, struct ut_text *text) {
    if (rank == 0)
        ut_cli_text_add(text, "()");
    for (unsigned axis = 0; axis < rank; axis++)
        ut_cli_text_format(text, "%s%" PRIu64, axis > 0 ? "x" : "", shape[axis]);
}

unsigned ut_stat_width(const char *text) {
    unsigned width = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
        uint32_t code;
        if (*at >= ' ' && *at < 0x7f) { /* almost all there is: at once */
            width++;
            at++;
            continue;
        }
        size_t length = decode(at, &code);
        int places = length > 0 ? wcwidth((wchar_t)code) : 1;
        width += places >= 0 ? (unsigned)places : 1;
        at += length > 0 ? length : 1;
    }
    return width;
}
