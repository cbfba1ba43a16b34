// SPDX-License-Identifier: MIT
/*
 * Flushing with an encode pool that stays: whatever mixture of chunks to encode and to link it is
 * given, the store has what a reader has; a flush that fails, in a worker or in the coordinator,
 * leaves a pool that works; and files are synced in batches, all of them before their directory.
 *
 * Chunks here are small, so pools are opened such that even the first goes to a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/flushing.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "base/file_ops.h"
#include "base/test_hooks.h"
#include "store/file_batch.h"

static void begin(unsigned threads) {
    must_ok(ut_encode_pool_open(threads, 0, &flushing.pool));
    flushing_begin();
}

static void end(void) {
    flushing_end();
    ut_encode_pool_close(flushing.pool);
    flushing.pool = NULL;
}

static untorn_writer_array *define(const char *name, uint64_t n, uint64_t chunk,
                                   const char *codec) {
    return flushing_define(name, "u4", 1, &n, &chunk, codec, NULL);
}

static void write_chunks(untorn_writer_array *array, uint64_t first, uint64_t chunks,
                         uint64_t chunk) {
    static uint32_t values[1 << 16];
    static uint32_t next;
    uint64_t start = first * chunk, count = chunks * chunk;
    for (uint64_t i = 0; i < count; i++)
        values[i] = next++ / 3;
    must_ok(untorn_write(array, &start, &count, NULL, values));
}

// ------------------------------------------------------------ content

// More chunks than the ring has slots, links and encodings in every mixture, and sizes of chunks
// that change the number of jobs under way.
static void what_a_kept_pool_writes_is_what_a_reader_has(void **state) {
    (void)state;
    static const uint64_t chunk[] = {4, 16, 16384}, chunks[] = {700, 40, 3};
    struct test_rng rng = {test_seed()};
    for (unsigned threads = 1; threads <= 3; threads++) {
        untorn_writer_array *arrays[3];
        begin(threads);
        for (unsigned a = 0; a < 3; a++) {
            char name[8];
            snprintf(name, sizeof name, "a%u", a);
            arrays[a] =
                define(name, chunk[a] * chunks[a] - 1, chunk[a], threads % 2 ? "lz4" : "none");
            write_chunks(arrays[a], 0, chunks[a] - 1, chunk[a]);
        }
        flushing_commit();
        must(flushing.report.chunks_written == 699 + 39 + 2);
        for (unsigned i = 0; i < test_count(12); i++) {
            unsigned a = (unsigned)rng_below(&rng, 3);
            for (uint64_t writes = rng_below(&rng, 2) ? 1 : 60; writes-- > 0;)
                write_chunks(arrays[a], rng_below(&rng, chunks[a] - 1), 1, chunk[a]);
            flushing_commit();
            must(flushing.report.chunks_written <= 60 && flushing.report.arrays_linked == 2);
            flushing_drop_older();
        }
        end();
    }
}

// ------------------------------------------------------------ failures

static untorn_writer_array *hooked;
static _Atomic int overtake_in; // chunks

static void overtake(const char *step) {
    if (strcmp(step, "chunk encoded") != 0 || --overtake_in != 0)
        return;
    for (unsigned i = 0; i < 300; i++) { // the window keeps what is small for long
        write_chunks(hooked, 0, 4, 4);
        must_ok(untorn_commit(flushing.writer, NULL));
    }
}

// The worker is the one who notices; with "none", who has not copied, it may be the coordinator.
static void P1_what_is_overtaken_in_a_worker_is_not_stored(void **state) {
    (void)state;
    begin(1);
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = UNTORN_READ_NO_CONTROL; // no pin, only the window
    untorn_reader_close(flushing.reader);
    must_ok(untorn_reader_open(flushing.segment, &options, &flushing.reader));
    for (unsigned codec = 0; codec < 2; codec++) {
        const char *name = codec ? "lz4" : "none";
        hooked = define(name, 16, 4, name);
        write_chunks(hooked, 0, 4, 4);
        flushing_commit();
        for (int at = 1; at <= 4; at++) {
            uint64_t before = flushing.report.commit, latest;
            write_chunks(hooked, 0, 4, 4);
            must_ok(untorn_commit(flushing.writer, NULL));
            overtake_in = at;
            ut_step_hook = overtake;
            untorn_status status = flushing_try();
            ut_step_hook = NULL;
            must_be(UNTORN_E_OVERTAKEN, status);
            must(strstr(untorn_message(), name) != NULL, "%s", untorn_message());
            must_ok(ut_store_latest(&flushing.store, &latest));
            must(latest == before);
            must_ok(flushing_try());
            flushing_check_store(&flushing.store);
        }
    }
    end();
}

// ------------------------------------------------------------ files

#define DESCRIPTORS 4096
static struct {
    pthread_mutex_t lock;
    struct ut_file_ops table;
    bool chunk[DESCRIPTORS]; // the descriptor is a chunk file's
    unsigned open, most_open;
    unsigned made, synced;
    int fail_make, fail_sync; // the n-th, from 1
    unsigned synced_after;    // one failed
    unsigned tried;           // syncs of chunk files, failed ones included
    pthread_t first;          // who synced the first file of this batch
    bool helped;              // others have synced files of a batch, too
    bool slow;
    unsigned syncing, most_syncing;
    bool directory_early; // a directory was synced while chunk files waited
} files;

static bool is_chunk(const char *path) {
    const char *name = strrchr(path, '/') + 1;
    return strstr(path, "/arrays/.tmp-") != NULL && name[0] >= '0' && name[0] <= '9';
}

// Called with the lock held.
static int open_one(const char *path, int flags, mode_t mode) {
    bool chunk = (flags & O_CREAT) != 0 && is_chunk(path);
    if (chunk && --files.fail_make == 0) {
        errno = ENOSPC;
        return -1;
    }
    int fd = ut_files_system.open(path, flags, mode);
    if (fd >= 0 && (flags & O_DIRECTORY) != 0 && strstr(path, "/.tmp-") != NULL && files.open > 0)
        files.directory_early = true;
    if (fd >= 0 && fd < DESCRIPTORS && chunk) {
        files.chunk[fd] = true;
        files.made++;
        if (++files.open > files.most_open)
            files.most_open = files.open;
    }
    return fd;
}

static int watch_open(const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&files.lock);
    int fd = open_one(path, flags, mode), error = errno;
    pthread_mutex_unlock(&files.lock);
    errno = error;
    return fd;
}

static int watch_close(int fd) {
    pthread_mutex_lock(&files.lock);
    if (fd >= 0 && fd < DESCRIPTORS && files.chunk[fd]) {
        files.chunk[fd] = false;
        files.open--;
    }
    pthread_mutex_unlock(&files.lock);
    return ut_files_system.close(fd);
}

static int count_fsync(int fd) {
    if (fd < 0 || fd >= DESCRIPTORS || !files.chunk[fd])
        return 0;
    if (files.tried++ % UT_FILE_BATCH_FILES == 0)
        files.first = pthread_self();
    files.helped |= !pthread_equal(files.first, pthread_self());
    if (--files.fail_sync == 0) {
        errno = EIO;
        return -1;
    }
    files.synced++;
    files.synced_after += files.fail_sync < 0 && files.fail_sync > -1000;
    return 0;
}

// By several threads if it is slow.
static int watch_fsync(int fd) {
    pthread_mutex_lock(&files.lock);
    int result = count_fsync(fd), error = errno;
    files.syncing++;
    if (files.syncing > files.most_syncing)
        files.most_syncing = files.syncing;
    pthread_mutex_unlock(&files.lock);
    if (result == 0 && files.slow)
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    if (result == 0)
        result = ut_files_system.fsync(fd), error = errno;
    pthread_mutex_lock(&files.lock);
    files.syncing--;
    pthread_mutex_unlock(&files.lock);
    errno = error;
    return result;
}

static void watch(int fail_make, int fail_sync) {
    memset(&files, 0, sizeof files);
    pthread_mutex_init(&files.lock, NULL);
    files.table = ut_files_system;
    files.table.open = watch_open;
    files.table.close = watch_close;
    files.table.fsync = watch_fsync;
    files.fail_make = fail_make;
    files.fail_sync = fail_sync != 0 ? fail_sync : -1000;
    ut_files_replace(&files.table);
}

static void files_wait_for_each_other_and_not_for_ever(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        begin(threads);
        untorn_writer_array *array = define("a", 800, 4, "none");
        write_chunks(array, 0, 200, 4);
        watch(0, 0);
        flushing_commit();
        ut_files_replace(NULL);
        must(files.made == 200 && files.synced == 200 && files.open == 0);
        must(files.most_open == UT_FILE_BATCH_FILES, "%u files open", files.most_open);
        must(!files.directory_early, "a directory was synced before its files");
        end();
    }
}

static void slow_files_are_synced_by_several_threads(void **state) {
    (void)state;
    begin(1);
    untorn_writer_array *array = define("a", 800, 4, "none");
    write_chunks(array, 0, 200, 4);
    watch(0, 0);
    files.slow = true;
    flushing_commit();
    must(files.synced == 200 && files.open == 0 && !files.directory_early);
    must(files.most_syncing > 1, "one at a time");
    // One that fails ends it all, whichever thread has it.
    for (int failing = 1; failing < 80; failing += 13) {
        write_chunks(array, 0, 200, 4);
        must_ok(untorn_commit(flushing.writer, NULL));
        watch(0, failing);
        files.slow = true;
        must_be(UNTORN_E_SYSTEM, flushing_try());
        must(strstr(untorn_message(), "array \"a\": cannot sync /") != NULL, "%s",
             untorn_message());
        must(files.synced < 2 * UT_FILE_BATCH_FILES && files.open == 0, "%u synced", files.synced);
        watch(0, 0);
        flushing_commit();
    }
    ut_files_replace(NULL);
    end();
}

static void fail_a_sync(untorn_writer_array *array, int failing) {
    write_chunks(array, 0, 200, 4);
    must_ok(untorn_commit(flushing.writer, NULL));
    watch(0, failing);
    must_be(UNTORN_E_SYSTEM, flushing_try());
    ut_files_replace(NULL);
    must(strstr(untorn_message(), "array \"a\": cannot sync /") != NULL, "%s", untorn_message());
    // Where three in a row took long, if only for want of a processor, others help; what these have
    // begun, and begin until they are told, is of the same batch.
    unsigned most =
        files.helped ? ((unsigned)failing - 1) | (UT_FILE_BATCH_FILES - 1) : (unsigned)failing - 1;
    must(files.synced >= (unsigned)failing - 1 && files.synced <= most && files.open == 0,
         "%u synced, %u after the failure, %u open", files.synced, files.synced_after, files.open);
    flushing_commit();
}

static void P6_after_a_failed_sync_none_is_synced(void **state) {
    (void)state;
    static const int failing[] = {1, 2, 64, 65, 150};
    for (unsigned threads = 1; threads <= 4; threads++) {
        begin(threads);
        untorn_writer_array *array = define("a", 800, 4, "none");
        for (unsigned i = 0; i < sizeof failing / sizeof *failing; i++)
            fail_a_sync(array, failing[i]);
        end();
    }
}

// With one thread to write, none is made after it.
static void fail_a_file(untorn_writer_array *array, int failing, unsigned threads) {
    write_chunks(array, 0, 200, 4);
    must_ok(untorn_commit(flushing.writer, NULL));
    watch(failing, 0);
    must_be(UNTORN_E_NO_SPACE, flushing_try());
    ut_files_replace(NULL);
    must(strstr(untorn_message(), "array \"a\": cannot make /") != NULL, "%s", untorn_message());
    must(files.made >= (unsigned)failing - 1 && files.open == 0);
    must(threads > 1 || files.made == (unsigned)failing - 1, "%u made", files.made);
    flushing_commit();
}

static void P9_file_that_cannot_be_made_fails_the_flush_alone(void **state) {
    (void)state;
    static const int failing[] = {1, 2, 100, 200};
    for (unsigned threads = 1; threads <= 3; threads++) {
        begin(threads);
        untorn_writer_array *array = define("a", 800, 4, "lz4");
        for (unsigned i = 0; i < sizeof failing / sizeof *failing; i++)
            fail_a_file(array, failing[i], threads);
        end();
    }
}

// A process that may open few files gets smaller batches.
static void flush_with_few_descriptors(unsigned threads) {
    begin(threads);
    untorn_writer_array *array = define("a", 800, 4, "none");
    flushing_commit();
    write_chunks(array, 0, 200, 4);
    must_ok(untorn_commit(flushing.writer, NULL));
    struct rlimit before, few;
    int highest = ut_files->open("/", O_RDONLY | O_DIRECTORY, 0);
    close(highest);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)highest + 12;
    watch(0, 0);
    must(setrlimit(RLIMIT_NOFILE, &few) == 0);
    untorn_status status = flushing_try();
    setrlimit(RLIMIT_NOFILE, &before);
    ut_files_replace(NULL);
    must(status == UNTORN_OK, "%s", untorn_message());
    must(files.synced == 200 && files.most_open < UT_FILE_BATCH_FILES, "%u files open",
         files.most_open);
    flushing_check_store(&flushing.store);
    end();
}

static void few_descriptors_are_enough(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads += 3)
        flush_with_few_descriptors(threads);
}

// ------------------------------------------------------------ forks

static void a_forked_child_forgets_the_pool(void **state) {
    (void)state;
    begin(3);
    untorn_writer_array *array = define("a", 800, 4, "lz4");
    write_chunks(array, 0, 200, 4);
    flushing_commit();
    pid_t child = fork();
    if (child == 0) {
        ut_encode_pool_forget(flushing.pool);
        ut_encode_pool_forget(NULL);
        _exit(7);
    }
    int how;
    must(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 7);
    write_chunks(array, 0, 200, 4);
    flushing_commit();
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_kept_pool_writes_is_what_a_reader_has),
        cmocka_unit_test(P1_what_is_overtaken_in_a_worker_is_not_stored),
        cmocka_unit_test(files_wait_for_each_other_and_not_for_ever),
        cmocka_unit_test(slow_files_are_synced_by_several_threads),
        cmocka_unit_test(P6_after_a_failed_sync_none_is_synced),
        cmocka_unit_test(P9_file_that_cannot_be_made_fails_the_flush_alone),
        cmocka_unit_test(few_descriptors_are_enough),
        cmocka_unit_test(a_forked_child_forgets_the_pool),
    };
    return cmocka_run_group_tests_name("flush_pool", tests, NULL, NULL);
}
