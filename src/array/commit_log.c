// SPDX-License-Identifier: MIT
/*
 * Which commits can still be read from memory.
 *
 * For each object, walk its ring downwards from the newest generation while descriptors are found
 * and the window reaches back to them.  The lowest commit found there is the object's *reach*: it
 * can be read as of every commit from there on, whether that commit changed it or not.  If the walk
 * ends at generation 1, the object did not exist before, and its reach is 0.  So a commit can be
 * read as a whole exactly if it is at or above the highest reach of all objects, the catalogue
 * included; that takes one pass instead of a look at every object for every commit.  (At a commit
 * below an object's reach the object may not have existed, and then would not be missed; once its
 * first generation has gone, that is not known, and the commit does not count as whole.)
 *
 * Below that, pins: everything live at a pinned commit is kept, its descriptors in the ring or the
 * retained list.
 *
 * The newest commit is loaded first and is the upper end of the listing: what is published during
 * the pass is ignored.  A writer at full rate can take the whole window away meanwhile; then the
 * pass is done again, a few times.
 */
#include "array/reader.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

#define PASSES 8u
#define LAPS 16u /* of one object's ring */

/* The listing as it is collected: unsorted, with repetitions. */
typedef struct commit_log {
    untorn_commit_entry *list;
    size_t count, capacity;
    uint64_t newest;
    uint64_t reach; /* the highest of all objects */
} commit_log;

static int by_commit(const void *a, const void *b) {
    uint64_t left = ((const untorn_commit_entry *)a)->commit;
    uint64_t right = ((const untorn_commit_entry *)b)->commit;
    return left < right ? -1 : left > right;
}

/* Sort, and make one entry of those of the same commit. */
static void merge(commit_log *log) {
    if (log->count == 0)
        return;
    qsort(log->list, log->count, sizeof *log->list, by_commit);
    size_t kept = 0;
    for (size_t i = 1; i < log->count; i++) {
        untorn_commit_entry *last = &log->list[kept];
        if (last->commit == log->list[i].commit)
            last->arrays += log->list[i].arrays;
        else
            log->list[++kept] = log->list[i];
    }
    log->count = kept + 1;
}

static untorn_status add(commit_log *log, uint64_t commit, int64_t time, bool array) {
    if (log->count == log->capacity) {
        /* Arrays that are committed together share their commits: merging makes room. */
        merge(log);
        if (log->count >= log->capacity / 2) {
            size_t capacity = log->capacity != 0 ? log->capacity * 2 : 256;
            untorn_commit_entry *list = realloc(log->list, capacity * sizeof *list);
            if (list == NULL)
                return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the list of commits");
            log->list = list;
            log->capacity = capacity;
        }
    }
    log->list[log->count++] =
        (untorn_commit_entry){.commit = commit, .time = time, .arrays = array};
    return UNTORN_OK;
}

static bool is_array(const ut_descriptor *descriptor) {
    return (descriptor->kind & UT_KIND_MASK) == UT_KIND_ARRAY;
}

/* What one object's ring told. */
typedef struct ring_walk {
    struct {
        uint64_t commit;
        int64_t time;
        bool array;
    } seen[UT_RING_LARGE]; /* by generation, descending from top */
    unsigned count;
    uint64_t top;
} ring_walk;

/* The descriptors within the window, from the newest generation downwards. */
static ut_found walk_ring(ut_segment *segment, ut_header *header, ring_walk *walk) {
    walk->count = 0;
    /* Acquire: the descriptors up to it were written before. */
    walk->top = ut_load_acquire(&header->generation);
    for (uint64_t generation = walk->top; generation != 0 && walk->count < UT_RING_LARGE;
         generation--) {
        ut_descriptor descriptor;
        ut_found found = ut_descriptor_of_generation(segment, header, generation, &descriptor);
        if (found == UT_DAMAGED && ut_window_holds(header, generation))
            return UT_DAMAGED;
        if (found != UT_FOUND)
            break;
        walk->seen[walk->count].commit = descriptor.commit;
        walk->seen[walk->count].time = descriptor.time;
        walk->seen[walk->count++].array = is_array(&descriptor);
    }
    /* Those that the window has left behind by now are gone; the first one that is within it
     * vouches for all above. */
    while (walk->count != 0 && !ut_window_holds(header, walk->top - walk->count + 1))
        walk->count--;
    return walk->count != 0 || walk->top == 0 ? UT_FOUND : UT_NOT_FOUND;
}

static untorn_status damaged(ut_segment *segment, uint64_t index) {
    return ut_fail(UNTORN_E_CORRUPT, "%s: object %llu: damaged descriptors", segment->message_name,
                   (unsigned long long)index);
}

static untorn_status add_object(commit_log *log, ut_segment *segment, uint64_t index) {
    ut_header *header = ut_segment_header(segment, index);
    if (header == NULL)
        return damaged(segment, index);
    ring_walk walk;
    ut_found found = UT_NOT_FOUND;
    for (unsigned lap = 0; lap < LAPS && found == UT_NOT_FOUND; lap++)
        found = walk_ring(segment, header, &walk);
    if (found == UT_DAMAGED)
        return damaged(segment, index);
    uint64_t reach = 0;
    if (found == UT_NOT_FOUND)
        reach = UINT64_MAX;
    else if (walk.top > walk.count)
        reach = walk.seen[walk.count - 1].commit;
    if (reach > log->reach)
        log->reach = reach;
    untorn_status status = UNTORN_OK;
    for (unsigned i = 0; i < walk.count && status == UNTORN_OK; i++)
        if (walk.seen[i].commit <= log->newest)
            status = add(log, walk.seen[i].commit, walk.seen[i].time, walk.seen[i].array);
    return status;
}

static uint64_t count_objects(ut_segment *segment) {
    /* Acquire: the headers below were prepared before. */
    uint64_t count = ut_load_acquire(&segment->super->objects);
    return count < UT_MAX_OBJECTS ? count : UT_MAX_OBJECTS;
}

static untorn_status pass(commit_log *log, ut_segment *segment) {
    log->count = 0;
    log->reach = 0;
    /* Acquire: all generations up to this commit are seen afterwards. */
    log->newest = ut_load_acquire(&segment->super->commit);
    uint64_t objects = count_objects(segment);
    untorn_status status = UNTORN_OK;
    for (uint64_t i = 0; i < objects && status == UNTORN_OK; i++)
        status = add_object(log, segment, i);
    merge(log);
    return status;
}

/* --- pins --- */

static untorn_commit_entry *find(const commit_log *log, uint64_t commit) {
    const untorn_commit_entry key = {.commit = commit};
    return log->count == 0 ? NULL : bsearch(&key, log->list, log->count, sizeof key, by_commit);
}

/* Count what a pinned commit changed, among the descriptors that are live at it. */
static untorn_commit_entry describe_pinned(ut_segment *segment, uint64_t commit) {
    untorn_commit_entry entry = {.commit = commit};
    uint64_t objects = count_objects(segment);
    for (uint64_t i = 0; i < objects; i++) {
        ut_descriptor descriptor = {.stamp = 0};
        ut_header *header = ut_segment_header(segment, i);
        if (header == NULL || ut_descriptor_at(segment, header, commit, &descriptor) != UT_FOUND)
            continue;
        if (descriptor.time > entry.time)
            entry.time = descriptor.time;
        entry.arrays += descriptor.commit == commit && is_array(&descriptor);
    }
    return entry;
}

static untorn_status add_pin(commit_log *log, ut_segment *segment, uint64_t commit) {
    untorn_commit_entry *entry = find(log, commit);
    if (entry != NULL && entry->pinned)
        return UNTORN_OK;
    ut_pin pin;
    if (entry == NULL || commit < log->reach) {
        untorn_commit_entry described = describe_pinned(segment, commit);
        if (!ut_pin_find(segment, commit, &pin)) /* ended meanwhile, and with it what was there */
            return UNTORN_OK;
        if (entry == NULL) {
            untorn_status status = add(log, commit, described.time, false);
            if (status != UNTORN_OK)
                return status;
            merge(log);
            entry = find(log, commit);
        }
        entry->arrays = described.arrays;
    }
    entry->pinned = 1;
    return UNTORN_OK;
}

static untorn_status add_pins(commit_log *log, ut_segment *segment) {
    untorn_status status = UNTORN_OK;
    for (unsigned i = 0; i < UT_LINES && status == UNTORN_OK; i++) {
        const ut_ack *ack = &segment->acks[i];
        uint64_t nonce = ut_load_acquire(&ack->nonce);
        uint64_t commit = ut_load_relaxed(&ack->commit);
        ut_fence_acquire();
        if (nonce != 0 && ut_load_relaxed(&ack->nonce) == nonce && commit != 0 &&
            commit <= log->newest)
            status = add_pin(log, segment, commit);
    }
    return status;
}

/* --- the public calls --- */

untorn_status untorn_commit_list(untorn_reader *reader, untorn_commit_listing **out) {
    if (reader == NULL || out == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "commit_list: no reader or no place for the listing");
    untorn_commit_listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the list of commits");
    commit_log log = {.list = NULL};
    untorn_status status;
    unsigned passes = 0;
    do
        status = pass(&log, reader->segment);
    while (status == UNTORN_OK && log.reach > log.newest && ++passes < PASSES);
    if (status == UNTORN_OK)
        status = add_pins(&log, reader->segment);
    if (status != UNTORN_OK) {
        free(log.list);
        free(listing);
        return status;
    }
    for (size_t i = 0; i < log.count; i++)
        log.list[i].whole = log.list[i].pinned || log.list[i].commit >= log.reach;
    listing->count = log.count;
    listing->commits = log.list;
    *out = listing;
    return UNTORN_OK;
}

void untorn_commit_listing_free(untorn_commit_listing *listing) {
    if (listing == NULL)
        return;
    free((void *)(uintptr_t)listing->commits);
    free(listing);
}
