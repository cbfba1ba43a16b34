// SPDX-License-Identifier: MIT
/*
 * The encode pool's ring and threads.
 *
 * Jobs are numbered from 0 as they are added; job n lies in slot n mod slots.
 *
 *     recorded <= taken <= added <= recorded + slots
 *
 * Workers take job `taken`; the caller records job `recorded` once it is done.  A slot is the
 * worker's from taking to done, and the caller's otherwise, so what is in it needs no lock.
 */
#include "store/encode_pool.h"

#include "base/status.h"
#include "store/encode_chunk.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_PER_WORKER 4u
#define MOST_THREADS 256u

typedef struct encode_worker {
    ut_encode_pool *pool;
    pthread_t thread;
    ut_chunk_encoder encoder;
} encode_worker;

struct ut_encode_pool {
    pthread_mutex_t lock;
    pthread_cond_t added_job; /* for workers */
    pthread_cond_t done_job;  /* for the caller: the oldest one */
    ut_encode_job *jobs;
    uint64_t slots;
    uint64_t recorded, taken, added;
    bool closing;
    unsigned running; /* threads; 0: the caller does the jobs itself */
    untorn_status status;
    char message[UT_MESSAGE_BYTES]; /* of the first failure */
    ut_encode_counts counts;
    unsigned worker_count;
    encode_worker workers[];
};

/* Keep the first failure. */
static void fail(ut_encode_pool *pool, untorn_status status) {
    if (pool->status != UNTORN_OK)
        return;
    pool->status = status;
    strncpy(pool->message, untorn_message(), sizeof pool->message - 1);
}

static void *work(void *argument) {
    encode_worker *worker = argument;
    ut_encode_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->taken == pool->added && !pool->closing)
            pthread_cond_wait(&pool->added_job, &pool->lock);
        if (pool->taken == pool->added)
            break;
        uint64_t n = pool->taken++;
        ut_encode_job *job = &pool->jobs[n % pool->slots];
        bool wanted = pool->status == UNTORN_OK;
        pthread_mutex_unlock(&pool->lock);
        untorn_status status = wanted ? ut_chunk_encode(&worker->encoder, job) : UNTORN_OK;
        pthread_mutex_lock(&pool->lock);
        if (status != UNTORN_OK)
            fail(pool, status);
        job->done = true;
        if (n == pool->recorded)
            pthread_cond_signal(&pool->done_job);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* --- opening and closing --- */

/* Fewer will do; with none at all the caller does the jobs. */
static void start_workers(ut_encode_pool *pool) {
    /* Signals are the program's own threads' business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    for (unsigned i = 0; i < pool->worker_count && error == 0; i++) {
        error = pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]);
        pool->running += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

untorn_status ut_encode_pool_open(unsigned threads, const ut_hold *hold, ut_encode_pool **out) {
    if (threads == 0)
        threads = 1;
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    ut_encode_pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->workers);
    if (pool == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %u encoding threads", threads);
    pool->worker_count = threads;
    pool->slots = threads > 1 ? threads * JOBS_PER_WORKER : 1;
    pool->jobs = calloc(pool->slots, sizeof *pool->jobs);
    if (pool->jobs == NULL) {
        free(pool);
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %u encoding threads", threads);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->added_job, NULL);
    pthread_cond_init(&pool->done_job, NULL);
    for (unsigned i = 0; i < threads; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].encoder.hold = *hold;
    }
    if (threads > 1)
        start_workers(pool);
    *out = pool;
    return UNTORN_OK;
}

void ut_encode_pool_close(ut_encode_pool *pool) {
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->added_job);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->running; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (unsigned i = 0; i < pool->worker_count; i++)
        ut_chunk_encoder_free(&pool->workers[i].encoder);
    pthread_cond_destroy(&pool->done_job);
    pthread_cond_destroy(&pool->added_job);
    pthread_mutex_destroy(&pool->lock);
    free(pool->jobs);
    free(pool);
}

/* --- jobs --- */

static untorn_status record(ut_encode_pool *pool, const ut_encode_job *job) {
    untorn_status status = ut_array_writer_record(job->target->writer, job->number, job->version,
                                                  job->extent, job->bytes, job->hash);
    if (status != UNTORN_OK)
        return ut_chunk_fail(job->target, job->number, status, untorn_message());
    if (job->kind == UT_ENCODE_LINK) {
        pool->counts.chunks_linked++;
    } else {
        pool->counts.chunks_written++;
        pool->counts.bytes_written += job->bytes;
    }
    return UNTORN_OK;
}

/* Record done jobs until less than `most` are left, waiting for them; then those that happen to be
 * done.  Called and returns with the lock held. */
static void record_down_to(ut_encode_pool *pool, uint64_t most) {
    while (pool->recorded < pool->added) {
        ut_encode_job *job = &pool->jobs[pool->recorded % pool->slots];
        while (!job->done && pool->added - pool->recorded > most)
            pthread_cond_wait(&pool->done_job, &pool->lock);
        if (!job->done)
            return;
        bool wanted = pool->status == UNTORN_OK;
        /* The slot is ours until `recorded` is above it. */
        pthread_mutex_unlock(&pool->lock);
        untorn_status status = wanted ? record(pool, job) : UNTORN_OK;
        pthread_mutex_lock(&pool->lock);
        if (status != UNTORN_OK)
            fail(pool, status);
        pool->recorded++;
    }
}

static untorn_status do_it_here(ut_encode_pool *pool, const ut_encode_job *job) {
    ut_encode_job *mine = &pool->jobs[0];
    *mine = *job;
    untorn_status status = ut_chunk_encode(&pool->workers[0].encoder, mine);
    return status == UNTORN_OK ? record(pool, mine) : status;
}

untorn_status ut_encode_pool_add(ut_encode_pool *pool, const ut_encode_job *job) {
    if (pool->running == 0)
        return do_it_here(pool, job);
    pthread_mutex_lock(&pool->lock);
    record_down_to(pool, pool->slots - 1);
    untorn_status status = pool->status;
    if (status == UNTORN_OK) {
        ut_encode_job *mine = &pool->jobs[pool->added % pool->slots];
        *mine = *job;
        mine->done = false;
        pool->added++;
        pthread_cond_signal(&pool->added_job);
    }
    pthread_mutex_unlock(&pool->lock);
    return status == UNTORN_OK ? status : ut_fail(status, "%s", pool->message);
}

untorn_status ut_encode_pool_finish(ut_encode_pool *pool) {
    if (pool->running == 0)
        return UNTORN_OK; /* add() told */
    pthread_mutex_lock(&pool->lock);
    record_down_to(pool, 0);
    untorn_status status = pool->status;
    pool->status = UNTORN_OK;
    pthread_mutex_unlock(&pool->lock);
    return status == UNTORN_OK ? status : ut_fail(status, "%s", pool->message);
}

ut_encode_counts ut_encode_pool_counts(const ut_encode_pool *pool) {
    return pool->counts;
}
