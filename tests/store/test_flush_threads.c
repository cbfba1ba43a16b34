// SPDX-License-Identifier: MIT
/*
 * Flushes by several threads, each of which writes the files of what it encoded: whose failure is
 * told, when a batch of files may be synced, who compresses, and that nothing is left behind
 * wherever one of many files fails.  What must hold is also shown to be noticed, by mistakes
 * switched on one at a time:
 *
 *   351  the failure that came first is told, not that of the first chunk
 *   352  a batch is synced while files of it are still being written
 *   353  the thread that asked does not compress, it waits
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/flushing.h"
#include "../support/must.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/seeded.h"
#include "base/file_ops.h"
#include "base/test_hooks.h"
#include "store/file_batch.h"

#define CHUNK 1024u // as much as it takes that every thread is called
#define CHUNKS 200u

static untorn_writer_array *array;

static void write_all_chunks(void) {
    static uint32_t values[CHUNKS * CHUNK];
    static uint32_t next;
    for (unsigned i = 0; i < CHUNKS * CHUNK; i++)
        values[i] = next++ / 3;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(flushing.writer, NULL));
}

// With one snapshot in the store, and chunks that have to be written.
static void begin(unsigned threads) {
    uint64_t shape = CHUNKS * CHUNK, chunk = CHUNK;
    must_ok(ut_encode_pool_open(threads, 0, &flushing.pool));
    flushing_begin();
    array = flushing_define("a", "u4", 1, &shape, &chunk, "lz4", NULL);
    write_all_chunks();
    flushing_commit();
    write_all_chunks();
}

static void end(void) {
    flushing_end();
    ut_encode_pool_close(flushing.pool);
    flushing.pool = NULL;
}

// ------------------------------------------------------------ a file system that is told when

#define DESCRIPTORS 4096
static struct {
    struct ut_file_ops table;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int chunk[DESCRIPTORS]; // 1 + the number of the chunk whose file it is
    bool written[DESCRIPTORS];
    unsigned made, synced, open;
    unsigned unwritten; // files that were synced before they were written
    bool late_fails;    // that of a later chunk has failed
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

// The number of the chunk that the file at `path` is new for, or -1.
static int chunk_of(const char *path, int flags) {
    const char *name = strrchr(path, '/') + 1;
    if ((flags & O_CREAT) == 0 || strstr(path, "/arrays/.tmp-") == NULL || name[0] < '0' ||
        name[0] > '9')
        return -1;
    return atoi(name);
}

static void nap(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

// Until something changes, called with the lock held; not for ever, so that a flush that fails for
// another reason says so.
static bool wait_for_change(const struct timespec *until) {
    return pthread_cond_timedwait(&disk.changed, &disk.lock, until) == 0;
}

static struct timespec in_seconds(int seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return until;
}

static int note_open(const char *path, int flags, mode_t mode) {
    int fd = ut_files_system.open(path, flags, mode), chunk = chunk_of(path, flags);
    if (fd < 0 || fd >= DESCRIPTORS || chunk < 0)
        return fd;
    pthread_mutex_lock(&disk.lock);
    disk.chunk[fd] = 1 + chunk;
    disk.written[fd] = false;
    disk.made++;
    disk.open++;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
    return fd;
}

static int note_close(int fd) {
    pthread_mutex_lock(&disk.lock);
    if (fd >= 0 && fd < DESCRIPTORS && disk.chunk[fd] != 0) {
        disk.chunk[fd] = 0;
        disk.open--;
    }
    pthread_mutex_unlock(&disk.lock);
    return ut_files_system.close(fd);
}

static ssize_t note_write(int fd, const void *bytes, size_t count) {
    ssize_t result = ut_files_system.write(fd, bytes, count);
    pthread_mutex_lock(&disk.lock);
    if (fd >= 0 && fd < DESCRIPTORS)
        disk.written[fd] = true;
    pthread_mutex_unlock(&disk.lock);
    return result;
}

static int note_fsync(int fd) {
    pthread_mutex_lock(&disk.lock);
    if (fd >= 0 && fd < DESCRIPTORS && disk.chunk[fd] != 0) {
        disk.synced++;
        disk.unwritten += !disk.written[fd];
        pthread_cond_broadcast(&disk.changed);
    }
    pthread_mutex_unlock(&disk.lock);
    return ut_files_system.fsync(fd);
}

// The system's own, but for notes; the caller changes more.
static struct ut_file_ops *watch(void) {
    memset(disk.chunk, 0, sizeof disk.chunk);
    disk.made = disk.synced = disk.open = disk.unwritten = 0;
    disk.late_fails = false;
    disk.table = ut_files_system;
    disk.table.open = note_open;
    disk.table.close = note_close;
    disk.table.write = note_write;
    disk.table.fsync = note_fsync;
    ut_files_replace(&disk.table);
    return &disk.table;
}

static uint64_t latest_snapshot(void) {
    uint64_t latest;
    must_ok(ut_store_latest(&flushing.store, &latest));
    return latest;
}

// But for the last commit, which is flushed then.
static void must_have_failed_well(void) {
    must(disk.open == 0, "%u chunk files are open", disk.open);
    must(latest_snapshot() + 1 == untorn_writer_commit(flushing.writer), "%llu is the latest",
         (unsigned long long)latest_snapshot());
    must_ok(flushing_try());
    flushing_check_store(&flushing.store);
    flushing_drop_older();
}

// ------------------------------------------------------------ whose failure is told

#define EARLY 3
#define LATE 5

// The early one fails after the late one did; the nap lets that be heard of.
static int fail_late_first(const char *path, int flags, mode_t mode) {
    int chunk = chunk_of(path, flags);
    if (chunk != EARLY && chunk != LATE)
        return note_open(path, flags, mode);
    pthread_mutex_lock(&disk.lock);
    if (chunk == LATE) {
        disk.late_fails = true;
        pthread_cond_broadcast(&disk.changed);
    }
    struct timespec until = in_seconds(300);
    while (!disk.late_fails && wait_for_change(&until))
        ;
    pthread_mutex_unlock(&disk.lock);
    if (chunk == EARLY)
        nap(50);
    errno = chunk == EARLY ? ENOSPC : EIO;
    return -1;
}

static void the_first_chunks_failure_is_told(void) {
    begin(4);
    for (unsigned i = 0; i < 5; i++) {
        watch()->open = fail_late_first;
        untorn_status status = flushing_try();
        ut_files_replace(NULL);
        must_be(UNTORN_E_NO_SPACE, status);
        must(strstr(untorn_message(), "/3: ") != NULL, "%s", untorn_message());
        must_have_failed_well();
        write_all_chunks();
    }
    end();
}

// ------------------------------------------------------------ batches

// The first file is being written until the batch is full, and a while longer.
static ssize_t write_slowly(int fd, const void *bytes, size_t count) {
    pthread_mutex_lock(&disk.lock);
    if (fd >= 0 && fd < DESCRIPTORS && disk.chunk[fd] == 1) {
        struct timespec until = in_seconds(300);
        while (disk.made < UT_FILE_BATCH_FILES && wait_for_change(&until))
            ;
        until = in_seconds(ut_seeded_bug != 0 ? 20 : 1);
        while (disk.synced == 0 && wait_for_change(&until))
            ;
    }
    pthread_mutex_unlock(&disk.lock);
    return note_write(fd, bytes, count);
}

static void a_batch_waits_for_what_is_being_written(void) {
    begin(3);
    watch()->write = write_slowly;
    must_ok(flushing_try());
    ut_files_replace(NULL);
    must(disk.made == CHUNKS && disk.synced == CHUNKS, "%u made, %u synced", disk.made,
         disk.synced);
    must(disk.unwritten == 0 && disk.open == 0, "%u unwritten, %u open", disk.unwritten, disk.open);
    flushing_check_store(&flushing.store);
    end();
}

// ------------------------------------------------------------ who compresses

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned wanted, met;
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

// Each thread waits for the others at its first chunk of this flush.
static void meet(const char *step) {
    static _Thread_local bool was_there;
    if (strcmp(step, "chunk encoded") != 0 || was_there)
        return;
    was_there = true;
    struct timespec until = in_seconds(ut_seeded_bug != 0 ? 1 : 300);
    pthread_mutex_lock(&meeting.lock);
    meeting.met++;
    pthread_cond_broadcast(&meeting.changed);
    while (meeting.met < meeting.wanted)
        if (pthread_cond_timedwait(&meeting.changed, &meeting.lock, &until) != 0)
            break;
    pthread_mutex_unlock(&meeting.lock);
}

static void all_who_were_asked_for_compress(void) {
    begin(3);
    meeting.wanted = 3;
    meeting.met = 0;
    ut_step_hook = meet; // in threads that have not met yet: the pool's and this one
    must_ok(flushing_try());
    ut_step_hook = NULL;
    must(meeting.met == 3, "%u threads compressed", meeting.met);
    end();
}

// ------------------------------------------------------------ faults

enum fault { F_MAKE, F_WRITE, F_SYNC, F_CLOSE, FAULTS };
static struct {
    enum fault kind;
    atomic_uint left; // calls until it fails
    atomic_bool struck;
    bool lasting;
} fault;

static bool strikes(enum fault kind) {
    if (kind != fault.kind)
        return false;
    unsigned left = fault.left;
    while (left > 0 && !atomic_compare_exchange_weak(&fault.left, &left, left - 1))
        ;
    bool strike = left == 1 || (left == 0 && fault.lasting);
    if (strike)
        fault.struck = true;
    return strike;
}

static bool is_chunk(int fd) {
    pthread_mutex_lock(&disk.lock);
    bool is = fd >= 0 && fd < DESCRIPTORS && disk.chunk[fd] != 0;
    pthread_mutex_unlock(&disk.lock);
    return is;
}

static int fault_open(const char *path, int flags, mode_t mode) {
    if (chunk_of(path, flags) < 0 || !strikes(F_MAKE))
        return note_open(path, flags, mode);
    errno = ENOSPC;
    return -1;
}

// Half of it is written first.
static ssize_t fault_write(int fd, const void *bytes, size_t count) {
    static _Thread_local int half = -1; // of which file
    if (!is_chunk(fd) || (half != fd && !strikes(F_WRITE)))
        return note_write(fd, bytes, count);
    if (half != fd && count > 1) {
        half = fd;
        return note_write(fd, bytes, count / 2);
    }
    half = -1;
    errno = ENOSPC;
    return -1;
}

static int fault_fsync(int fd) {
    if (!is_chunk(fd) || !strikes(F_SYNC))
        return note_fsync(fd);
    errno = ENOSPC;
    return -1;
}

static int fault_close(int fd) {
    bool strike = is_chunk(fd) && strikes(F_CLOSE);
    int result = note_close(fd);
    if (!strike)
        return result;
    errno = ENOSPC;
    return -1;
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *listing = opendir("/proc/self/fd");
    must(listing != NULL, "%s", strerror(errno));
    while (readdir(listing))
        count++;
    closedir(listing);
    return count;
}

static void flush_with_fault(enum fault kind, unsigned nth, bool lasting) {
    unsigned descriptors = open_descriptors();
    struct ut_file_ops *table = watch();
    table->open = fault_open;
    table->write = fault_write;
    table->fsync = fault_fsync;
    table->close = fault_close;
    fault.kind = kind;
    fault.left = nth;
    fault.struck = false;
    fault.lasting = lasting;
    untorn_status status = flushing_try();
    ut_files_replace(NULL);
    must(open_descriptors() == descriptors, "fault %d at %u: descriptors are left", (int)kind, nth);
    must(fault.struck, "fault %d at %u did not happen", (int)kind, nth);
    must_be(UNTORN_E_NO_SPACE, status);
    must(strstr(untorn_message(), "array \"a\": ") != NULL &&
             strstr(untorn_message(), "/arrays/.tmp-") != NULL,
         "%s", untorn_message());
    must_have_failed_well();
    write_all_chunks();
}

static void P6_P9_any_file_may_fail_while_several_are_written(void **state) {
    (void)state;
    struct test_rng rng = {test_seed()};
    for (unsigned threads = 2; threads <= 4; threads += 2) {
        begin(threads);
        for (unsigned kind = 0; kind < FAULTS; kind++) {
            flush_with_fault((enum fault)kind, 1, false);
            flush_with_fault((enum fault)kind, UT_FILE_BATCH_FILES + 1, false);
            flush_with_fault((enum fault)kind, CHUNKS, false);
            for (unsigned i = 0; i < test_count(12); i++)
                flush_with_fault((enum fault)kind, 1 + (unsigned)rng_below(&rng, CHUNKS), i % 2);
        }
        end();
    }
}

// ------------------------------------------------------------ the tests

static const struct test_seeded table[] = {
    {351, the_first_chunks_failure_is_told},
    {352, a_batch_waits_for_what_is_being_written},
    {353, all_who_were_asked_for_compress},
};
#define ENTRIES (sizeof table / sizeof table[0])

static void the_rules_are_kept(void **state) {
    (void)state;
    test_scenarios_pass(table, ENTRIES);
}

static void every_mistake_is_noticed(void **state) {
    (void)state;
    test_mistakes_are_noticed(table, ENTRIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_are_kept),
        cmocka_unit_test(every_mistake_is_noticed),
        cmocka_unit_test(P6_P9_any_file_may_fail_while_several_are_written),
    };
    return cmocka_run_group_tests_name("flush_threads", tests, NULL, NULL);
}
