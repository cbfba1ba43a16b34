// SPDX-License-Identifier: MIT
/*
 * What the store has of an array, for an inspection: how many chunk files and how large, which
 * gives the compression ratio.  From the manifests of the newest store snapshot; no chunk is read.
 * And the reader of what is inspected, which needs what readers have of the store.
 */
#include "array/grid.h"
#include "array/inspect.h"
#include "base/status.h"
#include "store/read_through.h"
#include "store/store_view.h"

#include <stdlib.h>
#include <string.h>

/* The snapshot that was looked at last. */
typedef struct stored {
    ut_store store;
    ut_store_view *view;
    uint64_t commit; /* of the view; 0: there is none */
} stored;

static void free_stored(void *pointer) {
    stored *s = pointer;
    if (s == NULL)
        return;
    ut_store_view_close(s->view);
    ut_store_close(&s->store);
    free(s);
}

static untorn_status open_store(untorn_inspection *inspection, stored **out) {
    *out = inspection->stored;
    if (*out != NULL)
        return UNTORN_OK;
    untorn_flush_state flush;
    untorn_status status = untorn_inspect_flush(inspection, &flush);
    if (status != UNTORN_OK)
        return status;
    if (flush.store[0] == '\0')
        return ut_fail(UNTORN_E_STATE, "%s: has no store", inspection->segment.message_name);
    stored *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "inspect: out of memory");
    status = ut_store_open(&s->store, flush.store, false);
    if (status != UNTORN_OK) {
        free(s);
        return status;
    }
    inspection->stored = *out = s;
    inspection->stored_free = free_stored;
    return UNTORN_OK;
}

/* Look at the newest snapshot. */
static untorn_status update_view(untorn_inspection *inspection, stored *s) {
    uint64_t commit;
    untorn_status status = ut_store_latest(&s->store, &commit);
    if (status != UNTORN_OK || (commit == s->commit && commit != 0))
        return status;
    ut_store_view_close(s->view);
    s->view = NULL;
    s->commit = 0;
    if (commit == 0)
        return ut_fail(UNTORN_E_ABSENT, "%s: nothing was flushed yet", s->store.who);
    status = ut_store_view_open(&s->store, commit, &s->view);
    if (status != UNTORN_OK)
        return status;
    if (memcmp(s->view->manifest.uuid, inspection->segment.super->uuid,
               sizeof s->view->manifest.uuid) != 0) {
        ut_store_view_close(s->view);
        s->view = NULL;
        return ut_fail(UNTORN_E_FOREIGN_STORE, "%s: is another segment's", s->store.who);
    }
    s->commit = commit;
    return UNTORN_OK;
}

untorn_status untorn_inspect_stored(untorn_inspection *inspection, size_t i,
                                    untorn_stored_state *state) {
    ut_inspected_array *array = ut_inspected(inspection, i);
    if (array == NULL || state == NULL)
        return UNTORN_E_ARGUMENT;
    stored *s;
    untorn_status status = open_store(inspection, &s);
    if (status == UNTORN_OK)
        status = update_view(inspection, s);
    if (status != UNTORN_OK)
        return status;
    const char *name = array->definition->name;
    ut_manifest_object object;
    if (!ut_manifest_find_object(&s->view->manifest, name, &object) ||
        object.uid != array->definition->uid)
        return ut_fail(UNTORN_E_ABSENT, "%s: has no array \"%.1000s\" yet", s->store.who, name);
    ut_stored_array *stored_array;
    status = ut_stored_array_open(s->view, &object, &stored_array);
    if (status != UNTORN_OK)
        return status;
    memset(state, 0, sizeof *state);
    state->chunks = stored_array->manifest.count;
    for (uint64_t n = 0; n < state->chunks; n++) {
        const ut_manifest_chunk *chunk = ut_manifest_chunk_at(&stored_array->manifest, n);
        state->file_bytes += chunk->bytes;
        state->data_bytes += ut_product(stored_array->manifest.rank, chunk->extent) *
                             array->definition->dtype.itemsize;
    }
    ut_stored_array_close(stored_array);
    return UNTORN_OK;
}

untorn_status untorn_inspect_reader(untorn_inspection *inspection, untorn_reader **reader) {
    if (inspection == NULL || reader == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect_reader: no inspection or no place");
    ut_inspect_make_reader(inspection, &ut_reader_backing, reader);
    return UNTORN_OK;
}
