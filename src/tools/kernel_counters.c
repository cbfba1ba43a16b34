// SPDX-License-Identifier: MIT
/*
 * Parsing /proc (see kernel_counters.h).
 *
 * The files stay open and are read from their beginning each time, which makes the kernel generate
 * them anew.  Lines come in the same order each time, so the line expected next is tried first.
 */
#include "tools/kernel_counters.h"

#include "tools/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const file_names[UT_COUNTER_FILES] = {"stat", "meminfo", "diskstats"};

static const char *const cpu_fields[] = {"user", "nice",    "system", "idle",  "iowait",
                                         "irq",  "softirq", "steal",  "guest", "guest_nice"};

static const char *const disk_fields[] = {
    "reads",          "reads_merged",    "sectors_read",    "read_ms",           "writes",
    "writes_merged",  "sectors_written", "write_ms",        "in_flight",         "io_ms",
    "weighted_io_ms", "discards",        "discards_merged", "sectors_discarded", "discard_ms",
    "flushes",        "flush_ms"};

enum {
    CPU_FIELDS = sizeof cpu_fields / sizeof *cpu_fields,
    DISK_FIELDS = sizeof disk_fields / sizeof *disk_fields
};

const char *ut_cli_counter_field_name(enum ut_counter_file file, size_t field) {
    if (file == UT_COUNTERS_CPU)
        return cpu_fields[field];
    return file == UT_COUNTERS_DISK ? disk_fields[field] : "value";
}

/* A line that holds counters. */
struct line {
    const char *name;
    size_t name_length;
    const char *numbers; /* up to the line's end */
    const char *end;
    uint64_t scale;
};

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && *at == ' ')
        at++;
    return at;
}

static const char *skip_word(const char *at, const char *end) {
    while (at < end && *at != ' ')
        at++;
    return at;
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool begins_with(const char *word, size_t length, const char *prefix) {
    return length >= strlen(prefix) && memcmp(word, prefix, strlen(prefix)) == 0;
}

/* Take the line at `at` apart; false if it is not one that is recorded. */
static bool parse_line(enum ut_counter_file file, const char *at, const char *end,
                       struct line *line) {
    *line = (struct line){.end = end, .scale = 1};
    if (file == UT_COUNTERS_DISK) {
        // Major and minor number come first.
        for (int i = 0; i < 2; i++)
            at = skip_word(skip_blanks(at, end), end);
        at = skip_blanks(at, end);
    }
    line->name = at;
    line->numbers = skip_word(at, end);
    line->name_length = (size_t)(line->numbers - at);
    switch (file) {
    case UT_COUNTERS_CPU:
        // "cpu" without a number is the sum.
        return begins_with(at, line->name_length, "cpu") && line->name_length > 3 &&
               is_digit(at[3]);
    case UT_COUNTERS_MEMORY:
        line->scale = 1024;
        if (line->name_length < 2 || at[line->name_length - 1] != ':' || end - at < 3 ||
            memcmp(end - 3, " kB", 3) != 0)
            return false;
        line->name_length--;
        return true;
    default:
        return line->name_length > 0 && !begins_with(at, line->name_length, "ram") &&
               !begins_with(at, line->name_length, "loop");
    }
}

/* Up to `most` numbers; returns how many there are. */
static size_t parse_numbers(const struct line *line, size_t most, uint64_t *values) {
    const char *at = skip_blanks(line->numbers, line->end);
    size_t count = 0;
    while (count < most && at < line->end && is_digit(*at)) {
        uint64_t value = 0;
        for (; at < line->end && is_digit(*at); at++)
            value = value * 10 + (uint64_t)(*at - '0');
        if (values)
            values[count] = value * line->scale;
        count++;
        at = skip_blanks(at, line->end);
    }
    return count;
}

/* The whole file into counters->text. */
static int read_file(struct ut_kernel_counters *counters, const struct ut_counter_table *table,
                     size_t *length) {
    *length = 0;
    for (;;) {
        if (counters->capacity - *length < 4096) {
            size_t capacity = counters->capacity ? counters->capacity * 2 : 65536;
            char *grown = realloc(counters->text, capacity);
            if (!grown)
                return ut_cli_say_failed("out of memory");
            counters->text = grown;
            counters->capacity = capacity;
        }
        ssize_t bytes = pread(table->fd, counters->text + *length, counters->capacity - *length,
                              (off_t)*length);
        if (bytes == 0)
            return 0;
        if (bytes > 0)
            *length += (size_t)bytes;
        else if (errno != EINTR)
            return ut_cli_say_failed("%s: %s", table->path, strerror(errno));
    }
}

/* Add a line's name, and settle the number of fields by the first. */
static int learn_line(struct ut_counter_table *table, const struct line *line) {
    size_t most = table->file == UT_COUNTERS_CPU      ? (size_t)CPU_FIELDS
                  : table->file == UT_COUNTERS_MEMORY ? 1
                                                      : (size_t)DISK_FIELDS;
    size_t fields = parse_numbers(line, most, NULL);
    if (table->lines == 0)
        table->fields = fields;
    if (fields < table->fields || fields == 0)
        return 0;
    char **names = realloc(table->names, (table->lines + 1) * sizeof *names);
    if (!names)
        return ut_cli_say_failed("out of memory");
    table->names = names;
    names[table->lines] = strndup(line->name, line->name_length);
    if (!names[table->lines])
        return ut_cli_say_failed("out of memory");
    table->lines++;
    return 0;
}

/* Put a line's values where its name belongs, beginning to look at *expected. */
static void store_line(struct ut_counter_table *table, const struct line *line, size_t *expected) {
    for (size_t tried = 0; tried < table->lines; tried++) {
        size_t place = (*expected + tried) % table->lines;
        const char *name = table->names[place];
        if (strncmp(name, line->name, line->name_length) != 0 || name[line->name_length])
            continue;
        parse_numbers(line, table->fields, table->values + place * table->fields);
        *expected = place + 1;
        return;
    }
}

/* Walk the lines of the text: learn them, or store their values. */
static int walk_lines(struct ut_kernel_counters *counters, struct ut_counter_table *table,
                      size_t length, bool learn) {
    const char *at = counters->text;
    const char *end = at + length;
    size_t expected = 0;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        struct line line;
        if (parse_line(table->file, at, line_end, &line)) {
            int exit_status = 0;
            if (learn)
                exit_status = learn_line(table, &line);
            else
                store_line(table, &line, &expected);
            if (exit_status)
                return exit_status;
        } else if (table->file == UT_COUNTERS_CPU && at > counters->text && expected > 0) {
            // The processors come first; the interrupt counts after them may be long.
            return 0;
        }
        at = line_end + 1;
    }
    return 0;
}

static int open_table(const char *directory, struct ut_kernel_counters *counters,
                      struct ut_counter_table *table) {
    snprintf(table->path, sizeof table->path, "%s/%s", directory, file_names[table->file]);
    table->fd = open(table->path, O_RDONLY | O_CLOEXEC);
    if (table->fd < 0)
        return errno == ENOENT || errno == EACCES
                   ? 0
                   : ut_cli_say_failed("%s: %s", table->path, strerror(errno));
    size_t length;
    int exit_status = read_file(counters, table, &length);
    if (exit_status == 0)
        exit_status = walk_lines(counters, table, length, true);
    if (exit_status || table->lines == 0)
        return exit_status;
    table->values = calloc(table->lines * table->fields, sizeof *table->values);
    return table->values ? 0 : ut_cli_say_failed("out of memory");
}

int ut_cli_kernel_counters_open(const char *directory, struct ut_kernel_counters *counters) {
    memset(counters, 0, sizeof *counters);
    for (unsigned i = 0; i < UT_COUNTER_FILES; i++) {
        counters->tables[i].file = (enum ut_counter_file)i;
        counters->tables[i].fd = -1;
    }
    size_t lines = 0;
    for (unsigned i = 0; i < UT_COUNTER_FILES; i++) {
        int exit_status = open_table(directory, counters, &counters->tables[i]);
        if (exit_status)
            return exit_status;
        lines += counters->tables[i].lines;
    }
    if (lines == 0)
        return ut_cli_say_failed("%s: none of stat, meminfo and diskstats can be read there",
                                 directory);
    return 0;
}

void ut_cli_kernel_counters_close(struct ut_kernel_counters *counters) {
    for (unsigned i = 0; i < UT_COUNTER_FILES; i++) {
        struct ut_counter_table *table = &counters->tables[i];
        if (table->fd >= 0)
            close(table->fd);
        for (size_t k = 0; k < table->lines; k++)
            free(table->names[k]);
        free(table->names);
        free(table->values);
    }
    free(counters->text);
    memset(counters, 0, sizeof *counters);
}

int ut_cli_kernel_counters_sample(struct ut_kernel_counters *counters) {
    for (unsigned i = 0; i < UT_COUNTER_FILES; i++) {
        struct ut_counter_table *table = &counters->tables[i];
        if (table->lines == 0)
            continue;
        size_t length;
        int exit_status = read_file(counters, table, &length);
        if (exit_status == 0)
            exit_status = walk_lines(counters, table, length, false);
        if (exit_status)
            return exit_status;
    }
    return 0;
}
