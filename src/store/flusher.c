// SPDX-License-Identifier: MIT
/*
 * The flusher's thread: see flusher.h.
 *
 * It sleeps on the word by which any process asks for a flush, until that changes or the next
 * interval is due.
 */
#include "store/flusher.h"

#include "base/clock.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "base/thread.h"
#include "store/retention.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define LONGEST_BACKOFF (60 * SECOND)

struct ut_flusher {
    untorn_writer *writer; /* only `changed`, the segment, and by ut_grants_needed() the pins */
    ut_segment *segment;
    const ut_store *store;
    ut_flush_config config;
    untorn_reader *reader;
    ut_encode_pool *pool;
    untorn_notify *notify;
    void *notify_context;
    pthread_t thread;
    _Atomic bool stopping;
    unsigned failures; /* in a row */
    uint32_t answered; /* of the requests that were made */
    ut_flusher *next_forgotten;

    pthread_mutex_t gate; /* of what follows */
    pthread_cond_t changed;
    bool flushing;
    bool held; /* by the writer's thread: no flush may begin */
};

/* --- one flush at a time, and none while the writer holds the gate --- */

static void enter(ut_flusher *flusher) {
    pthread_mutex_lock(&flusher->gate);
    while (flusher->held)
        pthread_cond_wait(&flusher->changed, &flusher->gate);
    flusher->flushing = true;
    pthread_mutex_unlock(&flusher->gate);
}

static void leave(ut_flusher *flusher) {
    pthread_mutex_lock(&flusher->gate);
    flusher->flushing = false;
    pthread_cond_broadcast(&flusher->changed);
    pthread_mutex_unlock(&flusher->gate);
}

bool ut_flusher_hold(ut_flusher *flusher, int64_t deadline) {
    struct timespec until = {deadline / SECOND, deadline % SECOND};
    pthread_mutex_lock(&flusher->gate);
    int error = 0;
    flusher->held = true;
    while (flusher->flushing && error == 0)
        error = pthread_cond_timedwait(&flusher->changed, &flusher->gate, &until);
    flusher->held = !flusher->flushing;
    pthread_mutex_unlock(&flusher->gate);
    return flusher->held;
}

void ut_flusher_release(ut_flusher *flusher) {
    pthread_mutex_lock(&flusher->gate);
    flusher->held = false;
    pthread_cond_broadcast(&flusher->changed);
    pthread_mutex_unlock(&flusher->gate);
}

static uint64_t pinned(void *context, uint64_t floor) {
    const ut_flusher *flusher = context;
    return ut_grants_needed(&flusher->writer->publisher, floor);
}

static void removed(void *context) {
    const ut_flusher *flusher = context;
    ut_encode_pool_advance(flusher->pool);
}

static void tell(const ut_flusher *flusher, untorn_status status) {
    if (flusher->notify != NULL)
        flusher->notify(flusher->notify_context, status, untorn_message());
}

/* `crowded`: the disk is full, so that time does not count. */
static untorn_status retain(ut_flusher *flusher, bool crowded) {
    ut_retention retention = {.count = flusher->config.keep_snapshots,
                              .time = crowded && !UT_SEEDED(214) ? -1 : flusher->config.keep_time,
                              .needed = UINT64_MAX,
                              .pinned = pinned,
                              .removed = removed,
                              .context = flusher};
    untorn_status status = ut_retention_apply(flusher->store, &retention, NULL);
    if (status != UNTORN_OK)
        tell(flusher, status);
    return status;
}

static void fail(ut_flusher *flusher, untorn_status status) {
    char sentence[UT_STORE_ERROR_BYTES];
    snprintf(sentence, sizeof sentence, "%s", untorn_message());
    /* Best effort: the next start does it again.  In another's store nothing is ours. */
    bool ours = status != UNTORN_E_NO_STORE && status != UNTORN_E_FOREIGN_STORE;
    if (ours && !UT_SEEDED(216))
        ut_retention_clean(flusher->store);
    ut_fail(status, "%s", sentence);
    ut_flush_state_failed(flusher->segment, status, sentence);
    flusher->failures++;
    tell(flusher, status);
}

static void flush_now(ut_flusher *flusher) {
    ut_flush_options options = {.format = flusher->config.format,
                                .threads = flusher->config.threads,
                                .pool = flusher->pool,
                                .commit = UNTORN_NEWEST,
                                .notify = flusher->notify,
                                .notify_context = flusher->notify_context};
    ut_flush_report report;
    int64_t begin = ut_clock_monotonic();
    ut_flush_state_begin(flusher->segment);
    untorn_status status = ut_flush(flusher->store, flusher->reader, &options, &report);
    if (status == UNTORN_E_NO_SPACE) {
        retain(flusher, true);
        ut_retention_clean(flusher->store);
        status = ut_flush(flusher->store, flusher->reader, &options, &report);
    }
    if (status != UNTORN_OK) {
        fail(flusher, status);
        return;
    }
    flusher->failures = 0;
    ut_flush_state_succeeded(flusher->segment, &report, ut_clock_monotonic() - begin);
    status = retain(flusher, false);
    ut_flush_state_retained(flusher->segment, status, untorn_message());
}

static void flush_once(ut_flusher *flusher) {
    enter(flusher);
    flush_now(flusher);
    leave(flusher);
}

/* When the next flush is due that nobody asks for, given when the last one began. */
static int64_t next_due(const ut_flusher *flusher, int64_t last) {
    int64_t interval = flusher->config.interval;
    if (interval < 0)
        return INT64_MAX;
    int64_t wait = interval;
    if (flusher->failures > 0 && UT_SEEDED(215))
        return INT64_MAX;
    if (flusher->failures > 0) {
        unsigned shift = flusher->failures < 8 ? flusher->failures - 1 : 7;
        int64_t backoff = SECOND << shift;
        if (backoff > LONGEST_BACKOFF)
            backoff = LONGEST_BACKOFF;
        wait = wait > backoff ? wait : backoff;
    }
    return last + wait;
}

static bool anything_new(const ut_flusher *flusher) {
    return ut_load_relaxed(&flusher->writer->changed) >
           ut_load_relaxed(&flusher->segment->store->flushed_commit);
}

static void sleep_until(const ut_flusher *flusher, uint32_t requests, int64_t due) {
    struct timespec timeout = {3600, 0};
    int64_t left = due - ut_clock_monotonic();
    if (left <= 0)
        return;
    if (left < 3600 * SECOND)
        timeout = (struct timespec){left / SECOND, left % SECOND};
    syscall(SYS_futex, &flusher->segment->control->flush_requests, FUTEX_WAIT, requests, &timeout,
            NULL, 0);
}

static void *run(void *argument) {
    ut_flusher *flusher = argument;
    _Atomic uint32_t *word = &flusher->segment->control->flush_requests;
    int64_t last = ut_clock_monotonic();
    for (;;) {
        uint32_t requests = ut_load_acquire(word);
        int64_t now = ut_clock_monotonic(), due = next_due(flusher, last);
        if (ut_load_acquire(&flusher->stopping)) {
            if (anything_new(flusher))
                flush_once(flusher);
            return NULL;
        }
        if (requests != flusher->answered || (now >= due && anything_new(flusher))) {
            flusher->answered = requests;
            last = now;
            flush_once(flusher);
        } else {
            /* Nothing was new when it was due: look again after a fraction of the interval. */
            if (now >= due)
                due = now + (flusher->config.interval > SECOND / 10 ? SECOND / 10 : SECOND / 100);
            sleep_until(flusher, requests, due);
        }
    }
}

static void free_flusher(ut_flusher *flusher) {
    pthread_cond_destroy(&flusher->changed);
    pthread_mutex_destroy(&flusher->gate);
    free(flusher);
}

untorn_status ut_flusher_start(untorn_writer *writer, const ut_store *store,
                               const ut_flush_config *config, untorn_notify *notify,
                               void *notify_context, ut_flusher **out) {
    ut_flusher *flusher = calloc(1, sizeof *flusher);
    if (flusher == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for the flusher", store->who);
    flusher->writer = writer;
    flusher->segment = &writer->segment;
    flusher->store = store;
    flusher->config = *config;
    flusher->notify = notify;
    flusher->notify_context = notify_context;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&flusher->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&flusher->gate, NULL);
    untorn_status status = ut_reader_open_flusher(writer->segment.name, &flusher->reader);
    if (status != UNTORN_OK)
        goto free_flusher;
    status =
        ut_encode_pool_open(UT_SEEDED(217) ? 1 : config->threads, UT_ENCODE_ALONE, &flusher->pool);
    if (status != UNTORN_OK)
        goto close_reader;
    /* Here, not in the thread: what is asked for from now on is answered. */
    flusher->answered = ut_load_acquire(&writer->segment.control->flush_requests);
    int error = ut_thread_start(&flusher->thread, run, flusher);
    if (error != 0) {
        status = ut_fail_errno(UNTORN_E_SYSTEM, error, "%s: cannot start the flusher", store->who);
        goto close_pool;
    }
    *out = flusher;
    return UNTORN_OK;

close_pool:
    ut_encode_pool_close(flusher->pool);
close_reader:
    untorn_reader_close(flusher->reader);
free_flusher:
    free_flusher(flusher);
    return status;
}

uint64_t ut_flusher_progress(const ut_flusher *flusher) {
    return ut_encode_pool_progress(flusher->pool);
}

void ut_flusher_stop(ut_flusher *flusher) {
    ut_flush_wish wish;
    ut_store_release(&flusher->stopping, true);
    ut_flush_ask(flusher->segment, 0, &wish); /* to wake it, after it can see why */
    pthread_join(flusher->thread, NULL);
    ut_encode_pool_close(flusher->pool);
    untorn_reader_close(flusher->reader);
    free_flusher(flusher);
}

void ut_flusher_forget(ut_flusher *flusher) {
    ut_encode_pool_forget(flusher->pool);
    /* Where its thread was in the parent nobody knows: in the middle of the reader's lists, with
     * its lock taken.  So the reader is left as it is. */
    static ut_flusher *forgotten;
    flusher->next_forgotten = forgotten;
    forgotten = flusher;
}
