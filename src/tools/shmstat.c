// SPDX-License-Identifier: MIT
/*
 * The command shmstat: looks at segments and changes nothing.
 *
 * With an interval on a terminal each look is written over the one before, cut to the screen;
 * elsewhere they follow one another.  Each is one write, so that no half is ever seen.
 */
#include "tools/shmstat.h"

#include "tools/interrupt.h"
#include "tools/shmstat_format.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void ut_stat_say(const char *format, ...) {
    char sentence[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    struct ut_text clean = {NULL, 0, 0, false};
    ut_stat_name(sentence, &clean);
    fprintf(stderr, "shmstat: %s\n", clean.bytes != NULL ? clean.bytes : "out of memory");
    ut_cli_text_free(&clean);
}

/* --- the screen --- */

/* As many bytes of a line as fit into `columns` places. */
static size_t fitting(const char *line, size_t length, unsigned columns) {
    size_t used = 0;
    unsigned width = 0;
    while (used < length) {
        size_t next = used + 1;
        while (next < length && ((unsigned char)line[next] & 0xc0) == 0x80)
            next++;
        char character[8] = "";
        if (next - used < sizeof character)
            memcpy(character, line + used, next - used);
        width += ut_stat_width(character);
        if (width > columns)
            break;
        used = next;
    }
    return used;
}

/* From the upper left corner; every line is erased behind its end, and all below the last. */
static void put_on_screen(const char *text, struct ut_text *out) {
    struct winsize size;
    unsigned rows = 24, columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 && size.ws_col > 0) {
        rows = size.ws_row;
        columns = size.ws_col;
    }
    ut_cli_text_add(out, "\033[H");
    for (unsigned row = 0; row + 1 < rows && *text != '\0'; row++) {
        size_t length = strcspn(text, "\n");
        ut_cli_text_add_bytes(out, text, fitting(text, length, columns));
        ut_cli_text_add(out, "\033[K\r\n");
        text += length + (text[length] == '\n');
    }
    ut_cli_text_add(out, "\033[J");
}

static bool write_out(const struct ut_text *text) {
    if (text->failed) {
        ut_stat_say("out of memory");
        return false;
    }
    if (fwrite(text->bytes, 1, text->length, stdout) != text->length || fflush(stdout) != 0) {
        ut_stat_say("standard output: %s", strerror(errno));
        return false;
    }
    return true;
}

/* --- looks --- */

static void say_failures(const struct ut_stat_sample *sample) {
    for (size_t i = 0; i < sample->count; i++)
        if (sample->segments[i].error != NULL)
            ut_stat_say("%s", sample->segments[i].error);
    if (sample->complaint != NULL)
        ut_stat_say("%s", sample->complaint);
}

/* 0, or an exit status. */
static int print(const struct ut_stat_sample *sample, const struct ut_stat_options *options,
                 bool screen, bool first) {
    struct ut_text text = {NULL, 0, 0, false}, out = {NULL, 0, 0, false};
    int exit_status = 0;
    ut_cli_text_add(&text, "");
    if (options->format == UT_STAT_JSON) {
        ut_stat_print_json(sample, options, &text);
    } else if (options->format == UT_STAT_PROMETHEUS) {
        ut_stat_print_prometheus(sample, &text);
    } else {
        char now[UT_STAT_FIELD];
        ut_stat_time(sample->time, now);
        if (options->interval != 0)
            ut_cli_text_format(&text, "%s%s\n", first || screen ? "" : "\n", now);
        if (!ut_stat_print_text(sample, options, &text))
            exit_status = 2;
    }
    if (screen && !text.failed)
        put_on_screen(text.bytes, &out);
    if (exit_status == 0 && !write_out(screen ? &out : &text))
        exit_status = 1;
    ut_cli_text_free(&text);
    ut_cli_text_free(&out);
    return exit_status;
}

static int look_around(const struct ut_stat_options *options) {
    bool screen =
        options->interval != 0 && options->format == UT_STAT_TEXT && isatty(STDOUT_FILENO);
    struct ut_stat_sample sample, before;
    bool has_before = false;
    int exit_status = 0;
    unsigned failures = 0;
    int64_t next = ut_cli_monotonic_now();
    if (screen)
        fputs("\033[H\033[2J", stdout);
    for (uint64_t i = 0; options->count == 0 || i < options->count; i++) {
        exit_status = ut_stat_take(options, has_before ? &before : NULL, &sample);
        if (has_before)
            ut_stat_free(&before);
        has_before = true;
        sample.screen = screen;
        if (exit_status == 0)
            exit_status = print(&sample, options, screen, i == 0);
        failures = sample.failures;
        if (exit_status == 0 && !screen)
            say_failures(&sample);
        before = sample;
        if (exit_status != 0 || options->interval == 0 || options->count == i + 1)
            break;
        next += options->interval;
        if (!ut_cli_interrupt_sleep_until(next))
            break;
    }
    if (has_before)
        ut_stat_free(&before);
    return exit_status != 0 ? exit_status : failures > 0;
}

int main(int argc, char **argv) {
    /* For the widths of characters; the output is UTF-8 wherever it goes. */
    setlocale(LC_CTYPE, "C.UTF-8");
    struct ut_stat_options options;
    bool done;
    int exit_status = ut_stat_options_parse(argc, argv, &options, &done);
    if (exit_status == 0 && !done) {
        if (options.interval != 0)
            ut_cli_interrupt_catch();
        exit_status = look_around(&options);
    }
    if (fflush(stdout) != 0 && exit_status == 0)
        exit_status = 1;
    ut_stat_options_free(&options);
    return exit_status;
}
