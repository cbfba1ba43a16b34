// SPDX-License-Identifier: MIT
/*
 * Entering arrays and groups as they were in a store: with their uid, generation and data commit,
 * so that what is flushed later knows what did not change, and with a table that says where the
 * chunks are.  For a segment that nobody reads yet.
 */
#include "array/writer.h"

#include "base/atomic_order.h"
#include "base/status.h"

#include <inttypes.h>

static unsigned depth_of(uint64_t cells) {
    unsigned depth = 0;
    while (depth < UT_MAX_DEPTH && cells > UINT64_C(1) << (depth * UT_NODE_SHIFT))
        depth++;
    return depth;
}

/* The object's first generation here is the one that it had there. */
static untorn_status continue_counters(untorn_writer_array *array, uint64_t generation) {
    ut_object *object = array->object;
    if (generation == 0 || object->generation != 0)
        return ut_writer_fail(array, UNTORN_E_CORRUPT,
                              "cannot go on from generation %" PRIu64 " of the store", generation);
    ut_header *header = object->header;
    /* Readers do not attach before the segment is restored: relaxed order will do. */
    ut_store_relaxed(&header->generation, generation - 1);
    ut_store_relaxed(&header->oldest, generation);
    ut_store_relaxed(&header->inherited, generation);
    object->generation = generation - 1;
    object->oldest = generation;
    return UNTORN_OK;
}

untorn_status ut_writer_restore(untorn_writer *writer, const ut_restored *restored) {
    ut_definition *definition = restored->definition;
    untorn_writer_array *array;
    ut_definition_hold(definition);
    untorn_status status = ut_writer_enter(writer, definition, restored->shape, &array);
    if (status == UNTORN_OK)
        status = continue_counters(array, restored->generation);
    if (status == UNTORN_OK && restored->attributes != NULL && restored->attributes[0] != '\0')
        status = definition->kind == UT_KIND_GROUP
                     ? untorn_set_group_attributes(writer, definition->name, restored->attributes)
                     : untorn_set_attributes(array, restored->attributes);
    if (status != UNTORN_OK)
        return status;
    ut_object *object = array->object;
    object->data_changed = false;
    object->next.data_commit = restored->data_commit;
    if (definition->kind == UT_KIND_ARRAY) {
        uint64_t cells = definition->rank == 0 ? 1 : array->cells[0];
        for (unsigned axis = 1; axis < definition->rank; axis++)
            cells *= array->cells[axis];
        object->root = restored->root;
        object->root_depth = depth_of(cells); /* also if there are no chunks yet */
        object->table_built = true;
    }
    return UNTORN_OK;
}
