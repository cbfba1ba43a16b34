// SPDX-License-Identifier: MIT
/*
 * What the store has of an array, for an inspection: how many chunk files and how large, which
 * gives the compression ratio.  From the manifest of the newest store snapshot; no chunk is read.
 * And the reader of what is inspected, which needs what readers have of the store.
 */
#include "array/inspect.h"
#include "base/status.h"
#include "store/read_through.h"
#include "store/store_view.h"

#include <stdlib.h>
#include <string.h>

/* The snapshot that was looked at last, or why none could be. */
typedef struct stored {
    bool looked;
    uint64_t flushed; /* what the segment said was flushed when it was looked at */
    bool opened;
    ut_store store;
    ut_store_view *view; /* NULL: see `status` */
    untorn_status status;
    char *message;
} stored;

static void free_stored(void *pointer) {
    stored *s = pointer;
    ut_store_view_close(s->view);
    if (s->opened)
        ut_store_close(&s->store);
    free(s->message);
    free(s);
}

static untorn_status open_store(untorn_inspection *inspection, stored *s) {
    untorn_flush_state flush;
    untorn_status status = untorn_inspect_flush(inspection, &flush);
    if (status != UNTORN_OK || s->opened)
        return status;
    if (flush.store[0] == '\0')
        return ut_fail(UNTORN_E_STATE, "%s: has no store", inspection->segment.message_name);
    status = ut_store_open(&s->store, flush.store, false);
    s->opened = status == UNTORN_OK;
    return status;
}

static untorn_status open_view(untorn_inspection *inspection, stored *s) {
    uint64_t commit;
    untorn_status status = open_store(inspection, s);
    if (status == UNTORN_OK)
        status = ut_store_latest(&s->store, &commit);
    if (status != UNTORN_OK)
        return status;
    if (commit == 0)
        return s->flushed == 0
                   ? ut_fail(UNTORN_E_ABSENT, "%s: nothing was flushed yet", s->store.who)
                   : ut_fail(UNTORN_E_CORRUPT, "%s: \"latest\" is missing or damaged",
                             s->store.who);
    status = ut_store_view_open(&s->store, commit, &s->view);
    if (status != UNTORN_OK)
        return status;
    if (memcmp(s->view->manifest.uuid, inspection->segment.super->uuid,
               sizeof s->view->manifest.uuid) == 0)
        return UNTORN_OK;
    ut_store_view_close(s->view);
    s->view = NULL;
    return ut_fail(UNTORN_E_FOREIGN_STORE, "%s: is another segment's", s->store.who);
}

/* The newest snapshot.  The store is asked again only once the segment says that there is a newer
 * one, also where it could not be read: there may be very many arrays. */
static untorn_status look_at_store(untorn_inspection *inspection, stored **out) {
    stored *s = inspection->stored;
    if (s == NULL) {
        s = calloc(1, sizeof *s);
        if (s == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "inspect: out of memory");
        inspection->stored = s;
        inspection->stored_free = free_stored;
    }
    *out = s;
    uint64_t flushed = ut_load_acquire(&inspection->segment.store->flushed_commit);
    if (s->looked && s->flushed == flushed)
        return s->status == UNTORN_OK
                   ? UNTORN_OK
                   : ut_fail(s->status, "%s", s->message != NULL ? s->message : "out of memory");
    ut_store_view_close(s->view);
    free(s->message);
    s->view = NULL;
    s->message = NULL;
    s->flushed = flushed;
    s->status = open_view(inspection, s);
    if (s->status != UNTORN_OK)
        s->message = strdup(untorn_message());
    s->looked = true;
    return s->status;
}

/* From the array's own manifest: the snapshot's was written before there were totals in it. */
static untorn_status count(const ut_store_view *view, const ut_manifest_object *object,
                           ut_manifest_totals *totals) {
    ut_stored_array *array;
    untorn_status status = ut_stored_array_open(view, object, &array);
    if (status != UNTORN_OK)
        return status;
    *totals = ut_manifest_count(&array->manifest);
    ut_stored_array_close(array);
    return UNTORN_OK;
}

untorn_status untorn_inspect_stored(untorn_inspection *inspection, size_t i,
                                    untorn_stored_state *state) {
    ut_inspected_array *array = ut_inspected(inspection, i);
    if (array == NULL || state == NULL)
        return UNTORN_E_ARGUMENT;
    stored *s = NULL;
    untorn_status status = look_at_store(inspection, &s);
    if (status != UNTORN_OK)
        return status;
    const char *name = array->definition->name;
    ut_manifest_object object;
    if (!ut_manifest_find_object(&s->view->manifest, name, &object) ||
        object.uid != array->definition->uid)
        return ut_fail(UNTORN_E_ABSENT, "%s: has no array \"%.1000s\" yet", s->store.who, name);
    ut_manifest_totals totals = object.totals;
    if (!totals.known)
        status = count(s->view, &object, &totals);
    if (status != UNTORN_OK)
        return status;
    *state = (untorn_stored_state){totals.chunks, totals.file_bytes, totals.data_bytes};
    return UNTORN_OK;
}

untorn_status untorn_inspect_reader(untorn_inspection *inspection, untorn_reader **reader) {
    if (inspection == NULL || reader == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "inspect_reader: no inspection or no place");
    ut_inspect_make_reader(inspection, &ut_reader_backing, reader);
    return UNTORN_OK;
}
