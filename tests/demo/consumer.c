// SPDX-License-Identifier: MIT
/*
 * A consumer of a recording: reads all arrays of a group as of one commit, as
 * fast as it can, and has every read judged in full.
 *
 *     consumer SEGMENT GROUP group|snapshot STATISTICS PLACE
 *
 * It keeps two sets of buffers.  A read into one is whole if its earlier rows
 * equal, byte by byte, those of the last whole read in the other, and its new
 * rows verify; so every row of every read is checked, at the speed of memory.
 * Every 16th read, and whenever the driver asks, all rows are hashed anew.
 */
#include "row_check.h"
#include "stats.h"

#include "untorn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>

#define FULL_CHECK_EVERY 16
#define FIVE_SECONDS 5000000000

struct consumer {
    untorn_reader *reader;
    size_t arrays;
    untorn_array *array[ROW_ARRAYS]; /* those that exist, without gaps */
    int role[ROW_ARRAYS];            /* which each of them is */
    uint64_t row_bytes[ROW_ARRAYS];
    untorn_request request[2][ROW_ARRAYS]; /* two sets of buffers */
    struct rows rows[2];
    uint64_t verified; /* rows of the last whole read, in the set that is not being filled */
    struct reader_stats *stats;
};

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "consumer: %s: %s\n", what, untorn_message());
    exit(1);
}

static void open_arrays(struct consumer *consumer, const char *group) {
    for (int role = 0; role < ROW_ARRAYS; role++) {
        char name[256];
        untorn_array *array;
        untorn_array_info info;
        untorn_result now;
        snprintf(name, sizeof(name), "%s/%s", group, row_names[role]);
        untorn_status status = untorn_array_open(consumer->reader, name, &array);
        if (status == UNTORN_E_NO_ARRAY && role != ROW_TIME && role != ROW_CHECK)
            continue;
        if (status != UNTORN_OK || untorn_array_get_info(array, &info) != UNTORN_OK ||
            untorn_peek(array, &now) != UNTORN_OK)
            fail(name);
        uint64_t bytes = info.itemsize;
        for (unsigned axis = 1; axis < info.rank; axis++)
            bytes *= now.shape[axis];
        consumer->array[consumer->arrays] = array;
        consumer->role[consumer->arrays] = role;
        consumer->row_bytes[consumer->arrays++] = bytes;
    }
    for (int set = 0; set < 2; set++)
        for (size_t a = 0; a < consumer->arrays; a++) {
            consumer->request[set][a].array = consumer->array[a];
            consumer->request[set][a].flags = UNTORN_GROW;
        }
}

static untorn_status read_group(struct consumer *consumer, int set, uint64_t *commit) {
    untorn_result result;
    untorn_status status =
        untorn_read_group(consumer->reader, consumer->request[set], consumer->arrays, &result);
    if (status == UNTORN_OK) {
        *commit = result.commit;
        demo_count(&consumer->stats->attempts, result.attempts);
        demo_count(&consumer->stats->pinned, result.pinned);
    }
    return status;
}

/* Into the same requests, which serve as buffers. */
static untorn_status read_in_snapshot(struct consumer *consumer, int set,
                                      untorn_snapshot *snapshot) {
    for (size_t a = 0; a < consumer->arrays; a++) {
        untorn_request *request = &consumer->request[set][a];
        untorn_result now;
        untorn_status status = untorn_snapshot_describe(snapshot, a, NULL, &now);
        if (status != UNTORN_OK)
            return status;
        memcpy(request->shape, now.shape, sizeof(now.shape));
        uint64_t bytes = now.shape[0] * consumer->row_bytes[a];
        if (bytes > request->capacity) {
            request->capacity = bytes + bytes / 4 + 4096;
            free(request->destination);
            request->destination = malloc(request->capacity);
            if (!request->destination)
                exit(1);
        }
        status =
            untorn_snapshot_read(snapshot, a, NULL, NULL, request->destination, request->capacity);
        if (status != UNTORN_OK)
            return status;
    }
    return untorn_snapshot_check(snapshot);
}

static untorn_status read_snapshot(struct consumer *consumer, int set, uint64_t *commit) {
    untorn_snapshot *snapshot;
    demo_count(&consumer->stats->attempts, 1);
    untorn_status status = untorn_snapshot_open(consumer->reader, consumer->array, consumer->arrays,
                                                UNTORN_NEWEST, &snapshot);
    if (status != UNTORN_OK)
        return status;
    *commit = untorn_snapshot_commit(snapshot);
    status = read_in_snapshot(consumer, set, snapshot);
    untorn_snapshot_close(snapshot);
    return status;
}

static void describe_rows(struct consumer *consumer, int set) {
    struct rows *rows = &consumer->rows[set];
    for (size_t a = 0; a < consumer->arrays; a++) {
        int role = consumer->role[a];
        rows->data[role] = consumer->request[set][a].destination;
        rows->row_bytes[role] = consumer->row_bytes[a];
        rows->length[role] = consumer->request[set][a].shape[0];
    }
}

/* Judge the read in `set`; `anew`: hash all of its rows. */
static enum row_verdict judge(struct consumer *consumer, int set, int anew) {
    struct rows *rows = &consumer->rows[set];
    enum row_verdict verdict = rows_same_length(rows);
    if (verdict != ROWS_WHOLE)
        return verdict;
    uint64_t length = rows->length[ROW_CHECK];
    if (length < consumer->verified) {
        demo_count(&consumer->stats->lost, consumer->verified - length);
        consumer->verified = length;
    }
    verdict = rows_unchanged(rows, &consumer->rows[!set], consumer->verified);
    if (verdict == ROWS_WHOLE)
        verdict = rows_verify(rows, anew ? 0 : consumer->verified, length);
    return verdict;
}

/* One read; returns whether the set was filled with a whole one. */
static int consume(struct consumer *consumer, int set, int by_snapshot, int anew) {
    struct reader_stats *stats = consumer->stats;
    uint64_t commit = 0;
    untorn_status status =
        by_snapshot ? read_snapshot(consumer, set, &commit) : read_group(consumer, set, &commit);
    if (status == UNTORN_E_OVERTAKEN) {
        demo_count(&stats->overtaken, 1);
        return 0;
    }
    if (status != UNTORN_OK)
        fail(by_snapshot ? "snapshot" : "group read");
    describe_rows(consumer, set);
    enum row_verdict verdict = judge(consumer, set, anew);
    if (commit < atomic_load(&stats->commit))
        demo_count(&stats->steps_back, 1);
    atomic_store(&stats->commit, commit);
    atomic_store(&stats->last_ns, demo_now());
    demo_count(&stats->reads, 1);
    if (anew)
        demo_count(&stats->full_checks, 1);
    if (verdict != ROWS_WHOLE) {
        demo_count(&stats->torn[verdict], 1);
        return 0;
    }
    consumer->verified = consumer->rows[set].length[ROW_CHECK];
    atomic_store(&stats->rows, consumer->verified);
    return 1;
}

int main(int argc, char **argv) {
    static struct consumer consumer;
    if (argc != 6) {
        fprintf(stderr, "usage: consumer SEGMENT GROUP group|snapshot STATISTICS PLACE\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct demo_stats *demo = demo_stats_map(argv[4]);
    int by_snapshot = strcmp(argv[3], "snapshot") == 0;
    consumer.stats = &demo->reader[atoi(argv[5])];
    if (untorn_reader_open(argv[1], NULL, &consumer.reader) != UNTORN_OK)
        fail("attaching");
    char name[256];
    untorn_array *check;
    snprintf(name, sizeof(name), "%s/%s", argv[2], row_names[ROW_CHECK]);
    if (untorn_wait_array(consumer.reader, name, FIVE_SECONDS, &check) != UNTORN_OK)
        fail(name);
    untorn_array_close(check);
    open_arrays(&consumer, argv[2]);

    atomic_store(&consumer.stats->first_ns, demo_now());
    int set = 0;
    for (uint64_t n = 0; !atomic_load(&demo->stop); n++) {
        uint64_t request = atomic_load(&demo->full_request);
        int asked = request != atomic_load(&consumer.stats->answered);
        int whole = consume(&consumer, set, by_snapshot, asked || n % FULL_CHECK_EVERY == 0);
        if (whole)
            set = !set;
        if (whole && asked)
            atomic_store(&consumer.stats->answered, request);
    }
    untorn_reader_close(consumer.reader);
    return 0;
}
