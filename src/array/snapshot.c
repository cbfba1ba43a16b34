// SPDX-License-Identifier: MIT
/*
 * Snapshots.
 *
 * Opening one posts a request for a commit and gathers the descriptors for
 * exactly that commit.  It is valid as long as, for each array, the window
 * reaches back to its descriptor, or a pin stands on the commit: our own, once the
 * writer has granted it, or anybody's, so that processes can share one.
 *
 * The writer grants before it first reuses anything, so an idle, stopped or dead
 * one need not be waited for.  A busy one is: until it has answered, what it
 * reuses in this very moment could be ours.  If it answers with a newer commit,
 * the snapshot is taken of that.
 */
#include "array/snapshot.h"

#include "array/box.h"
#include "array/grid.h"
#include "array/request.h"
#include "array/single.h"
#include "base/clock.h"
#include "base/fork_guard.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_ATTEMPTS 256u
#define ANSWER_NS 2000000 /* how long a busy writer's answer is awaited */

/* --- membership --- */

static untorn_status add_member(untorn_snapshot *snapshot, uint32_t index,
                                ut_definition *definition) {
    untorn_array *array;
    untorn_status status = ut_array_make(snapshot->reader, index, definition, &array);
    if (status == UNTORN_OK)
        snapshot->members[snapshot->count++] = (ut_snapshot_member){.array = array};
    return status;
}

/* A listed array's handle may be closed before the snapshot is: so this is another one, in the
 * snapshot's memory, which begins with what that one knows, found to fit its descriptor. */
static void add_listed(untorn_snapshot *snapshot, const untorn_array *listed) {
    size_t place = snapshot->count++;
    untorn_array *array = &snapshot->handles[place];
    ut_snapshot_member *member = &snapshot->members[place];
    unsigned rank = listed->definition->rank;
    /* Held by the last snapshot in this memory, which mostly is of the same arrays. */
    ut_definition *former = place < snapshot->held ? array->definition : NULL;
    /* Not all of it: what is long is only as long as the rank says. */
    memcpy(array, listed, offsetof(untorn_array, cached));
    if (former != array->definition) {
        ut_definition_hold(array->definition);
        ut_definition_drop(former);
    }
    if (snapshot->held <= place)
        snapshot->held = place + 1;
    array->again = 0;
    array->cached.stamp = 0;
    array->checked = listed->checked;
    for (unsigned axis = 0; axis < rank; axis++) {
        array->shape[axis] = listed->shape[axis];
        array->cells[axis] = listed->cells[axis];
    }
    array->all_cells = listed->all_cells;
    array->guess = listed->guess;
    array->kept = NULL;
    array->kept_capacity = 0;
    array->former = NULL;
    array->former_count = 0;
    array->previous = array->next = NULL;
    member->array = array;
    member->descriptor.stamp = 0;
    if (listed->cached.stamp != 0)
        ut_descriptor_copy(&member->descriptor, &listed->cached);
}

static void drop_members(untorn_snapshot *snapshot) {
    /* What listed ones hold goes with the memory they are in. */
    for (size_t i = 0; i < snapshot->count && !snapshot->listed; i++)
        ut_array_free(snapshot->members[i].array);
    snapshot->count = 0;
}

/* All arrays, and with snapshot->groups all groups, that exist at the attempt's commit. */
static ut_found add_all(untorn_snapshot *snapshot, ut_attempts *attempts, ut_catalogue *catalogue,
                        untorn_status *failure) {
    ut_found found = ut_catalogue_refresh(catalogue, attempts, failure);
    if (found != UT_FOUND || *failure != UNTORN_OK)
        return found;
    drop_members(snapshot);
    ut_snapshot_member *members =
        realloc(snapshot->members, (catalogue->count + 1) * sizeof *members);
    if (members == NULL) {
        *failure = ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a snapshot");
        return UT_NOT_FOUND;
    }
    snapshot->members = members;
    for (size_t i = 0; i < catalogue->count && *failure == UNTORN_OK; i++) {
        ut_catalogue_entry *entry = &catalogue->entries[i];
        if (entry->kind != UT_KIND_ARRAY && !(snapshot->groups && entry->kind == UT_KIND_GROUP))
            continue;
        ut_definition *definition;
        *failure = ut_catalogue_decode(entry, &definition);
        if (*failure == UNTORN_OK)
            *failure = add_member(snapshot, (uint32_t)i, definition);
    }
    snapshot->catalogue_commit = catalogue->descriptor.commit;
    snapshot->catalogue_time = catalogue->descriptor.time;
    return UT_FOUND;
}

/* --- opening --- */

/* What follows needs the descriptors of these: have those that changed on their way together. */
static void prefetch_changed(const untorn_snapshot *snapshot, size_t first, size_t count) {
    size_t end = snapshot->count - first < count ? snapshot->count : first + count;
    for (size_t i = first; i < end; i++) {
        const ut_header *header = snapshot->members[i].array->header;
        uint64_t generation = ut_load_relaxed(&header->generation);
        if (generation != snapshot->members[i].descriptor.stamp)
            ut_descriptor_prefetch(snapshot->reader->segment, header, generation, UT_LINES_OF_MANY);
    }
}

/* Gather all descriptors for hold.commit; UT_FOUND: and all are valid now. */
static ut_found gather(untorn_snapshot *snapshot, untorn_status *failure) {
    ut_segment *segment = snapshot->reader->segment;
    ut_hold *hold = &snapshot->hold;
    for (size_t i = 0; i < snapshot->count; i++) {
        if (i % 64 == 0)
            prefetch_changed(snapshot, i, 64);
        ut_snapshot_member *member = &snapshot->members[i];
        untorn_array *array = member->array;
        ut_found found =
            UT_SEEDED(344) && member->descriptor.stamp != 0
                ? UT_FOUND
                : ut_descriptor_at(segment, array->header, hold->commit, &member->descriptor);
        if (found == UT_FOUND)
            switch (ut_array_check(array, &member->descriptor)) {
            case UT_FOUND:
                continue;
            case UT_NOT_FOUND:
                *failure = ut_array_fail(array, UNTORN_E_ARRAY_DELETED,
                                         "does not exist at commit %" PRIu64, hold->commit);
                return UT_FOUND;
            default:
                found = UT_DAMAGED;
            }
        if (found == UT_DAMAGED)
            *failure = ut_array_fail(array, UNTORN_E_CORRUPT, "is damaged in shared memory");
        return found;
    }
    UT_STEP("snapshot gathered");
    for (size_t i = 0; i < snapshot->count; i++)
        if (!ut_hold_valid(hold, snapshot->members[i].array->header,
                           snapshot->members[i].descriptor.stamp))
            return UT_NOT_FOUND;
    return UT_FOUND;
}

/* Await the answer of a writer that is committing.  True: nothing stands against what was
 * gathered for hold.commit. */
static bool settled(untorn_snapshot *snapshot) {
    ut_segment *segment = snapshot->reader->segment;
    ut_hold *hold = &snapshot->hold;
    if (hold->own.nonce == 0 || hold->joined.nonce != 0)
        return true;
    uint64_t commit = ut_load_acquire(&segment->super->commit);
    if (commit == hold->commit && hold->own.commit == 0 && !ut_pin_granted(segment, &hold->own))
        return true; /* idle since the request was posted */
    /* Not idle: what it reuses in this very moment it may have looked at before the request was
     * there, and it may be past what would make it grant this commit. */
    int64_t deadline = ut_clock_monotonic() + ANSWER_NS;
    for (unsigned spins = 0; hold->own.commit == 0; spins++) {
        if (ut_pin_granted(segment, &hold->own) || ut_pin_ended(segment, &hold->own))
            break;
        UT_STEP("answer awaited");
        if (spins >= 64) {
            if (ut_clock_monotonic() > deadline) /* gone quiet: take what it committed last */
                return UT_SEEDED(120);
            sched_yield();
        }
    }
    return hold->own.commit == hold->commit;
}

static void post(untorn_snapshot *snapshot, uint64_t wanted) {
    untorn_reader *reader = snapshot->reader;
    if (snapshot->line == UT_NO_LINE && reader->segment->control != NULL) {
        pthread_mutex_lock(&reader->lock);
        snapshot->line = ut_line_take(&reader->lines);
        pthread_mutex_unlock(&reader->lock);
    }
    if (snapshot->line == UT_NO_LINE)
        return; /* the window will have to do */
    snapshot->hold.own.line = snapshot->line;
    ut_pin_request(reader->segment, &snapshot->hold.own, wanted);
    /* So that the commit counter is looked at after the request is there: a writer that has not
     * committed since will see it before it reuses anything. */
    ut_fence_seq_cst();
    UT_STEP("snapshot requested");
}

static untorn_status no_commit(const untorn_snapshot *snapshot, uint64_t commit) {
    return ut_fail(UNTORN_E_NO_COMMIT, "%s: commit %" PRIu64 " can no longer be read",
                   snapshot->reader->segment->message_name, commit);
}

/* Fill the snapshot as of `commit`, or of the newest. */
static untorn_status take(untorn_snapshot *snapshot, bool all, uint64_t commit) {
    untorn_reader *reader = snapshot->reader;
    ut_segment *segment = reader->segment;
    ut_hold *hold = &snapshot->hold;
    ut_attempts attempts; /* only to read the catalogue with */
    ut_attempts_begin(&attempts, reader, true);
    ut_catalogue catalogue;
    memset(&catalogue, 0, sizeof catalogue);
    untorn_status status = UNTORN_OK;
    unsigned misses = 0;
    uint64_t asked = 0; /* for which commit, last */
    for (unsigned i = 0; i < OPEN_ATTEMPTS && status == UNTORN_OK; i++) {
        uint64_t newest = ut_load_acquire(&segment->super->commit);
        UT_STEP("snapshot begins");
        if (commit > newest) {
            status = ut_fail(UNTORN_E_NO_COMMIT, "%s: commit %" PRIu64 " is not there yet",
                             segment->message_name, commit);
            break;
        }
        uint64_t wanted = commit != UNTORN_NEWEST ? commit : newest;
        /* A request for an older commit than is taken here would be granted for that one. */
        bool other = wanted != asked && hold->own.commit == 0 && !UT_SEEDED(120);
        if (hold->own.nonce == 0 || ut_pin_ended(segment, &hold->own) ||
            (other && !ut_pin_granted(segment, &hold->own))) {
            post(snapshot, wanted);
            asked = wanted;
        }
        if (commit != UNTORN_NEWEST) {
            hold->commit = commit;
            if (hold->joined.nonce == 0 || !ut_pin_stands(segment, &hold->joined))
                hold->joined.nonce = 0;
            ut_pin_find(segment, commit, &hold->joined);
        } else if (hold->own.nonce != 0 && ut_pin_granted(segment, &hold->own)) {
            hold->commit = hold->own.commit;
        } else {
            hold->commit = newest;
        }
        ut_found found = UT_FOUND;
        if (all) {
            attempts.hold = *hold;
            found = add_all(snapshot, &attempts, &catalogue, &status);
            if (found == UT_DAMAGED && status == UNTORN_OK)
                status = ut_fail(UNTORN_E_CORRUPT, "%s: damaged catalogue", segment->message_name);
        }
        if (found == UT_FOUND && status == UNTORN_OK)
            found = gather(snapshot, &status);
        if (status != UNTORN_OK)
            break;
        if (found == UT_FOUND && (commit != UNTORN_NEWEST || settled(snapshot)))
            goto free_catalogue;
        if (commit != UNTORN_NEWEST && found != UT_FOUND && ++misses > 2) {
            status = no_commit(snapshot, commit);
            break;
        }
    }
    if (status == UNTORN_OK)
        status = ut_fail(UNTORN_E_OVERTAKEN, "%s: snapshot: overtaken by the writer %u times",
                         segment->message_name, OPEN_ATTEMPTS);
free_catalogue:
    ut_catalogue_free(&catalogue);
    return status;
}

/*
 * Memory.  Snapshots of listed arrays come again and again, and so much is taken for many of them
 * that the allocator would return it to the system each time: so the reader keeps that of one.
 */
#define SPARE_ARRAYS 1024u /* at most, in what is kept */

static void free_snapshot(untorn_snapshot *snapshot) {
    for (size_t i = 0; i < snapshot->held; i++)
        ut_definition_drop(snapshot->handles[i].definition);
    free(snapshot->members);
    free(snapshot->handles);
    free(snapshot);
}

void ut_snapshot_free_spare(untorn_reader *reader) {
    if (reader->spare != NULL)
        free_snapshot(reader->spare);
    reader->spare = NULL;
}

/* With room for so many listed arrays. */
static untorn_snapshot *make_listed(untorn_reader *reader, size_t count) {
    pthread_mutex_lock(&reader->lock);
    untorn_snapshot *snapshot = reader->spare;
    reader->spare = NULL;
    pthread_mutex_unlock(&reader->lock);
    if (snapshot != NULL && snapshot->capacity < count) {
        free_snapshot(snapshot);
        snapshot = NULL;
    }
    if (snapshot == NULL) {
        snapshot = calloc(1, sizeof *snapshot);
        if (snapshot == NULL)
            return NULL;
        snapshot->members = calloc(count, sizeof *snapshot->members);
        snapshot->handles = calloc(count, sizeof *snapshot->handles);
        snapshot->capacity = count;
        if (snapshot->members == NULL || snapshot->handles == NULL) {
            free_snapshot(snapshot);
            return NULL;
        }
    }
    *snapshot = (untorn_snapshot){.members = snapshot->members,
                                  .handles = snapshot->handles,
                                  .capacity = snapshot->capacity,
                                  .held = snapshot->held,
                                  .listed = true};
    return snapshot;
}

static untorn_status open_snapshot(untorn_reader *reader, untorn_array *const *arrays, size_t count,
                                   bool groups, uint64_t commit, untorn_snapshot **out) {
    untorn_snapshot *snapshot =
        count != 0 ? make_listed(reader, count) : calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a snapshot");
    snapshot->reader = reader;
    snapshot->line = UT_NO_LINE;
    snapshot->groups = groups;
    snapshot->hold.segment = reader->segment;
    snapshot->fork_generation = ut_fork_generation_now();
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++) {
        status = ut_array_resolve(arrays[i]);
        if (status == UNTORN_OK && arrays[i]->reader != reader)
            status = ut_array_fail(arrays[i], UNTORN_E_ARGUMENT, "belongs to another reader");
        if (status == UNTORN_OK)
            add_listed(snapshot, arrays[i]);
    }
    if (status == UNTORN_OK)
        status = take(snapshot, count == 0, commit);
    pthread_mutex_lock(&reader->lock);
    snapshot->next = reader->snapshots;
    if (snapshot->next != NULL)
        snapshot->next->previous = snapshot;
    reader->snapshots = snapshot;
    pthread_mutex_unlock(&reader->lock);
    if (status != UNTORN_OK) {
        untorn_snapshot_close(snapshot);
        return status;
    }
    *out = snapshot;
    return UNTORN_OK;
}

untorn_status untorn_snapshot_open(untorn_reader *reader, untorn_array *const *arrays, size_t count,
                                   uint64_t commit, untorn_snapshot **out) {
    if (reader == NULL || out == NULL || (count != 0 && arrays == NULL))
        return ut_fail(UNTORN_E_ARGUMENT, "snapshot_open: no reader, arrays or place");
    untorn_status status = open_snapshot(reader, arrays, count, false, commit, out);
    if (status == UNTORN_OK)
        ut_reader_count(reader, 1, 1, untorn_snapshot_commit(*out));
    return status;
}

untorn_status ut_snapshot_open_all(untorn_reader *reader, uint64_t commit, bool groups,
                                   untorn_snapshot **out) {
    return open_snapshot(reader, NULL, 0, groups, commit, out);
}

int64_t ut_snapshot_time(const untorn_snapshot *snapshot) {
    /* Every commit publishes some object anew, or deletes one, which is the catalogue's change. */
    uint64_t commit = snapshot->catalogue_commit;
    int64_t time = snapshot->catalogue_time;
    for (size_t i = 0; i < snapshot->count; i++) {
        const ut_descriptor *descriptor = &snapshot->members[i].descriptor;
        if (descriptor->commit > commit) {
            commit = descriptor->commit;
            time = descriptor->time;
        }
    }
    return time;
}

static void release_line(untorn_snapshot *snapshot) {
    untorn_reader *reader = snapshot->reader;
    /* Over a fork the line is the parent's still. */
    if (snapshot->line != UT_NO_LINE && snapshot->fork_generation == ut_fork_generation_now()) {
        ut_pin_release(reader->segment, &snapshot->hold.own);
        pthread_mutex_lock(&reader->lock);
        ut_line_give(&reader->lines, snapshot->line);
        pthread_mutex_unlock(&reader->lock);
    }
    snapshot->line = UT_NO_LINE;
}

void ut_snapshot_invalidate(untorn_snapshot *snapshot) {
    release_line(snapshot);
    snapshot->invalid = true;
}

void untorn_snapshot_close(untorn_snapshot *snapshot) {
    if (snapshot == NULL)
        return;
    untorn_reader *reader = snapshot->reader;
    release_line(snapshot);
    drop_members(snapshot);
    for (ut_snapshot_chunk *chunk = snapshot->fetched, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk->memory);
        free(chunk);
    }
    pthread_mutex_lock(&reader->lock);
    if (snapshot->previous != NULL)
        snapshot->previous->next = snapshot->next;
    else
        reader->snapshots = snapshot->next;
    if (snapshot->next != NULL)
        snapshot->next->previous = snapshot->previous;
    bool kept = snapshot->listed && reader->spare == NULL && snapshot->capacity <= SPARE_ARRAYS;
    if (kept)
        reader->spare = snapshot;
    pthread_mutex_unlock(&reader->lock);
    if (!kept)
        free_snapshot(snapshot);
}

/* --- reading --- */

static untorn_status overtaken(const untorn_snapshot *snapshot) {
    return ut_fail(UNTORN_E_OVERTAKEN, "%s: the snapshot of commit %" PRIu64 " is no longer valid",
                   snapshot->reader->segment->message_name, snapshot->hold.commit);
}

__attribute__((noinline, cold)) static untorn_status no_member(const untorn_snapshot *snapshot,
                                                               size_t i) {
    if (snapshot == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "no snapshot");
    if (i >= snapshot->count)
        return ut_fail(UNTORN_E_ARGUMENT, "%s: snapshot of %zu arrays has none at place %zu",
                       snapshot->reader->segment->message_name, snapshot->count, i);
    return overtaken(snapshot);
}

static inline untorn_status member_of(untorn_snapshot *snapshot, size_t i,
                                      ut_snapshot_member **member) {
    if (snapshot == NULL || i >= snapshot->count || snapshot->invalid)
        return no_member(snapshot, i);
    *member = &snapshot->members[i];
    return UNTORN_OK;
}

static untorn_status status_of(untorn_snapshot *snapshot, const ut_snapshot_member *member,
                               ut_found found) {
    switch (found) {
    case UT_FOUND:
        return UNTORN_OK;
    case UT_NOT_FOUND:
        return overtaken(snapshot);
    default:
        return ut_array_fail(member->array, UNTORN_E_CORRUPT, "is damaged in shared memory");
    }
}

uint64_t untorn_snapshot_commit(const untorn_snapshot *snapshot) {
    return snapshot->hold.commit;
}

size_t untorn_snapshot_count(const untorn_snapshot *snapshot) {
    return snapshot->count;
}

untorn_status untorn_snapshot_describe(untorn_snapshot *snapshot, size_t i, untorn_array_info *info,
                                       untorn_result *result) {
    ut_snapshot_member *member = NULL;
    untorn_status status = member_of(snapshot, i, &member);
    if (status != UNTORN_OK)
        return status;
    if (info != NULL)
        ut_definition_info(member->array->definition, info);
    ut_result_set(result, &member->descriptor, 1, snapshot->hold.own.commit != 0);
    return UNTORN_OK;
}

static untorn_status copy_attributes(untorn_snapshot *snapshot, const ut_snapshot_member *member,
                                     char **json) {
    char *text = NULL;
    ut_found found = ut_attributes_copy(snapshot->reader->segment, &member->descriptor, &text);
    if (!ut_hold_valid(&snapshot->hold, member->array->header, member->descriptor.stamp))
        found = UT_NOT_FOUND;
    if (found == UT_FOUND && text != NULL) {
        *json = text;
        return UNTORN_OK;
    }
    free(text);
    return status_of(snapshot, member, found);
}

untorn_status untorn_snapshot_attributes(untorn_snapshot *snapshot, size_t i, char **json) {
    ut_snapshot_member *member = NULL;
    untorn_status status = member_of(snapshot, i, &member);
    if (status == UNTORN_OK && json == NULL)
        status = ut_array_fail(member->array, UNTORN_E_ARGUMENT, "no place for the attributes");
    return status == UNTORN_OK ? copy_attributes(snapshot, member, json) : status;
}

/* The whole of an array that is one chunk in memory.  UT_DAMAGED: for the general way to say. */
static inline __attribute__((always_inline)) ut_found read_single(untorn_snapshot *snapshot,
                                                                  ut_snapshot_member *member,
                                                                  void *destination,
                                                                  size_t capacity) {
    const ut_definition *definition = member->array->definition;
    const ut_descriptor *descriptor = &member->descriptor;
    size_t bytes;
    if (!ut_is_single(definition, descriptor, &bytes) || descriptor->root_ref == 0 ||
        bytes > capacity || destination == NULL)
        return UT_DAMAGED;
    const void *slot = ut_single_slot(snapshot->hold.segment, definition, descriptor);
    if (slot == NULL)
        return UT_DAMAGED;
    if (bytes >= UT_LONG_COPY && member + 1 < snapshot->members + snapshot->count)
        ut_single_prefetch((uintptr_t)snapshot->hold.segment->base +
                           ut_ref_offset(member[1].descriptor.root_ref));
    ut_racy_copy(destination, slot, bytes);
    UT_STEP("tile copied");
    return ut_hold_valid(&snapshot->hold, member->array->header, descriptor->stamp) ||
                   UT_SEEDED(343)
               ? UT_FOUND
               : UT_NOT_FOUND;
}

/* Any request for this member, whatever `array` says. */
static untorn_status read_request(untorn_snapshot *snapshot, ut_snapshot_member *member,
                                  untorn_request *request) {
    untorn_array *array = member->array;
    ut_region region;
    region.kept = NULL;
    region.kept_count = 0;
    region.kept_valid = false;
    untorn_status status = ut_request_prepare(request, array, &member->descriptor, region.start,
                                              region.count, &region);
    if (status != UNTORN_OK)
        return status;
    ut_found found = ut_region_copy(&snapshot->hold, array, &member->descriptor, &region);
    return region.failure != UNTORN_OK ? region.failure : status_of(snapshot, member, found);
}

/* Out of line: so much room on the stack is not for what is simple. */
__attribute__((noinline)) static untorn_status
read_region(untorn_snapshot *snapshot, ut_snapshot_member *member, const uint64_t *start,
            const uint64_t *count, void *destination, size_t capacity) {
    untorn_request request;
    request.start = start;
    request.count = count;
    request.steps = NULL;
    request.strides = NULL;
    request.destination = destination;
    request.capacity = capacity;
    request.flags = 0;
    return read_request(snapshot, member, &request);
}

untorn_status untorn_snapshot_read(untorn_snapshot *snapshot, size_t i, const uint64_t *start,
                                   const uint64_t *count, void *destination, size_t capacity) {
    ut_snapshot_member *member = NULL;
    untorn_status status = member_of(snapshot, i, &member);
    if (status != UNTORN_OK)
        return status;
    if (start == NULL && count == NULL) {
        ut_found found = read_single(snapshot, member, destination, capacity);
        if (found != UT_DAMAGED)
            return found == UT_FOUND ? UNTORN_OK : overtaken(snapshot);
    }
    return read_region(snapshot, member, start, count, destination, capacity);
}

/* --- reading several --- */

static size_t place_of(const size_t *places, size_t k) {
    return places != NULL ? places[k] : k;
}

static untorn_status check_request(untorn_snapshot *snapshot, size_t place,
                                   const untorn_request *request) {
    ut_snapshot_member *member = NULL;
    untorn_array *named = request->array;
    untorn_status status = member_of(snapshot, place, &member);
    if (status != UNTORN_OK)
        return status;
    if (named != NULL) {
        if (named->reader != snapshot->reader)
            return ut_array_fail(named, UNTORN_E_ARGUMENT, "belongs to another reader");
        status = ut_array_resolve(named);
        if (status != UNTORN_OK)
            return status;
        if (named->definition->uid != member->array->definition->uid)
            return ut_array_fail(named, UNTORN_E_ARGUMENT,
                                 "is not the one at place %zu of the snapshot, \"%.300s\"", place,
                                 member->array->definition->name);
    }
    return ut_request_check(request, member->array);
}

static untorn_status read_one(untorn_snapshot *snapshot, ut_snapshot_member *member,
                              untorn_request *request) {
    if (request->start == NULL && request->count == NULL && request->steps == NULL &&
        request->strides == NULL) {
        ut_found found = read_single(snapshot, member, request->destination, request->capacity);
        if (found != UT_DAMAGED) {
            ut_request_answer_whole(request, &member->descriptor);
            return found == UT_FOUND ? UNTORN_OK : overtaken(snapshot);
        }
    }
    return read_request(snapshot, member, request);
}

/* All that are asked for, or none. */
static untorn_status read_attributes(untorn_snapshot *snapshot, const size_t *places,
                                     const untorn_request *requests, size_t count) {
    char **texts = calloc(count, sizeof *texts);
    if (texts == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for %zu requests",
                       snapshot->reader->segment->message_name, count);
    untorn_status status = UNTORN_OK;
    for (size_t k = 0; k < count && status == UNTORN_OK; k++)
        if (requests[k].attributes != NULL)
            status = copy_attributes(snapshot, &snapshot->members[place_of(places, k)], &texts[k]);
    for (size_t k = 0; k < count; k++)
        if (status == UNTORN_OK && requests[k].attributes != NULL)
            *requests[k].attributes = texts[k];
        else
            free(texts[k]);
    free(texts);
    return status;
}

untorn_status untorn_snapshot_read_group(untorn_snapshot *snapshot, const size_t *places,
                                         untorn_request *requests, size_t count) {
    if (snapshot == NULL || requests == NULL || count == 0)
        return ut_fail(UNTORN_E_ARGUMENT, "snapshot_read_group: no snapshot or no requests");
    untorn_status status = UNTORN_OK;
    bool attributes = false;
    for (size_t k = 0; k < count && status == UNTORN_OK; k++) {
        status = check_request(snapshot, place_of(places, k), &requests[k]);
        attributes |= requests[k].attributes != NULL;
    }
    for (size_t k = 0; k < count && status == UNTORN_OK; k++)
        status = read_one(snapshot, &snapshot->members[place_of(places, k)], &requests[k]);
    if (status == UNTORN_OK && attributes)
        status = read_attributes(snapshot, places, requests, count);
    return status;
}

/* --- chunks without a copy --- */

/* The chunk is only in the store: the snapshot gets a copy of its own. */
static untorn_status chunk_from_store(untorn_snapshot *snapshot, ut_snapshot_member *member,
                                      const uint64_t *index, uint64_t number, ut_place place,
                                      const void **memory) {
    untorn_array *array = member->array;
    for (ut_snapshot_chunk *chunk = snapshot->fetched; chunk != NULL; chunk = chunk->next)
        if (chunk->member == member && chunk->number == number) {
            *memory = chunk->memory;
            return UNTORN_OK;
        }
    ut_snapshot_chunk *chunk = malloc(sizeof *chunk);
    void *bytes = malloc(array->definition->slot_bytes);
    if (chunk == NULL || bytes == NULL) {
        free(chunk);
        free(bytes);
        return ut_array_fail(array, UNTORN_E_NO_MEMORY, "out of memory for a chunk");
    }
    bool present = false;
    untorn_status failure = UNTORN_OK;
    ut_found found = ut_evicted_read(&snapshot->hold, array, &member->descriptor, index, place,
                                     bytes, &present, &failure);
    if (found == UT_FOUND && present) {
        *chunk = (ut_snapshot_chunk){member, number, bytes, snapshot->fetched};
        snapshot->fetched = chunk;
        *memory = bytes;
        return UNTORN_OK;
    }
    free(chunk);
    free(bytes);
    if (found == UT_FOUND)
        return ut_array_fail(array, UNTORN_E_ABSENT, "chunk was never written");
    return failure != UNTORN_OK ? failure : status_of(snapshot, member, found);
}

untorn_status untorn_snapshot_chunk(untorn_snapshot *snapshot, size_t i, const uint64_t *index,
                                    const void **memory) {
    ut_snapshot_member *member = NULL;
    untorn_status status = member_of(snapshot, i, &member);
    if (status != UNTORN_OK)
        return status;
    untorn_array *array = member->array;
    const ut_definition *definition = array->definition;
    if (memory == NULL || (index == NULL && definition->rank > 0))
        return ut_array_fail(array, UNTORN_E_ARGUMENT, "snapshot_chunk: no index or no place");
    for (unsigned axis = 0; axis < definition->rank; axis++)
        if (index[axis] >= array->cells[axis])
            return ut_array_fail(array, UNTORN_E_REGION,
                                 "chunk %" PRIu64 " exceeds the %" PRIu64 " chunks on axis %u",
                                 index[axis], array->cells[axis], axis);
    ut_table_cursor cursor = {0};
    ut_place place;
    uint64_t number = ut_grid_linear(definition->rank, array->cells, index);
    ut_found found =
        ut_table_lookup(snapshot->reader->segment, &member->descriptor, number, &cursor, &place);
    if (found == UT_FOUND && (place.ref & UT_REF_EVICTED))
        return chunk_from_store(snapshot, member, index, number, place, memory);
    const void *slot = NULL;
    if (found == UT_FOUND && place.ref != 0) {
        slot = ut_at(snapshot->reader->segment, ut_ref_offset(place.ref), definition->slot_bytes);
        if (slot == NULL)
            found = UT_DAMAGED;
    }
    UT_STEP("cell read");
    if (!ut_hold_valid(&snapshot->hold, array->header, member->descriptor.stamp))
        found = UT_NOT_FOUND;
    if (found != UT_FOUND)
        return status_of(snapshot, member, found);
    if (slot == NULL)
        return ut_array_fail(array, UNTORN_E_ABSENT, "chunk was never written");
    *memory = slot;
    return UNTORN_OK;
}

untorn_status untorn_snapshot_check(untorn_snapshot *snapshot) {
    if (snapshot == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "no snapshot");
    if (snapshot->invalid)
        return overtaken(snapshot);
    for (size_t i = 0; i < snapshot->count; i++)
        if (!ut_hold_valid(&snapshot->hold, snapshot->members[i].array->header,
                           snapshot->members[i].descriptor.stamp))
            return overtaken(snapshot);
    return UNTORN_OK;
}
