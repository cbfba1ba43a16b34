// SPDX-License-Identifier: MIT
/*
 * Opening and closing a writer together with its store.
 *
 *   segment   store          what happens
 *   none      none           both are made
 *   none      has snapshots  the segment is made from the newest whole one, in a new epoch
 *   there     its own        the segment is adopted; the store is behind it
 *   there     none yet       the segment gets the store
 *   there     another's, or  refused: one of the two would be lost
 *             ahead of it
 *
 * Commit numbers carry the epoch, so "ahead" is a comparison: a store that a later epoch was
 * flushed to is ahead of a segment that was left over from an earlier one.
 */
#include "store/writer_store.h"

#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "store/recovery.h"
#include "store/retention.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_INTERVAL INT64_C(1000000000)
#define DEFAULT_KEEP 4u
#define DEFAULT_KEEP_TIME INT64_C(60000000000)
#define MOST_THREADS 64u

typedef struct opening {
    const char *segment;
    const untorn_writer_options *options;
    ut_writer_store *attached;
    ut_store_view *view; /* that the segment is made from */
} opening;

static untorn_status check_options(const char *segment, const untorn_writer_options *options) {
    if (options->store_format != 0 && options->store_format != UT_ZARR_V2 &&
        options->store_format != UT_ZARR_V3)
        return ut_fail(UNTORN_E_ARGUMENT, "segment \"%.200s\": Zarr format %u is neither 2 nor 3",
                       segment, options->store_format);
    if (options->flush_threads > MOST_THREADS)
        return ut_fail(UNTORN_E_ARGUMENT, "segment \"%.200s\": %u flush threads are more than %u",
                       segment, options->flush_threads, MOST_THREADS);
    if (options->keep_time < 0)
        return ut_fail(UNTORN_E_ARGUMENT, "segment \"%.200s\": keep_time is below 0", segment);
    return UNTORN_OK;
}

static bool reads_only(const opening *o) {
    return (o->options->flags & UNTORN_READ_STORE) != 0;
}

static untorn_status open_store(opening *o, const char *path) {
    ut_writer_store *attached = o->attached;
    untorn_status status = ut_store_open(&attached->store, path, !reads_only(o));
    if (status != UNTORN_OK)
        return status;
    attached->opened = true;
    return UNTORN_OK;
}

/* There is no segment: what the store has decides how one begins. */
static untorn_status creating(void *context, ut_segment_options *create) {
    opening *o = context;
    if (o->options->store == NULL)
        return UNTORN_OK;
    untorn_status status = open_store(o, o->options->store);
    if (status == UNTORN_OK)
        status = ut_recovery_choose(&o->attached->store, o->options->notify,
                                    o->options->notify_context, &o->view);
    if (status != UNTORN_OK || o->view == NULL)
        return status;
    /* Above all snapshots there, the damaged ones included. */
    uint64_t *commits;
    size_t count;
    status = ut_store_commits(&o->attached->store, &commits, &count);
    if (status != UNTORN_OK)
        return status;
    uint64_t epoch = (count > 0 ? commits[0] >> UT_EPOCH_SHIFT : 0) + 1;
    if (count > 0 && commits[0] > o->view->manifest.commit && !reads_only(o))
        status =
            ut_recovery_put_aside(&o->attached->store, commits, count, o->view->manifest.commit);
    free(commits);
    if (status != UNTORN_OK)
        return status;
    if (epoch >> (64 - UT_EPOCH_SHIFT) != 0)
        return ut_fail(UNTORN_E_LIMIT,
                       "%s: was restarted from %" PRIu64 " times, the most there can be",
                       o->attached->store.who, epoch - 1);
    memcpy(create->uuid, o->view->manifest.uuid, sizeof create->uuid);
    create->first_commit = epoch << UT_EPOCH_SHIFT | 1;
    create->next_uid = o->view->manifest.next_uid;
    create->origin_commit = o->view->manifest.commit;
    memcpy(create->origin_nonce, o->view->manifest.lineage.nonce, sizeof create->origin_nonce);
    return UNTORN_OK;
}

static untorn_status restore(void *context, untorn_writer *writer) {
    opening *o = context;
    return o->view != NULL ? ut_recovery_restore(writer, o->view) : UNTORN_OK;
}

/* What the options leave open is as the segment has it, or the default. */
static void complete_config(const untorn_writer *writer, const untorn_writer_options *options,
                            ut_flush_config *config) {
    if (options->store_format != 0)
        config->format = (ut_zarr_format)options->store_format;
    if (config->format == 0)
        config->format = UT_ZARR_V2;
    if (options->flush_interval != 0)
        config->interval = options->flush_interval;
    if (config->interval == 0)
        config->interval = DEFAULT_INTERVAL;
    if (options->flush_bytes != 0)
        config->flush_bytes = options->flush_bytes;
    if (config->flush_bytes == 0)
        config->flush_bytes = writer->segment.super->size / 8;
    if (options->flush_threads != 0)
        config->threads = options->flush_threads;
    if (config->threads == 0 || config->threads > MOST_THREADS)
        config->threads = 1;
    if (options->keep_snapshots != 0)
        config->keep_snapshots = options->keep_snapshots;
    if (config->keep_snapshots == 0)
        config->keep_snapshots = DEFAULT_KEEP;
    if (options->keep_time != 0)
        config->keep_time = options->keep_time;
    if (config->keep_time <= 0)
        config->keep_time = DEFAULT_KEEP_TIME;
}

/*
 * The path in a segment is its writers' word, and /dev/shm is everybody's: whoever left a segment
 * there could have another user, root above all, write where it pleases.  So the path of somebody
 * else's segment counts only if the caller names the same one.
 */
static untorn_status check_owner(const untorn_writer *writer, const char *path) {
    const ut_segment *segment = &writer->segment;
    struct stat file;
    if (ut_files->fstat(segment->fd, &file) != 0)
        return ut_fail_errno(UNTORN_E_SYSTEM, errno, "%s: stat", segment->message_name);
    if (file.st_uid == geteuid())
        return UNTORN_OK;
    return ut_fail(UNTORN_E_PERMISSION,
                   "%s: belongs to user %lu and names the store \"%s\": user %lu writes there only "
                   "if that store is named on opening, too",
                   segment->message_name, (unsigned long)file.st_uid, path,
                   (unsigned long)geteuid());
}

/* Which store it is, if any, and whether that is the one that is configured. */
static untorn_status choose_store(opening *o, const untorn_writer *writer,
                                  ut_flush_config *config) {
    untorn_status status = ut_flush_config_load(&writer->segment, config);
    if (status == UNTORN_OK && o->options->store == NULL && config->path[0] != '\0')
        status = check_owner(writer, config->path);
    if (status != UNTORN_OK || o->options->store == NULL)
        return status;
    char resolved[UNTORN_MAX_STORE_PATH];
    status = ut_store_resolve(o->options->store, resolved);
    if (status != UNTORN_OK)
        return status;
    if (config->path[0] != '\0' && strcmp(config->path, resolved) != 0)
        return ut_fail(UNTORN_E_FOREIGN_STORE, "%s: is flushed to \"%s\", not to \"%s\"",
                       writer->segment.message_name, config->path, resolved);
    memcpy(config->path, resolved, sizeof resolved);
    return UNTORN_OK;
}

/* Whether the store is behind this segment; *newest is its newest snapshot, 0: none. */
static untorn_status check_belongs(const untorn_writer *writer, const ut_store *store,
                                   uint64_t *newest, int64_t *time) {
    uint64_t *commits;
    size_t count;
    *newest = 0;
    *time = 0;
    untorn_status status = ut_store_commits(store, &commits, &count);
    if (status != UNTORN_OK)
        return status;
    const ut_superblock *super = writer->segment.super;
    for (size_t i = 0; i < count && *newest == 0 && status == UNTORN_OK; i++) {
        ut_store_view *view;
        if (ut_store_view_open(store, commits[i], &view) != UNTORN_OK)
            continue; /* the next flush writes anew what it cannot link */
        if (memcmp(view->manifest.uuid, super->uuid, sizeof super->uuid) != 0)
            status = ut_fail(UNTORN_E_FOREIGN_STORE, "%s: belongs to another segment than %s",
                             store->who, writer->segment.message_name);
        else if (ut_lineage_is_rival(super, &view->manifest.lineage, commits[i]))
            status = ut_lineage_fail(store->who, writer->segment.message_name, commits[i]);
        *newest = view->manifest.commit;
        *time = view->manifest.time;
        ut_store_view_close(view);
    }
    if (status == UNTORN_OK && count > 0 && commits[0] > writer->publisher.commit &&
        !UT_SEEDED(218))
        status =
            ut_fail(UNTORN_E_FOREIGN_STORE,
                    "%s: went on without %s: its newest snapshot is of commit %" PRIu64
                    ", the segment's last commit is %" PRIu64,
                    store->who, writer->segment.message_name, commits[0], writer->publisher.commit);
    free(commits);
    return status;
}

/* Before a store is made where one has to be: the mistake may be that its disk is not mounted. */
static untorn_status check_there(const untorn_writer *writer, const char *path) {
    if (!writer->publisher.evicted)
        return UNTORN_OK;
    ut_store store;
    untorn_status status = ut_store_open(&store, path, false);
    if (status == UNTORN_OK)
        ut_store_close(&store);
    if (status != UNTORN_E_NO_STORE)
        return status;
    return ut_fail(UNTORN_E_FOREIGN_STORE,
                   "%s: has lost what %s left in it: no store is there, but commit %" PRIu64
                   " was flushed",
                   store.who, writer->segment.message_name,
                   ut_load_relaxed(&writer->segment.store->flushed_commit));
}

/* Whether the store still has what the segment relies on: one that was emptied or put back to an
 * earlier state does not. */
static untorn_status check_complete(const opening *o, const untorn_writer *writer,
                                    uint64_t newest) {
    uint64_t flushed = ut_load_relaxed(&writer->segment.store->flushed_commit);
    if (newest >= flushed)
        return UNTORN_OK;
    const char *who = o->attached->store.who;
    if (writer->publisher.evicted)
        return ut_fail(UNTORN_E_FOREIGN_STORE,
                       "%s: has lost what %s left in it: its newest whole snapshot is of commit "
                       "%" PRIu64 ", but commit %" PRIu64 " was flushed",
                       who, writer->segment.message_name, newest, flushed);
    char sentence[1024];
    snprintf(sentence, sizeof sentence,
             "%s: its newest whole snapshot is of commit %" PRIu64 ", but commit %" PRIu64
             " was flushed; all is still in %s and is flushed again",
             who, newest, flushed, writer->segment.message_name);
    if (o->options->notify != NULL)
        o->options->notify(o->options->notify_context, UNTORN_E_CORRUPT, sentence);
    return UNTORN_OK;
}

static untorn_status admit(const untorn_writer *writer, const ut_definition *definition) {
    const ut_writer_store *attached = writer->store;
    return ut_zarr_check(attached->config.format, definition);
}

static void alarmed(untorn_writer *writer) {
    const ut_writer_store *attached = writer->store;
    ut_flush_wish wish;
    writer->alarm = writer->written + attached->config.flush_bytes;
    if (UT_SEEDED(213))
        return;
    ut_flush_ask(&writer->segment, writer->publisher.commit, &wish);
}

/* The segment and its books are there. */
static untorn_status opened(void *context, untorn_writer *writer) {
    opening *o = context;
    ut_writer_store *attached = o->attached;
    ut_flush_config *config = &attached->config;
    untorn_status status = choose_store(o, writer, config);
    if (status != UNTORN_OK || config->path[0] == '\0')
        return status;
    complete_config(writer, o->options, config);
    if (!attached->opened)
        status = check_there(writer, config->path);
    if (status == UNTORN_OK && !attached->opened)
        status = open_store(o, config->path);
    uint64_t newest = 0;
    int64_t time = 0;
    if (status == UNTORN_OK)
        status = check_belongs(writer, &attached->store, &newest, &time);
    if (status == UNTORN_OK)
        status = check_complete(o, writer, newest);
    /* Its flusher may have died or failed before it was synced: it counts as flushed from here. */
    if (status == UNTORN_OK && newest != 0 && !reads_only(o))
        status = ut_store_confirm(&attached->store, newest);
    writer->store = attached;
    for (uint32_t i = 0; i < writer->arrays_capacity && status == UNTORN_OK; i++)
        if (writer->arrays[i] != NULL && writer->arrays[i]->definition->kind == UT_KIND_ARRAY)
            status = admit(writer, writer->arrays[i]->definition);
    if (status != UNTORN_OK)
        return status;
    if (!reads_only(o))
        ut_retention_clean(&attached->store); /* what cannot be removed now is in nobody's way */
    ut_flush_config_store(&writer->segment, config);
    ut_flush_state_adopt(&writer->segment, newest, time);
    writer->admit = admit;
    if (reads_only(o)) { /* there is no flusher */
        ut_flush_config_read_only(&writer->segment);
        return UNTORN_OK;
    }
    writer->alarmed = alarmed;
    if (config->interval >= 0) /* on demand is on demand only, whatever was written */
        writer->alarm = config->flush_bytes;
    return UNTORN_OK;
}

static void free_attached(ut_writer_store *attached) {
    ut_eviction_stop(attached->eviction);
    if (attached->opened)
        ut_store_close(&attached->store);
    free(attached);
}

untorn_status untorn_writer_open(const char *segment, const untorn_writer_options *given,
                                 untorn_writer **out) {
    static const untorn_writer_options defaults = UNTORN_WRITER_OPTIONS_INIT;
    const untorn_writer_options *options = given != NULL ? given : &defaults;
    if (segment == NULL || out == NULL || options->struct_size < sizeof *options)
        return ut_fail(UNTORN_E_ARGUMENT, "writer_open: no segment name, no place for the handle "
                                          "or uninitialized options");
    untorn_status status = check_options(segment, options);
    if (status != UNTORN_OK)
        return status;
    ut_writer_store *attached = calloc(1, sizeof *attached);
    if (attached == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "segment \"%.200s\": out of memory", segment);
    attached->notify = options->notify;
    attached->notify_context = options->notify_context;
    opening o = {.segment = segment, .options = options, .attached = attached};
    ut_writer_hooks hooks = {&o, creating, restore, opened};
    untorn_writer *writer = NULL;
    status = ut_writer_open(segment, options, &hooks, &writer);
    ut_store_view_close(o.view);
    if (status == UNTORN_OK && writer->store != NULL)
        status = ut_eviction_start(writer, attached->store.path, &attached->eviction);
    if (status == UNTORN_OK && writer->store != NULL && !reads_only(&o))
        status = ut_flusher_start(writer, &attached->store, &attached->config, options->notify,
                                  options->notify_context, &attached->flusher);
    if (status != UNTORN_OK && writer != NULL)
        ut_writer_close(writer);
    if (status != UNTORN_OK || writer->store == NULL)
        free_attached(attached);
    if (status == UNTORN_OK)
        *out = writer;
    return status;
}

void untorn_writer_close(untorn_writer *writer) {
    if (writer == NULL)
        return;
    ut_writer_store *attached = writer->store;
    if (attached != NULL && writer->fork_generation != ut_fork_generation()) {
        if (attached->flusher != NULL)
            ut_flusher_forget(attached->flusher);
    } else if (attached != NULL) {
        untorn_abort(writer);
        if (attached->flusher != NULL)
            ut_flusher_stop(attached->flusher);
    }
    ut_writer_close(writer);
    if (attached != NULL)
        free_attached(attached);
}

untorn_status untorn_flush(untorn_writer *writer, uint64_t *commit) {
    untorn_status status = ut_writer_usable(writer);
    if (status != UNTORN_OK)
        return status;
    ut_segment *segment = &writer->segment;
    if (writer->store == NULL)
        return ut_fail(UNTORN_E_STATE, "%s: has no store", segment->message_name);
    const ut_writer_store *attached = writer->store;
    if (attached->flusher == NULL)
        return ut_fail(UNTORN_E_STATE, "%s: its store is only read", segment->message_name);
    ut_flush_wish wish;
    ut_flush_demand(segment, writer->publisher.commit, &wish);
    for (;;) {
        uint32_t ended = ut_flush_ended(segment);
        if (ut_flush_answered(segment, &wish, commit, &status))
            return status;
        ut_flush_sleep(segment, ended, INT64_C(1000000000));
    }
}
