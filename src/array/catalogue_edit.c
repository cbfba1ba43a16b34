// SPDX-License-Identifier: MIT
/*
 * What an open transaction does to the catalogue: it enters definitions and takes them out, and
 * keeps the buckets of names (name_bucket.h) in step.
 *
 * What belongs together is changed at once: first all slots are taken and filled, which may fail,
 * then the cells refer to them.  A bucket whose slot is of this transaction is changed in place.
 */
#include "array/catalogue_edit.h"

#include "array/name_bucket.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static untorn_status no_memory(const untorn_writer *writer) {
    return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", writer->segment.message_name);
}

/* --- cells --- */

/* A cell that gets another text. */
typedef struct edit {
    uint64_t cell;
    ut_view old;
    uint64_t offset, bytes; /* of the new text's slot; 0: the cell becomes absent */
} edit;

static untorn_status prepare(untorn_writer *writer, edit *e, uint64_t cell, uint64_t bytes) {
    *e = (edit){.cell = cell};
    untorn_status status = ut_chunk_view(&writer->catalogue, cell, &e->old);
    if (status != UNTORN_OK || bytes == 0)
        return status;
    e->bytes = bytes;
    return ut_space_take(&writer->publisher, writer->catalogue.object, bytes, &e->offset);
}

static void give_up(untorn_writer *writer, const edit *edits, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (edits[i].offset != 0)
            ut_space_give(&writer->publisher, edits[i].offset, edits[i].bytes);
}

/* The old text: superseded if readers may reach it. */
static void drop_old(untorn_writer *writer, const edit *e) {
    if (e->old.offset == 0)
        return;
    ut_object *object = writer->catalogue.object;
    uint64_t bytes = ut_slot_bytes(&writer->segment, 0, e->old.offset);
    if (e->old.version != 0)
        object->dropped.list[object->dropped.count++] =
            (ut_item){.offset = e->old.offset, .bytes = bytes, .born = e->old.version};
    else
        ut_space_give(&writer->publisher, e->old.offset, bytes);
}

/* All of them or none; on failure the new slots are given back. */
static untorn_status apply(untorn_writer *writer, const edit *edits, size_t count) {
    ut_object *object = writer->catalogue.object;
    ut_writer_touch(&writer->catalogue);
    untorn_status status = ut_items_reserve(&object->dropped, count);
    for (size_t i = 0; i < count && status == UNTORN_OK; i++) {
        ut_change *change = ut_changes_put(&object->changes, edits[i].cell);
        if (change != NULL) {
            *change = (ut_change){.number = edits[i].cell, .offset = edits[i].offset};
            continue;
        }
        status = no_memory(writer);
        while (i-- > 0) {
            const ut_view *old = &edits[i].old;
            *ut_changes_find(&object->changes, edits[i].cell) =
                (ut_change){edits[i].cell, old->offset, old->flags, old->version};
        }
        break;
    }
    if (status != UNTORN_OK) {
        give_up(writer, edits, count);
        return status;
    }
    for (size_t i = 0; i < count; i++)
        drop_old(writer, &edits[i]);
    object->data_changed = true;
    return UNTORN_OK;
}

/* --- buckets --- */

/* A private copy of a bucket's text. */
typedef struct bucket {
    ut_text *text;
    ut_name_pair *pairs; /* what follows it */
    size_t count;        /* of those that are used; they come first */
    ut_view view;        /* where the bucket is */
} bucket;

/* An empty one with room for so many pairs. */
static untorn_status new_bucket(const untorn_writer *writer, bucket *b, size_t pairs) {
    b->text = malloc(sizeof *b->text + ut_name_bucket_capacity(pairs) * sizeof *b->pairs);
    if (b->text == NULL)
        return no_memory(writer);
    b->pairs = (ut_name_pair *)(void *)(b->text + 1);
    b->count = 0;
    return UNTORN_OK;
}

/* With room for one pair more. */
static untorn_status read_bucket_at(untorn_writer *writer, uint64_t number, ut_view view,
                                    bucket *b) {
    ut_segment *segment = &writer->segment;
    *b = (bucket){NULL, NULL, 0, view};
    uint64_t offset = view.offset;
    if (offset == 0)
        return new_bucket(writer, b, 1);
    uint64_t bytes = ut_slot_bytes(segment, 0, offset);
    const ut_text *text = ut_at(segment, offset, bytes);
    if (text == NULL || bytes == 0 || bytes % UT_UNIT != 0 ||
        bytes > sizeof *text + UT_MAX_BUCKET ||
        ut_hash(text + 1, bytes - sizeof *text) != text->check)
        return ut_fail(UNTORN_E_CORRUPT, "%s: damaged catalogue: bucket %" PRIu64 " of the names",
                       segment->message_name, number);
    size_t most = (bytes - sizeof *text) / sizeof *b->pairs;
    untorn_status status = new_bucket(writer, b, most + 1);
    if (status != UNTORN_OK)
        return status;
    const ut_name_pair *pairs = (const ut_name_pair *)(const void *)(text + 1);
    for (size_t i = 0; i < most; i++)
        if (pairs[i].object != 0)
            b->pairs[b->count++] = pairs[i];
    return UNTORN_OK;
}

/* As it is in the open transaction. */
static untorn_status read_bucket(untorn_writer *writer, uint64_t number, bucket *b) {
    ut_view view;
    untorn_status status = ut_chunk_view(&writer->catalogue, number * UT_CATALOGUE_STRIDE, &view);
    return status == UNTORN_OK ? read_bucket_at(writer, number, view, b) : status;
}

static void write_bucket(untorn_writer *writer, const bucket *b, uint64_t offset, uint64_t bytes) {
    b->text->length = bytes - sizeof *b->text;
    memset(b->pairs + b->count, 0, b->text->length - b->count * sizeof *b->pairs);
    b->text->check = ut_hash(b->pairs, b->text->length);
    ut_racy_copy(writer->segment.base + offset, b->text, bytes);
}

/* A new slot with these pairs, to be applied. */
static untorn_status prepare_bucket(untorn_writer *writer, edit *e, uint64_t number,
                                    const bucket *b) {
    uint64_t bytes = 0;
    if (b->count > 0)
        bytes = sizeof *b->text + ut_name_bucket_capacity(b->count) * sizeof *b->pairs;
    untorn_status status = prepare(writer, e, number * UT_CATALOGUE_STRIDE, bytes);
    if (status == UNTORN_OK && bytes > 0)
        write_bucket(writer, b, e->offset, bytes);
    return status;
}

/* How many bytes the bucket's slot has if it is this transaction's and the pairs fit; else 0. */
static uint64_t slot_to_rewrite(untorn_writer *writer, const bucket *b) {
    if (b->view.offset == 0 || (b->view.version != 0 && !UT_SEEDED(334)))
        return 0;
    uint64_t bytes = ut_slot_bytes(&writer->segment, 0, b->view.offset);
    return sizeof *b->text + b->count * sizeof *b->pairs <= bytes ? bytes : 0;
}

/* Apply the change of a definition, which is prepared or not as `status` says, and that of its
 * bucket. */
static untorn_status apply_with_bucket(untorn_writer *writer, untorn_status status,
                                       const edit *definition, uint64_t number, const bucket *b) {
    edit edits[2] = {*definition, {0}};
    uint64_t slot = slot_to_rewrite(writer, b);
    if (status == UNTORN_OK && slot == 0)
        status = prepare_bucket(writer, &edits[1], number, b);
    if (status != UNTORN_OK) {
        give_up(writer, edits, 2);
        return status;
    }
    status = apply(writer, edits, slot == 0 ? 2 : 1);
    if (status == UNTORN_OK && slot != 0)
        write_bucket(writer, b, b->view.offset, slot);
    return status;
}

/* --- growing --- */

/* Bucket `number` gets what is its of its parent's. */
static untorn_status split(untorn_writer *writer, uint64_t number) {
    uint64_t parent = ut_name_bucket_parent(number);
    bucket b;
    untorn_status status = read_bucket(writer, parent, &b);
    if (status != UNTORN_OK)
        return status;
    bucket fresh;
    status = new_bucket(writer, &fresh, b.count);
    if (status != UNTORN_OK) {
        free(b.text);
        return status;
    }
    size_t all = b.count;
    b.count = 0;
    for (size_t i = 0; i < all; i++) {
        bucket *to = ut_name_bucket(b.pairs[i].hash, number + 1) == number ? &fresh : &b;
        to->pairs[to->count++] = b.pairs[i];
    }
    if (fresh.count > 0 && !UT_SEEDED(332)) {
        edit edits[2] = {{0}, {0}};
        status = prepare_bucket(writer, &edits[0], number, &fresh);
        if (status == UNTORN_OK)
            status = prepare_bucket(writer, &edits[1], parent, &b);
        if (status == UNTORN_OK)
            status = apply(writer, edits, 2);
        else
            give_up(writer, edits, 2);
    }
    free(fresh.text);
    free(b.text);
    return status;
}

/* Until there is a cell for this object.  What was grown stays if it fails half-way. */
static untorn_status grow(untorn_writer *writer, uint32_t object) {
    untorn_writer_array *catalogue = &writer->catalogue;
    ut_writer_touch(catalogue);
    while (catalogue->shape[0] <= object) {
        uint64_t now = catalogue->shape[0], next = now < 2 ? 2 : now + 1;
        uint64_t buckets = ut_catalogue_buckets(now);
        if (buckets != 0 && buckets < ut_catalogue_buckets(next)) {
            untorn_status status = split(writer, buckets);
            if (status != UNTORN_OK)
                return status;
        }
        catalogue->shape[0] = next;
        catalogue->object->next.shape[0] = next;
        catalogue->object->next.cells = ut_catalogue_cells(next);
        catalogue->object->data_changed = true;
    }
    return UNTORN_OK;
}

/* --- one definition --- */

/* A new text for a definition, to be applied. */
static untorn_status prepare_definition(untorn_writer *writer, edit *e, uint32_t object,
                                        const ut_definition *definition) {
    unsigned char text[4096], *encoded = text;
    if (definition->text_bytes > sizeof text && (encoded = malloc(definition->text_bytes)) == NULL)
        return no_memory(writer);
    untorn_status status = prepare(writer, e, ut_catalogue_cell(object), definition->text_bytes);
    if (status == UNTORN_OK) {
        ut_definition_encode(definition, encoded);
        ut_racy_copy(writer->segment.base + e->offset, encoded, definition->text_bytes);
    }
    if (encoded != text)
        free(encoded);
    return status;
}

untorn_status ut_catalogue_enter(untorn_writer *writer, uint32_t object,
                                 const ut_definition *definition) {
    untorn_status status = grow(writer, object);
    if (status != UNTORN_OK)
        return status;
    uint32_t hash = ut_name_hash(definition->name);
    uint64_t number = ut_name_bucket(hash, ut_catalogue_buckets(writer->catalogue.shape[0]));
    bucket b;
    status = read_bucket(writer, number, &b);
    if (status != UNTORN_OK)
        return status;
    b.pairs[b.count++] = (ut_name_pair){hash, object};
    edit entered;
    status = prepare_definition(writer, &entered, object, definition);
    status = apply_with_bucket(writer, status, &entered, number, &b);
    free(b.text);
    return status;
}

untorn_status ut_catalogue_remove(untorn_writer *writer, uint32_t object, const char *name) {
    ut_writer_touch(&writer->catalogue);
    uint64_t number =
        ut_name_bucket(ut_name_hash(name), ut_catalogue_buckets(writer->catalogue.shape[0]));
    bucket b;
    untorn_status status = read_bucket(writer, number, &b);
    if (status != UNTORN_OK)
        return status;
    size_t all = b.count;
    b.count = 0;
    for (size_t i = 0; i < all; i++)
        if (b.pairs[i].object != object || UT_SEEDED(333))
            b.pairs[b.count++] = b.pairs[i];
    edit removed;
    status = prepare(writer, &removed, ut_catalogue_cell(object), 0);
    status = apply_with_bucket(writer, status, &removed, number, &b);
    free(b.text);
    return status;
}

/* --- taking over --- */

typedef struct check {
    untorn_writer *writer;
    uint64_t buckets;
    bool *seen; /* by object */
    size_t named;
} check;

/* Each pair of a bucket has to be of another object, and right. */
static untorn_status check_bucket(void *context, uint64_t cell, ut_place place) {
    check *c = context;
    untorn_writer *writer = c->writer;
    if (cell % UT_CATALOGUE_STRIDE != 0)
        return UNTORN_OK;
    uint64_t number = cell / UT_CATALOGUE_STRIDE;
    bucket b;
    ut_view view = {ut_ref_offset(place.ref), place.ref & UT_REF_FLAGS, place.version};
    untorn_status status = read_bucket_at(writer, number, view, &b);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < b.count && status == UNTORN_OK; i++) {
        ut_name_pair pair = b.pairs[i];
        const untorn_writer_array *array =
            pair.object < writer->arrays_capacity ? writer->arrays[pair.object] : NULL;
        if (array == NULL || c->seen[pair.object] ||
            ut_name_bucket(pair.hash, c->buckets) != number ||
            ut_name_hash(array->definition->name) != pair.hash)
            status = ut_fail(UNTORN_E_CORRUPT,
                             "%s: damaged catalogue: object %" PRIu32
                             " does not belong into bucket %" PRIu64 " of the names",
                             writer->segment.message_name, pair.object, number);
        else
            c->seen[pair.object] = true;
        c->named++;
    }
    free(b.text);
    return status;
}

untorn_status ut_catalogue_check_names(untorn_writer *writer) {
    const ut_object *object = writer->catalogue.object;
    check c = {.writer = writer, .buckets = ut_catalogue_buckets(object->now.shape[0])};
    c.seen = calloc((size_t)writer->arrays_capacity + 1, sizeof *c.seen);
    if (c.seen == NULL)
        return no_memory(writer);
    untorn_status status =
        ut_table_walk(&writer->publisher, object, 0, object->now.cells, check_bucket, &c);
    free(c.seen);
    size_t there = 0;
    for (uint32_t i = 0; i < writer->arrays_capacity; i++)
        there += writer->arrays[i] != NULL;
    if (status == UNTORN_OK && c.named != there)
        status = ut_fail(UNTORN_E_CORRUPT, "%s: damaged catalogue: %zu names for %zu definitions",
                         writer->segment.message_name, c.named, there);
    return status;
}
