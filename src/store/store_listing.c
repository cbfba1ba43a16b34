// SPDX-License-Identifier: MIT
// Listing the snapshots of a store.  Only their manifests are looked at.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "segment/layout.h"
#include "store/store_view.h"

/* The listing, its snapshots and their paths; what is public comes first. */
typedef struct listing {
    untorn_store_listing listed;
    untorn_store_snapshot *snapshots;
} listing;

/* UNTORN_E_ABSENT: the snapshot was deleted meanwhile. */
static untorn_status look(const ut_store *store, uint64_t commit, untorn_store_snapshot *out) {
    ut_store_view *view;
    untorn_status status = ut_store_view_open(store, commit, &view);
    *out = (untorn_store_snapshot){.commit = commit, .status = status};
    /* Of another version it cannot be read here, which is damage to whoever asks. */
    if (status == UNTORN_E_VERSION)
        out->status = UNTORN_E_CORRUPT;
    if (status != UNTORN_OK && out->status != UNTORN_E_CORRUPT)
        return status;
    char path[UT_STORE_PATH_MAX];
    if (status == UNTORN_OK) {
        out->time = view->manifest.time;
        for (uint64_t i = 0; i < view->manifest.count; i++) {
            ut_manifest_object object;
            ut_manifest_object_at(&view->manifest, i, &object);
            out->arrays += object.kind == UT_KIND_ARRAY;
        }
        ut_store_view_close(view);
    }
    status = ut_store_path(store, path, "snapshots/%" PRIu64, commit);
    if (status != UNTORN_OK)
        return status;
    out->path = strdup(path);
    return out->path != NULL ? UNTORN_OK
                             : ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", store->who);
}

static untorn_status fill(const ut_store *store, const uint64_t *commits, size_t count,
                          listing *list) {
    uint64_t latest;
    untorn_status status = ut_store_latest(store, &latest);
    if (status != UNTORN_OK)
        return status;
    list->snapshots = calloc(count > 0 ? count : 1, sizeof *list->snapshots);
    if (list->snapshots == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", store->who);
    list->listed.snapshots = list->snapshots;
    while (count-- > 0) { /* they are descending */
        untorn_store_snapshot *next = &list->snapshots[list->listed.count];
        status = look(store, commits[count], next);
        if (status == UNTORN_E_ABSENT)
            continue;
        if (status != UNTORN_OK)
            return status;
        next->latest = next->commit == latest;
        list->listed.count++;
    }
    return UNTORN_OK;
}

untorn_status untorn_store_list(const char *path, untorn_store_listing **out) {
    if (path == NULL || out == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "store_list: no store or no place for the listing");
    ut_store store;
    uint64_t *commits;
    size_t count;
    untorn_status status = ut_store_open(&store, path, false);
    if (status != UNTORN_OK)
        return status;
    listing *list = calloc(1, sizeof *list);
    if (list == NULL) {
        status = ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", store.who);
        goto close_store;
    }
    status = ut_store_commits(&store, &commits, &count);
    if (status == UNTORN_OK) {
        status = fill(&store, commits, count, list);
        free(commits);
    }
    if (status == UNTORN_OK)
        *out = &list->listed;
    else
        untorn_store_listing_free(&list->listed);
close_store:
    ut_store_close(&store);
    return status;
}

void untorn_store_listing_free(untorn_store_listing *listed) {
    if (listed == NULL)
        return;
    listing *list = (listing *)(void *)listed;
    for (size_t i = 0; i < listed->count; i++)
        free((void *)(uintptr_t)list->snapshots[i].path);
    free(list->snapshots);
    free(list);
}
