// SPDX-License-Identifier: MIT
/*
 * Flushes in which a file operation fails: each kind of operation, at each of its calls, once and
 * from there on for ever, for lack of space and by an I/O error.  The flush says what failed and
 * where, the store keeps its last snapshot and the segment its content, the next flush succeeds,
 * and neither descriptors nor rubbish are left.  Interrupted calls and short writes are no
 * failures.
 *
 * Each flush is the next of the same store, with chunks and arrays to write and to link, so one
 * world serves for all.  Only operations on the store's files are counted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file_ops.h"
#include "store/retention.h"
#include "support/flush_world.h"
#include "support/must.h"
#include "support/names.h"
#include "support/scale.h"

/* ---- the failing table ---- */

// Opening what is new and what is there are kinds of their own: the second may be tolerated.
enum kind {
    K_MAKE,
    K_WRITE,
    K_FSYNC,
    K_RENAME,
    K_RENAMEAT2,
    K_MKDIR,
    K_LINK,
    K_SYMLINK,
    K_OPEN,
    K_CLOSE,
    K_FSTAT,
    K_FTRUNCATE,
    K_UNLINK,
    K_PREAD,
    K_RMDIR,
    K_READLINK,
    K_LSTAT,
    K_OPENDIR,
    K_READDIR,
    KIND_COUNT
};
static const char *const kind_names[KIND_COUNT] = {
    "open (new)", "write",    "fsync", "rename",  "renameat2", "mkdir",  "link",
    "symlink",    "open",     "close", "fstat",   "ftruncate", "unlink", "pread",
    "rmdir",      "readlink", "lstat", "opendir", "readdir"};

// The kinds up to this one make the flush: if they fail, so does it.
#define LAST_THAT_MATTERS K_SYMLINK
// The kinds that change something, whatever for.
#define CHANGES(kind)                                                                              \
    ((kind) <= LAST_THAT_MATTERS || (kind) == K_FTRUNCATE || (kind) == K_UNLINK ||                 \
     (kind) == K_RMDIR)

#define EVERY_CHANGE KIND_COUNT // instead of one kind

static struct {
    pthread_mutex_t lock;
    int armed;
    int kind;     // or EVERY_CHANGE
    uint64_t nth; // 1: the next call
    int error;    // 0: a short write
    int lasting;  // all from there on
    uint64_t calls, failed;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char root[600]; // the store

#define DESCRIPTORS 4096
static _Atomic unsigned char ours[DESCRIPTORS]; // descriptors of the store's files

static int strike(int kind) {
    pthread_mutex_lock(&fault.lock);
    int chosen =
        fault.armed && (fault.kind == kind || (fault.kind == EVERY_CHANGE && CHANGES(kind)));
    if (chosen) {
        fault.calls++;
        chosen = fault.lasting ? fault.calls >= fault.nth : fault.calls == fault.nth;
        fault.failed += chosen != 0;
    }
    pthread_mutex_unlock(&fault.lock);
    if (chosen)
        errno = fault.error;
    return chosen;
}

static int in_store(const char *path) {
    return strncmp(path, root, strlen(root)) == 0;
}

static int is_ours(int fd) {
    return fd >= 0 && fd < DESCRIPTORS && ours[fd];
}

static int fail_open(const char *path, int flags, mode_t mode) {
    if (in_store(path) && strike(flags & O_CREAT ? K_MAKE : K_OPEN))
        return -1;
    int fd = ut_files_system.open(path, flags, mode);
    if (fd >= 0 && fd < DESCRIPTORS)
        ours[fd] = (unsigned char)in_store(path);
    return fd;
}

// The descriptor is gone, whatever close() says.
static int fail_close(int fd) {
    int struck = is_ours(fd) && strike(K_CLOSE), error = errno;
    if (fd >= 0 && fd < DESCRIPTORS)
        ours[fd] = 0;
    int result = ut_files_system.close(fd);
    if (struck)
        errno = error;
    return struck ? -1 : result;
}

static int fail_fstat(int fd, struct stat *status) {
    return is_ours(fd) && strike(K_FSTAT) ? -1 : ut_files_system.fstat(fd, status);
}

static int fail_ftruncate(int fd, off_t length) {
    return is_ours(fd) && strike(K_FTRUNCATE) ? -1 : ut_files_system.ftruncate(fd, length);
}

static int fail_rename(const char *from, const char *to) {
    return in_store(to) && strike(K_RENAME) ? -1 : ut_files_system.rename(from, to);
}

static int fail_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                          unsigned flags) {
    if (in_store(to) && strike(K_RENAMEAT2))
        return -1;
    return ut_files_system.renameat2(from_dir, from, to_dir, to, flags);
}

static int fail_unlink(const char *path) {
    return in_store(path) && strike(K_UNLINK) ? -1 : ut_files_system.unlink(path);
}

static ssize_t fail_write(int fd, const void *bytes, size_t count) {
    if (!is_ours(fd) || !strike(K_WRITE))
        return ut_files_system.write(fd, bytes, count);
    return fault.error ? -1 : ut_files_system.write(fd, bytes, count > 1 ? count / 2 : count);
}

static ssize_t fail_pread(int fd, void *bytes, size_t count, off_t offset) {
    if (!is_ours(fd) || !strike(K_PREAD))
        return ut_files_system.pread(fd, bytes, count, offset);
    return fault.error ? -1
                       : ut_files_system.pread(fd, bytes, count > 1 ? count / 2 : count, offset);
}

// What was not synced may be lost: a failed fsync is no sync.
static int fail_fsync(int fd) {
    return is_ours(fd) && strike(K_FSYNC) ? -1 : ut_files_system.fsync(fd);
}

static int fail_mkdir(const char *path, mode_t mode) {
    return in_store(path) && strike(K_MKDIR) ? -1 : ut_files_system.mkdir(path, mode);
}

static int fail_rmdir(const char *path) {
    return in_store(path) && strike(K_RMDIR) ? -1 : ut_files_system.rmdir(path);
}

static int fail_link(const char *from, const char *to) {
    return in_store(to) && strike(K_LINK) ? -1 : ut_files_system.link(from, to);
}

static int fail_symlink(const char *target, const char *path) {
    return in_store(path) && strike(K_SYMLINK) ? -1 : ut_files_system.symlink(target, path);
}

static ssize_t fail_readlink(const char *path, char *target, size_t capacity) {
    return in_store(path) && strike(K_READLINK) ? -1
                                                : ut_files_system.readlink(path, target, capacity);
}

static int fail_lstat(const char *path, struct stat *status) {
    return in_store(path) && strike(K_LSTAT) ? -1 : ut_files_system.lstat(path, status);
}

static DIR *fail_opendir(const char *path) {
    return in_store(path) && strike(K_OPENDIR) ? NULL : ut_files_system.opendir(path);
}

static struct dirent *fail_readdir(DIR *directory) {
    return strike(K_READDIR) ? NULL : ut_files_system.readdir(directory);
}

static void use_failing_table(void) {
    static struct ut_file_ops table;
    table = ut_files_system;
    table.open = fail_open;
    table.close = fail_close;
    table.fstat = fail_fstat;
    table.ftruncate = fail_ftruncate;
    table.rename = fail_rename;
    table.renameat2 = fail_renameat2;
    table.unlink = fail_unlink;
    table.write = fail_write;
    table.pread = fail_pread;
    table.fsync = fail_fsync;
    table.mkdir = fail_mkdir;
    table.rmdir = fail_rmdir;
    table.link = fail_link;
    table.symlink = fail_symlink;
    table.readlink = fail_readlink;
    table.lstat = fail_lstat;
    table.opendir = fail_opendir;
    table.readdir = fail_readdir;
    ut_files_replace(&table);
}

/* ---- the store and its flushes ---- */

static struct flush_world world;
static ut_store store;
static uint64_t flushed; // the last commit that a flush said is in the store

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *listing = opendir("/proc/self/fd");
    must(listing != NULL, "%s", strerror(errno));
    while (readdir(listing))
        count++;
    closedir(listing);
    return count;
}

static untorn_status retain(void) {
    const ut_retention retention = {.count = 2, .time = -1, .needed = UINT64_MAX};
    return ut_retention_apply(&store, &retention, NULL);
}

static void must_be_good(const char *context) {
    const char *wrong = flush_world_judge(&world, root, flushed, 0);
    must(wrong == NULL, "%s: %s", context, wrong);
}

static void flush_well(const char *context) {
    ut_flush_report report;
    untorn_status status = flush_world_flush(&world, &store, &report);
    must(status == UNTORN_OK, "%s: the next flush: %s", context, untorn_message());
    flushed = world.next.commit;
    must_be_good(context);
    must_ok(ut_retention_clean(&store));
    must_ok(retain());
    const char *left = flush_world_rubbish(root);
    must(left == NULL, "%s: %s is left", context, left);
    must_be_good(context);
}

static void begin(void) {
    snprintf(root, sizeof root, "%s/store", test_directory_in_memory("faults"));
    flush_world_begin(&world);
    must_ok(ut_store_open(&store, root, true));
    flushed = 0;
    for (int i = 0; i < 3; i++) {
        flush_world_step(&world);
        flush_well("before any fault");
    }
    use_failing_table();
}

static void end(void) {
    ut_files_replace(NULL);
    must_ok(ut_retention_clean(&store));
    ut_store_close(&store);
    flush_world_end(&world);
}

static void arm(int kind, uint64_t nth, int error, int lasting) {
    fault.kind = kind;
    fault.nth = nth;
    fault.error = error;
    fault.lasting = lasting;
    fault.calls = fault.failed = 0;
    fault.armed = 1;
}

// Neither the flush's outcome nor its mess is what it must not be.  0: the fault did not strike.
static int flush_with_fault(int kind, uint64_t nth, int error, int lasting) {
    char context[200];
    ut_flush_report report;
    const char *name = kind == EVERY_CHANGE ? "every change" : kind_names[kind];
    snprintf(context, sizeof context, "%s %llu%s: %s", name, (unsigned long long)nth,
             lasting ? " and later ones" : "", error ? strerror(error) : "short");
    flush_world_step(&world);
    unsigned descriptors = open_descriptors();
    arm(kind, nth, error, lasting);
    untorn_status status = flush_world_flush(&world, &store, &report);
    fault.armed = 0;
    must(open_descriptors() == descriptors, "%s: %u descriptors, not %u", context,
         open_descriptors(), descriptors);
    if (status == UNTORN_OK)
        flushed = world.next.commit;
    else
        must(strstr(untorn_message(), root) != NULL, "%s: \"%s\" names no path", context,
             untorn_message());
    if (fault.failed && (error == EINTR || error == 0))
        must(status == UNTORN_OK, "%s: %s", context, untorn_message());
    else if (fault.failed && kind <= LAST_THAT_MATTERS)
        must(status != UNTORN_OK, "%s went unnoticed", context);
    else if (!fault.failed)
        must(status == UNTORN_OK, "without a fault: %s", untorn_message());
    if (status != UNTORN_OK && kind <= LAST_THAT_MATTERS)
        must(status == (error == ENOSPC ? UNTORN_E_NO_SPACE : UNTORN_E_SYSTEM), "%s: status %d",
             context, (int)status);
    must_be_good(context);
    flush_world_check_segment(&world);
    flush_well(context);
    return fault.failed != 0;
}

// At each call until there are no more; flushes differ a little in how many they make.
static uint64_t at_each_call(int kind, int error, int lasting) {
    uint64_t struck = 0, part = test_count(100), stride = part < 100 ? 100 / part : 1;
    for (uint64_t nth = 1, missed = 0; missed < 4; nth += stride) {
        int hit = flush_with_fault(kind, nth, error, lasting);
        missed = hit ? 0 : missed + 1;
        struck += hit != 0;
    }
    return struck;
}

static void each_kind(int first, int last, int error, int lasting) {
    begin();
    for (int kind = first; kind <= last; kind++) {
        uint64_t struck = at_each_call(kind, error, lasting);
        print_message("%s, %s%s: %llu places\n", kind < KIND_COUNT ? kind_names[kind] : "changes",
                      error ? strerror(error) : "short", lasting ? " for ever" : "",
                      (unsigned long long)struck);
        must(struck > 0 || kind > LAST_THAT_MATTERS, "no %s was made", kind_names[kind]);
    }
    end();
}

/* ---- the tests ---- */

static void P9_full_disk_fails_the_flush_alone(void **state) {
    (void)state;
    each_kind(0, LAST_THAT_MATTERS, ENOSPC, 0);
}

static void P9_disk_that_stays_full_fails_the_flush_alone(void **state) {
    (void)state;
    each_kind(0, LAST_THAT_MATTERS, ENOSPC, 1);
}

static void P6_io_error_fails_the_flush_alone(void **state) {
    (void)state;
    each_kind(0, KIND_COUNT - 1, EIO, 0);
}

static void P6_disk_that_dies_leaves_the_last_snapshot(void **state) {
    (void)state;
    each_kind(EVERY_CHANGE, EVERY_CHANGE, EIO, 1);
}

static void P6_interrupted_calls_and_short_ones_are_gone_on_with(void **state) {
    static const int interrupted[] = {K_MAKE, K_OPEN, K_WRITE, K_FSYNC, K_PREAD};
    (void)state;
    for (size_t i = 0; i < sizeof interrupted / sizeof *interrupted; i++)
        each_kind(interrupted[i], interrupted[i], EINTR, 0);
    each_kind(K_WRITE, K_WRITE, 0, 0);
    each_kind(K_WRITE, K_WRITE, 0, 1);
    each_kind(K_PREAD, K_PREAD, 0, 0);
}

// Where hard links are refused, files are copied.
static void P6_refused_links_become_copies(void **state) {
    static const int refusals[] = {EMLINK, EPERM, EXDEV, EOPNOTSUPP};
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        ut_flush_report report;
        flush_world_step(&world);
        arm(K_LINK, 1, refusals[i], 1);
        must_ok(flush_world_flush(&world, &store, &report));
        fault.armed = 0;
        must(fault.failed > 0, "no link was tried");
        flush_well("copied");
    }
    end();
}

// Deleting fails half-way: what stays is whole, and is deleted the next time.
static void P6_failed_deletion_harms_nothing(void **state) {
    static const int kinds[] = {K_RENAME, K_RENAMEAT2, K_UNLINK,  K_RMDIR, K_FSYNC,
                                K_MAKE,   K_OPENDIR,   K_READDIR, K_OPEN,  K_PREAD,
                                K_LSTAT,  K_READLINK,  K_FSTAT,   K_CLOSE, EVERY_CHANGE};
    (void)state;
    begin();
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int missed = 0;
        for (uint64_t nth = 1; missed < 3; nth++) {
            char context[100];
            ut_flush_report report;
            snprintf(context, sizeof context, "deletion, %s %llu",
                     kinds[k] < KIND_COUNT ? kind_names[kinds[k]] : "changes",
                     (unsigned long long)nth);
            flush_world_step(&world);
            must_ok(flush_world_flush(&world, &store, &report));
            flushed = world.next.commit;
            unsigned descriptors = open_descriptors();
            arm(kinds[k], nth, EIO, kinds[k] == EVERY_CHANGE);
            untorn_status status = retain();
            fault.armed = 0;
            missed = fault.failed ? 0 : missed + 1;
            must(status == UNTORN_OK || strstr(untorn_message(), root) != NULL, "%s: \"%s\"",
                 context, untorn_message());
            must(status == UNTORN_OK || fault.failed, "%s: %s", context, untorn_message());
            must(open_descriptors() == descriptors, "%s: descriptors are left", context);
            must_be_good(context);
            flush_world_step(&world);
            flush_well(context);
        }
    }
    end();
}

// Every file by any of four threads.
static void P6_P9_faults_while_several_threads_write(void **state) {
    static const struct {
        int kind, error, lasting;
    } faults[] = {
        {K_MAKE, ENOSPC, 0}, {K_WRITE, ENOSPC, 1},   {K_FSYNC, EIO, 0}, {K_CLOSE, EIO, 0},
        {K_WRITE, EINTR, 0}, {EVERY_CHANGE, EIO, 1}, {K_WRITE, 0, 1},
    };
    (void)state;
    begin();
    must_ok(ut_encode_pool_open(4, 0, &world.options.pool));
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        must(at_each_call(faults[i].kind, faults[i].error, faults[i].lasting) > 0);
    ut_encode_pool_close(world.options.pool);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P9_full_disk_fails_the_flush_alone),
        cmocka_unit_test(P9_disk_that_stays_full_fails_the_flush_alone),
        cmocka_unit_test(P6_io_error_fails_the_flush_alone),
        cmocka_unit_test(P6_disk_that_dies_leaves_the_last_snapshot),
        cmocka_unit_test(P6_interrupted_calls_and_short_ones_are_gone_on_with),
        cmocka_unit_test(P6_P9_faults_while_several_threads_write),
        cmocka_unit_test(P6_refused_links_become_copies),
        cmocka_unit_test(P6_failed_deletion_harms_nothing),
    };
    return cmocka_run_group_tests_name("flush_faults", tests, NULL, NULL);
}
