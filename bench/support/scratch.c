// SPDX-License-Identifier: MIT
/*
 * Trees are removed by rm and forgotten by posix_fadvise, after which clean
 * pages that nobody maps are gone.
 */
#include "scratch.h"

#include "segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *parent_of(enum bench_medium medium) {
    const char *disk = getenv("BENCH_DISK");
    if (medium == BENCH_TMPFS)
        return "/dev/shm";
    return disk ? disk : "/var/tmp";
}

void bench_scratch(enum bench_medium medium, char path[BENCH_PATH]) {
    char name[48];
    snprintf(name, sizeof(name), "untorn-bench-%d-XXXXXX", getpid());
    bench_join(path, parent_of(medium), name);
    if (!mkdtemp(path))
        bench_die("%s: %s", path, strerror(errno));
    bench_remove_at_end(path);
}

const char *bench_file_system(enum bench_medium medium) {
    static char number[32];
    struct statfs fs;
    if (statfs(parent_of(medium), &fs) != 0)
        bench_die("%s: %s", parent_of(medium), strerror(errno));
    switch ((unsigned long)fs.f_type) {
    case TMPFS_MAGIC:
        return "tmpfs";
    case EXT4_SUPER_MAGIC:
        return "ext4";
    case XFS_SUPER_MAGIC:
        return "xfs";
    case BTRFS_SUPER_MAGIC:
        return "btrfs";
    case OVERLAYFS_SUPER_MAGIC:
        return "overlayfs";
    default:
        snprintf(number, sizeof(number), "file system 0x%lx", (unsigned long)fs.f_type);
        return number;
    }
}

void bench_room(enum bench_medium medium, uint64_t *bytes, uint64_t *files) {
    struct statvfs fs;
    if (statvfs(parent_of(medium), &fs) != 0)
        bench_die("%s: %s", parent_of(medium), strerror(errno));
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    *files = fs.f_files ? fs.f_favail : UINT64_MAX; /* btrfs counts none */
}

void bench_join(char to[BENCH_PATH], const char *path, const char *name) {
    if (snprintf(to, BENCH_PATH, "%s/%s", path, name) >= BENCH_PATH)
        bench_die("%s/%s: too long a path", path, name);
}

void bench_remove_tree(const char *path) {
    bench_run((const char *const[]){"rm", "-rf", "--", path, NULL});
}

void bench_run(const char *const *argv) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int error =
        posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        bench_die("%s: %s", argv[0], strerror(error));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        bench_die("%s ended with status 0x%x", argv[0], (unsigned)status);
}

static int forget(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)at;
    if (kind != FTW_F)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    return 0;
}

void bench_forget_pages(const char *path) {
    nftw(path, forget, 16, FTW_PHYS);
}

uint64_t bench_bytes_in(const char *path, uint64_t *files) {
    DIR *directory = opendir(path);
    uint64_t bytes = 0;
    *files = 0;
    if (!directory)
        bench_die("%s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat st;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        bytes += (uint64_t)st.st_size;
        *files += 1;
    }
    closedir(directory);
    return bytes;
}
