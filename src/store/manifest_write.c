// SPDX-License-Identifier: MIT
// Writing manifests, front to back: what is added gathers in a buffer, which is hashed and handed
// to the sink when it is full.  What the reader would refuse is refused here.
#include <stdlib.h>
#include <string.h>

#include "array/grid.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/manifest.h"
#include "store/manifest_layout.h"

#define BUFFER_BYTES ((size_t)64 << 10)

struct ut_manifest_writer {
    ut_manifest_sink *sink;
    void *context;
    XXH3_state_t *hash;
    uint64_t bytes; // handed to the sink
    uint64_t count;
    untorn_status failed; // the sink's, to be returned from everything after
    // array
    unsigned rank;
    uint64_t cells;
    uint64_t next_number;
    uint64_t chunks[UNTORN_MAX_RANK];
    size_t itemsize;
    ut_manifest_totals totals;
    // snapshot
    char last_name[UNTORN_MAX_NAME + 1];
    size_t buffered;
    unsigned char buffer[BUFFER_BYTES];
};

static void flush(ut_manifest_writer *w) {
    if (w->failed != UNTORN_OK || w->buffered == 0)
        return;
    XXH3_64bits_update(w->hash, w->buffer, w->buffered);
    w->failed = w->sink(w->context, w->buffer, w->buffered);
    w->bytes += w->buffered;
    w->buffered = 0;
}

static void put(ut_manifest_writer *w, const void *bytes, size_t n) {
    const unsigned char *from = bytes;
    while (n > 0 && w->failed == UNTORN_OK) {
        size_t room = BUFFER_BYTES - w->buffered, now = n < room ? n : room;
        memcpy(w->buffer + w->buffered, from, now);
        w->buffered += now;
        from += now;
        n -= now;
        if (w->buffered == BUFFER_BYTES)
            flush(w);
    }
}

static void pad(ut_manifest_writer *w, uint64_t n) {
    static const unsigned char zeros[8];
    put(w, zeros, (size_t)(ut_manifest_padded(n) - n));
}

static untorn_status make(ut_manifest_writer **out, ut_manifest_sink *sink, void *context) {
    ut_manifest_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a manifest");
    w->hash = XXH3_createState();
    if (w->hash == NULL) {
        free(w);
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a manifest");
    }
    XXH3_64bits_reset(w->hash);
    w->sink = sink;
    w->context = context;
    *out = w;
    return UNTORN_OK;
}

static struct ut_manifest_head make_head(unsigned kind, size_t bytes, unsigned zarr_format,
                                         const uint64_t *uuid) {
    return (struct ut_manifest_head){.magic = UT_MANIFEST_MAGIC,
                                     .version = UT_MANIFEST_VERSION,
                                     .byte_order = UT_MANIFEST_BYTE_ORDER,
                                     .kind = kind,
                                     .head_bytes = (uint32_t)bytes,
                                     .zarr_format = zarr_format,
                                     .uuid = {uuid[0], uuid[1]}};
}

// ------------------------------------------------------------ array

static untorn_status put_definition(ut_manifest_writer *w, const ut_definition *definition) {
    char *text = malloc(definition->text_bytes);
    if (text == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "array \"%s\": out of memory", definition->name);
    ut_definition_encode(definition, text);
    put(w, text + sizeof(ut_text), definition->text_bytes - sizeof(ut_text));
    pad(w, definition->text_bytes - sizeof(ut_text));
    free(text);
    return UNTORN_OK;
}

untorn_status ut_manifest_begin_array(ut_manifest_writer **writer, const ut_manifest_array *head,
                                      const ut_definition *definition, const uint64_t *shape,
                                      const char *attributes, ut_manifest_sink *sink,
                                      void *context) {
    unsigned rank = definition->rank;
    size_t attributes_bytes = attributes != NULL ? strlen(attributes) : 0;
    if (!ut_grid_valid(rank, shape, definition->chunks, definition->dtype.itemsize))
        return ut_fail(UNTORN_E_ARGUMENT, "array \"%s\": shape is too large", definition->name);
    if (attributes_bytes > UNTORN_MAX_ATTRIBUTES)
        return ut_fail(UNTORN_E_ARGUMENT, "array \"%s\": attributes are too long",
                       definition->name);
    ut_manifest_writer *w;
    untorn_status status = make(&w, sink, context);
    if (status != UNTORN_OK)
        return status;
    uint64_t cells[UNTORN_MAX_RANK];
    w->rank = rank;
    w->itemsize = definition->dtype.itemsize;
    w->totals.known = true;
    w->cells = ut_grid_cells(rank, shape, definition->chunks, cells);
    memcpy(w->chunks, definition->chunks, rank * sizeof *w->chunks);
    struct ut_manifest_array_head h = {
        .head = make_head(UT_MANIFEST_ARRAY, sizeof h, head->zarr_format, head->uuid),
        .uid = definition->uid,
        .generation = head->generation,
        .commit = head->commit,
        .data_commit = head->data_commit,
        .time = head->time,
        .rank = rank,
        .record_bytes = (uint32_t)(sizeof(ut_manifest_chunk) + 8 * rank),
        .definition_bytes = definition->text_bytes - sizeof(ut_text),
        .attributes_bytes = attributes_bytes};
    if (rank > 0)
        memcpy(h.shape, shape, rank * sizeof *shape);
    put(w, &h, sizeof h);
    status = put_definition(w, definition);
    if (status != UNTORN_OK) {
        ut_manifest_abandon(w);
        return status;
    }
    put(w, attributes_bytes > 0 ? attributes : "", attributes_bytes + 1);
    pad(w, attributes_bytes + 1);
    *writer = w;
    return UNTORN_OK;
}

untorn_status ut_manifest_add_chunk(ut_manifest_writer *w, uint64_t number, uint64_t version,
                                    const uint64_t *extent, uint64_t bytes, uint64_t hash) {
    if (w->failed != UNTORN_OK)
        return w->failed;
    if (number < w->next_number || number >= w->cells)
        return ut_fail(UNTORN_E_ARGUMENT, "manifest: chunk %llu of %llu is out of order",
                       (unsigned long long)number, (unsigned long long)w->cells);
    for (unsigned i = 0; i < w->rank; i++)
        if (extent[i] == 0 || extent[i] > w->chunks[i])
            return ut_fail(UNTORN_E_ARGUMENT, "manifest: chunk %llu: extent on axis %u",
                           (unsigned long long)number, i);
    uint64_t record[4] = {number, version, bytes, hash};
    put(w, record, sizeof record);
    put(w, extent, 8 * (size_t)w->rank);
    w->next_number = number + 1;
    w->count++;
    w->totals.chunks++;
    w->totals.file_bytes += bytes;
    w->totals.data_bytes += ut_product(w->rank, extent) * w->itemsize;
    return w->failed;
}

ut_manifest_totals ut_manifest_written(const ut_manifest_writer *w) {
    return w->totals;
}

// ------------------------------------------------------------ snapshot

untorn_status ut_manifest_begin_snapshot(ut_manifest_writer **writer,
                                         const ut_manifest_snapshot *head, ut_manifest_sink *sink,
                                         void *context) {
    untorn_status status = make(writer, sink, context);
    if (status != UNTORN_OK)
        return status;
    struct ut_manifest_snapshot_head h = {
        .head = make_head(UT_MANIFEST_SNAPSHOT, sizeof h, head->zarr_format, head->uuid),
        .commit = head->commit,
        .time = head->time,
        .next_uid = head->next_uid,
        .nonce = {head->lineage.nonce[0], head->lineage.nonce[1]},
        .origin_nonce = {head->lineage.origin_nonce[0], head->lineage.origin_nonce[1]},
        .origin_commit = head->lineage.origin_commit};
    put(*writer, &h, sizeof h);
    return UNTORN_OK;
}

untorn_status ut_manifest_add_object(ut_manifest_writer *w, const ut_manifest_object *object) {
    if (w->failed != UNTORN_OK)
        return w->failed;
    size_t name = strlen(object->name), directory = strlen(object->directory),
           attributes = strlen(object->attributes);
    if (name > UNTORN_MAX_NAME || directory > UT_MANIFEST_MAX_DIRECTORY ||
        attributes > UNTORN_MAX_ATTRIBUTES)
        return ut_fail(UNTORN_E_ARGUMENT, "manifest: object \"%.64s\": a text is too long",
                       object->name);
    if (w->count > 0 && strcmp(w->last_name, object->name) >= 0)
        return ut_fail(UNTORN_E_ARGUMENT, "manifest: object \"%s\" is out of order", object->name);
    uint64_t bytes = sizeof(struct ut_manifest_entry) + name + directory + attributes + 3;
    const struct ut_manifest_entry_totals totals = {
        object->totals.chunks, object->totals.file_bytes, object->totals.data_bytes};
    uint32_t totals_bytes = object->totals.known ? sizeof totals : 0;
    struct ut_manifest_entry entry = {.bytes = (uint32_t)ut_manifest_padded(bytes) + totals_bytes,
                                      .kind = object->kind,
                                      .uid = object->uid,
                                      .generation = object->generation,
                                      .commit = object->commit,
                                      .data_commit = object->data_commit,
                                      .time = object->time,
                                      .file_bytes = object->file_bytes,
                                      .file_hash = object->file_hash,
                                      .name_bytes = (uint32_t)name,
                                      .directory_bytes = (uint32_t)directory,
                                      .attributes_bytes = (uint32_t)attributes,
                                      .totals_bytes = totals_bytes};
    put(w, &entry, sizeof entry);
    put(w, object->name, name + 1);
    put(w, object->directory, directory + 1);
    put(w, object->attributes, attributes + 1);
    pad(w, bytes);
    put(w, &totals, totals_bytes);
    memcpy(w->last_name, object->name, name + 1);
    w->count++;
    return w->failed;
}

// ------------------------------------------------------------ end

untorn_status ut_manifest_end(ut_manifest_writer *w, uint64_t *bytes, uint64_t *hash) {
    struct ut_manifest_trailer trailer = {.count = w->count,
                                          .file_bytes = w->bytes + w->buffered + sizeof trailer,
                                          .magic = UT_MANIFEST_END_MAGIC};
    put(w, &trailer, offsetof(struct ut_manifest_trailer, hash));
    flush(w);
    trailer.hash = XXH3_64bits_digest(w->hash);
    if (w->failed == UNTORN_OK)
        w->failed = w->sink(w->context, &trailer.hash, sizeof trailer.hash);
    untorn_status status = w->failed;
    if (status == UNTORN_OK && bytes != NULL)
        *bytes = trailer.file_bytes;
    if (status == UNTORN_OK && hash != NULL)
        *hash = trailer.hash;
    ut_manifest_abandon(w);
    return status;
}

void ut_manifest_abandon(ut_manifest_writer *w) {
    if (w == NULL)
        return;
    XXH3_freeState(w->hash);
    free(w);
}
