// SPDX-License-Identifier: MIT
/*
 * What makes the cache worth having, and wrong reads would not tell of: chunks are fetched by
 * several threads at once, a reader's own cache keeps what it may and no more, and what was written
 * last stays in memory longest.  As in tests/protocol/test_seeded_bugs.c each mistake is switched
 * on by its number in a child process, and its scenario must notice.
 *
 *   seed  what is broken
 *   314   one thread fetches, however many may
 *   315   a reader's cache has no bound
 *   316   what was written last is evicted first
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/cache_world.h"
#include "../support/child.h"
#include "../support/must.h"
#include "../support/seeded.h"
#include "../support/rng.h"

#include "base/file_ops.h"
#include "base/test_hooks.h"
#include "store/writer_store.h"

#define CHUNK 1024u // elements
#define CHUNK_BYTES (CHUNK * sizeof(uint32_t))
#define CHUNKS 8u

static struct cache cache;

/* ---- a reader of chunks that are only in the store, and the reads of files that it makes ---- */

static untorn_reader *reader;
static untorn_array *array;

static void begin(unsigned threads, size_t cache_bytes) {
    static uint32_t values[CHUNKS * CHUNK];
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    cache_begin(&cache, "seeds", 4u << 20);
    for (uint32_t i = 0; i < CHUNKS * CHUNK; i++)
        values[i] = (uint32_t)test_mix(i + 1);
    untorn_writer_array *written = cache_define(&cache, "a", 1, &shape, &chunk, 5);
    must_ok(untorn_write(written, NULL, NULL, NULL, values));
    must_ok(untorn_commit(cache.writer, NULL));
    cache_flush_and_evict(&cache);
    must(cache_resident(cache.writer, "a") == 0, "evicted");
    untorn_writer_close(cache.writer); // no thread but the reader's reads files
    cache.writer = NULL;
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.threads = threads;
    options.cache_bytes = cache_bytes;
    must_ok(untorn_reader_open(cache.segment, &options, &reader));
    must_ok(untorn_array_open(reader, "a", &array));
}

static void end(void) {
    ut_files_replace(NULL);
    untorn_reader_close(reader);
    cache_end(&cache);
}

static void read_chunks(uint64_t first, uint64_t count) {
    static uint32_t got[CHUNKS * CHUNK];
    uint64_t start = first * CHUNK, length = count * CHUNK;
    must_ok(untorn_read(array, &start, &length, got, sizeof got, NULL));
    for (uint64_t i = 0; i < length; i++)
        must(got[i] == (uint32_t)test_mix(start + i + 1), "element %llu",
             (unsigned long long)(start + i));
}

static void replace_pread(ssize_t (*pread)(int, void *, size_t, off_t)) {
    static struct ut_file_ops table;
    table = ut_files_system;
    table.pread = pread;
    ut_files_replace(&table);
}

/* ---- 314 ---- */

#define THREADS 3u

static pthread_mutex_t meeting = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrival = PTHREAD_COND_INITIALIZER;
static unsigned arrived;

// A thread's first read of a file waits for those of all the others.
static ssize_t meeting_pread(int fd, void *bytes, size_t n, off_t offset) {
    static _Thread_local int here;
    struct timespec hung;
    clock_gettime(CLOCK_REALTIME, &hung);
    hung.tv_sec += ut_seeded_bug != 0 ? 1 : TEST_HUNG;
    pthread_mutex_lock(&meeting);
    if (!here) {
        here = 1;
        arrived++;
        pthread_cond_broadcast(&arrival);
    }
    while (arrived < THREADS)
        if (pthread_cond_timedwait(&arrival, &meeting, &hung) != 0)
            _exit(TEST_CHILD_FAILED);
    pthread_mutex_unlock(&meeting);
    return ut_files_system.pread(fd, bytes, n, offset);
}

static void threads_fetch_at_once(void) {
    begin(THREADS, 0);
    read_chunks(0, 1); // opens the manifest, under a lock
    replace_pread(meeting_pread);
    read_chunks(0, CHUNKS);
    must(arrived == THREADS, "%u threads", arrived);
    end();
}

/* ---- 315 ---- */

#define KEPT 3u

static _Atomic unsigned file_reads;

static ssize_t counting_pread(int fd, void *bytes, size_t n, off_t offset) {
    atomic_fetch_add(&file_reads, 1);
    return ut_files_system.pread(fd, bytes, n, offset);
}

static unsigned reads_for(uint64_t number) {
    unsigned before = atomic_load(&file_reads);
    read_chunks(number, 1);
    return atomic_load(&file_reads) - before;
}

// The cache has room for KEPT chunks and a half: it has the bytes of that many, the last used ones.
static void a_cache_keeps_what_it_may_and_no_more(void) {
    begin(1, KEPT * CHUNK_BYTES + CHUNK_BYTES / 2);
    for (uint64_t i = 0; i < CHUNKS; i++)
        read_chunks(i, 1);
    replace_pread(counting_pread);
    for (uint64_t i = CHUNKS; i-- > CHUNKS - KEPT;)
        must(reads_for(i) == 0, "chunk %llu was not kept", (unsigned long long)i);
    must(reads_for(0) > 0, "chunk 0 was kept");
    must(reads_for(CHUNKS - 1) > 0, "the least recently used one was kept");
    must(reads_for(CHUNKS - KEPT) == 0 && reads_for(0) == 0, "the others were not");
    end();
    begin(1, CHUNK_BYTES - 1);
    read_chunks(0, 1);
    replace_pread(counting_pread);
    must(reads_for(0) > 0, "a chunk was kept that is larger than the cache");
    end();
}

/* ---- 316 ---- */

#define MANY 96u
#define LARGE 2048u // elements: no leaf's chunks go together

static bool is_resident(untorn_writer_array *of, uint64_t number) {
    ut_place place;
    must_ok(ut_table_get(&cache.writer->publisher, of->object, number, &place));
    return !(place.ref & UT_REF_EVICTED);
}

static void what_was_written_last_stays(void) {
    static uint32_t values[LARGE];
    uint64_t shape = MANY * LARGE, chunk = LARGE, resident = 0;
    cache_begin(&cache, "order", 4u << 20);
    untorn_writer_array *written = cache_define(&cache, "a", 1, &shape, &chunk, 5);
    for (uint64_t turn = 0; turn < MANY; turn++) { // 35 and 96 have no common factor
        uint64_t start = turn * 35 % MANY * LARGE;
        values[0] = (uint32_t)turn;
        must_ok(untorn_write(written, &start, &chunk, NULL, values));
        must_ok(untorn_commit(cache.writer, NULL));
    }
    must_ok(untorn_flush(cache.writer, NULL));
    const ut_relief *relief = cache.writer->publisher.relief;
    must(relief->evict(relief->context, 1), "nothing was evicted");
    for (uint64_t turn = 0; turn < MANY; turn++) {
        bool stays = is_resident(written, turn * 35 % MANY);
        must(stays || resident == 0, "the chunk of turn %llu went before an older one",
             (unsigned long long)turn);
        resident += stays;
    }
    must(resident > 0 && resident < MANY, "%llu chunks stay", (unsigned long long)resident);
    cache_end(&cache);
}

/* ---- with and without mistakes ---- */

static const struct entry {
    int seed;
    void (*scenario)(void);
} table[] = {
    {314, threads_fetch_at_once},
    {315, a_cache_keeps_what_it_may_and_no_more},
    {316, what_was_written_last_stays},
};
#define ENTRIES (sizeof table / sizeof table[0])

static void scenarios_pass_without_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++)
        must(test_with_seed(table[i].scenario, 0) == 0, "the scenario of %d fails", table[i].seed);
}

static void every_mistake_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++)
        must(test_with_seed(table[i].scenario, table[i].seed) == TEST_CHILD_FAILED, "seed %d",
             table[i].seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenarios_pass_without_mistakes),
        cmocka_unit_test(every_mistake_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
