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

static int sync_fd(int fd) {
    int result;
    if (UT_SEEDED(201))
        return 0;
    do
        result = ut_files->fsync(fd);
    while (result != 0 && errno == EINTR);
    return result;
}

/* --- syncing --- */

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
    if (fd < 0) /* a place that was given back */
        return UNTORN_OK;
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

static void close_all(ut_file_batch *batch) {
    for (unsigned i = 0; i < batch->count; i++) {
        if (batch->files[i].fd >= 0)
            ut_files->close(batch->files[i].fd);
        free(batch->files[i].path);
    }
    batch->count = batch->open = 0;
}

/* Called and returns with the lock held; nobody else has anything of the batch meanwhile. */
static void sync_all(ut_file_batch *batch) {
    sync_round round = {.batch = batch, .lock = PTHREAD_MUTEX_INITIALIZER};
    batch->syncing = true;
    pthread_mutex_unlock(&batch->lock);
    sync_alone(&round);
    if (round.status == UNTORN_OK && round.next < batch->count)
        sync_with_helpers(&round);
    pthread_mutex_destroy(&round.lock);
    pthread_mutex_lock(&batch->lock);
    close_all(batch);
    batch->status = round.status;
    memcpy(batch->message, round.message, sizeof batch->message);
    batch->syncing = false;
    pthread_cond_broadcast(&batch->changed);
}

/* --- places --- */

/* A step towards a batch without files.  Called and returns with the lock held. */
static void help_to_empty(ut_file_batch *batch) {
    if (batch->syncing || (batch->writing > 0 && !UT_SEEDED(352)))
        pthread_cond_wait(&batch->changed, &batch->lock);
    else
        sync_all(batch);
}

/* What a failed sync left to be said; called with the lock held. */
static untorn_status outcome(const ut_file_batch *batch) {
    return batch->status == UNTORN_OK ? UNTORN_OK : ut_fail(batch->status, "%s", batch->message);
}

static untorn_status take_place(ut_file_batch *batch, unsigned *place) {
    pthread_mutex_lock(&batch->lock);
    while (batch->status == UNTORN_OK && (batch->syncing || batch->count == UT_FILE_BATCH_FILES))
        help_to_empty(batch);
    untorn_status status = outcome(batch);
    if (status == UNTORN_OK) {
        *place = batch->count++;
        batch->writing++;
        batch->files[*place].fd = -1;
        batch->files[*place].path = NULL;
    }
    pthread_mutex_unlock(&batch->lock);
    return status;
}

/* With a file that is written, or -1 and NULL. */
static void leave_place(ut_file_batch *batch, unsigned place, int fd, char *path) {
    pthread_mutex_lock(&batch->lock);
    batch->files[place].fd = fd;
    batch->files[place].path = path;
    batch->open += fd >= 0;
    if (fd < 0 && place + 1 == batch->count)
        batch->count--;
    if (--batch->writing == 0)
        pthread_cond_broadcast(&batch->changed);
    pthread_mutex_unlock(&batch->lock);
}

/* Where no more files can be open: those of the batch are ours to close.  False: there are none,
 * and nobody makes one. */
static bool make_room(ut_file_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    bool can = batch->open > 0 || batch->writing > 0 || batch->syncing;
    if (can)
        help_to_empty(batch);
    pthread_mutex_unlock(&batch->lock);
    return can;
}

/* --- writing --- */

static untorn_status make_in_place(ut_file_batch *batch, const char *path, unsigned *place,
                                   int *fd) {
    for (;;) {
        untorn_status status = take_place(batch, place);
        if (status != UNTORN_OK)
            return status;
        *fd = make(path);
        if (*fd >= 0)
            return UNTORN_OK;
        int error = errno;
        leave_place(batch, *place, -1, NULL);
        if ((error != EMFILE && error != ENFILE) || !make_room(batch))
            return failed(batch, error, "make", path);
    }
}

untorn_status ut_file_batch_write(ut_file_batch *batch, const char *path, const void *bytes,
                                  size_t n) {
    unsigned place;
    int fd;
    char *copy = strdup(path);
    if (copy == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for writing %s", batch->who, path);
    untorn_status status = make_in_place(batch, path, &place, &fd);
    if (status != UNTORN_OK)
        goto free_copy;
    int error = write_all(fd, bytes, n);
    if (error != 0) {
        ut_files->close(fd);
        ut_files->unlink(path);
        leave_place(batch, place, -1, NULL);
        status = failed(batch, error, "write", path);
        goto free_copy;
    }
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    leave_place(batch, place, fd, copy);
    return UNTORN_OK;
free_copy:
    free(copy);
    return status;
}

/* --- all of it --- */

untorn_status ut_file_batch_sync(ut_file_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    while (batch->count > 0)
        help_to_empty(batch);
    untorn_status status = outcome(batch);
    pthread_mutex_unlock(&batch->lock);
    return status;
}

void ut_file_batch_begin(ut_file_batch *batch, const char *who) {
    *batch = (ut_file_batch){.who = who};
    pthread_mutex_init(&batch->lock, NULL);
    pthread_cond_init(&batch->changed, NULL);
}

void ut_file_batch_end(ut_file_batch *batch) {
    close_all(batch);
    pthread_cond_destroy(&batch->changed);
    pthread_mutex_destroy(&batch->lock);
}
