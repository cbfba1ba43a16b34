// SPDX-License-Identifier: MIT
/*
 * What a reader can do with its segment's store: read chunks that are only there, ask how flushing
 * goes, and ask for a flush.
 */
#include "array/reader.h"
#include "base/clock.h"
#include "base/status.h"
#include "store/flush_state.h"
#include "store/read_through.h"

#include <errno.h>

#define SLICE INT64_C(100000000) /* after which the writer is looked for */

/* --- chunks that are only in the store --- */

static untorn_status fetch(untorn_reader *reader, const ut_wanted *wanted, size_t count,
                           ut_take *take, void *context) {
    pthread_mutex_lock(&reader->lock);
    untorn_status status = UNTORN_OK;
    if (reader->backed == NULL) {
        ut_flush_config config;
        ut_read_through *opened = NULL;
        status = ut_flush_config_load(reader->segment, &config);
        if (status == UNTORN_OK && config.path[0] == '\0')
            status = ut_fail(UNTORN_E_CORRUPT, "a chunk is only in the store, but there is none");
        if (status == UNTORN_OK)
            status =
                ut_read_through_open(config.path, reader->cache_bytes, reader->threads, &opened);
        if (status == UNTORN_OK)
            ut_read_through_own(opened, reader->segment->super);
        reader->backed = opened;
    }
    ut_read_through *read_through = reader->backed;
    pthread_mutex_unlock(&reader->lock);
    return status == UNTORN_OK ? ut_read_through_fetch(read_through, wanted, count, take, context)
                               : status;
}

static void detach(void *backed) {
    ut_read_through_close(backed);
}

const ut_backing ut_reader_backing = {fetch, detach};

untorn_status untorn_reader_open(const char *segment, const untorn_reader_options *options,
                                 untorn_reader **reader) {
    return ut_reader_open(segment, options, &ut_reader_backing, reader);
}

/* --- flushing --- */

untorn_status untorn_reader_flush_state(untorn_reader *reader, untorn_flush_state *state) {
    if (reader == NULL || state == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "flush_state: no reader or no place for the result");
    return ut_flush_state_read(reader->segment, state);
}

untorn_status untorn_request_flush(untorn_reader *reader, int64_t timeout, uint64_t *commit) {
    if (reader == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "request_flush: no reader");
    ut_segment *segment = reader->segment;
    if (ut_load_acquire(&segment->store->path_bytes) == 0)
        return ut_fail(UNTORN_E_STATE, "%s: has no store", segment->message_name);
    if (segment->control == NULL)
        return ut_fail(UNTORN_E_PERMISSION, "%s: no rights to the control file",
                       segment->message_name);
    int64_t begin = ut_clock_monotonic();
    ut_flush_wish wish;
    ut_flush_demand(segment, ut_load_acquire(&segment->super->commit), &wish);
    for (int error = 0;;) {
        uint32_t ended = ut_flush_ended(segment);
        untorn_status status, gone = untorn_reader_check(reader);
        if (ut_flush_answered(segment, &wish, commit, &status))
            return status;
        if (gone != UNTORN_OK)
            return untorn_reader_check(reader);
        if (ut_flush_is_read_only(segment))
            return ut_fail(UNTORN_E_STATE, "%s: its store is only read: nobody flushes",
                           segment->message_name);
        if (error == EINTR)
            return ut_fail(UNTORN_E_INTERRUPTED, "%s: waiting for a flush was interrupted",
                           segment->message_name);
        int64_t left = timeout < 0 ? SLICE : timeout - (ut_clock_monotonic() - begin);
        if (left <= 0)
            return ut_fail(UNTORN_E_TIMEOUT, "%s: no flush ended within the timeout",
                           segment->message_name);
        error = ut_flush_sleep(segment, ended, left < SLICE ? left : SLICE);
    }
}
