// SPDX-License-Identifier: MIT
/*
 * Pictures in Unicode blocks: a 1-D array as bars of eight heights, a 2-D one in five shades, and
 * the map of an array's chunks.
 */
#include "tools/shmstat.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const shades[] = {"·", "░", "▒", "▓", "█"};

/* Which of `steps` steps from the least to the greatest cell. */
static unsigned step_of(double value, double least, double greatest, unsigned steps) {
    /* Halved, since the difference may be too large for a double. */
    double range = greatest / 2 - least / 2;
    if (!(range > 0))
        return steps / 2;
    double step = (value / 2 - least / 2) / range * steps;
    return step >= steps ? steps - 1 : (unsigned)step;
}

void ut_stat_draw_data(const struct ut_stat_data *data, const char *indent, struct ut_text *out) {
    double least = INFINITY, greatest = -INFINITY;
    unsigned count = data->width * data->height;
    for (unsigned i = 0; i < count; i++) {
        least = fmin(least, data->cells[i]);
        greatest = fmax(greatest, data->cells[i]);
    }
    for (unsigned row = 0; row < data->height; row++) {
        ut_cli_text_add(out, indent);
        for (unsigned column = 0; column < data->width; column++) {
            double value = data->cells[row * data->width + column];
            ut_cli_text_add(out, isnan(value)       ? " "
                                 : data->height > 1 ? shades[step_of(value, least, greatest, 5)]
                                                    : bars[step_of(value, least, greatest, 8)]);
        }
        ut_cli_text_add(out, "\n");
    }
}

/* --- chunks --- */

#define MAP_WIDTH 64u
#define MAP_LINES 64u

/* The state that counts for several chunks: what matters most. */
static unsigned char state_of(const unsigned char *states, size_t count) {
    static const unsigned char order[] = {UNTORN_CHUNK_DIRTY, UNTORN_CHUNK_CLEAN,
                                          UNTORN_CHUNK_EVICTED};
    for (size_t i = 0; i < sizeof order; i++)
        if (memchr(states, order[i], count) != NULL)
            return order[i];
    return UNTORN_CHUNK_ABSENT;
}

static const char *sign_of(unsigned char state) {
    return state == UNTORN_CHUNK_CLEAN     ? "█"
           : state == UNTORN_CHUNK_DIRTY   ? "▓"
           : state == UNTORN_CHUNK_EVICTED ? "░"
                                           : "·";
}

/* Chunks in a line: the grid's last axis if that fits. */
static size_t line_length(const struct ut_stat_array *array, size_t signs, size_t each) {
    unsigned rank = array->state.info.rank;
    if (each == 1 && rank >= 2) {
        uint64_t chunk = array->state.info.chunks[rank - 1];
        uint64_t length = array->state.shape[rank - 1];
        uint64_t last = length / chunk + (length % chunk != 0);
        if (last > 0 && last <= MAP_WIDTH && signs / last <= MAP_LINES)
            return (size_t)last;
    }
    return MAP_WIDTH;
}

void ut_stat_draw_map(const struct ut_stat_array *array, const char *indent, struct ut_text *out) {
    size_t most = MAP_WIDTH * MAP_LINES;
    size_t each = (array->map_count + most - 1) / most;
    if (each == 0)
        each = 1;
    size_t signs = (array->map_count + each - 1) / each;
    size_t length = line_length(array, signs, each);
    ut_cli_text_format(out, "%s%" PRIu64 " chunk%s: █ clean  ▓ dirty  ░ evicted  · absent", indent,
                       array->state.chunks, array->state.chunks == 1 ? "" : "s");
    if (each > 1)
        ut_cli_text_format(out, "  (%zu in each)", each);
    if (array->map_count < array->state.chunks)
        ut_cli_text_format(out, "  (the first %zu)", array->map_count);
    ut_cli_text_add(out, "\n");
    for (size_t i = 0; i < signs; i++) {
        size_t first = i * each;
        size_t count = array->map_count - first < each ? array->map_count - first : each;
        if (i % length == 0)
            ut_cli_text_add(out, indent);
        ut_cli_text_add(out, sign_of(state_of(array->map + first, count)));
        if (i % length == length - 1 || i == signs - 1)
            ut_cli_text_add(out, "\n");
    }
}
