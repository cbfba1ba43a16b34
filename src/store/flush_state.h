// SPDX-License-Identifier: MIT
/*
 * The store block of a segment: which store it is flushed to, how, and how that goes.  Its fields
 * and who may write them are in segment/layout.h.
 */
#ifndef UT_FLUSH_STATE_H
#define UT_FLUSH_STATE_H

#include "segment/segment.h"
#include "store/flush.h"

/* The configuration, complete. */
typedef struct ut_flush_config {
    char path[UNTORN_MAX_STORE_PATH]; /* "": no store */
    ut_zarr_format format;
    int64_t interval;
    uint64_t flush_bytes;
    unsigned threads;
    unsigned keep_snapshots;
    int64_t keep_time;
} ut_flush_config;

/* What the block says.  A path that cannot be is UNTORN_E_CORRUPT. */
untorn_status ut_flush_config_load(const ut_segment *segment, ut_flush_config *config);
/* By the writer's thread.  The path is only set if there is none yet. */
void ut_flush_config_store(ut_segment *segment, const ut_flush_config *config);

/* By the writer's thread, after the configuration: nobody flushes.  Until the next writer's. */
void ut_flush_config_read_only(ut_segment *segment);
bool ut_flush_is_read_only(const ut_segment *segment);

/* By the flusher's thread, or before it is there.  `duration` in ns. */
void ut_flush_state_begin(ut_segment *segment);
void ut_flush_state_succeeded(ut_segment *segment, const ut_flush_report *report, int64_t duration);
void ut_flush_state_failed(ut_segment *segment, untorn_status status, const char *sentence);
/* How the deletion of old snapshots went, after a flush that succeeded: a failure shows in the
 * state until a later one succeeds. */
void ut_flush_state_retained(ut_segment *segment, untorn_status status, const char *sentence);
/* Take over from another writer: the store's newest snapshot is of this commit (0: none). */
void ut_flush_state_adopt(ut_segment *segment, uint64_t commit, int64_t time);

/* UNTORN_E_OVERTAKEN: it is being changed, again and again. */
untorn_status ut_flush_state_read(const ut_segment *segment, untorn_flush_state *state);

/* A wish for a flush, addressed to the flusher in whichever process it is. */
typedef struct ut_flush_wish {
    uint64_t commit; /* that shall be in the store */
    uint32_t begun;  /* flushes that had begun before */
    bool confirm;    /* only a flush that begins after this counts */
} ut_flush_wish;
void ut_flush_ask(ut_segment *segment, uint64_t commit, ut_flush_wish *wish);
/* The same on a user's demand: if the state says that the commit is in the store already, a flush
 * has to look whether it is. */
void ut_flush_demand(ut_segment *segment, uint64_t commit, ut_flush_wish *wish);
/* Whether it came true (*status is UNTORN_OK, and *commit, which may be NULL, that of the store
 * snapshot), or the flush failed. */
bool ut_flush_answered(const ut_segment *segment, const ut_flush_wish *wish, uint64_t *commit,
                       untorn_status *status);
/* Sleep until the count of flushes that ended differs from `ended`, at most `slice` ns; returns 0
 * or an error number.  Load it before looking for an answer: none is slept through then. */
static inline uint32_t ut_flush_ended(const ut_segment *segment) {
    return ut_load_acquire(&segment->store->ended);
}
int ut_flush_sleep(const ut_segment *segment, uint32_t ended, int64_t slice);

#endif
