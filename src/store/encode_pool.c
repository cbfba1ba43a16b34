// SPDX-License-Identifier: MIT
/*
 * The encode pool's ring, threads and buffers.
 *
 * Jobs are numbered from 0 as they are added; job n lies in slot n mod ring.
 *
 *     recorded <= taken <= added <= recorded + limit        limit <= ring
 *
 * Workers take job `taken`; the coordinator writes and records job `recorded` once it is done.  A
 * slot is the worker's from taking to done, and the coordinator's otherwise, so what is in it needs
 * no lock.  Links are made when they are added, and only wait in the ring for their records' turn.
 *
 * To wake a thread on an idle processor takes about as long as to write a small file, and both
 * sides would sleep once per chunk.  So the coordinator sleeps until half of what is under way is
 * done, and then has several files to write while workers go on with the other half.
 *
 * There are as many buffers as jobs may be under way, a number that depends on the size of chunks.
 * The one that was given back last is taken first, for it is in the cache: as long as the
 * coordinator keeps up, one or two per worker go round.
 */
#include "store/encode_pool.h"

#include "base/status.h"
#include "base/thread.h"
#include "store/encode_chunk.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RING 256u
#define MOST_THREADS 200u /* below RING */
/* Of encoded bytes under way: enough for workers to go on while a file is written. */
#define WINDOW_BYTES ((uint64_t)4 << 20)
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
    unsigned called; /* of those that wait: they were told to, but did not get so far yet */
    untorn_status status;
    char message[UT_MESSAGE_BYTES]; /* of the first failure */
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

/* Keep the first failure. */
static void fail(ut_encode_pool *pool, untorn_status status) {
    if (pool->status != UNTORN_OK)
        return;
    pool->status = status;
    strncpy(pool->message, untorn_message(), sizeof pool->message - 1);
}

/* --- workers --- */

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
        uint64_t n = pool->taken++;
        pool_job *mine = &pool->jobs[n % RING];
        mine->buffer = pool->buffers[--pool->buffer_count];
        bool wanted = pool->status == UNTORN_OK;
        pthread_mutex_unlock(&pool->lock);
        untorn_status status =
            wanted ? ut_chunk_encode(&worker->encoder, &mine->job, &mine->buffer) : UNTORN_OK;
        pthread_mutex_lock(&pool->lock);
        if (status != UNTORN_OK)
            fail(pool, status);
        mine->done = true;
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
    pool->awaited = UINT64_MAX;
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
    pool->worker_count = pool->threads;
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

static untorn_status write_and_record(ut_encode_pool *pool, const ut_encode_job *job) {
    untorn_status status = UNTORN_OK;
    if (job->kind != UT_ENCODE_LINK) {
        status = ut_array_writer_file(job->target->writer, job->number, job->file, job->bytes);
        if (status == UNTORN_OK && job->file == job->slot)
            status = ut_chunk_check(&pool->hold, job);
    }
    return status == UNTORN_OK ? record(pool, job) : status;
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

/* Sleep until half of what is under way is done.  Called and returns with the lock held. */
static void await_half(ut_encode_pool *pool) {
    pool->awaited = pool->recorded + (pool->added - pool->recorded - 1) / 2;
    while (count_finished(pool) <= pool->awaited) {
        announce(pool);
        pthread_cond_wait(&pool->done_job, &pool->lock);
    }
    pool->awaited = UINT64_MAX;
}

/* Write and record the oldest jobs until no more than `most` are left, waiting for them: no more
 * than are needed, so that workers get a new job for each file.  Called and returns with the lock
 * held. */
static void record_down_to(ut_encode_pool *pool, uint64_t most) {
    while (pool->added - pool->recorded > most) {
        pool_job *oldest = &pool->jobs[pool->recorded % RING];
        if (!oldest->done)
            await_half(pool);
        bool wanted = pool->status == UNTORN_OK;
        /* The slot is ours until `recorded` is above it. */
        pthread_mutex_unlock(&pool->lock);
        untorn_status status = wanted ? write_and_record(pool, &oldest->job) : UNTORN_OK;
        pthread_mutex_lock(&pool->lock);
        if (status != UNTORN_OK)
            fail(pool, status);
        if (oldest->job.kind != UT_ENCODE_LINK)
            pool->buffers[pool->buffer_count++] = oldest->buffer;
        pool->recorded++;
        if (pool->taken < pool->recorded) /* it was a link */
            pool->taken = pool->recorded;
    }
}

/* How many jobs on such chunks may be under way: at least one more than there are workers. */
static uint64_t choose_limit(const ut_encode_pool *pool, const ut_encode_job *job) {
    uint64_t bytes = job->target->definition->slot_bytes, least = pool->worker_count + 1;
    uint64_t limit = WINDOW_BYTES * least / (bytes > 0 ? bytes : 1);
    return limit < least ? least : limit > RING ? RING : limit;
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
    return status == UNTORN_OK ? write_and_record(pool, &mine) : status;
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

static untorn_status add_link(ut_encode_pool *pool, const ut_encode_job *job) {
    ut_encode_job mine = *job;
    mine.bytes = job->stored->bytes;
    mine.hash = job->stored->hash;
    untorn_status status =
        ut_array_writer_link(job->target->writer, job->number, job->target->stored, job->stored);
    if (status != UNTORN_OK)
        return ut_chunk_fail(job->target, job->number, status, untorn_message());
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
