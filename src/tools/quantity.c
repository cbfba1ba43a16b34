// SPDX-License-Identifier: MIT
/*
 * Quantities as people type them (see quantity.h).
 */
#include "tools/quantity.h"

#include "untorn.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Decimal digits at *text, which is moved past them. */
static bool take_digits(const char **text, uint64_t *value) {
    const char *at = *text;
    uint64_t sum = 0;
    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++)
        if (__builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum))
            return false;
    *text = at;
    *value = sum;
    return true;
}

bool ut_cli_parse_count(const char *text, uint64_t *value) {
    uint64_t parsed;
    if (!take_digits(&text, &parsed) || *text)
        return false;
    *value = parsed;
    return true;
}

bool ut_cli_parse_size(const char *text, uint64_t *value) {
    uint64_t parsed;
    if (!take_digits(&text, &parsed))
        return false;
    static const char letters[] = "KMGT";
    if (*text) {
        const char *letter = strchr(letters, toupper((unsigned char)*text));
        if (!letter)
            return false;
        unsigned shift = 10u * (unsigned)(letter - letters + 1);
        if (parsed > UINT64_MAX >> shift)
            return false;
        parsed <<= shift;
        text++;
        if (*text && strcasecmp(text, "iB") != 0 && strcasecmp(text, "B") != 0)
            return false;
    }
    *value = parsed;
    return true;
}

bool ut_cli_parse_mode(const char *text, unsigned *value) {
    unsigned parsed = 0;
    size_t digits = strlen(text);
    if (digits < 1 || digits > 4)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '7')
            return false;
        parsed = parsed * 8 + (unsigned)(*text - '0');
    }
    if (parsed > 0777)
        return false;
    *value = parsed;
    return true;
}

bool ut_cli_parse_duration(const char *text, int64_t *ns) {
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"ns", 1},     {"us", 1e3}, {"ms", 1e6},   {"s", 1e9},    {"", 1e9},
                 {"min", 60e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    char *end;
    double number = strtod(text, &end);
    for (unsigned i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].suffix) != 0)
            continue;
        double product = number * units[i].ns;
        if (!(product >= 0 && product < 9e18))
            return false;
        *ns = (int64_t)(product + 0.5);
        return true;
    }
    return false;
}

bool ut_cli_parse_positive(const char *text, double *value) {
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || *end || !(parsed > 0) || isinf(parsed))
        return false;
    *value = parsed;
    return true;
}

bool ut_cli_parse_shape(const char *text, unsigned *rank, uint64_t *shape) {
    if (!*text || strcmp(text, "()") == 0) {
        *rank = 0;
        return true;
    }
    unsigned axes = 0;
    for (;;) {
        if (axes == UNTORN_MAX_RANK || !take_digits(&text, &shape[axes]))
            return false;
        axes++;
        if (!*text)
            break;
        if (*text++ != ',')
            return false;
        // "5," is how a tuple of one is written.
        if (!*text && axes == 1)
            break;
    }
    *rank = axes;
    return true;
}
