// SPDX-License-Identifier: MIT
/*
 * Huge pages of a segment: it lies at a multiple of 2 MiB, and what it grows by is reserved in huge
 * pages where the kernel has them.  That is seen by nothing but how it is mapped: the bytes, how
 * much memory is taken and what becomes of a full mount are as with small ones.
 */
#include "base/file_ops.h"
#include "segment/huge_pages.h"
#include "support/child.h"
#include "support/must.h"
#include "support/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define CANNOT_LOCK 77

/* What /proc/self/smaps says of the mappings of files whose path ends in `name`. */
typedef struct mapped {
    unsigned count;
    unsigned askew; /* begin at no multiple of a huge page */
    uint64_t huge;  /* bytes that are mapped by huge pages */
} mapped;

static mapped look(const char *name) {
    mapped found = {0};
    FILE *maps = fopen("/proc/self/smaps", "r");
    must(maps != NULL, "/proc/self/smaps");
    char line[1024];
    int within = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long begin, end, kib;
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) {
            const char *at = strstr(line, name);
            within = at != NULL && strchr(" \n", at[strlen(name)]) != NULL; /* not its ~ctl */
            found.count += within != 0;
            found.askew += within && begin % UT_HUGE_PAGE != 0;
        } else if (within && sscanf(line, "ShmemPmdMapped: %llu kB", &kib) == 1) {
            found.huge += kib * KIB;
        }
    }
    fclose(maps);
    return found;
}

static uint32_t *fill(unsigned char *memory, uint64_t bytes) {
    uint32_t *words = (uint32_t *)(void *)memory;
    for (uint32_t i = 0; i < bytes / sizeof *words; i++)
        words[i] = i * 2654435761u;
    return words;
}

static void must_be_filled(const unsigned char *memory, uint64_t bytes) {
    const uint32_t *words = (const uint32_t *)(const void *)memory;
    for (uint32_t i = 0; i < bytes / sizeof *words; i++)
        must(words[i] == i * 2654435761u, "word %u is another", i);
}

/* Of what lies between 1 MiB, up to which the file is in use, and 7.5 MiB: whole pages alone. */
static void whole_pages_are_reserved_and_no_byte_changes(void **state) {
    (void)state;
    const uint64_t used = 1 * MIB, end = 7 * MIB + 512 * KIB;
    struct stat file;
    int fd = memfd_create("untorn-huge", MFD_CLOEXEC);
    must(fd >= 0 && posix_fallocate(fd, 0, (off_t)used) == 0, "no memory");
    unsigned char *memory = ut_huge_map(fd, 8 * MIB, PROT_READ | PROT_WRITE);
    must(memory != MAP_FAILED, "not mapped");
    must(((uintptr_t)memory & (UT_HUGE_PAGE - 1)) == 0, "at %p", (void *)memory);
    fill(memory, used);
    bool huge = ut_huge_reserve(memory, fd, used, end);
    must(fstat(fd, &file) == 0, "fstat");
    must((uint64_t)file.st_size <= end, "%llu bytes long", (unsigned long long)file.st_size);
    must(!huge || file.st_blocks * 512 == (off_t)(used + 4 * MIB), "%llu blocks are taken",
         (unsigned long long)file.st_blocks);
    must(posix_fallocate(fd, (off_t)used, (off_t)(end - used)) == 0, "no memory");
    must(fstat(fd, &file) == 0, "fstat");
    must((uint64_t)file.st_size == end && file.st_blocks * 512 == (off_t)end,
         "%llu bytes long, %llu blocks", (unsigned long long)file.st_size,
         (unsigned long long)file.st_blocks);
    must_be_filled(memory, used);
    for (uint64_t i = used; i < end; i++)
        must(memory[i] == 0, "byte %llu is not zero", (unsigned long long)i);
    must(look("untorn-huge").huge == (huge ? 4 * MIB : 0), "another number of huge pages");
    munmap(memory, 8 * MIB);
    close(fd);
    if (!huge)
        skip();
}

static void nothing_is_asked_for_where_no_whole_page_lies(void **state) {
    (void)state;
    /* No such memory and no such file: who asked for anything would be told so. */
    must(ut_huge_reserve(NULL, -1, 0, 2 * MIB - 1), "less than a page");
    must(ut_huge_reserve(NULL, -1, 1, 4 * MIB - 1), "not aligned");
    must(ut_huge_reserve(NULL, -1, 5 * MIB, 5 * MIB), "nothing");
}

/* Under mlockall(MCL_FUTURE) addresses count as locked memory, the room for alignment, too. */
static int map_locked(void *context, int report, int orders) {
    (void)context, (void)report, (void)orders;
    const struct rlimit limit = {7 * MIB, 7 * MIB};
    int fd = memfd_create("untorn-huge", MFD_CLOEXEC);
    must(fd >= 0 && posix_fallocate(fd, 0, (off_t)MIB) == 0, "no memory");
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && setresuid(1, 1, 1) != 0) ||
        mlockall(MCL_FUTURE | MCL_ONFAULT) != 0)
        return CANNOT_LOCK;
    unsigned char *memory = mmap(NULL, 4 * MIB, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return CANNOT_LOCK;
    munmap(memory, 4 * MIB);
    memory = ut_huge_map(fd, 4 * MIB, PROT_READ);
    must(memory != MAP_FAILED && memory[0] == 0, "not mapped: %s", strerror(errno));
    munmap(memory, 4 * MIB);
    must(mmap(NULL, 6 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED,
         "what was tried is still mapped");
    return 0;
}

static void what_fits_a_limit_of_locked_memory_is_mapped(void **state) {
    (void)state;
    struct test_child child = test_child_start(map_locked, NULL);
    int status = test_child_wait(&child);
    if (status == CANNOT_LOCK)
        skip();
    must(status == 0, "status %d", status);
}

static int only_pages(int fd, off_t offset, off_t length) {
    return length <= 4096 ? ut_files_system.posix_fallocate(fd, offset, length) : ENOSPC;
}

/* The mount is full when one page of each huge one is there: the file is as long as before. */
static void P9_a_full_mount_leaves_the_file_as_long_as_what_is_reserved(void **state) {
    (void)state;
    const char *segment = test_segment("huge-full");
    const uint64_t length = 24 * MIB, before = 256 * KIB;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer *writer;
    untorn_writer_array *array;
    struct stat file;
    struct ut_file_ops table = ut_files_system;
    options.size = 64 * MIB;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &length;
    void *data = calloc(1, length);
    must(data != NULL, "no memory");
    must_ok(untorn_writer_open(segment, &options, &writer));
    must_ok(untorn_define(writer, "a", &definition, &array));
    table.posix_fallocate = only_pages;
    ut_files_replace(&table);
    must_be(UNTORN_E_NO_SPACE, untorn_write(array, NULL, NULL, NULL, data));
    ut_files_replace(NULL);
    must(stat(test_segment_path(segment, ""), &file) == 0, "stat");
    must((uint64_t)file.st_size == before && (uint64_t)file.st_blocks * 512 <= before,
         "%llu bytes long, %llu blocks", (unsigned long long)file.st_size,
         (unsigned long long)file.st_blocks);
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
    must_ok(untorn_commit(writer, NULL));
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    free(data);
}

#define DIED_GROWING 7

static int die_growing(int fd, off_t offset, off_t length) {
    if (length > 4096)
        _exit(DIED_GROWING);
    return ut_files_system.posix_fallocate(fd, offset, length);
}

static void write_all(const char *segment, const char *name, uint64_t length, const void *data) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer *writer;
    untorn_writer_array *array;
    options.size = 64 * MIB;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &length;
    must_ok(untorn_writer_open(segment, &options, &writer));
    must_ok(untorn_require(writer, name, &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
    must_ok(untorn_commit(writer, NULL));
    untorn_writer_close(writer);
}

static int write_until_it_grows(void *context, int report, int orders) {
    (void)report, (void)orders;
    struct ut_file_ops table = ut_files_system;
    void *data = calloc(1, 24 * MIB);
    table.posix_fallocate = die_growing;
    ut_files_replace(&table);
    write_all(context, "b", 24 * MIB, data);
    return 0;
}

/* It leaves a file that is longer than what is reserved, with holes: nobody touches them, and the
 * next writer cuts them off. */
static void P9_a_writer_that_died_growing_leaves_no_hole_to_fall_into(void **state) {
    (void)state;
    char segment[128];
    struct stat file;
    untorn_reader *reader;
    untorn_array *view;
    untorn_stat taken;
    snprintf(segment, sizeof segment, "%s", test_segment("huge-died"));
    unsigned char small = 1;
    write_all(segment, "a", 1, &small);
    struct test_child child = test_child_start(write_until_it_grows, segment);
    must(test_child_wait(&child) == DIED_GROWING, "it did not grow");
    must(stat(test_segment_path(segment, ""), &file) == 0, "stat");
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_reader_stat(reader, &taken));
    must((uint64_t)file.st_size > taken.reserved, "%llu bytes long, %llu reserved",
         (unsigned long long)file.st_size, (unsigned long long)taken.reserved);
    write_all(segment, "a", 1, &small);
    must(stat(test_segment_path(segment, ""), &file) == 0, "stat");
    must((uint64_t)file.st_size == taken.reserved &&
             (uint64_t)file.st_blocks * 512 <= taken.reserved,
         "%llu bytes long, %llu blocks, %llu reserved", (unsigned long long)file.st_size,
         (unsigned long long)file.st_blocks, (unsigned long long)taken.reserved);
    child = test_child_start(write_until_it_grows, segment);
    must(test_child_wait(&child) == DIED_GROWING, "it did not grow");
    unsigned char *data = malloc(24 * MIB);
    must(data != NULL, "no memory");
    must_ok(untorn_array_open(reader, "a", &view));
    must_ok(untorn_read(view, NULL, NULL, data, 1, NULL));
    must(data[0] == 1, "another byte");
    fill(data, 24 * MIB);
    write_all(segment, "b", 24 * MIB, data);
    memset(data, 0, 24 * MIB);
    must_ok(untorn_array_open(reader, "b", &view));
    must_ok(untorn_read(view, NULL, NULL, data, 24 * MIB, NULL));
    must_be_filled(data, 24 * MIB);
    must_ok(untorn_reader_stat(reader, &taken));
    must(stat(test_segment_path(segment, ""), &file) == 0, "stat");
    must((uint64_t)file.st_size >= taken.reserved &&
             (uint64_t)file.st_blocks * 512 >= taken.reserved - UT_HUGE_PAGE,
         "%llu reserved, %llu blocks", (unsigned long long)taken.reserved,
         (unsigned long long)file.st_blocks);
    untorn_reader_close(reader);
    must_ok(untorn_segment_remove(segment));
    free(data);
}

/* A writer that fills 24 MiB, and a reader of it. */
static void a_segment_is_mapped_by_huge_pages(void **state) {
    (void)state;
    const uint64_t length = 24 * MIB / sizeof(uint32_t), chunk = MIB / sizeof(uint32_t);
    const char *segment = test_segment("huge");
    const char *path = test_segment_path(segment, "");
    struct stat file;
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer *writer;
    untorn_writer_array *array;
    untorn_reader *reader;
    untorn_array *view;
    untorn_stat taken;
    options.size = 64 * MIB;
    definition.dtype = "u4";
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    unsigned char *data = malloc(24 * MIB);
    must(data != NULL, "no memory");
    fill(data, 24 * MIB);
    must_ok(untorn_writer_open(segment, &options, &writer));
    must_ok(untorn_define(writer, "a", &definition, &array));
    must_ok(untorn_write(array, NULL, NULL, NULL, data));
    must_ok(untorn_commit(writer, NULL));
    mapped found = look(path);
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &view));
    memset(data, 0, 24 * MIB);
    must_ok(untorn_read(view, NULL, NULL, data, 24 * MIB, NULL));
    must_be_filled(data, 24 * MIB);
    free(data);
    must_ok(untorn_reader_stat(reader, &taken));
    must(stat(path, &file) == 0, "stat");
    must((uint64_t)file.st_size == taken.reserved &&
             (uint64_t)file.st_blocks * 512 <= taken.reserved,
         "%llu bytes long, %llu reserved", (unsigned long long)file.st_size,
         (unsigned long long)taken.reserved);
    mapped both = look(path);
    must(both.askew == 0, "%u of %u mappings are askew", both.askew, both.count);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    if (found.huge == 0)
        skip();
    /* But for the first 2 MiB, which were in use when the file grew. */
    must(found.huge >= 20 * MIB && found.huge <= taken.reserved - 2 * MIB,
         "the writer has %llu bytes in huge pages", (unsigned long long)found.huge);
    must(both.huge >= found.huge + 20 * MIB, "the reader has %llu bytes in huge pages",
         (unsigned long long)(both.huge - found.huge));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_pages_are_reserved_and_no_byte_changes),
        cmocka_unit_test(nothing_is_asked_for_where_no_whole_page_lies),
        cmocka_unit_test(what_fits_a_limit_of_locked_memory_is_mapped),
        cmocka_unit_test(P9_a_full_mount_leaves_the_file_as_long_as_what_is_reserved),
        cmocka_unit_test(P9_a_writer_that_died_growing_leaves_no_hole_to_fall_into),
        cmocka_unit_test(a_segment_is_mapped_by_huge_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
