// SPDX-License-Identifier: MIT
/*
 * Regions as they are typed (see region.h).
 */
#include "tools/region.h"

#include "tools/say.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An optional number at *text; *given tells whether there was one. */
static bool take_number(const char **text, int64_t *value, bool *given) {
    const char *at = *text;
    *given = isdigit((unsigned char)*at) || (*at == '-' && isdigit((unsigned char)at[1]));
    if (!*given)
        return true;
    char *end;
    errno = 0;
    long long parsed = strtoll(at, &end, 10);
    if (errno || parsed == INT64_MAX || parsed == INT64_MIN)
        return false;
    *value = parsed;
    *text = end;
    return true;
}

static const struct ut_region_axis whole_axis = {
    .first = 0, .last = INT64_MAX, .step = 1, .is_index = false};

static bool take_axis(const char **text, struct ut_region_axis *axis) {
    bool first_given, given;
    *axis = whole_axis;
    if (!take_number(text, &axis->first, &first_given))
        return false;
    if (**text != ':') {
        axis->is_index = true;
        return first_given;
    }
    ++*text;
    if (!take_number(text, &axis->last, &given))
        return false;
    if (**text != ':')
        return true;
    ++*text;
    return take_number(text, &axis->step, &given);
}

static int refuse_step(const char *text, unsigned axis, int64_t step) {
    return ut_cli_say_usage("--region: \"%s\" has a step of %lld on axis %u; %s", text,
                            (long long)step, axis,
                            step < 0 ? "negative steps are not supported" : "a step is at least 1");
}

int ut_cli_region_parse(const char *text, struct ut_region *region) {
    memset(region, 0, sizeof *region);
    region->text = text ? text : "";
    if (!text || !*text)
        return 0;
    const char *at = text;
    for (;;) {
        if (region->parts == UNTORN_MAX_RANK)
            return ut_cli_say_usage("--region: \"%s\" has more than %d parts", text,
                                    UNTORN_MAX_RANK);
        if (!take_axis(&at, &region->axes[region->parts]) || (*at && *at != ','))
            return ut_cli_say_usage(
                "--region: \"%s\" is not a region such as 0:100,5:6 or -10: or ::8 "
                "(it goes wrong at \"%s\")",
                text, at);
        int64_t step = region->axes[region->parts].step;
        if (step < 1)
            return refuse_step(text, region->parts, step);
        region->parts++;
        if (!*at)
            return 0;
        at++;
    }
}

/* A bound as a place from the axis's beginning. */
static bool place_bound(int64_t bound, uint64_t length, uint64_t *place) {
    if (bound < 0) {
        uint64_t back = (uint64_t)-bound;
        *place = back < length ? length - back : 0;
        return true;
    }
    *place = (uint64_t)bound;
    return *place <= length;
}

bool ut_cli_region_resolve(const struct ut_region *region, unsigned rank, const uint64_t *shape,
                           struct ut_box *box, char *why, size_t why_size) {
    memset(box, 0, sizeof *box);
    box->rank = rank;
    if (region->parts > rank) {
        snprintf(why, why_size, "region %s has %u parts, the array has %u axes", region->text,
                 region->parts, rank);
        return false;
    }
    for (unsigned i = 0; i < rank; i++) {
        struct ut_region_axis axis = i < region->parts ? region->axes[i] : whole_axis;
        uint64_t first, last = shape[i];
        bool fits = place_bound(axis.first, shape[i], &first);
        if (axis.is_index) {
            // Only a range is cut to what there is.
            fits =
                fits && first < shape[i] && (axis.first >= 0 || (uint64_t)-axis.first <= shape[i]);
            last = first + 1;
        } else if (axis.last != INT64_MAX) {
            fits = fits && place_bound(axis.last, shape[i], &last);
        }
        if (!fits) {
            snprintf(why, why_size, "region %s exceeds length %llu on axis %u", region->text,
                     (unsigned long long)shape[i], i);
            return false;
        }
        box->start[i] = first;
        box->step[i] = (uint64_t)axis.step;
        box->count[i] = last > first ? (last - first - 1) / box->step[i] + 1 : 0;
        box->stepped |= axis.step != 1;
        if (!axis.is_index)
            box->kept[box->kept_rank++] = box->count[i];
    }
    return true;
}
