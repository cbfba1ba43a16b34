// SPDX-License-Identifier: MIT
/*
 * Opening writers and defining arrays from options (see session.h).
 */
#include "tools/session.h"

#include "tools/notice.h"
#include "tools/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROWING_CHUNK_BYTES (1u << 20)

static int parse_interval(const struct ut_arguments *arguments, int64_t *interval) {
    const char *text = ut_cli_option(arguments, "flush-interval");
    if (text && strcmp(text, "on-demand") == 0) {
        *interval = UNTORN_ON_DEMAND;
        return 0;
    }
    int exit_status = ut_cli_option_duration(arguments, "flush-interval", interval);
    if (exit_status == 0 && text && *interval == 0)
        return ut_cli_say_usage("--flush-interval: the time must be above 0, or \"on-demand\"");
    return exit_status;
}

int ut_cli_session_flush_options(const struct ut_arguments *arguments,
                                 untorn_writer_options *options) {
    uint64_t format = 0, keep = 0, threads = 0;
    int exit_status = parse_interval(arguments, &options->flush_interval);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "format", 2, 3, &format);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "keep", 1, 1000000, &keep);
    if (exit_status == 0)
        exit_status = ut_cli_option_duration(arguments, "keep-time", &options->keep_time);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "flush-threads", 1, 256, &threads);
    options->store_format = (unsigned)format;
    options->keep_snapshots = (unsigned)keep;
    options->flush_threads = (unsigned)threads;
    // To the library 0 is "not said"; a nanosecond is as good as none.
    if (ut_cli_option(arguments, "keep-time") && options->keep_time == 0)
        options->keep_time = 1;
    return exit_status;
}

/* The options of a store mean nothing without one. */
static int check_has_store(const struct ut_arguments *arguments, const char *segment) {
    static const char *const names[] = {"flush-interval", "format", "keep", "keep-time",
                                        "flush-threads"};
    unsigned i = 0;
    while (i < sizeof names / sizeof *names && !ut_cli_option(arguments, names[i]))
        i++;
    if (i == sizeof names / sizeof *names)
        return 0;
    untorn_reader *reader;
    untorn_flush_state state = {.store = ""};
    if (untorn_reader_open(segment, NULL, &reader) == UNTORN_OK) {
        untorn_status status = untorn_reader_flush_state(reader, &state);
        untorn_reader_close(reader);
        if (status != UNTORN_OK || state.store[0])
            return 0;
    }
    return ut_cli_say_usage("--%s needs --store: segment \"%s\" has no store", names[i], segment);
}

int ut_cli_session_open(const struct ut_arguments *arguments, const char *segment, unsigned flags,
                        untorn_writer **writer) {
    return ut_cli_session_open_store(arguments, segment, NULL, flags, writer);
}

int ut_cli_session_open_store(const struct ut_arguments *arguments, const char *segment,
                              const char *store, unsigned flags, untorn_writer **writer) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = flags;
    options.store = store ? store : ut_cli_option(arguments, "store");
    options.notify = ut_cli_notice;
    uint64_t versions = 0;
    int64_t lease = 0;
    int exit_status = ut_cli_session_flush_options(arguments, &options);
    if (exit_status == 0 && options.store && !*options.store)
        exit_status = ut_cli_say_usage("--store: the directory's name is empty");
    if (exit_status == 0 && !options.store)
        exit_status = check_has_store(arguments, segment);
    if (exit_status == 0)
        exit_status = ut_cli_option_size(arguments, "size", &options.size);
    if (exit_status == 0)
        exit_status = ut_cli_option_mode(arguments, "mode", &options.mode);
    if (exit_status == 0)
        exit_status = ut_cli_option_mode(arguments, "control-mode", &options.control_mode);
    if (exit_status == 0)
        exit_status = ut_cli_option_count(arguments, "versions", 2, 64, &versions);
    if (exit_status == 0)
        exit_status = ut_cli_option_duration(arguments, "lease", &lease);
    if (exit_status)
        return exit_status;
    if (lease > INT64_C(86400000000000) || (lease < 1000000 && ut_cli_option(arguments, "lease")))
        return ut_cli_say_usage("--lease: must be between 1ms and 1d");
    options.versions = (unsigned)versions;
    options.lease_ms = (unsigned)(lease / 1000000);

    untorn_status status = untorn_writer_open(segment, &options, writer);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    if (!untorn_writer_adopted(*writer))
        return 0;
    static const char *const names[] = {"size", "versions", "mode", "control-mode", "lease"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (ut_cli_option(arguments, names[i]))
            ut_cli_say("segment \"%s\" exists and keeps its own settings: --%s is ignored", segment,
                       names[i]);
    return 0;
}

int ut_cli_session_close(untorn_writer *writer, int exit_status) {
    if (!writer)
        return exit_status;
    // Closing flushes, but cannot tell how that went.
    untorn_status status = untorn_flush(writer, NULL);
    if (status != UNTORN_OK && status != UNTORN_E_STATE) {
        ut_cli_say("what was committed is in memory, but flushing it failed: %s", untorn_message());
        exit_status = exit_status ? exit_status : UT_EXIT_FAILED;
    }
    untorn_writer_close(writer);
    return exit_status;
}

const char *ut_cli_shape_text(unsigned rank, const uint64_t *shape, char *text, size_t size) {
    size_t length = 0;
    snprintf(text, size, "()");
    for (unsigned i = 0; i < rank && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, i ? ",%llu" : "%llu",
                                   (unsigned long long)shape[i]);
    return text;
}

/* "t,x" into names; an empty one is no name. */
static int split_dimensions(struct ut_array_plan *plan, const char *text) {
    plan->dimension_text = strdup(text);
    if (!plan->dimension_text)
        return ut_cli_say_failed("out of memory");
    unsigned count = 0;
    char *rest = plan->dimension_text;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (count < UNTORN_MAX_RANK)
            plan->dimension_names[count] = *name ? name : NULL;
        count++;
    }
    unsigned rank = plan->definition.rank;
    if (count != rank && !(rank == 0 && !*text))
        return ut_cli_say_usage("--dims: \"%s\" has %u name%s, the array has %u ax%s", text, count,
                                count == 1 ? "" : "s", rank, rank == 1 ? "is" : "es");
    plan->definition.dimension_names = plan->dimension_names;
    return 0;
}

static int parse_chunks(const struct ut_arguments *arguments, struct ut_array_plan *plan) {
    unsigned rank;
    int exit_status = ut_cli_option_shape(arguments, "chunks", &rank, plan->chunks);
    if (exit_status)
        return exit_status;
    if (rank != plan->definition.rank)
        return ut_cli_say_usage("--chunks: \"%s\" has %u ax%s, the array has %u",
                                ut_cli_option(arguments, "chunks"), rank, rank == 1 ? "is" : "es",
                                plan->definition.rank);
    for (unsigned i = 0; i < rank; i++)
        if (plan->chunks[i] == 0)
            return ut_cli_say_usage("--chunks: lengths must be at least 1");
    plan->definition.chunks = plan->chunks;
    return 0;
}

int ut_cli_array_plan_make(const struct ut_arguments *arguments, const char *segment,
                           const char *name, const struct ut_element_type *type, unsigned rank,
                           const uint64_t *shape, struct ut_array_plan *plan) {
    memset(plan, 0, sizeof *plan);
    plan->segment = segment;
    plan->name = name;
    plan->type = *type;
    if (rank)
        memcpy(plan->shape, shape, rank * sizeof *shape);
    plan->definition = (untorn_definition)UNTORN_DEFINITION_INIT;
    plan->definition.dtype = plan->type.text;
    plan->definition.rank = rank;
    plan->definition.shape = plan->shape;
    plan->definition.attributes = ut_cli_option(arguments, "attrs");
    plan->definition.codec = ut_cli_option(arguments, "codec");

    const char *codec = plan->definition.codec;
    if (codec && strcmp(codec, "lz4") != 0 && strcmp(codec, "none") != 0)
        return ut_cli_say_usage("--codec: \"%s\" is neither lz4 nor none", codec);
    int exit_status = 0;
    if (ut_cli_option(arguments, "chunks"))
        exit_status = parse_chunks(arguments, plan);
    if (exit_status == 0 && ut_cli_option(arguments, "dims"))
        exit_status = split_dimensions(plan, ut_cli_option(arguments, "dims"));
    const char *fill = ut_cli_option(arguments, "fill");
    if (exit_status || !fill)
        return exit_status;
    plan->fill = malloc(type->itemsize);
    if (!plan->fill)
        return ut_cli_say_failed("out of memory");
    if (!ut_cli_element_parse(type, fill, plan->fill))
        return ut_cli_say_usage("--fill: \"%s\" is not a value of data type %s", fill, type->text);
    plan->definition.fill = plan->fill;
    return 0;
}

void ut_cli_array_plan_free(struct ut_array_plan *plan) {
    free(plan->dimension_text);
    free(plan->fill);
    memset(plan, 0, sizeof *plan);
}

/* What untorn_require() does not compare: an option that contradicts what is there must not be
 * dropped in silence. */
static int compare_rest(const struct ut_array_plan *plan, const untorn_array_info *info) {
    const untorn_definition *wanted = &plan->definition;
    if (wanted->fill && memcmp(wanted->fill, info->fill, plan->type.itemsize) != 0)
        return ut_cli_say_failed("array \"%s\" has another fill value (put --replace redefines it)",
                                 plan->name);
    if (wanted->codec && strcmp(wanted->codec, info->codec ? info->codec : "lz4") != 0)
        return ut_cli_say_failed("array \"%s\" has the codec %s (put --replace redefines it)",
                                 plan->name, info->codec ? info->codec : "lz4");
    for (unsigned i = 0; wanted->dimension_names && i < wanted->rank; i++) {
        const char *there = info->dimension_names ? info->dimension_names[i] : NULL;
        const char *asked = wanted->dimension_names[i];
        if (strcmp(there ? there : "", asked ? asked : "") != 0)
            return ut_cli_say_failed(
                "array \"%s\" has another name for axis %u, \"%s\" (put --replace "
                "redefines it)",
                plan->name, i, there ? there : "");
    }
    return 0;
}

static int check_existing(const struct ut_array_plan *plan) {
    const untorn_definition *wanted = &plan->definition;
    if (!wanted->fill && !wanted->codec && !wanted->dimension_names)
        return 0;
    untorn_reader *reader;
    untorn_array *array;
    untorn_array_info info;
    untorn_status status = untorn_reader_open(plan->segment, NULL, &reader);
    if (status != UNTORN_OK)
        return ut_cli_say_status(status);
    status = untorn_array_open(reader, plan->name, &array);
    if (status == UNTORN_OK)
        status = untorn_array_get_info(array, &info);
    int exit_status = status == UNTORN_OK ? compare_rest(plan, &info) : ut_cli_say_status(status);
    untorn_reader_close(reader);
    return exit_status;
}

/* About 1 MiB, whole trailing axes first, and the first axis as long as that allows, for an array
 * whose first axis grows from 0. */
static void growing_chunks(const struct ut_array_plan *plan, uint64_t *chunks) {
    uint64_t room = GROWING_CHUNK_BYTES / plan->type.itemsize;
    for (unsigned i = plan->definition.rank; i-- > 0;) {
        uint64_t length = i && plan->shape[i] < room ? plan->shape[i] : room;
        chunks[i] = length ? length : 1;
        room /= chunks[i];
    }
}

static int define_array(const struct ut_array_plan *plan, untorn_writer *writer,
                        untorn_writer_array **array) {
    untorn_definition definition = plan->definition;
    uint64_t chunks[UNTORN_MAX_RANK];
    if (plan->grows && !definition.chunks) {
        growing_chunks(plan, chunks);
        definition.chunks = chunks;
    }
    untorn_status status = untorn_define(writer, plan->name, &definition, array);
    return status == UNTORN_OK ? 0 : ut_cli_say_status(status);
}

int ut_cli_array_plan_apply(const struct ut_array_plan *plan, untorn_writer *writer, bool replace,
                            untorn_writer_array **array, bool *existed) {
    untorn_status status = untorn_writer_array_open(writer, plan->name, array);
    bool exists = status == UNTORN_OK;
    if (!exists && status != UNTORN_E_NO_ARRAY)
        return ut_cli_say_status(status);
    if (existed)
        *existed = exists && !replace;
    if (exists && replace) {
        status = untorn_delete(writer, plan->name);
        if (status != UNTORN_OK)
            return ut_cli_say_status(status);
        exists = false;
    }
    if (!exists)
        return define_array(plan, writer, array);
    status = untorn_require(writer, plan->name, &plan->definition, array);
    if (status == UNTORN_E_MISMATCH)
        return ut_cli_say_failed("%s (put --replace redefines it)", untorn_message());
    if (status == UNTORN_OK && plan->definition.attributes)
        status = untorn_set_attributes(*array, plan->definition.attributes);
    return status == UNTORN_OK ? check_existing(plan) : ut_cli_say_status(status);
}
