// SPDX-License-Identifier: MIT
/*
 * Pinning by affinity mask; shared memory as an unlinked file in /dev/shm
 * (an anonymous shared mapping might get another page size than that mount).
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void bench_pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        fprintf(stderr, "bench: cannot pin to core %d: %s\n", core, strerror(errno));
}

void *bench_shared_memory(size_t bytes) {
    char path[] = "/dev/shm/untorn-bench-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        bench_die("%s: %s", path, strerror(errno));
    unlink(path);
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error)
        bench_die("no %zu bytes in /dev/shm: %s", bytes, strerror(error));
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        bench_die("mmap: %s", strerror(errno));
    close(fd);
    return memory;
}

void bench_shared_memory_free(void *memory, size_t bytes) {
    munmap(memory, bytes);
}

void *bench_private_memory(size_t bytes) {
    void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!memory)
        bench_die("no %zu bytes of memory", bytes);
    memset(memory, 1, bytes);
    return memory;
}

void bench_die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

double bench_effort(void) {
    const char *text = getenv("BENCH_EFFORT");
    double effort = text ? atof(text) : 1;
    return effort > 0 ? effort : 1;
}

int bench_repetitions(int usual) {
    int repetitions = (int)(usual * bench_effort());
    if (repetitions > BENCH_MAX_REPETITIONS)
        repetitions = BENCH_MAX_REPETITIONS;
    return repetitions < 15 ? 15 : repetitions;
}
