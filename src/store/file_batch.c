// SPDX-License-Identifier: MIT
/*
 * Files that are synced together; file_batch.h says why.
 *
 * A journal commits what all have asked of it by then in one go, and a disk's cache is flushed for
 * all who wait, so on a disk a few threads that sync at once take a tenth of the time that one
 * takes, or less.  Where syncing costs nothing (tmpfs) or little, threads would cost more: they
 * come after the first few files if those were slow.
 *
 * sync_file_range() only starts the writing.  Where it is not known or does nothing, fsync does all
 * of it: so its result is of no interest, and it is not in ut_files.
 */
#include "store/file_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "base/thread.h"
#include "store/durable.h"

#define SLOW_NS INT64_C(100000)
#define SLOW_FILES 3u /* in a row; one may be chance */
#define HELPERS 3u
#define WORTH_HELP 4u /* files */

static untorn_status failed(const ut_file_batch *batch, int error, const char *cannot,
                            const char *path) {
    return ut_fail_errno(ut_durable_status(error), error, "%s: cannot %s %s", batch->who, cannot,
                         path);
}

static int make(const char *path) {
    int fd;
    do
        fd = ut_files->open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* 0 or an error number. */
static int write_all(int fd, const unsigned char *bytes, size_t n) {
    while (n > 0) {
        ssize_t written = ut_files->write(fd, bytes, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) /* 0 would have it go on for ever */
            return written < 0 ? errno : EIO;
        bytes += written;
        n -= (size_t)written;
    }
    return 0;
}

untorn_status ut_file_batch_write(ut_file_batch *batch, const char *path, const void *bytes,
                                  size_t n) {
    untorn_status status = UNTORN_OK;
    if (batch->count == UT_FILE_BATCH_FILES)
        status = ut_file_batch_sync(batch);
    if (status != UNTORN_OK)
        return status;
    char *copy = strdup(path);
    if (copy == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for writing %s", batch->who, path);
    int fd = make(path);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && batch->count > 0) {
        /* Those that wait are ours to close. */
        status = ut_file_batch_sync(batch);
        if (status != UNTORN_OK)
            goto free_copy;
        fd = make(path);
    }
    if (fd < 0) {
        status = failed(batch, errno, "make", path);
        goto free_copy;
    }
    int error = write_all(fd, bytes, n);
    if (error != 0) {
        ut_files->close(fd);
        ut_files->unlink(path);
        status = failed(batch, error, "write", path);
        goto free_copy;
    }
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    batch->files[batch->count].fd = fd;
    batch->files[batch->count++].path = copy;
    return UNTORN_OK;
free_copy:
    free(copy);
    return status;
}

static int sync_fd(int fd) {
    int result;
    if (UT_SEEDED(201))
        return 0;
    do
        result = ut_files->fsync(fd);
    while (result != 0 && errno == EINTR);
    return result;
}

/* One batch being synced. */
typedef struct sync_round {
    ut_file_batch *batch;
    pthread_mutex_t lock; /* of what follows */
    unsigned next;
    untorn_status status;
    char message[UT_MESSAGE_BYTES]; /* of the first failure */
} sync_round;

static untorn_status sync_and_close(ut_file_batch *batch, unsigned i) {
    int fd = batch->files[i].fd;
    const char *path = batch->files[i].path;
    untorn_status status = UNTORN_OK;
    if (sync_fd(fd) != 0 && !(UT_SEEDED(212) && sync_fd(fd) == 0))
        status = failed(batch, errno, "sync", path);
    batch->files[i].fd = -1;
    if (ut_files->close(fd) != 0 && errno != EINTR && status == UNTORN_OK)
        status = failed(batch, errno, "close", path);
    return status;
}

/* The next file that nobody has.  False: there are no more, or one failed. */
static bool sync_next(sync_round *round) {
    pthread_mutex_lock(&round->lock);
    bool wanted = round->status == UNTORN_OK && round->next < round->batch->count;
    unsigned i = wanted ? round->next++ : 0;
    pthread_mutex_unlock(&round->lock);
    if (!wanted)
        return false;
    untorn_status status = sync_and_close(round->batch, i);
    if (status == UNTORN_OK)
        return true;
    pthread_mutex_lock(&round->lock);
    if (round->status == UNTORN_OK) {
        round->status = status;
        strncpy(round->message, untorn_message(), sizeof round->message - 1);
    }
    pthread_mutex_unlock(&round->lock);
    return false;
}

static void *sync_some(void *argument) {
    while (sync_next(argument))
        ;
    return NULL;
}

static void sync_with_helpers(sync_round *round) {
    pthread_t helpers[HELPERS];
    unsigned started = 0;
    while (started < HELPERS && ut_thread_start(&helpers[started], sync_some, round) == 0)
        started++;
    sync_some(round);
    while (started > 0)
        pthread_join(helpers[--started], NULL);
}

/* Until all are synced, one failed, or it turns out to be slow. */
static void sync_alone(sync_round *round) {
    ut_file_batch *batch = round->batch;
    while (batch->slow < SLOW_FILES || batch->count - round->next < WORTH_HELP) {
        int64_t begin = ut_clock_monotonic();
        if (!sync_next(round))
            return;
        if (batch->slow < SLOW_FILES)
            batch->slow = ut_clock_monotonic() - begin > SLOW_NS ? batch->slow + 1 : 0;
    }
}

untorn_status ut_file_batch_sync(ut_file_batch *batch) {
    sync_round round = {.batch = batch, .lock = PTHREAD_MUTEX_INITIALIZER};
    sync_alone(&round);
    if (round.status == UNTORN_OK && round.next < batch->count)
        sync_with_helpers(&round);
    pthread_mutex_destroy(&round.lock);
    ut_file_batch_abandon(batch);
    return round.status == UNTORN_OK ? UNTORN_OK : ut_fail(round.status, "%s", round.message);
}

void ut_file_batch_abandon(ut_file_batch *batch) {
    for (unsigned i = 0; i < batch->count; i++) {
        if (batch->files[i].fd >= 0)
            ut_files->close(batch->files[i].fd);
        free(batch->files[i].path);
    }
    batch->count = 0;
}
