// SPDX-License-Identifier: MIT
/*
 * Defining, finding and deleting arrays and groups: the writer's side of the
 * catalogue.
 *
 * The catalogue is an object like any other: a table of texts, one for each
 * object, published with the same commit as what it describes.  Which cell is an
 * object's is in segment/layout.h.
 */
#include "array/writer.h"

#include "array/catalogue_edit.h"
#include "array/grid.h"
#include "array/json.h"
#include "array/name.h"
#include "base/hash.h"
#include "base/status.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static untorn_status fail_name(const untorn_writer *writer, untorn_status status, const char *name,
                               const char *reason) {
    return ut_fail(status, "%s: array \"%.256s\": %s", writer->segment.message_name, name, reason);
}

void ut_writer_free_array(untorn_writer_array *array) {
    if (array == NULL)
        return;
    ut_definition_drop(array->definition);
    free(array);
}

static untorn_status register_array(untorn_writer *writer, untorn_writer_array *array) {
    uint32_t index = array->object->index;
    if (index >= writer->arrays_capacity) {
        uint32_t capacity = writer->arrays_capacity != 0 ? writer->arrays_capacity : 64;
        while (capacity <= index)
            capacity *= 2;
        untorn_writer_array **arrays =
            realloc(writer->arrays, capacity * sizeof(untorn_writer_array *));
        if (arrays == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", writer->segment.message_name);
        memset(arrays + writer->arrays_capacity, 0,
               (capacity - writer->arrays_capacity) * sizeof(untorn_writer_array *));
        writer->arrays = arrays;
        writer->arrays_capacity = capacity;
    }
    writer->arrays[index] = array;
    return UNTORN_OK;
}

/* --- taking over a catalogue --- */

static untorn_status load_entry(void *context, uint64_t cell, ut_place place) {
    untorn_writer *writer = context;
    if (cell % UT_CATALOGUE_STRIDE == 0) /* a bucket of names: looked at when all are there */
        return UNTORN_OK;
    uint64_t number = cell - cell / UT_CATALOGUE_STRIDE;
    ut_segment *segment = &writer->segment;
    uint64_t offset = ut_ref_offset(place.ref);
    uint64_t bytes = ut_slot_bytes(segment, 0, offset);
    const ut_text *text = ut_at(segment, offset, bytes);
    if (bytes < sizeof *text || text == NULL || number >= writer->publisher.object_count ||
        ut_hash(text + 1, text->length) != text->check)
        return ut_fail(UNTORN_E_CORRUPT, "%s: damaged definition of object %" PRIu64,
                       segment->message_name, number);
    ut_definition *definition;
    untorn_status status = ut_definition_decode(text + 1, text->length, &definition);
    if (status != UNTORN_OK)
        return ut_fail(status, "%s: object %" PRIu64 ": damaged definition", segment->message_name,
                       number);
    ut_object *object = writer->publisher.objects[number];
    untorn_writer_array *array = calloc(1, sizeof *array);
    if (array == NULL) {
        ut_definition_drop(definition);
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", segment->message_name);
    }
    array->writer = writer;
    array->object = object;
    array->definition = definition;
    const ut_descriptor *now = &object->now;
    memcpy(array->shape, now->shape, definition->rank * sizeof *array->shape);
    if (ut_object_is_free(object) || now->uid != definition->uid ||
        (now->kind & UT_KIND_MASK) != definition->kind ||
        ut_kind_rank(now->kind) != definition->rank ||
        (definition->kind == UT_KIND_ARRAY &&
         (!ut_grid_valid(definition->rank, now->shape, definition->chunks,
                         definition->dtype.itemsize) ||
          ut_grid_cells(definition->rank, now->shape, definition->chunks, array->cells) !=
              now->cells ||
          now->slot_bytes != definition->slot_bytes)))
        status = ut_fail(UNTORN_E_CORRUPT, "%s: \"%s\" does not fit its definition",
                         segment->message_name, definition->name);
    if (status == UNTORN_OK)
        status = register_array(writer, array);
    if (status == UNTORN_OK && ut_name_index_find(&writer->names, definition->name) != NULL &&
        ut_name_index_find(&writer->names, definition->name)->value != NULL)
        status = ut_fail(UNTORN_E_CORRUPT, "%s: \"%s\" is defined twice", segment->message_name,
                         definition->name);
    if (status == UNTORN_OK)
        status = ut_name_index_put(&writer->names, definition->name, array);
    if (status != UNTORN_OK) {
        if (number < writer->arrays_capacity && writer->arrays[number] == array)
            writer->arrays[number] = NULL;
        ut_writer_free_array(array);
    }
    return status;
}

untorn_status ut_writer_load_catalogue(untorn_writer *writer) {
    ut_object *object = writer->publisher.objects[0];
    writer->catalogue = (untorn_writer_array){.writer = writer, .object = object};
    writer->catalogue.shape[0] = object->now.shape[0];
    if ((object->now.kind & UT_KIND_MASK) != UT_KIND_CATALOGUE || object->now.uid != 1 ||
        ut_kind_rank(object->now.kind) != 1 || object->now.shape[0] > UT_MAX_OBJECTS ||
        object->now.cells != ut_catalogue_cells(object->now.shape[0]))
        return ut_fail(UNTORN_E_CORRUPT, "%s: damaged catalogue", writer->segment.message_name);
    untorn_status status =
        ut_table_walk(&writer->publisher, object, 0, object->now.cells, load_entry, writer);
    return status == UNTORN_OK ? ut_catalogue_check_names(writer) : status;
}

untorn_status ut_writer_rebuild_names(untorn_writer *writer) {
    ut_name_index_free(&writer->names);
    for (uint32_t i = 0; i < writer->arrays_capacity; i++) {
        if (writer->arrays[i] == NULL)
            continue;
        untorn_status status = ut_name_index_put(
            &writer->names, writer->arrays[i]->definition->name, writer->arrays[i]);
        if (status != UNTORN_OK)
            return status;
    }
    return UNTORN_OK;
}

/* --- defining --- */

untorn_status ut_writer_enter(untorn_writer *writer, ut_definition *definition,
                              const uint64_t *shape, untorn_writer_array **out) {
    untorn_status status;
    untorn_writer_array *array = calloc(1, sizeof *array);
    if (array == NULL) {
        status = ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", writer->segment.message_name);
        goto drop_definition;
    }
    array->writer = writer;
    array->definition = definition;
    array->created = true;
    ut_object *object;
    status = ut_object_new(&writer->publisher, &object);
    if (status != UNTORN_OK)
        goto free_array;
    array->object = object;
    memset(&object->now, 0, sizeof object->now);
    status = register_array(writer, array);
    if (status != UNTORN_OK)
        goto give_object;
    status = ut_name_index_put(&writer->names, definition->name, array);
    if (status != UNTORN_OK)
        goto unregister;
    status = ut_catalogue_enter(writer, object->index, definition);
    if (status != UNTORN_OK)
        goto remove_name;
    writer->names_changed = true;
    ut_writer_touch(array);
    object->next.uid = definition->uid;
    object->next.kind = ut_kind_make(definition->kind, definition->rank, 0);
    object->next.slot_bytes = definition->slot_bytes;
    if (definition->kind == UT_KIND_ARRAY) {
        if (definition->rank > 0) /* else there need be no shape */
            memcpy(array->shape, shape, definition->rank * sizeof *shape);
        ut_grid_cells(definition->rank, array->shape, definition->chunks, array->cells);
    }
    object->data_changed = true;
    *out = array;
    return UNTORN_OK;

remove_name:
    ut_name_index_remove(&writer->names, definition->name);
unregister:
    writer->arrays[object->index] = NULL;
give_object:
    ut_object_give(&writer->publisher, object);
free_array:
    free(array);
drop_definition:
    ut_definition_drop(definition);
    return status;
}

static uint64_t new_uid(untorn_writer *writer) {
    ut_superblock *super = writer->segment.super;
    uint64_t uid = ut_load_relaxed(&super->next_uid);
    /* Before it is used, so that a writer that dies does not leave it to the next. */
    ut_store_release(&super->next_uid, uid + 1);
    return uid;
}

/* Whether an array of this name may come to be. */
static untorn_status check_name_free(const untorn_writer *writer, const char *name) {
    untorn_status status = ut_name_check_array(name);
    if (status != UNTORN_OK)
        return status;
    const ut_name_entry *entry = ut_name_index_find(&writer->names, name);
    if (entry != NULL && entry->value != NULL) {
        const untorn_writer_array *there = entry->value;
        return there->definition->kind == UT_KIND_GROUP
                   ? fail_name(writer, UNTORN_E_NAME, name, "a group has this name")
                   : fail_name(writer, UNTORN_E_ARRAY_EXISTS, name, "exists");
    }
    if (entry != NULL && entry->below > 0)
        return fail_name(writer, UNTORN_E_NAME, name, "other arrays lie below this name");
    char prefix[UNTORN_MAX_NAME + 1];
    for (size_t i = 0; name[i] != '\0'; i++) {
        prefix[i] = '\0';
        if (name[i] == '/') {
            entry = ut_name_index_find(&writer->names, prefix);
            if (entry != NULL && entry->value != NULL &&
                ((untorn_writer_array *)entry->value)->definition->kind == UT_KIND_ARRAY) {
                char reason[UNTORN_MAX_NAME + 64];
                snprintf(reason, sizeof reason, "\"%.256s\" is an array, not a group", prefix);
                return fail_name(writer, UNTORN_E_NAME, name, reason);
            }
        }
        prefix[i] = name[i];
    }
    return UNTORN_OK;
}

/* --- the public calls --- */

untorn_status untorn_define(untorn_writer *writer, const char *name,
                            const untorn_definition *definition, untorn_writer_array **out) {
    untorn_status status = ut_writer_usable(writer);
    if (status != UNTORN_OK)
        return status;
    if (name == NULL || definition == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "%s: define: no name or no definition",
                       writer->segment.message_name);
    status = check_name_free(writer, name);
    if (status != UNTORN_OK)
        return status;
    if (definition->attributes != NULL &&
        (status = ut_json_check_object(definition->attributes)) != UNTORN_OK) {
        char reason[256];
        snprintf(reason, sizeof reason, "%s", untorn_message());
        return fail_name(writer, status, name, reason);
    }
    ut_definition *made;
    status = ut_definition_make(name, definition, new_uid(writer), &made);
    if (status == UNTORN_OK && writer->admit != NULL && (status = writer->admit(writer, made)))
        ut_definition_drop(made);
    if (status != UNTORN_OK)
        return status;
    untorn_writer_array *array;
    status = ut_writer_enter(writer, made, definition->shape, &array);
    if (status != UNTORN_OK)
        return status;
    if (definition->attributes != NULL) {
        status = untorn_set_attributes(array, definition->attributes);
        if (status != UNTORN_OK) {
            char message[512];
            snprintf(message, sizeof message, "%s", untorn_message());
            untorn_delete(writer, name);
            return ut_fail(status, "%s", message);
        }
    }
    if (out != NULL)
        *out = array;
    return UNTORN_OK;
}

untorn_status untorn_writer_array_open(untorn_writer *writer, const char *name,
                                       untorn_writer_array **array) {
    untorn_status status = ut_writer_usable(writer);
    if (status != UNTORN_OK)
        return status;
    if (name == NULL || array == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "%s: open: no name or no place for the handle",
                       writer->segment.message_name);
    const ut_name_entry *entry = ut_name_index_find(&writer->names, name);
    untorn_writer_array *found = entry != NULL ? entry->value : NULL;
    if (found == NULL || found->definition->kind != UT_KIND_ARRAY)
        return fail_name(writer, UNTORN_E_NO_ARRAY, name, "does not exist");
    *array = found;
    return UNTORN_OK;
}

untorn_status untorn_require(untorn_writer *writer, const char *name,
                             const untorn_definition *definition, untorn_writer_array **out) {
    untorn_writer_array *array;
    untorn_status status = untorn_writer_array_open(writer, name, &array);
    if (status == UNTORN_E_NO_ARRAY)
        return untorn_define(writer, name, definition, out);
    if (status != UNTORN_OK)
        return status;
    if (definition == NULL || definition->struct_size < offsetof(untorn_definition, codec))
        return fail_name(writer, UNTORN_E_ARGUMENT, name, "uninitialized definition");
    if (definition->dtype == NULL)
        return fail_name(writer, UNTORN_E_ARGUMENT, name, "the definition has no dtype");
    const ut_definition *there = array->definition;
    ut_dtype dtype;
    status = ut_dtype_parse(definition->dtype, &dtype);
    if (status != UNTORN_OK)
        return status;
    if (strcmp(dtype.text, there->dtype.text) != 0)
        return ut_writer_fail(array, UNTORN_E_MISMATCH, "has data type %s, not %s",
                              there->dtype.text, dtype.text);
    if (definition->rank != there->rank)
        return ut_writer_fail(array, UNTORN_E_MISMATCH, "has %u axes, not %u", there->rank,
                              definition->rank);
    for (unsigned i = 0; i < there->rank && definition->chunks != NULL; i++)
        if (definition->chunks[i] != there->chunks[i])
            return ut_writer_fail(array, UNTORN_E_MISMATCH,
                                  "has chunks of %" PRIu64 " on axis %u, not %" PRIu64,
                                  there->chunks[i], i, definition->chunks[i]);
    if (out != NULL)
        *out = array;
    return UNTORN_OK;
}

/* The array was defined in the open transaction: it never was. */
static untorn_status delete_created(untorn_writer *writer, untorn_writer_array *array) {
    untorn_status status =
        ut_catalogue_remove(writer, array->object->index, array->definition->name);
    if (status != UNTORN_OK)
        return status;
    ut_chunks_forget(array);
    if (array->attributes != 0)
        ut_space_give(&writer->publisher, array->attributes, array->attributes_bytes);
    ut_object_clear_transaction(array->object);
    if (array->previous_touched != NULL)
        array->previous_touched->next_touched = array->next_touched;
    else
        writer->touched = array->next_touched;
    if (array->next_touched != NULL)
        array->next_touched->previous_touched = array->previous_touched;
    writer->arrays[array->object->index] = NULL;
    ut_object_give(&writer->publisher, array->object);
    ut_writer_free_array(array);
    return UNTORN_OK;
}

untorn_status untorn_delete(untorn_writer *writer, const char *name) {
    untorn_writer_array *array;
    untorn_status status = untorn_writer_array_open(writer, name, &array);
    if (status != UNTORN_OK)
        return status;
    for (size_t i = 0; i < writer->filling_count; i++)
        if (writer->filling[i].array == array)
            return ut_writer_fail(array, UNTORN_E_STATE, "a chunk is still being filled");
    if (array->created) {
        char copy[UNTORN_MAX_NAME + 1];
        snprintf(copy, sizeof copy, "%s", name);
        status = delete_created(writer, array);
        if (status == UNTORN_OK)
            ut_name_index_remove(&writer->names, copy);
        return status;
    }
    ut_writer_touch(array);
    ut_object *object = array->object;
    /* First what may find no space: the rest takes none. */
    status = ut_catalogue_remove(writer, object->index, name);
    if (status == UNTORN_OK)
        status = ut_chunks_drop_all(array);
    if (status == UNTORN_OK)
        status = untorn_set_attributes(array, NULL);
    if (status != UNTORN_OK)
        return status;
    ut_name_index_remove(&writer->names, name);
    writer->names_changed = true;
    array->deleted = true;
    object->next.kind |= UT_KIND_DELETED;
    object->data_changed = true;
    memset(array->shape, 0, sizeof array->shape);
    memset(array->cells, 0, sizeof array->cells);
    return UNTORN_OK;
}

untorn_status untorn_set_group_attributes(untorn_writer *writer, const char *group,
                                          const char *json) {
    untorn_status status = ut_writer_usable(writer);
    if (status != UNTORN_OK)
        return status;
    if (group == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "%s: no group name", writer->segment.message_name);
    const ut_name_entry *entry = ut_name_index_find(&writer->names, group);
    untorn_writer_array *array = entry != NULL ? entry->value : NULL;
    if (array != NULL && array->definition->kind != UT_KIND_GROUP)
        return fail_name(writer, UNTORN_E_NAME, group, "is an array, not a group");
    if (json != NULL && (status = ut_json_check_object(json)) != UNTORN_OK) {
        char reason[256];
        snprintf(reason, sizeof reason, "%s", untorn_message());
        return ut_fail(status, "%s: group \"%.256s\": %s", writer->segment.message_name, group,
                       reason);
    }
    if (array == NULL) {
        if (group[0] != '\0') {
            status = ut_name_check_array(group);
            if (status == UNTORN_OK && (entry == NULL || entry->below == 0))
                status = check_name_free(writer, group);
            if (status != UNTORN_OK)
                return status;
        }
        ut_definition *definition;
        status = ut_definition_make_group(group, new_uid(writer), &definition);
        if (status == UNTORN_OK)
            status = ut_writer_enter(writer, definition, NULL, &array);
        if (status != UNTORN_OK)
            return status;
        entry = NULL; /* it is new */
    }
    status = untorn_set_attributes(array, json);
    if (status != UNTORN_OK && entry == NULL) {
        char message[512];
        snprintf(message, sizeof message, "%s", untorn_message());
        if (delete_created(writer, array) == UNTORN_OK)
            ut_name_index_remove(&writer->names, group);
        return ut_fail(status, "%s", message);
    }
    return status;
}
