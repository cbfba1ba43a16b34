// SPDX-License-Identifier: MIT
/*
 * Opening an inspection.
 *
 * A reader refuses a segment that is damaged anywhere in its superblock.  Here only what makes all
 * the rest unreadable is refused: another kind of file, version or layout.  Everything else is
 * noted, and what can be touched is limited to what the file has.
 *
 * A dump is the data segment up to its reserve, and then the control segment.
 */
#include "array/inspect.h"

#include "array/name.h"
#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/hash.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MOST_PROBLEMS 256u /* a segment of noise would have millions */

/* --- sentences --- */

void ut_inspect_note(untorn_inspection *inspection, const char *format, ...) {
    char sentence[UT_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < inspection->problem_count; i++)
        if (strcmp(inspection->problems[i], sentence) == 0)
            return;
    if (inspection->problem_count == MOST_PROBLEMS)
        return;
    if (inspection->problem_count == MOST_PROBLEMS - 1)
        snprintf(sentence, sizeof sentence, "there is more damage than is listed here");
    char *copy = strdup(sentence);
    if (copy != NULL)
        inspection->problems[inspection->problem_count++] = copy;
}

void ut_inspect_forget(untorn_inspection *inspection, size_t count) {
    while (inspection->problem_count > count)
        free(inspection->problems[--inspection->problem_count]);
}

const char *untorn_inspect_problem(const untorn_inspection *inspection, size_t i) {
    return inspection != NULL && i < inspection->problem_count ? inspection->problems[i] : NULL;
}

/* --- attaching --- */

static untorn_status open_failed(const untorn_inspection *inspection, const char *path, int error) {
    const char *who = inspection->segment.message_name;
    if (error == ENOENT && !inspection->dump)
        return ut_fail(UNTORN_E_NO_SEGMENT, "%s: does not exist", who);
    untorn_status status = error == ENOENT                     ? UNTORN_E_NO_SEGMENT
                           : error == EACCES || error == EPERM ? UNTORN_E_PERMISSION
                                                               : UNTORN_E_SYSTEM;
    return ut_fail_errno(status, error, "%s: cannot open %s", who, path);
}

/* What nothing can be made of without. */
static untorn_status check_readable(const char *who, const ut_superblock *super) {
    if (super->version != UT_FORMAT_VERSION)
        return ut_fail(UNTORN_E_VERSION, "%s: has format version %u, this library reads version %u",
                       who, super->version, UT_FORMAT_VERSION);
    if (super->signature != ut_segment_signature())
        return ut_fail(UNTORN_E_LAYOUT,
                       "%s: layout signature %016" PRIx64 " differs from this build's %016" PRIx64,
                       who, super->signature, ut_segment_signature());
    return UNTORN_OK;
}

/* Note what is wrong with the rest and find out how much may be touched and is to be mapped. */
static void check_limits(untorn_inspection *inspection, const ut_superblock *super,
                         uint64_t length) {
    if (super->check != ut_hash(super, offsetof(ut_superblock, check)))
        ut_inspect_note(inspection, "the superblock is damaged (checksum)");
    uint64_t size = super->size;
    if (size < UT_MIN_SIZE || size > UT_MAX_SIZE || size % UT_PAGE != 0) {
        ut_inspect_note(inspection, "the superblock is damaged: %" PRIu64 " as the greatest size",
                        size);
        size = length;
    }
    uint64_t reserve = ut_load_acquire(&super->reserve), there = length / UT_PAGE * UT_PAGE;
    if (reserve < UT_MIN_SIZE || reserve > size || reserve % UT_PAGE != 0) {
        ut_inspect_note(inspection, "the superblock is damaged: %" PRIu64 " bytes in use", reserve);
        reserve = there < size ? there : size;
    } else if (length < reserve) {
        ut_inspect_note(inspection, "truncated: it has %" PRIu64 " bytes, %" PRIu64 " are in use",
                        length, reserve);
        reserve = there;
    }
    uint64_t prepared = ut_load_relaxed(&super->prepared), commit = ut_load_acquire(&super->commit);
    if (commit == 0 || (prepared > commit && prepared - commit > 1 && inspection->dump))
        ut_inspect_note(inspection,
                        "the superblock is damaged: commit %" PRIu64 ", prepared %" PRIu64, commit,
                        prepared);
    inspection->limit = reserve;
    inspection->segment.mapped = size > length ? size : length;
}

static untorn_status map_data(untorn_inspection *inspection, const ut_superblock *first,
                              uint64_t length) {
    ut_segment *segment = &inspection->segment;
    untorn_status status = check_readable(segment->message_name, first);
    if (status != UNTORN_OK)
        return status;
    check_limits(inspection, first, length);
    void *memory =
        mmap(NULL, segment->mapped, PROT_READ, MAP_SHARED | MAP_NORESERVE, segment->fd, 0);
    if (memory == MAP_FAILED)
        return ut_fail_errno(errno == ENOMEM ? UNTORN_E_NO_MEMORY : UNTORN_E_SYSTEM, errno,
                             "%s: cannot map %" PRIu64 " bytes", segment->message_name,
                             segment->mapped);
    segment->base = memory;
    segment->super = memory;
    segment->acks = (ut_ack *)(segment->base + UT_ACKS_OFFSET);
    segment->directory = (_Atomic uint64_t *)(segment->base + UT_DIRECTORY_OFFSET);
    segment->store = (ut_store_block *)(segment->base + UT_STORE_OFFSET);
    ut_store_relaxed(&segment->reserve, inspection->limit);
    return UNTORN_OK;
}

static bool control_fits(const untorn_inspection *inspection, const ut_control *control) {
    return control->magic == UT_CONTROL_MAGIC &&
           memcmp(control->nonce, inspection->segment.super->nonce, sizeof control->nonce) == 0;
}

/* A dump has it behind the data, or zeros if it could not be read. */
static void find_control_in_dump(untorn_inspection *inspection, uint64_t length) {
    uint64_t at = inspection->limit;
    if (length < at || length - at < sizeof(ut_control)) {
        ut_inspect_note(inspection, "the dump has no control segment");
        return;
    }
    const ut_control *control = (const ut_control *)(inspection->segment.base + at);
    if (control_fits(inspection, control))
        inspection->control = control;
    else
        inspection->control_denied = control->magic == 0;
}

static void map_control(untorn_inspection *inspection) {
    char path[UT_PATH_MAX];
    struct stat file;
    if (ut_segment_path(inspection->segment.name, UT_SUFFIX_CONTROL, path) != UNTORN_OK)
        return;
    int fd = ut_files->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0) {
        inspection->control_denied = errno == EACCES || errno == EPERM;
        if (!inspection->control_denied)
            ut_inspect_note(inspection, "cannot open the control file %s: %s", path,
                            strerror(errno));
        return;
    }
    void *memory = MAP_FAILED;
    if (ut_files->fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
        (uint64_t)file.st_size >= sizeof(ut_control))
        memory = mmap(NULL, sizeof(ut_control), PROT_READ, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED && control_fits(inspection, memory)) {
        inspection->control = memory;
        inspection->control_mapped = sizeof(ut_control);
        inspection->control_fd = fd;
        return;
    }
    ut_inspect_note(inspection,
                    memory == MAP_FAILED ? "the control file %s is damaged"
                                         : "the control file %s belongs to another segment",
                    path);
    if (memory != MAP_FAILED)
        munmap(memory, sizeof(ut_control));
    ut_files->close(fd);
}

static untorn_status attach(untorn_inspection *inspection, const char *path) {
    ut_segment *segment = &inspection->segment;
    int follow = inspection->dump ? 0 : O_NOFOLLOW;
    segment->fd = ut_files->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow, 0);
    if (segment->fd < 0)
        return open_failed(inspection, path, errno);
    ut_superblock first;
    struct stat file;
    untorn_status status = ut_segment_look(segment->message_name, segment->fd, path, &first, &file);
    if (status != UNTORN_OK)
        return status;
    segment->device = file.st_dev;
    segment->inode = file.st_ino;
    uint64_t length = (uint64_t)file.st_size;
    if (length < UT_HEAP_OFFSET)
        return ut_fail(UNTORN_E_CORRUPT, "%s: truncated: %" PRIu64 " bytes", segment->message_name,
                       length);
    status = map_data(inspection, &first, length);
    if (status != UNTORN_OK)
        return status;
    if (inspection->dump)
        find_control_in_dump(inspection, length);
    else
        map_control(inspection);
    return UNTORN_OK;
}

untorn_status untorn_inspect_open(const char *name, unsigned flags, untorn_inspection **out) {
    if (name == NULL || out == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect: no segment or no place for the handle");
    bool dump = flags & UNTORN_INSPECT_DUMP;
    char path[UT_PATH_MAX];
    untorn_status status = UNTORN_OK;
    if (!dump && ((status = ut_name_check_segment(name)) != UNTORN_OK ||
                  (status = ut_segment_path(name, UT_SUFFIX_DATA, path)) != UNTORN_OK))
        return status;
    untorn_inspection *inspection = calloc(1, sizeof *inspection);
    if (inspection == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "inspect: out of memory");
    ut_segment *segment = &inspection->segment;
    inspection->dump = dump;
    segment->fd = segment->control_fd = inspection->control_fd = -1;
    if (!dump)
        snprintf(segment->name, sizeof segment->name, "%s", name);
    snprintf(segment->message_name, sizeof segment->message_name, "%s \"%.200s\"",
             dump ? "dump" : "segment", name);
    inspection->label = strdup(name);
    inspection->problems = calloc(MOST_PROBLEMS, sizeof(char *));
    if (inspection->label == NULL || inspection->problems == NULL)
        status = ut_fail(UNTORN_E_NO_MEMORY, "inspect: out of memory");
    else
        status = attach(inspection, dump ? name : path);
    if (status != UNTORN_OK) {
        untorn_inspect_close(inspection);
        return status;
    }
    *out = inspection;
    return UNTORN_OK;
}

static void close_reader(untorn_inspection *inspection) {
    untorn_reader *reader = &inspection->reader;
    while (reader->snapshots != NULL)
        untorn_snapshot_close(reader->snapshots);
    while (reader->arrays != NULL)
        untorn_array_close(reader->arrays);
    if (reader->backed != NULL)
        reader->backing->detach(reader->backed);
    ut_catalogue_free(&reader->catalogue);
    ut_lines_close(&reader->lines);
    pthread_mutex_destroy(&reader->lock);
}

void untorn_inspect_close(untorn_inspection *inspection) {
    if (inspection == NULL)
        return;
    if (inspection->reader_made)
        close_reader(inspection);
    if (inspection->stored_free != NULL)
        inspection->stored_free(inspection->stored);
    for (size_t i = 0; i < inspection->array_count; i++)
        ut_definition_drop(inspection->arrays[i].definition);
    free(inspection->arrays);
    free(inspection->names);
    if (inspection->problems != NULL)
        ut_inspect_forget(inspection, 0);
    free(inspection->problems);
    if (inspection->control_mapped != 0)
        munmap((void *)(uintptr_t)inspection->control, inspection->control_mapped);
    if (inspection->control_fd >= 0)
        ut_files->close(inspection->control_fd);
    ut_segment_detach(&inspection->segment);
    free(inspection->label);
    free(inspection);
}

void ut_inspect_make_reader(untorn_inspection *inspection, const ut_backing *backing,
                            untorn_reader **out) {
    untorn_reader *reader = &inspection->reader;
    if (!inspection->reader_made) {
        ut_fork_generation();
        reader->segment = &inspection->segment;
        reader->backing = backing;
        reader->attempts = 64;
        reader->threads = 1;
        reader->flags = UNTORN_READ_NO_CONTROL;
        reader->serial = 1;
        ut_lines_init(&reader->lines, &inspection->segment);
        pthread_mutex_init(&reader->lock, NULL);
        inspection->reader_made = true;
    }
    *out = reader;
}
