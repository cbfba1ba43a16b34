// SPDX-License-Identifier: MIT
/*
 * A sample in Prometheus's text exposition format, version 0.0.4.
 *
 * All samples of a metric have to stand together, so each metric is a row of a table with the
 * function that takes it from a segment, an array or a reader; NaN leaves the sample out.
 */
#include "tools/shmstat.h"
#include "tools/shmstat_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COMMIT_NUMBER ((UINT64_C(1) << 48) - 1)

static void add_label(struct ut_text *out, const char *name, const char *value) {
    struct ut_text clean = {NULL, 0, 0, false};
    ut_stat_utf8(value, &clean);
    ut_cli_text_format(out, "%s%s=\"", out->bytes[out->length - 1] == '{' ? "" : ",", name);
    for (const char *at = clean.bytes != NULL ? clean.bytes : ""; *at != '\0'; at++) {
        if (*at == '\\' || *at == '"')
            ut_cli_text_format(out, "\\%c", *at);
        else if (*at == '\n')
            ut_cli_text_add(out, "\\n");
        else
            ut_cli_text_add_bytes(out, at, 1);
    }
    ut_cli_text_add(out, "\"");
    ut_cli_text_free(&clean);
}

static void add_value(struct ut_text *out, double value) {
    ut_cli_text_format(out, value == floor(value) && fabs(value) < 9e15 ? "} %.0f\n" : "} %.17g\n",
                       value);
}

static void add_head(struct ut_text *out, const char *name, const char *help) {
    size_t length = strlen(name);
    bool counter = length > 6 && strcmp(name + length - 6, "_total") == 0;
    ut_cli_text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                       counter ? "counter" : "gauge");
}

/* --- segments --- */

typedef const struct ut_stat_segment *segment_of;

static double nonzero_time(int64_t ns) {
    return ns != 0 ? (double)ns / 1e9 : NAN;
}
static bool has_store(segment_of s) {
    return s->flush.store[0] != '\0';
}
static double segment_size(segment_of s) {
    return (double)s->state.size;
}
static double segment_reserved(segment_of s) {
    return (double)s->state.reserved;
}
static double segment_used(segment_of s) {
    return s->totals ? (double)s->used : NAN;
}
static double segment_dirty(segment_of s) {
    return s->totals ? (double)s->dirty_bytes : NAN;
}
static double segment_evicted(segment_of s) {
    return s->totals ? (double)s->evicted : NAN;
}
static double segment_arrays(segment_of s) {
    return (double)s->all_arrays;
}
static double segment_commits(segment_of s) {
    return (double)(s->state.commit & COMMIT_NUMBER);
}
static double segment_readers(segment_of s) {
    return s->state.readers >= 0 ? (double)s->state.readers : NAN;
}
static double segment_waiting(segment_of s) {
    return s->state.readers >= 0 ? (double)s->state.waiting : NAN;
}
static double segment_pins(segment_of s) {
    return s->state.pins;
}
static double segment_created(segment_of s) {
    return nonzero_time(s->state.created);
}
static double segment_problems(segment_of s) {
    size_t count = 0;
    while (untorn_inspect_problem(s->inspection, count) != NULL)
        count++;
    return (double)count;
}
static double segment_lag(segment_of s) {
    return s->lag >= 0 ? (double)s->lag / 1e9 : NAN;
}
static double segment_flushed(segment_of s) {
    return nonzero_time(s->flush.finished);
}
static double segment_flush_time(segment_of s) {
    return s->flush.flushes != 0 ? (double)s->flush.duration / 1e9 : NAN;
}
static double segment_flushes(segment_of s) {
    return has_store(s) ? (double)s->flush.flushes : NAN;
}
static double segment_failures(segment_of s) {
    return has_store(s) ? (double)s->flush.failures : NAN;
}
static double segment_flushed_bytes(segment_of s) {
    return has_store(s) ? (double)s->flush.total_bytes : NAN;
}

static const struct {
    const char *name, *help;
    double (*value)(segment_of segment);
} segment_metrics[] = {
    {"untorn_segment_size_bytes", "Bytes that the segment may grow to.", segment_size},
    {"untorn_segment_reserved_bytes", "Bytes taken from the mount.", segment_reserved},
    {"untorn_segment_used_bytes", "Bytes that the newest generations of its arrays take.",
     segment_used},
    {"untorn_segment_dirty_bytes", "Bytes of chunks that are not in the store as they are.",
     segment_dirty},
    {"untorn_segment_evicted_chunks", "Chunks that are in the store alone.", segment_evicted},
    {"untorn_segment_arrays", "Arrays in the segment.", segment_arrays},
    {"untorn_segment_commits_total", "Commits since the segment was made.", segment_commits},
    {"untorn_segment_readers", "Readers that own a line.", segment_readers},
    {"untorn_segment_waiting_readers", "Readers that sleep until something is published.",
     segment_waiting},
    {"untorn_segment_pins", "Pins that stand.", segment_pins},
    {"untorn_segment_created_timestamp_seconds", "When the segment was made.", segment_created},
    {"untorn_segment_problems", "Kinds of damage found.", segment_problems},
    {"untorn_segment_flush_lag_seconds",
     "Age of the newest commit in the store, 0 if it is the last.", segment_lag},
    {"untorn_segment_last_flush_timestamp_seconds", "When the last flush that succeeded ended.",
     segment_flushed},
    {"untorn_segment_last_flush_duration_seconds", "How long it took.", segment_flush_time},
    {"untorn_segment_flushes_total", "Flushes that succeeded.", segment_flushes},
    {"untorn_segment_failed_flushes", "Flushes that failed since one succeeded.", segment_failures},
    {"untorn_segment_flushed_bytes_total", "Bytes of chunk files written by all flushes.",
     segment_flushed_bytes},
};

static void print_up(const struct ut_stat_sample *sample, struct ut_text *out) {
    add_head(out, "untorn_segment_up", "1 if the segment could be looked at.");
    for (size_t i = 0; i < sample->count; i++) {
        ut_cli_text_add(out, "untorn_segment_up{");
        add_label(out, "segment", sample->segments[i].name);
        add_value(out, sample->segments[i].error == NULL);
    }
    add_head(out, "untorn_segment_writer_state", "1 for the state that the writer is in.");
    for (size_t i = 0; i < sample->count; i++) {
        for (int state = UNTORN_WRITER_NONE;
             sample->segments[i].error == NULL && state <= UNTORN_WRITER_UNKNOWN; state++) {
            ut_cli_text_add(out, "untorn_segment_writer_state{");
            add_label(out, "segment", sample->segments[i].name);
            add_label(out, "state", ut_stat_writer_name((untorn_writer_state)state));
            add_value(out, (int)sample->segments[i].state.writer == state);
        }
    }
}

static void print_segments(const struct ut_stat_sample *sample, struct ut_text *out) {
    for (size_t m = 0; m < sizeof segment_metrics / sizeof *segment_metrics; m++) {
        add_head(out, segment_metrics[m].name, segment_metrics[m].help);
        for (size_t i = 0; i < sample->count; i++) {
            const struct ut_stat_segment *segment = &sample->segments[i];
            double value = segment->error == NULL ? segment_metrics[m].value(segment) : NAN;
            if (isnan(value))
                continue;
            ut_cli_text_format(out, "%s{", segment_metrics[m].name);
            add_label(out, "segment", segment->name);
            add_value(out, value);
        }
    }
}

/* --- arrays --- */

typedef const struct ut_stat_array *array_of;

static double array_generation(array_of a) {
    return (double)a->state.generation;
}
static double array_window(array_of a) {
    return (double)(a->state.generation - a->state.oldest + 1);
}
static double array_versions(array_of a) {
    return a->state.versions;
}
static double array_last_write(array_of a) {
    return (double)a->state.last_bytes;
}
static double array_commit_time(array_of a) {
    return nonzero_time(a->state.time);
}
static double array_chunks(array_of a) {
    return (double)a->state.chunks;
}
static double array_resident(array_of a) {
    return (double)a->state.resident;
}
static double array_dirty(array_of a) {
    return (double)a->state.dirty;
}
static double array_evicted(array_of a) {
    return (double)a->state.evicted;
}
static double array_memory(array_of a) {
    return (double)a->state.memory;
}
static double array_stored(array_of a) {
    return a->has_stored ? (double)a->stored.file_bytes : NAN;
}
static double array_stored_data(array_of a) {
    return a->has_stored ? (double)a->stored.data_bytes : NAN;
}

static const struct {
    const char *name, *help;
    double (*value)(array_of array);
} array_metrics[] = {
    {"untorn_array_generations_total", "Times that the array was published anew.",
     array_generation},
    {"untorn_array_window_generations", "Generations none of whose bytes were reused.",
     array_window},
    {"untorn_array_versions", "Generations that can still be read.", array_versions},
    {"untorn_array_last_write_bytes", "Bytes that the last change of its data wrote.",
     array_last_write},
    {"untorn_array_commit_timestamp_seconds", "When its newest generation was committed.",
     array_commit_time},
    {"untorn_array_chunks", "Chunks of its grid.", array_chunks},
    {"untorn_array_resident_chunks", "Chunks in memory.", array_resident},
    {"untorn_array_dirty_chunks", "Chunks that are not in the store as they are.", array_dirty},
    {"untorn_array_evicted_chunks", "Chunks that are in the store alone.", array_evicted},
    {"untorn_array_memory_bytes", "Bytes that its newest generation takes.", array_memory},
    {"untorn_array_stored_bytes", "Bytes of its chunk files in the newest store snapshot.",
     array_stored},
    {"untorn_array_stored_data_bytes", "Bytes of what is visible of these chunks.",
     array_stored_data},
};

static void add_array_labels(struct ut_text *out, const struct ut_stat_segment *segment,
                             array_of array) {
    add_label(out, "segment", segment->name);
    add_label(out, "array", array->name);
}

static void print_arrays(const struct ut_stat_sample *sample, struct ut_text *out) {
    for (size_t m = 0; m < sizeof array_metrics / sizeof *array_metrics; m++) {
        add_head(out, array_metrics[m].name, array_metrics[m].help);
        for (size_t i = 0; i < sample->count; i++)
            for (size_t j = 0; j < sample->segments[i].array_count; j++) {
                array_of array = &sample->segments[i].arrays[j];
                double value = array->status == UNTORN_OK ? array_metrics[m].value(array) : NAN;
                if (isnan(value))
                    continue;
                ut_cli_text_format(out, "%s{", array_metrics[m].name);
                add_array_labels(out, &sample->segments[i], array);
                add_value(out, value);
            }
    }
    static const char *const percentiles[] = {"10", "50", "90", "100"};
    const char *name = "untorn_array_write_interval_seconds";
    add_head(out, name, "Time between the last commits of the array, by percentile.");
    for (size_t i = 0; i < sample->count; i++)
        for (size_t j = 0; j < sample->segments[i].array_count; j++) {
            array_of array = &sample->segments[i].arrays[j];
            for (unsigned k = 0; k < 4 && array->state.intervals > 0; k++) {
                ut_cli_text_format(out, "%s{", name);
                add_array_labels(out, &sample->segments[i], array);
                add_label(out, "percentile", percentiles[k]);
                add_value(out, (double)array->state.interval[k] / 1e9);
            }
        }
}

/* --- readers --- */

typedef const untorn_reader_state *reader_of;

static double reader_reads(reader_of r, uint64_t commit) {
    (void)commit;
    return (double)r->reads;
}
static double reader_attempts(reader_of r, uint64_t commit) {
    (void)commit;
    return (double)r->attempts;
}
static double reader_behind(reader_of r, uint64_t commit) {
    if (r->last_commit == 0)
        return NAN;
    return commit > r->last_commit ? (double)(commit - r->last_commit) : 0;
}
static double reader_pin_age(reader_of r, uint64_t commit) {
    (void)commit;
    return r->pin != 0 && r->pin_age >= 0 ? (double)r->pin_age / 1e9 : NAN;
}

static const struct {
    const char *name, *help;
    double (*value)(reader_of reader, uint64_t commit);
} reader_metrics[] = {
    {"untorn_reader_reads_total", "Reads since the reader owns a line.", reader_reads},
    {"untorn_reader_attempts_total", "Attempts that those reads took.", reader_attempts},
    {"untorn_reader_behind_commits", "Commits since the newest one that it read.", reader_behind},
    {"untorn_reader_pin_age_seconds", "Age of the pin that it holds.", reader_pin_age},
};

static void print_readers(const struct ut_stat_sample *sample, struct ut_text *out) {
    for (size_t m = 0; m < sizeof reader_metrics / sizeof *reader_metrics; m++) {
        add_head(out, reader_metrics[m].name, reader_metrics[m].help);
        for (size_t i = 0; i < sample->count; i++) {
            const struct ut_stat_segment *segment = &sample->segments[i];
            for (size_t j = 0; j < segment->reader_count; j++) {
                reader_of reader = &segment->readers[j].state;
                double value = reader_metrics[m].value(reader, segment->state.commit);
                if (isnan(value))
                    continue;
                char number[32];
                ut_cli_text_format(out, "%s{", reader_metrics[m].name);
                add_label(out, "segment", segment->name);
                snprintf(number, sizeof number, "%u", reader->line);
                add_label(out, "line", number);
                snprintf(number, sizeof number, "%d", reader->pid);
                add_label(out, "pid", number);
                add_label(out, "command", reader->command);
                add_value(out, value);
            }
        }
    }
}

void ut_stat_print_prometheus(const struct ut_stat_sample *sample, struct ut_text *out) {
    print_up(sample, out);
    print_segments(sample, out);
    if (sample->overview)
        return;
    print_arrays(sample, out);
    print_readers(sample, out);
}
