// SPDX-License-Identifier: MIT
/*
 * What a segment is as a whole: sizes, its writer, its readers, its flushing.
 *
 * Whether a writer lives, the kernel's lock on ~alive tells.  Whether it is stopped, and what it is
 * called, only /proc can tell, for the process id that the writer gave; in another pid
 * namespace that may be another process.  One that started after the writer did is left out.
 */
#include "array/inspect.h"

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "segment/writer_lock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

/* --- processes --- */

static bool read_proc(int pid, const char *file, char *text, size_t capacity) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = ut_files->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t n = ut_files->pread(fd, text, capacity - 1, 0);
    ut_files->close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* When a process started, ns since 1970, from field 22 of its stat: ticks since the boot. */
static int64_t started(const char *fields) {
    for (unsigned i = 0; i < 19; i++) {
        fields = strchr(fields, ' ');
        if (fields == NULL)
            return 0;
        fields++;
    }
    struct timespec boot = {0, 0};
    clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t up = (int64_t)boot.tv_sec * SECOND + boot.tv_nsec, hertz = sysconf(_SC_CLK_TCK);
    return ut_clock_wall() - up +
           (int64_t)(strtoull(fields, NULL, 10) % INT64_C(1000000000000)) *
               (SECOND / (hertz > 0 ? hertz : 100));
}

char ut_inspect_process(int pid, int64_t since, char command[UNTORN_COMMAND_BYTES]) {
    char stat[1024];
    command[0] = '\0';
    if (pid <= 0 || !read_proc(pid, "stat", stat, sizeof stat))
        return 0;
    /* pid (command) S ...; the command may contain anything. */
    char *begin = strchr(stat, '('), *end = strrchr(stat, ')');
    if (begin == NULL || end == NULL || end < begin || end[1] != ' ' || end[2] == '\0')
        return 0;
    if (since != 0 && started(end + 2) - SECOND > since)
        return 0;
    snprintf(command, UNTORN_COMMAND_BYTES, "%.*s", (int)(end - begin - 1), begin + 1);
    return end[2];
}

static untorn_writer_state find_writer(const untorn_inspection *inspection, char letter) {
    uint32_t state = ut_load_acquire(&inspection->segment.super->writer_state);
    if (!inspection->dump && ut_writer_alive(&inspection->segment))
        return letter == 'T' || letter == 't' ? UNTORN_WRITER_STOPPED : UNTORN_WRITER_ALIVE;
    switch (state) {
    case UT_WRITER_NONE:
        return UNTORN_WRITER_NONE;
    case UT_WRITER_CLOSED:
        return UNTORN_WRITER_CLOSED;
    default:
        return inspection->dump ? UNTORN_WRITER_UNKNOWN : UNTORN_WRITER_DEAD;
    }
}

/* --- readers --- */

/* Mark the lines of [from, to) on which the kernel has a lock.  Locks of one owner on
 * neighbouring bytes are one. */
static bool mark_locked(int fd, off_t from, off_t to, bool owned[UT_LINES]) {
    while (from < to) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = to - from};
        if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
            return false;
        if (lock.l_type == F_UNLCK)
            return true;
        off_t begin = lock.l_start < from ? from : lock.l_start;
        off_t end =
            lock.l_len == 0 || lock.l_start + lock.l_len > to ? to : lock.l_start + lock.l_len;
        if (end <= begin)
            return false;
        for (off_t i = begin; i < end; i++)
            owned[i] = true;
        /* The one that is reported need not be the first. */
        if (!mark_locked(fd, from, begin, owned))
            return false;
        from = end;
    }
    return true;
}

bool ut_inspect_owned(const untorn_inspection *inspection, bool owned[UT_LINES]) {
    memset(owned, 0, UT_LINES * sizeof *owned);
    if (inspection->control == NULL)
        return false;
    if (inspection->control_fd >= 0)
        return mark_locked(inspection->control_fd, 0, UT_LINES, owned);
    for (unsigned i = 0; i < UT_LINES; i++)
        owned[i] = ut_load_relaxed(&inspection->control->lines[i].pid) != 0;
    return true;
}

static void look_at_reader(const untorn_inspection *inspection, unsigned i,
                           untorn_reader_state *reader) {
    const ut_line *line = &inspection->control->lines[i];
    const ut_ack *ack = &inspection->segment.acks[i];
    memset(reader, 0, sizeof *reader);
    reader->line = i;
    reader->pid = (int)ut_load_relaxed(&line->pid);
    reader->flusher = i == UT_FLUSHER_LINE;
    reader->waiting = ut_load_relaxed(&line->waiting);
    reader->reads = ut_load_relaxed(&line->reads);
    reader->attempts = ut_load_relaxed(&line->attempts);
    reader->last_commit = ut_load_relaxed(&line->last_commit);
    reader->pin_age = -1;
    uint64_t nonce = ut_load_acquire(&ack->nonce);
    if (nonce != 0 && nonce == ut_load_relaxed(&line->nonce)) {
        reader->pin = ut_load_relaxed(&ack->commit);
        int64_t age;
        if (!inspection->dump &&
            !__builtin_sub_overflow(ut_clock_monotonic(), ut_load_relaxed(&ack->granted), &age))
            reader->pin_age = age >= 0 ? age : -1;
    }
    if (!inspection->dump)
        ut_inspect_process(reader->pid, 0, reader->command);
}

untorn_status untorn_inspect_readers(untorn_inspection *inspection, untorn_reader_state *readers,
                                     size_t *count) {
    if (inspection == NULL || readers == NULL || count == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect_readers: no inspection or no place");
    bool owned[UT_LINES];
    *count = 0;
    if (!ut_inspect_owned(inspection, owned))
        return ut_fail(UNTORN_E_PERMISSION, "%s: its control file cannot be read",
                       inspection->segment.message_name);
    for (unsigned i = 0; i < UT_LINES; i++)
        if (owned[i])
            look_at_reader(inspection, i, &readers[(*count)++]);
    return UNTORN_OK;
}

/* --- the whole --- */

untorn_status untorn_inspect_segment(untorn_inspection *inspection, untorn_segment_state *state) {
    if (inspection == NULL || state == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect_segment: no inspection or no place");
    const ut_segment *segment = &inspection->segment;
    const ut_superblock *super = segment->super;
    memset(state, 0, sizeof *state);
    state->name = inspection->label;
    memcpy(state->uuid, super->uuid, sizeof state->uuid);
    state->size = super->size;
    state->reserved = ut_load_acquire(&super->reserve);
    state->commit = ut_load_acquire(&super->commit);
    state->versions = super->versions;
    state->lease_ms = super->lease_ms;
    state->mode = super->mode;
    state->created = super->created;
    state->now = ut_clock_wall();
    struct stat file;
    if (ut_files->fstat(segment->fd, &file) == 0) {
        state->file_bytes = (uint64_t)file.st_size;
        if (inspection->dump)
            state->now = (int64_t)file.st_mtim.tv_sec * SECOND + file.st_mtim.tv_nsec;
    }
    state->writer_pid = (int)ut_load_relaxed(&super->writer_pid);
    state->writer_since = ut_load_relaxed(&super->writer_since);
    char letter = 0;
    if (!inspection->dump)
        letter = ut_inspect_process(state->writer_pid, state->writer_since, state->writer_command);
    state->writer = find_writer(inspection, letter);
    if (state->writer != UNTORN_WRITER_ALIVE && state->writer != UNTORN_WRITER_STOPPED)
        state->writer_command[0] = '\0'; /* the number is another's by now */
    bool owned[UT_LINES];
    state->readers = -1;
    if (ut_inspect_owned(inspection, owned)) {
        state->readers = 0;
        for (unsigned i = 0; i < UT_FLUSHER_LINE; i++)
            if (owned[i]) {
                state->readers++;
                state->waiting += ut_load_relaxed(&inspection->control->lines[i].waiting) != 0;
            }
    }
    for (unsigned i = 0; i < UT_LINES; i++)
        state->pins += ut_load_relaxed(&segment->acks[i].nonce) != 0;
    return UNTORN_OK;
}

/* --- flushing --- */

static void copy_flush(const ut_store_block *block, untorn_flush_state *state) {
    state->flushed_commit = ut_load_relaxed(&block->flushed_commit);
    state->flushed_time = ut_load_relaxed(&block->flushed_time);
    state->finished = ut_load_relaxed(&block->finished);
    state->duration = ut_load_relaxed(&block->duration);
    state->flushes = ut_load_relaxed(&block->flushes);
    state->failures = ut_load_relaxed(&block->failures);
    state->failed = ut_load_relaxed(&block->failed);
    state->status = (untorn_status)ut_load_relaxed(&block->status);
    state->bytes_written = ut_load_relaxed(&block->bytes_written);
    state->chunks_written = ut_load_relaxed(&block->chunks_written);
    state->chunks_linked = ut_load_relaxed(&block->chunks_linked);
    state->total_bytes = ut_load_relaxed(&block->total_bytes);
    static_assert(sizeof state->error <= sizeof block->error, "the sentence");
    ut_racy_copy(state->error, block->error, sizeof state->error);
    state->error[sizeof state->error - 1] = '\0';
}

untorn_status untorn_inspect_flush(untorn_inspection *inspection, untorn_flush_state *state) {
    if (inspection == NULL || state == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect_flush: no inspection or no place");
    const ut_store_block *block = inspection->segment.store;
    memset(state, 0, sizeof *state);
    uint32_t bytes = ut_load_acquire(&block->path_bytes);
    if (bytes == 0)
        return UNTORN_OK;
    if (bytes >= sizeof state->store) {
        ut_inspect_note(inspection, "the store block is damaged: a path of %u bytes", bytes);
        return UNTORN_OK;
    }
    ut_racy_copy(state->store, block->path, bytes);
    state->store_format = ut_load_relaxed(&block->zarr_format);
    state->interval = ut_load_relaxed(&block->interval);
    /* A writer that died while it changed the state leaves its stamp odd: what is there will do. */
    for (unsigned look = 0; look < UT_INSPECT_LOOKS; look++) {
        uint64_t stamp = ut_load_acquire(&block->stamp);
        copy_flush(block, state);
        ut_fence_acquire();
        if (stamp % 2 == 0 && ut_load_relaxed(&block->stamp) == stamp)
            break;
    }
    return UNTORN_OK;
}
