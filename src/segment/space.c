// SPDX-License-Identifier: MIT
/*
 * Where the writer gets space from, in this order:
 *
 *   1. the object's own oldest superseded item, if it keeps plenty;
 *   2. free space;
 *   3. growing the file;
 *   4. superseded items of any object, beyond its last `versions` generations;
 *   5. chunks that are in the store as they are: evicting them (segment/evict.c);
 *   6. the last `versions` generations, too, of objects that are in the store, and of what was
 *      cut off;
 *   7. ending pins, and what they held;
 *   8. a flush, after which more can be evicted: waiting for it;
 *   9. nowhere: UNTORN_E_NO_SPACE.
 *
 * The first is what a steady writer lives on: no books but the queue, and
 * memory that is still in its cache.  How plenty is plenty: more versions make
 * retries rarer, and cost little for small arrays.  What counts for a reader is the
 * time that a version is there, so an object need not keep what was superseded before
 * the last MiB (`budget`) of everything that was: else each of many arrays that are
 * written in turn would keep a MiB, and all of them together would be written through
 * memory that no cache holds.  Large arrays count for little there, or the small ones
 * beside them would keep nothing.
 *
 * WHAT `versions` PROMISES.  An array that is rewritten keeps its last `versions`
 * generations, so that readers that may not pin have time to copy.  Its writer
 * reckons with that space, and if it is not there, the call fails.  Two kinds of
 * earlier generations nobody reckons with, and kept they would be in the way for
 * ever, since an array that is full of nothing else cannot move on:
 *   - of an object whose data is in the store as it is.  Evicting a chunk gives up
 *     all that generations before it reach; here there may be no chunk left to evict;
 *   - of what was cut, before the last cut: it will not be rewritten.  (Whoever takes a segment
 *     over does not know when that was, and takes the last change of its data for it.)
 * So these go when nothing else can be had at once, object by object, the one that
 * asks first.  The window then begins at the newest generation, whose bytes stay: a
 * reader of an earlier one begins again with that, keeping the copies that passed,
 * and after a bounded number of attempts asks for a pin, like any reader that is
 * overtaken.  They go before pins, which would be an error for whoever holds one, and
 * not only another attempt.
 */
#include "segment/publisher.h"

#include "base/check.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "segment/huge_pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#define PLENTY_ITEMS 256u /* superseded items an object keeps if they are small */
/* What an object's part in a commit counts for: its superseded bytes; at least what else is written
 * for it, descriptor and books; and not so much that small objects beside it would keep nothing. */
#define AGE_LEAST UINT64_C(512)
#define AGE_MOST (UINT64_C(64) << 10)
#define TOUCH_LEAST (UINT64_C(256) << 10) /* mapped at once, */
#define TOUCH_MOST (UINT64_C(4) << 20)    /* and not more: who fills more has time for faults */
#define REUSE_AHEAD 16u /* items: what is this far from being reused is prefetched */

/* --- queues --- */

untorn_status ut_space_grow_queue(ut_object *object, size_t more) {
    size_t capacity = object->queue_capacity != 0 ? object->queue_capacity : 16;
    while (capacity - object->queue_count < more)
        capacity *= 2;
    ut_item *queue = malloc(capacity * sizeof *queue);
    if (queue == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for %zu superseded items", capacity);
    for (size_t i = 0; i < object->queue_count; i++)
        queue[i] = object->queue[(object->queue_head + i) & (object->queue_capacity - 1)];
    free(object->queue);
    object->queue = queue;
    object->queue_head = 0;
    object->queue_capacity = capacity;
    return UNTORN_OK;
}

void ut_space_supersede(ut_publisher *publisher, ut_object *object, const ut_item *item) {
    (void)publisher;
    ut_check(object->queue_count < object->queue_capacity);
    object->queue[(object->queue_head + object->queue_count++) & (object->queue_capacity - 1)] =
        *item;
    object->queue_bytes += item->bytes;
}

void ut_space_supersede_all(ut_publisher *publisher, ut_object *object, const ut_items *items,
                            uint64_t commit) {
    size_t mask = object->queue_capacity - 1, tail = object->queue_head + object->queue_count;
    uint64_t bytes = 0, generation = object->generation;
    ut_check(items->count <= object->queue_capacity - object->queue_count);
    for (const ut_item *from = items->list, *end = from + items->count; from < end; from++) {
        object->queue[tail++ & mask] = (ut_item){.offset = from->offset,
                                                 .bytes = from->bytes,
                                                 .born = from->born,
                                                 .commit = commit,
                                                 .generation = generation};
        bytes += from->bytes;
    }
    object->queue_count += items->count;
    object->queue_bytes += bytes;
    publisher->age_bytes += bytes < AGE_LEAST ? AGE_LEAST : bytes < AGE_MOST ? bytes : AGE_MOST;
}

void ut_space_age(ut_publisher *publisher) {
    if (publisher->age_bytes <= publisher->budget / 2)
        return;
    publisher->aged = publisher->age_begin;
    publisher->age_begin = publisher->commit;
    publisher->age_bytes = 0;
}

static ut_item *queue_first(ut_object *object) {
    return object->queue_count == 0 ? NULL : &object->queue[object->queue_head];
}

static ut_item queue_pop(ut_object *object) {
    ut_item item = object->queue[object->queue_head];
    object->queue_head = (object->queue_head + 1) & (object->queue_capacity - 1);
    object->queue_count--;
    object->queue_bytes -= item.bytes;
    return item;
}

void ut_space_list(ut_publisher *publisher, ut_object *object) {
    if (object->reclaim_listed || object->queue_count == 0)
        return;
    object->reclaim_previous = publisher->reclaim_last;
    object->reclaim_next = NULL;
    if (publisher->reclaim_last != NULL)
        publisher->reclaim_last->reclaim_next = object;
    else
        publisher->reclaim_first = object;
    publisher->reclaim_last = object;
    object->reclaim_listed = true;
}

static void unlist(ut_publisher *publisher, ut_object *object) {
    if (object->reclaim_previous != NULL)
        object->reclaim_previous->reclaim_next = object->reclaim_next;
    else
        publisher->reclaim_first = object->reclaim_next;
    if (object->reclaim_next != NULL)
        object->reclaim_next->reclaim_previous = object->reclaim_previous;
    else
        publisher->reclaim_last = object->reclaim_previous;
    object->reclaim_listed = false;
}

/* --- windows --- */

/* The highest that the object's window may be raised to. */
static uint64_t raise_limit(const ut_publisher *publisher, const ut_object *object) {
    uint64_t limit =
        object->generation < publisher->versions ? 1 : object->generation - publisher->versions + 1;
    return limit > object->oldest ? limit : object->oldest;
}

void ut_space_raise(ut_publisher *publisher, ut_object *object, uint64_t oldest) {
    if (!UT_SEEDED(105))
        ut_grants_look(publisher); /* before, so that the first reuse grants the pin */
    if (oldest <= object->oldest)
        return;
    UT_STEP("window is raised next");
    if (!UT_SEEDED(106))
        ut_store_release(&object->header->oldest, oldest);
    UT_STEP("window raised");
    /* THE RULE.  Pairs with the reader's acquire fence between its copy and its look at oldest:
     * without it, a reused byte could be seen before the raise, and torn data taken for good.
     * Streaming stores of the fill to come may not pass the raise either. */
    ut_fence_release();
    ut_store_fence();
    object->oldest = oldest;
}

/* Make the first item of the object's queue takeable; false if that may not be. */
static bool raise_to_first(ut_publisher *publisher, ut_object *object) {
    ut_item *item = queue_first(object);
    if (item == NULL)
        return false;
    if (item->generation <= object->oldest)
        return true;
    uint64_t limit = raise_limit(publisher, object);
    if (item->generation > limit)
        return false;
    /* Further than this item needs, so that one raise serves many. */
    uint64_t quarter = object->oldest + (limit - object->oldest) / 4;
    ut_space_raise(publisher, object, quarter > item->generation ? quarter : item->generation);
    return true;
}

/* The first item is takeable: take it out.  False if a pin holds it. */
static bool pop_unless_held(ut_publisher *publisher, ut_object *object, ut_item *item) {
    *item = queue_pop(object);
    if (ut_grants_need(&publisher->grants, item->born, item->commit) && !UT_SEEDED(107)) {
        if (ut_items_push(&publisher->held, *item) != UNTORN_OK)
            return false; /* out of memory: lost until the next writer, but not reused */
        return false;
    }
    if (item->commit > publisher->reach)
        publisher->reach = item->commit;
    return true;
}

/* --- the file --- */

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/*
 * Memory that was never used is not mapped yet.  Filling it would be a fault for each page; all
 * that is about to be used at once costs less than half of that.  The file has its memory already,
 * so nothing can fail; a kernel that does not know how is not asked again.
 */
static void touch(ut_publisher *publisher, uint64_t offset, uint64_t bytes) {
    uint64_t end = (offset + bytes + UT_PAGE - 1) / UT_PAGE * UT_PAGE;
    if (publisher->untouched == 0 || end <= publisher->untouched)
        return;
    uint64_t from =
        offset > publisher->untouched ? offset / UT_PAGE * UT_PAGE : publisher->untouched;
    uint64_t reserve = ut_load_relaxed(&publisher->segment->super->reserve);
    if (end - from < TOUCH_LEAST)
        end = from + TOUCH_LEAST < reserve ? from + TOUCH_LEAST : reserve;
    uint64_t length = end - from < TOUCH_MOST ? end - from : TOUCH_MOST;
    bool refused = madvise(publisher->segment->base + from, length, MADV_POPULATE_WRITE) != 0 &&
                   errno == EINVAL;
    publisher->untouched = refused ? UINT64_MAX : end;
}

/*
 * Have the file `bytes` bytes longer, all of them in memory: 0, or an error number and it is as
 * long as before.  What of that is huge pages is there sooner than small ones would be.
 */
static int reserve_more(ut_publisher *publisher, uint64_t from, uint64_t bytes) {
    const ut_segment *segment = publisher->segment;
    bool huge = !publisher->small_pages;
    if (huge)
        publisher->small_pages = !ut_huge_reserve(segment->base, segment->fd, from, from + bytes);
    int error;
    do
        error = ut_files->posix_fallocate(segment->fd, (off_t)from, (off_t)bytes);
    while (error == EINTR);
    if (error != 0)
        publisher->small_pages = !huge; /* where there is no memory, huge pages say nothing */
    if (error != 0 && huge && ut_files->ftruncate(segment->fd, (off_t)from) != 0)
        return errno;
    return error;
}

static bool grow(ut_publisher *publisher, uint64_t bytes) {
    publisher->grow_error = 0;
    ut_superblock *super = publisher->segment->super;
    uint64_t reserve = ut_load_relaxed(&super->reserve);
    /* Up to a multiple of the step, so that what is free is whole blocks, which are taken from in
     * order: see array/slot_guess.h. */
    uint64_t wanted =
        (reserve + bytes + publisher->step - 1) / publisher->step * publisher->step - reserve;
    uint64_t least = (bytes + UT_PAGE - 1) / UT_PAGE * UT_PAGE;
    uint64_t room = super->size - reserve;
    /* First a good step, then what is just needed. */
    for (int attempt = 0; attempt < 2; attempt++) {
        uint64_t step = attempt == 0 ? wanted : least;
        if (step > room)
            step = room;
        if (step < least)
            return false;
        int error = reserve_more(publisher, reserve, step);
        publisher->grow_error = error;
        if (error != 0)
            continue;
        if (publisher->untouched == 0)
            publisher->untouched = reserve;
        /* Pairs with the acquire in ut_segment_backed(): the file is that long. */
        ut_store_release(&super->reserve, reserve + step);
        ut_store_relaxed(&publisher->segment->reserve, reserve + step);
        ut_alloc_extend(publisher->alloc, reserve + step);
        return true;
    }
    return false;
}

/* --- taking --- */

/* Whether what the object superseded first has had as much time as a budget's worth of writing, by
 * whatever objects, takes. */
static inline bool is_aged(const ut_publisher *publisher, const ut_object *object) {
    return object->queue_count != 0 && object->queue[object->queue_head].commit <= publisher->aged;
}

/* Whether the object keeps more than it should.  Nodes, which are taken while publishing, follow
 * the chunks of their transaction: so a writer that changes as much each time takes either all that
 * it superseded once, in that order, or nothing, and each piece finds one of its own size. */
static inline bool has_plenty(const ut_publisher *publisher, ut_object *object) {
    bool plenty = object->queue_count > PLENTY_ITEMS || object->queue_bytes > publisher->budget ||
                  is_aged(publisher, object);
    if (!publisher->publishing)
        object->reusing = plenty;
    return plenty || (object->reusing && object->queue_count > PLENTY_ITEMS / 2);
}

/* Have what is to be reused soon on its way into the cache: it was written long ago, at random
 * places, and who fills it would wait for each.  The begin of it will do: for more, the fill itself
 * is quicker to ask. */
static void prefetch_reuse(const ut_publisher *publisher, const ut_object *object) {
    const ut_item *item =
        &object->queue[(object->queue_head + REUSE_AHEAD) & (object->queue_capacity - 1)];
    __builtin_prefetch(publisher->segment->base + item->offset, 1);
}

/* What nearly every take of a steady writer is: the object's oldest item may be taken, is of the
 * same size, and there are no pins. */
static bool take_oldest(ut_publisher *publisher, ut_object *object, uint64_t bytes,
                        uint64_t *offset) {
    if (!has_plenty(publisher, object))
        return false;
    const ut_item *item = &object->queue[object->queue_head];
    if (item->bytes != bytes ||
        (item->generation > object->oldest && !raise_to_first(publisher, object)))
        return false;
    if (publisher->grants.standing != 0) /* by now: raising looks for requests */
        return false;
    *offset = item->offset;
    if (item->commit > publisher->reach)
        publisher->reach = item->commit;
    object->queue_head = (object->queue_head + 1) & (object->queue_capacity - 1);
    object->queue_count--;
    object->queue_bytes -= bytes;
    if (object->queue_count > REUSE_AHEAD)
        prefetch_reuse(publisher, object);
    return true;
}

static bool take_own(ut_publisher *publisher, ut_object *object, uint64_t rounded,
                     uint64_t *offset) {
    for (int i = 0; i < 8; i++) {
        if (!has_plenty(publisher, object))
            return false;
        ut_item item;
        if (!raise_to_first(publisher, object))
            return false;
        if (!pop_unless_held(publisher, object, &item))
            continue;
        if (ut_alloc_rounded(item.bytes) == rounded) {
            *offset = item.offset;
            return true;
        }
        ut_alloc_give(publisher->alloc, item.offset, item.bytes);
    }
    return false;
}

/* Free superseded items until `bytes` bytes can be had. */
static uint64_t reclaim(ut_publisher *publisher, uint64_t bytes) {
    while (publisher->reclaim_first != NULL) {
        ut_object *object = publisher->reclaim_first;
        unlist(publisher, object);
        if (!raise_to_first(publisher, object))
            continue; /* listed again when its generation moves on */
        uint64_t freed = 0;
        while (freed < bytes && queue_first(object) != NULL &&
               queue_first(object)->generation <= object->oldest) {
            ut_item item;
            if (!pop_unless_held(publisher, object, &item))
                continue;
            ut_alloc_give(publisher->alloc, item.offset, item.bytes);
            freed += item.bytes;
        }
        ut_space_list(publisher, object);
        uint64_t offset = ut_alloc_take(publisher->alloc, bytes);
        if (offset != 0)
            return offset;
    }
    return 0;
}

void ut_space_release_held(ut_publisher *publisher) {
    size_t kept = 0;
    for (size_t i = 0; i < publisher->held.count; i++) {
        ut_item *item = &publisher->held.list[i];
        if (ut_grants_need(&publisher->grants, item->born, item->commit)) {
            publisher->held.list[kept++] = *item;
            continue;
        }
        if (item->commit > publisher->reach)
            publisher->reach = item->commit;
        ut_alloc_give(publisher->alloc, item->offset, item->bytes);
    }
    publisher->held.count = kept;
}

/* Whether there could be room if pins ended: no use in ending them for what cannot be had. */
static bool pins_hold_enough(const ut_publisher *publisher, uint64_t rounded) {
    uint64_t bytes = ut_alloc_free_bytes(publisher->alloc);
    for (size_t i = 0; i < publisher->held.count; i++)
        bytes += ut_alloc_rounded(publisher->held.list[i].bytes);
    return publisher->held.count != 0 && bytes >= rounded;
}

/* Whether pins keep from being evicted what is not superseded. */
static bool pins_keep(const ut_publisher *publisher) {
    return publisher->relief != NULL && !publisher->publishing && publisher->relief->pinned;
}

static uint64_t take_reclaimed(ut_publisher *publisher, uint64_t bytes) {
    uint64_t offset = ut_alloc_take(publisher->alloc, bytes);
    return offset != 0 ? offset : reclaim(publisher, bytes);
}

/* --- giving up what `versions` keeps --- */

/* The highest that the window may be raised to when nothing else helps. */
static uint64_t yield_limit(const ut_publisher *publisher, const ut_object *object) {
    uint64_t limit = 0;
    if (publisher->relief != NULL &&
        object->now.data_commit <= ut_load_relaxed(&publisher->segment->store->flushed_commit))
        return object->generation;
    for (size_t i = 0; i < object->queue_count; i++) {
        const ut_item *item =
            &object->queue[(object->queue_head + i) & (object->queue_capacity - 1)];
        if (item->commit > object->cut)
            break;
        limit = item->generation;
    }
    return limit;
}

/* Have the object's window give way; false if that makes nothing takeable. */
static bool yield(ut_publisher *publisher, ut_object *object) {
    if (queue_first(object) == NULL || UT_SEEDED(137))
        return false;
    uint64_t limit = yield_limit(publisher, object);
    if (queue_first(object)->generation > limit || limit <= object->oldest)
        return false;
    ut_space_raise(publisher, object, limit);
    ut_space_list(publisher, object);
    return true;
}

static uint64_t take_yielded(ut_publisher *publisher, ut_object *own, uint64_t bytes) {
    uint64_t offset = own != NULL && yield(publisher, own) ? take_reclaimed(publisher, bytes) : 0;
    for (uint32_t i = 0; i < publisher->object_count && offset == 0; i++)
        if (yield(publisher, publisher->objects[i]))
            offset = take_reclaimed(publisher, bytes);
    return offset;
}

/* Evict until there is room, or there is nothing to evict. */
static uint64_t take_evicted(ut_publisher *publisher, uint64_t bytes) {
    const ut_relief *relief = publisher->relief;
    uint64_t offset = 0;
    while (offset == 0 && relief != NULL && !publisher->publishing &&
           relief->evict(relief->context, bytes))
        offset = take_reclaimed(publisher, bytes);
    if (relief != NULL && !publisher->publishing)
        ut_evict_reserve(publisher, UT_EVICTION_PAGES);
    return offset;
}

/* End pins that hold enough, one at a time, until there is room. */
static uint64_t take_held(ut_publisher *publisher, uint64_t bytes) {
    uint64_t offset = 0;
    while (offset == 0 && pins_hold_enough(publisher, ut_alloc_rounded(bytes)) &&
           ut_grants_revoke(publisher)) {
        ut_space_release_held(publisher);
        offset = take_reclaimed(publisher, bytes);
    }
    return offset;
}

/*
 * What readers' pins keep is evicted all the same, and then the pins end that hold it.  In this
 * order, for pins that are granted anew as fast as they end would otherwise keep everything for
 * ever: one that is granted after the eviction does not need what it gave up.
 */
static uint64_t take_pressed(ut_publisher *publisher, uint64_t bytes) {
    const ut_relief *relief = publisher->relief;
    uint64_t offset = 0;
    publisher->pressing = true;
    while (offset == 0 && relief->evict(relief->context, bytes)) {
        offset = take_reclaimed(publisher, bytes);
        if (offset == 0)
            offset = take_held(publisher, bytes);
    }
    publisher->pressing = false;
    ut_evict_reserve(publisher, UT_EVICTION_PAGES);
    return offset;
}

static uint64_t take_unpinned(ut_publisher *publisher, uint64_t bytes) {
    uint64_t offset = take_held(publisher, bytes);
    return offset == 0 && pins_keep(publisher) ? take_pressed(publisher, bytes) : offset;
}

static uint64_t take_flushed(ut_publisher *publisher, ut_object *own, uint64_t bytes) {
    const ut_relief *relief = publisher->relief;
    uint64_t offset = 0;
    while (offset == 0 && relief != NULL && !publisher->publishing &&
           relief->wait(relief->context)) {
        ut_grants_look(publisher); /* the flush's own pin */
        offset = take_reclaimed(publisher, bytes);
        if (offset == 0)
            offset = take_evicted(publisher, bytes);
        if (offset == 0)
            offset = take_yielded(publisher, own, bytes);
        if (offset == 0)
            offset = take_unpinned(publisher, bytes);
    }
    if (relief != NULL && !publisher->publishing)
        relief->end(relief->context);
    return offset;
}

uint64_t ut_space_take_reclaimed(ut_publisher *publisher, uint64_t bytes) {
    return take_reclaimed(publisher, bytes);
}

uint64_t ut_space_take_free(ut_publisher *publisher, uint64_t bytes) {
    uint64_t offset = ut_alloc_take(publisher->alloc, bytes);
    /* Again if need be: one step need not have an aligned block of its own length, two have. */
    while (offset == 0 && grow(publisher, bytes))
        offset = ut_alloc_take(publisher->alloc, bytes);
    if (offset != 0)
        touch(publisher, offset, bytes);
    return offset;
}

static bool has_queued(const ut_publisher *publisher) {
    return publisher->reclaim_first != NULL || publisher->held.count != 0;
}

static uint64_t held_bytes(const ut_publisher *publisher) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < publisher->held.count; i++)
        bytes += ut_alloc_rounded(publisher->held.list[i].bytes);
    return bytes;
}

static uint64_t queued_bytes(const ut_publisher *publisher) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < publisher->object_count; i++)
        bytes += publisher->objects[i]->queue_bytes;
    return bytes;
}

/* Bytes of chunks that the open transaction has taken. */
static uint64_t open_bytes(const ut_publisher *publisher) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < publisher->object_count; i++) {
        const ut_object *object = publisher->objects[i];
        for (size_t n = 0; object->touched && n < object->changes.count; n++) {
            const ut_change *change = &object->changes.list[n];
            if (change->offset != 0 && change->version == 0)
                bytes += ut_alloc_rounded(object->next.slot_bytes);
        }
    }
    return bytes;
}

/* Who holds the newest pin, and how much is held. */
static void describe_pins(const ut_publisher *publisher, char *text, size_t size) {
    const ut_grants *grants = &publisher->grants;
    uint64_t held = held_bytes(publisher);
    unsigned line = UT_LINES;
    for (unsigned i = 0; i < UT_LINES; i++)
        if (grants->nonce[i] != 0 && i != UT_FLUSHER_LINE &&
            (line == UT_LINES || grants->granted[i] > grants->granted[line]))
            line = i;
    if (held == 0)
        return;
    if (line != UT_LINES)
        snprintf(text, size, ", %" PRIu64 " are held by pins, the newest of process %u", held,
                 ut_load_relaxed(&publisher->segment->control->lines[line].pid));
    else
        snprintf(text, size, ", %" PRIu64 " are held by the pin of the flush in progress", held);
}

/* What kept the file from growing although the segment may: its file system is full, mostly. */
static void describe_mount(const ut_publisher *publisher, char *text, size_t size) {
    char path[UT_PATH_MAX], room[96] = "", reason[128];
    struct statvfs mount;
    if (publisher->grow_error == 0 ||
        ut_segment_path(publisher->segment->name, UT_SUFFIX_DATA, path) != UNTORN_OK)
        return;
    if (fstatvfs(publisher->segment->fd, &mount) == 0)
        snprintf(room, sizeof room, ", %" PRIu64 " of %" PRIu64 " bytes of its mount are free",
                 (uint64_t)mount.f_bavail * mount.f_frsize,
                 (uint64_t)mount.f_blocks * mount.f_frsize);
    snprintf(text, size, "; the file %.400s could not grow: %s%s", path,
             strerror_r(publisher->grow_error, reason, sizeof reason), room);
}

/* What the store has to do with it.  Takes up the message, which says why nothing helped. */
static void describe_store(ut_publisher *publisher, char *dirty, size_t dirty_size, char *text,
                           size_t size) {
    const ut_relief *relief = publisher->relief;
    if (relief == NULL || publisher->publishing)
        return;
    snprintf(text, size, "; nothing more can be evicted: %s", untorn_message());
    snprintf(dirty, dirty_size, ", %" PRIu64 " were changed since the last flush",
             relief->dirty(relief->context));
}

static untorn_status no_space(ut_publisher *publisher, uint64_t bytes) {
    ut_superblock *super = publisher->segment->super;
    char pins[128] = "", dirty[128] = "", store[1024] = "", mount[768] = "";
    describe_mount(publisher, mount, sizeof mount);
    describe_pins(publisher, pins, sizeof pins);
    describe_store(publisher, dirty, sizeof dirty, store, sizeof store);
    return ut_fail(UNTORN_E_NO_SPACE,
                   "%s: no space for %" PRIu64 " bytes: %" PRIu64 " of %" PRIu64
                   " bytes are reserved, %" PRIu64 " are free in pieces, %" PRIu64
                   " are earlier versions (the last %u are kept)%s, %" PRIu64
                   " are of the open transaction%s, the rest holds arrays%s%s",
                   publisher->segment->message_name, bytes, ut_load_relaxed(&super->reserve),
                   super->size, ut_alloc_free_bytes(publisher->alloc), queued_bytes(publisher),
                   publisher->versions, pins, open_bytes(publisher), dirty, mount, store);
}

static bool yield_any(ut_publisher *publisher) {
    for (uint32_t i = 0; i < publisher->object_count; i++)
        if (yield(publisher, publisher->objects[i]))
            return true;
    return false;
}

static void give_back(ut_publisher *publisher, uint64_t offset, uint64_t bytes) {
    if (offset != 0)
        ut_alloc_give(publisher->alloc, offset, bytes);
}

/* Evict something; if there is nothing, give up earlier generations, or end a pin. */
static bool give_way(ut_publisher *publisher, uint64_t bytes) {
    uint64_t before = publisher->commit;
    give_back(publisher, take_evicted(publisher, bytes), bytes);
    if (publisher->commit != before || yield_any(publisher))
        return true;
    if (pins_keep(publisher))
        give_back(publisher, take_pressed(publisher, bytes), bytes);
    if (publisher->commit != before)
        return true;
    if (!has_queued(publisher) || !ut_grants_revoke(publisher))
        return false;
    ut_space_release_held(publisher);
    return true;
}

/* Whatever gave way is worth another try, and nothing else is: what a commit needs are small
 * pieces, in all more or less than `bytes`. */
bool ut_space_relieve(ut_publisher *publisher, uint64_t bytes) {
    const ut_relief *relief = publisher->relief;
    bool gave_way = give_way(publisher, bytes);
    while (!gave_way && relief != NULL && relief->wait(relief->context)) {
        ut_grants_look(publisher); /* the flush's own pin */
        gave_way = give_way(publisher, bytes);
    }
    if (relief != NULL)
        relief->end(relief->context);
    return gave_way || no_space(publisher, bytes) == UNTORN_OK;
}

/* Not inline, so that ut_space_take() is short where that is all. */
static __attribute__((noinline)) untorn_status
take_elsewhere(ut_publisher *publisher, ut_object *object, uint64_t bytes, uint64_t *offset) {
    if (object != NULL && take_own(publisher, object, ut_alloc_rounded(bytes), offset))
        return UNTORN_OK;
    *offset = ut_space_take_free(publisher, bytes);
    if (*offset == 0)
        *offset = reclaim(publisher, bytes);
    if (*offset == 0)
        *offset = take_evicted(publisher, bytes);
    if (*offset == 0)
        *offset = take_yielded(publisher, object, bytes);
    if (*offset == 0)
        *offset = take_unpinned(publisher, bytes);
    if (*offset == 0)
        *offset = take_flushed(publisher, object, bytes);
    return *offset != 0 ? UNTORN_OK : no_space(publisher, bytes);
}

untorn_status ut_space_take(ut_publisher *publisher, ut_object *object, uint64_t bytes,
                            uint64_t *offset) {
    if (UT_TAKE_FAILS())
        return ut_fail(UNTORN_E_NO_SPACE, "%s: no space, for a test",
                       publisher->segment->message_name);
    if (!UT_SEEDED(105))
        ut_grants_look(publisher);
    if (object != NULL && take_oldest(publisher, object, bytes, offset))
        return UNTORN_OK;
    return take_elsewhere(publisher, object, bytes, offset);
}

void ut_space_give(ut_publisher *publisher, uint64_t offset, uint64_t bytes) {
    ut_alloc_give(publisher->alloc, offset, bytes);
}

uint64_t ut_slot_bytes(ut_segment *segment, uint64_t slot_bytes, uint64_t offset) {
    if (slot_bytes != 0)
        return slot_bytes;
    ut_text *text = ut_at(segment, offset, sizeof *text);
    if (text == NULL || text->length > UT_MAX_SIZE ||
        ut_at(segment, offset, sizeof *text + text->length) == NULL)
        return 0;
    return sizeof *text + text->length;
}
