// SPDX-License-Identifier: MIT
/*
 * P9: a full mount is UNTORN_E_NO_SPACE from the call that needed the space, never
 * SIGBUS, and leaves the last commit intact.  Each test is a child in a mount
 * namespace of its own with a small tmpfs for the segments, so this needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/ledger.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/pattern.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/stamped.h"

#define SEGMENT "full"
#define CANNOT_MOUNT 77

struct place {
    const char *directory;
    void (*run)(void);
    unsigned mebibytes;
};

static int run_in_small_mount(void *argument, int report, int orders) {
    struct place *place = argument;
    char options[40];
    (void)report;
    (void)orders;
    snprintf(options, sizeof options, "size=%um", place->mebibytes);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", place->directory, "tmpfs", 0, options) != 0)
        return CANNOT_MOUNT;
    setenv("UNTORN_SHM_DIR", place->directory, 1);
    place->run();
    return 0;
}

static void in_small_mount(unsigned mebibytes, void (*run)(void)) {
    struct place place = {test_directory("mount"), run, mebibytes};
    struct test_child child = test_child_start(run_in_small_mount, &place);
    int status = test_child_wait(&child);
    if (status == CANNOT_MOUNT)
        skip_because("cannot mount a tmpfs of its own");
    must(status == 0, "%s %d", status >= 256 ? "signal" : "exit status",
         status >= 256 ? status - 256 : status);
}

// Take all that is left of the mount, byte by byte at the end.
static void fill_mount(void) {
    char path[300];
    char block[4096] = {0};
    snprintf(path, sizeof path, "%s/filler", test_shm_dir());
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(fd >= 0 || errno == ENOSPC, "%s: %s", path, strerror(errno));
    while (fd >= 0 && write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

// Take what is left of the mount but for about `bytes`.
static void fill_mount_but(off_t bytes) {
    char path[300];
    fill_mount();
    snprintf(path, sizeof path, "%s/filler", test_shm_dir());
    struct stat file;
    must(stat(path, &file) == 0 && file.st_size > bytes &&
             truncate(path, file.st_size - bytes) == 0,
         "%s: %s", path, strerror(errno));
}

static void empty_mount(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/filler", test_shm_dir());
    unlink(path);
}

/* ---- creation ---- */

static void create_on_a_full_mount(void) {
    untorn_writer *writer = NULL;
    fill_mount();
    must_say(UNTORN_E_NO_SPACE, SEGMENT, untorn_writer_open(SEGMENT, NULL, &writer));
    empty_mount();
    must(test_segment_files("untorn." SEGMENT) <= 1, "a failed creation leaves its files");
    must_ok(untorn_writer_open(SEGMENT, NULL, &writer));
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(SEGMENT));
}

static void P9_creation_on_a_full_mount_is_an_error(void **state) {
    (void)state;
    skip_under_tsan();
    in_small_mount(2, create_on_a_full_mount);
}

/* ---- growth ---- */

static const struct stamped kept = {"kept", 1, "f8", 1, {20000}, {1000}};

static void must_still_read(untorn_reader *reader, untorn_array *array, uint64_t wanted) {
    uint64_t stamp = 0;
    untorn_result result;
    must_ok(stamped_read(array, &kept, &stamp, &result));
    must(stamp == wanted, "stamp %llu, wanted %llu", (unsigned long long)stamp,
         (unsigned long long)wanted);
    untorn_snapshot *snapshot = NULL;
    must_ok(untorn_snapshot_open(reader, &array, 1, UNTORN_NEWEST, &snapshot));
    must_ok(stamped_snapshot_read(snapshot, 0, &kept, &stamp));
    must(stamp == wanted, "a snapshot's stamp");
    untorn_snapshot_close(snapshot);
}

// Append until there is no space; returns the length that was committed.
static uint64_t append_until_full(untorn_writer *writer, untorn_writer_array *array) {
    static uint64_t rows[500];
    uint64_t length = 0;
    for (;;) {
        for (uint64_t i = 0; i < 500; i++)
            rows[i] = length + i;
        untorn_status status = untorn_append(array, 0, 500, NULL, rows);
        if (status == UNTORN_OK)
            status = untorn_commit(writer, NULL);
        if (status == UNTORN_E_NO_SPACE) { // of the segment there would be plenty
            must(strstr(untorn_message(), "could not grow: No space left on device") &&
                     strstr(untorn_message(), "bytes of its mount are free"),
                 "%s", untorn_message());
            return length;
        }
        must_ok(status);
        length += 500;
        must(length < 10000000, "the mount is not full yet");
    }
}

static untorn_writer_array *define_rows(untorn_writer *writer) {
    uint64_t zero = 0;
    uint64_t chunk = 1024;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array = NULL;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &zero;
    definition.chunks = &chunk;
    must_ok(untorn_require(writer, "rows", &definition, &array));
    return array;
}

static void check_rows(untorn_reader *reader, uint64_t length) {
    untorn_array *rows = NULL;
    untorn_result result;
    must_ok(untorn_array_open(reader, "rows", &rows));
    must_ok(untorn_peek(rows, &result));
    must(result.shape[0] == length, "%llu rows, wanted %llu", (unsigned long long)result.shape[0],
         (unsigned long long)length);
    uint64_t *values = malloc((size_t)length * 8 + 8);
    must_ok(untorn_read(rows, NULL, NULL, values, (size_t)length * 8, &result));
    for (uint64_t i = 0; i < length; i++)
        must(values[i] == i, "row %llu is %llu", (unsigned long long)i,
             (unsigned long long)values[i]);
    free(values);
    untorn_array_close(rows);
}

// A segment that may grow beyond its mount.
static void outgrow_the_mount(void) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 64u << 20;
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    must_ok(untorn_writer_open(SEGMENT, &options, &writer));
    untorn_writer_array *handle = stamped_require(writer, &kept);
    untorn_writer_array *rows = define_rows(writer);
    must_ok(stamped_write(handle, &kept, 3));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_reader_open(SEGMENT, NULL, &reader));
    must_ok(untorn_array_open(reader, "kept", &array));
    for (int round = 0; round < 3; round++) {
        uint64_t length = append_until_full(writer, rows);
        must(length > 0 || round, "no room at all");
        must_still_read(reader, array, 3);
        untorn_abort(writer);
        check_rows(reader, length);
        // A reader that comes now finds its way in on a full mount.
        untorn_reader *late = NULL;
        must_ok(untorn_reader_open(SEGMENT, NULL, &late));
        check_rows(late, length);
        untorn_reader_close(late);
        // What was there is given back and used again.
        must_ok(untorn_delete(writer, "rows"));
        must_ok(untorn_commit(writer, NULL));
        rows = define_rows(writer);
        must_ok(untorn_commit(writer, NULL));
    }
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(SEGMENT));
}

static void P9_a_segment_larger_than_its_mount(void **state) {
    (void)state;
    skip_under_tsan();
    in_small_mount(6, outgrow_the_mount);
}

/* ---- somebody else takes the space ---- */

static void lose_the_mount(void) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 6u << 20;
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    must_ok(untorn_writer_open(SEGMENT, &options, &writer));
    untorn_writer_array *handle = stamped_require(writer, &kept);
    must_ok(stamped_write(handle, &kept, 1));
    must_ok(untorn_commit(writer, NULL));
    fill_mount();
    must_ok(untorn_reader_open(SEGMENT, NULL, &reader));
    must_ok(untorn_array_open(reader, "kept", &array));
    must_still_read(reader, array, 1);
    untorn_status status = UNTORN_OK;
    uint64_t stamp = 1; // what the segment has already is reused without the mount
    for (int i = 0; i < 100 && status == UNTORN_OK; i++) {
        status = stamped_write(handle, &kept, stamp + 1);
        if (status == UNTORN_OK)
            status = untorn_commit(writer, NULL);
        if (status == UNTORN_OK)
            must_still_read(reader, array, ++stamp);
    }
    if (status != UNTORN_OK) {
        must(status == UNTORN_E_NO_SPACE, "status %d: %s", (int)status, untorn_message());
        untorn_abort(writer);
        must_still_read(reader, array, stamp);
    }
    // The writer closes, and another adopts, on a full mount.
    untorn_writer_close(writer);
    must_still_read(reader, array, stamp);
    must_ok(untorn_writer_open(SEGMENT, NULL, &writer));
    must_ok(untorn_reader_check(reader));
    empty_mount();
    must_still_read(reader, array, stamp);
    handle = stamped_require(writer, &kept);
    must_ok(stamped_write(handle, &kept, 50));
    must_ok(untorn_commit(writer, NULL));
    must_still_read(reader, array, 50);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(SEGMENT));
}

static void P9_a_mount_that_others_fill(void **state) {
    (void)state;
    skip_under_tsan();
    in_small_mount(8, lose_the_mount);
}

/* ---- every call on a mount that is full now and then ---- */

static void live_on_the_edge(void) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    struct test_rng rng = {test_seed()};
    options.size = 32u << 20;
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    must_ok(untorn_writer_open(SEGMENT, &options, &writer));
    untorn_writer_array *handle = stamped_require(writer, &kept);
    untorn_writer_array *rows = define_rows(writer);
    must_ok(stamped_write(handle, &kept, 1));
    must_ok(untorn_commit(writer, NULL));
    must_ok(untorn_reader_open(SEGMENT, NULL, &reader));
    untorn_array *array = NULL;
    must_ok(untorn_array_open(reader, "kept", &array));
    uint64_t stamp = 1;
    uint64_t length = 0;
    uint64_t refused = 0;
    static uint64_t values[4000];
    uint64_t rounds = test_count(2000);
    for (uint64_t i = 0; i < rounds; i++) {
        if (rng_chance(&rng, 20))
            fill_mount();
        else if (rng_chance(&rng, 20))
            empty_mount();
        uint64_t grown = rng_below(&rng, 4000);
        for (uint64_t j = 0; j < grown; j++)
            values[j] = length + j;
        untorn_status status = untorn_append(rows, 0, grown, NULL, values);
        if (status == UNTORN_OK)
            status = rng_chance(&rng, 50) ? stamped_write(handle, &kept, stamp + 1)
                                          : stamped_fill(handle, &kept, stamp + 1);
        if (status == UNTORN_OK)
            status = untorn_commit(writer, NULL);
        if (status == UNTORN_OK) {
            stamp++;
            length += grown;
        } else {
            must(status == UNTORN_E_NO_SPACE, "status %d: %s", (int)status, untorn_message());
            refused++;
            untorn_abort(writer);
        }
        must_still_read(reader, array, stamp);
        if (i % 16 == 0)
            check_rows(reader, length);
        if (status != UNTORN_OK && rng_chance(&rng, 30)) { // make room
            uint64_t zero = 0;
            status = untorn_resize(rows, &zero);
            if (status == UNTORN_OK)
                status = untorn_commit(writer, NULL);
            if (status == UNTORN_OK)
                length = 0;
            else
                untorn_abort(writer);
        }
    }
    printf("%llu of %llu transactions were refused\n", (unsigned long long)refused,
           (unsigned long long)rounds);
    check_rows(reader, length);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(SEGMENT));
}

static void P9_a_mount_that_is_full_now_and_then(void **state) {
    (void)state;
    skip_under_tsan();
    test_seed();
    in_small_mount(4, live_on_the_edge);
}

/* ---- a segment of fixed size, without a mount ---- */

static void P9_a_full_segment_is_an_error_that_names_what_is_full(void **state) {
    (void)state;
    const char *segment = test_segment("small");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 1u << 20;
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(segment, &options, &writer));
    uint64_t length = 10u << 20;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *big = NULL;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &length;
    must_ok(untorn_define(writer, "big", &definition, &big)); // absent chunks cost nothing
    must_ok(untorn_commit(writer, NULL));
    void *bytes = calloc(1, (size_t)length);
    must_say(UNTORN_E_NO_SPACE, segment, untorn_write(big, NULL, NULL, NULL, bytes));
    must(!strstr(untorn_message(), "mount"), "%s", untorn_message());
    untorn_abort(writer);
    untorn_reader *reader = NULL;
    untorn_stat stat;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_reader_stat(reader, &stat));
    must(stat.reserved <= stat.size && stat.size <= options.size, "it outgrew its size: %llu",
         (unsigned long long)stat.reserved);
    untorn_reader_close(reader);
    free(bytes);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

/* ---- huge pages ---- */

// Bytes of a segment that are mapped by huge pages.
static uint64_t huge_bytes(const char *segment) {
    char line[1024], name[300];
    unsigned long long begin, end, kib, bytes = 0;
    int within = 0;
    FILE *maps = fopen("/proc/self/smaps", "r");
    must(maps != NULL, "/proc/self/smaps");
    snprintf(name, sizeof name, "untorn.%s\n", segment);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2)
            within = strstr(line, name) != NULL;
        else if (within && sscanf(line, "ShmemPmdMapped: %llu kB", &kib) == 1)
            bytes += kib * 1024;
    }
    fclose(maps);
    return bytes;
}

static void write_large(untorn_writer *writer, untorn_status expected) {
    static const struct stamped large = {"large", 2, "u8", 1, {1 << 20}, {1 << 20}};
    untorn_writer_array *handle = stamped_require(writer, &large);
    untorn_status status = stamped_write(handle, &large, 1);
    must_be(expected, status == UNTORN_OK ? untorn_commit(writer, NULL) : status);
    if (status != UNTORN_OK)
        untorn_abort(writer);
}

// A writer that once met a full mount has huge pages later, if one that did not has some.
static void grow_when_it_is_empty_again(void) {
    untorn_writer *met, *spared;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 32 << 20;
    must_ok(untorn_writer_open("met", &options, &met));
    fill_mount_but(3 << 20);
    write_large(met, UNTORN_E_NO_SPACE);
    empty_mount();
    write_large(met, UNTORN_OK);
    must_ok(untorn_writer_open("spared", &options, &spared));
    write_large(spared, UNTORN_OK);
    must(huge_bytes("met") != 0 || huge_bytes("spared") == 0,
         "no huge page, where another has %llu", (unsigned long long)huge_bytes("spared"));
    untorn_writer_close(met);
    untorn_writer_close(spared);
    must_ok(untorn_segment_remove("met"));
    must_ok(untorn_segment_remove("spared"));
}

static void huge_pages_are_asked_for_again_when_a_full_mount_is_empty(void **state) {
    (void)state;
    skip_under_tsan();
    in_small_mount(64, grow_when_it_is_empty_again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P9_creation_on_a_full_mount_is_an_error),
        cmocka_unit_test(P9_a_segment_larger_than_its_mount),
        cmocka_unit_test(P9_a_mount_that_others_fill),
        cmocka_unit_test(P9_a_mount_that_is_full_now_and_then),
        cmocka_unit_test(P9_a_full_segment_is_an_error_that_names_what_is_full),
        cmocka_unit_test(huge_pages_are_asked_for_again_when_a_full_mount_is_empty),
    };
    return cmocka_run_group_tests_name("full mount", tests, NULL, NULL);
}
