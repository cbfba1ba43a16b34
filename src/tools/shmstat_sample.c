// SPDX-License-Identifier: MIT
/*
 * One look at the segments that were asked for, and rates since the look before.
 *
 * An operand is SEGMENT, SEGMENT/ARRAY or a dump's path; segments and arrays may have wildcards (a
 * '*' matches slashes, too).  Begins it with '/', "./" or "../", it is a path, and what follows
 * the part that is a file is an array.
 *
 * A segment is attached to anew for each look: it may have been replaced or removed.
 */
#include "tools/shmstat.h"

#include "tools/interrupt.h"
#include "tools/shmstat_format.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Chunks that are looked at: of a segment among others; of an array. */
#define OVERVIEW_BUDGET (UINT64_C(1) << 18)
#define ARRAY_BUDGET (UINT64_C(1) << 22)
#define MOST_MAPPED (UINT64_C(1) << 24) /* chunks of a map */

#define COMMIT_NUMBER ((UINT64_C(1) << 48) - 1) /* above it is the epoch */

/* What an operand asks for of one segment. */
struct target {
    char *segment; /* or the dump's path */
    bool dump;
    const char *array; /* a pattern; NULL: all */
    bool exact;        /* the pattern has no wildcards */
    bool found;        /* an array matched */
};

static bool has_wildcards(const char *text) {
    return strpbrk(text, "*?[") != NULL;
}

static char *split(const char *operand, size_t length) {
    char *part = strndup(operand, length);
    if (part == NULL)
        ut_stat_say("out of memory");
    return part;
}

/* A dump: the longest part of the path that is a file, and an array after it. */
static bool split_path(const char *operand, struct target *target) {
    size_t length = strlen(operand);
    for (size_t at = length; at > 0; at--) {
        if (at < length && operand[at] != '/')
            continue;
        char *part = split(operand, at);
        struct stat file;
        if (part == NULL)
            return false;
        if (stat(part, &file) == 0 && !S_ISDIR(file.st_mode)) {
            target->segment = part;
            target->array = at < length && operand[at + 1] != '\0' ? operand + at + 1 : NULL;
            return true;
        }
        free(part);
    }
    target->segment = split(operand, length); /* and opening it will say what is wrong */
    return target->segment != NULL;
}

static bool split_operand(const char *operand, struct target *target) {
    memset(target, 0, sizeof *target);
    target->dump =
        operand[0] == '/' || strncmp(operand, "./", 2) == 0 || strncmp(operand, "../", 3) == 0;
    bool good;
    if (target->dump) {
        good = split_path(operand, target);
    } else {
        const char *slash = strchr(operand, '/');
        target->segment =
            split(operand, slash != NULL ? (size_t)(slash - operand) : strlen(operand));
        target->array = slash != NULL && slash[1] != '\0' ? slash + 1 : NULL;
        good = target->segment != NULL;
    }
    target->exact = target->array != NULL && !has_wildcards(target->array);
    return good;
}

static void complain(struct ut_stat_sample *sample, const char *format, const char *what) {
    if (sample->complaint != NULL)
        return;
    struct ut_text text = {NULL, 0, 0, false};
    ut_cli_text_format(&text, format, what);
    sample->complaint = text.bytes;
    sample->failures++;
}

/* --- one segment --- */

static void set_error(struct ut_stat_segment *segment, untorn_status status) {
    segment->status = status;
    segment->error = strdup(untorn_message());
}

static const struct ut_stat_segment *find_before(const struct ut_stat_sample *before,
                                                 const struct ut_stat_segment *segment) {
    for (size_t i = 0; before != NULL && i < before->count; i++) {
        const struct ut_stat_segment *other = &before->segments[i];
        if (other->error == NULL && other->dump == segment->dump &&
            strcmp(other->name, segment->name) == 0 &&
            memcmp(other->state.uuid, segment->state.uuid, sizeof other->state.uuid) == 0 &&
            other->state.created == segment->state.created)
            return other;
    }
    return NULL;
}

static double seconds_between(int64_t from, int64_t to) {
    return (double)ut_stat_span(from, to) / 1e9;
}

static double rate_of(uint64_t from, uint64_t to, double seconds) {
    return seconds > 0 && to >= from ? (double)(to - from) / seconds : NAN;
}

static void add_array_totals(struct ut_stat_segment *segment, const untorn_array_state *state) {
    segment->used += state->memory;
    segment->dirty_bytes += state->dirty_bytes;
    segment->evicted += state->evicted;
    segment->partial |= state->partial != 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct ut_stat_array *)a)->name, ((const struct ut_stat_array *)b)->name);
}

static const struct ut_stat_array *find_array(const struct ut_stat_segment *before,
                                              const char *name) {
    const struct ut_stat_array key = {.name = name};
    return before != NULL && before->array_count > 0
               ? bsearch(&key, before->arrays, before->array_count, sizeof key, by_name)
               : NULL;
}

static void look_at_map(struct ut_stat_segment *segment, struct ut_stat_array *array) {
    uint64_t count = array->state.chunks < MOST_MAPPED ? array->state.chunks : MOST_MAPPED;
    array->map = malloc(count + 1);
    if (array->map == NULL)
        return;
    array->map_count = count;
    if (untorn_inspect_chunks(segment->inspection, array->number, 0, count, array->map) ==
        UNTORN_OK)
        return;
    free(array->map);
    array->map = NULL;
    array->map_count = 0;
    array->error = strdup(untorn_message());
}

static void look_closely(struct ut_stat_segment *segment, struct ut_stat_array *array,
                         const struct ut_stat_options *options) {
    array->data = calloc(1, sizeof *array->data);
    if (array->data != NULL)
        ut_stat_read_data(segment, array);
    if (options->chunks)
        look_at_map(segment, array);
}

static void set_array_rates(struct ut_stat_segment *segment, struct ut_stat_array *array,
                            const struct ut_stat_segment *before, double seconds) {
    const struct ut_stat_array *old = find_array(before, array->name);
    if (old != NULL && old->error == NULL)
        array->commit_rate = rate_of(old->state.generation, array->state.generation, seconds);
    else
        array->commit_rate = rate_of(array->state.inherited, array->state.generation,
                                     seconds_between(segment->state.created, segment->state.now));
    array->byte_rate = array->commit_rate * (double)array->state.last_bytes;
}

static void look_at_stored(struct ut_stat_segment *segment, struct ut_stat_array *array) {
    untorn_status status =
        untorn_inspect_stored(segment->inspection, array->number, &array->stored);
    array->has_stored = status == UNTORN_OK;
    if (status != UNTORN_OK && status != UNTORN_E_ABSENT && segment->store_error == NULL)
        segment->store_error = strdup(untorn_message());
}

/* Look at one array of the catalogue; add it to the list if it was asked for. */
static void look_at_array(struct ut_stat_segment *segment, size_t number, const char *name,
                          bool listed, uint64_t *budget) {
    struct ut_stat_array array = {.name = name, .number = number};
    array.status = untorn_inspect_array(segment->inspection, number,
                                        listed ? ARRAY_BUDGET : *budget, &array.state);
    if (array.status == UNTORN_E_ARRAY_DELETED)
        return;
    if (array.status != UNTORN_OK) {
        array.error = strdup(untorn_message());
    } else {
        add_array_totals(segment, &array.state);
        uint64_t looked = array.state.resident + 1;
        *budget = *budget > looked ? *budget - looked : 1;
    }
    if (!listed) {
        free(array.error);
        return;
    }
    if (array.status == UNTORN_OK && segment->flush.flushed_commit != 0)
        look_at_stored(segment, &array);
    segment->arrays[segment->array_count++] = array;
}

static bool wanted(struct target *target, const char *name) {
    if (target->array == NULL)
        return true;
    bool match = strcmp(target->array, name) == 0 ||
                 (!target->exact && fnmatch(target->array, name, 0) == 0);
    target->found |= match;
    return match;
}

static void look_at_arrays(struct ut_stat_segment *segment, struct target *target,
                           const struct ut_stat_options *options,
                           const struct ut_stat_segment *before, double seconds) {
    const char *const *names;
    size_t count;
    if (untorn_inspect_catalogue(segment->inspection, &names, &count) != UNTORN_OK) {
        set_error(segment, UNTORN_E_CORRUPT);
        return;
    }
    segment->all_arrays = count;
    if (segment->wants_arrays)
        segment->arrays = calloc(count + 1, sizeof *segment->arrays);
    uint64_t budget = OVERVIEW_BUDGET;
    bool alone = segment->wants_arrays && target->array != NULL; /* others cost time */
    for (size_t i = 0; i < count; i++) {
        bool listed = segment->arrays != NULL && wanted(target, names[i]);
        if (listed || !alone)
            look_at_array(segment, i, names[i], listed, &budget);
    }
    if (segment->array_count > 1)
        qsort(segment->arrays, segment->array_count, sizeof *segment->arrays, by_name);
    for (size_t i = 0; i < segment->array_count; i++) {
        struct ut_stat_array *array = &segment->arrays[i];
        if (array->error != NULL)
            continue;
        set_array_rates(segment, array, before, seconds);
        if (target->exact)
            look_closely(segment, array, options);
    }
    segment->totals = !alone;
}

static void look_at_readers(struct ut_stat_segment *segment, const struct ut_stat_segment *before,
                            double seconds) {
    static untorn_reader_state states[UNTORN_MAX_READERS];
    size_t count;
    if (untorn_inspect_readers(segment->inspection, states, &count) != UNTORN_OK)
        return;
    segment->readers_known = true;
    segment->readers = calloc(count + 1, sizeof *segment->readers);
    for (size_t i = 0; segment->readers != NULL && i < count; i++) {
        struct ut_stat_reader *reader = &segment->readers[segment->reader_count++];
        *reader = (struct ut_stat_reader){states[i], NAN, NAN};
        uint64_t reads = states[i].reads, attempts = states[i].attempts;
        for (size_t j = 0; before != NULL && j < before->reader_count; j++) {
            const untorn_reader_state *old = &before->readers[j].state;
            if (old->line != states[i].line || old->pid != states[i].pid || old->reads > reads)
                continue;
            reader->read_rate = rate_of(old->reads, reads, seconds);
            reads -= old->reads;
            attempts -= old->attempts;
        }
        if (reads > 0)
            reader->attempts = (double)attempts / (double)reads;
    }
}

static void look_at_segment(struct ut_stat_segment *segment, struct target *target,
                            const struct ut_stat_options *options,
                            const struct ut_stat_sample *sample,
                            const struct ut_stat_sample *before) {
    segment->commit_rate = NAN;
    segment->lag = -1;
    untorn_status status = untorn_inspect_open(
        segment->name, segment->dump ? UNTORN_INSPECT_DUMP : 0, &segment->inspection);
    if (status == UNTORN_OK)
        status = untorn_inspect_segment(segment->inspection, &segment->state);
    if (status == UNTORN_OK)
        status = untorn_inspect_flush(segment->inspection, &segment->flush);
    if (status != UNTORN_OK) {
        set_error(segment, status);
        return;
    }
    const untorn_segment_state *state = &segment->state;
    const struct ut_stat_segment *old = find_before(before, segment);
    double seconds = old != NULL ? seconds_between(before->monotonic, sample->monotonic) : 0;
    segment->commit_rate = old != NULL ? rate_of(old->state.commit, state->commit, seconds)
                                       : rate_of(1, state->commit & COMMIT_NUMBER,
                                                 seconds_between(state->created, state->now));
    if (segment->flush.store[0] != '\0' && segment->flush.flushed_commit != 0) {
        segment->lag = 0;
        if (segment->flush.flushed_commit < state->commit &&
            state->now > segment->flush.flushed_time)
            segment->lag = ut_stat_span(segment->flush.flushed_time, state->now);
    }
    look_at_arrays(segment, target, options, old, seconds);
    if (segment->wants_readers && segment->error == NULL)
        look_at_readers(segment, old, seconds);
}

static bool has_unread_data(const struct ut_stat_segment *segment) {
    for (size_t i = 0; i < segment->array_count; i++)
        if (segment->arrays[i].data != NULL && segment->arrays[i].data->failed)
            return true;
    return false;
}

/* --- all of them --- */

static bool add_segment(struct ut_stat_sample *sample, const char *name, struct target *target,
                        const struct ut_stat_options *options,
                        const struct ut_stat_sample *before) {
    struct ut_stat_segment *segments =
        realloc(sample->segments, (sample->count + 1) * sizeof *segments);
    char *copy = strdup(name);
    if (segments != NULL)
        sample->segments = segments;
    if (segments == NULL || copy == NULL) {
        free(copy);
        ut_stat_say("out of memory");
        return false;
    }
    struct ut_stat_segment *segment = &segments[sample->count++];
    memset(segment, 0, sizeof *segment);
    segment->name = copy;
    segment->dump = target->dump;
    segment->wants_arrays = !sample->overview;
    segment->wants_readers = !sample->overview && target->array == NULL;
    look_at_segment(segment, target, options, sample, before);
    if (segment->error != NULL || untorn_inspect_problem(segment->inspection, 0) != NULL ||
        has_unread_data(segment))
        sample->failures++;
    return true;
}

static bool add_matching(struct ut_stat_sample *sample, struct target *target,
                         const struct ut_stat_options *options,
                         const struct ut_stat_sample *before) {
    untorn_segment_names *names;
    if (untorn_segments(&names) != UNTORN_OK) {
        ut_stat_say("%s", untorn_message());
        return false;
    }
    bool good = true, any = false;
    for (size_t i = 0; i < names->count && good; i++) {
        if (target->segment != NULL && fnmatch(target->segment, names->names[i], 0) != 0)
            continue;
        any = true;
        good = add_segment(sample, names->names[i], target, options, before);
    }
    untorn_segments_free(names);
    if (!any && target->segment != NULL)
        complain(sample, "no segment's name matches %s", target->segment);
    return good;
}

static bool add_target(struct ut_stat_sample *sample, const char *operand,
                       const struct ut_stat_options *options, const struct ut_stat_sample *before) {
    struct target target;
    if (!split_operand(operand, &target))
        return false;
    size_t first = sample->count;
    bool good = !target.dump && has_wildcards(target.segment)
                    ? add_matching(sample, &target, options, before)
                    : add_segment(sample, target.segment, &target, options, before);
    bool looked = false;
    for (size_t i = first; i < sample->count; i++)
        looked |= sample->segments[i].error == NULL;
    if (good && looked && target.array != NULL && !target.found)
        complain(sample, target.exact ? "%s: there is no such array" : "%s: no array matches",
                 operand);
    free(target.segment);
    return good;
}

int ut_stat_take(const struct ut_stat_options *options, const struct ut_stat_sample *before,
                 struct ut_stat_sample *sample) {
    memset(sample, 0, sizeof *sample);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    sample->time = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    sample->monotonic = ut_cli_monotonic_now();
    sample->overview = options->operand_count == 0;
    bool good = true;
    if (sample->overview) {
        struct target all = {NULL, false, NULL, false, false};
        good = add_matching(sample, &all, options, before);
    }
    for (unsigned i = 0; i < options->operand_count && good; i++)
        good = add_target(sample, options->operands[i], options, before);
    return good ? 0 : 1;
}

void ut_stat_free(struct ut_stat_sample *sample) {
    for (size_t i = 0; i < sample->count; i++) {
        struct ut_stat_segment *segment = &sample->segments[i];
        for (size_t j = 0; j < segment->array_count; j++) {
            free(segment->arrays[j].error);
            if (segment->arrays[j].data != NULL)
                free(segment->arrays[j].data->error);
            free(segment->arrays[j].data);
            free(segment->arrays[j].map);
        }
        free(segment->arrays);
        free(segment->readers);
        untorn_inspect_close(segment->inspection);
        free(segment->store_error);
        free(segment->error);
        free(segment->name);
    }
    free(sample->segments);
    free(sample->complaint);
    memset(sample, 0, sizeof *sample);
}
