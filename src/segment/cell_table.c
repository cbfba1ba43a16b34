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
            if (place->ref & UT_REF_SUBTREE)
                return place->ref & UT_REF_EVICTED ? UT_FOUND : UT_DAMAGED;
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

static uint64_t span_of(unsigned level) {
    return level >= UT_MAX_DEPTH ? UINT64_MAX : UINT64_C(1) << (level * UT_NODE_SHIFT);
}

/* Descend to the leaf that has chunk `number`.  Found: *cell is what stands there instead of a leaf
 * (absent or a subtree in the store), or cursor->leaf is the leaf. */
static ut_found descend(ut_segment *segment, const ut_descriptor *descriptor, uint64_t number,
                        ut_table_cursor *cursor, ut_table_cell *cell) {
    ut_place place = {descriptor->root_ref, descriptor->root_version};
    /* Each leaf and each absent cell of a node is descended to once.  Nodes that refer to one
     * another in a circle, or many times to the same one, would be for ever. */
    uint64_t nodes = ut_load_relaxed(&segment->reserve) / sizeof(ut_node) + 1;
    if (++cursor->descents > nodes * (UT_NODE_CELLS + 1))
        return UT_DAMAGED;
    cursor->leaf = NULL;
    for (unsigned level = ut_kind_depth(descriptor->kind); level > 0; level--) {
        uint64_t span = span_of(level);
        *cell = (ut_table_cell){number / span * span, span, place};
        if (place.ref == 0)
            return UT_FOUND;
        if (!ut_ref_good(place.ref, place.version, descriptor->uid, level))
            return UT_DAMAGED;
        if (place.ref & UT_REF_SUBTREE)
            return place.ref & UT_REF_EVICTED ? UT_FOUND : UT_DAMAGED;
        ut_node *node = ut_at(segment, ut_ref_offset(place.ref), sizeof *node);
        if (node == NULL)
            return UT_DAMAGED;
        uint64_t index = number >> ((level - 1) * UT_NODE_SHIFT) & (UT_NODE_CELLS - 1);
        if (level == 1) {
            cursor->leaf = node;
            cursor->first = number - index;
            return UT_FOUND;
        }
        place = ut_cell_load(&node->cells[index]);
    }
    *cell = (ut_table_cell){0, 1, place};
    return UT_FOUND;
}

ut_found ut_table_next(ut_segment *segment, const ut_descriptor *descriptor, uint64_t from,
                       ut_table_cursor *cursor, ut_table_cell *cell) {
    uint64_t number = from;
    while (number < descriptor->cells) {
        if (cursor->leaf == NULL || number - cursor->first >= UT_NODE_CELLS) {
            ut_found found = descend(segment, descriptor, number, cursor, cell);
            if (found != UT_FOUND)
                return found;
            if (cursor->leaf == NULL) {
                if (cell->place.ref != 0)
                    return cell->span > 1 || ut_ref_good(cell->place.ref, cell->place.version,
                                                         descriptor->uid, 0)
                               ? UT_FOUND
                               : UT_DAMAGED;
                if (cell->span > UINT64_MAX - cell->number)
                    break;
                number = cell->number + cell->span;
                continue;
            }
        }
        for (; number - cursor->first < UT_NODE_CELLS && number < descriptor->cells; number++) {
            ut_place place = ut_cell_load(&cursor->leaf->cells[number - cursor->first]);
            if (place.ref == 0)
                continue;
            *cell = (ut_table_cell){number, 1, place};
            return ut_ref_good(place.ref, place.version, descriptor->uid, 0) ? UT_FOUND
                                                                             : UT_DAMAGED;
        }
    }
    *cell = (ut_table_cell){descriptor->cells, 0, {0, 0}};
    return UT_FOUND;
}
