// SPDX-License-Identifier: MIT
/*
 * Read-through: see read_through.h.
 *
 * Manifests stay open between calls, the most recently used ones; each is good for as long as what
 * is wanted has a record of its version there.  Only when one has not is the store looked at again.
 */
#include "store/read_through.h"

#include "array/grid.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "base/thread.h"
#include "store/chunk_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_HELD 64u /* open manifests */
#define LOOKS 4       /* at a store whose snapshots are being deleted under the reader */

struct ut_held_array {
    ut_stored_array *stored;
    uint64_t commit; /* of the newest snapshot known to have this state of it, in this history */
    unsigned references;
    bool dropped; /* not in the list any more */
    ut_held_array *next;
};

struct ut_read_through {
    ut_store store;
    const ut_superblock *owner; /* whose snapshots count; NULL: all do */
    unsigned threads;
    pthread_mutex_t lock; /* of what follows */
    ut_held_array *held;  /* most recently used first */
    ut_store_view *view;  /* the last that was opened */
    ut_chunk_cache *cache;
};

/* --- open manifests --- */

const ut_stored_array *ut_held_stored(const ut_held_array *held) {
    return held->stored;
}

static void free_held(ut_held_array *held) {
    ut_stored_array_close(held->stored);
    free(held);
}

static void drop(ut_read_through *rt, ut_held_array *held) {
    ut_held_array **at = &rt->held;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    held->dropped = true;
    if (held->references == 0)
        free_held(held);
}

static void trim(ut_read_through *rt) {
    unsigned count = 0;
    for (ut_held_array *held = rt->held, *next; held != NULL; held = next) {
        next = held->next;
        if (++count > MOST_HELD && held->references == 0)
            drop(rt, held);
    }
}

static void use(ut_read_through *rt, ut_held_array *held) {
    ut_held_array **at = &rt->held;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    held->next = rt->held;
    rt->held = held;
    held->references++;
}

void ut_read_through_release(ut_read_through *rt, ut_held_array *held) {
    pthread_mutex_lock(&rt->lock);
    if (--held->references == 0 && held->dropped)
        free_held(held);
    pthread_mutex_unlock(&rt->lock);
}

/* --- finding the right one --- */

typedef struct search {
    const ut_definition *definition;
    uint64_t data_commit;
    uint64_t at_least;
} search;

static bool fits(const ut_held_array *held, const search *wanted) {
    return held->stored->manifest.uid == wanted->definition->uid &&
           (held->stored->manifest.data_commit <= wanted->data_commit || UT_SEEDED(309)) &&
           held->commit >= wanted->at_least;
}

/* Among the open ones; the newest that fits. */
static ut_held_array *find_open(ut_read_through *rt, const search *wanted) {
    ut_held_array *best = NULL;
    for (ut_held_array *held = rt->held; held != NULL; held = held->next)
        if (fits(held, wanted) && (best == NULL || held->commit > best->commit))
            best = held;
    return best;
}

static untorn_status view_of(ut_read_through *rt, uint64_t commit) {
    if (rt->view != NULL && rt->view->manifest.commit == commit)
        return UNTORN_OK;
    ut_store_view *view;
    untorn_status status = ut_store_view_open(&rt->store, commit, &view);
    if (status != UNTORN_OK)
        return status;
    const ut_superblock *owner = rt->owner;
    if (owner != NULL && memcmp(view->manifest.uuid, owner->uuid, sizeof owner->uuid) != 0) {
        ut_store_view_close(view);
        return ut_fail(UNTORN_E_FOREIGN_STORE, "%s: belongs to another segment", rt->store.who);
    }
    ut_store_view_close(rt->view);
    rt->view = view;
    return UNTORN_OK;
}

/* Whether a chunk of the one is a chunk of the other: whoever fetches takes that many bytes. */
static bool same_chunks(const ut_definition *a, const ut_definition *b) {
    return a->rank == b->rank && a->slot_bytes == b->slot_bytes &&
           memcmp(a->chunks, b->chunks, a->rank * sizeof *a->chunks) == 0 &&
           strcmp(a->dtype.text, b->dtype.text) == 0;
}

/* The commit of the owner's history that rt->view is of; 0: of none. */
static uint64_t commit_of_view(const ut_read_through *rt) {
    const ut_manifest_snapshot *manifest = &rt->view->manifest;
    return rt->owner != NULL ? ut_lineage_commit(rt->owner, &manifest->lineage, manifest->commit)
                             : manifest->commit;
}

static bool is_rival(const ut_read_through *rt) {
    const ut_manifest_snapshot *manifest = &rt->view->manifest;
    return rt->owner != NULL &&
           ut_lineage_is_rival(rt->owner, &manifest->lineage, manifest->commit);
}

/* The array in rt->view.  *held is NULL if that does not fit. */
static untorn_status look_in_view(ut_read_through *rt, const search *wanted, ut_held_array **out) {
    ut_manifest_object object;
    uint64_t commit = commit_of_view(rt);
    *out = NULL;
    if (commit < wanted->at_least || commit == 0)
        return UNTORN_OK;
    if (!ut_manifest_find_object(&rt->view->manifest, wanted->definition->name, &object) ||
        object.kind != UT_KIND_ARRAY || object.uid != wanted->definition->uid ||
        (object.data_commit > wanted->data_commit && !UT_SEEDED(309)) ||
        object.data_commit > commit)
        return UNTORN_OK;
    for (ut_held_array *held = rt->held; held != NULL; held = held->next)
        if (held->stored->manifest.uid == object.uid &&
            held->stored->manifest.file_hash == object.file_hash) {
            if (held->commit < commit)
                held->commit = commit;
            *out = held;
            return UNTORN_OK;
        }
    ut_held_array *held = calloc(1, sizeof *held);
    if (held == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", rt->store.who);
    untorn_status status = ut_stored_array_open(rt->view, &object, &held->stored);
    if (status == UNTORN_OK &&
        !same_chunks(held->stored->manifest.definition, wanted->definition)) {
        ut_stored_array_close(held->stored);
        status =
            ut_fail(UNTORN_E_CORRUPT, "%s: array \"%s\": has other chunks or another data type",
                    rt->store.who, wanted->definition->name);
    }
    if (status != UNTORN_OK) {
        free(held);
        return status;
    }
    held->commit = commit;
    held->next = rt->held;
    rt->held = held;
    trim(rt);
    *out = held;
    return UNTORN_OK;
}

static bool store_is_gone(const ut_read_through *rt) {
    struct stat stat;
    return ut_files->lstat(rt->store.path, &stat) != 0 && errno == ENOENT;
}

static bool is_damage(untorn_status status) {
    return status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION;
}

/* Newest first through the snapshots.  *held is NULL if none fits; *gone: one vanished meanwhile.
 * A damaged one is passed over: an older one that is recent enough will do as well.  If there is
 * none, the damage is the reason, or that the store goes on without the segment. */
static untorn_status look_in_store(ut_read_through *rt, const search *wanted, ut_held_array **held,
                                   bool *gone) {
    uint64_t *commits, rival = 0;
    size_t count;
    *held = NULL;
    *gone = false;
    untorn_status status = ut_store_commits(&rt->store, &commits, &count);
    if (status != UNTORN_OK)
        return store_is_gone(rt) ? ut_fail(UNTORN_E_CORRUPT, "%s", untorn_message()) : status;
    char damage[1024] = "";
    /* The newest one also where it will not do: it tells whose the store is. */
    for (size_t i = 0; i < count && *held == NULL && (i == 0 || commits[i] >= wanted->at_least);
         i++) {
        status = view_of(rt, commits[i]);
        if (status == UNTORN_OK && rival == 0 && is_rival(rt))
            rival = commits[i];
        if (status == UNTORN_OK)
            status = look_in_view(rt, wanted, held);
        if (is_damage(status) && damage[0] == '\0' && commits[i] >= wanted->at_least)
            snprintf(damage, sizeof damage, "%s", untorn_message());
        if (status == UNTORN_E_ABSENT)
            *gone = true;
        if (status == UNTORN_E_ABSENT || is_damage(status))
            status = UNTORN_OK;
        if (status != UNTORN_OK)
            break;
    }
    free(commits);
    if (status == UNTORN_OK && *held == NULL && damage[0] != '\0')
        return ut_fail(UNTORN_E_CORRUPT, "%s", damage);
    if (status == UNTORN_OK && *held == NULL && rival != 0 && !*gone)
        return ut_lineage_fail(rt->store.who, "the segment that is read", rival);
    return status;
}

static untorn_status find(ut_read_through *rt, const search *wanted, bool fresh,
                          ut_held_array **out) {
    pthread_mutex_lock(&rt->lock);
    ut_held_array *held = fresh ? NULL : find_open(rt, wanted);
    untorn_status status = UNTORN_OK;
    bool gone = true;
    for (int i = 0; i < LOOKS && held == NULL && gone && status == UNTORN_OK; i++)
        status = look_in_store(rt, wanted, &held, &gone);
    if (held != NULL && status == UNTORN_OK)
        use(rt, held);
    pthread_mutex_unlock(&rt->lock);
    if (status == UNTORN_OK && held == NULL)
        status = ut_fail(UNTORN_E_OVERTAKEN,
                         "%s: array \"%s\": has no snapshot of it at or before commit %" PRIu64,
                         rt->store.who, wanted->definition->name, wanted->data_commit);
    *out = held;
    return status;
}

untorn_status ut_read_through_find(ut_read_through *rt, const ut_definition *definition,
                                   uint64_t data_commit, uint64_t at_least, ut_held_array **held) {
    search wanted = {definition, data_commit, at_least};
    return find(rt, &wanted, false, held);
}

untorn_status ut_read_through_hold(ut_read_through *rt, const ut_definition *definition,
                                   uint64_t data_commit, uint64_t at_least, ut_held_array **held) {
    search wanted = {definition, data_commit, at_least};
    return find(rt, &wanted, true, held);
}

const ut_manifest_chunk *ut_stored_record(const ut_stored_array *stored, const uint64_t *index) {
    const ut_manifest_array *manifest = &stored->manifest;
    for (unsigned axis = 0; axis < manifest->rank; axis++)
        if (index[axis] >= manifest->cells[axis])
            return NULL;
    return ut_manifest_find_chunk(manifest, ut_grid_linear(manifest->rank, manifest->cells, index));
}

/* --- one chunk --- */

/* Whether the record, or that there is none, is what the cell means. */
static bool is_meant(const ut_wanted *wanted, const ut_manifest_chunk *record) {
    bool subtree = (wanted->place.ref & UT_REF_SUBTREE) != 0;
    if (record == NULL)
        return subtree;
    for (unsigned axis = 0; axis < wanted->definition->rank; axis++)
        if (record->extent[axis] < wanted->extent[axis] && !UT_SEEDED(308))
            return false;
    return subtree ? record->version <= wanted->place.version
                   : record->version == wanted->place.version || UT_SEEDED(307);
}

/* The manifest that has the chunk, held, and its record (NULL: absent).  `fresh`: those that are
 * open are not trusted. */
static untorn_status locate(ut_read_through *rt, const ut_wanted *wanted, bool fresh,
                            ut_held_array **held, const ut_manifest_chunk **record) {
    search s = {wanted->definition, wanted->data_commit, wanted->place.version};
    for (int look = fresh; look < 2; look++) {
        untorn_status status = find(rt, &s, look > 0, held);
        if (status != UNTORN_OK)
            return status;
        *record = ut_stored_record((*held)->stored, wanted->index);
        if (is_meant(wanted, *record))
            return UNTORN_OK;
        ut_read_through_release(rt, *held);
    }
    return ut_fail(
        UNTORN_E_OVERTAKEN,
        "%s: array \"%s\": has no chunk of version %" PRIu64 " at or before commit %" PRIu64,
        rt->store.who, wanted->definition->name, wanted->place.version, wanted->data_commit);
}

/* Memory of one thread. */
typedef struct workspace {
    ut_codec_scratch scratch;
    void *memory;
    size_t bytes;
} workspace;

static untorn_status read_record(ut_read_through *rt, const ut_held_array *held,
                                 const ut_manifest_chunk *record, workspace *space, size_t i,
                                 ut_take *take, void *context) {
    const ut_definition *definition = held->stored->manifest.definition;
    ut_chunk_key key = {definition->uid, record->number, record->hash};
    if (rt->cache != NULL) {
        ut_cached_chunk *chunk = ut_chunk_cache_get(rt->cache, key);
        if (chunk != NULL) {
            take(context, i, ut_cached_bytes(chunk));
            ut_chunk_cache_release(rt->cache, chunk);
            return UNTORN_OK;
        }
    }
    if (space->bytes < definition->slot_bytes) {
        free(space->memory);
        space->bytes = definition->slot_bytes;
        space->memory = malloc(space->bytes);
        if (space->memory == NULL) {
            space->bytes = 0;
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for a chunk", rt->store.who);
        }
    }
    untorn_status status =
        ut_stored_chunk_read(held->stored, record, space->memory, &space->scratch);
    if (status != UNTORN_OK)
        return status;
    take(context, i, space->memory);
    if (rt->cache != NULL)
        ut_chunk_cache_put(rt->cache, key, space->memory, definition->slot_bytes);
    return UNTORN_OK;
}

/* Whether the array's directory is gone as a whole: then its snapshot was deleted. */
static bool directory_is_gone(const ut_stored_array *stored) {
    struct stat stat;
    return ut_files->lstat(stored->path, &stat) != 0;
}

static untorn_status fetch_one(ut_read_through *rt, const ut_wanted *wanted, workspace *space,
                               size_t i, ut_take *take, void *context) {
    for (int look = 0; look < LOOKS; look++) {
        ut_held_array *held;
        const ut_manifest_chunk *record;
        /* One that is gone may be followed by others as old among those that are open. */
        untorn_status status = locate(rt, wanted, look > 0, &held, &record);
        if (status != UNTORN_OK)
            return status;
        if (record == NULL)
            take(context, i, NULL);
        else
            status = read_record(rt, held, record, space, i, take, context);
        bool gone = status == UNTORN_E_ABSENT && directory_is_gone(held->stored);
        if (gone) {
            pthread_mutex_lock(&rt->lock);
            if (!held->dropped)
                drop(rt, held);
            pthread_mutex_unlock(&rt->lock);
        }
        ut_read_through_release(rt, held);
        if (status == UNTORN_E_ABSENT && !gone)
            return ut_fail(UNTORN_E_CORRUPT, "%s", untorn_message());
        if (!gone)
            return status;
    }
    return ut_fail(UNTORN_E_OVERTAKEN, "%s: array \"%s\": its snapshots were deleted",
                   rt->store.who, wanted->definition->name);
}

/* --- many chunks --- */

typedef struct batch {
    ut_read_through *rt;
    const ut_wanted *wanted;
    size_t count;
    ut_take *take;
    void *context;
    _Atomic size_t next;
    pthread_mutex_t lock; /* of what follows */
    untorn_status status; /* the first failure */
    char message[1024];
} batch;

static void *work(void *argument) {
    batch *b = argument;
    workspace space = {UT_CODEC_SCRATCH_INIT, NULL, 0};
    for (;;) {
        size_t i = ut_fetch_add_relaxed(&b->next, 1);
        if (i >= b->count)
            break;
        untorn_status status = fetch_one(b->rt, &b->wanted[i], &space, i, b->take, b->context);
        if (status == UNTORN_OK)
            continue;
        pthread_mutex_lock(&b->lock);
        if (b->status == UNTORN_OK) {
            b->status = status;
            snprintf(b->message, sizeof b->message, "%s", untorn_message());
        }
        pthread_mutex_unlock(&b->lock);
        ut_store_relaxed(&b->next, b->count);
        break;
    }
    ut_codec_scratch_free(&space.scratch);
    free(space.memory);
    return NULL;
}

untorn_status ut_read_through_fetch(ut_read_through *rt, const ut_wanted *wanted, size_t count,
                                    ut_take *take, void *context) {
    batch b = {.rt = rt, .wanted = wanted, .count = count, .take = take, .context = context};
    pthread_mutex_init(&b.lock, NULL);
    pthread_t threads[64];
    unsigned started = 0, most = rt->threads < 64 ? rt->threads : 64;
    if (UT_SEEDED(314))
        most = 1;
    while (started + 1 < most && started + 1 < count &&
           ut_thread_start(&threads[started], work, &b) == 0)
        started++;
    work(&b);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&b.lock);
    return b.status == UNTORN_OK ? UNTORN_OK : ut_fail(b.status, "%s", b.message);
}

/* --- opening --- */

untorn_status ut_read_through_open(const char *store_path, size_t cache_bytes, unsigned threads,
                                   ut_read_through **out) {
    ut_read_through *rt = calloc(1, sizeof *rt);
    if (rt == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "store \"%s\": out of memory", store_path);
    rt->threads = threads;
    untorn_status status = ut_store_open(&rt->store, store_path, false);
    if (status == UNTORN_E_NO_STORE) /* there was one, and something is only there */
        status = ut_fail(UNTORN_E_CORRUPT, "%s", untorn_message());
    if (status == UNTORN_OK && cache_bytes > 0 &&
        (rt->cache = ut_chunk_cache_create(cache_bytes)) == NULL) {
        ut_store_close(&rt->store);
        status = ut_fail(UNTORN_E_NO_MEMORY, "store \"%s\": out of memory", store_path);
    }
    if (status != UNTORN_OK) {
        free(rt);
        return status;
    }
    pthread_mutex_init(&rt->lock, NULL);
    *out = rt;
    return UNTORN_OK;
}

void ut_read_through_own(ut_read_through *rt, const ut_superblock *super) {
    rt->owner = super;
}

void ut_read_through_close(ut_read_through *rt) {
    if (rt == NULL)
        return;
    while (rt->held != NULL)
        drop(rt, rt->held);
    ut_store_view_close(rt->view);
    ut_chunk_cache_destroy(rt->cache);
    ut_store_close(&rt->store);
    pthread_mutex_destroy(&rt->lock);
    free(rt);
}
