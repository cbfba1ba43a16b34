// SPDX-License-Identifier: MIT
/*
 * The reader's half of the world: every operation, checked against the history.
 *
 * A result must be what the array was at one commit that was the last one at some
 * moment of the call: neither older than what was committed when it began, nor newer
 * than what was when it ended, nor anything in between two commits.
 */
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"

static const char *const names[W_ARRAYS] = {"single", "multi", "grow", "edge", "gone"};

#define here world_context

void world_reader_begin(struct world_reader *reader, struct world *world, unsigned flags,
                        unsigned attempts) {
    memset(reader, 0, sizeof *reader);
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = flags;
    options.attempts = attempts;
    reader->world = world;
    must_ok(untorn_reader_open(world->segment, &options, &reader->reader));
    for (enum world_array a = 0; a < W_ARRAYS; a++) {
        must_ok(untorn_array_open(reader->reader, names[a], &reader->array[a]));
        reader->incarnation[a] = world->next[a].incarnation;
    }
}

void world_reader_end(struct world_reader *reader) {
    untorn_reader_close(reader->reader);
}

/* --- against the history --- */

// What the array was at this commit.
static struct world_record *record_at(struct world *world, enum world_array a, uint64_t commit) {
    for (size_t i = world->count[a]; i-- > 0;)
        if (world->history[a][i].commit <= commit)
            return &world->history[a][i];
    return NULL;
}

static uint64_t now(struct world_reader *reader) {
    return untorn_reader_commit(reader->reader);
}

static void check_values(const struct world_record *r, enum world_array a, uint64_t from,
                         uint64_t count, const uint32_t *values) {
    for (uint64_t i = 0; i < count; i++)
        must(values[i] == r->values[from + i],
             "TORN: %s: %s[%llu] is %u, not %u (commit %llu, %llu elements)", here, names[a],
             (unsigned long long)(from + i), values[i], r->values[from + i],
             (unsigned long long)r->commit, (unsigned long long)r->length);
}

static void check_attributes(const struct world_record *r, const char *json) {
    char expected[64] = "{}";
    if (r->attribute)
        snprintf(expected, sizeof expected, "{\"n\": %llu}", (unsigned long long)r->attribute);
    must(strcmp(json, expected) == 0, "TORN: %s: attributes are %s, not %s", here, json, expected);
}

// The record that a result of one array says it is, if that can be.
static struct world_record *record_of(struct world_reader *reader, enum world_array a,
                                      uint64_t begun, const untorn_result *result) {
    struct world *world = reader->world;
    struct world_record *r = record_at(world, a, result->commit);
    const struct world_record *least = record_at(world, a, begun);
    // An eviction publishes what was there before.
    must(r != NULL && (r->commit == result->commit || world_store),
         "%s: %s: commit %llu never published it", here, names[a],
         (unsigned long long)result->commit);
    must(r->incarnation == reader->incarnation[a], "%s: %s is another array", here, names[a]);
    must(r->commit >= least->commit && r->commit <= now(reader),
         "STALE: %s: %s is of %llu, began at %llu", here, names[a], (unsigned long long)r->commit,
         (unsigned long long)begun);
    must(result->rank == 1 && result->shape[0] == r->length, "TORN: %s: shape %llu, not %llu", here,
         (unsigned long long)result->shape[0], (unsigned long long)r->length);
    must(r->generation == 0 || r->generation == result->generation || world_store, "%s: generation",
         here);
    r->generation = result->generation;
    return r;
}

// Whether the handle's array was deleted at some commit from `begun` to now.  If so it may, and
// if it was before it must, be reported; the handle is opened anew.
static int deleted(struct world_reader *reader, enum world_array a, uint64_t begun,
                   untorn_status status) {
    struct world *world = reader->world;
    uint64_t last = now(reader);
    int at_begin = record_at(world, a, begun)->incarnation != reader->incarnation[a];
    int at_end = record_at(world, a, last)->incarnation != reader->incarnation[a];
    if (status == UNTORN_E_ARRAY_DELETED)
        must(at_end, "%s: %s is said to be deleted", here, names[a]);
    else
        must(!at_begin, "%s: %s is not said to be deleted: status %d", here, names[a], status);
    return status == UNTORN_E_ARRAY_DELETED;
}

// Opens a handle anew whose array is gone; the name may not exist just now.
static int renew(struct world_reader *reader, enum world_array a) {
    struct world *world = reader->world;
    for (int turn = 0; turn < 4; turn++) {
        uint64_t begun = now(reader);
        uint64_t incarnation = record_at(world, a, begun)->incarnation;
        untorn_array *array = NULL;
        if (reader->array[a] != NULL && incarnation == reader->incarnation[a])
            return 1;
        untorn_status status = untorn_array_open(reader->reader, names[a], &array);
        if (status == UNTORN_E_NO_ARRAY && incarnation == 0)
            return 0;
        if (now(reader) != begun) { // which one it is, is not known
            untorn_array_close(array);
            continue;
        }
        must_ok(status);
        untorn_array_close(reader->array[a]);
        reader->array[a] = array;
        reader->incarnation[a] = incarnation;
        return 1;
    }
    return 0;
}

// 1: go on with what was read.
static int went_well(struct world_reader *reader, untorn_status status) {
    reader->world->reads++;
    if (status == UNTORN_E_OVERTAKEN && reader->world->tight) {
        reader->world->overtaken++;
        return 0;
    }
    test_must_status(__FILE__, __LINE__, here, status, UNTORN_OK);
    return 1;
}

/* --- operations --- */

static void read_one(struct world_reader *reader, enum world_array a) {
    if (!renew(reader, a))
        return;
    uint64_t begun = now(reader);
    untorn_result result;
    uint32_t *values = reader->buffer[a];
    untorn_status status =
        untorn_read(reader->array[a], NULL, NULL, values, sizeof reader->buffer[a], &result);
    if (deleted(reader, a, begun, status) || !went_well(reader, status))
        return;
    check_values(record_of(reader, a, begun, &result), a, 0, result.shape[0], values);
}

static void read_single(struct world_reader *reader) {
    read_one(reader, W_SINGLE);
}
static void read_multi(struct world_reader *reader) {
    read_one(reader, W_MULTI);
}
static void read_grow(struct world_reader *reader) {
    read_one(reader, W_GROW);
}
static void read_edge(struct world_reader *reader) {
    read_one(reader, W_EDGE);
}
static void read_gone(struct world_reader *reader) {
    read_one(reader, W_GONE);
}

static void read_region(struct world_reader *reader) {
    uint64_t begun = now(reader), start = 3, count = UNTORN_TO_END;
    untorn_result result;
    uint32_t *values = reader->buffer[W_MULTI];
    if (!went_well(reader, untorn_read(reader->array[W_MULTI], &start, &count, values,
                                       sizeof reader->buffer[W_MULTI], &result)))
        return;
    check_values(record_of(reader, W_MULTI, begun, &result), W_MULTI, 3, result.shape[0] - 3,
                 values);
}

#define MEMBERS 5

// `with_attributes`: of those in the middle.
static void read_members(struct world_reader *reader, const enum world_array *order, size_t n,
                         int with_attributes) {
    untorn_request requests[MEMBERS];
    char *json[MEMBERS] = {NULL};
    uint32_t values[MEMBERS][WORLD_LENGTH];
    uint64_t begun = now(reader);
    untorn_result result;
    memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < n; i++)
        requests[i] =
            (untorn_request){.array = reader->array[order[i]],
                             .destination = values[i],
                             .capacity = sizeof values[i],
                             .attributes = with_attributes && i > 0 && i < n - 1 ? &json[i] : NULL};
    if (!went_well(reader, untorn_read_group(reader->reader, requests, n, &result)))
        return;
    must(result.commit >= begun && result.commit <= now(reader), "STALE: %s: group of %llu at %llu",
         here, (unsigned long long)result.commit, (unsigned long long)begun);
    must(result.generation == requests[0].generation && result.shape[0] == requests[0].shape[0],
         "TORN: %s: the result is not the first member's", here);
    for (size_t i = 0; i < n; i++) {
        struct world_record *r = record_at(reader->world, order[i], result.commit);
        must((requests[i].commit == r->commit || world_store) &&
                 requests[i].shape[0] == r->length && requests[i].counted[0] == r->length,
             "TORN: %s: group member %s is of %llu, not %llu", here, names[order[i]],
             (unsigned long long)requests[i].commit, (unsigned long long)r->commit);
        check_values(r, order[i], 0, r->length, values[i]);
        if (requests[i].attributes != NULL)
            check_attributes(r, json[i]);
        free(json[i]);
    }
}

static void read_group(struct world_reader *reader) {
    static const enum world_array order[MEMBERS] = {W_EDGE, W_SINGLE, W_MULTI, W_GROW, W_SINGLE};
    read_members(reader, order, MEMBERS, 1);
}

// Nearly always all members are of one chunk.
static void read_group_of_singles(struct world_reader *reader) {
    static const enum world_array order[] = {W_EDGE, W_SINGLE, W_EDGE};
    read_members(reader, order, 3, 0);
}

static void read_attributes(struct world_reader *reader) {
    for (enum world_array a = W_SINGLE; a <= W_MULTI; a++) {
        uint64_t begun = now(reader);
        untorn_result result;
        char *json = NULL;
        if (!went_well(reader, untorn_attributes(reader->array[a], &json, &result)))
            continue;
        check_attributes(record_of(reader, a, begun, &result), json);
        free(json);
    }
}

static void peek(struct world_reader *reader) {
    uint64_t begun = now(reader);
    untorn_result result;
    if (went_well(reader, untorn_peek(reader->array[W_SINGLE], &result)))
        record_of(reader, W_SINGLE, begun, &result);
}

static void wait_for_what_is_there(struct world_reader *reader) {
    uint64_t begun = now(reader);
    untorn_result result;
    if (!went_well(reader, untorn_peek(reader->array[W_SINGLE], &result)))
        return;
    struct world_record *r = record_of(reader, W_SINGLE, begun, &result);
    if (world_store) // who waits for data sleeps through evictions
        return;
    went_well(reader, untorn_wait(reader->array[W_SINGLE], result.generation - 1, 0));
    size_t which = 9;
    untorn_array *arrays[] = {reader->array[W_MULTI], reader->array[W_SINGLE]};
    uint64_t generations[] = {UINT64_MAX, result.generation - 1};
    if (went_well(reader, untorn_wait_any(arrays, generations, 2, 0, &which)))
        must(which == 1, "which");
    went_well(reader, untorn_wait_commit(reader->reader, r->commit, 0));
    // What is not there may come, but then it is there.
    untorn_status status = untorn_wait(reader->array[W_SINGLE], result.generation, 1);
    untorn_result after;
    if (!went_well(reader, untorn_peek(reader->array[W_SINGLE], &after)))
        return;
    if (status == UNTORN_OK)
        must(after.generation > result.generation, "woken for nothing");
    else if (status != UNTORN_E_WRITER_DIED && status != UNTORN_E_WRITER_CLOSED &&
             (status != UNTORN_E_OVERTAKEN || !reader->world->tight))
        must_be(UNTORN_E_TIMEOUT, status);
}

static void list_and_open(struct world_reader *reader) {
    struct world *world = reader->world;
    untorn_listing *listing = NULL;
    uint64_t begun = now(reader);
    if (went_well(reader, untorn_list(reader->reader, &listing))) {
        uint64_t ended = now(reader);
        int there = 0, was = record_at(world, W_GONE, begun)->incarnation != 0;
        int same = 1;
        for (size_t i = 0; i < world->count[W_GONE]; i++)
            if (world->history[W_GONE][i].commit > begun &&
                world->history[W_GONE][i].commit <= ended)
                same = 0;
        for (size_t i = 0; i < listing->count; i++)
            there |= strcmp(listing->entries[i].name, "gone") == 0;
        must(listing->count == (size_t)(W_ARRAYS - 1 + there + 2 * world_ballast),
             "%s: %zu entries", here, listing->count);
        must(!same || there == was, "STALE: %s: \"gone\" is %slisted", here, there ? "" : "not ");
        untorn_listing_free(listing);
    }
    untorn_array *array = NULL;
    begun = now(reader);
    if (went_well(reader, untorn_array_open(reader->reader, "multi", &array))) {
        untorn_result result;
        if (went_well(reader, untorn_peek(array, &result)))
            record_of(reader, W_MULTI, begun, &result);
        untorn_array_close(array);
    }
    renew(reader, W_GONE);
}

/* --- snapshots --- */

// Which array stands at place i.
static enum world_array array_at(untorn_snapshot *snapshot, size_t i) {
    untorn_array_info info;
    must_ok(untorn_snapshot_describe(snapshot, i, &info, NULL));
    for (enum world_array a = 0; a < W_ARRAYS; a++)
        if (strcmp(info.name, names[a]) == 0)
            return a;
    must(strcmp(info.name, "ballast/pages") == 0, "name");
    return W_ARRAYS;
}

static void check_chunks(struct world_reader *reader, untorn_snapshot *snapshot, size_t i,
                         const struct world_record *r) {
    untorn_array_info info;
    must_ok(untorn_snapshot_describe(snapshot, i, &info, NULL));
    uint32_t copy[WORLD_LENGTH];
    for (uint64_t c = 0; c * info.chunks[0] < r->length; c++) {
        const void *memory = NULL;
        untorn_status status = untorn_snapshot_chunk(snapshot, i, &c, &memory);
        uint64_t from = c * info.chunks[0];
        uint64_t n = r->length - from < info.chunks[0] ? r->length - from : info.chunks[0];
        memset(copy, 0, sizeof copy);
        if (status != UNTORN_E_ABSENT) {
            if (!went_well(reader, status))
                return;
            memcpy(copy, memory, n * sizeof *copy);
        }
        if (!went_well(reader, untorn_snapshot_check(snapshot)))
            return;
        check_values(r, array_at(snapshot, i), from, n, copy);
    }
}

void world_check_snapshot(struct world_reader *reader, untorn_snapshot *snapshot) {
    uint64_t commit = untorn_snapshot_commit(snapshot);
    for (size_t i = 0; i < untorn_snapshot_count(snapshot); i++) {
        enum world_array a = array_at(snapshot, i);
        if (a == W_ARRAYS)
            continue;
        struct world_record *r = record_at(reader->world, a, commit);
        untorn_result result;
        must_ok(untorn_snapshot_describe(snapshot, i, NULL, &result));
        must((result.commit == r->commit || world_store) && result.shape[0] == r->length,
             "TORN: %s: snapshot of %llu has %s of %llu", here, (unsigned long long)commit,
             names[a], (unsigned long long)result.commit);
        uint32_t values[WORLD_LENGTH];
        if (!went_well(reader,
                       untorn_snapshot_read(snapshot, i, NULL, NULL, values, sizeof values)))
            return;
        check_values(r, a, 0, r->length, values);
        char *json = NULL;
        if (!went_well(reader, untorn_snapshot_attributes(snapshot, i, &json)))
            return;
        check_attributes(r, json);
        free(json);
        check_chunks(reader, snapshot, i, r);
    }
    went_well(reader, untorn_snapshot_check(snapshot));
}

static void use_snapshot(struct world_reader *reader, untorn_array *const *arrays, size_t count,
                         uint64_t wanted) {
    untorn_snapshot *snapshot = NULL;
    uint64_t begun = now(reader);
    untorn_status status = untorn_snapshot_open(reader->reader, arrays, count, wanted, &snapshot);
    if (wanted != UNTORN_NEWEST && status == UNTORN_E_NO_COMMIT)
        return;
    if (!went_well(reader, status))
        return;
    uint64_t commit = untorn_snapshot_commit(snapshot);
    must(wanted != UNTORN_NEWEST ? commit == wanted : commit >= begun && commit <= now(reader),
         "STALE: %s: snapshot of %llu, wanted %llu, began at %llu", here,
         (unsigned long long)commit, (unsigned long long)wanted, (unsigned long long)begun);
    if (count == 0) {
        int gone = record_at(reader->world, W_GONE, commit)->incarnation != 0;
        must(untorn_snapshot_count(snapshot) == (size_t)(W_ARRAYS - 1 + gone + world_ballast),
             "%s: members", here);
    }
    world_check_snapshot(reader, snapshot);
    untorn_snapshot_close(snapshot);
}

static void snapshot_of_all(struct world_reader *reader) {
    use_snapshot(reader, NULL, 0, UNTORN_NEWEST);
}

static void snapshot_of_some(struct world_reader *reader) {
    untorn_array *arrays[] = {reader->array[W_EDGE], reader->array[W_SINGLE],
                              reader->array[W_MULTI]};
    use_snapshot(reader, arrays, 3, UNTORN_NEWEST);
}

// Every third element and the attributes of each, those of the first twice.
static void check_snapshot_group(struct world_reader *reader, untorn_snapshot *snapshot) {
    static const size_t places[] = {0, 1, 2, 0};
    static const uint64_t start = 1, step = 3;
    uint32_t values[4][WORLD_LENGTH];
    untorn_request requests[4];
    char *json[4] = {NULL};
    for (size_t k = 0; k < 4; k++)
        requests[k] = (untorn_request){.start = &start,
                                       .steps = k < 3 ? &step : NULL,
                                       .destination = values[k],
                                       .capacity = sizeof values[k],
                                       .attributes = &json[k]};
    if (!went_well(reader, untorn_snapshot_read_group(snapshot, places, requests, 4)))
        return;
    for (size_t k = 0; k < 4; k++) {
        enum world_array a = array_at(snapshot, places[k]);
        const struct world_record *r =
            record_at(reader->world, a, untorn_snapshot_commit(snapshot));
        uint64_t by = k < 3 ? step : 1, taken = r->length - 1 + by - 1;
        must((requests[k].commit == r->commit || world_store) &&
                 requests[k].shape[0] == r->length && requests[k].counted[0] == taken / by,
             "TORN: %s: %llu of %s, of %llu", here, (unsigned long long)requests[k].counted[0],
             names[a], (unsigned long long)requests[k].commit);
        for (uint64_t i = 0; i < taken / by; i++)
            check_values(r, a, start + i * by, 1, &values[k][i]);
        check_attributes(r, json[k]);
        free(json[k]);
    }
}

static void snapshot_group(struct world_reader *reader) {
    untorn_array *arrays[] = {reader->array[W_MULTI], reader->array[W_SINGLE],
                              reader->array[W_EDGE]};
    untorn_snapshot *snapshot = NULL;
    if (!went_well(reader,
                   untorn_snapshot_open(reader->reader, arrays, 3, UNTORN_NEWEST, &snapshot)))
        return;
    check_snapshot_group(reader, snapshot);
    untorn_snapshot_close(snapshot);
}

// The commit that is newest when it begins; it may be gone when it is opened, but once open it
// holds only if somebody else's pin does or the writer could still grant it.
static void snapshot_by_number(struct world_reader *reader) {
    untorn_array *arrays[] = {reader->array[W_EDGE], reader->array[W_MULTI]};
    int tight = reader->world->tight;
    reader->world->tight = 1;
    use_snapshot(reader, arrays, 2, now(reader));
    reader->world->tight = tight;
}

// A second snapshot joins the first by number, and outlives it.
static void snapshot_handed_over(struct world_reader *reader) {
    untorn_array *arrays[] = {reader->array[W_MULTI], reader->array[W_GROW]};
    untorn_snapshot *first = NULL, *second = NULL;
    if (!went_well(reader, untorn_snapshot_open(reader->reader, arrays, 2, UNTORN_NEWEST, &first)))
        return;
    untorn_status status =
        untorn_snapshot_open(reader->reader, arrays, 2, untorn_snapshot_commit(first), &second);
    int good = untorn_snapshot_check(first) == UNTORN_OK;
    must(good || reader->world->tight, "%s: the first snapshot ended", here);
    if (good)
        must_ok(status);
    untorn_snapshot_close(first);
    if (status != UNTORN_OK)
        return;
    world_check_snapshot(reader, second);
    untorn_snapshot_close(second);
}

const struct world_named_operation world_operations[] = {
    {"read single", read_single},
    {"read multi", read_multi},
    {"read grow", read_grow},
    {"read edge", read_edge},
    {"read gone", read_gone},
    {"read region", read_region},
    {"read group", read_group},
    {"read singles", read_group_of_singles},
    {"read attributes", read_attributes},
    {"peek", peek},
    {"wait", wait_for_what_is_there},
    {"list and open", list_and_open},
    {"snapshot of all", snapshot_of_all},
    {"snapshot of some", snapshot_of_some},
    {"snapshot group", snapshot_group},
    {"snapshot by number", snapshot_by_number},
    {"snapshot handed over", snapshot_handed_over},
};
const size_t world_operation_count = sizeof world_operations / sizeof world_operations[0];
