// SPDX-License-Identifier: MIT
/*
 * Reading manifests.  Everything is checked once, when a manifest is opened, in
 * this order: whether it is a manifest at all, of this version; whether it is
 * whole, by its length and its hash; then, since a hash can be made to fit, every
 * field and record.  What is looked up later may rely on that.
 */
#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "array/grid.h"
#include "array/json.h"
#include "array/name.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/codec.h"
#include "store/manifest_layout.h"

static untorn_status corrupt(const char *what) {
    return ut_fail(UNTORN_E_CORRUPT, "damaged manifest: %s", what);
}

/* What both kinds have in common; after this, the first `known` bytes may be looked at. */
static untorn_status check_file(const void *bytes, size_t n, unsigned kind, size_t known,
                                struct ut_manifest_trailer *trailer) {
    if ((uintptr_t)bytes % 8 != 0)
        return ut_fail(UNTORN_E_ARGUMENT, "manifest: memory is not aligned to 8");
    struct ut_manifest_head head;
    if (n < sizeof head)
        return ut_fail(UNTORN_E_CORRUPT, "damaged manifest: it has %zu bytes only", n);
    memcpy(&head, bytes, sizeof head);
    if (head.magic != UT_MANIFEST_MAGIC)
        return corrupt("not a manifest");
    if (head.version != UT_MANIFEST_VERSION || head.required != 0)
        return ut_fail(UNTORN_E_VERSION,
                       "manifest has version %u and features %#x; this is version %u", head.version,
                       head.required, UT_MANIFEST_VERSION);
    if (head.byte_order != UT_MANIFEST_BYTE_ORDER)
        return corrupt("byte order");
    if (n % 8 != 0 || n < known + sizeof *trailer)
        return corrupt("truncated");
    memcpy(trailer, (const char *)bytes + n - sizeof *trailer, sizeof *trailer);
    if (trailer->magic != UT_MANIFEST_END_MAGIC || trailer->file_bytes != n)
        return corrupt("truncated");
    if (trailer->hash != ut_hash(bytes, n - sizeof trailer->hash))
        return corrupt("its hash is not that of its content");
    if (head.kind != kind)
        return corrupt("of another kind");
    if (head.head_bytes < known || head.head_bytes % 8 != 0 ||
        head.head_bytes > n - sizeof *trailer)
        return corrupt("length of its head");
    if (head.zarr_format != 2 && head.zarr_format != 3)
        return corrupt("Zarr format");
    return UNTORN_OK;
}

/* ------------------------------------------------------------ array */

static const ut_manifest_chunk *record_at(const ut_manifest_array *array, uint64_t i) {
    return (const ut_manifest_chunk *)(const void *)(array->records + i * array->record_bytes);
}

static bool good_record(const ut_manifest_array *array, ut_codec codec, uint64_t cells,
                        const ut_manifest_chunk *chunk) {
    const ut_definition *definition = array->definition;
    if (chunk->number >= cells || chunk->version == 0 || chunk->version > array->commit)
        return false;
    for (unsigned i = 0; i < array->rank; i++)
        if (chunk->extent[i] == 0 || chunk->extent[i] > definition->chunks[i])
            return false;
    uint64_t most = ut_codec_bound(codec, definition->slot_bytes);
    uint64_t least = codec == UT_CODEC_NONE ? most : ut_codec_bound(codec, 0);
    return chunk->bytes >= least && chunk->bytes <= most;
}

static untorn_status check_records(const ut_manifest_array *array) {
    ut_codec codec;
    untorn_status status = ut_codec_parse(array->definition->codec, &codec);
    if (status != UNTORN_OK)
        return corrupt("codec");
    uint64_t cells = 1;
    for (unsigned i = 0; i < array->rank; i++)
        cells *= array->cells[i];
    for (uint64_t i = 0; i < array->count; i++) {
        const ut_manifest_chunk *chunk = record_at(array, i);
        if (!good_record(array, codec, cells, chunk) ||
            (i > 0 && record_at(array, i - 1)->number >= chunk->number))
            return ut_fail(UNTORN_E_CORRUPT, "damaged manifest: array \"%s\": chunk record %llu",
                           array->definition->name, (unsigned long long)i);
    }
    return UNTORN_OK;
}

/* Sections behind the head: where they are, that they fit, and the records are what is left. */
static untorn_status find_sections(const unsigned char *bytes, size_t n,
                                   const struct ut_manifest_array_head *h, uint64_t count,
                                   ut_manifest_array *array, size_t *definition) {
    uint64_t at = h->head.head_bytes, end = n - sizeof(struct ut_manifest_trailer);
    if (h->definition_bytes > UT_MAX_DEFINITION || h->attributes_bytes > UNTORN_MAX_ATTRIBUTES)
        return corrupt("definition or attributes are too long");
    *definition = (size_t)at;
    at += ut_manifest_padded(h->definition_bytes);
    uint64_t attributes = at;
    at += ut_manifest_padded(h->attributes_bytes + 1);
    if (at > end)
        return corrupt("definition or attributes exceed it");
    array->attributes = (const char *)bytes + attributes;
    if (memchr(array->attributes, '\0', h->attributes_bytes + 1) !=
        array->attributes + h->attributes_bytes)
        return corrupt("attributes");
    if (h->record_bytes < sizeof(ut_manifest_chunk) + 8 * (size_t)h->rank ||
        h->record_bytes > UT_MANIFEST_MAX_RECORD || h->record_bytes % 8 != 0 ||
        count != (end - at) / h->record_bytes || (end - at) % h->record_bytes != 0)
        return corrupt("number of chunk records");
    array->records = bytes + at;
    array->record_bytes = h->record_bytes;
    array->count = count;
    return UNTORN_OK;
}

static untorn_status check_array(const struct ut_manifest_array_head *h, ut_manifest_array *array) {
    const ut_definition *definition = array->definition;
    if (definition->kind != UT_KIND_ARRAY || definition->uid != h->uid ||
        definition->rank != h->rank || definition->name[0] == '\0')
        return corrupt("definition");
    if (h->commit == 0 || h->data_commit > h->commit || h->generation == 0)
        return corrupt("commit or generation");
    if (!ut_grid_valid(array->rank, array->shape, definition->chunks, definition->dtype.itemsize))
        return corrupt("shape");
    ut_grid_cells(array->rank, array->shape, definition->chunks, array->cells);
    if (array->attributes[0] != '\0' && ut_json_check_object(array->attributes) != UNTORN_OK)
        return ut_fail(UNTORN_E_CORRUPT, "damaged manifest: %s", untorn_message());
    return check_records(array);
}

untorn_status ut_manifest_open_array(const void *bytes, size_t n, ut_manifest_array *out) {
    struct ut_manifest_array_head h;
    struct ut_manifest_trailer trailer;
    untorn_status status = check_file(bytes, n, UT_MANIFEST_ARRAY, sizeof h, &trailer);
    if (status != UNTORN_OK)
        return status;
    memcpy(&h, bytes, sizeof h);
    if (h.rank > UNTORN_MAX_RANK)
        return corrupt("rank");
    ut_manifest_array array = {.uuid = {h.head.uuid[0], h.head.uuid[1]},
                               .uid = h.uid,
                               .generation = h.generation,
                               .commit = h.commit,
                               .data_commit = h.data_commit,
                               .time = h.time,
                               .zarr_format = h.head.zarr_format,
                               .rank = h.rank,
                               .file_bytes = n,
                               .file_hash = trailer.hash};
    memcpy(array.shape, h.shape, h.rank * sizeof *h.shape);
    size_t definition = 0;
    status = find_sections(bytes, n, &h, trailer.count, &array, &definition);
    if (status != UNTORN_OK)
        return status;
    status = ut_definition_decode((const char *)bytes + definition, h.definition_bytes,
                                  &array.definition);
    if (status != UNTORN_OK)
        return ut_fail(status, "manifest: %s", untorn_message());
    status = check_array(&h, &array);
    if (status != UNTORN_OK) {
        ut_manifest_close_array(&array);
        return status;
    }
    *out = array;
    return UNTORN_OK;
}

void ut_manifest_close_array(ut_manifest_array *array) {
    ut_definition_drop(array->definition);
    array->definition = NULL;
}

const ut_manifest_chunk *ut_manifest_chunk_at(const ut_manifest_array *array, uint64_t i) {
    return i < array->count ? record_at(array, i) : NULL;
}

const ut_manifest_chunk *ut_manifest_find_chunk(const ut_manifest_array *array, uint64_t number) {
    uint64_t low = 0, high = array->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const ut_manifest_chunk *chunk = record_at(array, middle);
        if (chunk->number == number)
            return chunk;
        if (chunk->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

ut_manifest_totals ut_manifest_count(const ut_manifest_array *array) {
    ut_manifest_totals totals = {.known = true, .chunks = array->count};
    for (uint64_t i = 0; i < array->count; i++) {
        const ut_manifest_chunk *chunk = record_at(array, i);
        totals.file_bytes += chunk->bytes;
        totals.data_bytes +=
            ut_product(array->rank, chunk->extent) * array->definition->dtype.itemsize;
    }
    return totals;
}

bool ut_manifest_same_chunk(const ut_manifest_chunk *chunk, unsigned rank, uint64_t version,
                            const uint64_t *extent) {
    if (chunk->version != version)
        return false;
    for (unsigned i = 0; i < rank; i++)
        if (chunk->extent[i] != extent[i])
            return false;
    return true;
}

/* ------------------------------------------------------------ snapshot */

static const struct ut_manifest_entry *entry_at(const ut_manifest_snapshot *snapshot, uint64_t i) {
    return (const struct ut_manifest_entry *)(const void *)(snapshot->bytes + snapshot->offsets[i]);
}

static const char *entry_name(const ut_manifest_snapshot *snapshot, uint64_t i) {
    return (const char *)(entry_at(snapshot, i) + 1);
}

/* Of an entry and its texts, padded. */
static uint64_t bytes_before_totals(const struct ut_manifest_entry *entry) {
    uint64_t texts = (uint64_t)entry->name_bytes + entry->directory_bytes + entry->attributes_bytes;
    return ut_manifest_padded(sizeof *entry + texts + 3);
}

static ut_manifest_totals totals_of(const struct ut_manifest_entry *entry) {
    struct ut_manifest_entry_totals totals;
    if (entry->totals_bytes == 0)
        return (ut_manifest_totals){.known = false};
    memcpy(&totals, (const char *)entry + bytes_before_totals(entry), sizeof totals);
    return (ut_manifest_totals){true, totals.chunks, totals.file_bytes, totals.data_bytes};
}

void ut_manifest_object_at(const ut_manifest_snapshot *snapshot, uint64_t i,
                           ut_manifest_object *object) {
    const struct ut_manifest_entry *entry = entry_at(snapshot, i);
    const char *name = (const char *)(entry + 1), *directory = name + entry->name_bytes + 1;
    *object = (ut_manifest_object){.kind = entry->kind,
                                   .uid = entry->uid,
                                   .generation = entry->generation,
                                   .commit = entry->commit,
                                   .data_commit = entry->data_commit,
                                   .time = entry->time,
                                   .file_bytes = entry->file_bytes,
                                   .file_hash = entry->file_hash,
                                   .name = name,
                                   .directory = directory,
                                   .attributes = directory + entry->directory_bytes + 1,
                                   .totals = totals_of(entry)};
}

/* The first object whose name is not below `name`. */
static uint64_t lower_bound(const ut_manifest_snapshot *snapshot, const char *name) {
    uint64_t low = 0, high = snapshot->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (strcmp(entry_name(snapshot, middle), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ut_manifest_find_object(const ut_manifest_snapshot *snapshot, const char *name,
                             ut_manifest_object *object) {
    uint64_t i = lower_bound(snapshot, name);
    if (i == snapshot->count || strcmp(entry_name(snapshot, i), name) != 0)
        return false;
    ut_manifest_object_at(snapshot, i, object);
    return true;
}

/* A text of exactly this length with its NUL. */
static bool good_text(const char *text, uint64_t length) {
    return memchr(text, '\0', (size_t)length + 1) == text + length;
}

/* Whether an entry of `room` bytes at most is whole; its texts may be looked at then. */
static bool whole_entry(const struct ut_manifest_entry *entry, uint64_t room) {
    if (room < sizeof *entry || entry->bytes > room || entry->bytes % 8 != 0 ||
        entry->name_bytes > UNTORN_MAX_NAME || entry->directory_bytes > UT_MANIFEST_MAX_DIRECTORY ||
        entry->attributes_bytes > UNTORN_MAX_ATTRIBUTES)
        return false;
    /* A multiple of 8 that holds the texts holds their padding. */
    uint64_t before = bytes_before_totals(entry), totals = entry->totals_bytes;
    if (entry->bytes < before || totals > entry->bytes - before ||
        (totals != 0 && totals < sizeof(struct ut_manifest_entry_totals)))
        return false;
    const char *name = (const char *)(entry + 1), *directory = name + entry->name_bytes + 1;
    return good_text(name, entry->name_bytes) && good_text(directory, entry->directory_bytes) &&
           good_text(directory + entry->directory_bytes + 1, entry->attributes_bytes);
}

/* A directory's name must not lead anywhere else.  "": the place of the array's name. */
static bool good_directory(const char *name) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    return name[0] != '.' && name[strspn(name, allowed)] == '\0';
}

static const char *check_object(const ut_manifest_snapshot *snapshot,
                                const ut_manifest_object *object) {
    bool is_array = object->kind == UT_KIND_ARRAY;
    if (!is_array && object->kind != UT_KIND_GROUP)
        return "kind";
    if ((object->name[0] != '\0' || is_array) && ut_name_check_array(object->name) != UNTORN_OK)
        return "name";
    if (is_array ? !good_directory(object->directory) : object->directory[0] != '\0')
        return "directory";
    if (is_array ? object->attributes[0] != '\0'
                 : object->attributes[0] != '\0' &&
                       ut_json_check_object(object->attributes) != UNTORN_OK)
        return "attributes";
    if (object->uid >= snapshot->next_uid)
        return "uid";
    if (object->generation == 0 || object->commit == 0 || object->commit > snapshot->commit ||
        object->data_commit > object->commit)
        return "commit or generation";
    return NULL;
}

static int compare_uids(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static untorn_status check_uids(const ut_manifest_snapshot *snapshot) {
    if (snapshot->count == 0)
        return UNTORN_OK;
    uint64_t *uids = malloc(snapshot->count * sizeof *uids);
    if (uids == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a manifest");
    for (uint64_t i = 0; i < snapshot->count; i++)
        uids[i] = entry_at(snapshot, i)->uid;
    qsort(uids, snapshot->count, sizeof *uids, compare_uids);
    bool twice = false;
    for (uint64_t i = 1; i < snapshot->count; i++)
        twice |= uids[i - 1] == uids[i];
    free(uids);
    return twice ? corrupt("a uid occurs twice") : UNTORN_OK;
}

/* Nothing lies below an array. */
static untorn_status check_nesting(const ut_manifest_snapshot *snapshot, uint64_t i) {
    char below[UNTORN_MAX_NAME + 2];
    const struct ut_manifest_entry *entry = entry_at(snapshot, i);
    if (entry->kind != UT_KIND_ARRAY)
        return UNTORN_OK;
    memcpy(below, entry + 1, entry->name_bytes);
    memcpy(below + entry->name_bytes, "/", 2);
    uint64_t next = lower_bound(snapshot, below);
    if (next < snapshot->count &&
        strncmp(entry_name(snapshot, next), below, entry->name_bytes + 1) == 0)
        return ut_fail(UNTORN_E_CORRUPT, "damaged manifest: \"%s\" lies below an array",
                       entry_name(snapshot, next));
    return UNTORN_OK;
}

/* Walk all objects, note where they are and check each. */
static untorn_status index_objects(ut_manifest_snapshot *snapshot, uint64_t at, uint64_t end) {
    for (uint64_t i = 0; i < snapshot->count; i++) {
        const struct ut_manifest_entry *entry =
            (const struct ut_manifest_entry *)(const void *)(snapshot->bytes + at);
        const char *wrong = "length";
        if (whole_entry(entry, end - at)) {
            ut_manifest_object object;
            snapshot->offsets[i] = at;
            ut_manifest_object_at(snapshot, i, &object);
            wrong = check_object(snapshot, &object);
            if (wrong == NULL && i > 0 && strcmp(entry_name(snapshot, i - 1), object.name) >= 0)
                wrong = "order of names";
        }
        if (wrong != NULL)
            return ut_fail(UNTORN_E_CORRUPT, "damaged manifest: object %llu: %s",
                           (unsigned long long)i, wrong);
        at += entry->bytes;
    }
    if (at != end)
        return corrupt("more objects than it says");
    for (uint64_t i = 0; i < snapshot->count; i++) {
        untorn_status status = check_nesting(snapshot, i);
        if (status != UNTORN_OK)
            return status;
    }
    return check_uids(snapshot);
}

untorn_status ut_manifest_open_snapshot(const void *bytes, size_t n, ut_manifest_snapshot *out) {
    struct ut_manifest_snapshot_head h;
    struct ut_manifest_trailer trailer;
    untorn_status status = check_file(bytes, n, UT_MANIFEST_SNAPSHOT, sizeof h, &trailer);
    if (status != UNTORN_OK)
        return status;
    memcpy(&h, bytes, sizeof h);
    uint64_t end = n - sizeof trailer;
    if (trailer.count > (end - h.head.head_bytes) / sizeof(struct ut_manifest_entry))
        return corrupt("number of objects");
    ut_manifest_snapshot snapshot = {.uuid = {h.head.uuid[0], h.head.uuid[1]},
                                     .commit = h.commit,
                                     .time = h.time,
                                     .next_uid = h.next_uid,
                                     .zarr_format = h.head.zarr_format,
                                     .lineage = {{h.nonce[0], h.nonce[1]},
                                                 {h.origin_nonce[0], h.origin_nonce[1]},
                                                 h.origin_commit},
                                     .count = trailer.count,
                                     .bytes = bytes,
                                     .file_bytes = n,
                                     .file_hash = trailer.hash};
    snapshot.offsets = malloc((size_t)snapshot.count * sizeof *snapshot.offsets + 1);
    if (snapshot.offsets == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a manifest");
    status = index_objects(&snapshot, h.head.head_bytes, end);
    if (status != UNTORN_OK) {
        ut_manifest_close_snapshot(&snapshot);
        return status;
    }
    *out = snapshot;
    return UNTORN_OK;
}

void ut_manifest_close_snapshot(ut_manifest_snapshot *snapshot) {
    free(snapshot->offsets);
    snapshot->offsets = NULL;
}
