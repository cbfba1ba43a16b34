// SPDX-License-Identifier: MIT
/*
 * A sample as one line of JSON.  The schema is in docs/shmstat.md; its version changes when a
 * member changes its meaning or goes, not when one is added.
 */
#include "tools/shmstat.h"
#include "tools/shmstat_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SCHEMA_VERSION 1

static void key(struct ut_text *out, const char *name) {
    char last = out->length > 0 ? out->bytes[out->length - 1] : '{';
    ut_cli_text_format(out, "%s\"%s\":", last == '{' ? "" : ",", name);
}

static void add_string(struct ut_text *out, const char *name, const char *value) {
    key(out, name);
    if (value == NULL)
        ut_cli_text_add(out, "null");
    else
        ut_cli_text_json_string(out, value, strlen(value));
}

static void add_count(struct ut_text *out, const char *name, uint64_t value) {
    key(out, name);
    ut_cli_text_format(out, "%" PRIu64, value);
}

static void add_signed(struct ut_text *out, const char *name, int64_t value) {
    key(out, name);
    ut_cli_text_format(out, "%" PRId64, value);
}

static void add_bool(struct ut_text *out, const char *name, bool value) {
    key(out, name);
    ut_cli_text_add(out, value ? "true" : "false");
}

static void add_null(struct ut_text *out, const char *name) {
    key(out, name);
    ut_cli_text_add(out, "null");
}

static void add_real(struct ut_text *out, const char *name, double value) {
    key(out, name);
    ut_cli_text_format(out, isfinite(value) ? "%.15g" : "null", value);
}

/* null if there is none. */
static void add_nonzero(struct ut_text *out, const char *name, uint64_t value) {
    if (value != 0)
        add_count(out, name, value);
    else
        add_null(out, name);
}

static void add_time(struct ut_text *out, const char *name, int64_t ns) {
    struct tm parts;
    char text[64];
    time_t seconds = (time_t)(ns / 1000000000);
    if (ns <= 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        add_null(out, name);
        return;
    }
    key(out, name);
    ut_cli_text_format(out, "\"%s.%09" PRId64 "Z\"", text, ns % 1000000000);
}

static void add_list(struct ut_text *out, const char *name, unsigned count,
                     const uint64_t *values) {
    key(out, name);
    for (unsigned i = 0; i < count; i++)
        ut_cli_text_format(out, "%s%" PRIu64, i == 0 ? "[" : ",", values[i]);
    ut_cli_text_add(out, count == 0 ? "[]" : "]");
}

/* --- parts --- */

static void add_writer(struct ut_text *out, const untorn_segment_state *state) {
    key(out, "writer");
    ut_cli_text_add(out, "{");
    add_string(out, "state", ut_stat_writer_name(state->writer));
    add_nonzero(out, "pid", (uint64_t)(unsigned)state->writer_pid);
    add_string(out, "command", state->writer_command[0] != '\0' ? state->writer_command : NULL);
    add_time(out, "since", state->writer_since);
    ut_cli_text_add(out, "}");
}

static void add_store(struct ut_text *out, const struct ut_stat_segment *segment) {
    const untorn_flush_state *flush = &segment->flush;
    if (flush->store[0] == '\0') {
        add_null(out, "store");
        return;
    }
    key(out, "store");
    ut_cli_text_add(out, "{");
    add_string(out, "path", flush->store);
    add_count(out, "zarr_format", flush->store_format);
    if (flush->interval >= 0)
        add_signed(out, "interval_ns", flush->interval);
    else
        add_null(out, "interval_ns");
    add_nonzero(out, "flushed_commit", flush->flushed_commit);
    add_time(out, "flushed_commit_time", flush->flushed_time);
    add_time(out, "last_flush", flush->finished);
    add_signed(out, "last_flush_duration_ns", flush->duration);
    add_count(out, "last_flush_bytes", flush->bytes_written);
    add_count(out, "last_flush_chunks_written", flush->chunks_written);
    add_count(out, "last_flush_chunks_linked", flush->chunks_linked);
    add_count(out, "flushes", flush->flushes);
    add_count(out, "flushed_bytes", flush->total_bytes);
    add_count(out, "failures", flush->failures);
    add_time(out, "last_failure", flush->failed);
    add_string(out, "last_error", flush->error[0] != '\0' ? flush->error : NULL);
    if (segment->lag >= 0)
        add_signed(out, "lag_ns", segment->lag);
    else
        add_null(out, "lag_ns");
    add_string(out, "error", segment->store_error);
    ut_cli_text_add(out, "}");
}

static void add_intervals(struct ut_text *out, const untorn_array_state *state) {
    static const char *const names[] = {"p10", "p50", "p90", "max"};
    if (state->intervals == 0) {
        add_null(out, "write_interval_ns");
        return;
    }
    key(out, "write_interval_ns");
    ut_cli_text_add(out, "{");
    add_count(out, "count", state->intervals);
    for (unsigned i = 0; i < 4; i++)
        add_signed(out, names[i], state->interval[i]);
    ut_cli_text_add(out, "}");
}

static void add_data(struct ut_text *out, const struct ut_stat_data *data) {
    key(out, "data");
    ut_cli_text_add(out, "{");
    add_string(out, "error", data->there ? NULL : data->error != NULL ? data->error : "?");
    add_count(out, "generation", data->generation);
    add_bool(out, "mixed", data->mixed);
    add_count(out, "elements", data->elements);
    add_real(out, "minimum", data->numbers > 0 ? data->minimum : NAN);
    add_real(out, "maximum", data->numbers > 0 ? data->maximum : NAN);
    add_real(out, "mean", data->numbers > 0 ? data->mean : NAN);
    add_count(out, "not_finite", data->not_finite);
    add_real(out, "fill_share",
             data->elements > 0 ? (double)data->fill / (double)data->elements : NAN);
    ut_cli_text_add(out, "}");
}

/* One letter for each chunk. */
static void add_map(struct ut_text *out, const struct ut_stat_array *array) {
    static const char letters[] = ".cde";
    char piece[1024];
    key(out, "chunk_map");
    ut_cli_text_add(out, "\"");
    for (size_t i = 0; i < array->map_count;) {
        size_t n = 0;
        for (; n < sizeof piece && i < array->map_count; n++, i++)
            piece[n] = letters[array->map[i] & 3];
        ut_cli_text_add_bytes(out, piece, n);
    }
    ut_cli_text_add(out, "\"");
}

static void add_array_state(struct ut_text *out, const struct ut_stat_array *array) {
    const untorn_array_state *state = &array->state;
    unsigned rank = state->info.rank;
    add_string(out, "dtype", state->info.dtype);
    add_list(out, "shape", rank, state->shape);
    add_list(out, "chunk_shape", rank, state->info.chunks);
    add_string(out, "codec", state->info.codec);
    key(out, "dimension_names");
    ut_cli_text_add(out, "[");
    for (unsigned axis = 0; axis < rank; axis++) {
        const char *name = state->info.dimension_names[axis];
        ut_cli_text_add(out, axis > 0 ? "," : "");
        if (name != NULL)
            ut_cli_text_json_string(out, name, strlen(name));
        else
            ut_cli_text_add(out, "null");
    }
    ut_cli_text_add(out, "]");
    add_count(out, "generation", state->generation);
    add_count(out, "oldest", state->oldest);
    add_count(out, "versions", state->versions);
    add_count(out, "commit", state->commit);
    add_count(out, "data_commit", state->data_commit);
    add_time(out, "commit_time", state->time);
    add_real(out, "commits_per_second", array->commit_rate);
    add_real(out, "bytes_per_second", array->byte_rate);
    add_count(out, "last_write_bytes", state->last_bytes);
    add_intervals(out, state);
    add_count(out, "chunks", state->chunks);
    add_count(out, "resident_chunks", state->resident);
    add_count(out, "dirty_chunks", state->dirty);
    add_count(out, "evicted_chunks", state->evicted);
    add_count(out, "memory_bytes", state->memory);
    add_count(out, "dirty_bytes", state->dirty_bytes);
    add_bool(out, "partial", state->partial);
    add_bool(out, "overtaken", state->overtaken);
    add_bool(out, "damaged", state->damaged);
    if (array->has_stored) {
        key(out, "stored");
        ut_cli_text_add(out, "{");
        add_count(out, "chunks", array->stored.chunks);
        add_count(out, "file_bytes", array->stored.file_bytes);
        add_count(out, "data_bytes", array->stored.data_bytes);
        ut_cli_text_add(out, "}");
    } else {
        add_null(out, "stored");
    }
}

static void add_arrays(struct ut_text *out, const struct ut_stat_segment *segment) {
    key(out, "arrays");
    ut_cli_text_add(out, "[");
    for (size_t i = 0; i < segment->array_count; i++) {
        const struct ut_stat_array *array = &segment->arrays[i];
        ut_cli_text_add(out, i > 0 ? ",{" : "{");
        add_string(out, "name", array->name);
        add_string(out, "error", array->error);
        if (array->status == UNTORN_OK)
            add_array_state(out, array);
        if (array->data != NULL)
            add_data(out, array->data);
        if (array->map != NULL)
            add_map(out, array);
        ut_cli_text_add(out, "}");
    }
    ut_cli_text_add(out, "]");
}

static void add_readers(struct ut_text *out, const struct ut_stat_segment *segment) {
    static const char *const waits[] = {"no", "array", "segment"};
    key(out, "readers");
    ut_cli_text_add(out, "[");
    for (size_t i = 0; i < segment->reader_count; i++) {
        const untorn_reader_state *state = &segment->readers[i].state;
        uint64_t commit = segment->state.commit;
        ut_cli_text_add(out, i > 0 ? ",{" : "{");
        add_count(out, "line", state->line);
        add_nonzero(out, "pid", (uint64_t)(unsigned)state->pid);
        add_string(out, "command", state->command[0] != '\0' ? state->command : NULL);
        add_bool(out, "flusher", state->flusher);
        add_string(out, "waits", state->waiting < 3 ? waits[state->waiting] : "no");
        add_count(out, "reads", state->reads);
        add_count(out, "attempts", state->attempts);
        add_real(out, "reads_per_second", segment->readers[i].read_rate);
        add_real(out, "attempts_per_read", segment->readers[i].attempts);
        add_nonzero(out, "last_commit", state->last_commit);
        if (state->last_commit != 0)
            add_count(out, "behind", commit > state->last_commit ? commit - state->last_commit : 0);
        else
            add_null(out, "behind");
        add_nonzero(out, "pin", state->pin);
        if (state->pin != 0 && state->pin_age >= 0)
            add_signed(out, "pin_age_ns", state->pin_age);
        else
            add_null(out, "pin_age_ns");
        ut_cli_text_add(out, "}");
    }
    ut_cli_text_add(out, "]");
}

static void add_segment_state(struct ut_text *out, const struct ut_stat_segment *segment) {
    const untorn_segment_state *state = &segment->state;
    key(out, "uuid");
    ut_cli_text_add(out, "\"");
    for (unsigned i = 0; i < sizeof state->uuid; i++)
        ut_cli_text_format(out, "%02x", state->uuid[i]);
    ut_cli_text_add(out, "\"");
    add_writer(out, state);
    add_time(out, "created", state->created);
    add_signed(out, "age_ns", ut_stat_span(state->created, state->now));
    add_count(out, "size", state->size);
    add_count(out, "reserved", state->reserved);
    add_count(out, "file_bytes", state->file_bytes);
    if (segment->totals) {
        add_count(out, "used", segment->used);
        add_count(out, "dirty_bytes", segment->dirty_bytes);
        add_count(out, "evicted_chunks", segment->evicted);
    } else {
        add_null(out, "used");
        add_null(out, "dirty_bytes");
        add_null(out, "evicted_chunks");
    }
    add_bool(out, "partial", segment->partial);
    add_count(out, "array_count", segment->all_arrays);
    add_count(out, "commit", state->commit);
    add_real(out, "commits_per_second", segment->commit_rate);
    add_count(out, "versions", state->versions);
    add_count(out, "lease_ms", state->lease_ms);
    key(out, "mode");
    ut_cli_text_format(out, "\"%04o\"", state->mode & 07777u);
    if (state->readers >= 0)
        add_count(out, "reader_count", (uint64_t)state->readers);
    else
        add_null(out, "reader_count");
    add_count(out, "waiting", state->waiting);
    add_count(out, "pins", state->pins);
    add_store(out, segment);
    if (segment->wants_arrays)
        add_arrays(out, segment);
    if (segment->readers_known)
        add_readers(out, segment);
}

void ut_stat_print_json(const struct ut_stat_sample *sample, const struct ut_stat_options *options,
                        struct ut_text *out) {
    (void)options;
    ut_cli_text_add(out, "{");
    add_string(out, "schema", "untorn.shmstat");
    add_count(out, "version", SCHEMA_VERSION);
    add_time(out, "time", sample->time);
    key(out, "segments");
    ut_cli_text_add(out, "[");
    for (size_t i = 0; i < sample->count; i++) {
        const struct ut_stat_segment *segment = &sample->segments[i];
        ut_cli_text_add(out, i > 0 ? ",{" : "{");
        add_string(out, "name", segment->name);
        add_bool(out, "dump", segment->dump);
        add_string(out, "error", segment->error);
        key(out, "problems");
        ut_cli_text_add(out, "[");
        for (size_t j = 0; segment->inspection != NULL; j++) {
            const char *problem = untorn_inspect_problem(segment->inspection, j);
            if (problem == NULL)
                break;
            ut_cli_text_add(out, j > 0 ? "," : "");
            ut_cli_text_json_string(out, problem, strlen(problem));
        }
        ut_cli_text_add(out, "]");
        if (segment->inspection != NULL)
            add_segment_state(out, segment);
        ut_cli_text_add(out, "}");
    }
    ut_cli_text_add(out, "]}\n");
}
