// SPDX-License-Identifier: MIT
/*
 * Directories for stores, in memory and on a disk, and other programs run on
 * them.  A directory is removed with all in it at the end, also at Ctrl-C.
 */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_PATH 512

/* Where a file system of this kind is: tmpfs is /dev/shm, the disk is BENCH_DISK or /var/tmp. */
enum bench_medium { BENCH_TMPFS, BENCH_DISK };

/* A fresh directory there. */
void bench_scratch(enum bench_medium medium, char path[BENCH_PATH]);

/* "tmpfs", "ext4", ... and the bytes and files that may still be made there. */
const char *bench_file_system(enum bench_medium medium);
void bench_room(enum bench_medium medium, uint64_t *bytes, uint64_t *files);

/* path + "/" + name */
void bench_join(char to[BENCH_PATH], const char *path, const char *name);

/* Remove it with all in it. */
void bench_remove_tree(const char *path);

/* Run a program to its end, its output thrown away; it must succeed. */
void bench_run(const char *const *argv);

/* Forget the pages of all files below `path` that the kernel keeps, as far as it lets. */
void bench_forget_pages(const char *path);

/* The bytes of all files right below `path` whose names do not begin with a dot; *files of them. */
uint64_t bench_bytes_in(const char *path, uint64_t *files);

#endif
