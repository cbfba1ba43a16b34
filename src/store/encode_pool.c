// SPDX-License-Identifier: MIT
/*
 * The encode pool's ring, threads and buffers.
 *
 * Jobs are numbered from 0 as they are added; job n lies in slot n mod ring.
 *
 *     recorded <= taken <= added <= recorded + limit        limit <= ring
 *
 * Job `taken` is the next for whoever is free; the coordinator records job `recorded` once it is
 * done.  A slot is the thread's that took it until it is done, and the coordinator's otherwise, so
 * what is in it needs no lock.  Links are made when they are added, and only wait in the ring for
 * their records' turn.
 *
 * With several threads each writes the files of the chunks that it encoded, while their bytes are
 * in its cache, and the coordinator takes jobs like the others when the ring is full or nothing is
 * left to be added: it sleeps only while others do the last ones.
 *
 * With one thread to compress, the coordinator writes the files of what that has encoded.  To wake
 * a thread on an idle processor takes about as long as to write a small file, and both sides would
 * sleep once per chunk.  So the coordinator sleeps until half of what is under way is done, and
 * then has several files to write while the worker goes on with the other half.
 *
 * There are as many buffers as jobs may be under way.  The one that was given back last is taken
 * first, for it is in the cache.  So with several threads one for each goes round; with one, one or
 * two as long as the coordinator keeps up.
 *
 * The failure that counts is that of the first job in order, whichever was first in time: a job is
 * passed over only if one before it has failed.
 */
#include "store/encode_pool.h"

#include "base/status.h"
#include "base/test_hooks.h"
#include "base/thread.h"
#include "store/encode_chunk.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RING 256u
#define MOST_THREADS 200u /* below RING */
/* Of chunks under way: enough for a worker to go on while a file is written by another thread. */
#define WINDOW_BYTES ((uint64_t)8 << 20)
/* Of chunks for which a worker is woken: to wake costs more than to encode a small one. */
#define WORTH_WAKING ((uint64_t)64 << 10)
/* Of buffers that stay from flush to flush. */
#define KEPT_BYTES ((uint64_t)64 << 20)

typedef struct pool_job {
    ut_encode_job job;
    ut_encode_buffer buffer; /* while a worker or the file has it */
    bool done;
} pool_job;

typedef struct encode_worker {
    ut_encode_pool *pool;
    pthread_t thread;
    ut_chunk_encoder encoder;
} encode_worker;

struct ut_encode_pool {
    pthread_mutex_t lock;
    pthread_cond_t added_job; /* for workers */
    pthread_cond_t done_job;  /* for the coordinator: all up to `awaited` */
    bool shared;              /* several threads, of which the coordinator is one */
    pool_job *jobs;
    uint64_t limit;           /* of jobs in the ring; set while it is empty */
    uint64_t recorded, added; /* changed by the coordinator alone */
    uint64_t taken;
    uint64_t finished; /* jobs before it are done; moved by whoever is done with one */
    uint64_t
        awaited; /* the coordinator sleeps until `finished` is above; UINT64_MAX: it does not */
    ut_encode_buffer *buffers; /* a stack of those that nobody has */
    size_t buffer_count;
    bool closing;
    unsigned threads;                     /* that were asked for */
    unsigned worker_count, running, idle; /* that there can be, that there are, that wait */
    unsigned called;      /* of those that wait: they were told to, but did not get so far yet */
    untorn_status status; /* of the first job that failed, in their order */
    uint64_t failed;      /* which one; UINT64_MAX: none */
    char message[UT_MESSAGE_BYTES]; /* what it said */
    /* of the coordinator */
    bool flushing;
    uint64_t alone, alone_left;
    uint64_t unannounced; /* bytes of chunks that were added since workers were told last */
    ut_hold hold;
    ut_chunk_encoder own;
    ut_encode_buffer own_buffer;
    ut_encode_counts counts;
    _Atomic uint64_t progress; /* moved by the coordinator, looked at by anybody */
    encode_worker workers[];
};

/* Keep the failure of the first job; called with the lock held. */
static void fail(ut_encode_pool *pool, uint64_t job, untorn_status status) {
    if (job >= pool->failed || (UT_SEEDED(351) && pool->status != UNTORN_OK))
        return;
    pool->status = status;
    pool->failed = job;
    strncpy(pool->message, untorn_message(), sizeof pool->message - 1);
}

/* --- jobs --- */

/* Links are done already. */
static bool find_job(ut_encode_pool *pool) {
    while (pool->taken < pool->added && pool->jobs[pool->taken % RING].job.kind == UT_ENCODE_LINK)
        pool->taken++;
    return pool->taken < pool->added;
}

/* Called with the lock held. */
static uint64_t count_finished(ut_encode_pool *pool) {
    if (pool->finished < pool->recorded) /* links, whose slots may be others' by now */
        pool->finished = pool->recorded;
    while (pool->finished < pool->added && pool->jobs[pool->finished % RING].done)
        pool->finished++;
    return pool->finished;
}

static void give_back(ut_encode_pool *pool, pool_job *mine) {
    pool->buffers[pool->buffer_count++] = mine->buffer;
}

/* The next job that nobody has.  Called and returns with the lock held. */
static void do_job(ut_encode_pool *pool, ut_chunk_encoder *encoder) {
    uint64_t n = pool->taken++;
    pool_job *mine = &pool->jobs[n % RING];
    mine->buffer = pool->buffers[--pool->buffer_count];
    bool wanted = n < pool->failed;
    pthread_mutex_unlock(&pool->lock);
    untorn_status status = UNTORN_OK;
    if (wanted)
        status = ut_chunk_encode(encoder, &mine->job, &mine->buffer);
    if (wanted && status == UNTORN_OK && pool->shared)
        status = ut_chunk_write(&encoder->hold, &mine->job);
    pthread_mutex_lock(&pool->lock);
    if (status != UNTORN_OK)
        fail(pool, n, status);
    if (pool->shared)
        give_back(pool, mine);
    mine->done = true;
}

/* --- workers --- */

static void await_call(ut_encode_pool *pool) {
    pthread_cond_wait(&pool->added_job, &pool->lock);
    if (pool->called > 0)
        pool->called--;
}

static void *work(void *argument) {
    encode_worker *worker = argument;
    ut_encode_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        pool->idle++;
        while (!find_job(pool) && !pool->closing)
            await_call(pool);
        pool->idle--;
        if (!find_job(pool))
            break;
        do_job(pool, &worker->encoder);
        if (count_finished(pool) > pool->awaited)
            pthread_cond_signal(&pool->done_job);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* One more; called with the lock held. */
static void start_worker(ut_encode_pool *pool) {
    encode_worker *worker = &pool->workers[pool->running];
    worker->encoder.hold = pool->hold;
    if (ut_thread_start(&worker->thread, work, worker) == 0)
        pool->running++;
    else
        pool->worker_count = pool->running; /* fewer will do; with none the coordinator encodes */
}

/* --- opening and closing --- */

untorn_status ut_encode_pool_open(unsigned threads, uint64_t alone, ut_encode_pool **out) {
    if (threads == 0)
        threads = 1;
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    ut_encode_pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->workers);
    if (pool == NULL)
        goto no_memory;
    pool->jobs = calloc(RING, sizeof *pool->jobs);
    pool->buffers = calloc(RING, sizeof *pool->buffers);
    if (pool->jobs == NULL || pool->buffers == NULL)
        goto free_pool;
    pool->threads = threads;
    pool->buffer_count = RING;
    pool->alone = alone;
    pool->awaited = pool->failed = UINT64_MAX;
    pool->shared = threads > 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->added_job, NULL);
    pthread_cond_init(&pool->done_job, NULL);
    for (unsigned i = 0; i < threads; i++)
        pool->workers[i].pool = pool;
    *out = pool;
    return UNTORN_OK;
free_pool:
    free(pool->jobs);
    free(pool->buffers);
    free(pool);
no_memory:
    return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %u encoding threads", threads);
}

void ut_encode_pool_begin(ut_encode_pool *pool, const ut_hold *hold) {
    pool->flushing = true;
    pool->worker_count = pool->shared ? pool->threads - 1 : 1;
    pool->alone_left = pool->alone;
    pool->counts = (ut_encode_counts){0, 0, 0};
    pool->hold = pool->own.hold = *hold;
    /* Idle workers look at their encoders only after they had the lock. */
    pthread_mutex_lock(&pool->lock);
    for (unsigned i = 0; i < pool->running; i++)
        pool->workers[i].encoder.hold = *hold;
    pthread_mutex_unlock(&pool->lock);
}

static void drop(ut_encode_buffer *buffer) {
    free(buffer->memory);
    *buffer = (ut_encode_buffer){NULL, 0};
}

static void drop_encoder(ut_chunk_encoder *encoder) {
    ut_chunk_encoder_free(encoder);
    *encoder = (ut_chunk_encoder){.scratch = UT_CODEC_SCRATCH_INIT};
}

static uint64_t buffered(const ut_encode_pool *pool) {
    uint64_t bytes = pool->own_buffer.bytes + pool->own.chunk.bytes + pool->own.former.bytes;
    for (size_t i = 0; i < pool->buffer_count; i++)
        bytes += pool->buffers[i].bytes;
    for (unsigned i = 0; i < pool->running; i++)
        bytes += pool->workers[i].encoder.chunk.bytes + pool->workers[i].encoder.former.bytes;
    return bytes;
}

static void drop_buffers(ut_encode_pool *pool) {
    for (size_t i = 0; i < pool->buffer_count; i++)
        drop(&pool->buffers[i]);
    for (unsigned i = 0; i < pool->running; i++)
        drop_encoder(&pool->workers[i].encoder);
    drop_encoder(&pool->own);
    drop(&pool->own_buffer);
}

void ut_encode_pool_end(ut_encode_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    if (buffered(pool) > KEPT_BYTES)
        drop_buffers(pool);
    pthread_mutex_unlock(&pool->lock);
    pool->flushing = false;
}

static void free_pool(ut_encode_pool *pool) {
    drop_buffers(pool);
    free(pool->jobs);
    free(pool->buffers);
    free(pool);
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
    pthread_cond_destroy(&pool->done_job);
    pthread_cond_destroy(&pool->added_job);
    pthread_mutex_destroy(&pool->lock);
    free_pool(pool);
}

void ut_encode_pool_forget(ut_encode_pool *pool) {
    if (pool != NULL && !pool->flushing)
        free_pool(pool);
}

/* --- the coordinator --- */

static untorn_status record(ut_encode_pool *pool, const ut_encode_job *job) {
    untorn_status status = ut_array_writer_record(job->target->writer, job->number, job->version,
                                                  job->extent, job->bytes, job->hash);
    if (status != UNTORN_OK)
        return ut_chunk_fail(job->target, job->number, status, untorn_message());
    ut_encode_pool_advance(pool);
    if (job->kind == UT_ENCODE_LINK) {
        pool->counts.chunks_linked++;
    } else {
        pool->counts.chunks_written++;
        pool->counts.bytes_written += job->bytes;
    }
    return UNTORN_OK;
}

/* Tell of what was added; called with the lock held. */
static void announce(ut_encode_pool *pool) {
    if (pool->unannounced == 0)
        return;
    pool->unannounced = 0;
    if (pool->idle > pool->called) {
        pool->called++;
        pthread_cond_signal(&pool->added_job);
    } else if (pool->running < pool->worker_count)
        start_worker(pool);
}

/* Sleep until no more than `most` jobs are under way, or, if this thread has files to write, half
 * of them.  Called and returns with the lock held. */
static void await(ut_encode_pool *pool, uint64_t most) {
    uint64_t under_way = pool->added - pool->recorded;
    pool->awaited = pool->recorded + (pool->shared ? under_way - most : (under_way + 1) / 2) - 1;
    while (count_finished(pool) <= pool->awaited) {
        announce(pool);
        pthread_cond_wait(&pool->done_job, &pool->lock);
    }
    pool->awaited = UINT64_MAX;
}

static untorn_status record_oldest(ut_encode_pool *pool, const ut_encode_job *job) {
    untorn_status status = UNTORN_OK;
    if (!pool->shared && job->kind != UT_ENCODE_LINK)
        status = ut_chunk_write(&pool->own.hold, job);
    return status == UNTORN_OK ? record(pool, job) : status;
}

/* Record the oldest jobs until no more than `most` are left, waiting for them: no more than are
 * needed, so that workers get a new job for each file.  Called and returns with the lock held. */
static void record_down_to(ut_encode_pool *pool, uint64_t most) {
    while (pool->added - pool->recorded > most) {
        pool_job *oldest = &pool->jobs[pool->recorded % RING];
        if (!oldest->done) {
            if (pool->shared && find_job(pool) && !UT_SEEDED(353))
                do_job(pool, &pool->own);
            else
                await(pool, most);
            continue;
        }
        bool wanted = pool->recorded < pool->failed;
        /* The slot is ours until `recorded` is above it. */
        pthread_mutex_unlock(&pool->lock);
        untorn_status status = wanted ? record_oldest(pool, &oldest->job) : UNTORN_OK;
        pthread_mutex_lock(&pool->lock);
        if (status != UNTORN_OK)
            fail(pool, pool->recorded, status);
        if (!pool->shared && oldest->job.kind != UT_ENCODE_LINK)
            give_back(pool, oldest);
        pool->recorded++;
        if (pool->taken < pool->recorded) /* it was a link */
            pool->taken = pool->recorded;
    }
}

/* How many jobs on such chunks may be under way.  If what is encoded waits to be written, each has
 * a buffer: no more than WINDOW_BYTES, but two. */
static uint64_t choose_limit(const ut_encode_pool *pool, const ut_encode_job *job) {
    uint64_t bytes = job->target->definition->slot_bytes;
    if (pool->shared || bytes == 0)
        return RING;
    uint64_t limit = WINDOW_BYTES / bytes;
    return limit < 2 ? 2 : limit > RING ? RING : limit;
}

/* Into the ring, in which there is room; called with the lock held. */
static void put(ut_encode_pool *pool, const ut_encode_job *job) {
    pool_job *mine = &pool->jobs[pool->added % RING];
    mine->job = *job;
    mine->done = job->kind == UT_ENCODE_LINK;
    pool->added++;
    if (mine->done)
        return;
    pool->unannounced += job->target->definition->slot_bytes;
    if (pool->unannounced >= WORTH_WAKING)
        announce(pool);
}

static untorn_status hand_over(ut_encode_pool *pool, const ut_encode_job *job) {
    pthread_mutex_lock(&pool->lock);
    if (pool->recorded == pool->added)
        pool->limit = choose_limit(pool, job);
    record_down_to(pool, pool->limit - 1);
    untorn_status status = pool->status;
    if (status == UNTORN_OK)
        put(pool, job);
    pthread_mutex_unlock(&pool->lock);
    return status == UNTORN_OK ? status : ut_fail(status, "%s", pool->message);
}

static untorn_status encode_alone(ut_encode_pool *pool, const ut_encode_job *job) {
    ut_encode_job mine = *job;
    untorn_status status = ut_chunk_encode(&pool->own, &mine, &pool->own_buffer);
    if (status == UNTORN_OK)
        status = ut_chunk_write(&pool->own.hold, &mine);
    return status == UNTORN_OK ? record(pool, &mine) : status;
}

static bool is_for_one(ut_encode_pool *pool, const ut_encode_job *job) {
    if (pool->recorded != pool->added) /* records ascend */
        return false;
    uint64_t bytes = job->target->definition->slot_bytes;
    if (bytes <= pool->alone_left) {
        pool->alone_left -= bytes;
        return true;
    }
    pthread_mutex_lock(&pool->lock);
    if (pool->running == 0 && pool->worker_count > 0)
        start_worker(pool);
    pthread_mutex_unlock(&pool->lock);
    return pool->running == 0;
}

/* To be told unless a chunk before it fails. */
static untorn_status fail_link(ut_encode_pool *pool, const ut_encode_job *job,
                               untorn_status status) {
    status = ut_chunk_fail(job->target, job->number, status, untorn_message());
    if (status == UNTORN_E_ABSENT)
        return status;
    pthread_mutex_lock(&pool->lock);
    fail(pool, pool->added, status);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

static untorn_status add_link(ut_encode_pool *pool, const ut_encode_job *job) {
    ut_encode_job mine = *job;
    mine.bytes = job->stored->bytes;
    mine.hash = job->stored->hash;
    untorn_status status =
        ut_array_writer_link(job->target->writer, job->number, job->target->stored, job->stored);
    if (status != UNTORN_OK)
        return fail_link(pool, job, status);
    return pool->recorded == pool->added ? record(pool, &mine) : hand_over(pool, &mine);
}

untorn_status ut_encode_pool_add(ut_encode_pool *pool, const ut_encode_job *job) {
    if (job->kind == UT_ENCODE_LINK)
        return add_link(pool, job);
    return is_for_one(pool, job) ? encode_alone(pool, job) : hand_over(pool, job);
}

untorn_status ut_encode_pool_finish(ut_encode_pool *pool) {
    if (pool->recorded == pool->added && pool->status == UNTORN_OK)
        return UNTORN_OK; /* add() told */
    pthread_mutex_lock(&pool->lock);
    record_down_to(pool, 0);
    untorn_status status = pool->status;
    pool->status = UNTORN_OK;
    pool->failed = UINT64_MAX;
    pthread_mutex_unlock(&pool->lock);
    return status == UNTORN_OK ? status : ut_fail(status, "%s", pool->message);
}

void ut_encode_pool_advance(ut_encode_pool *pool) {
    ut_store_relaxed(&pool->progress, ut_load_relaxed(&pool->progress) + 1);
}

uint64_t ut_encode_pool_progress(const ut_encode_pool *pool) {
    return ut_load_relaxed(&((ut_encode_pool *)(uintptr_t)pool)->progress);
}

ut_encode_counts ut_encode_pool_counts(const ut_encode_pool *pool) {
    return pool->counts;
}
