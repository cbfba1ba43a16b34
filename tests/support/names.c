// SPDX-License-Identifier: MIT
/* Names that are cleaned up after: see names.h. */
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "must.h"

#define KEPT 4096

static pid_t owner; // the process that cleans up; forked children do not
static char *directories[KEPT];
static unsigned directory_count;
static char *segments[KEPT];
static unsigned segment_count;

const char *test_shm_dir(void) {
    const char *directory = getenv("UNTORN_SHM_DIR");
    return directory && directory[0] ? directory : "/dev/shm";
}

// Whether `file` belongs to a test segment whose process is `pid`, or (pid 0) is dead.
static int is_leftover(const char *file, pid_t pid) {
    const char *at = strstr(file, "untorn.t-");
    if (!at)
        return 0;
    int process = 0;
    unsigned number = 0;
    // WHAT has no '-', so the two numbers follow the second one.
    const char *tail = strchr(at + strlen("untorn.t-"), '-');
    if (!tail || sscanf(tail, "-%d-%u", &process, &number) != 2 || process <= 0)
        return 0;
    if (pid)
        return process == pid;
    return kill(process, 0) != 0 && errno == ESRCH;
}

static void remove_segments_of(pid_t pid) {
    DIR *listing = opendir(test_shm_dir());
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (!is_leftover(entry->d_name, pid))
            continue;
        char path[600];
        snprintf(path, sizeof path, "%s/%s", test_shm_dir(), entry->d_name);
        unlink(path);
    }
    closedir(listing);
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk) {
    (void)status;
    (void)flag;
    (void)walk;
    remove(path);
    return 0;
}

static void clean_up(void) {
    if (getpid() != owner)
        return;
    remove_segments_of(owner);
    for (unsigned i = 0; i < directory_count; i++)
        nftw(directories[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void start(void) {
    if (owner)
        return;
    owner = getpid();
    remove_segments_of(0);
    atexit(clean_up);
}

const char *test_segment(const char *what) {
    start();
    char *name = NULL;
    if (asprintf(&name, "t-%s-%d-%u", what, (int)owner, segment_count++) < 0)
        abort();
    segments[(segment_count - 1) % KEPT] = name; // tests keep it in structures of any life
    return name;
}

static const char *directory_in(const char *top, const char *what) {
    char *path = NULL;
    start();
    if (asprintf(&path, "%s/untorn-%s-XXXXXX", top, what) < 0 || !mkdtemp(path))
        test_fail(__FILE__, __LINE__, "no temporary directory: %s", strerror(errno));
    if (directory_count < KEPT)
        directories[directory_count++] = path;
    return path;
}

const char *test_directory(const char *what) {
    const char *top = getenv("TMPDIR");
    return directory_in(top ? top : "/tmp", what);
}

const char *test_directory_in_memory(const char *what) {
    static char *top; // a child may have put a small mount in the segments' place since
    if (!top)
        top = strdup(test_shm_dir());
    return directory_in(top ? top : "/tmp", what);
}

unsigned test_segment_files(const char *segment) {
    unsigned count = 0;
    DIR *listing = opendir(test_shm_dir());
    if (!listing)
        return 0;
    for (struct dirent *entry; (entry = readdir(listing));)
        count += strstr(entry->d_name, segment) != NULL;
    closedir(listing);
    return count;
}

const char *test_segment_path(const char *segment, const char *suffix) {
    static char paths[8][600];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/untorn.%s%s", test_shm_dir(), segment, suffix);
    return path;
}
