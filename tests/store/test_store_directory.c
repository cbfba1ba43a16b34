// SPDX-License-Identifier: MIT
// A store's directory: made, found, refused; one writer at a time, also across forks; which
// snapshots there are and which is the latest.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/durable.h"
#include "store/store_directory.h"
#include "support/failing_files.h"
#include "support/must.h"
#include "support/names.h"

static char at_buffer[8][4096];
static const char *in(const char *directory, const char *name) {
    static unsigned next;
    char *at = at_buffer[next++ % 8];
    snprintf(at, sizeof at_buffer[0], "%s/%s", directory, name);
    return at;
}

static bool is_directory(const char *path) {
    struct stat what;
    return lstat(path, &what) == 0 && S_ISDIR(what.st_mode);
}

static void touch(const char *path) {
    must_ok(ut_durable_write("test", path, "x", 1));
}

static void a_store_is_made_and_found(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    ut_store store;
    must_say(UNTORN_E_NO_STORE, "/s\"", ut_store_open(&store, in(directory, "s"), false));
    must_be(UNTORN_E_SYSTEM, ut_store_open(&store, in(directory, "no/s"), true));
    must_ok(ut_store_open(&store, in(directory, "s///"), true));
    must(is_directory(in(directory, "s/arrays")) && is_directory(in(directory, "s/snapshots")),
         "directories");
    char real[UNTORN_MAX_STORE_PATH];
    must_ok(ut_store_resolve(in(directory, "s"), real));
    must(strcmp(real, store.path) == 0, "%s is not %s", real, store.path);
    must(strstr(store.who, "store \"/") == store.who && strstr(store.who, "/s\"") != NULL, "%s",
         store.who);
    ut_store_close(&store);
    must(symlink("s", in(directory, "link")) == 0, "symlink");
    must_ok(ut_store_open(&store, in(directory, "link/./"), false));
    must(strcmp(real, store.path) == 0, "%s is not %s", real, store.path);
    ut_store_close(&store);
    must_ok(ut_store_open(&store, in(directory, "s"), true));
    ut_store_close(&store);
}

static void relative_and_odd_paths_are_resolved(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    char *home = getcwd(NULL, 0), *real = realpath(directory, NULL);
    must(home != NULL && real != NULL && chdir(directory) == 0, "chdir");
    char resolved[UNTORN_MAX_STORE_PATH], expected[4096];
    snprintf(expected, sizeof expected, "%s/new", real);
    must_ok(ut_store_resolve("new", resolved));
    must(strcmp(resolved, expected) == 0, "%s", resolved);
    must_ok(ut_store_resolve("./new/", resolved));
    must(strcmp(resolved, expected) == 0, "%s", resolved);
    must_ok(ut_store_resolve("/untorn-is-not-there", resolved));
    must(strcmp(resolved, "/untorn-is-not-there") == 0, "%s", resolved);
    must_ok(ut_store_resolve("/", resolved));
    must(strcmp(resolved, "/") == 0, "%s", resolved);
    must_be(UNTORN_E_ARGUMENT, ut_store_resolve("", resolved));
    must_be(UNTORN_E_ARGUMENT, ut_store_resolve(NULL, resolved));
    must_be(UNTORN_E_ARGUMENT, ut_store_resolve("none/..", resolved));
    char lengthy[3000];
    memset(lengthy, 'x', sizeof lengthy);
    for (size_t i = 200; i < sizeof lengthy; i += 200)
        lengthy[i] = '/';
    lengthy[sizeof lengthy - 1] = '\0';
    must(ut_store_resolve(lengthy, resolved) != UNTORN_OK, "a path that is too long");
    // Long, with characters of two bytes: the name in messages is cut between them.
    for (unsigned i = 0; i < 4; i++) {
        char name[256] = "";
        for (unsigned k = 0; k < 110 + i % 2; k++)
            strcat(name, "\xc3\xa4");
        must(mkdir(name, 0777) == 0 && chdir(name) == 0, "chdir");
    }
    ut_store store;
    must_ok(ut_store_open(&store, "s", true));
    must(strlen(store.who) >= 240 && strstr(store.who, "/s\"") != NULL &&
             strncmp(store.who, "store \"...", 10) == 0 &&
             ((unsigned char)store.who[10] & 0xc0) != 0x80,
         "%s", store.who);
    ut_store_close(&store);
    must(chdir(home) == 0, "chdir");
    free(home);
    free(real);
}

static void what_is_no_store_is_refused(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    ut_store store;
    // Made, but cut short: gone on with.
    must(mkdir(in(directory, "half"), 0777) == 0, "mkdir");
    must(mkdir(in(directory, "half/arrays"), 0777) == 0, "mkdir");
    touch(in(directory, "half/.lock"));
    must_be(UNTORN_E_NO_STORE, ut_store_open(&store, in(directory, "half"), false));
    must_ok(ut_store_open(&store, in(directory, "half"), true));
    ut_store_close(&store);
    // Somebody's data.
    must(mkdir(in(directory, "data"), 0777) == 0, "mkdir");
    touch(in(directory, "data/thesis.tex"));
    must_say(UNTORN_E_ARGUMENT, "thesis.tex", ut_store_open(&store, in(directory, "data"), true));
    must(!is_directory(in(directory, "data/arrays")), "left alone");
    // A Zarr hierarchy that happens to have groups of these names.
    must(mkdir(in(directory, "zarr"), 0777) == 0, "mkdir");
    must(mkdir(in(directory, "zarr/arrays"), 0777) == 0, "mkdir");
    must(mkdir(in(directory, "zarr/snapshots"), 0777) == 0, "mkdir");
    touch(in(directory, "zarr/.zgroup"));
    must_say(UNTORN_E_ARGUMENT, ".zgroup", ut_store_open(&store, in(directory, "zarr"), true));
    // A file.
    touch(in(directory, "file"));
    must_be(UNTORN_E_ARGUMENT, ut_store_open(&store, in(directory, "file"), true));
    must_be(UNTORN_E_NO_STORE, ut_store_open(&store, in(directory, "file"), false));
}

static int in_child(const char *path, untorn_status expected) {
    pid_t child = fork();
    if (child == 0) {
        ut_store store;
        untorn_status status = ut_store_open(&store, path, true);
        bool named = status != UNTORN_E_BUSY || strstr(untorn_message(), "process ") != NULL;
        _exit(status == expected && named ? 0 : 1);
    }
    int status = -1;
    must(child > 0 && waitpid(child, &status, 0) == child, "child");
    return status;
}

static void a_store_has_one_writer(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    ut_store store, second;
    const char *path = in(directory, "s");
    char expected[64];
    must_ok(ut_store_open(&store, path, true));
    snprintf(expected, sizeof expected, "process %d (", (int)getpid());
    must_say(UNTORN_E_BUSY, expected, ut_store_open(&second, path, true));
    must(second.lock_fd == -1, "no lock");
    must_ok(ut_store_open(&second, path, false)); // looking is always allowed
    must(in_child(path, UNTORN_E_BUSY) == 0, "busy in another process");
    // A child does not inherit the lock.
    int wait_here[2];
    must(pipe(wait_here) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(wait_here[1]);
        _exit(read(wait_here[0], &byte, 1) == 0 ? 0 : 1);
    }
    must(child > 0, "fork");
    ut_store_close(&store);
    ut_store_close(&store);
    must(in_child(path, UNTORN_OK) == 0, "free, though a child of the old writer lives");
    must_ok(ut_store_open(&store, path, true));
    ut_store_close(&store);
    close(wait_here[1]);
    close(wait_here[0]);
    waitpid(child, NULL, 0);
}

static void add_snapshot(const ut_store *store, const char *name) {
    char path[UT_STORE_PATH_MAX];
    must_ok(ut_store_path(store, path, "snapshots/%s", name));
    must(mkdir(path, 0777) == 0, "mkdir %s", path);
}

static void must_be_latest(const ut_store *store, uint64_t expected) {
    uint64_t commit = 99;
    must_ok(ut_store_latest(store, &commit));
    must(commit == expected, "latest: %" PRIu64 ", not %" PRIu64, commit, expected);
}

static void snapshots_are_listed_and_named(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    ut_store store;
    must_ok(ut_store_open(&store, in(directory, "s"), true));
    uint64_t *commits = NULL;
    size_t count = 9;
    must_ok(ut_store_commits(&store, &commits, &count));
    must(count == 0, "%zu", count);
    free(commits);
    must_be_latest(&store, 0);
    static const char *const names[] = {"7",
                                        "281474976710659",
                                        "100",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "08",
                                        "0",
                                        "-1",
                                        "1x",
                                        ".tmp-0123456789abcdef",
                                        "+3",
                                        "9"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_snapshot(&store, names[i]);
    static const uint64_t expected[] = {UINT64_MAX, UINT64_C(281474976710659), 100, 9, 7};
    must_ok(ut_store_commits(&store, &commits, &count));
    must(count == 5 && memcmp(commits, expected, sizeof expected) == 0, "%zu snapshots", count);
    free(commits);
    must_ok(ut_store_set_latest(&store, 9));
    must_be_latest(&store, 9);
    must_ok(ut_store_set_latest(&store, 100));
    must_be_latest(&store, 100);
    must_ok(ut_store_set_latest(&store, 5)); // not there
    must_be_latest(&store, 0);
    static const char *const targets[] = {"snapshots/0100", "/etc", "snapshots/../snapshots/9",
                                          "snapshots/", "arrays"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        unlink(in(store.path, "latest"));
        must(symlink(targets[i], in(store.path, "latest")) == 0, "symlink");
        must_be_latest(&store, 0);
    }
    must_ok(ut_store_confirm(&store, 9)); // `latest` names none
    must_be_latest(&store, 9);
    must_ok(ut_store_confirm(&store, 100));
    must_be_latest(&store, 100);
    must_ok(ut_store_confirm(&store, 7)); // older
    must_be_latest(&store, 100);
    unlink(in(store.path, "latest"));
    touch(in(store.path, "latest"));
    must_be_latest(&store, 0);
    must_ok(ut_store_set_latest(&store, 7)); // replaces whatever is there
    must_be_latest(&store, 7);
    ut_store_close(&store);
}

static void latest_is_the_old_or_the_new_one_whatever_fails(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    ut_store store;
    must_ok(ut_store_open(&store, in(directory, "s"), true));
    add_snapshot(&store, "1");
    add_snapshot(&store, "2");
    static const int errors[] = {EIO, ENOSPC, EINTR};
    for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
        long failed = 1;
        for (long at = 0; failed > 0; at++) {
            must_ok(ut_store_set_latest(&store, 1));
            failing_files_begin((failing_plan){.at = at, .error = errors[k]});
            untorn_status status = ut_store_set_latest(&store, 2);
            failing_files_end(&failed);
            uint64_t commit;
            must_ok(ut_store_latest(&store, &commit));
            must(commit == 2 || (commit == 1 && status != UNTORN_OK), "latest: %" PRIu64, commit);
            must(errors[k] != EINTR || status == UNTORN_OK, "%s", untorn_message());
        }
    }
    // Nothing else is left in the store.
    must(unlink(in(store.path, "latest")) == 0 && unlink(in(store.path, ".lock")) == 0 &&
             rmdir(in(store.path, "arrays")) == 0,
         "the store's parts");
    must_ok(ut_durable_remove_tree("test", in(store.path, "snapshots")));
    must(rmdir(store.path) == 0, "something was left: %s", strerror(errno));
    ut_store_close(&store);
}

static void opening_that_fails_can_be_repeated(void **state) {
    (void)state;
    const char *directory = test_directory("store");
    static const int errors[] = {EIO, ENOSPC, EINTR};
    unsigned before = failing_files_open();
    for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
        long failed = 1;
        for (long at = 0; failed > 0; at++) {
            ut_store store;
            failing_files_begin((failing_plan){.at = at, .error = errors[k]});
            untorn_status status = ut_store_open(&store, in(directory, "s"), true);
            failing_files_end(&failed);
            must(errors[k] != EINTR || status == UNTORN_OK, "call %ld: %s", at, untorn_message());
            must(status == UNTORN_OK || strstr(untorn_message(), "/s\"") != NULL, "%s",
                 untorn_message());
            ut_store_close(&store);
            must(failing_files_open() == before, "descriptors");
            must_ok(ut_store_open(&store, in(directory, "s"), true));
            ut_store_close(&store);
            must_ok(ut_durable_remove_tree("test", in(directory, "s")));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_is_made_and_found),
        cmocka_unit_test(relative_and_odd_paths_are_resolved),
        cmocka_unit_test(what_is_no_store_is_refused),
        cmocka_unit_test(a_store_has_one_writer),
        cmocka_unit_test(snapshots_are_listed_and_named),
        cmocka_unit_test(latest_is_the_old_or_the_new_one_whatever_fails),
        cmocka_unit_test(opening_that_fails_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
