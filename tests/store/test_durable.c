// SPDX-License-Identifier: MIT
// Durable files: what is written is there, every failure is told and leaves nothing behind,
// interruptions and short writes are gone on with, and removing never leaves the tree it is given.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_ops.h"
#include "store/durable.h"
#include "support/failing_files.h"
#include "support/must.h"
#include "support/names.h"

#define WHO "store \"x\""

static char at_buffer[8][4096];
static const char *in(const char *directory, const char *name) {
    static unsigned next;
    char *at = at_buffer[next++ % 8];
    snprintf(at, sizeof at_buffer[0], "%s/%s", directory, name);
    return at;
}

static bool is_there(const char *path) {
    struct stat what;
    return lstat(path, &what) == 0;
}

static void must_hold(const char *path, const unsigned char *bytes, size_t n) {
    unsigned char *read = NULL;
    size_t size = 0;
    must_ok(ut_durable_read(WHO, path, n, &read, &size));
    must(size == n && memcmp(read, bytes, n) == 0 && read[n] == 0, "%s: %zu bytes", path, size);
    free(read);
}

static unsigned char *pattern(size_t n) {
    unsigned char *bytes = malloc(n + 1);
    must(bytes != NULL, "memory");
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    return bytes;
}

static void files_of_all_lengths_come_back(void **state) {
    (void)state;
    const char *directory = test_directory("durable");
    static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 300000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char *bytes = pattern(lengths[i]);
        const char *whole = in(directory, "whole"), *pieces = in(directory, "pieces");
        must_ok(ut_durable_write(WHO, whole, bytes, lengths[i]));
        must_hold(whole, bytes, lengths[i]);
        must_say(UNTORN_E_SYSTEM, "whole", ut_durable_write(WHO, whole, bytes, lengths[i]));
        must_hold(whole, bytes, lengths[i]); /* a second writer does not hurt the first's */
        ut_durable_file file;
        must_ok(ut_durable_open(&file, WHO, pieces));
        for (size_t done = 0, piece = 1; done < lengths[i]; done += piece, piece = piece * 3 + 1) {
            if (piece > lengths[i] - done)
                piece = lengths[i] - done;
            must_ok(ut_durable_add(&file, bytes + done, piece));
        }
        must_ok(ut_durable_finish(&file));
        must_hold(pieces, bytes, lengths[i]);
        if (lengths[i] > 0) {
            unsigned char *read;
            size_t n;
            must_say(UNTORN_E_LIMIT, whole, ut_durable_read(WHO, whole, lengths[i] - 1, &read, &n));
        }
        must_ok(ut_durable_remove_tree(WHO, whole));
        must_ok(ut_durable_remove_tree(WHO, pieces));
        free(bytes);
    }
}

static void what_cannot_be_read_is_told(void **state) {
    (void)state;
    const char *directory = test_directory("durable");
    unsigned char *bytes;
    size_t n;
    must_say(UNTORN_E_ABSENT, "none", ut_durable_read(WHO, in(directory, "none"), 9, &bytes, &n));
    must_say(UNTORN_E_CORRUPT, "not a file", ut_durable_read(WHO, directory, 9, &bytes, &n));
    must(mkfifo(in(directory, "pipe"), 0600) == 0, "mkfifo");
    must_say(UNTORN_E_CORRUPT, "pipe", ut_durable_read(WHO, in(directory, "pipe"), 9, &bytes, &n));
    must(symlink("pipe", in(directory, "link")) == 0, "symlink");
    must_be(UNTORN_E_SYSTEM, ut_durable_read(WHO, in(directory, "link"), 9, &bytes, &n));
}

// One writing with each kind of operation.
static untorn_status write_some(const char *directory) {
    unsigned char *bytes = pattern(100000);
    untorn_status status = ut_durable_mkdir(WHO, in(directory, "d"));
    if (status == UNTORN_OK)
        status = ut_durable_write(WHO, in(directory, "d/whole"), bytes, 100000);
    ut_durable_file file;
    if (status == UNTORN_OK)
        status = ut_durable_open(&file, WHO, in(directory, "d/pieces"));
    if (status == UNTORN_OK) {
        for (size_t i = 0; i < 10 && status == UNTORN_OK; i++)
            status = ut_durable_add(&file, bytes + i * 10000, 10000);
        if (status == UNTORN_OK)
            status = ut_durable_finish(&file);
        else
            ut_durable_abandon(&file);
    }
    if (status == UNTORN_OK)
        status = ut_durable_link(WHO, in(directory, "d/whole"), in(directory, "d/again"), NULL);
    if (status == UNTORN_OK)
        status = ut_durable_symlink(WHO, "whole", in(directory, "d/link"));
    if (status == UNTORN_OK)
        status = ut_durable_sync_directory(WHO, in(directory, "d"));
    if (status == UNTORN_OK)
        status = ut_durable_rename(WHO, in(directory, "d"), in(directory, "e"), false);
    if (status == UNTORN_OK)
        status = ut_durable_rename(WHO, in(directory, "e/link"), in(directory, "e/moved"), true);
    free(bytes);
    return status;
}

static void must_be_whole(const char *directory) {
    unsigned char *bytes = pattern(100000);
    must_hold(in(directory, "e/whole"), bytes, 100000);
    must_hold(in(directory, "e/pieces"), bytes, 100000);
    must_hold(in(directory, "e/again"), bytes, 100000);
    must(is_there(in(directory, "e/moved")), "link");
    free(bytes);
}

static void clear(const char *directory) {
    must_ok(ut_durable_remove_tree(WHO, in(directory, "d")));
    must_ok(ut_durable_remove_tree(WHO, in(directory, "e")));
}

static void each_operation_that_fails_is_told(void **state) {
    (void)state;
    static const struct {
        int error;
        untorn_status status;
    } kinds[] = {{ENOSPC, UNTORN_E_NO_SPACE},  {EDQUOT, UNTORN_E_NO_SPACE},
                 {EIO, UNTORN_E_SYSTEM},       {EACCES, UNTORN_E_PERMISSION},
                 {EROFS, UNTORN_E_PERMISSION}, {ENOMEM, UNTORN_E_NO_MEMORY}};
    const char *directory = test_directory("durable");
    unsigned before = failing_files_open();
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        long failed = 1;
        for (long at = 0; failed > 0; at++) {
            failing_files_begin((failing_plan){.at = at, .error = kinds[k].error});
            untorn_status status = write_some(directory);
            failing_files_end(&failed);
            must(before == failing_files_open(), "descriptors after %ld", at);
            // Closing what was only read is the one thing that may fail unnoticed.
            if (status == UNTORN_OK)
                must_be_whole(directory);
            else
                must(status == kinds[k].status && strstr(untorn_message(), directory) != NULL &&
                         strstr(untorn_message(), strerror(kinds[k].error)) != NULL,
                     "%d: \"%s\"", (int)status, untorn_message());
            clear(directory);
        }
    }
}

static void interruptions_and_short_writes_are_gone_on_with(void **state) {
    (void)state;
    const char *directory = test_directory("durable");
    for (int error = 0; error <= EINTR; error += EINTR) {
        long at = 0, count = 1;
        for (; at < count; at++) {
            failing_files_begin((failing_plan){.at = at, .error = error});
            untorn_status status = write_some(directory);
            count = failing_files_end(NULL);
            must(status == UNTORN_OK, "call %ld: %s", at, untorn_message());
            must_be_whole(directory);
            clear(directory);
        }
        must(at > 15, "%ld calls", at);
    }
}

static int refuse_fsync(int fd) {
    struct stat what;
    if (fstat(fd, &what) == 0 && S_ISDIR(what.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return fsync(fd);
}

static int refuse_renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    (void)a, (void)from, (void)b, (void)to, (void)flags;
    errno = EINVAL;
    return -1;
}

static void what_a_file_system_lacks_is_made_up_for(void **state) {
    (void)state;
    const char *directory = test_directory("durable");
    struct ut_file_ops table = ut_files_system;
    table.fsync = refuse_fsync;
    table.renameat2 = refuse_renameat2;
    ut_files_replace(&table);
    must_ok(write_some(directory));
    must_be_whole(directory);
    must_ok(ut_durable_write(WHO, in(directory, "other"), "o", 1));
    must_be(UNTORN_E_SYSTEM,
            ut_durable_rename(WHO, in(directory, "other"), in(directory, "e/whole"), false));
    ut_files_replace(NULL);
    must_be_whole(directory);
}

static void links_that_are_refused_are_copied(void **state) {
    (void)state;
    static const int copied[] = {EMLINK, EPERM, EXDEV, EOPNOTSUPP};
    const char *directory = test_directory("durable");
    unsigned char *bytes = pattern(600000);
    must_ok(ut_durable_write(WHO, in(directory, "from"), bytes, 600000));
    bool copy;
    must_ok(ut_durable_link(WHO, in(directory, "from"), in(directory, "to"), &copy));
    struct stat from, to;
    must(stat(in(directory, "from"), &from) == 0 && stat(in(directory, "to"), &to) == 0 && !copy &&
             from.st_ino == to.st_ino,
         "linked");
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        must_ok(ut_durable_remove_tree(WHO, in(directory, "to")));
        failing_files_begin((failing_plan){.at = -1});
        failing_files_refuse_links(copied[i]);
        must_ok(ut_durable_link(WHO, in(directory, "from"), in(directory, "to"), &copy));
        failing_files_refuse_links(0);
        failing_files_end(NULL);
        must(stat(in(directory, "to"), &to) == 0 && copy && from.st_ino != to.st_ino, "copied");
        must_hold(in(directory, "to"), bytes, 600000);
    }
    must_say(UNTORN_E_ABSENT, "absent",
             ut_durable_link(WHO, in(directory, "absent"), in(directory, "x"), NULL));
    /* A copy that fails leaves nothing. */
    long failed = 1;
    for (long at = 0; failed > 0; at++) {
        must_ok(ut_durable_remove_tree(WHO, in(directory, "to")));
        failing_files_begin((failing_plan){.at = at, .error = EIO});
        failing_files_refuse_links(EXDEV);
        untorn_status status =
            ut_durable_link(WHO, in(directory, "from"), in(directory, "to"), NULL);
        failing_files_refuse_links(0);
        failing_files_end(&failed);
        if (status != UNTORN_OK)
            must(!is_there(in(directory, "to")), "left after %ld", at);
        else
            must_hold(in(directory, "to"), bytes, 600000);
    }
    free(bytes);
}

static void removing_stays_within_the_tree(void **state) {
    (void)state;
    const char *directory = test_directory("durable");
    must_ok(ut_durable_mkdir(WHO, in(directory, "kept")));
    must_ok(ut_durable_write(WHO, in(directory, "kept/file"), "k", 1));
    must_ok(ut_durable_mkdir(WHO, in(directory, "tree")));
    must_ok(ut_durable_symlink(WHO, "../kept", in(directory, "tree/link")));
    must_ok(ut_durable_symlink(WHO, "kept", in(directory, "link")));
    char path[2048];
    int n = snprintf(path, sizeof path, "%s/tree", directory);
    for (unsigned depth = 0; depth < 500; depth++) {
        n += snprintf(path + n, sizeof path - (size_t)n, "/d");
        must_ok(ut_durable_mkdir(WHO, path));
        if (depth % 50 == 0) {
            char file[2100];
            snprintf(file, sizeof file, "%s/file", path);
            must_ok(ut_durable_write(WHO, file, "f", 1));
        }
    }
    for (unsigned i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, i % 3 == 0 ? "tree/sub-%u" : "tree/file-%u", i);
        must_ok(i % 3 == 0 ? ut_durable_mkdir(WHO, in(directory, name))
                           : ut_durable_write(WHO, in(directory, name), "", 0));
    }
    must_ok(ut_durable_remove_tree(WHO, in(directory, "tree")));
    must(!is_there(in(directory, "tree")), "the tree");
    must_ok(ut_durable_remove_tree(WHO, in(directory, "link")));
    must(!is_there(in(directory, "link")), "the link");
    must(is_there(in(directory, "kept/file")), "what the links named");
    must_ok(ut_durable_remove_tree(WHO, in(directory, "none")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_all_lengths_come_back),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(each_operation_that_fails_is_told),
        cmocka_unit_test(interruptions_and_short_writes_are_gone_on_with),
        cmocka_unit_test(what_a_file_system_lacks_is_made_up_for),
        cmocka_unit_test(links_that_are_refused_are_copied),
        cmocka_unit_test(removing_stays_within_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
