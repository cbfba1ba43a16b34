// SPDX-License-Identifier: MIT
/*
 * The arrays of a recording (see recording.h).
 *
 * A recording that exists is continued only if its rows mean the same: all arrays that this
 * machine has and no others, of equal length, with the same processors, kinds of memory and
 * devices in the same order.  The names are compared by looking for the list in the attributes.
 */
#include "tools/recording.h"

#include "tools/say.h"
#include "tools/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (1u << 20)
#define CHUNKS_OF_SEGMENT 64 /* that there is room for at least */
#define CHUNK_ROWS 4096

static const char *const array_names[UT_RECORDING_ARRAYS] = {"time", "cpu", "memory", "disk",
                                                             "check"};

uint64_t ut_cli_fnv(uint64_t hash, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The table behind an array, NULL for time and check. */
static const struct ut_counter_table *table_of(const struct ut_recording *recording,
                                               unsigned array) {
    if (array < UT_RECORDING_FIRST_TABLE || array >= UT_RECORDING_CHECK)
        return NULL;
    return &recording->counters->tables[array - UT_RECORDING_FIRST_TABLE];
}

static bool is_recorded(const struct ut_recording *recording, unsigned array) {
    const struct ut_counter_table *table = table_of(recording, array);
    return !table || table->lines > 0;
}

static void full_name(const struct ut_recording *recording, unsigned array, char *name,
                      size_t size) {
    bool has_group = *recording->group != '\0';
    snprintf(name, size, "%s%s%s", recording->group, has_group ? "/" : "", array_names[array]);
}

/* The shape of an array with no row; returns its rank. */
static unsigned empty_shape(const struct ut_recording *recording, unsigned array,
                            uint64_t shape[3]) {
    const struct ut_counter_table *table = table_of(recording, array);
    shape[0] = 0;
    if (!table)
        return 1;
    shape[1] = table->lines;
    shape[2] = table->fields;
    return table->file == UT_COUNTERS_MEMORY ? 2 : 3;
}

/* What the lines of a table are, as a dimension and as a key of the attributes. */
static const char *line_dimension(const struct ut_counter_table *table) {
    static const char *const dimensions[UT_COUNTER_FILES] = {"cpu", "memory_field", "device"};
    return dimensions[table->file];
}

static const char *field_dimension(const struct ut_counter_table *table) {
    return table->file == UT_COUNTERS_CPU ? "cpu_field" : "disk_field";
}

/* "device":["sda","sdb"] */
static void add_line_names(const struct ut_counter_table *table, struct ut_text *text) {
    ut_cli_text_format(text, "\"%s\":", line_dimension(table));
    ut_cli_text_json_list(text, table->names, table->lines);
}

static const char *disk_unit(const char *field) {
    size_t length = strlen(field);
    if (length > 3 && strcmp(field + length - 3, "_ms") == 0)
        return "ms";
    return strncmp(field, "sectors_", 8) == 0 ? "512 byte" : "1";
}

static void add_fields(const struct ut_counter_table *table, struct ut_text *text) {
    ut_cli_text_format(text, ",\"%s\":[", field_dimension(table));
    for (size_t i = 0; i < table->fields; i++)
        ut_cli_text_format(text, "%s\"%s\"", i ? "," : "",
                           ut_cli_counter_field_name(table->file, i));
    ut_cli_text_add(text, "]");
    if (table->file != UT_COUNTERS_DISK)
        return;
    ut_cli_text_add(text, ",\"disk_field_units\":[");
    for (size_t i = 0; i < table->fields; i++)
        ut_cli_text_format(text, "%s\"%s\"", i ? "," : "",
                           disk_unit(ut_cli_counter_field_name(table->file, i)));
    ut_cli_text_add(text, "]");
}

static void add_attributes(const struct ut_recording *recording, unsigned array,
                           struct ut_text *text) {
    const struct ut_counter_table *table = table_of(recording, array);
    if (array == UT_RECORDING_TIME) {
        ut_cli_text_add(text, "{\"long_name\":\"time of the sample\",\"standard_name\":\"time\","
                              "\"units\":\"nanoseconds since 1970-01-01\","
                              "\"calendar\":\"proleptic_gregorian\",\"axis\":\"T\"}");
        return;
    }
    if (!table) {
        ut_cli_text_add(text, "{\"long_name\":\"64-bit FNV-1a hash of the row in the other "
                              "arrays\",\"units\":\"1\"}");
        return;
    }
    switch (table->file) {
    case UT_COUNTERS_CPU:
        ut_cli_text_format(text,
                           "{\"long_name\":\"time spent by each processor since boot\","
                           "\"units\":\"%g s\",\"source\":\"/proc/stat\",",
                           1.0 / (double)sysconf(_SC_CLK_TCK));
        break;
    case UT_COUNTERS_MEMORY:
        ut_cli_text_add(text, "{\"long_name\":\"memory by kind\",\"units\":\"byte\","
                              "\"source\":\"/proc/meminfo\",");
        break;
    default:
        ut_cli_text_add(text, "{\"long_name\":\"input and output of each block device since boot\","
                              "\"source\":\"/proc/diskstats\",");
    }
    add_line_names(table, text);
    if (table->file != UT_COUNTERS_MEMORY)
        add_fields(table, text);
    ut_cli_text_add(text, "}");
}

static int define_group(const struct ut_recording *recording) {
    struct ut_text text = {.bytes = NULL};
    ut_cli_text_format(&text,
                       "{\"title\":\"kernel counters of one machine\","
                       "\"source\":\"untorn record %s\",",
                       untorn_version());
    ut_cli_text_add(&text,
                    "\"rows\":\"all arrays grow by one row in one commit\","
                    "\"check\":\"check[i] is the 64-bit FNV-1a hash (offset basis "
                    "0xcbf29ce484222325, prime 0x100000001b3) of the little-endian bytes, in C "
                    "order, of row i of the arrays in check_order\",\"check_order\":[\"time\"");
    for (unsigned i = UT_RECORDING_FIRST_TABLE; i < UT_RECORDING_CHECK; i++)
        if (is_recorded(recording, i))
            ut_cli_text_format(&text, ",\"%s\"", array_names[i]);
    ut_cli_text_add(&text, "]}");
    int exit_status = text.failed ? ut_cli_say_failed("out of memory") : 0;
    if (exit_status == 0) {
        untorn_status status =
            untorn_set_group_attributes(recording->writer, recording->group, text.bytes);
        exit_status = status == UNTORN_OK ? 0 : ut_cli_say_status(status);
    }
    ut_cli_text_free(&text);
    return exit_status;
}

static int define_array(struct ut_recording *recording, unsigned array) {
    uint64_t shape[3], chunks[3];
    const struct ut_counter_table *table = table_of(recording, array);
    unsigned rank = empty_shape(recording, array, shape);
    uint64_t row = sizeof(uint64_t);
    for (unsigned i = 1; i < rank; i++) {
        chunks[i] = shape[i];
        row *= shape[i];
    }
    uint64_t rows = recording->chunk_bytes / row;
    chunks[0] = rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    if (chunks[0] == 0)
        chunks[0] = 1;
    const char *const dimensions[] = {"time", table ? line_dimension(table) : NULL,
                                      table ? field_dimension(table) : NULL};
    struct ut_text text = {.bytes = NULL};
    add_attributes(recording, array, &text);
    char name[UNTORN_MAX_NAME + 1];
    full_name(recording, array, name, sizeof name);
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = array == UT_RECORDING_TIME ? "i8" : "u8";
    definition.rank = rank;
    definition.shape = shape;
    definition.chunks = chunks;
    definition.dimension_names = dimensions;
    definition.attributes = text.bytes;
    int exit_status = text.failed ? ut_cli_say_failed("out of memory") : 0;
    if (exit_status == 0) {
        untorn_status status =
            untorn_define(recording->writer, name, &definition, &recording->arrays[array]);
        exit_status = status == UNTORN_OK ? 0 : ut_cli_say_status(status);
    }
    ut_cli_text_free(&text);
    return exit_status;
}

/* The same length as the others, and the machine's lengths along the other axes. */
static int check_shape(struct ut_recording *recording, unsigned array) {
    char name[UNTORN_MAX_NAME + 1];
    full_name(recording, array, name, sizeof name);
    uint64_t expected[3], found[UNTORN_MAX_RANK];
    unsigned rank;
    untorn_definition wanted = UNTORN_DEFINITION_INIT;
    wanted.dtype = array == UT_RECORDING_TIME ? "i8" : "u8";
    wanted.rank = empty_shape(recording, array, expected);
    wanted.shape = expected;
    untorn_status status =
        untorn_require(recording->writer, name, &wanted, &recording->arrays[array]);
    if (status == UNTORN_OK)
        status = untorn_writer_array_shape(recording->arrays[array], &rank, found);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    const struct ut_counter_table *table = table_of(recording, array);
    if (wanted.rank > 1 && found[1] != expected[1])
        return ut_cli_say_failed("array \"%s\" is of another machine: it has %llu of what this one "
                                 "has %llu of (%s)",
                                 name, (unsigned long long)found[1],
                                 (unsigned long long)expected[1], line_dimension(table));
    if (wanted.rank > 2 && found[2] != expected[2])
        return ut_cli_say_failed(
            "array \"%s\" is of another kernel: it has %llu fields, this one has "
            "%llu",
            name, (unsigned long long)found[2], (unsigned long long)expected[2]);
    if (array == UT_RECORDING_TIME)
        recording->rows = found[0];
    else if (found[0] != recording->rows)
        return ut_cli_say_failed(
            "group \"%s\" is no recording: \"%s\" has %llu rows, time has %llu", recording->group,
            array_names[array], (unsigned long long)found[0], (unsigned long long)recording->rows);
    return 0;
}

/* Blanks between the tokens of JSON are no difference. */
static void squeeze_json(char *text) {
    char *to = text;
    bool quoted = false;
    for (const char *at = text; *at; at++) {
        if (*at == '"')
            quoted = !quoted;
        if (quoted && *at == '\\' && at[1])
            *to++ = *at++;
        else if (!quoted && strchr(" \t\r\n", *at))
            continue;
        *to++ = *at;
    }
    *to = '\0';
}

static int check_names(const struct ut_recording *recording, untorn_reader *reader,
                       unsigned array) {
    char name[UNTORN_MAX_NAME + 1];
    full_name(recording, array, name, sizeof name);
    untorn_array *handle;
    char *json;
    untorn_status status = untorn_array_open(reader, name, &handle);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    status = untorn_attributes(handle, &json, NULL);
    untorn_array_close(handle);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    const struct ut_counter_table *table = table_of(recording, array);
    struct ut_text wanted = {.bytes = NULL};
    add_line_names(table, &wanted);
    squeeze_json(json);
    int exit_status = 0;
    if (wanted.failed)
        exit_status = ut_cli_say_failed("out of memory");
    else if (!strstr(json, wanted.bytes))
        exit_status =
            ut_cli_say_failed("array \"%s\" is of another machine: the names in \"%s\" of "
                              "its attributes differ from this one's",
                              name, line_dimension(table));
    ut_cli_text_free(&wanted);
    free(json);
    return exit_status;
}

static int read_last_time(struct ut_recording *recording, untorn_reader *reader) {
    if (recording->rows == 0)
        return 0;
    char name[UNTORN_MAX_NAME + 1];
    full_name(recording, UT_RECORDING_TIME, name, sizeof name);
    untorn_array *handle;
    untorn_status status = untorn_array_open(reader, name, &handle);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    const uint64_t start = recording->rows - 1, count = 1;
    status = untorn_read(handle, &start, &count, &recording->last_time, sizeof recording->last_time,
                         NULL);
    untorn_array_close(handle);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    // Room for as many nanoseconds as anyone will record.
    if (recording->last_time > INT64_MAX / 2)
        return ut_cli_say_failed("array \"%s\" ends at %lld, too far in the future to go on from",
                                 name, (long long)recording->last_time);
    return 0;
}

static int adopt(struct ut_recording *recording) {
    for (unsigned i = 0; i < UT_RECORDING_ARRAYS; i++) {
        int exit_status = is_recorded(recording, i) ? check_shape(recording, i) : 0;
        if (exit_status)
            return exit_status;
    }
    untorn_reader *reader;
    untorn_status status = untorn_reader_open(recording->segment, NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    int exit_status = read_last_time(recording, reader);
    for (unsigned i = UT_RECORDING_FIRST_TABLE; i < UT_RECORDING_CHECK && exit_status == 0; i++)
        if (is_recorded(recording, i))
            exit_status = check_names(recording, reader, i);
    untorn_reader_close(reader);
    return exit_status;
}

/* About 1 MiB, but small in a small segment. */
static int choose_chunk_bytes(struct ut_recording *recording) {
    untorn_reader *reader;
    untorn_stat stat;
    untorn_status status = untorn_reader_open(recording->segment, NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    status = untorn_reader_stat(reader, &stat);
    untorn_reader_close(reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    uint64_t share = stat.size / CHUNKS_OF_SEGMENT;
    recording->chunk_bytes = share < CHUNK_BYTES ? share : CHUNK_BYTES;
    return 0;
}

int ut_cli_recording_open(const char *segment, const char *group, untorn_writer *writer,
                          struct ut_kernel_counters *counters, struct ut_recording *recording) {
    *recording = (struct ut_recording){.segment = segment,
                                       .group = group,
                                       .writer = writer,
                                       .counters = counters,
                                       .last_time = INT64_MIN};
    unsigned present = 0, wanted = 0;
    const char *odd = "";
    for (unsigned i = 0; i < UT_RECORDING_ARRAYS; i++) {
        char name[UNTORN_MAX_NAME + 1];
        untorn_writer_array *handle;
        full_name(recording, i, name, sizeof name);
        untorn_status status = untorn_writer_array_open(writer, name, &handle);
        if (status != UNTORN_OK && status != UNTORN_E_NO_ARRAY)
            return ut_cli_say_status(status);
        bool exists = status == UNTORN_OK;
        if (exists != is_recorded(recording, i))
            odd = array_names[i];
        present += exists;
        wanted += is_recorded(recording, i);
    }
    if (present == 0) {
        int exit_status = choose_chunk_bytes(recording);
        if (exit_status == 0)
            exit_status = define_group(recording);
        for (unsigned i = 0; i < UT_RECORDING_ARRAYS && exit_status == 0; i++)
            if (is_recorded(recording, i))
                exit_status = define_array(recording, i);
        return exit_status;
    }
    if (*odd)
        return ut_cli_say_failed(
            "group \"%s\" is no recording of this machine: it has %u arrays where "
            "this machine has %u (\"%s\" makes the difference)",
            group, present, wanted, odd);
    return adopt(recording);
}

int ut_cli_recording_append(struct ut_recording *recording, int64_t now) {
    int64_t time = now > recording->last_time ? now : recording->last_time + 1;
    uint64_t check = ut_cli_fnv(UT_FNV_BEGIN, &time, sizeof time);
    untorn_status status = UNTORN_OK;
    for (unsigned i = 0; i < UT_RECORDING_ARRAYS && status == UNTORN_OK; i++) {
        const struct ut_counter_table *table = table_of(recording, i);
        if (!is_recorded(recording, i))
            continue;
        const void *row = table                    ? (const void *)table->values
                          : i == UT_RECORDING_TIME ? (const void *)&time
                                                   : (const void *)&check;
        if (table)
            check = ut_cli_fnv(check, row, table->lines * table->fields * sizeof *table->values);
        status = untorn_append(recording->arrays[i], 0, 1, NULL, row);
    }
    if (status == UNTORN_OK)
        status = untorn_commit(recording->writer, NULL);
    if (status == UNTORN_OK) {
        recording->last_time = time;
        recording->rows++;
        return 0;
    }
    int exit_status;
    if (status == UNTORN_E_NO_SPACE)
        exit_status = ut_cli_say_failed(
            "segment \"%s\" is full after %llu rows (%s); a segment made "
            "with a larger --size holds more, one with a --store goes on",
            recording->segment, (unsigned long long)recording->rows, untorn_message());
    else
        exit_status = ut_cli_say_status(status);
    untorn_abort(recording->writer);
    return exit_status;
}
