// SPDX-License-Identifier: MIT
/*
 * The same job without any protocol, to show that the judge catches what it is
 * there to catch: rows of the same sizes in plain POSIX shared memory, a writer
 * that appends them in place and starts over when it is full, and readers that
 * copy what is there.
 *
 *     plain_copy STATISTICS SECONDS CPU_BYTES MEMORY_BYTES DISK_BYTES
 *
 * The three sizes are those of a row; 0: no such array.
 */
#include "row_check.h"
#include "stats.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CAPACITY 4096
#define READERS DEMO_READERS
#define LONGER 60000000000u /* ns */

struct plain {
    volatile uint64_t length; /* of all arrays, raised when a row is written */
    char *data[ROW_ARRAYS];
    uint64_t row_bytes[ROW_ARRAYS];
};

static void make_memory(struct plain **plain, uint64_t row_bytes[ROW_ARRAYS]) {
    char name[64];
    uint64_t bytes = 4096;
    for (int a = 0; a < ROW_ARRAYS; a++)
        bytes += row_bytes[a] * CAPACITY;
    snprintf(name, sizeof(name), "/untorn-demo-plain-%d", getpid());
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || shm_unlink(name) != 0 || ftruncate(fd, (off_t)bytes) != 0) {
        fprintf(stderr, "plain_copy: shared memory: %s\n", strerror(errno));
        exit(1);
    }
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        exit(1);
    close(fd);
    *plain = (struct plain *)(void *)memory;
    memory += 4096;
    for (int a = 0; a < ROW_ARRAYS; a++) {
        (*plain)->row_bytes[a] = row_bytes[a];
        (*plain)->data[a] = row_bytes[a] ? memory : NULL;
        memory += row_bytes[a] * CAPACITY;
    }
}

/* Counters that grow, as the kernel's do. */
static void make_row(const struct plain *plain, uint64_t sample, char *row[ROW_ARRAYS]) {
    struct rows one = {{0}, {0}, {0}};
    for (int a = 0; a < ROW_CHECK; a++)
        for (uint64_t i = 0; i < plain->row_bytes[a] / 8; i++) {
            uint64_t value = a == ROW_TIME ? sample * 1000 : sample * (i + 3) + (uint64_t)a;
            memcpy(row[a] + i * 8, &value, 8);
        }
    for (int a = 0; a < ROW_ARRAYS; a++) {
        one.data[a] = plain->data[a] ? row[a] : NULL;
        one.row_bytes[a] = plain->row_bytes[a];
    }
    uint64_t check = row_hash(&one, 0);
    memcpy(row[ROW_CHECK], &check, sizeof(check));
}

/* Rows made beforehand, two rounds of them, so that writing is only copying. */
static void make_rounds(const struct plain *plain, char *made[ROW_ARRAYS]) {
    for (int a = 0; a < ROW_ARRAYS; a++) {
        made[a] = malloc(2 * CAPACITY * plain->row_bytes[a] + 1);
        if (!made[a])
            _exit(1);
    }
    for (uint64_t sample = 0; sample < 2 * CAPACITY; sample++) {
        char *row[ROW_ARRAYS];
        for (int a = 0; a < ROW_ARRAYS; a++)
            row[a] = made[a] + sample * plain->row_bytes[a];
        make_row(plain, sample + 1, row);
    }
}

static _Noreturn void write_forever(struct plain *plain) {
    char *made[ROW_ARRAYS];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    make_rounds(plain, made);
    for (uint64_t sample = 0;; sample++) {
        uint64_t from = sample % (2 * CAPACITY), to = sample % CAPACITY;
        for (int a = 0; a < ROW_ARRAYS; a++) {
            uint64_t bytes = plain->row_bytes[a];
            if (plain->data[a])
                memcpy(plain->data[a] + to * bytes, made[a] + from * bytes, bytes);
        }
        plain->length = to + 1;
    }
}

/* A busy machine may run the writer too seldom to be caught at once: go on somewhat longer. */
static int go_on(const struct demo_stats *demo, uint64_t end) {
    uint64_t now = demo_now(), torn = 0;
    for (int r = 0; r < READERS; r++)
        torn += demo_torn(&demo->reader[r]);
    return now < end || (torn == 0 && now < end + LONGER);
}

/* Copy all arrays as they are, and have them judged. */
static void read_until(struct plain *plain, struct demo_stats *demo, int place, uint64_t end) {
    struct reader_stats *stats = &demo->reader[place];
    struct rows rows = {{0}, {0}, {0}};
    char *copy[ROW_ARRAYS] = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int a = 0; a < ROW_ARRAYS; a++)
        if (plain->data[a] && !(copy[a] = malloc(plain->row_bytes[a] * CAPACITY)))
            _exit(1);
    while (plain->length == 0 && go_on(demo, end))
        usleep(1000);
    atomic_store(&stats->first_ns, demo_now());
    while (go_on(demo, end)) {
        uint64_t length = plain->length;
        for (int a = 0; a < ROW_ARRAYS; a++) {
            rows.data[a] = copy[a];
            rows.row_bytes[a] = plain->row_bytes[a];
            rows.length[a] = length;
            if (copy[a])
                memcpy(copy[a], plain->data[a], rows.length[a] * plain->row_bytes[a]);
        }
        enum row_verdict verdict = rows_same_length(&rows);
        if (verdict == ROWS_WHOLE)
            verdict = rows_verify(&rows, 0, rows.length[ROW_CHECK]);
        demo_count(&stats->reads, 1);
        demo_count(&stats->torn[verdict], 1);
        atomic_store(&stats->last_ns, demo_now());
    }
    _exit(0);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: plain_copy STATISTICS SECONDS CPU MEMORY DISK\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct demo_stats *stats = demo_stats_map(argv[1]);
    uint64_t row_bytes[ROW_ARRAYS] = {8, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                                      strtoull(argv[5], NULL, 10), 8};
    struct plain *plain;
    make_memory(&plain, row_bytes);
    uint64_t end = demo_now() + (uint64_t)(atof(argv[2]) * 1e9);
    pid_t writer = fork();
    if (writer == 0)
        write_forever(plain);
    pid_t reader[READERS];
    for (int r = 0; r < READERS; r++)
        if ((reader[r] = fork()) == 0)
            read_until(plain, stats, r, end);
    for (int r = 0; r < READERS; r++)
        waitpid(reader[r], NULL, 0);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    return 0;
}
