// SPDX-License-Identifier: MIT
/*
 * Walking a chunk table that may be damaged or forged.
 *
 * Every reference is checked, and what is behind a bad one is left out.  The nodes of an honest
 * table are different places in the segment, so there cannot be more of them than fit: a table
 * that leads in circles ends there, however many chunks it pretends to have.
 */
#include "array/inspect.h"

typedef struct level {
    ut_node *node;
    unsigned next;  /* cell of it */
    uint64_t first; /* number of its first chunk */
} level;

typedef struct walk {
    ut_segment *segment;
    uint64_t uid;
    uint64_t first, last;
    ut_inspect_visit *visit;
    void *context;
    ut_inspect_walk result;
    uint64_t most_nodes;
    bool stopped;
    unsigned depth; /* nodes on the stack */
    level stack[UT_MAX_DEPTH];
} walk;

static uint64_t span_of(unsigned depth) {
    return depth >= UT_MAX_DEPTH ? UINT64_MAX : UINT64_C(1) << (depth * UT_NODE_SHIFT);
}

static void visit(walk *w, uint64_t number, uint64_t span, ut_place place) {
    ut_table_cell cell = {number, span, place};
    w->stopped = !w->visit(w->context, &cell);
}

/* A cell over 32^depth chunks. */
static void enter(walk *w, ut_place place, unsigned depth, uint64_t number) {
    if (place.ref == 0)
        return;
    bool subtree = depth > 0 && (place.ref & UT_REF_SUBTREE);
    if (!ut_ref_good(place.ref, place.version, w->uid, depth) ||
        (subtree && !(place.ref & UT_REF_EVICTED))) {
        w->result.damaged = true;
        return;
    }
    if (depth == 0 || subtree) {
        visit(w, number, span_of(depth), place);
        return;
    }
    ut_node *node = ut_at(w->segment, ut_ref_offset(place.ref), sizeof *node);
    if (node == NULL || w->result.nodes == w->most_nodes) {
        w->result.damaged = true;
        w->stopped = node != NULL;
        return;
    }
    w->result.nodes++;
    w->stack[w->depth++] = (level){node, 0, number};
}

ut_inspect_walk ut_inspect_table(untorn_inspection *inspection, const ut_descriptor *descriptor,
                                 uint64_t first, uint64_t last, ut_inspect_visit *visit_cell,
                                 void *context) {
    walk w = {.segment = &inspection->segment,
              .uid = descriptor->uid,
              .first = first,
              .last = last,
              .visit = visit_cell,
              .context = context,
              .most_nodes = ut_load_relaxed(&inspection->segment.reserve) / sizeof(ut_node)};
    unsigned depth = ut_kind_depth(descriptor->kind);
    if (first < last)
        enter(&w, (ut_place){descriptor->root_ref, descriptor->root_version}, depth, 0);
    while (w.depth > 0 && !w.stopped) {
        level *top = &w.stack[w.depth - 1];
        unsigned below = depth - w.depth;
        uint64_t span = span_of(below), offset, number;
        if (top->next == UT_NODE_CELLS || __builtin_mul_overflow(span, top->next, &offset) ||
            __builtin_add_overflow(top->first, offset, &number) || number >= last) {
            w.depth--;
            continue;
        }
        ut_cell *cell = &top->node->cells[top->next++];
        if (first > number && first - number >= span)
            continue;
        enter(&w, ut_cell_load(cell), below, number);
    }
    return w.result;
}
