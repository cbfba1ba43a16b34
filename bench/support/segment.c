// SPDX-License-Identifier: MIT
/*
 * Removal at Ctrl-C unlinks the files by name, since nothing else may be called
 * from a signal handler; at a normal exit the library removes them.
 */
#include "segment.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SEGMENTS 64
#define MAX_OTHERS 64

static char names[MAX_SEGMENTS][80];
static char files[MAX_SEGMENTS][4][128];
static char others[MAX_OTHERS][256];
static volatile sig_atomic_t count, other_count;

static void unlink_files(int i) {
    for (int f = 0; f < 4; f++)
        unlink(files[i][f]);
}

/* By another program, since a tree may be removed from a signal handler. */
static void become_rm(const char *path) {
    execl("/bin/rm", "rm", "-rf", "--", path, (char *)NULL);
    _exit(127);
}

/* In a session of its own, which nobody ends together with us. */
static void remove_after_the_end(const char *path) {
    const struct timespec moment = {0, 1000000};
    pid_t ours = getpid();
    if (fork() != 0)
        return;
    setsid();
    while (getppid() == ours)
        nanosleep(&moment, NULL);
    become_rm(path);
}

/* Threads that flush go on meanwhile, and may make a file where all were gone: what is left then
 * has to wait for their end. */
static void remove_tree(const char *path) {
    pid_t pid = fork();
    if (pid == 0)
        become_rm(path);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (access(path, F_OK) == 0)
        remove_after_the_end(path);
}

static void at_exit(void) {
    for (int i = 0; i < count; i++)
        unlink_files(i);
    for (int i = 0; i < other_count; i++)
        if (unlink(others[i]) != 0 && rmdir(others[i]) != 0 && errno == ENOTEMPTY)
            remove_tree(others[i]);
}

static void on_signal(int signal_number) {
    at_exit();
    _exit(128 + signal_number);
}

static void catch_the_end(void) {
    if (count + other_count > 0)
        return;
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (int i = 0; i < 4; i++)
        signal(ends[i], on_signal);
    atexit(at_exit);
}

void bench_remove_at_end(const char *path) {
    catch_the_end();
    if (other_count == MAX_OTHERS || strlen(path) >= sizeof(others[0]))
        bench_die("%s: too many files, or too long a name", path);
    snprintf(others[other_count], sizeof(others[0]), "%s", path);
    other_count = other_count + 1;
}

const char *bench_segment_name(const char *what) {
    static const char *const suffixes[] = {"", "~ctl", "~lock", "~alive"};
    if (count == MAX_SEGMENTS)
        bench_die("too many segments");
    catch_the_end();
    int i = count;
    snprintf(names[i], sizeof(names[i]), "bench-%d-%d-%s", getpid(), i, what);
    const char *directory = getenv("UNTORN_SHM_DIR");
    for (int f = 0; f < 4; f++)
        snprintf(files[i][f], sizeof(files[i][f]), "%.30s/untorn.%s%s",
                 directory ? directory : "/dev/shm", names[i], suffixes[f]);
    count = i + 1;
    return names[i];
}

void bench_segment_forget_cleanup(void) {
    count = other_count = 0;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

void bench_segment_remove(const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            unlink_files(i);
}

untorn_writer *bench_writer(const char *segment, uint64_t size, unsigned versions) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.versions = versions;
    options.flags = UNTORN_CREATE_ONLY;
    for (;; size *= 2) {
        untorn_writer *writer;
        options.size = size;
        untorn_status status = untorn_writer_open(segment, &options, &writer);
        if (status == UNTORN_OK)
            return writer;
        if ((status != UNTORN_E_ARGUMENT && status != UNTORN_E_NO_SPACE) || size >= (1u << 30))
            bench_die("untorn_writer_open: %s (%s)", untorn_status_text(status), untorn_message());
    }
}

untorn_writer_array *bench_define(untorn_writer *writer, const char *name, const char *dtype,
                                  uint64_t length, uint64_t chunk) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array;
    definition.dtype = dtype;
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    BENCH_MUST(untorn_define(writer, name, &definition, &array));
    return array;
}
