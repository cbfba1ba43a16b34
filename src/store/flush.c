// SPDX-License-Identifier: MIT
/*
 * One flush: pin a commit, see what the store has, write what differs, publish.
 *
 * The pin comes first and goes last, so all is as of one commit.  If it ends in between (a writer
 * out of space revokes pins other than the flusher's own), the flush fails as overtaken: what was
 * written until then has no name yet, and is removed.
 */
#include "store/flush.h"

#include "base/file_ops.h"
#include "base/status.h"
#include "store/durable.h"
#include "store/flush_array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static untorn_status flush_group(ut_flushing *flushing, ut_snapshot_member *member) {
    const ut_descriptor *descriptor = &member->descriptor;
    char *attributes = NULL;
    untorn_status status = ut_flush_attributes(flushing, member, &attributes);
    if (status != UNTORN_OK)
        return status;
    ut_manifest_object group = {.kind = UT_KIND_GROUP,
                                .uid = descriptor->uid,
                                .generation = descriptor->stamp,
                                .commit = descriptor->commit,
                                .data_commit = descriptor->data_commit,
                                .time = descriptor->time,
                                .name = member->array->definition->name,
                                .directory = "",
                                .attributes = attributes};
    status = ut_snapshot_writer_add_group(flushing->writer, &group);
    free(attributes);
    return status;
}

static untorn_status flush_members(ut_flushing *flushing) {
    untorn_snapshot *snapshot = flushing->snapshot;
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < snapshot->count && status == UNTORN_OK; i++) {
        ut_snapshot_member *member = &snapshot->members[i];
        status = member->array->definition->kind == UT_KIND_GROUP
                     ? flush_group(flushing, member)
                     : ut_flush_array(flushing, member);
        ut_encode_pool_advance(flushing->pool);
    }
    return status;
}

static untorn_status encode_members(ut_flushing *flushing) {
    const ut_flush_options *options = flushing->options;
    ut_flush_report *report = flushing->report;
    ut_encode_pool *temporary = NULL;
    untorn_status status = UNTORN_OK;
    if (options->pool == NULL)
        status = ut_encode_pool_open(options->threads, UT_ENCODE_ALONE, &temporary);
    if (status != UNTORN_OK)
        return status;
    flushing->pool = options->pool != NULL ? options->pool : temporary;
    ut_encode_pool_begin(flushing->pool, &flushing->snapshot->hold);
    status = flush_members(flushing);
    ut_encode_counts counts = ut_encode_pool_counts(flushing->pool);
    report->chunks_written = counts.chunks_written;
    report->chunks_linked = counts.chunks_linked;
    report->bytes_written = counts.bytes_written;
    ut_encode_pool_end(flushing->pool);
    ut_encode_pool_close(temporary);
    return status;
}

static untorn_status write_snapshot(ut_flushing *flushing) {
    ut_segment *segment = flushing->snapshot->reader->segment;
    ut_flush_report *report = flushing->report;
    ut_snapshot_head head = {
        .uuid = {segment->super->uuid[0], segment->super->uuid[1]},
        .commit = report->commit,
        .time = report->time,
        /* Acquire: it was raised before any object of the commit had its uid. */
        .next_uid = ut_load_acquire(&segment->super->next_uid),
        .format = flushing->options->format,
        .real_directories = flushing->options->export,
        .lineage = ut_lineage_of(segment->super)};
    untorn_status status = ut_snapshot_writer_begin(flushing->store, &head, &flushing->writer);
    if (status != UNTORN_OK)
        return status;
    status = encode_members(flushing);
    if (status != UNTORN_OK) {
        ut_snapshot_writer_abandon(flushing->writer);
        return status;
    }
    status = ut_snapshot_writer_publish(flushing->writer);
    report->written = status == UNTORN_OK;
    return status;
}

/* Whether the store's path still leads to what was opened and locked.  In another directory of that
 * name nothing may be written: it may be another writer's, and it lacks what would be linked. */
static untorn_status check_store(const ut_store *store) {
    char path[UT_STORE_PATH_MAX];
    struct stat opened, there;
    untorn_status status = ut_store_path(store, path, ".lock");
    if (status != UNTORN_OK)
        return status;
    if (ut_files->fstat(store->lock_fd, &opened) != 0)
        return ut_fail_errno(UNTORN_E_SYSTEM, errno, "%s: cannot look at %s", store->who, path);
    int result = ut_files->lstat(path, &there);
    if (result == 0 && there.st_dev == opened.st_dev && there.st_ino == opened.st_ino)
        return UNTORN_OK;
    if (result != 0 && errno != ENOENT && errno != ENOTDIR)
        return ut_fail_errno(ut_durable_status(errno), errno, "%s: cannot look at %s", store->who,
                             path);
    return ut_fail(UNTORN_E_NO_STORE,
                   "%s: was moved, removed or replaced since its writer opened it: put it back, or "
                   "close the writer and open it again",
                   store->who);
}

/* That the store went on without the segment says more than that its directory is another one. */
static untorn_status open_previous(ut_flushing *flushing, const ut_superblock *super, bool *there) {
    untorn_status status = ut_previous_open(flushing->store, super, flushing->report->commit,
                                            &flushing->previous, there);
    if (status == UNTORN_E_FOREIGN_STORE)
        return status;
    untorn_status same = check_store(flushing->store);
    return same == UNTORN_OK ? status : same;
}

untorn_status ut_flush(const ut_store *store, untorn_reader *reader,
                       const ut_flush_options *options, ut_flush_report *report) {
    ut_flushing flushing = {
        .store = store, .options = options, .previous = UT_PREVIOUS_INIT, .report = report};
    memset(report, 0, sizeof *report);
    untorn_status status = ut_snapshot_open_all(reader, options->commit, true, &flushing.snapshot);
    if (status != UNTORN_OK)
        return ut_fail(status, "%s: %s", store->who, untorn_message());
    report->commit = untorn_snapshot_commit(flushing.snapshot);
    report->time = ut_snapshot_time(flushing.snapshot);
    bool there;
    status = open_previous(&flushing, reader->segment->super, &there);
    if (status == UNTORN_OK && !there && options->export) {
        ut_previous_close(&flushing.previous);
        flushing.previous = (ut_previous)UT_PREVIOUS_INIT;
        ut_previous_open_own(reader->segment, report->commit, &flushing.previous);
    }
    if (status == UNTORN_OK && there)
        status = ut_store_confirm(store, report->commit);
    if (status == UNTORN_OK && !there)
        status = write_snapshot(&flushing);
    ut_previous_close(&flushing.previous);
    untorn_snapshot_close(flushing.snapshot);
    return status;
}
