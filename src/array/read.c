// SPDX-License-Identifier: MIT
/*
 * Reads that copy: one array, or several as of one commit.
 *
 * One array needs no commit: its newest committed generation is consistent in
 * itself.  Several are gathered for one commit, first all descriptors, those that
 * change fastest first, then the data in the same order; when anything is overtaken, all
 * go on to a newer commit and keep what passed.
 */
#include "array/reader.h"

#include "array/box.h"
#include "array/grid.h"
#include "array/request.h"
#include "array/single.h"
#include "array/stepped.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Room to remember `tiles` copies of the region; none is no failure. */
static void keep_in(ut_region *region, ut_kept **list, size_t *capacity, uint64_t tiles) {
    if (tiles > *capacity) {
        if (tiles > (UINT64_C(1) << 28))
            return;
        ut_kept *more = realloc(*list, tiles * sizeof *more);
        if (more == NULL)
            return;
        *list = more;
        *capacity = tiles;
    }
    region->kept = *list;
    region->kept_count = tiles;
}

static uint64_t tiles_of(const untorn_array *array, const ut_region *region) {
    uint64_t tiles = 1;
    for (unsigned axis = 0; axis < array->definition->rank; axis++) {
        uint64_t chunk = array->definition->chunks[axis];
        if (region->count[axis] == 0)
            return 0;
        if (region->stepped)
            tiles *= ut_stepped_tiles(region->start[axis], region->count[axis], region->step[axis],
                                      chunk);
        else
            tiles *= (region->start[axis] + region->count[axis] - 1) / chunk -
                     region->start[axis] / chunk + 1;
    }
    return tiles;
}

/* What is kept counts for the new region if only the first axis's count differs. */
static bool same_but_rows(unsigned rank, const ut_region *region, const uint64_t *start,
                          const uint64_t *count) {
    for (unsigned axis = 0; axis < rank; axis++)
        if (region->start[axis] != start[axis] || (axis > 0 && region->count[axis] != count[axis]))
            return false;
    return true;
}

/* Set the region for this attempt. `kept` and `capacity`: where copies are remembered. */
static void set_region(const untorn_array *array, ut_region *region, const uint64_t *start,
                       const uint64_t *count, bool first, ut_kept **kept, size_t *capacity) {
    unsigned rank = array->definition->rank;
    size_t known = region->kept_count;
    bool same = !first && same_but_rows(rank, region, start, count);
    memcpy(region->start, start, rank * sizeof *start);
    memcpy(region->count, count, rank * sizeof *count);
    uint64_t tiles = tiles_of(array, region);
    region->kept_count = 0;
    keep_in(region, kept, capacity, tiles);
    if (!same)
        known = 0;
    for (size_t i = known; i < region->kept_count; i++)
        region->kept[i].version = 0;
    region->kept_valid = known != 0;
}

/* --- one array --- */

static untorn_status deleted(const untorn_array *array) {
    return ut_array_fail(array, UNTORN_E_ARRAY_DELETED, "was deleted");
}

static untorn_status damaged(const untorn_array *array) {
    return ut_array_fail(array, UNTORN_E_CORRUPT, "is damaged in shared memory");
}

static untorn_status add_context(const untorn_array *array, untorn_status status) {
    char message[512];
    strncpy(message, untorn_message(), sizeof message - 1);
    message[sizeof message - 1] = '\0';
    const char *rest = strstr(message, "overtaken");
    return rest != NULL ? ut_array_fail(array, status, "%s", rest) : status;
}

/* Find a descriptor for this attempt and see that it is the array's.  UNTORN_OK with *found
 * UT_NOT_FOUND: overtaken. */
static untorn_status descriptor_for(ut_attempts *attempts, untorn_array *array, ut_found *found) {
    *found = ut_attempts_descriptor(attempts, array->header, &array->cached);
    if (*found == UT_DAMAGED)
        return damaged(array);
    if (*found == UT_NOT_FOUND)
        return UNTORN_OK;
    switch (ut_array_check(array, &array->cached)) {
    case UT_FOUND:
        return UNTORN_OK;
    case UT_NOT_FOUND:
        return deleted(array);
    default:
        return damaged(array);
    }
}

/* Remember it for the next time.  It is the cached descriptor's, whatever became of its bytes. */
static void remember_single(untorn_array *array, const void *slot, size_t bytes) {
    array->single = slot;
    array->single_bytes = bytes;
    array->single_stamp = array->cached.stamp;
}

/* The whole of an array that is one chunk: no tiles, nothing to keep. */
static ut_found copy_single(ut_hold *hold, untorn_array *array, void *destination, size_t bytes) {
    const ut_descriptor *descriptor = &array->cached;
    UT_STEP("cell read");
    if (descriptor->root_ref == 0) {
        int64_t stride = (int64_t)array->definition->dtype.itemsize;
        uint64_t count = bytes / array->definition->dtype.itemsize;
        ut_box_fill(1, (size_t)stride, &count, destination, &stride,
                    array->definition->fill_is_zero ? NULL : array->definition->fill);
        return UT_FOUND;
    }
    const void *slot = ut_single_slot(hold->segment, array->definition, descriptor);
    if (slot != NULL)
        ut_racy_copy(destination, slot, bytes);
    UT_STEP("tile copied");
    if (!ut_hold_valid(hold, array->header, descriptor->stamp))
        return UT_NOT_FOUND;
    if (slot == NULL)
        return UT_DAMAGED;
    remember_single(array, slot, bytes);
    return UT_FOUND;
}

#define COUNTED_AT_ONCE 256u

/* This read, and those before it that went the short way. */
static void count_read(untorn_array *array, const ut_attempts *attempts) {
    ut_reader_count(array->reader, 1 + array->again, attempts->count + array->again,
                    attempts->hold.commit);
    array->again = 0;
}

/* The last read's chunk again, if nothing was published since.  All of it was checked then; a
 * reader that was attached anew since has forgotten it. */
static inline bool read_again(untorn_array *array, void *destination, size_t capacity) {
    uint64_t stamp = array->single_stamp;
    /* Acquire: as in ut_descriptor_newest(). */
    if (stamp == 0 || ut_load_acquire(&array->header->generation) != stamp ||
        array->cached.stamp != stamp || array->single_bytes > capacity || destination == NULL)
        return false;
    ut_racy_copy(destination, array->single, array->single_bytes);
    UT_STEP("tile copied");
    if (!ut_window_holds(array->header, stamp))
        return false;
    /* Counted many at a time: the shared line is not touched for each. */
    if (__builtin_expect(++array->again == COUNTED_AT_ONCE, 0)) {
        array->again = 0;
        ut_reader_count(array->reader, COUNTED_AT_ONCE, COUNTED_AT_ONCE, 0);
    }
    return true;
}

static untorn_status check_destination(const untorn_array *array, const void *destination,
                                       size_t capacity, uint64_t needed) {
    if (needed > capacity)
        return ut_request_too_small(array, capacity, needed);
    if (destination == NULL && needed > 0)
        return ut_array_fail(array, UNTORN_E_ARGUMENT, "no destination");
    return UNTORN_OK;
}

/* All of the array will be copied: if there is something new, ask for as much of it as can be. */
static inline void ask_ahead(const untorn_array *array) {
    uint64_t generation = ut_load_relaxed(&array->header->generation);
    if (generation != array->cached.stamp)
        ut_descriptor_prefetch(array->reader->segment, array->header, generation, UT_UNIT);
}

/* Out of line: so much room on the stack is not for reading again. */
__attribute__((noinline)) static untorn_status read_anew(untorn_array *array, const uint64_t *start,
                                                         const uint64_t *count, void *destination,
                                                         size_t capacity, untorn_result *result) {
    untorn_status status = ut_array_resolve(array);
    if (status != UNTORN_OK)
        return status;
    ut_attempts attempts;
    ut_region region;
    region.kept = NULL;
    region.kept_count = 0;
    region.failure = UNTORN_OK;
    region.stepped = false;
    bool first = true;
    ut_attempts_begin(&attempts, array->reader, false);
    for (;;) {
        status = ut_attempts_next(&attempts);
        if (status != UNTORN_OK) {
            status = add_context(array, status);
            break;
        }
        if (start == NULL && count == NULL)
            ask_ahead(array);
        ut_found found;
        status = descriptor_for(&attempts, array, &found);
        if (status != UNTORN_OK)
            break;
        if (found == UT_NOT_FOUND)
            continue;
        size_t bytes;
        if (start == NULL && count == NULL &&
            ut_is_single(array->definition, &array->cached, &bytes)) {
            status = check_destination(array, destination, capacity, bytes);
            if (status != UNTORN_OK)
                break;
            /* Whatever an earlier attempt kept of more chunks is overwritten now. */
            first = !UT_SEEDED(119);
            found = bytes == 0 ? UT_FOUND : copy_single(&attempts.hold, array, destination, bytes);
        } else {
            uint64_t from[UNTORN_MAX_RANK], n[UNTORN_MAX_RANK];
            unsigned rank = array->definition->rank;
            status = ut_region_bounds(array, array->cached.shape, start, count, from, n);
            if (status != UNTORN_OK)
                break;
            uint64_t needed = ut_product(rank, n) * array->definition->dtype.itemsize;
            status = check_destination(array, destination, capacity, needed);
            if (status != UNTORN_OK)
                break;
            set_region(array, &region, from, n, first, &array->kept, &array->kept_capacity);
            first = false;
            ut_c_strides(rank, array->definition->dtype.itemsize, n, region.strides);
            region.destination = destination;
            found = ut_region_copy(&attempts.hold, array, &array->cached, &region);
        }
        if (found == UT_FOUND)
            break;
        if (found == UT_DAMAGED) {
            status = region.failure != UNTORN_OK ? region.failure : damaged(array);
            break;
        }
    }
    if (result != NULL &&
        (status == UNTORN_OK || status == UNTORN_E_REGION || status == UNTORN_E_BUFFER_TOO_SMALL))
        ut_result_set(result, &array->cached, attempts.count, attempts.hold.own.nonce != 0);
    if (status == UNTORN_OK)
        count_read(array, &attempts);
    ut_attempts_end(&attempts);
    return status;
}

untorn_status untorn_read(untorn_array *array, const uint64_t *start, const uint64_t *count,
                          void *destination, size_t capacity, untorn_result *result) {
    if (start == NULL && count == NULL && array != NULL &&
        read_again(array, destination, capacity)) {
        ut_result_set(result, &array->cached, 1, false);
        return UNTORN_OK;
    }
    return read_anew(array, start, count, destination, capacity, result);
}

/* --- several arrays, each whole and one chunk --- */

/*
 * The first attempt at a group whose members are all of this kind needs nothing but their handles:
 * no list of members, nothing to keep.  A handle that read its array before knows the chunk; while
 * the header shows that generation, only the header and the bytes are touched.  Whatever is not
 * that simple (an error, too) is left to the general way below, which begins afresh.
 */

static inline bool asks_for_all(const untorn_reader *reader, const untorn_request *request) {
    const untorn_array *array = request->array;
    /* That all of these are NULL is one thing, which is nearly always so: looked at at once. */
    uintptr_t more = (uintptr_t)request->start | (uintptr_t)request->count |
                     (uintptr_t)request->steps | (uintptr_t)request->strides |
                     (uintptr_t)request->attributes;
    return more == 0 && request->destination != NULL && array != NULL && array->reader == reader &&
           array->serial == reader->serial;
}

/* Another generation than the last one, as of the attempt's commit. */
static inline ut_found look_single_up(ut_attempts *attempts, untorn_array *array) {
    ut_found found = ut_attempts_descriptor(attempts, array->header, &array->cached);
    size_t bytes;
    if (found != UT_FOUND)
        return found;
    if (ut_array_check(array, &array->cached) != UT_FOUND ||
        !ut_is_single(array->definition, &array->cached, &bytes) || array->cached.root_ref == 0)
        return UT_DAMAGED;
    const void *slot = ut_single_slot(attempts->hold.segment, array->definition, &array->cached);
    if (slot == NULL)
        return UT_DAMAGED;
    __builtin_prefetch(slot);
    remember_single(array, slot, bytes);
    return UT_FOUND;
}

/* Whether array->single is its chunk as of the attempt's commit, whatever that was last time. */
static inline bool single_known(const ut_attempts *attempts, const untorn_array *array) {
    uint64_t stamp = array->single_stamp;
    /* Acquire: as in ut_descriptor_at(). */
    uint64_t generation = ut_load_acquire(&array->header->generation);
    UT_STEP("generation read");
    /* What the handle has is live at the commit if it is the newest and not above it. */
    if ((generation == stamp || UT_SEEDED(341)) && stamp != 0 && array->cached.stamp == stamp &&
        array->cached.commit <= attempts->hold.commit)
        return true;
    ut_descriptor_prefetch(attempts->hold.segment, array->header, generation, UT_LINES_OF_MANY);
    return false;
}

/* Those of the bits in `changed`. */
__attribute__((noinline)) static ut_found
look_changed_up(ut_attempts *attempts, untorn_request *requests, uint64_t changed) {
    for (; changed != 0; changed &= changed - 1) {
        untorn_request *request = &requests[(unsigned)__builtin_ctzll(changed)];
        ut_found found = look_single_up(attempts, request->array);
        if (found != UT_FOUND)
            return found;
        ut_request_answer_whole(request, &request->array->cached);
    }
    return UT_FOUND;
}

/*
 * Have each array->single be the array's chunk as of the attempt's commit, and answer all but the
 * bytes.
 *
 * What changed since is in the cache of the writer's processor, and each step leads to the next:
 * header, descriptor, chunk.  So it is one step for all arrays before the next step of any, and
 * each asks for what the next needs, for all of it to be on its way at the same time.  And copying
 * drives the handles and requests out of the nearest cache, so they are done with before.
 */
static ut_found find_singles(ut_attempts *attempts, untorn_request *requests, size_t count) {
    while (count != 0) {
        size_t block = count < 64 ? count : 64;
        uint64_t changed = 0;
        for (size_t i = 0; i < block; i++) {
            if (!asks_for_all(attempts->reader, &requests[i]))
                return UT_DAMAGED;
            untorn_array *array = requests[i].array;
            if (single_known(attempts, array))
                ut_request_answer_whole(&requests[i], &array->cached);
            else
                changed |= UINT64_C(1) << i;
        }
        ut_found found = changed == 0 ? UT_FOUND : look_changed_up(attempts, requests, changed);
        if (found != UT_FOUND)
            return found;
        requests += block;
        count -= block;
    }
    return UT_FOUND;
}

/* UT_NOT_FOUND: overtaken.  UT_DAMAGED: not for this way to decide. */
static ut_found try_singles(ut_attempts *attempts, untorn_request *requests, size_t count) {
    ut_found found = find_singles(attempts, requests, count);
    if (found != UT_FOUND)
        return found;
    UT_STEP("descriptors gathered");
    for (size_t i = 0; i < count; i++) {
        const untorn_request *request = &requests[i];
        const untorn_array *array = request->array;
        size_t bytes = array->single_bytes;
        if (bytes > request->capacity)
            return UT_DAMAGED;
        if (bytes >= UT_LONG_COPY && i + 1 < count) {
            __builtin_prefetch(requests[i + 1].array->header);
            ut_single_prefetch((uintptr_t)requests[i + 1].array->single);
        }
        ut_racy_copy(request->destination, array->single, bytes);
        UT_STEP("tile copied");
        if (!ut_window_holds(array->header, array->single_stamp) && !UT_SEEDED(342))
            return UT_NOT_FOUND;
    }
    return UT_FOUND;
}

/* --- several arrays --- */

/* A request's part in a group read. */
typedef struct member {
    untorn_request *request;
    ut_descriptor descriptor; /* as of the attempt's commit */
    ut_region region;
    ut_kept *kept;
    size_t kept_capacity;
    bool first;
    char *attributes;
    uint64_t attributes_version;
} member;

/* Fastest changing first: those whose generations moved furthest between two attempts. */
static int by_speed(const void *a, const void *b) {
    uint64_t x = (*(member *const *)a)->descriptor.stamp;
    uint64_t y = (*(member *const *)b)->descriptor.stamp;
    return x > y ? -1 : x < y;
}

static untorn_status prepare_member(member *m) {
    untorn_array *array = m->request->array;
    uint64_t from[UNTORN_MAX_RANK], n[UNTORN_MAX_RANK];
    untorn_status status =
        ut_request_prepare(m->request, array, &m->descriptor, from, n, &m->region);
    if (status != UNTORN_OK)
        return status;
    set_region(array, &m->region, from, n, m->first, &m->kept, &m->kept_capacity);
    m->first = false;
    return UNTORN_OK;
}

static ut_found copy_attributes(ut_hold *hold, member *m) {
    if (m->request->attributes == NULL ||
        (m->attributes != NULL && m->attributes_version == m->descriptor.attributes_version))
        return UT_FOUND;
    free(m->attributes);
    m->attributes = NULL;
    ut_found found = ut_attributes_copy(hold->segment, &m->descriptor, &m->attributes);
    if (ut_hold_valid(hold, m->request->array->header, m->descriptor.stamp)) {
        m->attributes_version = m->descriptor.attributes_version;
        return found;
    }
    free(m->attributes);
    m->attributes = NULL;
    return UT_NOT_FOUND;
}

/* One attempt.  UNTORN_OK with *found UT_NOT_FOUND: overtaken. */
static untorn_status try_group(ut_attempts *attempts, member **order, size_t count, bool first,
                               ut_found *found) {
    for (size_t i = 0; i < count; i++) {
        untorn_array *array = order[i]->request->array;
        untorn_status status = descriptor_for(attempts, array, found);
        if (status != UNTORN_OK || *found != UT_FOUND)
            return status;
        order[i]->descriptor = array->cached;
    }
    UT_STEP("descriptors gathered");
    if (first)
        qsort(order, count, sizeof *order, by_speed);
    for (size_t i = 0; i < count; i++) {
        member *m = order[i];
        untorn_array *array = m->request->array;
        if (array->checked != m->descriptor.stamp)
            ut_array_check(array, &m->descriptor); /* an array may occur twice: same cells */
        untorn_status status = prepare_member(m);
        if (status != UNTORN_OK)
            return status;
        *found = ut_region_copy(&attempts->hold, array, &m->descriptor, &m->region);
        if (m->region.failure != UNTORN_OK)
            return m->region.failure;
        if (*found == UT_FOUND)
            *found = copy_attributes(&attempts->hold, m);
        if (*found == UT_DAMAGED)
            return damaged(array);
        if (*found == UT_NOT_FOUND)
            return UNTORN_OK;
    }
    return UNTORN_OK;
}

static untorn_status try_members(ut_attempts *attempts, member **order, size_t count,
                                 bool overtaken) {
    untorn_status status = UNTORN_OK;
    ut_found found = UT_NOT_FOUND;
    for (bool first = true; status == UNTORN_OK && found != UT_FOUND; first = false) {
        if (!first || overtaken)
            status = ut_attempts_next(attempts);
        if (status == UNTORN_OK)
            status = try_group(attempts, order, count, first, &found);
    }
    return status;
}

static untorn_status check_request(const untorn_reader *reader, const untorn_request *request) {
    untorn_array *array = request->array;
    untorn_status status = ut_array_resolve(array);
    if (status != UNTORN_OK)
        return status;
    if (array->reader != reader)
        return ut_array_fail(array, UNTORN_E_ARGUMENT, "belongs to another reader");
    return ut_request_check(request, array);
}

/* Any requests; `overtaken`: the attempt that was begun is over. */
__attribute__((noinline)) static untorn_status
read_members(ut_attempts *attempts, untorn_request *requests, size_t count, bool overtaken) {
    untorn_reader *reader = attempts->reader;
    untorn_status status = UNTORN_OK;
    member *members = malloc(count * sizeof *members);
    member **order = malloc(count * sizeof(member *));
    size_t made = 0;
    if (members == NULL || order == NULL)
        status = ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for %zu requests",
                         reader->segment->message_name, count);
    for (; status == UNTORN_OK && made < count; made++) {
        member *m = order[made] = &members[made];
        /* What a region is in detail is set by each attempt. */
        m->request = &requests[made];
        m->region.kept_count = 0;
        m->kept = NULL;
        m->kept_capacity = 0;
        m->first = true;
        m->attributes = NULL;
        m->attributes_version = 0;
        status = check_request(reader, m->request);
    }
    if (status == UNTORN_OK)
        status = try_members(attempts, order, count, overtaken);
    for (size_t i = 0; i < made; i++) {
        if (requests[i].attributes != NULL && status == UNTORN_OK)
            *requests[i].attributes = members[i].attributes;
        else
            free(members[i].attributes);
        free(members[i].kept);
    }
    free(members);
    free(order);
    return status;
}

untorn_status untorn_read_group(untorn_reader *reader, untorn_request *requests, size_t count,
                                untorn_result *result) {
    if (reader == NULL || requests == NULL || count == 0)
        return ut_fail(UNTORN_E_ARGUMENT, "read_group: no reader or no requests");
    ut_attempts attempts;
    ut_attempts_begin(&attempts, reader, true);
    untorn_status status = ut_attempts_next(&attempts);
    ut_found found = status == UNTORN_OK ? try_singles(&attempts, requests, count) : UT_DAMAGED;
    if (status == UNTORN_OK && found != UT_FOUND)
        status = read_members(&attempts, requests, count, found == UT_NOT_FOUND);
    if (status == UNTORN_OK) {
        if (result != NULL) {
            ut_result_set(result, &requests[0].array->cached, attempts.count,
                          attempts.hold.own.nonce != 0);
            result->commit = attempts.hold.commit;
        }
        ut_reader_count(reader, 1, attempts.count, attempts.hold.commit);
    }
    ut_attempts_end(&attempts);
    return status;
}

/* --- without data --- */

untorn_status untorn_peek(untorn_array *array, untorn_result *result) {
    untorn_status status = ut_array_resolve(array);
    if (status != UNTORN_OK)
        return status;
    /* Nothing new: as ut_descriptor_newest() and ut_array_check() would find. */
    uint64_t stamp = array->cached.stamp;
    if (stamp != 0 && stamp == array->checked &&
        ut_load_acquire(&array->header->generation) == stamp) {
        ut_result_set(result, &array->cached, 1, false);
        return UNTORN_OK;
    }
    ut_attempts attempts;
    ut_attempts_begin(&attempts, array->reader, false);
    ut_found found = UT_NOT_FOUND;
    do {
        status = ut_attempts_next(&attempts);
        if (status == UNTORN_OK)
            status = descriptor_for(&attempts, array, &found);
    } while (status == UNTORN_OK && found != UT_FOUND);
    if (status == UNTORN_OK)
        ut_result_set(result, &array->cached, attempts.count, attempts.hold.own.nonce != 0);
    ut_attempts_end(&attempts);
    return status;
}

untorn_status untorn_attributes(untorn_array *array, char **json, untorn_result *result) {
    untorn_status status = ut_array_resolve(array);
    if (status != UNTORN_OK)
        return status;
    if (json == NULL)
        return ut_array_fail(array, UNTORN_E_ARGUMENT, "no place for the attributes");
    ut_attempts attempts;
    ut_attempts_begin(&attempts, array->reader, false);
    char *text = NULL;
    for (;;) {
        status = ut_attempts_next(&attempts);
        ut_found found = UT_NOT_FOUND;
        if (status == UNTORN_OK)
            status = descriptor_for(&attempts, array, &found);
        if (status != UNTORN_OK)
            break;
        if (found != UT_FOUND)
            continue;
        found = ut_attributes_copy(array->reader->segment, &array->cached, &text);
        if (ut_hold_valid(&attempts.hold, array->header, array->cached.stamp)) {
            if (found == UT_FOUND && text != NULL)
                break;
            status = found == UT_DAMAGED
                         ? damaged(array)
                         : ut_array_fail(array, UNTORN_E_NO_MEMORY, "out of memory");
            break;
        }
        free(text);
        text = NULL;
    }
    if (status == UNTORN_OK) {
        *json = text;
        ut_result_set(result, &array->cached, attempts.count, attempts.hold.own.nonce != 0);
    }
    ut_attempts_end(&attempts);
    return status;
}
