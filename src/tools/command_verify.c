// SPDX-License-Identifier: MIT
/*
 * untorn verify: every file of a store against its hash; every array of a segment by reading it.
 *
 * A line on standard output for each thing that is damaged, a summary on standard error.
 */
#include "tools/command.h"
#include "tools/progress.h"
#include "tools/say.h"
#include "tools/segment_check.h"
#include "tools/store_operand.h"
#include "tools/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct verification {
    bool json;
    bool failed;          /* something is damaged */
    uint64_t lines;       /* printed so far */
    struct ut_text lists; /* JSON strings of what is damaged */
};

/* An untorn_verify_options.damaged, and what segment_check.h calls. */
static void on_damaged(void *context, const char *sentence) {
    struct verification *verification = context;
    ut_cli_progress_clear();
    verification->failed = true;
    if (!verification->json) {
        printf("%s\n", sentence);
    } else {
        ut_cli_text_add(&verification->lists, verification->lines ? "," : "");
        ut_cli_text_json_string(&verification->lists, sentence, strlen(sentence));
    }
    verification->lines++;
}

static void on_progress(void *context, uint64_t done, uint64_t total) {
    (void)context;
    if (ut_cli_progress_due())
        ut_cli_progress_show("verifying: %llu of %llu MiB", (unsigned long long)(done >> 20),
                             (unsigned long long)(total >> 20));
}

static void add_damage(struct verification *verification, struct ut_text *text) {
    ut_cli_text_add(text, ",\"damage\":[");
    if (verification->lists.length)
        ut_cli_text_add_bytes(text, verification->lists.bytes, verification->lists.length);
    ut_cli_text_add(text, "]");
    verification->lists.length = 0;
    verification->lines = 0;
}

static const char *plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

static const char *size_text(uint64_t bytes, char text[static 32]) {
    if (bytes < UINT64_C(1) << 20)
        snprintf(text, 32, "%llu byte%s", (unsigned long long)bytes, plural(bytes));
    else
        snprintf(text, 32, "%.1f MiB", (double)bytes / 1048576);
    return text;
}

static int verify_store(struct verification *verification, const char *store,
                        struct ut_text *text) {
    untorn_verify_options options = UNTORN_VERIFY_OPTIONS_INIT;
    options.progress = on_progress;
    options.damaged = on_damaged;
    options.context = verification;
    untorn_verify_result result = {.snapshots = 0};
    char size[32];
    untorn_status status = untorn_store_verify(store, &options, &result);
    ut_cli_progress_clear();
    if (status != UNTORN_OK && status != UNTORN_E_CORRUPT)
        return ut_cli_say_status(status);
    // Also what has no file of its own to be named.
    if (status == UNTORN_E_CORRUPT && !verification->failed)
        on_damaged(verification, untorn_message());
    ut_cli_say("store \"%s\": %llu snapshot%s, %llu array%s, %llu chunk file%s of %s: %llu damaged",
               store, (unsigned long long)result.snapshots, plural(result.snapshots),
               (unsigned long long)result.arrays, plural(result.arrays),
               (unsigned long long)result.chunks, plural(result.chunks),
               size_text(result.bytes, size), (unsigned long long)result.damaged);
    ut_cli_text_add(text, "\"store\":{\"path\":");
    ut_cli_text_json_string(text, store, strlen(store));
    ut_cli_text_format(text, ",\"snapshots\":%llu,\"arrays\":%llu,\"chunks\":%llu,\"bytes\":%llu",
                       (unsigned long long)result.snapshots, (unsigned long long)result.arrays,
                       (unsigned long long)result.chunks, (unsigned long long)result.bytes);
    add_damage(verification, text);
    ut_cli_text_add(text, "}");
    return 0;
}

static int verify_segment(struct verification *verification, const char *segment,
                          struct ut_text *text) {
    untorn_reader *reader;
    untorn_flush_state state;
    char size[32];
    untorn_status status = untorn_reader_open(segment, NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    struct ut_segment_check check = {.damaged = on_damaged, .context = verification};
    int exit_status = ut_cli_segment_check(reader, &check);
    if (exit_status)
        goto close_reader;
    ut_cli_say("segment \"%s\": %llu array%s of %s: %llu damaged", segment,
               (unsigned long long)check.arrays, plural(check.arrays), size_text(check.bytes, size),
               (unsigned long long)check.bad);
    ut_cli_text_add(text, "\"segment\":{\"name\":");
    ut_cli_text_json_string(text, segment, strlen(segment));
    ut_cli_text_format(text, ",\"arrays\":%llu,\"bytes\":%llu", (unsigned long long)check.arrays,
                       (unsigned long long)check.bytes);
    add_damage(verification, text);
    ut_cli_text_add(text, "}");
    status = untorn_reader_flush_state(reader, &state);
    if (status != UNTORN_OK) {
        exit_status = ut_cli_say_status(status);
    } else if (state.store[0]) {
        bool failed = verification->failed;
        verification->failed = false;
        ut_cli_text_add(text, ",");
        exit_status = verify_store(verification, state.store, text);
        verification->failed |= failed;
    }
close_reader:
    untorn_reader_close(reader);
    return exit_status;
}

static int run(const struct ut_arguments *arguments) {
    const char *operand = arguments->operands[0];
    struct verification verification = {.json = ut_cli_option(arguments, "json") != NULL};
    struct ut_text text = {.bytes = NULL};
    ut_cli_text_add(&text, "{");
    int exit_status = ut_cli_operand_is_store(operand)
                          ? verify_store(&verification, operand, &text)
                          : verify_segment(&verification, operand, &text);
    ut_cli_text_add(&text, "}\n");
    if (exit_status == 0 && (text.failed || verification.lists.failed))
        exit_status = ut_cli_say_failed("out of memory");
    if (exit_status == 0 && verification.json)
        fwrite(text.bytes, 1, text.length, stdout);
    ut_cli_text_free(&text);
    ut_cli_text_free(&verification.lists);
    if (exit_status == 0)
        exit_status = ut_cli_command_finish_printing();
    return exit_status ? exit_status : verification.failed ? UT_EXIT_FAILED : 0;
}

static const struct ut_option options[] = {{"json", 0, NULL, "print a JSON object"},
                                           {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_verify = {
    .name = "verify",
    .operands = "STORE|SEGMENT [--json]",
    .summary = "check every file of a store, every array of a segment",
    .notes =
        "STORE is a path with a '/' or a directory that exists: every file of all its snapshots\n"
        "is checked against its hash, and every chunk decompressed. Of a segment every array is\n"
        "read, and its store is checked if it has one. A live writer may go on meanwhile.\n"
        "Prints a line for everything that is damaged, on standard output, and a summary on\n"
        "standard error. The exit status is 1 if anything is damaged.\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
