// SPDX-License-Identifier: MIT
/*
 * Reading and writing the store block, and asking for a flush from any process.
 *
 * A writer that only reads its store says so beside the number of threads, which stays for the
 * writers that follow.
 *
 * The state is a small seqlock of one copy: whoever reads it looks rarely and can look again.
 */
#include "store/flush_state.h"

#include "base/clock.h"
#include "base/racy_copy.h"
#include "base/status.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Looks at a state that is being changed: it is done in no time, unless whoever changes it lost the
 * processor meanwhile, or its life. */
#define LOOKS 300
#define SPINS 100    /* of them without a rest */
#define REST 1000000 /* ns */

/* --- configuration --- */

untorn_status ut_flush_config_load(const ut_segment *segment, ut_flush_config *config) {
    ut_store_block *block = segment->store;
    memset(config, 0, sizeof *config);
    /* Pairs with the release in ut_flush_config_store(): the path is there. */
    uint32_t length = ut_load_acquire(&block->path_bytes);
    if (length == 0)
        return UNTORN_OK;
    if (length >= sizeof config->path)
        return ut_fail(UNTORN_E_CORRUPT, "%s: damaged: path of the store", segment->message_name);
    ut_racy_copy(config->path, block->path, length);
    if (config->path[0] != '/' || strlen(config->path) != length)
        return ut_fail(UNTORN_E_CORRUPT, "%s: damaged: path of the store", segment->message_name);
    config->format = ut_load_relaxed(&block->zarr_format) == UT_ZARR_V3 ? UT_ZARR_V3 : UT_ZARR_V2;
    config->interval = ut_load_relaxed(&block->interval);
    config->flush_bytes = ut_load_relaxed(&block->flush_bytes);
    config->threads = ut_load_relaxed(&block->threads) & ~UT_STORE_ONLY_READ;
    config->keep_snapshots = ut_load_relaxed(&block->keep_snapshots);
    config->keep_time = ut_load_relaxed(&block->keep_time);
    return UNTORN_OK;
}

void ut_flush_config_store(ut_segment *segment, const ut_flush_config *config) {
    ut_store_block *block = segment->store;
    ut_store_relaxed(&block->zarr_format, (uint32_t)config->format);
    ut_store_relaxed(&block->interval, config->interval);
    ut_store_relaxed(&block->flush_bytes, config->flush_bytes);
    ut_store_relaxed(&block->threads, config->threads);
    ut_store_relaxed(&block->keep_snapshots, config->keep_snapshots);
    ut_store_relaxed(&block->keep_time, config->keep_time);
    if (ut_load_relaxed(&block->path_bytes) == 0) {
        size_t length = strlen(config->path);
        ut_racy_copy(block->path, config->path, length + 1);
        /* Pairs with the acquire in ut_flush_config_load(). */
        ut_store_release(&block->path_bytes, (uint32_t)length);
    }
}

void ut_flush_config_read_only(ut_segment *segment) {
    uint32_t threads = ut_load_relaxed(&segment->store->threads);
    ut_store_relaxed(&segment->store->threads, threads | UT_STORE_ONLY_READ);
}

bool ut_flush_is_read_only(const ut_segment *segment) {
    return (ut_load_relaxed(&segment->store->threads) & UT_STORE_ONLY_READ) != 0;
}

/* --- state --- */

static uint64_t begin_change(ut_store_block *block) {
    /* One that died in between left it odd. */
    uint64_t stamp = ut_load_relaxed(&block->stamp) | 1;
    ut_store_relaxed(&block->stamp, stamp);
    /* Pairs with the acquire fence in ut_flush_state_read(): who sees a new field sees the odd
     * stamp. */
    ut_fence_release();
    return stamp;
}

static void end_change(ut_store_block *block, uint64_t stamp) {
    /* Pairs with the acquire load there: the fields of this stamp are seen. */
    ut_store_release(&block->stamp, stamp + 1);
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
                  const struct timespec *timeout) {
    return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static void wake_requesters(ut_store_block *block) {
    /* Release: who sees the count sees the state. */
    ut_fetch_add_release(&block->ended, 1);
    futex(&block->ended, FUTEX_WAKE, INT_MAX, NULL);
}

void ut_flush_state_begin(ut_segment *segment) {
    ut_fetch_add_release(&segment->store->begun, 1);
}

void ut_flush_state_succeeded(ut_segment *segment, const ut_flush_report *report,
                              int64_t duration) {
    ut_store_block *block = segment->store;
    uint64_t stamp = begin_change(block);
    ut_store_relaxed(&block->flushed_commit, report->commit);
    ut_store_relaxed(&block->flushed_time, report->time);
    ut_store_relaxed(&block->finished, ut_clock_wall());
    ut_store_relaxed(&block->duration, duration);
    ut_store_relaxed(&block->flushes, ut_load_relaxed(&block->flushes) + 1);
    /* Without failures the status is that of deleting old snapshots, which is to come. */
    if (ut_load_relaxed(&block->failures) > 0)
        ut_store_relaxed(&block->status, UNTORN_OK);
    ut_store_relaxed(&block->failures, 0);
    ut_store_relaxed(&block->bytes_written, report->bytes_written);
    ut_store_relaxed(&block->chunks_written, report->chunks_written);
    ut_store_relaxed(&block->chunks_linked, report->chunks_linked);
    ut_store_relaxed(&block->total_bytes,
                     ut_load_relaxed(&block->total_bytes) + report->bytes_written);
    end_change(block, stamp);
    wake_requesters(block);
}

void ut_flush_state_failed(ut_segment *segment, untorn_status status, const char *sentence) {
    ut_store_block *block = segment->store;
    char text[UT_STORE_ERROR_BYTES] = {0};
    snprintf(text, sizeof text, "%s", sentence);
    uint64_t stamp = begin_change(block);
    ut_store_relaxed(&block->failures, ut_load_relaxed(&block->failures) + 1);
    ut_store_relaxed(&block->failed, ut_clock_wall());
    ut_store_relaxed(&block->status, (uint64_t)status);
    ut_racy_copy(block->error, text, sizeof text);
    end_change(block, stamp);
    wake_requesters(block);
}

void ut_flush_state_retained(ut_segment *segment, untorn_status status, const char *sentence) {
    ut_store_block *block = segment->store;
    char text[UT_STORE_ERROR_BYTES] = {0};
    if (status == UNTORN_OK && ut_load_relaxed(&block->status) == UNTORN_OK)
        return;
    uint64_t stamp = begin_change(block);
    ut_store_relaxed(&block->status, (uint64_t)status);
    if (status != UNTORN_OK) {
        snprintf(text, sizeof text, "%s", sentence);
        ut_racy_copy(block->error, text, sizeof text);
    }
    end_change(block, stamp);
}

void ut_flush_state_adopt(ut_segment *segment, uint64_t commit, int64_t time) {
    ut_store_block *block = segment->store;
    uint64_t stamp = begin_change(block);
    ut_store_relaxed(&block->flushed_commit, commit);
    ut_store_relaxed(&block->flushed_time, time);
    end_change(block, stamp);
    /* A flush that was under way has ended with its process. */
    ut_store_release(&block->ended, ut_load_relaxed(&block->begun));
}

static void copy_state(ut_store_block *block, untorn_flush_state *state) {
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
    ut_racy_copy(state->error, block->error, sizeof state->error);
    state->error[sizeof state->error - 1] = '\0';
}

untorn_status ut_flush_state_read(const ut_segment *segment, untorn_flush_state *state) {
    static_assert(sizeof state->error == UT_STORE_ERROR_BYTES, "the sentence fits");
    ut_store_block *block = segment->store;
    ut_flush_config config;
    untorn_status status = ut_flush_config_load(segment, &config);
    if (status != UNTORN_OK)
        return status;
    memset(state, 0, sizeof *state);
    snprintf(state->store, sizeof state->store, "%s", config.path);
    state->store_format = config.path[0] != '\0' ? (unsigned)config.format : 0;
    state->interval = config.interval;
    for (int i = 0; i < LOOKS; i++) {
        if (i >= SPINS)
            nanosleep(&(struct timespec){.tv_nsec = REST}, NULL);
        uint64_t stamp = ut_load_acquire(&block->stamp);
        copy_state(block, state);
        ut_fence_acquire();
        if (stamp % 2 == 0 && ut_load_relaxed(&block->stamp) == stamp)
            return UNTORN_OK;
    }
    return ut_fail(UNTORN_E_OVERTAKEN, "%s: the state of its flushing is being changed",
                   segment->message_name);
}

/* --- asking --- */

void ut_flush_ask(ut_segment *segment, uint64_t commit, ut_flush_wish *wish) {
    wish->commit = commit;
    wish->confirm = false;
    /* Whatever begins after this has the commit in it. */
    wish->begun = ut_load_acquire(&segment->store->begun);
    ut_fetch_add_release(&segment->control->flush_requests, 1);
    futex(&segment->control->flush_requests, FUTEX_WAKE, INT_MAX, NULL);
}

void ut_flush_demand(ut_segment *segment, uint64_t commit, ut_flush_wish *wish) {
    bool confirm = ut_load_relaxed(&segment->store->flushed_commit) >= commit;
    ut_flush_ask(segment, commit, wish);
    wish->confirm = confirm;
}

bool ut_flush_answered(const ut_segment *segment, const ut_flush_wish *wish, uint64_t *commit,
                       untorn_status *status) {
    /* Before the state: if the flush that counts has ended, its outcome is seen. */
    uint32_t ended = ut_load_acquire(&segment->store->ended);
    untorn_flush_state state;
    *status = ut_flush_state_read(segment, &state);
    if (*status != UNTORN_OK)
        return *status != UNTORN_E_OVERTAKEN;
    bool later = (int32_t)(ended - wish->begun) >= 1; /* one that began after the wish has ended */
    if (state.flushed_commit >= wish->commit &&
        (!wish->confirm || (later && state.failures == 0))) {
        if (commit != NULL)
            *commit = state.flushed_commit;
        *status = UNTORN_OK;
        return true;
    }
    if (state.failures == 0 || !later)
        return false;
    if (state.status == UNTORN_OK ||
        strcmp(untorn_status_text(state.status), "unknown status") == 0)
        *status =
            ut_fail(UNTORN_E_CORRUPT, "%s: damaged: state of its flushing", segment->message_name);
    else
        *status = ut_fail(state.status, "%s", state.error);
    return true;
}

int ut_flush_sleep(const ut_segment *segment, uint32_t ended, int64_t slice) {
    struct timespec timeout = {slice / 1000000000, slice % 1000000000};
    return futex(&segment->store->ended, FUTEX_WAIT, ended, &timeout) == 0 ? 0 : errno;
}
