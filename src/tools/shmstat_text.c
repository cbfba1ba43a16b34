// SPDX-License-Identifier: MIT
/*
 * A sample as tables for people.
 */
#include "tools/shmstat.h"
#include "tools/shmstat_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ut_stat_writer_name(untorn_writer_state state) {
    static const char *const names[] = {"none", "alive", "stopped", "closed", "dead", "unknown"};
    return (unsigned)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static void add_name(struct ut_stat_table *table, const char *name) {
    struct ut_text text = {NULL, 0, 0, false};
    ut_stat_name(name, &text);
    ut_stat_table_text(table, text.bytes != NULL ? text.bytes : "?");
    ut_cli_text_free(&text);
}

static void add_time(struct ut_stat_table *table, int64_t ns) {
    char text[UT_STAT_FIELD];
    ut_stat_time(ns, text);
    ut_stat_table_text(table, text);
}

static void add_shape(struct ut_stat_table *table, unsigned rank, const uint64_t *shape) {
    struct ut_text text = {NULL, 0, 0, false};
    ut_stat_shape(rank, shape, &text);
    ut_stat_table_text(table, text.bytes != NULL ? text.bytes : "?");
    ut_cli_text_free(&text);
}

/* --- segments --- */

static struct ut_stat_table *segment_columns(void) {
    static const struct {
        const char *title;
        bool number;
    } columns[] = {{"SEGMENT", false}, {"WRITER", false}, {"PID", true},       {"AGE", true},
                   {"SIZE", true},     {"USED", true},    {"DIRTY", true},     {"EVICTED", true},
                   {"ARRAYS", true},   {"COMMIT", true},  {"COMMITS/S", true}, {"READERS", true},
                   {"FLUSHED", false}, {"LAG", true},     {"STORE", false}};
    struct ut_stat_table *table = ut_stat_table_new();
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        ut_stat_table_column(table, columns[i].title, columns[i].number);
    return table;
}

static void add_segment(struct ut_stat_table *table, const struct ut_stat_segment *segment) {
    const untorn_segment_state *state = &segment->state;
    add_name(table, segment->name);
    if (segment->inspection == NULL) {
        char reason[UT_STAT_FIELD];
        snprintf(reason, sizeof reason, "(%s)", untorn_status_text(segment->status));
        ut_stat_table_text(table, reason);
        for (unsigned i = 0; i < 13; i++)
            ut_stat_table_none(table);
        return;
    }
    ut_stat_table_text(table, ut_stat_writer_name(state->writer));
    if (state->writer_pid != 0)
        ut_stat_table_count(table, (uint64_t)state->writer_pid, false);
    else
        ut_stat_table_none(table);
    ut_stat_table_duration(table, ut_stat_span(state->created, state->now));
    ut_stat_table_size(table, state->size, false);
    if (segment->totals) {
        ut_stat_table_size(table, segment->used, segment->partial);
        ut_stat_table_size(table, segment->dirty_bytes, segment->partial);
        ut_stat_table_count(table, segment->evicted, segment->partial);
    } else {
        for (unsigned i = 0; i < 3; i++)
            ut_stat_table_none(table);
    }
    if (segment->error == NULL)
        ut_stat_table_count(table, segment->all_arrays, false);
    else /* the catalogue could not be read */
        ut_stat_table_none(table);
    ut_stat_table_count(table, state->commit, false);
    ut_stat_table_rate(table, segment->commit_rate);
    if (state->readers >= 0)
        ut_stat_table_count(table, (uint64_t)state->readers, false);
    else
        ut_stat_table_number(table, "?", NAN);
    add_time(table, segment->flush.finished);
    ut_stat_table_duration(table, segment->lag);
    if (segment->flush.store[0] != '\0')
        add_name(table, segment->flush.store);
    else
        ut_stat_table_none(table);
}

/* --- arrays --- */

static struct ut_stat_table *array_columns(void) {
    static const struct {
        const char *title;
        bool number;
    } columns[] = {{"ARRAY", false},     {"DTYPE", false},   {"SHAPE", false}, {"CHUNKS", false},
                   {"GENERATION", true}, {"OLDEST", true},   {"WIDTH", true},  {"COMMITS/S", true},
                   {"BYTES/S", true},    {"P10", true},      {"P50", true},    {"P90", true},
                   {"MAX", true},        {"VERSIONS", true}, {"MEMORY", true}, {"DIRTY", true},
                   {"EVICTED", true},    {"RATIO", true}};
    struct ut_stat_table *table = ut_stat_table_new();
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        ut_stat_table_column(table, columns[i].title, columns[i].number);
    return table;
}

static double ratio_of(const struct ut_stat_array *array) {
    return array->has_stored && array->stored.file_bytes > 0
               ? (double)array->stored.data_bytes / (double)array->stored.file_bytes
               : NAN;
}

static void add_array(struct ut_stat_table *table, const struct ut_stat_array *array) {
    const untorn_array_state *state = &array->state;
    bool partial = state->partial || state->overtaken || state->damaged;
    add_name(table, array->name);
    if (array->status != UNTORN_OK) {
        ut_stat_table_text(table, "?");
        for (unsigned i = 0; i < 16; i++)
            ut_stat_table_none(table);
        return;
    }
    ut_stat_table_text(table, state->info.dtype);
    add_shape(table, state->info.rank, state->shape);
    add_shape(table, state->info.rank, state->info.chunks);
    ut_stat_table_count(table, state->generation, false);
    ut_stat_table_count(table, state->oldest, false);
    ut_stat_table_count(table, state->generation - state->oldest + 1, false);
    ut_stat_table_rate(table, array->commit_rate);
    ut_stat_table_bytes_rate(table, array->byte_rate);
    for (unsigned i = 0; i < 4; i++)
        ut_stat_table_duration(table, state->intervals > 0 ? state->interval[i] : -1);
    ut_stat_table_count(table, state->versions, false);
    ut_stat_table_size(table, state->memory, partial);
    ut_stat_table_count(table, state->dirty, partial);
    ut_stat_table_count(table, state->evicted, partial);
    ut_stat_table_rate(table, ratio_of(array));
}

/* --- readers --- */

static struct ut_stat_table *reader_columns(void) {
    static const struct {
        const char *title;
        bool number;
    } columns[] = {{"READER", true},        {"COMMAND", false}, {"READS/S", true},
                   {"ATTEMPTS/READ", true}, {"COMMIT", true},   {"BEHIND", true},
                   {"WAITS", false},        {"PIN", true},      {"PIN-AGE", true}};
    struct ut_stat_table *table = ut_stat_table_new();
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        ut_stat_table_column(table, columns[i].title, columns[i].number);
    return table;
}

static void add_reader(struct ut_stat_table *table, const struct ut_stat_segment *segment,
                       const struct ut_stat_reader *reader) {
    const untorn_reader_state *state = &reader->state;
    uint64_t commit = segment->state.commit;
    ut_stat_table_count(table, (uint64_t)(unsigned)state->pid, false);
    if (state->flusher)
        ut_stat_table_text(table, "(the writer's flusher)");
    else
        add_name(table, state->command[0] != '\0' ? state->command : "?");
    ut_stat_table_rate(table, reader->read_rate);
    ut_stat_table_rate(table, reader->attempts);
    if (state->last_commit != 0) {
        ut_stat_table_count(table, state->last_commit, false);
        ut_stat_table_count(table, commit > state->last_commit ? commit - state->last_commit : 0,
                            false);
    } else {
        ut_stat_table_none(table);
        ut_stat_table_none(table);
    }
    ut_stat_table_text(table, state->waiting == 0   ? "no"
                              : state->waiting == 1 ? "array"
                                                    : "segment");
    if (state->pin != 0)
        ut_stat_table_count(table, state->pin, false);
    else
        ut_stat_table_none(table);
    ut_stat_table_duration(table, state->pin != 0 ? state->pin_age : -1);
}

/* --- beside the tables --- */

static void print_sentence(const char *label, const char *sentence, struct ut_text *out) {
    ut_cli_text_add(out, label);
    ut_stat_name(sentence, out);
    ut_cli_text_add(out, "\n");
}

static void print_problems(const struct ut_stat_segment *segment, bool named, bool screen,
                           struct ut_text *out) {
    struct ut_text label = {NULL, 0, 0, false};
    if (named) {
        ut_stat_name(segment->name, &label);
        ut_cli_text_add(&label, ": ");
    } else {
        ut_cli_text_add(&label, "");
    }
    if (segment->error != NULL && screen)
        print_sentence(label.bytes, segment->error, out);
    for (size_t i = 0; segment->inspection != NULL; i++) {
        const char *problem = untorn_inspect_problem(segment->inspection, i);
        if (problem == NULL)
            break;
        ut_cli_text_add(out, label.bytes);
        print_sentence("damaged: ", problem, out);
    }
    for (size_t i = 0; i < segment->array_count; i++)
        if (segment->arrays[i].error != NULL)
            print_sentence(label.bytes, segment->arrays[i].error, out);
    if (segment->flush.failures > 0 && segment->flush.error[0] != '\0') {
        char when[UT_STAT_FIELD];
        ut_stat_time(segment->flush.failed, when);
        ut_cli_text_format(out, "%s%" PRIu64 " flushes failed, the last %s: ", label.bytes,
                           segment->flush.failures, when);
        print_sentence("", segment->flush.error, out);
    } else if (segment->flush.status != UNTORN_OK && segment->flush.error[0] != '\0') {
        ut_cli_text_add(out, label.bytes);
        print_sentence("old store snapshots are not deleted: ", segment->flush.error, out);
    }
    if (segment->store_error != NULL) {
        ut_cli_text_add(out, label.bytes);
        print_sentence("compression ratios are not known: ", segment->store_error, out);
    }
    ut_cli_text_free(&label);
}

/* Whole numbers as they are, as far as a double has them. */
static void print_value(const char *label, double value, bool whole, struct ut_text *out) {
    ut_cli_text_format(out, whole && fabs(value) < 9e15 ? "  %-8s %.0f\n" : "  %-8s %.6g\n", label,
                       value);
}

static void print_data(const struct ut_stat_data *data, struct ut_text *out) {
    if (!data->there) {
        print_sentence("  not read: ", data->error != NULL ? data->error : "out of memory", out);
        return;
    }
    ut_cli_text_format(out, "  of generation %" PRIu64 "%s\n", data->generation,
                       data->mixed ? " and later ones: it changed while it was read" : "");
    if (data->numbers > 0) {
        print_value("min", data->minimum, data->whole, out);
        print_value("max", data->maximum, data->whole, out);
        print_value("mean", data->mean, false, out);
    }
    if (data->not_finite > 0)
        ut_cli_text_format(out, "  %-8s %" PRIu64 " elements\n", "nan, inf", data->not_finite);
    if (data->elements > 0)
        ut_cli_text_format(out, "  %-8s %.1f %%\n", "fill",
                           100 * (double)data->fill / (double)data->elements);
    ut_stat_draw_data(data, "  ", out);
}

static void print_details(const struct ut_stat_segment *segment, struct ut_text *out) {
    for (size_t i = 0; i < segment->array_count; i++) {
        const struct ut_stat_array *array = &segment->arrays[i];
        if (array->data != NULL)
            print_data(array->data, out);
        if (array->map != NULL)
            ut_stat_draw_map(array, "  ", out);
    }
}

/* --- all --- */

static void sort_and_print(struct ut_stat_table *table, const struct ut_stat_options *options,
                           struct ut_text *out) {
    if (options->sort != NULL)
        ut_stat_table_sort(table, options->sort);
    ut_stat_table_print(table, options->header, out);
    ut_stat_table_free(table);
}

static void print_overview(const struct ut_stat_sample *sample,
                           const struct ut_stat_options *options, struct ut_text *out) {
    struct ut_stat_table *table = segment_columns();
    for (size_t i = 0; i < sample->count; i++)
        add_segment(table, &sample->segments[i]);
    sort_and_print(table, options, out);
    for (size_t i = 0; i < sample->count; i++)
        print_problems(&sample->segments[i], true, sample->screen, out);
}

static void print_segment(const struct ut_stat_segment *segment, bool screen,
                          const struct ut_stat_options *options, struct ut_text *out) {
    if (segment->inspection == NULL && !screen)
        return; /* it is said elsewhere */
    struct ut_stat_table *table = segment_columns();
    add_segment(table, segment);
    sort_and_print(table, options, out);
    print_problems(segment, false, screen, out);
    if (segment->array_count > 0) {
        ut_cli_text_add(out, "\n");
        table = array_columns();
        for (size_t i = 0; i < segment->array_count; i++)
            add_array(table, &segment->arrays[i]);
        sort_and_print(table, options, out);
        print_details(segment, out);
    }
    if (segment->reader_count > 0) {
        ut_cli_text_add(out, "\n");
        table = reader_columns();
        for (size_t i = 0; i < segment->reader_count; i++)
            add_reader(table, segment, &segment->readers[i]);
        sort_and_print(table, options, out);
    } else if (segment->wants_readers && !segment->readers_known && segment->inspection != NULL) {
        ut_cli_text_add(out, "\nreaders: not known, the control file cannot be read\n");
    }
}

/* Whether --sort names a column of a table with more than one row, whatever is in it now: rows come
 * and go while somebody watches. */
static bool may_sort(const struct ut_stat_sample *sample, const char *wanted) {
    struct ut_stat_table *tables[2] = {NULL, NULL};
    struct ut_text titles = {NULL, 0, 0, false};
    bool there = wanted == NULL;
    tables[0] = sample->overview ? segment_columns() : array_columns();
    tables[1] = sample->overview ? NULL : reader_columns();
    for (unsigned i = 0; i < 2 && tables[i] != NULL && !there; i++) {
        there = ut_stat_table_sort(tables[i], wanted);
        ut_cli_text_add(&titles, i > 0 ? ", " : "");
        ut_stat_table_titles(tables[i], &titles);
    }
    if (!there)
        ut_stat_say("--sort %s: there is no such column; there are %s", wanted,
                    titles.bytes != NULL ? titles.bytes : "");
    for (unsigned i = 0; i < 2; i++)
        ut_stat_table_free(tables[i]);
    ut_cli_text_free(&titles);
    return there;
}

bool ut_stat_print_text(const struct ut_stat_sample *sample, const struct ut_stat_options *options,
                        struct ut_text *out) {
    if (!may_sort(sample, options->sort))
        return false;
    if (sample->overview)
        print_overview(sample, options, out);
    for (size_t i = 0; !sample->overview && i < sample->count; i++) {
        if (i > 0 && sample->segments[i - 1].inspection != NULL)
            ut_cli_text_add(out, "\n");
        print_segment(&sample->segments[i], sample->screen, options, out);
    }
    if (sample->screen && sample->complaint != NULL)
        print_sentence("", sample->complaint, out);
    return true;
}
