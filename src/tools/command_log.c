// SPDX-License-Identifier: MIT
/*
 * untorn log: commits and store snapshots that can still be read.
 *
 * One line each, ascending by commit; a commit that is in memory and in the store has two.  What
 * is printed is of one moment: a live writer takes the oldest away and adds new ones.
 */
#include "tools/command.h"
#include "tools/say.h"
#include "tools/store_operand.h"
#include "tools/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Either may be NULL. */
struct log {
    const char *segment; /* NULL: the operand is a store */
    const char *store;
    untorn_commit_listing *commits;
    untorn_store_listing *snapshots;
};

/* --- text --- */

static void add_line(struct ut_text *text, uint64_t commit, int64_t time, const char *where) {
    ut_cli_text_format(text, "%-16llu  ", (unsigned long long)commit);
    if (time)
        ut_cli_text_time(text, time);
    else
        ut_cli_text_format(text, "%-24s", "?");
    ut_cli_text_format(text, "  %-6s  ", where);
}

static void add_commit_line(struct ut_text *text, const untorn_commit_entry *entry) {
    add_line(text, entry->commit, entry->time, "memory");
    ut_cli_text_format(text, "%llu changed%s%s\n", (unsigned long long)entry->arrays,
                       entry->whole ? "" : ", some arrays only", entry->pinned ? ", pinned" : "");
}

static void add_snapshot_line(struct ut_text *text, const untorn_store_snapshot *snapshot) {
    add_line(text, snapshot->commit, snapshot->time, "store");
    if (snapshot->status == UNTORN_OK)
        ut_cli_text_format(text, "%llu %s", (unsigned long long)snapshot->arrays,
                           snapshot->arrays == 1 ? "array" : "arrays");
    else
        ut_cli_text_add(text, "damaged");
    ut_cli_text_format(text, "%s, %s\n", snapshot->latest ? ", latest" : "", snapshot->path);
}

static void add_text(const struct log *log, struct ut_text *text) {
    size_t i = 0, j = 0;
    size_t commits = log->commits ? log->commits->count : 0;
    size_t snapshots = log->snapshots ? log->snapshots->count : 0;
    ut_cli_text_format(text, "%-16s  %-24s  %-6s  %s\n", "COMMIT", "TIME", "IN", "ARRAYS");
    while (i < commits || j < snapshots) {
        bool snapshot = j < snapshots && (i == commits || log->snapshots->snapshots[j].commit <=
                                                              log->commits->commits[i].commit);
        if (snapshot)
            add_snapshot_line(text, &log->snapshots->snapshots[j++]);
        else
            add_commit_line(text, &log->commits->commits[i++]);
    }
}

/* --- JSON --- */

static void add_member(struct ut_text *text, const char *name, const char *value) {
    ut_cli_text_format(text, "\"%s\":", name);
    ut_cli_text_json_string(text, value, strlen(value));
}

static const char *truth(int value) {
    return value ? "true" : "false";
}

static void add_json_commits(const untorn_commit_listing *listing, struct ut_text *text) {
    ut_cli_text_add(text, ",\"commits\":[");
    for (size_t i = 0; i < listing->count; i++) {
        const untorn_commit_entry *entry = &listing->commits[i];
        ut_cli_text_format(
            text, "%s{\"commit\":%llu,\"time\":%lld,\"changed\":%llu,\"whole\":%s,\"pinned\":%s}",
            i ? "," : "", (unsigned long long)entry->commit, (long long)entry->time,
            (unsigned long long)entry->arrays, truth(entry->whole), truth(entry->pinned));
    }
    ut_cli_text_add(text, "]");
}

static void add_json_snapshots(const untorn_store_listing *listing, struct ut_text *text) {
    ut_cli_text_add(text, ",\"snapshots\":[");
    for (size_t i = 0; i < listing->count; i++) {
        const untorn_store_snapshot *snapshot = &listing->snapshots[i];
        ut_cli_text_format(text,
                           "%s{\"commit\":%llu,\"time\":%lld,\"arrays\":%llu,\"latest\":%s,"
                           "\"damaged\":%s,",
                           i ? "," : "", (unsigned long long)snapshot->commit,
                           (long long)snapshot->time, (unsigned long long)snapshot->arrays,
                           truth(snapshot->latest), truth(snapshot->status != UNTORN_OK));
        add_member(text, "path", snapshot->path);
        ut_cli_text_add(text, "}");
    }
    ut_cli_text_add(text, "]");
}

static void add_json(const struct log *log, struct ut_text *text) {
    ut_cli_text_add(text, "{");
    if (log->segment)
        add_member(text, "segment", log->segment);
    if (log->store) {
        ut_cli_text_add(text, log->segment ? "," : "");
        add_member(text, "store", log->store);
    }
    if (log->commits)
        add_json_commits(log->commits, text);
    if (log->snapshots)
        add_json_snapshots(log->snapshots, text);
    ut_cli_text_add(text, "}\n");
}

/* --- the command --- */

static int print(const struct ut_arguments *arguments, const struct log *log) {
    struct ut_text text = {.bytes = NULL};
    if (ut_cli_option(arguments, "json"))
        add_json(log, &text);
    else
        add_text(log, &text);
    int exit_status = text.failed ? ut_cli_say_failed("out of memory") : 0;
    if (exit_status == 0)
        fwrite(text.bytes, 1, text.length, stdout);
    ut_cli_text_free(&text);
    return exit_status ? exit_status : ut_cli_command_finish_printing();
}

/* What is in memory is printed even if the store cannot be listed. */
static int log_store(const struct ut_arguments *arguments, struct log *log) {
    int exit_status = 0;
    if (log->store) {
        untorn_status status = untorn_store_list(log->store, &log->snapshots);
        if (status != UNTORN_OK) {
            log->snapshots = NULL;
            exit_status = ut_cli_say_status(status);
        }
    }
    if (exit_status == 0 || log->commits) {
        int printed = print(arguments, log);
        exit_status = exit_status ? exit_status : printed;
    }
    untorn_store_listing_free(log->snapshots);
    return exit_status;
}

static int log_segment(const struct ut_arguments *arguments, struct log *log) {
    untorn_reader *reader;
    untorn_flush_state state;
    untorn_status status = untorn_reader_open(log->segment, NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    int exit_status;
    status = untorn_reader_flush_state(reader, &state);
    if (status == UNTORN_OK)
        status = untorn_commit_list(reader, &log->commits);
    if (status != UNTORN_OK) {
        exit_status = ut_cli_say_status(status);
    } else {
        log->store = state.store[0] ? state.store : NULL;
        exit_status = log_store(arguments, log);
        untorn_commit_listing_free(log->commits);
    }
    untorn_reader_close(reader);
    return exit_status;
}

static int run(const struct ut_arguments *arguments) {
    struct log log = {.store = NULL};
    if (ut_cli_operand_is_store(arguments->operands[0])) {
        log.store = arguments->operands[0];
        return log_store(arguments, &log);
    }
    log.segment = arguments->operands[0];
    return log_segment(arguments, &log);
}

static const struct ut_option options[] = {{"json", 0, NULL, "print a JSON object"},
                                           {NULL, 0, NULL, NULL}};

const struct ut_command ut_cli_command_log = {
    .name = "log",
    .operands = "SEGMENT|STORE [--json]",
    .summary = "list the commits and store snapshots that can still be read",
    .notes =
        "STORE is a path with a '/' or a directory that exists. Of a segment, commits in memory\n"
        "(--commit N of get and flush takes them) and the snapshots of its store. The last\n"
        "column tells how many arrays a commit changed, as far as that is still known, and\n"
        "whether only some of all arrays can be read as of it; or how many arrays a store\n"
        "snapshot has, whether STORE/latest names it or it is damaged, and where it is.\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
