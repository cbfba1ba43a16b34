// SPDX-License-Identifier: MIT
/*
 * Looking up a chunk's cell; see cell_table.h.
 */
#include "segment/cell_table.h"

ut_found ut_table_lookup(ut_segment *segment, const ut_descriptor *descriptor, uint64_t number,
                         ut_table_cursor *cursor, ut_place *place) {
    unsigned depth = ut_kind_depth(descriptor->kind);
    *place = (ut_place){descriptor->root_ref, descriptor->root_version};
    if (depth == 0) {
        if (number != 0)
            *place = (ut_place){0, 0};
    } else if (cursor->leaf != NULL && number - cursor->first < UT_NODE_CELLS) {
        *place = ut_cell_load(&cursor->leaf->cells[number - cursor->first]);
    } else {
        if (depth < UT_MAX_DEPTH && number >> (depth * UT_NODE_SHIFT) != 0) {
            *place = (ut_place){0, 0};
            return UT_FOUND;
        }
        for (unsigned level = depth; level > 0; level--) {
            if (place->ref == 0)
                return UT_FOUND;
            if (!ut_ref_good(place->ref, place->version, descriptor->uid, level))
                return UT_DAMAGED;
            ut_node *node = ut_at(segment, ut_ref_offset(place->ref), sizeof *node);
            if (node == NULL)
                return UT_DAMAGED;
            uint64_t index = number >> ((level - 1) * UT_NODE_SHIFT) & (UT_NODE_CELLS - 1);
            *place = ut_cell_load(&node->cells[index]);
            if (level == 1) {
                cursor->leaf = node;
                cursor->first = number - index;
            }
        }
    }
    if (place->ref != 0 && !ut_ref_good(place->ref, place->version, descriptor->uid, 0))
        return UT_DAMAGED;
    return UT_FOUND;
}
